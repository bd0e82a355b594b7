/* The outbox: pushes in order, what each names as `after`, what each touches. */
#include <assert.h>
#include <stdio.h>

#include "client/store_parts.h"

#define COLUMNS "id, previous, after, space, ops, bases, origins, made_boot, made_boot_ms, made_wall_ms, made_server_ms, sent_ms, sent_log, checked, answered, plain"

static void read_push(struct store *store, struct arena *arena, sqlite3_stmt *row, struct store_push *ret_push)
{
    struct store_push push = {store_u64(row, 0), store_u64(row, 1), store_u64(row, 2), sqlite3_column_int64(row, 3), {0}, {0}, {0}, {0}, {{0}, 0, 0, 0}, false, 0, {0}, false, false};
    push.ops = store_copy(store, arena, row, 4);
    push.bases = store_copy(store, arena, row, 5);
    push.origins = store_copy(store, arena, row, 6);
    push.plain = store_copy(store, arena, row, 15);
    store_chars(row, 7, push.made.boot, sizeof push.made.boot);
    push.made.boot_ms = sqlite3_column_int64(row, 8);
    push.made.wall_ms = sqlite3_column_int64(row, 9);
    push.made.server_ms = sqlite3_column_int64(row, 10);
    push.sent = sqlite3_column_type(row, 11) != SQLITE_NULL;
    push.sent_ms = sqlite3_column_int64(row, 11);
    store_chars(row, 12, push.sent_log, sizeof push.sent_log);
    push.checked = sqlite3_column_int(row, 13) != 0;
    push.answered = sqlite3_column_int(row, 14) != 0;
    *ret_push = push;
}

void store_push_add(struct store *store, const struct store_push *push)
{
    store_run(store, "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, 0, 0, ?)", "uiuutttsiiit", push->id, push->space, push->previous, push->after,
              push->ops, push->bases, push->origins, push->made.boot, push->made.boot_ms, push->made.wall_ms, push->made.server_ms, push->plain);
}

void store_push_touches(struct store *store, uint64_t push, int64_t doc)
{
    store_run(store, "INSERT OR IGNORE INTO outbox_documents VALUES (?, ?)", "iu", doc, push);
}

bool store_push_get(struct store *store, struct arena *arena, uint64_t id, struct store_push *ret_push)
{
    sqlite3_stmt *row = store_bind(store, "SELECT " COLUMNS " FROM outbox WHERE id = ?", "u", id);
    if (!store_next(store, row)) return false;
    read_push(store, arena, row, ret_push);
    store_done(row);
    return store->err == ERR_OK;
}

size_t store_push_list(struct store *store, struct arena *arena, const struct store_space *space, uint64_t past, size_t max, size_t bytes_max, struct store_push **ret_pushes)
{
    struct store_push *pushes = arena_take(arena, (max + 1) * sizeof *pushes);
    size_t count = 0, bytes = 0;
    if (pushes == NULL) {
        store_fail(store, ERR_MEMORY);
        return 0;
    }
    /* In a space that is forked what was not sent stays, but for what asks how far the log has got. */
    sqlite3_stmt *row = store_bind(store, "SELECT " COLUMNS " FROM outbox WHERE space = ? AND id > ? AND NOT answered AND (sent_ms IS NOT NULL OR NOT ? OR id = ?)"
                                   " ORDER BY id", "iubu", space->id, past, space->forked, space->fork_probe);
    while (count < max && store_next(store, row)) {
        bytes += (size_t)sqlite3_column_bytes(row, 4);
        if (count > 0 && bytes > bytes_max) break;
        read_push(store, arena, row, &pushes[count++]);
    }
    store_done(row);
    *ret_pushes = pushes;
    return store->err == ERR_OK ? count : 0;
}

/* A list of one column, in the arena. */
static size_t list(struct store *store, struct arena *arena, sqlite3_stmt *row, uint64_t **ret_ids)
{
    size_t count = 0, room = 16;
    uint64_t *ids = arena_take(arena, room * sizeof *ids);
    while (ids != NULL && store_next(store, row)) {
        if (count == room) {
            uint64_t *more = arena_take(arena, 2 * room * sizeof *ids);
            if (more != NULL) memcpy(more, ids, count * sizeof *ids);
            ids = more;
            room *= 2;
        }
        if (ids != NULL) ids[count++] = store_u64(row, 0);
    }
    store_done(row);
    if (ids == NULL) store_fail(store, ERR_MEMORY);
    *ret_ids = ids;
    return ids == NULL ? 0 : count;
}

