/* The worker over the embedded backends: what gateways are told, what is stored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "tests/support/owner_rig.h"
#include "workers/store.h"

static const char *const namespaces[] = {
    "{\"namespace\":\"notes\",\"version\":1,\"access\":\"owner\",\"window\":\"90d\",\"presence\":true,"
    "\"collections\":{\"notes\":{\"policy\":\"merge\"},\"log\":{\"policy\":\"append\"}}}",
    "{\"namespace\":\"lists\",\"version\":1,\"access\":\"members\",\"window\":\"90d\",\"collections\":{\"items\":{\"policy\":\"merge\"}}}"};

static int setup(void **state)
{
    struct owner_rig *rig = calloc(1, sizeof *rig);
    if (rig == NULL) return -1;
    rig_dir_make(rig->dir);
    owner_rig_open(rig, namespaces, 2);
    if (!owner_rig_until_ready(rig)) return -1;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct owner_rig *rig = *state;
    owner_rig_close(rig);
    rig_dir_remove(rig->dir);
    free(rig);
    return 0;
}

static void put_note(struct owner_rig *rig, uint64_t id, const char *text)
{
    char ops[256];
    snprintf(ops, sizeof ops, "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n\",\"body\":{\"text\":\"%s\"}}]", text);
    owner_rig_push_text(rig, "notes:ana", "ana", id, ops);
}

static void ask_of(struct owner_rig *rig, enum link_ask_kind kind, const char *space, const char *user)
{
    struct page_waiter waiter = {.session = 7, .user = span_text(user), .device = SPAN_LITERAL("device-0001")};
    struct link_ask ask = {.kind = kind, .space = span_text(space), .tag = 42, .run = {.from_nothing = true}, .waiters_count = 1,
                           .waiters = &waiter, .limit = 10};
    if (kind == LINK_HISTORY) ask.collection = SPAN_LITERAL("log");
    owner_rig_ask(rig, &ask);
}

static void has(const char *text, const char *part)
{
    if (text == NULL || strstr(text, part) == NULL) fail_msg("`%s` lacks `%s`", text == NULL ? "(nothing)" : text, part);
}

/* ---- the link ---- */

static void a_gateway_learns_the_namespaces_in_force(void **state)
{
    struct owner_rig *rig = *state;
    assert_int_equal(rig->told[LINK_RULES], 2);
    assert_int_equal(rig->ups, 4);
}

static void a_push_is_told_to_who_is_interested_and_answered_to_its_session(void **state)
{
    struct owner_rig *rig = *state;
    struct link_ask interest = {.kind = LINK_INTEREST, .space = SPAN_LITERAL("notes:ana")};
    owner_rig_ask(rig, &interest);
    assert_true(owner_rig_until_told(rig, LINK_HEAD, 1));
    assert_int_equal(rig->last[LINK_HEAD].place, 0);
    put_note(rig, 1, "one");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 1));
    assert_int_equal(rig->told[LINK_UPDATE], 1);
    has(rig->text[LINK_UPDATE], "\"text\":\"one\"");
    assert_true(rig->last[LINK_ANSWER].with_update);
    assert_int_equal(rig->last[LINK_ANSWER].session, 7);
    assert_int_equal(rig->last[LINK_ANSWER].id, 1);
    interest.kind = LINK_UNINTEREST;
    owner_rig_ask(rig, &interest);
    interest = (struct link_ask){.kind = LINK_INTEREST, .space = SPAN_LITERAL("notes:other")};
    owner_rig_ask(rig, &interest);
    assert_true(owner_rig_until_told(rig, LINK_HEAD, 2));
    put_note(rig, 2, "two");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 2));
    assert_int_equal(rig->told[LINK_UPDATE], 1);
}

