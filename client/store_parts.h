/* Internal to store*.c: the connection, its statements, and short ways to bind and read. */
#ifndef TIDEGATE_CLIENT_STORE_PARTS_H
#define TIDEGATE_CLIENT_STORE_PARTS_H

#include <sqlite3.h>

#include "client/store.h"

enum { STORE_STATEMENTS = 256 };

struct store {
    sqlite3 *db;
    char *path;
    int lock_fd;          /* -1: not held */
    int64_t deadline_ms;  /* for waiting; 0: none */
    int64_t waits_ms;     /* since when it waits for another's write */
    bool is_open;         /* a transaction is */
    bool is_durable;      /* what PRAGMA synchronous is at */
    enum err err;         /* of the transaction */
    struct store_self self, self_before;
    struct { const char *sql; sqlite3_stmt *statement; } statements[STORE_STATEMENTS]; /* by the address of their text */
    bool has_sum;         /* sum and live of one collection, kept until another is asked for */
    int64_t sum_space;
    char sum_collection[LIMIT_COLLECTION_BYTES_MAX + 1];
    int64_t sum, sum_live;
    size_t dirty_count, dirty_room;
    int64_t *dirty;
    bool dirty_all;       /* more than STORE_DIRTY_MAX */
};

/* Is the file one that this key (NULL: none) opens, or not there yet? ERR_KEY, ERR_FOREIGN: it is not, and was not touched. */
enum err store_crypt_look(const char *path, const unsigned char *key);
enum err store_crypt_unlock(sqlite3 *db, const unsigned char *key); /* right after opening */
bool store_crypt_can(void); /* is this an SQLite that encrypts? */
enum err store_rekey(const char *path, const struct store_keys *keys);

/* The statement of that text (a literal: it is known by its address), ready to be bound. NULL: the transaction has failed. */
sqlite3_stmt *store_sql(struct store *store, const char *sql);
/* Binds in order: i an int64_t, u a uint64_t, t a struct span (at NULL: NULL), s a text (NULL: NULL), b an int as 0 or 1. */
sqlite3_stmt *store_bind(struct store *store, const char *sql, const char *types, ...);
/* Binds and runs what gives no rows. */
void store_run(struct store *store, const char *sql, const char *types, ...);
/* Steps: true: a row is there. Otherwise the statement is reset. */
bool store_next(struct store *store, sqlite3_stmt *statement);
uint64_t store_count(struct store *store, const char *sql); /* of one row with one number; 0 where it fails, as store->err says */
void store_done(sqlite3_stmt *statement); /* NULL is accepted */
enum err store_err_of(int code);
struct span store_text(sqlite3_stmt *statement, int column);                        /* until the next step; at NULL for NULL */
struct span store_copy(struct store *store, struct arena *arena, sqlite3_stmt *statement, int column); /* at NULL for NULL */
void store_chars(sqlite3_stmt *statement, int column, char *ret_text, size_t room); /* cut to fit; "" for NULL */
uint64_t store_u64(sqlite3_stmt *statement, int column);
void store_dirty_add(struct store *store, int64_t doc);
void store_sum_add(struct store *store, int64_t space, struct span collection, uint64_t part, int step);
void store_sum_flush(struct store *store);
/* A document's row as STORE_DOC_COLUMNS give it, from `column` on. `arena` NULL: spans until the next step. */
#define STORE_DOC_COLUMNS "doc, collection, id, user, rev, born, contains, run, seq, added_seq, time, changed_ms, pending, body, server, seal"
enum { STORE_DOC_COLUMNS_COUNT = 16 };
void store_doc_row(struct store *store, struct arena *arena, sqlite3_stmt *statement, int column, struct store_doc *ret_doc);

#endif
