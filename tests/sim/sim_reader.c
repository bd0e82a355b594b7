/* Readers of the log, and the coordinator that says who owns what.
 *
 * A partition moves: its holder is told, journals, lets go; only then the next one has it. A holder that is gone or cannot be
 * reached is not waited for: it is a zombie, reads on, and what it says and stores must do no harm. */
#include <assert.h>

#include "tests/sim/sim.h"

enum { BATCH_MAX = 8, NOTICE_US = 300000, NEWS_US = 2000, LEARN_US = 3000000, DAY_MS = 86400000, UNDECIDED_US = 50000 };

static struct sim_reader *of(struct log_reader *base) { return (struct sim_reader *)(void *)base; }
static bool is_current(const struct sim_reading *reading, const struct sim_partition *part)
{
    return part->owner == reading->reader->worker && part->generation == reading->generation;
}

/* ---- delivery ---- */

static size_t find(const struct sim_partition *part, uint64_t offset)
{
    size_t low = 0, high = part->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (part->records[mid].offset < offset) low = mid + 1;
        else high = mid;
    }
    return low;
}

static void deliver(struct sim *sim, struct sim_event *event);

static void wake(struct sim *sim, struct sim_reading *reading)
{
    const struct sim_partition *part = &sim->log.parts[reading->partition];
    if (!reading->started || reading->paused || reading->leaving || reading->at >= part->next || reading->event.heap_at != 0) return;
    sim_queue_put(sim, &reading->event, sim->now_us + sim_delay(sim, SIM_LOG, sim->settings.deliver), deliver);
}

static void deliver(struct sim *sim, struct sim_event *event)
{
    struct sim_reading *reading = (struct sim_reading *)(void *)event;
    struct sim_reader *reader = reading->reader;
    const struct sim_partition *part = &sim->log.parts[reading->partition];
    struct log_record batch[BATCH_MAX];
    size_t count = 0, most = 1 + (size_t)sim_below(sim, SIM_LOG, BATCH_MAX);
    if (sim->log.down) {
        sim_queue_put(sim, event, sim->now_us + NOTICE_US, deliver);
        return;
    }
    bool silent = reading->at < reading->silent_below;
    for (size_t i = find(part, reading->at); i < part->count && count < most; i++) {
        const struct sim_record *record = &part->records[i];
        if (silent && record->offset >= reading->silent_below) break; /* a batch ends there */
        batch[count++] = (struct log_record){record->offset, record->time_ms, blob_span(record->bytes)};
        reading->at = record->offset + 1;
    }
    if (count > 0) reader->base.records(reader->base.ctx, reading->partition, batch, count);
    wake(sim, reading);
}

void sim_reader_wake(struct sim *sim, uint32_t partition)
{
    for (int i = 0; i < SIM_WORKERS_MAX; i++)
        if (sim->workers[i].alive) wake(sim, &sim->workers[i].reader.parts[partition]);
}

/* ---- what the worker calls ---- */

static enum err start(struct log_reader *base, uint32_t partition, uint64_t offset)
{
    struct sim_reading *reading = &of(base)->parts[partition];
    struct sim *sim = of(base)->sim;
    const struct sim_partition *part = &sim->log.parts[partition];
    if (offset < part->first || offset > part->next) return ERR_CORRUPT;
    reading->started = true;
    reading->at = offset;
    wake(sim, reading);
    return ERR_OK;
}

static void pause_part(struct log_reader *base, uint32_t partition, bool paused)
{
    struct sim_reading *reading = &of(base)->parts[partition];
    if (of(base)->dead) return;
    reading->paused = paused;
    if (paused) sim_queue_take(of(base)->sim, &reading->event);
    else wake(of(base)->sim, reading);
}

/* An embedded log forgets at once, but for the last record; a broker a day later. What only a zombie says counts for nothing. */
static void trim(struct log_reader *base, uint32_t partition, uint64_t offset)
{
    struct sim *sim = of(base)->sim;
    struct sim_partition *part = &sim->log.parts[partition];
    if (of(base)->dead || !is_current(&of(base)->parts[partition], part)) return;
    if (!sim->settings.journaled && offset > part->committed) part->committed = offset;
    size_t gone = 0;
    if (!sim->settings.serve && !sim->settings.journaled) return;
    while (gone < part->count && part->records[gone].offset + 1 < offset) blob_put(part->records[gone++].bytes);
    part->count -= gone;
    memmove(part->records, part->records + gone, part->count * sizeof *part->records);
    part->first = part->count > 0 ? part->records[0].offset : part->next;
}

