/* The life of a connection: hello, tokens, faults, rates, heartbeats, displacement, draining. */
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

#define HELLO "{\"type\":\"hello\",\"protocol\":1,\"device\":\"device-01\""

static void a_hello_with_a_token_is_welcome(void **state)
{
    struct rig_conn *ana = hub_rig_raw(rig, 0, NULL);
    char welcome[512];
    (void)state;
    hub_rig_say(rig, ana, HELLO ",\"token\":\"ana\"}");
    snprintf(welcome, sizeof welcome, "{\"type\":\"welcome\",\"session\":\"g1-%llu\",\"user\":\"ana\",\"device\":\"device-01\",\"log\":\"testlog\","
             "\"time\":1000000,\"heartbeat\":25000,\"limits\":{\"frame\":2097152,\"document\":262144,\"ops\":512,\"inflight\":64,"
             "\"spaces\":1024,\"rate\":2000}}", (unsigned long long)rig->holder);
    expect(ana, welcome);
    assert_string_equal(rig->holds, "ana/device-01");
    assert_int_equal(rig->state, PRESENCE_ONLINE);
    assert_int_equal(hub_counters(rig->hub)->sessions, 1);
    hub_rig_close(rig, ana);
    assert_int_equal(rig->holder, 0);
    assert_int_equal(rig->state, PRESENCE_OFFLINE);
    assert_int_equal(hub_counters(rig->hub)->sessions, 0);
}

static void nothing_but_a_hello_opens(void **state)
{
    static const struct { const char *text; bool token; unsigned code; } cases[] = {
        {"{\"type\":\"ping\"}", true, 4401}, {"garbage", true, 4401}, {HELLO ",\"token\":\"bad\"}", false, 4401},
        {HELLO ",\"token\":\"bad\"}", true, 4401}, {HELLO "}", false, 4401}, {HELLO ",\"background\":2}", true, 4400},
        {"{\"type\":\"hello\",\"protocol\":2,\"device\":\"device-01\"}", true, 4400}, {"{\"type\":\"hello\",\"protocol\":1}", true, 4400}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig_conn *ana = hub_rig_raw(rig, i, cases[i].token ? "ana" : NULL);
        hub_rig_say(rig, ana, cases[i].text);
        const char *code = cases[i].code == 4401 ? "{\"type\":\"error\",\"code\":\"unauthenticated\"" : "{\"type\":\"error\",\"code\":\"bad_frame\"";
        assert_true(strncmp(hub_rig_next(ana), code, strlen(code)) == 0);
        assert_int_equal(ana->close_code, cases[i].code);
        hub_rig_say(rig, ana, HELLO "}"); /* too late */
        expect(ana, "");
    }
    assert_int_equal(hub_counters(rig->hub)->sessions, 0);
}

static void who_says_nothing_for_ten_seconds_goes(void **state)
{
    struct rig_conn *ana = hub_rig_raw(rig, 0, "ana");
    (void)state;
    hub_rig_pass(rig, 9750);
    assert_int_equal(ana->close_code, 0);
    hub_rig_pass(rig, 500);
    assert_int_equal(ana->close_code, 4401);
    assert_non_null(strstr(hub_rig_next(ana), "unauthenticated"));
}

static void the_silent_are_pinged_and_then_closed(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01"), *bob = hub_rig_connect(rig, 1, "bob", "device-02");
    (void)state;
    for (int i = 0; i < 6; i++) {
        hub_rig_pass(rig, 10000);
        hub_heard(bob->session, rig->now_ms);
    }
    assert_int_equal(ana->close_code, 4408);
    assert_int_equal(ana->pings, 1);
    assert_int_equal(bob->close_code, 0);
    assert_int_equal(bob->pings, 2);
}

static void bad_frames_cost_an_error_each_and_ten_the_connection(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_say(rig, ana, "{\"type\":\"dance\",\"ref\":\"a\"}\n\n{\"type\":\"ping\"}\r\n{\"type\":\"push\",\"id\":4,\"space\":\"chat:a\"}");
    expect(ana, "{\"type\":\"error\",\"code\":\"bad_frame\",\"message\":\"type: no such frame\",\"ref\":\"a\"}");
    expect(ana, "{\"type\":\"pong\"}");
    expect(ana, "{\"type\":\"error\",\"code\":\"bad_frame\",\"message\":\"ops: must be an array\",\"id\":4,\"space\":\"chat:a\"}");
    hub_binary(ana->session, rig->now_ms);
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"error\",\"code\":\"bad_frame\",\"message\":\"a binary message\"}");
    hub_rig_say(rig, ana, HELLO "}");
    expect(ana, "{\"type\":\"error\",\"code\":\"bad_frame\",\"message\":\"a second hello\"}");
    for (int i = 0; i < 5; i++) hub_rig_say(rig, ana, "[]");
    assert_int_equal(ana->close_code, 0);
    hub_rig_say(rig, ana, "[]");
    assert_int_equal(ana->close_code, 4400);
    assert_int_equal(hub_counters(rig->hub)->bad_frames, 10);
}

static void over_its_rate_a_connection_is_told_and_closed(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    for (int i = 0; i < LIMIT_RATE_MAX * 4; i++) hub_message(ana->session, SPAN_LITERAL("{\"type\":\"ping\"}"), rig->now_ms);
    hub_rig_turn(rig);
    assert_int_equal(ana->close_code, 4429);
    const char *last = "", *next;
    while (*(next = hub_rig_next(ana)) != '\0') last = strncmp(next, "{\"type\":\"pong\"}", 15) == 0 ? "pong" : "other";
    assert_string_equal(last, "other");
}

