/* merge: put, patch and delete, field by field.
 *
 * A put (and a delete, which is a put of nothing) is an edit of every field, named or not; a patch of those it names.
 * Each field goes to the later edit: against the field's own stamp, or against `whole` where it has none. The document
 * is deleted when a delete won `whole` and no field outlived it; what outlived it keeps it alive.
 *
 * INVARIANTS
 * 1. A field that `whole` governs has no stamp of its own: an edit that wins `whole` clears the stamps it beats.
 * 2. A put of which every field won is its own bytes.
 * 3. Nothing of a value is kept as lost where the winner has the same bytes, nor where a put merely lacked a field that
 *    another edit has: there is no value to give back. */
#include <assert.h>

#include "core/resolve_parts.h"

/* What an edit of many fields came to. */
struct tally {
    bool whole_won;    /* of put and delete: `whole` is the edit's now */
    bool any_won;      /* an edit of at least one field, or of the whole, stands */
    bool named_lost;   /* a field that it names went to a later edit */
    bool brings;       /* a field that it names, with a value, won */
    bool outlived;     /* a field that it does not name stays */
};

/* Judges the edit field by field; nothing is changed yet. */
static void judge(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit, bool covers_all,
                  struct tally *tally)
{
    enum order order = work->doc->collection->order;
    struct resolve_body *body = &work->body;
    tally->whole_won = covers_all && resolve_edit_is_later(edit, &work->doc->after.whole, order);
    tally->any_won = tally->whole_won;
    for (size_t i = 0; i < body->parts_count; i++) {
        struct resolve_part *part = body->parts[i];
        bool named = resolve_body_names(body, part), is = part->value.type != JSON_NONE;
        part->wins = false;
        if (!named && !covers_all) continue;
        struct stamp stamp = resolve_edit_judged(work, part);
        part->wins = resolve_edit_is_later(edit, &stamp, order);
        if (named && !part->wins) tally->named_lost = true;
        if (part->wins) tally->any_won = true;
        if (part->wins && named && part->said.type != JSON_NONE) tally->brings = true;
        if (!part->wins && !named && is) tally->outlived = true;
    }
    c->lost |= tally->named_lost || (covers_all && !tally->whole_won);
}

/* A field that the edit names went to a later one: kept, unless it says what stands. */
static enum err lose_field(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit,
                           struct resolve_part *part)
{
    bool same;
    enum err err = resolve_body_is(part, part->said, &same);
    if (err != ERR_OK || same) return err;
    return resolve_edit_lost(c, work, &part->name, part->said, &edit->stamp);
}

/* A field's value goes: kept, if the edit did not know it and says something else. A field that is not there has a value
 * to lose only where somebody removed it. */
static enum err overwrite_field(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit,
                                struct resolve_part *part)
{
    struct stamp stamp = resolve_edit_judged(work, part);
    struct json_value said = resolve_body_names(&work->body, part) ? part->said : (struct json_value){0}, was;
    bool same;
    if (resolve_edit_knows(edit, &stamp)) return ERR_OK;
    if (part->value.type == JSON_NONE && !part->own) return ERR_OK;
    enum err err = resolve_body_is(part, said, &same);
    if (err != ERR_OK || same) return err;
    err = resolve_body_value(part, &was);
    if (err != ERR_OK) return err;
    return resolve_edit_lost(c, work, &part->name, was, &stamp);
}

/* Carries out what judge() found. */
static enum err carry_out(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit,
                          const struct tally *tally)
{
    struct resolve_body *body = &work->body;
    for (size_t i = 0; i < body->parts_count; i++) {
        struct resolve_part *part = body->parts[i];
        bool named = resolve_body_names(body, part);
        enum err err = ERR_OK;
        if (!part->wins) {
            if (named) err = lose_field(c, work, edit, part);
            if (err != ERR_OK) return err;
            continue;
        }
        err = overwrite_field(c, work, edit, part);
        if (err != ERR_OK) return err;
        resolve_body_take(body, part);
        part->own = !tally->whole_won; /* else it is governed by `whole` from now on */
        part->stamp = edit->stamp;
        part->known_rev = edit->stamp.rev;
    }
    return ERR_OK;
}

