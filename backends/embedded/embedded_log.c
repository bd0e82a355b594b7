#include "backends/embedded/embedded_log.h"

#include <assert.h>
#include <stdlib.h>

#include "backends/embedded/embedded_log_parts.h"

enum { CHAIN_END = UINT32_MAX, ACKS_AT_ONCE = 256 };

/* ---- appending ---- */

static bool make_room(struct group *group)
{
    if (group->count < group->room) return true;
    size_t room = group->room == 0 ? 256 : group->room * 2;
    struct item *items = realloc(group->items, room * sizeof *items);
    if (items == NULL) return false;
    group->items = items;
    group->room = room;
    return true;
}

static enum err append(struct log_writer *base, uint32_t partition, struct blob *record, uint64_t tag)
{
    struct writer *writer = (struct writer *)(void *)base;
    struct embedded_log *log = writer->log;
    assert(partition < log->partitions);
    enum err err = ERR_BUSY;
    uv_mutex_lock(&log->lock);
    struct group *group = log->gathering;
    if (log->broken == ERR_OK && !log->stopping && group->count < QUEUE_RECORDS && group->bytes < QUEUE_BYTES &&
        make_room(group)) {
        group->items[group->count++] =
            (struct item){.blob = blob_take(record), .tag = tag, .partition = partition, .writer = writer->place};
        group->bytes += record->bytes;
        if (log->waiting) uv_cond_signal(&log->wake);
        err = ERR_OK;
    }
    uv_mutex_unlock(&log->lock);
    return err;
}

/* ---- reading ---- */

static void request_read(struct embedded_log *log, struct part *part)
{
    part->read_sent = true;
    uv_mutex_lock(&log->lock);
    part->read_wanted = true;
    part->read_from = part->next;
    part->read_to = part->durable;
    log->reads_wanted++;
    uv_cond_signal(&log->wake);
    uv_mutex_unlock(&log->lock);
}

static void drop_batch(struct read_batch *batch)
{
    if (batch == NULL) return;
    free(batch->bytes);
    free(batch);
}

static void tell_broken(struct embedded_log *log, enum err err)
{
    if (log->broken_told) return;
    log->broken_told = true;
    static const char full[] = "the disk is full, or the log is at its bound: make room and start again";
    static const char corrupt[] = "a record of the log does not read back as written: restore the data directory from a copy";
    static const char other[] = "the log could not be written or read: look at the disk, then start again";
    if (log->reader.failed != NULL)
        log->reader.failed(log->reader.ctx, err, err == ERR_FULL ? full : err == ERR_CORRUPT ? corrupt : other);
}

static void hand_batch(struct embedded_log *log, struct read_batch *batch)
{
    struct part *part = &log->parts[batch->partition];
    if (part->paused) {
        part->held = batch;
        return;
    }
    size_t at = 0;
    while (at < batch->count && !part->paused) {
        size_t count = batch->count - at < HAND_RECORDS ? batch->count - at : HAND_RECORDS;
        part->next += count;
        log->reader.records(log->reader.ctx, batch->partition, batch->records + at, count);
        at += count;
    }
    /* A pause amid the batch: what is left is read again. */
    drop_batch(batch);
}

static void finish_read(struct embedded_log *log, struct read_batch *batch)
{
    struct part *part = &log->parts[batch->partition];
    part->read_sent = false;
    if (batch->err != ERR_OK) {
        tell_broken(log, batch->err);
        drop_batch(batch);
        return;
    }
    hand_batch(log, batch);
}

/* INVARIANT 3: whoever lags is fed from LMDB. */
static void feed_laggards(struct embedded_log *log)
{
    for (uint32_t i = 0; i < log->partitions; i++) {
        struct part *part = &log->parts[i];
        if (!part->started || part->paused || part->read_sent || log->broken_told) continue;
        if (part->held != NULL) {
            struct read_batch *batch = part->held;
            part->held = NULL;
            hand_batch(log, batch);
        }
        if (!part->paused && part->next < part->durable) request_read(log, part);
    }
}

/* ---- a committed group ---- */

