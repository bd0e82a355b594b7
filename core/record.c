#include "core/record.h"

#include "core/limits.h"
#include "core/name.h"

/* Decodes a string member into the arena. ERR_CORRUPT where it is missing, no string, or too long; ERR_MEMORY. */
static enum err text_of(struct json_value value, struct arena *arena, size_t bytes_max, struct span *ret_text)
{
    if (value.type != JSON_STRING) return ERR_CORRUPT;
    struct span raw = json_inside(value);
    if (raw.bytes > 6 * bytes_max) return ERR_CORRUPT;
    char *room = arena_take(arena, raw.bytes + 1);
    if (room == NULL) return ERR_MEMORY;
    size_t bytes = json_decode(raw, room, raw.bytes);
    if (bytes > bytes_max) return ERR_CORRUPT; /* SIZE_MAX too */
    *ret_text = span_of(room, bytes);
    return ERR_OK;
}

static bool count_of(struct json_value value, uint64_t *ret_count)
{
    int64_t integer;
    if (!json_integer(value, &integer) || integer < 0) return false;
    *ret_count = (uint64_t)integer;
    return true;
}

/* Who made the push, and which of his: absent for a backend's push without a key. */
static enum err decode_device(struct json_value object, struct arena *arena, struct record_push *push)
{
    struct json_value device = json_find(object, "device");
    if (device.type == JSON_NONE) return ERR_OK;
    push->has_device = true;
    enum err err = text_of(device, arena, LIMIT_DEVICE_BYTES_MAX, &push->device);
    if (err != ERR_OK) return err;
    if (!name_is_device(push->device)) return ERR_CORRUPT;
    if (!count_of(json_find(object, "id"), &push->id) || push->id == 0) return ERR_CORRUPT;
    if (!count_of(json_find(object, "after"), &push->after) || push->after >= push->id) return ERR_CORRUPT;
    return count_of(json_find(object, "known"), &push->known) ? ERR_OK : ERR_CORRUPT;
}

/* Everything that says who pushes what for whom; ERR_CORRUPT: no version could have written this. */
static enum err decode_push(struct json_value object, struct arena *arena, struct record_push *ret_push)
{
    struct record_push push = {0};
    struct json_value session = json_find(object, "session"), ns = json_find(object, "ns");
    struct span grant;
    enum err err = text_of(json_find(object, "space"), arena, LIMIT_SPACE_BYTES_MAX, &push.space);
    if (err == ERR_OK) err = text_of(json_find(object, "user"), arena, LIMIT_USER_BYTES_MAX, &push.user);
    if (err == ERR_OK) err = text_of(json_find(object, "grant"), arena, LIMIT_COLLECTION_BYTES_MAX, &grant);
    if (err == ERR_OK && session.type != JSON_NONE)
        err = text_of(json_find(object, "gateway"), arena, LIMIT_DEVICE_BYTES_MAX, &push.gateway);
    if (err == ERR_OK) err = decode_device(object, arena, &push);
    if (err != ERR_OK) return err;
    push.granted = access_role_parse(grant);
    push.ops = json_find(object, "ops");
    if (!name_is_space(push.space) || !name_is_user(push.user) || push.ops.type != JSON_ARRAY) return ERR_CORRUPT;
    if (ns.type != JSON_NONE && !count_of(ns, &push.ns_version)) return ERR_CORRUPT;
    if (session.type != JSON_NONE && !count_of(session, &push.session)) return ERR_CORRUPT;
    *ret_push = push;
    return ERR_OK;
}

enum err record_decode(struct span bytes, struct arena *arena, struct record *ret_record)
{
    struct json_value object;
    struct record record = {.kind = RECORD_PUSH};
    uint64_t version;
    /* A body may nest as deep as a frame allows; the record and its `ops` stand around it as the frame did. */
    if (!json_check(bytes, &object, NULL) || object.type != JSON_OBJECT) return ERR_CORRUPT;
    if (!count_of(json_find(object, "v"), &version)) return ERR_CORRUPT;
    if (version != RECORD_VERSION) return ERR_VERSION;
    struct json_value kind = json_find(object, "kind");
    if (json_string_is(kind, "push")) {
        enum err err = decode_push(object, arena, &record.push);
        if (err != ERR_OK) return err;
    } else if (json_string_is(kind, "namespace")) {
        record.kind = RECORD_NAMESPACE;
        record.namespace_text = json_find(object, "text");
        if (record.namespace_text.type != JSON_OBJECT) return ERR_CORRUPT;
    } else {
        return ERR_CORRUPT;
    }
    *ret_record = record;
    return ERR_OK;
}

static void member_text(struct buf *buf, const char *head, struct span text)
{
    buf_add_text(buf, head);
    buf_add_json_string(buf, text);
}

static void member_count(struct buf *buf, const char *head, uint64_t count)
{
    buf_add_text(buf, head);
    buf_add_u64(buf, count);
}

void record_encode_push(const struct record_push *push, struct buf *buf)
{
    member_text(buf, "{\"v\":1,\"kind\":\"push\",\"space\":", push->space);
    member_text(buf, ",\"user\":", push->user);
    member_text(buf, ",\"grant\":", span_text(access_role_name(push->granted)));
    member_count(buf, ",\"ns\":", push->ns_version);
    if (push->has_device) {
        member_text(buf, ",\"device\":", push->device);
        member_count(buf, ",\"id\":", push->id);
        member_count(buf, ",\"after\":", push->after);
        member_count(buf, ",\"known\":", push->known);
    }
    if (push->gateway.bytes > 0) {
        member_count(buf, ",\"session\":", push->session);
        member_text(buf, ",\"gateway\":", push->gateway);
    }
    buf_add_text(buf, ",\"ops\":");
    buf_add_span(buf, push->ops.raw);
    buf_add_char(buf, '}');
}

void record_encode_namespace(struct span text, struct buf *buf)
{
    buf_add_text(buf, "{\"v\":1,\"kind\":\"namespace\",\"text\":");
    buf_add_span(buf, text);
    buf_add_char(buf, '}');
}

struct span record_space(struct span bytes)
{
    struct span head = SPAN_LITERAL("{\"v\":1,\"kind\":\"push\",\"space\":\"");
    if (bytes.bytes < head.bytes || memcmp(bytes.at, head.at, head.bytes) != 0) return span_of(NULL, 0);
    const char *from = bytes.at + head.bytes, *quote = memchr(from, '"', bytes.bytes - head.bytes);
    return quote == NULL ? span_of(NULL, 0) : span_of(from, (size_t)(quote - from));
}
