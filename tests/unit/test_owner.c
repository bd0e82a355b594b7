/* The owner's step, one sentence a test: repeats, gaps, forks, strangers, founders, members, sums, sweeping, replay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "tests/support/desk.h"

#define HAS(text, part) assert_non_null(strstr((text), (part)))
#define LACKS(text, part) assert_null(strstr((text), (part)))

static const char *const PUT_TEA = "[{\"op\":\"put\",\"collection\":\"items\",\"id\":\"tea\",\"body\":{\"qty\":1}}]";
static const char *const INCR_TEA = "[{\"op\":\"incr\",\"collection\":\"items\",\"id\":\"tea\",\"field\":\"qty\",\"by\":1}]";
static const char *const SAY_HI = "[{\"op\":\"append\",\"collection\":\"messages\",\"id\":\"m1\",\"body\":{\"text\":\"hi\"}}]";

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

static void ana(struct desk *desk, uint64_t id, uint64_t after, uint64_t known, const char *ops)
{
    desk_push(desk, "ana", "phone-0001", id, after, known, "cart:ana", ops, "none");
}

static void owner__a_push_that_changes_a_document_becomes_an_update(void **state)
{
    struct desk *desk = *state;
    ana(desk, 1, 0, 0, PUT_TEA);
    HAS(desk->update, "{\"type\":\"update\",\"space\":\"cart:ana\",\"prev\":\"testlog.");
    HAS(desk->update, "\"rev\":6,");
    HAS(desk->update, "\"user\":\"ana\",\"device\":\"phone-0001\",\"push\":1,\"docs\":[{\"collection\":\"items\",\"id\":\"tea\",\"rev\":6,");
    HAS(desk->update, "\"body\":{\"qty\":1}}]}");
    HAS(desk->answer, "\"status\":\"applied\"");
    assert_true(desk->with_update);
}

static void owner__a_resent_push_changes_nothing_and_gets_its_outcome(void **state)
{
    struct desk *desk = *state;
    ana(desk, 1, 0, 0, PUT_TEA);
    ana(desk, 2, 1, 0, INCR_TEA);
    HAS(desk->update, "\"qty\":2");
    ana(desk, 2, 1, 0, INCR_TEA);
    assert_string_equal(desk->update, "");
    HAS(desk->answer, "\"type\":\"result\",\"id\":2");
    HAS(desk->answer, "\"status\":\"applied\"");
    HAS(desk->answer, "\"qty\":2");
    /* another age and base is the same push; another `by` is not */
    ana(desk, 2, 1, 0, "[{\"op\":\"incr\",\"age\":99,\"base\":6,\"collection\":\"items\",\"id\":\"tea\",\"field\":\"qty\",\"by\":1}]");
    HAS(desk->answer, "\"status\":\"applied\"");
    ana(desk, 2, 1, 0, "[{\"op\":\"incr\",\"collection\":\"items\",\"id\":\"tea\",\"field\":\"qty\",\"by\":2}]");
    HAS(desk->answer, "\"code\":\"forked\"");
    HAS(desk->answer, "\"after\":2");
}

static void owner__a_missing_predecessor_is_a_gap_and_leaves_no_trace(void **state)
{
    struct desk *desk = *state;
    ana(desk, 1, 0, 0, PUT_TEA);
    ana(desk, 7, 5, 1, INCR_TEA);
    HAS(desk->answer, "{\"type\":\"error\",\"code\":\"gap\"");
    HAS(desk->answer, "\"id\":7");
    HAS(desk->answer, "\"after\":1");
    ana(desk, 7, 1, 1, INCR_TEA);
    HAS(desk->update, "\"qty\":2");
}

static void owner__a_device_that_forgot_its_own_push_is_forked(void **state)
{
    struct desk *desk = *state;
    ana(desk, 1, 0, 0, PUT_TEA);
    ana(desk, 2, 1, 1, INCR_TEA);
    ana(desk, 3, 1, 1, INCR_TEA); /* restored from before push 2 */
    HAS(desk->answer, "\"code\":\"forked\"");
    HAS(desk->answer, "\"after\":2");
    ana(desk, 1, 0, 0, PUT_TEA); /* pruned: an old copy */
    HAS(desk->answer, "\"code\":\"forked\"");
}

