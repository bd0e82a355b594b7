/* Pages, one sentence a test: runs, floors, tails, history, members, each opener's own part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/desk.h"

static int setup(void **state)
{
    struct desk *desk = malloc(sizeof *desk);
    if (desk == NULL) return -1;
    desk_init(desk);
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    desk_fini(*state);
    free(*state);
    return 0;
}

struct writer {
    struct desk *desk;
    uint64_t last;
};

static void push(struct writer *w, const char *space, const char *ops)
{
    uint64_t known = w->last > 10 ? w->last - 10 : 0;
    desk_push(w->desk, "ana", "phone-0001", w->last + 1, w->last, known, space, ops, "none");
    assert_non_null(strstr(w->desk->answer, "\"status\":\"applied\""));
    w->last++;
}

static void say(struct writer *w, const char *space, int number)
{
    char ops[128];
    snprintf(ops, sizeof ops, "[{\"op\":\"append\",\"collection\":\"messages\",\"id\":\"m%d\",\"body\":{\"text\":\"%d\"}}]", number, number);
    push(w, space, ops);
}

/* A put of `kib` KiB. */
static void put_big(struct writer *w, const char *id, int kib)
{
    size_t bytes = (size_t)kib * 1024;
    char *ops = malloc(bytes + 256);
    assert_non_null(ops);
    int head = snprintf(ops, 256, "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"%s\",\"body\":{\"text\":\"", id);
    memset(ops + head, 'x', bytes);
    snprintf(ops + head + bytes, 128, "\"}}]");
    push(w, "notes:ana", ops);
    free(ops);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) count++;
    return count;
}

static void page__a_space_that_nobody_wrote_to_opens_as_empty(void **state)
{
    struct desk *desk = *state;
    desk_page(desk, "ana", "phone-0001", 0, "chat:nowhere", -1, 0);
    assert_true(desk->page.reset && desk->page.from_null && !desk->page.more);
    assert_int_equal(desk->page.to, 0);
    assert_string_equal(desk->docs, "[]");
    assert_int_equal(desk->page.parts[0].role, ROLE_NONE);
    assert_true(desk->page.parts[0].may_found);
}

static void page__a_run_from_a_place_holds_what_changed_since_and_nothing_else(void **state)
{
    struct writer w = {.desk = *state};
    say(&w, "chat:lobby", 1);
    uint64_t place = w.desk->next_offset;
    say(&w, "chat:lobby", 2);
    desk_page(w.desk, "ana", "phone-0001", 0, "chat:lobby", (int64_t)place, 0);
    assert_false(w.desk->page.reset);
    assert_int_equal(w.desk->page.from, place);
    assert_int_equal(w.desk->page.to, place + 1);
    assert_true(desk_page_has(w.desk, "\"m2\""));
    assert_false(desk_page_has(w.desk, "\"m1\""));
    assert_int_equal(w.desk->page.parts[0].pushed, 2);
    desk_page(w.desk, "ana", "phone-0001", 0, "chat:lobby", (int64_t)place + 1, 0);
    assert_int_equal(w.desk->page.docs_count, 0);
    assert_int_equal(w.desk->page.head, place + 1);
}

static void page__a_place_past_the_head_starts_from_nothing(void **state)
{
    struct writer w = {.desk = *state};
    say(&w, "chat:lobby", 1);
    desk_page(w.desk, "ana", "phone-0001", 0, "chat:lobby", 1000000, 0);
    assert_true(w.desk->page.reset && w.desk->page.from_null);
}

