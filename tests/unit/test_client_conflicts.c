/* The resolver of a device on the C client library where the store does not take its answers: another process's, or full. */
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tide_parts.h"
#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

static const char notes[] = "notes:ana";

static unsigned asked;         /* calls of the resolver */
static char last_theirs[64];
static sqlite3 *other;         /* another process on the store, */
static bool takes_the_store;   /* which takes its write lock within the next callback */
static int64_t waited_ms;      /* for its lock, as far as that was asked of the system */

/* Waiting for nothing but time is what a store does that is locked. */
int poll(struct pollfd *list, nfds_t count, int timeout_ms)
{
    const struct timespec timeout = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};
    if (count == 0 && timeout_ms > 0) waited_ms += timeout_ms;
    return ppoll(list, count, timeout_ms < 0 ? NULL : &timeout, NULL);
}

static void hold(bool on) { assert_int_equal(sqlite3_exec(other, on ? "BEGIN IMMEDIATE" : "COMMIT", NULL, NULL, NULL), SQLITE_OK); }

static void hold_if_told(void)
{
    if (takes_the_store) hold(true);
    takes_the_store = false;
}

static enum tide_choice take_mine(void *ctx, const struct tide_conflict *conflict, const char **ret_merged)
{
    (void)ctx;
    (void)ret_merged;
    asked++;
    snprintf(last_theirs, sizeof last_theirs, "%s", conflict->theirs);
    hold_if_told();
    return TIDE_MINE;
}

static enum tide_choice merge(void *ctx, const struct tide_conflict *conflict, const char **ret_merged)
{
    static char merged[32];
    (void)take_mine(ctx, conflict, ret_merged);
    snprintf(merged, sizeof merged, "{\"title\":\"both %u\"}", asked);
    *ret_merged = merged;
    return TIDE_MERGED;
}

static enum tide_work_result on_work(void *ctx, struct tide *tide, const char *name, const char *input, int64_t within_ms)
{
    (void)ctx;
    (void)name;
    (void)input;
    (void)within_ms;
    tide_set_resolver(tide, take_mine, NULL);
    hold_if_told();
    waited_ms = 0;
    return TIDE_WORK_WELL;
}

static int set_up(void **state)
{
    asked = 0;
    takes_the_store = false;
    return bench_set_up(state);
}

/* A phone with one conflict, and no resolver yet. */
static void make_conflict(struct bench *bench, struct client **ret_phone, struct client **ret_desk)
{
    struct client *phone = bench_add(bench, "ana"), *desk = bench_add(bench, "ana");
    bench_well(tide_subscribe(phone->tide, notes, NULL));
    bench_well(tide_subscribe(desk->tide, notes, NULL));
    bench_well(tide_put(phone->tide, notes, "notes", "n", "{\"title\":\"one\"}", NULL));
    bench_settle(bench);
    client_network(phone, false);
    bench_well(tide_put(phone->tide, notes, "notes", "n", "{\"title\":\"mine\"}", NULL));
    bench_well(tide_put(desk->tide, notes, "notes", "n", "{\"title\":\"theirs\"}", NULL));
    bench_settle(bench);
    client_network(phone, true);
    bench_settle(bench);
    assert_int_equal(bench_status(phone).refused, 1);
    assert_int_equal(sqlite3_open(phone->path, &other), SQLITE_OK);
    *ret_phone = phone;
    *ret_desk = desk;
}

static void close_other(void)
{
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    other = NULL;
}

static void a_second_later(struct bench *bench, struct client *client)
{
    bench->world.rig.now_ms += 1000;
    tide_poll(client->tide);
}

static void another_process_on_the_store_is_not_waited_for(void **state)
{
    struct bench *bench = *state;
    struct client *phone, *desk;
    make_conflict(bench, &phone, &desk);
    tide_set_resolver(phone->tide, take_mine, NULL);
    hold(true);
    waited_ms = 0;
    tide_poll(phone->tide);
    assert_in_range(waited_ms, 0, 200); /* it may be the app's own loop */
    assert_int_equal(asked, 0);
    hold(false);
    takes_the_store = true; /* while it is being asked */
    a_second_later(bench, phone);
    assert_in_range(waited_ms, 0, 400);
    assert_int_equal(asked, 1);
    assert_int_equal(bench_status(phone).refused, 1);
    hold(false);
    a_second_later(bench, phone);
    assert_int_equal(asked, 1);
    assert_int_equal(bench_status(phone).refused, 0);
    close_other();
}

