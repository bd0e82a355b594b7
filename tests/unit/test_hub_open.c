/* Opening spaces and the runs of pages that answer: who is asked what, and the exact frames that go out. */
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

static void say_open(struct rig_conn *conn, const char *ref, const char *space, const char *since, const char *more)
{
    char text[512];
    snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":%s,\"spaces\":[{\"space\":\"%s\",\"since\":%s}]%s}", ref, space, since, more);
    hub_rig_say(rig, conn, text);
}

static void a_space_opens_from_nothing_with_one_page(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    say_open(ana, "\"r1\"", "chat:a", "null", "");
    assert_non_null(hub_rig_ask(rig, LINK_INTEREST));
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_true(span_is(ask->ask.space, "chat:a") && ask->ask.run.from_nothing && ask->ask.waiters_count == 1);
    assert_true(span_is(ask->waiters[0].user, "ana") && span_is(ask->waiters[0].device, "device-01") && ask->waiters[0].session == ana->number);
    expect(ana, "");
    hub_rig_page(rig, ask, 7, "[{\"x\":1}]", 3, false);
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"page\",\"ref\":\"r1\",\"space\":\"chat:a\",\"from\":null,\"to\":\"%C7\",\"reset\":true,\"docs\":[{\"x\":1}],"
                "\"more\":false,\"pushed\":3,\"refused\":[],\"sum\":{},\"window\":60,\"head\":7}");
    expect(ana, "");
    assert_null(hub_rig_ask(rig, LINK_PULL));
}

static void one_that_nothing_happened_in_is_current(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    char since[HUB_RIG_CURSOR_BYTES + 2] = "\"";
    (void)state;
    hub_rig_cursor("chat:a", 7, since + 1);
    strncat(since, "\"", 2);
    say_open(ana, "5", "chat:a", since, "");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_true(!ask->ask.run.from_nothing && ask->ask.run.place == 7 && !ask->ask.run.has_floor);
    hub_rig_page(rig, ask, 7, "[]", 4, false);
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"current\",\"ref\":5,\"spaces\":[{\"space\":\"chat:a\",\"cursor\":\"%C7\",\"pushed\":4,\"window\":60}]}");
    expect(ana, "");
}

static void a_refusal_that_waits_makes_it_a_page(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    char since[HUB_RIG_CURSOR_BYTES + 2] = "\"";
    (void)state;
    hub_rig_cursor("chat:a", 7, since + 1);
    strncat(since, "\"", 2);
    say_open(ana, "5", "chat:a", since, "");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    struct page_part part = {.role = ROLE_READER, .pushed = 9, .refused_count = 1, .refused = SPAN_LITERAL("[{\"id\":9}]")};
    struct page page = {.from = 7, .to = 7, .head = 7, .docs = SPAN_LITERAL("[]"), .sum = SPAN_LITERAL("{\"a\":\"0\"}"), .window_s = 60,
                        .tail = SPAN_LITERAL(""), .parts_count = 1, .parts = &part};
    hub_rig_page_of(rig, ask, &page);
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"page\",\"ref\":5,\"space\":\"chat:a\",\"from\":\"%C7\",\"to\":\"%C7\",\"docs\":[],\"more\":false,\"pushed\":9,"
                "\"refused\":[{\"id\":9}],\"sum\":{\"a\":\"0\"},\"window\":60,\"head\":7}");
}

static void foreign_cursors_begin_from_nothing(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    say_open(ana, "5", "chat:a", "\"otherlog.0123456789abcdef.7\"", "");
    assert_true(hub_rig_ask(rig, LINK_PULL)->ask.run.from_nothing);
    say_open(ana, "6", "chat:a", "\"\"", "");
    assert_true(hub_rig_ask(rig, LINK_PULL)->ask.run.from_nothing);
}

