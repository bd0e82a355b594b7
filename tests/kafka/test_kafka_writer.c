/* A producer that can go on no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/kafka/kafka_writer.h"
#include "tests/support/kafka_desk.h"
#include "tests/support/rig.h"

struct told {
    size_t good, failed;
    uint64_t last;
    bool in_order;
};

static void on_acked(void *ctx, const struct log_ack *acks, size_t count)
{
    struct told *told = ctx;
    for (size_t i = 0; i < count; i++) {
        if (acks[i].err == ERR_OK) told->good++;
        else told->failed++;
        if (acks[i].tag <= told->last) told->in_order = false;
        told->last = acks[i].tag;
    }
}

struct goal {
    struct told *told;
    size_t count;
};
static bool reached(void *ctx)
{
    const struct goal *goal = ctx;
    return goal->told->good + goal->told->failed >= goal->count;
}

static void on_closed(void *ctx) { *(bool *)ctx = true; }

static enum err append(struct log_writer *log, uint64_t tag)
{
    struct blob *blob = blob_make(SPAN_LITERAL("x"));
    enum err err = log->ops->append(log, 0, blob, tag);
    blob_put(blob);
    return err;
}

/* What was under way fails, in order, and what comes after it is taken by another producer. */
static void a_producer_that_failed_is_replaced(void **state)
{
    struct kafka_desk desk = {0};
    struct kafka_stamp stamp;
    struct kafka_counters counters = {0};
    struct kafka_writer *writer;
    struct told told = {.in_order = true};
    char why[256] = "";
    bool closed = false;
    uint64_t tag = 0;
    (void)state;
    kafka_desk_name(&desk);
    struct kafka_options options = {.hosts = kafka_desk_hosts(), .prefix = desk.prefix};
    uv_loop_init(&desk.loop);
    assert_int_equal(kafka_stamp_read(&options, &stamp, why, sizeof why), ERR_OK);
    assert_int_equal(kafka_writer_open(&options, &stamp, &desk.loop, &counters, &writer, why, sizeof why), ERR_OK);
    struct log_writer *log = kafka_writer_log(writer);
    log->ctx = &told;
    log->acked = on_acked;
    for (int i = 0; i < 100; i++) assert_int_equal(append(log, ++tag), ERR_OK);
    kafka_writer_break(writer);
    struct goal goal = {&told, 100};
    assert_true(rig_until(&desk.loop, reached, &goal, KAFKA_DESK_WAIT_MS));
    assert_true(told.failed > 0);
    assert_int_equal(counters.producers, 2);
    assert_int_equal(counters.queue_records, 0);
    size_t good = told.good;
    for (int i = 0; i < 100; i++) assert_int_equal(append(log, ++tag), ERR_OK);
    goal.count = 200;
    assert_true(rig_until(&desk.loop, reached, &goal, KAFKA_DESK_WAIT_MS));
    assert_int_equal(told.good, good + 100);
    assert_true(told.in_order);
    kafka_writer_close(writer, &closed, on_closed);
    while (!closed) uv_run(&desk.loop, UV_RUN_ONCE);
    rig_loop_close(&desk.loop);
}

/* A broker that is not there: what is appended waits, and past the bound is refused. */
static void the_queue_is_bounded(void **state)
{
    struct kafka_desk desk = {0};
    struct kafka_stamp stamp;
    struct kafka_counters counters = {0};
    struct kafka_writer *writer;
    struct told told = {.in_order = true};
    char why[256] = "";
    bool closed = false;
    uint64_t taken = 0;
    (void)state;
    kafka_desk_name(&desk);
    struct kafka_options options = {.hosts = kafka_desk_hosts(), .prefix = desk.prefix};
    uv_loop_init(&desk.loop);
    assert_int_equal(kafka_stamp_read(&options, &stamp, why, sizeof why), ERR_OK);
    assert_int_equal(kafka_writer_open(&options, &stamp, &desk.loop, &counters, &writer, why, sizeof why), ERR_OK);
    struct log_writer *log = kafka_writer_log(writer);
    log->ctx = &told;
    log->acked = on_acked;
    /* The loop does not run, so nothing is acked: it is as if nobody answered. */
    while (append(log, taken + 1) == ERR_OK && taken < 1000000) taken++;
    assert_int_equal(taken, 32768);
    struct goal goal = {&told, (size_t)taken};
    assert_true(rig_until(&desk.loop, reached, &goal, KAFKA_DESK_WAIT_MS));
    assert_int_equal(told.good, taken);
    assert_true(told.in_order);
    assert_int_equal(append(log, taken + 1), ERR_OK);
    kafka_writer_close(writer, &closed, on_closed);
    while (!closed) uv_run(&desk.loop, UV_RUN_ONCE);
    rig_loop_close(&desk.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_producer_that_failed_is_replaced), cmocka_unit_test(the_queue_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
