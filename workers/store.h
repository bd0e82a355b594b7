/* A partition's state on disk: one LMDB environment, DIR/store-N, behind the log.
 *
 * FORMAT  a table per state_table, keys and values as core/state.h says; table `dead`: offset u64 BE -> reason 0x00 record;
 *         table `stamp`: "format" -> u64 BE, "log" -> the log's name, "partition" -> u64 BE,
 *                        "next" -> u64 BE next offset, u64 BE XXH64 of the record before it,
 *                        "boot" -> the boot that it was last opened under, "clean" -> "" once it was closed well (only with `boot`).
 * INVARIANTS
 * 1. A batch is applied whole, with its stamp, or not at all; the stamp's next offset never goes back.
 * 2. The store never leads the log: what is applied comes from durable records.
 * At most DEAD_MAX dead letters are kept: the oldest goes.
 * 3. Without fsync the file is good after any death of the process, but not of the machine: one that was left open under another
 *    boot is doubtful, and whoever has a journal makes it anew.
 * store_apply() runs in the journal's lane, views on any, each on one. */
#ifndef TIDEGATE_WORKERS_STORE_H
#define TIDEGATE_WORKERS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/state.h"
#include "workers/cell.h"

struct store;
struct store_view;

struct store_stamp {
    uint64_t next_offset; /* of the first record whose effects are not in the store */
    uint64_t last_hash;   /* of the record before it, when there is one */
};

struct store_options {
    const char *path;
    const char *log;
    uint32_t partition;
    bool fsync;
    const char *boot;     /* names this boot of the machine; NULL: never doubtful */
    uint64_t map_bytes;   /* 0: lmdbx.h's own */
};

/* ERR_FOREIGN: another log's or partition's. `why` on failure only. */
enum err store_open(const struct store_options *options, struct store **ret_store, char *why, size_t why_bytes);
void store_close(struct store *store);
bool store_is_doubtful(const struct store *store);
/* Of one that nobody has open. */
void store_remove(const char *path);
enum err store_move(const char *from, const char *to, char *why, size_t why_bytes); /* nothing is at `to` */

struct store_dead {
    struct store_dead *next;
    uint64_t offset;
    size_t bytes;
    char text[]; /* reason, 0x00, record */
};
struct store_batch {
    size_t count;
    struct cell *const *cells;
    const struct store_dead *dead;
    struct store_stamp stamp;
};
enum err store_apply(struct store *store, const struct store_batch *batch);

/* Any writes in one transaction, for a store that is being made; `fill` may be called again, from the start. */
struct store_txn;
enum err store_write(struct store *store, enum err (*fill)(struct store_txn *txn, void *ctx), void *ctx);
struct state_reader store_txn_reader(struct store_txn *txn); /* a span is good until the next write */
enum err store_txn_apply(struct store_txn *txn, const struct state_write *write);
enum err store_txn_stamp(struct store_txn *txn, const struct store_stamp *stamp);

/* A snapshot; ended on the thread that began it, one at a time a thread. */
enum err store_view_begin(struct store *store, struct store_view **ret_view);
void store_view_end(struct store_view *view);
struct state_reader store_view_reader(struct store_view *view);
enum err store_view_stamp(struct store_view *view, struct store_stamp *ret_stamp);
uint64_t store_dead_count(struct store *store);
enum err store_dead_find(struct store_view *view, uint64_t offset, struct span *ret_text); /* at NULL: none */

#endif
