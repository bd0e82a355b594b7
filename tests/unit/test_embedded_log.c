/* The embedded log and its directory: order, durability, laggards, trimming, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/embedded/embedded.h"
#include "tests/support/rig.h"

enum { WAIT_MS = 20000 };

static int64_t clock_ms;
static int64_t fake_now(void) { return clock_ms; }

/* One process's use of a directory. */
struct desk {
    char dir[RIG_PATH_BYTES];
    uv_loop_t loop;
    struct embedded *embedded;
    struct log_writer *writer;
    struct log_reader *reader;
    size_t assigned;
    /* acks, by tag */
    size_t acks, refused;
    uint64_t last_tag;
    bool tags_in_order;
    /* records of partition 0 */
    size_t records;
    uint64_t next_expected;
    bool gapless;
    int64_t last_time_ms;
    bool times_grow;
    char last[64];
    enum err failed;
    size_t pause_after;
};

static void on_acked(void *ctx, const struct log_ack *acks, size_t count)
{
    struct desk *desk = ctx;
    for (size_t i = 0; i < count; i++) {
        if (acks[i].err != ERR_OK) desk->refused++;
        else desk->acks++;
        if (acks[i].tag != desk->last_tag + 1) desk->tags_in_order = false;
        desk->last_tag = acks[i].tag;
    }
}

static void on_records(void *ctx, uint32_t partition, const struct log_record *records, size_t count)
{
    struct desk *desk = ctx;
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

static void on_assigned(void *ctx, uint32_t partition)
{
    struct desk *desk = ctx;
    (void)partition;
    desk->assigned++;
}

static void on_failed(void *ctx, enum err err, const char *why)
{
    struct desk *desk = ctx;
    assert_non_null(why);
    desk->failed = err;
}

static enum err desk_try(struct desk *desk, uint32_t partitions, uint64_t bytes_max, char *why, size_t why_bytes)
{
    struct embedded_options options = {.dir = desk->dir, .partitions = partitions, .fsync = false,
                                       .now_ms = clock_ms != 0 ? fake_now : rig_now_ms, .log_bytes_max = bytes_max};
    uv_loop_init(&desk->loop);
    enum err err = embedded_open(&options, &desk->loop, &desk->embedded, why, why_bytes);
    if (err != ERR_OK) rig_loop_close(&desk->loop);
    return err;
}

static bool all_assigned(void *ctx)
{
    struct desk *desk = ctx;
    return desk->assigned == desk->reader->partitions;
}

static void desk_open_with(struct desk *desk, uint64_t bytes_max)
{
    char why[256];
    enum err err = desk_try(desk, 0, bytes_max, why, sizeof why);
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
    assert_true(rig_until(&desk->loop, all_assigned, desk, WAIT_MS));
}
static void desk_open(struct desk *desk) { desk_open_with(desk, 0); }

static void desk_close(struct desk *desk)
{
    embedded_close(desk->embedded);
    desk->embedded = NULL;
    rig_loop_close(&desk->loop);
}

static void start(struct desk *desk, uint64_t offset)
{
    desk->next_expected = offset;
    assert_int_equal(desk->reader->ops->start(desk->reader, 0, offset), ERR_OK);
}

static enum err append_text(struct desk *desk, uint32_t partition, const char *text, uint64_t tag)
{
    struct blob *blob = blob_make(span_text(text));
    enum err err = desk->writer->ops->append(desk->writer, partition, blob, tag);
    blob_put(blob);
    return err;
}

/* `count` records from number `from` on, each its number. */
static void append_numbers(struct desk *desk, uint64_t from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)(from + i));
        assert_int_equal(append_text(desk, 0, text, desk->last_tag + 1 + i), ERR_OK);
    }
}

struct goal {
    struct desk *desk;
    size_t acks, records;
};
static bool reached(void *ctx)
{
    struct goal *goal = ctx;
    return goal->desk->acks + goal->desk->refused >= goal->acks && goal->desk->records >= goal->records;
}
static void wait_for(struct desk *desk, size_t acks, size_t records)
{
    struct goal goal = {desk, acks, records};
    if (!rig_until(&desk->loop, reached, &goal, WAIT_MS))
        fail_msg("acks %zu of %zu, records %zu of %zu", desk->acks, acks, desk->records, records);
}

