/* What the order of each space is, by all that was said of it: versions of documents, and the places at which they changed. */
#include "tests/checker/checker_parts.h"

#include <stdlib.h>

static struct checker_order *order_of(struct checker *checker, uint32_t number)
{
    uint32_t at = checker_table_find(&checker->orders_by_pair, number, 0);
    if (at == TABLE_NONE) {
        at = (uint32_t)checker->orders_count;
        *(struct checker_order *)GROW(checker, orders) = (struct checker_order){.final = TABLE_NONE};
        checker_table_put(&checker->orders_by_pair, number, 0, at);
    }
    return &checker->orders[at];
}

const struct checker_order *checker_order_of(const struct checker *checker, uint32_t number)
{
    uint32_t at = checker_table_find(&checker->orders_by_pair, number, 0);
    return at == TABLE_NONE ? NULL : &checker->orders[at];
}

static struct checker_change *change_at(struct checker *checker, uint32_t order, uint64_t rev, uint32_t event)
{
    uint32_t at = checker_table_find(&checker->changes_by_rev, order, rev);
    if (at == TABLE_NONE) {
        at = (uint32_t)checker->changes_count;
        *(struct checker_change *)GROW(checker, changes) =
            (struct checker_change){.order = order, .rev = rev, .event = event, .prev_event = TABLE_NONE, .whole_event = TABLE_NONE, .push = TABLE_NONE};
        checker_table_put(&checker->changes_by_rev, order, rev, at);
    }
    return &checker->changes[at];
}

const struct checker_change *checker_order_change(const struct checker *checker, uint32_t order, uint64_t rev)
{
    const struct checker_order *found = checker_order_of(checker, order);
    size_t low = 0, high = found == NULL ? 0 : found->changes.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct checker_change *change = &checker->changes[found->changes.first + middle];
        if (change->rev == rev) return change;
        if (change->rev < rev) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

/* ---- reading ---- */

static void read_docs(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    for (size_t i = 0; i < record->event.docs_count; i++) {
        const struct checker_doc *doc = &record->event.docs[i];
        struct checker_version *version = GROW(checker, versions);
        *version = (struct checker_version){.order = record->order, .key = record->keys[i].key, .collection = record->keys[i].collection, .event = number,
                                            .rev = doc->rev, .sum = doc->sum, .born = doc->born, .deleted = doc->deleted};
        (void)change_at(checker, record->order, doc->rev, number);
    }
}

static uint64_t digest_of(const struct checker_record *record)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < record->event.docs_count; i++) {
        const struct checker_doc *doc = &record->event.docs[i];
        digest ^= (doc->sum + doc->rev + record->keys[i].key + (doc->deleted ? 1 : 0)) * UINT64_C(0x9e3779b97f4a7c15);
    }
    return digest;
}

/* An update, or an owner's step: all that one push changed. */
static void read_whole(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    const struct checker_event *event = &record->event;
    struct checker_change *change = change_at(checker, record->order, event->rev, number);
    uint64_t digest = digest_of(record);
    if (event->log_ms != 0) change->log_ms = event->log_ms;
    for (size_t i = 0; i < event->docs_count; i++)
        checker_hold(checker, event->docs[i].rev == event->rev, CHECKER_ORDER, number, TABLE_NONE, TABLE_NONE, "a document of rev %llu in the update of rev %llu",
                     (unsigned long long)event->docs[i].rev, (unsigned long long)event->rev);
    if (change->whole_event == TABLE_NONE) {
        change->whole_event = number;
        change->digest = digest;
        change->docs_count = event->docs_count;
    }
    checker_hold(checker, change->digest == digest && change->docs_count == event->docs_count, CHECKER_ORDER, number, change->whole_event, TABLE_NONE,
                 "two different changes at rev %llu", (unsigned long long)event->rev);
    if (change->prev_event == TABLE_NONE) {
        change->prev_event = number;
        change->prev = record->from_place;
    }
    checker_hold(checker, change->prev == record->from_place, CHECKER_CHAIN, number, change->prev_event, TABLE_NONE, "rev %llu follows %llu, and follows %llu",
                 (unsigned long long)event->rev, (unsigned long long)change->prev, (unsigned long long)record->from_place);
    struct checker_push *push = record->identity == 0 || event->id == 0 ? NULL : checker_push_of(checker, record->identity, record->space, event->id);
    if (push == NULL) return;
    uint32_t at = (uint32_t)(push - checker->pushes);
    if (change->push == TABLE_NONE) change->push = at;
    checker_hold(checker, change->push == at, CHECKER_ORDER, number, change->whole_event, TABLE_NONE, "two pushes at rev %llu", (unsigned long long)event->rev);
    checker_push_effect(checker, push, record->order, event->rev, number);
}

