/* Live queries. An observer keeps which documents it was told of; after commits it is told of the difference.
 *
 * Where nothing bounds the result (no limit, no offset), a changed document is tested alone: a change costs the same in a collection
 * of ten and of a million. Where something does, the query is run again. Changes are found by their numbers, so those of other
 * handles and processes come the same way. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/tide_parts.h"

static char *keep(char **at, const char *text)
{
    if (text == NULL) return NULL;
    char *start = *at;
    size_t bytes = strlen(text) + 1;
    memcpy(start, text, bytes);
    *at += bytes;
    return start;
}

static bool copy_query(struct tide_observer *observer, const struct tide_query *query)
{
    size_t bytes = query->where_count * sizeof *query->where + strlen(query->space) + strlen(query->collection) + (query->order == NULL ? 0 : strlen(query->order)) + 3;
    for (size_t i = 0; i < query->where_count; i++) bytes += strlen(query->where[i].field) + strlen(query->where[i].value) + 2;
    observer->texts = calloc(1, bytes);
    if (observer->texts == NULL) return false;
    struct tide_where *where = (void *)observer->texts;
    char *at = observer->texts + query->where_count * sizeof *where;
    observer->query = *query;
    observer->query.where = where;
    observer->query.space = keep(&at, query->space);
    observer->query.collection = keep(&at, query->collection);
    observer->query.order = keep(&at, query->order);
    for (size_t i = 0; i < query->where_count; i++) where[i] = (struct tide_where){keep(&at, query->where[i].field), query->where[i].test, keep(&at, query->where[i].value)};
    return true;
}

static void free_observer(struct tide_observer *observer)
{
    for (size_t i = 0; i < observer->there_count; i++) free(observer->there[i].id);
    free(observer->there);
    free(observer->tests);
    free(observer->texts);
    free(observer);
}

/* ---- what it was told of: sorted by doc ---- */

static size_t place_of(const struct tide_observer *observer, int64_t doc)
{
    size_t low = 0, high = observer->there_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (observer->there[middle].doc < doc) low = middle + 1;
        else high = middle;
    }
    return low;
}

static struct tide_there *find(const struct tide_observer *observer, int64_t doc)
{
    size_t at = place_of(observer, doc);
    return at < observer->there_count && observer->there[at].doc == doc ? &observer->there[at] : NULL;
}

static bool remember(struct tide_observer *observer, const struct store_doc *doc)
{
    size_t at = place_of(observer, doc->doc);
    char *id = strdup(doc->id.at);
    if (observer->there_count == observer->there_room) {
        size_t room = observer->there_room == 0 ? 16 : observer->there_room * 2;
        struct tide_there *there = realloc(observer->there, room * sizeof *there);
        if (there != NULL) observer->there = there;
        if (there != NULL) observer->there_room = room;
    }
    if (id == NULL || observer->there_count == observer->there_room) {
        free(id);
        return false;
    }
    memmove(&observer->there[at + 1], &observer->there[at], (observer->there_count - at) * sizeof *observer->there);
    observer->there[at] = (struct tide_there){doc->doc, doc->seq, true, id};
    observer->there_count++;
    return true;
}

static void tell(struct tide_observer *observer, enum tide_change change, const struct store_doc *doc)
{
    struct tide_doc given;
    tide_doc_fill(observer->tide, &given, observer->query.space, doc);
    if (!observer->freed) observer->each(observer->ctx, change, &given);
}

/* Tells of it and forgets it. */
static void take_away(struct tide_observer *observer, size_t at)
{
    struct tide_there there = observer->there[at];
    struct store_doc doc = {.collection = span_text(observer->query.collection), .id = span_text(there.id), .seq = there.seq};
    memmove(&observer->there[at], &observer->there[at + 1], (--observer->there_count - at) * sizeof *observer->there);
    tell(observer, TIDE_REMOVED, &doc);
    free(there.id);
}

/* ---- a turn ---- */

static bool take_row(void *ctx, const struct store_doc *doc)
{
    struct tide_observer *observer = ctx;
    struct tide_there *there = find(observer, doc->doc);
    if (there != NULL) {
        bool changed = there->seq != doc->seq;
        there->seq = doc->seq;
        there->seen = true;
        if (changed) tell(observer, TIDE_CHANGED, doc);
    } else if (remember(observer, doc)) {
        tell(observer, TIDE_ADDED, doc);
    }
    return !observer->freed;
}

static bool make_query(struct tide_observer *observer, struct store_query *ret_query)
{
    return tide_query_make(observer->tide, &observer->query, observer->tests, ret_query) == TIDE_OK && ret_query->space != 0;
}

static void run_whole(struct tide_observer *observer)
{
    struct store_query query;
    for (size_t i = 0; i < observer->there_count; i++) observer->there[i].seen = false;
    if (!make_query(observer, &query) || store_query_run(observer->tide->store, &query, 0, take_row, observer) != ERR_OK) return;
    for (size_t i = observer->there_count; i > 0; i--)
        if (!observer->there[i - 1].seen && !observer->freed) take_away(observer, i - 1);
    observer->space = query.space;
    observer->began = true;
}

