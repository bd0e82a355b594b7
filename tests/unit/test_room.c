/* A worker's disk that is full: RLIMIT_FSIZE says how much room there is. */
#include "tests/support/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void push_much(struct stage *s)
{
    char *ops = malloc(300000);
    assert_non_null(ops);
    int bytes = snprintf(ops, 300000, "[{\"op\":\"put\",\"collection\":\"n\",\"id\":\"much-%zu\",\"body\":{\"text\":\"%0*d\"}}]", s->count, 200000, 1);
    assert_in_range(bytes, 200000, 299999);
    stage_push(s, ops);
    free(ops);
}

/* What was stored so far fits, and nothing more. */
static void fill_disk(struct stage *s)
{
    char path[RIG_PATH_BYTES + 32];
    struct stat st;
    snprintf(path, sizeof path, "%s/store-0/data.mdb", s->dir);
    assert_int_equal(stat(path, &st), 0);
    stage_limit_files((uint64_t)st.st_size + 6000); /* a write is cut short, the next one refused */
    for (int i = 0; i < 4; i++) push_much(s);
}

static bool ready(struct stage *s)
{
    const char *why = NULL;
    bool good = worker_ready(s->worker, &why);
    assert_true(good || why != NULL);
    return good || strstr(why, "the disk is full") == NULL;
}

static void a_full_disk_keeps_nothing_from_anybody_and_heals_by_itself(void **state)
{
    struct stage *s = *state;
    stage_open(s, true, 0, STAGE_RECORDS_MAX);
    assert_true(ready(s));
    fill_disk(s);
    stage_run(s, STAGE_RECORDS_MAX);
    assert_int_equal(s->failures, 0);
    assert_true(s->owned && !ready(s));
    assert_int_equal(s->updates_count, 9); /* told at once, as ever */
    size_t commits = s->commits_count;
    stage_run(s, STAGE_RECORDS_MAX);
    assert_int_equal(s->commits_count, commits); /* what is in the journal is not journalled again */
    stage_limit_files(0);
    stage_run(s, STAGE_RECORDS_MAX);
    assert_true(ready(s));
    for (size_t i = 1; i < s->commits_count; i++) assert_true(s->commits[i] > s->commits[i - 1]);
    stage_close(s);
    assert_int_equal(stage_stored(s), 10);
}

static void a_worker_that_ends_with_a_full_disk_stores_later_in_silence_what_it_journalled(void **state)
{
    struct stage *s = *state;
    stage_open(s, true, 0, STAGE_RECORDS_MAX);
    fill_disk(s);
    stage_run(s, STAGE_RECORDS_MAX);
    uint64_t journalled = s->commits[s->commits_count - 1] + 1; /* the log is given one record at a time, so a batch may be as short */
    stage_close(s);
    stage_limit_files(0);
    assert_true(stage_stored(s) < 10);
    stage_open(s, true, journalled, STAGE_RECORDS_MAX);
    assert_int_equal(s->restores, 0);
    for (size_t i = 0; i < s->commits_count; i++) assert_true(s->commits[i] >= journalled);
    stage_close(s);
    assert_int_equal(stage_stored(s), 10);
}

static void a_partition_is_given_back_though_its_disk_is_full(void **state)
{
    struct stage *s = *state;
    stage_open(s, true, 0, STAGE_RECORDS_MAX);
    fill_disk(s);
    stage_run(s, STAGE_RECORDS_MAX);
    s->reader.revoked(s->reader.ctx, 0);
    stage_run(s, STAGE_RECORDS_MAX);
    assert_false(s->started); /* released */
    assert_int_equal(s->failures, 0);
    stage_close(s);
}

static void a_store_that_cannot_be_made_for_want_of_room_is_made_later(void **state)
{
    struct stage *s = *state;
    stage_limit_files(1);
    stage_open(s, true, 0, STAGE_RECORDS_MAX);
    assert_int_equal(s->failures, 0);
    assert_true(!s->owned && !ready(s));
    stage_limit_files(0);
    stage_run(s, STAGE_RECORDS_MAX);
    assert_true(s->owned && ready(s));
    assert_int_equal(s->updates_count, 5);
    stage_close(s);
    assert_int_equal(stage_stored(s), 6);
}

/* There the log is on the same disk, and nothing else has what would be lost. */
static void without_a_journal_a_full_disk_is_a_failure(void **state)
{
    struct stage *s = *state;
    stage_open(s, false, 0, STAGE_RECORDS_MAX);
    fill_disk(s);
    stage_run(s, STAGE_RECORDS_MAX);
    assert_int_equal(s->failures, 1);
    assert_non_null(strstr(s->why, "the disk is full"));
    stage_close(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_full_disk_keeps_nothing_from_anybody_and_heals_by_itself),
        TEST(a_worker_that_ends_with_a_full_disk_stores_later_in_silence_what_it_journalled),
        TEST(a_partition_is_given_back_though_its_disk_is_full),
        TEST(a_store_that_cannot_be_made_for_want_of_room_is_made_later),
        TEST(without_a_journal_a_full_disk_is_a_failure),
    };
    return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
