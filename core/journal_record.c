#include "core/journal_record.h"

#include <stdlib.h>

#include "core/doc.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/pack.h"
#include "core/space_state.h"

enum { MARK_VERSION = 1, KEY_BYTES_MAX = 2048, MARK_BYTES_MAX = 4194304, VALUE_BYTES_MAX = 4194304 };

/* ---- encoding ---- */

/* A space among the writes, found by its sid. */
struct named {
    uint64_t sid;
    struct span name;
};

struct encoder {
    const struct state_write **born; /* in order of their keys */
    size_t born_count;
    struct named *spaces;            /* in order of their sids */
    size_t spaces_count;
    struct arena arena;
    struct buf key, value, mark;
    struct journal_trailer *trailer;
    void *ctx;
    enum err (*emit)(void *ctx, const struct journal_record *record);
};

static int compare_born(const void *a, const void *b)
{
    return span_compare((*(const struct state_write *const *)a)->key, (*(const struct state_write *const *)b)->key);
}

static int compare_named(const void *a, const void *b)
{
    uint64_t x = ((const struct named *)a)->sid, y = ((const struct named *)b)->sid;
    return x < y ? -1 : x > y;
}

static enum err gather(struct encoder *e, const struct state_write *writes, size_t count)
{
    e->born = calloc(count + 1, sizeof *e->born);
    e->spaces = calloc(count + 1, sizeof *e->spaces);
    if (e->born == NULL || e->spaces == NULL) return ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct space_state state;
        if (writes[i].table == STATE_BORN && !writes[i].remove) e->born[e->born_count++] = &writes[i];
        if (writes[i].table != STATE_SPACE || writes[i].remove) continue;
        enum err err = space_state_decode(writes[i].value, &state);
        if (err != ERR_OK) return err;
        e->spaces[e->spaces_count++] = (struct named){state.sid, writes[i].key};
    }
    qsort(e->born, e->born_count, sizeof *e->born, compare_born);
    qsort(e->spaces, e->spaces_count, sizeof *e->spaces, compare_named);
    return ERR_OK;
}

static struct span name_of(const struct encoder *e, uint64_t sid)
{
    struct named wanted = {.sid = sid};
    const struct named *found = bsearch(&wanted, e->spaces, e->spaces_count, sizeof *e->spaces, compare_named);
    return found == NULL ? span_of(NULL, 0) : found->name;
}

static bool is_born(const struct encoder *e, uint64_t sid, struct span collection, uint64_t born, struct span id)
{
    struct state_key key;
    state_key_born(&key, sid, collection, born, id);
    struct state_write wanted = {.key = state_key_span(&key)};
    const struct state_write *at = &wanted;
    return bsearch(&at, e->born, e->born_count, sizeof *e->born, compare_born) != NULL;
}

static uint64_t hash_of(struct span key, struct span value, struct span mark)
{
    return hash_64(key) + 3 * hash_64(value) + 7 * hash_64(mark);
}

static void begin(struct encoder *e, uint64_t sid)
{
    arena_reset(&e->arena);
    buf_reset(&e->key);
    buf_reset(&e->value);
    buf_reset(&e->mark);
    pack_u64(&e->mark, MARK_VERSION, 1);
    pack_u64(&e->mark, e->trailer->batch, 8);
    pack_u64(&e->mark, sid, 8);
}

static void add_part(struct encoder *e, struct span part)
{
    if (e->key.bytes > 0) buf_add_char(&e->key, '/');
    buf_add_span(&e->key, part);
}

static enum err finish(struct encoder *e, struct journal_record *record, struct span value, bool has_value)
{
    if (!buf_ok(&e->key) || !buf_ok(&e->value) || !buf_ok(&e->mark)) return ERR_MEMORY;
    record->key = buf_span(&e->key);
    record->value = value;
    record->has_value = has_value;
    record->mark = buf_span(&e->mark);
    if (has_value) {
        e->trailer->count++;
        e->trailer->hash += hash_of(record->key, record->value, record->mark);
    }
    return e->emit(e->ctx, record);
}

static enum err encode_doc(struct encoder *e, const struct state_write *write)
{
    struct journal_record record = {.topic = JOURNAL_UPDATES};
    struct doc doc = {0};
    uint64_t sid;
    if (!state_key_parse_doc(write->key, &sid, &record.collection, &record.id)) return ERR_CORRUPT;
    record.space = name_of(e, sid);
    if (record.space.bytes == 0) return ERR_CORRUPT;
    begin(e, sid);
    add_part(e, record.space);
    add_part(e, record.collection);
    add_part(e, record.id);
    if (write->remove) return finish(e, &record, span_of(NULL, 0), false);
    enum err err = doc_decode(write->value, &e->arena, &doc);
    if (err != ERR_OK) return err;
    /* What stands before the body's length: the body itself is in the value. */
    buf_add(&e->mark, write->value.at, write->value.bytes - doc.body.bytes - 4);
    doc_render(&e->value, record.collection, record.id, &doc, !doc.deleted && is_born(e, sid, record.collection, doc.born, record.id));
    record.rev = doc.rev;
    record.time_ms = doc.time_ms;
    record.deleted = doc.deleted;
    return finish(e, &record, buf_span(&e->value), true);
}