static void waiters_at_one_place_share_a_pull_and_get_their_own_part(void **state)
{
    struct rig_conn *conns[3];
    struct page_part parts[3] = {{.role = ROLE_WRITER, .pushed = 1, .refused = SPAN_LITERAL("[]")},
                                 {.role = ROLE_NONE, .refused = SPAN_LITERAL("[]")},
                                 {.role = ROLE_NONE, .may_found = true, .pushed = 3, .refused = SPAN_LITERAL("[{}]"), .refused_count = 1}};
    struct page page = {.reset = true, .from_null = true, .to = 7, .head = 7, .docs_count = 1, .docs = SPAN_LITERAL("[1]"),
                        .sum = SPAN_LITERAL("{}"), .window_s = 60, .parts_count = 3};
    struct page_part ordered[3];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char device[16];
        snprintf(device, sizeof device, "device-0%zu", i);
        conns[i] = hub_rig_connect(rig, i, "ana", device);
    }
    for (size_t i = 0; i < 3; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":%zu,\"spaces\":[{\"space\":\"chat:a\",\"since\":null,\"known\":%zu}]}", i, i * 10);
        hub_message(conns[i]->session, span_text(text), rig->now_ms);
    }
    hub_rig_turn(rig);
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_int_equal(ask->ask.waiters_count, 3);
    assert_null(hub_rig_ask(rig, LINK_PULL));
    for (size_t i = 0; i < 3; i++) {
        size_t who = (size_t)(ask->waiters[i].device.at[ask->waiters[i].device.bytes - 1] - '0');
        assert_int_equal(ask->waiters[i].known, who * 10);
        ordered[i] = parts[who];
    }
    page.parts = ordered;
    hub_rig_page_of(rig, ask, &page);
    hub_rig_turn(rig);
    expect(conns[0], "{\"type\":\"page\",\"ref\":0,\"space\":\"chat:a\",\"from\":null,\"to\":\"%C7\",\"reset\":true,\"docs\":[1],\"more\":false,\"pushed\":1,\"refused\":[],\"sum\":{},\"window\":60,\"head\":7}");
    expect(conns[1], "{\"type\":\"closed\",\"space\":\"chat:a\",\"code\":\"forbidden\",\"purge\":true,\"ref\":1}");
    expect(conns[2], "{\"type\":\"page\",\"ref\":2,\"space\":\"chat:a\",\"from\":null,\"to\":\"%C7\",\"reset\":true,\"docs\":[1],\"more\":false,\"pushed\":3,\"refused\":[{}],\"sum\":{},\"window\":60,\"head\":7}");
    hub_rig_update(rig, "chat:a", 7, 8, "{u8}");
    hub_rig_turn(rig);
    expect(conns[0], "{u8}");
    expect(conns[1], "");
    expect(conns[2], "{u8}");
}

static void what_cannot_be_a_space_is_closed_at_once(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_say(rig, ana, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"Chat:a\",\"since\":null},{\"space\":\"nope:a\",\"since\":null}]}");
    expect(ana, "{\"type\":\"closed\",\"space\":\"Chat:a\",\"code\":\"invalid\",\"purge\":false,\"ref\":1}");
    expect(ana, "{\"type\":\"closed\",\"space\":\"nope:a\",\"code\":\"unknown_space\",\"purge\":false,\"ref\":1}");
    expect(ana, "");
    assert_int_equal(rig->asks_count, 0);
}

static void a_long_run_is_asked_page_by_page_as_the_socket_takes_them(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    say_open(ana, "1", "chat:a", "null", "");
    ana->full = true;
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 5, "[1]", 0, true);
    hub_rig_turn(rig);
    assert_null(hub_rig_ask(rig, LINK_PULL)); /* the page is on its way out still */
    hub_rig_update(rig, "chat:a", 9, 10, "{u10}");
    hub_rig_turn(rig);
    hub_rig_drain(rig, ana);
    ana->full = false;
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_true(ask->ask.run.started && ask->ask.run.place == 5);
    hub_rig_drain(rig, ana);
    hub_rig_page(rig, ask, 9, "[2]", 0, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"more\":true,\"pushed\":0}"));
    const char *last = hub_rig_next(ana);
    assert_non_null(strstr(last, "\"docs\":[2],\"more\":false"));
    expect(ana, "{u10}"); /* no update comes amid the run; the ring brings it behind */
    expect(ana, "");
    assert_null(hub_rig_ask(rig, LINK_PULL));
}

