/* Updates on their way to devices: forwarded, dropped, healed, joined, and what a slow device gets instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/hub_rig.h"

static struct hub_rig *rig;

static int set_up(void **state)
{
    (void)state;
    rig = malloc(sizeof *rig);
    assert_non_null(rig);
    hub_rig_init(rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hub_rig_fini(rig);
    free(rig);
    return 0;
}

static void expect(struct rig_conn *conn, const char *expected) { assert_true(hub_rig_says(conn, "chat:a", expected)); }

static void update(uint64_t prev, uint64_t place)
{
    char frame[32];
    snprintf(frame, sizeof frame, "{u%llu}", (unsigned long long)place);
    hub_rig_update(rig, "chat:a", prev, place, frame);
}

static struct rig_conn *reader(size_t at, uint64_t place)
{
    char device[16];
    snprintf(device, sizeof device, "device-%02zu", at);
    struct rig_conn *conn = hub_rig_connect(rig, at, "ana", device);
    hub_rig_open(rig, conn, "chat:a", place);
    return conn;
}

static void all_frames_of_a_turn_go_out_in_one_message(void **state)
{
    struct rig_conn *ana = reader(0, 7), *bob = reader(1, 7);
    (void)state;
    unsigned before = ana->messages;
    update(7, 8);
    update(8, 9);
    update(9, 12);
    hub_rig_turn(rig);
    assert_int_equal(ana->messages, before + 1);
    expect(ana, "{u8}");
    expect(ana, "{u9}");
    expect(ana, "{u12}");
    expect(bob, "{u8}");
    expect(bob, "{u9}");
    expect(bob, "{u12}");
    assert_int_equal(hub_counters(rig->hub)->deliveries, 6);
}

static void an_update_told_twice_goes_out_once(void **state)
{
    struct rig_conn *ana = reader(0, 7);
    (void)state;
    update(7, 8);
    update(7, 8);
    hub_rig_turn(rig);
    update(7, 8);
    hub_rig_turn(rig);
    expect(ana, "{u8}");
    expect(ana, "");
}

static void a_hole_is_pulled_and_the_ring_closes_it(void **state)
{
    struct rig_conn *ana = reader(0, 7);
    (void)state;
    update(8, 9);
    hub_rig_turn(rig);
    expect(ana, "");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_true(ask->ask.run.place == 7 && !ask->ask.run.from_nothing && !ask->ask.run.started);
    update(9, 11);
    update(11, 12);
    hub_rig_turn(rig);
    expect(ana, "");
    hub_rig_page(rig, ask, 9, "[8,9]", 2, false);
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"page\",\"ref\":1,\"space\":\"chat:a\",\"from\":\"%C7\",\"to\":\"%C9\",\"docs\":[8,9],\"more\":false,\"pushed\":2,"
                "\"refused\":[],\"sum\":{},\"window\":60,\"head\":9}");
    expect(ana, "{u11}");
    expect(ana, "{u12}");
    expect(ana, "");
    assert_null(hub_rig_ask(rig, LINK_PULL));
}

static void an_update_too_long_for_the_link_is_pulled(void **state)
{
    struct rig_conn *ana = reader(0, 7);
    (void)state;
    update(7, 8);
    hub_rig_update(rig, "chat:a", 8, 9, NULL);
    update(9, 10);
    hub_rig_turn(rig);
    expect(ana, "{u8}");
    expect(ana, "");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_int_equal(ask->ask.run.place, 8);
    hub_rig_page(rig, ask, 10, "[9,10]", 0, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"docs\":[9,10]"));
    expect(ana, "");
}

static void a_head_that_is_ahead_is_caught_up_with(void **state)
{
    struct rig_conn *ana = reader(0, 7);
    (void)state;
    hub_rig_head(rig, "chat:a", 7);
    hub_rig_turn(rig);
    assert_null(hub_rig_ask(rig, LINK_PULL));
    hub_rig_head(rig, "chat:a", 9);
    hub_rig_turn(rig);
    assert_int_equal(hub_rig_ask(rig, LINK_PULL)->ask.run.place, 7);
    expect(ana, "");
}

static void a_heal_that_finds_nothing_says_nothing(void **state)
{
    struct rig_conn *ana = reader(0, 7);
    (void)state;
    hub_rig_head(rig, "chat:a", 9);
    hub_rig_turn(rig);
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 7, "[]", 0, false);
    hub_rig_turn(rig);
    expect(ana, "");
}

static void a_slow_device_delays_nobody_and_gets_one_page_for_its_backlog(void **state)
{
    enum { FRAME_BYTES = 2000, UPDATES = 400 };
    struct rig_conn *slow = reader(0, 0), *fast = reader(1, 0);
    char *frame = malloc(FRAME_BYTES + 1);
    size_t kept = 0;
    (void)state;
    assert_non_null(frame);
    memset(frame, 'x', FRAME_BYTES);
    frame[FRAME_BYTES] = '\0';
    slow->full = true;
    for (uint64_t i = 0; i < UPDATES; i++) {
        hub_rig_update(rig, "chat:a", i, i + 1, frame);
        hub_rig_turn(rig);
        assert_int_equal(strlen(hub_rig_next(fast)), FRAME_BYTES);
    }
    assert_null(hub_rig_ask(rig, LINK_PULL)); /* not before its socket has drained */
    slow->full = false;
    hub_rig_drain(rig, slow);
    while (strlen(hub_rig_next(slow)) > 0) kept++;
    assert_true(kept * FRAME_BYTES <= LIMIT_SESSION_QUEUE_BYTES + 2 * FRAME_BYTES && kept > 2);
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_int_equal(ask->ask.run.place, kept);
    hub_rig_update(rig, "chat:a", UPDATES, UPDATES + 1, "{more}");
    hub_rig_page(rig, ask, UPDATES, "[all]", 0, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(slow), "\"docs\":[all]"));
    expect(slow, "{more}");
    assert_null(hub_rig_ask(rig, LINK_PULL));
    free(frame);
}

