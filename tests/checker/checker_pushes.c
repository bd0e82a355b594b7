/* Who pushed what, and what became of it, whoever told: a push is (space, user, device, id) in all stores and processes. */
#include <stdlib.h>

#include "tests/checker/checker_parts.h"

static const struct checker_push *sorting; /* qsort has no context; one thread at a time */

struct checker_lane *checker_lane(struct checker *checker, uint32_t identity, uint32_t space)
{
    uint32_t at = checker_table_find(&checker->lanes_by_pair, identity, space);
    if (at == TABLE_NONE) {
        at = (uint32_t)checker->lanes_count;
        *(struct checker_lane *)GROW(checker, lanes) = (struct checker_lane){.identity = identity, .space = space, .maker = TABLE_NONE};
        checker_table_put(&checker->lanes_by_pair, identity, space, at);
    }
    return &checker->lanes[at];
}

struct checker_push *checker_push_of(struct checker *checker, uint32_t identity, uint32_t space, uint64_t id)
{
    uint32_t lane = checker_table_find(&checker->lanes_by_pair, identity, space);
    uint32_t at = lane == TABLE_NONE ? TABLE_NONE : checker_table_find(&checker->pushes_by_lane, lane, id);
    return at == TABLE_NONE ? NULL : &checker->pushes[at];
}

static struct checker_push *make(struct checker *checker, struct checker_lane *lane, uint64_t id)
{
    uint32_t number = (uint32_t)(lane - checker->lanes), at = checker_table_find(&checker->pushes_by_lane, number, id);
    if (at != TABLE_NONE) return &checker->pushes[at];
    at = (uint32_t)checker->pushes_count;
    struct checker_push *push = GROW(checker, pushes);
    *push = (struct checker_push){.lane = number, .id = id, .enqueued = TABLE_NONE, .acked = TABLE_NONE, .told = TABLE_NONE,
                                  .step = TABLE_NONE, .effect = TABLE_NONE, .order = TABLE_NONE};
    checker_table_put(&checker->pushes_by_lane, number, id, at);
    return push;
}

static uint32_t own_identity(struct checker *checker, const struct checker_record *record)
{
    return record->identity != 0 ? record->identity : checker->stores[checker_store_of(checker, record->who)].identity;
}

static void read_enqueue(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    uint32_t store = checker_store_of(checker, record->who);
    struct checker_lane *lane = checker_lane(checker, own_identity(checker, record), record->space);
    struct checker_push *push = make(checker, lane, record->event.id);
    if (lane->maker == TABLE_NONE) lane->maker = store;
    if (lane->maker != store) lane->is_cloned = true;
    if (push->enqueued == TABLE_NONE) push->enqueued = number;
    if (push->has_digest && push->digest != record->event.digest) push->two_digests = lane->is_cloned = true;
    push->has_digest = true;
    push->digest = record->event.digest;
}

/* A store that forgot goes by the same id as the one it was. */
static void read_forgetting(struct checker *checker, uint32_t store)
{
    for (size_t i = 0; i < checker->lanes_count; i++)
        if (checker->lanes[i].maker == store) checker->lanes[i].is_cloned = true;
}

void checker_pushes_read(struct checker *checker)
{
    for (uint32_t i = 0; i < checker->records_count; i++) {
        const struct checker_record *record = &checker->records[i];
        if (record->who == 0 || record->event.kind == CHECKER_DOWNSTREAM) continue;
        uint32_t store = checker_store_of(checker, record->who);
        if (record->event.kind == CHECKER_HELLO) checker->stores[store].identity = record->identity;
        else if (record->event.kind == CHECKER_ENQUEUE) read_enqueue(checker, i);
        else if (record->event.kind == CHECKER_WIPE || record->event.kind == CHECKER_RESTORE) read_forgetting(checker, store);
    }
}

/* ---- what became of them ---- */

/* A store restored from what was older than twice the window may use a number anew, and nobody can know: the log has forgotten. */
static bool is_forgotten(const struct checker *checker, const struct checker_push *push, uint32_t earlier, uint32_t later)
{
    const struct checker_order *order = checker_order_of(checker, push->order);
    int64_t window_ms = order == NULL ? 0 : order->window_ms, took_ms = checker->records[later].event.time_ms - checker->records[earlier].event.time_ms;
    if (took_ms < 0) took_ms = -took_ms;
    return checker->lanes[push->lane].is_cloned && window_ms > 0 && took_ms >= 2 * window_ms - checker->options.slack_ms;
}

void checker_push_effect(struct checker *checker, struct checker_push *push, uint32_t order, uint64_t rev, uint32_t event)
{
    if (push->rev == 0 || push->order != order) {
        if (push->rev != 0) checker_hold(checker, false, CHECKER_TWICE, event, push->effect, TABLE_NONE, "push %llu took effect in two logs", (unsigned long long)push->id);
        push->rev = rev;
        push->order = order;
        push->effect = event;
        return;
    }
    if (push->rev != rev && is_forgotten(checker, push, push->effect, event)) {
        push->came_again = true;
        return;
    }
    checker_hold(checker, push->rev == rev, CHECKER_TWICE, event, push->effect, TABLE_NONE, "push %llu took effect at rev %llu and at rev %llu",
                 (unsigned long long)push->id, (unsigned long long)push->rev, (unsigned long long)rev);
}

