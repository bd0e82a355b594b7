/* Stored documents: encoding, decoding, rendering. The format is in doc.h.
 *
 * INVARIANTS
 * 1. Decoding what doc_encode() wrote gives an equal document, and encoding that gives the same bytes.
 * 2. Decoding never reads past what it is given, whatever that is: each length is checked before it is used. The body's
 *    JSON is not checked again: only bodies that were pushes' are ever stored. */
#include "core/doc.h"

#include <assert.h>

#include "core/pack.h"

enum { DOC_VERSION = 1, DOC_FLAG_DELETED = 1, DOC_STAMP_BYTES_MIN = 18 };

static struct stamp unpack_stamp(struct unpack *in)
{
    struct stamp stamp = {.rev = unpack_u64(in, 8)};
    stamp.edited_ms = (int64_t)unpack_u64(in, 8);
    stamp.user = unpack_text(in, 1);
    stamp.device = unpack_text(in, 1);
    return stamp;
}

static void pack_stamp(struct buf *buf, const struct stamp *stamp)
{
    assert(stamp->user.bytes <= UINT8_MAX && stamp->device.bytes <= UINT8_MAX);
    pack_u64(buf, stamp->rev, 8);
    pack_u64(buf, (uint64_t)stamp->edited_ms, 8);
    pack_text(buf, stamp->user, 1);
    pack_text(buf, stamp->device, 1);
}

static enum err unpack_fields(struct unpack *in, struct arena *arena, struct doc *doc)
{
    doc->fields_count = (size_t)unpack_u64(in, 2);
    if (in->failed || doc->fields_count == 0) return in->failed ? ERR_CORRUPT : ERR_OK;
    /* Asked before memory is taken for them: a torn count must not cost more than the bytes it came with. */
    if (in->rest.bytes / (2 + DOC_STAMP_BYTES_MIN) < doc->fields_count) return ERR_CORRUPT;
    doc->fields = arena_take(arena, doc->fields_count * sizeof *doc->fields);
    if (doc->fields == NULL) return ERR_MEMORY;
    for (size_t i = 0; i < doc->fields_count; i++) {
        doc->fields[i].field = unpack_text(in, 2);
        doc->fields[i].stamp = unpack_stamp(in);
    }
    return in->failed ? ERR_CORRUPT : ERR_OK;
}

/* A live document has a body, and a deleted one has none (doc.h, INVARIANT 2). */
static bool body_agrees(const struct doc *doc)
{
    struct span body = doc->body;
    if (doc->deleted) return body.bytes == 0;
    return body.bytes >= 2 && body.at[0] == '{' && body.at[body.bytes - 1] == '}';
}

enum err doc_decode(struct span stored, struct arena *arena, struct doc *ret_doc)
{
    struct unpack in = {.rest = stored};
    struct doc doc = {0};
    uint64_t version = unpack_u64(&in, 1);
    if (in.failed) return ERR_CORRUPT;
    if (version != DOC_VERSION) return ERR_VERSION;
    uint64_t flags = unpack_u64(&in, 1);
    if ((flags & ~(uint64_t)DOC_FLAG_DELETED) != 0) return ERR_CORRUPT;
    doc.deleted = flags == DOC_FLAG_DELETED;
    doc.rev = unpack_u64(&in, 8);
    doc.born = unpack_u64(&in, 8);
    doc.time_ms = (int64_t)unpack_u64(&in, 8);
    doc.user = unpack_text(&in, 1);
    doc.author = unpack_text(&in, 1);
    doc.whole = unpack_stamp(&in);
    enum err err = unpack_fields(&in, arena, &doc);
    if (err != ERR_OK) return err;
    doc.body = unpack_text(&in, 4);
    if (in.failed || in.rest.bytes > 0 || !body_agrees(&doc)) return ERR_CORRUPT;
    *ret_doc = doc;
    return ERR_OK;
}

void doc_encode(const struct doc *doc, struct buf *buf)
{
    assert(body_agrees(doc));
    assert(doc->user.bytes <= UINT8_MAX && doc->author.bytes <= UINT8_MAX && doc->fields_count <= UINT16_MAX);
    pack_u64(buf, DOC_VERSION, 1);
    pack_u64(buf, doc->deleted ? DOC_FLAG_DELETED : 0, 1);
    pack_u64(buf, doc->rev, 8);
    pack_u64(buf, doc->born, 8);
    pack_u64(buf, (uint64_t)doc->time_ms, 8);
    pack_text(buf, doc->user, 1);
    pack_text(buf, doc->author, 1);
    pack_stamp(buf, &doc->whole);
    pack_u64(buf, doc->fields_count, 2);
    for (size_t i = 0; i < doc->fields_count; i++) {
        assert(doc->fields[i].field.bytes <= UINT16_MAX);
        pack_text(buf, doc->fields[i].field, 2);
        pack_stamp(buf, &doc->fields[i].stamp);
    }
    assert(doc->body.bytes <= UINT32_MAX);
    pack_text(buf, doc->body, 4);
}

void doc_render(struct buf *buf, struct span collection, struct span id, const struct doc *doc, bool with_born)
{
    buf_add_text(buf, "{\"collection\":");
    buf_add_json_string(buf, collection);
    buf_add_text(buf, ",\"id\":");
    buf_add_json_string(buf, id);
    buf_add_text(buf, ",\"rev\":");
    buf_add_u64(buf, doc->rev);
    buf_add_text(buf, ",\"time\":");
    buf_add_i64(buf, doc->time_ms);
    buf_add_text(buf, ",\"user\":");
    buf_add_json_string(buf, doc->user);
    if (doc->deleted) {
        buf_add_text(buf, ",\"deleted\":true");
    } else {
        buf_add_text(buf, ",\"body\":");
        buf_add_span(buf, doc->body);
    }
    if (with_born) {
        buf_add_text(buf, ",\"born\":");
        buf_add_u64(buf, doc->born);
    }
    buf_add_char(buf, '}');
}

struct stamp doc_stamp(const struct doc *doc, struct span field)
{
    for (size_t i = 0; i < doc->fields_count; i++)
        if (span_equal(doc->fields[i].field, field)) return doc->fields[i].stamp;
    return doc->whole;
}
