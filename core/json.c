/* The iterators over checked text, and what is read out of single values. The check itself: json_check.c. */
#include "core/json.h"

#include <assert.h>

static bool is_white(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static const char *skip_white(const char *at, const char *end)
{
    while (at < end && is_white(*at)) at++;
    return at;
}

/* Behind an opening quote: where the closing one stands. */
static const char *find_quote(const char *at, const char *end)
{
    while (at < end && *at != '"') at += *at == '\\' ? 2 : 1;
    assert(at < end);
    return at;
}

/* Behind an opening bracket: behind the closing one. */
static const char *skip_container(const char *at, const char *end)
{
    for (size_t depth = 1; depth > 0; at++) {
        assert(at < end);
        if (*at == '"') at = find_quote(at + 1, end);
        else if (*at == '{' || *at == '[') depth++;
        else if (*at == '}' || *at == ']') depth--;
    }
    return at;
}

static bool ends_scalar(char c) { return c == ',' || c == '}' || c == ']' || is_white(c); }

/* The value that begins at `at`; returns where it ends. */
static const char *read_value(const char *at, const char *end, struct json_value *ret_value)
{
    const char *start = at;
    enum json_type type = JSON_NUMBER;
    assert(at < end);
    if (*at == '{' || *at == '[') {
        type = *at == '{' ? JSON_OBJECT : JSON_ARRAY;
        at = skip_container(at + 1, end);
    } else if (*at == '"') {
        type = JSON_STRING;
        at = find_quote(at + 1, end) + 1;
    } else {
        if (*at == 't') type = JSON_TRUE;
        else if (*at == 'f') type = JSON_FALSE;
        else if (*at == 'n') type = JSON_NULL;
        while (at < end && !ends_scalar(*at)) at++;
    }
    *ret_value = (struct json_value){.type = type, .raw = span_of(start, (size_t)(at - start))};
    return at;
}

static struct json_iter inside(struct json_value value, enum json_type type)
{
    if (value.type != type || value.raw.bytes < 2) return (struct json_iter){NULL, NULL};
    return (struct json_iter){value.raw.at + 1, value.raw.at + value.raw.bytes - 1};
}

struct json_iter json_members(struct json_value object) { return inside(object, JSON_OBJECT); }
struct json_iter json_elements(struct json_value array) { return inside(array, JSON_ARRAY); }

/* To the next item's first byte, past white space and one comma; false at the end. */
static bool to_item(struct json_iter *iter)
{
    if (iter->at == iter->end) return false;
    iter->at = skip_white(iter->at, iter->end);
    if (iter->at < iter->end && *iter->at == ',') iter->at = skip_white(iter->at + 1, iter->end);
    return iter->at < iter->end;
}

bool json_next_member(struct json_iter *iter, struct json_member *ret_member)
{
    if (!to_item(iter)) return false;
    assert(*iter->at == '"');
    const char *key = iter->at + 1, *quote = find_quote(key, iter->end);
    ret_member->key = span_of(key, (size_t)(quote - key));
    const char *colon = skip_white(quote + 1, iter->end);
    assert(colon < iter->end && *colon == ':');
    iter->at = read_value(skip_white(colon + 1, iter->end), iter->end, &ret_member->value);
    return true;
}

bool json_next_element(struct json_iter *iter, struct json_value *ret_value)
{
    if (!to_item(iter)) return false;
    iter->at = read_value(iter->at, iter->end, ret_value);
    return true;
}

size_t json_count(struct json_value container)
{
    size_t count = 0;
    struct json_member member;
    struct json_value value;
    struct json_iter members = json_members(container), elements = json_elements(container);
    while (json_next_member(&members, &member)) count++;
    while (json_next_element(&elements, &value)) count++;
    return count;
}

/* ---- strings ---- */

struct decoder {
    const char *at;
    const char *end;
};

static uint32_t unit_of(const char *at)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        unit = unit * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return unit;
}

