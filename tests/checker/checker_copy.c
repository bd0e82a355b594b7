/* What a store holds of a space, as the page's rules make it, and the comparison with what the order says at its cursor. */
#include <assert.h>
#include <stdlib.h>

#include "tests/checker/checker_parts.h"

void checker_copy_clear(struct checker_copy *copy)
{
    checker_table_reset(&copy->by_key);
    copy->held_count = copy->tails_count = copy->parts_count = 0;
    copy->sum = copy->newest = copy->ahead_to = copy->place = 0;
    copy->cursor = copy->run = 0;
    copy->is_null = true;
    copy->has_floor = copy->run_resets = false;
}

void checker_copy_fini(struct checker_copy *copy)
{
    checker_table_fini(&copy->by_key);
    free(copy->held);
    free(copy->tails);
    free(copy->parts);
    *copy = (struct checker_copy){0};
}

static void *duplicate(const void *at, size_t bytes)
{
    void *copy = bytes == 0 ? NULL : malloc(bytes);
    assert(copy != NULL || bytes == 0);
    if (copy != NULL) memcpy(copy, at, bytes);
    return copy;
}

void checker_copy_duplicate(const struct checker_copy *copy, struct checker_copy *ret_copy)
{
    *ret_copy = *copy;
    ret_copy->by_key.slots = duplicate(copy->by_key.slots, copy->by_key.room * sizeof *copy->by_key.slots);
    ret_copy->held = duplicate(copy->held, copy->held_count * sizeof *copy->held);
    ret_copy->tails = duplicate(copy->tails, copy->tails_count * sizeof *copy->tails);
    ret_copy->parts = duplicate(copy->parts, copy->parts_count * sizeof *copy->parts);
    ret_copy->held_room = copy->held_count;
    ret_copy->tails_room = copy->tails_count;
    ret_copy->parts_room = copy->parts_count;
}

struct checker_held *checker_copy_find(const struct checker_copy *copy, uint32_t key)
{
    uint32_t at = checker_table_find(&copy->by_key, key, 0);
    return at == TABLE_NONE || copy->held[at].gone ? NULL : &copy->held[at];
}

/* The sums of a collection and of all take a live document in, or out. */
static void toggle(struct checker_copy *copy, uint32_t collection, uint64_t sum)
{
    size_t i = 0;
    copy->sum ^= sum;
    while (i < copy->parts_count && copy->parts[i].collection != collection) i++;
    if (i == copy->parts_count)
        *(struct checker_part_sum *)checker_grow((void **)&copy->parts, &copy->parts_count, &copy->parts_room, sizeof *copy->parts) =
            (struct checker_part_sum){.collection = collection};
    copy->parts[i].sum ^= sum;
}

void checker_copy_put(struct checker_copy *copy, const struct checker_doc *doc, struct checker_key key, uint32_t run, uint32_t event)
{
    uint32_t at = checker_table_find(&copy->by_key, key.key, 0);
    if (at == TABLE_NONE) {
        at = (uint32_t)copy->held_count;
        *(struct checker_held *)checker_grow((void **)&copy->held, &copy->held_count, &copy->held_room, sizeof *copy->held) =
            (struct checker_held){.key = key.key, .collection = key.collection, .gone = true};
        checker_table_put(&copy->by_key, key.key, 0, at);
    }
    struct checker_held *held = &copy->held[at];
    if (run != 0) held->run = run;
    if (doc->rev > copy->newest) copy->newest = doc->rev;
    if (!held->gone && held->rev > doc->rev) return; /* a newer one came ahead */
    if (!held->gone) toggle(copy, held->collection, held->sum);
    held->rev = doc->rev;
    held->sum = doc->sum;
    held->deleted = doc->deleted;
    held->event = event;
    if (doc->born != 0) held->born = doc->born;
    held->gone = false;
    toggle(copy, held->collection, held->sum);
}

void checker_copy_drop(struct checker_copy *copy, struct checker_held *held)
{
    toggle(copy, held->collection, held->sum);
    held->sum = 0;
    held->gone = true;
}

bool checker_copy_is_whole(const struct checker_copy *copy) { return copy->tails_count == 0 && copy->ahead_to <= copy->place; }

static bool was_left_out(const struct checker_copy *copy, uint32_t collection, uint64_t born)
{
    for (size_t i = 0; i < copy->tails_count; i++)
        if (copy->tails[i].collection == collection && born > copy->tails[i].above && born < copy->tails[i].below) return true;
    return false;
}

static void compare_held(struct checker *checker, const struct checker_copy *copy, const struct checker_held *held, uint32_t number)
{
    const struct checker_version *version = checker_order_version(checker, copy->order, held->key, copy->place);
    struct span name = checker_name_of(checker, held->key);
    if (held->gone || held->rev > copy->place || was_left_out(copy, held->collection, held->born)) return;
    if (version != NULL && version->made) {
        checker_hold(checker, held->deleted || held->rev >= version->rev, CHECKER_MISSING, number, held->event, version->event, "%.*s of rev %llu is held at %llu, where a run from nothing does not name it",
                     (int)name.bytes, name.at, (unsigned long long)held->rev, (unsigned long long)copy->place);
        return;
    }
    checker_hold(checker, version != NULL && version->rev == held->rev && version->sum == held->sum, CHECKER_MISSING, number, version == NULL ? TABLE_NONE : version->event,
                 held->event, "%.*s is held as of rev %llu at %llu, where it has rev %llu", (int)name.bytes, name.at, (unsigned long long)held->rev,
                 (unsigned long long)copy->place, version == NULL ? 0ull : (unsigned long long)version->rev);
}

void checker_copy_compare_all(struct checker *checker, struct checker_copy *copy, uint32_t number)
{
    const struct checker_order *order = checker_order_of(checker, copy->order);
    for (size_t i = 0; i < copy->held_count; i++) compare_held(checker, copy, &copy->held[i], number);
    for (uint32_t i = 0; order != NULL && i < order->keys.count; i++) {
        const struct checker_version *first = &checker->versions[checker->keys[order->keys.first + i].first];
        const struct checker_version *version = checker_order_version(checker, copy->order, first->key, copy->place);
        if (version == NULL || version->deleted || was_left_out(copy, version->collection, version->born)) continue;
        struct span name = checker_name_of(checker, version->key);
        checker_hold(checker, checker_copy_find(copy, version->key) != NULL, CHECKER_MISSING, number, version->event, TABLE_NONE, "%.*s of rev %llu is not held at %llu",
                     (int)name.bytes, name.at, (unsigned long long)version->rev, (unsigned long long)copy->place);
    }
}

void checker_copy_compare(struct checker *checker, struct checker_copy *copy, uint32_t number)
{
    const struct checker_order *order = checker_order_of(checker, copy->order);
    copy->event = number;
    if (!checker->judging || order == NULL || !checker_copy_is_whole(copy)) return; /* the rest is compared one by one when all is over */
    checker->report.checks++;
    if (copy->sum == checker_order_sum(checker, order, copy->place)) return;
    size_t before = checker->report.violations;
    checker_copy_compare_all(checker, copy, number);
    if (checker->report.violations == before)
        checker_hold(checker, false, CHECKER_MISSING, number, TABLE_NONE, TABLE_NONE, "the documents held at %llu are others than the order has", (unsigned long long)copy->place);
}