static void page__a_page_never_divides_a_push(void **state)
{
    struct writer w = {.desk = *state};
    put_big(&w, "a", 200);
    char *ops = malloc(600 * 1024);
    assert_non_null(ops);
    size_t at = (size_t)snprintf(ops, 64, "[");
    for (int i = 0; i < 3; i++) {
        at += (size_t)snprintf(ops + at, 256, "%s{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"b%d\",\"body\":{\"text\":\"", i > 0 ? "," : "", i);
        memset(ops + at, 'y', 180 * 1024);
        at += 180 * 1024;
        at += (size_t)snprintf(ops + at, 64, "\"}}");
    }
    snprintf(ops + at, 8, "]");
    push(&w, "notes:ana", ops);
    free(ops);
    put_big(&w, "c", 1);
    desk_page(w.desk, "ana", "phone-0001", 0, "notes:ana", -1, 0);
    assert_true(w.desk->page.more);
    assert_int_equal(w.desk->page.docs_count, 4); /* a, and the whole push of three */
    assert_true(w.desk->page.to_has_floor);
    desk_page_next(w.desk, "ana", "phone-0001", 0, "notes:ana");
    assert_true(w.desk->page.reset && !w.desk->page.from_null && !w.desk->page.more);
    assert_int_equal(w.desk->page.docs_count, 1);
    assert_false(w.desk->page.to_has_floor);
}

static void page__a_deletion_amid_a_run_from_nothing_is_named(void **state)
{
    struct writer w = {.desk = *state};
    put_big(&w, "gone-before", 1);
    push(&w, "notes:ana", "[{\"op\":\"delete\",\"collection\":\"notes\",\"id\":\"gone-before\"}]");
    put_big(&w, "a", 200);
    put_big(&w, "b", 200);
    put_big(&w, "c", 200);
    desk_page(w.desk, "ana", "phone-0001", 0, "notes:ana", -1, 0);
    assert_true(w.desk->page.more);
    assert_false(desk_page_has(w.desk, "gone-before"));
    push(&w, "notes:ana", "[{\"op\":\"delete\",\"collection\":\"notes\",\"id\":\"a\"}]");
    desk_page_next(w.desk, "ana", "phone-0001", 0, "notes:ana");
    assert_false(w.desk->page.more);
    assert_true(desk_page_has(w.desk, "\"id\":\"a\",\"rev\""));
    assert_int_equal(count_of(w.desk->docs, "\"deleted\":true"), 1);
}

static void page__a_run_whose_floor_the_horizon_passed_starts_anew(void **state)
{
    struct writer w = {.desk = *state};
    desk_namespace(w.desk, "{\"namespace\":\"notes\",\"version\":2,\"access\":\"owner\",\"window\":\"2s\",\"collections\":{\"notes\":{\"policy\":\"manual\"}}}");
    put_big(&w, "a", 200);
    put_big(&w, "b", 200);
    put_big(&w, "c", 200);
    desk_page(w.desk, "ana", "phone-0001", 0, "notes:ana", -1, 0);
    assert_true(w.desk->page.more);
    push(&w, "notes:ana", "[{\"op\":\"delete\",\"collection\":\"notes\",\"id\":\"a\"}]");
    w.desk->now_ms += 3000;
    put_big(&w, "d", 1);
    desk_sweep(w.desk);
    desk_page_next(w.desk, "ana", "phone-0001", 0, "notes:ana");
    assert_true(w.desk->page.from_null && w.desk->page.reset);
    assert_false(desk_page_has(w.desk, "\"id\":\"a\""));
}

/* What a run leaves out may lie on any of its pages: the first says so for all. */
static void page__the_first_page_tells_what_the_run_leaves_out_later(void **state)
{
    struct writer w = {.desk = *state};
    static char big[100001], ops[100200];
    memset(big, 'x', sizeof big - 1);
    for (int i = 0; i < 3; i++) {
        snprintf(ops, sizeof ops, "[{\"op\":\"put\",\"collection\":\"reactions\",\"id\":\"r%d\",\"body\":{\"x\":\"%s\"}}]", i, big);
        push(&w, "chat:lobby", ops);
    }
    for (int i = 0; i < 5; i++) say(&w, "chat:lobby", i);
    desk_page(w.desk, "ana", "phone-0001", 0, "chat:lobby", -1, 2);
    assert_true(w.desk->page.more && !desk_page_has(w.desk, "messages"));
    assert_true(w.desk->page.tail.bytes > 0);
    desk_page_next(w.desk, "ana", "phone-0001", 0, "chat:lobby");
    assert_false(w.desk->page.more);
    assert_int_equal(count_of(w.desk->docs, "\"collection\":\"messages\""), 2);
    assert_true(w.desk->page.tail.bytes > 0);
}

