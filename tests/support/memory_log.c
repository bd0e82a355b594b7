#include "tests/support/memory_log.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/support/rig.h"

static struct memory_log *of_writer(struct log_writer *writer) { return ((struct memory_writer *)(void *)writer)->log; }
static struct memory_log *of_reader(struct log_reader *reader) { return ((struct memory_reader *)(void *)reader)->log; }

/* ---- writing ---- */

static enum err append(struct log_writer *writer, uint32_t partition, struct blob *record, uint64_t tag)
{
    struct memory_log *log = of_writer(writer);
    struct memory_partition *p = &log->partitions[partition];
    struct memory_ack *ack = malloc(sizeof *ack);
    if (p->count == p->room) {
        p->room = p->room == 0 ? 64 : 2 * p->room;
        p->records = realloc(p->records, p->room * sizeof *p->records);
    }
    assert(ack != NULL && p->records != NULL);
    int64_t now_ms = rig_now_ms();
    log->last_ms = now_ms > log->last_ms ? now_ms : log->last_ms;
    p->records[p->count++] = (struct memory_record){blob_take(record), log->last_ms};
    *ack = (struct memory_ack){.writer = writer, .tag = tag};
    *log->acks_end = ack;
    log->acks_end = &ack->next;
    return ERR_OK;
}

static const struct log_writer_ops writer_ops = {append};

static void ack_all(struct memory_log *log)
{
    struct memory_ack *ack = log->acks, *next;
    log->acks = NULL;
    log->acks_end = &log->acks;
    for (; ack != NULL; ack = next) {
        struct log_ack said = {ack->tag, ERR_OK};
        next = ack->next;
        if (ack->writer->acked != NULL) ack->writer->acked(ack->writer->ctx, &said, 1);
        free(ack);
    }
}

/* ---- reading ---- */

static enum err start(struct log_reader *reader, uint32_t partition, uint64_t offset)
{
    struct memory_partition *p = &of_reader(reader)->partitions[partition];
    assert(p->owner == reader);
    if (offset > p->count) return ERR_CORRUPT;
    p->next = offset;
    p->started = true;
    return ERR_OK;
}

static void pause_one(struct log_reader *reader, uint32_t partition, bool paused)
{
    struct memory_partition *p = &of_reader(reader)->partitions[partition];
    if (p->owner == reader) p->paused = paused;
}

static void trim(struct log_reader *reader, uint32_t partition, uint64_t offset)
{
    struct memory_partition *p = &of_reader(reader)->partitions[partition];
    if (p->owner == reader && offset > p->trimmed) p->trimmed = offset; /* another's journal is fenced */
}

static enum err range(struct log_reader *reader, uint32_t partition, uint64_t *ret_first, uint64_t *ret_next)
{
    *ret_first = 0;
    *ret_next = of_reader(reader)->partitions[partition].count;
    return ERR_OK;
}

static void give(const struct memory_partition *p, uint64_t offset, struct log_record *ret_record)
{
    *ret_record = (struct log_record){offset, p->records[offset].time_ms, blob_span(p->records[offset].blob)};
}

static enum err read_one(struct log_reader *reader, uint32_t partition, uint64_t offset, struct log_record *ret_record)
{
    const struct memory_partition *p = &of_reader(reader)->partitions[partition];
    if (offset >= p->count) return ERR_UNKNOWN;
    give(p, offset, ret_record);
    return ERR_OK;
}

static void release(struct log_reader *reader, uint32_t partition)
{
    struct memory_partition *p = &of_reader(reader)->partitions[partition];
    if (p->lost == reader) {
        p->lost = NULL;
        return;
    }
    assert(p->owner == reader && p->told_revoked);
    p->owner = p->coming;
    p->assigned = p->told_revoked = p->started = p->paused = false;
}

static const struct log_reader_ops reader_ops = {start, pause_one, trim, range, read_one, release};

