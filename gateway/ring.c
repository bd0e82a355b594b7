#include "gateway/ring.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert((LIMIT_RING_UPDATES & (LIMIT_RING_UPDATES - 1)) == 0, "doubling ends at it");

void ring_clear(struct ring *ring)
{
    for (uint32_t i = 0; i < ring->count; i++) blob_put(ring->entries[(ring->head + i) % ring->room].frame);
    ring->head = ring->count = 0;
    ring->bytes = 0;
}

void ring_fini(struct ring *ring)
{
    ring_clear(ring);
    free(ring->entries);
    *ring = (struct ring){0};
}

static void drop_oldest(struct ring *ring)
{
    struct blob *frame = ring->entries[ring->head].frame;
    ring->bytes -= frame->bytes;
    blob_put(frame);
    ring->head = (ring->head + 1) % ring->room;
    ring->count--;
}

static bool grow(struct ring *ring)
{
    uint32_t room = ring->room == 0 ? 2 : ring->room * 2;
    struct ring_entry *entries = malloc(room * sizeof *entries);
    if (entries == NULL) return false;
    for (uint32_t i = 0; i < ring->count; i++) entries[i] = *ring_at(ring, i);
    free(ring->entries);
    ring->entries = entries;
    ring->room = room;
    ring->head = 0;
    return true;
}

void ring_add(struct ring *ring, uint64_t prev, uint64_t place, struct blob *frame)
{
    if (ring->count > 0 && ring_at(ring, ring->count - 1)->place != prev) ring_clear(ring);
    if (frame->bytes > LIMIT_RING_BYTES || (ring->count == ring->room && ring->room < LIMIT_RING_UPDATES && !grow(ring))) {
        ring_clear(ring); /* a ring is a help: without it there is a pull */
        return;
    }
    while (ring->count == LIMIT_RING_UPDATES || (ring->count > 0 && ring->bytes + frame->bytes > LIMIT_RING_BYTES)) drop_oldest(ring);
    struct ring_entry *entry = &ring->entries[(ring->head + ring->count++) % ring->room];
    *entry = (struct ring_entry){.prev = prev, .place = place, .frame = blob_take(frame)};
    ring->bytes += frame->bytes;
}

uint32_t ring_find(const struct ring *ring, uint64_t place)
{
    for (uint32_t i = ring->count; i > 0; i--) {
        const struct ring_entry *entry = ring_at(ring, i - 1);
        if (entry->prev == place) return i - 1;
        if (entry->prev < place) break;
    }
    return UINT32_MAX;
}

const struct ring_entry *ring_at(const struct ring *ring, uint32_t index)
{
    assert(index < ring->count);
    return &ring->entries[(ring->head + index) % ring->room];
}