static void tell_acks(struct embedded_log *log, const struct group *group)
{
    enum err err = group->err == ERR_OK ? ERR_OK
                   : group->err == ERR_FULL || group->err == ERR_MEMORY ? ERR_BUSY : ERR_INTERNAL;
    struct log_ack acks[ACKS_AT_ONCE];
    for (uint32_t place = 0; place < EMBEDDED_LOG_WRITERS; place++) {
        struct log_writer *writer = &log->writers[place].base;
        size_t count = 0;
        if (writer->acked == NULL) continue;
        for (size_t i = 0; i < group->count; i++) {
            if (group->items[i].writer != place) continue;
            acks[count++] = (struct log_ack){group->items[i].tag, err};
            if (count < ACKS_AT_ONCE) continue;
            writer->acked(writer->ctx, acks, count);
            count = 0;
        }
        if (count != 0) writer->acked(writer->ctx, acks, count);
    }
}

static void hand_chain(struct embedded_log *log, const struct group *group, uint32_t partition)
{
    struct part *part = &log->parts[partition];
    struct log_record records[HAND_RECORDS];
    uint32_t at = part->chain_first;
    bool follows = part->next == group->items[at].offset;
    part->durable = group->items[part->chain_last].offset + 1;
    while (at != CHAIN_END && part->started && !part->paused && follows) {
        size_t count = 0;
        for (; at != CHAIN_END && count < HAND_RECORDS; at = group->items[at].next) {
            const struct item *item = &group->items[at];
            records[count++] = (struct log_record){item->offset, item->time_ms, blob_span(item->blob)};
        }
        part->next += count;
        log->reader.records(log->reader.ctx, partition, records, count);
    }
}

/* Each partition's records in one run, whatever order they were appended in among the others'. */
static void hand_group(struct embedded_log *log, struct group *group)
{
    size_t touched_count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        struct item *item = &group->items[i];
        struct part *part = &log->parts[item->partition];
        item->next = CHAIN_END;
        if (part->chain_first == CHAIN_END) {
            part->chain_first = i;
            log->touched[touched_count++] = item->partition;
        } else {
            group->items[part->chain_last].next = i;
        }
        part->chain_last = i;
    }
    for (size_t i = 0; i < touched_count; i++) {
        uint32_t partition = log->touched[i];
        hand_chain(log, group, partition);
        log->parts[partition].chain_first = CHAIN_END;
    }
}

static void recycle(struct embedded_log *log, struct group *group)
{
    for (size_t i = 0; i < group->count; i++) blob_put(group->items[i].blob);
    group->count = group->bytes = 0;
    group->err = ERR_OK;
    uv_mutex_lock(&log->lock);
    group->spare = log->spare;
    log->spare = group;
    if (log->waiting && log->gathering->count != 0) uv_cond_signal(&log->wake);
    uv_mutex_unlock(&log->lock);
}

static struct done *take_done(struct embedded_log *log, enum err *ret_broken)
{
    uv_mutex_lock(&log->lock);
    struct done *done = log->done_first;
    log->done_first = log->done_last = NULL;
    *ret_broken = log->broken;
    uv_mutex_unlock(&log->lock);
    return done;
}

static void on_async(uv_async_t *async)
{
    struct embedded_log *log = async->data;
    enum err broken;
    if (log->closing) return;
    if (!log->assigned_told) {
        log->assigned_told = true;
        for (uint32_t i = 0; i < log->partitions && log->reader.assigned != NULL; i++) {
            struct log_assignment assignment = {0};
            (void)log->reader.ops->range(&log->reader, i, &assignment.first, &assignment.next); /* from memory: it cannot fail */
            log->reader.assigned(log->reader.ctx, i, &assignment);
        }
    }
    struct done *done = take_done(log, &broken), *next;
    for (; done != NULL; done = next) {
        next = done->next;
        if (done->kind == DONE_READ) {
            finish_read(log, (struct read_batch *)(void *)done);
            continue;
        }
        struct group *group = (struct group *)(void *)done;
        tell_acks(log, group);
        if (group->err == ERR_OK) hand_group(log, group);
        recycle(log, group);
    }
    if (broken != ERR_OK) tell_broken(log, broken);
    feed_laggards(log);
}

/* ---- the reader's calls ---- */

static struct part *part_of(struct log_reader *reader, uint32_t partition)
{
    struct embedded_log *log = (struct embedded_log *)(void *)reader;
    assert(partition < log->partitions);
    return &log->parts[partition];
}

