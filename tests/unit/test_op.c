/* Operations: what decodes, what is refused and how it is named, which pushes are one to the digest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/limits.h"
#include "core/op.h"

struct decoded {
    struct arena arena;
    char *text;
    struct op *ops;
    size_t count;
    char why[201];
    enum err err;
};

static struct json_value checked(const char *text)
{
    struct json_value value;
    assert_true(json_check(span_text(text), &value, NULL));
    return value;
}

static void decode(struct decoded *d, const char *text)
{
    *d = (struct decoded){.text = strdup(text)};
    assert_non_null(d->text);
    arena_init(&d->arena, 67108864);
    d->err = op_decode_all(checked(d->text), &d->arena, &d->ops, &d->count, d->why, sizeof d->why);
}

static void fini(struct decoded *d)
{
    arena_fini(&d->arena);
    free(d->text);
}

static void refuses(const char *text, enum err err, const char *why)
{
    struct decoded d;
    decode(&d, text);
    if (d.err != err || strcmp(d.why, why) != 0) print_error("%s: %s: %s\n", text, err_name(d.err), d.why);
    assert_int_equal(d.err, err);
    assert_string_equal(d.why, why);
    fini(&d);
}

static void accepts(const char *text)
{
    struct decoded d;
    decode(&d, text);
    if (d.err != ERR_OK) print_error("%s: %s\n", text, d.why);
    assert_int_equal(d.err, ERR_OK);
    fini(&d);
}

static bool span_says(struct span span, const char *text) { return span_is(span, text); }

static void op__every_kind_decodes(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "[{\"op\":\"put\",\"collection\":\"a\",\"id\":\"1\",\"body\":{ \"x\" : 1 }},"
               "{\"op\":\"patch\",\"collection\":\"a\",\"id\":\"1\",\"body\":{}},"
               "{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\"},"
               "{\"op\":\"append\",\"collection\":\"a\",\"id\":\"1\",\"body\":{}},"
               "{\"op\":\"incr\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"n\",\"by\":-9223372036854775808,\"min\":0,\"max\":9223372036854775807},"
               "{\"op\":\"add\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"t\",\"values\":[1,\"a\"]},"
               "{\"op\":\"remove\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"t\",\"values\":[]},"
               "{\"op\":\"max\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"m\",\"value\":1e400}]");
    assert_int_equal(d.err, ERR_OK);
    assert_int_equal(d.count, 8);
    for (size_t i = 0; i < d.count; i++) assert_int_equal(d.ops[i].kind, i);
    assert_true(span_says(d.ops[0].body.raw, "{ \"x\" : 1 }"));
    assert_true(d.ops[0].body.raw.at > d.text && d.ops[0].body.raw.at < d.text + strlen(d.text));
    assert_true(d.ops[4].by == INT64_MIN && d.ops[4].has_min && d.ops[4].min == 0 && d.ops[4].max == INT64_MAX);
    assert_true(span_says(d.ops[5].values.raw, "[1,\"a\"]"));
    assert_true(span_says(d.ops[7].value.raw, "1e400"));
    fini(&d);
}

static void op__names_are_decoded_and_values_are_not(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "[{\"op\":\"\\u0069ncr\",\"collection\":\"\\u0061b\",\"id\":\"caf\\u00e9\",\"field\":\"q\\\"\",\"by\":1}]");
    assert_int_equal(d.err, ERR_OK);
    assert_int_equal(d.ops[0].kind, OP_INCR);
    assert_true(span_says(d.ops[0].collection, "ab"));
    assert_true(span_says(d.ops[0].id, "caf\xc3\xa9"));
    assert_true(span_says(d.ops[0].field, "q\""));
    assert_true(span_says(d.ops[0].field_raw, "q\\\""));
    fini(&d);
}

static void op__age_base_and_if_mean_what_the_protocol_says(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\"},"
               "{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\",\"age\":null,\"base\":0,\"if\":\"absent\"},"
               "{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\",\"age\":-5,\"base\":9007199254740991,\"if\":7}]");
    assert_int_equal(d.err, ERR_OK);
    assert_false(d.ops[0].age_unknown || d.ops[0].has_base || d.ops[0].age_ms != 0);
    assert_int_equal(d.ops[0].condition, OP_IF_NONE);
    assert_true(d.ops[1].age_unknown && d.ops[1].has_base && d.ops[1].base == 0);
    assert_int_equal(d.ops[1].condition, OP_IF_ABSENT);
    assert_true(d.ops[2].age_ms == 0 && d.ops[2].base == 9007199254740991 && d.ops[2].if_rev == 7);
    assert_int_equal(d.ops[2].condition, OP_IF_REV);
    fini(&d);
}

static void op__what_is_wrong_is_named(void **state)
{
    (void)state;
    refuses("{}", ERR_INVALID, "ops: must be an array");
    refuses("[7]", ERR_INVALID, "ops[0]: must be an object");
    refuses("[{}]", ERR_INVALID, "ops[0].op: must be a string");
    refuses("[{\"op\":\"steal\"}]", ERR_INVALID, "ops[0].op: no such operation");
    refuses("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\"},{\"op\":\"delete\",\"id\":\"1\"}]", ERR_INVALID,
            "ops[1].collection: must be a string");
    refuses("[{\"op\":\"delete\",\"collection\":\"A\",\"id\":\"1\"}]", ERR_INVALID, "ops[0].collection: not a collection's name");
    refuses("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":7}]", ERR_INVALID, "ops[0].id: must be a string");
    refuses("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"\"}]", ERR_INVALID, "ops[0].id: must be 1 to 128 bytes without control characters");
    refuses("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"\\u0001\"}]", ERR_INVALID, "ops[0].id: must be 1 to 128 bytes without control characters");
    refuses("[{\"op\":\"put\",\"collection\":\"a\",\"id\":\"1\"}]", ERR_INVALID, "ops[0].body: must be an object");
    refuses("[{\"op\":\"put\",\"collection\":\"a\",\"id\":\"1\",\"body\":[]}]", ERR_INVALID, "ops[0].body: must be an object");
    refuses("[{\"op\":\"put\",\"collection\":\"a\",\"id\":\"1\",\"body\":{\"a\":1,\"b\":2,\"\\u0061\":3}}]", ERR_INVALID, "ops[0].body: a member is named twice");
    refuses("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\",\"id\":\"2\"}]", ERR_INVALID, "ops[0]: a member is named twice");
    refuses("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\",\"age\":1.5}]", ERR_INVALID, "ops[0].age: must be an integer or null");
    refuses("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\",\"base\":9007199254740992}]", ERR_INVALID, "ops[0].base: must be a rev");
    refuses("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\",\"base\":-1}]", ERR_INVALID, "ops[0].base: must be a rev");
    refuses("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\",\"if\":\"present\"}]", ERR_INVALID, "ops[0].if: must be \"absent\" or a rev");
    refuses("[{\"op\":\"incr\",\"collection\":\"a\",\"id\":\"1\",\"by\":1}]", ERR_INVALID, "ops[0].field: must be a string");
    refuses("[{\"op\":\"incr\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"n\"}]", ERR_INVALID, "ops[0].by: must be an integer of 64 bits");
    refuses("[{\"op\":\"incr\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"n\",\"by\":\"1\"}]", ERR_INVALID, "ops[0].by: must be an integer of 64 bits");
    refuses("[{\"op\":\"incr\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"n\",\"by\":9223372036854775808}]", ERR_INVALID, "ops[0].by: must be an integer of 64 bits");
    refuses("[{\"op\":\"incr\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"n\",\"by\":1,\"max\":0.5}]", ERR_INVALID, "ops[0].max: must be an integer of 64 bits");
    refuses("[{\"op\":\"incr\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"n\",\"by\":1,\"min\":2,\"max\":1}]", ERR_INVALID, "ops[0].min: greater than max");
    refuses("[{\"op\":\"add\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"n\",\"values\":1}]", ERR_INVALID, "ops[0].values: must be an array");
    refuses("[{\"op\":\"max\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"n\",\"value\":\"1\"}]", ERR_INVALID, "ops[0].value: must be a number");
}

static void op__members_that_an_operation_does_not_use_are_ignored(void **state)
{
    (void)state;
    accepts("[]");
    accepts("[{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\",\"body\":7,\"by\":\"x\",\"unheard\":[{\"of\":1,\"of\":2}]}]");
    accepts("[{\"op\":\"incr\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"\",\"by\":1e2,\"value\":null}]");
}

static void add_times(struct buf *buf, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++) buf_add_text(buf, text);
}

/* ops: before, text `times` times, after. */
static void sized(const char *before, const char *text, size_t times, const char *after, enum err err, const char *why)
{
    struct buf buf;
    buf_init(&buf, 8388608);
    buf_add_text(&buf, before);
    add_times(&buf, text, times);
    buf_add_text(&buf, after);
    buf_add_char(&buf, '\0');
    assert_true(buf_ok(&buf));
    if (err == ERR_OK) accepts(buf.at);
    else refuses(buf.at, err, why);
    buf_fini(&buf);
}