static void a_long_update_goes_as_its_head_alone(void **state)
{
    struct owner_rig *rig = *state;
    struct link_ask interest = {.kind = LINK_INTEREST, .space = SPAN_LITERAL("notes:ana")};
    char *ops = malloc(100000);
    assert_non_null(ops);
    int head = snprintf(ops, 200, "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n\",\"body\":{\"text\":\"");
    memset(ops + head, 'x', 90000);
    snprintf(ops + head + 90000, 10, "\"}}]");
    owner_rig_ask(rig, &interest);
    assert_true(owner_rig_until_told(rig, LINK_HEAD, 1)); /* the link and the log are not ordered to each other */
    owner_rig_push_text(rig, "notes:ana", "ana", 1, ops);
    assert_true(owner_rig_until_told(rig, LINK_UPDATE, 1));
    assert_null(rig->last[LINK_UPDATE].frame);
    assert_true(rig->last[LINK_UPDATE].rev > 0);
    free(ops);
}

static void a_page_shows_what_was_told_stored_or_not(void **state)
{
    struct owner_rig *rig = *state;
    char text[32], part[48];
    for (uint64_t i = 1; i <= 300; i++) {
        snprintf(text, sizeof text, "t%llu", (unsigned long long)i);
        snprintf(part, sizeof part, "\"text\":\"%s\"", text);
        put_note(rig, i, text);
        assert_true(owner_rig_until_told(rig, LINK_ANSWER, i));
        ask_of(rig, LINK_PULL, "notes:ana", "ana");
        assert_true(owner_rig_until_told(rig, LINK_PAGE, i));
        assert_int_equal(rig->last[LINK_PAGE].err, ERR_OK);
        assert_int_equal(rig->last[LINK_PAGE].tag, 42);
        has(rig->text[LINK_PAGE], part);
        assert_int_equal(rig->role, ROLE_OWNER);
    }
    assert_true(worker_counters(rig->worker)->journal_batches > 0);
}

static void a_page_of_a_space_without_a_namespace_says_so(void **state)
{
    struct owner_rig *rig = *state;
    ask_of(rig, LINK_PULL, "nothing:x", "ana");
    assert_true(owner_rig_until_told(rig, LINK_PAGE, 1));
    assert_int_equal(rig->last[LINK_PAGE].err, ERR_UNKNOWN_SPACE);
}

static void history_and_conflicts_are_for_those_with_access(void **state)
{
    struct owner_rig *rig = *state;
    owner_rig_push_text(rig, "notes:ana", "ana", 1, "[{\"op\":\"append\",\"collection\":\"log\",\"id\":\"a\",\"body\":{\"n\":1}}]");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 1));
    ask_of(rig, LINK_HISTORY, "notes:ana", "ana");
    assert_true(owner_rig_until_told(rig, LINK_BODY, 1));
    assert_int_equal(rig->last[LINK_BODY].err, ERR_OK);
    has(rig->text[LINK_BODY], "\"n\":1");
    ask_of(rig, LINK_HISTORY, "notes:ana", "eve");
    assert_true(owner_rig_until_told(rig, LINK_BODY, 2));
    assert_int_equal(rig->last[LINK_BODY].err, ERR_FORBIDDEN);
    ask_of(rig, LINK_CONFLICTS, "notes:ana", "ana");
    assert_true(owner_rig_until_told(rig, LINK_BODY, 3));
    assert_int_equal(rig->last[LINK_BODY].err, ERR_OK);
    has(rig->text[LINK_BODY], "\"conflicts\":[");
    ask_of(rig, LINK_CONFLICTS, "notes:ana", "eve");
    assert_true(owner_rig_until_told(rig, LINK_BODY, 4));
    assert_int_equal(rig->last[LINK_BODY].err, ERR_FORBIDDEN);
}

