/* The journal beside the log: what owners in good standing committed, kept by key as compacted topics keep it.
 *
 * A commit is all or nothing, and fenced: who is not the partition's owner any more commits nothing. A worker may be made to die right
 * behind its commit, before its store has the batch (`journal die W`). */
#include <stdio.h>

#include "tests/sim/sim.h"

enum { BATCH_MAX = 16 };

static struct sim_worker *worker_of(struct journal *journal)
{
    return (struct sim_worker *)(void *)((char *)journal - offsetof(struct sim_worker, journal));
}

static void die(struct sim *sim, struct sim_event *event)
{
    struct sim_worker *worker = (struct sim_worker *)(void *)((char *)event - offsetof(struct sim_worker, death));
    sim_worker_kill(sim, worker->at);
}

static enum journal_end commit(struct journal *journal, const struct journal_batch *batch, char *why, size_t why_bytes)
{
    struct sim *sim = sim_current();
    struct sim_worker *worker = worker_of(journal);
    struct sim_partition *part = &sim->log.parts[batch->partition];
    (void)why;
    (void)why_bytes;
    if (!sim_log_is_owner(sim, worker->at, batch->partition)) {
        sim_trace(sim, "w%d      is kept out of the journal of p%u", worker->at + 1, batch->partition);
        return JOURNAL_LOST;
    }
    if (batch->first < batch->next && batch->first != part->committed)
        sim_fail(sim, "w%d journals %llu to %llu of p%u, which is journalled up to %llu", worker->at + 1, (unsigned long long)batch->first,
                 (unsigned long long)batch->next, batch->partition, (unsigned long long)part->committed);
    map_state_apply(&part->journal, batch->writes, batch->writes_count);
    part->committed = batch->next;
    part->committed_hash = batch->last_hash;
    part->journalled = true;
    sim_trace(sim, "w%d      journals p%u up to %llu", worker->at + 1, batch->partition, (unsigned long long)batch->next);
    if (worker->dies_at_commit) {
        worker->dies_at_commit = false;
        worker->dying = true;
        sim_queue_put(sim, &worker->death, sim->now_us, die);
    }
    return JOURNAL_COMMITTED;
}

static enum err restore(struct journal *journal, uint32_t partition, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count),
                        void (*progress)(void *ctx, uint64_t at, uint64_t end), struct journal_place *ret_place, char *why, size_t why_bytes)
{
    struct sim *sim = sim_current();
    struct sim_partition *part = &sim->log.parts[partition];
    struct state_write writes[BATCH_MAX];
    size_t count = 0;
    enum err err = ERR_OK;
    (void)why;
    (void)why_bytes;
    (void)progress;
    if (!part->journalled) return ERR_UNKNOWN;
    for (int table = 0; err == ERR_OK && table < STATE_TABLES; table++) {
        const struct map_table *from = &part->journal.tables[table];
        for (size_t i = 0; err == ERR_OK && i < from->count && table != STATE_DUE; i++) { /* dates are the restore's to make */
            writes[count++] = (struct state_write){.table = (enum state_table)table, .key = from->entries[i].key, .value = from->entries[i].value};
            if (count == BATCH_MAX) err = put(ctx, writes, count);
            count %= BATCH_MAX;
        }
    }
    if (err == ERR_OK && count > 0) err = put(ctx, writes, count);
    *ret_place = (struct journal_place){.next = part->committed, .last_hash = part->committed_hash};
    sim_trace(sim, "w%d      restores p%u from the journal, up to %llu", worker_of(journal)->at + 1, partition, (unsigned long long)part->committed);
    return err;
}

static void stop(struct journal *journal) { (void)journal; }

void sim_journal_open(struct journal *journal)
{
    static const struct journal_ops ops = {commit, restore, stop};
    journal->ops = &ops;
}
