/* Edits of whole documents: lww, append, manual.
 *
 * INVARIANTS
 * 1. Such a document has one stamp, `whole`, of the edit that made it what it is.
 * 2. An edit stands as a whole or is lost as a whole; what lost is kept for its author, unless its bytes won anyway. */
#include <assert.h>

#include "core/resolve_parts.h"

static struct json_value object(struct span text)
{
    return (struct json_value){.type = text.bytes > 0 ? JSON_OBJECT : JSON_NONE, .raw = text};
}

/* What the document is now, of one text: this push's own changes are never asked for. */
static struct json_value current(const struct resolve_work *work)
{
    return resolve_work_is_live(work) ? object(work->doc->after.body) : object(span_of(NULL, 0));
}

/* The edit is older: it changes nothing, and is kept as it was pushed. */
static enum err lose(struct resolve_case *c, const struct resolve_work *work, const struct resolve_edit *edit)
{
    struct json_value said = c->op->body, now = current(work);
    c->lost = true;
    if (said.type == now.type && span_equal(said.raw, now.raw)) return ERR_OK;
    return resolve_edit_lost(c, work, NULL, said, &edit->stamp);
}

static enum err patch(struct resolve_case *c, struct resolve_work *work)
{
    struct resolve_body *body = &work->body;
    bool was_live = resolve_work_is_live(work);
    enum err err = resolve_body_load(body, c->arena, &work->doc->after);
    if (err != ERR_OK) return err;
    resolve_body_listen(body);
    err = resolve_body_say(body, c->op->body);
    if (err != ERR_OK) return err;
    for (size_t i = 0; i < body->parts_count; i++) {
        struct resolve_part *part = body->parts[i];
        if (!resolve_body_names(body, part)) continue;
        if (part->said.type == JSON_NULL) resolve_body_set(body, part, (struct json_value){0});
        else resolve_body_take(body, part);
    }
    if (!was_live) body->touched = true; /* even `{}` is a text to be written */
    return ERR_OK;
}

/* The document becomes what the operation says. Its old bytes are kept for their author if the edit did not know them. */
static enum err win(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    struct doc *after = &work->doc->after;
    struct json_value was = current(work);
    struct stamp was_stamp = after->whole;
    bool unknown = work->exists && !resolve_edit_knows(edit, &was_stamp), same = false;
    enum err err = ERR_OK;
    switch (c->op->kind) {
    case OP_PUT:
    case OP_APPEND:
        same = was.type != JSON_NONE && span_equal(was.raw, c->op->body.raw);
        work->body.loaded = work->body.touched = false;
        resolve_change(c, work);
        after->body = c->op->body.raw;
        after->deleted = false;
        break;
    case OP_PATCH:
        err = patch(c, work);
        same = !work->body.touched;
        resolve_change(c, work);
        after->deleted = false;
        break;
    case OP_DELETE:
        same = was.type == JSON_NONE;
        work->body.loaded = work->body.touched = false;
        resolve_change(c, work);
        after->body = span_of(NULL, 0);
        after->deleted = true;
        break;
    case OP_INCR:
    case OP_ADD:
    case OP_REMOVE:
    case OP_MAX: assert(!"an operation on a field is not one on the whole");
    }
    if (err != ERR_OK) return err;
    after->whole = edit->stamp;
    return unknown && !same ? resolve_edit_lost(c, work, NULL, was, &was_stamp) : ERR_OK;
}

enum err resolve_whole_lww(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    enum order order = work->doc->collection->order;
    if (work->exists && !resolve_edit_is_later(edit, &work->doc->after.whole, order)) return lose(c, work, edit);
    return win(c, work, edit);
}

/* Is the body, changed by this very push perhaps, what is appended? Sizes first: the text is written only for an equal. */
static enum err is_same(struct resolve_work *work, struct span said, bool *ret_same)
{
    struct resolve_body *body = &work->body;
    *ret_same = false;
    if (!resolve_work_is_live(work)) return ERR_OK;
    if (body->touched) {
        if (resolve_body_bytes(body) != said.bytes) return ERR_OK;
        enum err err = resolve_body_text(body, &work->doc->after.body);
        if (err != ERR_OK) return err;
        body->touched = false;
    }
    *ret_same = span_equal(work->doc->after.body, said);
    return ERR_OK;
}

static enum err append(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    bool same;
    if (!work->exists) return win(c, work, edit);
    enum err err = is_same(work, c->op->body.raw, &same);
    if (err != ERR_OK || same) return err;
    return resolve_reject(c, ERR_PRECONDITION, work, "exists already, with another body");
}

enum err resolve_whole_append(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    const struct resolve_push *push = c->push;
    if (c->op->kind == OP_APPEND) return append(c, work, edit);
    if (!work->exists) return resolve_reject(c, ERR_PRECONDITION, work, "does not exist");
    bool is_author = span_equal(work->doc->after.author, push->user);
    if (!is_author && !(c->op->kind == OP_DELETE && push->role == ROLE_OWNER))
        return resolve_reject(c, ERR_FORBIDDEN, work, "is its author's to change");
    return resolve_whole_lww(c, work, edit);
}

enum err resolve_whole_manual(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    const struct doc *after = &work->doc->after;
    bool known = !work->exists || edit->base >= after->rev || resolve_edit_same_device(edit, &after->whole);
    /* What follows is judged as if the edit stood: a push that is not acceptable on any base shall be told so at once. */
    if (!known) c->conflict = true;
    switch (c->op->kind) {
    case OP_PUT:
    case OP_PATCH:
    case OP_DELETE: return win(c, work, edit);
    case OP_INCR:
    case OP_ADD:
    case OP_REMOVE:
    case OP_MAX: return resolve_field(c, work, edit);
    case OP_APPEND: break;
    }
    assert(!"append is refused before");
    return ERR_INTERNAL;
}
