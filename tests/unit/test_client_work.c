/* Background work of a device on the C client library: asked for, run, put off, killed off; and what is said when nothing ran. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/work.h"
#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

static const char cart[] = "cart:ana";

static struct {
    unsigned calls;
    char names[16][32];
    char input[32];
    enum tide_work_result result;
} app;

static enum tide_work_result on_work(void *ctx, struct tide *tide, const char *name, const char *input, int64_t within_ms)
{
    struct tide_due due;
    (void)ctx;
    assert_true(within_ms > 0 && app.calls < 16);
    assert_int_equal(tide_run_due(tide, 1000, &due), TIDE_MISUSE);
    snprintf(app.names[app.calls++], sizeof app.names[0], "%s", name);
    snprintf(app.input, sizeof app.input, "%s", input);
    return app.result;
}

static int set_up(void **state)
{
    memset(&app, 0, sizeof app);
    return bench_set_up(state);
}

static struct client *add(struct bench *bench)
{
    struct client *ana = bench_add(bench, "ana");
    client_kill(ana);
    ana->on_work = on_work;
    client_begin(ana);
    return ana;
}

static void want(struct client *client, struct tide_work work, enum tide_exists exists) { bench_well(tide_work_add(client->tide, &work, exists)); }

static struct tide_due run(struct client *client)
{
    struct tide_due due;
    bench_well(client_run_due(client, &due));
    return due;
}

static struct tide_reason why(struct client *client, const char *name)
{
    struct tide_reason reason;
    tide_why_not(client->tide, name, &reason);
    return reason;
}

static void begin_anew(struct client *client)
{
    client_kill(client);
    client_begin(client);
}

static void pass(struct bench *bench, int64_t ms) { bench->world.rig.now_ms += ms; }

struct seen {
    size_t count;
    struct tide_work_state states[8];
    char outcomes[8][16], reasons[8][160], whys[8][80];
};

static bool see(void *ctx, const struct tide_work_state *state)
{
    struct seen *seen = ctx;
    assert_true(seen->count < 8);
    snprintf(seen->outcomes[seen->count], sizeof seen->outcomes[0], "%s", state->outcome);
    snprintf(seen->reasons[seen->count], sizeof seen->reasons[0], "%s", state->reason);
    snprintf(seen->whys[seen->count], sizeof seen->whys[0], "%s", state->looked_why);
    seen->states[seen->count++] = *state;
    return true;
}

static struct seen list(struct client *client)
{
    struct seen seen = {.count = 0};
    bench_well(tide_work_list(client->tide, see, &seen));
    return seen;
}

/* ---- sync ---- */

static void what_was_written_offline_is_sent_by_work(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench), *other = bench_add(bench, "ana");
    tide_stop(ana->tide);
    bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 3, NULL, NULL, NULL));
    want(ana, (struct tide_work){.name = "upload", .kind = TIDE_WORK_PUSH}, TIDE_KEEP);
    assert_int_equal(why(ana, "upload").why, TIDE_WHY_DUE);
    struct tide_due due = run(ana);
    assert_true(due.ran == 1 && due.well == 1 && due.next_ms == -1);
    assert_int_equal(bench_status(ana).pending, 0);
    assert_int_equal(why(ana, NULL).why, TIDE_WHY_NO_WORK);
    bench_well(tide_subscribe(other->tide, cart, NULL));
    bench_settle(bench);
    bench_shows(other, cart, "items", "tea", "{\"qty\":3}");
}

static void without_an_answer_it_is_tried_again_after_a_backoff_that_outlives_kill_and_boot(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    want(ana, (struct tide_work){.name = "upload"}, TIDE_KEEP);
    client_network(ana, false);
    struct tide_due due = run(ana);
    assert_true(due.ran == 1 && due.well == 0 && due.next_ms == WORK_BACKOFF_MS);
    due = run(ana);
    assert_true(due.ran == 0 && due.next_ms == WORK_BACKOFF_MS);
    pass(bench, due.next_ms);
    due = run(ana);
    assert_true(due.ran == 1 && due.next_ms == 2 * WORK_BACKOFF_MS);
    client_kill(ana);
    client_boot(ana);
    client_begin(ana);
    assert_int_equal(why(ana, "upload").why, TIDE_WHY_BACKOFF);
    assert_int_equal(why(ana, "upload").next_ms, 2 * WORK_BACKOFF_MS);
    assert_non_null(strstr(why(ana, "upload").sentence, "no answer"));
    assert_string_equal(list(ana).outcomes[0], "retry");
    assert_int_equal(list(ana).states[0].attempts, 2);
    client_network(ana, true);
    pass(bench, 2 * WORK_BACKOFF_MS);
    due = run(ana);
    assert_true(due.ran == 1 && due.well == 1);
}

