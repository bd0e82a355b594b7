/* The frames that the owner serialises once, for gateways to forward unparsed: `update`, `result`, `error`. */
#include "core/facts.h"
#include "core/owner_parts.h"

static void add_cursor(struct buf *out, const struct owner *owner, struct span space, uint64_t place)
{
    struct cursor cursor = {.place = place};
    buf_add_char(out, '"');
    cursor_encode(out, span_text(owner->log), space, &cursor);
    buf_add_char(out, '"');
}

static void add_doc(struct buf *out, bool *first, const struct collection *collection, struct span id, const struct doc *doc)
{
    if (!*first) buf_add_char(out, ',');
    *first = false;
    doc_render(out, span_text(collection->name), id, doc, collection->policy == POLICY_APPEND);
}

void owner_render_update(struct owner *owner, const struct owner_case *c, uint64_t prev)
{
    struct buf *out = &owner->frame;
    bool first = true;
    buf_reset(out);
    buf_add_text(out, "{\"type\":\"update\",\"space\":");
    buf_add_json_string(out, c->push->space);
    buf_add_text(out, ",\"prev\":");
    add_cursor(out, owner, c->push->space, prev);
    buf_add_text(out, ",\"cursor\":");
    add_cursor(out, owner, c->push->space, c->rev);
    buf_add_text(out, ",\"rev\":");
    buf_add_u64(out, c->rev);
    buf_add_text(out, ",\"time\":");
    buf_add_i64(out, c->time_ms);
    buf_add_text(out, ",\"user\":");
    buf_add_json_string(out, c->push->user);
    buf_add_text(out, ",\"device\":");
    buf_add_json_string(out, c->push->device);
    buf_add_text(out, ",\"push\":");
    buf_add_u64(out, c->push->id);
    buf_add_text(out, ",\"docs\":[");
    for (size_t i = 0; i < c->result.docs_count; i++) {
        const struct resolve_doc *doc = &c->result.docs[i];
        if (doc->changed) add_doc(out, &first, doc->collection, doc->id, &doc->after);
    }
    buf_add_text(out, "]}");
}

/* Has an earlier operation named the same document? */
static bool named_before(const struct owner_case *c, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (span_equal(c->ops[i].id, c->ops[at].id) && span_equal(c->ops[i].collection, c->ops[at].collection)) return true;
    return false;
}

/* The document as this step leaves it: the push's own change, or what is stored. ret_doc->rev 0: there is none. */
static enum err doc_now(struct owner *owner, const struct owner_case *c, const struct op *op, struct doc *ret_doc)
{
    struct span stored;
    *ret_doc = (struct doc){0};
    if (c->result.status == RESOLVE_CHANGED) {
        for (size_t i = 0; i < c->result.docs_count; i++) {
            const struct resolve_doc *doc = &c->result.docs[i];
            if (!doc->changed || !span_equal(doc->id, op->id) || !span_is(op->collection, doc->collection->name)) continue;
            *ret_doc = doc->after;
            return ERR_OK;
        }
    }
    enum err err = facts_read_doc(c->reader, c->space.sid, op->collection, op->id, &stored);
    if (err != ERR_OK || stored.at == NULL) return err;
    err = doc_decode(stored, &owner->arena, ret_doc);
    /* Whether a tombstone exists is the clock's to say, not the sweep's. */
    if (err == ERR_OK && ret_doc->deleted && ret_doc->time_ms < owner->clock_ms - c->ns->window_ms) *ret_doc = (struct doc){0};
    return err;
}

static enum err add_docs_named(struct owner *owner, const struct owner_case *c, struct buf *out)
{
    bool first = true;
    size_t start = out->bytes;
    for (size_t i = 0; i < c->ops_count; i++) {
        struct doc doc;
        const struct collection *collection = namespace_collection(c->ns, c->ops[i].collection);
        if (collection == NULL || named_before(c, i)) continue;
        enum err err = doc_now(owner, c, &c->ops[i], &doc);
        if (err != ERR_OK) return err;
        if (doc.rev == 0) continue;
        if (out->bytes - start + doc.body.bytes > OWNER_RESULT_DOCS_BYTES) break; /* the space's pages have the rest */
        add_doc(out, &first, collection, c->ops[i].id, &doc);
    }
    return ERR_OK;
}

enum err owner_render_result(struct owner *owner, struct owner_case *c, enum device_status status, enum err code,
                             struct span why, bool allowed)
{
    struct buf *out = &owner->answer;
    buf_reset(out);
    buf_add_text(out, "{\"type\":\"result\",\"id\":");
    buf_add_u64(out, c->push->id);
    buf_add_text(out, ",\"space\":");
    buf_add_json_string(out, c->push->space);
    buf_add_text(out, ",\"status\":\"");
    buf_add_text(out, device_entry_status_name(status));
    buf_add_char(out, '"');
    if (code != ERR_OK) {
        buf_add_text(out, ",\"code\":\"");
        buf_add_text(out, err_name(code));
        buf_add_text(out, "\",\"message\":");
        buf_add_json_string(out, why.bytes > 0 ? why : span_text(err_text(code)));
    }
    if (allowed) { /* who may not read the space learns its outcome, and nothing of the space */
        buf_add_text(out, ",\"cursor\":");
        add_cursor(out, owner, c->push->space, c->space.head);
        buf_add_text(out, ",\"at\":");
        buf_add_u64(out, c->space.head);
        buf_add_text(out, ",\"docs\":[");
        enum err err = c->space.sid == 0 ? ERR_OK : add_docs_named(owner, c, out);
        if (err != ERR_OK) return err;
        buf_add_char(out, ']');
    }
    buf_add_char(out, '}');
    return buf_ok(out) ? ERR_OK : ERR_MEMORY;
}

void owner_render_error(struct owner *owner, const struct owner_case *c, enum err code, uint64_t after)
{
    struct buf *out = &owner->answer;
    buf_reset(out);
    buf_add_text(out, "{\"type\":\"error\",\"code\":\"");
    buf_add_text(out, err_name(code));
    buf_add_text(out, "\",\"message\":");
    buf_add_json_string(out, span_text(err_text(code)));
    buf_add_text(out, ",\"id\":");
    buf_add_u64(out, c->push->id);
    buf_add_text(out, ",\"space\":");
    buf_add_json_string(out, c->push->space);
    if (code == ERR_TOO_MANY) {
        buf_add_text(out, ",\"retry\":1000");
    } else {
        buf_add_text(out, ",\"after\":");
        buf_add_u64(out, after);
    }
    buf_add_char(out, '}');
}
