/* The buffer: its bound, and strings that go out as they came in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/buf.h"
#include "core/json.h"

/* `text` with quotes, decoded and encoded again. */
static void goes_out_as(const char *text, const char *expected)
{
    struct json_value value;
    struct buf buf;
    char room[256];
    assert_true(json_check(span_text(text), &value, NULL));
    size_t bytes = json_decode(json_inside(value), room, sizeof room);
    assert_true(bytes <= sizeof room);
    buf_init(&buf, 4096);
    buf_add_json_string(&buf, span_of(room, bytes));
    assert_true(buf_ok(&buf));
    if (!span_is(buf_span(&buf), expected)) fail_msg("%s went out as %.*s", text, (int)buf.bytes, buf.at);
    assert_true(json_check(buf_span(&buf), &value, NULL));
    buf_fini(&buf);
}

static void buf__a_string_goes_out_as_it_came(void **state)
{
    (void)state;
    goes_out_as("\"\"", "\"\"");
    goes_out_as("\"abc\"", "\"abc\"");
    goes_out_as("\"\\\" \\\\ \\/ \\b \\n \\t \\u0000\"", "\"\\\" \\\\ / \\u0008 \\n \\t \\u0000\"");
    goes_out_as("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    goes_out_as("\"\xed\x9f\xbf\xee\x80\x80\"", "\"\xed\x9f\xbf\xee\x80\x80\""); /* the neighbours of the surrogates */
    goes_out_as("\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\"");
}

static void buf__half_a_surrogate_pair_goes_out_as_an_escape(void **state)
{
    (void)state;
    goes_out_as("\"\\ud800\"", "\"\\ud800\"");
    goes_out_as("\"\\uDBFF\"", "\"\\udbff\"");
    goes_out_as("\"\\udc00\"", "\"\\udc00\"");
    goes_out_as("\"\\udfff\"", "\"\\udfff\"");
    goes_out_as("\"a\\ud800b\\udc00\\ud800\\nc\"", "\"a\\ud800b\\udc00\\ud800\\nc\"");
}

static void buf__past_its_bound_it_says_so_and_stays_within(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 8);
    buf_add_text(&buf, "1234567");
    assert_true(buf_ok(&buf));
    buf_add_text(&buf, "89");
    assert_false(buf_ok(&buf));
    assert_true(buf.bytes <= 8);
    buf_add_text(&buf, "");
    assert_false(buf_ok(&buf));
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf__a_string_goes_out_as_it_came),
        cmocka_unit_test(buf__half_a_surrogate_pair_goes_out_as_an_escape),
        cmocka_unit_test(buf__past_its_bound_it_says_so_and_stays_within),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
