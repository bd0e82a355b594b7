/* Background work of a device on the C client library, where it is held up: by another process on the store, by a store that cannot be
 * read, by the server's own word. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/work.h"
#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

static const char cart[] = "cart:ana";

static unsigned calls; /* of on_work() */
static enum tide_work_result result;
static sqlite3 *other; /* another process on the store, */
static bool takes_the_store; /* which takes its write lock amid the next run, and keeps it */

static enum tide_work_result on_work(void *ctx, struct tide *tide, const char *name, const char *input, int64_t within_ms)
{
    (void)ctx;
    (void)tide;
    (void)name;
    (void)input;
    (void)within_ms;
    calls++;
    if (takes_the_store) assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    takes_the_store = false;
    return result;
}

static int set_up(void **state)
{
    calls = 0;
    result = TIDE_WORK_WELL;
    return bench_set_up(state);
}

static void want(struct client *client, struct tide_work work) { bench_well(tide_work_add(client->tide, &work, TIDE_KEEP)); }

static struct tide_due run(struct client *client)
{
    struct tide_due due;
    bench_well(client_run_due(client, &due));
    return due;
}

static void pass(struct bench *bench, int64_t ms) { bench->world.rig.now_ms += ms; }

/* The one piece of work that there is; attempts 77: there is none. */
struct seen {
    char outcome[16];
    uint64_t attempts;
};

static bool see(void *ctx, const struct tide_work_state *state)
{
    struct seen *seen = ctx;
    snprintf(seen->outcome, sizeof seen->outcome, "%s", state->outcome);
    seen->attempts = state->attempts;
    return true;
}

static struct seen look(struct client *client)
{
    struct seen seen = {.attempts = 77};
    bench_well(tide_work_list(client->tide, see, &seen));
    return seen;
}

/* ---- another process on the store ---- */

static struct client *run_and_lose_the_store(struct bench *bench)
{
    struct client *ana = bench_add(bench, "ana");
    struct tide_due due = {.ran = 0};
    client_kill(ana);
    ana->on_work = on_work;
    client_begin(ana);
    want(ana, (struct tide_work){.name = "once", .kind = TIDE_WORK_APP});
    assert_int_equal(sqlite3_open(ana->path, &other), SQLITE_OK);
    takes_the_store = true;
    while (due.ran == 0) bench_well(tide_run_due(ana->tide, 1000, &due)); /* where the machine was slow, it had no time to begin */
    assert_true(due.well == 1 && due.next_ms == 0);
    assert_string_equal(look(ana).outcome, "running");
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    return ana;
}

static void the_end_of_a_run_that_another_process_held_up_is_noted_later(void **state)
{
    struct bench *bench = *state;
    for (int closes = 0; closes < 2; closes++) {
        calls = 0;
        struct client *ana = run_and_lose_the_store(bench);
        if (closes != 0) client_kill(ana);
        if (closes != 0) client_begin(ana);
        assert_int_equal(sqlite3_close(other), SQLITE_OK);
        other = NULL;
        assert_int_equal(run(ana).ran, 0);
        assert_int_equal(calls, 1);
        assert_int_equal(look(ana).attempts, 77);
    }
}

static void a_run_that_was_taken_for_dead_and_done_again_is_that_other_runs_to_end(void **state)
{
    struct bench *bench = *state;
    struct client *ana = run_and_lose_the_store(bench);
    struct tide_options options = {.path = ana->path, .on_work = on_work, .store_key = client_store_key()};
    struct tide_machine machine = client_machine(ana);
    struct tide *second;
    struct tide_due due;
    tide_stop(ana->tide);
    result = TIDE_WORK_AGAIN;
    bench_well(tide_open_on(&options, &machine, &second, NULL, 0));
    pass(bench, WORK_BACKOFF_MS);
    bench_well(tide_run_due(second, 600000, &due));
    assert_true(due.ran == 1 && due.well == 0);
    tide_close(second);
    sqlite3_close(other);
    other = NULL;
    bench_well(tide_start(ana->tide, TIDE_BOTH));
    assert_int_equal(run(ana).ran, 0);
    assert_int_equal(look(ana).attempts, 2);
    assert_string_equal(look(ana).outcome, "retry");
}