static void move(struct memory_log *log, uint32_t partition)
{
    struct memory_partition *p = &log->partitions[partition];
    if (p->owner != NULL && p->assigned && p->coming != p->owner && !p->told_revoked) {
        p->told_revoked = true;
        p->started = false;
        if (p->owner->revoked != NULL) p->owner->revoked(p->owner->ctx, partition);
    }
    if (p->owner == NULL) p->owner = p->coming;
    if (p->owner != NULL && p->owner == p->lost) return; /* it must let go of the old before */
    if (p->owner == NULL || p->assigned || p->owner->assigned == NULL) return;
    struct log_assignment assignment = {.first = 0, .next = p->count, .silent_below = p->trimmed};
    p->assigned = true;
    p->silent_below = p->trimmed;
    p->owner->assigned(p->owner->ctx, partition, &assignment);
}

static void deliver(struct memory_log *log, uint32_t partition)
{
    struct memory_partition *p = &log->partitions[partition];
    struct log_record batch[MEMORY_LOG_BATCH];
    size_t count = 0;
    if (!p->started || p->paused || p->owner->records == NULL) return;
    while (count < MEMORY_LOG_BATCH && p->next < p->count && !(log->held && p->next >= p->silent_below)) {
        if (count > 0 && p->next == p->silent_below) break; /* log.h: a batch ends where silence does */
        give(p, p->next++, &batch[count++]);
    }
    if (count > 0) p->owner->records(p->owner->ctx, partition, batch, count);
}

static void on_timer(uv_timer_t *timer)
{
    struct memory_log *log = timer->data;
    ack_all(log);
    for (uint32_t i = 0; i < MEMORY_LOG_PARTITIONS; i++) {
        move(log, i);
        deliver(log, i);
    }
}

/* ---- */

void memory_log_init(struct memory_log *log, uv_loop_t *loop)
{
    *log = (struct memory_log){.loop = loop};
    log->acks_end = &log->acks;
    uv_timer_init(loop, &log->timer);
    log->timer.data = log;
    uv_timer_start(&log->timer, on_timer, 0, MEMORY_LOG_TURN_MS);
}

void memory_log_fini(struct memory_log *log)
{
    uv_close((uv_handle_t *)&log->timer, NULL);
    while (log->acks != NULL) {
        struct memory_ack *ack = log->acks;
        log->acks = ack->next;
        free(ack);
    }
    for (size_t i = 0; i < MEMORY_LOG_PARTITIONS; i++) {
        for (size_t k = 0; k < log->partitions[i].count; k++) blob_put(log->partitions[i].records[k].blob);
        free(log->partitions[i].records);
    }
}

struct log_writer *memory_log_writer(struct memory_log *log)
{
    assert(log->writers_count < MEMORY_LOG_WRITERS);
    struct memory_writer *writer = &log->writers[log->writers_count++];
    *writer = (struct memory_writer){{.ops = &writer_ops, .partitions = MEMORY_LOG_PARTITIONS, .name = "testlog"}, log};
    return &writer->seam;
}

struct log_reader *memory_log_reader(struct memory_log *log)
{
    assert(log->readers_count < MEMORY_LOG_READERS);
    struct memory_reader *reader = &log->readers[log->readers_count++];
    *reader = (struct memory_reader){{.ops = &reader_ops, .partitions = MEMORY_LOG_PARTITIONS, .name = "testlog"}, log};
    return &reader->seam;
}

void memory_log_steal(struct memory_log *log, uint32_t partition, struct log_reader *reader)
{
    struct memory_partition *p = &log->partitions[partition];
    if (p->owner == NULL || p->owner == reader || !p->assigned || p->told_revoked || p->lost != NULL) return;
    p->lost = p->owner;
    p->owner = p->coming = reader;
    p->assigned = p->started = p->paused = false;
}

void memory_log_wake(struct memory_log *log, uint32_t partition)
{
    struct log_reader *lost = log->partitions[partition].lost;
    if (lost != NULL && lost->revoked != NULL) lost->revoked(lost->ctx, partition);
}

void memory_log_assign(struct memory_log *log, uint32_t partition, struct log_reader *reader) { log->partitions[partition].coming = reader; }