static void an_outcome_is_told_again_to_who_asks(void **state)
{
    struct owner_rig *rig = *state;
    struct buf buf;
    struct record_push push = {.space = SPAN_LITERAL("notes:ana"), .user = SPAN_LITERAL("ana"), .has_device = true,
                               .device = SPAN_LITERAL("device-0001"), .id = 1, .gateway = SPAN_LITERAL("local"), .session = 9};
    assert_true(json_check(SPAN_LITERAL("[]"), &push.ops, NULL));
    buf_init(&buf, 4096);
    record_encode_push(&push, &buf);
    struct blob *record = blob_make(buf_span(&buf));
    struct link_ask ask = {.kind = LINK_OUTCOME, .space = push.space, .record = record};
    owner_rig_ask(rig, &ask); /* still to come: no answer */
    owner_rig_push(rig, &push);
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 1));
    owner_rig_ask(rig, &ask);
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 2));
    assert_int_equal(rig->last[LINK_ANSWER].session, 9);
    assert_int_equal(rig->last[LINK_ANSWER].id, 1);
    blob_put(record);
    buf_fini(&buf);
}

/* ---- presence ---- */

static void come(struct owner_rig *rig, const char *space, const char *user, uint64_t session, enum presence_state how)
{
    struct link_ask ask = {.kind = LINK_PRESENCE, .space = span_text(space), .user = span_text(user),
                           .device = SPAN_LITERAL("device-0001"), .session = session, .state = how};
    owner_rig_ask(rig, &ask);
}

static void watchers_see_who_comes_and_goes(void **state)
{
    struct owner_rig *rig = *state;
    struct link_ask interest = {.kind = LINK_INTEREST, .space = SPAN_LITERAL("notes:ana")};
    struct link_ask watch = {.kind = LINK_WATCH, .space = SPAN_LITERAL("notes:ana"), .session = 5};
    rig->now_ms = 1000000;
    owner_rig_ask(rig, &interest);
    come(rig, "notes:ana", "ana", 5, PRESENCE_ONLINE);
    owner_rig_ask(rig, &watch);
    assert_true(owner_rig_until_told(rig, LINK_PRESENCE_FRAME, 1));
    assert_int_equal(rig->last[LINK_PRESENCE_FRAME].session, 5);
    has(rig->text[LINK_PRESENCE_FRAME], "\"here\":[{\"user\":\"ana\",\"devices\":1,\"state\":\"online\"");
    has(rig->text[LINK_PRESENCE_FRAME], "\"count\":1");
    rig->now_ms += 5000;
    come(rig, "notes:ana", "bo", 6, PRESENCE_IDLE);
    assert_true(owner_rig_until_told(rig, LINK_PRESENCE_FRAME, 2));
    assert_int_equal(rig->last[LINK_PRESENCE_FRAME].session, 0);
    has(rig->text[LINK_PRESENCE_FRAME], "\"join\":[");
    has(rig->text[LINK_PRESENCE_FRAME], "\"user\":\"bo\",\"devices\":1,\"state\":\"idle\"");
}

static void who_lists_the_members_who_are_away(void **state)
{
    struct owner_rig *rig = *state;
    owner_rig_push_text(rig, "lists:l", "ana", 1,
                        "[{\"op\":\"put\",\"collection\":\"members\",\"id\":\"bo\",\"body\":{\"role\":\"writer\"}}]");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 1));
    come(rig, "lists:l", "ana", 5, PRESENCE_ONLINE);
    struct registry *registry = embedded_registry(rig->embedded);
    registry->ops->set_presence(registry, SPAN_LITERAL("bo"), SPAN_LITERAL("device-0002"), 6, PRESENCE_OFFLINE, 777);
    ask_of(rig, LINK_WHO, "lists:l", "ana");
    assert_true(owner_rig_until_told(rig, LINK_BODY, 1));
    has(rig->text[LINK_BODY], "\"here\":[{\"user\":\"ana\"");
    has(rig->text[LINK_BODY], "\"count\":1,\"away\":[{\"user\":\"bo\",\"last_seen\":777}]}");
}

