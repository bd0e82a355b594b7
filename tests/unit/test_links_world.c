/* Two gateways and two workers over TCP and Redis: whatever moves, breaks or is emptied, devices hold what they were promised. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "tests/support/links_world.h"

enum { TURNS = 1000, PUSHES_MAX = 200 };

static int setup(void **state)
{
    struct links_world *world = calloc(1, sizeof *world);
    if (world == NULL) return -1;
    links_world_init(world, 7);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    links_world_fini(*state);
    free(*state);
    return 0;
}

/* ---- devices ---- */

static void push_something(struct links_world *world, struct model_device *device, size_t space)
{
    char ops[192], adds[64] = "";
    if (device->spaces[space].pushes_count >= PUSHES_MAX) return;
    if (space == 1) {
        snprintf(ops, sizeof ops, "[{\"op\":\"incr\",\"collection\":\"items\",\"id\":\"i%u\",\"field\":\"qty\",\"by\":1}]", (unsigned)links_world_chance(world, 3));
    } else {
        snprintf(adds, sizeof adds, "messages/%s-%llu", device->device, (unsigned long long)device->next_id);
        snprintf(ops, sizeof ops, "[{\"op\":\"append\",\"collection\":\"messages\",\"id\":\"%s-%llu\",\"body\":{\"text\":\"t\"}}]", device->device,
                 (unsigned long long)device->next_id);
    }
    model_device_push(device, space, ops, adds);
}

static bool may_open(const struct model_device *device, size_t space) { return space != 1 || strcmp(device->user, "ana") == 0; }

/* Rooms that everybody may join, and everything open everywhere. */
static void begin(struct links_world *world)
{
    assert_true(links_world_until(world, links_world_ready));
    model_device_connect(&world->devices[0]);
    for (size_t i = 0; i < MODEL_SPACES; i += 2)
        model_device_push(&world->devices[0], i, "[{\"op\":\"put\",\"collection\":\"room\",\"id\":\"settings\",\"body\":{\"join\":\"open\"}}]", "");
    assert_true(links_world_until(world, links_world_quiet));
    for (size_t d = 0; d < LINKS_DEVICES; d++) {
        if (d > 0) model_device_connect(&world->devices[d]);
        for (size_t i = 0; i < MODEL_SPACES; i++)
            if (may_open(&world->devices[d], i)) model_device_open(&world->devices[d], i);
    }
    assert_true(links_world_until(world, links_world_quiet));
}

static bool same_everywhere(struct links_world *world)
{
    for (size_t i = 0; i < MODEL_SPACES; i++) {
        const struct model_space *first = &world->devices[0].spaces[i];
        for (size_t d = 1; d < LINKS_DEVICES; d++) {
            const struct model_space *other = &world->devices[d].spaces[i];
            if (!may_open(&world->devices[d], i)) continue;
            if (other->place != first->place || other->docs_count != first->docs_count) return false;
        }
    }
    return links_world_quiet(world);
}

static const struct model_doc *find_doc(const struct model_space *space, const char *key)
{
    for (size_t i = 0; i < space->docs_count; i++)
        if (strcmp(space->docs[i].key, key) == 0) return &space->docs[i];
    return NULL;
}

/* One place, the same documents at the same revs; and what was applied is there, once. */
static void assert_promises(struct links_world *world)
{
    size_t applied = 0;
    for (size_t d = 0; d < LINKS_DEVICES; d++) assert_int_equal(world->devices[d].resets, 0); /* nobody was led back */
    for (size_t d = 0; d < LINKS_DEVICES; d++) {
        for (size_t i = 0; i < MODEL_SPACES; i++) {
            const struct model_space *mine = &world->devices[d].spaces[i], *first = &world->devices[0].spaces[i];
            if (!may_open(&world->devices[d], i)) continue;
            for (size_t k = 0; k < mine->docs_count; k++) {
                const struct model_doc *other = find_doc(first, mine->docs[k].key);
                assert_non_null(other);
                assert_int_equal(other->rev, mine->docs[k].rev);
            }
            for (size_t k = 0; k < mine->pushes_count; k++) {
                assert_int_equal(mine->pushes[k].outcome, MODEL_APPLIED);
                if (mine->pushes[k].adds[0] != '\0') assert_non_null(find_doc(first, mine->pushes[k].adds));
                applied++;
            }
        }
    }
    assert_true(applied > 100);
}

