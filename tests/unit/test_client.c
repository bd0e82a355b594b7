/* A device on the C client library before a hub and the true owner: what it writes, what the server gets, what is refused, what is lost. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

static const char cart[] = "cart:ana", notes[] = "notes:ana:c", room[] = "chat:b";

/* ---- writing ---- */

static void a_write_is_shown_at_once_and_survives_the_process(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    client_network(ana, false);
    bench_well(tide_put(ana->tide, cart, "items", "tea", "{\"name\":\"tea\",\"qty\":1}", NULL));
    bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 2, NULL, NULL, NULL));
    bench_well(tide_patch(ana->tide, cart, "items", "tea", "{\"name\":null}", NULL));
    bench_shows(ana, cart, "items", "tea", "{\"qty\":3}");
    client_kill(ana);
    client_begin(ana);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":3}");
    assert_int_equal(bench_status(ana).pending, 3);
}

static void what_is_no_operation_is_refused_and_leaves_no_trace(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    assert_int_equal(tide_put(ana->tide, cart, "items", "tea", "{\"qty\":", NULL), TIDE_INVALID);
    assert_int_equal(tide_put(ana->tide, cart, "items", "tea", "[1]", NULL), TIDE_INVALID);
    assert_int_equal(tide_put(ana->tide, cart, "items", "tea", "{},\"if\":\"absent\"", NULL), TIDE_INVALID);
    assert_int_equal(tide_put(ana->tide, "cart", "items", "tea", "{}", NULL), TIDE_INVALID);
    assert_int_equal(tide_put(ana->tide, cart, "items", "", "{}", NULL), TIDE_INVALID);
    assert_int_equal(tide_push(ana->tide, cart, "[{\"op\":\"put\"}]", NULL), TIDE_INVALID);
    assert_int_equal(tide_push(ana->tide, cart, "{}", NULL), TIDE_INVALID);
    assert_int_equal(bench_status(ana).pending, 0);
    assert_true(tide_message(ana->tide)[0] != '\0');
}

static void a_push_of_many_operations_is_shown_as_a_whole(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    bench_well(tide_push(ana->tide, cart, "[{\"op\":\"put\",\"collection\":\"items\",\"id\":\"a\",\"body\":{\"qty\":1}},\n{\"op\":\"incr\",\"collection\":\"items\",\"id\":\"a\",\"field\":\"qty\",\"by\":4},"
                                     "{\"op\":\"put\",\"collection\":\"items\",\"id\":\"b\",\"body\":{\"name\":\"b\"}}]", NULL));
    bench_shows(ana, cart, "items", "a", "{\"qty\":5}");
    bench_shows(ana, cart, "items", "b", "{\"name\":\"b\"}");
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_settle(bench);
    assert_true(client_is_like_owner(ana, cart));
}

/* ---- syncing ---- */

