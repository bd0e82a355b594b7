/* What a hostile push costs: memory is bounded by the bytes that it brought and the documents that it names, however its
 * operations repeat themselves; and running out of memory decides nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "tests/support/pushes.h"

enum { STEP_BYTES_MAX = 33554432, FRAME_BYTES = 2000000 };

typedef void write_op(struct buf *ops, uint64_t i);

/* Pushes as many operations as a frame holds; returns the memory that it took. */
static size_t push_all(struct shelf *shelf, write_op *write, enum resolve_status status)
{
    struct buf ops;
    buf_init(&ops, 2 * FRAME_BYTES);
    buf_add_char(&ops, '[');
    for (uint64_t i = 0; i < LIMIT_OPS_MAX && ops.bytes < FRAME_BYTES; i++) {
        if (i > 0) buf_add_char(&ops, ',');
        write(&ops, i);
    }
    buf_add_char(&ops, ']');
    assert_true(buf_ok(&ops));
    assert_int_equal(shelf_push_span(shelf, &(struct shelf_push){0}, buf_span(&ops)), status);
    buf_fini(&ops);
    return shelf->arena.bytes;
}

static void begin(struct buf *ops, const char *kind, const char *collection, uint64_t id)
{
    buf_add_text(ops, "{\"op\":\"");
    buf_add_text(ops, kind);
    buf_add_text(ops, "\",\"collection\":\"");
    buf_add_text(ops, collection);
    buf_add_text(ops, "\",\"id\":\"");
    buf_add_u64(ops, id);
    buf_add_text(ops, "\",");
}

static void add_fields(struct buf *ops, uint64_t first, uint64_t count, const char *value)
{
    buf_add_text(ops, "\"body\":{");
    for (uint64_t i = 0; i < count; i++) {
        buf_add_text(ops, i > 0 ? ",\"" : "\"");
        buf_add_u64(ops, first + i);
        buf_add_text(ops, "\":");
        buf_add_text(ops, value);
    }
    buf_add_text(ops, "}}");
}

static void add_numbers(struct buf *ops, uint64_t first, uint64_t count)
{
    buf_add_text(ops, "\"field\":\"s\",\"values\":[");
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0) buf_add_char(ops, ',');
        buf_add_u64(ops, first + i);
    }
    buf_add_text(ops, "]}");
}

static void large_body(struct buf *ops)
{
    buf_add_text(ops, "\"body\":{\"t\":\"");
    for (size_t i = 0; i < 250000; i++) buf_add_char(ops, 't');
    buf_add_text(ops, "\",\"s\":[1,2]}}");
}

static void fresh_fields(struct buf *ops, uint64_t i)
{
    begin(ops, "patch", "merge", 0);
    add_fields(ops, i * LIMIT_MEMBERS_MAX, LIMIT_MEMBERS_MAX, "null");
}

static void bounds__a_document_meets_4096_fields_in_one_push_and_no_more(void **state)
{
    struct shelf *shelf = *state;
    push_all(shelf, fresh_fields, RESOLVE_REJECTED);
    assert_int_equal(shelf->result.code, ERR_TOO_LARGE);
    assert_string_equal(shelf->result.why, "ops[16]: merge/0: more fields in one push than a document can have");
}