static enum err range(struct log_reader *base, uint32_t partition, uint64_t *ret_first, uint64_t *ret_next)
{
    const struct sim_partition *part = &of(base)->sim->log.parts[partition];
    *ret_first = part->first;
    *ret_next = part->next;
    return ERR_OK;
}

static enum err read_one(struct log_reader *base, uint32_t partition, uint64_t offset, struct log_record *ret_record)
{
    const struct sim_partition *part = &of(base)->sim->log.parts[partition];
    size_t at = find(part, offset);
    if (at == part->count || part->records[at].offset != offset) return ERR_UNKNOWN;
    *ret_record = (struct log_record){offset, part->records[at].time_ms, blob_span(part->records[at].bytes)};
    return ERR_OK;
}

/* ---- the coordinator ---- */

bool sim_log_is_owner(const struct sim *sim, int worker, uint32_t partition)
{
    return is_current(&sim->workers[worker].reader.parts[partition], &sim->log.parts[partition]);
}

static void give(struct sim *sim, uint32_t partition, int worker);

static void release(struct log_reader *base, uint32_t partition)
{
    struct sim *sim = of(base)->sim;
    struct sim_reading *reading = &of(base)->parts[partition];
    struct sim_partition *part = &sim->log.parts[partition];
    bool current = is_current(reading, part);
    if (of(base)->dead) return;
    sim_queue_take(sim, &reading->event);
    sim_queue_take(sim, &reading->news);
    *reading = (struct sim_reading){.reader = of(base), .partition = partition};
    sim_trace(sim, "w%d      lets p%u go", of(base)->worker + 1, partition);
    if (current) {
        part->owner = -1;
        int next = part->moving_to;
        part->moving_to = -1;
        if (next >= 0) give(sim, partition, next);
    } else if (part->owner == of(base)->worker) {
        give(sim, partition, part->owner); /* it came back to a holder that had not learnt of its loss */
    }
}

static void tell_assigned(struct sim *sim, struct sim_event *event)
{
    struct sim_reading *reading = (struct sim_reading *)(void *)((char *)event - offsetof(struct sim_reading, news));
    struct sim_partition *part = &sim->log.parts[reading->partition];
    struct sim_reader *reader = reading->reader;
    if (part->undecided && is_current(reading, part)) { /* how far the journal is, nobody can say before */
        sim_queue_put(sim, event, sim->now_us + UNDECIDED_US, tell_assigned);
        return;
    }
    reading->telling = false;
    if (!is_current(reading, part)) return;
    struct log_assignment assignment = {.first = part->first, .next = part->next, .silent_below = sim->settings.serve ? 0 : part->committed};
    reading->assigned = true;
    reading->silent_below = assignment.silent_below;
    sim_trace(sim, "w%d      is assigned p%u: %llu to %llu, in silence below %llu", reader->worker + 1, reading->partition,
              (unsigned long long)part->first, (unsigned long long)part->next, (unsigned long long)assignment.silent_below);
    if (reader->base.assigned != NULL) reader->base.assigned(reader->base.ctx, reading->partition, &assignment);
}

static void tell_revoked(struct sim *sim, struct sim_event *event)
{
    struct sim_reading *reading = (struct sim_reading *)(void *)((char *)event - offsetof(struct sim_reading, news));
    struct sim_reader *reader = reading->reader;
    sim_queue_take(sim, &reading->event);
    reading->leaving = true;
    sim_trace(sim, "w%d      is to let p%u go", reader->worker + 1, reading->partition);
    if (reader->base.revoked != NULL) reader->base.revoked(reader->base.ctx, reading->partition);
}

