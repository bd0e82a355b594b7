/* Reading: documents, queries, changes, spaces. */
#include <stdio.h>
#include <stdlib.h>

#include "client/tide_parts.h"

void tide_doc_fill(struct tide *tide, struct tide_doc *ret_doc, const char *space, const struct store_doc *doc)
{
    *ret_doc = (struct tide_doc){.space = space, .collection = doc->collection.at, .id = doc->id.at, .body = doc->body.at, .body_bytes = doc->body.bytes, .rev = doc->rev,
        .born = doc->born, .time_ms = doc->time_ms, .user = doc->user.at == NULL ? "" : doc->user.at, .seal = tide_seal_shown(tide, span_text(space), doc), .pending = doc->pending > 0, .seq = doc->seq,
        .changed_ms = doc->changed_ms};
}

static char *place(char **at, const char *text, size_t bytes)
{
    char *start = *at;
    if (bytes > 0) memcpy(start, text, bytes);
    start[bytes] = '\0';
    *at += bytes + 1;
    return start;
}

enum tide_code tide_get(struct tide *tide, const char *space, const char *collection, const char *id, struct tide_doc **ret_doc)
{
    struct store_doc doc;
    if (space == NULL || collection == NULL || id == NULL) return tide_fail(tide, TIDE_INVALID, "space, collection and id are needed");
    arena_reset(&tide->arena);
    struct store_space found = store_space_find(tide->store, span_text(space));
    bool there = found.id != 0 && store_doc_find(tide->store, &tide->arena, found.id, span_text(collection), span_text(id), &doc) && doc.body.at != NULL;
    enum err err = store_read_err(tide->store);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    if (!there) return tide_fail(tide, TIDE_NOT_FOUND, "%.80s has no %.32s/%.80s", space, collection, id);
    size_t bytes = strlen(space) + strlen(collection) + strlen(id) + doc.body.bytes + doc.user.bytes + 5;
    struct tide_doc *made = malloc(sizeof *made + bytes);
    if (made == NULL) return tide_fail_err(tide, ERR_MEMORY);
    char *at = (char *)(made + 1);
    tide_seal_begin(tide);
    tide_doc_fill(tide, made, place(&at, space, strlen(space)), &doc);
    made->collection = place(&at, collection, strlen(collection));
    made->id = place(&at, id, strlen(id));
    made->body = place(&at, doc.body.at, doc.body.bytes);
    made->user = place(&at, doc.user.at, doc.user.bytes);
    *ret_doc = made;
    return TIDE_OK;
}

void tide_doc_free(struct tide_doc *doc) { free(doc); }

/* ---- queries ---- */

enum tide_code tide_query_make(struct tide *tide, const struct tide_query *query, struct store_condition *tests, struct store_query *ret_query)
{
    if (query->space == NULL || query->collection == NULL) return tide_fail(tide, TIDE_INVALID, "space and collection are needed");
    if (query->where_count > STORE_TESTS_MAX) return tide_fail(tide, TIDE_INVALID, "more than %d conditions", STORE_TESTS_MAX);
    struct store_space space = store_space_find(tide->store, span_text(query->space));
    for (size_t i = 0; i < query->where_count; i++) {
        const struct tide_where *where = &query->where[i];
        if (where->field == NULL || where->value == NULL || (unsigned)where->test > TIDE_HAS) return tide_fail(tide, TIDE_INVALID, "where[%zu]: not a condition", i);
        tests[i] = (struct store_condition){span_text(where->field), (enum store_test)where->test, span_text(where->value)};
    }
    *ret_query = (struct store_query){.space = space.id, .collection = span_text(query->collection), .tests_count = query->where_count, .tests = tests,
        .order = span_text(query->order == NULL ? "" : query->order), .descending = query->descending, .limit = query->limit, .offset = query->offset};
    return TIDE_OK;
}

struct each_doc {
    struct tide *tide;
    const char *space;
    bool (*each)(void *ctx, const struct tide_doc *doc);
    void *ctx;
};

static bool give_doc(void *ctx, const struct store_doc *doc)
{
    const struct each_doc *to = ctx;
    struct tide_doc given;
    tide_doc_fill(to->tide, &given, to->space, doc);
    return to->each(to->ctx, &given);
}

enum tide_code tide_query(struct tide *tide, const struct tide_query *query, bool (*each)(void *ctx, const struct tide_doc *doc), void *ctx)
{
    struct store_condition tests[STORE_TESTS_MAX];
    struct store_query made;
    struct each_doc to = {tide, query->space, each, ctx};
    enum tide_code code = tide_query_make(tide, query, tests, &made);
    if (code != TIDE_OK) return code;
    tide_seal_begin(tide);
    enum err err = store_query_run(tide->store, &made, 0, give_doc, &to);
    if (err == ERR_INVALID) return tide_fail(tide, TIDE_INVALID, "a field or a value of the query is none");
    return err == ERR_OK ? TIDE_OK : tide_fail_err(tide, err);
}

enum tide_code tide_index(struct tide *tide, const char *collection, const char *field)
{
    enum err err = collection == NULL || field == NULL ? ERR_INVALID : store_query_index(tide->store, span_text(collection), span_text(field));
    return err == ERR_OK ? TIDE_OK : tide_fail_err(tide, err);
}

/* ---- changes ---- */

struct each_change {
    struct tide *tide;
    uint64_t since, seq;
    int64_t space;
    char name[LIMIT_SPACE_BYTES_MAX + 1];
    bool (*each)(void *ctx, const struct tide_doc *doc);
    void *ctx;
};

static bool give_change(void *ctx, int64_t space, const struct store_doc *doc)
{
    struct each_change *to = ctx;
    struct tide_doc given;
    if (space != to->space) {
        struct store_space found = store_space_get(to->tide->store, space);
        memcpy(to->name, found.name, sizeof to->name);
        to->space = space;
    }
    tide_doc_fill(to->tide, &given, to->name, doc);
    given.is_new = doc->body.at != NULL && doc->added_seq > to->since;
    to->seq = doc->seq;
    return to->each(to->ctx, &given);
}

enum tide_code tide_changes(struct tide *tide, uint64_t seq, bool (*each)(void *ctx, const struct tide_doc *doc), void *ctx, uint64_t *ret_seq)
{
    struct each_change to = {.tide = tide, .since = seq, .seq = seq, .each = each, .ctx = ctx};
    tide_seal_begin(tide);
    enum err err = store_query_changes(tide->store, seq, give_change, &to);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    *ret_seq = to.seq;
    return TIDE_OK;
}

/* ---- spaces ---- */

enum tide_code tide_spaces(struct tide *tide, bool (*each)(void *ctx, const struct tide_space *space), void *ctx)
{
    int64_t *ids;
    arena_reset(&tide->arena);
    size_t count = store_spaces_all(tide->store, &tide->arena, &ids);
    enum err err = store_read_err(tide->store);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    for (size_t i = 0; i < count; i++) {
        uint64_t *pending;
        struct store_space space = store_space_get(tide->store, ids[i]);
        struct tide_space given = {.name = space.name, .subscribed = space.wanted, .whole = space.cursor[0] != '\0' && space.run == 0, .priority = (int)space.priority,
            .documents = store_space_live(tide->store, ids[i]), .synced_ms = space.synced_ms, .closed = space.closed};
        given.pending = store_push_ids(tide->store, &tide->arena, ids[i], &pending);
        if (!each(ctx, &given)) break;
    }
    return TIDE_OK;
}