size_t store_push_of_doc(struct store *store, struct arena *arena, int64_t doc, uint64_t **ret_ids)
{
    return list(store, arena, store_bind(store, "SELECT push FROM outbox_documents WHERE doc = ? ORDER BY push", "i", doc), ret_ids);
}

size_t store_push_docs(struct store *store, struct arena *arena, uint64_t push, int64_t **ret_docs)
{
    uint64_t *ids;
    size_t count = list(store, arena, store_bind(store, "SELECT doc FROM outbox_documents WHERE push = ? ORDER BY doc", "u", push), &ids);
    int64_t *docs = arena_take(arena, (count + 1) * sizeof *docs);
    if (docs == NULL) {
        store_fail(store, ERR_MEMORY);
        return 0;
    }
    for (size_t i = 0; i < count; i++) docs[i] = (int64_t)ids[i];
    *ret_docs = docs;
    return count;
}

size_t store_push_ids(struct store *store, struct arena *arena, int64_t space, uint64_t **ret_ids)
{
    return list(store, arena, space == 0 ? store_bind(store, "SELECT id FROM outbox WHERE NOT answered ORDER BY id", "")
                                         : store_bind(store, "SELECT id FROM outbox WHERE space = ? AND NOT answered ORDER BY id", "i", space), ret_ids);
}

size_t store_push_ids_upto(struct store *store, struct arena *arena, int64_t space, uint64_t upto, uint64_t **ret_ids)
{
    return list(store, arena, store_bind(store, "SELECT id FROM outbox WHERE space = ? AND id <= ? ORDER BY id", "iu", space, upto), ret_ids);
}

void store_push_drop_answered(struct store *store, int64_t space)
{
    sqlite3_stmt *row = store_bind(store, "SELECT doc FROM outbox_documents JOIN outbox ON outbox.id = push WHERE answered AND space = ?", "i", space);
    while (store_next(store, row)) store_dirty_add(store, sqlite3_column_int64(row, 0));
    store_run(store, "DELETE FROM outbox_documents WHERE push IN (SELECT id FROM outbox WHERE answered AND space = ?)", "i", space);
    store_run(store, "DELETE FROM outbox WHERE answered AND space = ?", "i", space);
}

static void mark_docs(struct store *store, uint64_t push)
{
    sqlite3_stmt *row = store_bind(store, "SELECT doc FROM outbox_documents WHERE push = ?", "u", push);
    while (store_next(store, row)) store_dirty_add(store, sqlite3_column_int64(row, 0));
}

void store_push_remove(struct store *store, const struct store_push *push)
{
    mark_docs(store, push->id);
    /* One that was never sent is not in the log: what named it names what it would have named. */
    if (!push->sent) store_run(store, "UPDATE outbox SET after = ? WHERE space = ? AND after = ? AND id > ?", "uiuu", push->after, push->space, push->id, push->id);
    store_run(store, "DELETE FROM outbox_documents WHERE push = ?", "u", push->id);
    store_run(store, "DELETE FROM outbox WHERE id = ?", "u", push->id);
}

void store_push_answered(struct store *store, uint64_t id) { store_run(store, "UPDATE outbox SET answered = 1 WHERE id = ?", "u", id); }

void store_push_mark_sent(struct store *store, struct store_space *space, uint64_t id, int64_t server_ms, bool checked)
{
    store_run(store, "UPDATE outbox SET sent_ms = ?, sent_log = ?, checked = ? WHERE id = ?", "isbu", server_ms, store->self.log, checked, id);
    if (id > space->sent_push) space->sent_push = id;
}

void store_push_follow(struct store *store, int64_t space, uint64_t after)
{
    store_run(store, "UPDATE outbox SET after = ? WHERE id = (SELECT min(id) FROM outbox WHERE space = ? AND id > ? AND NOT answered)", "uiu", after, space, after);
}

