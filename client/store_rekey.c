/* Another key for the file, or a first one: a copy is written beside it, under the new key, and takes its place when it is whole.
 *
 * The pragma that encryption libraries have for this rewrites the file in place, and a process that dies meanwhile leaves a
 * journal that only one of the two keys reads. A rename has no such moment: whenever this is cut, the file is whole, and the old key's
 * or the new one's.
 *
 * INVARIANTS
 * 1. While it copies, nobody else has the file: it is out of its log, which takes being alone, and locked.
 * 2. Who waited for the lock with the old key finds the file moved, which SQLite tells, and cannot write into it.
 * 3. A copy that was left behind by a process that died is thrown away by the next. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/store_parts.h"

enum { PATH_BYTES_MAX = 4096, SQL_BYTES = 512 };

struct copying {
    sqlite3 *from, *to;
    char path[PATH_BYTES_MAX]; /* of the copy */
};

static int64_t number(sqlite3 *db, const char *sql, int *ret_code)
{
    sqlite3_stmt *row = NULL;
    int64_t value = 0;
    *ret_code = sqlite3_prepare_v2(db, sql, -1, &row, NULL);
    if (*ret_code == SQLITE_OK && (*ret_code = sqlite3_step(row)) == SQLITE_ROW) value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    *ret_code = *ret_code == SQLITE_ROW || *ret_code == SQLITE_DONE ? SQLITE_OK : *ret_code;
    return value;
}

static int execute(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, NULL, NULL, NULL); }

/* ---- copying ---- */

static int copy_rows(struct copying *copying, const char *table)
{
    char *select = sqlite3_mprintf("SELECT * FROM \"%w\"", table);
    sqlite3_stmt *from = NULL, *to = NULL;
    int code = select == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(copying->from, select, -1, &from, NULL);
    int columns = code == SQLITE_OK ? sqlite3_column_count(from) : 0;
    sqlite3_str *insert = sqlite3_str_new(copying->to);
    sqlite3_str_appendf(insert, "INSERT INTO \"%w\" VALUES (?", table);
    for (int i = 1; i < columns; i++) sqlite3_str_appendall(insert, ",?");
    sqlite3_str_appendall(insert, ")");
    char *text = sqlite3_str_finish(insert);
    if (code == SQLITE_OK) code = text == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(copying->to, text, -1, &to, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(from)) == SQLITE_ROW) {
        code = SQLITE_OK;
        for (int i = 0; i < columns && code == SQLITE_OK; i++) code = sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i));
        if (code == SQLITE_OK && (code = sqlite3_step(to)) == SQLITE_DONE) code = sqlite3_reset(to);
    }
    sqlite3_finalize(from);
    sqlite3_finalize(to);
    sqlite3_free(select);
    sqlite3_free(text);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Tables with their rows, then (`rest`) indices and views. */
static int copy_schema(struct copying *copying, bool rest)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(copying->from, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' AND (type = 'table') <> ?", -1, &row, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_int(row, 1, rest);
    while (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        code = execute(copying->to, (const char *)sqlite3_column_text(row, 1));
        if (code == SQLITE_OK && !rest) code = copy_rows(copying, (const char *)sqlite3_column_text(row, 0));
    }
    sqlite3_finalize(row);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int copy(struct copying *copying)
{
    char sql[SQL_BYTES];
    int code, more;
    int64_t id = number(copying->from, "PRAGMA application_id", &code), version = number(copying->from, "PRAGMA user_version", &more);
    snprintf(sql, sizeof sql, "PRAGMA application_id = %lld; PRAGMA user_version = %lld", (long long)id, (long long)version);
    if (code == SQLITE_OK) code = more;
    if (code == SQLITE_OK) code = execute(copying->to, "PRAGMA synchronous = FULL; BEGIN IMMEDIATE");
    if (code == SQLITE_OK) code = copy_schema(copying, false);
    if (code == SQLITE_OK) code = copy_schema(copying, true);
    if (code == SQLITE_OK) code = execute(copying->to, sql);
    return code == SQLITE_OK ? execute(copying->to, "COMMIT") : code;
}

/* ---- taking its place ---- */

/* The name must outlive a power cut too. */
static enum err take_place(const char *from, const char *path)
{
    char folder[PATH_BYTES_MAX];
    struct stat before;
    /* Who may read it, too: the copy was made as any new file is. */
    if (stat(path, &before) != 0 || chmod(from, before.st_mode & 07777) != 0) return ERR_IO;
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL) snprintf(folder, sizeof folder, ".");
    else slash[slash == folder] = '\0';
    if (rename(from, path) != 0) return ERR_IO;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return ERR_OK;
}

/* Alone with the file, and locked. */
static enum err lock_out(sqlite3 *db)
{
    int code = execute(db, "PRAGMA journal_mode = DELETE"), more;
    if (code == SQLITE_OK) code = execute(db, "BEGIN EXCLUSIVE");
    if (code != SQLITE_OK) return store_err_of(code);
    /* Somebody may have come between the two. */
    return number(db, "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'delete'", &more) == 1 && more == SQLITE_OK ? ERR_OK : ERR_BUSY;
}

enum err store_rekey(const char *path, const struct store_keys *keys)
{
    struct copying copying = {NULL, NULL, ""};
    enum err err = store_crypt_look(path, keys->key);
    if (err != ERR_OK) return err;
    if (access(path, F_OK) != 0) return ERR_OK; /* it is made with that key */
    if (snprintf(copying.path, sizeof copying.path, "%s-rekey", path) >= (int)sizeof copying.path) return ERR_INVALID;
    if (unlink(copying.path) != 0 && errno != ENOENT) return ERR_IO;
    err = store_err_of(sqlite3_open_v2(path, &copying.from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
    if (err == ERR_OK) err = store_crypt_unlock(copying.from, keys->key);
    sqlite3_busy_timeout(copying.from, STORE_WAIT_MS);
    if (err == ERR_OK) err = lock_out(copying.from);
    if (err == ERR_OK) err = store_err_of(sqlite3_open_v2(copying.path, &copying.to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
    if (err == ERR_OK) err = store_crypt_unlock(copying.to, keys->new_key);
    if (err == ERR_OK) err = store_err_of(copy(&copying));
    if (sqlite3_close(copying.to) != SQLITE_OK && err == ERR_OK) err = ERR_IO;
    if (err == ERR_OK) err = take_place(copying.path, path);
    if (err != ERR_OK) unlink(copying.path);
    sqlite3_close(copying.from); /* and with it the lock */
    return err;
}
