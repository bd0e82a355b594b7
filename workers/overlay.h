/* What the owner wrote and the store does not hold yet: key -> newest cell, in order.
 *
 * BATCHES  writes belong to the batch that gathers; overlay_seal() closes it for the journal and begins the next;
 * overlay_release(), when the store has committed it, forgets those of its entries that no later batch wrote again.
 * INVARIANTS
 * 1. A step's writes are put all at once or not at all.
 * 2. At most one batch is sealed and not yet released. An entry is never freed before its last batch is.
 * 3. Only the owner's (the loop's) thread touches an overlay. */
#ifndef TIDEGATE_WORKERS_OVERLAY_H
#define TIDEGATE_WORKERS_OVERLAY_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "workers/merge.h"

struct overlay;
struct overlay_entry;

/* A sealed batch: its newest cells, referenced; the arrays are its own. */
struct overlay_batch {
    uint64_t number;
    size_t count;
    struct cell **cells;
    struct overlay_entry **entries;
    size_t bytes;
};

/* Some cells in order, of one space: what a page lays over its snapshot of the store. Counted by the loop's thread. */
struct patch {
    uint32_t refs;
    uint64_t next_offset; /* of the owner when it was made */
    size_t count;
    struct cell **cells;
};

enum err overlay_open(struct overlay **ret_overlay);
void overlay_close(struct overlay *overlay);
enum err overlay_put(struct overlay *overlay, const struct state_write *writes, size_t count); /* ERR_MEMORY */
struct merge_over overlay_over(struct overlay *overlay);
size_t overlay_bytes(const struct overlay *overlay);   /* cells held, those of a sealed batch included */
size_t overlay_gathered(const struct overlay *overlay); /* entries written since the last seal */
size_t overlay_gathered_bytes(const struct overlay *overlay);
uint64_t overlay_writes(const struct overlay *overlay); /* grows with each put: a patch made at the same is the same */

enum err overlay_seal(struct overlay *overlay, struct overlay_batch *ret_batch); /* ERR_MEMORY: nothing was sealed */
void overlay_release(struct overlay *overlay, struct overlay_batch *batch);

/* Everything of a space: its SPACE entry, and what begins with `sid` (0: nothing more) in the tables that pages read. */
enum err patch_make(struct overlay *overlay, struct span space, uint64_t sid, uint64_t next_offset, struct patch **ret_patch);
void patch_put(struct patch *patch);
struct merge_over patch_over(struct patch *patch);

#endif
