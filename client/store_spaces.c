/* Spaces and their sums. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "client/store_parts.h"
#include "core/json.h"

#define COLUMNS "id, name, wanted, priority, tail, cursor, run, seen_rev, window_s, last_push, sent_push, forked_after, fork_probe, partial, synced_ms, closed"

static struct store_space read_space(struct store *store, sqlite3_stmt *row)
{
    struct store_space space = {0};
    if (!store_next(store, row)) return space;
    space.id = sqlite3_column_int64(row, 0);
    store_chars(row, 1, space.name, sizeof space.name);
    space.wanted = sqlite3_column_int(row, 2) != 0;
    space.priority = sqlite3_column_int64(row, 3);
    space.has_tail = sqlite3_column_type(row, 4) != SQLITE_NULL;
    space.tail = store_u64(row, 4);
    store_chars(row, 5, space.cursor, sizeof space.cursor);
    space.run = store_u64(row, 6);
    space.seen_rev = store_u64(row, 7);
    space.window_s = sqlite3_column_int64(row, 8);
    space.last_push = store_u64(row, 9);
    space.sent_push = store_u64(row, 10);
    space.forked = sqlite3_column_type(row, 11) != SQLITE_NULL;
    space.forked_after = store_u64(row, 11);
    space.fork_probe = store_u64(row, 12);
    space.partial = sqlite3_column_int(row, 13) != 0;
    space.synced_ms = sqlite3_column_int64(row, 14);
    store_chars(row, 15, space.closed, sizeof space.closed);
    store_done(row);
    return space;
}

struct store_space store_space_find(struct store *store, struct span name)
{
    return read_space(store, store_bind(store, "SELECT " COLUMNS " FROM spaces WHERE name = ?", "t", name));
}

struct store_space store_space_get(struct store *store, int64_t id)
{
    return read_space(store, store_bind(store, "SELECT " COLUMNS " FROM spaces WHERE id = ?", "i", id));
}

struct store_space store_space_make(struct store *store, struct span name)
{
    struct store_space space = store_space_find(store, name);
    if (space.id != 0) return space;
    store_run(store, "INSERT INTO spaces VALUES (NULL, ?, 0, 0, NULL, NULL, 0, 0, 0, 0, 0, NULL, 0, 0, 0, NULL)", "t", name);
    return store_space_find(store, name);
}

void store_space_put(struct store *store, const struct store_space *space)
{
    assert(space->id != 0 || store->err != ERR_OK);
    sqlite3_stmt *row = store_bind(store, "UPDATE spaces SET wanted = ?, priority = ?, cursor = nullif(?, ''), run = ?, seen_rev = ?, window_s = ?, last_push = ?,"
                                   " sent_push = ?, partial = ?, synced_ms = ?, closed = nullif(?, ''), tail = ?13, forked_after = ?14, fork_probe = ?15 WHERE id = ?12", "bisuuiuubisi",
                                   space->wanted, space->priority, space->cursor, space->run, space->seen_rev, space->window_s, space->last_push,
                                   space->sent_push, space->partial, space->synced_ms, space->closed, space->id);
    if (row == NULL) return;
    if (space->has_tail) sqlite3_bind_int64(row, 13, (int64_t)space->tail);
    else sqlite3_bind_null(row, 13);
    if (space->forked) sqlite3_bind_int64(row, 14, (int64_t)space->forked_after);
    else sqlite3_bind_null(row, 14);
    sqlite3_bind_int64(row, 15, (int64_t)space->fork_probe);
    while (store_next(store, row)) assert(!"an update gives no rows");
}

static size_t list(struct store *store, struct arena *arena, const char *sql, int64_t **ret_ids)
{
    size_t count = 0, room = 16;
    int64_t *ids = arena_take(arena, room * sizeof *ids);
    sqlite3_stmt *row = store_bind(store, sql, "");
    while (ids != NULL && store_next(store, row)) {
        if (count == room) {
            int64_t *more = arena_take(arena, 2 * room * sizeof *ids);
            if (more != NULL) memcpy(more, ids, count * sizeof *ids);
            ids = more;
            room *= 2;
        }
        if (ids != NULL) ids[count++] = sqlite3_column_int64(row, 0);
    }
    store_done(row);
    if (ids == NULL) store_fail(store, ERR_MEMORY);
    *ret_ids = ids;
    return ids == NULL ? 0 : count;
}

size_t store_spaces_active(struct store *store, struct arena *arena, int64_t **ret_ids)
{
    return list(store, arena, "SELECT id FROM spaces WHERE wanted OR EXISTS (SELECT 1 FROM outbox WHERE space = spaces.id) ORDER BY priority DESC, id", ret_ids);
}

size_t store_spaces_pushing(struct store *store, struct arena *arena, int64_t **ret_ids)
{
    return list(store, arena, "SELECT id FROM spaces WHERE EXISTS (SELECT 1 FROM outbox WHERE space = spaces.id AND NOT answered) ORDER BY priority DESC, id", ret_ids);
}

size_t store_spaces_all(struct store *store, struct arena *arena, int64_t **ret_ids)
{
    return list(store, arena, "SELECT id FROM spaces ORDER BY priority DESC, id", ret_ids);
}

void store_space_purge(struct store *store, struct store_space *space, int64_t now_ms)
{
    store_sum_flush(store);
    store_run(store, "DELETE FROM sums WHERE space = ?", "i", space->id);
    /* What is shown goes; rows stay without bodies, so that who asks for changes hears of it. */
    store_run(store, "UPDATE documents SET body = NULL, server = NULL, sealed = NULL, seal = 0, rev = 0, born = 0, user = NULL, contains = 0, ahead = 0, run = 0, changed_ms = ?,"
              " seq = seq_base + rank FROM (SELECT doc AS this, ? AS seq_base, row_number() OVER (ORDER BY doc) AS rank FROM documents WHERE space = ?"
              " AND (body IS NOT NULL OR server IS NOT NULL)) WHERE doc = this", "iui", now_ms, store->self.seq, space->id);
    store->self.seq += (uint64_t)sqlite3_changes(store->db);
    sqlite3_stmt *row = store_bind(store, "SELECT doc FROM documents WHERE space = ? AND pending > 0", "i", space->id);
    while (store_next(store, row)) store_dirty_add(store, sqlite3_column_int64(row, 0));
    space->cursor[0] = '\0';
    space->run = 0;
    space->seen_rev = 0;
    space->synced_ms = 0;
    space->partial = false;
}