void checker_push_told(struct checker *checker, struct checker_push *push, enum checker_said said, uint32_t code, uint32_t event)
{
    if (push->two_digests) return; /* two stores mean two things by it: `forked` is for them to find out */
    if (push->said == SAID_NOTHING) {
        push->said = said;
        push->told = event;
        push->code = code;
        return;
    }
    checker_hold(checker, push->said == said, CHECKER_OUTCOME, event, push->told, push->effect, "push %llu was %s, and is %s now", (unsigned long long)push->id,
                 push->said == SAID_APPLIED ? "applied" : "refused", said == SAID_APPLIED ? "applied" : "refused");
    if (push->said != said || said != SAID_REFUSED) return;
    if (push->code == 0) push->code = code;
    checker_hold(checker, code == 0 || code == push->code, CHECKER_OUTCOME, event, push->told, TABLE_NONE, "push %llu was refused as %.*s, and is as %.*s now",
                 (unsigned long long)push->id, (int)checker_name_of(checker, push->code).bytes, checker_name_of(checker, push->code).at,
                 (int)checker_name_of(checker, code).bytes, checker_name_of(checker, code).at);
}

/* ---- by lane ---- */

static int by_id(const void *a, const void *b)
{
    const struct checker_push *one = &sorting[*(const uint32_t *)a], *other = &sorting[*(const uint32_t *)b];
    if (one->lane != other->lane) return one->lane < other->lane ? -1 : 1;
    return one->id < other->id ? -1 : one->id > other->id;
}

static int by_rev(const void *a, const void *b)
{
    const struct checker_push *one = &sorting[*(const uint32_t *)a], *other = &sorting[*(const uint32_t *)b];
    if (one->lane != other->lane) return one->lane < other->lane ? -1 : 1;
    if (one->order != other->order) return one->order < other->order ? -1 : 1;
    return one->rev < other->rev ? -1 : one->rev > other->rev;
}

void checker_pushes_sort(struct checker *checker)
{
    size_t ids = 0, revs = 0;
    for (uint32_t i = 0; i < checker->pushes_count; i++) {
        *(uint32_t *)checker_grow((void **)&checker->by_id, &ids, &checker->by_id_room, sizeof *checker->by_id) = i;
        if (checker->pushes[i].rev != 0) *(uint32_t *)checker_grow((void **)&checker->by_rev, &revs, &checker->by_rev_room, sizeof *checker->by_rev) = i;
    }
    sorting = checker->pushes;
    if (ids > 0) qsort(checker->by_id, ids, sizeof *checker->by_id, by_id);
    if (revs > 0) qsort(checker->by_rev, revs, sizeof *checker->by_rev, by_rev);
    for (uint32_t i = 0; i < ids; i++) {
        struct checker_slice *slice = &checker->lanes[checker->pushes[checker->by_id[i]].lane].pushes;
        if (slice->count++ == 0) slice->first = i;
    }
    for (uint32_t i = 0; i < revs; i++) {
        struct checker_slice *slice = &checker->lanes[checker->pushes[checker->by_rev[i]].lane].applied;
        if (slice->count++ == 0) slice->first = i;
    }
}

uint64_t checker_lane_applied(const struct checker *checker, const struct checker_lane *lane, uint32_t order, uint64_t rev, uint32_t *ret_push)
{
    size_t low = 0, high = lane->applied.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct checker_push *push = &checker->pushes[checker->by_rev[lane->applied.first + middle]];
        if (push->order < order || (push->order == order && push->rev <= rev)) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return 0;
    const struct checker_push *last = &checker->pushes[checker->by_rev[lane->applied.first + low - 1]];
    if (last->order != order) return 0;
    *ret_push = checker->by_rev[lane->applied.first + low - 1];
    return last->id;
}

/* ---- at the end ---- */

static void judge_order(struct checker *checker, const struct checker_lane *lane)
{
    const struct checker_push *before = NULL;
    for (uint32_t i = 0; i < lane->pushes.count; i++) {
        const struct checker_push *push = &checker->pushes[checker->by_id[lane->pushes.first + i]];
        if (push->rev == 0) continue;
        if (before != NULL && before->order == push->order && !is_forgotten(checker, push, push->effect, before->effect))
            checker_hold(checker, before->rev < push->rev, CHECKER_ID_ORDER, push->effect, before->effect, TABLE_NONE, "push %llu took effect at rev %llu, push %llu at rev %llu",
                         (unsigned long long)before->id, (unsigned long long)before->rev, (unsigned long long)push->id, (unsigned long long)push->rev);
        before = push;
    }
}

/* Was it given up with the log that it was acked in? */
static bool is_of_a_former_log(const struct checker *checker, const struct checker_push *push)
{
    return push->sent_log != 0 && push->acked != TABLE_NONE && checker->stores[checker->lanes[push->lane].maker].log != push->sent_log;
}

void checker_pushes_judge(struct checker *checker)
{
    for (size_t i = 0; i < checker->lanes_count; i++) judge_order(checker, &checker->lanes[i]);
    bool is_over = checker->calm != TABLE_NONE && checker->end != TABLE_NONE && checker->calm < checker->end;
    for (size_t i = 0; i < checker->pushes_count; i++) {
        const struct checker_push *push = &checker->pushes[i];
        if (push->said == SAID_REFUSED && !push->two_digests && !push->traceless)
            checker_hold(checker, push->rev == 0 || push->effect == push->step, CHECKER_OUTCOME, push->told, push->effect, TABLE_NONE, "push %llu was refused, and took effect at rev %llu",
                         (unsigned long long)push->id, (unsigned long long)push->rev);
        if (!checker->options.order_is_told || !is_over || push->acked == TABLE_NONE || push->two_digests || is_of_a_former_log(checker, push)) continue;
        checker_hold(checker, push->step != TABLE_NONE, CHECKER_LOST, push->acked, push->enqueued, TABLE_NONE, "push %llu was acked, and no owner ever took it",
                     (unsigned long long)push->id);
    }
}