static void a_token_that_is_refused_is_asked_for_anew(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_settle(bench);
    want(ana, (struct tide_work){.name = "upload"}, TIDE_KEEP);
    unsigned before = ana->tokens;
    ana->refuse_token = true;
    assert_int_equal(run(ana).well, 1);
    assert_int_equal(ana->tokens, before + 1);
}

/* ---- names ---- */

static void keep_replace_and_append_do_as_they_say(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    app.result = TIDE_WORK_AGAIN;
    want(ana, (struct tide_work){.name = "a", .kind = TIDE_WORK_APP, .input = "1"}, TIDE_KEEP);
    want(ana, (struct tide_work){.name = "a", .kind = TIDE_WORK_APP, .input = "2"}, TIDE_KEEP);
    assert_int_equal(run(ana).ran, 1);
    assert_string_equal(app.input, "1");
    want(ana, (struct tide_work){.name = "a", .kind = TIDE_WORK_APP, .input = "3"}, TIDE_REPLACE);
    want(ana, (struct tide_work){.name = "a", .kind = TIDE_WORK_APP, .input = "4"}, TIDE_APPEND);
    want(ana, (struct tide_work){.name = "b", .kind = TIDE_WORK_APP, .input = "5"}, TIDE_APPEND);
    assert_int_equal(list(ana).count, 3);
    assert_int_equal(list(ana).states[1].why, TIDE_WHY_BEHIND);
    begin_anew(ana);
    app.result = TIDE_WORK_WELL;
    app.calls = 0;
    assert_int_equal(run(ana).well, 3);
    assert_string_equal(app.names[0], "a");
    assert_int_equal(list(ana).count, 0);
}

static void what_was_appended_to_work_that_failed_fails_with_it(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    app.result = TIDE_WORK_FAILED;
    for (int i = 0; i < 3; i++) want(ana, (struct tide_work){.name = "a", .kind = TIDE_WORK_APP}, TIDE_APPEND);
    struct tide_due due = run(ana);
    assert_true(due.ran == 1 && due.well == 0 && list(ana).count == 0);
    app.result = TIDE_WORK_WELL;
    want(ana, (struct tide_work){.name = "a", .kind = TIDE_WORK_APP}, TIDE_APPEND);
    assert_int_equal(run(ana).well, 1);
}

static enum tide_work_result begin_again(void *ctx, struct tide *tide, const char *name, const char *input, int64_t within_ms)
{
    (void)ctx;
    (void)within_ms;
    app.calls++;
    snprintf(app.input, sizeof app.input, "%s", input);
    if (strcmp(input, "1") == 0) bench_well(tide_work_add(tide, &(struct tide_work){.name = name, .kind = TIDE_WORK_APP, .input = "2"}, TIDE_REPLACE));
    return strcmp(input, "1") == 0 ? app.result : TIDE_WORK_WELL;
}

static void what_takes_the_place_of_work_that_runs_outlives_its_end(void **state)
{
    static const enum tide_work_result results[] = {TIDE_WORK_WELL, TIDE_WORK_FAILED, TIDE_WORK_AGAIN};
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    client_kill(ana);
    ana->on_work = begin_again;
    client_begin(ana);
    for (size_t i = 0; i < 3; i++) {
        app.calls = 0;
        app.result = results[i];
        want(ana, (struct tide_work){.name = "a", .kind = TIDE_WORK_APP, .input = "1"}, TIDE_KEEP);
        (void)run(ana);
        assert_int_equal(app.calls, 2);
        assert_string_equal(app.input, "2");
        assert_int_equal(list(ana).count, 0);
    }
}

