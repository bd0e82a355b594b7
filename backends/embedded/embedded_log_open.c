/* Opening and closing the embedded log: its tables and stamp, its thread, its handles. See embedded_log.h. */
#include <stdio.h>
#include <stdlib.h>

#include "backends/embedded/embedded_log_parts.h"

static enum err refuse(enum err err, char *why, size_t why_bytes, const char *path, const char *text)
{
    snprintf(why, why_bytes, "%s: %s", path, text);
    return err;
}

struct stamp {
    const struct embedded_log_options *options;
};

static enum err put_stamp(struct lmdbx_txn *txn, void *ctx)
{
    const struct stamp *stamp = ctx;
    char count[8];
    lmdbx_key_u64(stamp->options->partitions, count);
    enum err err = lmdbx_put(txn, TABLE_STAMP, SPAN_LITERAL("log"), span_text(stamp->options->name));
    if (err != ERR_OK) return err;
    return lmdbx_put(txn, TABLE_STAMP, SPAN_LITERAL("partitions"), span_of(count, 8));
}

/* Whose log is it? A fresh directory may hold one that was made but never used: a crash amid the making left it. */
static enum err check_stamp(struct embedded_log *log, const struct embedded_log_options *options, char *why, size_t why_bytes)
{
    struct lmdbx_txn *txn;
    struct span name, count;
    enum err err = lmdbx_read_begin(log->env, &txn);
    if (err != ERR_OK) return refuse(err, why, why_bytes, options->path, err_text(err));
    err = lmdbx_get(txn, TABLE_STAMP, SPAN_LITERAL("log"), &name);
    if (err == ERR_OK) err = lmdbx_get(txn, TABLE_STAMP, SPAN_LITERAL("partitions"), &count);
    bool stamped = err == ERR_OK && name.at != NULL;
    bool counted = stamped && count.bytes == 8 && lmdbx_u64_of_key(count.at) == options->partitions;
    bool ours = counted && span_is(name, options->name);
    lmdbx_read_end(txn);
    if (err == ERR_OK && ours) return ERR_OK;
    if (err == ERR_OK && (!options->fresh || (stamped && !counted) || log->records_at_open != 0))
        return refuse(ERR_CORRUPT, why, why_bytes, options->path,
                      "not the log that the stamp beside it (`meta`) names: restore the whole data directory from one copy");
    struct stamp stamp = {options};
    if (err == ERR_OK) err = lmdbx_write(log->env, put_stamp, &stamp);
    return err == ERR_OK ? ERR_OK : refuse(err, why, why_bytes, options->path, err_text(err));
}

static enum err open_env(struct embedded_log *log, const struct embedded_log_options *options, char *why, size_t why_bytes)
{
    const char *tables[LMDBX_TABLES_MAX];
    char(*names)[16] = calloc(options->partitions, sizeof *names);
    if (names == NULL) return refuse(ERR_MEMORY, why, why_bytes, options->path, err_text(ERR_MEMORY));
    tables[TABLE_STAMP] = "stamp";
    for (uint32_t i = 0; i < options->partitions; i++) {
        snprintf(names[i], sizeof names[i], "p%u", i);
        tables[TABLE_PARTITIONS + i] = names[i];
    }
    struct lmdbx_options lmdbx = {.path = options->path, .tables = tables,
                                  .tables_count = TABLE_PARTITIONS + options->partitions,
                                  .sync = options->fsync ? LMDBX_SYNC : LMDBX_SYNC_NOT,
                                  .map_bytes_max = options->bytes_max};
    enum err err = lmdbx_open(&lmdbx, &log->env, why, why_bytes);
    free(names);
    if (err != ERR_OK) return err;
    err = embedded_log_thread_recover(log);
    if (err == ERR_OK) return check_stamp(log, options, why, why_bytes);
    return refuse(err, why, why_bytes, options->path,
                  "the log does not read back as written: restore the data directory from a copy, or begin a new one");
}

