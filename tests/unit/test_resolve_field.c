/* Operations on one field: counters, sets and maxima, one sentence a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/edits.h"

static const char *const NAMESPACE =
    "{\"namespace\":\"shelf\",\"version\":1,\"access\":\"owner\",\"window\":\"1h\",\"collections\":{"
    "\"m\":{\"policy\":\"merge\"},\"arrival\":{\"policy\":\"merge\",\"order\":\"arrival\"},\"notes\":{\"policy\":\"manual\"}}}";

static int setup(void **state)
{
    struct shelf *shelf = malloc(sizeof *shelf);
    if (shelf == NULL) return -1;
    shelf_init(shelf, NAMESPACE);
    *state = shelf;
    return 0;
}

static int teardown(void **state)
{
    shelf_fini(*state);
    free(*state);
    return 0;
}

static enum resolve_status edit(struct shelf *shelf, const char *who, const char *edits) { return edits_push(shelf, "m", who, edits); }
static enum resolve_status ann(struct shelf *shelf, const char *edits) { return edit(shelf, "ann/phone", edits); }
static enum resolve_status bob(struct shelf *shelf, const char *edits) { return edit(shelf, "bob/tablet", edits); }

#define BECOMES(text) assert_string_equal(shelf_body(shelf, "m", "x"), text)
#define LOSES(text) assert_string_equal(shelf_losers(shelf), text)
#define CHANGES(push) assert_int_equal(push, RESOLVE_CHANGED)
#define CHANGES_NOTHING(push) assert_int_equal(push, RESOLVE_UNCHANGED)
#define IS_LOST(push) assert_int_equal(push, RESOLVE_LOST)
#define IS_REFUSED(push, why_code)                        \
    do {                                                  \
        assert_int_equal(push, RESOLVE_REJECTED);         \
        assert_int_equal(shelf->result.code, (why_code)); \
    } while (0)

/* ---- counters ---- */

static void incr__a_counter_is_the_sum_of_its_parts(void **state)
{
    struct shelf *shelf = *state;
    CHANGES(ann(shelf, "incr n 5"));
    CHANGES(bob(shelf, "@900 incr n -2"));
    BECOMES("{\"n\":3}");
    LOSES("");
}

static void incr__it_is_clamped_and_saturates(void **state)
{
    struct shelf *shelf = *state;
    CHANGES(ann(shelf, "incr n 7,\"max\":5"));
    BECOMES("{\"n\":5}");
    CHANGES_NOTHING(bob(shelf, "incr n 7,\"max\":5"));
    CHANGES(bob(shelf, "incr n -9,\"min\":0"));
    BECOMES("{\"n\":0}");
    CHANGES(ann(shelf, "incr n 9223372036854775807 ; incr n 1 ; incr n -1"));
    BECOMES("{\"n\":9223372036854775806}");
    CHANGES(bob(shelf, "put {\"n\":-9223372036854775808} ; incr n -1"));
    BECOMES("{\"n\":-9223372036854775808}");
}

static void incr__what_leaves_the_number_as_it_was_changes_nothing(void **state)
{
    struct shelf *shelf = *state;
    CHANGES_NOTHING(ann(shelf, "incr n 0"));
    CHANGES_NOTHING(ann(shelf, "incr n -1,\"min\":0"));
    BECOMES("absent");
    CHANGES(ann(shelf, "incr n 0,\"min\":1"));
    BECOMES("{\"n\":1}");
}

static void incr__an_integer_counts_however_it_is_written(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "put {\"n\":1e2,\"f\":1.5,\"s\":\"1\",\"z\":null,\"big\":9223372036854775808}");
    CHANGES(ann(shelf, "incr n 1"));
    BECOMES("{\"n\":101,\"f\":1.5,\"s\":\"1\",\"z\":null,\"big\":9223372036854775808}");
    IS_REFUSED(ann(shelf, "incr f 1"), ERR_INVALID);
    assert_string_equal(shelf->result.why, "ops[0]: m/x: f: is not an integer of 64 bits");
    IS_REFUSED(ann(shelf, "incr s 1"), ERR_INVALID);
    IS_REFUSED(ann(shelf, "incr z 1"), ERR_INVALID);
    IS_REFUSED(ann(shelf, "incr big 1"), ERR_INVALID);
}

