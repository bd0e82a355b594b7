/* What a page is made from: a snapshot of the store and, over it, what the owner had not stored when it was asked for.
 *
 * INVARIANT 1: the result is one state of the owner. A store that is as far as the patch, or farther, is read alone (the
 * patch is in it); otherwise the patch's cells, which hold everything between the store's state and the patch's, go over it.
 * Opened, read and closed on one thread; the patch is held by the loop's thread meanwhile. */
#ifndef TIDEGATE_WORKERS_SNAPSHOT_H
#define TIDEGATE_WORKERS_SNAPSHOT_H

#include "workers/merge.h"
#include "workers/overlay.h"
#include "workers/store.h"

struct snapshot {
    struct store_view *view;
    struct merge merge;
    struct state_reader reader; /* what pages read */
};

/* The caller places the struct, and leaves it there. */
enum err snapshot_open(struct snapshot *snapshot, struct store *store, struct patch *patch);
void snapshot_close(struct snapshot *snapshot); /* accepts one that did not open (zeroed) */

#endif