static void two_devices_end_with_the_same(void **state)
{
    struct bench *bench = *state;
    struct client *phone = bench_add(bench, "ana"), *till = bench_add(bench, "ana");
    bench_well(tide_subscribe(phone->tide, cart, NULL));
    bench_well(tide_subscribe(till->tide, cart, NULL));
    bench_settle(bench);
    client_network(phone, false);
    for (int i = 0; i < 10; i++) {
        bench_well(tide_incr(phone->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
        bench_well(tide_incr(till->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
        client_step(till);
    }
    bench_settle(bench);
    bench_shows(phone, cart, "items", "tea", "{\"qty\":10}");
    client_network(phone, true);
    bench_settle(bench);
    bench_shows(phone, cart, "items", "tea", "{\"qty\":20}");
    bench_shows(till, cart, "items", "tea", "{\"qty\":20}");
    assert_true(bench_status(phone).whole && bench_status(till).whole);
    assert_true(client_is_like_owner(phone, cart) && client_is_like_owner(till, cart));
}

static void an_ack_takes_nothing_from_the_view(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_settle(bench);
    bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
    client_step(ana);
    assert_true(world_ack(&bench->world, false));
    client_step(ana);
    assert_int_equal(bench_status(ana).pending, 1);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
    bench_settle(bench);
    assert_int_equal(bench_status(ana).pending, 0);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
}

static void a_push_without_a_subscription_has_an_outcome_and_stays_shown(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    bench_well(tide_put(ana->tide, cart, "items", "tea", "{\"name\":\"tea\"}", NULL));
    bench_settle(bench);
    assert_int_equal(bench_status(ana).pending, 0);
    assert_int_equal(ana->events[TIDE_EVENT_APPLIED], 1);
    bench_shows(ana, cart, "items", "tea", "{\"name\":\"tea\"}");
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_settle(bench);
    assert_true(client_is_like_owner(ana, cart));
}

static void lost_answers_do_not_double_an_increment(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_settle(bench);
    for (int i = 0; i < 20; i++) {
        bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
        client_step(ana);
        while (world_ack(&bench->world, false) || world_step(&bench->world)) continue;
        if (i % 3 == 0) client_cut(ana);
        if (i % 5 == 0) {
            client_kill(ana);
            client_begin(ana);
        }
        client_step(ana);
    }
    bench_settle(bench);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":20}");
    assert_true(client_is_like_owner(ana, cart));
}

/* ---- refusals ---- */

struct seen {
    int64_t id;
    unsigned count;
    char code[32], server[512], base[512], ops[512];
};

static bool see(void *ctx, const struct tide_refusal *refusal)
{
    struct seen *seen = ctx;
    seen->id = refusal->id;
    seen->count++;
    snprintf(seen->code, sizeof seen->code, "%s", refusal->code);
    snprintf(seen->server, sizeof seen->server, "%s", refusal->server);
    snprintf(seen->base, sizeof seen->base, "%s", refusal->base);
    snprintf(seen->ops, sizeof seen->ops, "%s", refusal->ops);
    return true;
}

static struct seen refusals(struct client *client)
{
    struct seen seen = {0};
    bench_well(tide_refused(client->tide, see, &seen));
    return seen;
}

static void a_refused_push_rolls_back_waits_and_holds_nobody_up(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_settle(bench);
    bench_well(tide_put(ana->tide, cart, "items", "tea", "{\"qty\":-1}", NULL)); /* not as the schema says */
    bench_well(tide_put(ana->tide, cart, "items", "milk", "{\"qty\":1}", NULL));
    bench_settle(bench);
    bench_shows(ana, cart, "items", "tea", NULL);
    bench_shows(ana, cart, "items", "milk", "{\"qty\":1}");
    client_kill(ana);
    client_begin(ana);
    struct seen seen = refusals(ana);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.code, "invalid");
    bench_well(tide_refused_retry(ana->tide, seen.id, "[{\"op\":\"put\",\"collection\":\"items\",\"id\":\"tea\",\"body\":{\"qty\":1}}]", NULL));
    assert_int_equal(refusals(ana).count, 0);
    bench_settle(bench);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
    assert_int_equal(tide_refused_drop(ana->tide, seen.id), TIDE_NOT_FOUND);
    assert_true(client_is_like_owner(ana, cart));
}

static void a_settled_refusal_leaves_its_id_to_no_other(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    int64_t ids[2];
    for (size_t i = 0; i < 2; i++) {
        bench_well(tide_put(ana->tide, cart, "items", "tea", "{\"qty\":-1}", NULL));
        bench_settle(bench);
        assert_int_equal(refusals(ana).count, 1);
        ids[i] = refusals(ana).id;
        if (i == 0) bench_well(tide_refused_drop(ana->tide, ids[0]));
    }
    assert_int_equal(tide_refused_drop(ana->tide, ids[0]), TIDE_NOT_FOUND); /* a dialog that is still open, or another process's */
    assert_int_equal(refusals(ana).id, ids[1]);
}

static void make_conflict(struct bench *bench, struct client *phone, struct client *desk)
{
    bench_well(tide_subscribe(phone->tide, notes, NULL));
    bench_well(tide_subscribe(desk->tide, notes, NULL));
    bench_well(tide_put(phone->tide, notes, "notes", "n", "{\"title\":\"one\"}", NULL));
    bench_settle(bench);
    client_network(phone, false);
    bench_well(tide_put(phone->tide, notes, "notes", "n", "{\"title\":\"mine\"}", NULL));
    bench_well(tide_put(desk->tide, notes, "notes", "n", "{\"title\":\"theirs\"}", NULL));
    bench_settle(bench);
    bench_shows(phone, notes, "notes", "n", "{\"title\":\"mine\"}");
    client_network(phone, true);
    bench_settle(bench);
}

static void a_conflict_waits_with_all_three_values(void **state)
{
    struct bench *bench = *state;
    struct client *phone = bench_add(bench, "ana"), *desk = bench_add(bench, "ana");
    make_conflict(bench, phone, desk);
    bench_shows(phone, notes, "notes", "n", "{\"title\":\"theirs\"}");
    struct seen seen = refusals(phone);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.code, "conflict");
    assert_string_equal(seen.base, "{\"notes/n\":{\"title\":\"one\"}}");
    assert_non_null(strstr(seen.ops, "mine"));
    assert_non_null(strstr(seen.server, "theirs"));
    bench_well(tide_refused_retry(phone->tide, seen.id, NULL, NULL));
    bench_settle(bench);
    bench_shows(desk, notes, "notes", "n", "{\"title\":\"mine\"}");
    assert_int_equal(refusals(phone).count, 0);
    assert_true(client_is_like_owner(phone, notes) && client_is_like_owner(desk, notes));
}

static enum tide_choice merge(void *ctx, const struct tide_conflict *conflict, const char **ret_merged)
{
    (void)ctx;
    assert_string_equal(conflict->base, "{\"title\":\"one\"}");
    assert_string_equal(conflict->mine, "{\"title\":\"mine\"}");
    assert_string_equal(conflict->theirs, "{\"title\":\"theirs\"}");
    *ret_merged = "{\"title\":\"both\"}";
    return TIDE_MERGED;
}

static void a_resolver_decides_a_conflict_at_once(void **state)
{
    struct bench *bench = *state;
    struct client *phone = bench_add(bench, "ana"), *desk = bench_add(bench, "ana");
    tide_set_resolver(phone->tide, merge, NULL);
    make_conflict(bench, phone, desk);
    bench_shows(phone, notes, "notes", "n", "{\"title\":\"both\"}");
    bench_shows(desk, notes, "notes", "n", "{\"title\":\"both\"}");
    assert_int_equal(refusals(phone).count, 0);
}

static unsigned resolved;

static enum tide_choice take_mine(void *ctx, const struct tide_conflict *conflict, const char **ret_merged)
{
    (void)ctx;
    (void)ret_merged;
    resolved++;
    return conflict->mine != NULL ? TIDE_MINE : TIDE_LATER;
}

/* More than the resolver is asked of at a time. */
static void a_resolver_is_not_asked_while_its_answer_cannot_be_written(void **state)
{
    enum { CONFLICTS = 70 };
    struct bench *bench = *state;
    struct client *phone = bench_add(bench, "ana"), *desk = bench_add(bench, "ana");
    char id[16];
    sqlite3 *other;
    bench_well(tide_subscribe(phone->tide, notes, NULL));
    bench_well(tide_subscribe(desk->tide, notes, NULL));
    for (int i = 0; i < 3 * CONFLICTS; i++) {
        snprintf(id, sizeof id, "n%d", i % CONFLICTS);
        if (i == CONFLICTS) bench_settle(bench);
        if (i == CONFLICTS) client_network(phone, false);
        bench_well(tide_put(i < 2 * CONFLICTS ? phone->tide : desk->tide, notes, "notes", id, i < CONFLICTS ? "{\"title\":\"one\"}" : i < 2 * CONFLICTS ? "{\"title\":\"mine\"}" : "{\"title\":\"theirs\"}", NULL));
    }
    bench_settle(bench);
    client_network(phone, true);
    bench_settle(bench);
    assert_int_equal(bench_status(phone).refused, CONFLICTS);
    assert_int_equal(sqlite3_open(phone->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    store_set_deadline(phone->tide->store, 1); /* without any patience */
    tide_set_resolver(phone->tide, take_mine, NULL);
    tide_poll(phone->tide);
    assert_int_equal(resolved, 0);
    assert_in_range(tide_io_deadline(phone->tide), 1, 1000); /* nor is it asked without end */
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    store_set_deadline(phone->tide->store, 0);
    bench->world.rig.now_ms += 1000;
    while (tide_io_deadline(phone->tide) == 0) tide_poll(phone->tide);
    assert_int_equal(resolved, CONFLICTS);
    assert_int_equal(bench_status(phone).refused, 0);
    bench_settle(bench);
    bench_shows(desk, notes, "notes", "n69", "{\"title\":\"mine\"}");
}

static void access_taken_away_purges_the_copy(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana"), *bob = bench_add(bench, "bob");
    bench_well(tide_put(ana->tide, room, "members", "bob", "{\"role\":\"writer\"}", NULL));
    bench_well(tide_append(ana->tide, room, "messages", "m1", "{\"text\":\"hello\"}", NULL));
    bench_well(tide_subscribe(ana->tide, room, NULL));
    bench_settle(bench);
    bench_well(tide_subscribe(bob->tide, room, NULL));
    bench_settle(bench);
    bench_shows(bob, room, "messages", "m1", "{\"text\":\"hello\"}");
    bench_well(tide_delete(ana->tide, room, "members", "bob", NULL));
    bench_settle(bench);
    assert_int_equal(bob->events[TIDE_EVENT_CLOSED], 1);
    bench_shows(bob, room, "messages", "m1", NULL);
    bench_well(tide_append(bob->tide, room, "messages", "m2", "{\"text\":\"late\"}", NULL));
    bench_settle(bench);
    assert_string_equal(refusals(bob).code, "forbidden");
    bench_shows(bob, room, "messages", "m2", NULL);
}

/* ---- backups, drawers, clocks ---- */

static void copy_file(const char *from, const char *to, const char *suffix)
{
    char command[1024];
    snprintf(command, sizeof command, "rm -f '%s%s'; [ ! -e '%s%s' ] || cp '%s%s' '%s%s'", to, suffix, from, suffix, from, suffix, to, suffix);
    assert_int_equal(system(command), 0);
}

static void copy_store(const char *from, const char *to)
{
    copy_file(from, to, "");
    copy_file(from, to, "-wal");
    copy_file(from, to, "-shm");
}

static void a_device_restored_from_a_backup_takes_a_new_id_and_loses_nothing(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    char backup[300], before[80];
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
    bench_settle(bench);
    snprintf(before, sizeof before, "%s", tide_device(ana->tide));
    snprintf(backup, sizeof backup, "%s.backup", ana->path);
    client_kill(ana);
    copy_store(ana->path, backup);
    client_begin(ana);
    for (int i = 0; i < 3; i++) bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
    bench_settle(bench);
    client_kill(ana);
    copy_store(backup, ana->path);
    client_begin(ana);
    client_network(ana, false);
    bench_well(tide_incr(ana->tide, cart, "items", "milk", "qty", 1, NULL, NULL, NULL));
    client_network(ana, true);
    bench_settle(bench);
    assert_string_not_equal(tide_device(ana->tide), before);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":4}");
    /* What the backup's outbox held under an id of the log's may or may not be in it: its user is asked. */
    assert_string_equal(refusals(ana).code, "unknown");
    bench_well(tide_refused_retry(ana->tide, refusals(ana).id, NULL, NULL));
    bench_settle(bench);
    bench_shows(ana, cart, "items", "milk", "{\"qty\":1}");
    assert_true(client_is_like_owner(ana, cart));
}

static void after_a_year_in_a_drawer_what_was_sent_is_unknown_and_what_was_not_is_sent(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana"), *other = bench_add(bench, "ana");
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_well(tide_subscribe(other->tide, cart, NULL));
    bench_well(tide_put(ana->tide, cart, "items", "old", "{\"qty\":1}", NULL));
    bench_settle(bench);
    bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
    client_step(ana); /* sent, and not answered */
    client_network(ana, false);
    bench_well(tide_incr(ana->tide, cart, "items", "milk", "qty", 1, NULL, NULL, NULL));
    bench_well(tide_delete(other->tide, cart, "items", "old", NULL));
    bench_settle(bench);
    client_kill(ana);
    bench->world.rig.now_ms += INT64_C(400) * 86400 * 1000;
    client_boot(ana);
    bench_well(tide_put(other->tide, cart, "items", "new", "{\"qty\":1}", NULL));
    client_cut(other);
    bench_settle(bench);
    client_begin(ana);
    client_network(ana, true);
    bench_settle(bench);
    assert_string_equal(refusals(ana).code, "unknown");
    assert_int_equal(refusals(ana).count, 1);
    assert_int_equal(bench_status(ana).pending, 0);
    bench_shows(ana, cart, "items", "milk", "{\"qty\":1}");
    assert_true(client_is_like_owner(ana, cart));
}

static void a_wrong_clock_changes_nothing_about_which_edit_is_later(void **state)
{
    struct bench *bench = *state;
    struct client *early = bench_add(bench, "ana"), *late = bench_add(bench, "ana");
    bench_well(tide_subscribe(early->tide, cart, NULL));
    bench_well(tide_subscribe(late->tide, cart, NULL));
    bench_settle(bench);
    client_network(early, false);
    client_network(late, false);
    early->wall_off_ms = INT64_C(10) * 365 * 86400 * 1000; /* ten years ahead */
    bench_well(tide_put(early->tide, cart, "items", "tea", "{\"name\":\"early\"}", NULL));
    bench->world.rig.now_ms += 60000;
    bench_well(tide_put(late->tide, cart, "items", "tea", "{\"name\":\"late\"}", NULL));
    client_kill(early);
    client_boot(early);
    bench->world.rig.now_ms += 60000;
    client_begin(early);
    client_network(late, true);
    bench_settle(bench);
    client_network(early, true); /* comes last, and was made first */
    bench_settle(bench);
    bench_shows(early, cart, "items", "tea", "{\"name\":\"late\"}");
    bench_shows(late, cart, "items", "tea", "{\"name\":\"late\"}");
}

static void a_token_that_is_refused_is_asked_for_again(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    unsigned before = ana->tokens;
    client_cut(ana);
    ana->refuse_token = true;
    bench_well(tide_put(ana->tide, cart, "items", "tea", "{\"qty\":1}", NULL));
    bench_settle(bench);
    assert_true(ana->tokens > before);
    assert_int_equal(bench_status(ana).pending, 0);
}

static void a_busy_log_is_tried_again_without_anybody_doing_anything(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_settle(bench);
    for (int i = 0; i < 5; i++) bench_well(tide_incr(ana->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL));
    client_step(ana);
    while (world_ack(&bench->world, true)) continue;
    bench_settle(bench);
    assert_int_equal(bench_status(ana).pending, 0);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":5}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_is_shown_at_once_and_survives_the_process), TEST(what_is_no_operation_is_refused_and_leaves_no_trace),
        TEST(a_push_of_many_operations_is_shown_as_a_whole), TEST(two_devices_end_with_the_same), TEST(an_ack_takes_nothing_from_the_view),
        TEST(a_push_without_a_subscription_has_an_outcome_and_stays_shown), TEST(lost_answers_do_not_double_an_increment),
        TEST(a_refused_push_rolls_back_waits_and_holds_nobody_up), TEST(a_conflict_waits_with_all_three_values),
        TEST(a_settled_refusal_leaves_its_id_to_no_other),
        TEST(a_resolver_decides_a_conflict_at_once), TEST(a_resolver_is_not_asked_while_its_answer_cannot_be_written), TEST(access_taken_away_purges_the_copy),
        TEST(a_device_restored_from_a_backup_takes_a_new_id_and_loses_nothing),
        TEST(after_a_year_in_a_drawer_what_was_sent_is_unknown_and_what_was_not_is_sent),
        TEST(a_wrong_clock_changes_nothing_about_which_edit_is_later), TEST(a_token_that_is_refused_is_asked_for_again),
        TEST(a_busy_log_is_tried_again_without_anybody_doing_anything)};
    return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