static void incr__it_loses_only_to_a_later_put_or_delete_that_it_did_not_know(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"n\":1}");
    CHANGES(ann(shelf, "@10 patch {\"n\":10}"));
    CHANGES(bob(shelf, "@50 incr n 1"));
    BECOMES("{\"n\":11}");
    CHANGES(ann(shelf, "@5 put {\"n\":20}"));
    IS_LOST(bob(shelf, "@50 incr n 3"));
    LOSES("m/x n 3 bob/tablet 5 999950\n");
    CHANGES(bob(shelf, "@50 ^4 incr n 4"));
    BECOMES("{\"n\":24}");
    CHANGES(ann(shelf, "@4 delete"));
    IS_LOST(bob(shelf, "@50 incr n 3"));
    CHANGES(bob(shelf, "@3 incr n 3"));
    BECOMES("{\"n\":3}");
    LOSES("m/x * null ann/phone 7 999996\n");
}

static void incr__a_put_older_than_any_part_of_a_counter_loses_to_it(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"n\":1,\"m\":1}");
    CHANGES(bob(shelf, "@10 incr n 1"));
    CHANGES(edit(shelf, "cid/watch", "@90 incr n 1"));
    CHANGES(edit(shelf, "dan/car", "@20 ^1 put {\"n\":9,\"m\":9}"));
    BECOMES("{\"n\":3,\"m\":9}");
    LOSES("m/x n 9 dan/car 4 999980\n");
}

static void incr__a_pusher_who_knew_the_value_still_does_after_his_own_part(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@10 patch {\"n\":1}");
    CHANGES(bob(shelf, "@50 ^1 incr n 1 ; @50 ^1 patch {\"n\":7}")); /* ann's stays the latest part, and he knew it */
    BECOMES("{\"n\":7}");
    ann(shelf, "@5 patch {\"k\":1}");
    CHANGES(bob(shelf, "@50 incr k 1 ; @50 patch {\"k\":7}")); /* this one he did not */
    BECOMES("{\"n\":7,\"k\":2}");
    LOSES("m/x k 7 bob/tablet 4 999950\n");
}

/* ---- sets ---- */

static void set__values_come_once_in_order_of_insertion(void **state)
{
    struct shelf *shelf = *state;
    CHANGES(ann(shelf, "add t [\"b\",\"a\",\"b\"]"));
    BECOMES("{\"t\":[\"b\",\"a\"]}");
    CHANGES(bob(shelf, "@900 add t [\"c\",\"a\"]"));
    BECOMES("{\"t\":[\"b\",\"a\",\"c\"]}");
    CHANGES(bob(shelf, "remove t [\"b\",\"z\"]"));
    CHANGES(bob(shelf, "add t [\"b\"]"));
    BECOMES("{\"t\":[\"a\",\"c\",\"b\"]}");
    CHANGES(bob(shelf, "remove t [\"a\"] ; add t [\"d\"] ; add t [\"\\u0061\"]"));
    BECOMES("{\"t\":[\"c\",\"b\",\"d\",\"\\u0061\"]}");
}

static void set__what_is_there_is_not_added_and_what_is_not_is_not_removed(void **state)
{
    struct shelf *shelf = *state;
    CHANGES_NOTHING(ann(shelf, "add t []"));
    CHANGES_NOTHING(ann(shelf, "remove t [1]"));
    BECOMES("absent");
    ann(shelf, "put {\"t\":[ \"a\" , 1.0, {\"k\": 1}, null ]}");
    CHANGES_NOTHING(bob(shelf, "add t [\"\\u0061\",1,10e-1,{\"k\": 1},null]"));
    CHANGES_NOTHING(bob(shelf, "remove t [\"1\",true,{\"k\":1}]"));
    BECOMES("{\"t\":[ \"a\" , 1.0, {\"k\": 1}, null ]}");
    CHANGES(bob(shelf, "remove t [1e0] ; add t [{\"k\":1}]"));
    BECOMES("{\"t\":[\"a\",{\"k\": 1},null,{\"k\":1}]}");
    CHANGES(bob(shelf, "remove t [\"a\",{\"k\": 1},null,{\"k\":1}]"));
    BECOMES("{\"t\":[]}");
}

static void set__numbers_of_19_digits_are_not_one_another(void **state)
{
    struct shelf *shelf = *state;
    CHANGES(ann(shelf, "add t [9007199254740993,9007199254740992,1234567890123456789,1234567890123456788]"));
    CHANGES(ann(shelf, "remove t [9007199254740992]"));
    BECOMES("{\"t\":[9007199254740993,1234567890123456789,1234567890123456788]}");
}

