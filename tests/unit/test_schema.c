/* What the public suite does not ask of schemas and patterns: bounds, refusals by name, and what is said of a misfit. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/pattern.h"
#include "core/schema.h"

static char why[256];

static struct schema *compiled(const char *text)
{
    struct schema *schema = NULL;
    enum err err = schema_compile(span_text(text), &schema, why, sizeof why);
    if (err != ERR_OK) print_message("%s\n", why);
    assert_int_equal(err, ERR_OK);
    return schema;
}

static bool fits(const char *text, const char *value)
{
    struct schema *schema = compiled(text);
    struct json_value parsed;
    why[0] = '\0';
    assert_true(json_check(span_text(value), &parsed, NULL));
    bool good = schema_fits(schema, parsed, why, sizeof why);
    schema_free(schema);
    return good;
}

static void refused(const char *text, const char *said)
{
    struct schema *schema = NULL;
    assert_int_equal(schema_compile(span_text(text), &schema, why, sizeof why), ERR_INVALID);
    if (strstr(why, said) == NULL) print_message("%s\n", why);
    assert_non_null(strstr(why, said));
}

static void a_misfit_names_the_member(void **state)
{
    (void)state;
    assert_false(fits("{\"$defs\":{\"day\":{\"pattern\":\"^\\\\d{4}-\\\\d\\\\d-\\\\d\\\\d$\"}},\"properties\":{\"due\":{\"$ref\":\"#/$defs/day\"}}}", "{\"due\":\"soon\"}"));
    assert_string_equal(why, "due: does not match the pattern");
    assert_false(fits("{\"dependentRequired\":{\"lat\":[\"lon\"]}}", "{\"lat\":1}"));
    assert_string_equal(why, "lon: is missing, or not allowed");
    assert_false(fits("{\"if\":{\"required\":[\"paid\"]},\"then\":{\"properties\":{\"sum\":{\"type\":\"number\"}}}}", "{\"paid\":1,\"sum\":\"x\"}"));
    assert_string_equal(why, "sum: must be a number");
}

static void what_is_not_understood_is_refused_by_name(void **state)
{
    (void)state;
    refused("{\"unevaluatedProperties\":false}", "unevaluatedProperties: this keyword is not supported");
    refused("{\"properties\":{\"a\":true},\"properties\":{\"b\":true}}", "properties: stands twice");
    refused("{\"p\\u0061ttern\":\"a\"}", "not supported");
    refused("{\"$ref\":\"other.json\"}", "$ref: must be a place in this schema");
    refused("{\"$ref\":\"#/$defs/none\"}", "$ref: names no place");
    refused("{\"properties\":{\"a\":{\"$id\":\"x\"},\"b\":{\"$ref\":\"#\"}}}", "another's $id");
    refused("{\"$defs\":{\"unused\":{\"zork\":1}}}", "zork");
    refused("{\"pattern\":\"(a)\\\\1\"}", "pattern: back references");
    refused("{\"pattern\":\"(?=a)\"}", "look-around");
    refused("{\"pattern\":\"\\\\p{L}\"}", "\\p{..}");
    refused("{\"patternProperties\":{\"a(\":{}}}", "patternProperties: ( without");
}

static void references_that_never_end_do_not_hang_and_fit_nothing(void **state)
{
    char deep[57] = "";
    (void)state;
    memset(deep, '[', 28);
    memset(deep + 28, ']', 28);
    assert_false(fits("{\"$ref\":\"#\"}", "{}"));
    assert_string_equal(why, "body: takes too long to be judged");
    assert_false(fits("{\"not\":{\"$ref\":\"#\"}}", "{}"));
    assert_false(fits("{\"anyOf\":[{\"maxItems\":0,\"minItems\":1},{\"items\":{\"$ref\":\"#\"},\"minItems\":1},{\"items\":{\"$ref\":\"#\"},\"contains\":false}]}", deep));
    assert_string_equal(why, "body: takes too long to be judged");
}

static void a_list_may_refer_to_itself(void **state)
{
    (void)state;
    const char *tree = "{\"properties\":{\"kids\":{\"items\":{\"$ref\":\"#\"}},\"n\":{\"type\":\"integer\"}}}";
    assert_true(fits(tree, "{\"n\":1,\"kids\":[{\"n\":2,\"kids\":[{\"n\":3}]}]}"));
    assert_false(fits(tree, "{\"n\":1,\"kids\":[{\"n\":2,\"kids\":[{\"n\":\"3\"}]}]}"));
}

static enum err compile(const char *raw, struct pattern **ret_pattern)
{
    const char *text = "";
    return pattern_compile(span_text(raw), ret_pattern, &text);
}

static void a_pattern_that_hangs_others_is_done_in_one_pass(void **state)
{
    enum { LONG = 200000 };
    struct pattern *pattern = NULL;
    char *text = malloc(LONG);
    (void)state;
    assert_non_null(text);
    memset(text, 'a', LONG);
    assert_int_equal(compile("^(a+)+$|(a|aa)*b|(a*)*c", &pattern), ERR_OK);
    assert_true(pattern_find(pattern, span_of(text, LONG)));
    text[LONG - 1] = '!';
    assert_false(pattern_find(pattern, span_of(text, LONG)));
    pattern_free(pattern);
    free(text);
}

static void a_pattern_is_bounded(void **state)
{
    struct pattern *pattern = NULL;
    char deep[35] = "";
    (void)state;
    memset(deep, '(', 17);
    memset(deep + 17, ')', 17);
    assert_int_equal(compile("a{1000}", &pattern), ERR_OK);
    pattern_free(pattern);
    assert_int_equal(compile("(a{100}){100}", &pattern), ERR_INVALID);
    assert_int_equal(compile("a{99999999999999999999}", &pattern), ERR_INVALID);
    assert_int_equal(compile(deep, &pattern), ERR_INVALID);
}

static void a_pattern_counts_characters_not_bytes_however_they_are_written(void **state)
{
    (void)state;
    assert_true(fits("{\"pattern\":\"^.$\"}", "\"\xf0\x9f\x8e\x89\""));
    assert_true(fits("{\"pattern\":\"^.$\"}", "\"\\ud83c\\udf89\""));
    assert_true(fits("{\"pattern\":\"^\\\\u{1f389}[\xc3\xa0-\xc3\xbf]\\\\ud83c\\\\udf89$\"}", "\"\\ud83c\\udf89\\u00e9\xf0\x9f\x8e\x89\""));
    assert_true(fits("{\"pattern\":\"^\\\\S+\\\\s\\\\bx\\\\B\"}", "\"a-b\\u00a0xy\""));
    assert_false(fits("{\"pattern\":\"^[^a-c\\\\d]+$\"}", "\"xyz7\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_misfit_names_the_member),
        cmocka_unit_test(what_is_not_understood_is_refused_by_name),
        cmocka_unit_test(references_that_never_end_do_not_hang_and_fit_nothing),
        cmocka_unit_test(a_list_may_refer_to_itself),
        cmocka_unit_test(a_pattern_that_hangs_others_is_done_in_one_pass),
        cmocka_unit_test(a_pattern_is_bounded),
        cmocka_unit_test(a_pattern_counts_characters_not_bytes_however_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