static enum err start(struct log_reader *reader, uint32_t partition, uint64_t offset)
{
    struct embedded_log *log = (struct embedded_log *)(void *)reader;
    struct part *part = part_of(reader, partition);
    assert(!part->started);
    uv_mutex_lock(&log->lock);
    uint64_t first = part->first;
    uv_mutex_unlock(&log->lock);
    if (offset < first || offset > part->durable) return ERR_CORRUPT;
    part->started = true;
    part->next = offset;
    uv_async_send(&log->async);
    return ERR_OK;
}

static void pause_part(struct log_reader *reader, uint32_t partition, bool paused)
{
    struct embedded_log *log = (struct embedded_log *)(void *)reader;
    struct part *part = part_of(reader, partition);
    if (part->paused && !paused) uv_async_send(&log->async);
    part->paused = paused;
}

static void trim(struct log_reader *reader, uint32_t partition, uint64_t offset)
{
    struct embedded_log *log = (struct embedded_log *)(void *)reader;
    struct part *part = part_of(reader, partition);
    assert(offset <= part->durable);
    if (offset == 0) return;
    uv_mutex_lock(&log->lock);
    if (part->trim_to < offset - 1) { /* INVARIANT 4 */
        part->trim_to = offset - 1;
        log->trims_wanted = true;
        if (log->waiting) uv_cond_signal(&log->wake);
    }
    uv_mutex_unlock(&log->lock);
}

static enum err range(struct log_reader *reader, uint32_t partition, uint64_t *ret_first, uint64_t *ret_next)
{
    struct embedded_log *log = (struct embedded_log *)(void *)reader;
    struct part *part = part_of(reader, partition);
    uv_mutex_lock(&log->lock);
    *ret_first = part->first;
    uv_mutex_unlock(&log->lock);
    *ret_next = part->durable;
    return ERR_OK;
}

static enum err read_one(struct log_reader *reader, uint32_t partition, uint64_t offset, struct log_record *ret_record)
{
    struct embedded_log *log = (struct embedded_log *)(void *)reader;
    struct lmdbx_txn *txn;
    struct span value;
    struct log_record record = {.offset = offset};
    char key[8];
    assert(partition < log->partitions);
    lmdbx_key_u64(offset, key);
    enum err err = lmdbx_read_begin(log->env, &txn);
    if (err != ERR_OK) return err;
    err = lmdbx_get(txn, TABLE_PARTITIONS + partition, span_of(key, 8), &value);
    if (err == ERR_OK && value.at == NULL) err = ERR_UNKNOWN;
    if (err == ERR_OK && !embedded_log_thread_decode(value, &record)) err = ERR_CORRUPT;
    if (err == ERR_OK) {
        char *bytes = malloc(record.bytes.bytes + 1);
        if (bytes == NULL) err = ERR_MEMORY;
        else {
            memcpy(bytes, record.bytes.at, record.bytes.bytes);
            free(log->read_bytes);
            log->read_bytes = bytes;
            record.bytes.at = bytes;
            *ret_record = record;
        }
    }
    lmdbx_read_end(txn);
    return err;
}

static const struct log_writer_ops writer_ops = {append};
/* No partition is ever revoked here. */
static void release(struct log_reader *reader, uint32_t partition)
{
    (void)reader;
    (void)partition;
}

static const struct log_reader_ops reader_ops = {start, pause_part, trim, range, read_one, release};

struct log_writer *embedded_log_writer(struct embedded_log *log, size_t place)
{
    assert(place < EMBEDDED_LOG_WRITERS);
    return &log->writers[place].base;
}
struct log_reader *embedded_log_reader(struct embedded_log *log) { return &log->reader; }
uint64_t embedded_log_records(const struct embedded_log *log) { return log->records_at_open; }
int embedded_log_listen(struct embedded_log *log, uv_loop_t *loop) { return uv_async_init(loop, &log->async, on_async); }

void embedded_log_wire(struct embedded_log *log)
{
    log->async.data = log;
    log->reader.ops = &reader_ops;
    log->reader.partitions = log->partitions;
    log->reader.name = log->name;
    for (uint32_t i = 0; i < EMBEDDED_LOG_WRITERS; i++) {
        log->writers[i].base.ops = &writer_ops;
        log->writers[i].base.partitions = log->partitions;
        log->writers[i].base.name = log->name;
        log->writers[i].log = log;
        log->writers[i].place = i;
    }
    for (uint32_t i = 0; i < log->partitions; i++) log->parts[i].chain_first = CHAIN_END;
}
