/* The golden vectors are what the core makes, to the byte: a client that passes them agrees with this server. A change
 * here is a change of outcomes: it takes a new version of the records (core/record.h), then `make vectors`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "tests/support/vectors.h"

static void read_file(const char *path, struct buf *buf)
{
    char piece[65536];
    size_t count;
    FILE *in = fopen(path, "rb");
    if (in == NULL) fail_msg("%s: run from the repository's root, after `make vectors`", path);
    while ((count = fread(piece, 1, sizeof piece, in)) > 0) buf_add(buf, piece, count);
    assert_false(ferror(in));
    fclose(in);
}

static void compare_lines(const char *name, const struct buf *kept, const struct buf *made)
{
    size_t line = 1;
    for (size_t i = 0; i < kept->bytes && i < made->bytes; i++) {
        if (kept->at[i] != made->at[i]) fail_msg("%s:%zu differs from what the core makes", name, line);
        line += kept->at[i] == '\n';
    }
    if (kept->bytes != made->bytes) fail_msg("%s: %zu bytes, the core makes %zu", name, kept->bytes, made->bytes);
}

static void vectors__are_what_the_core_makes(void **state)
{
    (void)state;
    for (size_t file = 0; file < VECTORS_FILES; file++) {
        struct buf kept, made;
        char path[256];
        snprintf(path, sizeof path, "schemas/vectors/%s", vectors_name(file));
        buf_init(&kept, VECTORS_BYTES_MAX);
        buf_init(&made, VECTORS_BYTES_MAX);
        read_file(path, &kept);
        vectors_write(file, &made);
        assert_true(buf_ok(&kept) && buf_ok(&made));
        compare_lines(path, &kept, &made);
        buf_fini(&kept);
        buf_fini(&made);
    }
}

/* Whoever reads them meets every outcome of every policy, and what lost. */
static void vectors__are_json_and_show_every_outcome(void **state)
{
    (void)state;
    static const char *const statuses[] = {"changed", "unchanged", "lost", "conflict", "rejected"};
    size_t seen[5] = {0}, losers = 0;
    for (size_t file = 0; file < VECTORS_FILES; file++) {
        struct buf made;
        buf_init(&made, VECTORS_BYTES_MAX);
        vectors_write(file, &made);
        for (size_t at = 0; at < made.bytes;) {
            struct json_value line;
            const char *end = memchr(made.at + at, '\n', made.bytes - at);
            assert_non_null(end);
            assert_true(json_check(span_of(made.at + at, (size_t)(end - made.at) - at), &line, NULL));
            for (size_t i = 0; i < 5; i++) seen[i] += json_string_is(json_find(line, "status"), statuses[i]);
            losers += json_count(json_find(line, "losers"));
            at = (size_t)(end - made.at) + 1;
        }
        buf_fini(&made);
    }
    for (size_t i = 0; i < 5; i++) assert_true(seen[i] >= 50);
    assert_true(losers >= 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors__are_what_the_core_makes),
        cmocka_unit_test(vectors__are_json_and_show_every_outcome),
    };
    return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
