/* The log's thread: commits groups, reads for readers that lag, trims. See embedded_log.h. */
#include <assert.h>
#include <stdlib.h>

#include "backends/embedded/embedded_log_parts.h"
#include "core/hash.h"

static void put_u64(char *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) at[i] = (char)(unsigned char)(value >> (8 * i) & 0xff);
}
static uint64_t get_u64(const char *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | (unsigned char)at[i];
    return value;
}

bool embedded_log_thread_decode(struct span stored, struct log_record *ret_record)
{
    if (stored.bytes < RECORD_HEAD_BYTES) return false;
    struct span bytes = span_of(stored.at + RECORD_HEAD_BYTES, stored.bytes - RECORD_HEAD_BYTES);
    if (get_u64(stored.at + 8) != hash_64(bytes)) return false;
    ret_record->time_ms = (int64_t)get_u64(stored.at);
    ret_record->bytes = bytes;
    return true;
}

/* ---- opening ---- */

static enum err recover_part(struct lmdbx_txn *txn, struct embedded_log *log, uint32_t partition)
{
    struct part *part = &log->parts[partition];
    struct span key, value;
    struct log_record record;
    enum err err = lmdbx_last(txn, TABLE_PARTITIONS + partition, &key, &value);
    if (err != ERR_OK || key.at == NULL) return err;
    if (key.bytes != 8 || !embedded_log_thread_decode(value, &record)) return ERR_CORRUPT;
    part->thread_next = part->durable = lmdbx_u64_of_key(key.at) + 1;
    part->thread_time_ms = record.time_ms;
    err = lmdbx_seek(txn, TABLE_PARTITIONS + partition, span_of("", 0), false, &key, &value);
    if (err != ERR_OK) return err;
    if (key.at == NULL || key.bytes != 8) return ERR_CORRUPT;
    part->first = part->trim_to = lmdbx_u64_of_key(key.at);
    log->records_at_open += part->thread_next - part->first;
    /* INVARIANT 1: as many entries as offsets. */
    return lmdbx_count(txn, TABLE_PARTITIONS + partition) == part->thread_next - part->first ? ERR_OK : ERR_CORRUPT;
}

enum err embedded_log_thread_recover(struct embedded_log *log)
{
    struct lmdbx_txn *txn;
    enum err err = lmdbx_read_begin(log->env, &txn);
    if (err != ERR_OK) return err;
    for (uint32_t i = 0; err == ERR_OK && i < log->partitions; i++) err = recover_part(txn, log, i);
    lmdbx_read_end(txn);
    return err;
}

/* ---- commits ---- */

struct commit {
    struct embedded_log *log;
    struct group *group;     /* NULL: only trims */
    bool trims;
    uint64_t first[LMDBX_TABLES_MAX]; /* after the trims of this commit */
    bool trims_left;
};

static enum err put_group(struct lmdbx_txn *txn, const struct commit *commit)
{
    struct embedded_log *log = commit->log;
    int64_t now_ms = log->now_ms();
    uint64_t next[LMDBX_TABLES_MAX];
    for (uint32_t i = 0; i < log->partitions; i++) next[i] = log->parts[i].thread_next;
    for (size_t i = 0; i < commit->group->count; i++) {
        struct item *item = &commit->group->items[i];
        const struct part *part = &log->parts[item->partition];
        struct span bytes = blob_span(item->blob);
        char key[8], *at;
        item->offset = next[item->partition]++;
        item->time_ms = now_ms > part->thread_time_ms ? now_ms : part->thread_time_ms; /* INVARIANT 2 */
        lmdbx_key_u64(item->offset, key);
        enum err err = lmdbx_put_room(txn, TABLE_PARTITIONS + item->partition, span_of(key, 8),
                                      RECORD_HEAD_BYTES + bytes.bytes, true, &at);
        if (err != ERR_OK) return err;
        put_u64(at, (uint64_t)item->time_ms);
        put_u64(at + 8, hash_64(bytes));
        if (bytes.bytes != 0) memcpy(at + RECORD_HEAD_BYTES, bytes.at, bytes.bytes);
    }
    return ERR_OK;
}

static enum err put_trims(struct lmdbx_txn *txn, struct commit *commit, const uint64_t *trim_to)
{
    struct embedded_log *log = commit->log;
    /* Behind appends a trim only keeps pace: it must not make them wait. */
    size_t left = commit->group == NULL ? TRIM_RECORDS : 64 + 2 * commit->group->count;
    commit->trims_left = false;
    for (uint32_t i = 0; i < log->partitions; i++) {
        while (commit->first[i] < trim_to[i]) {
            if (left-- == 0) {
                commit->trims_left = true;
                return ERR_OK;
            }
            char key[8];
            lmdbx_key_u64(commit->first[i], key);
            enum err err = lmdbx_remove(txn, TABLE_PARTITIONS + i, span_of(key, 8));
            if (err != ERR_OK) return err;
            commit->first[i]++;
        }
    }
    return ERR_OK;
}

static enum err fill(struct lmdbx_txn *txn, void *ctx)
{
    struct commit *commit = ctx;
    struct embedded_log *log = commit->log;
    if (commit->trims) {
        uint64_t trim_to[LMDBX_TABLES_MAX];
        uv_mutex_lock(&log->lock);
        for (uint32_t i = 0; i < log->partitions; i++) {
            commit->first[i] = log->parts[i].first;
            trim_to[i] = log->parts[i].trim_to;
        }
        uv_mutex_unlock(&log->lock);
        enum err err = put_trims(txn, commit, trim_to);
        if (err != ERR_OK) return err;
    }
    return commit->group == NULL ? ERR_OK : put_group(txn, commit);
}

