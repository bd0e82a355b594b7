/* A device on the C client library when the disk is full, the copy is torn, a first sync is cut short; and rules that the app vouches for. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/store.h"
#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

static const char cart[] = "cart:ana";

static void a_full_disk_refuses_a_write_and_changes_nothing(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    client_network(ana, false);
    bench_well(tide_put(ana->tide, cart, "items", "tea", "{\"qty\":1}", NULL));
    client_fill_disk(ana, true);
    enum tide_code code = tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL);
    client_fill_disk(ana, false);
    assert_true(code == TIDE_FULL || code == TIDE_IO);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
    assert_int_equal(bench_status(ana).pending, 1);
    bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
    bench_shows(ana, cart, "items", "tea", "{\"qty\":2}");
    client_kill(ana);
    client_begin(ana);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":2}");
}

static void what_comes_while_the_disk_is_full_comes_again(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana"), *other = bench_add(bench, "ana");
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_well(tide_subscribe(other->tide, cart, NULL));
    bench_settle(bench);
    bench_well(tide_put(other->tide, cart, "items", "tea", "{\"qty\":1}", NULL));
    client_step(other);
    while (world_ack(&bench->world, false) || world_step(&bench->world) || world_tell(&bench->world)) continue;
    hub_rig_turn(&bench->world.rig);
    client_fill_disk(ana, true);
    client_step(ana);
    client_fill_disk(ana, false);
    assert_true(ana->events[TIDE_EVENT_ERROR] > 0);
    bench_shows(ana, cart, "items", "tea", NULL);
    bench_settle(bench);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
    assert_true(client_is_like_owner(ana, cart));
}

static bool count_spaces(void *ctx, const struct tide_space *space)
{
    *(uint64_t *)ctx += space->documents;
    return true;
}

static uint64_t documents(struct client *client)
{
    uint64_t count = 0;
    bench_well(tide_spaces(client->tide, count_spaces, &count));
    return count;
}

static bool see_refusal(void *ctx, const struct tide_refusal *refusal)
{
    (void)ctx;
    (void)refusal;
    return true;
}

/* A table that is not there stands for a disk that cannot be read. */
static void what_cannot_be_read_is_not_taken_for_nothing(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide_doc *doc = NULL;
    uint64_t barrier = 0, count = 0;
    sqlite3 *db;
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_well(tide_put(ana->tide, cart, "items", "tea", "{\"qty\":1}", NULL));
    bench_well(tide_barrier(ana->tide, &barrier));
    assert_int_equal(sqlite3_open(ana->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "ALTER TABLE documents RENAME TO a; ALTER TABLE spaces RENAME TO b; ALTER TABLE outbox RENAME TO c; ALTER TABLE refused RENAME TO d", NULL, NULL, NULL), SQLITE_OK);
    enum tide_code got = tide_get(ana->tide, cart, "items", "tea", &doc);
    assert_true(got != TIDE_OK && got != TIDE_NOT_FOUND);
    assert_false(tide_barrier_passed(ana->tide, barrier));
    assert_true(tide_barrier(ana->tide, &barrier) != TIDE_OK);
    assert_true(tide_spaces(ana->tide, count_spaces, &count) != TIDE_OK);
    assert_true(tide_refused(ana->tide, see_refusal, NULL) != TIDE_OK);
    assert_int_equal(sqlite3_exec(db, "ALTER TABLE a RENAME TO documents; ALTER TABLE b RENAME TO spaces; ALTER TABLE c RENAME TO outbox; ALTER TABLE d RENAME TO refused", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    bench_settle(bench);
    assert_true(tide_barrier_passed(ana->tide, barrier));
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
    bench_well(tide_refused(ana->tide, see_refusal, NULL));
}

static void a_first_sync_that_was_killed_goes_on_where_it_was(void **state)
{
    struct bench *bench = *state;
    struct client *maker = bench_add(bench, "ana"), *ana = NULL;
    uint64_t halfway = 0;
    for (int i = 0; i < 40; i++) {
        char id[16];
        snprintf(id, sizeof id, "i%d", i);
        bench_well(tide_put(maker->tide, cart, "items", id, "{\"qty\":1}", NULL));
    }
    bench_settle(bench);
    /* A page's length is chance: one of three devices does not get everything in the first. */
    for (int tries = 0; tries < 3 && (halfway == 0 || halfway == 40); tries++) {
        ana = bench_add(bench, "ana");
        bench_well(tide_subscribe(ana->tide, cart, NULL));
        halfway = 0;
        for (int i = 0; i < 200 && halfway == 0; i++) {
            client_step(ana);
            if (!world_ask(&bench->world) && !world_page(&bench->world)) (void)world_tell(&bench->world);
            hub_rig_turn(&bench->world.rig);
            client_step(ana);
            halfway = documents(ana);
        }
    }
    assert_true(halfway > 0 && halfway < 40);
    client_kill(ana);
    client_begin(ana);
    assert_int_equal(documents(ana), halfway);
    bench_settle(bench);
    assert_int_equal(ana->events[TIDE_EVENT_RESET], 0); /* it did not start over */
    assert_int_equal(documents(ana), 40);
    assert_true(client_is_like_owner(ana, cart));
}

static void execute(const struct client *client, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(client->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_copy_that_differs_from_the_servers_is_taken_again(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana"), *other = bench_add(bench, "ana");
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_well(tide_put(other->tide, cart, "items", "tea", "{\"qty\":1}", NULL));
    bench_settle(bench);
    client_kill(ana);
    execute(ana, "DELETE FROM documents; DELETE FROM sums");
    bench_well(tide_put(other->tide, cart, "items", "milk", "{\"qty\":1}", NULL));
    bench_settle(bench);
    client_begin(ana);
    bench_settle(bench);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
    assert_true(client_is_like_owner(ana, cart));
}

/* The wire has nothing to say of the attempt. */
static void a_connection_that_never_comes_is_given_up_and_tried_again(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    client_cut(ana);
    for (int i = 0; i < 3; i++) {
        while (!tide_io_wants_connection(ana->tide)) {
            assert_true(tide_io_deadline(ana->tide) >= 0);
            bench->world.rig.now_ms += tide_io_deadline(ana->tide);
            tide_poll(ana->tide);
        }
        assert_in_range(tide_io_deadline(ana->tide), 1, SYNC_CONNECT_MS);
        bench->world.rig.now_ms += tide_io_deadline(ana->tide);
        tide_poll(ana->tide);
        assert_false(tide_io_wants_connection(ana->tide));
        assert_int_equal(bench_status(ana).state, TIDE_WAITING);
        assert_string_equal(bench_status(ana).why, SYNC_WHY_CONNECT);
    }
    bench_settle(bench);
    assert_int_equal(bench_status(ana).state, TIDE_LIVE);
}

static void namespaces_that_the_app_vouches_for_refuse_at_once(void **state)
{
    struct bench *bench = *state;
    static const char *const texts[] = {"{\"namespace\":\"shelf\",\"version\":1,\"access\":\"owner\",\"window\":\"90d\",\"presence\":false,"
                                        "\"collections\":{\"books\":{\"policy\":\"lww\",\"schema\":{\"required\":[\"title\"]}}}}"};
    char path[RIG_PATH_BYTES + 16], why[256] = "";
    struct tide_options options = {.path = path, .namespaces = texts, .namespaces_count = 1};
    struct tide_status status;
    struct tide *tide;
    snprintf(path, sizeof path, "%s/shelf.db", bench->dir);
    bench_well(tide_open(&options, &tide, why, sizeof why));
    assert_int_equal(tide_put(tide, "shelf:ana", "books", "b", "{}", NULL), TIDE_INVALID);
    assert_non_null(strstr(tide_message(tide), "title"));
    assert_int_equal(tide_incr(tide, "shelf:ana", "books", "b", "n", 1, NULL, NULL, NULL), TIDE_INVALID);
    tide_status(tide, &status);
    assert_int_equal(status.pending, 0);
    bench_well(tide_put(tide, "shelf:ana", "books", "b", "{\"title\":\"x\"}", NULL));
    tide_close(tide);
    static const char *const bad[] = {"{\"namespace\":3}"};
    options.namespaces = bad;
    assert_int_equal(tide_open(&options, &tide, why, sizeof why), TIDE_INVALID);
    assert_true(why[0] != '\0');
}

/* Opens, reads and closes it once all were let go; ends the process. */
static _Noreturn void open_as_one_of_many(const char *path, const char *device, int gate)
{
    char byte, why[512];
    struct store *store;
    (void)read(gate, &byte, 1); /* the end of the pipe: nothing is ever written */
    enum err err = store_open_file(path, &(struct store_keys){0}, device, &store, why, sizeof why);
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", why);
        _exit(1);
    }
    bool made = strncmp(store_self(store)->device, "device-", 7) == 0;
    store_close_file(store);
    _exit(made ? 0 : 2);
}

static void processes_that_make_one_store_at_once_all_have_it(void **state)
{
    struct bench *bench = *state;
    for (int round = 0; round < 25; round++) {
        char path[RIG_PATH_BYTES + 32], device[32];
        int gate[2], status, well = 0;
        snprintf(path, sizeof path, "%s/many-%d.db", bench->dir, round);
        assert_int_equal(pipe(gate), 0);
        for (int i = 0; i < 4; i++) {
            snprintf(device, sizeof device, "device-%d", i);
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                close(gate[1]);
                open_as_one_of_many(path, device, gate[0]);
            }
        }
        close(gate[0]);
        close(gate[1]);
        for (int i = 0; i < 4; i++) well += wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        assert_int_equal(well, 4);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_be_read_is_not_taken_for_nothing), TEST(a_full_disk_refuses_a_write_and_changes_nothing), TEST(what_comes_while_the_disk_is_full_comes_again),
        TEST(a_first_sync_that_was_killed_goes_on_where_it_was), TEST(a_copy_that_differs_from_the_servers_is_taken_again),
        TEST(a_connection_that_never_comes_is_given_up_and_tried_again), TEST(namespaces_that_the_app_vouches_for_refuse_at_once),
        TEST(processes_that_make_one_store_at_once_all_have_it)};
    return cmocka_run_group_tests_name("client_faults", tests, NULL, NULL);
}
