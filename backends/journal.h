/* The seam `journal`: what an owner wrote, kept beside the log for others and for a restore, committed together with how far it is in
 * the log. Kafka behind workers of their own; NULL where log and store share a disk.
 *
 * Calls block, for as long as it takes: they come from the worker's journal lane, one at a time, and from nowhere else.
 * INVARIANTS
 * 1. commit() is all or nothing, and once it said JOURNAL_COMMITTED the batch is what every later restore begins from.
 * 2. Who is not the partition's owner any more commits nothing: JOURNAL_LOST, and nothing of the batch is seen by anybody.
 * 3. A restore gives what the commits wrote, in an order in which the last write to a key is the newest. */
#ifndef TIDEGATE_BACKENDS_JOURNAL_H
#define TIDEGATE_BACKENDS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/span.h"
#include "core/state.h"

/* A record set aside whole: no version could decode it. */
struct journal_dead {
    uint64_t offset;
    struct span why, record;
};

struct journal_batch {
    uint32_t partition;
    uint64_t first, next;     /* the log's records that it came from: [first, next); equal: only a sweep */
    uint64_t last_hash;       /* XXH64 of the record before `next` */
    size_t writes_count;
    const struct state_write *writes; /* the newest of each key, in any order; a space's own entry is among them wherever one of its
                                       * documents or device entries is */
    size_t dead_count;
    const struct journal_dead *dead;
};

enum journal_end {
    JOURNAL_COMMITTED,
    JOURNAL_LOST,      /* another owns the partition, or will at once: it is given up */
    JOURNAL_STOPPED,   /* stop() was called before it could be committed */
    JOURNAL_FAILED     /* for good: `why` says what to mend */
};

/* How far the journal is in a partition. */
struct journal_place {
    uint64_t next;            /* of the log */
    uint64_t last_hash;
};

struct journal;
struct journal_ops {
    enum journal_end (*commit)(struct journal *journal, const struct journal_batch *batch, char *why, size_t why_bytes);
    /* Hands over everything of a partition, in batches; what put() is lent is valid during the call. ERR_UNKNOWN: nothing was ever
     * journalled. ERR_CORRUPT: what is there is not whole. `at` of `end` is told now and then. */
    enum err (*restore)(struct journal *journal, uint32_t partition, void *ctx,
                        enum err (*put)(void *ctx, const struct state_write *writes, size_t count),
                        void (*progress)(void *ctx, uint64_t at, uint64_t end), struct journal_place *ret_place, char *why, size_t why_bytes);
    /* From any thread: what waits for a broker gives up soon. */
    void (*stop)(struct journal *journal);
};
struct journal {
    const struct journal_ops *ops;
};

#endif
