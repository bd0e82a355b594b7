/* A partition's store made anew from the journal, beside the old one, and put in its place only when it is whole.
 *
 * Runs on another thread than the loop's; touches files, and nothing of the worker but what the struct holds.
 * INVARIANTS
 * 1. Documents, revs, sums, horizons and device entries come out byte for byte as their owner had them. BYREV and BORN follow from
 *    the documents; DUE from tombstones and entries by the windows in force.
 * 2. A restore that was cut short leaves the old store, or none: never half of a new one. */
#ifndef TIDEGATE_WORKERS_RESTORE_H
#define TIDEGATE_WORKERS_RESTORE_H

#include <stdatomic.h>

#include "backends/journal.h"
#include "workers/store.h"

struct restore {
    struct journal *journal;
    uint32_t partition;
    const char *path;              /* of the store */
    const char *log, *boot;
    atomic_uint_fast64_t at, end;  /* how far it is in what it reads now */
    struct journal_place place;    /* what the store is as of */
};

/* ERR_UNKNOWN: nothing was ever journalled; there is no store then. */
enum err restore_run(struct restore *restore, char *why, size_t why_bytes);

#endif