static void a_signal_goes_to_the_interested(void **state)
{
    struct owner_rig *rig = *state;
    struct link_ask interest = {.kind = LINK_INTEREST, .space = SPAN_LITERAL("notes:ana")};
    struct blob *frame = blob_make(SPAN_LITERAL("{\"type\":\"signal\"}"));
    struct link_ask ask = {.kind = LINK_SIGNAL, .space = SPAN_LITERAL("notes:ana"), .session = 5, .frame = frame};
    owner_rig_ask(rig, &interest);
    owner_rig_ask(rig, &ask);
    assert_true(owner_rig_until_told(rig, LINK_SIGNAL_FRAME, 1));
    assert_int_equal(rig->last[LINK_SIGNAL_FRAME].session, 5);
    has(rig->text[LINK_SIGNAL_FRAME], "signal");
    blob_put(frame);
}

/* ---- storing ---- */

static uint64_t log_first(struct owner_rig *rig, uint32_t partition)
{
    uint64_t first, next;
    struct log_reader *reader = embedded_reader(rig->embedded);
    assert_int_equal(reader->ops->range(reader, partition, &first, &next), ERR_OK);
    return first;
}

struct trimmed {
    struct owner_rig *rig;
    uint32_t partition;
    uint64_t first;
};
static bool is_trimmed(void *ctx)
{
    struct trimmed *trimmed = ctx;
    return log_first(trimmed->rig, trimmed->partition) >= trimmed->first;
}

static void the_log_is_trimmed_once_its_effects_are_stored(void **state)
{
    struct owner_rig *rig = *state;
    uint32_t partition = hash_partition(SPAN_LITERAL("notes:ana"), 4);
    for (uint64_t i = 1; i <= 50; i++) put_note(rig, i, "x");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 50));
    /* Two namespaces and fifty pushes, of which the last record stays. */
    struct trimmed trimmed = {rig, partition, 51};
    assert_true(rig_until(&rig->loop, is_trimmed, &trimmed, 20000));
    assert_int_equal(log_first(rig, partition), 51);
}

static void a_restart_goes_on_and_puts_no_namespace_twice(void **state)
{
    struct owner_rig *rig = *state;
    put_note(rig, 1, "before");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 1));
    owner_rig_close(rig);
    owner_rig_open(rig, namespaces, 2);
    assert_true(owner_rig_until_ready(rig));
    assert_int_equal(worker_counters(rig->worker)->records, 0);
    put_note(rig, 2, "after");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 1));
    assert_int_equal(rig->last[LINK_ANSWER].code, ERR_OK);
    ask_of(rig, LINK_PULL, "notes:ana", "ana");
    assert_true(owner_rig_until_told(rig, LINK_PAGE, 1));
    has(rig->text[LINK_PAGE], "after");
}

/* The first life ends before its batch is stored; the second replays its records. */
static void a_session_from_before_the_restart_is_not_answered(void **state)
{
    struct owner_rig *rig = *state;
    uv_loop_t loop;
    struct embedded *embedded;
    char why[256];
    owner_rig_close(rig);
    struct embedded_options options = {.dir = rig->dir, .now_ms = rig_now_ms};
    uv_loop_init(&loop);
    assert_int_equal(embedded_open(&options, &loop, &embedded, why, sizeof why), ERR_OK);
    rig->writer = embedded_writer(embedded);
    put_note(rig, 1, "before");
    embedded_close(embedded); /* commits what is queued; no worker saw it */
    rig_loop_close(&loop);
    owner_rig_open(rig, namespaces, 2);
    assert_true(owner_rig_until_ready(rig));
    assert_int_equal(worker_counters(rig->worker)->records, 1);
    put_note(rig, 2, "after");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 1));
    assert_int_equal(rig->last[LINK_ANSWER].id, 2);
}

static void another_text_of_a_namespace_is_put_everywhere(void **state)
{
    struct owner_rig *rig = *state;
    char why[128];
    struct span text =
        SPAN_LITERAL("\n {\"namespace\":\"notes\",\"version\":2,\"access\":\"owner\",\"window\":\"30d\","
                     "\"collections\":{\"notes\":{\"policy\":\"lww\"}}}\n");
    uint64_t before = worker_counters(rig->worker)->records;
    assert_int_equal(worker_namespaces_put(rig->worker, &text, 1, why, sizeof why), ERR_OK);
    assert_false(worker_ready(rig->worker, NULL));
    assert_true(owner_rig_until_ready(rig));
    assert_int_equal(worker_counters(rig->worker)->records, before + 4);
    assert_true(owner_rig_until_told(rig, LINK_RULES, 3));
    assert_int_equal(rig->last[LINK_RULES].version, 2);
    text = SPAN_LITERAL("{\"namespace\":");
    assert_int_equal(worker_namespaces_put(rig->worker, &text, 1, why, sizeof why), ERR_CONFIG);
}

