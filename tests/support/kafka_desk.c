#include "tests/support/kafka_desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/rig.h"

const char *kafka_desk_hosts(void)
{
    const char *hosts = getenv("TIDEGATE_TEST_KAFKA");
    if (hosts == NULL) fail_msg("TIDEGATE_TEST_KAFKA names no broker: `make kafka` starts one");
    return hosts;
}

static struct kafka_options options_of(const struct kafka_desk *desk)
{
    return (struct kafka_options){.hosts = kafka_desk_hosts(), .prefix = desk->prefix, .session_s = 10};
}

void kafka_desk_name(struct kafka_desk *desk)
{
    static unsigned count;
    char why[256] = "";
    snprintf(desk->prefix, sizeof desk->prefix, "t%d-%u.", (int)getpid(), ++count);
    struct kafka_options options = options_of(desk);
    struct kafka_topics topics = {.partitions = KAFKA_DESK_PARTITIONS};
    if (kafka_topics_make(&options, &topics, why, sizeof why) != ERR_OK) fail_msg("%s", why);
}

/* ---- what the desk is told ---- */

static void on_acked(void *ctx, const struct log_ack *acks, size_t count)
{
    struct kafka_desk *desk = ctx;
    for (size_t i = 0; i < count; i++) {
        if (acks[i].err == ERR_OK) desk->acks++;
        else desk->refused++;
        if (acks[i].tag < desk->last_tag) desk->tags_in_order = false;
        desk->last_tag = acks[i].tag;
    }
}

static void on_assigned(void *ctx, uint32_t partition, const struct log_assignment *assignment)
{
    struct kafka_desk *desk = ctx;
    desk->owned[partition] = true;
    desk->assignment[partition] = *assignment;
}

static void on_revoked(void *ctx, uint32_t partition)
{
    struct kafka_desk *desk = ctx;
    struct log_reader *reader = kafka_reader(desk->kafka);
    desk->owned[partition] = false;
    desk->released[partition] = true;
    reader->ops->release(reader, partition);
}

static void on_records(void *ctx, uint32_t partition, const struct log_record *records, size_t count)
{
    struct kafka_desk *desk = ctx;
    uint64_t silent = desk->assignment[partition].silent_below;
    if (records[0].offset < silent && records[count - 1].offset >= silent) desk->batches_across++;
    for (size_t i = 0; i < count; i++) {
        if (records[i].offset != desk->next[partition] || records[i].time_ms <= 0) desk->in_order = false;
        desk->next[partition] = records[i].offset + 1;
        snprintf(desk->last, sizeof desk->last, "%.*s", (int)records[i].bytes.bytes, records[i].bytes.at);
    }
    desk->records[partition] += count;
}

static void on_failed(void *ctx, enum err err, const char *why)
{
    struct kafka_desk *desk = ctx;
    desk->failed = err;
    snprintf(desk->why, sizeof desk->why, "%s", why);
}

/* ---- opening and closing ---- */

void kafka_desk_open(struct kafka_desk *desk, bool worker)
{
    char why[256] = "";
    struct kafka_options options = options_of(desk);
    uv_loop_init(&desk->loop);
    enum err err = worker ? kafka_worker_open(&options, &desk->loop, &desk->kafka, why, sizeof why)
                          : kafka_gateway_open(&options, &desk->loop, &desk->kafka, why, sizeof why);
    if (err != ERR_OK) fail_msg("%s", why);
    desk->open = desk->tags_in_order = desk->in_order = true;
    struct log_writer *writer = kafka_writer(desk->kafka);
    writer->ctx = desk;
    writer->acked = on_acked;
    struct log_reader *reader = kafka_reader(desk->kafka);
    if (reader == NULL) return;
    reader->ctx = desk;
    reader->assigned = on_assigned;
    reader->revoked = on_revoked;
    reader->records = on_records;
    reader->failed = on_failed;
}

static void on_closed(void *ctx) { ((struct kafka_desk *)ctx)->open = false; }

void kafka_desk_close(struct kafka_desk *desk)
{
    kafka_close(desk->kafka, desk, on_closed);
    while (desk->open) uv_run(&desk->loop, UV_RUN_ONCE);
    rig_loop_close(&desk->loop);
}

/* ---- waiting ---- */

static bool owns_all(void *ctx)
{
    const struct kafka_desk *desk = ctx;
    bool all = true;
    for (int i = 0; i < KAFKA_DESK_PARTITIONS; i++) all = all && desk->owned[i];
    return all;
}

void kafka_desk_own_all(struct kafka_desk *desk)
{
    if (!rig_until(&desk->loop, owns_all, desk, KAFKA_DESK_WAIT_MS)) fail_msg("no partition was given: %s", desk->why);
}

void kafka_desk_start(struct kafka_desk *desk, uint32_t partition, uint64_t offset)
{
    struct log_reader *reader = kafka_reader(desk->kafka);
    desk->next[partition] = offset;
    assert_int_equal(reader->ops->start(reader, partition, offset), ERR_OK);
}

void kafka_desk_append(struct kafka_desk *desk, uint32_t partition, const char *text, uint64_t tag)
{
    struct log_writer *writer = kafka_writer(desk->kafka);
    struct blob *blob = blob_make(span_text(text));
    assert_non_null(blob);
    assert_int_equal(writer->ops->append(writer, partition, blob, tag), ERR_OK);
    blob_put(blob);
}

struct goal {
    struct kafka_desk *desk;
    uint32_t partition;
    size_t count;
};
static bool has_acks(void *ctx)
{
    const struct goal *goal = ctx;
    return goal->desk->acks + goal->desk->refused >= goal->count;
}
static bool has_records(void *ctx)
{
    const struct goal *goal = ctx;
    return goal->desk->records[goal->partition] >= goal->count;
}

void kafka_desk_until_acks(struct kafka_desk *desk, size_t count)
{
    struct goal goal = {desk, 0, count};
    if (!rig_until(&desk->loop, has_acks, &goal, KAFKA_DESK_WAIT_MS)) fail_msg("acks %zu and %zu refused of %zu", desk->acks, desk->refused, count);
}

void kafka_desk_until_records(struct kafka_desk *desk, uint32_t partition, size_t count)
{
    struct goal goal = {desk, partition, count};
    if (!rig_until(&desk->loop, has_records, &goal, KAFKA_DESK_WAIT_MS))
        fail_msg("records %zu of %zu; %s", desk->records[partition], count, desk->why);
}
