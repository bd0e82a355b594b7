/* Taking a partition over: its own store where that is good, the journal where it is not, then the log from there. */
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "workers/worker_parts.h"

/* ---- the store that is there ---- */

static struct store_options options_of(struct partition *p, const char *path)
{
    struct worker *worker = p->worker;
    return (struct store_options){.path = path, .log = worker->options.reader->name, .partition = p->index, .fsync = worker->options.fsync,
                                  .boot = worker->options.journal == NULL ? NULL : worker->boot};
}

static void path_of(const struct partition *p, char ret_path[PATH_MAX])
{
    snprintf(ret_path, PATH_MAX, "%s/store-%u", p->worker->data_dir, p->index);
}

static void close_store(struct partition *p)
{
    owner_close(p->owner);
    overlay_close(p->overlay);
    store_close(p->store);
    p->owner = NULL;
    p->overlay = NULL;
    p->store = NULL;
}

static enum err open_store(struct partition *p, struct store_stamp *ret_stamp, char *why, size_t why_bytes)
{
    struct worker *worker = p->worker;
    char path[PATH_MAX];
    path_of(p, path);
    struct store_options options = options_of(p, path);
    enum err err = store_open(&options, &p->store, why, why_bytes);
    if (err != ERR_OK) return err;
    err = overlay_open(&p->overlay);
    if (err == ERR_OK) err = partition_read_begin(p);
    if (err != ERR_OK) return err;
    err = store_view_stamp(p->view, ret_stamp);
    if (err == ERR_OK) err = owner_open(&p->reader, span_text(worker->options.reader->name), &p->owner);
    if (err == ERR_OK && owner_next_offset(p->owner) != ret_stamp->next_offset) err = ERR_CORRUPT;
    if (err == ERR_OK) err = rules_load(p);
    partition_read_end(p);
    if (err != ERR_OK) snprintf(why, why_bytes, "store-%u: %s", p->index, err_text(err));
    return err;
}

/* The log must still be the one that the store came from: the record before its offset tells. */
static enum err check_log(struct partition *p, const struct log_assignment *assignment, const struct store_stamp *stamp, char *why,
                          size_t why_bytes)
{
    struct log_reader *reader = p->worker->options.reader;
    struct log_record record;
    uint64_t first = assignment->first, next = assignment->next;
    const char *mend = p->worker->options.journal == NULL ? "restore the data directory from one copy" : "if the log is lost, `tidegate topics --new-epoch` begins another";
    p->target = next;
    p->last_hash = stamp->last_hash;
    p->durable = p->sealed_next = stamp->next_offset;
    if (stamp->next_offset > next) {
        snprintf(why, why_bytes, "the log ends at %llu, before the store's %llu: %s", (unsigned long long)next, (unsigned long long)stamp->next_offset, mend);
        return ERR_CORRUPT;
    }
    if (stamp->next_offset == 0 || stamp->next_offset <= first) return ERR_OK; /* nothing to compare; start() judges the rest */
    enum err err = reader->ops->read(reader, p->index, stamp->next_offset - 1, &record);
    if (err == ERR_OK && hash_64(record.bytes) == stamp->last_hash) return ERR_OK;
    if (err == ERR_OK || err == ERR_UNKNOWN) snprintf(why, why_bytes, "the log is not the one that the store was made from: %s", mend);
    return err == ERR_OK ? ERR_CORRUPT : err;
}

static void begin(struct partition *p, const struct log_assignment *assignment, const struct store_stamp *stamp)
{
    struct log_reader *reader = p->worker->options.reader;
    char why[256] = "";
    enum err err = check_log(p, assignment, stamp, why, sizeof why);
    if (err == ERR_OK) {
        err = reader->ops->start(reader, p->index, stamp->next_offset);
        if (err != ERR_OK) snprintf(why, sizeof why, "the log no longer holds what the store lacks: restore the data directory from one copy");
    }
    if (err != ERR_OK) {
        partition_fail(p, err, why[0] != 0 ? why : err_text(err));
        return;
    }
    p->state = PARTITION_RUNNING;
    partition_room_found(p);
    worker_say(p->worker, "partition_open", "partition=%u next=%llu end=%llu", p->index, (unsigned long long)stamp->next_offset, (unsigned long long)p->target);
    partition_heed(p);
    if (stamp->next_offset >= p->target) rules_check(p);
}

/* ---- the journal ---- */

/* Why the store that is there will not do; NULL: it will. It is behind the journal or level with it, or it is not its copy. */
static const char *why_not(const struct partition *p, const struct log_assignment *assignment, const struct store_stamp *stamp)
{
    if (store_is_doubtful(p->store)) return "the machine went down while it was open";
    if (stamp->next_offset > assignment->silent_below) return "it is ahead of the journal";
    if (stamp->next_offset == 0 && assignment->silent_below > 0) return "there is none";
    if (stamp->next_offset < assignment->first) return "the log no longer holds what it lacks";
    return NULL;
}