static void post(struct embedded_log *log, struct done *done)
{
    uv_mutex_lock(&log->lock);
    done->next = NULL;
    if (log->done_last == NULL) log->done_first = done;
    else log->done_last->next = done;
    log->done_last = done;
    uv_mutex_unlock(&log->lock);
    uv_async_send(&log->async);
}

static enum err commit(struct embedded_log *log, struct group *group, bool trims)
{
    struct commit commit_of = {.log = log, .group = group, .trims = trims};
    enum err err = lmdbx_write(log->env, fill, &commit_of);
    if (err == ERR_OK && group != NULL) {
        for (size_t i = 0; i < group->count; i++) {
            struct part *part = &log->parts[group->items[i].partition];
            part->thread_next = group->items[i].offset + 1;
            part->thread_time_ms = group->items[i].time_ms;
        }
    }
    uv_mutex_lock(&log->lock);
    if (err != ERR_OK) log->broken = err;
    else if (trims) {
        for (uint32_t i = 0; i < log->partitions; i++) log->parts[i].first = commit_of.first[i];
        if (commit_of.trims_left) log->trims_wanted = true;
    }
    uv_mutex_unlock(&log->lock);
    return err;
}

/* ---- reads ---- */

static enum err read_records(struct lmdbx_txn *txn, uint64_t from, uint64_t to, struct read_batch *batch)
{
    size_t bytes = 0, room = 0;
    for (uint64_t offset = from; offset < to && batch->count < READ_RECORDS && bytes < READ_BYTES; offset++) {
        char key[8];
        struct span value;
        struct log_record *record = &batch->records[batch->count];
        lmdbx_key_u64(offset, key);
        enum err err = lmdbx_get(txn, TABLE_PARTITIONS + batch->partition, span_of(key, 8), &value);
        if (err != ERR_OK) return err;
        if (value.at == NULL || !embedded_log_thread_decode(value, record)) return ERR_CORRUPT;
        if (bytes + record->bytes.bytes > room) {
            room = 2 * (bytes + record->bytes.bytes) + 4096;
            char *grown = realloc(batch->bytes, room);
            if (grown == NULL) return ERR_MEMORY;
            batch->bytes = grown;
        }
        if (record->bytes.bytes != 0) memcpy(batch->bytes + bytes, record->bytes.at, record->bytes.bytes);
        record->offset = offset;
        bytes += record->bytes.bytes;
        batch->count++;
    }
    /* The block may have moved while it grew: spans are laid down when it stands. */
    bytes = 0;
    for (size_t i = 0; i < batch->count; i++) {
        batch->records[i].bytes.at = batch->bytes + bytes;
        bytes += batch->records[i].bytes.bytes;
    }
    return ERR_OK;
}

static void read_part(struct embedded_log *log, uint32_t partition, uint64_t from, uint64_t to)
{
    struct read_batch *batch = calloc(1, sizeof *batch);
    struct lmdbx_txn *txn = NULL;
    if (batch == NULL) {
        uv_mutex_lock(&log->lock);
        log->broken = ERR_MEMORY;
        uv_mutex_unlock(&log->lock);
        uv_async_send(&log->async);
        return;
    }
    batch->done.kind = DONE_READ;
    batch->partition = partition;
    batch->err = lmdbx_read_begin(log->env, &txn);
    if (batch->err == ERR_OK) batch->err = read_records(txn, from, to, batch);
    lmdbx_read_end(txn);
    post(log, &batch->done);
}

static void read_wanted(struct embedded_log *log)
{
    for (uint32_t i = 0; i < log->partitions; i++) {
        struct part *part = &log->parts[i];
        uv_mutex_lock(&log->lock);
        bool wanted = part->read_wanted;
        uint64_t from = part->read_from, to = part->read_to;
        if (wanted) log->reads_wanted--;
        part->read_wanted = false;
        uv_mutex_unlock(&log->lock);
        if (wanted) read_part(log, i, from, to);
    }
}

/* Waits for something to do; the group to be committed is handed over whole, and another gathers meanwhile. */
static struct group *take(struct embedded_log *log, bool *ret_trims, bool *ret_reads, bool *ret_last, enum err *ret_broken)
{
    struct group *group = NULL;
    uv_mutex_lock(&log->lock);
    while (!log->stopping && (log->gathering->count == 0 || log->spare == NULL) && log->reads_wanted == 0 &&
           !log->trims_wanted) {
        log->waiting = true;
        uv_cond_wait(&log->wake, &log->lock);
        log->waiting = false;
    }
    *ret_last = log->stopping;
    *ret_broken = log->broken;
    *ret_trims = log->trims_wanted;
    *ret_reads = log->reads_wanted != 0;
    log->trims_wanted = false;
    if (log->gathering->count != 0 && (log->spare != NULL || log->stopping)) {
        group = log->gathering;
        if (!log->stopping) {
            log->gathering = log->spare;
            log->spare = log->gathering->spare;
        }
    }
    uv_mutex_unlock(&log->lock);
    return group;
}

void embedded_log_thread_run(void *ctx)
{
    struct embedded_log *log = ctx;
    bool last = false;
    while (!last) {
        bool trims, reads;
        enum err broken;
        struct group *group = take(log, &trims, &reads, &last, &broken);
        if (broken == ERR_OK && (group != NULL || trims)) broken = commit(log, group, trims);
        if (last) return; /* nobody is told any more */
        if (group != NULL) {
            group->err = broken;
            post(log, &group->done);
        } else if (broken != ERR_OK) {
            uv_async_send(&log->async);
        }
        if (reads) read_wanted(log);
    }
}
