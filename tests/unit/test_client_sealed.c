/* Bodies encrypted end to end, on devices before a hub and the true owner: what the server sees, what is shown, what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

static const char gym[] = "workouts:ana", notes[] = "notes:ana";
static const char run[] = "{\"kind\":\"run\",\"secret\":1.10}";

static struct client *add(struct bench *bench, const char *keys)
{
    struct client *client = bench_add(bench, "ana");
    client_kill(client);
    client->keys = keys;
    client_begin(client);
    bench_well(tide_subscribe(client->tide, gym, NULL));
    bench_well(tide_subscribe(client->tide, notes, NULL));
    return client;
}

static enum tide_seal seal_of(struct client *client, const char *space, const char *collection, const char *id)
{
    struct tide_doc *doc = NULL;
    bench_well(tide_get(client->tide, space, collection, id, &doc));
    enum tide_seal seal = doc->seal;
    tide_doc_free(doc);
    return seal;
}

/* What a device without keys, as the server, has. */
static char *raw_of(struct client *server, const char *space, const char *collection, const char *id)
{
    char *body = client_body(server, space, collection, id);
    assert_non_null(body);
    return body;
}

static bool raw_has(struct client *server, const char *space, const char *collection, const char *id, const char *text)
{
    char *body = raw_of(server, space, collection, id);
    bool has = strstr(body, text) != NULL;
    free(body);
    return has;
}

static void well_all_along(struct bench *bench)
{
    for (size_t i = 0; i < bench->count; i++) assert_int_equal(bench->clients[i].events[TIDE_EVENT_ERROR], 0); /* the sums agree, among others */
}

static void the_server_carries_what_only_those_with_the_key_can_read(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, "k1"), *server = add(bench, NULL);
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_well(tide_append(phone->tide, gym, "samples", "s1", "{\"bpm\":140}", NULL));
    bench_well(tide_put(phone->tide, notes, "notes", "n1", "{\"text\":\"hm\"}", NULL));
    bench_shows(phone, gym, "workouts", "w1", run);
    bench_settle(bench);
    for (int i = 0; i < 2; i++) {
        struct client *client = i == 0 ? phone : laptop;
        bench_shows(client, gym, "workouts", "w1", run);
        bench_shows(client, gym, "samples", "s1", "{\"bpm\":140}");
        bench_shows(client, notes, "notes", "n1", "{\"text\":\"hm\"}");
        assert_int_equal(seal_of(client, gym, "workouts", "w1"), TIDE_SEAL_OPEN);
        assert_int_equal(seal_of(client, gym, "samples", "s1"), TIDE_SEAL_OPEN);
    }
    assert_true(raw_has(server, gym, "workouts", "w1", "{\"sealed\":1,\"key\":\"k1\",\"nonce\":\""));
    assert_false(raw_has(server, gym, "workouts", "w1", "secret"));
    assert_int_equal(seal_of(server, gym, "workouts", "w1"), TIDE_SEAL_LOCKED);
    /* Patched on one, deleted on the other: documents and sums stay in step, from nothing too. */
    bench_well(tide_patch(laptop->tide, gym, "workouts", "w1", "{\"kind\":null,\"km\":5}", NULL));
    bench_well(tide_delete(phone->tide, notes, "notes", "n1", NULL));
    bench_settle(bench);
    struct client *late = add(bench, "k1");
    client_kill(phone);
    client_begin(phone);
    bench_settle(bench);
    bench_shows(late, gym, "workouts", "w1", "{\"secret\":1.10,\"km\":5}");
    bench_shows(phone, gym, "workouts", "w1", "{\"secret\":1.10,\"km\":5}");
    bench_shows(laptop, notes, "notes", "n1", NULL);
    well_all_along(bench);
}

static void a_pending_write_needs_no_key_to_be_shown_and_sent(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, "k1");
    bench_settle(bench);
    client_network(phone, false);
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_well(tide_patch(phone->tide, gym, "workouts", "w1", "{\"km\":3}", NULL));
    client_kill(phone);
    phone->keys = "";
    client_begin(phone);
    bench_shows(phone, gym, "workouts", "w1", "{\"kind\":\"run\",\"secret\":1.10,\"km\":3}");
    client_network(phone, true);
    bench_settle(bench);
    assert_int_equal(seal_of(phone, gym, "workouts", "w1"), TIDE_SEAL_LOCKED);
    phone->keys = "k1";
    bench_well(tide_open_sealed(phone->tide));
    bench_shows(phone, gym, "workouts", "w1", "{\"kind\":\"run\",\"secret\":1.10,\"km\":3}");
    assert_int_equal(seal_of(phone, gym, "workouts", "w1"), TIDE_SEAL_OPEN);
    bench_shows(laptop, gym, "workouts", "w1", "{\"kind\":\"run\",\"secret\":1.10,\"km\":3}");
    well_all_along(bench);
}

