/* A device on the C client library before a server that says what the test wants: what comes in an order that chance seldom gives. */
#include <stdio.h>
#include <stdlib.h>

#include "client/tide_parts.h"
#include "tests/support/rig.h"
#include "tests/support/unit.h"

static const char cart[] = "cart:ana";

struct script {
    char dir[RIG_PATH_BYTES];
    char said[65536]; /* since the test looked */
    size_t said_bytes;
    int64_t now_ms;
    struct tide *tide;
};

static struct store_moment clock_now(void *ctx)
{
    const struct script *script = ctx;
    return (struct store_moment){.boot = "boot", .boot_ms = script->now_ms, .wall_ms = script->now_ms};
}

static void random_bytes(void *ctx, void *ret_bytes, size_t bytes)
{
    (void)ctx;
    memset(ret_bytes, 7, bytes);
}

/* What it wants to say is taken. */
static void take_output(struct script *script)
{
    const char *message;
    for (size_t bytes; (message = tide_io_output(script->tide, &bytes)) != NULL;) {
        assert_true(script->said_bytes + bytes + 2 < sizeof script->said);
        memcpy(script->said + script->said_bytes, message, bytes);
        script->said_bytes += bytes;
        script->said[script->said_bytes++] = '\n';
        script->said[script->said_bytes] = '\0';
        tide_io_sent(script->tide, bytes);
    }
}

static void say(struct script *script, const char *message)
{
    tide_io_received(script->tide, message, strlen(message));
    take_output(script);
}

static void pass(struct script *script, int64_t ms)
{
    script->now_ms += ms;
    tide_poll(script->tide);
    take_output(script);
}

static void push(struct script *script, const char *ops)
{
    assert_int_equal(tide_push(script->tide, cart, ops, NULL), TIDE_OK);
    take_output(script);
}

/* It has said this since the last look, or has not. */
static void expect(struct script *script, const char *part, bool said)
{
    if ((strstr(script->said, part) != NULL) != said) fail_msg("%s in what it said:\n%s", part, script->said);
}

static void forget(struct script *script)
{
    script->said_bytes = 0;
    script->said[0] = '\0';
}

static void welcome(struct script *script)
{
    assert_true(tide_io_wants_connection(script->tide));
    tide_io_connected(script->tide);
    take_output(script);
    char text[256];
    snprintf(text, sizeof text, "{\"type\":\"welcome\",\"session\":1,\"user\":\"ana\",\"device\":\"d\",\"log\":\"l\",\"time\":%lld,\"heartbeat\":25000}", (long long)script->now_ms);
    say(script, text);
}

static int set_up(void **state)
{
    struct script *script = calloc(1, sizeof *script);
    char path[RIG_PATH_BYTES + 16];
    if (script == NULL) return -1;
    rig_dir_make(script->dir);
    snprintf(path, sizeof path, "%s/device.db", script->dir);
    script->now_ms = INT64_C(1700000000000);
    struct tide_options options = {.path = path, .token = "ana"};
    struct tide_machine machine = {.ctx = script, .clock = clock_now, .random = random_bytes};
    if (tide_open_on(&options, &machine, &script->tide, NULL, 0) != TIDE_OK || tide_start(script->tide, TIDE_BOTH) != TIDE_OK) return -1;
    *state = script;
    return 0;
}

static int tear_down(void **state)
{
    struct script *script = *state;
    tide_close(script->tide);
    rig_dir_remove(script->dir);
    free(script);
    return 0;
}

/* The answer to its newest open. */
static void say_page(struct script *script, const char *space, const char *members)
{
    char page[1024];
    const char *at = script->said, *open = NULL;
    for (; (at = strstr(at, "\"type\":\"open\",\"ref\":")) != NULL; at++) open = at; /* the newest one's */
    assert_non_null(open);
    snprintf(page, sizeof page, "{\"type\":\"page\",\"ref\":%ld,\"space\":\"%s\",\"from\":null,\"to\":\"c\",\"reset\":true,%s,\"refused\":[]}",
             strtol(open + strlen("\"type\":\"open\",\"ref\":"), NULL, 10), space, members);
    forget(script);
    say(script, page);
}

/* ---- gaps ---- */

/* Of what was sent twice the first copy came too early, and the second is in the log. */
static void tell_outcomes(struct script *script)
{
    say(script, "{\"type\":\"result\",\"id\":1,\"space\":\"cart:ana\",\"status\":\"applied\",\"cursor\":\"c\",\"at\":0,\"docs\":[]}");
    say(script, "{\"type\":\"result\",\"id\":2,\"space\":\"cart:ana\",\"status\":\"applied\",\"cursor\":\"c\",\"at\":0,\"docs\":[]}");
}

