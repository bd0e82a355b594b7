/* See vectors.h. Every history begins on an empty shelf and goes on for a while, so that documents have a past; each push
 * of it is one vector that stands alone. */
#include "tests/support/vectors.h"

#include <assert.h>

#include "core/json.h"
#include "tests/support/pushes.h"

enum { VECTORS_EACH = 520, HISTORY_PUSHES = 26 };

struct file {
    const char *name;
    uint64_t seed;
    const char *const *collections;
};

static const char *const lww[] = {"lww", "lww-arrival", NULL};
static const char *const merge[] = {"merge", "merge", "merge-arrival", NULL};
static const char *const append[] = {"append", NULL};
static const char *const manual[] = {"manual", NULL};
static const char *const mixed[] = {"lww", "lww", "merge", "merge", "typed", "typed", "append", "manual",
                                    "own", "rules", "members", NULL};

static const struct file files[VECTORS_FILES] = {
    {"lww.jsonl", 101, lww}, {"merge.jsonl", 202, merge}, {"append.jsonl", 303, append}, {"manual.jsonl", 404, manual}, {"mixed.jsonl", 505, mixed}};

const char *vectors_name(size_t file)
{
    assert(file < VECTORS_FILES);
    return files[file].name;
}

static void member(struct buf *buf, const char *name)
{
    if (buf->bytes > 0 && buf->at[buf->bytes - 1] != '{') buf_add_char(buf, ',');
    buf_add_char(buf, '"');
    buf_add_text(buf, name);
    buf_add_text(buf, "\":");
}

static void text_member(struct buf *buf, const char *name, struct span text)
{
    member(buf, name);
    buf_add_json_string(buf, text);
}

static void number_member(struct buf *buf, const char *name, int64_t number)
{
    member(buf, name);
    buf_add_i64(buf, number);
}

/* Time of an edit; null: older than all. */
static void time_member(struct buf *buf, const char *name, int64_t time_ms)
{
    member(buf, name);
    if (time_ms == INT64_MIN) buf_add_text(buf, "null");
    else buf_add_i64(buf, time_ms);
}

static void stamp_value(struct buf *buf, const struct stamp *stamp)
{
    buf_add_char(buf, '{');
    number_member(buf, "rev", (int64_t)stamp->rev);
    time_member(buf, "edited", stamp->edited_ms);
    text_member(buf, "user", stamp->user);
    text_member(buf, "device", stamp->device);
    buf_add_char(buf, '}');
}

static void document(struct buf *buf, struct span collection, struct span id, const struct doc *doc)
{
    buf_add_char(buf, '{');
    text_member(buf, "collection", collection);
    text_member(buf, "id", id);
    if (doc == NULL) {
        buf_add_text(buf, ",\"absent\":true}");
        return;
    }
    number_member(buf, "rev", (int64_t)doc->rev);
    number_member(buf, "time", doc->time_ms);
    text_member(buf, "user", doc->user);
    if (doc->deleted) {
        buf_add_text(buf, ",\"deleted\":true");
    } else {
        member(buf, "body");
        buf_add_span(buf, doc->body);
    }
    number_member(buf, "born", (int64_t)doc->born);
    text_member(buf, "author", doc->author);
    member(buf, "whole");
    stamp_value(buf, &doc->whole);
    member(buf, "fields");
    buf_add_char(buf, '{');
    for (size_t i = 0; i < doc->fields_count; i++) {
        if (i > 0) buf_add_char(buf, ',');
        buf_add_json_string(buf, doc->fields[i].field);
        buf_add_char(buf, ':');
        stamp_value(buf, &doc->fields[i].stamp);
    }
    buf_add_text(buf, "}}");
}

/* The stored documents that the operations name, as they are stored: a tombstone past the window too. */
static void before(struct buf *buf, struct shelf *shelf, struct span ops)
{
    struct json_value value, op;
    bool good = json_check(ops, &value, NULL), any = false;
    assert(good);
    member(buf, "before");
    buf_add_char(buf, '[');
    for (size_t i = 0; i < shelf->docs_count; i++) {
        struct doc doc;
        bool named = false;
        struct json_iter iter = json_elements(value);
        while (json_next_element(&iter, &op))
            named |= json_string_is(json_find(op, "collection"), shelf->docs[i].collection) &&
                     span_equal(json_inside(json_find(op, "id")), shelf->docs[i].id);
        if (!named) continue;
        if (any) buf_add_char(buf, ',');
        any = true;
        enum err err = doc_decode(shelf->docs[i].stored, &shelf->arena, &doc);
        assert(err == ERR_OK);
        document(buf, span_text(shelf->docs[i].collection), shelf->docs[i].id, &doc);
    }
    buf_add_char(buf, ']');
}

