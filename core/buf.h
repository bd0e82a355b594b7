/* A growing byte buffer that is born with its maximum, and the JSON writers that append to it.
 *
 * INVARIANTS
 * 1. `bytes <= max` always: past it an append changes nothing and the buffer is `failed` for good (until buf_reset).
 * 2. A failed buffer swallows further appends, so that a writer checks once, at its end, by buf_ok().
 * The caller places the struct; buf_fini() accepts a zeroed one. Any thread, one at a time. */
#ifndef TIDEGATE_CORE_BUF_H
#define TIDEGATE_CORE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

struct buf {
    char *at;
    size_t bytes;
    size_t room;
    size_t max;
    bool failed;
};

void buf_init(struct buf *buf, size_t bytes_max);
void buf_fini(struct buf *buf);
void buf_reset(struct buf *buf); /* empty again, memory kept, not failed */
bool buf_ok(const struct buf *buf);
struct span buf_span(const struct buf *buf); /* valid until the next append */
void buf_add(struct buf *buf, const void *bytes, size_t count);
void buf_add_span(struct buf *buf, struct span span);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_add_u64(struct buf *buf, uint64_t value); /* decimal */
void buf_add_i64(struct buf *buf, int64_t value);  /* decimal */
void buf_add_hex64(struct buf *buf, uint64_t value); /* 16 lower-case digits */
/* A JSON string with quotes. `text` is what json_decode() gives: control characters, `"`, `\` and halves of surrogate
 * pairs (which alone are no UTF-8) are escaped, so what is added is always UTF-8 and decodes to `text` again. */
void buf_add_json_string(struct buf *buf, struct span text);
void buf_truncate(struct buf *buf, size_t bytes); /* bytes <= buf->bytes */

#endif
