/* Frames of devices decoded, frames of the gateway encoded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/frame.h"
#include "core/limits.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 24);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct frame decode(const char *text)
{
    struct frame frame;
    arena_reset(&arena);
    assert_int_equal(frame_decode(span_text(text), &arena, &frame), ERR_OK);
    return frame;
}

static void is_bad(const char *text, const char *why_begins)
{
    struct frame frame = decode(text);
    if (frame.type != FRAME_UNKNOWN || strncmp(frame.why, why_begins, strlen(why_begins)) != 0)
        fail_msg("%s: type %d, %s", text, (int)frame.type, frame.why == NULL ? "no reason" : frame.why);
}

static void frame__a_hello_is_read_whole(void **state)
{
    (void)state;
    struct frame f = decode("{\"type\":\"hello\",\"protocol\":1,\"token\":\"a.b\",\"device\":\"dev\\u0069ce-01\",\"client\":\"x\",\"background\":true}");
    assert_int_equal(f.type, FRAME_HELLO);
    assert_null(f.why);
    assert_int_equal(f.protocol, 1);
    assert_true(span_is(f.token, "a.b") && span_is(f.device, "device-01") && f.background);
    f = decode("{\"type\":\"hello\",\"protocol\":1,\"device\":\"device-01\"}");
    assert_true(f.why == NULL && f.token.bytes == 0 && !f.background);
}

static void frame__a_malformed_hello_is_still_a_hello(void **state)
{
    static const char *const texts[] = {
        "{\"type\":\"hello\",\"protocol\":1}", "{\"type\":\"hello\",\"protocol\":1,\"device\":\"short\"}",
        "{\"type\":\"hello\",\"protocol\":\"1\",\"device\":\"device-01\"}", "{\"type\":\"hello\",\"protocol\":1.0,\"device\":\"device-01\"}",
        "{\"type\":\"hello\",\"protocol\":1,\"device\":\"device-01\",\"token\":7}",
        "{\"type\":\"hello\",\"protocol\":1,\"device\":\"device-01\",\"background\":1}",
        "{\"type\":\"hello\",\"protocol\":1,\"protocol\":1,\"device\":\"device-01\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct frame f = decode(texts[i]);
        assert_int_equal(f.type, FRAME_HELLO);
        assert_non_null(f.why);
    }
}

static void frame__an_open_is_read_whole(void **state)
{
    (void)state;
    struct frame f = decode("{\"type\":\"open\",\"ref\":\"r\\\"1\",\"spaces\":[{\"space\":\"chat:a\",\"since\":\"c1\",\"known\":9007199254740991,"
                            "\"tail\":50,\"new\":{}},{\"space\":\"no name\",\"since\":null}],\"mode\":\"once\",\"presence\":true,"
                            "\"meta\":{\"a\":1,\"a\":2}}");
    assert_int_equal(f.type, FRAME_OPEN);
    assert_true(span_is(f.ref, "\"r\\\"1\"") && f.once && f.presence && span_is(f.meta, "{\"a\":1,\"a\":2}"));
    assert_int_equal(f.opens_count, 2);
    assert_true(span_is(f.opens[0].space, "chat:a") && span_is(f.opens[0].since, "c1") && !f.opens[0].since_null);
    assert_true(f.opens[0].known == UINT64_C(9007199254740991) && f.opens[0].tail == 50);
    assert_true(f.opens[1].since_null && span_is(f.opens[1].space, "no name"));
}

static void frame__a_cursor_too_long_to_be_ours_is_merely_foreign(void **state)
{
    char text[2048];
    (void)state;
    snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"since\":\"%0*d\"}]}", 1000, 0);
    struct frame f = decode(text);
    assert_int_equal(f.type, FRAME_OPEN);
    assert_true(!f.opens[0].since_null && f.opens[0].since.bytes < 256);
}

static void frame__a_malformed_open_names_the_member(void **state)
{
    (void)state;
    is_bad("{\"type\":\"open\",\"spaces\":[]}", "ref:");
    is_bad("{\"type\":\"open\",\"ref\":1}", "spaces:");
    is_bad("{\"type\":\"open\",\"ref\":1,\"spaces\":[3]}", "spaces:");
    is_bad("{\"type\":\"open\",\"ref\":1,\"spaces\":[{}]}", "spaces.space:");
    is_bad("{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"since\":4}]}", "spaces.since:");
    is_bad("{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"known\":-1}]}", "spaces.known:");
    is_bad("{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"known\":9007199254740992}]}", "spaces.known:");
    is_bad("{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"chat:a\",\"tail\":1.5}]}", "spaces.tail:");
    is_bad("{\"type\":\"open\",\"ref\":1,\"spaces\":[],\"mode\":\"twice\"}", "mode:");
    is_bad("{\"type\":\"open\",\"ref\":1,\"spaces\":[],\"presence\":\"yes\"}", "presence:");
    is_bad("{\"type\":\"open\",\"ref\":1,\"spaces\":[],\"meta\":[]}", "meta:");
}

static void frame__a_push_is_read_and_its_operations_left_as_they_are(void **state)
{
    (void)state;
    struct frame f = decode("{\"type\":\"push\",\"id\":7,\"after\":5,\"space\":\"cart:x\",\"known\":4,\"ops\":[{\"op\":\"put\",\"body\":{\"n\":1.10}}, 3 ]}");
    assert_int_equal(f.type, FRAME_PUSH);
    assert_true(f.id == 7 && f.after == 5 && f.known == 4 && span_is(f.space, "cart:x"));
    assert_true(span_is(f.ops.raw, "[{\"op\":\"put\",\"body\":{\"n\":1.10}}, 3 ]"));
}

static void frame__a_malformed_push_names_the_member_and_what_it_had(void **state)
{
    (void)state;
    is_bad("{\"type\":\"push\",\"space\":\"cart:x\",\"ops\":[]}", "id:");
    is_bad("{\"type\":\"push\",\"id\":0,\"space\":\"cart:x\",\"ops\":[]}", "id:");
    is_bad("{\"type\":\"push\",\"id\":1,\"after\":1,\"space\":\"cart:x\",\"ops\":[]}", "after:");
    is_bad("{\"type\":\"push\",\"id\":1,\"space\":\"cart:x\",\"ops\":{}}", "ops:");
    is_bad("{\"type\":\"push\",\"id\":1,\"ops\":[]}", "space:");
    struct frame f = decode("{\"type\":\"push\",\"id\":3,\"ref\":\"q\",\"space\":\"cart:x\",\"known\":null,\"ops\":[]}");
    assert_int_equal(f.type, FRAME_UNKNOWN);
    assert_true(f.has_id && f.id == 3 && span_is(f.space, "cart:x") && span_is(f.ref, "\"q\""));
}

static void frame__a_repeated_key_is_bad_everywhere_but_in_bodies(void **state)
{
    (void)state;
    is_bad("{\"type\":\"ping\",\"type\":\"ping\"}", "a key is repeated");
    is_bad("{\"type\":\"ping\",\"x\":{\"a\":[{\"b\":1,\"b\":2}]}}", "a key is repeated");
    is_bad("{\"type\":\"push\",\"id\":1,\"space\":\"cart:x\",\"ops\":[{\"op\":\"put\",\"\\u006fp\":\"put\"}]}", "a key is repeated");
    assert_int_equal(decode("{\"type\":\"push\",\"id\":1,\"space\":\"cart:x\",\"ops\":[{\"op\":\"put\",\"body\":{\"a\":1,\"a\":2},"
                            "\"value\":{\"b\":1,\"b\":1},\"values\":[{\"c\":1,\"c\":1}]}]}").type, FRAME_PUSH);
    assert_int_equal(decode("{\"type\":\"signal\",\"space\":\"chat:a\",\"body\":{\"a\":1,\"a\":2}}").type, FRAME_SIGNAL);
}

static void frame__nesting_stops_at_32(void **state)
{
    char text[256] = "{\"type\":\"signal\",\"space\":\"chat:a\",\"body\":";
    size_t at = strlen(text);
    (void)state;
    memset(text + at, '[', 31);
    memset(text + at + 31, ']', 31);
    memcpy(text + at + 62, "}", 2);
    assert_int_equal(decode(text).type, FRAME_SIGNAL);
    memset(text + at, '[', 32);
    memset(text + at + 32, ']', 32);
    memcpy(text + at + 64, "}", 2);
    is_bad(text, "not strict JSON");
}

static void frame__garbage_is_bad_and_unknown_members_are_not(void **state)
{
    (void)state;
    is_bad("", "not strict JSON");
    is_bad("{\"type\":\"ping\"} x", "not strict JSON");
    is_bad("{\"type\":\"ping\",}", "not strict JSON");
    is_bad("{\"type\":\"\xff\"}", "not strict JSON");
    is_bad("[]", "must be a JSON object");
    is_bad("{}", "type:");
    is_bad("{\"type\":5}", "type:");
    is_bad("{\"type\":\"dance\"}", "type:");
    assert_int_equal(decode(" {\"type\":\"ping\",\"since\":{\"x\":[null]},\"\":1} ").type, FRAME_PING);
}

static void frame__the_small_ones_are_read(void **state)
{
    (void)state;
    struct frame f = decode("{\"type\":\"history\",\"ref\":2,\"space\":\"chat:a\",\"collection\":\"messages\",\"before\":9,\"limit\":3}");
    assert_true(f.type == FRAME_HISTORY && span_is(f.collection, "messages") && f.before == 9 && f.limit == 3);
    is_bad("{\"type\":\"history\",\"space\":\"chat:a\",\"collection\":\"messages\"}", "ref:");
    is_bad("{\"type\":\"history\",\"ref\":2,\"space\":\"chat:a\"}", "collection:");
    f = decode("{\"type\":\"seen\",\"space\":\"chat:a\",\"cursor\":\"c\"}");
    assert_true(f.type == FRAME_SEEN && span_is(f.cursor, "c"));
    is_bad("{\"type\":\"seen\",\"space\":\"chat:a\"}", "cursor:");
    assert_int_equal(decode("{\"type\":\"close\",\"space\":\"chat:a\"}").type, FRAME_CLOSE);
    is_bad("{\"type\":\"close\"}", "space:");
    is_bad("{\"type\":\"signal\",\"space\":\"chat:a\"}", "body:");
    f = decode("{\"type\":\"auth\",\"token\":\"t\"}");
    assert_true(f.type == FRAME_AUTH && span_is(f.token, "t"));
    is_bad("{\"type\":\"auth\"}", "token:");
}

static void frame__a_token_past_its_bound_does_not_verify_and_is_no_bad_frame(void **state)
{
    char *text = malloc(LIMIT_TOKEN_BYTES_MAX * 7 + 100);
    (void)state;
    assert_non_null(text);
    snprintf(text, LIMIT_TOKEN_BYTES_MAX * 7 + 100, "{\"type\":\"auth\",\"token\":\"%0*d\"}", LIMIT_TOKEN_BYTES_MAX * 7, 0);
    struct frame f = decode(text);
    assert_true(f.type == FRAME_AUTH && f.token.bytes > 0 && f.token.bytes <= LIMIT_TOKEN_BYTES_MAX);
    free(text);
}

static void frame__what_the_gateway_says_is_exact(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 4096);
    frame_error(&buf, ERR_TOO_MANY, NULL, SPAN_LITERAL("\"r\""), true, 4, SPAN_LITERAL("chat:a"), 250);
    assert_true(span_is(buf_span(&buf), "{\"type\":\"error\",\"code\":\"too_many\",\"message\":\"more at once than the limit allows\",\"ref\":\"r\",\"id\":4,\"space\":\"chat:a\",\"retry\":250}"));
    buf_reset(&buf);
    frame_error(&buf, ERR_BAD_FRAME, "no", span_of(NULL, 0), false, 0, span_of(NULL, 0), 0);
    assert_true(span_is(buf_span(&buf), "{\"type\":\"error\",\"code\":\"bad_frame\",\"message\":\"no\"}"));
    buf_reset(&buf);
    frame_ack(&buf, SPAN_LITERAL("chat:a"), 12);
    assert_true(span_is(buf_span(&buf), "{\"type\":\"ack\",\"space\":\"chat:a\",\"id\":12}"));
    buf_reset(&buf);
    frame_bye(&buf, "draining", 300);
    assert_true(span_is(buf_span(&buf), "{\"type\":\"bye\",\"reason\":\"draining\",\"retry\":300}"));
    buf_reset(&buf);
    frame_refusal(&buf, SPAN_LITERAL("x\"y"), 3, ERR_INVALID, "why");
    assert_true(span_is(buf_span(&buf), "{\"type\":\"result\",\"status\":\"rejected\",\"code\":\"invalid\",\"message\":\"why\",\"id\":3,\"space\":\"x\\\"y\"}"));
    buf_reset(&buf);
    frame_closed(&buf, SPAN_LITERAL("chat:a"), ERR_FORBIDDEN, true, SPAN_LITERAL("1"));
    assert_true(span_is(buf_span(&buf), "{\"type\":\"closed\",\"space\":\"chat:a\",\"code\":\"forbidden\",\"purge\":true,\"ref\":1}"));
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame__a_hello_is_read_whole),
        cmocka_unit_test(frame__a_malformed_hello_is_still_a_hello),
        cmocka_unit_test(frame__an_open_is_read_whole),
        cmocka_unit_test(frame__a_cursor_too_long_to_be_ours_is_merely_foreign),
        cmocka_unit_test(frame__a_malformed_open_names_the_member),
        cmocka_unit_test(frame__a_push_is_read_and_its_operations_left_as_they_are),
        cmocka_unit_test(frame__a_malformed_push_names_the_member_and_what_it_had),
        cmocka_unit_test(frame__a_repeated_key_is_bad_everywhere_but_in_bodies),
        cmocka_unit_test(frame__nesting_stops_at_32),
        cmocka_unit_test(frame__garbage_is_bad_and_unknown_members_are_not),
        cmocka_unit_test(frame__the_small_ones_are_read),
        cmocka_unit_test(frame__a_token_past_its_bound_does_not_verify_and_is_no_bad_frame),
        cmocka_unit_test(frame__what_the_gateway_says_is_exact)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
