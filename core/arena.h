/* Memory of one step: many small pieces, freed all at once by arena_reset(). Bounded; NULL past the bound. */
#ifndef TIDEGATE_CORE_ARENA_H
#define TIDEGATE_CORE_ARENA_H

#include <stddef.h>

#include "core/span.h"

struct arena_block;
struct arena {
    struct arena_block *first;
    size_t bytes; /* handed out since the last reset */
    size_t bytes_max;
};

void arena_init(struct arena *arena, size_t bytes_max);
void arena_fini(struct arena *arena);
void arena_reset(struct arena *arena); /* keeps one block for the next step */
void *arena_take(struct arena *arena, size_t bytes); /* aligned for anything, zeroed; NULL past the bound */
/* A copy with a NUL behind it (not counted). `at` NULL past the bound. */
struct span arena_copy(struct arena *arena, struct span span);

#endif