static void a_gap_heard_behind_an_outcome_does_not_undo_it(void **state)
{
    struct script *script = *state;
    welcome(script);
    for (int i = 0; i < 3; i++) push(script, "[]");
    expect(script, "\"id\":3,\"after\":2", true);
    forget(script);
    tell_outcomes(script);
    say(script, "{\"type\":\"error\",\"code\":\"gap\",\"id\":3,\"space\":\"cart:ana\",\"after\":0}");
    pass(script, 10000);
    expect(script, "\"id\":3,\"after\":2", true);
    expect(script, "\"id\":3,\"after\":0", false);
}

static void a_run_from_nothing_that_says_less_than_an_outcome_does_not_undo_it(void **state)
{
    struct script *script = *state;
    welcome(script);
    for (int i = 0; i < 3; i++) push(script, "[]");
    tell_outcomes(script);
    say(script, "{\"type\":\"error\",\"code\":\"busy\",\"id\":3,\"space\":\"cart:ana\",\"retry\":1000}");
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    take_output(script);
    say_page(script, cart, "\"more\":false,\"docs\":[],\"pushed\":0");
    pass(script, 10000);
    expect(script, "\"id\":3,\"after\":2", true);
    expect(script, "\"id\":3,\"after\":0", false);
}

static void a_gap_of_what_was_sent_behind_an_outcome_is_believed(void **state)
{
    struct script *script = *state;
    welcome(script);
    for (int i = 0; i < 2; i++) push(script, "[]");
    tell_outcomes(script);
    push(script, "[]");
    expect(script, "\"id\":3,\"after\":2", true);
    forget(script);
    /* The log has forgotten the device since. */
    say(script, "{\"type\":\"error\",\"code\":\"gap\",\"id\":3,\"space\":\"cart:ana\",\"after\":0}");
    pass(script, 10000);
    expect(script, "\"id\":3,\"after\":0", true);
}

static void a_gap_that_is_said_again_and_again_is_believed(void **state)
{
    struct script *script = *state;
    bool believed = false;
    welcome(script);
    for (int i = 0; i < 3; i++) push(script, "[]");
    tell_outcomes(script);
    for (int i = 0; i < 40 && !believed; i++) {
        forget(script);
        say(script, "{\"type\":\"error\",\"code\":\"gap\",\"id\":3,\"space\":\"cart:ana\",\"after\":0}");
        pass(script, 10000);
        believed = strstr(script->said, "\"id\":3,\"after\":0") != NULL;
    }
    assert_true(believed);
}

/* ---- an outcome ahead of the copy ---- */

static void what_took_effect_stays_shown_until_the_copy_has_it(void **state)
{
    struct script *script = *state;
    struct tide_doc *doc;
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    welcome(script);
    say_page(script, cart, "\"more\":false,\"docs\":[],\"pushed\":0");
    assert_int_equal(tide_incr(script->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL), TIDE_OK);
    take_output(script);
    expect(script, "\"id\":1,\"after\":0", true);
    /* There is a hole: it asks again, and hears the outcome before the page. */
    say(script, "{\"type\":\"update\",\"space\":\"cart:ana\",\"prev\":\"x\",\"cursor\":\"y\",\"rev\":8,\"time\":1,\"user\":\"bob\",\"device\":\"b\",\"push\":1,\"docs\":[]}");
    say(script, "{\"type\":\"result\",\"id\":1,\"space\":\"cart:ana\",\"status\":\"applied\",\"cursor\":\"z\",\"at\":9}");
    assert_int_equal(tide_get(script->tide, cart, "items", "tea", &doc), TIDE_OK);
    assert_string_equal(doc->body, "{\"qty\":1}");
    tide_doc_free(doc);
}

/* ---- a run from nothing, and a device id that was used ---- */

static void what_is_older_than_a_run_from_nothing_brings_nothing_back(void **state)
{
    struct script *script = *state;
    struct tide_doc *doc;
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    welcome(script);
    say_page(script, cart, "\"more\":false,\"docs\":[],\"pushed\":0,\"head\":9"); /* the tea was deleted at 9 */
    say(script, "{\"type\":\"page\",\"space\":\"cart:ana\",\"ref\":0,\"at\":8,\"more\":false,\"docs\":[{\"collection\":\"items\",\"id\":\"tea\",\"rev\":3,"
                "\"time\":1,\"user\":\"ana\",\"body\":{\"qty\":1}}]}");
    assert_int_equal(tide_get(script->tide, cart, "items", "tea", &doc), TIDE_NOT_FOUND);
}

