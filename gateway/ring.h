/* The recent updates of one space, as they went out: brings a taker of a page up to the head without another pull.
 *
 * INVARIANT 1: the entries are one chain: each one's prev is the place of the one before it. A break empties the ring.
 * BOUND  LIMIT_RING_UPDATES entries and LIMIT_RING_BYTES: the oldest goes. */
#ifndef TIDEGATE_GATEWAY_RING_H
#define TIDEGATE_GATEWAY_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/blob.h"
#include "core/limits.h"

struct ring_entry {
    uint64_t prev, place;
    struct blob *frame;
};

struct ring {
    struct ring_entry *entries; /* `room` of them: doubled as they fill, up to LIMIT_RING_UPDATES */
    uint32_t room, head, count;
    size_t bytes;
};

void ring_fini(struct ring *ring);
void ring_clear(struct ring *ring);
void ring_add(struct ring *ring, uint64_t prev, uint64_t place, struct blob *frame); /* takes a reference */
/* The entry whose prev is `place`: its index from the oldest; UINT32_MAX: not in the ring. */
uint32_t ring_find(const struct ring *ring, uint64_t place);
const struct ring_entry *ring_at(const struct ring *ring, uint32_t index);

#endif
