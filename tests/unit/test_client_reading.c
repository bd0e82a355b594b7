/* A device on the C client library: queries, observers, changes, several handles, several spaces. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

static const char cart[] = "cart:ana", notes[] = "notes:ana:c";

/* ---- reading ---- */

struct listing {
    unsigned count;
    char ids[256];
};

static bool list(void *ctx, const struct tide_doc *doc)
{
    struct listing *listing = ctx;
    size_t at = strlen(listing->ids);
    snprintf(listing->ids + at, sizeof listing->ids - at, "%s%s", at == 0 ? "" : " ", doc->id);
    listing->count++;
    return true;
}

static void lists(struct client *client, const struct tide_query *query, const char *ids)
{
    struct listing listing = {0};
    bench_well(tide_query(client->tide, query, list, &listing));
    assert_string_equal(listing.ids, ids);
}

static void queries_filter_and_order_by_fields(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    const struct { const char *id, *body; } items[] = {{"a", "{\"name\":\"tea\",\"qty\":3,\"tags\":[\"x\"]}"}, {"b", "{\"name\":\"milk\",\"qty\":10}"},
                                                       {"c", "{\"name\":\"it's\",\"qty\":2,\"at\":{\"city\":\"Graz\"}}"}, {"d", "{\"name\":\"bread\"}"}};
    for (size_t i = 0; i < 4; i++) bench_well(tide_put(ana->tide, cart, "items", items[i].id, items[i].body, NULL));
    bench_well(tide_delete(ana->tide, cart, "items", "d", NULL));
    bench_well(tide_index(ana->tide, "items", "qty"));
    bench_well(tide_index(ana->tide, "items", "qty"));
    struct tide_where at_least = {"qty", TIDE_LEAST, "3"}, named = {"name", TIDE_EQUAL, "\"it's\""}, tagged = {"tags", TIDE_HAS, "\"x\""}, in = {"at.city", TIDE_EQUAL, "\"Graz\""};
    lists(ana, &(struct tide_query){.space = cart, .collection = "items"}, "a b c");
    lists(ana, &(struct tide_query){.space = cart, .collection = "items", .order = "qty"}, "c a b");
    lists(ana, &(struct tide_query){.space = cart, .collection = "items", .order = "qty", .descending = true, .limit = 1, .offset = 1}, "a");
    lists(ana, &(struct tide_query){.space = cart, .collection = "items", .where = &at_least, .where_count = 1}, "a b");
    lists(ana, &(struct tide_query){.space = cart, .collection = "items", .where = &named, .where_count = 1}, "c");
    lists(ana, &(struct tide_query){.space = cart, .collection = "items", .where = &tagged, .where_count = 1}, "a");
    lists(ana, &(struct tide_query){.space = cart, .collection = "items", .where = &in, .where_count = 1}, "c");
    struct tide_where bad = {"a\"b", TIDE_EQUAL, "1"};
    struct listing listing = {0};
    assert_int_equal(tide_query(ana->tide, &(struct tide_query){.space = cart, .collection = "items", .where = &bad, .where_count = 1}, list, &listing), TIDE_INVALID);
    bad = (struct tide_where){"a", TIDE_EQUAL, "{}"};
    assert_int_equal(tide_query(ana->tide, &(struct tide_query){.space = cart, .collection = "items", .where = &bad, .where_count = 1}, list, &listing), TIDE_INVALID);
}

struct watching {
    char text[1024];
    unsigned turns;
};

static void watch(void *ctx, enum tide_change change, const struct tide_doc *doc)
{
    struct watching *watching = ctx;
    size_t at = strlen(watching->text);
    snprintf(watching->text + at, sizeof watching->text - at, "%s%c%s%s", at == 0 ? "" : " ", "+~-"[change], doc->id, doc->pending ? "?" : "");
}

static void watched(void *ctx) { ((struct watching *)ctx)->turns++; }

