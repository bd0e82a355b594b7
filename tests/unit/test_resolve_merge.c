/* The policy merge: fields and deletion, one sentence a test. */
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

/* ---- fields ---- */

static void merge__two_who_changed_different_fields_both_win(void **state)
{
    struct shelf *shelf = *state;
    CHANGES(ann(shelf, "put {\"a\":1,\"b\":1}"));
    CHANGES(ann(shelf, "patch {\"a\":2}"));
    CHANGES(bob(shelf, "@5 ^1 patch {\"b\":2}"));
    BECOMES("{\"a\":2,\"b\":2}");
    LOSES("");
}

static void merge__of_two_who_changed_one_field_the_later_wins_and_the_other_is_kept(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"a\":1,\"b\":1}");
    ann(shelf, "@50 patch {\"a\":2}");
    CHANGES(bob(shelf, "@60 ^1 patch {\"a\":3,\"b\":3}"));
    BECOMES("{\"a\":2,\"b\":3}");
    LOSES("m/x a 3 bob/tablet 3 999940\n");
    CHANGES(bob(shelf, "@40 ^1 patch {\"a\":4}"));
    BECOMES("{\"a\":4,\"b\":3}");
    LOSES("m/x a 2 ann/phone 2 999950\n");
}

static void merge__a_put_is_an_edit_of_the_fields_that_it_lacks(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"a\":1,\"b\":1,\"c\":1}");
    ann(shelf, "@50 patch {\"c\":2}");
    CHANGES(bob(shelf, "@60 ^1 put {\"d\":1,\"a\":9}"));
    BECOMES("{\"a\":9,\"c\":2,\"d\":1}");
    LOSES("");
    IS_LOST(edit(shelf, "cid/watch", "@70 ^1 put {\"a\":8,\"e\":1}")); /* `whole` is bob's now */
    LOSES("m/x a 8 cid/watch 4 999930\nm/x e 1 cid/watch 4 999930\n");
    CHANGES(edit(shelf, "cid/watch", "@10 put {}"));
    BECOMES("{}");
    LOSES("m/x a 9 bob/tablet 3 999940\nm/x c 2 ann/phone 2 999950\nm/x d 1 bob/tablet 3 999940\n");
}

static void merge__a_put_of_which_every_field_won_is_its_own_bytes(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"a\":1}");
    ann(shelf, "@90 patch {\"gone\":null}");
    CHANGES(bob(shelf, "put { \"z\" : 1.10 , \"\\u0061\":12345678901234567890 }"));
    BECOMES("{ \"z\" : 1.10 , \"\\u0061\":12345678901234567890 }");
    CHANGES(bob(shelf, "patch {\"a\":1}"));
    BECOMES("{\"z\":1.10,\"\\u0061\":1}");
}

static void merge__a_removal_is_an_edit_like_any(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"a\":1,\"b\":1}");
    CHANGES(ann(shelf, "@50 patch {\"a\":null}"));
    BECOMES("{\"b\":1}");
    IS_LOST(bob(shelf, "@60 patch {\"a\":7}"));
    LOSES("m/x a 7 bob/tablet 3 999940\n");
    CHANGES(bob(shelf, "@40 patch {\"a\":8}"));
    BECOMES("{\"b\":1,\"a\":8}");
    LOSES("m/x a null ann/phone 2 999950\n");
    IS_LOST(ann(shelf, "@45 patch {\"a\":null}"));
    LOSES("m/x a null ann/phone 5 999955\n");
}

static void merge__a_new_field_goes_to_the_end_and_a_changed_one_keeps_its_place(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "put { \"a\" : [ 1 ], \"b\":{ } }");
    CHANGES(ann(shelf, "patch {\"c\":\"\\u00e9\",\"a\":\"A\"}"));
    BECOMES("{\"a\":\"A\",\"b\":{ },\"c\":\"\\u00e9\"}");
    CHANGES(ann(shelf, "patch {\"a\":null} ; patch {\"a\":1}"));
    BECOMES("{\"b\":{ },\"c\":\"\\u00e9\",\"a\":1}");
}

static void merge__an_edit_that_says_what_stands_leaves_the_bytes_and_moves_the_rev(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "put { \"a\" : 1 }");
    CHANGES(bob(shelf, "patch {\"a\":1}"));
    BECOMES("{ \"a\" : 1 }");
    LOSES("");
    assert_int_equal(shelf->result.docs[0].after.rev, 2);
    IS_LOST(ann(shelf, "@5 ^1 patch {\"a\":1}"));
    LOSES("");
}

