/* Laws of resolving, tried on thousands of histories made by chance from a seed that a failure names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "tests/support/pushes.h"

enum { EDITS_MAX = 12, FIELDS = 4, ROUNDS = 1500 };

static uint64_t seed; /* of the round at hand */

/* ---- a set of edits that knew nothing of each other, in any order that the log allows ---- */

enum edit_kind { EDIT_PUT, EDIT_PATCH, EDIT_DELETE };

/* An edit and its maker; values are numbers that tell edit and field, so that no two are one. */
struct edit {
    enum edit_kind kind;
    size_t device;
    int64_t edited_ms;
    bool names[FIELDS];
    bool removes[FIELDS];
    size_t number;
};

struct history {
    size_t count;
    size_t devices;
    struct edit edits[EDITS_MAX];
    size_t order[EDITS_MAX];
};

static const int64_t LOG_MS = 5000000;

static void value_of(const struct edit *edit, size_t field, char *ret_text, size_t bytes)
{
    /* 19 digits: a double would make many of them one. */
    snprintf(ret_text, bytes, "12345678901234%05zu", edit->number * FIELDS + field);
}

/* Devices make their edits one after the other in true time. */
static void make_history(struct chance *chance, struct history *history, bool whole_only, bool with_deletes, bool one_each)
{
    int64_t latest[EDITS_MAX] = {0};
    *history = (struct history){.count = 2 + chance_below(chance, EDITS_MAX - 2)};
    history->devices = one_each ? history->count : 1 + chance_below(chance, 4);
    for (size_t i = 0; i < history->count; i++) {
        struct edit *edit = &history->edits[i];
        edit->number = i;
        edit->device = one_each ? i : chance_below(chance, history->devices);
        edit->edited_ms = latest[edit->device] + 1 + (int64_t)chance_below(chance, 20);
        latest[edit->device] = edit->edited_ms;
        edit->kind = whole_only || chance_one_in(chance, 3) ? EDIT_PUT : EDIT_PATCH;
        if (with_deletes && chance_one_in(chance, 4)) edit->kind = EDIT_DELETE;
        for (size_t f = 0; f < FIELDS; f++) {
            edit->names[f] = edit->kind != EDIT_DELETE && chance_one_in(chance, 2);
            /* A removal on what is deleted is nothing; so histories have the one or the other. */
            edit->removes[f] = edit->kind == EDIT_PATCH && !with_deletes && edit->names[f] && chance_one_in(chance, 3);
        }
    }
}

/* Any interleaving that keeps each device's own order. */
static void shuffle(struct chance *chance, struct history *history)
{
    bool taken[EDITS_MAX] = {false};
    for (size_t i = 0; i < history->count; i++) {
        size_t device;
        size_t next;
        do {
            device = chance_below(chance, history->devices);
            for (next = 0; next < history->count; next++)
                if (!taken[next] && history->edits[next].device == device) break;
        } while (next == history->count);
        taken[next] = true;
        history->order[i] = next;
    }
}

static void write_edit(const struct edit *edit, const char *collection, struct buf *ops)
{
    static const char *const kinds[] = {"put", "patch", "delete"};
    char value[32];
    bool first = true;
    buf_reset(ops);
    buf_add_text(ops, "[{\"op\":\"");
    buf_add_text(ops, kinds[edit->kind]);
    buf_add_text(ops, "\",\"collection\":\"");
    buf_add_text(ops, collection);
    buf_add_text(ops, "\",\"id\":\"x\",\"age\":");
    buf_add_i64(ops, LOG_MS - edit->edited_ms);
    if (edit->kind != EDIT_DELETE) {
        buf_add_text(ops, ",\"body\":{");
        for (size_t f = 0; f < FIELDS; f++) {
            if (!edit->names[f]) continue;
            value_of(edit, f, value, sizeof value);
            buf_add_text(ops, first ? "\"f" : ",\"f");
            buf_add_u64(ops, f);
            buf_add_text(ops, "\":");
            buf_add_text(ops, edit->removes[f] ? "null" : value);
            first = false;
        }
        buf_add_char(ops, '}');
    }
    buf_add_text(ops, "}]");
}

