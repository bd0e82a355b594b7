/* The journal's thread: applies batches to stores, one after another, and tells the loop when each is committed.
 *
 * INVARIANT 1: a job belongs to the thread from journal_submit() until `done` is called on the loop with it.
 * At most one job a partition is under way, so the queue is bounded by their number. */
#ifndef TIDEGATE_WORKERS_JOURNAL_H
#define TIDEGATE_WORKERS_JOURNAL_H

#include "workers/store.h"

struct uv_loop_s;
struct journal;

struct journal_job {
    struct journal_job *next;
    struct store *store;
    struct store_batch batch;
    void *owner;      /* the submitter's own */
    enum err err;
    uint64_t took_us;
};

enum err journal_open(struct uv_loop_s *loop, void *ctx, void (*done)(void *ctx, struct journal_job *job), struct journal **ret_journal);
void journal_submit(struct journal *journal, struct journal_job *job);
/* Nothing is under way. `closed` comes from the loop, when the memory is gone. */
void journal_close(struct journal *journal, void *ctx, void (*closed)(void *ctx));

#endif