static void put_and_patch(struct buf *ops, uint64_t i)
{
    begin(ops, i % 2 == 0 ? "put" : "patch", "lww", 0);
    add_fields(ops, i, LIMIT_MEMBERS_MAX - 1, "1");
}
static void put_everywhere(struct buf *ops, uint64_t i)
{
    begin(ops, "put", "merge", i % LIMIT_PUSH_DOCS_MAX);
    add_fields(ops, i * 200, 200, "1");
}
static void add_and_remove(struct buf *ops, uint64_t i)
{
    begin(ops, i % 2 == 0 ? "add" : "remove", "merge", 0);
    add_numbers(ops, i / 2 * LIMIT_SET_VALUES_MAX, LIMIT_SET_VALUES_MAX);
}
static void touch_a_large_body(struct buf *ops, uint64_t i)
{
    static const char *const kinds[] = {"patch", "incr", "add", "remove"};
    begin(ops, i == 0 ? "put" : kinds[i % 4], "merge", 0);
    if (i == 0) large_body(ops);
    else if (i % 4 == 0) add_fields(ops, 7, 1, i % 8 == 0 ? "1" : "[2]");
    else if (i % 4 == 1) buf_add_text(ops, "\"field\":\"n\",\"by\":1}");
    else add_numbers(ops, 3, 1);
}
static void patch_a_large_body(struct buf *ops, uint64_t i)
{
    begin(ops, i == 0 ? "put" : "patch", "lww", 0);
    if (i == 0) large_body(ops);
    else add_fields(ops, i % 2, 1, "1");
}
/* Each time a set changes, an older patch asks whether it says what stands. */
static void ask_of_a_large_set(struct buf *ops, uint64_t i)
{
    begin(ops, i == 0 ? "put" : i % 3 == 0 ? "patch" : i % 3 == 1 ? "add" : "remove", "merge", 0);
    if (i == 0) {
        buf_add_text(ops, "\"body\":{\"s\":[\"");
        for (size_t j = 0; j < 250000; j++) buf_add_char(ops, 't');
        buf_add_text(ops, "\"]}}");
    } else if (i % 3 == 0) {
        buf_add_text(ops, "\"age\":500,\"body\":{\"s\":[1]}}");
    } else {
        add_numbers(ops, 5, 1);
    }
}

static void bounds__a_push_takes_memory_for_what_it_brings_however_it_repeats_itself(void **state)
{
    struct shelf *shelf = *state;
    assert_true(push_all(shelf, put_and_patch, RESOLVE_CHANGED) < STEP_BYTES_MAX);
    assert_true(push_all(shelf, put_everywhere, RESOLVE_CHANGED) < STEP_BYTES_MAX);
    assert_true(push_all(shelf, add_and_remove, RESOLVE_CHANGED) < STEP_BYTES_MAX);
    assert_true(push_all(shelf, touch_a_large_body, RESOLVE_CHANGED) < STEP_BYTES_MAX / 8);
    assert_true(push_all(shelf, patch_a_large_body, RESOLVE_CHANGED) < STEP_BYTES_MAX / 8);
    assert_true(push_all(shelf, ask_of_a_large_set, RESOLVE_CHANGED) < STEP_BYTES_MAX / 8);
}

static void bounds__a_patch_that_lost_is_compared_with_the_set_as_it_has_become(void **state)
{
    struct shelf *shelf = *state;
    shelf_push(shelf, &(struct shelf_push){.user = "zed", .ops = "[{\"op\":\"add\",\"collection\":\"merge\",\"id\":\"x\",\"field\":\"s\",\"values\":[1]}]"});
    /* The set's stamp stays zed's, who is the greater at this time: so the patches lose, the first to what they say. */
    assert_int_equal(shelf_push(shelf, &(struct shelf_push){.ops = "[{\"op\":\"add\",\"collection\":\"merge\",\"id\":\"x\",\"field\":\"s\",\"values\":[2]},"
                     "{\"op\":\"patch\",\"collection\":\"merge\",\"id\":\"x\",\"body\":{\"s\":[1,2]}},"
                     "{\"op\":\"patch\",\"collection\":\"merge\",\"id\":\"x\",\"body\":{\"s\":[1,3]}}]"}), RESOLVE_CHANGED);
    assert_string_equal(shelf_losers(shelf), "merge/x s [1,3] ann/phone 2 1000000\n");
}

struct memory_reader {
    struct span stored;
};
static enum err read_stored(void *ctx, struct span collection, struct span id, struct span *ret_stored)
{
    const struct memory_reader *reader = ctx;
    (void)id;
    *ret_stored = span_is(collection, "merge") ? reader->stored : span_of(NULL, 0);
    return ERR_OK;
}