static void what_the_server_would_have_to_read_is_refused_at_the_write(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1");
    assert_int_equal(tide_put(phone->tide, "cart:ana", "items", "tea", "{\"qty\":1}", NULL), TIDE_INVALID);
    assert_non_null(strstr(tide_message(phone->tide), "merge"));
    assert_int_equal(tide_incr(phone->tide, notes, "notes", "n1", "stars", 1, NULL, NULL, NULL), TIDE_INVALID);
    assert_non_null(strstr(tide_message(phone->tide), "incr"));
    assert_int_equal(tide_put(phone->tide, "elsewhere:ana", "things", "t", "{}", NULL), TIDE_INVALID);
    assert_non_null(strstr(tide_message(phone->tide), "policy"));
    char *big = malloc(220000);
    memset(big, 'x', 220000);
    memcpy(big, "{\"t\":\"", 6);
    memcpy(big + 220000 - 3, "\"}", 3);
    assert_int_equal(tide_put(phone->tide, gym, "workouts", "w1", big, NULL), TIDE_TOO_LARGE);
    free(big);
    assert_int_equal(bench_status(phone).pending, 0);
}

static void seen_change(void *ctx, enum tide_change change, const struct tide_doc *doc)
{
    unsigned *counts = ctx;
    (void)doc;
    counts[change]++;
}

static void what_is_locked_is_shown_as_such_kept_and_opened_when_its_key_comes(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, "");
    struct tide_observer *observer;
    unsigned counts[3] = {0};
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_well(tide_put(phone->tide, gym, "workouts", "w2", run, NULL));
    bench_settle(bench);
    assert_int_equal(seal_of(laptop, gym, "workouts", "w1"), TIDE_SEAL_LOCKED);
    assert_true(raw_has(laptop, gym, "workouts", "w1", "\"sealed\":1"));
    assert_int_equal(tide_put(laptop->tide, gym, "workouts", "w3", run, NULL), TIDE_KEY); /* nor can it write */
    laptop->keys = "k9";
    assert_int_equal(tide_put(laptop->tide, gym, "workouts", "w1", run, NULL), TIDE_KEY);
    assert_int_equal(tide_patch(laptop->tide, gym, "workouts", "w1", run, NULL), TIDE_KEY);
    bench_well(tide_observe(laptop->tide, &(struct tide_query){.space = gym, .collection = "workouts"}, seen_change, NULL, counts, &observer));
    tide_poll(laptop->tide);
    assert_int_equal(counts[TIDE_ADDED], 2);
    laptop->keys = "k9 k1";
    bench_well(tide_open_sealed(laptop->tide));
    tide_poll(laptop->tide);
    assert_int_equal(counts[TIDE_CHANGED], 2);
    bench_shows(laptop, gym, "workouts", "w1", run);
    assert_int_equal(seal_of(laptop, gym, "workouts", "w2"), TIDE_SEAL_OPEN);
    tide_observer_free(observer);
    bench_well(tide_patch(laptop->tide, gym, "workouts", "w1", "{\"km\":1}", NULL));
    bench_settle(bench);
    assert_int_equal(seal_of(phone, gym, "workouts", "w1"), TIDE_SEAL_LOCKED); /* of k9 now */
    bench_well(tide_delete(phone->tide, gym, "workouts", "w1", NULL)); /* knowingly */
    bench_settle(bench);
    bench_shows(laptop, gym, "workouts", "w1", NULL);
    well_all_along(bench);
}

