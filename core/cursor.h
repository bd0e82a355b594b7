/* Cursors: how far a device has got in a space.
 *
 * FORMAT  <log> "." <XXH64 of the space, 16 hex> "." <place, decimal> [ "." <floor, decimal> ]
 * `place` is the rev of the last change contained, 0 for none. `floor` only inside a run from nothing: the head when
 * that run began. INVARIANT 1: all devices at one place, outside such a run, hold one and the same string. */
#ifndef TIDEGATE_CORE_CURSOR_H
#define TIDEGATE_CORE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/span.h"

enum { CURSOR_BYTES_MAX = 128, LOG_NAME_BYTES_MAX = 40 };

struct cursor {
    uint64_t place;
    uint64_t floor;
    bool has_floor;
};

/* What a device's `since` is worth here. */
enum cursor_kind {
    CURSOR_GOOD,    /* ours */
    CURSOR_FOREIGN  /* null, not a cursor, another log's or another space's: start from nothing */
};

void cursor_encode(struct buf *buf, struct span log, struct span space, const struct cursor *cursor); /* no quotes */
enum cursor_kind cursor_decode(struct span text, struct span log, struct span space, struct cursor *ret_cursor);
bool cursor_is_log_name(struct span text); /* 1..40 of [a-z0-9-] */

#endif