static void revoke(struct sim *sim, struct sim_reading *reading)
{
    if (reading->leaving) return;
    if (reading->telling) { /* it never heard that it was to have it */
        sim_queue_take(sim, &reading->news);
        reading->telling = false;
        release(&reading->reader->base, reading->partition);
        return;
    }
    if (reading->assigned) sim_queue_put(sim, &reading->news, sim->now_us + NEWS_US, tell_revoked);
}

static void give(struct sim *sim, uint32_t partition, int worker)
{
    struct sim_partition *part = &sim->log.parts[partition];
    struct sim_worker *to = &sim->workers[worker];
    if (!to->alive || to->isolated) {
        part->owner = -1;
        sim_log_balance(sim);
        return;
    }
    struct sim_reading *reading = &to->reader.parts[partition];
    part->owner = worker;
    part->generation++;
    if (reading->assigned) { /* a zombie gets back what it had: it lets go first */
        revoke(sim, reading);
        return;
    }
    reading->generation = part->generation;
    reading->telling = true;
    sim_queue_put(sim, &reading->news, sim->now_us + NEWS_US, tell_assigned);
}

void sim_log_assign(struct sim *sim, uint32_t partition, int worker)
{
    struct sim_partition *part = &sim->log.parts[partition];
    if (part->owner == worker && part->moving_to < 0) return;
    if (part->owner < 0 || sim->workers[part->owner].isolated) {
        part->owner = part->moving_to = -1;
        part->generation++;
        give(sim, partition, worker);
        return;
    }
    part->moving_to = worker;
    revoke(sim, &sim->workers[part->owner].reader.parts[partition]);
}

static void balance(struct sim *sim, struct sim_event *event)
{
    int alive[SIM_WORKERS_MAX], count = 0;
    (void)event;
    for (int i = 0; i < sim->settings.workers; i++)
        if (sim->workers[i].alive && !sim->workers[i].isolated) alive[count++] = i;
    for (uint32_t p = 0; count > 0 && p < sim->log.partitions; p++) sim_log_assign(sim, p, alive[p % (uint32_t)count]);
}

void sim_log_balance(struct sim *sim)
{
    if (sim->log.balance.heap_at == 0) sim_queue_put(sim, &sim->log.balance, sim->now_us + NOTICE_US, balance);
}

void sim_log_worker_gone(struct sim *sim, int worker)
{
    for (uint32_t p = 0; p < sim->log.partitions; p++) {
        struct sim_partition *part = &sim->log.parts[p];
        if (part->moving_to == worker) part->moving_to = -1;
        if (part->owner == worker) {
            part->owner = -1;
            part->generation++;
        }
    }
    sim_log_balance(sim);
}

static void learn(struct sim *sim, struct sim_event *event)
{
    struct sim_reading *reading = (struct sim_reading *)(void *)((char *)event - offsetof(struct sim_reading, news));
    if (!is_current(reading, &sim->log.parts[reading->partition])) tell_revoked(sim, event);
}

void sim_reader_learn(struct sim_reader *reader)
{
    for (uint32_t p = 0; p < reader->sim->log.partitions; p++) {
        struct sim_reading *reading = &reader->parts[p];
        if (!reading->assigned || reading->leaving || reading->news.heap_at != 0) continue;
        sim_queue_put(reader->sim, &reading->news, reader->sim->now_us + NEWS_US, learn);
    }
    sim_log_balance(reader->sim);
}

/* ---- opening ---- */

void sim_reader_open(struct sim *sim, struct sim_reader *reader, int worker)
{
    static const struct log_reader_ops ops = {start, pause_part, trim, range, read_one, release};
    *reader = (struct sim_reader){.base = {.ops = &ops, .partitions = sim->log.partitions, .name = sim->log.name}, .sim = sim, .worker = worker};
    for (uint32_t i = 0; i < SIM_PARTITIONS_MAX; i++) reader->parts[i] = (struct sim_reading){.reader = reader, .partition = i};
}

void sim_reader_kill(struct sim_reader *reader)
{
    reader->dead = true;
    for (uint32_t i = 0; i < SIM_PARTITIONS_MAX; i++) {
        sim_queue_take(reader->sim, &reader->parts[i].event);
        sim_queue_take(reader->sim, &reader->parts[i].news);
    }
}