static void cancelled_work_does_not_run(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    want(ana, (struct tide_work){.name = "a", .kind = TIDE_WORK_APP}, TIDE_KEEP);
    bench_well(tide_work_cancel(ana->tide, "a"));
    assert_int_equal(tide_work_cancel(ana->tide, "a"), TIDE_NOT_FOUND);
    assert_int_equal(run(ana).ran, 0);
}

static void what_is_not_work_is_refused(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    assert_int_equal(tide_work_add(ana->tide, &(struct tide_work){.name = ""}, TIDE_KEEP), TIDE_INVALID);
    assert_int_equal(tide_work_add(ana->tide, &(struct tide_work){.name = "a", .every_ms = 1000}, TIDE_KEEP), TIDE_INVALID);
    want(ana, (struct tide_work){.name = "p", .every_ms = 3600000}, TIDE_KEEP);
    assert_int_equal(tide_work_add(ana->tide, &(struct tide_work){.name = "p"}, TIDE_APPEND), TIDE_INVALID);
    for (unsigned i = 1; i < STORE_WORK_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%u", i);
        want(ana, (struct tide_work){.name = name, .delay_ms = 1000}, TIDE_KEEP);
    }
    assert_int_equal(tide_work_add(ana->tide, &(struct tide_work){.name = "one more"}, TIDE_KEEP), TIDE_TOO_LARGE);
    bench_well(tide_work_add(ana->tide, &(struct tide_work){.name = "w1"}, TIDE_REPLACE));
}

static void periodic_work_comes_again(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    want(ana, (struct tide_work){.name = "nightly", .kind = TIDE_WORK_APP, .every_ms = 86400000}, TIDE_KEEP);
    for (int i = 0; i < 3; i++) {
        struct tide_due due = run(ana);
        assert_int_equal(due.well, 1);
        assert_in_range(due.next_ms, 86000000, 86400000);
        assert_int_equal(why(ana, "nightly").why, TIDE_WHY_TIME);
        begin_anew(ana);
        pass(bench, due.next_ms);
    }
}

/* ---- constraints ---- */

static void a_constraint_that_does_not_hold_is_said_and_stays_written(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    static const struct {
        struct tide_work work;
        struct tide_conditions not, holds;
        enum tide_why why;
    } all[] = {
        {{.network = TIDE_NETWORK_ANY}, {.network = TIDE_NO}, {.network = TIDE_YES}, TIDE_WHY_NETWORK},
        {{.network = TIDE_NETWORK_UNMETERED}, {.network = TIDE_YES, .unmetered = TIDE_NO}, {.network = TIDE_YES, .unmetered = TIDE_YES}, TIDE_WHY_UNMETERED},
        {{.charging = true}, {.charging = TIDE_NO}, {.charging = TIDE_YES}, TIDE_WHY_CHARGING},
        {{.battery_not_low = true}, {.battery_low = TIDE_YES}, {.battery_low = TIDE_NO}, TIDE_WHY_BATTERY},
        {{.storage_not_low = true}, {.storage_low = TIDE_YES}, {.storage_low = TIDE_NO}, TIDE_WHY_STORAGE}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct tide_work work = all[i].work;
        work.name = "a";
        work.kind = TIDE_WORK_APP;
        want(ana, work, TIDE_KEEP);
        tide_set_conditions(ana->tide, &all[i].not);
        struct tide_due due = run(ana);
        assert_true(due.ran == 0 && due.next_ms == -1);
        assert_int_equal(why(ana, "a").why, all[i].why);
        assert_int_equal(why(ana, NULL).why, all[i].why);
        begin_anew(ana);
        assert_true(list(ana).whys[0][0] != '\0');
        tide_set_conditions(ana->tide, &all[i].holds);
        assert_int_equal(run(ana).well, 1);
    }
}

struct losing {
    struct bench *bench;
    struct client *client;
    bool cancels;
};