static void come_to_rest(struct links_world *world)
{
    world->log.held = false;
    for (size_t d = 0; d < LINKS_DEVICES; d++)
        if (world->devices[d].conn == NULL) links_world_move(world, d, d % LINKS_GATEWAYS, false);
    if (!links_world_until(world, same_everywhere)) {
        for (size_t d = 0; d < LINKS_DEVICES; d++)
            for (size_t i = 0; i < MODEL_SPACES; i++)
                fprintf(stderr, "%s %s: wanted %d live %d in a run %d at %llu, %zu documents, %zu pushes\n", world->devices[d].device,
                        world->devices[d].spaces[i].name, world->devices[d].spaces[i].wanted, world->devices[d].spaces[i].live,
                        world->devices[d].spaces[i].in_run, (unsigned long long)world->devices[d].spaces[i].place,
                        world->devices[d].spaces[i].docs_count, world->devices[d].spaces[i].pushes_count);
        fail_msg("the devices do not come to hold the same");
    }
    assert_promises(world);
}

/* Load, and now and then something that befalls the world. */
static void play(struct links_world *world, void (*befall)(struct links_world *world), uint64_t one_in)
{
    begin(world);
    for (int turn = 0; turn < TURNS; turn++) {
        struct model_device *device = &world->devices[links_world_chance(world, LINKS_DEVICES)];
        size_t space = (size_t)links_world_chance(world, MODEL_SPACES);
        if (device->conn != NULL && may_open(device, space) && links_world_chance(world, 3) == 0) push_something(world, device, space);
        if (links_world_chance(world, one_in) == 0) befall(world);
        links_world_turn(world);
    }
    come_to_rest(world);
}

/* ---- what befalls it ---- */

static void partition_moves(struct links_world *world)
{
    links_world_assign(world, (uint32_t)links_world_chance(world, MEMORY_LOG_PARTITIONS), (size_t)links_world_chance(world, LINKS_WORKERS));
}
static void links_break(struct links_world *world) { links_world_cut(world, (size_t)links_world_chance(world, LINKS_WORKERS)); }
static void redis_is_emptied(struct links_world *world) { redis_desk_ask(&world->redis, "FLUSHALL"); }
static void redis_dies(struct links_world *world)
{
    if (world->redis.pid != 0) redis_desk_stop(&world->redis);
    else redis_desk_start(&world->redis);
}
static void device_moves(struct links_world *world)
{
    links_world_move(world, (size_t)links_world_chance(world, LINKS_DEVICES), (size_t)links_world_chance(world, LINKS_GATEWAYS), links_world_chance(world, 2) == 0);
}
static void owner_lags(struct links_world *world) { world->log.held = !world->log.held; }
/* A worker sleeps past its time, with work in its hands: another has the partition, and begins where the sleeper's journal ended. */
static void worker_sleeps(struct links_world *world)
{
    uint32_t partition = (uint32_t)links_world_chance(world, MEMORY_LOG_PARTITIONS);
    size_t worker = (size_t)links_world_chance(world, LINKS_WORKERS);
    if (links_world_chance(world, 2) == 0) memory_log_wake(&world->log, partition);
    else memory_log_steal(&world->log, partition, world->workers[worker].reader);
    if (links_world_chance(world, 2) == 0) owner_lags(world);
    if (links_world_chance(world, 2) == 0) links_world_move(world, (size_t)links_world_chance(world, LINKS_DEVICES), 0, false);
}
static void anything(struct links_world *world)
{
    static void (*const kinds[])(struct links_world *world) = {partition_moves, worker_sleeps, links_break, redis_is_emptied, device_moves, owner_lags};
    kinds[links_world_chance(world, sizeof kinds / sizeof *kinds)](world);
}

static void in_peace(struct links_world *world) { (void)world; }

