#include "core/cursor.h"

#include "core/hash.h"

bool cursor_is_log_name(struct span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.at[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') return false;
    }
    return text.bytes > 0 && text.bytes <= LOG_NAME_BYTES_MAX;
}

void cursor_encode(struct buf *buf, struct span log, struct span space, const struct cursor *cursor)
{
    buf_add_span(buf, log);
    buf_add_char(buf, '.');
    buf_add_hex64(buf, hash_64(space));
    buf_add_char(buf, '.');
    buf_add_u64(buf, cursor->place);
    if (!cursor->has_floor) return;
    buf_add_char(buf, '.');
    buf_add_u64(buf, cursor->floor);
}

/* A decimal as cursor_encode() writes it: no sign, no leading zero. Moves *rest past it. */
static bool take_number(struct span *rest, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t at = 0;
    while (at < rest->bytes && rest->at[at] >= '0' && rest->at[at] <= '9') {
        if (at == 16) return false; /* past 2^53 */
        number = number * 10 + (uint64_t)(rest->at[at++] - '0');
    }
    if (at == 0 || (at > 1 && rest->at[0] == '0')) return false;
    *rest = span_of(rest->at + at, rest->bytes - at);
    *ret_number = number;
    return true;
}

static bool take_text(struct span *rest, struct span text)
{
    if (rest->bytes < text.bytes || memcmp(rest->at, text.at, text.bytes) != 0) return false;
    *rest = span_of(rest->at + text.bytes, rest->bytes - text.bytes);
    return true;
}

enum cursor_kind cursor_decode(struct span text, struct span log, struct span space, struct cursor *ret_cursor)
{
    char hash[17];
    struct cursor cursor = {0};
    uint64_t value = hash_64(space);
    for (int i = 15; i >= 0; i--) {
        hash[i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
    hash[16] = '.';
    if (text.bytes > CURSOR_BYTES_MAX || !take_text(&text, log) || !take_text(&text, SPAN_LITERAL(".")) ||
        !take_text(&text, span_of(hash, sizeof hash)) || !take_number(&text, &cursor.place)) return CURSOR_FOREIGN;
    if (text.bytes > 0) {
        cursor.has_floor = true;
        if (!take_text(&text, SPAN_LITERAL(".")) || !take_number(&text, &cursor.floor) || text.bytes > 0) return CURSOR_FOREIGN;
    }
    *ret_cursor = cursor;
    return CURSOR_GOOD;
}
