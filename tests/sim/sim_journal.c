/* The journal beside the log: what owners in good standing committed, kept by key as compacted topics keep it.
 *
 * A commit is all or nothing, and fenced: who is not the partition's owner any more commits nothing. A worker may be made to die right
 * behind its commit, before its store has the batch (`journal die W`), or amid it (`journal stall W`): then it is undecided, and who owns the
 * partition next hears of it only when it was decided, as a broker tells committed places. A torn journal (`journal tear P`) lacks its end. */
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

static void leave_undecided(struct sim *sim, struct sim_worker *worker, const struct journal_batch *batch)
{
    struct sim_partition *part = &sim->log.parts[batch->partition];
    map_state_copy(&part->journal, &part->staged);
    map_state_apply(&part->staged, batch->writes, batch->writes_count);
    part->staged_next = batch->next;
    part->staged_hash = batch->last_hash;
    part->undecided = true;
    worker->dies_amid_commit = false;
    worker->dying = true;
    sim_trace(sim, "w%d      dies amid its commit of p%u up to %llu", worker->at + 1, batch->partition, (unsigned long long)batch->next);
    sim_queue_put(sim, &worker->death, sim->now_us, die);
}

void sim_journal_decide(struct sim *sim, uint32_t partition, bool commit)
{
    struct sim_partition *part = &sim->log.parts[partition];
    if (!part->undecided) return;
    part->undecided = false;
    sim_trace(sim, "journal p%u: the commit up to %llu is %s", partition, (unsigned long long)part->staged_next, commit ? "done" : "undone");
    if (commit) {
        map_state_fini(&part->journal);
        part->journal = part->staged;
        part->committed = part->staged_next;
        part->committed_hash = part->staged_hash;
        part->journalled = true;
    } else {
        map_state_fini(&part->staged);
    }
    part->staged = (struct map_state){0};
}

void sim_journal_tear(struct sim *sim, uint32_t partition, bool torn)
{
    sim->log.parts[partition].torn = torn;
    sim_trace(sim, "journal p%u %s", partition, torn ? "lacks its end" : "is whole again");
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
    if (worker->dies_amid_commit) {
        leave_undecided(sim, worker, batch);
        return JOURNAL_STOPPED;
    }
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
    if (err == ERR_OK && part->torn) {
        snprintf(why, why_bytes, "the journal lacks its end");
        return ERR_CORRUPT;
    }
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
