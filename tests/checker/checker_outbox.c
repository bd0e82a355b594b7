/* What a store holds in its outbox, and how it gets out: by an outcome, or by the device's own judgement where the page leaves it to that. */
#include "tests/checker/checker_parts.h"

static uint32_t lane_of(struct checker *checker, uint32_t store, uint32_t space)
{
    return checker_table_find(&checker->lanes_by_pair, checker->stores[store].identity, space);
}

/* The store's own entry of that push; under whichever of its ids it is. */
static struct checker_entry *entry_of(struct checker *checker, const struct checker_copy *copy, uint64_t id)
{
    uint32_t lane = lane_of(checker, copy->store, copy->space);
    uint32_t push = lane == TABLE_NONE ? TABLE_NONE : checker_table_find(&checker->pushes_by_lane, lane, id);
    uint32_t at = push == TABLE_NONE ? TABLE_NONE : checker_table_find(&checker->entries_by_push, copy->store, push);
    return at == TABLE_NONE ? NULL : &checker->entries[at];
}

static void add_entry(struct checker *checker, struct checker_copy *copy, uint32_t push, uint32_t number)
{
    uint32_t at = checker_table_find(&checker->entries_by_push, copy->store, push);
    if (at != TABLE_NONE) { /* a store that forgot makes it again */
        checker->entries[at].settled = TABLE_NONE;
        checker->entries[at].event = number;
        copy->first_entry = checker->pushes[checker->entries[copy->head_entry].push].id <= checker->pushes[push].id ? copy->head_entry : at;
        return;
    }
    at = (uint32_t)checker->entries_count;
    *(struct checker_entry *)GROW(checker, entries) = (struct checker_entry){.push = push, .next = TABLE_NONE, .event = number, .settled = TABLE_NONE};
    checker_table_put(&checker->entries_by_push, copy->store, push, at);
    if (copy->last_entry != TABLE_NONE) checker->entries[copy->last_entry].next = at;
    else copy->head_entry = at;
    if (copy->first_entry == TABLE_NONE) copy->first_entry = at;
    copy->last_entry = at;
}

static void put_in(struct checker *checker, struct checker_copy *copy, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    struct checker_store *store = &checker->stores[copy->store];
    if (record->identity != 0 && store->hello == TABLE_NONE) store->identity = record->identity; /* before it was ever online */
    struct checker_push *push = checker_push_of(checker, record->identity != 0 ? record->identity : store->identity, record->space, record->event.id);
    struct checker_lane *lane = &checker->lanes[push->lane];
    if (push->id > lane->id_max) lane->id_max = push->id;
    add_entry(checker, copy, (uint32_t)(push - checker->pushes), number);
}

static void sent(struct checker *checker, struct checker_copy *copy, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    struct checker_entry *entry = entry_of(checker, copy, record->event.id);
    if (!checker_hold(checker, entry != NULL, CHECKER_PHANTOM, number, TABLE_NONE, TABLE_NONE, "push %llu was sent, and never made", (unsigned long long)record->event.id)) return;
    struct checker_push *push = &checker->pushes[entry->push];
    entry->conn_epoch = checker_epoch_of(checker, copy->store, record->event.conn);
    if (push->sent_log == 0) {
        push->sent_log = record->log;
        push->first_sent_ms = record->event.time_ms;
    }
    checker_hold(checker, push->sent_log == record->log, CHECKER_OTHER_LOG, number, push->enqueued, TABLE_NONE, "push %llu was sent to one log, and to another",
                 (unsigned long long)push->id);
}

/* This push, and all before it to this space on this connection, but what a gateway had refused by itself: that never enters the log. */
static void acked(struct checker *checker, struct checker_copy *copy, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    uint32_t epoch = checker_epoch_of(checker, copy->store, record->event.conn), lane = lane_of(checker, copy->store, copy->space);
    for (uint32_t at = copy->first_entry; at != TABLE_NONE; at = checker->entries[at].next) {
        struct checker_entry *entry = &checker->entries[at];
        struct checker_push *push = &checker->pushes[entry->push];
        bool never_entered = push->traceless && entry->settled != TABLE_NONE && push->id != record->event.id;
        if (push->lane != lane || push->id > record->event.id || never_entered) continue;
        if ((push->id == record->event.id || entry->conn_epoch == epoch) && push->acked == TABLE_NONE) push->acked = number;
    }
}

static void leave(struct checker *checker, struct checker_copy *copy, struct checker_entry *entry, uint32_t number)
{
    if (entry->settled == TABLE_NONE) entry->settled = number;
    while (copy->first_entry != TABLE_NONE && checker->entries[copy->first_entry].settled != TABLE_NONE) copy->first_entry = checker->entries[copy->first_entry].next;
}

void checker_outbox_settle(struct checker *checker, struct checker_copy *copy, uint64_t id, enum checker_said said, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    struct checker_entry *entry = entry_of(checker, copy, id);
    bool traceless = record->event.kind == CHECKER_RESULT && said == SAID_REFUSED && record->to == 0;
    uint32_t lane = lane_of(checker, copy->store, copy->space);
    if (entry == NULL && lane != TABLE_NONE && checker->lanes[lane].is_cloned) return; /* another store's, by the same device id */
    if (!checker_hold(checker, entry != NULL, CHECKER_PHANTOM, number, TABLE_NONE, TABLE_NONE, "the outcome of push %llu, which this device never made", (unsigned long long)id)) return;
    struct checker_push *push = &checker->pushes[entry->push];
    if (traceless) push->traceless = checker->lanes[lane].was_stranger = true;
    else checker_push_told(checker, push, said, record->code, number);
    leave(checker, copy, entry, number);
}