/* ---- sums ---- */

static void load_sum(struct store *store, int64_t space, struct span collection)
{
    if (store->has_sum && store->sum_space == space && span_is(collection, store->sum_collection)) return;
    store_sum_flush(store);
    sqlite3_stmt *row = store_bind(store, "SELECT sum, live FROM sums WHERE space = ? AND collection = ?", "it", space, collection);
    store->sum = store->sum_live = 0;
    store->sum_space = space;
    snprintf(store->sum_collection, sizeof store->sum_collection, "%.*s", (int)collection.bytes, collection.at);
    if (store_next(store, row)) {
        store->sum = sqlite3_column_int64(row, 0);
        store->sum_live = sqlite3_column_int64(row, 1);
        store_done(row);
    }
    store->has_sum = true;
}

void store_sum_add(struct store *store, int64_t space, struct span collection, uint64_t part, int step)
{
    load_sum(store, space, collection);
    store->sum = (int64_t)((uint64_t)store->sum ^ part);
    store->sum_live += step;
}

void store_sum_flush(struct store *store)
{
    if (store->has_sum && store->is_open)
        store_run(store, "INSERT INTO sums VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET sum = excluded.sum, live = excluded.live", "isii", store->sum_space,
                  store->sum_collection, store->sum, store->sum_live);
    store->has_sum = false;
}

uint64_t store_space_sum(struct store *store, int64_t space, struct span collection, uint64_t *ret_live)
{
    load_sum(store, space, collection);
    *ret_live = (uint64_t)store->sum_live;
    uint64_t sum = (uint64_t)store->sum;
    if (!store->is_open) store->has_sum = false;
    return sum;
}

bool store_space_sums_agree(struct store *store, int64_t space, struct span sums)
{
    struct json_value told;
    bool agree = json_check(sums, &told, NULL);
    store_sum_flush(store);
    /* What was brought ahead of the cursor is no part of the server's sum. */
    sqlite3_stmt *row = store_bind(store, "SELECT sum, collection FROM sums WHERE space = ? AND NOT EXISTS (SELECT 1 FROM documents WHERE documents.space = sums.space"
                                   " AND documents.collection = sums.collection AND ahead = 1 AND documents.space = ?)", "ii", space, space);
    while (agree && store_next(store, row)) {
        char text[17];
        struct json_value their = json_find_span(told, store_text(row, 1));
        snprintf(text, sizeof text, "%016" PRIx64, (uint64_t)sqlite3_column_int64(row, 0));
        if (!json_string_is(their, text) && (their.type != JSON_NONE || sqlite3_column_int64(row, 0) != 0)) agree = false;
    }
    store_done(row);
    struct json_iter iter = json_members(told);
    struct json_member member;
    while (agree && json_next_member(&iter, &member)) {
        uint64_t live;
        /* A collection that the copy has nothing of. */
        if (store_space_sum(store, space, member.key, &live) == 0 && live == 0 && !json_string_is(member.value, "0000000000000000")) {
            row = store_bind(store, "SELECT 1 FROM documents WHERE space = ? AND collection = ? AND ahead = 1 LIMIT 1", "it", space, member.key);
            if (!store_next(store, row)) agree = false;
            else store_done(row);
        }
    }
    store_sum_flush(store);
    return agree;
}

uint64_t store_space_live(struct store *store, int64_t space)
{
    uint64_t live = 0;
    sqlite3_stmt *row = store_bind(store, "SELECT coalesce(sum(live), 0) FROM sums WHERE space = ?", "i", space);
    if (store_next(store, row)) {
        live = store_u64(row, 0);
        store_done(row);
    }
    return live;
}
