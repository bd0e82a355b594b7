/* Every message goes over the wire whole, and nothing else is taken for one. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/tcp/tcp_codec.h"
#include "core/limits.h"

struct desk {
    struct buf out;
    struct arena arena;
};

static int setup(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) return -1;
    buf_init(&desk->out, LIMIT_LINK_FRAME_BYTES);
    arena_init(&desk->arena, 1048576);
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    struct desk *desk = *state;
    buf_fini(&desk->out);
    arena_fini(&desk->arena);
    free(desk);
    return 0;
}

/* What stands behind length and kind, once both were looked at. With FUZZ_CORPUS set, a seed for the fuzzer too. */
static struct span fields_of(struct desk *desk, enum tcp_frame kind, const struct blob *tail, const char *name)
{
    if (tail != NULL) buf_add_span(&desk->out, blob_span(tail));
    assert_true(buf_ok(&desk->out));
    const unsigned char *at = (const unsigned char *)desk->out.at;
    assert_int_equal(at[0] | at[1] << 8 | at[2] << 16 | at[3] << 24, desk->out.bytes - 4);
    assert_int_equal(at[4], kind);
    const char *dir = getenv("FUZZ_CORPUS");
    if (dir != NULL) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, name);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(desk->out.at + 4, 1, desk->out.bytes - 4, file), desk->out.bytes - 4);
        assert_int_equal(fclose(file), 0);
    }
    return span_of(desk->out.at + TCP_FRAME_HEAD_BYTES, desk->out.bytes - TCP_FRAME_HEAD_BYTES);
}

static struct link_ask round_ask(struct desk *desk, const struct link_ask *ask, const char *name)
{
    struct blob *tail;
    struct link_ask back = {0};
    buf_reset(&desk->out);
    tcp_codec_ask(&desk->out, ask, &tail);
    assert_int_equal(tcp_codec_read_ask(fields_of(desk, TCP_ASK, tail, name), &desk->arena, &back), ERR_OK);
    assert_int_equal(back.kind, ask->kind);
    assert_true(span_equal(back.space, ask->space));
    assert_int_equal(back.tag, ask->tag);
    assert_int_equal(back.session, ask->session);
    return back;
}

static struct link_tell round_tell(struct desk *desk, const struct link_tell *tell, const char *name)
{
    struct blob *tail;
    struct link_tell back = {0};
    buf_reset(&desk->out);
    tcp_codec_tell(&desk->out, tell, &tail);
    assert_int_equal(tcp_codec_read_tell(fields_of(desk, TCP_TELL, tail, name), &desk->arena, &back), ERR_OK);
    assert_int_equal(back.kind, tell->kind);
    assert_true(span_equal(back.space, tell->space));
    assert_int_equal(back.tag, tell->tag);
    assert_int_equal(back.place, tell->place);
    assert_int_equal(back.session, tell->session);
    return back;
}

#define SPACE SPAN_LITERAL("chat:tea")

static struct page_run a_run(void)
{
    struct page_run run = {.from_nothing = true, .has_floor = true, .place = 17, .floor = UINT64_MAX, .started = true, .run_from = 3,
                           .has_tail = true, .tail = 50, .tails_count = 2};
    memcpy(run.tails[0].collection, "messages", 8);
    memcpy(run.tails[1].collection, "samples", 7);
    run.tails[0].cut = 9007199254740993;
    return run;
}

static void assert_run(const struct page_run *back)
{
    struct page_run run = a_run();
    assert_memory_equal(back, &run, sizeof run);
}

static void a_pull_is_asked_whole(void **state)
{
    struct page_waiter waiters[] = {
        {.session = 1, .user = SPAN_LITERAL("ana"), .device = SPAN_LITERAL("phone-0001"), .known = 5, .granted = ROLE_OWNER},
        {.session = UINT64_MAX, .user = SPAN_LITERAL("bo"), .device = SPAN_LITERAL("")}};
    struct link_ask ask = {.kind = LINK_PULL, .space = SPACE, .tag = 300, .run = a_run(), .collection = SPAN_LITERAL("messages"),
                           .docs_max = 100, .parts_only = true, .waiters_count = 2, .waiters = waiters};
    struct link_ask back = round_ask(*state, &ask, "pull");
    assert_run(&back.run);
    assert_true(span_is(back.collection, "messages"));
    assert_int_equal(back.docs_max, 100);
    assert_true(back.parts_only);
    assert_int_equal(back.waiters_count, 2);
    assert_true(span_is(back.waiters[0].user, "ana"));
    assert_true(span_is(back.waiters[0].device, "phone-0001"));
    assert_int_equal(back.waiters[0].known, 5);
    assert_int_equal(back.waiters[0].granted, ROLE_OWNER);
    assert_true(back.waiters[1].session == UINT64_MAX);
    assert_int_equal(back.waiters[1].device.bytes, 0);
}