static int setup(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) return -1;
    rig_dir_make(desk->dir);
    clock_ms = 0;
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    struct desk *desk = *state;
    if (desk->embedded != NULL) desk_close(desk);
    rig_dir_remove(desk->dir);
    free(desk);
    return 0;
}

/* ---- order ---- */

static void appends_are_acked_and_consumed_in_order(void **state)
{
    struct desk *desk = *state;
    desk_open(desk);
    start(desk, 0);
    append_numbers(desk, 0, 5000);
    assert_int_equal(desk->acks, 0); /* never from inside a call */
    wait_for(desk, 5000, 5000);
    assert_true(desk->tags_in_order);
    assert_true(desk->gapless);
    assert_int_equal(desk->refused, 0);
}

static void partitions_number_their_records_apart(void **state)
{
    struct desk *desk = *state;
    desk_open(desk);
    start(desk, 0);
    for (uint64_t i = 0; i < 300; i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)(i / 3));
        assert_int_equal(append_text(desk, (uint32_t)(i % 3), text, i + 1), ERR_OK);
    }
    wait_for(desk, 300, 100);
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
    struct desk *desk = *state;
    char name[64];
    desk_open(desk);
    append_numbers(desk, 0, 100);
    wait_for(desk, 100, 0);
    snprintf(name, sizeof name, "%s", embedded_log_name(desk->embedded));
    desk_close(desk);
    desk_open(desk);
    assert_string_equal(embedded_log_name(desk->embedded), name);
    start(desk, 40);
    append_numbers(desk, 100, 10);
    wait_for(desk, 10, 70);
    assert_true(desk->gapless);
    assert_int_equal(desk->next_expected, 110);
}

static void times_never_go_back_whatever_the_clock_does(void **state)
{
    struct desk *desk = *state;
    clock_ms = 1000000;
    desk_open(desk);
    start(desk, 0);
    append_numbers(desk, 0, 3);
    wait_for(desk, 3, 3);
    assert_int_equal(desk->last_time_ms, 1000000);
    clock_ms = 500;
    append_numbers(desk, 3, 3);
    wait_for(desk, 6, 6);
    assert_int_equal(desk->last_time_ms, 1000000);
    desk_close(desk);
    desk_open(desk);
    start(desk, 6);
    append_numbers(desk, 6, 1);
    wait_for(desk, 1, 1);
    assert_int_equal(desk->last_time_ms, 1000000);
    assert_true(desk->times_grow);
}

/* ---- laggards ---- */

static void a_late_reader_gets_everything_while_appends_go_on(void **state)
{
    struct desk *desk = *state;
    desk_open(desk);
    append_numbers(desk, 0, 6000);
    wait_for(desk, 6000, 0);
    start(desk, 0);
    for (uint64_t at = 6000; at < 12000; at += 500) {
        append_numbers(desk, at, 500);
        wait_for(desk, (size_t)at + 500, 0);
    }
    wait_for(desk, 12000, 12000);
    assert_true(desk->gapless);
}

static void a_paused_reader_resumes_without_a_hole(void **state)
{
    struct desk *desk = *state;
    desk_open(desk);
    start(desk, 0);
    desk->pause_after = 300;
    append_numbers(desk, 0, 2000);
    wait_for(desk, 2000, 300);
    size_t at_pause = desk->records;
    append_numbers(desk, 2000, 1000);
    wait_for(desk, 3000, 0);
    assert_int_equal(desk->records, at_pause);
    desk->reader->ops->pause(desk->reader, 0, false);
    wait_for(desk, 3000, 3000);
    append_numbers(desk, 3000, 10);
    wait_for(desk, 3010, 3010);
    assert_true(desk->gapless);
}

/* ---- trimming ---- */

static bool is_trimmed(void *ctx)
{
    struct desk *desk = ctx;
    uint64_t first, next;
    desk->reader->ops->range(desk->reader, 0, &first, &next);
    return first == 4999;
}

