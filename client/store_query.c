/* Queries: a condition on JSON fields becomes SQL of SQLite's own JSON functions, and an index that the app declared becomes an
 * index of SQLite on the same expression, so that its planner uses it. Names that come from outside stand in the SQL only after
 * they were checked (collections) or as quoted text (fields); values are bound. */
#include <inttypes.h>
#include <stdio.h>

#include "client/store_parts.h"
#include "core/hash.h"
#include "core/json.h"
#include "core/name.h"

enum { SQL_BYTES_MAX = 16384 };

/* json_extract(body, '$."a"."b"'). False: the field is no path. */
static bool add_field(struct buf *sql, struct span field)
{
    if (field.bytes == 0 || field.bytes > STORE_FIELD_BYTES_MAX) return false;
    buf_add_text(sql, "json_extract(body,'$.\"");
    for (size_t i = 0; i < field.bytes; i++) {
        char c = field.at[i];
        if (c == '"' || c == '\0' || (c == '.' && (i == 0 || i + 1 == field.bytes || field.at[i + 1] == '.'))) return false;
        if (c == '.') buf_add_text(sql, "\".\"");
        else if (c == '\'') buf_add_text(sql, "''");
        else buf_add_char(sql, c);
    }
    buf_add_text(sql, "\"')");
    return true;
}

static bool add_test(struct buf *sql, const struct store_condition *condition)
{
    static const char *const signs[] = {[STORE_EQUAL] = " = ", [STORE_DIFFERENT] = " IS NOT ", [STORE_LESS] = " < ", [STORE_LEAST] = " >= ",
                                        [STORE_GREATER] = " > ", [STORE_MOST] = " <= ", [STORE_HAS] = NULL};
    buf_add_text(sql, " AND ");
    if (condition->test == STORE_HAS) {
        buf_add_text(sql, "EXISTS (SELECT 1 FROM json_each(body, '$.\"");
        struct buf path;
        buf_init(&path, SQL_BYTES_MAX);
        bool good = add_field(&path, condition->field);
        /* The same path without what stands around it. */
        static const size_t before = sizeof "json_extract(body,'$.\"" - 1, behind = sizeof "')" - 1;
        if (good && buf_ok(&path)) buf_add(sql, path.at + before, path.bytes - before - behind);
        buf_add_text(sql, "') WHERE json_each.value = ?)");
        buf_fini(&path);
        return good;
    }
    bool good = add_field(sql, condition->field);
    buf_add_text(sql, signs[condition->test]);
    buf_add_text(sql, "?");
    return good;
}

static bool add_order(struct buf *sql, const struct store_query *query)
{
    const char *way = query->descending ? " DESC" : "";
    buf_add_text(sql, " ORDER BY ");
    if (query->order.bytes == 0 || span_is(query->order, "@born")) {
        /* What the server has not told of yet was born last. */
        bool by_born = query->order.bytes > 0;
        buf_add_text(sql, by_born ? "rev = 0 AND born = 0" : "id");
        buf_add_text(sql, way);
        if (by_born) buf_add_text(sql, query->descending ? ", born DESC, added_seq DESC" : ", born, added_seq");
        return true;
    }
    if (span_is(query->order, "@id")) buf_add_text(sql, "id");
    else if (span_is(query->order, "@time")) buf_add_text(sql, "time");
    else if (span_is(query->order, "@changed")) buf_add_text(sql, "seq");
    else if (!add_field(sql, query->order)) return false;
    buf_add_text(sql, way);
    buf_add_text(sql, ", id");
    buf_add_text(sql, way);
    return true;
}

/* Binds a JSON value as the SQL value that json_extract() gives for it. `room` holds a decoded text until the statement is done. */
static bool bind_value(sqlite3_stmt *statement, int at, struct span text, struct arena *arena)
{
    struct json_value value;
    if (!json_check(text, &value, NULL)) return false;
    if (value.type == JSON_NULL) return sqlite3_bind_null(statement, at) == SQLITE_OK;
    if (value.type == JSON_TRUE || value.type == JSON_FALSE) return sqlite3_bind_int(statement, at, value.type == JSON_TRUE) == SQLITE_OK;
    if (value.type == JSON_NUMBER) {
        char number[64];
        long long whole;
        int used = 0;
        if (value.raw.bytes >= sizeof number) return false;
        snprintf(number, sizeof number, "%.*s", (int)value.raw.bytes, value.raw.at);
        if (strpbrk(number, ".eE") == NULL && sscanf(number, "%lld%n", &whole, &used) == 1 && number[used] == '\0')
            return sqlite3_bind_int64(statement, at, whole) == SQLITE_OK;
        double inexact = 0;
        return sscanf(number, "%lf", &inexact) == 1 && sqlite3_bind_double(statement, at, inexact) == SQLITE_OK;
    }
    if (value.type != JSON_STRING) return false;
    struct span inside = json_inside(value);
    char *room = arena_take(arena, inside.bytes + 1);
    size_t bytes = room == NULL ? SIZE_MAX : json_decode(inside, room, inside.bytes + 1);
    return bytes != SIZE_MAX && sqlite3_bind_text(statement, at, room, (int)bytes, SQLITE_STATIC) == SQLITE_OK;
}