static void questions_are_asked_whole(void **state)
{
    struct page_waiter waiter = {.session = 4, .user = SPAN_LITERAL("ana"), .device = SPAN_LITERAL("phone-0001")};
    struct link_ask ask = {.kind = LINK_HISTORY, .space = SPACE, .tag = 7, .collection = SPAN_LITERAL("messages"), .before = 128, .limit = 50,
                           .waiters_count = 1, .waiters = &waiter};
    struct link_ask back = round_ask(*state, &ask, "history");
    assert_int_equal(back.before, 128);
    assert_int_equal(back.limit, 50);
    assert_true(span_is(back.collection, "messages"));
    assert_int_equal(back.waiters[0].session, 4);
    ask.kind = LINK_CONFLICTS;
    assert_int_equal(round_ask(*state, &ask, "conflicts").waiters_count, 1);
    ask.kind = LINK_WHO;
    assert_int_equal(round_ask(*state, &ask, "who").waiters_count, 1);
}

static void interests_presence_and_signals_are_asked_whole(void **state)
{
    struct link_ask interest = {.kind = LINK_INTEREST, .space = SPACE}, watch = {.kind = LINK_WATCH, .space = SPACE, .session = 9};
    struct link_ask presence = {.kind = LINK_PRESENCE, .space = SPACE, .user = SPAN_LITERAL("ana"), .device = SPAN_LITERAL("phone-0001"),
                                .session = 9, .state = PRESENCE_IDLE, .meta = SPAN_LITERAL("{\"m\":1}")};
    struct link_ask signal = {.kind = LINK_SIGNAL, .space = SPACE, .session = 9, .frame = blob_make(SPAN_LITERAL("{}"))};
    struct link_ask outcome = {.kind = LINK_OUTCOME, .space = SPACE, .record = blob_make(SPAN_LITERAL("record"))};
    (void)round_ask(*state, &interest, "interest");
    interest.kind = LINK_UNINTEREST;
    (void)round_ask(*state, &interest, "uninterest");
    (void)round_ask(*state, &watch, "watch");
    struct link_ask back = round_ask(*state, &presence, "presence");
    assert_true(span_is(back.user, "ana"));
    assert_true(span_is(back.device, "phone-0001"));
    assert_int_equal(back.state, PRESENCE_IDLE);
    assert_true(span_is(back.meta, "{\"m\":1}"));
    back = round_ask(*state, &signal, "signal");
    assert_true(span_is(blob_span(back.frame), "{}"));
    blob_put(back.frame);
    back = round_ask(*state, &outcome, "outcome");
    assert_null(back.frame);
    assert_true(span_is(blob_span(back.record), "record"));
    blob_put(back.record);
    blob_put(signal.frame);
    blob_put(outcome.record);
}

static void an_update_is_told_whole(void **state)
{
    struct span removed[] = {SPAN_LITERAL("bo"), SPAN_LITERAL("")};
    struct link_tell tell = {.kind = LINK_UPDATE, .space = SPACE, .place = 12, .prev = 3, .rev = 12, .push = 44, .user = SPAN_LITERAL("ana"),
                             .device = SPAN_LITERAL("phone-0001"), .removed_count = 2, .removed = removed, .recheck_all = true,
                             .frame = blob_make(SPAN_LITERAL("{\"type\":\"update\"}"))};
    struct link_tell back = round_tell(*state, &tell, "update");
    assert_int_equal(back.prev, 3);
    assert_int_equal(back.rev, 12);
    assert_int_equal(back.push, 44);
    assert_true(back.recheck_all);
    assert_int_equal(back.removed_count, 2);
    assert_true(span_is(back.removed[0], "bo"));
    assert_true(span_is(back.user, "ana"));
    assert_true(span_is(back.device, "phone-0001"));
    assert_true(span_is(blob_span(back.frame), "{\"type\":\"update\"}"));
    blob_put(back.frame);
    blob_put(tell.frame);
    tell.frame = NULL;
    assert_null(round_tell(*state, &tell, "update-head").frame);
}

