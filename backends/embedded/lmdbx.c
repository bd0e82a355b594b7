#include "backends/embedded/lmdbx.h"

#include <assert.h>
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READERS_MAX = 126, FREE_TABLE = 0 /* LMDB's own: the pages free to take */ };

struct lmdbx {
    MDB_env *env;
    pthread_rwlock_t resize; /* read: a transaction is open; write: the map is being resized */
    uint64_t map_bytes;
    uint64_t map_bytes_max;
    size_t tables_count;
    MDB_dbi tables[LMDBX_TABLES_MAX];
};

struct lmdbx_txn {
    struct lmdbx *env;
    MDB_txn *txn;
    bool map_full; /* a write did not fit into the map: a larger one may do */
    /* Reads keep the cursor of the table last sought in: a run of seeks is mostly in one table. */
    MDB_cursor *cursor;
    size_t cursor_table;
};

static enum err err_of(int code)
{
    switch (code) {
    case MDB_SUCCESS: return ERR_OK;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ERR_FULL;
    case ENOMEM: return ERR_MEMORY;
    case MDB_VERSION_MISMATCH: return ERR_VERSION;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID: return ERR_CORRUPT;
    default: return ERR_IO;
    }
}

/* ---- opening ---- */

static enum err fail(enum err err, const char *path, int code, char *why, size_t why_bytes)
{
    const char *text = err == ERR_CORRUPT ? "the file is torn or not one of ours" : mdb_strerror(code);
    snprintf(why, why_bytes, "%s/data.mdb: %s", path, text);
    return err;
}

/* Where the map begins: LMDB does not tell, but each page says its number in its first word. */
static const char *map_of(const char *key, size_t page_bytes)
{
    const char *page = (const char *)((uintptr_t)key & ~(uintptr_t)(page_bytes - 1));
    size_t number;
    memcpy(&number, page, sizeof number);
    return page - number * page_bytes;
}

/* Everything that lies past the file's real end reads as zeros once it is extended: no entry may point there. */
static bool reads_below(MDB_txn *txn, MDB_dbi dbi, size_t page_bytes, size_t real_bytes)
{
    MDB_cursor *cursor;
    if (mdb_cursor_open(txn, dbi, &cursor) != MDB_SUCCESS) return false;
    MDB_val key, value;
    int code;
    bool below = true;
    while (below && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        const char *map = map_of(key.mv_data, page_bytes);
        size_t key_end = (size_t)((const char *)key.mv_data - map) + key.mv_size;
        size_t value_end = (size_t)((const char *)value.mv_data - map) + value.mv_size;
        below = key_end <= real_bytes && (value.mv_size == 0 || value_end <= real_bytes);
    }
    mdb_cursor_close(cursor);
    return below && code == MDB_NOTFOUND;
}

/* How long the file is, and how long its newest meta page says. */
struct lengths {
    int fd;
    size_t told_bytes, real_bytes, page_bytes;
};

/* What lies past the end of a short file would kill the process by SIGBUS, even the page where LMDB looks for its tables: so it is
 * made to read as zeros before anything is read. shorten() takes that back. */
static enum err lengthen(struct lmdbx *env, const char *path, char *why, size_t why_bytes, struct lengths *ret_lengths)
{
    MDB_envinfo info;
    MDB_stat stat_of;
    struct stat st;
    struct lengths lengths = {0};
    mdb_env_info(env->env, &info);
    mdb_env_stat(env->env, &stat_of);
    if (mdb_env_get_fd(env->env, &lengths.fd) != MDB_SUCCESS || fstat(lengths.fd, &st) != 0) return fail(ERR_IO, path, errno, why, why_bytes);
    lengths.page_bytes = stat_of.ms_psize;
    lengths.told_bytes = (info.me_last_pgno + 1) * stat_of.ms_psize;
    lengths.real_bytes = (size_t)st.st_size;
    if (lengths.real_bytes < lengths.told_bytes && ftruncate(lengths.fd, (off_t)lengths.told_bytes) != 0) return fail(err_of(errno), path, errno, why, why_bytes);
    *ret_lengths = lengths;
    return ERR_OK;
}

static enum err shorten(const struct lengths *lengths, const char *path, char *why, size_t why_bytes)
{
    if (lengths->real_bytes >= lengths->told_bytes || ftruncate(lengths->fd, (off_t)lengths->real_bytes) == 0) return ERR_OK;
    return fail(ERR_IO, path, errno, why, why_bytes);
}

/* LMDB may leave its last pages unwritten when they were freed in the transaction that made them, so a short file is not
 * torn by itself: it is when something reachable lies past its end. Rare, so a walk over everything may cost. */