static void merge__a_patch_that_names_nothing_changes_nothing(void **state)
{
    struct shelf *shelf = *state;
    CHANGES_NOTHING(ann(shelf, "patch {}"));
    CHANGES_NOTHING(ann(shelf, "patch {\"a\":null}"));
    BECOMES("absent");
    ann(shelf, "put {}");
    CHANGES_NOTHING(bob(shelf, "patch {}"));
    CHANGES(bob(shelf, "patch {\"a\":null}"));
    BECOMES("{}");
}

static void merge__within_a_push_what_comes_later_is_later(void **state)
{
    struct shelf *shelf = *state;
    CHANGES(ann(shelf, "@1 put {\"a\":1} ; @50 patch {\"a\":2} ; @99 put {\"a\":3}"));
    BECOMES("{\"a\":3}");
    CHANGES(edit(shelf, "zed/", "@0 put {\"a\":4} ; @50 patch {\"a\":5}"));
    BECOMES("{\"a\":5}");
}

static void merge__a_backend_knows_what_it_said_earlier_in_the_push(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@50 put {\"b\":1}");
    ann(shelf, "@40 patch {\"a\":1}");
    CHANGES(edit(shelf, "zed/", "@0 patch {\"a\":4} ; @99 patch {\"a\":5} ; @99 patch {\"a\":null}"));
    BECOMES("{\"b\":1}");
    IS_LOST(edit(shelf, "zed/", "@100 patch {\"a\":6}"));
}

static void merge__under_arrival_the_log_decides(void **state)
{
    struct shelf *shelf = *state;
    edits_push(shelf, "arrival", "ann/phone", "put {\"a\":1,\"n\":1}");
    CHANGES(edits_push(shelf, "arrival", "bob/tablet", "@900 patch {\"a\":2} ; @900 incr n 1"));
    assert_string_equal(shelf_body(shelf, "arrival", "x"), "{\"a\":2,\"n\":2}");
    LOSES("arrival/x a 1 ann/phone 1 1000000\n");
}

/* ---- deletion ---- */

static void merge__a_later_delete_wins_every_field_and_keeps_them_for_their_authors(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"a\":1,\"b\":1}");
    CHANGES(bob(shelf, "@50 delete"));
    BECOMES("deleted");
    LOSES("m/x a 1 ann/phone 1 999900\nm/x b 1 ann/phone 1 999900\n");
}

static void merge__a_field_that_outlives_a_delete_keeps_the_document_alive(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"a\":1,\"b\":1}");
    ann(shelf, "@50 patch {\"b\":2}");
    CHANGES(bob(shelf, "@60 delete"));
    BECOMES("{\"b\":2}");
    LOSES("m/x a 1 ann/phone 1 999900\nm/x * null bob/tablet 3 999940\n");
    struct doc doc;
    assert_true(shelf_doc(shelf, "m", "x", &doc));
    assert_true(!doc.deleted && doc.whole.rev == 3 && doc_stamp(&doc, SPAN_LITERAL("b")).rev == 2);
}

static void merge__a_late_patch_brings_back_what_it_says(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"a\":1,\"b\":1}");
    bob(shelf, "@50 delete");
    IS_LOST(ann(shelf, "@60 ^1 patch {\"a\":5}"));
    LOSES("m/x a 5 ann/phone 3 999940\n");
    CHANGES_NOTHING(ann(shelf, "@10 ^1 patch {\"a\":null}"));
    CHANGES(ann(shelf, "@40 ^1 patch {\"a\":6,\"b\":null}"));
    BECOMES("{\"a\":6}");
    LOSES("m/x * null bob/tablet 2 999950\n");
    struct doc doc;
    assert_true(shelf_doc(shelf, "m", "x", &doc));
    assert_true(doc.born == 5 && span_is(doc.author, "ann") && doc.whole.rev == 2);
}

static void merge__an_empty_put_later_than_a_delete_is_alive(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"a\":1}");
    bob(shelf, "@50 delete");
    CHANGES(ann(shelf, "@40 put {}"));
    BECOMES("{}");
    LOSES("m/x * null bob/tablet 2 999950\n");
    IS_LOST(bob(shelf, "@45 delete"));
}

