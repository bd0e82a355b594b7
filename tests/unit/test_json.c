/* The strict reader: what it takes, what it refuses, and that its spans are the very bytes. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#include "core/json.h"

static struct json_value checked(const char *text)
{
    struct json_value value;
    assert_true(json_check(span_text(text), &value, NULL));
    return value;
}

static void json__takes_what_rfc_8259_takes(void **state)
{
    static const char *const good[] = {"{}", "[]", " \t\r\n1 ", "-0", "0.5e-10", "1E+2", "\"\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "null", "true", "false",
        "[[],[{}],{\"a\":[]}]", "{\"a\":1,\"a\":2}", "\"\xf0\x9f\x98\x80\"", "\"\\ud83d\\ude00\"", "\"\\ud800\"", "123456789012345678901234567890", "1e999"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!json_check(span_text(good[i]), NULL, NULL)) fail_msg("refused: %s", good[i]);
}

static void json__refuses_everything_else_and_says_where(void **state)
{
    static const char *const bad[] = {"", " ", "{", "}", "[1,]", "{\"a\":1,}", "{,}", "[,1]", "01", "-", "1.", ".5", "1e", "+1", "nul", "True", "'a'", "{a:1}", "{\"a\" 1}",
        "{\"a\":}", "[1 2]", "{}x", "1 2", "\"", "\"\\x\"", "\"\\u12\"", "\"a\nb\"", "\"\x01\"", "\xef\xbb\xbf{}", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\"",
        "NaN", "Infinity", "[1]]", "//x\n1", "0x10"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t at = SIZE_MAX;
        if (json_check(span_text(bad[i]), NULL, &at)) fail_msg("taken: %s", bad[i]);
        assert_true(at <= strlen(bad[i]));
    }
}

static void json__nests_to_its_bound_and_no_deeper(void **state)
{
    char text[2 * 40 + 1];
    (void)state;
    for (unsigned depth = 1; depth < 40; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(json_check(span_of(text, 2 * (size_t)depth), NULL, NULL), depth <= 32);
        assert_int_equal(json_check_depth(span_of(text, 2 * (size_t)depth), 5, NULL, NULL), depth <= 5);
    }
}

static void json__hands_out_the_bytes_as_they_stand(void **state)
{
    struct json_value object = checked(" { \"a\" : 1.10 , \"b\":[ 1, {\"c\" : \"x]}\\\"\"} ],\"n\":9007199254740993}");
    struct json_iter iter = json_members(object);
    struct json_member member;
    (void)state;
    assert_true(json_next_member(&iter, &member));
    assert_true(span_is(member.key, "a") && span_is(member.value.raw, "1.10"));
    assert_true(json_next_member(&iter, &member));
    assert_true(span_is(member.value.raw, "[ 1, {\"c\" : \"x]}\\\"\"} ]"));
    assert_int_equal(json_count(member.value), 2);
    assert_true(json_next_member(&iter, &member));
    assert_true(span_is(member.value.raw, "9007199254740993"));
    assert_false(json_next_member(&iter, &member));
    assert_int_equal(json_count(object), 3);
    assert_int_equal(json_count(checked("[ ]")), 0);
}

static void json__compares_keys_by_what_they_mean(void **state)
{
    struct json_value object = checked("{\"caf\\u00e9\":1,\"\\ud83d\\ude00\":2,\"plain\":3}");
    (void)state;
    assert_int_equal(json_find(object, "caf\xc3\xa9").type, JSON_NUMBER);
    assert_int_equal(json_find(object, "\xf0\x9f\x98\x80").type, JSON_NUMBER);
    assert_int_equal(json_find(object, "plain").type, JSON_NUMBER);
    assert_int_equal(json_find(object, "plai").type, JSON_NONE);
    assert_int_equal(json_find(object, "plain ").type, JSON_NONE);
    assert_true(json_has_repeated_key(checked("{\"a\":1,\"b\":2,\"\\u0061\":3}")));
    assert_false(json_has_repeated_key(checked("{\"a\":{\"a\":1},\"b\":{\"a\":1}}")));
    assert_true(json_key_equal(SPAN_LITERAL("\\u0061b"), SPAN_LITERAL("a\\u0062")));
    assert_false(json_key_equal(SPAN_LITERAL("\\u0061b"), SPAN_LITERAL("a\\u0063")));
}

static void json__decodes_strings(void **state)
{
    char room[32];
    struct json_value value = checked("\"\\u00e9\\ud83d\\ude00\\n\\/x\\ud800\"");
    (void)state;
    size_t bytes = json_decode(json_inside(value), room, sizeof room);
    assert_int_equal(bytes, 12);
    assert_memory_equal(room, "\xc3\xa9\xf0\x9f\x98\x80\n/x\xed\xa0\x80", 12);
    assert_int_equal(json_decode(json_inside(value), room, 11), SIZE_MAX);
    assert_int_equal(json_code_points(value), 6);
    assert_true(json_string_is(checked("\"a\\u0062\""), "ab"));
    assert_false(json_string_is(checked("1"), "1"));
}

static void json__reads_integers_of_the_wire_only(void **state)
{
    static const struct { const char *text; int good; int64_t value; } cases[] = {
        {"0", 1, 0}, {"-5", 1, -5}, {"9007199254740991", 1, INT64_C(9007199254740991)}, {"-9007199254740991", 1, -INT64_C(9007199254740991)},
        {"9007199254740992", 0, 0}, {"1.0", 0, 0}, {"1e2", 0, 0}, {"99999999999999999999", 0, 0}, {"\"1\"", 0, 0}, {"null", 0, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 0;
        assert_int_equal(json_integer(checked(cases[i].text), &value), cases[i].good);
        if (cases[i].good) assert_true(value == cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json__takes_what_rfc_8259_takes), cmocka_unit_test(json__refuses_everything_else_and_says_where),
        cmocka_unit_test(json__nests_to_its_bound_and_no_deeper), cmocka_unit_test(json__hands_out_the_bytes_as_they_stand),
        cmocka_unit_test(json__compares_keys_by_what_they_mean), cmocka_unit_test(json__decodes_strings),
        cmocka_unit_test(json__reads_integers_of_the_wire_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