static bool lose_it(void *ctx)
{
    struct losing *losing = ctx;
    struct world *world = &losing->bench->world;
    while (world_ack(world, false) || world_step(world) || world_ask(world) || world_page(world) || world_tell(world)) continue;
    pass(losing->bench, 250);
    hub_tick(world->rig.hub, world->rig.now_ms);
    if (losing->cancels) (void)tide_work_cancel(losing->client->tide, "upload");
    else tide_set_conditions(losing->client->tide, &(struct tide_conditions){.charging = TIDE_NO});
    return true;
}

/* More than one call can hold. */
static struct tide_due run_while_losing(struct bench *bench, struct client *ana, bool cancels)
{
    struct losing losing = {bench, ana, cancels};
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_settle(bench);
    client_network(ana, false);
    for (int i = 0; i < 300; i++) bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
    tide_set_conditions(ana->tide, &(struct tide_conditions){.charging = TIDE_YES});
    want(ana, (struct tide_work){.name = "upload", .charging = true}, TIDE_KEEP);
    client_network(ana, true);
    ana->go_on = lose_it;
    ana->go_on_ctx = &losing;
    return run(ana);
}

static void work_whose_constraint_goes_stops_between_two_batches_and_goes_on_when_it_is_back(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    struct tide_due due = run_while_losing(bench, ana, false);
    uint64_t pending = bench_status(ana).pending;
    assert_true(due.ran == 1 && due.well == 0);
    assert_in_range(pending, 1, 299);
    assert_int_equal(why(ana, "upload").why, TIDE_WHY_CHARGING);
    assert_string_equal(list(ana).outcomes[0], "more");
    assert_int_equal(list(ana).states[0].attempts, 0);
    ana->go_on = NULL;
    tide_set_conditions(ana->tide, &(struct tide_conditions){.charging = TIDE_YES});
    assert_int_equal(run(ana).well, 1);
    assert_int_equal(bench_status(ana).pending, 0);
    bench_settle(bench);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":300}");
}

static void work_that_is_cancelled_while_it_runs_stops_between_two_batches(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    struct tide_due due = run_while_losing(bench, ana, true);
    assert_true(due.ran == 1 && due.well == 0 && list(ana).count == 0);
    assert_in_range(bench_status(ana).pending, 1, 299);
}

/* ---- locks and files ---- */

