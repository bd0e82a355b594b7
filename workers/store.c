#include "workers/store.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/embedded/lmdbx.h"

enum { FORMAT = 1, TABLE_DEAD = STATE_TABLES, TABLE_STAMP, TABLES, DEAD_MAX = 10000 };

struct store {
    struct lmdbx *env;
    bool doubtful, marks_boot;
};

/* A view is a read transaction. */
static struct lmdbx_txn *txn_of(struct store_view *view) { return (struct lmdbx_txn *)(void *)view; }

static enum err get_u64(struct lmdbx_txn *txn, struct span key, uint64_t *ret_value, bool *ret_there)
{
    struct span value;
    enum err err = lmdbx_get(txn, TABLE_STAMP, key, &value);
    if (err != ERR_OK) return err;
    *ret_there = value.at != NULL;
    if (value.at == NULL) return ERR_OK;
    if (value.bytes != 8) return ERR_CORRUPT;
    *ret_value = lmdbx_u64_of_key(value.at);
    return ERR_OK;
}

static enum err put_u64(struct lmdbx_txn *txn, struct span key, uint64_t value)
{
    char bytes[8];
    lmdbx_key_u64(value, bytes);
    return lmdbx_put(txn, TABLE_STAMP, key, span_of(bytes, 8));
}

/* ---- the boot ---- */

static enum err put_boot(struct lmdbx_txn *txn, void *ctx)
{
    const char *boot = ctx;
    enum err err = lmdbx_put(txn, TABLE_STAMP, SPAN_LITERAL("boot"), span_text(boot));
    return err == ERR_OK ? lmdbx_remove(txn, TABLE_STAMP, SPAN_LITERAL("clean")) : err;
}

static enum err put_clean(struct lmdbx_txn *txn, void *ctx)
{
    (void)ctx;
    return lmdbx_put(txn, TABLE_STAMP, SPAN_LITERAL("clean"), SPAN_LITERAL(""));
}

/* INVARIANT 3 */
static enum err heed_boot(struct store *store, const char *boot)
{
    struct lmdbx_txn *txn;
    struct span before, clean;
    enum err err = lmdbx_read_begin(store->env, &txn);
    if (err != ERR_OK) return err;
    err = lmdbx_get(txn, TABLE_STAMP, SPAN_LITERAL("boot"), &before);
    if (err == ERR_OK) err = lmdbx_get(txn, TABLE_STAMP, SPAN_LITERAL("clean"), &clean);
    store->doubtful = err == ERR_OK && before.at != NULL && clean.at == NULL && !span_is(before, boot);
    lmdbx_read_end(txn);
    if (err != ERR_OK || store->doubtful) return err;
    store->marks_boot = true;
    return lmdbx_write(store->env, put_boot, (void *)(uintptr_t)boot);
}

bool store_is_doubtful(const struct store *store) { return store->doubtful; }

/* ---- opening ---- */

static enum err put_first_stamp(struct lmdbx_txn *txn, void *ctx)
{
    const struct store_options *options = ctx;
    enum err err = put_u64(txn, SPAN_LITERAL("format"), FORMAT);
    if (err == ERR_OK) err = put_u64(txn, SPAN_LITERAL("partition"), options->partition);
    if (err == ERR_OK) err = lmdbx_put(txn, TABLE_STAMP, SPAN_LITERAL("log"), span_text(options->log));
    return err;
}

static enum err check_stamp(struct lmdbx_txn *txn, const struct store_options *options, bool *ret_fresh)
{
    uint64_t format, partition = 0;
    bool has_format, has_partition = false;
    struct span log = {NULL, 0};
    enum err err = get_u64(txn, SPAN_LITERAL("format"), &format, &has_format);
    if (err == ERR_OK) err = get_u64(txn, SPAN_LITERAL("partition"), &partition, &has_partition);
    if (err == ERR_OK) err = lmdbx_get(txn, TABLE_STAMP, SPAN_LITERAL("log"), &log);
    if (err != ERR_OK) return err;
    *ret_fresh = !has_format && !has_partition && log.at == NULL;
    if (*ret_fresh) return ERR_OK;
    if (!has_format || !has_partition || log.at == NULL) return ERR_CORRUPT;
    if (format != FORMAT) return ERR_VERSION;
    return partition == options->partition && span_is(log, options->log) ? ERR_OK : ERR_FOREIGN;
}

