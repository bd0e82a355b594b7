/* Pushes on their way into the log, and outcomes on their way back. */
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

static void push(struct rig_conn *conn, unsigned id, unsigned after, unsigned known)
{
    char text[256];
    snprintf(text, sizeof text, "{\"type\":\"push\",\"id\":%u,\"after\":%u,\"space\":\"chat:a\",\"known\":%u,\"ops\":[{\"op\":\"x\"}]}", id, after, known);
    hub_rig_say(rig, conn, text);
}

static void answer(struct rig_conn *conn, unsigned id, uint64_t place, bool with_update, const char *frame)
{
    hub_rig_answer(rig, conn, "ana", "device-01", "chat:a", id, place, with_update, false, frame);
}

static void busy(struct rig_conn *conn, unsigned id)
{
    char text[256];
    snprintf(text, sizeof text, "{\"type\":\"error\",\"code\":\"busy\",\"message\":\"the server cannot take this now\",\"id\":%u,\"space\":\"chat:a\",\"retry\":1000}", id);
    expect(conn, text);
}

static void a_push_becomes_a_record_and_its_ack_an_ack(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    char record[512];
    (void)state;
    push(ana, 3, 2, 1);
    assert_int_equal(rig->appends_count, 1);
    snprintf(record, sizeof record, "{\"v\":1,\"kind\":\"push\",\"space\":\"chat:a\",\"user\":\"ana\",\"grant\":\"none\",\"ns\":1,"
             "\"device\":\"device-01\",\"id\":3,\"after\":2,\"known\":1,\"session\":%llu,\"gateway\":\"g1\",\"ops\":[{\"op\":\"x\"}]}",
             (unsigned long long)ana->number);
    struct span bytes = blob_span(rig->appends[0].record);
    if (!span_is(bytes, record)) fail_msg("%.*s", (int)bytes.bytes, bytes.at);
    expect(ana, "");
    hub_rig_ack(rig, ERR_OK);
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":3}");
    expect(ana, "");
}

static void the_update_is_the_outcome_where_the_space_is_open(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_open(rig, ana, "chat:a", 7);
    push(ana, 1, 0, 0);
    hub_rig_ack(rig, ERR_OK);
    hub_rig_update(rig, "chat:a", 7, 8, "{u8}");
    answer(ana, 1, 8, true, "{result 1}");
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":1}");
    expect(ana, "{u8}");
    expect(ana, "");
}

static void the_result_is_the_outcome_where_it_is_not(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    push(ana, 1, 0, 0);
    hub_rig_ack(rig, ERR_OK);
    hub_rig_update(rig, "chat:a", 7, 8, "{u8}");
    answer(ana, 1, 8, true, "{result 1}");
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":1}");
    expect(ana, "{result 1}");
    expect(ana, "");
}

static void an_outcome_implies_the_ack_that_comes_late(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    push(ana, 1, 0, 0);
    answer(ana, 1, 8, false, "{result 1}");
    hub_rig_turn(rig);
    hub_rig_ack(rig, ERR_OK);
    expect(ana, "{result 1}");
    expect(ana, "");
    hub_rig_pass(rig, 20000);
    assert_null(hub_rig_ask(rig, LINK_OUTCOME));
}

static void a_result_comes_behind_everything_up_to_its_place(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_open(rig, ana, "chat:a", 7);
    push(ana, 1, 0, 0);
    hub_rig_ack(rig, ERR_OK);
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":1}");
    hub_rig_update(rig, "chat:a", 8, 9, "{u9}"); /* 8 went missing */
    answer(ana, 1, 9, false, "{result 1}");
    hub_rig_turn(rig);
    expect(ana, "");
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 9, "[8,9]", 1, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"docs\":[8,9]"));
    expect(ana, "{result 1}");
}

static void a_result_ahead_of_what_was_told_waits_for_a_pull(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_open(rig, ana, "chat:a", 7);
    push(ana, 1, 0, 0);
    hub_rig_head(rig, "chat:a", 9);
    answer(ana, 1, 9, false, "{result 1}");
    hub_rig_turn(rig);
    expect(ana, "");
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 9, "[8,9]", 1, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"docs\":[8,9]"));
    expect(ana, "{result 1}");
}

static void a_result_that_comes_before_the_head_does_waits_too(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_open(rig, ana, "chat:a", 7);
    push(ana, 1, 0, 0);
    rig->link.down(rig->link.ctx, 0);
    rig->link.up(rig->link.ctx, 0);
    answer(ana, 1, 9, false, "{result 1}"); /* of 8 and 9 nothing was told */
    hub_rig_turn(rig);
    expect(ana, "");
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 9, "[8,9]", 1, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"docs\":[8,9]"));
    expect(ana, "{result 1}");
}

