/* The file itself: opening and making it, transactions, statements. */
#include "client/store_parts.h"

#include <assert.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/asset.h"
#include "base/clock.h"

enum { APPLICATION_ID = 0x54494445, VERSION = 3, CACHE_KIB = 8192, WAIT_STEP_MOST_MS = 20 };
/* By a store's version: what it lacks stands in the schema behind this line. */
static const char *const since[] = {[1] = "-- SINCE VERSION 2\n", [2] = "-- SINCE VERSION 3\n"};

enum err store_err_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return ERR_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERR_BUSY;
    case SQLITE_NOMEM: return ERR_MEMORY;
    case SQLITE_FULL: return ERR_FULL;
    case SQLITE_CORRUPT: return ERR_CORRUPT;
    case SQLITE_NOTADB: return ERR_FOREIGN;
    default: return ERR_IO;
    }
}

void store_fail(struct store *store, enum err err)
{
    if (store->err == ERR_OK) store->err = err;
}

/* ---- statements ---- */

sqlite3_stmt *store_sql(struct store *store, const char *sql)
{
    size_t at = ((uintptr_t)sql >> 3) * 2654435761u % STORE_STATEMENTS;
    if (store->err != ERR_OK) return NULL;
    while (store->statements[at].sql != NULL && store->statements[at].sql != sql) at = (at + 1) % STORE_STATEMENTS;
    if (store->statements[at].sql == NULL) {
        int code = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &store->statements[at].statement, NULL);
        if (code != SQLITE_OK) {
            store_fail(store, store_err_of(code));
            return NULL;
        }
        store->statements[at].sql = sql;
    }
    return store->statements[at].statement;
}

static sqlite3_stmt *bind_all(struct store *store, const char *sql, const char *types, va_list args)
{
    if (!store->is_open) store->err = ERR_OK; /* reading outside of transactions stands by itself */
    sqlite3_stmt *statement = store_sql(store, sql);
    if (statement == NULL) return NULL;
    for (int i = 1; *types != '\0'; i++, types++) {
        int code = SQLITE_OK;
        if (*types == 'i') {
            code = sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
        } else if (*types == 'u') {
            code = sqlite3_bind_int64(statement, i, (int64_t)va_arg(args, uint64_t));
        } else if (*types == 'b') {
            code = sqlite3_bind_int64(statement, i, va_arg(args, int) != 0);
        } else if (*types == 's') {
            code = sqlite3_bind_text(statement, i, va_arg(args, const char *), -1, SQLITE_STATIC);
        } else {
            struct span text = va_arg(args, struct span);
            assert(*types == 't' && text.bytes <= INT32_MAX);
            code = sqlite3_bind_text(statement, i, text.at, (int)text.bytes, SQLITE_STATIC);
        }
        if (code != SQLITE_OK) store_fail(store, store_err_of(code));
    }
    return store->err == ERR_OK ? statement : NULL;
}

sqlite3_stmt *store_bind(struct store *store, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = bind_all(store, sql, types, args);
    va_end(args);
    return statement;
}

void store_run(struct store *store, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *statement = bind_all(store, sql, types, args);
    va_end(args);
    assert(statement == NULL || store->is_open);
    if (statement == NULL) return;
    int code = sqlite3_step(statement);
    if (code != SQLITE_DONE) store_fail(store, store_err_of(code));
    sqlite3_reset(statement);
}

bool store_next(struct store *store, sqlite3_stmt *statement)
{
    if (statement == NULL) return false;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) store_fail(store, store_err_of(code));
    sqlite3_reset(statement);
    return false;
}

void store_done(sqlite3_stmt *statement)
{
    if (statement != NULL) sqlite3_reset(statement);
}

struct span store_text(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return span_of(text, text == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, column));
}

struct span store_copy(struct store *store, struct arena *arena, sqlite3_stmt *statement, int column)
{
    struct span text = store_text(statement, column);
    if (text.at == NULL) return text;
    struct span copy = arena_copy(arena, text);
    if (copy.at == NULL) store_fail(store, ERR_MEMORY);
    return copy;
}