static void owner__past_64_unknown_outcomes_a_push_is_too_many_and_leaves_no_trace(void **state)
{
    struct desk *desk = *state;
    for (uint64_t id = 1; id <= 64; id++) {
        ana(desk, id, id - 1, 0, "[]");
        HAS(desk->answer, "\"status\":\"applied\"");
    }
    ana(desk, 65, 64, 0, "[]");
    HAS(desk->answer, "\"code\":\"too_many\"");
    HAS(desk->answer, "\"retry\":");
    ana(desk, 65, 64, 60, "[]");
    HAS(desk->answer, "\"status\":\"applied\"");
}

static void owner__a_strangers_push_is_forbidden_and_leaves_no_trace(void **state)
{
    struct desk *desk = *state;
    size_t before = desk->state.tables[STATE_DEVICE].count;
    desk_push(desk, "eve", "phone-0666", 1, 0, 0, "cart:ana", PUT_TEA, "none");
    HAS(desk->answer, "\"code\":\"forbidden\"");
    LACKS(desk->answer, "\"docs\"");
    LACKS(desk->answer, "\"cursor\"");
    assert_int_equal(desk->state.tables[STATE_DEVICE].count, before);
    assert_int_equal(desk->state.tables[STATE_SPACE].count, 0);
}

static void owner__a_refusal_takes_its_place_and_waits_until_known(void **state)
{
    struct desk *desk = *state;
    ana(desk, 1, 0, 0, PUT_TEA);
    ana(desk, 2, 1, 0, "[{\"op\":\"patch\",\"collection\":\"items\",\"id\":\"tea\",\"body\":{\"qty\":1000}}]");
    HAS(desk->answer, "\"status\":\"rejected\",\"code\":\"invalid\"");
    HAS(desk->answer, "qty");
    HAS(desk->answer, "\"docs\":[{\"collection\":\"items\",\"id\":\"tea\"");
    assert_string_equal(desk->update, "");
    ana(desk, 3, 2, 0, "[{\"op\":\"dance\",\"collection\":\"items\",\"id\":\"tea\"}]");
    HAS(desk->answer, "\"status\":\"rejected\",\"code\":\"invalid\"");
    desk_page(desk, "ana", "phone-0001", 0, "cart:ana", -1, 0);
    assert_int_equal(desk->page.parts[0].pushed, 3);
    assert_int_equal(desk->page.parts[0].refused_count, 2);
    desk_page(desk, "ana", "phone-0001", 2, "cart:ana", -1, 0);
    assert_int_equal(desk->page.parts[0].refused_count, 1);
    ana(desk, 4, 3, 3, "[]");
    desk_page(desk, "ana", "phone-0001", 0, "cart:ana", -1, 0);
    assert_int_equal(desk->page.parts[0].refused_count, 0);
    assert_int_equal(desk->page.parts[0].pushed, 4);
}

static void owner__whoever_first_pushes_becomes_the_rooms_owner(void **state)
{
    struct desk *desk = *state;
    desk_push(desk, "bob", "phone-000b", 1, 0, 0, "chat:lobby", "[]", "none");
    HAS(desk->answer, "\"status\":\"applied\"");
    desk_push(desk, "ana", "phone-0001", 1, 0, 0, "chat:lobby", SAY_HI, "none");
    HAS(desk->update, "{\"collection\":\"members\",\"id\":\"ana\"");
    HAS(desk->update, "\"body\":{\"role\":\"owner\"}");
    HAS(desk->update, "\"id\":\"m1\"");
    assert_true(desk->recheck_all); /* whoever had it open could have founded it, and may not read it now */
    desk_push(desk, "bob", "phone-000b", 2, 1, 0, "chat:lobby", SAY_HI, "none");
    HAS(desk->answer, "\"code\":\"forbidden\"");
    desk_push(desk, "eve", "phone-0666", 1, 0, 0, "chat:lobby", SAY_HI, "none");
    HAS(desk->answer, "\"code\":\"forbidden\"");
}

static void owner__a_name_with_a_sub_in_it_is_founded_by_nobody_else(void **state)
{
    struct desk *desk = *state;
    desk_push(desk, "eve", "phone-0666", 1, 0, 0, "chat:ana:home", SAY_HI, "none");
    HAS(desk->answer, "\"code\":\"forbidden\"");
    desk_push(desk, "ana", "phone-0001", 1, 0, 0, "chat:ana:home", SAY_HI, "none");
    HAS(desk->update, "\"id\":\"m1\"");
}

