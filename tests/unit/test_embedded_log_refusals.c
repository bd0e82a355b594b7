/* What a directory must be for the embedded log to take it: all else is refused, and left as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/log_desk.h"

static void refused(struct log_desk *desk, uint32_t partitions, enum err expected, const char *hint)
{
    char why[256] = "";
    assert_int_equal(log_desk_try(desk, partitions, 0, why, sizeof why), expected);
    if (strstr(why, hint) == NULL) fail_msg("`%s` lacks `%s`", why, hint);
    desk->embedded = NULL;
}

static void a_foreign_directory_is_refused_and_left_as_it_is(void **state)
{
    struct log_desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    rig_file_write(desk->dir, "thesis.tex", "x");
    refused(desk, 0, ERR_FOREIGN, "thesis.tex");
    snprintf(path, sizeof path, "%s/log", desk->dir);
    assert_int_equal(access(path, F_OK), -1);
}

static void torn_newer_and_other_stamps_are_refused(void **state)
{
    struct log_desk *desk = *state;
    rig_file_write(desk->dir, "meta", "tidegate data\nformat 1\nlog abc\nparti");
    refused(desk, 0, ERR_CORRUPT, "torn");
    rig_file_write(desk->dir, "meta", "tidegate data\nformat 2\nsomething else\n");
    refused(desk, 0, ERR_VERSION, "format 2");
    rig_file_write(desk->dir, "meta", "");
    refused(desk, 0, ERR_FOREIGN, "meta");
}

static void another_partition_count_is_refused(void **state)
{
    struct log_desk *desk = *state;
    log_desk_open(desk);
    log_desk_close(desk);
    refused(desk, 7, ERR_CONFIG, "4 partitions, not 7");
}

static void a_directory_in_use_is_refused_with_the_pid(void **state)
{
    struct log_desk *desk = *state, second = {0};
    char pid[32];
    log_desk_open(desk);
    memcpy(second.dir, desk->dir, sizeof second.dir);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    refused(&second, 0, ERR_BUSY, pid);
}

static void a_log_without_its_stamp_is_not_taken_for_a_new_one(void **state)
{
    struct log_desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    log_desk_open(desk);
    log_desk_append_numbers(desk, 0, 1);
    log_desk_wait_for(desk, 1, 0);
    log_desk_close(desk);
    snprintf(path, sizeof path, "%s/registry", desk->dir);
    rig_dir_remove(path);
    snprintf(path, sizeof path, "%s/meta", desk->dir);
    assert_int_equal(unlink(path), 0);
    refused(desk, 0, ERR_CORRUPT, "meta");
}

static void an_interrupted_making_is_made_again(void **state)
{
    struct log_desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    log_desk_open(desk);
    log_desk_close(desk);
    snprintf(path, sizeof path, "%s/registry", desk->dir);
    rig_dir_remove(path);
    snprintf(path, sizeof path, "%s/meta", desk->dir);
    assert_int_equal(unlink(path), 0);
    log_desk_open(desk);
    log_desk_append_numbers(desk, 0, 1);
    log_desk_wait_for(desk, 1, 0);
}

static void a_stamp_without_its_log_is_refused(void **state)
{
    struct log_desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    log_desk_open(desk);
    log_desk_close(desk);
    snprintf(path, sizeof path, "%s/log", desk->dir);
    rig_dir_remove(path);
    refused(desk, 0, ERR_CORRUPT, "meta");
}

static void a_cut_log_is_refused_wherever_it_is_cut(void **state)
{
    struct log_desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    struct stat st;
    log_desk_open(desk);
    log_desk_append_numbers(desk, 0, 20000);
    log_desk_wait_for(desk, 20000, 0);
    log_desk_close(desk);
    snprintf(path, sizeof path, "%s/log/data.mdb", desk->dir);
    assert_int_equal(stat(path, &st), 0);
    for (int part = 9; part >= 1; part--) {
        assert_int_equal(truncate(path, st.st_size * part / 10), 0);
        refused(desk, 0, ERR_CORRUPT, "data.mdb");
    }
    assert_int_equal(truncate(path, 5000), 0);
    refused(desk, 0, ERR_CORRUPT, "data.mdb");
}

/* Page by page from the end: where LMDB's own tables begin lies anywhere. What was never needed may be missing. */
static void a_log_cut_by_any_page_is_refused_or_whole(void **state)
{
    struct log_desk *desk = *state;
    char path[RIG_PATH_BYTES + 16];
    char why[256];
    struct stat st;
    size_t refusals = 0;
    log_desk_open(desk);
    for (unsigned i = 0; i < 12; i++) {
        log_desk_append_numbers(desk, i, 1);
        log_desk_wait_for(desk, i + 1, 0);
    }
    log_desk_close(desk);
    snprintf(path, sizeof path, "%s/log/data.mdb", desk->dir);
    assert_int_equal(stat(path, &st), 0);
    for (off_t pages = st.st_size / 4096 - 1; pages >= 2; pages--) {
        assert_int_equal(truncate(path, pages * 4096), 0);
        enum err err = log_desk_try(desk, 0, 0, why, sizeof why);
        assert_true(err == ERR_OK || err == ERR_CORRUPT);
        refusals += err != ERR_OK;
        if (err == ERR_OK) log_desk_close(desk);
        desk->embedded = NULL;
    }
    assert_true(refusals > 0);
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, log_desk_set_up, log_desk_tear_down)
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_foreign_directory_is_refused_and_left_as_it_is),
        LOG_TEST(torn_newer_and_other_stamps_are_refused),
        LOG_TEST(another_partition_count_is_refused),
        LOG_TEST(a_directory_in_use_is_refused_with_the_pid),
        LOG_TEST(a_log_without_its_stamp_is_not_taken_for_a_new_one),
        LOG_TEST(an_interrupted_making_is_made_again),
        LOG_TEST(a_stamp_without_its_log_is_refused),
        LOG_TEST(a_cut_log_is_refused_wherever_it_is_cut),
        LOG_TEST(a_log_cut_by_any_page_is_refused_or_whole),
    };
    return cmocka_run_group_tests_name("embedded_log_refusals", tests, NULL, NULL);
}