/* What an owner decided. Whoever replays decides the same. */
static void read_step(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    struct checker_push *push = record->identity == 0 ? NULL : checker_push_of(checker, record->identity, record->space, record->event.id);
    if (record->event.docs_count > 0) read_whole(checker, number);
    if (push == NULL) return;
    if (push->step == TABLE_NONE) push->step = number;
    if (record->event.status == CHECKER_NONE) return;
    enum checker_said said = record->event.status == CHECKER_APPLIED ? SAID_APPLIED : SAID_REFUSED;
    if (said == SAID_REFUSED && record->event.rev == 0) push->traceless = true;
    else checker_push_told(checker, push, said, record->code, number);
}

void checker_order_read(struct checker *checker)
{
    for (uint32_t i = 0; i < checker->records_count; i++) {
        const struct checker_record *record = &checker->records[i];
        enum checker_kind kind = record->event.kind;
        if (record->order == TABLE_NONE) continue;
        struct checker_order *order = order_of(checker, record->order);
        order->log = record->log;
        order->space = record->space;
        if (record->event.window_ms > 0 && (order->window_ms == 0 || record->event.window_ms < order->window_ms)) order->window_ms = record->event.window_ms;
        if (kind == CHECKER_FINAL && record->who == 0) order->final = i;
        if (kind == CHECKER_UPDATE) read_whole(checker, i);
        else if (kind == CHECKER_STEP) read_step(checker, i);
        /* What a store, a restore or a reader claims is judged by the rest. */
        if (kind != CHECKER_FINAL && kind != CHECKER_RESTORED && kind != CHECKER_DOWNSTREAM) read_docs(checker, i);
    }
}

/* ---- sorting ---- */

static int by_key(const void *a, const void *b)
{
    const struct checker_version *one = a, *other = b;
    if (one->order != other->order) return one->order < other->order ? -1 : 1;
    if (one->key != other->key) return one->key < other->key ? -1 : 1;
    if (one->rev != other->rev) return one->rev < other->rev ? -1 : 1;
    if (one->made != other->made) return one->made ? 1 : -1;
    return one->event < other->event ? -1 : one->event > other->event;
}

static int by_rev(const void *a, const void *b)
{
    const struct checker_change *one = a, *other = b;
    if (one->order != other->order) return one->order < other->order ? -1 : 1;
    return one->rev < other->rev ? -1 : one->rev > other->rev;
}

static void judge_same(struct checker *checker, const struct checker_version *first, const struct checker_version *again)
{
    struct span name = checker_name_of(checker, first->key);
    if (first->made || again->made) return;
    checker_hold(checker, first->sum == again->sum && first->deleted == again->deleted && (first->born == again->born || first->born == 0 || again->born == 0),
                 CHECKER_BYTES, again->event, first->event, TABLE_NONE, "two different %.*s at rev %llu", (int)name.bytes, name.at, (unsigned long long)first->rev);
}

/* Of each version one is left; each document has its slice. */
static void slice_versions(struct checker *checker)
{
    size_t kept = 0;
    if (checker->versions_count > 0) qsort(checker->versions, checker->versions_count, sizeof *checker->versions, by_key);
    checker_table_reset(&checker->versions_by_key);
    checker->keys_count = 0;
    for (size_t i = 0; i < checker->versions_count; i++) {
        const struct checker_version *version = &checker->versions[i];
        struct checker_version *before = kept == 0 ? NULL : &checker->versions[kept - 1];
        bool same_key = before != NULL && before->order == version->order && before->key == version->key;
        if (same_key && before->rev == version->rev) {
            judge_same(checker, before, version);
            if (before->born == 0) before->born = version->born;
            continue;
        }
        if (!same_key) {
            checker_table_put(&checker->versions_by_key, version->order, version->key, (uint32_t)checker->keys_count);
            *(struct checker_slice *)GROW(checker, keys) = (struct checker_slice){.first = (uint32_t)kept};
        }
        checker->versions[kept] = *version;
        checker->keys[checker->keys_count - 1].count++;
        kept++;
    }
    checker->versions_count = kept;
}