void store_chars(sqlite3_stmt *statement, int column, char *ret_text, size_t room)
{
    struct span text = store_text(statement, column);
    snprintf(ret_text, room, "%.*s", (int)text.bytes, text.at == NULL ? "" : text.at);
}

uint64_t store_count(struct store *store, const char *sql)
{
    uint64_t count = 0;
    sqlite3_stmt *row = store_bind(store, sql, "");
    if (store_next(store, row)) {
        count = store_u64(row, 0);
        store_done(row);
    }
    return count;
}

uint64_t store_u64(sqlite3_stmt *statement, int column) { return (uint64_t)sqlite3_column_int64(statement, column); }

/* ---- self ---- */

static void read_self(struct store *store)
{
    struct store_self *self = &store->self;
    sqlite3_stmt *row = store_bind(store, "SELECT device, user, log, next_push, seq, runs, fork_at, clock_boot, clock_boot_ms, clock_wall_ms, clock_server_ms"
                                   " FROM store WHERE one = 1", "");
    if (!store_next(store, row)) {
        store_fail(store, ERR_CORRUPT);
        return;
    }
    memset(self, 0, sizeof *self); /* compared as bytes */
    store_chars(row, 0, self->device, sizeof self->device);
    store_chars(row, 1, self->user, sizeof self->user);
    store_chars(row, 2, self->log, sizeof self->log);
    self->next_push = store_u64(row, 3);
    self->seq = store_u64(row, 4);
    self->runs = store_u64(row, 5);
    self->fork_at = store_u64(row, 6);
    store_chars(row, 7, self->clock.boot, sizeof self->clock.boot);
    self->clock.boot_ms = sqlite3_column_int64(row, 8);
    self->clock.wall_ms = sqlite3_column_int64(row, 9);
    self->clock.server_ms = sqlite3_column_int64(row, 10);
    store_done(row);
}

static void write_self(struct store *store)
{
    const struct store_self *self = &store->self;
    if (memcmp(self, &store->self_before, sizeof *self) == 0) return;
    store_run(store, "UPDATE store SET device = ?, user = nullif(?, ''), log = nullif(?, ''), next_push = ?, seq = ?, runs = ?, fork_at = ?, clock_boot = nullif(?, ''),"
              " clock_boot_ms = ?, clock_wall_ms = ?, clock_server_ms = ? WHERE one = 1", "sssuuuusiii", self->device, self->user, self->log, self->next_push,
              self->seq, self->runs, self->fork_at, self->clock.boot, self->clock.boot_ms, self->clock.wall_ms, self->clock.server_ms);
}

enum err store_read_err(const struct store *store) { return store->is_open ? ERR_OK : store->err; }

struct store_self *store_self(struct store *store) { return &store->self; }

void store_refresh(struct store *store)
{
    assert(!store->is_open);
    store->err = ERR_OK;
    read_self(store);
    store->err = ERR_OK;
}

uint64_t store_version(struct store *store)
{
    enum err before = store->err;
    uint64_t version = 0;
    store->err = ERR_OK;
    sqlite3_stmt *row = store_bind(store, "PRAGMA data_version", "");
    if (store_next(store, row)) {
        version = store_u64(row, 0);
        store_done(row);
    }
    store->err = before;
    return version;
}

/* ---- transactions ---- */

bool store_is_open(const struct store *store) { return store->is_open; }

static int execute(struct store *store, const char *sql) { return sqlite3_exec(store->db, sql, NULL, NULL, NULL); }

