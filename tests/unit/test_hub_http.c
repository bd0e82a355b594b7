/* The HTTP calls: what they ask, and the exact answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
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

static void answered(unsigned status, const char *body)
{
    if (rig->answer_status != status || (body != NULL && strcmp(rig->answer, body) != 0))
        fail_msg("%u %s\nexpected %u %s", rig->answer_status, rig->answer, status, body == NULL ? "" : body);
}

/* The number of the virtual session that appended the record. */
static uint64_t session_of(size_t append, uint64_t *ret_id)
{
    struct json_value record;
    int64_t session, id = 0;
    assert_true(json_check(blob_span(rig->appends[append].record), &record, NULL));
    assert_true(json_integer(json_find(record, "session"), &session));
    (void)json_integer(json_find(record, "id"), &id);
    if (ret_id != NULL) *ret_id = (uint64_t)id;
    return (uint64_t)session;
}

static void outcome(size_t append, const char *user, const char *device, const char *space, const char *frame)
{
    uint64_t id;
    struct rig_conn conn = {.number = session_of(append, &id)};
    hub_rig_answer(rig, &conn, user, device, space, id, 8, true, false, frame);
}

static void body_of(enum link_ask_kind kind, enum err err, const char *frame)
{
    const struct rig_ask *ask = hub_rig_ask(rig, kind);
    assert_non_null(ask);
    struct link_tell tell = {.kind = LINK_BODY, .space = ask->ask.space, .tag = ask->ask.tag, .err = err,
                             .frame = frame == NULL ? NULL : blob_make(span_text(frame))};
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
    hub_rig_turn(rig);
}

static void a_sync_pushes_in_order_then_opens(void **state)
{
    (void)state;
    hub_rig_http(rig, "POST sync", "", "ana",
                 "{\"device\":\"device-01\",\"log\":\"testlog\",\"pushes\":[{\"id\":1,\"after\":0,\"space\":\"chat:a\",\"ops\":[]},\n"
                 "{\"id\":2,\"after\":1,\"space\":\"chat:a\",\"ops\":[]}],\"opens\":[{\"space\":\"chat:a\",\"since\":null,\"known\":2}]}");
    assert_int_equal(rig->appends_count, 2);
    assert_null(hub_rig_ask(rig, LINK_PULL));
    hub_rig_ack(rig, ERR_OK);
    hub_rig_ack(rig, ERR_OK);
    outcome(0, "ana", "device-01", "chat:a", "{\"type\":\"result\",\"id\":1}");
    outcome(1, "ana", "device-01", "chat:a", "{\"type\":\"result\",\"id\":2}");
    hub_rig_turn(rig);
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_true(ask != NULL && ask->waiters[0].known == 2 && span_is(ask->waiters[0].device, "device-01"));
    assert_null(hub_rig_ask(rig, LINK_INTEREST));
    assert_int_equal(rig->answers, 0);
    hub_rig_page(rig, ask, 8, "[]", 2, true);
    hub_rig_turn(rig);
    char cursor[HUB_RIG_CURSOR_BYTES], expected[1024];
    hub_rig_cursor("chat:a", 8, cursor);
    snprintf(expected, sizeof expected, "{\"log\":\"testlog\",\"results\":[{\"type\":\"result\",\"id\":1},{\"type\":\"result\",\"id\":2}],"
             "\"pages\":[{\"type\":\"page\",\"ref\":0,\"space\":\"chat:a\",\"from\":null,\"to\":\"%s.8\",\"reset\":true,\"docs\":[],\"more\":true,"
             "\"pushed\":2}],\"current\":[],\"closed\":[],\"errors\":[],\"pending\":[],\"retry\":0}", cursor);
    answered(200, expected);
    assert_int_equal(hub_counters(rig->hub)->subscriptions, 0);
}

static void a_sync_closes_no_other_session_and_is_not_seen(void **state)
{
    struct rig_conn *ana = hub_rig_connect(rig, 0, "ana", "device-01");
    (void)state;
    rig->state = PRESENCE_OFFLINE;
    hub_rig_http(rig, "POST sync", "", "ana", "{\"device\":\"device-01\",\"opens\":[{\"space\":\"chat:a\",\"since\":null}]}");
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 8, "[]", 2, false);
    hub_rig_turn(rig);
    answered(200, NULL);
    assert_int_equal(ana->close_code, 0);
    assert_int_equal(rig->state, PRESENCE_OFFLINE);
    assert_null(hub_rig_ask(rig, LINK_PRESENCE));
}