/* An outcome says that the push is in the log, whatever a `gap` said before. */
void store_push_settled(struct store *store, int64_t space, uint64_t id)
{
    store_run(store, "UPDATE outbox SET after = ? WHERE id = (SELECT min(id) FROM outbox WHERE space = ? AND id > ? AND NOT answered) AND after < ?", "uiuu", id, space, id, id);
}

void store_push_forget_bases(struct store *store, int64_t space, uint64_t below)
{
    store_run(store, "UPDATE outbox SET bases = '[]' WHERE space = ? AND id < ?", "iu", space, below);
}

uint64_t store_push_known(struct store *store, const struct store_space *space)
{
    uint64_t known = space->last_push;
    sqlite3_stmt *row = store_bind(store, "SELECT previous FROM outbox WHERE space = ? AND NOT answered ORDER BY id LIMIT 1", "i", space->id);
    if (store_next(store, row)) {
        known = store_u64(row, 0);
        store_done(row);
    }
    return known;
}

uint64_t store_push_count(struct store *store, int64_t *ret_oldest_wall_ms, uint64_t *ret_bytes)
{
    uint64_t count = 0;
    sqlite3_stmt *row = store_bind(store, "SELECT count(*), coalesce(sum(length(ops)), 0), (SELECT made_wall_ms FROM outbox WHERE NOT answered ORDER BY id LIMIT 1)"
                                   " FROM outbox WHERE NOT answered", "");
    *ret_oldest_wall_ms = 0;
    *ret_bytes = 0;
    if (store_next(store, row)) {
        count = store_u64(row, 0);
        *ret_bytes = store_u64(row, 1);
        *ret_oldest_wall_ms = sqlite3_column_int64(row, 2);
        store_done(row);
    }
    return count;
}

bool store_push_any(struct store *store)
{
    sqlite3_stmt *row = store_bind(store, "SELECT 1 FROM outbox WHERE NOT answered LIMIT 1", "");
    if (!store_next(store, row)) return false;
    store_done(row);
    return true;
}

bool store_push_any_uncertain(struct store *store, uint64_t below)
{
    sqlite3_stmt *row = store_bind(store, "SELECT 1 FROM outbox JOIN spaces ON spaces.id = outbox.space WHERE NOT answered AND (sent_ms IS NOT NULL OR"
                                   " (outbox.id < ? AND forked_after IS NULL) OR outbox.id = fork_probe) LIMIT 1", "u", below);
    if (!store_next(store, row)) return false;
    store_done(row);
    return true;
}

/* Ids only ever shrink here, in order, so no two are equal on the way. */
void store_push_renumber(struct store *store)
{
    uint64_t next = 1;
    sqlite3_stmt *shown = store_bind(store, "SELECT doc FROM outbox_documents JOIN outbox ON outbox.id = push WHERE answered", "");
    while (store_next(store, shown)) store_dirty_add(store, sqlite3_column_int64(shown, 0));
    store_run(store, "DELETE FROM outbox_documents WHERE push IN (SELECT id FROM outbox WHERE answered)", "");
    store_run(store, "DELETE FROM outbox WHERE answered", "");
    store_run(store, "UPDATE spaces SET last_push = 0, sent_push = 0, forked_after = NULL, fork_probe = 0", "");
    for (;;) {
        sqlite3_stmt *row = store_bind(store, "SELECT outbox.id, space, last_push FROM outbox JOIN spaces ON spaces.id = outbox.space WHERE outbox.id >= ?"
                                       " ORDER BY outbox.id LIMIT 1", "u", next);
        if (!store_next(store, row)) break;
        uint64_t id = store_u64(row, 0), last = store_u64(row, 2);
        int64_t space = sqlite3_column_int64(row, 1);
        store_done(row);
        store_run(store, "UPDATE outbox_documents SET push = ? WHERE push = ?", "uu", next, id);
        store_run(store, "UPDATE outbox SET id = ?, previous = ?, after = ?, sent_ms = NULL, sent_log = NULL WHERE id = ?", "uuuu", next, last, last, id);
        store_run(store, "UPDATE spaces SET last_push = ? WHERE id = ?", "ui", next, space);
        if (store->err != ERR_OK) break;
        next++;
    }
    store_run(store, "UPDATE documents SET contains = 0 WHERE contains > 0", "");
    store->self.next_push = next;
}
