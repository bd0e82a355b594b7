/* The journal's records read back: what a restore makes its state from. The format is in journal_record.h. */
#include "core/doc.h"
#include "core/hash.h"
#include "core/journal_record.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/number.h"
#include "core/pack.h"

enum { MARK_VERSION = 1, MARK_HEAD_BYTES = 17 };

static bool hex_of(struct json_value value, uint64_t *ret_value)
{
    struct span text = json_inside(value);
    uint64_t number = 0;
    if (value.type != JSON_STRING || text.bytes != 16) return false;
    for (size_t i = 0; i < 16; i++) {
        char c = text.at[i];
        if (c >= '0' && c <= '9') number = number << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f') number = number << 4 | (uint64_t)(c - 'a' + 10);
        else return false;
    }
    *ret_value = number;
    return true;
}

static bool count_of(struct json_value object, const char *name, uint64_t *ret_count)
{
    int64_t count;
    if (!json_integer(json_find(object, name), &count) || count < 0) return false;
    *ret_count = (uint64_t)count;
    return true;
}

static enum err decode_trailer(struct span value, struct journal_trailer *ret_trailer)
{
    struct json_value object;
    struct journal_trailer trailer = {0};
    uint64_t version, clock;
    if (!json_check(value, &object, NULL) || !count_of(object, "v", &version)) return ERR_CORRUPT;
    if (version != 1) return ERR_VERSION;
    if (!count_of(object, "next", &trailer.next) || !count_of(object, "clock", &clock) || !count_of(object, "count", &trailer.count) ||
        !hex_of(json_find(object, "record"), &trailer.last_hash) || !hex_of(json_find(object, "batch"), &trailer.batch) ||
        !hex_of(json_find(object, "hash"), &trailer.hash))
        return ERR_CORRUPT;
    trailer.clock_ms = (int64_t)clock;
    if (!count_of(object, "first", &trailer.first)) trailer.first = trailer.next;
    *ret_trailer = trailer;
    return ERR_OK;
}

static bool add(struct journal_entry *entry, struct arena *arena, enum state_table table, const struct state_key *key, struct span value, bool remove)
{
    struct state_write *write = &entry->writes[entry->writes_count++];
    *write = (struct state_write){.table = table, .remove = remove, .key = arena_copy(arena, state_key_span(key)), .value = value};
    return write->key.at != NULL;
}

/* The stored bytes again: what the mark kept, the body's length, the body. */
static struct span join_doc(struct span head, struct span body, struct arena *arena)
{
    size_t bytes = head.bytes + 4 + body.bytes;
    char *at = arena_take(arena, bytes);
    if (at == NULL) return span_of(NULL, 0);
    memcpy(at, head.at, head.bytes);
    for (size_t i = 0; i < 4; i++) at[head.bytes + i] = (char)(unsigned char)(body.bytes >> (8 * i) & 0xff);
    if (body.bytes > 0) memcpy(at + head.bytes + 4, body.at, body.bytes);
    return span_of(at, bytes);
}

static enum err decode_doc(struct span key, struct span value, bool has_value, uint64_t sid, struct span head, struct arena *arena,
                           struct journal_entry *entry)
{
    struct state_key state_key;
    struct json_value object;
    struct doc doc;
    const char *end = key.at + key.bytes, *slash = memchr(key.at, '/', key.bytes);
    const char *second = slash == NULL ? NULL : memchr(slash + 1, '/', (size_t)(end - slash - 1));
    if (second == NULL || end - second - 1 > LIMIT_ID_BYTES_MAX || second - slash - 1 > LIMIT_COLLECTION_BYTES_MAX) return ERR_CORRUPT;
    struct span collection = span_of(slash + 1, (size_t)(second - slash - 1)), id = span_of(second + 1, (size_t)(end - second - 1));
    state_key_doc(&state_key, sid, collection, id);
    if (!has_value) return add(entry, arena, STATE_DOC, &state_key, span_of(NULL, 0), true) ? ERR_OK : ERR_MEMORY;
    if (!json_check(value, &object, NULL) || object.type != JSON_OBJECT) return ERR_CORRUPT;
    struct span stored = join_doc(head, json_find(object, "body").raw, arena);
    if (stored.at == NULL) return ERR_MEMORY;
    enum err err = doc_decode(stored, arena, &doc);
    if (err != ERR_OK) return err;
    if (!add(entry, arena, STATE_DOC, &state_key, stored, false)) return ERR_MEMORY;
    state_key_rev(&state_key, sid, doc.rev, collection, id);
    if (!add(entry, arena, STATE_BYREV, &state_key, SPAN_LITERAL(""), false)) return ERR_MEMORY;
    if (json_find(object, "born").type == JSON_NONE) return ERR_OK;
    state_key_born(&state_key, sid, collection, doc.born, id);
    return add(entry, arena, STATE_BORN, &state_key, SPAN_LITERAL(""), false) ? ERR_OK : ERR_MEMORY;
}

