/* What gathered in a partition's overlay, on its way to the store; then the log may forget it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workers/worker_parts.h"

static void drop_dead(struct store_dead *dead)
{
    for (struct store_dead *next; dead != NULL; dead = next) {
        next = dead->next;
        free(dead);
    }
}

static void count(struct worker *worker, const struct journal_job *job)
{
    uint64_t took_ms = (job->job.took_us + 500) / 1000;
    worker->counters.journal_batches++;
    worker->counters.journal_ms_sum += took_ms;
    if (took_ms > worker->counters.journal_ms_max) worker->counters.journal_ms_max = took_ms;
}

/* ---- in the journal's lane ---- */

static void free_lent(struct state_write *writes, struct journal_dead *dead)
{
    free(writes);
    free(dead);
}

/* The batch as the journal takes it: everything lent. */
static enum journal_end commit(struct journal_job *job)
{
    struct journal *journal = job->p->worker->options.journal;
    size_t count = job->batch.count, dead_count = 0;
    for (const struct store_dead *dead = job->batch.dead; dead != NULL; dead = dead->next) dead_count++;
    struct state_write *writes = calloc(count + 1, sizeof *writes);
    struct journal_dead *dead = calloc(dead_count + 1, sizeof *dead);
    if (writes == NULL || dead == NULL) {
        free_lent(writes, dead);
        snprintf(job->why, sizeof job->why, "out of memory");
        return JOURNAL_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        const struct cell *cell = job->batch.cells[i];
        writes[i] = (struct state_write){.table = cell_table(cell), .remove = cell->removed, .key = cell_key(cell), .value = cell_value(cell)};
    }
    size_t at = 0;
    for (const struct store_dead *d = job->batch.dead; d != NULL; d = d->next) {
        size_t why_bytes = strlen(d->text);
        dead[at++] = (struct journal_dead){d->offset, span_of(d->text, why_bytes), span_of(d->text + why_bytes + 1, d->bytes - why_bytes - 1)};
    }
    struct journal_batch batch = {.partition = job->p->index, .first = job->first, .next = job->batch.stamp.next_offset, .last_hash = job->batch.stamp.last_hash,
                                  .writes_count = count, .writes = writes, .dead_count = dead_count, .dead = dead};
    enum journal_end end = journal->ops->commit(journal, &batch, job->why, sizeof job->why);
    free_lent(writes, dead);
    return end;
}

/* The journal first: the store never leads it. */
static void store_batch(struct worker_job *work)
{
    struct journal_job *job = (struct journal_job *)(void *)work;
    bool settled = job->silent || job->journalled || job->p->worker->options.journal == NULL;
    job->end = settled ? JOURNAL_COMMITTED : commit(job);
    if (job->end == JOURNAL_COMMITTED) job->err = store_apply(job->store, &job->batch);
}

/* ---- on the loop ---- */

static void drop_batch(struct partition *p, const char *why)
{
    p->abandoned = true;
    worker_say(p->worker, "batch_dropped", "partition=%u why=\"%s\"", p->index, why);
}

static void heed_end(struct partition *p, const struct journal_job *job)
{
    struct worker *worker = p->worker;
    struct log_reader *reader = worker->options.reader;
    if (job->end == JOURNAL_COMMITTED && job->err == ERR_OK) {
        partition_room_found(p);
        reader->ops->trim(reader, p->index, job->batch.stamp.next_offset);
    } else if (job->end == JOURNAL_LOST) {
        /* Another's by now: he derives from the log what is dropped here. */
        worker->counters.journal_lost++;
        drop_batch(p, "another owns the partition");
        if (p->state == PARTITION_RUNNING) partition_revoke(p);
    } else if (p->state == PARTITION_LEAVING || worker->closing || job->end == JOURNAL_STOPPED) {
        drop_batch(p, job->end == JOURNAL_STOPPED ? "ending" : err_text(job->err));
    } else if (job->end == JOURNAL_FAILED) {
        partition_fail(p, ERR_IO, job->why);
    } else {
        partition_fail(p, job->err, job->err == ERR_FULL ? "the disk is full: make room and start again" : err_text(job->err));
    }
}

static void let_go(struct partition *p)
{
    p->journaling = false;
    overlay_release(p->overlay, &p->batch);
    drop_dead(p->dead_sealed);
    p->dead_sealed = NULL;
}

void partition_journal_store(struct partition *p)
{
    p->worker->host->ops->work(p->worker->host, WORKER_LANE_JOURNAL, &p->job.job);
}

void partition_journal_drop(struct partition *p)
{
    let_go(p);
    drop_batch(p, err_text(ERR_FULL));
}

static void on_stored(struct worker_job *work)
{
    struct journal_job *job = (struct journal_job *)(void *)work;
    struct partition *p = job->p;
    struct worker *worker = p->worker;
    if (job->end == JOURNAL_COMMITTED && job->err == ERR_FULL && partition_room_wait(p)) {
        job->journalled = true;
        partition_heed(p); /* what gathers behind it has its bound */
        return;
    }
    count(worker, job);
    let_go(p);
    heed_end(p, job);
    if (worker->closing) {
        worker_go_on_closing(worker);
        return;
    }
    if (p->state == PARTITION_LEAVING) partition_journal_seal(p);
    partition_heed(p);
    partition_go_on_leaving(p);
}

void partition_journal_seal(struct partition *p)
{
    struct worker *worker = p->worker;
    bool may = p->state == PARTITION_RUNNING || p->state == PARTITION_LEAVING;
    if (p->journaling || !may || p->abandoned || p->overlay == NULL || overlay_gathered(p->overlay) == 0) return;
    if (overlay_seal(p->overlay, &p->batch) != ERR_OK) return; /* no memory now: the next tick tries again */
    p->dead_sealed = p->dead_first;
    p->dead_first = p->dead_last = NULL;
    p->journaling = true;
    p->job = (struct journal_job){.job = {.run = store_batch, .done = on_stored}, .p = p, .store = p->store,
                                   .first = p->sealed_next, .silent = owner_next_offset(p->owner) <= p->silent_below && !p->loud};
    p->sealed_next = owner_next_offset(p->owner);
    p->job.batch = (struct store_batch){.count = p->batch.count, .cells = p->batch.cells, .dead = p->dead_sealed,
                                        .stamp = {owner_next_offset(p->owner), p->last_hash}};
    worker->host->ops->work(worker->host, WORKER_LANE_JOURNAL, &p->job.job);
}

void partition_journal_tick(struct worker *worker)
{
    worker->journal_armed = false;
    for (uint32_t i = 0; i < worker->partitions_count; i++) {
        struct partition *p = &worker->partitions[i];
        partition_sweep(p);
        partition_journal_seal(p);
        partition_go_on_leaving(p);
        if (p->state != PARTITION_RUNNING) continue;
        if (overlay_gathered(p->overlay) != 0 || p->sweep_more) partition_journal_arm(worker);
    }
}

void partition_journal_arm(struct worker *worker)
{
    if (worker->journal_armed || worker->closing) return;
    worker->journal_armed = true;
    worker->host->ops->arm(worker->host, WORKER_TIMER_JOURNAL, worker->options.journal_ms != 0 ? worker->options.journal_ms : JOURNAL_MS);
}

void partition_close(struct partition *p)
{
    patch_put(p->patch);
    rules_put(p->rules);
    owner_close(p->owner);
    overlay_close(p->overlay);
    store_close(p->store);
    drop_dead(p->dead_first);
    if (!p->restoring) free(p->restore);
}