static void a_sync_under_another_log_does_nothing(void **state)
{
    (void)state;
    hub_rig_http(rig, "POST sync", "", "ana", "{\"device\":\"device-01\",\"log\":\"older\",\"pushes\":[{\"id\":1,\"space\":\"chat:a\",\"ops\":[]}]}");
    answered(409, "{\"code\":\"log\",\"message\":\"made under another log: treat every space as reset\",\"log\":\"testlog\"}");
    assert_int_equal(rig->appends_count, 0);
}

static void an_outcome_that_takes_too_long_is_pending_if_it_was_acked(void **state)
{
    (void)state;
    hub_rig_http(rig, "POST sync", "", "ana", "{\"device\":\"device-01\",\"pushes\":[{\"id\":1,\"space\":\"chat:a\",\"ops\":[]},"
                 "{\"id\":2,\"after\":1,\"space\":\"chat:a\",\"ops\":[]}]}");
    hub_rig_ack(rig, ERR_OK);
    hub_rig_pass(rig, 4500);
    assert_int_equal(rig->answers, 0);
    hub_rig_pass(rig, 1000);
    answered(200, "{\"log\":\"testlog\",\"results\":[],\"pages\":[],\"current\":[],\"closed\":[],\"errors\":[],\"pending\":[1],\"retry\":0}");
}

static void errors_and_refusals_of_a_sync_are_listed_with_the_time_to_wait(void **state)
{
    (void)state;
    rig->append_err = ERR_BUSY;
    hub_rig_http(rig, "POST sync", "", "ana", "{\"device\":\"device-01\",\"pushes\":[{\"id\":1,\"space\":\"chat:a\",\"ops\":[]},"
                 "{\"id\":2,\"space\":\"nope:a\",\"ops\":[]},{\"id\":0}],\"opens\":[{\"space\":\"nope:a\",\"since\":null}]}");
    answered(200, "{\"log\":\"testlog\",\"results\":[{\"type\":\"result\",\"status\":\"rejected\",\"code\":\"unknown_space\",\"message\":"
             "\"no namespace of that name is in force\",\"id\":2,\"space\":\"nope:a\"}],\"pages\":[],\"current\":[],\"closed\":[{\"type\":\"closed\","
             "\"space\":\"nope:a\",\"code\":\"unknown_space\",\"purge\":false,\"ref\":0}],\"errors\":[{\"type\":\"error\",\"code\":\"busy\","
             "\"message\":\"the server cannot take this now\",\"id\":1,\"space\":\"chat:a\",\"retry\":1000},{\"type\":\"error\",\"code\":\"bad_frame\","
             "\"message\":\"id: must be an integer from 1\"}],\"pending\":[],\"retry\":1000}");
}

static void a_space_whose_owner_does_not_answer_is_an_error_of_the_sync(void **state)
{
    (void)state;
    hub_rig_http(rig, "POST sync", "", "ana", "{\"device\":\"device-01\",\"opens\":[{\"space\":\"chat:a\",\"since\":null}]}");
    hub_rig_pass(rig, 10500);
    answered(200, "{\"log\":\"testlog\",\"results\":[],\"pages\":[],\"current\":[],\"closed\":[],\"errors\":[{\"type\":\"error\",\"code\":\"busy\","
             "\"message\":\"the server cannot take this now\",\"space\":\"chat:a\",\"retry\":1000}],\"pending\":[],\"retry\":1000}");
    hub_rig_page(rig, hub_rig_ask(rig, LINK_PULL), 8, "[]", 2, false); /* too late */
    hub_rig_turn(rig);
}

static void a_malformed_sync_is_invalid(void **state)
{
    static const char *const bodies[] = {
        "[]", "{", "{\"device\":\"x\"}", "{\"device\":\"device-01\",\"pushes\":{}}", "{\"device\":\"device-01\",\"opens\":[{}]}",
        "{\"device\":\"device-01\",\"device\":\"device-02\"}", "{\"device\":\"device-01\",\"opens\":[{\"space\":\"chat:a\"},{\"space\":\"chat:\\u0061\"}]}",
        "{\"device\":\"device-01\",\"log\":\"a\nb\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        hub_rig_http(rig, "POST sync", "", "ana", bodies[i]);
        answered(400, NULL);
    }
    assert_int_equal(rig->answers, sizeof bodies / sizeof bodies[0]);
}

static void a_backends_push_is_answered_with_its_result(void **state)
{
    (void)state;
    hub_rig_http(rig, "POST spaces/chat:a/push", "", "shop", "{\"ops\":[\n{}\r\n]}");
    assert_true(span_is(blob_span(rig->appends[0].record),
        "{\"v\":1,\"kind\":\"push\",\"space\":\"chat:a\",\"user\":\"shop\",\"grant\":\"none\",\"ns\":1,\"session\":1048576000,\"gateway\":\"g1\",\"ops\":[ {}  ]}"));
    outcome(0, "shop", "", "chat:a", "{\"type\":\"result\",\"id\":0,\"status\":\"applied\"}");
    hub_rig_turn(rig);
    answered(200, "{\"type\":\"result\",\"id\":0,\"status\":\"applied\"}");
}