static void observers_hear_what_comes_changes_and_goes(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana"), *other = bench_add(bench, "ana");
    struct watching watching = {{0}, 0};
    struct tide_observer *observer;
    struct tide_where few = {"qty", TIDE_MOST, "5"};
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_well(tide_subscribe(other->tide, cart, NULL));
    bench_settle(bench);
    bench_well(tide_observe(ana->tide, &(struct tide_query){.space = cart, .collection = "items", .where = &few, .where_count = 1}, watch, watched, &watching, &observer));
    bench_well(tide_put(ana->tide, cart, "items", "a", "{\"qty\":1}", NULL));
    assert_string_equal(watching.text, ""); /* never out of a write */
    tide_poll(ana->tide);
    assert_string_equal(watching.text, "+a?");
    bench_settle(bench);
    assert_string_equal(watching.text, "+a? ~a");
    watching.text[0] = '\0';
    bench_well(tide_put(other->tide, cart, "items", "b", "{\"qty\":2}", NULL));
    bench_well(tide_put(other->tide, cart, "items", "c", "{\"qty\":7}", NULL));
    bench_settle(bench);
    assert_string_equal(watching.text, "+b");
    watching.text[0] = '\0';
    bench_well(tide_incr(other->tide, cart, "items", "b", "qty", 4, NULL, NULL, NULL));
    bench_well(tide_delete(other->tide, cart, "items", "a", NULL));
    bench_settle(bench);
    assert_string_equal(watching.text, "-b -a");
    assert_true(watching.turns >= 4);
    tide_observer_free(observer);
    watching.text[0] = '\0';
    bench_well(tide_put(ana->tide, cart, "items", "z", "{\"qty\":1}", NULL));
    bench_settle(bench);
    assert_string_equal(watching.text, "");
}

static void bounded_observers_keep_their_window(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct watching watching = {{0}, 0};
    struct tide_observer *observer;
    client_network(ana, false);
    bench_well(tide_put(ana->tide, cart, "items", "a", "{\"qty\":1}", NULL));
    bench_well(tide_put(ana->tide, cart, "items", "b", "{\"qty\":2}", NULL));
    bench_well(tide_observe(ana->tide, &(struct tide_query){.space = cart, .collection = "items", .order = "qty", .descending = true, .limit = 2}, watch, NULL, &watching, &observer));
    tide_poll(ana->tide);
    assert_string_equal(watching.text, "+b? +a?");
    watching.text[0] = '\0';
    bench_well(tide_put(ana->tide, cart, "items", "c", "{\"qty\":3}", NULL));
    tide_poll(ana->tide);
    assert_string_equal(watching.text, "+c? -a");
    tide_observer_free(observer);
}

static bool change(void *ctx, const struct tide_doc *doc)
{
    struct watching *watching = ctx;
    size_t at = strlen(watching->text);
    snprintf(watching->text + at, sizeof watching->text - at, "%s%s%s", at == 0 ? "" : " ", doc->body == NULL ? "-" : doc->is_new ? "+" : "~", doc->id);
    return true;
}

static void changes_come_with_what_is_new_and_what_is_gone(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct watching watching = {{0}, 0};
    uint64_t seq = 0;
    client_network(ana, false);
    bench_well(tide_put(ana->tide, cart, "items", "a", "{}", NULL));
    bench_well(tide_put(ana->tide, cart, "items", "b", "{}", NULL));
    bench_well(tide_changes(ana->tide, seq, change, &watching, &seq));
    assert_string_equal(watching.text, "+a +b");
    watching.text[0] = '\0';
    bench_well(tide_delete(ana->tide, cart, "items", "a", NULL));
    bench_well(tide_put(ana->tide, cart, "items", "c", "{}", NULL));
    bench_well(tide_incr(ana->tide, cart, "items", "b", "qty", 1, NULL, NULL, NULL));
    bench_well(tide_changes(ana->tide, seq, change, &watching, &seq));
    assert_string_equal(watching.text, "-a +c ~b");
}

/* ---- several handles ---- */

static void one_of_several_handles_syncs_and_the_others_see(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide_options options = {.path = ana->path};
    struct tide *second;
    struct tide_doc *doc;
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_settle(bench);
    bench_well(tide_open(&options, &second, NULL, 0));
    assert_int_equal(tide_start(second, TIDE_BOTH), TIDE_BUSY);
    bench_well(tide_put(second, cart, "items", "tea", "{\"qty\":1}", NULL));
    tide_poll(ana->tide);
    bench_settle(bench);
    assert_int_equal(bench_status(ana).pending, 0);
    bench_well(tide_get(second, cart, "items", "tea", &doc));
    assert_true(!doc->pending && doc->rev > 0);
    tide_doc_free(doc);
    tide_stop(ana->tide);
    bench_well(tide_start(second, TIDE_BOTH));
    tide_close(second);
}