static bool is_whole(struct lmdbx *env, const struct lengths *lengths)
{
    MDB_txn *txn;
    bool sound = false;
    if (lengths->real_bytes >= lengths->told_bytes) return true;
    if (mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS) return false;
    sound = reads_below(txn, FREE_TABLE, lengths->page_bytes, lengths->real_bytes);
    for (size_t i = 0; sound && i < env->tables_count; i++)
        sound = reads_below(txn, env->tables[i], lengths->page_bytes, lengths->real_bytes);
    mdb_txn_abort(txn);
    return sound;
}

/* A file that ends amid its two meta pages was torn, or never was one of ours; LMDB takes an empty one for a new one. */
static bool is_cut_at_birth(const char *path)
{
    char file[4096];
    struct stat st;
    snprintf(file, sizeof file, "%s/data.mdb", path);
    return stat(file, &st) == 0 && st.st_size > 0 && st.st_size < 2 * (off_t)sysconf(_SC_PAGESIZE);
}

static int open_tables(struct lmdbx *env, const struct lmdbx_options *options)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(env->env, NULL, 0, &txn);
    if (code != MDB_SUCCESS) return code;
    for (size_t i = 0; code == MDB_SUCCESS && i < options->tables_count; i++)
        code = mdb_dbi_open(txn, options->tables[i], MDB_CREATE, &env->tables[i]);
    if (code == MDB_SUCCESS) return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return code;
}

static enum err open_whole(struct lmdbx *env, const struct lmdbx_options *options, char *why, size_t why_bytes)
{
    struct lengths lengths = {0};
    enum err err = lengthen(env, options->path, why, why_bytes, &lengths);
    if (err != ERR_OK) return err;
    int code = open_tables(env, options);
    if (code == MDB_SUCCESS && is_whole(env, &lengths)) return ERR_OK;
    err = shorten(&lengths, options->path, why, why_bytes);
    if (err != ERR_OK) return err;
    return code == MDB_SUCCESS ? fail(ERR_CORRUPT, options->path, 0, why, why_bytes) : fail(err_of(code), options->path, code, why, why_bytes);
}

static int open_env(struct lmdbx *env, const struct lmdbx_options *options)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    if (options->sync == LMDBX_SYNC_ONCE) flags |= MDB_NOMETASYNC;
    if (options->sync == LMDBX_SYNC_NOT) flags |= MDB_NOSYNC;
    if (mkdir(options->path, 0700) != 0 && errno != EEXIST) return errno;
    if (is_cut_at_birth(options->path)) return MDB_INVALID;
    int code = mdb_env_set_maxdbs(env->env, (MDB_dbi)options->tables_count);
    if (code == MDB_SUCCESS) code = mdb_env_set_maxreaders(env->env, READERS_MAX);
    if (code == MDB_SUCCESS) code = mdb_env_set_mapsize(env->env, env->map_bytes);
    if (code == MDB_SUCCESS) code = mdb_env_open(env->env, options->path, flags, 0600);
    if (code != MDB_SUCCESS) return code;
    MDB_envinfo info; /* an existing file may be larger than asked for */
    mdb_env_info(env->env, &info);
    env->map_bytes = info.me_mapsize;
    return MDB_SUCCESS;
}

static void init_lock(pthread_rwlock_t *lock)
{
    /* A reader never takes the lock twice, so a waiting resize may go before further readers: it cannot starve. */
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    int code = pthread_rwlock_init(lock, &attributes);
    assert(code == 0);
    pthread_rwlockattr_destroy(&attributes);
}

enum err lmdbx_open(const struct lmdbx_options *options, struct lmdbx **ret_env, char *why, size_t why_bytes)
{
    assert(options->tables_count <= LMDBX_TABLES_MAX);
    struct lmdbx *env = calloc(1, sizeof *env);
    if (env == NULL || mdb_env_create(&env->env) != MDB_SUCCESS) {
        free(env);
        return fail(ERR_MEMORY, options->path, ENOMEM, why, why_bytes);
    }
    init_lock(&env->resize);
    env->map_bytes_max = options->map_bytes_max != 0 ? options->map_bytes_max : UINT64_C(1) << 40;
    env->map_bytes = options->map_bytes != 0 ? options->map_bytes : UINT64_C(1) << 30;
    if (env->map_bytes > env->map_bytes_max) env->map_bytes = env->map_bytes_max;
    env->tables_count = options->tables_count;
    int code = open_env(env, options);
    enum err err = code == MDB_SUCCESS ? open_whole(env, options, why, why_bytes) : fail(err_of(code), options->path, code, why, why_bytes);
    if (err != ERR_OK) {
        lmdbx_close(env);
        return err;
    }
    *ret_env = env;
    return ERR_OK;
}