static void run_restore(struct worker_job *work)
{
    struct restore_job *job = (struct restore_job *)(void *)work;
    job->err = restore_run(&job->restore, job->why, sizeof job->why);
}

static void wait_for_room(struct partition *p, const struct log_assignment *assignment);

/* The store again, now as the journal has it. Nothing journalled at all: from the log's first record. */
static void go_on(struct partition *p, struct restore_job *job)
{
    struct store_stamp stamp = {0, 0};
    char why[256] = "";
    enum err err = job->err == ERR_UNKNOWN ? ERR_OK : job->err;
    snprintf(why, sizeof why, "%s", job->why);
    if (err == ERR_OK) err = open_store(p, &stamp, why, sizeof why);
    if (err == ERR_FULL) {
        wait_for_room(p, &job->assignment);
        return;
    }
    if (err != ERR_OK) {
        partition_fail(p, err, why[0] != 0 ? why : err_text(err));
        return;
    }
    if (stamp.next_offset > p->silent_below) p->silent_below = stamp.next_offset; /* the group's memory of it ran out */
    worker_say(p->worker, "restored", "partition=%u next=%llu ms=%llu", p->index, (unsigned long long)stamp.next_offset,
               (unsigned long long)(job->job.took_us / 1000));
    begin(p, &job->assignment, &stamp);
}

static void on_restored(struct worker_job *work)
{
    struct restore_job *job = (struct restore_job *)(void *)work;
    struct partition *p = job->p;
    struct worker *worker = p->worker;
    worker->restores_running--;
    worker->counters.restores++;
    p->restoring = false;
    p->restore = NULL;
    if (p->state == PARTITION_RESTORING && !worker->closing) go_on(p, job);
    free(job);
    if (worker->closing) {
        worker_go_on_closing(worker);
        return;
    }
    partition_go_on_leaving(p);
    partition_restore_next(worker);
}

void partition_restore_next(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->partitions_count && worker->restores_running < RESTORES_RUNNING_MAX; i++) {
        struct partition *p = &worker->partitions[i];
        if (p->state != PARTITION_RESTORING || p->restoring || p->restore == NULL || p->full_waits) continue;
        p->restoring = true;
        worker->restores_running++;
        worker->host->ops->work(worker->host, WORKER_LANE_PAGES, &p->restore->job);
    }
}

/* The partition restores, or waits to. False: out of memory, and it failed for it. */
static bool make_job(struct partition *p, const struct log_assignment *assignment)
{
    struct worker *worker = p->worker;
    struct restore_job *job = calloc(1, sizeof *job);
    close_store(p);
    if (job == NULL) {
        partition_fail(p, ERR_MEMORY, err_text(ERR_MEMORY));
        return false;
    }
    path_of(p, job->path);
    job->job = (struct worker_job){.run = run_restore, .done = on_restored};
    job->p = p;
    job->assignment = *assignment;
    job->restore.journal = worker->options.journal;
    job->restore.partition = p->index;
    job->restore.path = job->path;
    job->restore.log = worker->options.reader->name;
    job->restore.boot = worker->boot;
    p->restore = job;
    p->state = PARTITION_RESTORING;
    return true;
}

static void ask_restore(struct partition *p, const struct log_assignment *assignment, const char *why)
{
    if (!make_job(p, assignment)) return;
    worker_say(p->worker, "restoring", "partition=%u why=\"%s\"", p->index, why);
    partition_restore_next(p->worker);
}

/* Its store cannot be opened for want of room: all of it is tried again. */
static void wait_for_room(struct partition *p, const struct log_assignment *assignment)
{
    if (make_job(p, assignment) && !partition_room_wait(p)) partition_fail(p, ERR_FULL, err_text(ERR_FULL));
}

void partition_assign(struct partition *p, const struct log_assignment *assignment)
{
    struct store_stamp stamp = {0, 0};
    char why[256] = "";
    assert(p->state == PARTITION_WAITING);
    p->silent_below = assignment->silent_below;
    enum err err = open_store(p, &stamp, why, sizeof why);
    if (p->worker->options.journal != NULL) {
        if (err == ERR_FULL) {
            wait_for_room(p, assignment);
            return;
        }
        const char *not = err == ERR_OK ? why_not(p, assignment, &stamp) : why;
        if (not != NULL) {
            ask_restore(p, assignment, not);
            return;
        }
    }
    if (err != ERR_OK) partition_fail(p, err, why[0] != 0 ? why : err_text(err));
    else begin(p, assignment, &stamp);
}