static void trim_keeps_the_record_before_the_offset(void **state)
{
    struct desk *desk = *state;
    struct log_record record;
    desk_open(desk);
    start(desk, 0);
    append_numbers(desk, 0, 5500);
    wait_for(desk, 5500, 5500);
    desk->reader->ops->trim(desk->reader, 0, 5000);
    assert_true(rig_until(&desk->loop, is_trimmed, desk, WAIT_MS));
    assert_int_equal(desk->reader->ops->read(desk->reader, 0, 4999, &record), ERR_OK);
    assert_int_equal(record.bytes.bytes, 4);
    assert_memory_equal(record.bytes.at, "4999", 4);
    assert_int_equal(desk->reader->ops->read(desk->reader, 0, 4998, &record), ERR_UNKNOWN);
    assert_int_equal(desk->reader->ops->read(desk->reader, 0, 5500, &record), ERR_UNKNOWN);
    desk_close(desk);
    desk_open(desk);
    assert_true(is_trimmed(desk));
    assert_int_equal(desk->reader->ops->start(desk->reader, 0, 4998), ERR_CORRUPT);
    assert_int_equal(desk->reader->ops->start(desk->reader, 0, 5501), ERR_CORRUPT);
    start(desk, 5000);
    wait_for(desk, 0, 500);
    assert_true(desk->gapless);
}

static void a_log_trimmed_to_its_end_knows_its_next_offset(void **state)
{
    struct desk *desk = *state;
    uint64_t first, next;
    desk_open(desk);
    append_numbers(desk, 0, 5000);
    wait_for(desk, 5000, 0);
    desk->reader->ops->trim(desk->reader, 0, 5000);
    assert_true(rig_until(&desk->loop, is_trimmed, desk, WAIT_MS));
    desk_close(desk);
    desk_open(desk);
    assert_int_equal(desk->reader->ops->range(desk->reader, 0, &first, &next), ERR_OK);
    assert_int_equal(next, 5000);
}

/* ---- bounds ---- */

static void a_full_queue_is_busy_and_takes_nothing(void **state)
{
    struct desk *desk = *state;
    static char big[1 << 20];
    memset(big, 'x', sizeof big);
    desk_open(desk);
    start(desk, 0);
    struct blob *blob = blob_make(span_of(big, sizeof big));
    size_t taken = 0;
    enum err err = ERR_OK;
    /* The loop does not turn meanwhile, so groups are not given back and the queue fills. */
    while (taken < 1000 && (err = desk->writer->ops->append(desk->writer, 0, blob, taken + 1)) == ERR_OK) taken++;
    assert_int_equal(err, ERR_BUSY);
    assert_int_equal(blob->refs, taken + 1);
    wait_for(desk, taken, taken);
    assert_int_equal(desk->acks, taken);
    assert_int_equal(blob->refs, 1);
    blob_put(blob);
}

static void a_full_disk_refuses_and_says_so_and_loses_nothing_acked(void **state)
{
    struct desk *desk = *state;
    static char big[100000];
    memset(big, 'x', sizeof big);
    desk_open_with(desk, 4 << 20);
    start(desk, 0);
    for (size_t i = 0; desk->failed == ERR_OK && i < 200; i++) {
        struct blob *blob = blob_make(span_of(big, sizeof big));
        assert_int_equal(desk->writer->ops->append(desk->writer, 0, blob, i + 1), ERR_OK);
        blob_put(blob);
        wait_for(desk, i + 1, 0);
    }
    assert_int_equal(desk->failed, ERR_FULL);
    assert_int_equal(desk->refused, 1);
    assert_int_equal(append_text(desk, 0, "more", 999), ERR_BUSY);
    size_t acked = desk->acks;
    assert_true(acked > 10);
    desk_close(desk);
    desk_open(desk);
    start(desk, 0);
    wait_for(desk, 0, acked);
    assert_int_equal(desk->records, acked);
}

/* ---- refusals ---- */

static void refused(struct desk *desk, uint32_t partitions, enum err expected, const char *hint)
{
    char why[256] = "";
    assert_int_equal(desk_try(desk, partitions, 0, why, sizeof why), expected);
    if (strstr(why, hint) == NULL) fail_msg("`%s` lacks `%s`", why, hint);
    desk->embedded = NULL;
}

