#include "workers/restore.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/device_entry.h"
#include "core/doc.h"
#include "core/name.h"
#include "core/owner.h"
#include "core/space_state.h"
#include "core/state_key.h"

enum { ARENA_BYTES_MAX = 67108864, DUES_AT_ONCE = 2000 };

/* Before the first space, or behind one. */
struct place {
    char at[LIMIT_SPACE_BYTES_MAX + 1];
    size_t bytes;
    bool done;
};

struct making {
    struct restore *restore;
    struct store *store;
    struct owner *owner;           /* reads the namespaces in force */
    struct arena arena;
    struct device_entry entry;
    const struct state_write *writes;
    size_t count;
    /* where dates go on, and will after the transaction under way, which may be begun again */
    struct place here, then;
};

/* ---- rows ---- */

/* A document's newer state takes the index entries of the older one out. */
static enum err forget_older(struct making *making, struct store_txn *txn, const struct state_write *write)
{
    struct state_reader reader = store_txn_reader(txn);
    struct span stored, collection, id;
    struct doc doc;
    struct state_key rev, born;
    uint64_t sid;
    enum err err = reader.get(reader.ctx, STATE_DOC, write->key, &stored);
    if (err != ERR_OK || stored.at == NULL) return err;
    err = doc_decode(stored, &making->arena, &doc);
    if (err != ERR_OK) return err;
    if (!state_key_parse_doc(write->key, &sid, &collection, &id)) return ERR_CORRUPT;
    state_key_rev(&rev, sid, doc.rev, collection, id);
    state_key_born(&born, sid, collection, doc.born, id);
    struct state_write gone[] = {{.table = STATE_BYREV, .remove = true, .key = state_key_span(&rev)},
                                 {.table = STATE_BORN, .remove = true, .key = state_key_span(&born)}};
    for (size_t i = 0; err == ERR_OK && i < sizeof gone / sizeof *gone; i++) err = store_txn_apply(txn, &gone[i]);
    return err;
}

static enum err fill_rows(struct store_txn *txn, void *ctx)
{
    struct making *making = ctx;
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < making->count; i++) {
        arena_reset(&making->arena);
        if (making->writes[i].table == STATE_DOC) err = forget_older(making, txn, &making->writes[i]);
        if (err == ERR_OK) err = store_txn_apply(txn, &making->writes[i]);
    }
    return err;
}

static enum err put_rows(void *ctx, const struct state_write *writes, size_t count)
{
    struct making *making = ctx;
    making->writes = writes;
    making->count = count;
    return store_write(making->store, fill_rows, making);
}

static void on_progress(void *ctx, uint64_t at, uint64_t end)
{
    struct making *making = ctx;
    making->restore->at = at;
    making->restore->end = end;
}

/* ---- dates: when what is dead may be swept ---- */

static enum err put_due(struct store_txn *txn, int64_t due_ms, char kind, struct span inner, struct span space)
{
    struct state_key key;
    state_key_due(&key, due_ms, kind, inner);
    struct state_write write = {.table = STATE_DUE, .key = state_key_span(&key), .value = space};
    return store_txn_apply(txn, &write);
}

/* ret_due: it has a date. */
static enum err date_of(struct making *making, enum state_table table, struct span value, int64_t window_ms, bool *ret_due, int64_t *ret_due_ms)
{
    struct doc doc;
    arena_reset(&making->arena);
    if (table == STATE_DEVICE) {
        enum err err = device_entry_decode(value, &making->entry);
        *ret_due = true;
        *ret_due_ms = making->entry.last_ms + 2 * window_ms;
        return err;
    }
    enum err err = doc_decode(value, &making->arena, &doc);
    if (err != ERR_OK) return err;
    *ret_due = doc.deleted;
    *ret_due_ms = doc.time_ms + window_ms;
    return ERR_OK;
}

/* All of a table that begins with the space's sid. */
static enum err put_dates(struct making *making, struct store_txn *txn, enum state_table table, uint64_t sid, struct span space, int64_t window_ms,
                          size_t *count)
{
    struct state_reader reader = store_txn_reader(txn);
    struct state_key prefix;
    char room[STATE_KEY_BYTES_MAX + 1];
    state_key_rev_from(&prefix, sid, 0);
    struct span from = span_of(prefix.at, 8);
    for (;;) {
        struct span key, value;
        bool due;
        int64_t due_ms;
        enum err err = reader.seek(reader.ctx, table, from, false, &key, &value);
        if (err != ERR_OK || key.at == NULL || state_key_sid(key) != sid) return err;
        err = date_of(making, table, value, window_ms, &due, &due_ms);
        memcpy(room, key.at, key.bytes);
        room[key.bytes] = 0;
        from = span_of(room, key.bytes + 1);
        if (err == ERR_OK && due) err = put_due(txn, due_ms, table == STATE_DEVICE ? 'd' : 't', span_of(room, key.bytes), space);
        if (err != ERR_OK) return err;
        ++*count;
    }
}