/* Nothing changes; what was named is kept as lost, but removals of what is not there. */
static enum err lose_all(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    struct resolve_body *body = &work->body;
    for (size_t i = 0; i < body->parts_count; i++) {
        if (!resolve_body_names(body, body->parts[i])) continue;
        enum err err = lose_field(c, work, edit, body->parts[i]);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

/* A deleted document comes back. The deletion is kept as lost where the edit did not know it. Asked for while `whole` is
 * still the deletion's stamp. */
enum err resolve_merge_revive(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    struct doc *after = &work->doc->after;
    assert(work->exists && after->deleted);
    after->deleted = false;
    work->body.touched = true;
    if (resolve_edit_knows(edit, &after->whole)) return ERR_OK;
    return resolve_edit_lost(c, work, NULL, (struct json_value){0}, &after->whole);
}

static enum err put(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    struct doc *after = &work->doc->after;
    struct tally tally = {0};
    bool was_live = resolve_work_is_live(work), was_there = work->exists;
    judge(c, work, edit, true, &tally);
    if (!tally.any_won || (!was_live && !tally.whole_won && !tally.brings)) return lose_all(c, work, edit);
    enum err err = carry_out(c, work, edit, &tally);
    if (err != ERR_OK) return err;
    resolve_change(c, work);
    if (!was_live && was_there) err = resolve_merge_revive(c, work, edit);
    if (err != ERR_OK) return err;
    if (tally.whole_won) after->whole = edit->stamp;
    if (!tally.named_lost && !tally.outlived) {
        resolve_body_is_said(&work->body);
        after->body = c->op->body.raw;
    }
    return ERR_OK;
}

static enum err patch(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    struct resolve_body *body = &work->body;
    struct tally tally = {0};
    bool was_live = resolve_work_is_live(work), was_there = work->exists;
    for (size_t i = 0; i < body->parts_count; i++)
        if (resolve_body_names(body, body->parts[i]) && body->parts[i]->said.type == JSON_NULL)
            body->parts[i]->said = (struct json_value){0};
    judge(c, work, edit, false, &tally);
    /* Removing fields of what is not there makes nothing. */
    if (!tally.any_won || (!was_live && !tally.brings)) return lose_all(c, work, edit);
    enum err err = carry_out(c, work, edit, &tally);
    if (err != ERR_OK) return err;
    resolve_change(c, work);
    if (was_live) return ERR_OK;
    body->touched = true;
    return was_there ? resolve_merge_revive(c, work, edit) : ERR_OK;
}

static enum err delete(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    struct doc *after = &work->doc->after;
    struct tally tally = {0};
    bool was_live = resolve_work_is_live(work);
    judge(c, work, edit, true, &tally);
    if (!was_live && !tally.whole_won) return ERR_OK; /* a later deletion stands: nothing is lost */
    enum err err = carry_out(c, work, edit, &tally);
    if (err != ERR_OK) return err;
    if (tally.any_won) resolve_change(c, work);
    if (tally.whole_won) after->whole = edit->stamp;
    if (tally.whole_won && work->body.count == 0) {
        after->deleted = true;
        after->body = span_of(NULL, 0);
        work->body.touched = false;
        return ERR_OK;
    }
    return resolve_edit_lost(c, work, NULL, (struct json_value){0}, &edit->stamp);
}

enum err resolve_merge(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    enum err err = resolve_body_load(&work->body, c->arena, &work->doc->after);
    if (err != ERR_OK) return err;
    resolve_body_listen(&work->body);
    if (c->op->kind == OP_PUT || c->op->kind == OP_PATCH) {
        err = resolve_body_say(&work->body, c->op->body);
        if (err != ERR_OK) return err;
    }
    switch (c->op->kind) {
    case OP_PUT: return put(c, work, edit);
    case OP_PATCH: return patch(c, work, edit);
    case OP_DELETE: return delete(c, work, edit);
    case OP_INCR:
    case OP_ADD:
    case OP_REMOVE:
    case OP_MAX: return resolve_field(c, work, edit);
    case OP_APPEND: break;
    }
    assert(!"append is refused before");
    return ERR_INTERNAL;
}
