#include "core/frame.h"

#include "core/limits.h"
#include "core/name.h"

enum {
    MEMBERS_MAX = 64,
    REF_BYTES_MAX = 64,
    TEXT_RAW_MAX = 6,         /* one byte of decoded text is at most six of an escape */
    NAME_BYTES_MAX = 65536,   /* a longer space name is not even echoed in a refusal */
    CURSOR_TEXT_BYTES_MAX = 256
};

bool frame_repeats_key(struct json_value value)
{
    struct json_iter elements = json_elements(value), members = json_members(value);
    struct json_member member;
    struct json_value element;
    while (json_next_element(&elements, &element))
        if (frame_repeats_key(element)) return true;
    if (value.type != JSON_OBJECT) return false;
    if (json_count(value) > MEMBERS_MAX || json_has_repeated_key(value)) return true;
    while (json_next_member(&members, &member)) {
        bool carried = json_key_is(member.key, "body") || json_key_is(member.key, "meta") ||
                       json_key_is(member.key, "value") || json_key_is(member.key, "values");
        if (!carried && frame_repeats_key(member.value)) return true;
    }
    return false;
}

struct decoding {
    struct json_value object;
    struct arena *arena;
    struct frame *frame;
    enum err err; /* ERR_MEMORY, once */
};

static bool wrong(struct decoding *d, const char *why)
{
    if (d->frame->why == NULL) d->frame->why = why;
    return false;
}

static bool decode_text(struct decoding *d, struct json_value value, size_t bytes_max, struct span *ret_text)
{
    struct span raw = json_inside(value);
    if (value.type != JSON_STRING || raw.bytes > TEXT_RAW_MAX * bytes_max) return false;
    char *room = arena_take(d->arena, raw.bytes + 1);
    if (room == NULL) {
        d->err = ERR_MEMORY;
        return false;
    }
    size_t bytes = json_decode(raw, room, raw.bytes);
    if (bytes > bytes_max) return false;
    *ret_text = span_of(room, bytes);
    return true;
}

static bool need_text(struct decoding *d, const char *key, size_t bytes_max, struct span *ret_text, const char *why)
{
    return decode_text(d, json_find(d->object, key), bytes_max, ret_text) || wrong(d, why);
}

/* A whole number from 0; absent: `otherwise`, unless that is UINT64_MAX (then it must be there). */
static bool read_count(struct json_value value, uint64_t otherwise, uint64_t *ret_count)
{
    int64_t integer;
    if (value.type == JSON_NONE && otherwise != UINT64_MAX) {
        *ret_count = otherwise;
        return true;
    }
    if (!json_integer(value, &integer) || integer < 0) return false;
    *ret_count = (uint64_t)integer;
    return true;
}

static bool need_count(struct decoding *d, const char *key, uint64_t otherwise, uint64_t *ret_count, const char *why)
{
    return read_count(json_find(d->object, key), otherwise, ret_count) || wrong(d, why);
}

static bool need_flag(struct decoding *d, const char *key, bool *ret_flag, const char *why)
{
    struct json_value value = json_find(d->object, key);
    *ret_flag = value.type == JSON_TRUE;
    return value.type == JSON_TRUE || value.type == JSON_FALSE || value.type == JSON_NONE || wrong(d, why);
}

static bool need_space(struct decoding *d)
{
    return need_text(d, "space", NAME_BYTES_MAX, &d->frame->space, "space: must be a string");
}

/* ref, id and space are taken first and leniently: an error names those that what it answers had. */
static void read_names(struct decoding *d)
{
    struct json_value ref = json_find(d->object, "ref");
    if ((ref.type == JSON_STRING || ref.type == JSON_NUMBER) && ref.raw.bytes <= REF_BYTES_MAX) d->frame->ref = ref.raw;
    int64_t id;
    if (json_integer(json_find(d->object, "id"), &id) && id > 0) {
        d->frame->has_id = true;
        d->frame->id = (uint64_t)id;
    }
    struct span space;
    if (decode_text(d, json_find(d->object, "space"), NAME_BYTES_MAX, &space)) d->frame->space = space;
}