static void merge__a_delete_that_lost_is_kept_as_one(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@10 put {\"a\":1,\"b\":2}");
    IS_LOST(bob(shelf, "@20 delete"));
    LOSES("m/x * null bob/tablet 2 999980\n");
    BECOMES("{\"a\":1,\"b\":2}");
}

static void merge__an_edit_may_win_a_field_and_not_the_whole(void **state)
{
    struct shelf *shelf = *state;
    struct doc doc;
    ann(shelf, "@10 put {\"a\":1}");
    bob(shelf, "@50 ^1 patch {\"a\":2}");
    CHANGES(edit(shelf, "cid/watch", "@40 put {\"b\":3,\"a\":3}"));
    BECOMES("{\"a\":3}");
    LOSES("m/x a 2 bob/tablet 2 999950\nm/x b 3 cid/watch 3 999960\n");
    assert_true(shelf_doc(shelf, "m", "x", &doc));
    assert_true(doc.whole.rev == 1 && doc_stamp(&doc, SPAN_LITERAL("a")).rev == 3);
    CHANGES(edit(shelf, "dan/car", "@30 delete"));
    BECOMES("{}");
    LOSES("m/x a 3 cid/watch 3 999960\nm/x * null dan/car 4 999970\n");
    assert_true(shelf_doc(shelf, "m", "x", &doc));
    assert_true(doc.whole.rev == 1 && doc_stamp(&doc, SPAN_LITERAL("a")).rev == 4);
}

static void merge__an_edit_older_than_the_deletion_that_brings_nothing_leaves_it(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"b\":1}");
    bob(shelf, "@5 patch {\"a\":null}");
    CHANGES(edit(shelf, "cid/watch", "@10 delete"));
    IS_LOST(edit(shelf, "dan/car", "@50 ^2 put {}"));
    BECOMES("deleted");
    CHANGES(edit(shelf, "dan/car", "@50 ^2 put {\"a\":1,\"b\":2}"));
    BECOMES("{\"a\":1}");
    LOSES("m/x b 2 dan/car 5 999950\nm/x * null cid/watch 3 999990\n");
}

static void merge__deleting_again_moves_the_tombstone(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 delete");
    CHANGES(bob(shelf, "@50 delete"));
    IS_LOST(ann(shelf, "@60 patch {\"a\":1}"));
    IS_LOST(edit(shelf, "cid/watch", "@70 delete"));
    LOSES("");
}

/* ---- bounds ---- */

static void merge__members_and_stamps_have_their_bounds(void **state)
{
    struct shelf *shelf = *state;
    struct doc doc;
    for (uint64_t round = 0; round < 4; round++) {
        struct buf ops;
        buf_init(&ops, 65536);
        buf_add_text(&ops, "[{\"op\":\"patch\",\"collection\":\"m\",\"id\":\"x\",\"body\":{\"kept\":1");
        for (uint64_t i = 0; i < 255; i++) {
            buf_add_text(&ops, ",\"");
            buf_add_u64(&ops, round * 1000 + i);
            buf_add_text(&ops, "\":null");
        }
        buf_add_text(&ops, "}}]");
        CHANGES(shelf_push_span(shelf, &(struct shelf_push){0}, buf_span(&ops)));
        buf_fini(&ops);
    }
    assert_true(shelf_doc(shelf, "m", "x", &doc));
    assert_int_equal(doc.fields_count, LIMIT_FIELD_STAMPS_MAX);
    assert_int_equal(doc_stamp(&doc, SPAN_LITERAL("kept")).rev, 4);
    assert_int_equal(doc_stamp(&doc, SPAN_LITERAL("3000")).rev, 4);
    assert_int_equal(doc_stamp(&doc, SPAN_LITERAL("0")).rev, 0); /* the oldest removals went */
    for (size_t i = 1; i < doc.fields_count; i++) assert_true(span_compare(doc.fields[i - 1].field, doc.fields[i].field) < 0);
}