static bool build(const struct store_query *query, int64_t only_doc, struct buf *sql)
{
    char number[32];
    if (!name_is_collection(query->collection) || query->tests_count > STORE_TESTS_MAX) return false;
    buf_add_text(sql, "SELECT " STORE_DOC_COLUMNS " FROM documents WHERE space = ? AND collection = '");
    buf_add_span(sql, query->collection);
    buf_add_text(sql, "' AND body IS NOT NULL");
    if (only_doc != 0) {
        snprintf(number, sizeof number, " AND doc = %" PRId64, only_doc);
        buf_add_text(sql, number);
    }
    for (size_t i = 0; i < query->tests_count; i++)
        if (!add_test(sql, &query->tests[i])) return false;
    if (only_doc != 0) return buf_ok(sql);
    if (!add_order(sql, query)) return false;
    if (query->limit > 0 || query->offset > 0) {
        snprintf(number, sizeof number, " LIMIT %" PRId64, query->limit > 0 ? (int64_t)query->limit : -1);
        buf_add_text(sql, number);
        snprintf(number, sizeof number, " OFFSET %" PRIu64, query->offset);
        buf_add_text(sql, number);
    }
    return buf_ok(sql);
}

enum err store_query_run(struct store *store, const struct store_query *query, int64_t only_doc,
                         bool (*each)(void *ctx, const struct store_doc *doc), void *ctx)
{
    struct buf sql;
    struct arena arena;
    sqlite3_stmt *row = NULL;
    enum err err = ERR_INVALID;
    buf_init(&sql, SQL_BYTES_MAX);
    arena_init(&arena, LIMIT_FRAME_BYTES_MAX);
    if (!build(query, only_doc, &sql)) goto out;
    int code = sqlite3_prepare_v2(store->db, sql.at, (int)sql.bytes, &row, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_int64(row, 1, query->space);
    err = store_err_of(code);
    for (size_t i = 0; i < query->tests_count && err == ERR_OK; i++)
        if (!bind_value(row, (int)i + 2, query->tests[i].value, &arena)) err = ERR_INVALID;
    if (err != ERR_OK) goto out;
    while ((code = sqlite3_step(row)) == SQLITE_ROW) {
        struct store_doc doc;
        store_doc_row(store, NULL, row, 0, &doc);
        if (!each(ctx, &doc)) break;
    }
    err = store_err_of(code);
out:
    sqlite3_finalize(row);
    arena_fini(&arena);
    buf_fini(&sql);
    return err;
}

enum err store_query_index(struct store *store, struct span collection, struct span field)
{
    char name[64];
    struct buf sql, key;
    if (!name_is_collection(collection)) return ERR_INVALID;
    buf_init(&sql, SQL_BYTES_MAX);
    buf_init(&key, SQL_BYTES_MAX);
    buf_add_span(&key, collection);
    buf_add_char(&key, '\n');
    buf_add_span(&key, field);
    snprintf(name, sizeof name, "declared_%016" PRIx64, hash_64(buf_span(&key)));
    buf_add_text(&sql, "CREATE INDEX IF NOT EXISTS ");
    buf_add_text(&sql, name);
    buf_add_text(&sql, " ON documents(space, ");
    enum err err = add_field(&sql, field) ? ERR_OK : ERR_INVALID;
    buf_add_text(&sql, ") WHERE collection = '");
    buf_add_span(&sql, collection);
    buf_add_text(&sql, "' AND body IS NOT NULL");
    buf_add_char(&sql, '\0');
    if (err == ERR_OK && (!buf_ok(&sql) || !buf_ok(&key))) err = ERR_MEMORY;
    if (err == ERR_OK) err = store_begin(store, true);
    if (err == ERR_OK) {
        store_run(store, "INSERT OR IGNORE INTO indexes VALUES (?, ?, ?)", "stt", name, collection, field);
        int code = sqlite3_exec(store->db, sql.at, NULL, NULL, NULL);
        if (code != SQLITE_OK) store_fail(store, store_err_of(code));
        err = store_commit(store);
    }
    buf_fini(&sql);
    buf_fini(&key);
    return err;
}

enum err store_query_changes(struct store *store, uint64_t seq, bool (*each)(void *ctx, int64_t space, const struct store_doc *doc), void *ctx)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(store->db, "SELECT " STORE_DOC_COLUMNS ", space FROM documents WHERE seq > ? ORDER BY seq", -1, &row, NULL);
    if (code == SQLITE_OK) code = sqlite3_bind_int64(row, 1, (int64_t)seq);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(row);
        if (code != SQLITE_ROW) break;
        struct store_doc doc;
        store_doc_row(store, NULL, row, 0, &doc);
        if (!each(ctx, sqlite3_column_int64(row, STORE_DOC_COLUMNS_COUNT), &doc)) break;
    }
    enum err err = store_err_of(code);
    sqlite3_finalize(row);
    return err;
}
