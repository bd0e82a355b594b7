/* Laws of time: owners that sweep always, never, or when it pleases them, and are opened anew or not, decide alike; and who comes back
 * within the window is told what changed. The log's clock jumps back and forth, devices stay away for longer than they are remembered. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/chance.h"
#include "tests/support/desk.h"

enum { DESKS = 3, DEVICES = 3, PLAYS = 60, STEPS = 120, WINDOW_MS = 2000, BACK_MS = 300, OPS_MAX = 512 };
static const char *const SPACE = "fast:ana";
static const char *const NAMESPACE =
    "{\"namespace\":\"fast\",\"version\":1,\"access\":\"owner\",\"window\":\"2s\",\"collections\":{\"c\":{\"policy\":\"lww\"},\"g\":{\"policy\":\"merge\"},"
    "\"m\":{\"policy\":\"append\"}}}";

/* What a device believes; it may be wrong, for it is forgotten after twice the window. */
struct device {
    char name[16];
    uint64_t next_id, after, known;
    char last_ops[OPS_MAX];
};

struct play {
    struct chance chance;
    struct desk desks[DESKS]; /* one never sweeps, one always does, one sweeps and is opened anew by chance */
    struct device devices[DEVICES];
    uint64_t head;
    uint64_t places[STEPS];   /* heads, and the clock when each was left behind; 0: it is the head still */
    int64_t left_ms[STEPS];
    size_t places_count;
};

static void some_ops(struct play *play, char ops[OPS_MAX])
{
    static const char *const ids[] = {"a", "b", "d"};
    const char *id = ids[chance_below(&play->chance, 3)];
    unsigned number = (unsigned)chance_below(&play->chance, 100), age = (unsigned)chance_below(&play->chance, 3) * 1500;
    switch (chance_below(&play->chance, 8)) {
    case 0: snprintf(ops, OPS_MAX, "[]"); break;
    case 1: snprintf(ops, OPS_MAX, "[{\"op\":\"append\",\"collection\":\"m\",\"id\":\"m%u\",\"body\":{\"n\":%u}}]", number % 5, number % 2); break;
    case 2: snprintf(ops, OPS_MAX, "[{\"op\":\"delete\",\"collection\":\"m\",\"id\":\"m%u\"}]", number % 5); break;
    case 3: snprintf(ops, OPS_MAX, "[{\"op\":\"incr\",\"collection\":\"g\",\"id\":\"%s\",\"field\":\"n\",\"by\":1}]", id); break;
    case 4: snprintf(ops, OPS_MAX, "[{\"op\":\"delete\",\"collection\":\"g\",\"id\":\"%s\",\"age\":%u}]", id, age); break;
    case 5: snprintf(ops, OPS_MAX, "[{\"op\":\"put\",\"collection\":\"g\",\"id\":\"%s\",\"age\":%u,\"body\":{\"x\":%u}}]", id, age, number); break;
    case 6: snprintf(ops, OPS_MAX, "[{\"op\":\"put\",\"collection\":\"c\",\"id\":\"%s\",\"age\":null,\"body\":{\"x\":%u}}]", id, number); break;
    default: snprintf(ops, OPS_MAX, "[{\"op\":\"delete\",\"collection\":\"c\",\"id\":\"%s\",\"age\":%u}]", id, age); break;
    }
}

static void push_to_all(struct play *play, const struct device *device, uint64_t id, uint64_t after, const char *ops)
{
    for (size_t i = 0; i < DESKS; i++) desk_push(&play->desks[i], "ana", device->name, id, after, device->known, SPACE, ops, "none");
}

/* A new push, or the last one again, or from the beginning. */
static void push(struct play *play)
{
    struct device *device = &play->devices[chance_below(&play->chance, DEVICES)];
    bool again = device->next_id > 1 && chance_one_in(&play->chance, 4);
    if (chance_one_in(&play->chance, 12)) device->after = 0;
    if (again) {
        push_to_all(play, device, device->next_id - 1, device->after, device->last_ops);
        return;
    }
    some_ops(play, device->last_ops);
    push_to_all(play, device, device->next_id, device->after, device->last_ops);
    const char *after = strstr(play->desks[0].answer, "\"after\":");
    if (strstr(play->desks[0].answer, "\"type\":\"result\"") != NULL) device->after = device->next_id;
    else if (after != NULL) device->after = strtoull(after + strlen("\"after\":"), NULL, 10);
    device->next_id++;
    if (device->after > 0 && chance_one_in(&play->chance, 2)) device->known = device->after - 1;
}

