/* Presence and signals through the gateway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/hub_rig.h"

static struct hub_rig *rig;

static int set_up(void **state)
{
    (void)state;
    rig = malloc(sizeof *rig);
    assert_non_null(rig);
    hub_rig_init(rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hub_rig_fini(rig);
    free(rig);
    return 0;
}

static void expect(struct rig_conn *conn, const char *expected) { assert_true(hub_rig_says(conn, "chat:a", expected)); }

static void open_with(struct rig_conn *conn, const char *space, const char *more)
{
    char text[512];
    snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"%s\",\"since\":null}]%s}", space, more);
    hub_rig_say(rig, conn, text);
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 7, "[]", 0, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(conn), "\"page\""));
}

static void presence(const char *space, uint64_t session, const char *frame)
{
    struct link_tell tell = {.kind = LINK_PRESENCE_FRAME, .space = span_text(space), .session = session, .frame = blob_make(span_text(frame))};
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
    hub_rig_turn(rig);
}

static void who_opens_is_told_as_here_with_its_meta_and_as_gone_when_it_goes(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    open_with(ana, "chat:a", ",\"meta\":{\"n\":1}");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PRESENCE);
    assert_true(span_is(ask->ask.user, "ana") && span_is(ask->ask.device, "device-01") && ask->ask.session == ana->number);
    assert_true(ask->ask.state == PRESENCE_ONLINE && span_is(ask->ask.meta, "{\"n\":1}"));
    assert_null(hub_rig_ask(rig, LINK_WATCH));
    hub_rig_close(rig, ana);
    ask = hub_rig_ask(rig, LINK_PRESENCE);
    assert_true(span_is(ask->ask.space, "chat:a") && ask->ask.state == PRESENCE_OFFLINE);
    assert_null(hub_rig_ask(rig, LINK_PRESENCE));
}

static void background_sessions_and_namespaces_without_presence_are_not_told(void **state)
{
    struct rig_conn *ana = hub_rig_raw(rig, 0, "ana"), *bob = hub_rig_connect(rig, 1, "bob", "device-02");
    (void)state;
    rig->state = PRESENCE_OFFLINE;
    hub_rig_say(rig, ana, "{\"type\":\"hello\",\"protocol\":1,\"device\":\"device-01\",\"background\":true}");
    assert_non_null(strstr(hub_rig_next(ana), "welcome"));
    assert_int_equal(rig->state, PRESENCE_OFFLINE);
    open_with(ana, "chat:a", ",\"presence\":true");
    open_with(bob, "notes:bob", ",\"presence\":true");
    assert_null(hub_rig_ask(rig, LINK_PRESENCE));
    assert_true(span_is(hub_rig_ask(rig, LINK_WATCH)->ask.space, "chat:a")); /* it may look, unseen */
    assert_null(hub_rig_ask(rig, LINK_WATCH));
}

static void who_is_here_comes_first_and_joins_behind_it(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01"), *bob = hub_rig_connect(rig, 1, "bob", "device-02");
    (void)state;
    open_with(ana, "chat:a", ",\"presence\":true");
    open_with(bob, "chat:a", "");
    assert_int_equal(hub_rig_ask(rig, LINK_WATCH)->ask.session, ana->number);
    presence("chat:a", 0, "{join too early}");
    expect(ana, "");
    presence("chat:a", ana->number, "{here}");
    presence("chat:a", 0, "{join}");
    expect(ana, "{here}");
    expect(ana, "{join}");
    presence("chat:a", bob->number, "{not asked for}");
    expect(bob, "");
}

static void five_minutes_without_a_frame_but_pings_are_idle(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    open_with(ana, "chat:a", "");
    assert_int_equal(hub_rig_ask(rig, LINK_PRESENCE)->ask.state, PRESENCE_ONLINE);
    for (int i = 0; i < 31; i++) {
        hub_rig_pass(rig, 10000);
        hub_rig_say(rig, ana, "{\"type\":\"ping\"}");
        expect(ana, "{\"type\":\"pong\"}");
    }
    assert_int_equal(hub_rig_ask(rig, LINK_PRESENCE)->ask.state, PRESENCE_IDLE);
    assert_int_equal(rig->state, PRESENCE_IDLE);
    hub_rig_say(rig, ana, "{\"type\":\"seen\",\"space\":\"chat:a\",\"cursor\":\"x\"}");
    assert_int_equal(hub_rig_ask(rig, LINK_PRESENCE)->ask.state, PRESENCE_ONLINE);
    assert_int_equal(rig->state, PRESENCE_ONLINE);
    assert_null(hub_rig_ask(rig, LINK_PRESENCE));
}