/* The ring and the head are as they were: who opens behind it gets everything. */
static void an_older_update_told_again_takes_nothing_back(void **state)
{
    struct rig_conn *ana = reader(0, 7);
    (void)state;
    update(7, 8);
    update(8, 9);
    update(9, 10);
    hub_rig_turn(rig);
    update(8, 9);
    hub_rig_turn(rig);
    struct rig_conn *bob = reader(1, 8);
    expect(bob, "{u9}");
    expect(bob, "{u10}");
    expect(ana, "{u8}");
    expect(ana, "{u9}");
    expect(ana, "{u10}");
    expect(ana, "");
}

static void what_was_dropped_for_a_slow_device_comes_though_nothing_follows(void **state)
{
    enum { FRAME_BYTES = 2000 };
    struct rig_conn *slow = reader(0, 0);
    char *frame = calloc(1, FRAME_BYTES + 1);
    uint64_t last = 0;
    (void)state;
    assert_non_null(frame);
    memset(frame, 'x', FRAME_BYTES);
    slow->full = true;
    for (; hub_counters(rig->hub)->behind == 0; last++) {
        hub_rig_update(rig, "chat:a", last, last + 1, frame);
        hub_rig_turn(rig);
    }
    slow->full = false;
    hub_rig_drain(rig, slow);
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_non_null(ask);
    assert_int_equal(ask->ask.run.place, last - 1);
    free(frame);
}

static void one_that_stopped_reading_is_closed_at_the_hard_bound_and_memory_stays_flat(void **state)
{
    struct rig_conn *slow = reader(0, 0);
    char text[256];
    (void)state;
    slow->full = true;
    hub_rig_say(rig, slow, "{\"type\":\"ping\"}");
    for (int i = 0; i < 400000 && slow->close_code == 0; i++) {
        snprintf(text, sizeof text, "{\"type\":\"history\",\"ref\":%d,\"space\":\"no space\",\"collection\":\"m\"}", i);
        if (i % 1000 == 0) rig->now_ms += 1000;
        hub_message(slow->session, span_text(text), rig->now_ms);
    }
    assert_int_equal(slow->close_code, 1013);
    assert_int_equal(hub_counters(rig->hub)->closed_slow, 1);
}

static void those_removed_get_no_update_but_a_judgement(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01"), *bob = hub_rig_connect(rig, 1, "bob", "device-02");
    struct span removed[] = {SPAN_LITERAL("bob"), SPAN_LITERAL("carl")};
    struct link_tell tell = {.kind = LINK_UPDATE, .space = SPAN_LITERAL("chat:a"), .prev = 8, .place = 9, .removed_count = 2, .removed = removed};
    (void)state;
    hub_rig_open(rig, ana, "chat:a", 7);
    hub_rig_open(rig, bob, "chat:a", 7);
    update(7, 8);
    tell.frame = blob_make(SPAN_LITERAL("{removal}"));
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
    update(9, 10);
    hub_rig_turn(rig);
    expect(ana, "{u8}");
    expect(ana, "{removal}");
    expect(ana, "{u10}");
    expect(bob, "");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    struct page_part part = {.role = ROLE_NONE, .refused = SPAN_LITERAL("[]")};
    struct page page = {.from = 7, .to = 10, .head = 10, .docs = SPAN_LITERAL("[]"), .sum = SPAN_LITERAL("{}"), .parts_count = 1, .parts = &part};
    assert_true(ask->ask.waiters_count == 1 && span_is(ask->waiters[0].user, "bob"));
    hub_rig_page_of(rig, ask, &page);
    hub_rig_turn(rig);
    expect(bob, "{\"type\":\"closed\",\"space\":\"chat:a\",\"code\":\"forbidden\",\"purge\":true,\"ref\":1}");
    update(10, 11);
    hub_rig_turn(rig);
    expect(bob, "");
    expect(ana, "{u11}");
}