/* Pushes the history in its order; every loser's value goes to `lost`, one a line. */
static void play(const struct history *history, struct shelf *shelf, const char *collection, struct buf *lost)
{
    struct buf ops;
    buf_init(&ops, 65536);
    for (size_t i = 0; i < history->count; i++) {
        const struct edit *edit = &history->edits[history->order[i]];
        char user[8] = {(char)('a' + edit->device % 2), '\0'}, device[8] = {(char)('p' + edit->device), '\0'};
        write_edit(edit, collection, &ops);
        enum resolve_status status = shelf_push_span(
            shelf, &(struct shelf_push){.user = user, .device = device, .time_ms = LOG_MS}, buf_span(&ops));
        assert_true(status == RESOLVE_CHANGED || status == RESOLVE_LOST || status == RESOLVE_UNCHANGED);
        for (size_t j = 0; lost != NULL && j < shelf->result.losers_count; j++) {
            buf_add_span(lost, shelf->result.losers[j].value);
            buf_add_char(lost, '\n');
        }
    }
    buf_fini(&ops);
}

static bool is_later(const struct edit *a, const struct edit *b)
{
    if (a->edited_ms != b->edited_ms) return a->edited_ms > b->edited_ms;
    if (a->device % 2 != b->device % 2) return a->device % 2 > b->device % 2; /* the user's name */
    return a->device > b->device;
}

/* The edit that has a field: the latest that is of it, in no matter what order they came. */
static const struct edit *winner_of(const struct history *history, size_t field)
{
    const struct edit *winner = NULL;
    for (size_t i = 0; i < history->count; i++) {
        const struct edit *edit = &history->edits[i];
        if (edit->kind == EDIT_PATCH && (field == FIELDS || !edit->names[field])) continue;
        if (winner == NULL || is_later(edit, winner)) winner = edit;
    }
    return winner;
}

/* What the document is by the model: `{..}` in order of fields, or "deleted". */
static void model_of(const struct history *history, struct buf *text)
{
    char value[32];
    size_t fields = 0;
    const struct edit *whole = winner_of(history, FIELDS);
    buf_reset(text);
    for (size_t f = 0; f < FIELDS; f++) {
        const struct edit *edit = winner_of(history, f);
        if (edit == NULL || !edit->names[f] || edit->removes[f]) continue;
        value_of(edit, f, value, sizeof value);
        buf_add_text(text, fields++ > 0 ? "," : "");
        buf_add_u64(text, f);
        buf_add_char(text, '=');
        buf_add_text(text, value);
    }
    if (fields == 0 && whole != NULL && whole->kind == EDIT_DELETE) buf_add_text(text, "deleted");
    buf_add_char(text, '\0');
}

static void document_of(struct shelf *shelf, const char *collection, struct buf *text)
{
    struct doc doc;
    size_t fields = 0;
    buf_reset(text);
    if (shelf_doc(shelf, collection, "x", &doc) && doc.deleted) buf_add_text(text, "deleted");
    else if (shelf_doc(shelf, collection, "x", &doc)) {
        for (size_t f = 0; f < FIELDS; f++) {
            char name[8] = {'f', (char)('0' + f), '\0'};
            struct json_value value = json_find((struct json_value){JSON_OBJECT, doc.body}, name);
            if (value.type == JSON_NONE) continue;
            buf_add_text(text, fields++ > 0 ? "," : "");
            buf_add_u64(text, f);
            buf_add_char(text, '=');
            buf_add_span(text, value.raw);
        }
    }
    buf_add_char(text, '\0');
}

static void first_exists(struct history *history)
{
    /* A removal on what is not there is nothing: the history begins with a document, older than the rest. */
    struct edit *edit = &history->edits[0];
    *edit = (struct edit){.kind = EDIT_PUT, .device = edit->device, .edited_ms = 0, .number = 0};
    for (size_t f = 0; f < FIELDS; f++) edit->names[f] = true;
}

static void shuffle_behind_first(struct chance *chance, struct history *history)
{
    struct history rest = *history;
    rest.edits[0].device = history->devices; /* of nobody who takes part in the shuffle */
    for (size_t i = 1; i < rest.count; i++) rest.edits[i - 1] = history->edits[i];
    rest.count--;
    shuffle(chance, &rest);
    history->order[0] = 0;
    for (size_t i = 0; i < rest.count; i++) history->order[i + 1] = rest.order[i] + 1;
}

