/* workers/store.h over memory, in the place of LMDB: given to the linker before the library, it is the one that is taken.
 * A view is the store as it is: nothing changes it while a call of the worker's, or one run of a job, goes on. */
#include "workers/store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

struct store {
    struct sim_disk *disk;
    bool fsync, doubtful;
};

static int worker_in(const char *path) { return path[4] - '0'; }

/* The path is `sim/WORKER/store-PARTITION`, or that with `.new` behind it. */
static struct sim_disk *disk_of(const char *path)
{
    unsigned worker, partition;
    int count = sscanf(path, "sim/%u/store-%u", &worker, &partition);
    assert(count == 2 && worker < SIM_WORKERS_MAX && partition < SIM_PARTITIONS_MAX);
    struct sim_worker *of = &sim_current()->workers[worker];
    return strstr(path, ".new") != NULL ? &of->making[partition] : &of->disks[partition];
}

enum err store_open(const struct store_options *options, struct store **ret_store, char *why, size_t why_bytes)
{
    struct sim_disk *disk = disk_of(options->path);
    if (disk->made && strcmp(disk->log, options->log) != 0) {
        snprintf(why, why_bytes, "%s: belongs to another log", options->path);
        return ERR_FOREIGN;
    }
    struct store *store = calloc(1, sizeof *store);
    assert(store != NULL);
    store->disk = disk;
    store->fsync = options->fsync;
    if (!disk->made) snprintf(disk->log, sizeof disk->log, "%s", options->log);
    store->doubtful = options->boot != NULL && disk->made && disk->doubtful;
    disk->made = disk->open = true;
    disk->doubtful = false;
    disk->worker = worker_in(options->path);
    *ret_store = store;
    return ERR_OK;
}

void store_close(struct store *store)
{
    if (store != NULL) store->disk->open = false;
    free(store);
}

bool store_is_doubtful(const struct store *store) { return store->doubtful; }
void store_remove(const char *path) { sim_store_fini(disk_of(path)); }

enum err store_move(const char *from, const char *to, char *why, size_t why_bytes)
{
    struct sim_disk *source = disk_of(from), *target = disk_of(to);
    (void)why;
    (void)why_bytes;
    assert(!target->made && !source->open);
    *target = *source;
    *source = (struct sim_disk){0};
    return ERR_OK;
}

static void keep_older(struct sim_disk *disk)
{
    map_state_fini(&disk->older);
    map_state_copy(&disk->state, &disk->older);
    disk->older_next = disk->next_offset;
    disk->older_hash = disk->last_hash;
    disk->has_older = true;
}

enum err store_apply(struct store *store, const struct store_batch *batch)
{
    struct sim_disk *disk = store->disk;
    if (sim_current()->workers[disk->worker].dying) return ERR_IO;
    if (!store->fsync) keep_older(disk);
    assert(disk->next_offset <= batch->stamp.next_offset);
    for (size_t i = 0; i < batch->count; i++) {
        const struct cell *cell = batch->cells[i];
        struct state_write write = {.table = cell_table(cell), .remove = cell->removed, .key = cell_key(cell), .value = cell_value(cell)};
        map_state_apply(&disk->state, &write, 1);
    }
    for (const struct store_dead *dead = batch->dead; dead != NULL; dead = dead->next) disk->dead++;
    disk->next_offset = batch->stamp.next_offset;
    disk->last_hash = batch->stamp.last_hash;
    return ERR_OK;
}

/* ---- a store that is being made ---- */

enum err store_write(struct store *store, enum err (*fill)(struct store_txn *txn, void *ctx), void *ctx)
{
    return fill((struct store_txn *)(void *)store, ctx);
}

static struct sim_disk *disk_in(struct store_txn *txn) { return ((struct store *)(void *)txn)->disk; }
struct state_reader store_txn_reader(struct store_txn *txn) { return map_state_reader(&disk_in(txn)->state); }

enum err store_txn_apply(struct store_txn *txn, const struct state_write *write)
{
    map_state_apply(&disk_in(txn)->state, write, 1);
    return ERR_OK;
}

enum err store_txn_stamp(struct store_txn *txn, const struct store_stamp *stamp)
{
    disk_in(txn)->next_offset = stamp->next_offset;
    disk_in(txn)->last_hash = stamp->last_hash;
    return ERR_OK;
}

/* ---- views ---- */

enum err store_view_begin(struct store *store, struct store_view **ret_view)
{
    *ret_view = (struct store_view *)(void *)store;
    return ERR_OK;
}

void store_view_end(struct store_view *view) { (void)view; }

static struct sim_disk *disk_under(struct store_view *view) { return ((struct store *)(void *)view)->disk; }

struct state_reader store_view_reader(struct store_view *view) { return map_state_reader(&disk_under(view)->state); }

enum err store_view_stamp(struct store_view *view, struct store_stamp *ret_stamp)
{
    *ret_stamp = (struct store_stamp){.next_offset = disk_under(view)->next_offset, .last_hash = disk_under(view)->last_hash};
    return ERR_OK;
}

uint64_t store_dead_count(struct store *store) { return store->disk->dead; }

enum err store_dead_find(struct store_view *view, uint64_t offset, struct span *ret_text)
{
    (void)view;
    (void)offset;
    *ret_text = span_of(NULL, 0); /* only counted here */
    return ERR_OK;
}

void sim_store_fini(struct sim_disk *disk)
{
    map_state_fini(&disk->state);
    map_state_fini(&disk->older);
    *disk = (struct sim_disk){0};
}