static void when_a_room_closes_everybody_is_judged(void **state)
{
    struct rig_conn *ana = reader(0, 7), *bob = reader(1, 7);
    struct link_tell tell = {.kind = LINK_UPDATE, .space = SPAN_LITERAL("chat:a"), .prev = 7, .place = 8, .recheck_all = true,
                             .frame = blob_make(SPAN_LITERAL("{shut}"))};
    (void)state;
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
    hub_rig_turn(rig);
    expect(ana, "");
    expect(bob, "");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_int_equal(ask->ask.waiters_count, 2);
    hub_rig_page(rig, ask, 8, "[8]", 0, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"docs\":[8]"));
}

static void when_a_space_is_founded_everybody_but_the_founder_is_judged(void **state)
{
    struct rig_conn *ana = reader(0, 0), *bob = hub_rig_connect(rig, 1, "bob", "device-02");
    struct link_tell tell = {.kind = LINK_UPDATE, .space = SPAN_LITERAL("chat:a"), .prev = 0, .place = 8, .recheck_all = true,
                             .user = SPAN_LITERAL("ana"), .frame = blob_make(SPAN_LITERAL("{founded}"))};
    (void)state;
    hub_rig_open(rig, bob, "chat:a", 0);
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
    hub_rig_turn(rig);
    expect(ana, "{founded}");
    expect(bob, "");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_true(ask->ask.waiters_count == 1 && span_is(ask->waiters[0].user, "bob"));
}

static void one_removed_amid_its_run_is_judged_again_behind_it(void **state)
{
    struct rig_conn *bob = hub_rig_connect(rig, 0, "bob", "device-02");
    struct span removed = SPAN_LITERAL("bob");
    struct link_tell tell = {.kind = LINK_UPDATE, .space = SPAN_LITERAL("chat:a"), .prev = 7, .place = 9, .removed_count = 1, .removed = &removed};
    (void)state;
    hub_rig_say(rig, bob, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"since\":null}]}");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    tell.frame = blob_make(SPAN_LITERAL("{removal}"));
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
    hub_rig_page(rig, ask, 7, "[7]", 0, false); /* as of before the removal */
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(bob), "\"docs\":[7]"));
    expect(bob, "");
    assert_int_equal(hub_rig_ask(rig, LINK_PULL)->ask.run.place, 7);
}

static void a_new_owner_that_tells_older_heads_changes_nothing(void **state)
{
    struct rig_conn *ana = reader(0, 7);
    (void)state;
    update(7, 9);
    hub_rig_turn(rig);
    expect(ana, "{u9}");
    rig->link.down(rig->link.ctx, 0);
    rig->link.up(rig->link.ctx, 0);
    hub_rig_head(rig, "chat:a", 7);
    update(7, 9);
    update(9, 10);
    hub_rig_turn(rig);
    expect(ana, "{u10}");
    expect(ana, "");
    assert_null(hub_rig_ask(rig, LINK_PULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_frames_of_a_turn_go_out_in_one_message),
        TEST(an_update_told_twice_goes_out_once),
        TEST(a_hole_is_pulled_and_the_ring_closes_it),
        TEST(an_update_too_long_for_the_link_is_pulled),
        TEST(a_head_that_is_ahead_is_caught_up_with),
        TEST(a_heal_that_finds_nothing_says_nothing),
        TEST(a_slow_device_delays_nobody_and_gets_one_page_for_its_backlog),
        TEST(an_older_update_told_again_takes_nothing_back),
        TEST(what_was_dropped_for_a_slow_device_comes_though_nothing_follows),
        TEST(one_that_stopped_reading_is_closed_at_the_hard_bound_and_memory_stays_flat),
        TEST(those_removed_get_no_update_but_a_judgement),
        TEST(when_a_room_closes_everybody_is_judged),
        TEST(when_a_space_is_founded_everybody_but_the_founder_is_judged),
        TEST(one_removed_amid_its_run_is_judged_again_behind_it),
        TEST(a_new_owner_that_tells_older_heads_changes_nothing)};
    return cmocka_run_group_tests_name("hub_deliver", tests, NULL, NULL);
}
