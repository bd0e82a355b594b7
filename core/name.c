#include "core/name.h"

#include "core/limits.h"

static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alnum(char c) { return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z'); }
static bool is_one_of(char c, const char *set) { return c != '\0' && strchr(set, c) != NULL; }

/* [a-z][a-z0-9_-]* */
static bool is_word(struct span text)
{
    if (text.bytes == 0 || !is_lower(text.at[0])) return false;
    for (size_t i = 1; i < text.bytes; i++)
        if (!is_lower(text.at[i]) && !is_digit(text.at[i]) && !is_one_of(text.at[i], "_-")) return false;
    return true;
}

static bool is_rest(struct span text)
{
    for (size_t i = 0; i < text.bytes; i++)
        if (!is_alnum(text.at[i]) && !is_one_of(text.at[i], "._~:@-")) return false;
    return text.bytes > 0;
}

bool name_is_space(struct span text)
{
    return text.bytes <= LIMIT_SPACE_BYTES_MAX && is_word(name_namespace(text)) && is_rest(name_rest(text));
}

bool name_is_collection(struct span text) { return text.bytes <= LIMIT_COLLECTION_BYTES_MAX && is_word(text); }

/* Well-formed UTF-8 (RFC 3629) without C0, DEL and C1. */
static bool is_clean_utf8(struct span text)
{
    size_t i = 0;
    while (i < text.bytes) {
        unsigned char lead = (unsigned char)text.at[i++];
        size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        uint32_t point = more == 0 ? lead : lead & (0x3fu >> more);
        if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || more > text.bytes - i) return false;
        for (size_t k = 0; k < more; k++) {
            unsigned char tail = (unsigned char)text.at[i++];
            if ((tail & 0xc0) != 0x80) return false;
            point = point << 6 | (tail & 0x3fu);
        }
        if ((more == 2 && point < 0x800) || (more == 3 && point < 0x10000) || point > 0x10ffff) return false;
        if (point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0xd800 && point < 0xe000)) return false;
    }
    return true;
}

bool name_is_id(struct span text) { return text.bytes > 0 && text.bytes <= LIMIT_ID_BYTES_MAX && is_clean_utf8(text); }
bool name_is_user(struct span text) { return text.bytes > 0 && text.bytes <= LIMIT_USER_BYTES_MAX && is_clean_utf8(text); }

bool name_is_device(struct span text)
{
    if (text.bytes < LIMIT_DEVICE_BYTES_MIN || text.bytes > LIMIT_DEVICE_BYTES_MAX) return false;
    for (size_t i = 0; i < text.bytes; i++)
        if (!is_alnum(text.at[i]) && !is_one_of(text.at[i], "_-")) return false;
    return true;
}

struct span name_namespace(struct span space)
{
    const char *colon = space.bytes == 0 ? NULL : memchr(space.at, ':', space.bytes);
    return span_of(space.at, colon == NULL ? 0 : (size_t)(colon - space.at));
}

struct span name_rest(struct span space)
{
    const char *colon = space.bytes == 0 ? NULL : memchr(space.at, ':', space.bytes);
    if (colon == NULL) return span_of(space.at, 0);
    return span_of(colon + 1, space.bytes - (size_t)(colon - space.at) - 1);
}

static bool stands_as_it_is(char c) { return is_alnum(c) || is_one_of(c, "._@-"); }

void name_escape_user(struct buf *buf, struct span user)
{
    for (size_t i = 0; i < user.bytes; i++) {
        unsigned char c = (unsigned char)user.at[i];
        if (stands_as_it_is(user.at[i])) {
            buf_add_char(buf, user.at[i]);
            continue;
        }
        char escape[3] = {'~', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
        buf_add(buf, escape, sizeof escape);
    }
}

bool name_space_is_users(struct span space, struct span user, bool allow_exact)
{
    struct span rest = name_rest(space);
    size_t at = 0;
    for (size_t i = 0; i < user.bytes; i++) {
        unsigned char c = (unsigned char)user.at[i];
        char escape[3] = {'~', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
        struct span piece = stands_as_it_is(user.at[i]) ? span_of(user.at + i, 1) : span_of(escape, sizeof escape);
        if (rest.bytes - at < piece.bytes || memcmp(rest.at + at, piece.at, piece.bytes) != 0) return false;
        at += piece.bytes;
    }
    if (at == rest.bytes) return allow_exact && at > 0;
    return rest.at[at] == ':' && at + 1 < rest.bytes;
}

bool name_is_pattern(struct span text)
{
    if (text.bytes == 0 || text.bytes > LIMIT_SPACE_BYTES_MAX) return false;
    const char *star = memchr(text.at, '*', text.bytes);
    return star == NULL ? name_is_space(text) : star == text.at + text.bytes - 1;
}

bool name_pattern_covers(struct span pattern, struct span space)
{
    if (!name_is_pattern(pattern)) return false;
    if (pattern.at[pattern.bytes - 1] != '*') return span_equal(pattern, space);
    return space.bytes >= pattern.bytes - 1 && memcmp(space.at, pattern.at, pattern.bytes - 1) == 0;
}