static void the_important_space_is_whole_before_others_begin(void **state)
{
    struct bench *bench = *state;
    struct client *maker = bench_add(bench, "ana"), *ana = bench_add(bench, "ana");
    bench_well(tide_put(maker->tide, cart, "items", "tea", "{\"qty\":1}", NULL));
    bench_well(tide_put(maker->tide, notes, "notes", "n", "{\"title\":\"x\"}", NULL));
    bench_settle(bench);
    bench_well(tide_subscribe(ana->tide, cart, &(struct tide_space_options){.priority = 0, .tail = -1}));
    bench_well(tide_subscribe(ana->tide, notes, &(struct tide_space_options){.priority = 5, .tail = -1}));
    client_cut(ana);
    for (int i = 0; i < 400 && ana->events[TIDE_EVENT_SYNCED] == 0; i++) {
        client_step(ana);
        bench->world.rig.now_ms += 100;
        hub_tick(bench->world.rig.hub, bench->world.rig.now_ms);
        if (!world_ask(&bench->world) && !world_page(&bench->world)) (void)world_tell(&bench->world);
        hub_rig_turn(&bench->world.rig);
    }
    bench_shows(ana, notes, "notes", "n", "{\"title\":\"x\"}");
    bench_shows(ana, cart, "items", "tea", NULL);
    bench_settle(bench);
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
}

static void a_barrier_passes_when_all_before_it_is_here(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana"), *other = bench_add(bench, "ana");
    uint64_t barrier;
    bench_well(tide_subscribe(ana->tide, cart, NULL));
    bench_well(tide_subscribe(other->tide, cart, NULL));
    bench_settle(bench);
    bench_well(tide_put(other->tide, cart, "items", "tea", "{\"qty\":1}", NULL));
    client_step(other);
    while (world_ack(&bench->world, false)) continue;
    bench_well(tide_barrier(ana->tide, &barrier));
    assert_false(tide_barrier_passed(ana->tide, barrier));
    for (int i = 0; i < 1000 && !tide_barrier_passed(ana->tide, barrier); i++) {
        client_step(ana);
        if (!world_ack(&bench->world, false) && !world_step(&bench->world) && !world_ask(&bench->world) && !world_page(&bench->world)) (void)world_tell(&bench->world);
        hub_rig_turn(&bench->world.rig);
    }
    assert_true(tide_barrier_passed(ana->tide, barrier));
    bench_shows(ana, cart, "items", "tea", "{\"qty\":1}");
    assert_int_equal(bench_status(ana).refused, 0);
}

static void a_file_of_something_else_is_left_alone(void **state)
{
    struct bench *bench = *state;
    char path[300], why[256];
    struct tide *tide = NULL;
    rig_file_write(bench->dir, "letter.txt", "Dear Ana, this is a letter, and no store at all. It is long enough to be looked at by SQLite.");
    snprintf(path, sizeof path, "%s/letter.txt", bench->dir);
    struct tide_options options = {.path = path};
    assert_int_equal(tide_open(&options, &tide, why, sizeof why), TIDE_FOREIGN);
    assert_non_null(strstr(why, "letter.txt"));
    snprintf(path, sizeof path, "%s/missing/x.db", bench->dir);
    assert_int_equal(tide_open(&options, &tide, why, sizeof why), TIDE_IO);
    assert_null(tide);
}

static void an_empty_token_is_refused_by_that_name(void **state)
{
    struct bench *bench = *state;
    char path[300], why[256];
    struct tide *tide = NULL;
    snprintf(path, sizeof path, "%s/tokenless.db", bench->dir);
    struct tide_options options = {.path = path, .url = "http://127.0.0.1:1", .token = ""};
    assert_int_equal(tide_open(&options, &tide, why, sizeof why), TIDE_INVALID);
    assert_string_equal(why, "a token is needed");
    assert_null(tide);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(queries_filter_and_order_by_fields), TEST(observers_hear_what_comes_changes_and_goes), TEST(bounded_observers_keep_their_window),
        TEST(changes_come_with_what_is_new_and_what_is_gone), TEST(one_of_several_handles_syncs_and_the_others_see),
        TEST(the_important_space_is_whole_before_others_begin), TEST(a_barrier_passes_when_all_before_it_is_here),
        TEST(a_file_of_something_else_is_left_alone), TEST(an_empty_token_is_refused_by_that_name)};
    return cmocka_run_group_tests_name("client_reading", tests, NULL, NULL);
}