static unsigned refused;
static void count_refused(void *ctx, struct tide *tide, const struct tide_event *event)
{
    (void)ctx;
    (void)tide;
    if (event->kind == TIDE_EVENT_REFUSED) refused++;
}

static void what_was_held_under_a_used_id_is_sent_under_the_new_one(void **state)
{
    struct script *script = *state;
    script->tide->options.on_event = count_refused;
    refused = 0;
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    for (int i = 0; i < 3; i++) assert_int_equal(tide_incr(script->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL), TIDE_OK);
    assert_int_equal(tide_push(script->tide, "todos:ana", "[]", NULL), TIDE_OK);
    welcome(script);
    expect(script, "\"id\":4,\"after\":0,\"space\":\"todos:ana\"", true);
    /* The log has 1 and 2 of a former life. 3 is held, and a probe asks what is there by now. */
    say_page(script, cart, "\"more\":false,\"docs\":[],\"pushed\":2");
    expect(script, "\"id\":5,\"after\":2", true);
    assert_int_equal(refused, 2);
    say(script, "{\"type\":\"result\",\"id\":5,\"space\":\"cart:ana\",\"status\":\"applied\",\"cursor\":\"c\",\"at\":0,\"docs\":[]}");
    /* It is cut off before it may take another id: what went to another space is unanswered. */
    tide_io_disconnected(script->tide, 1006, "cut");
    pass(script, 70000);
    welcome(script);
    say_page(script, cart, "\"more\":false,\"docs\":[],\"pushed\":5");
    assert_int_equal(refused, 2);
    say(script, "{\"type\":\"result\",\"id\":4,\"space\":\"todos:ana\",\"status\":\"applied\",\"cursor\":\"c\",\"at\":0,\"docs\":[]}");
    assert_true(tide_io_wants_close(script->tide));
    tide_io_disconnected(script->tide, 0, "a new id");
    pass(script, 1);
    forget(script);
    welcome(script);
    say_page(script, cart, "\"more\":false,\"docs\":[],\"pushed\":0");
    expect(script, "\"id\":1,\"after\":0,\"space\":\"cart:ana\"", true);
    expect(script, "incr", true);
    assert_int_equal(refused, 2);
}

static void what_was_sent_under_a_used_id_goes_on_under_it(void **state)
{
    struct script *script = *state;
    welcome(script);
    for (int i = 0; i < 3; i++) assert_int_equal(tide_incr(script->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL), TIDE_OK);
    take_output(script);
    expect(script, "\"id\":3,\"after\":2", true);
    forget(script);
    say(script, "{\"type\":\"error\",\"code\":\"forked\",\"id\":1,\"space\":\"cart:ana\",\"after\":2}");
    assert_false(tide_io_wants_close(script->tide)); /* 3 may be in the log, or come to be */
    say(script, "{\"type\":\"error\",\"code\":\"forked\",\"id\":3,\"space\":\"cart:ana\",\"after\":2}");
    assert_false(tide_io_wants_close(script->tide));
    pass(script, 1000);
    expect(script, "\"id\":3,\"after\":2", true);
    say(script, "{\"type\":\"result\",\"id\":3,\"space\":\"cart:ana\",\"status\":\"applied\",\"cursor\":\"c\",\"at\":9,\"docs\":[{\"collection\":\"items\",\"id\":\"tea\","
                "\"rev\":9,\"time\":1,\"user\":\"ana\",\"body\":{\"qty\":1}}]}");
    assert_true(tide_io_wants_close(script->tide));
}

/* ---- runs, holes, and what is too old ---- */

static const char tea_at_5[] = "\"more\":false,\"pushed\":0,\"window\":10,\"docs\":[{\"collection\":\"items\",\"id\":\"tea\",\"rev\":5,\"time\":1,\"user\":\"ana\",\"body\":{\"qty\":1}}]";

static void come_back(struct script *script, int64_t ms)
{
    tide_io_disconnected(script->tide, 1006, "cut");
    pass(script, ms);
    forget(script);
    welcome(script);
}

static void an_edit_made_before_a_reset_has_no_base(void **state)
{
    struct script *script = *state;
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    welcome(script);
    say_page(script, cart, tea_at_5);
    tide_io_disconnected(script->tide, 1006, "cut");
    assert_int_equal(tide_patch(script->tide, cart, "items", "tea", "{\"qty\":2}", NULL), TIDE_OK);
    pass(script, 2000);
    welcome(script);
    say_page(script, cart, tea_at_5); /* from nothing again: its revs may be another's */
    expect(script, "\"id\":1,\"after\":0", true);
    expect(script, "\"base\"", false);
}