static void answers_heads_and_rules_are_told_whole(void **state)
{
    struct link_tell answer = {.kind = LINK_ANSWER, .space = SPACE, .place = 5, .user = SPAN_LITERAL("ana"), .device = SPAN_LITERAL("phone-0001"),
                               .session = 3, .id = 8, .is_error = true, .with_update = true, .code = ERR_GAP, .frame = blob_make(SPAN_LITERAL("{}"))};
    struct link_tell head = {.kind = LINK_HEAD, .space = SPACE, .place = 9007199254740993};
    struct link_tell rules = {.kind = LINK_RULES, .space = SPAN_LITERAL("chat"), .version = 3, .presence = true};
    struct link_tell back = round_tell(*state, &answer, "answer");
    assert_int_equal(back.id, 8);
    assert_true(back.is_error && back.with_update);
    assert_int_equal(back.code, ERR_GAP);
    assert_true(span_is(back.user, "ana"));
    blob_put(back.frame);
    blob_put(answer.frame);
    (void)round_tell(*state, &head, "head");
    back = round_tell(*state, &rules, "rules");
    assert_int_equal(back.version, 3);
    assert_true(back.presence);
}

static void a_page_is_told_whole_and_what_stands_in_its_blob_goes_once(void **state)
{
    struct blob *blob = blob_make(SPAN_LITERAL("[{\"a\":1}][2]"));
    struct page_part parts[] = {{.session = 1, .role = ROLE_WRITER, .pushed = 4},
                                {.session = 2, .may_found = true, .refused_count = 1, .refused = {blob->text + 9, 3}}};
    struct page page = {.reset = true, .from_null = true, .from = 1, .from_floor = 2, .from_has_floor = true, .to = 3, .to_has_floor = true,
                        .to_floor = 4, .more = true, .head = 5, .docs_count = 1, .docs = {blob->text, 9}, .tail = SPAN_LITERAL("{\"m\":17}"),
                        .sum = SPAN_LITERAL("{}"), .window_s = 7776000, .next = a_run(), .parts_count = 2, .parts = parts};
    struct link_tell tell = {.kind = LINK_PAGE, .space = SPACE, .tag = 1, .page = &page, .frame = blob};
    struct link_tell back = round_tell(*state, &tell, "page");
    const struct page *got = back.page;
    assert_true(got->reset && got->from_null && got->from_has_floor && got->to_has_floor && got->more);
    assert_int_equal(got->from + got->from_floor * 10 + got->to * 100 + got->to_floor * 1000 + got->head * 10000, 54321);
    assert_int_equal(got->docs_count, 1);
    assert_int_equal(got->window_s, 7776000);
    assert_ptr_equal(got->docs.at, back.frame->text);
    assert_true(span_is(got->docs, "[{\"a\":1}]"));
    assert_true(span_is(got->tail, "{\"m\":17}"));
    assert_true(span_is(got->sum, "{}"));
    assert_run(&got->next);
    assert_int_equal(got->parts_count, 2);
    assert_int_equal(got->parts[0].pushed, 4);
    assert_int_equal(got->parts[0].role, ROLE_WRITER);
    assert_true(got->parts[1].may_found);
    assert_int_equal(got->parts[1].refused_count, 1);
    assert_true(span_is(got->parts[1].refused, "[2]"));
    assert_ptr_equal(got->parts[1].refused.at, back.frame->text + 9);
    blob_put(back.frame);
    blob_put(blob);
}

static void bodies_refusals_and_presence_are_told_whole(void **state)
{
    struct blob *blob = blob_make(SPAN_LITERAL("[]"));
    struct link_tell refused = {.kind = LINK_PAGE, .space = SPACE, .tag = 1, .err = ERR_FORBIDDEN};
    struct link_tell body = {.kind = LINK_BODY, .space = SPACE, .tag = 2, .at = 77, .more = true, .frame = blob};
    struct link_tell busy = {.kind = LINK_BODY, .space = SPACE, .tag = 2, .err = ERR_BUSY};
    struct link_tell presence = {.kind = LINK_PRESENCE_FRAME, .space = SPACE, .session = 2, .frame = blob};
    struct link_tell back = round_tell(*state, &refused, "page-refused");
    assert_int_equal(back.err, ERR_FORBIDDEN);
    assert_null(back.page);
    back = round_tell(*state, &body, "body");
    assert_int_equal(back.at, 77);
    assert_true(back.more);
    blob_put(back.frame);
    assert_int_equal(round_tell(*state, &busy, "body-busy").err, ERR_BUSY);
    blob_put(round_tell(*state, &presence, "presence-frame").frame);
    presence.kind = LINK_SIGNAL_FRAME;
    blob_put(round_tell(*state, &presence, "signal-frame").frame);
    blob_put(blob);
}