static void a_conflict_does_not_keep_background_work_past_its_time(void **state)
{
    struct bench *bench = *state;
    struct client *phone, *desk;
    struct tide_due due = {.ran = 0};
    make_conflict(bench, &phone, &desk);
    client_kill(phone);
    phone->on_work = on_work;
    client_begin(phone);
    bench_well(tide_work_add(phone->tide, &(struct tide_work){.name = "once", .kind = TIDE_WORK_APP}, TIDE_KEEP));
    takes_the_store = true;
    while (due.ran == 0) bench_well(tide_run_due(phone->tide, 500, &due)); /* where the machine was slow, it had no time to begin */
    assert_in_range(waited_ms, 0, 1000);
    assert_int_equal(asked, 0);
    hold(false);
    close_other();
}

static void without_a_resolver_no_conflict_is_due(void **state)
{
    struct bench *bench = *state;
    struct client *phone, *desk;
    make_conflict(bench, &phone, &desk);
    tide_set_resolver(phone->tide, take_mine, NULL);
    hold(true);
    tide_poll(phone->tide);
    hold(false);
    tide_set_resolver(phone->tide, NULL, NULL);
    a_second_later(bench, phone);
    bench_settle(bench);
    assert_true(tide_io_deadline(phone->tide) != 0); /* a loop that is told 0 never sleeps */
    assert_true(asked == 0 && bench_status(phone).refused == 1);
    tide_set_resolver(phone->tide, take_mine, NULL);
    tide_poll(phone->tide);
    assert_true(asked == 1 && bench_status(phone).refused == 0);
    close_other();
}

static void an_answer_waits_while_the_disk_is_full(void **state)
{
    struct bench *bench = *state;
    struct client *phone, *desk;
    make_conflict(bench, &phone, &desk);
    close_other();
    client_fill_disk(phone, true);
    tide_set_resolver(phone->tide, merge, NULL);
    tide_poll(phone->tide);
    for (int i = 0; i < 3; i++) a_second_later(bench, phone);
    unsigned asked_meanwhile = asked;
    client_fill_disk(phone, false);
    assert_int_equal(asked_meanwhile, 1);
    assert_int_equal(bench_status(phone).refused, 1);
    a_second_later(bench, phone);
    assert_int_equal(asked, 1);
    assert_int_equal(bench_status(phone).refused, 0);
    bench_settle(bench);
    bench_shows(desk, notes, "notes", "n", "{\"title\":\"both 1\"}");
}

static void an_answer_on_what_has_changed_meanwhile_is_none(void **state)
{
    struct bench *bench = *state;
    struct client *phone, *desk;
    make_conflict(bench, &phone, &desk);
    takes_the_store = true;
    tide_set_resolver(phone->tide, merge, NULL);
    tide_poll(phone->tide);
    assert_string_equal(last_theirs, "{\"title\":\"theirs\"}");
    hold(false);
    bench_well(tide_put(desk->tide, notes, "notes", "n", "{\"title\":\"newer\"}", NULL));
    client_step(desk);
    while (world_ack(&bench->world, false) || world_step(&bench->world) || world_tell(&bench->world)) continue;
    hub_rig_turn(&bench->world.rig);
    client_step(phone);
    bench_shows(phone, notes, "notes", "n", "{\"title\":\"newer\"}");
    assert_int_equal(asked, 1);
    a_second_later(bench, phone);
    assert_int_equal(asked, 2);
    assert_string_equal(last_theirs, "{\"title\":\"newer\"}");
    bench_settle(bench);
    bench_shows(desk, notes, "notes", "n", "{\"title\":\"both 2\"}");
    close_other();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(another_process_on_the_store_is_not_waited_for), TEST(a_conflict_does_not_keep_background_work_past_its_time),
        TEST(without_a_resolver_no_conflict_is_due), TEST(an_answer_waits_while_the_disk_is_full), TEST(an_answer_on_what_has_changed_meanwhile_is_none)};
    return cmocka_run_group_tests_name("client_conflicts", tests, NULL, NULL);
}