static void a_missing_key_is_asked_for_once_however_much_it_locks(void **state)
{
    enum { DOCUMENTS = 40 };
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, "");
    char id[16];
    for (int i = 0; i < DOCUMENTS; i++) {
        snprintf(id, sizeof id, "w%d", i);
        if (i == DOCUMENTS / 2) phone->keys = "k2 k1";
        bench_well(tide_put(phone->tide, gym, "workouts", id, run, NULL));
    }
    bench_well(tide_put(phone->tide, notes, "notes", "n1", "{\"text\":\"hm\"}", NULL));
    bench_settle(bench);
    client_kill(laptop);
    laptop->keys_asked = 0;
    client_begin(laptop);
    assert_int_equal(laptop->keys_asked, 3); /* k1, k2; and k2 in another space */
    client_kill(laptop);
    laptop->keys = "k2";
    client_begin(laptop);
    bench_shows(laptop, gym, "workouts", id, run);
    assert_int_equal(seal_of(laptop, gym, "workouts", "w0"), TIDE_SEAL_LOCKED);
    assert_int_equal(seal_of(laptop, notes, "notes", "n1"), TIDE_SEAL_OPEN);
    laptop->keys = "k2 k1";
    bench_well(tide_open_sealed(laptop->tide));
    bench_shows(laptop, gym, "workouts", "w0", run);
    bench_settle(bench);
    well_all_along(bench);
}

static void keys_are_rotated_and_old_bodies_still_open(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, "k2 k1"), *server = add(bench, NULL);
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_settle(bench);
    bench_well(tide_put(laptop->tide, gym, "workouts", "w2", run, NULL));
    phone->keys = "k2 k1";
    bench_settle(bench);
    bench_shows(phone, gym, "workouts", "w2", run);
    bench_shows(laptop, gym, "workouts", "w1", run);
    assert_true(raw_has(server, gym, "workouts", "w1", "\"key\":\"k1\""));
    assert_true(raw_has(server, gym, "workouts", "w2", "\"key\":\"k2\""));
    well_all_along(bench);
}

static void what_came_in_the_clear_to_a_handle_without_keys_is_told_as_such_to_one_with_them(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, NULL), *server = add(bench, NULL);
    bench_well(tide_put(server->tide, gym, "workouts", "w1", "{\"kind\":\"bare\"}", NULL));
    bench_settle(bench);
    assert_int_equal(seal_of(phone, gym, "workouts", "w1"), TIDE_SEAL_NONE);
    client_kill(phone);
    phone->keys = "k1";
    client_begin(phone);
    assert_int_equal(seal_of(phone, gym, "workouts", "w1"), TIDE_SEAL_BARE);
    assert_int_equal(tide_patch(phone->tide, gym, "workouts", "w1", "{\"km\":1}", NULL), TIDE_KEY); /* it would be vouched for */
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    assert_int_equal(seal_of(phone, gym, "workouts", "w1"), TIDE_SEAL_OPEN); /* one's own edit, before it is there */
    bench_settle(bench);
    assert_int_equal(seal_of(phone, gym, "workouts", "w1"), TIDE_SEAL_OPEN);
    assert_false(raw_has(server, gym, "workouts", "w1", "secret"));
}

static void a_deletion_needs_no_key(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, "");
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_settle(bench);
    assert_int_equal(seal_of(laptop, gym, "workouts", "w1"), TIDE_SEAL_LOCKED);
    bench_well(tide_delete(laptop->tide, gym, "workouts", "w1", NULL));
    assert_int_equal(tide_push(laptop->tide, gym, "[{\"op\":\"delete\",\"collection\":\"workouts\",\"id\":\"w1\"},"
                                                  "{\"op\":\"put\",\"collection\":\"workouts\",\"id\":\"w1\",\"body\":{}}]", NULL), TIDE_KEY);
    bench_settle(bench);
    bench_shows(phone, gym, "workouts", "w1", NULL);
    well_all_along(bench);
}