static bool make_groups(struct embedded_log *log)
{
    for (size_t i = 0; i < GROUPS; i++) {
        struct group *group = calloc(1, sizeof *group);
        if (group == NULL) return false;
        group->done.kind = DONE_GROUP;
        group->spare = log->spare;
        log->spare = group;
    }
    log->gathering = log->spare;
    log->spare = log->gathering->spare;
    return true;
}

static void drop_group(struct group *group)
{
    if (group == NULL) return;
    for (size_t i = 0; i < group->count; i++) blob_put(group->items[i].blob);
    free(group->items);
    free(group);
}

/* The thread is not running (any more) and the handle is closed, or never was opened. */
static void dispose(struct embedded_log *log)
{
    lmdbx_close(log->env);
    drop_group(log->gathering);
    for (struct group *group = log->spare, *next; group != NULL; group = next) {
        next = group->spare;
        drop_group(group);
    }
    for (struct done *done = log->done_first, *next; done != NULL; done = next) {
        next = done->next;
        if (done->kind == DONE_GROUP) {
            drop_group((struct group *)(void *)done);
        } else {
            free(((struct read_batch *)(void *)done)->bytes);
            free(done);
        }
    }
    for (uint32_t i = 0; log->parts != NULL && i < log->partitions; i++) {
        if (log->parts[i].held == NULL) continue;
        free(log->parts[i].held->bytes);
        free(log->parts[i].held);
    }
    free(log->parts);
    free(log->touched);
    free(log->read_bytes);
    free(log);
}

enum err embedded_log_open(const struct embedded_log_options *options, struct uv_loop_s *loop,
                           struct embedded_log **ret_log, char *why, size_t why_bytes)
{
    struct embedded_log *log = calloc(1, sizeof *log);
    if (log == NULL) return refuse(ERR_MEMORY, why, why_bytes, options->path, err_text(ERR_MEMORY));
    log->now_ms = options->now_ms;
    log->partitions = options->partitions;
    snprintf(log->name, sizeof log->name, "%s", options->name);
    log->parts = calloc(options->partitions, sizeof *log->parts);
    log->touched = calloc(options->partitions, sizeof *log->touched);
    enum err err = ERR_MEMORY;
    if (log->parts == NULL || log->touched == NULL || !make_groups(log)) refuse(err, why, why_bytes, options->path, err_text(err));
    else err = open_env(log, options, why, why_bytes);
    if (err != ERR_OK) {
        dispose(log);
        return err;
    }
    embedded_log_wire(log);
    int code = uv_mutex_init(&log->lock);
    if (code == 0) code = uv_cond_init(&log->wake);
    if (code == 0) code = embedded_log_listen(log, loop);
    if (code == 0) code = uv_thread_create(&log->thread, embedded_log_thread_run, log);
    if (code != 0) {
        /* Out of descriptors or threads at start: the process ends, so the handle is left to it. */
        return refuse(ERR_INTERNAL, why, why_bytes, options->path, uv_strerror(code));
    }
    uv_async_send(&log->async);
    *ret_log = log;
    return ERR_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct embedded_log *log = handle->data;
    void *ctx = log->closed_ctx;
    void (*closed)(void *) = log->closed;
    uv_mutex_destroy(&log->lock);
    uv_cond_destroy(&log->wake);
    dispose(log);
    if (closed != NULL) closed(ctx);
}

void embedded_log_close(struct embedded_log *log, void *ctx, void (*closed)(void *ctx))
{
    uv_mutex_lock(&log->lock);
    log->stopping = true;
    uv_cond_signal(&log->wake);
    uv_mutex_unlock(&log->lock);
    uv_thread_join(&log->thread);
    log->closing = true;
    log->closed_ctx = ctx;
    log->closed = closed;
    uv_close((uv_handle_t *)&log->async, on_closed);
}