static void what_no_version_could_decode_is_set_aside(void **state)
{
    struct owner_rig *rig = *state;
    struct store *store;
    struct store_view *view;
    struct span text;
    char why[128], path[RIG_PATH_BYTES + 16];
    struct blob *blob = blob_make(SPAN_LITERAL("not a record"));
    assert_int_equal(rig->writer->ops->append(rig->writer, 0, blob, 1), ERR_OK);
    blob_put(blob);
    put_note(rig, 1, "x");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 1));
    assert_int_equal(worker_counters(rig->worker)->dead_letters, 1);
    assert_true(worker_ready(rig->worker, NULL));
    char log[64];
    snprintf(log, sizeof log, "%s", embedded_log_name(rig->embedded));
    owner_rig_close(rig);
    snprintf(path, sizeof path, "%s/store-0", rig->dir);
    struct store_options options = {.path = path, .log = log, .partition = 0};
    assert_int_equal(store_open(&options, &store, why, sizeof why), ERR_OK);
    assert_int_equal(store_view_begin(store, &view), ERR_OK);
    assert_int_equal(store_dead_find(view, 2, &text), ERR_OK);
    assert_true(text.bytes > 12);
    assert_memory_equal(text.at + text.bytes - 12, "not a record", 12);
    store_view_end(view);
    store_close(store);
}

static bool has_failed(void *ctx) { return ((struct owner_rig *)ctx)->failures > 0; }

static void a_record_of_unknown_rules_stops_its_partition_alone(void **state)
{
    struct owner_rig *rig = *state;
    uint32_t other = hash_partition(SPAN_LITERAL("notes:ana"), 4) == 0 ? 1 : 0;
    const char *why = NULL;
    struct blob *blob = blob_make(SPAN_LITERAL("{\"v\":99,\"kind\":\"push\"}"));
    assert_int_equal(rig->writer->ops->append(rig->writer, other, blob, 1), ERR_OK);
    blob_put(blob);
    assert_true(rig_until(&rig->loop, has_failed, rig, 20000));
    assert_false(worker_ready(rig->worker, &why));
    has(why, "failed");
    put_note(rig, 1, "x");
    assert_true(owner_rig_until_told(rig, LINK_ANSWER, 1));
}

int main(void)
{
#define WORKER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WORKER_TEST(a_gateway_learns_the_namespaces_in_force),
        WORKER_TEST(a_push_is_told_to_who_is_interested_and_answered_to_its_session),
        WORKER_TEST(a_long_update_goes_as_its_head_alone),
        WORKER_TEST(a_page_shows_what_was_told_stored_or_not),
        WORKER_TEST(a_page_of_a_space_without_a_namespace_says_so),
        WORKER_TEST(history_and_conflicts_are_for_those_with_access),
        WORKER_TEST(an_outcome_is_told_again_to_who_asks),
        WORKER_TEST(watchers_see_who_comes_and_goes),
        WORKER_TEST(who_lists_the_members_who_are_away),
        WORKER_TEST(a_signal_goes_to_the_interested),
        WORKER_TEST(the_log_is_trimmed_once_its_effects_are_stored),
        WORKER_TEST(a_restart_goes_on_and_puts_no_namespace_twice),
        WORKER_TEST(a_session_from_before_the_restart_is_not_answered),
        WORKER_TEST(another_text_of_a_namespace_is_put_everywhere),
        WORKER_TEST(what_no_version_could_decode_is_set_aside),
        WORKER_TEST(a_record_of_unknown_rules_stops_its_partition_alone),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