static void a_run_tells_its_own_outcomes_and_keeps_the_others_back(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_say(rig, ana, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"since\":null}]}");
    push(ana, 1, 0, 0);
    push(ana, 2, 1, 0);
    hub_rig_update(rig, "chat:a", 7, 8, "{u8}");
    answer(ana, 1, 8, true, "{result 1}");
    answer(ana, 2, 8, false, "{result 2}");
    hub_rig_turn(rig);
    expect(ana, "");
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 8, "[8]", 2, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"pushed\":2"));
    expect(ana, "{result 2}");
    expect(ana, "");
}

static void a_strangers_refusal_waits_for_nothing(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    static const char frame[] = "{\"type\":\"result\",\"id\":1,\"status\":\"rejected\",\"code\":\"forbidden\"}";
    struct link_tell tell = {.kind = LINK_ANSWER, .space = SPAN_LITERAL("chat:a"), .user = SPAN_LITERAL("ana"), .device = SPAN_LITERAL("device-01"),
                             .session = ana->number, .id = 1, .place = 9, .code = ERR_FORBIDDEN, .frame = blob_make(span_text(frame))};
    (void)state;
    hub_rig_say(rig, ana, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"since\":null}]}");
    push(ana, 1, 0, 0);
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
    hub_rig_turn(rig);
    expect(ana, frame);
}

static void outcomes_held_for_a_run_go_out_when_the_space_is_closed(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_say(rig, ana, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"since\":null}]}");
    push(ana, 1, 0, 0);
    answer(ana, 1, 8, true, "{result 1}");
    hub_rig_turn(rig);
    expect(ana, "");
    hub_rig_say(rig, ana, "{\"type\":\"close\",\"space\":\"chat:a\"}");
    expect(ana, "{result 1}");
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 8, "[8]", 2, false);
    hub_rig_turn(rig);
    expect(ana, "");
}

static void an_outcome_is_its_makers_alone(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_answer(rig, ana, "bob", "device-01", "chat:a", 1, 8, false, false, "{result of bob}");
    hub_rig_answer(rig, ana, "ana", "device-02", "chat:a", 1, 8, false, false, "{result of another device}");
    hub_rig_turn(rig);
    expect(ana, "");
}

static void what_the_device_knows_is_not_asked_for_and_no_error_of_it_reaches_anybody(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    push(ana, 1, 0, 0);
    push(ana, 1, 0, 0); /* a copy */
    hub_rig_ack(rig, ERR_OK);
    hub_rig_ack(rig, ERR_OK);
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":1}");
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":1}");
    answer(ana, 1, 8, false, "{result 1}");
    hub_rig_turn(rig);
    expect(ana, "{result 1}");
    push(ana, 2, 1, 1);
    rig->link.down(rig->link.ctx, 0);
    rig->link.up(rig->link.ctx, 0);
    assert_null(hub_rig_ask(rig, LINK_OUTCOME));
    hub_rig_answer(rig, ana, "ana", "device-01", "chat:a", 1, 8, false, true, "{forked}");
    hub_rig_turn(rig);
    expect(ana, "");
}

static void an_error_of_the_owner_goes_out_at_once_even_amid_a_run(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_say(rig, ana, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"since\":null}]}");
    push(ana, 4, 3, 0);
    hub_rig_answer(rig, ana, "ana", "device-01", "chat:a", 4, 8, false, true, "{gap}");
    hub_rig_turn(rig);
    expect(ana, "{gap}");
}

static void what_cannot_be_in_the_log_is_refused_without_it(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_say(rig, ana, "{\"type\":\"push\",\"id\":1,\"after\":0,\"space\":\"nope:a\",\"ops\":[]}\n"
                          "{\"type\":\"push\",\"id\":2,\"after\":0,\"space\":\"Chat:\",\"ops\":[]}");
    expect(ana, "{\"type\":\"result\",\"status\":\"rejected\",\"code\":\"unknown_space\",\"message\":\"no namespace of that name is in force\",\"id\":1,\"space\":\"nope:a\"}");
    expect(ana, "{\"type\":\"result\",\"status\":\"rejected\",\"code\":\"invalid\",\"message\":\"space: is not a space's name\",\"id\":2,\"space\":\"Chat:\"}");
    assert_int_equal(rig->appends_count, 0);
}

static void no_namespace_is_unknown_before_every_owner_has_told_those_in_force(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    static const char late[] = "{\"type\":\"push\",\"id\":1,\"after\":0,\"space\":\"late:a\",\"ops\":[]}";
    static const char history[] = "{\"type\":\"history\",\"ref\":1,\"space\":\"late:a\",\"collection\":\"messages\",\"limit\":1}";
    (void)state;
    rig->link.down(rig->link.ctx, 0);
    hub_rig_say(rig, ana, late);
    assert_non_null(strstr(hub_rig_next(ana), "\"code\":\"busy\""));
    hub_rig_say(rig, ana, history);
    assert_null(strstr(hub_rig_next(ana), "unknown_space"));
    hub_rig_say(rig, ana, "{\"type\":\"open\",\"ref\":2,\"spaces\":[{\"space\":\"late:a\",\"since\":null}]}");
    assert_int_equal(ana->looked, ana->text_bytes); /* it waits */
    rig->link.up(rig->link.ctx, 0);
    hub_rig_say(rig, ana, late);
    assert_non_null(strstr(hub_rig_next(ana), "\"code\":\"unknown_space\""));
    assert_int_equal(rig->appends_count, 0);
}