static void push_value(struct buf *buf, const struct shelf *shelf, const struct shelf_push *push)
{
    int64_t clock_ms = push->time_ms > shelf->clock_ms ? push->time_ms : shelf->clock_ms;
    enum role role = push->role == ROLE_NONE ? ROLE_WRITER : push->role;
    member(buf, "push");
    buf_add_char(buf, '{');
    text_member(buf, "user", span_text(push->user));
    text_member(buf, "device", span_text(push->device));
    text_member(buf, "role", span_text(access_role_name(role)));
    number_member(buf, "rev", (int64_t)shelf->next_rev);
    number_member(buf, "head", (int64_t)shelf->head);
    number_member(buf, "time", push->time_ms);
    member(buf, "last");
    if (push->last_push_ms > 0) buf_add_i64(buf, push->last_push_ms);
    else buf_add_text(buf, "null");
    number_member(buf, "clock", clock_ms);
    member(buf, "ops");
    buf_add_text(buf, push->ops);
    buf_add_char(buf, '}');
}

static void outcome(struct buf *buf, const struct shelf *shelf)
{
    static const char *const statuses[] = {"changed", "unchanged", "lost", "conflict", "rejected"};
    const struct resolve_result *result = &shelf->result;
    text_member(buf, "status", span_text(statuses[result->status]));
    if (result->code != ERR_OK) text_member(buf, "code", span_text(err_name(result->code)));
    member(buf, "after");
    buf_add_char(buf, '[');
    for (size_t i = 0; i < result->docs_count; i++) {
        const struct resolve_doc *doc = &result->docs[i];
        if (i > 0) buf_add_char(buf, ',');
        document(buf, span_text(doc->collection->name), doc->id, doc->existed || doc->changed ? &doc->after : NULL);
    }
    buf_add_char(buf, ']');
    member(buf, "losers");
    buf_add_char(buf, '[');
    for (size_t i = 0; i < result->losers_count; i++) {
        const struct resolve_loser *loser = &result->losers[i];
        if (i > 0) buf_add_char(buf, ',');
        buf_add_char(buf, '{');
        text_member(buf, "collection", loser->collection);
        text_member(buf, "id", loser->id);
        member(buf, "field");
        if (loser->whole) buf_add_text(buf, "null");
        else buf_add_json_string(buf, loser->field);
        member(buf, "value");
        buf_add_span(buf, loser->value);
        text_member(buf, "user", loser->user);
        text_member(buf, "device", loser->device);
        number_member(buf, "rev", (int64_t)loser->rev);
        time_member(buf, "time", loser->time_ms);
        buf_add_char(buf, '}');
    }
    buf_add_text(buf, "]");
}

void vectors_write(size_t file, struct buf *buf)
{
    struct buf ops;
    struct shelf shelf;
    assert(file < VECTORS_FILES);
    struct pushes pushes = {.chance = {files[file].seed}, .collections = files[file].collections};
    buf_init(&ops, 65536);
    buf_add_text(buf, "{\"vectors\":1,\"namespace\":");
    buf_add_text(buf, pushes_namespace);
    buf_add_text(buf, "}\n");
    for (size_t i = 0; i < VECTORS_EACH; i++) {
        struct shelf_push push;
        if (i % HISTORY_PUSHES == 0) {
            if (i > 0) shelf_fini(&shelf);
            shelf_init(&shelf, pushes_namespace);
        }
        pushes_next(&pushes, &shelf, &ops, &push);
        buf_add_char(buf, '{');
        number_member(buf, "n", (int64_t)i + 1);
        before(buf, &shelf, span_text(push.ops));
        push_value(buf, &shelf, &push);
        shelf_push(&shelf, &push);
        outcome(buf, &shelf);
        buf_add_text(buf, "}\n");
    }
    shelf_fini(&shelf);
    buf_fini(&ops);
}