static const char *const ADD_BOB = "[{\"op\":\"put\",\"collection\":\"members\",\"id\":\"bob\",\"body\":{\"role\":\"writer\"}}]";
static const char *const DROP_BOB = "[{\"op\":\"delete\",\"collection\":\"members\",\"id\":\"bob\"}]";
static const char *const DROP_ANA = "[{\"op\":\"delete\",\"collection\":\"members\",\"id\":\"ana\"}]";

static void owner__a_removal_names_whom_it_removes(void **state)
{
    struct desk *desk = *state;
    desk_push(desk, "ana", "phone-0001", 1, 0, 0, "chat:lobby", ADD_BOB, "none");
    desk_push(desk, "bob", "phone-000b", 1, 0, 0, "chat:lobby", SAY_HI, "none");
    HAS(desk->update, "\"id\":\"m1\"");
    desk_push(desk, "ana", "phone-0001", 2, 1, 0, "chat:lobby", DROP_BOB, "none");
    assert_int_equal(desk->removed_count, 1);
    assert_string_equal(desk->removed[0], "bob");
    desk_push(desk, "bob", "phone-000b", 2, 1, 0, "chat:lobby", SAY_HI, "none");
    HAS(desk->answer, "\"code\":\"forbidden\"");
    LACKS(desk->answer, "\"docs\"");
    desk_push(desk, "bob", "phone-000b", 1, 0, 0, "chat:lobby", SAY_HI, "none"); /* what is in the log stands */
    HAS(desk->answer, "\"status\":\"applied\"");
    LACKS(desk->answer, "\"docs\"");
}

static void owner__the_last_owner_cannot_leave_but_a_member_may(void **state)
{
    struct desk *desk = *state;
    desk_push(desk, "ana", "phone-0001", 1, 0, 0, "chat:lobby", ADD_BOB, "none");
    desk_push(desk, "ana", "phone-0001", 2, 1, 0, "chat:lobby", DROP_ANA, "none");
    HAS(desk->answer, "\"code\":\"precondition\"");
    assert_string_equal(desk->update, "");
    desk_push(desk, "ana", "phone-0001", 3, 2, 0, "chat:lobby",
              "[{\"op\":\"put\",\"collection\":\"members\",\"id\":\"ana\",\"body\":{\"role\":\"reader\"}}]", "none");
    HAS(desk->answer, "\"code\":\"precondition\"");
    desk_push(desk, "bob", "phone-000b", 1, 0, 0, "chat:lobby", DROP_BOB, "none");
    HAS(desk->update, "\"id\":\"bob\"");
    HAS(desk->answer, "\"status\":\"applied\"");
    LACKS(desk->answer, "\"docs\"");
    desk_push(desk, "ana", "phone-0001", 4, 3, 0, "chat:lobby",
              "[{\"op\":\"put\",\"collection\":\"members\",\"id\":\"cid\",\"body\":{\"role\":\"owner\"}}]", "none");
    desk_push(desk, "ana", "phone-0001", 5, 4, 0, "chat:lobby", DROP_ANA, "none");
    HAS(desk->update, "\"deleted\":true");
}

static void owner__an_open_room_takes_everyone_until_it_closes(void **state)
{
    struct desk *desk = *state;
    desk_push(desk, "ana", "phone-0001", 1, 0, 0, "chat:lobby",
              "[{\"op\":\"put\",\"collection\":\"room\",\"id\":\"settings\",\"body\":{\"join\":\"open\"}}]", "none");
    desk_push(desk, "eve", "phone-0666", 1, 0, 0, "chat:lobby", SAY_HI, "none");
    HAS(desk->update, "\"id\":\"m1\"");
    desk_push(desk, "ana", "phone-0001", 2, 1, 0, "chat:lobby",
              "[{\"op\":\"patch\",\"collection\":\"room\",\"id\":\"settings\",\"body\":{\"join\":\"members\"}}]", "none");
    assert_true(desk->recheck_all);
    desk_push(desk, "eve", "phone-0666", 2, 1, 0, "chat:lobby", SAY_HI, "none");
    HAS(desk->answer, "\"code\":\"forbidden\"");
}

