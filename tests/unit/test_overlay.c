/* The overlay over a store: the owner's reader, batches, what is released when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rig.h"
#include "tests/support/scribe.h"
#include "workers/overlay.h"
#include "workers/store.h"

struct desk {
    char dir[RIG_PATH_BYTES];
    struct store *store;
    struct overlay *overlay;
    struct scribe scribe;
};

static int setup(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    char why[128];
    if (desk == NULL) return -1;
    rig_dir_make(desk->dir);
    struct store_options options = {.path = desk->dir, .log = "log-1", .map_bytes = 1 << 20};
    if (store_open(&options, &desk->store, why, sizeof why) != ERR_OK || overlay_open(&desk->overlay) != ERR_OK) return -1;
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    struct desk *desk = *state;
    overlay_close(desk->overlay);
    store_close(desk->store);
    scribe_fini(&desk->scribe);
    rig_dir_remove(desk->dir);
    free(desk);
    return 0;
}

static void step(struct desk *desk)
{
    scribe_step(&desk->scribe);
    assert_int_equal(overlay_put(desk->overlay, desk->scribe.writes, desk->scribe.count), ERR_OK);
}

static void apply(struct desk *desk, const struct overlay_batch *batch, uint64_t next_offset)
{
    struct store_batch stored = {.count = batch->count, .cells = batch->cells, .stamp = {next_offset, 0}};
    assert_int_equal(store_apply(desk->store, &stored), ERR_OK);
}

static void compare(struct desk *desk)
{
    struct store_view *view;
    assert_int_equal(store_view_begin(desk->store, &view), ERR_OK);
    struct merge merge = {overlay_over(desk->overlay), store_view_reader(view)};
    struct state_reader reader = merge_reader(&merge);
    scribe_compare(&reader, &desk->scribe.model, 0);
    store_view_end(view);
}

static void the_owner_reads_its_own_writes_at_every_stage_of_a_batch(void **state)
{
    struct desk *desk = *state;
    struct overlay_batch batch = {0};
    bool sealed = false, applied = false;
    uint64_t sealed_next = 0;
    for (int i = 0; i < 1500; i++) {
        step(desk);
        uint64_t what = rig_random(&desk->scribe.seed) % 6;
        if (what == 0 && !sealed) {
            assert_int_equal(overlay_seal(desk->overlay, &batch), ERR_OK);
            sealed_next = desk->scribe.next_offset;
            sealed = true;
            applied = false;
        } else if (what == 1 && sealed && !applied) {
            apply(desk, &batch, sealed_next);
            applied = true;
        } else if (what == 2 && sealed && applied) {
            overlay_release(desk->overlay, &batch);
            sealed = false;
        }
        if (i % 10 == 0) compare(desk);
    }
    if (sealed && !applied) apply(desk, &batch, sealed_next);
    if (sealed) overlay_release(desk->overlay, &batch);
    compare(desk);
}

static void a_released_overlay_holds_nothing(void **state)
{
    struct desk *desk = *state;
    struct overlay_batch batch;
    for (int i = 0; i < 50; i++) step(desk);
    assert_true(overlay_bytes(desk->overlay) > 0);
    assert_int_equal(overlay_seal(desk->overlay, &batch), ERR_OK);
    apply(desk, &batch, desk->scribe.next_offset);
    overlay_release(desk->overlay, &batch);
    assert_int_equal(overlay_bytes(desk->overlay), 0);
    assert_int_equal(overlay_gathered(desk->overlay), 0);
    compare(desk);
}

static void what_a_later_batch_wrote_again_outlives_the_release(void **state)
{
    struct desk *desk = *state;
    struct overlay_batch batch;
    struct state_write write = {.table = STATE_META, .key = SPAN_LITERAL("k"), .value = SPAN_LITERAL("one")};
    assert_int_equal(overlay_put(desk->overlay, &write, 1), ERR_OK);
    assert_int_equal(overlay_seal(desk->overlay, &batch), ERR_OK);
    write.value = SPAN_LITERAL("two");
    assert_int_equal(overlay_put(desk->overlay, &write, 1), ERR_OK);
    assert_int_equal(batch.count, 1);
    assert_true(span_is(cell_value(batch.cells[0]), "one"));
    overlay_release(desk->overlay, &batch);
    struct merge_over over = overlay_over(desk->overlay);
    assert_true(span_is(cell_value(over.get(over.ctx, STATE_META, SPAN_LITERAL("k"))), "two"));
}

static void a_write_may_be_made_from_what_it_replaces(void **state)
{
    struct desk *desk = *state;
    struct state_write write = {.table = STATE_META, .key = SPAN_LITERAL("k"), .value = SPAN_LITERAL("value")};
    assert_int_equal(overlay_put(desk->overlay, &write, 1), ERR_OK);
    struct merge_over over = overlay_over(desk->overlay);
    struct span old = cell_value(over.get(over.ctx, STATE_META, SPAN_LITERAL("k")));
    struct state_write writes[] = {{.table = STATE_META, .key = SPAN_LITERAL("k"), .value = SPAN_LITERAL("other")},
                                   {.table = STATE_META, .key = SPAN_LITERAL("copy"), .value = old}};
    assert_int_equal(overlay_put(desk->overlay, writes, 2), ERR_OK);
    assert_true(span_is(cell_value(over.get(over.ctx, STATE_META, SPAN_LITERAL("copy"))), "value"));
}

int main(void)
{
#define OVERLAY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        OVERLAY_TEST(the_owner_reads_its_own_writes_at_every_stage_of_a_batch),
        OVERLAY_TEST(a_released_overlay_holds_nothing),
        OVERLAY_TEST(what_a_later_batch_wrote_again_outlives_the_release),
        OVERLAY_TEST(a_write_may_be_made_from_what_it_replaces),
    };
    return cmocka_run_group_tests_name("overlay", tests, NULL, NULL);
}