static bool begins(struct span key, const char *head, struct span *ret_rest)
{
    size_t bytes = strlen(head);
    if (key.bytes <= bytes || memcmp(key.at, head, bytes) != 0) return false;
    *ret_rest = span_of(key.at + bytes, key.bytes - bytes);
    return true;
}

/* What follows the space's name. */
static bool after_space(struct span rest, struct span *ret_rest)
{
    const char *slash = memchr(rest.at, '/', rest.bytes);
    if (slash == NULL) return false;
    *ret_rest = span_of(slash + 1, rest.bytes - (size_t)(slash - rest.at) - 1);
    return true;
}

static enum err decode_state(struct span key, struct span value, bool has_value, uint64_t sid, struct arena *arena, struct journal_entry *entry)
{
    struct state_key state_key;
    struct span rest, part;
    enum state_table table = STATE_META;
    if (begins(key, "space/", &rest)) {
        if (rest.bytes > LIMIT_SPACE_BYTES_MAX) return ERR_CORRUPT;
        table = STATE_SPACE;
        state_key_space(&state_key, rest);
    } else if (begins(key, "namespace/", &rest)) {
        if (rest.bytes > LIMIT_SPACE_BYTES_MAX) return ERR_CORRUPT;
        state_key_namespace(&state_key, rest);
    } else if (begins(key, "device/", &rest) && after_space(rest, &part)) {
        const char *slash = memrchr(part.at, '/', part.bytes);
        if (slash == NULL || slash - part.at > LIMIT_USER_BYTES_MAX || part.at + part.bytes - slash - 1 > LIMIT_DEVICE_BYTES_MAX) return ERR_CORRUPT;
        table = STATE_DEVICE;
        state_key_device(&state_key, sid, span_of(part.at, (size_t)(slash - part.at)), span_of(slash + 1, (size_t)(part.at + part.bytes - slash - 1)));
    } else if (begins(key, "loser/", &rest) && after_space(rest, &part)) {
        uint64_t sequence;
        if (!number_digits(part, &sequence)) return ERR_CORRUPT;
        table = STATE_LOSER;
        state_key_loser(&state_key, sid, sequence);
    } else {
        return ERR_CORRUPT;
    }
    return add(entry, arena, table, &state_key, value, !has_value) ? ERR_OK : ERR_MEMORY;
}

enum err journal_record_decode(enum journal_topic topic, struct span key, struct span value, bool has_value, struct span mark,
                               struct arena *arena, struct journal_entry *ret_entry)
{
    struct journal_entry entry = {.has_value = has_value};
    struct unpack in = {.rest = mark};
    enum err err;
    if (topic == JOURNAL_STATE && span_is(key, "partition")) {
        if (!has_value) return ERR_CORRUPT;
        entry.is_trailer = true;
        err = decode_trailer(value, &entry.trailer);
        if (err == ERR_OK) *ret_entry = entry;
        return err;
    }
    uint64_t version = unpack_u64(&in, 1);
    if (in.failed) return ERR_CORRUPT;
    if (version != MARK_VERSION) return ERR_VERSION;
    entry.batch = unpack_u64(&in, 8);
    uint64_t sid = unpack_u64(&in, 8);
    if (in.failed) return ERR_CORRUPT;
    entry.hash = has_value ? hash_64(key) + 3 * hash_64(value) + 7 * hash_64(mark) : 0;
    if (topic == JOURNAL_UPDATES) err = decode_doc(key, value, has_value, sid, in.rest, arena, &entry);
    else err = decode_state(key, value, has_value, sid, arena, &entry);
    if (err == ERR_OK) *ret_entry = entry;
    return err;
}