static void op__sizes_have_their_bounds(void **state)
{
    (void)state;
    const char *put = "[{\"op\":\"put\",\"collection\":\"a\",\"id\":\"1\",\"body\":{\"x\":\"";
    sized(put, "y", LIMIT_DOCUMENT_BYTES_MAX - 8, "\"}}]", ERR_OK, "");
    sized(put, "y", LIMIT_DOCUMENT_BYTES_MAX - 7, "\"}}]", ERR_TOO_LARGE, "ops[0].body: past 262144 bytes");
    const char *name = "[{\"op\":\"patch\",\"collection\":\"a\",\"id\":\"1\",\"body\":{\"";
    sized(name, "y", LIMIT_FIELD_BYTES_MAX, "\":1}}]", ERR_OK, "");
    sized(name, "y", LIMIT_FIELD_BYTES_MAX + 1, "\":1}}]", ERR_TOO_LARGE, "ops[0].body: a member's name is past 1024 bytes");
    sized(name, "\\u0079", LIMIT_FIELD_BYTES_MAX, "\":1}}]", ERR_OK, "");
    const char *field = "[{\"op\":\"max\",\"collection\":\"a\",\"id\":\"1\",\"value\":1,\"field\":\"";
    sized(field, "y", LIMIT_FIELD_BYTES_MAX, "\"}]", ERR_OK, "");
    sized(field, "y", LIMIT_FIELD_BYTES_MAX + 1, "\"}]", ERR_TOO_LARGE, "ops[0].field: past 1024 bytes");
    const char *add = "[{\"op\":\"add\",\"collection\":\"a\",\"id\":\"1\",\"field\":\"f\",\"values\":[1";
    sized(add, ",1", LIMIT_SET_VALUES_MAX - 1, "]}]", ERR_OK, "");
    sized(add, ",1", LIMIT_SET_VALUES_MAX, "]}]", ERR_TOO_LARGE, "ops[0].values: more than 1024 values");
    const char *one = "{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\"}", *more = ",{\"op\":\"delete\",\"collection\":\"a\",\"id\":\"1\"}";
    char first[64];
    snprintf(first, sizeof first, "[%s", one);
    sized(first, more, LIMIT_OPS_MAX - 1, "]", ERR_OK, "");
    sized(first, more, LIMIT_OPS_MAX, "]", ERR_TOO_LARGE, "ops: more than 512 operations");
}

