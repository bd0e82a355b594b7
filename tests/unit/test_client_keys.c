/* Keys of bodies that come and go: what an app that knows nothing of a key does to what is sealed, and how often it is asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

static const char gym[] = "workouts:ana", diary[] = "notes:ana";
static const char run[] = "{\"kind\":\"run\",\"secret\":1.10}";

static bool none_of_them(const char *space, const char *collection)
{
    (void)space, (void)collection;
    return false;
}

static bool all_but_samples(const char *space, const char *collection)
{
    (void)space;
    return strcmp(collection, "samples") != 0;
}

/* Opens the store (again) with keys, for the collections that `is_sealed` names. */
static void open_with(struct client *client, const char *keys, bool (*is_sealed)(const char *space, const char *collection))
{
    if (client->tide != NULL) client_kill(client);
    client->keys = keys;
    client->is_sealed = is_sealed;
    client->keys_asked = 0;
    client_begin(client);
}

static struct client *add(struct bench *bench, const char *keys, bool (*is_sealed)(const char *space, const char *collection))
{
    struct client *client = bench_add(bench, "ana");
    open_with(client, keys, is_sealed);
    bench_well(tide_subscribe(client->tide, gym, NULL));
    bench_well(tide_subscribe(client->tide, diary, NULL));
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

static void what_is_sealed_is_kept_by_an_app_that_says_its_collection_is_plain(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1", NULL), *watch = add(bench, "k1", none_of_them);
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_well(tide_put(phone->tide, gym, "workouts", "w2", run, NULL));
    bench_settle(bench);
    assert_int_equal(seal_of(watch, gym, "workouts", "w1"), TIDE_SEAL_LOCKED);
    assert_int_equal(tide_put(watch->tide, gym, "workouts", "w1", "{}", NULL), TIDE_KEY);
    assert_int_equal(tide_patch(watch->tide, gym, "workouts", "w1", "{\"x\":1}", NULL), TIDE_KEY);
    assert_non_null(strstr(tide_message(watch->tide), "encrypted"));
    bench_well(tide_put(watch->tide, gym, "workouts", "w3", "{\"kind\":\"row\"}", NULL)); /* its own, in the clear */
    bench_well(tide_push(watch->tide, gym, "[{\"op\":\"delete\",\"collection\":\"workouts\",\"id\":\"w2\"},"
                                           "{\"op\":\"put\",\"collection\":\"workouts\",\"id\":\"w2\",\"body\":{\"kind\":\"new\"}}]", NULL)); /* knowingly */
    bench_settle(bench);
    bench_shows(phone, gym, "workouts", "w1", run);
    bench_shows(phone, gym, "workouts", "w2", "{\"kind\":\"new\"}");
    assert_int_equal(seal_of(phone, gym, "workouts", "w3"), TIDE_SEAL_BARE);
    /* Whoever opens the store with the key has it, however often it was opened by one without. */
    open_with(watch, "k1", none_of_them);
    bench_well(tide_open_sealed(watch->tide));
    assert_int_equal(seal_of(watch, gym, "workouts", "w1"), TIDE_SEAL_LOCKED);
    open_with(watch, "k1", NULL);
    bench_shows(watch, gym, "workouts", "w1", run);
    assert_int_equal(seal_of(watch, gym, "workouts", "w1"), TIDE_SEAL_OPEN);
}

static void what_was_opened_or_is_yet_to_be_sent_sealed_is_not_written_over_in_the_clear(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1", all_but_samples), *server = add(bench, NULL, NULL);
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_settle(bench);
    client_network(phone, false);
    bench_well(tide_push(phone->tide, gym, "[{\"op\":\"put\",\"collection\":\"workouts\",\"id\":\"w2\",\"body\":{\"kind\":\"swim\"}},"
                                           "{\"op\":\"append\",\"collection\":\"samples\",\"id\":\"s1\",\"body\":{\"bpm\":140}}]", NULL));
    open_with(phone, "k1", none_of_them);
    assert_int_equal(tide_patch(phone->tide, gym, "workouts", "w1", "{\"km\":1}", NULL), TIDE_KEY);
    assert_int_equal(tide_patch(phone->tide, gym, "workouts", "w2", "{\"km\":1}", NULL), TIDE_KEY);
    bench_well(tide_patch(phone->tide, gym, "samples", "s1", "{\"bpm\":141}", NULL)); /* of the same push, but in the clear itself */
    open_with(phone, NULL, NULL);
    assert_int_equal(tide_patch(phone->tide, gym, "workouts", "w2", "{\"km\":1}", NULL), TIDE_KEY);
    bench_well(tide_patch(phone->tide, gym, "samples", "s1", "{\"bpm\":142}", NULL));
    client_network(phone, true);
    bench_settle(bench);
    assert_int_equal(seal_of(server, gym, "workouts", "w1"), TIDE_SEAL_LOCKED);
    assert_int_equal(seal_of(server, gym, "workouts", "w2"), TIDE_SEAL_LOCKED);
    open_with(phone, "k1", NULL);
    bench_shows(phone, gym, "workouts", "w1", run);
    bench_shows(phone, gym, "workouts", "w2", "{\"kind\":\"swim\"}");
}

static bool note_id(void *ctx, const struct tide_refusal *refusal)
{
    *(int64_t *)ctx = refusal->id;
    return true;
}

static void what_was_refused_sealed_is_not_sent_again_by_an_app_that_says_it_is_plain(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1", NULL), *laptop = add(bench, "k1", NULL);
    int64_t refusal = 0;
    bench_well(tide_put(phone->tide, diary, "notes", "n1", "{\"text\":\"one\"}", NULL));
    bench_settle(bench);
    client_network(laptop, false);
    bench_well(tide_put(laptop->tide, diary, "notes", "n1", "{\"text\":\"two\"}", NULL));
    bench_well(tide_delete(phone->tide, diary, "notes", "n1", NULL));
    client_settle(&phone, 1, 60000);
    client_network(laptop, true);
    bench_settle(bench);
    bench_well(tide_refused(laptop->tide, note_id, &refusal));
    open_with(laptop, "k1", none_of_them);
    assert_int_equal(tide_refused_retry(laptop->tide, refusal, NULL, NULL), TIDE_KEY);
    open_with(laptop, "k1", NULL);
    bench_well(tide_refused_retry(laptop->tide, refusal, NULL, NULL));
    bench_settle(bench);
    bench_shows(phone, diary, "notes", "n1", "{\"text\":\"two\"}");
    assert_int_equal(seal_of(phone, diary, "notes", "n1"), TIDE_SEAL_OPEN);
}

static void an_app_that_knows_nothing_of_a_key_is_asked_for_it_once_and_nothing_is_tried(void **state)
{
    enum { DOCUMENTS = 40 };
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1", NULL), *watch = add(bench, "k1", none_of_them);
    char id[16];
    for (int i = 0; i < DOCUMENTS; i++) {
        snprintf(id, sizeof id, "w%d", i);
        bench_well(tide_put(phone->tide, gym, "workouts", id, run, NULL));
    }
    bench_settle(bench);
    open_with(watch, "k1", none_of_them);
    assert_int_equal(watch->keys_asked, 1);
    assert_int_equal(seal_of(watch, gym, "workouts", id), TIDE_SEAL_LOCKED);
}

/* What stands in the clear is anybody's: its `key` may be of any type, and of any length. */
static void what_is_in_the_clear_is_one_question_a_collection_whatever_it_has_as_its_key(void **state)
{
    static const char *const bodies[] = {"{\"key\":7}", "{\"key\":\"a\"}", "{\"key\":\"b\"}", "{\"key\":true}", "{\"key\":{\"deep\":1}}", "{\"key\":null}", "{\"kind\":\"run\"}",
                                         "{\"key\":\"0123456789012345678901234567890123456789012345678901234567890123456789\"}", "{\"key\":\"\\u0000\"}", "{\"key\":\"c d\"}"};
    enum { BODIES = sizeof bodies / sizeof bodies[0] };
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1", NULL), *server = add(bench, NULL, NULL);
    char id[16];
    for (int i = 0; i < BODIES; i++) {
        snprintf(id, sizeof id, "w%d", i);
        bench_well(tide_put(server->tide, gym, "workouts", id, bodies[i], NULL));
    }
    bench_settle(bench);
    open_with(phone, "k1", NULL);
    assert_int_equal(phone->keys_asked, 1);
    assert_int_equal(seal_of(phone, gym, "workouts", id), TIDE_SEAL_BARE);
    open_with(phone, "k1", none_of_them); /* it was never encrypted */
    for (int i = 0; i < BODIES; i++) {
        snprintf(id, sizeof id, "w%d", i);
        assert_int_equal(seal_of(phone, gym, "workouts", id), TIDE_SEAL_NONE);
    }
    open_with(phone, "k1", NULL); /* nor is it taken for bare again, and asked about, when the store is opened */
    assert_int_equal(phone->keys_asked, 0);
}

static void what_is_broken_is_tried_again_whatever_it_has_as_its_key(void **state)
{
    static const char *const bodies[] = {"{\"sealed\":2,\"key\":7}", "{\"sealed\":2,\"key\":\"k1\"}", "{\"sealed\":2,\"key\":[]}", "{\"sealed\":2,\"key\":\"zz\"}", "{\"sealed\":2}"};
    enum { BODIES = sizeof bodies / sizeof bodies[0] };
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1", NULL), *server = add(bench, NULL, NULL);
    char id[16];
    for (int i = 0; i < BODIES; i++) {
        snprintf(id, sizeof id, "w%d", i);
        bench_well(tide_put(server->tide, gym, "workouts", id, bodies[i], NULL));
    }
    bench_settle(bench);
    open_with(phone, "k1", none_of_them);
    assert_int_equal(seal_of(phone, gym, "workouts", "w0"), TIDE_SEAL_BROKEN);
    bench_well(tide_open_sealed(phone->tide));
    for (int i = 0; i < BODIES; i++) {
        snprintf(id, sizeof id, "w%d", i);
        assert_int_equal(seal_of(phone, gym, "workouts", id), TIDE_SEAL_NONE);
    }
}

static bool count_doc(void *ctx, const struct tide_doc *doc)
{
    *(unsigned *)ctx += doc->seal == TIDE_SEAL_BARE;
    return true;
}

static void count_change(void *ctx, enum tide_change change, const struct tide_doc *doc)
{
    *(unsigned *)ctx += change == TIDE_ADDED && doc->seal == TIDE_SEAL_BARE;
}

static void a_reading_asks_once_a_collection_and_the_next_one_asks_anew(void **state)
{
    enum { DOCUMENTS = 40 };
    const struct tide_query query = {.space = gym, .collection = "workouts"};
    struct bench *bench = *state;
    struct client *watch = add(bench, NULL, NULL), *server = add(bench, NULL, NULL);
    struct tide_observer *observer;
    unsigned bare = 0;
    uint64_t seq = 0;
    char id[16];
    for (int i = 0; i < DOCUMENTS; i++) {
        snprintf(id, sizeof id, "w%d", i);
        bench_well(tide_put(server->tide, gym, "workouts", id, run, NULL));
        bench_well(tide_append(server->tide, gym, "samples", id, "{\"bpm\":140}", NULL));
    }
    bench_settle(bench);
    open_with(watch, "k1", all_but_samples);
    assert_int_equal(watch->keys_asked, 0);
    bench_well(tide_query(watch->tide, &query, count_doc, &bare));
    assert_int_equal(bare, DOCUMENTS);
    assert_int_equal(watch->keys_asked, 1);
    bench_well(tide_changes(watch->tide, 0, count_doc, &bare, &seq));
    assert_int_equal(bare, 2 * DOCUMENTS);
    assert_int_equal(watch->keys_asked, 3);
    bench_well(tide_observe(watch->tide, &query, count_change, NULL, &bare, &observer));
    tide_poll(watch->tide);
    assert_int_equal(bare, 3 * DOCUMENTS);
    assert_int_equal(watch->keys_asked, 4);
    tide_observer_free(observer);
    watch->is_sealed = none_of_them;
    bench_well(tide_query(watch->tide, &query, count_doc, &bare));
    assert_int_equal(bare, 3 * DOCUMENTS);
    assert_int_equal(seal_of(watch, gym, "workouts", id), TIDE_SEAL_NONE);
}

static void execute(const struct client *client, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(client->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_store_that_cannot_be_read_is_not_said_to_be_opened(void **state)
{
    struct bench *bench = *state;
    struct client *phone = add(bench, "k1", NULL), *laptop = add(bench, "", NULL);
    bench_well(tide_put(phone->tide, gym, "workouts", "w1", run, NULL));
    bench_settle(bench);
    laptop->keys = "k1";
    execute(laptop, "ALTER TABLE documents RENAME TO elsewhere");
    assert_int_equal(tide_open_sealed(laptop->tide), TIDE_IO);
    execute(laptop, "ALTER TABLE elsewhere RENAME TO documents");
    bench_well(tide_open_sealed(laptop->tide));
    bench_shows(laptop, gym, "workouts", "w1", run);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_sealed_is_kept_by_an_app_that_says_its_collection_is_plain),
        TEST(what_was_opened_or_is_yet_to_be_sent_sealed_is_not_written_over_in_the_clear),
        TEST(what_was_refused_sealed_is_not_sent_again_by_an_app_that_says_it_is_plain),
        TEST(an_app_that_knows_nothing_of_a_key_is_asked_for_it_once_and_nothing_is_tried),
        TEST(what_is_in_the_clear_is_one_question_a_collection_whatever_it_has_as_its_key),
        TEST(what_is_broken_is_tried_again_whatever_it_has_as_its_key),
        TEST(a_reading_asks_once_a_collection_and_the_next_one_asks_anew),
        TEST(a_store_that_cannot_be_read_is_not_said_to_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