static size_t encode_utf8(uint32_t point, char *ret_bytes)
{
    if (point < 0x80) {
        ret_bytes[0] = (char)point;
        return 1;
    }
    size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    for (size_t i = more; i > 0; i--) {
        ret_bytes[i] = (char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
    ret_bytes[0] = (char)(leads[more] | point);
    return more + 1;
}

/* The next run of decoded bytes: one escape's, or one plain byte's. At most 4; 0 at the end. */
static size_t decode_next(struct decoder *in, char *ret_bytes)
{
    if (in->at == in->end) return 0;
    if (*in->at != '\\') {
        ret_bytes[0] = *in->at++;
        return 1;
    }
    char c = in->at[1];
    in->at += 2;
    if (c != 'u') {
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        const char *found = strchr(from, c);
        ret_bytes[0] = found == NULL ? c : to[found - from];
        return 1;
    }
    uint32_t point = unit_of(in->at);
    in->at += 4;
    if (point >= 0xd800 && point < 0xdc00 && in->end - in->at >= 6 && in->at[0] == '\\' && in->at[1] == 'u') {
        uint32_t low = unit_of(in->at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
            in->at += 6;
        }
    }
    return encode_utf8(point, ret_bytes);
}

static struct decoder decoder_of(struct span raw_inside)
{
    return (struct decoder){raw_inside.at, raw_inside.at == NULL ? NULL : raw_inside.at + raw_inside.bytes};
}

size_t json_decode(struct span raw_inside, char *ret_text, size_t room)
{
    if (raw_inside.bytes == 0) return 0;
    if (memchr(raw_inside.at, '\\', raw_inside.bytes) == NULL) {
        if (raw_inside.bytes > room) return SIZE_MAX;
        memcpy(ret_text, raw_inside.at, raw_inside.bytes);
        return raw_inside.bytes;
    }
    struct decoder in = decoder_of(raw_inside);
    char bytes[4];
    size_t at = 0, count;
    while ((count = decode_next(&in, bytes)) > 0) {
        if (count > room - at) return SIZE_MAX;
        memcpy(ret_text + at, bytes, count);
        at += count;
    }
    return at;
}

struct span json_inside(struct json_value string)
{
    if (string.type != JSON_STRING || string.raw.bytes < 2) return span_of(NULL, 0);
    return span_of(string.raw.at + 1, string.raw.bytes - 2);
}

static bool decoded_equal(struct span raw, struct span decoded)
{
    if (raw.bytes == 0 || memchr(raw.at, '\\', raw.bytes) == NULL) return span_equal(raw, decoded);
    struct decoder in = decoder_of(raw);
    char bytes[4];
    size_t at = 0, count;
    while ((count = decode_next(&in, bytes)) > 0) {
        if (decoded.bytes - at < count || memcmp(decoded.at + at, bytes, count) != 0) return false;
        at += count;
    }
    return at == decoded.bytes;
}

bool json_key_is(struct span raw_key, const char *key) { return decoded_equal(raw_key, span_text(key)); }

bool json_key_equal(struct span raw_a, struct span raw_b)
{
    bool plain_a = raw_a.bytes == 0 || memchr(raw_a.at, '\\', raw_a.bytes) == NULL;
    bool plain_b = raw_b.bytes == 0 || memchr(raw_b.at, '\\', raw_b.bytes) == NULL;
    if (plain_a) return decoded_equal(raw_b, raw_a);
    if (plain_b) return decoded_equal(raw_a, raw_b);
    struct decoder a = decoder_of(raw_a), b = decoder_of(raw_b);
    char bytes_a[4], bytes_b[4];
    /* An escape stands for whole characters, a plain byte perhaps for a part of one: compared byte by byte. */
    size_t count_a = 0, count_b = 0, at_a = 0, at_b = 0;
    for (;;) {
        if (at_a == count_a) { count_a = decode_next(&a, bytes_a); at_a = 0; }
        if (at_b == count_b) { count_b = decode_next(&b, bytes_b); at_b = 0; }
        if (count_a == 0 || count_b == 0) return count_a == count_b;
        if (bytes_a[at_a++] != bytes_b[at_b++]) return false;
    }
}

bool json_string_is(struct json_value value, const char *text)
{
    return value.type == JSON_STRING && decoded_equal(json_inside(value), span_text(text));
}

size_t json_code_points(struct json_value string)
{
    struct decoder in = decoder_of(json_inside(string));
    char bytes[4];
    size_t points = 0, count;
    while ((count = decode_next(&in, bytes)) > 0)
        if ((bytes[0] & 0xc0) != 0x80) points++;
    return points;
}

bool json_next_point(struct span *raw_inside, uint32_t *ret_point)
{
    struct decoder in = decoder_of(*raw_inside);
    char bytes[4], more;
    size_t count = decode_next(&in, bytes);
    if (count == 0) return false;
    unsigned char lead = (unsigned char)bytes[0];
    uint32_t point = lead < 0x80 ? lead : lead < 0xe0 ? lead & 0x1fu : lead < 0xf0 ? lead & 0x0fu : lead & 0x07u;
    size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < length; i++) { /* an escape brings all of its bytes at once, plain text one by one */
        if (i < count) more = bytes[i];
        else (void)decode_next(&in, &more);
        point = point << 6 | ((unsigned char)more & 0x3f);
    }
    raw_inside->bytes = (size_t)(in.end - in.at);
    raw_inside->at = in.at;
    *ret_point = point;
    return true;
}

struct json_value json_find_span(struct json_value object, struct span decoded_key)
{
    struct json_iter iter = json_members(object);
    struct json_member member;
    while (json_next_member(&iter, &member))
        if (decoded_equal(member.key, decoded_key)) return member.value;
    return (struct json_value){.type = JSON_NONE};
}

struct json_value json_find(struct json_value object, const char *key) { return json_find_span(object, span_text(key)); }

bool json_has_repeated_key(struct json_value object)
{
    struct json_iter outer = json_members(object);
    struct json_member member, other;
    while (json_next_member(&outer, &member)) {
        struct json_iter inner = outer;
        while (json_next_member(&inner, &other))
            if (json_key_equal(member.key, other.key)) return true;
    }
    return false;
}

bool json_integer(struct json_value value, int64_t *ret_integer)
{
    struct span text = value.raw;
    if (value.type != JSON_NUMBER) return false;
    bool negative = text.at[0] == '-';
    size_t at = negative ? 1 : 0;
    int64_t integer = 0;
    if (text.bytes - at > 16) return false;
    for (; at < text.bytes; at++) {
        if (text.at[at] < '0' || text.at[at] > '9') return false;
        integer = integer * 10 + (text.at[at] - '0');
    }
    if (integer > INT64_C(9007199254740991)) return false;
    *ret_integer = negative ? -integer : integer;
    return true;
}