/* The server, or anybody without the key, plays with what it carries. */
static void a_body_that_was_moved_or_altered_does_not_open_and_is_not_lost(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *server = add(bench, NULL);
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_well(tide_put(phone->tide, gym, "workouts", "w2", "{\"kind\":\"swim\"}", NULL));
    bench_settle(bench);
    char *moved = raw_of(server, gym, "workouts", "w1"), *altered = raw_of(server, gym, "workouts", "w2");
    char *box = strstr(altered, "\"box\":\"") + 7;
    *box = *box == 'A' ? 'B' : 'A';
    bench_well(tide_put(server->tide, gym, "workouts", "w3", moved, NULL));
    assert_int_equal(tide_put(server->tide, gym, "workouts", "w2", altered, NULL), TIDE_KEY); /* it has to be gone before the library lets it */
    bench_well(tide_delete(server->tide, gym, "workouts", "w2", NULL));
    bench_settle(bench);
    bench_well(tide_put(server->tide, gym, "workouts", "w2", altered, NULL));
    bench_well(tide_put(server->tide, gym, "workouts", "w4", "{\"sealed\":2,\"what\":\"a later form\"}", NULL));
    bench_well(tide_put(server->tide, gym, "workouts", "w5", "{\"kind\":\"bare\"}", NULL));
    bench_settle(bench);
    assert_int_equal(seal_of(phone, gym, "workouts", "w3"), TIDE_SEAL_BROKEN);
    assert_int_equal(seal_of(phone, gym, "workouts", "w2"), TIDE_SEAL_BROKEN);
    assert_int_equal(seal_of(phone, gym, "workouts", "w4"), TIDE_SEAL_BROKEN);
    assert_int_equal(seal_of(phone, gym, "workouts", "w5"), TIDE_SEAL_BARE);
    assert_true(raw_has(phone, gym, "workouts", "w3", moved));
    assert_int_equal(tide_put(phone->tide, gym, "workouts", "w2", run, NULL), TIDE_KEY);
    assert_int_equal(tide_patch(phone->tide, gym, "workouts", "w5", "{\"km\":1}", NULL), TIDE_KEY); /* it would be vouched for */
    bench_well(tide_put(phone->tide, gym, "workouts", "w5", run, NULL));
    bench_well(tide_push(phone->tide, gym, "[{\"op\":\"delete\",\"collection\":\"workouts\",\"id\":\"w2\"},"
                                           "{\"op\":\"put\",\"collection\":\"workouts\",\"id\":\"w2\",\"body\":{\"kind\":\"new\"}}]", NULL));
    bench_settle(bench);
    bench_shows(phone, gym, "workouts", "w2", "{\"kind\":\"new\"}");
    assert_int_equal(seal_of(phone, gym, "workouts", "w2"), TIDE_SEAL_OPEN);
    assert_true(raw_has(server, gym, "workouts", "w5", "\"sealed\":1"));
    free(moved);
    free(altered);
    well_all_along(bench);
}

struct seen {
    int64_t id;
    char text[4096];
};

static bool see(void *ctx, const struct tide_refusal *refusal)
{
    struct seen *seen = ctx;
    seen->id = refusal->id;
    snprintf(seen->text, sizeof seen->text, "%s %s %s %s", refusal->code, refusal->base, refusal->ops, refusal->server);
    return true;
}

/* Both have it; then one of them is offline. */
static void share_a_note(struct bench *bench, struct client *phone, struct client *laptop)
{
    bench_well(tide_put(phone->tide, notes, "notes", "n1", "{\"text\":\"one\"}", NULL));
    bench_settle(bench);
    client_network(laptop, false);
}

static void a_conflict_shows_all_three_in_the_clear_and_is_settled_sealed(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, "k1"), *server = add(bench, NULL);
    struct seen seen = {.id = 0};
    share_a_note(bench, phone, laptop);
    bench_well(tide_patch(laptop->tide, notes, "notes", "n1", "{\"text\":\"two\"}", NULL));
    bench_well(tide_patch(phone->tide, notes, "notes", "n1", "{\"text\":\"three\"}", NULL));
    client_settle(&phone, 1, 60000);
    client_network(laptop, true);
    bench_settle(bench);
    bench_well(tide_refused(laptop->tide, see, &seen));
    assert_non_null(strstr(seen.text, "conflict {\"notes/n1\":{\"text\":\"one\"}} "));
    assert_non_null(strstr(seen.text, "\"body\":{\"text\":\"two\"}"));
    assert_non_null(strstr(seen.text, "\"body\":{\"text\":\"three\"}"));
    bench_shows(laptop, notes, "notes", "n1", "{\"text\":\"three\"}");
    bench_well(tide_refused_retry(laptop->tide, seen.id, NULL, NULL));
    bench_settle(bench);
    bench_shows(phone, notes, "notes", "n1", "{\"text\":\"two\"}");
    assert_true(raw_has(server, notes, "notes", "n1", "\"sealed\":1"));
    well_all_along(bench);
}

/* As a tool on the app's own store, or a background process that the app gave no keys. */
static void open_again(struct client *client, const char *keys)
{
    client_kill(client);
    client->keys = keys;
    client_begin(client);
}

