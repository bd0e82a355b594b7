/* Encryption at rest: the file as a whole, by the SQLite that the library was linked with.
 *
 * FORMAT  SQLCipher's, version 4: pages under AES-256, each with a nonce and an HMAC-SHA512 of its own, the log (WAL) too. So
 * whoever has the key reads the file with SQLCipher's own tools. Two libraries with SQLite's interface write it: SQLCipher itself
 * and SQLite3 Multiple Ciphers. Which one is there is asked by pragmas that SQLite, which has none of this, answers with nothing at
 * all: a key is refused then, for it would be ignored without a word.
 *
 * INVARIANTS
 * 1. With a key that does not open the file nothing is written: not a page, not a new store. The key is tried on the file alone, as
 *    on one that never changes: SQLite would take a log that it cannot read for an empty one, and clear it away.
 * 2. Keys, and the SQL that carries them, are wiped here when they were told. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/store_parts.h"

enum { SQL_BYTES = 128, URI_BYTES_MAX = 16384, TRIES = 20, BETWEEN_MS = 10 };

/* Does it answer? */
static bool answers(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *row = NULL;
    bool has_row = sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK && sqlite3_step(row) == SQLITE_ROW;
    sqlite3_finalize(row);
    return has_row;
}

bool store_crypt_can(void)
{
    sqlite3 *db = NULL;
    bool can = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
               (answers(db, "PRAGMA cipher") || answers(db, "PRAGMA cipher_version"));
    sqlite3_close(db);
    return can;
}

/* The key itself, 32 bytes in hex, and not a word to derive one from. */
static int tell_key(sqlite3 *db, const unsigned char *key)
{
    static const char digits[] = "0123456789abcdef";
    char sql[SQL_BYTES], hex[2 * STORE_KEY_BYTES + 1];
    for (size_t i = 0; i < STORE_KEY_BYTES; i++) {
        hex[2 * i] = digits[key[i] >> 4];
        hex[2 * i + 1] = digits[key[i] & 15];
    }
    hex[sizeof hex - 1] = '\0';
    snprintf(sql, sizeof sql, "PRAGMA key = \"x'%s'\"", hex);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    explicit_bzero(sql, sizeof sql);
    explicit_bzero(hex, sizeof hex);
    return code;
}

enum err store_crypt_unlock(sqlite3 *db, const unsigned char *key)
{
    if (key == NULL) return ERR_OK;
    /* SQLite3 Multiple Ciphers has several formats; SQLCipher does not mind being told. What is sorted stays in memory. */
    int code = sqlite3_exec(db, "PRAGMA cipher = 'sqlcipher'; PRAGMA legacy = 4; PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
    return store_err_of(code == SQLITE_OK ? tell_key(db, key) : code);
}

/* Reads the first page of the file, which nothing but this key makes sense of, without its log and without a lock. */
static enum err try_key(const char *path, const unsigned char *key)
{
    sqlite3 *db = NULL;
    struct buf uri;
    buf_init(&uri, URI_BYTES_MAX);
    buf_add_text(&uri, "file:");
    for (const char *at = path; *at != '\0'; at++) {
        if (*at == '?') buf_add_text(&uri, "%3f");
        else if (*at == '#') buf_add_text(&uri, "%23");
        else if (*at == '%') buf_add_text(&uri, "%25");
        else buf_add_char(&uri, *at);
    }
    buf_add_text(&uri, "?immutable=1");
    buf_add_char(&uri, '\0');
    int code = buf_ok(&uri) ? sqlite3_open_v2(uri.at, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL) : SQLITE_NOMEM;
    enum err err = code == SQLITE_OK ? store_crypt_unlock(db, key) : store_err_of(code);
    if (err == ERR_OK) err = store_err_of(sqlite3_exec(db, "PRAGMA user_version", NULL, NULL, NULL));
    sqlite3_close(db);
    buf_fini(&uri);
    /* Without its log the rest of the file may be of several times. */
    return err == ERR_FOREIGN ? ERR_KEY : err == ERR_CORRUPT ? ERR_OK : err;
}

enum err store_crypt_look(const char *path, const unsigned char *key)
{
    static const char plain[] = "SQLite format 3"; /* with its NUL the first 16 bytes of each file that is not encrypted */
    char head[sizeof plain];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ERR_OK; /* there is none yet; or opening it says what is wrong */
    ssize_t got = read(fd, head, sizeof head);
    close(fd);
    if (got <= 0) return ERR_OK;
    bool is_plain = got == (ssize_t)sizeof head && memcmp(head, plain, sizeof head) == 0;
    if (is_plain) return key == NULL ? ERR_OK : ERR_KEY;
    if (key == NULL) return ERR_FOREIGN;
    enum err err = ERR_KEY;
    /* Another process may be writing the very page that is read. */
    for (int i = 0; i < TRIES && err == ERR_KEY; i++) {
        if (i > 0) poll(NULL, 0, BETWEEN_MS);
        err = try_key(path, key);
    }
    return err;
}
