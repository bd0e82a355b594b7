/* Little-endian integers and counted texts of stored values: written to a buf, read back with every length checked. */
#ifndef TIDEGATE_CORE_PACK_H
#define TIDEGATE_CORE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/span.h"

static inline void pack_u64(struct buf *buf, uint64_t value, size_t bytes)
{
    unsigned char little[8];
    for (size_t i = 0; i < bytes; i++) little[i] = (unsigned char)(value >> (8 * i) & 0xff);
    buf_add(buf, little, bytes);
}

/* A text of at most 2^(8*length_bytes) - 1 bytes behind its length. */
static inline void pack_text(struct buf *buf, struct span text, size_t length_bytes)
{
    pack_u64(buf, text.bytes, length_bytes);
    buf_add_span(buf, text);
}

/* A reader that is `failed` for good at the first short read, and then gives zeros. */
struct unpack {
    struct span rest;
    bool failed;
};

static inline struct span unpack_bytes(struct unpack *in, size_t bytes)
{
    if (in->failed || in->rest.bytes < bytes) {
        in->failed = true;
        return span_of(NULL, 0);
    }
    struct span taken = span_of(in->rest.at, bytes);
    in->rest = span_of(in->rest.at + bytes, in->rest.bytes - bytes);
    return taken;
}

static inline uint64_t unpack_u64(struct unpack *in, size_t bytes)
{
    struct span taken = unpack_bytes(in, bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < taken.bytes; i++) value |= (uint64_t)(unsigned char)taken.at[i] << (8 * i);
    return value;
}

static inline struct span unpack_text(struct unpack *in, size_t length_bytes)
{
    return unpack_bytes(in, (size_t)unpack_u64(in, length_bytes));
}

#endif