static void once_leaves_nothing_open(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    say_open(ana, "1", "chat:a", "null", ",\"mode\":\"once\"");
    assert_null(hub_rig_ask(rig, LINK_INTEREST));
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 5, "[1]", 0, false);
    hub_rig_turn(rig);
    assert_true(strlen(hub_rig_next(ana)) > 0);
    assert_int_equal(hub_counters(rig->hub)->subscriptions, 0);
    hub_rig_update(rig, "chat:a", 5, 6, "{u6}");
    hub_rig_turn(rig);
    expect(ana, "");
}

static void a_second_open_replaces_the_first(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    say_open(ana, "1", "chat:a", "null", "");
    const struct rig_ask *first = hub_rig_ask(rig, LINK_PULL);
    say_open(ana, "2", "chat:a", "null", "");
    const struct rig_ask *second = hub_rig_ask(rig, LINK_PULL);
    hub_rig_page(rig, first, 5, "[1]", 0, false);
    hub_rig_turn(rig);
    expect(ana, "");
    hub_rig_page(rig, second, 6, "[2]", 0, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"ref\":2"));
    assert_int_equal(hub_counters(rig->hub)->subscriptions, 1);
}

static void a_busy_owner_is_asked_again_and_nobody_hears_of_it(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    struct link_tell busy = {.kind = LINK_PAGE, .space = SPAN_LITERAL("chat:a"), .err = ERR_BUSY};
    (void)state;
    say_open(ana, "1", "chat:a", "null", "");
    busy.tag = hub_rig_ask(rig, LINK_PULL)->ask.tag;
    rig->link.told(rig->link.ctx, &busy);
    hub_rig_turn(rig);
    assert_null(hub_rig_ask(rig, LINK_PULL));
    hub_rig_pass(rig, 1000);
    const struct rig_ask *again = hub_rig_ask(rig, LINK_PULL);
    assert_non_null(again);
    expect(ana, "");
    hub_rig_page(rig, again, 5, "[1]", 0, false);
    hub_rig_turn(rig);
    assert_true(strlen(hub_rig_next(ana)) > 0);
}

static void a_link_that_breaks_costs_a_second_asking(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    say_open(ana, "1", "chat:a", "null", "");
    const struct rig_ask *lost = hub_rig_ask(rig, LINK_PULL);
    assert_non_null(hub_rig_ask(rig, LINK_INTEREST));
    rig->send_err = ERR_BUSY;
    rig->link.down(rig->link.ctx, 0);
    hub_rig_turn(rig);
    hub_rig_pass(rig, 3000);
    rig->send_err = ERR_OK;
    rig->link.up(rig->link.ctx, 0);
    hub_rig_pass(rig, 1000);
    assert_non_null(hub_rig_ask(rig, LINK_INTEREST));
    const struct rig_ask *again = hub_rig_ask(rig, LINK_PULL);
    hub_rig_page(rig, lost, 4, "[0]", 0, false); /* comes after all, of nobody's asking */
    hub_rig_page(rig, again, 5, "[1]", 0, false);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"docs\":[1]"));
    expect(ana, "");
}

static void no_more_than_the_budget_is_asked_for_and_the_longest_waiting_first(void **state)
{
    enum { SPACES = 40, AT_ONCE = LIMIT_PAGES_IN_FLIGHT_BYTES / LIMIT_PAGE_BYTES };
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    char text[128], name[32];
    unsigned answered = 0;
    (void)state;
    for (int i = 0; i < SPACES; i++) {
        snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:s%d\",\"since\":null}]}", (i * 17) % SPACES);
        hub_message(ana->session, span_text(text), rig->now_ms);
    }
    hub_rig_turn(rig);
    for (const struct rig_ask *ask; (ask = hub_rig_ask(rig, LINK_PULL)) != NULL; answered++) {
        unsigned outstanding = 0;
        for (size_t i = 0; i < rig->asks_count; i++) outstanding += rig->asks[i]->ask.kind == LINK_PULL;
        assert_true(outstanding - answered <= AT_ONCE);
        snprintf(name, sizeof name, "chat:s%u", (answered * 17) % SPACES);
        assert_true(span_is(ask->ask.space, name));
        hub_rig_page(rig, ask, 1, "[]", 0, false);
        hub_rig_turn(rig);
    }
    assert_int_equal(answered, SPACES);
}