/* A token that is longer than any of ours is as bad as one that does not verify. */
static bool decode_token(struct decoding *d, struct json_value token)
{
    if (token.type != JSON_STRING) return wrong(d, "token: must be a string");
    if (!decode_text(d, token, LIMIT_TOKEN_BYTES_MAX, &d->frame->token)) d->frame->token = SPAN_LITERAL("?");
    return true;
}

static bool decode_hello(struct decoding *d)
{
    struct json_value token = json_find(d->object, "token"), client = json_find(d->object, "client");
    struct frame *f = d->frame;
    if (!need_count(d, "protocol", UINT64_MAX, &f->protocol, "protocol: must be 1")) return false;
    if (client.type != JSON_STRING && client.type != JSON_NONE) return wrong(d, "client: must be a string");
    if (token.type != JSON_NONE && !decode_token(d, token)) return false;
    if (!need_text(d, "device", LIMIT_DEVICE_BYTES_MAX, &f->device, "device: must be [A-Za-z0-9_-]{8,64}")) return false;
    if (!name_is_device(f->device)) return wrong(d, "device: must be [A-Za-z0-9_-]{8,64}");
    return need_flag(d, "background", &f->background, "background: must be true or false");
}

enum err frame_decode_open(struct json_value entry, struct arena *arena, struct frame_open *ret_open, const char **ret_why)
{
    struct frame frame = {0};
    struct decoding d = {.object = entry, .arena = arena, .frame = &frame};
    struct json_value since = json_find(entry, "since");
    *ret_open = (struct frame_open){0};
    *ret_why = NULL;
    if (entry.type != JSON_OBJECT) wrong(&d, "spaces: must hold objects");
    else if (need_text(&d, "space", NAME_BYTES_MAX, &ret_open->space, "spaces.space: must be a string") &&
             need_count(&d, "known", 0, &ret_open->known, "spaces.known: must be an integer from 0"))
        (void)need_count(&d, "tail", 0, &ret_open->tail, "spaces.tail: must be an integer from 0"); /* says so in `why` */
    ret_open->has_tail = json_find(entry, "tail").type != JSON_NONE;
    ret_open->since_null = since.type == JSON_NULL || since.type == JSON_NONE;
    if (!ret_open->since_null && since.type != JSON_STRING) wrong(&d, "spaces.since: must be a cursor or null");
    /* A text that is too long to be a cursor is none of ours: as unknown as any other. */
    if (since.type == JSON_STRING && !decode_text(&d, since, CURSOR_TEXT_BYTES_MAX, &ret_open->since)) ret_open->since = SPAN_LITERAL("?");
    *ret_why = frame.why;
    return d.err;
}

static bool decode_open(struct decoding *d)
{
    struct json_value spaces = json_find(d->object, "spaces"), mode = json_find(d->object, "mode"), entry;
    struct json_value meta = json_find(d->object, "meta");
    struct json_iter iter = json_elements(spaces);
    struct frame *f = d->frame;
    if (spaces.type != JSON_ARRAY) return wrong(d, "spaces: must be an array");
    if (f->ref.bytes == 0) return wrong(d, "ref: must be a number or a short string");
    f->once = json_string_is(mode, "once");
    if (mode.type != JSON_NONE && !f->once && !json_string_is(mode, "live")) return wrong(d, "mode: must be live or once");
    if (!need_flag(d, "presence", &f->presence, "presence: must be true or false")) return false;
    if (meta.type == JSON_OBJECT && meta.raw.bytes <= LIMIT_META_BYTES_MAX) f->meta = meta.raw;
    else if (meta.type != JSON_NONE && meta.type != JSON_NULL) return wrong(d, "meta: must be an object of at most 1 KiB");
    size_t count = json_count(spaces);
    if (count > LIMIT_SPACES_MAX) return wrong(d, "spaces: more than limits.spaces");
    f->opens = arena_take(d->arena, (count + 1) * sizeof *f->opens);
    if (f->opens == NULL) {
        d->err = ERR_MEMORY;
        return false;
    }
    while (json_next_element(&iter, &entry)) {
        const char *why;
        d->err = frame_decode_open(entry, d->arena, &f->opens[f->opens_count], &why);
        if (d->err != ERR_OK) return false;
        if (why != NULL) return wrong(d, why);
        f->opens_count++;
    }
    return true;
}

