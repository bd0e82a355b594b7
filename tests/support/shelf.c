/* See shelf.h. */
#include "tests/support/shelf.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"

enum { SHELF_ARENA_BYTES_MAX = 67108864, SHELF_TEXT_BYTES_MAX = 67108864 };

static struct span own(struct span span)
{
    char *at = malloc(span.bytes + 1);
    assert(at != NULL);
    if (span.bytes > 0) memcpy(at, span.at, span.bytes);
    at[span.bytes] = '\0';
    return span_of(at, span.bytes);
}

static void disown(struct span span) { free((void *)(uintptr_t)span.at); }

void shelf_init(struct shelf *shelf, const char *namespace_text)
{
    char why[256] = "";
    *shelf = (struct shelf){.next_rev = 1, .clock_ms = 1000000};
    enum err err = namespace_compile(span_text(namespace_text), &shelf->ns, why, sizeof why);
    if (err != ERR_OK) fprintf(stderr, "shelf: %s\n", why);
    assert(err == ERR_OK);
    arena_init(&shelf->arena, SHELF_ARENA_BYTES_MAX);
    buf_init(&shelf->text, SHELF_TEXT_BYTES_MAX);
}

void shelf_fini(struct shelf *shelf)
{
    for (size_t i = 0; i < shelf->docs_count; i++) {
        disown(shelf->docs[i].id);
        disown(shelf->docs[i].stored);
    }
    free(shelf->docs);
    disown(shelf->ops);
    namespace_free(shelf->ns);
    arena_fini(&shelf->arena);
    buf_fini(&shelf->text);
}

static struct shelf_doc *find(const struct shelf *shelf, struct span collection, struct span id)
{
    for (size_t i = 0; i < shelf->docs_count; i++)
        if (span_is(collection, shelf->docs[i].collection) && span_equal(shelf->docs[i].id, id)) return &shelf->docs[i];
    return NULL;
}

static enum err read_doc(void *ctx, struct span collection, struct span id, struct span *ret_stored)
{
    struct shelf *shelf = ctx;
    const struct shelf_doc *doc = find(shelf, collection, id);
    /* A copy, for the result speaks of these bytes after keep() has replaced them. */
    *ret_stored = doc == NULL ? span_of(NULL, 0) : arena_copy(&shelf->arena, doc->stored);
    return ERR_OK;
}

static void keep(struct shelf *shelf, const struct resolve_doc *changed)
{
    struct span collection = span_text(changed->collection->name);
    struct shelf_doc *doc = find(shelf, collection, changed->id);
    buf_reset(&shelf->text);
    doc_encode(&changed->after, &shelf->text);
    assert(buf_ok(&shelf->text));
    struct span stored = own(buf_span(&shelf->text));
    if (doc == NULL) {
        if (shelf->docs_count == shelf->docs_room) {
            shelf->docs_room = shelf->docs_room == 0 ? 16 : shelf->docs_room * 2;
            shelf->docs = realloc(shelf->docs, shelf->docs_room * sizeof *shelf->docs);
            assert(shelf->docs != NULL);
        }
        doc = &shelf->docs[shelf->docs_count++];
        *doc = (struct shelf_doc){.id = own(changed->id)};
        memcpy(doc->collection, collection.at, collection.bytes + 1);
    }
    disown(doc->stored);
    doc->stored = stored;
}

