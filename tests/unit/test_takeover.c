/* A partition changes hands: what an owner may say, journal and store while another may have said, journalled and stored it before. */
#include "tests/support/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/store.h"

static void a_first_owner_says_and_journals_everything(void **state)
{
    struct stage *s = *state;
    stage_open(s, true, 0, STAGE_RECORDS_MAX);
    assert_true(s->owned);
    assert_int_equal(s->updates_count, 5);
    assert_int_equal(s->updates[0], 2);
    assert_int_equal(s->answers_count, 5);
    assert_true(s->commits_count > 0 && s->commits[0] == 0);
    stage_close(s);
    assert_int_equal(stage_stored(s), 6);
}

static void what_another_owner_journalled_is_replayed_in_silence_and_stored(void **state)
{
    struct stage *s = *state;
    stage_open(s, true, 0, 2);
    stage_close(s);
    assert_int_equal(stage_stored(s), 2);
    stage_open(s, true, 4, STAGE_RECORDS_MAX); /* meanwhile another had it, and journalled what lies below 4 */
    assert_true(s->owned);
    assert_int_equal(s->updates_count, 2);
    assert_int_equal(s->updates[0], 5);
    assert_int_equal(s->answers_count, 2);
    for (size_t i = 0; i < s->commits_count; i++) assert_true(s->commits[i] >= 4);
    assert_true(s->commits_count > 0);
    stage_close(s);
    assert_int_equal(stage_stored(s), 6);
}

static void nothing_is_answered_for_before_it_stands_where_the_log_ended(void **state)
{
    struct stage *s = *state;
    stage_open(s, true, 0, 2);
    stage_close(s);
    stage_open(s, true, 4, 3);
    assert_false(s->owned);
    stage_run(s, 4); /* all that is silent; but the log went on to 6 by the time of the assignment */
    assert_false(s->owned);
    assert_int_equal(s->updates_count, 0);
    stage_run(s, STAGE_RECORDS_MAX);
    assert_true(s->owned);
    stage_close(s);
    assert_int_equal(stage_stored(s), 6);
}

static void what_the_journal_refused_is_not_stored(void **state)
{
    struct stage *s = *state;
    stage_open(s, true, 0, 3);
    s->end = JOURNAL_LOST;
    stage_run(s, STAGE_RECORDS_MAX);
    assert_false(s->owned);
    stage_close(s);
    assert_int_equal(stage_stored(s), 3);
}

static void a_store_ahead_of_the_journal_is_made_anew(void **state)
{
    struct stage *s = *state;
    stage_open(s, true, 0, STAGE_RECORDS_MAX);
    assert_int_equal(s->restores, 0);
    stage_close(s);
    stage_open(s, true, 3, STAGE_RECORDS_MAX);
    assert_int_equal(s->restores, 1);
    stage_close(s);
}

/* Somebody had the store open when the machine went down: what was not synced may be gone. */
static void a_store_that_a_machine_went_down_with_is_made_anew(void **state)
{
    struct stage *s = *state;
    int status = -1;
    stage_open(s, true, 0, STAGE_RECORDS_MAX);
    stage_close(s);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char path[RIG_PATH_BYTES + 16], why[256];
        struct store *store;
        snprintf(path, sizeof path, "%s/store-0", s->dir);
        struct store_options options = {.path = path, .log = "testlog", .partition = 0, .boot = "another boot"};
        _exit(store_open(&options, &store, why, sizeof why) == ERR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    stage_open(s, true, 6, STAGE_RECORDS_MAX);
    assert_int_equal(s->restores, 1);
    stage_close(s);
}

static void a_log_that_ends_before_the_store_is_refused(void **state)
{
    struct stage *s = *state;
    stage_open(s, false, 0, STAGE_RECORDS_MAX);
    stage_close(s);
    assert_int_equal(s->failures, 0);
    free(s->texts[--s->count]);
    stage_open(s, false, 0, STAGE_RECORDS_MAX);
    assert_int_equal(s->failures, 1);
    assert_non_null(strstr(s->why, "the log ends at 5, before the store's 6"));
    assert_false(s->owned);
    stage_close(s);
}

static void another_log_than_the_stores_is_refused(void **state)
{
    struct stage *s = *state;
    stage_open(s, false, 0, STAGE_RECORDS_MAX);
    stage_close(s);
    free(s->texts[--s->count]);
    stage_push(s, "[{\"op\":\"put\",\"collection\":\"n\",\"id\":\"other\",\"body\":{}}]");
    stage_open(s, false, 0, STAGE_RECORDS_MAX);
    assert_int_equal(s->failures, 1);
    assert_non_null(strstr(s->why, "the log is not the one that the store was made from"));
    assert_false(s->owned);
    stage_close(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_first_owner_says_and_journals_everything),
        TEST(what_another_owner_journalled_is_replayed_in_silence_and_stored),
        TEST(nothing_is_answered_for_before_it_stands_where_the_log_ended),
        TEST(what_the_journal_refused_is_not_stored),
        TEST(a_store_ahead_of_the_journal_is_made_anew),
        TEST(a_store_that_a_machine_went_down_with_is_made_anew),
        TEST(a_log_that_ends_before_the_store_is_refused),
        TEST(another_log_than_the_stores_is_refused),
    };
    return cmocka_run_group_tests_name("takeover", tests, NULL, NULL);
}