static void laws__each_field_goes_to_the_latest_edit_in_whatever_order_they_come(void **state)
{
    (void)state;
    struct buf model, found;
    buf_init(&model, 4096);
    buf_init(&found, 4096);
    for (seed = 1; seed <= ROUNDS; seed++) {
        struct chance chance = {seed};
        struct history history;
        bool with_deletes = chance_one_in(&chance, 2);
        make_history(&chance, &history, false, with_deletes, false);
        if (!with_deletes) first_exists(&history);
        model_of(&history, &model);
        for (size_t order = 0; order < 4; order++) {
            struct shelf shelf;
            shelf_init(&shelf, pushes_namespace);
            if (with_deletes) shuffle(&chance, &history);
            else shuffle_behind_first(&chance, &history);
            play(&history, &shelf, "merge", NULL);
            document_of(&shelf, "merge", &found);
            if (strcmp(model.at, found.at) != 0) print_error("seed %" PRIu64 " order %zu\n", seed, order);
            assert_string_equal(found.at, model.at);
            shelf_fini(&shelf);
        }
    }
    buf_fini(&model);
    buf_fini(&found);
}

static void laws__a_document_goes_to_the_latest_edit_in_whatever_order_they_come(void **state)
{
    (void)state;
    struct buf ops;
    buf_init(&ops, 4096);
    for (seed = 1; seed <= ROUNDS; seed++) {
        struct chance chance = {seed};
        struct history history;
        make_history(&chance, &history, true, true, false);
        const struct edit *winner = winner_of(&history, FIELDS);
        for (size_t order = 0; order < 3; order++) {
            struct shelf shelf;
            struct doc doc;
            shelf_init(&shelf, pushes_namespace);
            shuffle(&chance, &history);
            play(&history, &shelf, "lww", NULL);
            assert_true(shelf_doc(&shelf, "lww", "x", &doc));
            assert_int_equal(doc.whole.edited_ms, winner->edited_ms);
            assert_int_equal(doc.whole.device.at[0], 'p' + winner->device);
            assert_int_equal(doc.deleted, winner->kind == EDIT_DELETE);
            write_edit(winner, "lww", &ops);
            buf_add_char(&ops, '\0');
            const char *body = strstr(ops.at, "\"body\":");
            if (!doc.deleted) assert_memory_equal(body + 7, doc.body.at, doc.body.bytes);
            shelf_fini(&shelf);
        }
    }
    buf_fini(&ops);
}

static size_t count_lines(const struct buf *text, const char *line)
{
    size_t count = 0, bytes = strlen(line);
    for (size_t at = 0; at < text->bytes;) {
        const char *end = memchr(text->at + at, '\n', text->bytes - at);
        assert_non_null(end);
        size_t length = (size_t)(end - (text->at + at));
        count += length == bytes && memcmp(text->at + at, line, bytes) == 0;
        at += length + 1;
    }
    return count;
}

/* Every value that was ever pushed by who knew of nobody is the document's, or is kept as lost, once. */
static void laws__no_value_is_lost_without_a_trace(void **state)
{
    (void)state;
    struct buf lost;
    buf_init(&lost, 1048576);
    for (seed = 1; seed <= ROUNDS; seed++) {
        struct chance chance = {seed};
        struct history history;
        struct shelf shelf;
        char value[32];
        make_history(&chance, &history, false, chance_one_in(&chance, 2), true);
        first_exists(&history);
        shuffle_behind_first(&chance, &history);
        shelf_init(&shelf, pushes_namespace);
        buf_reset(&lost);
        play(&history, &shelf, "merge", &lost);
        const char *body = shelf_body(&shelf, "merge", "x");
        for (size_t i = 0; i < history.count; i++) {
            for (size_t f = 0; f < FIELDS; f++) {
                if (!history.edits[i].names[f] || history.edits[i].removes[f]) continue;
                value_of(&history.edits[i], f, value, sizeof value);
                size_t found = count_lines(&lost, value) + (strstr(body, value) != NULL);
                if (found != 1) print_error("seed %" PRIu64 ": %s is found %zu times in %s\n", seed, value, found, body);
                assert_int_equal(found, 1);
            }
        }
        shelf_fini(&shelf);
    }
    buf_fini(&lost);
}

