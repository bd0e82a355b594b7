/* A session's rules: delivery, rates, faults, order after a failure, silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/limits.h"
#include "core/session.h"

static void session__an_update_is_forwarded_dropped_or_a_hole(void **state)
{
    (void)state;
    assert_int_equal(session_deliver(7, 7, 9), SESSION_FORWARD);
    assert_int_equal(session_deliver(0, 0, 1), SESSION_FORWARD);
    assert_int_equal(session_deliver(9, 7, 9), SESSION_DROP);
    assert_int_equal(session_deliver(12, 7, 9), SESSION_DROP);
    assert_int_equal(session_deliver(8, 7, 9), SESSION_HOLE);
    assert_int_equal(session_deliver(6, 7, 9), SESSION_HOLE);
}

static void session__four_seconds_of_frames_may_come_at_once_and_no_more(void **state)
{
    struct session_bucket bucket = {0};
    int64_t now_ms = 1700000000000;
    (void)state;
    for (int i = 0; i < LIMIT_RATE_MAX * 4; i++) assert_true(session_bucket_take(&bucket, LIMIT_RATE_MAX, now_ms));
    assert_false(session_bucket_take(&bucket, LIMIT_RATE_MAX, now_ms));
    for (int i = 0; i < LIMIT_RATE_MAX / 1000; i++) assert_true(session_bucket_take(&bucket, LIMIT_RATE_MAX, now_ms + 1));
    assert_false(session_bucket_take(&bucket, LIMIT_RATE_MAX, now_ms + 1));
    assert_true(session_bucket_take(&bucket, LIMIT_RATE_MAX, now_ms - 60000)); /* a clock that was set back locks nobody out */
}

static void session__the_tenth_bad_frame_within_a_minute_is_one_too_many(void **state)
{
    struct session_faults faults = {0};
    (void)state;
    for (int i = 0; i < 9; i++) assert_true(session_faults_add(&faults, 1000));
    assert_false(session_faults_add(&faults, 2000));
    faults = (struct session_faults){0};
    for (int i = 0; i < 9; i++) assert_true(session_faults_add(&faults, 1000));
    assert_true(session_faults_add(&faults, 1001 + SESSION_FAULT_WINDOW_MS));
}

static void session__after_a_failure_only_the_failed_push_or_an_earlier_one_opens_the_way(void **state)
{
    struct session_failure failure = {0};
    (void)state;
    assert_false(session_failure_blocks(&failure, 1, 5, 100));
    session_failure_note(&failure, 1, 7, 100);
    session_failure_note(&failure, 1, 5, 100);
    session_failure_note(&failure, 1, 6, 100);
    assert_true(session_failure_blocks(&failure, 1, 6, 100));
    assert_true(session_failure_blocks(&failure, 1, 8, 1099));
    assert_false(session_failure_blocks(&failure, 2, 8, 100));
    assert_false(session_failure_blocks(&failure, 1, 5, 1099));
    assert_false(session_failure_blocks(&failure, 1, 6, 1099));
}

static void session__a_failure_of_what_was_answered_by_another_copy_blocks_nobody_for_ever(void **state)
{
    struct session_failure failure = {0};
    (void)state;
    session_failure_note(&failure, 1, 5, 100);
    assert_true(session_failure_blocks(&failure, 1, 7, 100));
    assert_false(session_failure_blocks(&failure, 1, 7, 100 + SESSION_RETRY_MS)); /* it waited as told: 5 is not missing */
    assert_false(session_failure_blocks(&failure, 1, 8, 100 + SESSION_RETRY_MS));
}

static void session__more_failures_than_it_can_hold_are_left_to_the_owner(void **state)
{
    struct session_failure failure = {0};
    (void)state;
    for (uint64_t space = 1; space <= SESSION_FAILURES_MAX + 1; space++) session_failure_note(&failure, space, 1, 100);
    assert_true(session_failure_blocks(&failure, SESSION_FAILURES_MAX, 2, 100));
    assert_false(session_failure_blocks(&failure, SESSION_FAILURES_MAX + 1, 2, 100));
}

static void session__silence_costs_a_ping_then_the_connection(void **state)
{
    struct session_times times = {.connected_ms = 1000, .heard_ms = 1000, .pinged_ms = 1000};
    (void)state;
    assert_int_equal(session_due(SESSION_LIVE, &times, 25000, 25999), SESSION_DUE_NOTHING);
    assert_int_equal(session_due(SESSION_LIVE, &times, 25000, 26000), SESSION_DUE_PING);
    times.pinged_ms = 26000;
    assert_int_equal(session_due(SESSION_LIVE, &times, 25000, 50999), SESSION_DUE_NOTHING);
    assert_int_equal(session_due(SESSION_LIVE, &times, 25000, 51000), SESSION_DUE_HEARTBEAT);
    times.heard_ms = 50000;
    assert_int_equal(session_due(SESSION_LIVE, &times, 25000, 51000), SESSION_DUE_PING);
    assert_int_equal(session_due(SESSION_HELLO, &times, 25000, 10999), SESSION_DUE_NOTHING);
    assert_int_equal(session_due(SESSION_HELLO, &times, 25000, 11000), SESSION_DUE_HELLO);
    assert_int_equal(session_due(SESSION_CLOSING, &times, 25000, 999999), SESSION_DUE_NOTHING);
}

static void session__moves_only_forward(void **state)
{
    enum session_state at = SESSION_HELLO;
    (void)state;
    session_move(&at, SESSION_LIVE);
    session_move(&at, SESSION_CLOSING);
    session_move(&at, SESSION_CLOSING);
    assert_int_equal(at, SESSION_CLOSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session__an_update_is_forwarded_dropped_or_a_hole),
        cmocka_unit_test(session__four_seconds_of_frames_may_come_at_once_and_no_more),
        cmocka_unit_test(session__the_tenth_bad_frame_within_a_minute_is_one_too_many),
        cmocka_unit_test(session__after_a_failure_only_the_failed_push_or_an_earlier_one_opens_the_way),
        cmocka_unit_test(session__a_failure_of_what_was_answered_by_another_copy_blocks_nobody_for_ever),
        cmocka_unit_test(session__more_failures_than_it_can_hold_are_left_to_the_owner),
        cmocka_unit_test(session__silence_costs_a_ping_then_the_connection),
        cmocka_unit_test(session__moves_only_forward)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