static void page__a_push_in_conflict_is_named_among_the_refused(void **state)
{
    struct writer w = {.desk = *state};
    put_big(&w, "n", 1);
    desk_push(w.desk, "ana", "phone-0002", 1, 0, 0, "notes:ana", "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n\",\"body\":{\"text\":\"mine\"}}]", "none");
    assert_non_null(strstr(w.desk->answer, "\"status\":\"conflict\""));
    desk_page(w.desk, "ana", "phone-0002", 0, "notes:ana", -1, 0);
    assert_int_equal(w.desk->page.parts[0].pushed, 1);
    assert_int_equal(w.desk->page.parts[0].refused_count, 1);
    desk_page(w.desk, "ana", "phone-0002", 1, "notes:ana", -1, 0);
    assert_int_equal(w.desk->page.parts[0].refused_count, 0); /* it says that it knows */
}

static void page__a_tail_leaves_out_all_but_the_newest_and_says_so(void **state)
{
    struct writer w = {.desk = *state};
    uint64_t revs[20];
    for (int i = 0; i < 20; i++) {
        say(&w, "chat:lobby", i);
        revs[i] = w.desk->next_offset;
    }
    desk_page(w.desk, "ana", "phone-0001", 0, "chat:lobby", -1, 5);
    assert_int_equal(count_of(w.desk->docs, "\"messages\""), 5);
    assert_true(desk_page_has(w.desk, "\"m15\"") && !desk_page_has(w.desk, "\"m14\""));
    char expected[64];
    snprintf(expected, sizeof expected, "{\"messages\":%llu}", (unsigned long long)revs[15]);
    assert_int_equal(w.desk->page.tail.bytes, strlen(expected));
    assert_memory_equal(w.desk->page.tail.at, expected, strlen(expected));
    /* from a place in the middle: what the device has is not touched, what is born since is cut to the newest */
    desk_page(w.desk, "ana", "phone-0001", 0, "chat:lobby", (int64_t)revs[9], 3);
    assert_int_equal(count_of(w.desk->docs, "\"messages\""), 3);
    push(&w, "chat:lobby", "[{\"op\":\"delete\",\"collection\":\"messages\",\"id\":\"m3\"}]");
    desk_page(w.desk, "ana", "phone-0001", 0, "chat:lobby", (int64_t)revs[9], 3);
    assert_true(desk_page_has(w.desk, "\"id\":\"m3\"")); /* a deletion of an older one is told */
    desk_page(w.desk, "ana", "phone-0001", 0, "chat:lobby", (int64_t)revs[19], 3);
    assert_int_equal(w.desk->page.tail.bytes, 0); /* nothing left out: nothing said */
    desk_page(w.desk, "ana", "phone-0001", 0, "chat:lobby", -1, 50);
    assert_int_equal(w.desk->page.tail.bytes, 0);
}

static void page__history_goes_back_newest_first_and_moves_nothing(void **state)
{
    struct writer w = {.desk = *state};
    struct page_history history;
    for (int i = 0; i < 10; i++) say(&w, "chat:lobby", i);
    struct state_reader reader = map_state_reader(&w.desk->state);
    struct page_history_request request = {
        .space = SPAN_LITERAL("chat:lobby"), .ns = namespace_find(owner_namespaces(w.desk->owner), SPAN_LITERAL("chat")),
        .collection = SPAN_LITERAL("messages"), .limit = 4, .waiter = {.user = SPAN_LITERAL("ana")}};
    assert_int_equal(page_history(&request, &reader, &w.desk->arena, &w.desk->text, &history), ERR_OK);
    char *docs = strndup(history.docs.at, history.docs.bytes);
    assert_int_equal(count_of(docs, "\"born\""), 4);
    assert_true(strstr(docs, "\"m9\"") < strstr(docs, "\"m8\""));
    assert_int_equal(history.at, w.desk->next_offset);
    free(docs);
    request.before = w.desk->next_offset - 3; /* born of m6 */
    assert_int_equal(page_history(&request, &reader, &w.desk->arena, &w.desk->text, &history), ERR_OK);
    docs = strndup(history.docs.at, history.docs.bytes);
    assert_null(strstr(docs, "\"m6\""));
    assert_non_null(strstr(docs, "\"m5\""));
    free(docs);
    request.collection = SPAN_LITERAL("room");
    assert_int_equal(page_history(&request, &reader, &w.desk->arena, &w.desk->text, &history), ERR_OK);
    assert_int_equal(history.err, ERR_INVALID);
    request.collection = SPAN_LITERAL("messages");
    request.waiter.user = SPAN_LITERAL("eve");
    assert_int_equal(page_history(&request, &reader, &w.desk->arena, &w.desk->text, &history), ERR_OK);
    assert_int_equal(history.role, ROLE_NONE);
    assert_int_equal(history.docs.bytes, 2);
}