static void pass_time(struct play *play)
{
    static const int64_t jumps_ms[] = {0, 1, 100, 700, 1500, 2500, 4500, -100, -BACK_MS};
    int64_t jump_ms = jumps_ms[chance_below(&play->chance, sizeof jumps_ms / sizeof *jumps_ms)];
    for (size_t i = 0; i < DESKS; i++) play->desks[i].now_ms += jump_ms;
}

static void all_say_the_same(const struct play *play, const char *what, uint64_t seed)
{
    for (size_t i = 1; i < DESKS; i++) {
        const struct desk *one = &play->desks[0], *other = &play->desks[i];
        if (strcmp(one->update, other->update) == 0 && strcmp(one->answer, other->answer) == 0) continue;
        fail_msg("seed %llu: %s:\n%s\n%s\nbut\n%s\n%s", (unsigned long long)seed, what, one->update, one->answer, other->update, other->answer);
    }
}

static void all_hold_the_same(struct play *play, uint64_t seed)
{
    const struct device *device = &play->devices[chance_below(&play->chance, DEVICES)];
    for (size_t i = 0; i < DESKS; i++) desk_page(&play->desks[i], "ana", device->name, device->known, SPACE, -1, 0);
    for (size_t i = 1; i < DESKS; i++) {
        const struct desk *one = &play->desks[0], *other = &play->desks[i];
        if (strcmp(one->docs, other->docs) != 0) fail_msg("seed %llu: one reads\n%s\nand another\n%s", (unsigned long long)seed, one->docs, other->docs);
        assert_int_equal(one->page.parts[0].pushed, other->page.parts[0].pushed);
        assert_true(span_equal(one->page.parts[0].refused, other->page.parts[0].refused));
        assert_true(span_equal(one->page.sum, other->page.sum));
    }
}

/* From a place left behind within the window (less what the clock goes back) nobody is reset, swept or not. */
static void nobody_is_reset_within_the_window(struct play *play)
{
    for (size_t k = 0; k < play->places_count; k++) {
        if (play->left_ms[k] != 0 && owner_clock_ms(play->desks[0].owner) - play->left_ms[k] > WINDOW_MS - 2 * BACK_MS) continue;
        for (size_t i = 0; i < DESKS; i++) {
            desk_page(&play->desks[i], "ana", "phone-0009", 0, SPACE, (int64_t)play->places[k], 0);
            assert_false(play->desks[i].page.reset);
        }
    }
}

/* The update's own numbers, which gateways go by, are those of the frame that devices go by. */
static void follow_the_chain(struct play *play)
{
    char part[128];
    const struct desk *desk = &play->desks[0];
    if (desk->update[0] == '\0') return;
    assert_int_equal(desk->prev, play->head);
    assert_int_equal(desk->place, desk->next_offset);
    snprintf(part, sizeof part, ".%llu\",\"cursor\":", (unsigned long long)desk->prev);
    assert_non_null(strstr(desk->update, part));
    if (play->places_count > 0) play->left_ms[play->places_count - 1] = desk->now_ms;
    play->head = desk->place;
    play->places[play->places_count++] = play->head;
}

static void one_play(uint64_t seed)
{
    static struct play play;
    play = (struct play){.chance = {seed}};
    for (size_t i = 0; i < DESKS; i++) {
        desk_init(&play.desks[i]);
        desk_namespace(&play.desks[i], NAMESPACE);
    }
    for (size_t i = 0; i < DEVICES; i++) {
        play.devices[i].next_id = 1;
        snprintf(play.devices[i].name, sizeof play.devices[i].name, "phone-000%zu", i);
    }
    for (size_t step = 0; step < STEPS; step++) {
        pass_time(&play);
        push(&play);
        all_say_the_same(&play, "two owners decide otherwise", seed);
        follow_the_chain(&play);
        desk_sweep(&play.desks[1]);
        if (chance_one_in(&play.chance, 3)) desk_sweep(&play.desks[2]);
        if (chance_one_in(&play.chance, 3)) desk_reopen(&play.desks[2]);
        all_hold_the_same(&play, seed);
        nobody_is_reset_within_the_window(&play);
    }
    assert_true(play.places_count > STEPS / 6);
    for (size_t i = 0; i < DESKS; i++) desk_fini(&play.desks[i]);
}

static void time__owners_that_sweep_and_owners_that_do_not_decide_alike(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= PLAYS; seed++) one_play(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(time__owners_that_sweep_and_owners_that_do_not_decide_alike)};
    return cmocka_run_group_tests_name("owner_time", tests, NULL, NULL);
}