static void a_new_owner_is_told_who_is_here_and_who_watches(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    open_with(ana, "chat:a", ",\"presence\":true");
    assert_non_null(hub_rig_ask(rig, LINK_PRESENCE));
    assert_non_null(hub_rig_ask(rig, LINK_WATCH));
    rig->link.down(rig->link.ctx, 0);
    rig->link.up(rig->link.ctx, 0);
    assert_non_null(hub_rig_ask(rig, LINK_PRESENCE));
    assert_non_null(hub_rig_ask(rig, LINK_WATCH));
    presence("chat:a", 0, "{join}");
    expect(ana, "");
    presence("chat:a", ana->number, "{here}");
    expect(ana, "{here}");
}

static void presence_that_was_dropped_begins_anew_when_the_socket_has_drained(void **state)
{
    enum { FRAME_BYTES = 4000 };
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    char *frame = malloc(FRAME_BYTES + 1);
    (void)state;
    assert_non_null(frame);
    memset(frame, 'x', FRAME_BYTES);
    frame[FRAME_BYTES] = '\0';
    open_with(ana, "chat:a", ",\"presence\":true");
    assert_non_null(hub_rig_ask(rig, LINK_WATCH));
    presence("chat:a", ana->number, "{here}");
    expect(ana, "{here}");
    ana->full = true;
    for (int i = 0; i < 100; i++) presence("chat:a", 0, frame);
    assert_null(hub_rig_ask(rig, LINK_WATCH));
    ana->full = false;
    hub_rig_drain(rig, ana);
    while (strlen(hub_rig_next(ana)) == FRAME_BYTES) continue;
    expect(ana, "");
    assert_non_null(hub_rig_ask(rig, LINK_WATCH));
    presence("chat:a", 0, "{join}");
    expect(ana, "");
    presence("chat:a", ana->number, "{here again}");
    presence("chat:a", 0, "{join}");
    expect(ana, "{here again}");
    expect(ana, "{join}");
    free(frame);
}

static void a_signal_goes_to_the_others_who_have_the_space_open(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01"), *bob = hub_rig_connect(rig, 1, "bob", "device-02");
    (void)state;
    hub_rig_say(rig, ana, "{\"type\":\"signal\",\"space\":\"chat:a\",\"body\":1}");
    expect(ana, "{\"type\":\"error\",\"code\":\"forbidden\",\"message\":\"the space is not open here\",\"space\":\"chat:a\"}");
    hub_rig_open(rig, ana, "chat:a", 7);
    hub_rig_open(rig, bob, "chat:a", 7);
    hub_rig_say(rig, ana, "{\"type\":\"signal\",\"space\":\"chat:a\",\"body\":{\"typing\": true}}");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_SIGNAL);
    struct link_tell tell = {.kind = LINK_SIGNAL_FRAME, .space = SPAN_LITERAL("chat:a"), .session = ask->ask.session, .frame = ask->ask.frame};
    rig->link.told(rig->link.ctx, &tell);
    hub_rig_turn(rig);
    expect(ana, "");
    expect(bob, "{\"type\":\"signal\",\"space\":\"chat:a\",\"user\":\"ana\",\"device\":\"device-01\",\"body\":{\"typing\": true}}");
    char text[LIMIT_SIGNAL_BYTES_MAX + 128];
    snprintf(text, sizeof text, "{\"type\":\"signal\",\"space\":\"chat:a\",\"body\":\"%0*d\"}", LIMIT_SIGNAL_BYTES_MAX, 0);
    hub_rig_say(rig, ana, text);
    assert_non_null(strstr(hub_rig_next(ana), "\"code\":\"too_large\""));
    assert_null(hub_rig_ask(rig, LINK_SIGNAL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_opens_is_told_as_here_with_its_meta_and_as_gone_when_it_goes),
        TEST(background_sessions_and_namespaces_without_presence_are_not_told),
        TEST(who_is_here_comes_first_and_joins_behind_it),
        TEST(five_minutes_without_a_frame_but_pings_are_idle),
        TEST(a_new_owner_is_told_who_is_here_and_who_watches),
        TEST(presence_that_was_dropped_begins_anew_when_the_socket_has_drained),
        TEST(a_signal_goes_to_the_others_who_have_the_space_open)};
    return cmocka_run_group_tests_name("hub_presence", tests, NULL, NULL);
}