/* A refusal that this frame lists. */
static const struct checker_refusal *refusal_of(const struct checker_event *event, uint64_t id)
{
    for (size_t i = 0; i < event->refused_count; i++)
        if (event->refused[i].id == id) return &event->refused[i];
    return NULL;
}

/* By `pushed` and `refused` of a last page or of `current`: those that still wait. */
void checker_outbox_settle_up_to(struct checker *checker, struct checker_copy *copy, const struct checker_session *session, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    uint32_t lane = lane_of(checker, copy->store, copy->space), next;
    if (lane == TABLE_NONE) return;
    checker_hold(checker, record->event.pushed <= checker->lanes[lane].id_max || checker->lanes[lane].is_cloned, CHECKER_PHANTOM, number, TABLE_NONE, TABLE_NONE,
                 "`pushed` is %llu, and the last that was made is %llu", (unsigned long long)record->event.pushed, (unsigned long long)checker->lanes[lane].id_max);
    for (uint32_t at = copy->first_entry; at != TABLE_NONE; at = next) {
        struct checker_entry *entry = &checker->entries[at];
        struct checker_push *push = &checker->pushes[entry->push];
        next = entry->next;
        if (entry->settled != TABLE_NONE || push->lane != lane || push->id > record->event.pushed) continue;
        const struct checker_refusal *refusal = refusal_of(&record->event, push->id);
        bool was_refused = push->said == SAID_REFUSED && !push->two_digests;
        if (refusal == NULL && push->id > session->known)
            checker_hold(checker, !was_refused || checker->lanes[lane].is_cloned, CHECKER_UNTOLD, number, push->told, TABLE_NONE, "push %llu was refused, and is not named as that", (unsigned long long)push->id);
        if (refusal == NULL && !push->two_digests)
            checker_hold(checker, push->rev == 0 || push->order != record->order || push->rev <= record->to_place, CHECKER_EARLY, number, push->effect, TABLE_NONE,
                         "push %llu is said to be applied at %llu, and took effect at rev %llu", (unsigned long long)push->id, (unsigned long long)record->to_place,
                         (unsigned long long)push->rev);
        bool is_another = refusal == NULL && push->rev == 0 && checker->lanes[lane].is_cloned; /* `pushed` speaks of another store's */
        if ((refusal != NULL || !was_refused) && !is_another)
            checker_push_told(checker, push, refusal != NULL ? SAID_REFUSED : SAID_APPLIED, refusal != NULL ? checker_name(&checker->names, refusal->code) : 0, number);
        leave(checker, copy, entry, number);
    }
}

/* ---- by the device's own judgement ---- */

/* Longer than twice the window since it was first sent, or another log since, or a fork: then it can't be known. */
static bool may_be_unknown(struct checker *checker, const struct checker_record *record, const struct checker_push *push)
{
    const struct checker_lane *lane = &checker->lanes[push->lane];
    const struct checker_order *order = checker_order_of(checker, record->order);
    int64_t window_ms = order == NULL ? 0 : order->window_ms;
    if (lane->is_cloned || push->traceless) return true;
    if (push->sent_log != 0 && push->sent_log != record->log) return true;
    return push->sent_log != 0 && window_ms > 0 && record->event.time_ms - push->first_sent_ms >= 2 * window_ms - checker->options.slack_ms;
}

static void given_up(struct checker *checker, struct checker_copy *copy, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    struct checker_entry *entry = entry_of(checker, copy, record->event.id);
    if (!checker_hold(checker, entry != NULL, CHECKER_PHANTOM, number, TABLE_NONE, TABLE_NONE, "push %llu was given up, and never made", (unsigned long long)record->event.id)) return;
    const struct checker_push *push = &checker->pushes[entry->push];
    if (span_is(record->event.code, "unknown"))
        checker_hold(checker, may_be_unknown(checker, record, push), CHECKER_FALSE_UNKNOWN, number, push->enqueued, push->acked, "push %llu was given up as unknown while it could be sent again",
                     (unsigned long long)push->id);
    leave(checker, copy, entry, number);
}

static void look(struct checker *checker, struct checker_copy *copy, uint32_t number)
{
    const struct checker_event *event = &checker->records[number].event;
    size_t found = 0, waiting = 0;
    for (uint32_t at = copy->first_entry; at != TABLE_NONE; at = checker->entries[at].next) {
        const struct checker_entry *entry = &checker->entries[at];
        const struct checker_push *push = &checker->pushes[entry->push];
        bool is_there = false;
        if (entry->settled != TABLE_NONE) continue;
        waiting++;
        for (size_t i = 0; i < event->numbers_count; i++) is_there = is_there || event->numbers[i] == push->id;
        found += is_there;
        checker_hold(checker, is_there, CHECKER_OUTBOX_LOST, number, entry->event, TABLE_NONE, "push %llu left the outbox without an outcome", (unsigned long long)push->id);
    }
    checker_hold(checker, found == event->numbers_count, CHECKER_OUTBOX_LOST, number, TABLE_NONE, TABLE_NONE, "%zu pushes are in the outbox, of which %zu wait",
                 event->numbers_count, waiting);
}

void checker_outbox_event(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    struct checker_copy *copy = checker_copy_of(checker, checker_store_of(checker, record->who), record->space);
    if (record->event.kind == CHECKER_ENQUEUE) put_in(checker, copy, number);
    else if (record->event.kind == CHECKER_SENT) sent(checker, copy, number);
    else if (record->event.kind == CHECKER_ACK) acked(checker, copy, number);
    else if (record->event.kind == CHECKER_SETTLE) given_up(checker, copy, number);
    else look(checker, copy, number);
}