enum resolve_status shelf_push_span(struct shelf *shelf, const struct shelf_push *push, struct span ops)
{
    struct json_value value;
    struct op *decoded = NULL;
    size_t count = 0;
    arena_reset(&shelf->arena);
    shelf->result = (struct resolve_result){.status = RESOLVE_REJECTED};
    disown(shelf->ops);
    shelf->ops = own(ops);
    bool good = json_check(shelf->ops, &value, NULL);
    assert(good);
    shelf->decoded = op_decode_all(value, &shelf->arena, &decoded, &count, shelf->result.why, sizeof shelf->result.why);
    assert(shelf->decoded != ERR_MEMORY);
    shelf->result.code = shelf->decoded;
    if (shelf->decoded != ERR_OK) return RESOLVE_REJECTED;
    int64_t time_ms = push->time_ms > 0 ? push->time_ms : shelf->clock_ms;
    if (time_ms > shelf->clock_ms) shelf->clock_ms = time_ms;
    struct resolve_push resolving = {
        .ns = shelf->ns, .user = arena_copy(&shelf->arena, span_text(push->user != NULL ? push->user : "ann")),
        .device = arena_copy(&shelf->arena, span_text(push->device != NULL ? push->device : "phone")),
        .role = push->stranger ? ROLE_NONE : push->role == ROLE_NONE ? ROLE_WRITER : push->role, .rev = shelf->next_rev,
        .head = shelf->head, .time_ms = time_ms, .last_push_ms = push->last_push_ms == 0 ? -1 : push->last_push_ms,
        .window_clock_ms = shelf->clock_ms, .ops = decoded, .ops_count = count};
    struct resolve_reader reader = {.ctx = shelf, .read = read_doc};
    enum err err = resolve_push(&resolving, &reader, &shelf->arena, &shelf->result);
    assert(err == ERR_OK);
    if (shelf->result.status == RESOLVE_CHANGED) {
        for (size_t i = 0; i < shelf->result.docs_count; i++)
            if (shelf->result.docs[i].changed) keep(shelf, &shelf->result.docs[i]);
        shelf->head = shelf->next_rev;
    }
    shelf->next_rev++;
    return shelf->result.status;
}

enum resolve_status shelf_push(struct shelf *shelf, const struct shelf_push *push)
{
    return shelf_push_span(shelf, push, span_text(push->ops));
}

bool shelf_doc(struct shelf *shelf, const char *collection, const char *id, struct doc *ret_doc)
{
    const struct shelf_doc *doc = find(shelf, span_text(collection), span_text(id));
    if (doc == NULL) return false;
    enum err err = doc_decode(doc->stored, &shelf->arena, ret_doc);
    assert(err == ERR_OK);
    return true;
}

static const char *text_of(struct shelf *shelf)
{
    buf_add_char(&shelf->text, '\0');
    assert(buf_ok(&shelf->text));
    return shelf->text.at;
}

const char *shelf_body(struct shelf *shelf, const char *collection, const char *id)
{
    struct doc doc;
    if (!shelf_doc(shelf, collection, id, &doc)) return "absent";
    if (doc.deleted) return "deleted";
    buf_reset(&shelf->text);
    buf_add_span(&shelf->text, doc.body);
    return text_of(shelf);
}

const char *shelf_losers(struct shelf *shelf)
{
    buf_reset(&shelf->text);
    for (size_t i = 0; i < shelf->result.losers_count; i++) {
        const struct resolve_loser *loser = &shelf->result.losers[i];
        buf_add_span(&shelf->text, loser->collection);
        buf_add_char(&shelf->text, '/');
        buf_add_span(&shelf->text, loser->id);
        buf_add_char(&shelf->text, ' ');
        buf_add_span(&shelf->text, loser->whole ? SPAN_LITERAL("*") : loser->field);
        buf_add_char(&shelf->text, ' ');
        buf_add_span(&shelf->text, loser->value);
        buf_add_char(&shelf->text, ' ');
        buf_add_span(&shelf->text, loser->user);
        buf_add_char(&shelf->text, '/');
        buf_add_span(&shelf->text, loser->device);
        buf_add_char(&shelf->text, ' ');
        buf_add_u64(&shelf->text, loser->rev);
        buf_add_char(&shelf->text, ' ');
        buf_add_i64(&shelf->text, loser->time_ms);
        buf_add_char(&shelf->text, '\n');
    }
    return text_of(shelf);
}

static int order_docs(const void *a, const void *b)
{
    const struct shelf_doc *first = a, *second = b;
    int order = strcmp(first->collection, second->collection);
    return order != 0 ? order : span_compare(first->id, second->id);
}

void shelf_image(const struct shelf *shelf, struct buf *buf)
{
    size_t bytes = (shelf->docs_count + 1) * sizeof *shelf->docs;
    struct shelf_doc *docs = malloc(bytes);
    assert(docs != NULL);
    if (shelf->docs_count > 0) memcpy(docs, shelf->docs, shelf->docs_count * sizeof *docs);
    qsort(docs, shelf->docs_count, sizeof *docs, order_docs);
    for (size_t i = 0; i < shelf->docs_count; i++) {
        buf_add_text(buf, docs[i].collection);
        buf_add_char(buf, '/');
        buf_add_span(buf, docs[i].id);
        buf_add_char(buf, '=');
        buf_add_span(buf, docs[i].stored);
        buf_add_char(buf, '\n');
    }
    free(docs);
}