static void op__a_body_has_at_most_256_members(void **state)
{
    (void)state;
    for (size_t count = LIMIT_MEMBERS_MAX; count <= LIMIT_MEMBERS_MAX + 1; count++) {
        struct buf buf;
        buf_init(&buf, 65536);
        buf_add_text(&buf, "[{\"op\":\"put\",\"collection\":\"a\",\"id\":\"1\",\"body\":{");
        for (size_t i = 0; i < count; i++) {
            buf_add_text(&buf, i > 0 ? ",\"k" : "\"k");
            buf_add_u64(&buf, i);
            buf_add_text(&buf, "\":0");
        }
        buf_add_text(&buf, "}}]");
        buf_add_char(&buf, '\0');
        if (count == LIMIT_MEMBERS_MAX) accepts(buf.at);
        else refuses(buf.at, ERR_TOO_LARGE, "ops[0].body: more than 256 members");
        buf_fini(&buf);
    }
}

static bool same_push(const char *a, const char *b)
{
    struct hash_digest digest_a, digest_b;
    assert_int_equal(op_digest(checked(a), &digest_a), ERR_OK);
    assert_int_equal(op_digest(checked(b), &digest_b), ERR_OK);
    return memcmp(&digest_a, &digest_b, sizeof digest_a) == 0;
}

