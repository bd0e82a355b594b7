/* A state_reader over two layers: newer cells above, the store below.
 *
 * INVARIANTS
 * 1. A cell above hides the entry of its key below; a removed one hides it without showing anything.
 * 2. Seeks go through both in key order, either way, and skip what is hidden. */
#ifndef TIDEGATE_WORKERS_MERGE_H
#define TIDEGATE_WORKERS_MERGE_H

#include "core/state.h"
#include "core/state_key.h"
#include "workers/cell.h"

/* The upper layer: NULL where there is none. */
struct merge_over {
    void *ctx;
    const struct cell *(*get)(void *ctx, enum state_table table, struct span key);
    /* The first cell of the table whose key is >= `key`, or, when `down`, the last whose key is < `key`. */
    const struct cell *(*seek)(void *ctx, enum state_table table, struct span key, bool down);
};

struct merge {
    struct merge_over over;
    struct state_reader under;
};

/* `merge` is the caller's and stays where it is while the reader is used. */
struct state_reader merge_reader(struct merge *merge);

#endif