/* ---- operations that commute ---- */

static void laws__counters_sets_and_maxima_never_lose_a_part(void **state)
{
    (void)state;
    for (seed = 1; seed <= ROUNDS; seed++) {
        struct chance chance = {seed};
        struct shelf shelf;
        int64_t sum = 0, greatest = INT64_MIN;
        bool in[32] = {false};
        char ops[512];
        shelf_init(&shelf, pushes_namespace);
        size_t pushes = 1 + chance_below(&chance, 20);
        for (size_t i = 0; i < pushes; i++) {
            int64_t by = (int64_t)chance_below(&chance, 2001) - 1000;
            int64_t mark = (int64_t)(chance_next(&chance) >> 1) - INT64_C(4000000000000000000);
            size_t first = chance_below(&chance, 32), second = chance_below(&chance, 32);
            char device[8] = {(char)('p' + chance_below(&chance, 3)), '\0'};
            sum += by;
            if (mark > greatest) greatest = mark;
            in[first] = in[second] = true;
            snprintf(ops, sizeof ops,
                     "[{\"op\":\"incr\",\"collection\":\"merge\",\"id\":\"x\",\"field\":\"n\",\"by\":%" PRId64 ",\"age\":%zu},"
                     "{\"op\":\"max\",\"collection\":\"merge\",\"id\":\"x\",\"field\":\"m\",\"value\":%" PRId64 "},"
                     "{\"op\":\"add\",\"collection\":\"merge\",\"id\":\"x\",\"field\":\"s\",\"values\":[%zu,\"%zu\"]}]",
                     by, chance_below(&chance, 900), mark, first, second);
            assert_true(shelf_push(&shelf, &(struct shelf_push){.device = device, .ops = ops}) != RESOLVE_REJECTED);
            assert_int_equal(shelf.result.losers_count, 0);
        }
        struct doc doc;
        char text[32];
        assert_true(shelf_doc(&shelf, "merge", "x", &doc));
        struct json_value body = {JSON_OBJECT, doc.body}, n = json_find(body, "n"), value;
        snprintf(text, sizeof text, "%" PRId64, sum);
        assert_true(n.type == JSON_NONE ? sum == 0 : span_is(n.raw, text));
        snprintf(text, sizeof text, "%" PRId64, greatest);
        assert_true(span_is(json_find(body, "m").raw, text));
        size_t found[32] = {0};
        struct json_iter iter = json_elements(json_find(body, "s"));
        while (json_next_element(&iter, &value)) found[strtoul(value.raw.at + (value.type == JSON_STRING), NULL, 10)] |= value.type == JSON_STRING ? 2 : 1;
        for (size_t i = 0; i < 32; i++) assert_int_equal(found[i] != 0, in[i]);
        shelf_fini(&shelf);
    }
}

/* ---- any pushes at all ---- */

static const char *const all_collections[] = {"lww", "lww-arrival", "merge", "merge-arrival", "append", "manual", "own", "rules", "typed", "members", NULL};

static void check_result(const struct shelf *shelf, const struct buf *before, const struct buf *after)
{
    const struct resolve_result *result = &shelf->result;
    bool changed = false;
    for (size_t i = 0; i < result->docs_count; i++) {
        const struct resolve_doc *doc = &result->docs[i];
        struct json_value value;
        changed |= doc->changed;
        if (!doc->changed) continue;
        assert_int_equal(doc->after.rev, shelf->head);
        assert_true(doc->after.born <= doc->after.rev && doc->after.born > 0 && doc->after.author.bytes > 0);
        assert_true(doc->after.whole.rev <= doc->after.rev);
        assert_true(doc->collection->policy == POLICY_MERGE || doc->after.fields_count == 0);
        for (size_t j = 0; j < doc->after.fields_count; j++) assert_true(doc->after.fields[j].stamp.rev <= doc->after.rev);
        if (doc->after.deleted) continue;
        assert_true(json_check(doc->after.body, &value, NULL));
        assert_true(value.type == JSON_OBJECT && !json_has_repeated_key(value));
    }
    assert_int_equal(changed, result->status == RESOLVE_CHANGED);
    if (!changed) assert_true(span_equal(buf_span(before), buf_span(after)));
    if (result->status == RESOLVE_REJECTED || result->status == RESOLVE_CONFLICT) assert_int_equal(result->losers_count, 0);
    for (size_t i = 0; i < result->losers_count; i++) {
        struct json_value value;
        assert_true(json_check(result->losers[i].value, &value, NULL));
    }
}

