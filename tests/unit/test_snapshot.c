/* Snapshots: whatever the journal does between the question and the page, a page sees one state of the owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rig.h"
#include "tests/support/scribe.h"
#include "workers/snapshot.h"

struct desk {
    char dir[RIG_PATH_BYTES];
    struct store *store;
    struct overlay *overlay;
    struct scribe scribe;
    struct overlay_batch batch;
    bool sealed, applied;
    uint64_t sealed_next, stored_next;
    struct map_state sealed_model, stored_model;
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

static void go_on(struct desk *desk, uint64_t what)
{
    if (what == 0 && !desk->sealed) {
        assert_int_equal(overlay_seal(desk->overlay, &desk->batch), ERR_OK);
        desk->sealed = true;
        desk->applied = false;
        desk->sealed_next = desk->scribe.next_offset;
        map_state_copy(&desk->scribe.model, &desk->sealed_model);
    } else if (what == 1 && desk->sealed && !desk->applied) {
        struct store_batch stored = {.count = desk->batch.count, .cells = desk->batch.cells, .stamp = {desk->sealed_next, 0}};
        assert_int_equal(store_apply(desk->store, &stored), ERR_OK);
        desk->applied = true;
        desk->stored_next = desk->sealed_next;
        map_state_fini(&desk->stored_model);
        desk->stored_model = desk->sealed_model;
        memset(&desk->sealed_model, 0, sizeof desk->sealed_model);
    } else if (what == 2 && desk->sealed && desk->applied) {
        overlay_release(desk->overlay, &desk->batch);
        desk->sealed = false;
    }
}

static int teardown(void **state)
{
    struct desk *desk = *state;
    go_on(desk, 1);
    go_on(desk, 2);
    overlay_close(desk->overlay);
    store_close(desk->store);
    scribe_fini(&desk->scribe);
    map_state_fini(&desk->stored_model);
    map_state_fini(&desk->sealed_model);
    rig_dir_remove(desk->dir);
    free(desk);
    return 0;
}

static void a_page_sees_one_state_of_the_owner(void **state)
{
    struct desk *desk = *state;
    for (int i = 0; i < 3000; i++) {
        scribe_step(&desk->scribe);
        assert_int_equal(overlay_put(desk->overlay, desk->scribe.writes, desk->scribe.count), ERR_OK);
        go_on(desk, rig_random(&desk->scribe.seed) % 5);
        if (i % 7 != 0) continue;
        /* Asked now ... */
        struct patch *patch;
        struct map_state asked = {0};
        unsigned space = (unsigned)(rig_random(&desk->scribe.seed) % SCRIBE_SPACES);
        map_state_copy(&desk->scribe.model, &asked);
        uint64_t asked_next = desk->scribe.next_offset;
        assert_int_equal(patch_make(desk->overlay, span_text(scribe_space(space)), space + 1, asked_next, &patch), ERR_OK);
        /* ... and made after the world went on. */
        for (uint64_t later = rig_random(&desk->scribe.seed) % 12; later > 0; later--) {
            scribe_step(&desk->scribe);
            assert_int_equal(overlay_put(desk->overlay, desk->scribe.writes, desk->scribe.count), ERR_OK);
            go_on(desk, rig_random(&desk->scribe.seed) % 3);
        }
        struct snapshot snapshot = {0};
        assert_int_equal(snapshot_open(&snapshot, desk->store, patch), ERR_OK);
        scribe_compare(&snapshot.reader, desk->stored_next >= asked_next ? &desk->stored_model : &asked, space + 1);
        snapshot_close(&snapshot);
        patch_put(patch);
        map_state_fini(&asked);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_sees_one_state_of_the_owner, setup, teardown),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
