/* What gathered in a partition's overlay, on its way to the store; then the log may forget it. */
#include <stdlib.h>

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

/* In the journal's lane. */
static void store_batch(struct worker_job *work)
{
    struct journal_job *job = (struct journal_job *)(void *)work;
    job->err = store_apply(job->store, &job->batch);
}

static void on_stored(struct worker_job *work)
{
    struct journal_job *job = (struct journal_job *)(void *)work;
    struct partition *p = job->p;
    struct worker *worker = p->worker;
    struct log_reader *reader = worker->options.reader;
    p->journaling = false;
    count(worker, job);
    overlay_release(p->overlay, &p->batch);
    drop_dead(p->dead_sealed);
    p->dead_sealed = NULL;
    if (job->err == ERR_OK) {
        reader->ops->trim(reader, p->index, job->batch.stamp.next_offset);
    } else if (p->state == PARTITION_LEAVING) {
        p->abandoned = true;
        worker_say(worker, "batch_dropped", "partition=%u code=%s", p->index, err_name(job->err));
    } else {
        partition_fail(p, job->err, job->err == ERR_FULL ? "the disk is full: make room and start again" : err_text(job->err));
    }
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
                                   .silent = owner_next_offset(p->owner) <= p->silent_below};
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
}
