/* The recent updates of a space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/ring.h"

static void add(struct ring *ring, uint64_t prev, uint64_t place, size_t bytes)
{
    struct blob *frame = blob_make_room(bytes);
    assert_non_null(frame);
    memset(frame->text, 'x', bytes);
    ring_add(ring, prev, place, frame);
    blob_put(frame);
}

static void ring__finds_the_update_that_follows_a_place(void **state)
{
    struct ring ring = {0};
    (void)state;
    assert_int_equal(ring_find(&ring, 0), UINT32_MAX);
    add(&ring, 0, 4, 1);
    add(&ring, 4, 9, 1);
    add(&ring, 9, 10, 1);
    assert_int_equal(ring_find(&ring, 0), 0);
    assert_int_equal(ring_find(&ring, 4), 1);
    assert_int_equal(ring_find(&ring, 9), 2);
    assert_int_equal(ring_find(&ring, 10), UINT32_MAX);
    assert_int_equal(ring_find(&ring, 5), UINT32_MAX);
    assert_int_equal(ring_at(&ring, 2)->place, 10);
    ring_fini(&ring);
}

static void ring__a_break_in_the_chain_empties_it(void **state)
{
    struct ring ring = {0};
    (void)state;
    add(&ring, 0, 4, 1);
    add(&ring, 5, 6, 1);
    assert_int_equal(ring.count, 1);
    assert_int_equal(ring_find(&ring, 0), UINT32_MAX);
    assert_int_equal(ring_find(&ring, 5), 0);
    ring_fini(&ring);
}

static void ring__keeps_the_newest_and_its_bounds(void **state)
{
    struct ring ring = {0};
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        add(&ring, i, i + 1, 10);
        assert_true(ring.count <= LIMIT_RING_UPDATES && ring.room <= LIMIT_RING_UPDATES);
    }
    assert_int_equal(ring.count, LIMIT_RING_UPDATES);
    assert_int_equal(ring_at(&ring, 0)->prev, 1000 - LIMIT_RING_UPDATES);
    assert_int_equal(ring_at(&ring, LIMIT_RING_UPDATES - 1)->place, 1000);
    assert_int_equal(ring_find(&ring, 999), LIMIT_RING_UPDATES - 1);
    add(&ring, 1000, 1001, LIMIT_RING_BYTES - 5);
    assert_int_equal(ring.count, 1);
    assert_true(ring.bytes <= LIMIT_RING_BYTES);
    add(&ring, 1001, 1002, LIMIT_RING_BYTES + 1);
    assert_int_equal(ring.count, 0);
    assert_int_equal(ring.bytes, 0);
    ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring__finds_the_update_that_follows_a_place),
        cmocka_unit_test(ring__a_break_in_the_chain_empties_it),
        cmocka_unit_test(ring__keeps_the_newest_and_its_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