void lmdbx_close(struct lmdbx *env)
{
    if (env == NULL) return;
    mdb_env_close(env->env);
    pthread_rwlock_destroy(&env->resize);
    free(env);
}

enum err lmdbx_flush(struct lmdbx *env) { return err_of(mdb_env_sync(env->env, 1)); }

uint64_t lmdbx_file_bytes(struct lmdbx *env)
{
    int fd;
    struct stat st;
    if (mdb_env_get_fd(env->env, &fd) != MDB_SUCCESS || fstat(fd, &st) != 0) return 0;
    return (uint64_t)st.st_size;
}

/* ---- transactions ---- */

static enum err grow(struct lmdbx *env)
{
    if (env->map_bytes >= env->map_bytes_max) return ERR_FULL;
    uint64_t bytes = env->map_bytes * 2;
    if (bytes > env->map_bytes_max) bytes = env->map_bytes_max;
    pthread_rwlock_wrlock(&env->resize);
    int code = mdb_env_set_mapsize(env->env, bytes);
    if (code == MDB_SUCCESS) env->map_bytes = bytes;
    pthread_rwlock_unlock(&env->resize);
    return err_of(code);
}

/* A commit that was cut short is an I/O error to LMDB, whatever cut it: is there room for one more page? */
static bool has_room(struct lmdbx *env)
{
    static const char page[4096];
    int fd;
    struct stat st;
    if (mdb_env_get_fd(env->env, &fd) != MDB_SUCCESS || fstat(fd, &st) != 0) return true;
    bool room = pwrite(fd, page, sizeof page, st.st_size) == (ssize_t)sizeof page;
    return ftruncate(fd, st.st_size) != 0 || room;
}

static enum err commit(struct lmdbx_txn *txn)
{
    int code = mdb_txn_commit(txn->txn);
    txn->map_full = txn->map_full || code == MDB_MAP_FULL;
    return code == EIO && !has_room(txn->env) ? ERR_FULL : err_of(code);
}

static enum err write_once(struct lmdbx *env, enum err (*fill)(struct lmdbx_txn *txn, void *ctx), void *ctx, bool *ret_map_full)
{
    struct lmdbx_txn txn = {.env = env};
    pthread_rwlock_rdlock(&env->resize);
    enum err err = err_of(mdb_txn_begin(env->env, NULL, 0, &txn.txn));
    if (err == ERR_OK) {
        err = fill(&txn, ctx);
        if (txn.cursor != NULL) mdb_cursor_close(txn.cursor);
        if (err == ERR_OK) err = commit(&txn);
        else mdb_txn_abort(txn.txn);
    }
    pthread_rwlock_unlock(&env->resize);
    *ret_map_full = txn.map_full;
    return err;
}

enum err lmdbx_write(struct lmdbx *env, enum err (*fill)(struct lmdbx_txn *txn, void *ctx), void *ctx)
{
    for (;;) {
        bool map_full = false;
        enum err err = write_once(env, fill, ctx, &map_full);
        if (err != ERR_FULL || !map_full) return err;
        if (grow(env) != ERR_OK) return ERR_FULL;
    }
}

enum err lmdbx_read_begin(struct lmdbx *env, struct lmdbx_txn **ret_txn)
{
    struct lmdbx_txn *txn = calloc(1, sizeof *txn);
    if (txn == NULL) return ERR_MEMORY;
    txn->env = env;
    pthread_rwlock_rdlock(&env->resize);
    enum err err = err_of(mdb_txn_begin(env->env, NULL, MDB_RDONLY, &txn->txn));
    if (err != ERR_OK) {
        pthread_rwlock_unlock(&env->resize);
        free(txn);
        return err;
    }
    *ret_txn = txn;
    return ERR_OK;
}

void lmdbx_read_end(struct lmdbx_txn *txn)
{
    if (txn == NULL) return;
    if (txn->cursor != NULL) mdb_cursor_close(txn->cursor);
    mdb_txn_abort(txn->txn);
    pthread_rwlock_unlock(&txn->env->resize);
    free(txn);
}

/* ---- entries ---- */

