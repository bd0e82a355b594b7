/* The log on a real broker: acks, order, taking over, forgetting nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/kafka_desk.h"

static int setup(void **state)
{
    struct kafka_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) return -1;
    kafka_desk_name(desk);
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    struct kafka_desk *desk = *state;
    if (desk->open) kafka_desk_close(desk);
    free(desk);
    return 0;
}

static void append_numbers(struct kafka_desk *desk, uint32_t partition, uint64_t from, size_t count)
{
    char text[32];
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)(from + i));
        kafka_desk_append(desk, partition, text, from + i);
    }
}

static void records_are_acked_and_read_in_order(void **state)
{
    struct kafka_desk *desk = *state;
    kafka_desk_open(desk, true);
    append_numbers(desk, 0, 1, 3000);
    kafka_desk_own_all(desk);
    kafka_desk_start(desk, 0, 0);
    kafka_desk_until_acks(desk, 3000);
    kafka_desk_until_records(desk, 0, 3000);
    assert_int_equal(desk->refused, 0);
    assert_true(desk->tags_in_order);
    assert_true(desk->in_order);
    assert_string_equal(desk->last, "3000");
    assert_int_equal(kafka_counters(desk->kafka)->queue_records, 0);
}

static void a_paused_partition_goes_on_where_it_was(void **state)
{
    struct kafka_desk *desk = *state;
    kafka_desk_open(desk, true);
    struct log_reader *reader = kafka_reader(desk->kafka);
    kafka_desk_own_all(desk);
    kafka_desk_start(desk, 1, 0);
    append_numbers(desk, 1, 1, 500);
    kafka_desk_until_records(desk, 1, 100);
    reader->ops->pause(reader, 1, true);
    size_t before = desk->records[1];
    append_numbers(desk, 1, 501, 500);
    kafka_desk_until_acks(desk, 1000);
    assert_int_equal(desk->records[1], before);
    reader->ops->pause(reader, 1, false);
    kafka_desk_until_records(desk, 1, 1000);
    assert_true(desk->in_order);
    assert_int_equal(desk->records[1], 1000);
}

static void an_offset_that_the_log_lacks_is_refused(void **state)
{
    struct kafka_desk *desk = *state;
    struct log_record record;
    kafka_desk_open(desk, true);
    append_numbers(desk, 0, 1, 3);
    kafka_desk_until_acks(desk, 3);
    kafka_desk_own_all(desk);
    struct log_reader *reader = kafka_reader(desk->kafka);
    uint64_t first, next;
    assert_int_equal(reader->ops->range(reader, 0, &first, &next), ERR_OK);
    assert_int_equal(first, 0);
    assert_int_equal(next, 3);
    assert_int_equal(reader->ops->start(reader, 0, 4), ERR_CORRUPT);
    assert_int_equal(reader->ops->read(reader, 0, 2, &record), ERR_OK);
    assert_true(span_is(record.bytes, "3"));
    assert_int_equal(reader->ops->read(reader, 0, 3, &record) == ERR_OK, false);
}

static void two_workers_share_and_one_that_leaves_gives_back(void **state)
{
    struct kafka_desk *desk = *state;
    struct kafka_desk other = {0};
    snprintf(other.prefix, sizeof other.prefix, "%s", desk->prefix);
    kafka_desk_open(desk, true);
    kafka_desk_own_all(desk);
    kafka_desk_open(&other, true);
    /* Each end has a loop of its own: they are run by turns. */
    for (int i = 0; i < 60000 && !(other.owned[0] != other.owned[1] && desk->owned[0] != desk->owned[1]); i++) {
        uv_run(&desk->loop, UV_RUN_NOWAIT);
        uv_run(&other.loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    assert_true(desk->owned[0] != desk->owned[1]);
    assert_true(other.owned[0] == desk->owned[1] && other.owned[1] == desk->owned[0]);
    assert_true(desk->released[0] && desk->released[1]);
    kafka_desk_close(&other);
    kafka_desk_own_all(desk);
    append_numbers(desk, 1, 1, 1);
    kafka_desk_start(desk, 1, 0);
    kafka_desk_until_records(desk, 1, 1);
}

static void a_log_keeps_its_partitions_and_its_name(void **state)
{
    struct kafka_desk *desk = *state;
    char why[256] = "", before[64];
    struct kafka_options options = {.hosts = kafka_desk_hosts(), .prefix = desk->prefix};
    struct kafka_topics topics = {.partitions = KAFKA_DESK_PARTITIONS + 1};
    assert_int_equal(kafka_topics_make(&options, &topics, why, sizeof why), ERR_CONFIG);
    assert_non_null(strstr(why, "--new-epoch"));
    kafka_desk_open(desk, false);
    snprintf(before, sizeof before, "%s", kafka_log_name(desk->kafka));
    append_numbers(desk, 0, 1, 1);
    kafka_desk_until_acks(desk, 1);
    kafka_desk_close(desk);
    topics = (struct kafka_topics){.new_epoch = true};
    if (kafka_topics_make(&options, &topics, why, sizeof why) != ERR_OK) fail_msg("%s", why);
    kafka_desk_open(desk, true);
    assert_string_not_equal(kafka_log_name(desk->kafka), before);
    assert_int_equal(kafka_partitions(desk->kafka), KAFKA_DESK_PARTITIONS);
    kafka_desk_own_all(desk);
    assert_int_equal(desk->assignment[0].next, 0);
}

static void no_log_is_said_with_what_to_do(void **state)
{
    char why[256] = "";
    uv_loop_t loop;
    struct kafka *kafka;
    struct kafka_options options = {.hosts = kafka_desk_hosts(), .prefix = "nobody-made-this."};
    (void)state;
    uv_loop_init(&loop);
    assert_int_equal(kafka_gateway_open(&options, &loop, &kafka, why, sizeof why), ERR_CONFIG);
    assert_non_null(strstr(why, "tidegate topics"));
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_are_acked_and_read_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_paused_partition_goes_on_where_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(an_offset_that_the_log_lacks_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(two_workers_share_and_one_that_leaves_gives_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_keeps_its_partitions_and_its_name, setup, teardown),
        cmocka_unit_test(no_log_is_said_with_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
