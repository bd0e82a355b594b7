/* Buffers, arenas, blobs, numbers, hashes, names, cursors, errors: what every decision is made of. */
#include "tests/support/unit.h"

#include <string.h>

#include "core/arena.h"
#include "core/blob.h"
#include "core/buf.h"
#include "core/cursor.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/limits.h"
#include "core/name.h"
#include "core/number.h"

static void buf__never_grows_past_its_maximum_and_stays_failed(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 300);
    for (int i = 0; i < 30; i++) buf_add_text(&buf, "0123456789");
    assert_true(buf_ok(&buf));
    assert_int_equal(buf.bytes, 300);
    buf_add_char(&buf, 'x');
    assert_false(buf_ok(&buf));
    assert_int_equal(buf.bytes, 300);
    buf_truncate(&buf, 10);
    buf_add_char(&buf, 'x');
    assert_false(buf_ok(&buf));
    buf_reset(&buf);
    buf_add_char(&buf, 'x');
    assert_true(buf_ok(&buf));
    buf_fini(&buf);
    buf_fini(&buf);
}

static void buf__writes_numbers_and_strings_as_json(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 1000);
    buf_add_u64(&buf, UINT64_MAX);
    buf_add_char(&buf, ' ');
    buf_add_i64(&buf, INT64_MIN);
    buf_add_char(&buf, ' ');
    buf_add_hex64(&buf, 0xabcdef);
    buf_add_json_string(&buf, span_of("a\"\\\n\x01\xc3\xa9", 7));
    assert_true(span_is(buf_span(&buf), "18446744073709551615 -9223372036854775808 0000000000abcdef\"a\\\"\\\\\\n\\u0001\xc3\xa9\""));
    buf_fini(&buf);
}

static void arena__is_bounded_aligned_zeroed_and_reused(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 100000);
    for (int round = 0; round < 3; round++) {
        for (size_t bytes = 1; bytes < 200; bytes++) {
            unsigned char *at = arena_take(&arena, bytes);
            assert_non_null(at);
            assert_int_equal((uintptr_t)at % 16, 0);
            for (size_t i = 0; i < bytes; i++) assert_int_equal(at[i], 0);
            memset(at, 0xff, bytes);
        }
        assert_null(arena_take(&arena, 100000));
        assert_true(span_is(arena_copy(&arena, SPAN_LITERAL("text")), "text"));
        arena_reset(&arena);
        assert_int_equal(arena.bytes, 0);
    }
    arena_fini(&arena);
}

static void blob__lives_until_its_last_reference(void **state)
{
    struct blob *blob = blob_make(SPAN_LITERAL("frame"));
    (void)state;
    assert_non_null(blob);
    assert_ptr_equal(blob->text - BLOB_HEADROOM_BYTES, (char *)blob->headroom);
    assert_ptr_equal(blob_take(blob), blob);
    blob_put(blob);
    assert_true(span_is(blob_span(blob), "frame"));
    blob_put(blob);
    blob_put(NULL);
}

static void number__compares_exactly_at_any_size(void **state)
{
    static const char *const rising[] = {"-1e400", "-9007199254740993", "-9007199254740992", "-1.5", "-1e-400", "0", "1e-400", "0.1", "0.10000000000000000000000001", "1", "1.5",
        "9007199254740992", "9007199254740993", "123456789012345678901234567890", "1e400"};
    (void)state;
    for (size_t i = 0; i < sizeof rising / sizeof rising[0]; i++)
        for (size_t k = 0; k < sizeof rising / sizeof rising[0]; k++) {
            int order = number_compare(span_text(rising[i]), span_text(rising[k]));
            assert_int_equal(order < 0 ? -1 : order > 0, i < k ? -1 : i > k);
        }
    assert_int_equal(number_compare(SPAN_LITERAL("1.10"), SPAN_LITERAL("11e-1")), 0);
    assert_int_equal(number_compare(SPAN_LITERAL("-0"), SPAN_LITERAL("0.000e5")), 0);
}