/* One push, in an arena of so many bytes. */
static enum err resolve_within(size_t bytes_max, const struct namespace *ns, struct span stored, const struct op *ops, size_t count,
                               struct resolve_result *ret_result, struct arena *arena)
{
    struct memory_reader ctx = {stored};
    struct resolve_reader reader = {.ctx = &ctx, .read = read_stored};
    struct resolve_push push = {.ns = ns, .user = SPAN_LITERAL("bob"), .device = SPAN_LITERAL("tablet"), .role = ROLE_WRITER, .rev = 9, .head = 8,
                                .time_ms = 2000000, .last_push_ms = -1, .window_clock_ms = 2000000, .ops = ops, .ops_count = count};
    arena_init(arena, bytes_max);
    return resolve_push(&push, &reader, arena, ret_result);
}

static void bounds__out_of_memory_decides_nothing_wherever_it_happens(void **state)
{
    struct shelf *shelf = *state;
    struct arena ops_arena, arena;
    struct resolve_result result;
    struct json_value value;
    struct op *ops;
    size_t count, bytes = 0;
    char why[201];
    const char *text = "[{\"op\":\"put\",\"collection\":\"merge\",\"id\":\"x\",\"age\":9,\"body\":{\"\\u0061\":1,\"q\":[2]}},"
                       "{\"op\":\"add\",\"collection\":\"merge\",\"id\":\"x\",\"field\":\"s\",\"values\":[7,\"\\u0062\"]},"
                       "{\"op\":\"incr\",\"collection\":\"merge\",\"id\":\"x\",\"field\":\"n\",\"by\":3},"
                       "{\"op\":\"put\",\"collection\":\"lww\",\"id\":\"x\",\"body\":{\"z\":1}},"
                       "{\"op\":\"patch\",\"collection\":\"lww\",\"id\":\"x\",\"body\":{\"z\":null,\"\\u0079\":1}},"
                       "{\"op\":\"patch\",\"collection\":\"merge\",\"id\":\"x\",\"age\":99999999,\"body\":{\"s\":[3]}}]";
    shelf_push(shelf, &(struct shelf_push){.ops = "[{\"op\":\"put\",\"collection\":\"merge\",\"id\":\"x\",\"body\":{\"a\":0,\"s\":[1],\"n\":1}},"
                                                  "{\"op\":\"patch\",\"collection\":\"merge\",\"id\":\"x\",\"body\":{\"s\":[1,2]}}]"});
    assert_int_equal(shelf->docs_count, 1);
    assert_true(json_check(span_text(text), &value, NULL));
    arena_init(&ops_arena, 65536);
    assert_int_equal(op_decode_all(value, &ops_arena, &ops, &count, why, sizeof why), ERR_OK);
    for (;; bytes += 16) {
        enum err err = resolve_within(bytes, shelf->ns, shelf->docs[0].stored, ops, count, &result, &arena);
        if (err == ERR_OK) break;
        assert_int_equal(err, ERR_MEMORY);
        arena_fini(&arena);
        assert_true(bytes < 65536);
    }
    assert_true(bytes > 2000);
    assert_int_equal(result.status, RESOLVE_CHANGED);
    assert_int_equal(result.docs_count, 2);
    assert_true(span_is(result.docs[0].after.body, "{\"\\u0061\":1,\"q\":[2],\"s\":[3],\"n\":3}"));
    assert_true(span_is(result.docs[1].after.body, "{\"\\u0079\":1}"));
    arena_fini(&arena);
    arena_fini(&ops_arena);
}

static int setup(void **state)
{
    struct shelf *shelf = malloc(sizeof *shelf);
    if (shelf == NULL) return -1;
    shelf_init(shelf, pushes_namespace);
    *state = shelf;
    return 0;
}

static int teardown(void **state)
{
    shelf_fini(*state);
    free(*state);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(bounds__a_document_meets_4096_fields_in_one_push_and_no_more),
        TEST(bounds__a_push_takes_memory_for_what_it_brings_however_it_repeats_itself),
        TEST(bounds__a_patch_that_lost_is_compared_with_the_set_as_it_has_become),
        TEST(bounds__out_of_memory_decides_nothing_wherever_it_happens),
    };
    return cmocka_run_group_tests_name("resolve_bounds", tests, NULL, NULL);
}
