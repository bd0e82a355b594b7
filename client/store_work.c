/* Background work and its last runs, as they stand in the store. */
#include "client/store_parts.h"

#define COLUMNS "id, name, kind, input, every_ms, flex_ms, network, charging, battery, storage, linear, backoff_ms, attempts, since_boot, since_boot_ms, since_wall_ms, " \
                "since_server_ms, wait_ms, end_ms, why, looked_ms, EXISTS (SELECT 1 FROM work before WHERE before.name = work.name AND before.id < work.id)"

static void read_work(struct store *store, struct arena *arena, sqlite3_stmt *row, struct store_work *ret_work)
{
    struct store_work work = {.id = sqlite3_column_int64(row, 0), .name = store_copy(store, arena, row, 1), .kind = sqlite3_column_int(row, 2),
        .input = store_copy(store, arena, row, 3), .every_ms = sqlite3_column_int64(row, 4), .flex_ms = sqlite3_column_int64(row, 5),
        .network = (enum store_network)sqlite3_column_int(row, 6), .charging = sqlite3_column_int(row, 7) != 0, .battery = sqlite3_column_int(row, 8) != 0,
        .storage = sqlite3_column_int(row, 9) != 0, .is_linear = sqlite3_column_int(row, 10) != 0, .backoff_ms = sqlite3_column_int64(row, 11),
        .attempts = (unsigned)sqlite3_column_int64(row, 12), .wait_ms = sqlite3_column_int64(row, 17), .end_ms = sqlite3_column_int64(row, 18),
        .why = store_copy(store, arena, row, 19), .looked_ms = sqlite3_column_int64(row, 20), .is_behind = sqlite3_column_int(row, 21) != 0};
    store_chars(row, 13, work.since.boot, sizeof work.since.boot);
    work.since.boot_ms = sqlite3_column_int64(row, 14);
    work.since.wall_ms = sqlite3_column_int64(row, 15);
    work.since.server_ms = sqlite3_column_int64(row, 16);
    *ret_work = work;
}

void store_work_add(struct store *store, struct store_work *work)
{
    store_run(store, "INSERT INTO work VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0)", "titiiibbbbiisiiiii", work->name, (int64_t)work->kind,
              work->input, work->every_ms, work->flex_ms, (int64_t)work->network, work->charging, work->battery, work->storage, work->is_linear, work->backoff_ms,
              (int64_t)work->attempts, work->since.boot, work->since.boot_ms, work->since.wall_ms, work->since.server_ms, work->wait_ms, work->end_ms);
    work->id = store->err == ERR_OK ? sqlite3_last_insert_rowid(store->db) : 0;
}

bool store_work_put(struct store *store, const struct store_work *work)
{
    store_run(store, "UPDATE work SET attempts = ?, since_boot = ?, since_boot_ms = ?, since_wall_ms = ?, since_server_ms = ?, wait_ms = ?, end_ms = ?, why = ?, "
                     "looked_ms = ? WHERE id = ?", "isiiiiitii", (int64_t)work->attempts, work->since.boot, work->since.boot_ms, work->since.wall_ms, work->since.server_ms,
              work->wait_ms, work->end_ms, work->why, work->looked_ms, work->id);
    return store->err == ERR_OK && sqlite3_changes(store->db) == 1;
}

void store_work_remove(struct store *store, int64_t id) { store_run(store, "DELETE FROM work WHERE id = ?", "i", id); }

uint64_t store_work_cancel(struct store *store, struct span name)
{
    store_run(store, "DELETE FROM work WHERE name = ?", "t", name);
    return store->err == ERR_OK ? (uint64_t)sqlite3_changes(store->db) : 0;
}

bool store_work_is_there(struct store *store, int64_t id)
{
    sqlite3_stmt *row = store_bind(store, "SELECT 1 FROM work WHERE id = ?", "i", id);
    bool found = store_next(store, row);
    if (found) store_done(row);
    return found;
}

enum err store_work_list(struct store *store, struct arena *arena, struct span name, struct store_work **ret_list, size_t *ret_count)
{
    size_t count = 0;
    struct store_work *list = arena_take(arena, STORE_WORK_MAX * sizeof *list);
    if (list == NULL) return ERR_MEMORY;
    sqlite3_stmt *row = store_bind(store, "SELECT " COLUMNS " FROM work WHERE ?1 = '' OR name = ?1 ORDER BY id", "t", name.at == NULL ? SPAN_LITERAL("") : name);
    while (count < STORE_WORK_MAX && store_next(store, row)) read_work(store, arena, row, &list[count++]);
    store_done(row);
    if (store->err != ERR_OK) return store->err;
    *ret_list = list;
    *ret_count = count;
    return ERR_OK;
}

uint64_t store_work_count(struct store *store) { return store_count(store, "SELECT count(*) FROM work"); }

/* ---- runs ---- */

int64_t store_work_ran(struct store *store, struct span name, int64_t now_ms, unsigned kept)
{
    store_run(store, "UPDATE work_runs SET outcome = 'killed' WHERE outcome = 'running'", "");
    store_run(store, "INSERT INTO work_runs VALUES (NULL, ?, ?, 0, 'running', '')", "ti", name, now_ms);
    int64_t id = store->err == ERR_OK ? sqlite3_last_insert_rowid(store->db) : 0;
    store_run(store, "DELETE FROM work_runs WHERE id <= ?", "i", id - (int64_t)kept);
    return id;
}

void store_work_run_ended(struct store *store, int64_t run, int64_t took_ms, const char *outcome, struct span reason)
{
    store_run(store, "UPDATE work_runs SET took_ms = ?, outcome = ?, reason = ? WHERE id = ?", "isti", took_ms, outcome, reason, run);
}

bool store_work_last_run(struct store *store, struct arena *arena, struct span name, struct store_work_run *ret_run)
{
    sqlite3_stmt *row = store_bind(store, "SELECT began_ms, took_ms, outcome, reason FROM work_runs WHERE name = ? ORDER BY id DESC LIMIT 1", "t", name);
    if (!store_next(store, row)) return false;
    *ret_run = (struct store_work_run){sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1), store_copy(store, arena, row, 2), store_copy(store, arena, row, 3)};
    store_done(row);
    return store->err == ERR_OK;
}

bool store_work_ran_since(struct store *store, struct span name, int64_t run)
{
    sqlite3_stmt *row = store_bind(store, "SELECT 1 FROM work_runs WHERE name = ? AND id > ?", "ti", name, run);
    bool found = store_next(store, row);
    if (found) store_done(row);
    return found;
}