static bool decode_push(struct decoding *d)
{
    struct frame *f = d->frame;
    if (!f->has_id) return wrong(d, "id: must be an integer from 1");
    if (!need_space(d)) return false;
    if (!need_count(d, "after", 0, &f->after, "after: must be an integer from 0")) return false;
    if (!need_count(d, "known", 0, &f->known, "known: must be an integer from 0")) return false;
    if (f->after >= f->id) return wrong(d, "after: must be below id");
    f->ops = json_find(d->object, "ops");
    return f->ops.type == JSON_ARRAY || wrong(d, "ops: must be an array");
}

enum err frame_decode_push(struct json_value object, struct arena *arena, struct frame *ret_frame)
{
    struct decoding d = {.object = object, .arena = arena, .frame = ret_frame};
    *ret_frame = (struct frame){.type = FRAME_PUSH};
    read_names(&d);
    if (object.type != JSON_OBJECT) wrong(&d, "pushes: must hold objects");
    else if (frame_repeats_key(object)) wrong(&d, "a key is repeated outside a body");
    else decode_push(&d);
    if (ret_frame->why != NULL) ret_frame->type = FRAME_UNKNOWN;
    return d.err;
}

static bool decode_history(struct decoding *d)
{
    struct frame *f = d->frame;
    if (f->ref.bytes == 0) return wrong(d, "ref: must be a number or a short string");
    return need_space(d) && need_text(d, "collection", LIMIT_COLLECTION_BYTES_MAX, &f->collection, "collection: must be a string") &&
           need_count(d, "before", 0, &f->before, "before: must be a rev") &&
           need_count(d, "limit", 50, &f->limit, "limit: must be an integer from 0");
}

static bool decode_signal(struct decoding *d)
{
    d->frame->body = json_find(d->object, "body");
    return need_space(d) && (d->frame->body.type != JSON_NONE || wrong(d, "body: is missing"));
}