enum err store_open(const struct store_options *options, struct store **ret_store, char *why, size_t why_bytes)
{
    static const char *const tables[TABLES] = {
        [STATE_SPACE] = "space", [STATE_DOC] = "doc", [STATE_BYREV] = "byrev", [STATE_BORN] = "born",
        [STATE_DEVICE] = "device", [STATE_LOSER] = "loser", [STATE_DUE] = "due", [STATE_META] = "meta",
        [TABLE_DEAD] = "dead", [TABLE_STAMP] = "stamp"};
    struct lmdbx_options lmdbx = {.path = options->path, .tables = tables, .tables_count = TABLES,
                                  .sync = options->fsync ? LMDBX_SYNC : LMDBX_SYNC_NOT, .map_bytes = options->map_bytes};
    struct store *store = calloc(1, sizeof *store);
    struct lmdbx_txn *txn;
    bool fresh = false;
    if (store == NULL) return ERR_MEMORY;
    enum err err = lmdbx_open(&lmdbx, &store->env, why, why_bytes);
    if (err != ERR_OK) {
        free(store);
        return err;
    }
    err = lmdbx_read_begin(store->env, &txn);
    if (err == ERR_OK) {
        err = check_stamp(txn, options, &fresh);
        lmdbx_read_end(txn);
    }
    if (err == ERR_OK && fresh) err = lmdbx_write(store->env, put_first_stamp, (void *)(uintptr_t)options);
    if (err == ERR_OK && options->boot != NULL) err = heed_boot(store, options->boot);
    if (err != ERR_OK) {
        snprintf(why, why_bytes, "%s: %s", options->path,
                 err == ERR_FOREIGN ? "belongs to another log or partition: restore the data directory from one copy" : err_text(err));
        store_close(store);
        return err;
    }
    *ret_store = store;
    return ERR_OK;
}

void store_close(struct store *store)
{
    if (store == NULL) return;
    /* Only what is on the disk for certain is called so. */
    if (store->marks_boot && lmdbx_flush(store->env) == ERR_OK && lmdbx_write(store->env, put_clean, NULL) == ERR_OK) (void)lmdbx_flush(store->env);
    lmdbx_close(store->env);
    free(store);
}

/* ---- files ---- */

void store_remove(const char *path)
{
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    char file[PATH_MAX];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int bytes = snprintf(file, sizeof file, "%s/%s", path, files[i]);
        if (bytes > 0 && (size_t)bytes < sizeof file) (void)unlink(file);
    }
    (void)rmdir(path);
}

enum err store_move(const char *from, const char *to, char *why, size_t why_bytes)
{
    if (rename(from, to) == 0) return ERR_OK;
    snprintf(why, why_bytes, "%s: it cannot be put in its place: errno %d", from, errno);
    return ERR_IO;
}

/* ---- applying ---- */

static enum err read_next(struct lmdbx_txn *txn, struct store_stamp *ret_stamp)
{
    struct span value;
    enum err err = lmdbx_get(txn, TABLE_STAMP, SPAN_LITERAL("next"), &value);
    if (err != ERR_OK) return err;
    if (value.at != NULL && value.bytes != 16) return ERR_CORRUPT;
    *ret_stamp = value.at == NULL ? (struct store_stamp){0, 0}
                                  : (struct store_stamp){lmdbx_u64_of_key(value.at), lmdbx_u64_of_key(value.at + 8)};
    return ERR_OK;
}

static enum err put_dead(struct lmdbx_txn *txn, const struct store_dead *dead)
{
    char key[8];
    lmdbx_key_u64(dead->offset, key);
    enum err err = lmdbx_put(txn, TABLE_DEAD, span_of(key, 8), span_of(dead->text, dead->bytes));
    if (err != ERR_OK || lmdbx_count(txn, TABLE_DEAD) <= DEAD_MAX) return err;
    struct span oldest, value;
    err = lmdbx_seek(txn, TABLE_DEAD, span_of("", 0), false, &oldest, &value);
    if (err != ERR_OK || oldest.bytes != 8) return err;
    memcpy(key, oldest.at, 8);
    return lmdbx_remove(txn, TABLE_DEAD, span_of(key, 8));
}