static enum err encode_entry(struct encoder *e, const struct state_write *write)
{
    struct journal_record record = {.topic = JOURNAL_STATE};
    uint64_t sid = state_key_sid(write->key);
    struct span space = name_of(e, sid), rest = span_of(write->key.at + 8, write->key.bytes - 8);
    if (write->key.bytes < 9 || space.bytes == 0) return ERR_CORRUPT;
    begin(e, sid);
    buf_add_text(&e->key, write->table == STATE_DEVICE ? "device" : "loser");
    add_part(e, space);
    if (write->table == STATE_DEVICE) {
        const char *zero = memchr(rest.at, 0, rest.bytes);
        if (zero == NULL) return ERR_CORRUPT;
        add_part(e, span_of(rest.at, (size_t)(zero - rest.at)));
        add_part(e, span_of(zero + 1, rest.bytes - (size_t)(zero - rest.at) - 1));
    } else {
        buf_add_char(&e->key, '/');
        buf_add_u64(&e->key, state_key_sid(rest));
    }
    return finish(e, &record, write->value, !write->remove);
}

static enum err encode_space(struct encoder *e, const struct state_write *write)
{
    struct journal_record record = {.topic = JOURNAL_STATE};
    struct space_state state = {0};
    if (!write->remove && space_state_decode(write->value, &state) != ERR_OK) return ERR_CORRUPT;
    begin(e, state.sid);
    buf_add_text(&e->key, "space");
    add_part(e, write->key);
    return finish(e, &record, write->value, !write->remove);
}

static bool parse_clock(struct span text, int64_t *ret_clock)
{
    const char *space = memchr(text.at, ' ', text.bytes);
    int64_t clock = 0;
    if (space == NULL) return false;
    for (const char *at = space + 1; at < text.at + text.bytes; at++) {
        if (*at < '0' || *at > '9' || clock > (INT64_MAX - 9) / 10) return false;
        clock = clock * 10 + (*at - '0');
    }
    *ret_clock = clock;
    return true;
}

static enum err encode_meta(struct encoder *e, const struct state_write *write)
{
    struct journal_record record = {.topic = JOURNAL_STATE};
    if (span_is(write->key, "partition")) return parse_clock(write->value, &e->trailer->clock_ms) ? ERR_OK : ERR_CORRUPT;
    if (write->key.bytes < 4 || memcmp(write->key.at, "ns:", 3) != 0) return ERR_CORRUPT;
    begin(e, 0);
    buf_add_text(&e->key, "namespace");
    add_part(e, span_of(write->key.at + 3, write->key.bytes - 3));
    return finish(e, &record, write->value, !write->remove);
}

static enum err encode_one(struct encoder *e, const struct state_write *write)
{
    switch (write->table) {
    case STATE_DOC: return encode_doc(e, write);
    case STATE_DEVICE: case STATE_LOSER: return encode_entry(e, write);
    case STATE_SPACE: return encode_space(e, write);
    case STATE_META: return encode_meta(e, write);
    case STATE_BYREV: case STATE_BORN: case STATE_DUE: case STATE_TABLES: break;
    }
    return ERR_OK;
}

enum err journal_record_encode(const struct state_write *writes, size_t count, struct journal_trailer *trailer, void *ctx,
                               enum err (*emit)(void *ctx, const struct journal_record *record))
{
    struct encoder e = {.trailer = trailer, .ctx = ctx, .emit = emit};
    arena_init(&e.arena, MARK_BYTES_MAX);
    buf_init(&e.key, KEY_BYTES_MAX);
    buf_init(&e.value, VALUE_BYTES_MAX);
    buf_init(&e.mark, MARK_BYTES_MAX);
    trailer->count = trailer->hash = 0;
    enum err err = gather(&e, writes, count);
    for (size_t i = 0; err == ERR_OK && i < count; i++) err = encode_one(&e, &writes[i]);
    free(e.born);
    free(e.spaces);
    arena_fini(&e.arena);
    buf_fini(&e.key);
    buf_fini(&e.value);
    buf_fini(&e.mark);
    return err;
}

static void add_number(struct buf *buf, const char *head, uint64_t value)
{
    buf_add_text(buf, head);
    buf_add_u64(buf, value);
}

static void add_hex(struct buf *buf, const char *head, uint64_t value)
{
    buf_add_text(buf, head);
    buf_add_char(buf, '"');
    buf_add_hex64(buf, value);
    buf_add_char(buf, '"');
}

void journal_record_encode_trailer(const struct journal_trailer *trailer, struct buf *buf)
{
    add_number(buf, "{\"v\":1,\"next\":", trailer->next);
    add_number(buf, ",\"clock\":", (uint64_t)trailer->clock_ms);
    add_hex(buf, ",\"record\":", trailer->last_hash);
    if (trailer->next > trailer->first) {
        add_number(buf, ",\"first\":", trailer->first);
        add_number(buf, ",\"last\":", trailer->next - 1);
    }
    add_number(buf, ",\"count\":", trailer->count);
    add_hex(buf, ",\"batch\":", trailer->batch);
    add_hex(buf, ",\"hash\":", trailer->hash);
    buf_add_char(buf, '}');
}

void journal_record_partition(const struct journal_trailer *trailer, struct buf *buf)
{
    buf_add_u64(buf, trailer->next);
    buf_add_char(buf, ' ');
    buf_add_i64(buf, trailer->clock_ms);
}