static void work_that_cannot_be_read_is_not_taken_for_none(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide_due due = {.ran = 77};
    struct tide_reason reason;
    client_kill(ana);
    ana->on_work = on_work;
    client_begin(ana);
    want(ana, (struct tide_work){.name = "a", .kind = TIDE_WORK_APP});
    assert_int_equal(sqlite3_open(ana->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "ALTER TABLE work RENAME TO gone", NULL, NULL, NULL), SQLITE_OK);
    assert_true(tide_run_due(ana->tide, 600000, &due) != TIDE_OK && due.ran == 77);
    assert_true(tide_work_list(ana->tide, see, NULL) != TIDE_OK);
    tide_why_not(ana->tide, NULL, &reason);
    assert_null(strstr(reason.sentence, "no such work"));
    assert_int_equal(sqlite3_exec(other, "ALTER TABLE gone RENAME TO work", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    other = NULL;
    assert_int_equal(run(ana).well, 1);
}

/* ---- the server's word ---- */

static unsigned asked; /* calls of a server that says its log, and then to come back in COME_BACK_MS */
enum { COME_BACK_MS = 900000 };

static unsigned put_off(void *ctx, struct span body, struct buf *answer)
{
    (void)ctx;
    (void)body;
    asked++;
    buf_add_text(answer, asked == 1 ? "{\"code\":\"log\",\"message\":\"m\",\"log\":\"L1\"}" : "{\"log\":\"L1\",\"results\":[],\"pages\":[],\"current\":[],\"closed\":[],"
                                                                                      "\"errors\":[],\"pending\":[],\"retry\":900000}");
    return asked == 1 ? 409 : 200;
}

static void the_servers_word_to_come_back_later_is_kept(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide_options options = {.path = ana->path, .token = "ana", .store_key = client_store_key()};
    struct tide_machine machine = client_machine(ana);
    struct tide *second;
    struct tide_due due;
    client_kill(ana);
    machine.post = put_off;
    bench_well(tide_open_on(&options, &machine, &second, NULL, 0));
    for (unsigned first = 0; first < 2; first++) {
        asked = first; /* the log that it says at first is progress; without any it is a failure with its backoff, which is the lesser here */
        bench_well(tide_subscribe(second, cart, NULL));
        bench_well(tide_work_add(second, &(struct tide_work){.name = "upload"}, TIDE_REPLACE));
        bench_well(tide_run_due(second, 600000, &due));
        assert_int_equal(asked, 2);
        assert_true(due.ran == 1 && due.well == 0 && due.next_ms == COME_BACK_MS);
        pass(bench, COME_BACK_MS - 1);
        bench_well(tide_run_due(second, 600000, &due));
        assert_true(due.ran == 0 && due.next_ms == 1 && asked == 2);
        pass(bench, 1);
        bench_well(tide_run_due(second, 600000, &due));
        assert_true(due.ran == 1 && asked == 3);
    }
    tide_close(second);
    client_begin(ana);
}

static void what_went_well_leaves_no_word_of_a_failure(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide_options options = {.path = ana->path, .url = "http://127.0.0.1:9", .token = "ana", .store_key = client_store_key()};
    struct tide *second;
    char why[64] = "before";
    client_kill(ana);
    bench_well(tide_open(&options, &second, why, sizeof why));
    assert_string_equal(why, "");
    bench_well(tide_start(second, TIDE_BOTH));
    assert_string_equal(tide_message(second), "");
    tide_close(second);
    client_begin(ana);
}

static bool third_time(void *ctx)
{
    unsigned *times = ctx;
    return ++*times == 3;
}

static void the_longest_time_is_no_time_that_is_over(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide_options options = {.path = ana->path, .url = "http://127.0.0.1:9", .token = "ana", .store_key = client_store_key(), .retry_base_ms = 1, .retry_most_ms = 1};
    struct tide_machine machine = client_machine(ana);
    struct tide *second;
    unsigned times = 0;
    client_kill(ana);
    machine.clock = NULL;
    bench_well(tide_open_on(&options, &machine, &second, NULL, 0));
    bench_well(tide_subscribe(second, cart, NULL));
    bench_well(tide_sync(second, TIDE_BOTH, INT64_MAX));
    tide_close(second);
    machine.post = NULL;
    bench_well(tide_open_on(&options, &machine, &second, NULL, 0));
    bench_well(tide_start(second, TIDE_BOTH));
    assert_true(tide_run(second, INT64_MAX - 1, third_time, &times));
    tide_close(second);
    client_begin(ana);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_end_of_a_run_that_another_process_held_up_is_noted_later), TEST(a_run_that_was_taken_for_dead_and_done_again_is_that_other_runs_to_end),
        TEST(work_that_cannot_be_read_is_not_taken_for_none), TEST(the_servers_word_to_come_back_later_is_kept), TEST(the_longest_time_is_no_time_that_is_over), TEST(what_went_well_leaves_no_word_of_a_failure)};
    return cmocka_run_group_tests_name("client_work_held", tests, NULL, NULL);
}