static enum err put_next(struct lmdbx_txn *txn, const struct store_stamp *stamp)
{
    char next[16];
    lmdbx_key_u64(stamp->next_offset, next);
    lmdbx_key_u64(stamp->last_hash, next + 8);
    return lmdbx_put(txn, TABLE_STAMP, SPAN_LITERAL("next"), span_of(next, 16));
}

static enum err fill(struct lmdbx_txn *txn, void *ctx)
{
    const struct store_batch *batch = ctx;
    struct store_stamp before;
    enum err err = read_next(txn, &before);
    assert(err != ERR_OK || before.next_offset <= batch->stamp.next_offset); /* INVARIANT 1 */
    for (size_t i = 0; err == ERR_OK && i < batch->count; i++) {
        const struct cell *cell = batch->cells[i];
        if (cell->removed) err = lmdbx_remove(txn, cell_table(cell), cell_key(cell));
        else err = lmdbx_put(txn, cell_table(cell), cell_key(cell), cell_value(cell));
    }
    for (const struct store_dead *dead = batch->dead; err == ERR_OK && dead != NULL; dead = dead->next) err = put_dead(txn, dead);
    return err != ERR_OK ? err : put_next(txn, &batch->stamp);
}

enum err store_apply(struct store *store, const struct store_batch *batch)
{
    return lmdbx_write(store->env, fill, (void *)(uintptr_t)batch);
}

/* ---- making one ---- */

struct writing {
    enum err (*fill)(struct store_txn *txn, void *ctx);
    void *ctx;
};
static struct lmdbx_txn *lmdbx_of(struct store_txn *txn) { return (struct lmdbx_txn *)(void *)txn; }

static enum err fill_any(struct lmdbx_txn *txn, void *ctx)
{
    const struct writing *writing = ctx;
    return writing->fill((struct store_txn *)(void *)txn, writing->ctx);
}

enum err store_write(struct store *store, enum err (*fill_with)(struct store_txn *txn, void *ctx), void *ctx)
{
    struct writing writing = {fill_with, ctx};
    return lmdbx_write(store->env, fill_any, &writing);
}

enum err store_txn_apply(struct store_txn *txn, const struct state_write *write)
{
    if (write->remove) return lmdbx_remove(lmdbx_of(txn), write->table, write->key);
    return lmdbx_put(lmdbx_of(txn), write->table, write->key, write->value);
}

enum err store_txn_stamp(struct store_txn *txn, const struct store_stamp *stamp) { return put_next(lmdbx_of(txn), stamp); }

/* ---- views ---- */

static enum err view_get(void *ctx, enum state_table table, struct span key, struct span *ret_value)
{
    return lmdbx_get(ctx, table, key, ret_value);
}
static enum err view_seek(void *ctx, enum state_table table, struct span key, bool down, struct span *ret_key, struct span *ret_value)
{
    return lmdbx_seek(ctx, table, key, down, ret_key, ret_value);
}

enum err store_view_begin(struct store *store, struct store_view **ret_view)
{
    struct lmdbx_txn *txn;
    enum err err = lmdbx_read_begin(store->env, &txn);
    if (err == ERR_OK) *ret_view = (struct store_view *)(void *)txn;
    return err;
}
void store_view_end(struct store_view *view) { lmdbx_read_end(view == NULL ? NULL : txn_of(view)); }
struct state_reader store_txn_reader(struct store_txn *txn) { return (struct state_reader){lmdbx_of(txn), view_get, view_seek}; }
struct state_reader store_view_reader(struct store_view *view) { return (struct state_reader){txn_of(view), view_get, view_seek}; }
enum err store_view_stamp(struct store_view *view, struct store_stamp *ret_stamp) { return read_next(txn_of(view), ret_stamp); }
enum err store_dead_find(struct store_view *view, uint64_t offset, struct span *ret_text)
{
    char key[8];
    lmdbx_key_u64(offset, key);
    return lmdbx_get(txn_of(view), TABLE_DEAD, span_of(key, 8), ret_text);
}
uint64_t store_dead_count(struct store *store)
{
    struct lmdbx_txn *txn;
    if (lmdbx_read_begin(store->env, &txn) != ERR_OK) return 0;
    uint64_t count = lmdbx_count(txn, TABLE_DEAD);
    lmdbx_read_end(txn);
    return count;
}
