#include "tests/support/log_desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

int64_t log_desk_clock_ms;
static int64_t fake_now(void) { return log_desk_clock_ms; }

static void on_acked(void *ctx, const struct log_ack *acks, size_t count)
{
    struct log_desk *desk = ctx;
    for (size_t i = 0; i < count; i++) {
        if (acks[i].err != ERR_OK) desk->refused++;
        else desk->acks++;
        if (acks[i].tag != desk->last_tag + 1) desk->tags_in_order = false;
        desk->last_tag = acks[i].tag;
    }
}

static void on_records(void *ctx, uint32_t partition, const struct log_record *records, size_t count)
{
    struct log_desk *desk = ctx;
    if (partition != 0) return;
    for (size_t i = 0; i < count; i++) {
        if (records[i].offset != desk->next_expected) desk->gapless = false;
        desk->next_expected = records[i].offset + 1;
        if (records[i].time_ms < desk->last_time_ms) desk->times_grow = false;
        desk->last_time_ms = records[i].time_ms;
        desk->records++;
        snprintf(desk->last, sizeof desk->last, "%.*s", (int)records[i].bytes.bytes, records[i].bytes.at);
        /* Every record says its own number. */
        if (records[i].bytes.bytes < 40 && strtoull(desk->last, NULL, 10) != records[i].offset) desk->gapless = false;
    }
    if (desk->pause_after != 0 && desk->records >= desk->pause_after) {
        desk->pause_after = 0;
        desk->reader->ops->pause(desk->reader, 0, true);
    }
}

static void on_assigned(void *ctx, uint32_t partition, const struct log_assignment *assignment)
{
    struct log_desk *desk = ctx;
    (void)partition;
    assert_true(assignment->first <= assignment->next);
    assert_int_equal(assignment->silent_below, 0);
    desk->assigned++;
}

static void on_failed(void *ctx, enum err err, const char *why)
{
    struct log_desk *desk = ctx;
    assert_non_null(why);
    desk->failed = err;
}

enum err log_desk_try(struct log_desk *desk, uint32_t partitions, uint64_t bytes_max, char *why, size_t why_bytes)
{
    struct embedded_options options = {.dir = desk->dir, .partitions = partitions, .fsync = false,
                                       .now_ms = log_desk_clock_ms != 0 ? fake_now : rig_now_ms, .log_bytes_max = bytes_max};
    uv_loop_init(&desk->loop);
    enum err err = embedded_open(&options, &desk->loop, &desk->embedded, why, why_bytes);
    if (err != ERR_OK) rig_loop_close(&desk->loop);
    return err;
}

static bool all_assigned(void *ctx)
{
    struct log_desk *desk = ctx;
    return desk->assigned == desk->reader->partitions;
}

void log_desk_open_with(struct log_desk *desk, uint64_t bytes_max)
{
    char why[256];
    enum err err = log_desk_try(desk, 0, bytes_max, why, sizeof why);
    if (err != ERR_OK) fail_msg("%s", why);
    desk->writer = embedded_writer(desk->embedded);
    desk->reader = embedded_reader(desk->embedded);
    desk->writer->ctx = desk->reader->ctx = desk;
    desk->writer->acked = on_acked;
    desk->reader->assigned = on_assigned;
    desk->reader->records = on_records;
    desk->reader->failed = on_failed;
    desk->assigned = 0;
    desk->failed = ERR_OK;
    desk->acks = desk->refused = 0;
    desk->records = 0;
    desk->gapless = desk->times_grow = desk->tags_in_order = true;
    assert_true(rig_until(&desk->loop, all_assigned, desk, LOG_DESK_WAIT_MS));
}
void log_desk_open(struct log_desk *desk) { log_desk_open_with(desk, 0); }

void log_desk_close(struct log_desk *desk)
{
    embedded_close(desk->embedded);
    desk->embedded = NULL;
    rig_loop_close(&desk->loop);
}

void log_desk_start(struct log_desk *desk, uint64_t offset)
{
    desk->next_expected = offset;
    assert_int_equal(desk->reader->ops->start(desk->reader, 0, offset), ERR_OK);
}

enum err log_desk_append_text(struct log_desk *desk, uint32_t partition, const char *text, uint64_t tag)
{
    struct blob *blob = blob_make(span_text(text));
    enum err err = desk->writer->ops->append(desk->writer, partition, blob, tag);
    blob_put(blob);
    return err;
}

void log_desk_append_numbers(struct log_desk *desk, uint64_t from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)(from + i));
        assert_int_equal(log_desk_append_text(desk, 0, text, desk->last_tag + 1 + i), ERR_OK);
    }
}

struct goal {
    struct log_desk *desk;
    size_t acks, records;
};
static bool reached(void *ctx)
{
    struct goal *goal = ctx;
    return goal->desk->acks + goal->desk->refused >= goal->acks && goal->desk->records >= goal->records;
}
void log_desk_wait_for(struct log_desk *desk, size_t acks, size_t records)
{
    struct goal goal = {desk, acks, records};
    if (!rig_until(&desk->loop, reached, &goal, LOG_DESK_WAIT_MS))
        fail_msg("acks %zu of %zu, records %zu of %zu", desk->acks, acks, desk->records, records);
}

int log_desk_set_up(void **state)
{
    struct log_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) return -1;
    rig_dir_make(desk->dir);
    log_desk_clock_ms = 0;
    *state = desk;
    return 0;
}

int log_desk_tear_down(void **state)
{
    struct log_desk *desk = *state;
    if (desk->embedded != NULL) log_desk_close(desk);
    rig_dir_remove(desk->dir);
    free(desk);
    return 0;
}