static void page__who_may_not_read_gets_no_documents(void **state)
{
    struct writer w = {.desk = *state};
    say(&w, "chat:lobby", 1);
    desk_page(w.desk, "eve", "phone-0666", 0, "chat:lobby", -1, 0);
    assert_int_equal(w.desk->page.parts[0].role, ROLE_NONE);
    assert_false(w.desk->page.parts[0].may_found);
    assert_string_equal(w.desk->docs, "[]");
}

/* Whatever the order of pushes and pages, a device that applies a run holds what the owner holds. */
static void page__a_run_amid_changes_ends_with_the_owners_sum(void **state)
{
    struct writer w = {.desk = *state};
    char ops[64 * 1024];
    uint64_t seed = 7;
    for (int i = 0; i < 60; i++) {
        int head = snprintf(ops, 128, "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n%d\",\"body\":{\"text\":\"", i);
        memset(ops + head, 'z', 20000);
        snprintf(ops + head + 20000, 16, "\"}}]");
        push(&w, "notes:ana", ops);
    }
    bool held[60] = {false};
    desk_page(w.desk, "ana", "phone-0001", 0, "notes:ana", -1, 0);
    for (;;) {
        for (int i = 0; i < 60; i++) {
            char live[32];
            snprintf(live, sizeof live, "\"id\":\"n%d\",", i);
            const char *at = strstr(w.desk->docs, live);
            if (at == NULL) continue;
            const char *end = strchr(at, '}'), *deleted = strstr(at, "\"deleted\":true");
            held[i] = deleted == NULL || deleted > end;
        }
        if (!w.desk->page.more) break;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        snprintf(ops, sizeof ops, "[{\"op\":\"delete\",\"collection\":\"notes\",\"id\":\"n%d\"}]", (int)((seed >> 33) % 60));
        push(&w, "notes:ana", ops);
        desk_page_next(w.desk, "ana", "phone-0001", 0, "notes:ana");
    }
    for (int i = 0; i < 60; i++) {
        char id[16];
        snprintf(id, sizeof id, "n%d", i);
        desk_page(w.desk, "ana", "phone-0001", 0, "notes:ana", 0, 0);
        struct json_value docs, doc;
        bool live = false;
        for (;;) {
            assert_true(json_check(span_text(w.desk->docs), &docs, NULL));
            struct json_iter it = json_elements(docs);
            while (json_next_element(&it, &doc))
                if (json_string_is(json_find(doc, "id"), id)) live = json_find(doc, "deleted").type == JSON_NONE;
            if (!w.desk->page.more) break;
            desk_page_next(w.desk, "ana", "phone-0001", 0, "notes:ana");
        }
        assert_int_equal(held[i], live);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(page__a_space_that_nobody_wrote_to_opens_as_empty),
        T(page__a_run_from_a_place_holds_what_changed_since_and_nothing_else),
        T(page__a_place_past_the_head_starts_from_nothing),
        T(page__a_page_never_divides_a_push),
        T(page__a_deletion_amid_a_run_from_nothing_is_named),
        T(page__a_run_whose_floor_the_horizon_passed_starts_anew),
        T(page__the_first_page_tells_what_the_run_leaves_out_later),
        T(page__a_push_in_conflict_is_named_among_the_refused),
        T(page__a_tail_leaves_out_all_but_the_newest_and_says_so),
        T(page__history_goes_back_newest_first_and_moves_nothing),
        T(page__who_may_not_read_gets_no_documents),
        T(page__a_run_amid_changes_ends_with_the_owners_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