static void owner__a_tombstone_past_the_window_is_swept_and_old_cursors_are_reset(void **state)
{
    struct desk *desk = *state;
    desk_namespace(desk, "{\"namespace\":\"fast\",\"version\":1,\"access\":\"owner\",\"window\":\"2s\",\"collections\":{\"c\":{\"policy\":\"lww\"}}}");
    desk_push(desk, "ana", "phone-0001", 1, 0, 0, "fast:ana", "[{\"op\":\"put\",\"collection\":\"c\",\"id\":\"a\",\"body\":{}}]", "none");
    uint64_t first = desk->next_offset;
    desk_push(desk, "ana", "phone-0001", 2, 1, 0, "fast:ana", "[{\"op\":\"delete\",\"collection\":\"c\",\"id\":\"a\"}]", "none");
    desk_page(desk, "ana", "phone-0001", 0, "fast:ana", (int64_t)first, 0);
    assert_false(desk->page.reset);
    assert_true(desk_page_has(desk, "\"deleted\":true"));
    desk->now_ms += 2500;
    desk_push(desk, "ana", "phone-0001", 3, 2, 0, "fast:ana", "[{\"op\":\"put\",\"collection\":\"c\",\"id\":\"b\",\"body\":{}}]", "none");
    desk_sweep(desk);
    desk_page(desk, "ana", "phone-0001", 0, "fast:ana", (int64_t)first, 0);
    assert_true(desk->page.reset);
    assert_false(desk_page_has(desk, "\"id\":\"a\""));
    assert_int_equal(desk->page.parts[0].pushed, 3);
    desk->now_ms += 5000; /* past twice the window: the entry is forgotten */
    desk_push(desk, "ana", "phone-0002", 1, 0, 0, "fast:ana", "[]", "none");
    desk_page(desk, "ana", "phone-0001", 0, "fast:ana", -1, 0);
    assert_int_equal(desk->page.parts[0].pushed, 0);
    size_t entries = desk->state.tables[STATE_DEVICE].count;
    desk_sweep(desk);
    assert_int_equal(desk->state.tables[STATE_DEVICE].count, entries - 1);
    desk_push(desk, "ana", "phone-0001", 4, 3, 3, "fast:ana", "[]", "none");
    HAS(desk->answer, "\"code\":\"gap\"");
    HAS(desk->answer, "\"after\":0");
}

static void owner__a_record_that_no_version_could_write_is_set_aside(void **state)
{
    struct desk *desk = *state;
    static const char *const broken[] = {"", "{", "[]", "{\"v\":1}", "{\"v\":1,\"kind\":\"push\"}", "{\"v\":1,\"kind\":\"dance\"}",
        "{\"v\":1,\"kind\":\"push\",\"space\":\"cart:ana\",\"user\":\"ana\",\"grant\":\"none\",\"device\":\"phone-0001\",\"id\":2,\"after\":2,\"known\":0,\"ops\":[]}",
        "{\"v\":1,\"kind\":\"namespace\",\"text\":{\"namespace\":\"x\"}}"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        desk_record(desk, broken[i]);
        assert_true(desk->dead_letter);
    }
    ana(desk, 1, 0, 0, PUT_TEA);
    HAS(desk->update, "\"id\":\"tea\"");
}

static void owner__rules_of_a_later_version_stop_the_partition(void **state)
{
    struct desk *desk = *state;
    struct owner_out out;
    struct state_reader reader = map_state_reader(&desk->state);
    struct owner_record record = {.offset = desk->next_offset, .time_ms = desk->now_ms, .bytes = SPAN_LITERAL("{\"v\":2,\"kind\":\"push\"}")};
    assert_int_equal(owner_step(desk->owner, &reader, &record, &out), ERR_VERSION);
    ana(desk, 1, 0, 0, PUT_TEA);
    HAS(desk->update, "\"id\":\"tea\"");
}

static void owner__an_outcome_asked_again_is_answered_only_if_it_is_in_the_log(void **state)
{
    struct desk *desk = *state;
    struct owner_out out;
    struct state_reader reader = map_state_reader(&desk->state);
    struct span asked = SPAN_LITERAL("{\"v\":1,\"kind\":\"push\",\"space\":\"cart:ana\",\"user\":\"ana\",\"grant\":\"none\",\"device\":\"phone-0001\",\"id\":1,"
                                     "\"after\":0,\"known\":0,\"session\":9,\"gateway\":\"g2\",\"ops\":[]}");
    assert_int_equal(owner_ask(desk->owner, &reader, asked, &out), ERR_OK);
    assert_false(out.has_answer);
    ana(desk, 1, 0, 0, "[]");
    assert_int_equal(owner_ask(desk->owner, &reader, asked, &out), ERR_OK);
    assert_true(out.has_answer);
    assert_int_equal(out.answer.session, 9);
    assert_int_equal(out.writes_count, 0);
    ana(desk, 2, 1, 1, "[]"); /* the device knows the first one's */
    assert_int_equal(owner_ask(desk->owner, &reader, asked, &out), ERR_OK);
    assert_false(out.has_answer);
}