static void merge__the_newest_1000_losers_of_a_push_are_kept_in_order(void **state)
{
    struct shelf *shelf = *state;
    struct buf ops;
    buf_init(&ops, 65536);
    ann(shelf, "put {}");
    for (uint64_t i = 0; i < 5 * 250; i++) {
        buf_add_text(&ops, i == 0 ? "[" : i % 250 == 0 ? "}}," : ",");
        if (i % 250 == 0) buf_add_text(&ops, "{\"op\":\"patch\",\"collection\":\"m\",\"id\":\"x\",\"age\":9,\"body\":{");
        buf_add_text(&ops, "\"k");
        buf_add_u64(&ops, i % 250);
        buf_add_text(&ops, "\":");
        buf_add_u64(&ops, i);
    }
    buf_add_text(&ops, "}}]");
    IS_LOST(shelf_push_span(shelf, &(struct shelf_push){.user = "bob"}, buf_span(&ops)));
    assert_int_equal(shelf->result.losers_count, LIMIT_LOSERS_MAX);
    for (size_t i = 0; i < LIMIT_LOSERS_MAX; i++) assert_int_equal(strtoul(shelf->result.losers[i].value.at, NULL, 10), 250 + i);
    buf_fini(&ops);
}

static void merge__a_document_has_at_most_256_members(void **state)
{
    struct shelf *shelf = *state;
    char patch[64];
    CHANGES(ann(shelf, "put {\"a\":1}"));
    for (int i = 0; i < 255; i++) {
        snprintf(patch, sizeof patch, "patch {\"k%d\":1}", i);
        CHANGES(ann(shelf, patch));
    }
    IS_REFUSED(ann(shelf, "patch {\"one more\":1}"), ERR_TOO_LARGE);
    assert_string_equal(shelf->result.why, "m/x: more than 256 members");
    CHANGES(ann(shelf, "patch {\"one more\":1} ; patch {\"a\":null}"));
}

static void merge__a_document_of_another_policy_is_judged_by_its_latest_part(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, "@100 put {\"a\":1}");
    bob(shelf, "@10 patch {\"a\":2}");
    struct namespace *old = shelf->ns;
    char why[128];
    assert_int_equal(namespace_compile(SPAN_LITERAL("{\"namespace\":\"shelf\",\"version\":2,\"access\":\"owner\",\"window\":\"1h\","
                                                    "\"collections\":{\"m\":{\"policy\":\"lww\"}}}"), &shelf->ns, why, sizeof why), ERR_OK);
    namespace_free(old);
    IS_LOST(edit(shelf, "cid/watch", "@50 put {\"a\":3}"));
    CHANGES(edit(shelf, "cid/watch", "@5 put {\"a\":4}"));
    LOSES("m/x * {\"a\":2} bob/tablet 2 999990\n");
    assert_int_equal(shelf->result.docs[0].after.fields_count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(merge__two_who_changed_different_fields_both_win),
        TEST(merge__of_two_who_changed_one_field_the_later_wins_and_the_other_is_kept),
        TEST(merge__a_put_is_an_edit_of_the_fields_that_it_lacks),
        TEST(merge__a_put_of_which_every_field_won_is_its_own_bytes),
        TEST(merge__a_removal_is_an_edit_like_any),
        TEST(merge__a_new_field_goes_to_the_end_and_a_changed_one_keeps_its_place),
        TEST(merge__an_edit_that_says_what_stands_leaves_the_bytes_and_moves_the_rev),
        TEST(merge__a_patch_that_names_nothing_changes_nothing),
        TEST(merge__within_a_push_what_comes_later_is_later),
        TEST(merge__a_backend_knows_what_it_said_earlier_in_the_push),
        TEST(merge__under_arrival_the_log_decides),
        TEST(merge__a_later_delete_wins_every_field_and_keeps_them_for_their_authors),
        TEST(merge__a_field_that_outlives_a_delete_keeps_the_document_alive),
        TEST(merge__a_late_patch_brings_back_what_it_says),
        TEST(merge__an_empty_put_later_than_a_delete_is_alive),
        TEST(merge__a_delete_that_lost_is_kept_as_one),
        TEST(merge__an_edit_may_win_a_field_and_not_the_whole),
        TEST(merge__an_edit_older_than_the_deletion_that_brings_nothing_leaves_it),
        TEST(merge__deleting_again_moves_the_tombstone),
        TEST(merge__members_and_stamps_have_their_bounds),
        TEST(merge__the_newest_1000_losers_of_a_push_are_kept_in_order),
        TEST(merge__a_document_has_at_most_256_members),
        TEST(merge__a_document_of_another_policy_is_judged_by_its_latest_part),
    };
    return cmocka_run_group_tests_name("resolve_merge", tests, NULL, NULL);
}
