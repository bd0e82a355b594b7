/* An immutable, counted run of bytes with room before it for a WebSocket header, so that one serialised frame is
 * written to every subscriber without a copy.
 *
 * Counts are not atomic: a blob belongs to one thread at a time; whoever makes one elsewhere hands it over with a
 * single reference left. */
#ifndef TIDEGATE_CORE_BLOB_H
#define TIDEGATE_CORE_BLOB_H

#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

enum { BLOB_HEADROOM_BYTES = 16 };

struct blob {
    uint32_t refs;
    uint32_t reserved;
    size_t bytes;
    unsigned char headroom[BLOB_HEADROOM_BYTES]; /* may be scribbled on by a writer; `text` follows at once */
    char text[];
};

struct blob *blob_make(struct span content);    /* one reference; NULL when out of memory */
struct blob *blob_make_room(size_t bytes);       /* content uninitialised */
struct blob *blob_take(struct blob *blob);       /* one more reference; returns blob */
void blob_put(struct blob *blob);                /* one fewer; NULL is accepted */
static inline struct span blob_span(const struct blob *blob) { return span_of(blob->text, blob->bytes); }

#endif
