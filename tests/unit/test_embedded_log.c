/* The embedded log: order, durability, laggards, trimming, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/log_desk.h"

/* ---- order ---- */

static void appends_are_acked_and_consumed_in_order(void **state)
{
    struct log_desk *desk = *state;
    log_desk_open(desk);
    log_desk_start(desk, 0);
    log_desk_append_numbers(desk, 0, 5000);
    assert_int_equal(desk->acks, 0); /* never from inside a call */
    log_desk_wait_for(desk, 5000, 5000);
    assert_true(desk->tags_in_order);
    assert_true(desk->gapless);
    assert_int_equal(desk->refused, 0);
}

static void partitions_number_their_records_apart(void **state)
{
    struct log_desk *desk = *state;
    log_desk_open(desk);
    log_desk_start(desk, 0);
    for (uint64_t i = 0; i < 300; i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)(i / 3));
        assert_int_equal(log_desk_append_text(desk, (uint32_t)(i % 3), text, i + 1), ERR_OK);
    }
    log_desk_wait_for(desk, 300, 100);
    assert_true(desk->gapless);
    uint64_t first, next;
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(desk->reader->ops->range(desk->reader, i, &first, &next), ERR_OK);
        assert_int_equal(first, 0);
        assert_int_equal(next, i < 3 ? 100 : 0);
    }
}

static void a_reopened_log_goes_on_where_it_was(void **state)
{
    struct log_desk *desk = *state;
    char name[64];
    log_desk_open(desk);
    log_desk_append_numbers(desk, 0, 100);
    log_desk_wait_for(desk, 100, 0);
    snprintf(name, sizeof name, "%s", embedded_log_name(desk->embedded));
    log_desk_close(desk);
    log_desk_open(desk);
    assert_string_equal(embedded_log_name(desk->embedded), name);
    log_desk_start(desk, 40);
    log_desk_append_numbers(desk, 100, 10);
    log_desk_wait_for(desk, 10, 70);
    assert_true(desk->gapless);
    assert_int_equal(desk->next_expected, 110);
}

static void times_never_go_back_whatever_the_clock_does(void **state)
{
    struct log_desk *desk = *state;
    log_desk_clock_ms = 1000000;
    log_desk_open(desk);
    log_desk_start(desk, 0);
    log_desk_append_numbers(desk, 0, 3);
    log_desk_wait_for(desk, 3, 3);
    assert_int_equal(desk->last_time_ms, 1000000);
    log_desk_clock_ms = 500;
    log_desk_append_numbers(desk, 3, 3);
    log_desk_wait_for(desk, 6, 6);
    assert_int_equal(desk->last_time_ms, 1000000);
    log_desk_close(desk);
    log_desk_open(desk);
    log_desk_start(desk, 6);
    log_desk_append_numbers(desk, 6, 1);
    log_desk_wait_for(desk, 1, 1);
    assert_int_equal(desk->last_time_ms, 1000000);
    assert_true(desk->times_grow);
}

/* ---- laggards ---- */

static void a_late_reader_gets_everything_while_appends_go_on(void **state)
{
    struct log_desk *desk = *state;
    log_desk_open(desk);
    log_desk_append_numbers(desk, 0, 6000);
    log_desk_wait_for(desk, 6000, 0);
    log_desk_start(desk, 0);
    for (uint64_t at = 6000; at < 12000; at += 500) {
        log_desk_append_numbers(desk, at, 500);
        log_desk_wait_for(desk, (size_t)at + 500, 0);
    }
    log_desk_wait_for(desk, 12000, 12000);
    assert_true(desk->gapless);
}

static void a_paused_reader_resumes_without_a_hole(void **state)
{
    struct log_desk *desk = *state;
    log_desk_open(desk);
    log_desk_start(desk, 0);
    desk->pause_after = 300;
    log_desk_append_numbers(desk, 0, 2000);
    log_desk_wait_for(desk, 2000, 300);
    size_t at_pause = desk->records;
    log_desk_append_numbers(desk, 2000, 1000);
    log_desk_wait_for(desk, 3000, 0);
    assert_int_equal(desk->records, at_pause);
    desk->reader->ops->pause(desk->reader, 0, false);
    log_desk_wait_for(desk, 3000, 3000);
    log_desk_append_numbers(desk, 3000, 10);
    log_desk_wait_for(desk, 3010, 3010);
    assert_true(desk->gapless);
}

/* ---- trimming ---- */

static bool is_trimmed(void *ctx)
{
    struct log_desk *desk = ctx;
    uint64_t first, next;
    desk->reader->ops->range(desk->reader, 0, &first, &next);
    return first == 4999;
}