static void a_handle_without_keys_keeps_what_is_sealed_for_one_that_has_them(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, NULL);
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_settle(bench);
    assert_int_equal(seal_of(laptop, gym, "workouts", "w1"), TIDE_SEAL_LOCKED);
    assert_int_equal(tide_put(laptop->tide, gym, "workouts", "w1", "{}", NULL), TIDE_KEY);
    open_again(laptop, "k1");
    bench_shows(laptop, gym, "workouts", "w1", run);
    client_network(laptop, false);
    bench_well(tide_put(laptop->tide, gym, "workouts", "w2", run, NULL));
    open_again(laptop, NULL);
    assert_int_equal(tide_patch(laptop->tide, gym, "workouts", "w1", "{\"km\":1}", NULL), TIDE_KEY); /* opened, */
    assert_int_equal(tide_patch(laptop->tide, gym, "workouts", "w2", "{\"km\":1}", NULL), TIDE_KEY); /* and not yet sent */
    client_network(laptop, true);
    bench_settle(bench);
    bench_shows(phone, gym, "workouts", "w1", run);
    bench_shows(phone, gym, "workouts", "w2", run);
    well_all_along(bench);
}

static void what_was_refused_sealed_is_not_sent_again_in_the_clear(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, "k1"), *server = add(bench, NULL);
    struct seen seen = {.id = 0};
    share_a_note(bench, phone, laptop);
    bench_well(tide_put(laptop->tide, notes, "notes", "n1", "{\"text\":\"two\"}", NULL));
    bench_well(tide_delete(phone->tide, notes, "notes", "n1", NULL));
    client_settle(&phone, 1, 60000);
    client_network(laptop, true);
    bench_settle(bench);
    open_again(laptop, NULL);
    bench_well(tide_refused(laptop->tide, see, &seen));
    assert_int_equal(tide_refused_retry(laptop->tide, seen.id, NULL, NULL), TIDE_KEY);
    open_again(laptop, "k1");
    bench_well(tide_refused_retry(laptop->tide, seen.id, NULL, NULL));
    bench_settle(bench);
    bench_shows(phone, notes, "notes", "n1", "{\"text\":\"two\"}");
    assert_true(raw_has(server, notes, "notes", "n1", "\"sealed\":1"));
    well_all_along(bench);
}

static enum tide_choice both(void *ctx, const struct tide_conflict *conflict, const char **ret_merged)
{
    (void)ctx;
    assert_string_equal(conflict->base, "{\"text\":\"one\"}");
    assert_string_equal(conflict->mine, "{\"text\":\"two\"}");
    assert_string_equal(conflict->theirs, "{\"text\":\"three\"}");
    *ret_merged = "{\"text\":\"two and three\"}";
    return TIDE_MERGED;
}

static void a_resolver_sees_all_three_in_the_clear(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1"), *laptop = add(bench, "k1");
    bench_well(tide_put(phone->tide, notes, "notes", "n1", "{\"text\":\"one\"}", NULL));
    bench_settle(bench);
    tide_set_resolver(laptop->tide, both, NULL);
    client_network(laptop, false);
    bench_well(tide_put(laptop->tide, notes, "notes", "n1", "{\"text\":\"two\"}", NULL));
    bench_well(tide_put(phone->tide, notes, "notes", "n1", "{\"text\":\"three\"}", NULL));
    client_settle(&phone, 1, 60000);
    client_network(laptop, true);
    bench_settle(bench);
    bench_shows(phone, notes, "notes", "n1", "{\"text\":\"two and three\"}");
    well_all_along(bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_server_carries_what_only_those_with_the_key_can_read),
        TEST(a_pending_write_needs_no_key_to_be_shown_and_sent),
        TEST(what_the_server_would_have_to_read_is_refused_at_the_write),
        TEST(what_is_locked_is_shown_as_such_kept_and_opened_when_its_key_comes),
        TEST(a_missing_key_is_asked_for_once_however_much_it_locks),
        TEST(keys_are_rotated_and_old_bodies_still_open),
        TEST(what_came_in_the_clear_to_a_handle_without_keys_is_told_as_such_to_one_with_them),
        TEST(a_deletion_needs_no_key),
        TEST(a_body_that_was_moved_or_altered_does_not_open_and_is_not_lost),
        TEST(a_conflict_shows_all_three_in_the_clear_and_is_settled_sealed),
        TEST(a_resolver_sees_all_three_in_the_clear),
        TEST(a_handle_without_keys_keeps_what_is_sealed_for_one_that_has_them),
        TEST(what_was_refused_sealed_is_not_sent_again_in_the_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
