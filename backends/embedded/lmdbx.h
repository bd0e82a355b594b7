/* LMDB behind a dozen calls: one environment, its tables, transactions that grow the map by themselves.
 *
 * INVARIANTS
 * 1. A write is all or nothing: lmdbx_write() commits what `fill` put, or nothing; on a full map it grows the map and
 *    calls `fill` again, which therefore must be repeatable. A full disk is ERR_FULL: the same write may do later.
 * 2. The map is only resized while no transaction is open: read transactions hold a read lock, begin and end on one
 *    thread, and a thread holds one at a time.
 * 3. A file shorter than its own meta page says is refused (ERR_CORRUPT) before anything is read from beyond its end.
 * Spans handed out by a transaction are valid until it ends. lmdb.h is included by lmdbx.c alone. */
#ifndef TIDEGATE_BACKENDS_EMBEDDED_LMDBX_H
#define TIDEGATE_BACKENDS_EMBEDDED_LMDBX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/span.h"

struct lmdbx;
struct lmdbx_txn;

enum { LMDBX_TABLES_MAX = 320 };
enum lmdbx_sync { LMDBX_SYNC, LMDBX_SYNC_ONCE /* the last commit may be undone by a power cut */, LMDBX_SYNC_NOT };

struct lmdbx_options {
    const char *path;             /* a directory; its last part is made when it is not there */
    const char *const *tables;    /* names; a table is its place in this array */
    size_t tables_count;
    enum lmdbx_sync sync;
    uint64_t map_bytes;           /* at first; 0: 1 GiB */
    uint64_t map_bytes_max;       /* past it ERR_FULL; 0: 1 TiB */
};

/* Any thread. `why` is written on failure only. */
enum err lmdbx_open(const struct lmdbx_options *options, struct lmdbx **ret_env, char *why, size_t why_bytes);
void lmdbx_close(struct lmdbx *env); /* no transaction is open; NULL is accepted */

enum err lmdbx_flush(struct lmdbx *env); /* what is committed is on the disk, however `sync` was chosen */
/* One writer at a time; others wait. */
enum err lmdbx_write(struct lmdbx *env, enum err (*fill)(struct lmdbx_txn *txn, void *ctx), void *ctx);
enum err lmdbx_read_begin(struct lmdbx *env, struct lmdbx_txn **ret_txn);
void lmdbx_read_end(struct lmdbx_txn *txn); /* NULL is accepted */

/* ret_value->at is NULL where there is none (then ERR_OK too). */
enum err lmdbx_get(struct lmdbx_txn *txn, size_t table, struct span key, struct span *ret_value);
/* The first entry whose key is >= `key` (or, when `down`, the last whose key is < `key`); ret_key->at NULL: none. */
enum err lmdbx_seek(struct lmdbx_txn *txn, size_t table, struct span key, bool down, struct span *ret_key,
                    struct span *ret_value);
enum err lmdbx_last(struct lmdbx_txn *txn, size_t table, struct span *ret_key, struct span *ret_value);
enum err lmdbx_put(struct lmdbx_txn *txn, size_t table, struct span key, struct span value);
/* Room for a value that the caller fills before its next call; `append`: the key is past all others. */
enum err lmdbx_put_room(struct lmdbx_txn *txn, size_t table, struct span key, size_t bytes, bool append, char **ret_at);
enum err lmdbx_remove(struct lmdbx_txn *txn, size_t table, struct span key); /* absent: ERR_OK */
uint64_t lmdbx_count(struct lmdbx_txn *txn, size_t table);
uint64_t lmdbx_file_bytes(struct lmdbx *env);

static inline void lmdbx_key_u64(uint64_t value, char ret_key[8])
{
    for (int i = 7; i >= 0; i--, value >>= 8) ret_key[i] = (char)(unsigned char)(value & 0xff);
}
static inline uint64_t lmdbx_u64_of_key(const char *key)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | (unsigned char)key[i];
    return value;
}

#endif