static void all_is_told_across_gateways_and_workers(void **state)
{
    struct links_world *world = *state;
    bool first = false, second = false;
    play(world, in_peace, 100);
    for (size_t i = 0; i < MODEL_SPACES; i++) {
        size_t at = hash_partition(span_text(world->devices[0].spaces[i].name), MEMORY_LOG_PARTITIONS) % LINKS_WORKERS;
        first = first || at == 0;
        second = second || at == 1;
    }
    assert_true(first && second); /* both had something to do */
    for (size_t i = 0; i < LINKS_GATEWAYS; i++) assert_int_equal(hub_counters(world->gateways[i].rig.hub)->holes, 0);
}

static void partitions_move_under_load(void **state) { play(*state, partition_moves, 40); }
static void links_break_under_load(void **state) { play(*state, links_break, 60); }
static void devices_go_from_gateway_to_gateway(void **state)
{
    play(*state, device_moves, 20);
    assert_true(((struct links_world *)*state)->displaced > 0);
}
static void owners_that_lag_take_nobody_back(void **state) { play(*state, owner_lags, 50); }
static void workers_that_sleep_and_wake_change_nothing(void **state) { play(*state, worker_sleeps, 30); }

static uint32_t chat_partition(const struct links_world *world) { return hash_partition(span_text(world->devices[0].spaces[0].name), MEMORY_LOG_PARTITIONS); }
static bool is_past_the_silence(struct links_world *world)
{
    const struct memory_partition *p = &world->log.partitions[chat_partition(world)];
    return p->started && p->next >= p->silent_below;
}
static bool the_sleeper_let_go(struct links_world *world) { return world->log.partitions[chat_partition(world)].lost == NULL; }

static void an_owner_that_begins_behind_answers_when_it_has_caught_up(void **state)
{
    struct links_world *world = *state;
    struct model_device *device = &world->devices[1];
    uint32_t partition = chat_partition(world);
    struct memory_partition *p = &world->log.partitions[partition];
    begin(world);
    do { /* something that was told, and that no journal has yet */
        push_something(world, &world->devices[0], 0);
        assert_true(links_world_until(world, same_everywhere));
    } while (p->trimmed >= p->count);
    uint64_t place = device->spaces[0].place;
    world->log.held = true;
    memory_log_steal(&world->log, partition, world->workers[1 - partition % LINKS_WORKERS].reader);
    assert_true(links_world_until(world, is_past_the_silence));
    memory_log_wake(&world->log, partition);
    assert_true(links_world_until(world, the_sleeper_let_go));
    for (int turn = 0; turn < 50; turn++) links_world_turn(world); /* both gateways have heard */
    links_world_move(world, 1, 0, false);
    for (int turn = 0; turn < 100; turn++) links_world_turn(world);
    assert_false(device->spaces[0].live);
    world->log.held = false;
    assert_true(links_world_until(world, same_everywhere));
    assert_int_equal(device->spaces[0].place, place);
    assert_int_equal(device->resets, 0);
}

static void redis_emptied_or_dead_is_no_matter_to_what_is_told(void **state)
{
    struct links_world *world = *state;
    play(world, redis_is_emptied, 40);
    uint64_t holes = hub_counters(world->gateways[0].rig.hub)->holes;
    for (int turn = 0; turn < 300; turn++) {
        if (turn == 100) redis_dies(world);
        push_something(world, &world->devices[turn % LINKS_DEVICES], 0);
        links_world_turn(world);
    }
    come_to_rest(world); /* with Redis gone all the while */
    assert_int_equal(hub_counters(world->gateways[0].rig.hub)->holes, holes);
    redis_dies(world);
}

static void anything_at_all_under_load(void **state) { play(*state, anything, 25); }

int main(void)
{
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(all_is_told_across_gateways_and_workers),
        WORLD_TEST(partitions_move_under_load),
        WORLD_TEST(links_break_under_load),
        WORLD_TEST(devices_go_from_gateway_to_gateway),
        WORLD_TEST(owners_that_lag_take_nobody_back),
        WORLD_TEST(workers_that_sleep_and_wake_change_nothing),
        WORLD_TEST(an_owner_that_begins_behind_answers_when_it_has_caught_up),
        WORLD_TEST(redis_emptied_or_dead_is_no_matter_to_what_is_told),
        WORLD_TEST(anything_at_all_under_load),
    };
    return cmocka_run_group_tests_name("links_world", tests, NULL, NULL);
}