static MDB_val val_of(struct span span)
{
    return (MDB_val){.mv_size = span.bytes, .mv_data = (void *)(uintptr_t)span.at};
}
static struct span span_of_val(MDB_val val)
{
    /* `at` NULL says "none", so an empty value still points somewhere. */
    return span_of(val.mv_data != NULL ? val.mv_data : "", val.mv_size);
}
static MDB_dbi dbi_of(const struct lmdbx_txn *txn, size_t table)
{
    assert(table < txn->env->tables_count);
    return txn->env->tables[table];
}

enum err lmdbx_get(struct lmdbx_txn *txn, size_t table, struct span key, struct span *ret_value)
{
    MDB_val k = val_of(key), v;
    int code = mdb_get(txn->txn, dbi_of(txn, table), &k, &v);
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND) return err_of(code);
    *ret_value = code == MDB_SUCCESS ? span_of_val(v) : span_of(NULL, 0);
    return ERR_OK;
}

static int cursor_of(struct lmdbx_txn *txn, size_t table, MDB_cursor **ret_cursor)
{
    if (txn->cursor != NULL && txn->cursor_table != table) {
        mdb_cursor_close(txn->cursor);
        txn->cursor = NULL;
    }
    if (txn->cursor == NULL) {
        int code = mdb_cursor_open(txn->txn, dbi_of(txn, table), &txn->cursor);
        if (code != MDB_SUCCESS) return code;
        txn->cursor_table = table;
    }
    *ret_cursor = txn->cursor;
    return MDB_SUCCESS;
}

static enum err found(int code, MDB_val key, MDB_val value, struct span *ret_key, struct span *ret_value)
{
    if (code != MDB_SUCCESS && code != MDB_NOTFOUND) return err_of(code);
    *ret_key = code == MDB_SUCCESS ? span_of_val(key) : span_of(NULL, 0);
    *ret_value = code == MDB_SUCCESS ? span_of_val(value) : span_of(NULL, 0);
    return ERR_OK;
}

enum err lmdbx_seek(struct lmdbx_txn *txn, size_t table, struct span key, bool down, struct span *ret_key,
                    struct span *ret_value)
{
    MDB_cursor *cursor;
    MDB_val k = val_of(key), v = {0, NULL};
    int code = cursor_of(txn, table, &cursor);
    if (code != MDB_SUCCESS) return err_of(code);
    code = mdb_cursor_get(cursor, &k, &v, key.bytes == 0 ? MDB_FIRST : MDB_SET_RANGE);
    if (down) {
        if (code == MDB_NOTFOUND) code = key.bytes == 0 ? code : mdb_cursor_get(cursor, &k, &v, MDB_LAST);
        else if (code == MDB_SUCCESS) code = key.bytes == 0 ? MDB_NOTFOUND : mdb_cursor_get(cursor, &k, &v, MDB_PREV);
    }
    return found(code, k, v, ret_key, ret_value);
}

enum err lmdbx_last(struct lmdbx_txn *txn, size_t table, struct span *ret_key, struct span *ret_value)
{
    MDB_cursor *cursor;
    MDB_val k = {0, NULL}, v = {0, NULL};
    int code = cursor_of(txn, table, &cursor);
    if (code == MDB_SUCCESS) code = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
    return found(code, k, v, ret_key, ret_value);
}

static enum err wrote(struct lmdbx_txn *txn, int code)
{
    if (code == MDB_MAP_FULL) txn->map_full = true;
    return err_of(code);
}

enum err lmdbx_put(struct lmdbx_txn *txn, size_t table, struct span key, struct span value)
{
    MDB_val k = val_of(key), v = val_of(value);
    return wrote(txn, mdb_put(txn->txn, dbi_of(txn, table), &k, &v, 0));
}

enum err lmdbx_put_room(struct lmdbx_txn *txn, size_t table, struct span key, size_t bytes, bool append, char **ret_at)
{
    MDB_val k = val_of(key), v = {.mv_size = bytes, .mv_data = NULL};
    int code = mdb_put(txn->txn, dbi_of(txn, table), &k, &v, MDB_RESERVE | (append ? MDB_APPEND : 0));
    if (code == MDB_SUCCESS) *ret_at = v.mv_data;
    return wrote(txn, code);
}

enum err lmdbx_remove(struct lmdbx_txn *txn, size_t table, struct span key)
{
    MDB_val k = val_of(key);
    int code = mdb_del(txn->txn, dbi_of(txn, table), &k, NULL);
    return code == MDB_NOTFOUND ? ERR_OK : wrote(txn, code);
}

uint64_t lmdbx_count(struct lmdbx_txn *txn, size_t table)
{
    MDB_stat stat_of;
    return mdb_stat(txn->txn, dbi_of(txn, table), &stat_of) == MDB_SUCCESS ? stat_of.ms_entries : 0;
}