static void who_owns_is_told_whole(void **state)
{
    struct desk *desk = *state;
    uint32_t partition;
    bool owned;
    tcp_codec_owns(&desk->out, UINT32_MAX, true);
    assert_int_equal(tcp_codec_read_owns(fields_of(desk, TCP_OWNS, NULL, "owns"), &partition, &owned), ERR_OK);
    assert_true(partition == UINT32_MAX && owned);
    assert_int_equal(tcp_codec_read_owns(SPAN_LITERAL("\1"), &partition, &owned), ERR_INVALID);
    assert_int_equal(tcp_codec_read_owns(SPAN_LITERAL("\1\2"), &partition, &owned), ERR_INVALID);
}

static void a_message_cut_short_or_with_more_behind_it_is_none(void **state)
{
    struct desk *desk = *state;
    struct page_waiter waiter = {.session = 4, .user = SPAN_LITERAL("ana"), .device = SPAN_LITERAL("phone-0001")};
    struct link_ask ask = {.kind = LINK_PULL, .space = SPACE, .tag = 300, .run = a_run(), .waiters_count = 1, .waiters = &waiter}, back;
    struct blob *tail;
    tcp_codec_ask(&desk->out, &ask, &tail);
    struct span fields = fields_of(desk, TCP_ASK, tail, "cut");
    for (size_t bytes = 0; bytes < fields.bytes; bytes++)
        assert_int_equal(tcp_codec_read_ask(span_of(fields.at, bytes), &desk->arena, &back), ERR_INVALID);
    buf_add_char(&desk->out, 0);
    fields = span_of(desk->out.at + TCP_FRAME_HEAD_BYTES, desk->out.bytes - TCP_FRAME_HEAD_BYTES);
    assert_int_equal(tcp_codec_read_ask(fields, &desk->arena, &back), ERR_INVALID);
}

static void counts_that_the_bytes_cannot_hold_are_malformed(void **state)
{
    struct desk *desk = *state;
    struct link_ask ask;
    struct link_tell tell;
    /* WHO, no tail, space "a", tag 1, then a list of 2^63 waiters. */
    static const char many[] = "\7\0\1a\1\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
    /* HEAD with a place of more than 64 bits. */
    static const char wide[] = "\1\0\1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02";
    /* BODY whose tail is said to be longer than the frame. */
    static const char long_tail[] = "\5\x7f\1a\1\0\0\0x";
    assert_int_equal(tcp_codec_read_ask(span_of(many, sizeof many - 1), &desk->arena, &ask), ERR_INVALID);
    assert_int_equal(tcp_codec_read_tell(span_of(wide, sizeof wide - 1), &desk->arena, &tell), ERR_INVALID);
    assert_int_equal(tcp_codec_read_tell(span_of(long_tail, sizeof long_tail - 1), &desk->arena, &tell), ERR_INVALID);
    assert_int_equal(tcp_codec_read_ask(SPAN_LITERAL("\x63\0\1a"), &desk->arena, &ask), ERR_INVALID);
    assert_int_equal(tcp_codec_read_tell(SPAN_LITERAL("\3\0\1a\0\0\0\0\0\0\0"), &desk->arena, &tell), ERR_INVALID); /* ANSWER without its frame */
}

int main(void)
{
#define CODEC_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CODEC_TEST(a_pull_is_asked_whole),
        CODEC_TEST(questions_are_asked_whole),
        CODEC_TEST(interests_presence_and_signals_are_asked_whole),
        CODEC_TEST(an_update_is_told_whole),
        CODEC_TEST(answers_heads_and_rules_are_told_whole),
        CODEC_TEST(a_page_is_told_whole_and_what_stands_in_its_blob_goes_once),
        CODEC_TEST(bodies_refusals_and_presence_are_told_whole),
        CODEC_TEST(who_owns_is_told_whole),
        CODEC_TEST(a_message_cut_short_or_with_more_behind_it_is_none),
        CODEC_TEST(counts_that_the_bytes_cannot_hold_are_malformed),
    };
    return cmocka_run_group_tests_name("tcp_codec", tests, NULL, NULL);
}