static void number__knows_integers_in_any_writing(void **state)
{
    int64_t value;
    bool known;
    (void)state;
    assert_true(number_is_integer(SPAN_LITERAL("1.0")) && number_is_integer(SPAN_LITERAL("1e2")) && number_is_integer(SPAN_LITERAL("-0")));
    assert_false(number_is_integer(SPAN_LITERAL("1.5")) || number_is_integer(SPAN_LITERAL("1e-1")));
    assert_true(number_int64(SPAN_LITERAL("9223372036854775807"), &value) && value == INT64_MAX);
    assert_true(number_int64(SPAN_LITERAL("-9223372036854775808"), &value) && value == INT64_MIN);
    assert_false(number_int64(SPAN_LITERAL("9223372036854775808"), &value));
    uint64_t digits;
    assert_true(number_digits(SPAN_LITERAL("9999999999999999999"), &digits) && digits == 9999999999999999999u);
    assert_true(number_digits(SPAN_LITERAL("007"), &digits) && digits == 7);
    static const char *const others[] = {"", "-1", "+1", "1 ", "1.0", "1e2", "0x1", "10000000000000000000"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(number_digits(span_text(others[i]), &digits));
    assert_false(number_int64(SPAN_LITERAL("1e19"), &value));
    assert_true(number_int64(SPAN_LITERAL("12.50e1"), &value) && value == 125);
    assert_true(number_multiple_of(SPAN_LITERAL("0.3"), SPAN_LITERAL("0.1"), &known) && known);
    assert_false(number_multiple_of(SPAN_LITERAL("0.35"), SPAN_LITERAL("0.1"), &known));
}

static void hash__of_a_document_is_the_protocols(void **state)
{
    (void)state;
    assert_true(hash_64(SPAN_LITERAL("")) == UINT64_C(0xef46db3751d8e999));
    assert_true(hash_document(SPAN_LITERAL("tea"), 12, SPAN_LITERAL("{\"qty\":1}")) == hash_64(span_of("tea\0" "12\0" "{\"qty\":1}", 16)));
    for (uint32_t partitions = 1; partitions < 50; partitions++) assert_true(hash_partition(SPAN_LITERAL("cart:ana"), partitions) < partitions);
}

static void hash__pieces_do_not_run_together(void **state)
{
    struct hash_state *a = hash_begin(), *b = hash_begin();
    (void)state;
    hash_piece(a, SPAN_LITERAL("ab"));
    hash_piece(a, SPAN_LITERAL("c"));
    hash_piece(b, SPAN_LITERAL("a"));
    hash_piece(b, SPAN_LITERAL("bc"));
    struct hash_digest first = hash_end(a), second = hash_end(b);
    assert_memory_not_equal(first.bytes, second.bytes, sizeof first.bytes);
}

static void name__knows_spaces_ids_users_and_devices(void **state)
{
    char long_name[600];
    (void)state;
    memset(long_name, 'a', sizeof long_name);
    long_name[1] = ':';
    assert_true(name_is_space(SPAN_LITERAL("cart:ana")) && name_is_space(SPAN_LITERAL("a-b_1:x:y~3A@.-")));
    assert_true(name_is_space(span_of(long_name, 448)));
    assert_false(name_is_space(span_of(long_name, 449)));
    static const char *const no_space[] = {"", ":", "cart", "cart:", ":ana", "Cart:ana", "1c:x", "cart:a b", "cart:a/b", "cart:\xc3\xa9"};
    for (size_t i = 0; i < sizeof no_space / sizeof no_space[0]; i++) assert_false(name_is_space(span_text(no_space[i])));
    assert_true(name_is_collection(SPAN_LITERAL("items")) && !name_is_collection(SPAN_LITERAL("Items")) && !name_is_collection(span_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 33)));
    assert_true(name_is_id(SPAN_LITERAL("\xf0\x9f\x98\x80 x")) && !name_is_id(SPAN_LITERAL("")) && !name_is_id(span_of(long_name, 129)));
    assert_false(name_is_id(SPAN_LITERAL("a\nb")) || name_is_id(SPAN_LITERAL("\x7f")) || name_is_id(SPAN_LITERAL("\xc2\x85")) || name_is_id(SPAN_LITERAL("\xed\xa0\x80")));
    assert_true(name_is_device(SPAN_LITERAL("abcd-_09")) && !name_is_device(SPAN_LITERAL("short")) && !name_is_device(SPAN_LITERAL("with space")));
}

static void name__of_a_user_reaches_into_nobody_elses(void **state)
{
    struct buf buf;
    (void)state;
    buf_init(&buf, 100);
    name_escape_user(&buf, SPAN_LITERAL("a:b/\xc3\xa9"));
    assert_true(span_is(buf_span(&buf), "a~3Ab~2F~C3~A9"));
    buf_fini(&buf);
    assert_true(name_space_is_users(SPAN_LITERAL("cart:ana"), SPAN_LITERAL("ana"), true));
    assert_false(name_space_is_users(SPAN_LITERAL("cart:ana"), SPAN_LITERAL("ana"), false));
    assert_true(name_space_is_users(SPAN_LITERAL("cart:ana:x"), SPAN_LITERAL("ana"), false));
    assert_false(name_space_is_users(SPAN_LITERAL("cart:anab"), SPAN_LITERAL("ana"), true));
    assert_false(name_space_is_users(SPAN_LITERAL("cart:an"), SPAN_LITERAL("ana"), true));
    assert_false(name_space_is_users(SPAN_LITERAL("cart:ana:x"), SPAN_LITERAL("ana:x"), true)); /* his is cart:ana~3Ax */
    assert_true(name_space_is_users(SPAN_LITERAL("cart:ana~3Ax"), SPAN_LITERAL("ana:x"), true));
}