enum err store_begin(struct store *store, bool durable)
{
    assert(!store->is_open);
    if (durable != store->is_durable) {
        int code = execute(store, durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
        if (code != SQLITE_OK) return store_err_of(code);
        store->is_durable = durable;
    }
    int code = execute(store, "BEGIN IMMEDIATE");
    if (code != SQLITE_OK) return store_err_of(code);
    store->is_open = true;
    store->err = ERR_OK;
    store->has_sum = false;
    store->dirty_count = 0;
    store->dirty_all = false;
    read_self(store);
    store->self_before = store->self;
    if (store->err == ERR_OK) return ERR_OK;
    enum err err = store->err;
    store_rollback(store);
    return err;
}

void store_rollback(struct store *store)
{
    assert(store->is_open);
    if (sqlite3_get_autocommit(store->db) == 0) execute(store, "ROLLBACK");
    store->is_open = false;
    store->has_sum = false;
    store->self = store->self_before;
    store->err = ERR_OK;
}

enum err store_commit(struct store *store)
{
    assert(store->is_open && (store->dirty_count == 0 || store->err != ERR_OK));
    store_sum_flush(store);
    write_self(store);
    if (store->err == ERR_OK) store_fail(store, store_err_of(execute(store, "COMMIT")));
    enum err err = store->err;
    if (err != ERR_OK) store_rollback(store);
    store->is_open = false;
    return err;
}

/* ---- waiting for another's write ---- */

int64_t store_set_deadline(struct store *store, int64_t end_ms)
{
    int64_t before = store->deadline_ms;
    store->deadline_ms = end_ms;
    return before;
}

static int wait_a_little(void *ctx, int count)
{
    struct store *store = ctx;
    int64_t now = clock_monotonic_ms();
    if (count == 0) store->waits_ms = now;
    if (now - store->waits_ms >= STORE_WAIT_MS || (store->deadline_ms != 0 && now >= store->deadline_ms)) return 0;
    return poll(NULL, 0, count < WAIT_STEP_MOST_MS ? count + 1 : WAIT_STEP_MOST_MS) == 0;
}

/* ---- opening ---- */

static int64_t pragma(struct store *store, const char *sql, int *ret_code)
{
    sqlite3_stmt *row = NULL;
    int64_t value = 0;
    *ret_code = sqlite3_prepare_v2(store->db, sql, -1, &row, NULL);
    if (*ret_code == SQLITE_OK && (*ret_code = sqlite3_step(row)) == SQLITE_ROW) value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    *ret_code = *ret_code == SQLITE_ROW ? SQLITE_OK : *ret_code;
    return value;
}

static int make_schema(struct store *store, const char *device)
{
    char identity[256];
    assert(asset_store_count == 1);
    int code = execute(store, (const char *)asset_store[0].data);
    if (code != SQLITE_OK) return code;
    snprintf(identity, sizeof identity, "INSERT INTO store VALUES (1, '%s', NULL, NULL, 1, 0, 0, 0, NULL, 0, 0, 0); PRAGMA application_id = %d; PRAGMA user_version = %d",
             device, APPLICATION_ID, VERSION);
    return execute(store, identity);
}

static int mend_schema(struct store *store, int64_t version)
{
    const char *from = strstr((const char *)asset_store[0].data, since[version]);
    char set_version[64];
    assert(from != NULL);
    snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", VERSION);
    int code = execute(store, from);
    return code == SQLITE_OK ? execute(store, set_version) : code;
}

/* SQLite asks no busy handler when the file is turned to WAL, which two processes that make it do at once. */
static int to_wal(struct store *store)
{
    int code = execute(store, "PRAGMA journal_mode = WAL");
    for (int count = 0; (code & 0xff) == SQLITE_BUSY && wait_a_little(store, count); count++) code = execute(store, "PRAGMA journal_mode = WAL");
    return code;
}

/* Two processes may come to make it at once: who is second finds it made. */
static enum err make_or_check(struct store *store, const char *device)
{
    int code = execute(store, "BEGIN IMMEDIATE"), more;
    if (code != SQLITE_OK) return store_err_of(code);
    int64_t version = pragma(store, "PRAGMA user_version", &code), id = pragma(store, "PRAGMA application_id", &more);
    int64_t tables = pragma(store, "SELECT count(*) FROM sqlite_master", &more);
    enum err err = store_err_of(code != SQLITE_OK ? code : more);
    if (err == ERR_OK && tables == 0 && version == 0 && id == 0) err = store_err_of(make_schema(store, device));
    else if (err == ERR_OK && id != APPLICATION_ID) err = ERR_FOREIGN;
    else if (err == ERR_OK && version >= 1 && version < VERSION) err = store_err_of(mend_schema(store, version));
    else if (err == ERR_OK && version != VERSION) err = ERR_VERSION;
    if (err == ERR_OK) err = store_err_of(execute(store, "COMMIT"));
    if (err != ERR_OK && sqlite3_get_autocommit(store->db) == 0) execute(store, "ROLLBACK");
    return err;
}

static enum err set_up(struct store *store, const struct store_keys *keys, const char *device)
{
    char cache[64];
    const unsigned char *key = keys->new_key != NULL ? keys->new_key : keys->key;
    if (key != NULL && !store_crypt_can()) return ERR_KEY;
    enum err err = keys->new_key != NULL ? store_rekey(store->path, keys) : store_crypt_look(store->path, key);
    if (err != ERR_OK) return err;
    snprintf(cache, sizeof cache, "PRAGMA cache_size = -%d", CACHE_KIB);
    int code = sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) return store_err_of(code);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_handler(store->db, wait_a_little, store);
    err = store_crypt_unlock(store->db, key);
    if (err != ERR_OK) return err;
    code = to_wal(store);
    if (code == SQLITE_OK) code = execute(store, cache);
    if (code == SQLITE_OK) code = execute(store, "PRAGMA synchronous = FULL");
    if (code != SQLITE_OK) return store_err_of(code);
    store->is_durable = true;
    return make_or_check(store, device);
}