static void slice_orders(struct checker *checker)
{
    for (size_t i = 0; i < checker->orders_count; i++) checker->orders[i].versions = checker->orders[i].changes = checker->orders[i].keys = (struct checker_slice){0};
    for (uint32_t i = 0; i < checker->versions_count; i++) {
        struct checker_slice *slice = &order_of(checker, checker->versions[i].order)->versions;
        if (slice->count++ == 0) slice->first = i;
    }
    for (uint32_t i = 0; i < checker->keys_count; i++) {
        struct checker_slice *slice = &order_of(checker, checker->versions[checker->keys[i].first].order)->keys;
        if (slice->count++ == 0) slice->first = i;
    }
    for (uint32_t i = 0; i < checker->changes_count; i++) {
        struct checker_slice *slice = &order_of(checker, checker->changes[i].order)->changes;
        if (slice->count++ == 0) slice->first = i;
    }
}

static size_t change_index(const struct checker *checker, const struct checker_order *order, uint64_t rev)
{
    size_t low = 0, high = order->changes.count; /* the first past rev */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (checker->changes[order->changes.first + middle].rev <= rev) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* sums[i]: of all that lives once the order's first i changes took place. */
static void sum_order(struct checker *checker, struct checker_order *order)
{
    order->sums = checker_heap_take(&checker->heap, (order->changes.count + 1) * sizeof *order->sums);
    memset(order->sums, 0, (order->changes.count + 1) * sizeof *order->sums);
    for (uint32_t i = 0; i < order->versions.count; i++) {
        const struct checker_version *version = &checker->versions[order->versions.first + i];
        bool has_before = i > 0 && version[-1].key == version->key;
        order->sums[change_index(checker, order, version->rev)] ^= version->sum ^ (has_before ? version[-1].sum : 0);
    }
    for (size_t i = 1; i <= order->changes.count; i++) order->sums[i] ^= order->sums[i - 1];
}

void checker_order_sort(struct checker *checker)
{
    if (checker->changes_count > 0) qsort(checker->changes, checker->changes_count, sizeof *checker->changes, by_rev);
    checker_table_reset(&checker->changes_by_rev);
    for (uint32_t i = 0; i < checker->changes_count; i++) checker_table_put(&checker->changes_by_rev, checker->changes[i].order, checker->changes[i].rev, i);
    slice_versions(checker);
    slice_orders(checker);
    for (size_t i = 0; i < checker->orders_count; i++) sum_order(checker, &checker->orders[i]);
}

void checker_order_deleted(struct checker *checker, uint32_t order, const struct checker_version *version, uint64_t by, uint32_t event)
{
    struct checker_version copy = *version;
    copy.rev = by;
    copy.sum = 0;
    copy.deleted = copy.made = true;
    copy.event = event;
    if (checker_table_find(&checker->changes_by_rev, order, by) == TABLE_NONE) change_at(checker, order, by, event)->made = true;
    *(struct checker_version *)GROW(checker, versions) = copy;
}

/* ---- asking ---- */

const struct checker_version *checker_order_version(const struct checker *checker, uint32_t order, uint32_t key, uint64_t place)
{
    uint32_t at = checker_table_find(&checker->versions_by_key, order, key);
    size_t low = 0, high = at == TABLE_NONE ? 0 : checker->keys[at].count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (checker->versions[checker->keys[at].first + middle].rev <= place) low = middle + 1;
        else high = middle;
    }
    return low == 0 ? NULL : &checker->versions[checker->keys[at].first + low - 1];
}

const struct checker_version *checker_order_next(const struct checker *checker, const struct checker_version *version)
{
    const struct checker_version *next = version + 1;
    return next < checker->versions + checker->versions_count && next->order == version->order && next->key == version->key ? next : NULL;
}

uint64_t checker_order_sum(const struct checker *checker, const struct checker_order *order, uint64_t place)
{
    return order->sums[change_index(checker, order, place)];
}

void checker_order_judge(struct checker *checker)
{
    for (size_t i = 1; i < checker->changes_count; i++) {
        const struct checker_change *before = &checker->changes[i - 1], *change = &checker->changes[i];
        if (change->prev_event == TABLE_NONE || change->order != before->order) continue;
        checker_hold(checker, before->made || before->rev <= change->prev,
                     CHECKER_CHAIN, change->prev_event, before->event, TABLE_NONE, "rev %llu follows %llu, and %llu lies between",
                     (unsigned long long)change->rev, (unsigned long long)change->prev, (unsigned long long)before->rev);
    }
}