static enum err date_space(struct making *making, struct store_txn *txn, struct span space, struct span stored, size_t *count)
{
    struct space_state state;
    enum err err = space_state_decode(stored, &state);
    uint64_t sid = state.sid;
    if (err != ERR_OK) return err;
    const struct namespace *ns = namespace_find(owner_namespaces(making->owner), name_namespace(space));
    if (ns == NULL) return ERR_CORRUPT; /* a namespace once in force is never taken out */
    err = put_dates(making, txn, STATE_DOC, sid, space, ns->window_ms, count);
    return err == ERR_OK ? put_dates(making, txn, STATE_DEVICE, sid, space, ns->window_ms, count) : err;
}

/* Space after space, until one transaction has enough. */
static enum err fill_dates(struct store_txn *txn, void *ctx)
{
    struct making *making = ctx;
    struct state_reader reader = store_txn_reader(txn);
    struct place *then = &making->then;
    size_t count = 0;
    *then = making->here;
    while (!then->done && count < DUES_AT_ONCE) {
        struct span key, value;
        enum err err = reader.seek(reader.ctx, STATE_SPACE, span_of(then->at, then->bytes), false, &key, &value);
        if (err != ERR_OK) return err;
        then->done = key.at == NULL;
        if (then->done) break;
        memcpy(then->at, key.at, key.bytes);
        then->at[key.bytes] = 0;
        then->bytes = key.bytes + 1;
        err = date_space(making, txn, span_of(then->at, key.bytes), value, &count);
        if (err != ERR_OK) return err;
        count++;
    }
    return ERR_OK;
}

static enum err make_dates(struct making *making)
{
    struct store_view *view;
    enum err err = store_view_begin(making->store, &view);
    if (err != ERR_OK) return err;
    struct state_reader reader = store_view_reader(view);
    err = owner_open(&reader, span_text(making->restore->log), &making->owner);
    store_view_end(view);
    while (err == ERR_OK && !making->here.done) {
        err = store_write(making->store, fill_dates, making);
        making->here = making->then;
    }
    owner_close(making->owner);
    return err;
}

/* ---- all of it ---- */

static enum err fill_stamp(struct store_txn *txn, void *ctx)
{
    const struct restore *restore = ctx;
    struct store_stamp stamp = {restore->place.next, restore->place.last_hash};
    return store_txn_stamp(txn, &stamp);
}

static enum err make(struct restore *restore, const char *path, char *why, size_t why_bytes)
{
    struct making *making = calloc(1, sizeof *making);
    struct store_options options = {.path = path, .log = restore->log, .partition = restore->partition, .fsync = false, .boot = restore->boot};
    if (making == NULL) return ERR_MEMORY;
    making->restore = restore;
    arena_init(&making->arena, ARENA_BYTES_MAX);
    enum err err = store_open(&options, &making->store, why, why_bytes);
    if (err == ERR_OK)
        err = restore->journal->ops->restore(restore->journal, restore->partition, making, put_rows, on_progress, &restore->place, why, why_bytes);
    if (err == ERR_OK) err = make_dates(making);
    if (err == ERR_OK) err = store_write(making->store, fill_stamp, restore);
    store_close(making->store);
    arena_fini(&making->arena);
    free(making);
    return err;
}

enum err restore_run(struct restore *restore, char *why, size_t why_bytes)
{
    char path[PATH_MAX];
    int bytes = snprintf(path, sizeof path, "%s.new", restore->path);
    if (bytes < 0 || (size_t)bytes >= sizeof path) return ERR_CONFIG;
    store_remove(path);
    enum err err = make(restore, path, why, why_bytes);
    if (err != ERR_OK) {
        store_remove(path);
        if (err == ERR_UNKNOWN) store_remove(restore->path);
        return err;
    }
    store_remove(restore->path);
    return store_move(path, restore->path, why, why_bytes);
}