static void what_comes_behind_a_push_to_a_namespace_not_heard_of_yet_is_not_taken_before_it(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    struct link_tell rules = {.kind = LINK_RULES, .space = SPAN_LITERAL("late"), .version = 1};
    static const char *const pushes[] = {"{\"type\":\"push\",\"id\":1,\"after\":0,\"space\":\"late:a\",\"ops\":[]}",
                                         "{\"type\":\"push\",\"id\":2,\"after\":1,\"space\":\"late:a\",\"ops\":[]}"};
    (void)state;
    rig->link.down(rig->link.ctx, 0);
    hub_rig_say(rig, ana, pushes[0]);
    rig->link.told(rig->link.ctx, &rules);
    hub_rig_say(rig, ana, pushes[1]);
    assert_int_equal(rig->appends_count, 0);
    hub_rig_say(rig, ana, pushes[0]);
    hub_rig_say(rig, ana, pushes[1]);
    assert_int_equal(rig->appends_count, 2);
}

static void after_a_failed_append_every_later_push_of_the_space_fails_until_it_comes_again(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    push(ana, 1, 0, 0);
    rig->append_err = ERR_BUSY;
    push(ana, 2, 1, 0);
    rig->append_err = ERR_OK;
    push(ana, 3, 2, 0);
    busy(ana, 2);
    busy(ana, 3);
    assert_int_equal(rig->appends_count, 1);
    hub_rig_say(rig, ana, "{\"type\":\"push\",\"id\":4,\"after\":0,\"space\":\"chat:b\",\"ops\":[]}");
    assert_int_equal(rig->appends_count, 2); /* another space's order is its own */
    push(ana, 2, 1, 0);
    push(ana, 3, 2, 0);
    assert_int_equal(rig->appends_count, 4);
    expect(ana, "");
}

static void an_append_that_fails_late_holds_back_what_comes_behind(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    push(ana, 1, 0, 0);
    push(ana, 2, 1, 0);
    hub_rig_ack(rig, ERR_BUSY);
    busy(ana, 1);
    push(ana, 3, 2, 0);
    busy(ana, 3);
    hub_rig_ack(rig, ERR_BUSY);
    busy(ana, 2);
    push(ana, 1, 0, 0);
    push(ana, 2, 1, 0);
    push(ana, 3, 2, 0);
    for (int i = 0; i < 3; i++) hub_rig_ack(rig, ERR_OK);
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":1}");
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":2}");
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":3}");
}

static void pushes_past_the_inflight_limit_are_too_many_and_known_makes_room(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    for (unsigned i = 1; i <= LIMIT_INFLIGHT_MAX; i++) push(ana, i, i - 1, 0);
    expect(ana, "");
    push(ana, LIMIT_INFLIGHT_MAX, LIMIT_INFLIGHT_MAX - 1, 0); /* a copy is no further one */
    expect(ana, "");
    push(ana, LIMIT_INFLIGHT_MAX + 1, LIMIT_INFLIGHT_MAX, 0);
    expect(ana, "{\"type\":\"error\",\"code\":\"too_many\",\"message\":\"more at once than the limit allows\",\"id\":65,\"space\":\"chat:a\",\"retry\":1000}");
    push(ana, LIMIT_INFLIGHT_MAX + 1, LIMIT_INFLIGHT_MAX, 1);
    expect(ana, "");
    assert_int_equal(rig->appends_count, LIMIT_INFLIGHT_MAX + 2);
}

static void an_outcome_that_does_not_come_is_asked_for_and_at_last_the_device_told_to_send_again(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    push(ana, 1, 0, 0);
    hub_rig_pass(rig, 30000);
    hub_heard(ana->session, rig->now_ms);
    assert_null(hub_rig_ask(rig, LINK_OUTCOME)); /* the log has not said yet */
    hub_rig_ack(rig, ERR_OK);
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":1}");
    for (int i = 0; i < 3; i++) {
        hub_heard(ana->session, rig->now_ms);
        hub_rig_pass(rig, 11000);
        const struct rig_ask *ask = hub_rig_ask(rig, LINK_OUTCOME);
        assert_true(ask != NULL && span_equal(blob_span(ask->ask.record), blob_span(rig->appends[0].record)));
        assert_null(hub_rig_ask(rig, LINK_OUTCOME));
        expect(ana, "");
    }
    hub_heard(ana->session, rig->now_ms);
    hub_rig_pass(rig, 11000);
    busy(ana, 1);
    push(ana, 1, 0, 0);
    assert_int_equal(rig->appends_count, 2);
}

