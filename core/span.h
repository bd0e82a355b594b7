/* A piece of somebody else's bytes. Owns nothing; valid as long as what it points into. */
#ifndef TIDEGATE_CORE_SPAN_H
#define TIDEGATE_CORE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *at; /* may be NULL when bytes is 0 */
    size_t bytes;
};

#define SPAN_LITERAL(text) ((struct span){(text), sizeof(text) - 1})

static inline struct span span_of(const char *at, size_t bytes) { return (struct span){at, bytes}; }
static inline struct span span_text(const char *text) { return (struct span){text, strlen(text)}; }
static inline bool span_equal(struct span a, struct span b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}
static inline bool span_is(struct span a, const char *text) { return span_equal(a, span_text(text)); }
/* Bytewise order, the shorter first among equals: <0, 0, >0. */
static inline int span_compare(struct span a, struct span b)
{
    size_t least = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = least == 0 ? 0 : memcmp(a.at, b.at, least);
    if (order != 0) return order;
    return a.bytes < b.bytes ? -1 : a.bytes > b.bytes;
}

#endif