static void name__patterns_cover_by_prefix_only_at_a_star(void **state)
{
    (void)state;
    assert_true(name_pattern_covers(SPAN_LITERAL("chat:*"), SPAN_LITERAL("chat:lobby")) && name_pattern_covers(SPAN_LITERAL("*"), SPAN_LITERAL("a:b")));
    assert_true(name_pattern_covers(SPAN_LITERAL("cart:bob"), SPAN_LITERAL("cart:bob")));
    assert_false(name_pattern_covers(SPAN_LITERAL("cart:bob"), SPAN_LITERAL("cart:bobby")) || name_pattern_covers(SPAN_LITERAL("c*t:a"), SPAN_LITERAL("cat:a")));
    assert_false(name_is_pattern(SPAN_LITERAL("**")) || name_is_pattern(SPAN_LITERAL("")));
}

static void cursor__is_one_string_a_place_and_nothing_elses(void **state)
{
    struct buf buf;
    struct cursor cursor = {.place = 42}, back;
    struct span log = SPAN_LITERAL("log-1"), space = SPAN_LITERAL("cart:ana");
    (void)state;
    buf_init(&buf, CURSOR_BYTES_MAX);
    for (int with_floor = 0; with_floor < 2; with_floor++) {
        buf_reset(&buf);
        cursor.has_floor = with_floor != 0;
        cursor.floor = 50;
        cursor_encode(&buf, log, space, &cursor);
        assert_int_equal(cursor_decode(buf_span(&buf), log, space, &back), CURSOR_GOOD);
        assert_int_equal(back.place, 42);
        assert_int_equal(back.has_floor, with_floor);
        assert_int_equal(cursor_decode(buf_span(&buf), SPAN_LITERAL("log-2"), space, &back), CURSOR_FOREIGN);
        assert_int_equal(cursor_decode(buf_span(&buf), log, SPAN_LITERAL("cart:bob"), &back), CURSOR_FOREIGN);
        for (size_t cut = 0; cut < log.bytes + 18; cut++) assert_int_equal(cursor_decode(span_of(buf.at, cut), log, space, &back), CURSOR_FOREIGN);
        buf_add_char(&buf, '.');
        assert_int_equal(cursor_decode(buf_span(&buf), log, space, &back), CURSOR_FOREIGN);
    }
    static const char *const tails[] = {".-1", ".", ".01", ".9007199254740993000", ".1.", ".1.2.3", ".1 "};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        buf_reset(&buf);
        buf_add_span(&buf, log);
        buf_add_char(&buf, '.');
        buf_add_hex64(&buf, hash_64(space));
        buf_add_text(&buf, tails[i]);
        assert_int_equal(cursor_decode(buf_span(&buf), log, space, &back), CURSOR_FOREIGN);
    }
    buf_fini(&buf);
    assert_true(cursor_is_log_name(SPAN_LITERAL("mwu-1")) && !cursor_is_log_name(SPAN_LITERAL("A")) && !cursor_is_log_name(SPAN_LITERAL("")));
}

static void err__names_are_found_again(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_COUNT; i++) {
        const char *name = err_name((enum err)i);
        assert_int_equal(err_find(name, strlen(name)), i);
        assert_true(strlen(err_text((enum err)i)) > 3);
        assert_int_equal(err_kind((enum err)i) == ERR_KIND_NONE, i == ERR_OK);
    }
    assert_int_equal(err_find("nonsense", 8), ERR_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf__never_grows_past_its_maximum_and_stays_failed), cmocka_unit_test(buf__writes_numbers_and_strings_as_json),
        cmocka_unit_test(arena__is_bounded_aligned_zeroed_and_reused), cmocka_unit_test(blob__lives_until_its_last_reference),
        cmocka_unit_test(number__compares_exactly_at_any_size), cmocka_unit_test(number__knows_integers_in_any_writing),
        cmocka_unit_test(hash__of_a_document_is_the_protocols), cmocka_unit_test(hash__pieces_do_not_run_together),
        cmocka_unit_test(name__knows_spaces_ids_users_and_devices), cmocka_unit_test(name__of_a_user_reaches_into_nobody_elses),
        cmocka_unit_test(name__patterns_cover_by_prefix_only_at_a_star), cmocka_unit_test(cursor__is_one_string_a_place_and_nothing_elses),
        cmocka_unit_test(err__names_are_found_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