static void outcomes_are_asked_for_when_a_link_is_back(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    push(ana, 1, 0, 0);
    push(ana, 2, 1, 0);
    hub_rig_ack(rig, ERR_OK);
    rig->link.down(rig->link.ctx, 0);
    rig->link.up(rig->link.ctx, 0);
    assert_non_null(hub_rig_ask(rig, LINK_OUTCOME));
    assert_null(hub_rig_ask(rig, LINK_OUTCOME)); /* the second is not in the log, as far as known */
    answer(ana, 1, 8, false, "{result 1}");
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":1}");
    expect(ana, "{result 1}");
}

static void acks_for_a_session_that_went_hurt_nobody(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    push(ana, 1, 0, 0);
    push(ana, 2, 1, 0);
    hub_rig_close(rig, ana);
    struct rig_conn *bob = hub_rig_connect(rig, 0, "bob", "device-02");
    hub_rig_ack(rig, ERR_OK);
    hub_rig_ack(rig, ERR_BUSY);
    expect(bob, "");
    assert_int_equal(hub_counters(rig->hub)->appends_in_flight, 0);
    hub_rig_pass(rig, 1000);
    assert_int_equal(hub_counters(rig->hub)->spaces, 0);
}

static void outcomes_are_kept_for_a_slow_device_and_come_behind_its_page(void **state)
{
    enum { FRAME_BYTES = 4000 };
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    char *frame = malloc(FRAME_BYTES + 1);
    uint64_t place = 0;
    size_t kept = 0;
    (void)state;
    assert_non_null(frame);
    memset(frame, 'x', FRAME_BYTES);
    frame[FRAME_BYTES] = '\0';
    hub_rig_open(rig, ana, "chat:a", 0);
    ana->full = true;
    for (; place < 200; place++) {
        hub_rig_update(rig, "chat:a", place, place + 1, frame);
        hub_rig_turn(rig);
    }
    push(ana, 1, 0, 0);
    hub_rig_ack(rig, ERR_OK);
    answer(ana, 1, place, false, "{result 1}");
    hub_rig_turn(rig);
    assert_null(hub_rig_ask(rig, LINK_PULL));
    ana->full = false;
    hub_rig_drain(rig, ana);
    while (strlen(hub_rig_next(ana)) == FRAME_BYTES) kept++;
    assert_string_equal(ana->line, "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":1}");
    expect(ana, "");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_int_equal(ask->ask.run.place, kept);
    hub_rig_page(rig, ask, place, "[all]", 1, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "[all]"));
    expect(ana, "{result 1}");
    free(frame);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_push_becomes_a_record_and_its_ack_an_ack),
        TEST(the_update_is_the_outcome_where_the_space_is_open),
        TEST(the_result_is_the_outcome_where_it_is_not),
        TEST(an_outcome_implies_the_ack_that_comes_late),
        TEST(a_result_comes_behind_everything_up_to_its_place),
        TEST(a_result_ahead_of_what_was_told_waits_for_a_pull),
        TEST(a_result_that_comes_before_the_head_does_waits_too),
        TEST(a_run_tells_its_own_outcomes_and_keeps_the_others_back),
        TEST(a_strangers_refusal_waits_for_nothing),
        TEST(outcomes_held_for_a_run_go_out_when_the_space_is_closed),
        TEST(an_outcome_is_its_makers_alone),
        TEST(what_the_device_knows_is_not_asked_for_and_no_error_of_it_reaches_anybody),
        TEST(an_error_of_the_owner_goes_out_at_once_even_amid_a_run),
        TEST(what_cannot_be_in_the_log_is_refused_without_it), TEST(no_namespace_is_unknown_before_every_owner_has_told_those_in_force),
        TEST(what_comes_behind_a_push_to_a_namespace_not_heard_of_yet_is_not_taken_before_it),
        TEST(after_a_failed_append_every_later_push_of_the_space_fails_until_it_comes_again),
        TEST(an_append_that_fails_late_holds_back_what_comes_behind),
        TEST(pushes_past_the_inflight_limit_are_too_many_and_known_makes_room),
        TEST(an_outcome_that_does_not_come_is_asked_for_and_at_last_the_device_told_to_send_again),
        TEST(outcomes_are_asked_for_when_a_link_is_back),
        TEST(acks_for_a_session_that_went_hurt_nobody),
        TEST(outcomes_are_kept_for_a_slow_device_and_come_behind_its_page)};
    return cmocka_run_group_tests_name("hub_push", tests, NULL, NULL);
}