static void a_closed_space_gets_nothing_and_its_interest_ends_after_a_while(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_open(rig, ana, "chat:a", 7);
    hub_rig_say(rig, ana, "{\"type\":\"close\",\"space\":\"chat:a\"}");
    hub_rig_update(rig, "chat:a", 7, 8, "{u8}");
    hub_rig_turn(rig);
    expect(ana, "");
    hub_rig_pass(rig, 5000);
    assert_null(hub_rig_ask(rig, LINK_UNINTEREST));
    hub_rig_pass(rig, 6000);
    assert_non_null(hub_rig_ask(rig, LINK_UNINTEREST));
    assert_int_equal(hub_counters(rig->hub)->spaces, 0);
}

static void spaces_past_the_limit_are_too_many(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    char text[128];
    (void)state;
    for (int i = 0; i <= LIMIT_SPACES_MAX; i++) {
        snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"cart:ana:%d\",\"since\":null}]}", i);
        hub_message(ana->session, span_text(text), rig->now_ms);
    }
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"error\",\"code\":\"too_many\",\"message\":\"more spaces than limits.spaces\",\"ref\":1,\"space\":\"cart:ana:1024\",\"retry\":1000}");
    assert_int_equal(hub_counters(rig->hub)->subscriptions, LIMIT_SPACES_MAX);
}

static void history_is_a_page_that_moves_nothing(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    hub_rig_say(rig, ana, "{\"type\":\"history\",\"ref\":8,\"space\":\"chat:a\",\"collection\":\"messages\",\"before\":9,\"limit\":2}");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_HISTORY);
    assert_true(span_is(ask->ask.collection, "messages") && ask->ask.before == 9 && ask->ask.limit == 2 && ask->ask.waiters_count == 1);
    struct link_tell tell = {.kind = LINK_BODY, .space = SPAN_LITERAL("chat:a"), .tag = ask->ask.tag, .at = 12, .more = true,
                             .frame = blob_make(SPAN_LITERAL("[{\"id\":\"m\"}]"))};
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
    hub_rig_turn(rig);
    expect(ana, "{\"type\":\"page\",\"ref\":8,\"space\":\"chat:a\",\"docs\":[{\"id\":\"m\"}],\"more\":true,\"at\":12}");
    hub_rig_say(rig, ana, "{\"type\":\"history\",\"ref\":9,\"space\":\"chat:a\",\"collection\":\"rooms\"}");
    tell = (struct link_tell){.kind = LINK_BODY, .space = SPAN_LITERAL("chat:a"), .tag = hub_rig_ask(rig, LINK_HISTORY)->ask.tag, .err = ERR_INVALID};
    rig->link.told(rig->link.ctx, &tell);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"code\":\"invalid\""));
    hub_rig_say(rig, ana, "{\"type\":\"history\",\"ref\":10,\"space\":\"chat:a\",\"collection\":\"messages\"}");
    rig->link.down(rig->link.ctx, 0);
    hub_rig_turn(rig);
    assert_non_null(strstr(hub_rig_next(ana), "\"code\":\"busy\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_space_opens_from_nothing_with_one_page),
        TEST(one_that_nothing_happened_in_is_current),
        TEST(a_refusal_that_waits_makes_it_a_page),
        TEST(foreign_cursors_begin_from_nothing),
        TEST(waiters_at_one_place_share_a_pull_and_get_their_own_part),
        TEST(what_cannot_be_a_space_is_closed_at_once),
        TEST(a_long_run_is_asked_page_by_page_as_the_socket_takes_them),
        TEST(once_leaves_nothing_open),
        TEST(a_second_open_replaces_the_first),
        TEST(a_busy_owner_is_asked_again_and_nobody_hears_of_it),
        TEST(a_link_that_breaks_costs_a_second_asking),
        TEST(no_more_than_the_budget_is_asked_for_and_the_longest_waiting_first),
        TEST(a_closed_space_gets_nothing_and_its_interest_ends_after_a_while),
        TEST(spaces_past_the_limit_are_too_many),
        TEST(history_is_a_page_that_moves_nothing)};
    return cmocka_run_group_tests_name("hub_open", tests, NULL, NULL);
}