/* What the file is, or what is wrong with it. */
static const char *what_is(enum err err, const struct store *store)
{
    struct stat at;
    if (stat(store->path, &at) == 0 && S_ISDIR(at.st_mode)) return "it is a directory, and no file";
    if (err == ERR_FOREIGN) return store->db == NULL ? "it is no SQLite file" : "it is an SQLite file of something else, and no store of this library";
    if (err == ERR_VERSION) return "it was made by a later version of this library";
    if (err == ERR_BUSY) return "another process has it";
    return err_text(err);
}

/* Where it did not come to opening it. */
static const char *why_not(enum err err, const struct store_keys *keys)
{
    if (err == ERR_KEY && !store_crypt_can()) return "the SQLite that this program is linked with cannot encrypt";
    if (err == ERR_KEY) return "another key, or no key at all, was it made with";
    if (err == ERR_FOREIGN && keys->key == NULL) return "or it is encrypted, and no key was given";
    if (err == ERR_BUSY) return "another handle has it open";
    return err == ERR_MEMORY ? "out of memory" : "it cannot be opened";
}

enum err store_open_file(const char *path, const struct store_keys *keys, const char *device, struct store **ret_store, char *ret_why, size_t why_bytes)
{
    struct store *store = calloc(1, sizeof *store);
    if (store != NULL) store->path = strdup(path);
    if (store == NULL || store->path == NULL) {
        free(store);
        return ERR_MEMORY;
    }
    store->lock_fd = -1;
    enum err err = set_up(store, keys, device);
    if (err == ERR_OK) {
        read_self(store);
        err = store->err;
    }
    if (err != ERR_OK) {
        const char *more = store->db == NULL ? why_not(err, keys) : err == ERR_FOREIGN || err == ERR_VERSION ? "" : sqlite3_errmsg(store->db);
        snprintf(ret_why, why_bytes, more[0] == '\0' ? "%s: %s%s" : "%s: %s (%s)", path, what_is(err, store), more);
        store_close_file(store);
        return err;
    }
    *ret_store = store;
    return ERR_OK;
}

void store_close_file(struct store *store)
{
    if (store == NULL) return;
    assert(!store->is_open);
    for (size_t i = 0; i < STORE_STATEMENTS; i++) sqlite3_finalize(store->statements[i].statement);
    store_unlock(store);
    sqlite3_close(store->db);
    free(store->dirty);
    free(store->path);
    free(store);
}

const char *store_path(const struct store *store) { return store->path; }