static void laws__the_same_pushes_give_the_same_bytes_and_no_half_of_one(void **state)
{
    (void)state;
    struct buf ops, before, after, again;
    buf_init(&ops, 65536);
    buf_init(&before, 1048576);
    buf_init(&after, 1048576);
    buf_init(&again, 1048576);
    size_t seen[5] = {0};
    for (seed = 1; seed <= 200; seed++) {
        for (size_t run = 0; run < 2; run++) {
            struct pushes pushes = {.chance = {seed}, .collections = all_collections};
            struct shelf shelf;
            shelf_init(&shelf, pushes_namespace);
            for (size_t i = 0; i < 60; i++) {
                struct shelf_push push;
                buf_reset(&before);
                shelf_image(&shelf, &before);
                pushes_next(&pushes, &shelf, &ops, &push);
                seen[shelf_push(&shelf, &push)]++;
                buf_reset(&after);
                shelf_image(&shelf, &after);
                check_result(&shelf, &before, &after);
            }
            if (run == 0) {
                buf_reset(&again);
                buf_add_span(&again, buf_span(&after));
            }
            shelf_fini(&shelf);
        }
        assert_true(buf_ok(&after) && span_equal(buf_span(&again), buf_span(&after)));
    }
    for (size_t i = 0; i < 5; i++) assert_true(seen[i] > 50); /* every outcome was met */
    buf_fini(&ops);
    buf_fini(&before);
    buf_fini(&after);
    buf_fini(&again);
}

/* A put by who knows what stands is what stands then, to the byte. */
static void laws__a_put_on_the_newest_base_is_its_own_bytes(void **state)
{
    (void)state;
    static const char *const merge_only[] = {"merge", NULL};
    struct buf ops;
    buf_init(&ops, 65536);
    for (seed = 1; seed <= ROUNDS; seed++) {
        struct pushes pushes = {.chance = {seed}, .collections = merge_only};
        struct shelf shelf;
        shelf_init(&shelf, pushes_namespace);
        for (size_t i = 0; i < 10; i++) {
            struct shelf_push push;
            pushes_next(&pushes, &shelf, &ops, &push);
            shelf_push(&shelf, &push);
        }
        const char *body = "{ \"m\":0.10,\"new\" : [1, 2],\"a\":\"\\u0061\" }";
        char put[256];
        snprintf(put, sizeof put, "[{\"op\":\"put\",\"collection\":\"merge\",\"id\":\"x\",\"age\":9999,\"base\":%" PRIu64 ",\"body\":%s}]", shelf.head, body);
        assert_int_equal(shelf_push(&shelf, &(struct shelf_push){.user = "zed", .ops = put}), RESOLVE_CHANGED);
        assert_int_equal(shelf.result.losers_count, 0);
        assert_string_equal(shelf_body(&shelf, "merge", "x"), body);
        shelf_fini(&shelf);
    }
    buf_fini(&ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laws__each_field_goes_to_the_latest_edit_in_whatever_order_they_come),
        cmocka_unit_test(laws__a_document_goes_to_the_latest_edit_in_whatever_order_they_come),
        cmocka_unit_test(laws__no_value_is_lost_without_a_trace),
        cmocka_unit_test(laws__counters_sets_and_maxima_never_lose_a_part),
        cmocka_unit_test(laws__the_same_pushes_give_the_same_bytes_and_no_half_of_one),
        cmocka_unit_test(laws__a_put_on_the_newest_base_is_its_own_bytes),
    };
    return cmocka_run_group_tests_name("resolve_laws", tests, NULL, NULL);
}
