#include "core/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 256 };

void buf_init(struct buf *buf, size_t bytes_max) { *buf = (struct buf){.max = bytes_max}; }

void buf_fini(struct buf *buf)
{
    free(buf->at);
    *buf = (struct buf){.max = buf->max};
}

void buf_reset(struct buf *buf)
{
    buf->bytes = 0;
    buf->failed = false;
}

bool buf_ok(const struct buf *buf) { return !buf->failed; }
struct span buf_span(const struct buf *buf) { return span_of(buf->at, buf->bytes); }

/* Room for `count` more; false past the maximum, or out of memory: the buffer has failed. */
static bool make_room(struct buf *buf, size_t count)
{
    if (buf->failed) return false;
    if (count <= buf->room - buf->bytes) return true;
    if (count > buf->max - buf->bytes) {
        buf->failed = true;
        return false;
    }
    size_t room = buf->room < ROOM_FIRST ? ROOM_FIRST : buf->room;
    while (room - buf->bytes < count) room *= 2;
    if (room > buf->max) room = buf->max;
    char *at = realloc(buf->at, room);
    if (at == NULL) {
        buf->failed = true;
        return false;
    }
    buf->at = at;
    buf->room = room;
    return true;
}

void buf_add(struct buf *buf, const void *bytes, size_t count)
{
    if (count == 0 || !make_room(buf, count)) return;
    memcpy(buf->at + buf->bytes, bytes, count);
    buf->bytes += count;
}

void buf_add_span(struct buf *buf, struct span span) { buf_add(buf, span.at, span.bytes); }
void buf_add_text(struct buf *buf, const char *text) { buf_add(buf, text, strlen(text)); }

void buf_add_char(struct buf *buf, char c)
{
    if (!make_room(buf, 1)) return;
    buf->at[buf->bytes++] = c;
}

void buf_add_u64(struct buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_add(buf, digits + at, sizeof digits - at);
}

void buf_add_i64(struct buf *buf, int64_t value)
{
    if (value < 0) buf_add_char(buf, '-');
    buf_add_u64(buf, value < 0 ? UINT64_C(0) - (uint64_t)value : (uint64_t)value);
}

void buf_add_hex64(struct buf *buf, uint64_t value)
{
    char digits[16];
    for (size_t i = sizeof digits; i > 0; i--) {
        digits[i - 1] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
    buf_add(buf, digits, sizeof digits);
}

static void add_escaped(struct buf *buf, unsigned char c)
{
    char escape[6] = {'\\', 'u', '0', '0', "0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]};
    switch (c) {
    case '"': buf_add(buf, "\\\"", 2); break;
    case '\\': buf_add(buf, "\\\\", 2); break;
    case '\n': buf_add(buf, "\\n", 2); break;
    case '\r': buf_add(buf, "\\r", 2); break;
    case '\t': buf_add(buf, "\\t", 2); break;
    default: buf_add(buf, escape, sizeof escape);
    }
}

/* Half a surrogate pair, as json_decode() leaves it: three bytes that are no UTF-8. */
static bool is_half_a_pair(const char *at, size_t bytes)
{
    return bytes >= 3 && (unsigned char)at[0] == 0xed && ((unsigned char)at[1] & 0xe0) == 0xa0;
}

static void add_half_a_pair(struct buf *buf, const char *at)
{
    unsigned unit = 0xd000u | ((unsigned)(unsigned char)at[1] & 0x3fu) << 6 | ((unsigned)(unsigned char)at[2] & 0x3fu);
    char escape[6] = {'\\', 'u', 'd', "0123456789abcdef"[unit >> 8 & 15], "0123456789abcdef"[unit >> 4 & 15], "0123456789abcdef"[unit & 15]};
    buf_add(buf, escape, sizeof escape);
}

void buf_add_json_string(struct buf *buf, struct span text)
{
    size_t from = 0, taken;
    buf_add_char(buf, '"');
    for (size_t i = 0; i < text.bytes; i += taken) {
        unsigned char c = (unsigned char)text.at[i];
        bool half = is_half_a_pair(text.at + i, text.bytes - i);
        taken = half ? 3 : 1;
        if (c >= 0x20 && c != '"' && c != '\\' && !half) continue;
        buf_add(buf, text.at + from, i - from);
        if (half) add_half_a_pair(buf, text.at + i);
        else add_escaped(buf, c);
        from = i + taken;
    }
    if (text.bytes > from) buf_add(buf, text.at + from, text.bytes - from);
    buf_add_char(buf, '"');
}

void buf_truncate(struct buf *buf, size_t bytes)
{
    assert(bytes <= buf->bytes);
    buf->bytes = bytes;
}