static void owner__a_backends_push_without_a_device_is_applied_each_time(void **state)
{
    struct desk *desk = *state;
    ana(desk, 1, 0, 0, PUT_TEA);
    desk_push(desk, "shop", "", 0, 0, 0, "cart:ana", INCR_TEA, "writer");
    desk_push(desk, "shop", "", 0, 0, 0, "cart:ana", INCR_TEA, "writer");
    HAS(desk->update, "\"qty\":3");
}

static void owner__conflict_of_a_manual_collection_changes_nothing(void **state)
{
    struct desk *desk = *state;
    desk_push(desk, "ana", "phone-0001", 1, 0, 0, "notes:ana", "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n\",\"body\":{\"text\":\"a\"}}]", "none");
    desk_push(desk, "ana", "laptop-001", 1, 0, 0, "notes:ana", "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n\",\"body\":{\"text\":\"b\"}}]", "none");
    HAS(desk->answer, "\"status\":\"conflict\",\"code\":\"conflict\"");
    HAS(desk->answer, "\"docs\":[{\"collection\":\"notes\",\"id\":\"n\"");
    HAS(desk->answer, "\"text\":\"a\"");
    assert_string_equal(desk->update, "");
    desk_push(desk, "ana", "laptop-001", 2, 1, 0, "notes:ana", "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n\",\"base\":6,\"body\":{\"text\":\"b\"}}]", "none");
    HAS(desk->update, "\"text\":\"b\"");
}

/* ---- laws over generated histories ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* One operation of a kind that `kind` chooses, as the array of a push. */
static void write_ops(char *room, size_t bytes, uint64_t kind, char letter, int age, int number)
{
    char head[64];
    snprintf(head, sizeof head, "\"id\":\"%c\",\"age\":%d", letter, age);
    switch (kind) {
    case 0: snprintf(room, bytes, "[{\"op\":\"put\",\"collection\":\"items\",%s,\"body\":{\"qty\":%d,\"name\":\"n\"}}]", head, number); break;
    case 1: snprintf(room, bytes, "[{\"op\":\"patch\",\"collection\":\"items\",%s,\"body\":{\"price\":%d}}]", head, number); break;
    case 2: snprintf(room, bytes, "[{\"op\":\"delete\",\"collection\":\"items\",%s,\"base\":%d}]", head, number); break;
    case 3: snprintf(room, bytes, "[{\"op\":\"incr\",\"collection\":\"items\",\"field\":\"qty\",%s,\"by\":%d}]", head, number); break;
    default: snprintf(room, bytes, "[{\"op\":\"put\",\"collection\":\"checkout\",%s,\"base\":%d,\"body\":{}}]", head, number); break;
    }
}

static void random_push(struct desk *desk, uint64_t *seed, uint64_t last[4])
{
    static const char *const devices[] = {"phone-0001", "phone-0002", "phone-0003", "phone-0004"};
    char ops[256];
    uint64_t d = next_random(seed) % 4;
    desk->now_ms += (int64_t)(next_random(seed) % 50);
    uint64_t id = last[d] + (next_random(seed) % 8 == 0 ? 0 : 1); /* now and then an id again: a repeat or a fork */
    if (id == 0) id = 1;
    char letter = (char)('a' + next_random(seed) % 6);
    int age = (int)(next_random(seed) % 400), number = (int)(next_random(seed) % 5);
    write_ops(ops, sizeof ops, next_random(seed) % 5, letter, age, number);
    desk_push(desk, "ana", devices[d], id, id - 1, id > 20 ? id - 20 : 0, "cart:ana", ops, "none");
    if (strstr(desk->answer, "\"type\":\"result\"") != NULL && id > last[d]) last[d] = id;
}