#define PUT "\"op\":\"put\",\"collection\":\"a\",\"id\":\"1\",\"body\":{\"x\":1}"

static void op__a_push_sent_again_has_its_digest(void **state)
{
    (void)state;
    assert_true(same_push("[{" PUT "}]", "[{" PUT "}]"));
    assert_true(same_push("[{" PUT "}]", " [ { " PUT " , \"age\" : 9 } ] "));
    assert_true(same_push("[{" PUT ",\"base\":1}]", "[{" PUT ",\"base\":2,\"age\":null}]"));
    assert_true(same_push("[{" PUT "}]", "[{\"body\":{\"x\":1},\"id\":\"\\u0031\",\"collection\":\"a\",\"o\\u0070\":\"put\"}]"));
    assert_true(same_push("[{" PUT "}]", "[{" PUT ",\"unheard\":1}]"));
}

static void op__another_push_has_another_digest(void **state)
{
    (void)state;
    assert_false(same_push("[{" PUT "}]", "[]"));
    assert_false(same_push("[{" PUT "}]", "[{" PUT "},{" PUT "}]"));
    assert_false(same_push("[{" PUT "}]", "[{" PUT ",\"if\":1}]"));
    assert_false(same_push("[{" PUT ",\"if\":1}]", "[{" PUT ",\"if\":\"absent\"}]"));
    assert_false(same_push("[{" PUT "}]", "[{\"op\":\"put\",\"collection\":\"a\",\"id\":\"1\",\"body\":{\"x\": 1}}]"));
    assert_false(same_push("[{" PUT "}]", "[{\"op\":\"put\",\"collection\":\"a\",\"id\":\"1\",\"body\":{\"x\":1.0}}]"));
    assert_false(same_push("[{" PUT "}]", "[{\"op\":\"put\",\"collection\":\"a\",\"id\":\"2\",\"body\":{\"x\":1}}]"));
    assert_false(same_push("[{" PUT "}]", "[{\"op\":\"put\",\"collection\":\"b\",\"id\":\"1\",\"body\":{\"x\":1}}]"));
    assert_false(same_push("[{" PUT "}]", "[{\"op\":\"patch\",\"collection\":\"a\",\"id\":\"1\",\"body\":{\"x\":1}}]"));
    assert_false(same_push("[{\"op\":\"x\",\"id\":\"y\"}]", "[{\"op\":\"x\"},{\"id\":\"y\"}]"));
    assert_false(same_push("[{\"op\":\"incr\",\"min\":1}]", "[{\"op\":\"incr\",\"max\":1}]"));
}

static void op__what_cannot_be_decoded_has_a_digest_too(void **state)
{
    (void)state;
    assert_true(same_push("[7]", "[7]"));
    assert_false(same_push("[7]", "[8]"));
    assert_false(same_push("7", "[7]"));
    assert_false(same_push("[{\"id\":1}]", "[{\"id\":\"1\"}]"));
    assert_false(same_push("[{\"id\":1}]", "[{\"id\":2}]"));
    assert_false(same_push("[{\"id\":\"1\",\"id\":\"2\"}]", "[{\"id\":\"1\"}]"));
    assert_true(same_push("[{\"id\":{}}]", "[ {\"id\":{}} ]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(op__every_kind_decodes),
        cmocka_unit_test(op__names_are_decoded_and_values_are_not),
        cmocka_unit_test(op__age_base_and_if_mean_what_the_protocol_says),
        cmocka_unit_test(op__what_is_wrong_is_named),
        cmocka_unit_test(op__members_that_an_operation_does_not_use_are_ignored),
        cmocka_unit_test(op__sizes_have_their_bounds),
        cmocka_unit_test(op__a_body_has_at_most_256_members),
        cmocka_unit_test(op__a_push_sent_again_has_its_digest),
        cmocka_unit_test(op__another_push_has_another_digest),
        cmocka_unit_test(op__what_cannot_be_decoded_has_a_digest_too),
    };
    return cmocka_run_group_tests_name("op", tests, NULL, NULL);
}