static void one_key_is_one_push_and_its_refusals_have_their_status(void **state)
{
    static const struct { const char *code; unsigned status; } cases[] = {
        {"conflict", 409}, {"precondition", 409}, {"forbidden", 403}, {"invalid", 400}, {"too_large", 413}, {"lost", 200}};
    char frame[128], device[64] = "";
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_value record;
        hub_rig_http(rig, "POST spaces/chat:a/push", "", "shop", "{\"key\":\"order 7\",\"ops\":[]}");
        assert_true(json_check(blob_span(rig->appends[i].record), &record, NULL));
        struct span name = json_inside(json_find(record, "device"));
        assert_true(name.bytes == 36 && memcmp(name.at, "key-", 4) == 0);
        assert_true(device[0] == '\0' || span_is(name, device));
        memcpy(device, name.at, name.bytes);
        assert_true(span_is(json_find(record, "id").raw, "1") && span_is(json_find(record, "after").raw, "0") && span_is(json_find(record, "known").raw, "0"));
        snprintf(frame, sizeof frame, "{\"type\":\"result\",\"id\":1,\"code\":\"%s\"}", cases[i].code);
        outcome(i, "shop", device, "chat:a", frame);
        hub_rig_turn(rig);
        answered(cases[i].status, frame);
    }
}

static void a_push_without_an_outcome_in_five_seconds_is_busy(void **state)
{
    (void)state;
    hub_rig_http(rig, "POST spaces/chat:a/push", "", "shop", "{\"key\":\"k\",\"ops\":[]}");
    hub_rig_ack(rig, ERR_OK);
    hub_rig_pass(rig, 5250);
    answered(503, NULL);
    rig->append_err = ERR_BUSY;
    hub_rig_http(rig, "POST spaces/chat:a/push", "", "shop", "{\"ops\":[]}");
    answered(503, "{\"code\":\"busy\",\"message\":\"the server cannot take this now\"}");
    hub_rig_http(rig, "POST spaces/nope:a/push", "", "shop", "{\"ops\":[]}");
    answered(404, NULL);
}

static void documents_come_as_a_page(void **state)
{
    char cursor[HUB_RIG_CURSOR_BYTES], query[256], expected[512];
    (void)state;
    hub_rig_cursor("chat:a", 7, cursor);
    snprintf(query, sizeof query, "limit=5&since=%s", cursor);
    hub_rig_http(rig, "GET spaces/chat:a/docs", query, "ana", "");
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert_true(ask->ask.docs_max == 5 && ask->ask.run.place == 7 && !ask->ask.run.from_nothing && ask->ask.collection.bytes == 0);
    hub_rig_page(rig, ask, 8, "[8]", 0, false);
    snprintf(expected, sizeof expected, "{\"type\":\"page\",\"space\":\"chat:a\",\"from\":\"%s\",\"to\":\"%.*s8\",\"docs\":[8],\"more\":false,"
             "\"pushed\":0,\"refused\":[],\"window\":60,\"sum\":{}}", cursor, (int)strlen(cursor) - 1, cursor);
    answered(200, expected);
    snprintf(query, sizeof query, "collection=mess%%61ges&since=%s", cursor);
    hub_rig_http(rig, "GET spaces/chat:a/docs", query, "ana", "");
    ask = hub_rig_ask(rig, LINK_PULL);
    assert_true(span_is(ask->ask.collection, "messages") && ask->ask.run.from_nothing); /* a cursor of the whole leads nowhere in a part */
    struct page_part part = {.role = ROLE_NONE, .refused = SPAN_LITERAL("[]")};
    struct page page = {.docs = SPAN_LITERAL("[]"), .parts_count = 1, .parts = &part};
    hub_rig_page_of(rig, ask, &page);
    answered(403, NULL);
    hub_rig_http(rig, "GET spaces/chat:a/docs", "limit=x", "ana", "");
    answered(400, NULL);
    hub_rig_http(rig, "GET spaces/chat:a/docs", "collection=%zz", "ana", "");
    answered(400, NULL);
    hub_rig_http(rig, "GET spaces/nope:a/docs", "", "ana", "");
    answered(404, NULL);
}