static void owner__a_replay_from_any_checkpoint_gives_the_same_bytes(void **state)
{
    struct desk *desk = *state;
    for (uint64_t round = 0; round < 20; round++) {
        struct desk other;
        uint64_t seed = 1000 + round, last[4] = {0}, last_other[4];
        desk_init(&other);
        other.now_ms = desk->now_ms;
        map_state_fini(&other.state);
        map_state_copy(&desk->state, &other.state);
        desk_reopen(&other);
        for (int i = 0; i < 120; i++) random_push(desk, &seed, last);
        seed = 1000 + round;
        memset(last_other, 0, sizeof last_other);
        for (int i = 0; i < 120; i++) {
            if (i % 17 == 3) desk_reopen(&other);
            random_push(&other, &seed, last_other);
        }
        assert_string_equal(desk->update, other.update);
        assert_string_equal(desk->answer, other.answer);
        assert_true(map_state_equal(&desk->state, &other.state));
        desk_fini(&other);
        desk_fini(desk);
        desk_init(desk);
    }
}

static void owner__the_kept_sum_is_the_sum_of_what_a_page_holds(void **state)
{
    struct desk *desk = *state;
    uint64_t seed = 42, last[4] = {0};
    for (int i = 0; i < 400; i++) random_push(desk, &seed, last);
    desk_page(desk, "ana", "phone-0001", 0, "cart:ana", -1, 0);
    assert_false(desk->page.more);
    struct json_value docs, doc;
    uint64_t sum = 0;
    assert_true(json_check(span_text(desk->docs), &docs, NULL));
    struct json_iter it = json_elements(docs);
    while (json_next_element(&it, &doc)) {
        int64_t rev;
        if (!json_string_is(json_find(doc, "collection"), "items")) continue;
        assert_true(json_integer(json_find(doc, "rev"), &rev));
        sum ^= hash_document(json_inside(json_find(doc, "id")), (uint64_t)rev, json_find(doc, "body").raw);
    }
    char expected[64];
    snprintf(expected, sizeof expected, "\"items\":\"%016llx\"", (unsigned long long)sum);
    char *sums = strndup(desk->page.sum.at, desk->page.sum.bytes);
    HAS(sums, expected);
    free(sums);
}

static void owner__a_loser_is_kept_with_its_author(void **state)
{
    struct desk *desk = *state;
    ana(desk, 1, 0, 0, PUT_TEA);
    desk_push(desk, "ana", "phone-0002", 1, 0, 0, "cart:ana", "[{\"op\":\"patch\",\"collection\":\"items\",\"id\":\"tea\",\"age\":5000,\"body\":{\"qty\":7}}]", "none");
    HAS(desk->answer, "\"status\":\"applied\",\"code\":\"lost\"");
    assert_int_equal(desk->state.tables[STATE_LOSER].count, 1);
    const char *loser = desk->state.tables[STATE_LOSER].entries[0].value.at;
    HAS(loser, "\"field\":\"qty\",\"value\":7,\"user\":\"ana\",\"device\":\"phone-0002\"");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(owner__a_push_that_changes_a_document_becomes_an_update),
        T(owner__a_resent_push_changes_nothing_and_gets_its_outcome),
        T(owner__a_missing_predecessor_is_a_gap_and_leaves_no_trace),
        T(owner__a_device_that_forgot_its_own_push_is_forked),
        T(owner__past_64_unknown_outcomes_a_push_is_too_many_and_leaves_no_trace),
        T(owner__a_strangers_push_is_forbidden_and_leaves_no_trace),
        T(owner__a_refusal_takes_its_place_and_waits_until_known),
        T(owner__whoever_first_pushes_becomes_the_rooms_owner),
        T(owner__a_name_with_a_sub_in_it_is_founded_by_nobody_else),
        T(owner__a_removal_names_whom_it_removes),
        T(owner__the_last_owner_cannot_leave_but_a_member_may),
        T(owner__an_open_room_takes_everyone_until_it_closes),
        T(owner__a_tombstone_past_the_window_is_swept_and_old_cursors_are_reset),
        T(owner__a_record_that_no_version_could_write_is_set_aside),
        T(owner__rules_of_a_later_version_stop_the_partition),
        T(owner__an_outcome_asked_again_is_answered_only_if_it_is_in_the_log),
        T(owner__a_backends_push_without_a_device_is_applied_each_time),
        T(owner__conflict_of_a_manual_collection_changes_nothing),
        T(owner__a_replay_from_any_checkpoint_gives_the_same_bytes),
        T(owner__the_kept_sum_is_the_sum_of_what_a_page_holds),
        T(owner__a_loser_is_kept_with_its_author),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