static void set__another_kind_of_value_is_refused(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "put {\"t\":\"text\",\"n\":null}");
    IS_REFUSED(ann(shelf, "add t [1]"), ERR_INVALID);
    assert_string_equal(shelf->result.why, "ops[0]: m/x: t: is not an array");
    IS_REFUSED(ann(shelf, "remove n [1]"), ERR_INVALID);
}

static void set__it_holds_at_most_1024_values(void **state)
{
    struct shelf *shelf = *state;
    struct buf ops;
    buf_init(&ops, 65536);
    buf_add_text(&ops, "[{\"op\":\"add\",\"collection\":\"m\",\"id\":\"x\",\"field\":\"t\",\"values\":[0");
    for (uint64_t i = 1; i < LIMIT_SET_VALUES_MAX; i++) {
        buf_add_char(&ops, ',');
        buf_add_u64(&ops, i);
    }
    buf_add_text(&ops, "]}]");
    CHANGES(shelf_push_span(shelf, &(struct shelf_push){0}, buf_span(&ops)));
    buf_fini(&ops);
    CHANGES_NOTHING(ann(shelf, "add t [0,1023]"));
    IS_REFUSED(ann(shelf, "add t [-1]"), ERR_TOO_LARGE);
    assert_string_equal(shelf->result.why, "ops[0]: m/x: t: a set holds at most 1024 values");
    CHANGES(ann(shelf, "remove t [0] ; add t [-1]"));
}

static void set__a_later_patch_of_the_field_wins_and_the_set_is_kept(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@90 add t [1]");
    ann(shelf, "@80 add t [ 2 ]");
    CHANGES(bob(shelf, "@10 patch {\"t\":[3]}"));
    LOSES("m/x t [1,2] ann/phone 2 999920\n");
    CHANGES(ann(shelf, "@50 add t [4]"));
    BECOMES("{\"t\":[3,4]}");
    IS_LOST(edit(shelf, "cid/watch", "@60 patch {\"t\":[3,4]}"));
    LOSES(""); /* it says what stands */
}

/* ---- maxima ---- */

static void max__the_greater_stays_as_it_was_written(void **state)
{
    struct shelf *shelf = *state;
    CHANGES(ann(shelf, "max m 1.10"));
    CHANGES_NOTHING(bob(shelf, "max m 1.1"));
    CHANGES_NOTHING(bob(shelf, "max m -5"));
    BECOMES("{\"m\":1.10}");
    CHANGES(bob(shelf, "@900 max m 9007199254740993"));
    CHANGES_NOTHING(ann(shelf, "max m 9007199254740992"));
    BECOMES("{\"m\":9007199254740993}");
    CHANGES(ann(shelf, "max m 1e400"));
    BECOMES("{\"m\":1e400}");
    ann(shelf, "put {\"m\":[]}");
    IS_REFUSED(ann(shelf, "max m 1"), ERR_INVALID);
}

static void max__a_lost_one_is_kept(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "put {\"m\":1}");
    IS_LOST(bob(shelf, "@9 max m 7.0 ; @9 add t [1, 2]"));
    LOSES("m/x m 7.0 bob/tablet 2 999991\nm/x t [1, 2] bob/tablet 2 999991\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(incr__a_counter_is_the_sum_of_its_parts),
        TEST(incr__it_is_clamped_and_saturates),
        TEST(incr__what_leaves_the_number_as_it_was_changes_nothing),
        TEST(incr__an_integer_counts_however_it_is_written),
        TEST(incr__it_loses_only_to_a_later_put_or_delete_that_it_did_not_know),
        TEST(incr__a_put_older_than_any_part_of_a_counter_loses_to_it),
        TEST(incr__a_pusher_who_knew_the_value_still_does_after_his_own_part),
        TEST(set__values_come_once_in_order_of_insertion),
        TEST(set__what_is_there_is_not_added_and_what_is_not_is_not_removed),
        TEST(set__numbers_of_19_digits_are_not_one_another),
        TEST(set__another_kind_of_value_is_refused),
        TEST(set__it_holds_at_most_1024_values),
        TEST(set__a_later_patch_of_the_field_wins_and_the_set_is_kept),
        TEST(max__the_greater_stays_as_it_was_written),
        TEST(max__a_lost_one_is_kept),
    };
    return cmocka_run_group_tests_name("resolve_field", tests, NULL, NULL);
}