static enum frame_type type_of(struct json_value type)
{
    static const struct { const char *name; enum frame_type type; } types[] = {
        {"hello", FRAME_HELLO}, {"open", FRAME_OPEN}, {"close", FRAME_CLOSE}, {"push", FRAME_PUSH}, {"history", FRAME_HISTORY},
        {"seen", FRAME_SEEN}, {"signal", FRAME_SIGNAL}, {"auth", FRAME_AUTH}, {"ping", FRAME_PING}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (json_string_is(type, types[i].name)) return types[i].type;
    return FRAME_UNKNOWN;
}

static bool decode_rest(struct decoding *d, struct json_value type)
{
    struct frame *f = d->frame;
    switch (f->type) {
    case FRAME_HELLO: return decode_hello(d);
    case FRAME_OPEN: return decode_open(d);
    case FRAME_CLOSE: return need_space(d);
    case FRAME_PUSH: return decode_push(d);
    case FRAME_HISTORY: return decode_history(d);
    case FRAME_SEEN: return need_space(d) && need_text(d, "cursor", CURSOR_TEXT_BYTES_MAX, &f->cursor, "cursor: must be a string");
    case FRAME_SIGNAL: return decode_signal(d);
    case FRAME_AUTH: return decode_token(d, json_find(d->object, "token"));
    case FRAME_PING: return true;
    case FRAME_UNKNOWN: break;
    }
    return wrong(d, type.type == JSON_STRING ? "type: no such frame" : "type: must be a string");
}

enum err frame_decode(struct span line, struct arena *arena, struct frame *ret_frame)
{
    struct decoding d = {.arena = arena, .frame = ret_frame};
    *ret_frame = (struct frame){.type = FRAME_UNKNOWN};
    if (!json_check(line, &d.object, NULL)) {
        ret_frame->why = "not strict JSON, or nested too deep";
        return ERR_OK;
    }
    if (d.object.type != JSON_OBJECT) {
        ret_frame->why = "must be a JSON object";
        return ERR_OK;
    }
    read_names(&d);
    struct json_value type = json_find(d.object, "type");
    ret_frame->type = type_of(type);
    bool good = frame_repeats_key(d.object) ? wrong(&d, "a key is repeated outside a body") : decode_rest(&d, type);
    /* A hello that is malformed is still a hello: it costs the connection. */
    if (!good && ret_frame->type != FRAME_HELLO) ret_frame->type = FRAME_UNKNOWN;
    return d.err;
}

/* ---- the gateway's ---- */

static void add_names(struct buf *buf, struct span ref, bool has_id, uint64_t id, struct span space)
{
    if (ref.bytes > 0) {
        buf_add_text(buf, ",\"ref\":");
        buf_add_span(buf, ref);
    }
    if (has_id) {
        buf_add_text(buf, ",\"id\":");
        buf_add_u64(buf, id);
    }
    if (space.bytes > 0) {
        buf_add_text(buf, ",\"space\":");
        buf_add_json_string(buf, space);
    }
}

static void add_code(struct buf *buf, enum err code, const char *message)
{
    buf_add_text(buf, ",\"code\":\"");
    buf_add_text(buf, err_name(code));
    buf_add_text(buf, "\",\"message\":");
    buf_add_json_string(buf, span_text(message == NULL ? err_text(code) : message));
}

void frame_error(struct buf *buf, enum err code, const char *message, struct span ref, bool has_id, uint64_t id,
                 struct span space, uint64_t retry_ms)
{
    buf_add_text(buf, "{\"type\":\"error\"");
    add_code(buf, code, message);
    add_names(buf, ref, has_id, id, space);
    if (retry_ms > 0) {
        buf_add_text(buf, ",\"retry\":");
        buf_add_u64(buf, retry_ms);
    }
    buf_add_char(buf, '}');
}

void frame_ack(struct buf *buf, struct span space, uint64_t id)
{
    buf_add_text(buf, "{\"type\":\"ack\",\"space\":");
    buf_add_json_string(buf, space);
    buf_add_text(buf, ",\"id\":");
    buf_add_u64(buf, id);
    buf_add_char(buf, '}');
}

void frame_bye(struct buf *buf, const char *reason, uint64_t retry_ms)
{
    buf_add_text(buf, "{\"type\":\"bye\",\"reason\":");
    buf_add_json_string(buf, span_text(reason));
    buf_add_text(buf, ",\"retry\":");
    buf_add_u64(buf, retry_ms);
    buf_add_char(buf, '}');
}

void frame_refusal(struct buf *buf, struct span space, uint64_t id, enum err code, const char *message)
{
    buf_add_text(buf, "{\"type\":\"result\",\"status\":\"rejected\"");
    add_code(buf, code, message);
    add_names(buf, span_of(NULL, 0), true, id, space);
    buf_add_char(buf, '}');
}

void frame_closed(struct buf *buf, struct span space, enum err code, bool purge, struct span ref)
{
    buf_add_text(buf, "{\"type\":\"closed\",\"space\":");
    buf_add_json_string(buf, space);
    buf_add_text(buf, ",\"code\":\"");
    buf_add_text(buf, err_name(code));
    buf_add_text(buf, purge ? "\",\"purge\":true" : "\",\"purge\":false");
    add_names(buf, ref, false, 0, span_of(NULL, 0));
    buf_add_char(buf, '}');
}
