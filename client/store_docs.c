/* Documents: what the server told of them, what is shown, and the numbering of their changes. */
#include <assert.h>
#include <stdlib.h>

#include "client/store_parts.h"
#include "core/hash.h"

void store_dirty_add(struct store *store, int64_t doc)
{
    if (store->dirty_all) return;
    if (store->dirty_count == STORE_DIRTY_MAX) {
        store->dirty_all = true;
        return;
    }
    if (store->dirty_count == store->dirty_room) {
        size_t room = store->dirty_room == 0 ? 64 : store->dirty_room * 2;
        int64_t *dirty = realloc(store->dirty, room * sizeof *dirty);
        if (dirty == NULL) {
            store_fail(store, ERR_MEMORY);
            return;
        }
        store->dirty = dirty;
        store->dirty_room = room;
    }
    store->dirty[store->dirty_count++] = doc;
}

static int order_of(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

size_t store_dirty_take(struct store *store, struct arena *arena, int64_t **ret_docs)
{
    size_t count = 0;
    if (store->dirty_all) {
        store->dirty_count = 0;
        store->dirty_all = false;
        sqlite3_stmt *row = store_bind(store, "SELECT doc FROM documents WHERE pending > 0", "");
        while (store_next(store, row)) store_dirty_add(store, sqlite3_column_int64(row, 0));
        if (store->dirty_all) store_fail(store, ERR_MEMORY);
    }
    int64_t *docs = arena_take(arena, (store->dirty_count + 1) * sizeof *docs);
    if (docs == NULL) {
        store_fail(store, ERR_MEMORY);
        store->dirty_count = 0;
        return 0;
    }
    if (store->dirty_count > 0) qsort(store->dirty, store->dirty_count, sizeof *store->dirty, order_of);
    for (size_t i = 0; i < store->dirty_count; i++)
        if (count == 0 || docs[count - 1] != store->dirty[i]) docs[count++] = store->dirty[i];
    store->dirty_count = 0;
    *ret_docs = docs;
    return count;
}

static struct span column(struct store *store, struct arena *arena, sqlite3_stmt *row, int at)
{
    return arena == NULL ? store_text(row, at) : store_copy(store, arena, row, at);
}

void store_doc_row(struct store *store, struct arena *arena, sqlite3_stmt *row, int at, struct store_doc *ret_doc)
{
    struct store_doc doc = {.doc = sqlite3_column_int64(row, at)};
    doc.collection = column(store, arena, row, at + 1);
    doc.id = column(store, arena, row, at + 2);
    doc.user = column(store, arena, row, at + 3);
    doc.rev = store_u64(row, at + 4);
    doc.born = store_u64(row, at + 5);
    doc.contains = store_u64(row, at + 6);
    doc.run = store_u64(row, at + 7);
    doc.seq = store_u64(row, at + 8);
    doc.added_seq = store_u64(row, at + 9);
    doc.time_ms = sqlite3_column_int64(row, at + 10);
    doc.changed_ms = sqlite3_column_int64(row, at + 11);
    doc.pending = store_u64(row, at + 12);
    doc.body = column(store, arena, row, at + 13);
    doc.server = doc.pending > 0 ? column(store, arena, row, at + 14) : doc.body;
    doc.seal = sqlite3_column_int(row, at + 15);
    *ret_doc = doc;
}

bool store_doc_find(struct store *store, struct arena *arena, int64_t space, struct span collection, struct span id, struct store_doc *ret_doc)
{
    sqlite3_stmt *row = store_bind(store, "SELECT " STORE_DOC_COLUMNS " FROM documents WHERE space = ? AND collection = ? AND id = ?", "itt", space, collection, id);
    *ret_doc = (struct store_doc){.collection = collection, .id = id};
    if (!store_next(store, row)) return false;
    store_doc_row(store, arena, row, 0, ret_doc);
    store_done(row);
    return true;
}

bool store_doc_get(struct store *store, struct arena *arena, int64_t doc, int64_t *ret_space, struct store_doc *ret_doc)
{
    sqlite3_stmt *row = store_bind(store, "SELECT " STORE_DOC_COLUMNS ", space FROM documents WHERE doc = ?", "i", doc);
    *ret_doc = (struct store_doc){0};
    if (!store_next(store, row)) return false;
    store_doc_row(store, arena, row, 0, ret_doc);
    *ret_space = sqlite3_column_int64(row, STORE_DOC_COLUMNS_COUNT);
    store_done(row);
    return true;
}

/* The change that is being made; `appears`: from nothing to something. */
static uint64_t next_seq(struct store *store) { return ++store->self.seq; }

static void insert_arrival(struct store *store, const struct store_space *space, const struct store_arrival *arrival, int64_t now_ms)
{
    uint64_t seq = next_seq(store);
    store_run(store, "INSERT INTO documents VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, ?, ?, ?, ?, ?, ?, ?, ?)", "ittuuittubuuuiti", space->id, arrival->collection,
              arrival->id, arrival->rev, arrival->born, arrival->time_ms, arrival->user, arrival->body, arrival->contains, arrival->ahead, space->run, seq, seq, now_ms,
              arrival->sealed, (int64_t)arrival->seal);
}

/* The row as far as an arrival needs it. */
struct row_before {
    int64_t doc;
    uint64_t rev, pending, added_seq, contains;
    bool was_shown;
};

static void update_arrival(struct store *store, const struct store_space *space, const struct store_arrival *arrival, const struct row_before *before, int64_t now_ms)
{
    /* Named again, or an older telling: what stands is as new. */
    if (arrival->rev <= before->rev) {
        bool same = arrival->rev == before->rev;
        uint64_t contains = same && arrival->contains > before->contains ? arrival->contains : before->contains;
        store_run(store, "UPDATE documents SET run = ?, contains = ?, ahead = CASE WHEN ? THEN ahead ELSE 0 END WHERE doc = ?", "uubi", space->run, contains,
                  arrival->ahead || !same, before->doc);
        if (before->pending > 0 && contains != before->contains) store_dirty_add(store, before->doc);
        return;
    }
    uint64_t seq = next_seq(store), added = !before->was_shown && arrival->body.at != NULL && before->pending == 0 ? seq : before->added_seq;
    const char *sql = before->pending > 0
        ? "UPDATE documents SET rev = ?, born = ?, time = ?, user = ?, server = ?, contains = ?, ahead = ?, run = ?, seq = ?, added_seq = ?, changed_ms = ?, sealed = ?, seal = ?"
          " WHERE doc = ?"
        : "UPDATE documents SET rev = ?, born = ?, time = ?, user = ?, body = ?, contains = ?, ahead = ?, run = ?, seq = ?, added_seq = ?, changed_ms = ?, sealed = ?, seal = ?"
          " WHERE doc = ?";
    store_run(store, sql, "uuittubuuuitii", arrival->rev, arrival->born, arrival->time_ms, arrival->user, arrival->body, arrival->contains, arrival->ahead, space->run, seq,
              added, now_ms, arrival->sealed, (int64_t)arrival->seal, before->doc);
    if (before->pending > 0) store_dirty_add(store, before->doc);
}

void store_doc_arrive(struct store *store, struct store_space *space, const struct store_arrival *arrival, int64_t now_ms)
{
    sqlite3_stmt *row = store_bind(store, "SELECT doc, rev, pending, added_seq, contains, body, server, sealed FROM documents WHERE space = ? AND collection = ? AND id = ?", "itt",
                                   space->id, arrival->collection, arrival->id);
    struct row_before before = {0};
    uint64_t old_part = 0;
    bool was_live = false;
    if (store_next(store, row)) {
        before = (struct row_before){sqlite3_column_int64(row, 0), store_u64(row, 1), store_u64(row, 2), store_u64(row, 3), store_u64(row, 4), false};
        struct span body = store_text(row, 5), server = before.pending > 0 ? store_text(row, 6) : body;
        before.was_shown = body.at != NULL;
        was_live = server.at != NULL && before.rev > 0; /* rev 0: of before the run, and in no sum */
        struct span sealed = store_text(row, 7); /* sums are over what the server has */
        if (was_live && arrival->rev > before.rev) old_part = hash_document(arrival->id, before.rev, sealed.at != NULL ? sealed : server);
        store_done(row);
    }
    if (store->err != ERR_OK) return;
    if (before.doc == 0 && arrival->body.at != NULL) insert_arrival(store, space, arrival, now_ms);
    else if (before.doc != 0) update_arrival(store, space, arrival, &before, now_ms);
    if (arrival->rev > space->seen_rev) space->seen_rev = arrival->rev;
    if (arrival->rev <= before.rev && before.doc != 0) return;
    uint64_t new_part = arrival->body.at == NULL ? 0 : hash_document(arrival->id, arrival->rev, arrival->sealed.at != NULL ? arrival->sealed : arrival->body);
    if (old_part != 0 || new_part != 0) store_sum_add(store, space->id, arrival->collection, old_part ^ new_part, (arrival->body.at != NULL) - was_live);
}

void store_doc_begin_run(struct store *store, struct store_space *space)
{
    store_sum_flush(store);
    store_run(store, "DELETE FROM sums WHERE space = ?", "i", space->id);
    store_run(store, "UPDATE documents SET rev = 0, contains = 0, ahead = 0 WHERE space = ? AND rev > 0", "i", space->id);
    space->run = ++store->self.runs;
    space->seen_rev = 0;
    space->partial = false;
}

void store_doc_drop_unnamed(struct store *store, struct store_space *space, int64_t now_ms)
{
    sqlite3_stmt *row = store_bind(store, "SELECT " STORE_DOC_COLUMNS " FROM documents WHERE space = ? AND run <> ? AND NOT ahead AND (server IS NOT NULL OR"
                                   " (pending = 0 AND body IS NOT NULL))", "iu", space->id, space->run);
    while (store_next(store, row)) {
        struct store_doc doc;
        store_doc_row(store, NULL, row, 0, &doc);
        if (doc.pending > 0) {
            store_run(store, "UPDATE documents SET born = 0, server = NULL, sealed = NULL, seal = 0 WHERE doc = ?", "i", doc.doc);
            store_dirty_add(store, doc.doc);
        } else {
            store_run(store, "UPDATE documents SET born = 0, body = NULL, sealed = NULL, seal = 0, seq = ?, changed_ms = ? WHERE doc = ?", "uii", next_seq(store), now_ms, doc.doc);
        }
    }
}

int64_t store_doc_show(struct store *store, int64_t space, const struct store_doc *doc, struct span body, uint64_t pending, int64_t now_ms)
{
    uint64_t seq = next_seq(store);
    if (doc->doc == 0) {
        store_run(store, "INSERT INTO documents VALUES (NULL, ?, ?, ?, 0, 0, 0, NULL, ?, ?, NULL, 0, 0, 0, ?, ?, ?, NULL, 0)", "itttuuui", space, doc->collection, doc->id, body,
                  pending, seq, seq, now_ms);
        return store->err == ERR_OK ? sqlite3_last_insert_rowid(store->db) : 0;
    }
    uint64_t added = doc->body.at == NULL && body.at != NULL ? seq : doc->added_seq;
    struct span server = pending > 0 ? doc->server : span_of(NULL, 0);
    store_run(store, "UPDATE documents SET body = ?, pending = ?, server = ?, seq = ?, added_seq = ?, changed_ms = ? WHERE doc = ?", "tutuuii", body, pending, server, seq,
              added, now_ms, doc->doc);
    return doc->doc;
}

enum { SEAL_LEAST = 2, SEAL_MOST = 4 }; /* locked to bare */

bool store_doc_is_sealed(struct store *store, int64_t space, struct span collection, struct span id, bool bare_too)
{
    /* Of a push that seals some of its bodies, those that it sends otherwise than they are in the clear. */
    sqlite3_stmt *row = store_bind(store, "SELECT 1 FROM documents WHERE space = ? AND collection = ? AND id = ? AND (seal BETWEEN 1 AND ? OR EXISTS (SELECT 1"
                                   " FROM outbox_documents JOIN outbox ON outbox.id = push, json_each(ops) AS op WHERE outbox_documents.doc = documents.doc AND plain IS NOT NULL"
                                   " AND json_extract(op.value, '$.collection') = documents.collection AND json_extract(op.value, '$.id') = documents.id"
                                   " AND json_extract(op.value, '$.body') IS NOT json_extract(plain, '$[' || op.key || '].body')))", "itti", space, collection, id,
                                   (int64_t)(bare_too ? SEAL_MOST : SEAL_MOST - 1));
    bool found = store_next(store, row);
    if (found) store_done(row);
    return found;
}

/* As the index documents_closed has it. */
#define KEY_ID "CASE WHEN seal = 4 OR NOT json_valid(sealed) THEN '' WHEN json_type(sealed, '$.key') IS NOT 'text' OR length(json_extract(sealed, '$.key')) > 64 THEN ''" \
               " WHEN json_extract(sealed, '$.key') GLOB '*[^A-Za-z0-9._-]*' THEN '' ELSE json_extract(sealed, '$.key') END"
#define GROUP "SELECT seal, space, collection, " KEY_ID " FROM documents WHERE seal > 1 AND "
#define IN_ORDER " ORDER BY seal, space, collection, " KEY_ID " LIMIT 1"

/* The index leads to each, however many documents a group has. Of two lower bounds SQLite would take the useless one: so each seal by itself. */
enum err store_closed_next(struct store *store, struct store_closed *group, bool *ret_found)
{
    struct span collection = span_text(group->collection), key = span_text(group->key);
    int64_t seal = group->seal < SEAL_LEAST ? SEAL_LEAST : group->seal, space = group->seal < SEAL_LEAST ? 0 : group->space;
    sqlite3_stmt *row = NULL;
    bool found = false;
    for (int step = space == 0 ? 2 : 0; seal <= SEAL_MOST && !found; step++) {
        if (step == 0) row = store_bind(store, GROUP "seal = ? AND space = ? AND collection = ? AND " KEY_ID " > ?" IN_ORDER, "iitt", seal, space, collection, key);
        else if (step == 1) row = store_bind(store, GROUP "seal = ? AND space = ? AND collection > ?" IN_ORDER, "iit", seal, space, collection);
        else row = store_bind(store, GROUP "seal = ? AND space > ?" IN_ORDER, "ii", seal, space);
        found = store_next(store, row);
        if (store->err != ERR_OK) return store->err;
        if (step < 2) continue;
        seal++;
        space = 0;
    }
    *ret_found = found;
    if (!found) return ERR_OK;
    *group = (struct store_closed){.seal = sqlite3_column_int(row, 0), .space = sqlite3_column_int64(row, 1)};
    store_chars(row, 2, group->collection, sizeof group->collection);
    store_chars(row, 3, group->key, sizeof group->key);
    store_done(row);
    return ERR_OK;
}

bool store_closed_doc(struct store *store, struct arena *arena, const struct store_closed *group, int64_t doc, struct store_doc *ret_doc, struct span *ret_sealed)
{
    sqlite3_stmt *row = store_bind(store, "SELECT " STORE_DOC_COLUMNS ", sealed FROM documents WHERE seal > 1 AND seal = ? AND space = ? AND collection = ? AND " KEY_ID
                                   " = ? AND doc > ? ORDER BY doc LIMIT 1", "iitti", (int64_t)group->seal, group->space, span_text(group->collection), span_text(group->key), doc);
    if (!store_next(store, row)) return false;
    store_doc_row(store, arena, row, 0, ret_doc);
    *ret_sealed = store_copy(store, arena, row, STORE_DOC_COLUMNS_COUNT);
    store_done(row);
    return store->err == ERR_OK;
}

void store_doc_unseal(struct store *store, const struct store_doc *doc, int seal, struct span body, int64_t now_ms)
{
    const char *sql = doc->pending > 0 ? "UPDATE documents SET seal = ?, server = ?, seq = ?, changed_ms = ? WHERE doc = ?"
                                       : "UPDATE documents SET seal = ?, body = ?, seq = ?, changed_ms = ? WHERE doc = ?";
    store_run(store, sql, "ituii", (int64_t)seal, body, next_seq(store), now_ms, doc->doc);
    if (doc->pending > 0) store_dirty_add(store, doc->doc);
}

void store_doc_sweep(struct store *store, int64_t space, int64_t before_ms)
{
    store_run(store, "DELETE FROM documents WHERE space = ? AND body IS NULL AND pending = 0 AND changed_ms < ? AND time < ?", "iii", space, before_ms, before_ms);
}