static void nothing_is_pushed_amid_a_run(void **state)
{
    struct script *script = *state;
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    welcome(script);
    say_page(script, cart, "\"more\":true,\"docs\":[],\"pushed\":0");
    push(script, "[]");
    pass(script, 1000);
    expect(script, "\"type\":\"push\"", false);
    long ref = 0;
    for (int i = 1; i < 100 && ref == 0; i++) { /* whichever its open had */
        char page[256];
        snprintf(page, sizeof page, "{\"type\":\"page\",\"ref\":%d,\"space\":\"cart:ana\",\"from\":\"c\",\"to\":\"d\",\"more\":false,\"reset\":true,\"docs\":[],\"pushed\":0,\"refused\":[]}", i);
        say(script, page);
        if (strstr(script->said, "\"type\":\"push\"") != NULL) ref = i;
    }
    assert_true(ref > 0);
}

static void what_was_sent_before_twice_the_window_is_not_sent_again(void **state)
{
    struct script *script = *state;
    script->tide->options.on_event = count_refused;
    refused = 0;
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    welcome(script);
    say_page(script, cart, tea_at_5);
    assert_int_equal(tide_incr(script->tide, cart, "items", "tea", "qty", 1, NULL, NULL, NULL), TIDE_OK);
    take_output(script);
    expect(script, "\"id\":1,\"after\":0", true);
    come_back(script, 15000);
    assert_int_equal(refused, 0);
    come_back(script, 15000);
    say_page(script, cart, tea_at_5);
    assert_int_equal(refused, 1);
    expect(script, "\"type\":\"push\"", false);
}

static void an_update_behind_a_hole_moves_nothing(void **state)
{
    struct script *script = *state;
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    welcome(script);
    say_page(script, cart, tea_at_5);
    forget(script);
    say(script, "{\"type\":\"update\",\"space\":\"cart:ana\",\"prev\":\"x\",\"cursor\":\"y\",\"rev\":8,\"time\":1,\"user\":\"bob\",\"device\":\"b\",\"push\":1,\"docs\":[]}");
    expect(script, "\"since\":\"c\"", true);
}

/* It let the space go itself; the server had already taken the access away. */
static void access_taken_away_while_a_close_is_under_way_purges_the_copy(void **state)
{
    struct script *script = *state;
    struct tide_doc *doc;
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    welcome(script);
    say_page(script, cart, tea_at_5);
    assert_int_equal(tide_unsubscribe(script->tide, cart, false), TIDE_OK);
    take_output(script);
    expect(script, "\"type\":\"close\"", true);
    say(script, "{\"type\":\"closed\",\"space\":\"cart:ana\",\"code\":\"forbidden\",\"purge\":true,\"ref\":1}");
    assert_int_equal(tide_get(script->tide, cart, "items", "tea", &doc), TIDE_NOT_FOUND);
    forget(script);
    assert_int_equal(tide_subscribe(script->tide, cart, NULL), TIDE_OK);
    take_output(script);
    expect(script, "\"since\":null", true);
    say(script, "{\"type\":\"closed\",\"space\":\"cart:ana\",\"code\":\"forbidden\",\"purge\":true,\"ref\":1}"); /* of an open that was replaced */
    say_page(script, cart, tea_at_5);
    assert_int_equal(tide_get(script->tide, cart, "items", "tea", &doc), TIDE_OK);
    tide_doc_free(doc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_gap_heard_behind_an_outcome_does_not_undo_it), TEST(a_run_from_nothing_that_says_less_than_an_outcome_does_not_undo_it),
        TEST(a_gap_of_what_was_sent_behind_an_outcome_is_believed), TEST(a_gap_that_is_said_again_and_again_is_believed),
        TEST(what_took_effect_stays_shown_until_the_copy_has_it), TEST(what_is_older_than_a_run_from_nothing_brings_nothing_back), TEST(what_was_held_under_a_used_id_is_sent_under_the_new_one),
        TEST(what_was_sent_under_a_used_id_goes_on_under_it), TEST(an_edit_made_before_a_reset_has_no_base), TEST(nothing_is_pushed_amid_a_run),
        TEST(what_was_sent_before_twice_the_window_is_not_sent_again), TEST(an_update_behind_a_hole_moves_nothing),
        TEST(access_taken_away_while_a_close_is_under_way_purges_the_copy)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
