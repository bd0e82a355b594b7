/* A disk that is full. What a worker stores is a copy: the log and the journal have it. So nothing ends and nothing is given up: what did
 * not fit stays in memory, where it is read like the rest, is tried again every ROOM_MS, and the process is not ready meanwhile. Past
 * OVERLAY_BYTES_MAX a partition's delivery pauses, as behind any slow store: pushes are acked, and their outcomes wait for room. A store
 * that cannot be opened or made anew waits likewise. Where log and store share the disk there is no journal, and it is a failure. */
#include <stdlib.h>

#include "workers/worker_parts.h"

bool partition_room_wait(struct partition *p)
{
    struct worker *worker = p->worker;
    bool may = p->state == PARTITION_RUNNING || p->state == PARTITION_RESTORING;
    if (!may || worker->options.journal == NULL || worker->closing) return false;
    if (!p->full) worker_say(worker, "disk_full", "partition=%u why=\"its store waits for room in %s; nothing is lost\"", p->index, worker->data_dir);
    p->full = p->full_waits = true;
    worker->host->ops->arm(worker->host, WORKER_TIMER_ROOM, ROOM_MS);
    return true;
}

void partition_room_found(struct partition *p)
{
    if (p->full) worker_say(p->worker, "disk_has_room", "partition=%u", p->index);
    p->full = false;
}

static void take_again(struct partition *p)
{
    struct log_assignment assignment = p->restore->assignment;
    free(p->restore);
    p->restore = NULL;
    p->state = PARTITION_WAITING;
    partition_assign(p, &assignment);
}

void partition_room_again(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->partitions_count; i++) {
        struct partition *p = &worker->partitions[i];
        if (!p->full_waits) continue;
        p->full_waits = false;
        if (p->state == PARTITION_RESTORING) take_again(p);
        else partition_journal_store(p);
    }
}

void partition_room_give_up(struct partition *p)
{
    if (!p->full_waits) return;
    p->full_waits = false;
    if (p->state != PARTITION_RESTORING) partition_journal_drop(p);
}

bool partition_room_lacks(const struct worker *worker)
{
    for (uint32_t i = 0; i < worker->partitions_count; i++)
        if (worker->partitions[i].full) return true;
    return false;
}