static void it_holds_no_lock_when_it_returns_and_says_who_else_does(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    struct tide_options options = {.path = ana->path, .store_key = client_store_key()};
    struct tide_machine machine = client_machine(ana);
    struct tide *second;
    struct tide_due due;
    want(ana, (struct tide_work){.name = "upload"}, TIDE_KEEP);
    tide_stop(ana->tide);
    bench_well(tide_open_on(&options, &machine, &second, NULL, 0));
    bench_well(tide_start(second, TIDE_BOTH));
    assert_int_equal(tide_run_due(ana->tide, 1000, &due), TIDE_BUSY);
    assert_int_equal(why(ana, "upload").why, TIDE_WHY_BUSY);
    tide_stop(second);
    assert_int_equal(why(ana, "upload").why, TIDE_WHY_DUE);
    bench_well(tide_run_due(ana->tide, 60000, &due));
    assert_int_equal(due.ran, 1);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(ana->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE; COMMIT", NULL, NULL, NULL), SQLITE_OK); /* without any patience */
    sqlite3_close(db);
    bench_well(tide_start(second, TIDE_BOTH));
    tide_close(second);
    bench_well(tide_start(ana->tide, TIDE_BOTH));
}

static struct tide *rival;

static enum tide_work_result ask_why(void *ctx, struct tide *tide, const char *name, const char *input, int64_t within_ms)
{
    struct tide_reason reason;
    (void)ctx;
    (void)name;
    (void)input;
    (void)within_ms;
    app.calls++;
    tide_why_not(tide, "upload", &reason);
    assert_int_equal(reason.why, TIDE_WHY_DUE);
    assert_int_equal(tide_start(rival, TIDE_BOTH), TIDE_BUSY);
    return TIDE_WORK_WELL;
}

static void asking_why_not_amid_a_run_gives_nobody_else_the_right_to_sync(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide_options options = {.path = ana->path, .store_key = client_store_key()};
    struct tide_machine machine = client_machine(ana);
    client_kill(ana);
    ana->on_work = ask_why;
    client_begin(ana);
    bench_well(tide_open_on(&options, &machine, &rival, NULL, 0));
    want(ana, (struct tide_work){.name = "app", .kind = TIDE_WORK_APP}, TIDE_KEEP);
    want(ana, (struct tide_work){.name = "upload"}, TIDE_KEEP);
    assert_int_equal(run(ana).well, 2);
    assert_int_equal(app.calls, 1);
    tide_close(rival);
}

static struct client *writer; /* writes once more when all that it wrote is there */

static struct store_moment write_late(void *ctx)
{
    struct client *client = writer;
    writer = client != NULL && bench_status(client).pending > 0 ? client : NULL;
    if (writer == NULL && client != NULL) bench_well(tide_incr(client->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
    return client_machine(ctx).clock(ctx);
}

static void what_is_written_behind_the_last_batch_is_sent_by_the_same_work(void **state)
{
    struct bench *bench = *state;
    struct client *ana = add(bench);
    struct tide_options options = {.path = ana->path, .token = "ana", .store_key = client_store_key()};
    struct tide_machine machine = client_machine(ana);
    struct tide_due due;
    struct tide *second;
    machine.clock = write_late;
    tide_stop(ana->tide);
    bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
    want(ana, (struct tide_work){.name = "upload", .kind = TIDE_WORK_PUSH}, TIDE_KEEP);
    bench_well(tide_open_on(&options, &machine, &second, NULL, 0));
    writer = ana;
    bench_well(tide_run_due(second, 600000, &due));
    assert_null(writer);
    assert_true(due.ran == 2 && due.well == 1 && list(ana).count == 0);
    assert_int_equal(bench_status(ana).pending, 0);
    tide_close(second);
    bench_well(tide_start(ana->tide, TIDE_BOTH));
}

/* Of each version that there was. */
static void a_store_from_before_there_was_work_is_mended_when_it_is_opened(void **state)
{
    static const char to_2[] = "DROP INDEX documents_closed; CREATE INDEX documents_closed ON documents(doc) WHERE seal > 1; PRAGMA user_version = 2";
    struct bench *bench = *state;
    struct client *ana = add(bench);
    sqlite3 *db;
    bench_well(tide_put(ana->tide, cart, "items", "tea", "{\"qty\":1}", NULL));
    client_kill(ana);
    assert_int_equal(sqlite3_open(ana->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, to_2, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    client_begin(ana);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
    client_kill(ana);
    assert_int_equal(sqlite3_open(ana->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DROP TABLE work; DROP TABLE work_runs; DROP INDEX documents_closed; ALTER TABLE documents DROP COLUMN sealed;"
                                      " ALTER TABLE documents DROP COLUMN seal; ALTER TABLE outbox DROP COLUMN plain; ALTER TABLE refused DROP COLUMN sealed; PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    client_begin(ana);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
    want(ana, (struct tide_work){.name = "upload"}, TIDE_KEEP);
    assert_int_equal(run(ana).well, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_offline_is_sent_by_work), TEST(without_an_answer_it_is_tried_again_after_a_backoff_that_outlives_kill_and_boot),
        TEST(a_token_that_is_refused_is_asked_for_anew), TEST(keep_replace_and_append_do_as_they_say), TEST(what_was_appended_to_work_that_failed_fails_with_it),
        TEST(cancelled_work_does_not_run), TEST(what_is_not_work_is_refused), TEST(periodic_work_comes_again),
        TEST(a_constraint_that_does_not_hold_is_said_and_stays_written), TEST(work_whose_constraint_goes_stops_between_two_batches_and_goes_on_when_it_is_back),
        TEST(work_that_is_cancelled_while_it_runs_stops_between_two_batches), TEST(it_holds_no_lock_when_it_returns_and_says_who_else_does),
        TEST(what_takes_the_place_of_work_that_runs_outlives_its_end), TEST(asking_why_not_amid_a_run_gives_nobody_else_the_right_to_sync),
        TEST(what_is_written_behind_the_last_batch_is_sent_by_the_same_work),
        TEST(a_store_from_before_there_was_work_is_mended_when_it_is_opened)};
    return cmocka_run_group_tests_name("client_work", tests, NULL, NULL);
}