static void run_one(struct tide_observer *observer, int64_t doc)
{
    struct store_query query;
    struct tide_there *there = find(observer, doc);
    if (there != NULL) there->seen = false;
    if (!make_query(observer, &query) || store_query_run(observer->tide->store, &query, doc, take_row, observer) != ERR_OK) return;
    size_t at = place_of(observer, doc);
    if (at < observer->there_count && observer->there[at].doc == doc && !observer->there[at].seen) take_away(observer, at);
}

/* The documents that changed, by space. */
struct changed {
    struct tide *tide;
    size_t count, room;
    struct { int64_t doc, space; char collection[LIMIT_COLLECTION_BYTES_MAX + 1]; } *docs;
    uint64_t seq;
    bool failed;
};

static bool collect(void *ctx, int64_t space, const struct store_doc *doc)
{
    struct changed *changed = ctx;
    if (changed->count == changed->room) {
        size_t room = changed->room == 0 ? 64 : changed->room * 2;
        void *docs = realloc(changed->docs, room * sizeof *changed->docs);
        if (docs == NULL) {
            changed->failed = true;
            return false;
        }
        changed->docs = docs;
        changed->room = room;
    }
    changed->docs[changed->count].doc = doc->doc;
    changed->docs[changed->count].space = space;
    snprintf(changed->docs[changed->count].collection, LIMIT_COLLECTION_BYTES_MAX + 1, "%.*s", (int)doc->collection.bytes, doc->collection.at);
    changed->count++;
    changed->seq = doc->seq;
    return true;
}

static void deliver_to(struct tide_observer *observer, const struct changed *changed)
{
    bool bounded = observer->query.limit > 0 || observer->query.offset > 0, again = !observer->began, any = !observer->began;
    tide_seal_begin(observer->tide);
    for (size_t i = 0; i < changed->count && !again && !observer->freed; i++) {
        if (changed->docs[i].space != observer->space || strcmp(changed->docs[i].collection, observer->query.collection) != 0) continue;
        any = true;
        if (bounded) again = true;
        else run_one(observer, changed->docs[i].doc);
    }
    if (again && !observer->freed) run_whole(observer);
    if (any && observer->began && !observer->freed && observer->done != NULL) observer->done(observer->ctx);
}

static void sweep(struct tide *tide)
{
    for (struct tide_observer **at = &tide->observers; *at != NULL;) {
        struct tide_observer *observer = *at;
        if (!observer->freed) {
            at = &observer->next;
            continue;
        }
        *at = observer->next;
        free_observer(observer);
    }
}

void tide_observe_deliver(struct tide *tide)
{
    struct changed changed = {.tide = tide};
    bool fresh = false;
    tide->fresh_observers = false;
    for (struct tide_observer *observer = tide->observers; observer != NULL; observer = observer->next) fresh = fresh || !observer->began;
    if (tide->observers == NULL || (!fresh && store_self(tide->store)->seq <= tide->delivered)) return;
    enum err err = store_query_changes(tide->store, tide->delivered, collect, &changed);
    if (err == ERR_OK && !changed.failed) {
        for (struct tide_observer *observer = tide->observers; observer != NULL; observer = observer->next) deliver_to(observer, &changed);
        if (changed.seq > tide->delivered) tide->delivered = changed.seq;
        if (store_self(tide->store)->seq > tide->delivered) tide->delivered = store_self(tide->store)->seq;
    }
    free(changed.docs);
    sweep(tide);
}

enum tide_code tide_observe(struct tide *tide, const struct tide_query *query, void (*each)(void *ctx, enum tide_change change, const struct tide_doc *doc),
                            void (*done)(void *ctx), void *ctx, struct tide_observer **ret_observer)
{
    struct store_condition tests[STORE_TESTS_MAX];
    struct store_query made;
    enum tide_code code = tide_query_make(tide, query, tests, &made);
    if (code != TIDE_OK) return code;
    struct tide_observer *observer = calloc(1, sizeof *observer);
    if (observer == NULL || !copy_query(observer, query) || (observer->tests = calloc(query->where_count + 1, sizeof *observer->tests)) == NULL) {
        if (observer != NULL) free_observer(observer);
        return tide_fail_err(tide, ERR_MEMORY);
    }
    observer->tide = tide;
    observer->each = each;
    observer->done = done;
    observer->ctx = ctx;
    store_refresh(tide->store);
    if (tide->observers == NULL) tide->delivered = store_self(tide->store)->seq;
    observer->next = tide->observers;
    tide->observers = observer;
    tide->fresh_observers = true;
    *ret_observer = observer;
    tide_step(tide);
    return TIDE_OK;
}

void tide_observer_free(struct tide_observer *observer)
{
    if (observer == NULL) return;
    observer->freed = true;
    if (!observer->tide->in_callback) sweep(observer->tide);
}

void tide_observe_fini(struct tide *tide)
{
    for (struct tide_observer *observer = tide->observers; observer != NULL; observer = observer->next) observer->freed = true;
    sweep(tide);
}