static void an_expired_token_is_told_at_once_and_costs_the_connection_a_minute_later(void **state)
{
    (void)state;
    rig->expires_ms = rig->now_ms + 5000;
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01"), *bob = hub_rig_connect(rig, 1, "bob", "device-02");
    rig->expires_ms = INT64_MAX;
    hub_rig_pass(rig, 5250);
    assert_non_null(strstr(hub_rig_next(ana), "\"code\":\"unauthenticated\""));
    assert_non_null(strstr(hub_rig_next(bob), "\"code\":\"unauthenticated\""));
    hub_rig_say(rig, ana, "{\"type\":\"auth\",\"token\":\"ana\"}");
    expect(ana, "");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bob->close_code, 0);
        hub_rig_pass(rig, 20000);
        hub_heard(ana->session, rig->now_ms);
        hub_heard(bob->session, rig->now_ms);
    }
    hub_rig_pass(rig, 500);
    assert_int_equal(bob->close_code, 4401);
    assert_int_equal(ana->close_code, 0);
}

static void a_fresh_token_has_every_open_space_judged_anew(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_open(rig, ana, "chat:a", 7);
    hub_rig_say(rig, ana, "{\"type\":\"auth\",\"token\":\"bad\"}");
    expect(ana, "{\"type\":\"error\",\"code\":\"unauthenticated\",\"message\":\"the token is missing, malformed, expired, or not signed by a configured key\"}");
    hub_rig_say(rig, ana, "{\"type\":\"auth\",\"token\":\"bob\"}");
    expect(ana, "{\"type\":\"error\",\"code\":\"unauthenticated\",\"message\":\"a token of another user\"}");
    assert_null(hub_rig_ask(rig, LINK_PULL));
    rig->admin = true;
    hub_rig_say(rig, ana, "{\"type\":\"auth\",\"token\":\"ana\"}");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_int_equal(ask->waiters[0].granted, ROLE_OWNER);
    struct page_part part = {.role = ROLE_NONE, .refused = SPAN_LITERAL("[]")};
    struct page page = {.from = 7, .to = 7, .head = 7, .docs = SPAN_LITERAL("[]"), .parts_count = 1, .parts = &part};
    hub_rig_page_of(rig, ask, &page);
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"closed\",\"space\":\"chat:a\",\"code\":\"forbidden\",\"purge\":true,\"ref\":1}");
}

static void the_older_connection_of_a_device_goes(void **state)
{
    struct rig_conn *older = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    struct rig_conn *newer = hub_rig_connect(rig, 1, "ana", "device-01");
    assert_int_equal(older->close_code, 4409);
    assert_int_equal(newer->close_code, 0);
    hub_rig_close(rig, older);
    assert_int_equal(rig->holder, newer->number);
}

static void draining_says_bye_and_closes_as_it_drains(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01"), *slow = hub_rig_connect(rig, 1, "bob", "device-02");
    (void)state;
    slow->full = true;
    hub_rig_say(rig, slow, "{\"type\":\"ping\"}");
    hub_drain(rig->hub, rig->now_ms);
    hub_rig_turn(rig);
    assert_true(strncmp(hub_rig_next(ana), "{\"type\":\"bye\",\"reason\":\"draining\",\"retry\":", 42) == 0);
    assert_int_equal(ana->close_code, 1012);
    assert_int_equal(slow->close_code, 0);
    slow->full = false;
    hub_rig_drain(rig, slow);
    assert_int_equal(slow->close_code, 1012);
    assert_null(hub_connected(rig->hub, slow, NULL, rig->now_ms));
    assert_false(hub_ready(rig->hub));
}

static void an_offset_goes_to_the_registry_if_it_is_ours(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    char cursor[HUB_RIG_CURSOR_BYTES], text[512], expected[512];
    (void)state;
    hub_rig_cursor("chat:a", 9, cursor);
    hub_rig_say(rig, ana, "{\"type\":\"seen\",\"space\":\"chat:a\",\"cursor\":\"other.0123456789abcdef.9\"}");
    assert_string_equal(rig->offset, "");
    snprintf(text, sizeof text, "{\"type\":\"seen\",\"space\":\"chat:a\",\"cursor\":\"%s.12\"}", cursor); /* amid a run */
    hub_rig_say(rig, ana, text);
    assert_string_equal(rig->offset, "");
    snprintf(text, sizeof text, "{\"type\":\"seen\",\"space\":\"chat:a\",\"cursor\":\"%s\"}", cursor);
    hub_rig_say(rig, ana, text);
    snprintf(expected, sizeof expected, "ana/device-01 chat:a 9 %s", cursor);
    assert_string_equal(rig->offset, expected);
    expect(ana, "");
}

static void numbers_of_sessions_do_not_come_again(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    uint64_t first = ana->number;
    (void)state;
    hub_rig_close(rig, ana);
    ana = hub_rig_connect(rig, 0, "ana", "device-01");
    assert_true(ana->number > first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hello_with_a_token_is_welcome),
        TEST(nothing_but_a_hello_opens),
        TEST(who_says_nothing_for_ten_seconds_goes),
        TEST(the_silent_are_pinged_and_then_closed),
        TEST(bad_frames_cost_an_error_each_and_ten_the_connection),
        TEST(over_its_rate_a_connection_is_told_and_closed),
        TEST(an_expired_token_is_told_at_once_and_costs_the_connection_a_minute_later),
        TEST(a_fresh_token_has_every_open_space_judged_anew),
        TEST(the_older_connection_of_a_device_goes),
        TEST(draining_says_bye_and_closes_as_it_drains),
        TEST(an_offset_goes_to_the_registry_if_it_is_ours),
        TEST(numbers_of_sessions_do_not_come_again)};
    return cmocka_run_group_tests_name("hub_session", tests, NULL, NULL);
}
