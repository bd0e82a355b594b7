/* Refused pushes: they wait until the app settles them. */
#include "client/store_parts.h"

#define COLUMNS "id, space, push, device, code, message, ops, origins, server, made_ms, refused_ms, asked, sealed"

int64_t store_refused_add(struct store *store, const struct store_push *push, struct span code, struct span message, struct span server, int64_t now_ms)
{
    struct span kept = server.bytes > STORE_SERVER_DOCS_BYTES_MAX ? span_of(NULL, 0) : server;
    int64_t id = (int64_t)++store->self.seq; /* never used again: who settles a record that is settled already does not settle another */
    store_run(store, "INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)", "iiustttttiib", id, push->space, push->id, store->self.device, code, message,
              push->plain.at != NULL ? push->plain : push->ops, push->origins, kept, push->made.wall_ms, now_ms, push->plain.at != NULL);
    return store->err == ERR_OK ? id : 0;
}

static void read_refused(struct store *store, struct arena *arena, sqlite3_stmt *row, struct store_refused *ret_refused)
{
    struct store_refused refused = {.id = sqlite3_column_int64(row, 0), .space = sqlite3_column_int64(row, 1), .push = store_u64(row, 2)};
    store_chars(row, 3, refused.device, sizeof refused.device);
    refused.code = store_copy(store, arena, row, 4);
    refused.message = store_copy(store, arena, row, 5);
    refused.ops = store_copy(store, arena, row, 6);
    refused.origins = store_copy(store, arena, row, 7);
    refused.server = store_copy(store, arena, row, 8);
    refused.made_ms = sqlite3_column_int64(row, 9);
    refused.refused_ms = sqlite3_column_int64(row, 10);
    refused.asked = sqlite3_column_int(row, 11) != 0;
    refused.sealed = sqlite3_column_int(row, 12) != 0;
    *ret_refused = refused;
}

bool store_refused_get(struct store *store, struct arena *arena, int64_t id, struct store_refused *ret_refused)
{
    sqlite3_stmt *row = store_bind(store, "SELECT " COLUMNS " FROM refused WHERE id = ?", "i", id);
    if (!store_next(store, row)) return false;
    read_refused(store, arena, row, ret_refused);
    store_done(row);
    return store->err == ERR_OK;
}

size_t store_refused_list(struct store *store, struct arena *arena, int64_t past, size_t max, bool unasked, struct store_refused **ret_list)
{
    struct store_refused *items = arena_take(arena, (max + 1) * sizeof *items);
    size_t count = 0;
    if (items == NULL) return 0;
    sqlite3_stmt *row = store_bind(store, "SELECT " COLUMNS " FROM refused WHERE id > ? AND (NOT asked OR NOT ?) ORDER BY id", "ib", past, unasked);
    while (count < max && store_next(store, row)) read_refused(store, arena, row, &items[count++]);
    store_done(row);
    *ret_list = items;
    return store->err == ERR_OK ? count : 0;
}

bool store_refused_is_sealed(struct store *store, int64_t id)
{
    sqlite3_stmt *row = store_bind(store, "SELECT 1 FROM refused WHERE id = ? AND sealed", "i", id);
    bool found = store_next(store, row);
    if (found) store_done(row);
    return found;
}

void store_refused_asked(struct store *store, int64_t id) { store_run(store, "UPDATE refused SET asked = 1 WHERE id = ?", "i", id); }

bool store_refused_remove(struct store *store, int64_t id)
{
    store_run(store, "DELETE FROM refused WHERE id = ?", "i", id);
    return store->err == ERR_OK && sqlite3_changes(store->db) == 1;
}

uint64_t store_refused_count(struct store *store) { return store_count(store, "SELECT count(*) FROM refused"); }