static void questions_are_answered_with_the_owners_words(void **state)
{
    (void)state;
    hub_rig_http(rig, "GET spaces/chat:a/conflicts", "", "ana", "");
    body_of(LINK_CONFLICTS, ERR_OK, "{\"conflicts\":[]}");
    answered(200, "{\"conflicts\":[]}");
    hub_rig_http(rig, "GET spaces/chat:a/presence", "", "ana", "");
    body_of(LINK_WHO, ERR_FORBIDDEN, NULL);
    answered(403, "{\"code\":\"forbidden\",\"message\":\"this user may not do that in this space\"}");
    hub_rig_http(rig, "GET spaces/chat:a/presence", "", "ana", "");
    hub_rig_pass(rig, 10500);
    answered(503, NULL);
    body_of(LINK_WHO, ERR_OK, "{}"); /* too late */
    assert_int_equal(rig->answers, 3);
    hub_rig_http(rig, "GET spaces/chat:a/presence", "", "ana", "");
    rig->link.down(rig->link.ctx, 0);
    answered(503, NULL);
}

static void the_registry_answers_for_users_and_devices(void **state)
{
    char path[400];
    (void)state;
    rig->state = PRESENCE_IDLE;
    hub_rig_http(rig, "GET users/ana/presence", "", "ana", "");
    answered(200, "{\"user\":\"ana\",\"state\":\"idle\",\"last_seen\":7}");
    hub_rig_http(rig, "GET users/an/a/presence", "", "an/a", "");
    answered(200, "{\"user\":\"an/a\",\"state\":\"idle\",\"last_seen\":7}");
    hub_rig_http(rig, "GET users/bob/presence", "", "ana", "");
    answered(403, NULL);
    rig->admin = true;
    hub_rig_http(rig, "GET users/bob/presence", "", "ana", "");
    answered(200, "{\"user\":\"bob\",\"state\":\"idle\",\"last_seen\":7}");
    snprintf(path, sizeof path, "GET users/%0300d/presence", 0);
    hub_rig_http(rig, path, "", "ana", "");
    answered(400, NULL);
    hub_rig_http(rig, "GET devices/device-01/offsets", "", "ana", "");
    answered(200, "{\"device\":\"device-01\",\"offsets\":{\"chat:a\":\"c\"}}");
    snprintf(path, sizeof path, "GET devices/%0300d/offsets", 0);
    hub_rig_http(rig, path, "", "ana", "");
    answered(400, NULL);
}

static void other_calls_do_not_exist(void **state)
{
    static const char *const calls[] = {"GET sync", "POST spaces/chat:a/docs", "GET spaces/chat:a/push", "GET spaces//docs", "GET spaces/docs",
                                        "GET ", "POST ", "GET spaces/chat:a/docs/x", "GET users//presence", "POST devices/device-01/offsets"};
    (void)state;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        hub_rig_http(rig, calls[i], "", "ana", "{}");
        if (rig->answer_status != 404 && rig->answer_status != 400) fail_msg("%s: %u %s", calls[i], rig->answer_status, rig->answer);
    }
}

static void a_caller_who_left_is_not_told(void **state)
{
    struct hub_credentials credentials = {.user = "ana", .user_bytes = 3, .expires_ms = INT64_MAX};
    struct hub_http_request request = {.path = SPAN_LITERAL("spaces/chat:a/presence"), .credentials = &credentials};
    (void)state;
    struct hub_http_job *job = hub_http_start(rig->hub, &request, rig->now_ms, NULL, NULL);
    assert_non_null(job);
    hub_http_cancel(job);
    body_of(LINK_WHO, ERR_OK, "{}");
    assert_int_equal(rig->answers, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sync_pushes_in_order_then_opens),
        TEST(a_sync_closes_no_other_session_and_is_not_seen),
        TEST(a_sync_under_another_log_does_nothing),
        TEST(an_outcome_that_takes_too_long_is_pending_if_it_was_acked),
        TEST(errors_and_refusals_of_a_sync_are_listed_with_the_time_to_wait),
        TEST(a_space_whose_owner_does_not_answer_is_an_error_of_the_sync),
        TEST(a_malformed_sync_is_invalid),
        TEST(a_backends_push_is_answered_with_its_result),
        TEST(one_key_is_one_push_and_its_refusals_have_their_status),
        TEST(a_push_without_an_outcome_in_five_seconds_is_busy),
        TEST(documents_come_as_a_page),
        TEST(questions_are_answered_with_the_owners_words),
        TEST(the_registry_answers_for_users_and_devices),
        TEST(other_calls_do_not_exist),
        TEST(a_caller_who_left_is_not_told)};
    return cmocka_run_group_tests_name("hub_http", tests, NULL, NULL);
}
