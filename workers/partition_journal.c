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

void partition_journal_seal(struct partition *p)
{
    struct worker *worker = p->worker;
    if (p->journaling || p->state != PARTITION_RUNNING || overlay_gathered(p->overlay) == 0) return;
    if (overlay_seal(p->overlay, &p->batch) != ERR_OK) return; /* no memory now: the next tick tries again */
    p->dead_sealed = p->dead_first;
    p->dead_first = p->dead_last = NULL;
    p->journaling = true;
    p->job = (struct journal_job){.store = p->store, .owner = p};
    p->job.batch = (struct store_batch){.count = p->batch.count, .cells = p->batch.cells, .dead = p->dead_sealed,
                                        .stamp = {owner_next_offset(p->owner), p->last_hash}};
    journal_submit(worker->journal, &p->job);
}

static void on_timer(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    worker->journal_armed = false;
    for (uint32_t i = 0; i < worker->partitions_count; i++) {
        struct partition *p = &worker->partitions[i];
        partition_sweep(p);
        if (p->state != PARTITION_RUNNING) continue;
        partition_journal_seal(p);
        if (overlay_gathered(p->overlay) != 0 || p->sweep_more) partition_journal_arm(worker);
    }
}

void partition_journal_arm(struct worker *worker)
{
    if (worker->journal_armed || worker->closing) return;
    worker->journal_armed = true;
    uv_timer_start(&worker->journal_timer, on_timer, worker->options.journal_ms != 0 ? worker->options.journal_ms : JOURNAL_MS, 0);
}

static void count(struct worker *worker, const struct journal_job *job)
{
    uint64_t took_ms = (job->took_us + 500) / 1000;
    worker->counters.journal_batches++;
    worker->counters.journal_ms_sum += took_ms;
    if (took_ms > worker->counters.journal_ms_max) worker->counters.journal_ms_max = took_ms;
}

void partition_journal_done(void *ctx, struct journal_job *job)
{
    struct worker *worker = ctx;
    struct partition *p = job->owner;
    struct log_reader *reader = worker->options.reader;
    p->journaling = false;
    count(worker, job);
    overlay_release(p->overlay, &p->batch);
    drop_dead(p->dead_sealed);
    p->dead_sealed = NULL;
    if (job->err == ERR_OK) {
        reader->ops->trim(reader, p->index, job->batch.stamp.next_offset);
    } else {
        partition_fail(p, job->err, job->err == ERR_FULL ? "the disk is full: make room and start again" : err_text(job->err));
    }
    if (worker->closing) {
        worker_go_on_closing(worker);
        return;
    }
    if (p->paused && p->state == PARTITION_RUNNING && overlay_bytes(p->overlay) <= OVERLAY_BYTES_MAX / 2) {
        p->paused = false;
        reader->ops->pause(reader, p->index, false);
    }
    if (p->state == PARTITION_RUNNING && overlay_gathered_bytes(p->overlay) > JOURNAL_BYTES) partition_journal_seal(p);
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
