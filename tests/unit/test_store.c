/* The store: whole batches, across reopening; whose it is; dead letters; a map that grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/rig.h"
#include "workers/overlay.h"
#include "workers/store.h"

static int setup(void **state)
{
    char *dir = malloc(RIG_PATH_BYTES);
    if (dir == NULL) return -1;
    rig_dir_make(dir);
    *state = dir;
    return 0;
}

static int teardown(void **state)
{
    rig_dir_remove(*state);
    free(*state);
    return 0;
}

static enum err try_open(const char *dir, const char *log, uint32_t partition, struct store **ret_store)
{
    char why[256];
    struct store_options options = {.path = dir, .log = log, .partition = partition, .map_bytes = 1 << 20};
    return store_open(&options, ret_store, why, sizeof why);
}

static void put(struct store *store, const char *key, const char *value, size_t value_bytes, uint64_t next_offset)
{
    struct overlay *overlay;
    struct overlay_batch batch;
    struct state_write write = {.table = STATE_DOC, .key = span_text(key), .value = span_of(value, value_bytes)};
    assert_int_equal(overlay_open(&overlay), ERR_OK);
    assert_int_equal(overlay_put(overlay, &write, 1), ERR_OK);
    assert_int_equal(overlay_seal(overlay, &batch), ERR_OK);
    struct store_batch stored = {.count = batch.count, .cells = batch.cells, .stamp = {next_offset, next_offset * 7}};
    assert_int_equal(store_apply(store, &stored), ERR_OK);
    overlay_release(overlay, &batch);
    overlay_close(overlay);
}

static void a_batch_and_its_stamp_survive_reopening(void **state)
{
    struct store *store;
    struct store_view *view;
    struct store_stamp stamp;
    struct span value;
    assert_int_equal(try_open(*state, "log-1", 2, &store), ERR_OK);
    put(store, "k", "v", 1, 9);
    store_close(store);
    assert_int_equal(try_open(*state, "log-1", 2, &store), ERR_OK);
    assert_int_equal(store_view_begin(store, &view), ERR_OK);
    assert_int_equal(store_view_stamp(view, &stamp), ERR_OK);
    assert_int_equal(stamp.next_offset, 9);
    assert_int_equal(stamp.last_hash, 63);
    struct state_reader reader = store_view_reader(view);
    assert_int_equal(reader.get(reader.ctx, STATE_DOC, SPAN_LITERAL("k"), &value), ERR_OK);
    assert_true(span_is(value, "v"));
    assert_int_equal(reader.get(reader.ctx, STATE_BYREV, SPAN_LITERAL("k"), &value), ERR_OK);
    assert_null(value.at);
    store_view_end(view);
    store_close(store);
}

static void another_logs_or_partitions_store_is_refused(void **state)
{
    struct store *store;
    assert_int_equal(try_open(*state, "log-1", 2, &store), ERR_OK);
    store_close(store);
    assert_int_equal(try_open(*state, "log-2", 2, &store), ERR_FOREIGN);
    assert_int_equal(try_open(*state, "log-1", 1, &store), ERR_FOREIGN);
}

static void the_map_grows_past_its_first_size(void **state)
{
    struct store *store;
    size_t bytes = 300000;
    char *big = malloc(bytes), key[16];
    assert_non_null(big);
    memset(big, 'x', bytes);
    assert_int_equal(try_open(*state, "log-1", 0, &store), ERR_OK);
    for (uint64_t i = 1; i <= 20; i++) {
        snprintf(key, sizeof key, "k%llu", (unsigned long long)i);
        put(store, key, big, bytes, i);
    }
    struct store_view *view;
    struct span value;
    assert_int_equal(store_view_begin(store, &view), ERR_OK);
    struct state_reader reader = store_view_reader(view);
    assert_int_equal(reader.get(reader.ctx, STATE_DOC, SPAN_LITERAL("k1"), &value), ERR_OK);
    assert_int_equal(value.bytes, bytes);
    store_view_end(view);
    store_close(store);
    free(big);
}

static void dead_letters_are_kept_whole_and_bounded(void **state)
{
    struct store *store;
    struct store_view *view;
    struct span text;
    struct store_dead *dead = malloc(sizeof *dead + 16);
    assert_non_null(dead);
    dead->next = NULL;
    dead->bytes = sizeof "why\0record" - 1;
    memcpy(dead->text, "why\0record", dead->bytes);
    assert_int_equal(try_open(*state, "log-1", 0, &store), ERR_OK);
    for (uint64_t i = 0; i < 10010; i += 10) {
        /* Ten a batch. */
        struct store_dead *chain[10];
        for (uint64_t j = 0; j < 10; j++) {
            chain[j] = malloc(sizeof *dead + 16);
            assert_non_null(chain[j]);
            memcpy(chain[j], dead, sizeof *dead + dead->bytes);
            chain[j]->offset = i + j;
            chain[j]->next = NULL;
            if (j > 0) chain[j - 1]->next = chain[j];
        }
        struct store_batch batch = {.dead = chain[0], .stamp = {i + 10, 0}};
        assert_int_equal(store_apply(store, &batch), ERR_OK);
        for (size_t j = 0; j < 10; j++) free(chain[j]);
    }
    assert_int_equal(store_dead_count(store), 10000);
    assert_int_equal(store_view_begin(store, &view), ERR_OK);
    assert_int_equal(store_dead_find(view, 10009, &text), ERR_OK);
    assert_int_equal(text.bytes, dead->bytes);
    assert_memory_equal(text.at, "why\0record", text.bytes);
    assert_int_equal(store_dead_find(view, 9, &text), ERR_OK);
    assert_null(text.at);
    store_view_end(view);
    store_close(store);
    free(dead);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_batch_and_its_stamp_survive_reopening),
        STORE_TEST(another_logs_or_partitions_store_is_refused),
        STORE_TEST(the_map_grows_past_its_first_size),
        STORE_TEST(dead_letters_are_kept_whole_and_bounded),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