static void a_foreign_directory_is_refused_and_left_as_it_is(void **state)
{
    struct desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    rig_file_write(desk->dir, "thesis.tex", "x");
    refused(desk, 0, ERR_FOREIGN, "thesis.tex");
    snprintf(path, sizeof path, "%s/log", desk->dir);
    assert_int_equal(access(path, F_OK), -1);
}

static void torn_newer_and_other_stamps_are_refused(void **state)
{
    struct desk *desk = *state;
    rig_file_write(desk->dir, "meta", "tidegate data\nformat 1\nlog abc\nparti");
    refused(desk, 0, ERR_CORRUPT, "torn");
    rig_file_write(desk->dir, "meta", "tidegate data\nformat 2\nsomething else\n");
    refused(desk, 0, ERR_VERSION, "format 2");
    rig_file_write(desk->dir, "meta", "");
    refused(desk, 0, ERR_FOREIGN, "meta");
}

static void another_partition_count_is_refused(void **state)
{
    struct desk *desk = *state;
    desk_open(desk);
    desk_close(desk);
    refused(desk, 7, ERR_CONFIG, "4 partitions, not 7");
}

static void a_directory_in_use_is_refused_with_the_pid(void **state)
{
    struct desk *desk = *state, second = {0};
    char pid[32];
    desk_open(desk);
    memcpy(second.dir, desk->dir, sizeof second.dir);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    refused(&second, 0, ERR_BUSY, pid);
}

static void a_log_without_its_stamp_is_not_taken_for_a_new_one(void **state)
{
    struct desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    desk_open(desk);
    append_numbers(desk, 0, 1);
    wait_for(desk, 1, 0);
    desk_close(desk);
    snprintf(path, sizeof path, "%s/registry", desk->dir);
    rig_dir_remove(path);
    snprintf(path, sizeof path, "%s/meta", desk->dir);
    assert_int_equal(unlink(path), 0);
    refused(desk, 0, ERR_CORRUPT, "meta");
}

static void an_interrupted_making_is_made_again(void **state)
{
    struct desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    desk_open(desk);
    desk_close(desk);
    snprintf(path, sizeof path, "%s/registry", desk->dir);
    rig_dir_remove(path);
    snprintf(path, sizeof path, "%s/meta", desk->dir);
    assert_int_equal(unlink(path), 0);
    desk_open(desk);
    append_numbers(desk, 0, 1);
    wait_for(desk, 1, 0);
}

static void a_stamp_without_its_log_is_refused(void **state)
{
    struct desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    desk_open(desk);
    desk_close(desk);
    snprintf(path, sizeof path, "%s/log", desk->dir);
    rig_dir_remove(path);
    refused(desk, 0, ERR_CORRUPT, "meta");
}

static void a_cut_log_is_refused_wherever_it_is_cut(void **state)
{
    struct desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    struct stat st;
    desk_open(desk);
    append_numbers(desk, 0, 20000);
    wait_for(desk, 20000, 0);
    desk_close(desk);
    snprintf(path, sizeof path, "%s/log/data.mdb", desk->dir);
    assert_int_equal(stat(path, &st), 0);
    for (int part = 9; part >= 1; part--) {
        assert_int_equal(truncate(path, st.st_size * part / 10), 0);
        refused(desk, 0, ERR_CORRUPT, "data.mdb");
    }
    assert_int_equal(truncate(path, 5000), 0);
    refused(desk, 0, ERR_CORRUPT, "data.mdb");
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
        LOG_TEST(a_foreign_directory_is_refused_and_left_as_it_is),
        LOG_TEST(torn_newer_and_other_stamps_are_refused),
        LOG_TEST(another_partition_count_is_refused),
        LOG_TEST(a_directory_in_use_is_refused_with_the_pid),
        LOG_TEST(a_log_without_its_stamp_is_not_taken_for_a_new_one),
        LOG_TEST(an_interrupted_making_is_made_again),
        LOG_TEST(a_stamp_without_its_log_is_refused),
        LOG_TEST(a_cut_log_is_refused_wherever_it_is_cut),
    };
    return cmocka_run_group_tests_name("embedded_log", tests, NULL, NULL);
}
