/* json_check(): one strict pass over a text, without recursion: a stack of container kinds, a bit each.
 *
 * INVARIANT 1: after it says yes, the iterators of json.c may trust every quote, escape and bracket. */
#include <string.h>

#include "core/json.h"
#include "core/limits.h"

enum { DEPTH_MAX = 64 };

struct scan {
    const unsigned char *at;
    const unsigned char *end;
};

static void skip_white(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t')) s->at++;
}

static bool take_literal(struct scan *s, const char *text, size_t bytes)
{
    if ((size_t)(s->end - s->at) < bytes || memcmp(s->at, text, bytes) != 0) return false;
    s->at += bytes;
    return true;
}

static bool take_digits(struct scan *s)
{
    const unsigned char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') s->at++;
    return s->at > start;
}

static bool take_number(struct scan *s)
{
    if (s->at < s->end && *s->at == '-') s->at++;
    if (s->at < s->end && *s->at == '0') s->at++;
    else if (!take_digits(s)) return false;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!take_digits(s)) return false;
    }
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
        if (!take_digits(s)) return false;
    }
    return true;
}

static bool is_hex(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The four digits of \uXXXX. */
static bool take_unit(struct scan *s)
{
    for (int i = 0; i < 4; i++, s->at++)
        if (s->at == s->end || !is_hex(*s->at)) return false;
    return true;
}

/* Behind a backslash. Half a surrogate pair is let through, as RFC 8259 does: a script's strings may hold one, and an edit
 * that no frame could carry would stay in its outbox for ever. Names refuse it (core/name.h). */
static bool take_escape(struct scan *s)
{
    if (s->at == s->end) return false;
    unsigned char c = *s->at;
    if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL) return false;
    s->at++;
    return c != 'u' || take_unit(s);
}

/* One multi-byte character (RFC 3629), its lead byte at s->at. */
static bool take_utf8(struct scan *s)
{
    unsigned char lead = s->at[0];
    size_t more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (lead < 0xc2 || lead > 0xf4 || (size_t)(s->end - s->at) <= more) return false;
    unsigned char second = s->at[1];
    if ((second & 0xc0) != 0x80) return false;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return false;
    if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return false;
    for (size_t i = 2; i <= more; i++)
        if ((s->at[i] & 0xc0) != 0x80) return false;
    s->at += more + 1;
    return true;
}

/* Behind the opening quote, up to and with the closing one. */
static bool take_string(struct scan *s)
{
    while (s->at < s->end) {
        unsigned char c = *s->at;
        if (c >= 0x80) {
            if (!take_utf8(s)) return false;
        } else if (c == '"') {
            s->at++;
            return true;
        } else if (c == '\\') {
            s->at++;
            if (!take_escape(s)) return false;
        } else if (c < 0x20) {
            return false;
        } else {
            s->at++;
        }
    }
    return false;
}

static bool take_scalar(struct scan *s, enum json_type *ret_type)
{
    switch (*s->at) {
    case '"': *ret_type = JSON_STRING; s->at++; return take_string(s);
    case 't': *ret_type = JSON_TRUE; return take_literal(s, "true", 4);
    case 'f': *ret_type = JSON_FALSE; return take_literal(s, "false", 5);
    case 'n': *ret_type = JSON_NULL; return take_literal(s, "null", 4);
    default: *ret_type = JSON_NUMBER; return take_number(s);
    }
}

/* A member's key and colon. */
static bool take_key(struct scan *s)
{
    skip_white(s);
    if (s->at == s->end || *s->at != '"') return false;
    s->at++;
    if (!take_string(s)) return false;
    skip_white(s);
    if (s->at == s->end || *s->at != ':') return false;
    s->at++;
    return true;
}

/* What stands open around the scan: one bit a level, set for objects. */
struct stack {
    uint64_t objects;
    unsigned depth;
    unsigned depth_max;
};

static bool is_in_object(const struct stack *stack) { return (stack->objects >> (stack->depth - 1) & 1) != 0; }

static bool enter(struct stack *stack, bool object)
{
    if (stack->depth == stack->depth_max) return false;
    if (object) stack->objects |= UINT64_C(1) << stack->depth;
    else stack->objects &= ~(UINT64_C(1) << stack->depth);
    stack->depth++;
    return true;
}

/* One value's beginning: a scalar whole, or a container's bracket. ret_whole: the value is complete. */
static bool begin_value(struct scan *s, struct stack *stack, enum json_type *ret_type, bool *ret_whole)
{
    skip_white(s);
    if (s->at == s->end) return false;
    bool object = *s->at == '{';
    if (!object && *s->at != '[') {
        *ret_whole = true;
        return take_scalar(s, ret_type);
    }
    *ret_type = object ? JSON_OBJECT : JSON_ARRAY;
    if (!enter(stack, object)) return false;
    s->at++;
    skip_white(s);
    *ret_whole = s->at < s->end && *s->at == (object ? '}' : ']');
    if (!*ret_whole) return !object || take_key(s);
    s->at++;
    stack->depth--;
    return true;
}

/* Behind a complete value: closes what ends here, or goes on to the next. ret_more: another value is to begin. */
static bool end_value(struct scan *s, struct stack *stack, bool *ret_more)
{
    *ret_more = false;
    while (stack->depth > 0) {
        bool object = is_in_object(stack);
        skip_white(s);
        if (s->at == s->end) return false;
        if (*s->at == ',') {
            s->at++;
            *ret_more = true;
            return !object || take_key(s);
        }
        if (*s->at != (object ? '}' : ']')) return false;
        s->at++;
        stack->depth--;
    }
    return true;
}

bool json_check_depth(struct span text, unsigned depth_max, struct json_value *ret_value, size_t *ret_at)
{
    const unsigned char *start = (const unsigned char *)text.at;
    struct scan s = {.at = start, .end = start + text.bytes};
    struct stack stack = {.depth_max = depth_max < DEPTH_MAX ? depth_max : DEPTH_MAX};
    struct json_value value = {.type = JSON_NONE};
    bool good = text.bytes > 0, more = true;
    if (good) skip_white(&s);
    const unsigned char *first = s.at;
    while (good && more) {
        enum json_type type;
        bool whole;
        good = begin_value(&s, &stack, &type, &whole);
        if (good && value.type == JSON_NONE) value.type = type;
        if (good && whole) good = end_value(&s, &stack, &more);
    }
    if (good) {
        value.raw = span_of((const char *)first, (size_t)(s.at - first));
        skip_white(&s);
        good = s.at == s.end;
    }
    if (good && ret_value != NULL) *ret_value = value;
    if (!good && ret_at != NULL) *ret_at = text.bytes == 0 ? 0 : (size_t)(s.at - start);
    return good;
}

bool json_check(struct span text, struct json_value *ret_value, size_t *ret_at)
{
    return json_check_depth(text, LIMIT_NESTING_MAX, ret_value, ret_at);
}