static void trim_keeps_the_record_before_the_offset(void **state)
{
    struct log_desk *desk = *state;
    struct log_record record;
    log_desk_open(desk);
    log_desk_start(desk, 0);
    log_desk_append_numbers(desk, 0, 5500);
    log_desk_wait_for(desk, 5500, 5500);
    desk->reader->ops->trim(desk->reader, 0, 5000);
    assert_true(rig_until(&desk->loop, is_trimmed, desk, LOG_DESK_WAIT_MS));
    assert_int_equal(desk->reader->ops->read(desk->reader, 0, 4999, &record), ERR_OK);
    assert_int_equal(record.bytes.bytes, 4);
    assert_memory_equal(record.bytes.at, "4999", 4);
    assert_int_equal(desk->reader->ops->read(desk->reader, 0, 4998, &record), ERR_UNKNOWN);
    assert_int_equal(desk->reader->ops->read(desk->reader, 0, 5500, &record), ERR_UNKNOWN);
    log_desk_close(desk);
    log_desk_open(desk);
    assert_true(is_trimmed(desk));
    assert_int_equal(desk->reader->ops->start(desk->reader, 0, 4998), ERR_CORRUPT);
    assert_int_equal(desk->reader->ops->start(desk->reader, 0, 5501), ERR_CORRUPT);
    log_desk_start(desk, 5000);
    log_desk_wait_for(desk, 0, 500);
    assert_true(desk->gapless);
}

static void a_log_trimmed_to_its_end_knows_its_next_offset(void **state)
{
    struct log_desk *desk = *state;
    uint64_t first, next;
    log_desk_open(desk);
    log_desk_append_numbers(desk, 0, 5000);
    log_desk_wait_for(desk, 5000, 0);
    desk->reader->ops->trim(desk->reader, 0, 5000);
    assert_true(rig_until(&desk->loop, is_trimmed, desk, LOG_DESK_WAIT_MS));
    log_desk_close(desk);
    log_desk_open(desk);
    assert_int_equal(desk->reader->ops->range(desk->reader, 0, &first, &next), ERR_OK);
    assert_int_equal(next, 5000);
}

/* ---- bounds ---- */

static void a_full_queue_is_busy_and_takes_nothing(void **state)
{
    struct log_desk *desk = *state;
    static char big[1 << 20];
    memset(big, 'x', sizeof big);
    log_desk_open(desk);
    log_desk_start(desk, 0);
    struct blob *blob = blob_make(span_of(big, sizeof big));
    size_t taken = 0;
    enum err err = ERR_OK;
    /* The loop does not turn meanwhile, so groups are not given back and the queue fills. */
    while (taken < 1000 && (err = desk->writer->ops->append(desk->writer, 0, blob, taken + 1)) == ERR_OK) taken++;
    assert_int_equal(err, ERR_BUSY);
    assert_int_equal(blob->refs, taken + 1);
    log_desk_wait_for(desk, taken, taken);
    assert_int_equal(desk->acks, taken);
    assert_int_equal(blob->refs, 1);
    blob_put(blob);
}

static void a_full_disk_refuses_and_says_so_and_loses_nothing_acked(void **state)
{
    struct log_desk *desk = *state;
    static char big[100000];
    memset(big, 'x', sizeof big);
    log_desk_open_with(desk, 4 << 20);
    log_desk_start(desk, 0);
    for (size_t i = 0; desk->failed == ERR_OK && i < 200; i++) {
        struct blob *blob = blob_make(span_of(big, sizeof big));
        assert_int_equal(desk->writer->ops->append(desk->writer, 0, blob, i + 1), ERR_OK);
        blob_put(blob);
        log_desk_wait_for(desk, i + 1, 0);
    }
    assert_int_equal(desk->failed, ERR_FULL);
    assert_int_equal(desk->refused, 1);
    assert_int_equal(log_desk_append_text(desk, 0, "more", 999), ERR_BUSY);
    size_t acked = desk->acks;
    assert_true(acked > 10);
    log_desk_close(desk);
    log_desk_open(desk);
    log_desk_start(desk, 0);
    log_desk_wait_for(desk, 0, acked);
    assert_int_equal(desk->records, acked);
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, log_desk_set_up, log_desk_tear_down)
    const struct CMUnitTest tests[] = {
        LOG_TEST(appends_are_acked_and_consumed_in_order),
        LOG_TEST(partitions_number_their_records_apart),
        LOG_TEST(a_reopened_log_goes_on_where_it_was),
        LOG_TEST(times_never_go_back_whatever_the_clock_does),
        LOG_TEST(a_late_reader_gets_everything_while_appends_go_on),
        LOG_TEST(a_paused_reader_resumes_without_a_hole),
        LOG_TEST(trim_keeps_the_record_before_the_offset),
        LOG_TEST(a_log_trimmed_to_its_end_knows_its_next_offset),
        LOG_TEST(a_full_queue_is_busy_and_takes_nothing),
        LOG_TEST(a_full_disk_refuses_and_says_so_and_loses_nothing_acked),
    };
    return cmocka_run_group_tests_name("embedded_log", tests, NULL, NULL);
}
