/* When all is over: everybody agrees, nothing waits, and what lies in other places is the same. */
#include "tests/checker/checker_parts.h"

/* ---- what someone says that it has ---- */

static bool names_key(const struct checker_record *record, uint32_t key)
{
    for (size_t i = 0; i < record->event.docs_count; i++)
        if (record->keys[i].key == key) return true;
    return false;
}

static void compare_docs(struct checker *checker, uint32_t number, enum checker_rule rule, bool is_whole)
{
    const struct checker_record *record = &checker->records[number];
    const struct checker_order *order = checker_order_of(checker, record->order);
    for (size_t i = 0; i < record->event.docs_count; i++) {
        const struct checker_doc *doc = &record->event.docs[i];
        const struct checker_version *version = checker_order_version(checker, record->order, record->keys[i].key, record->to_place);
        struct span name = checker_name_of(checker, record->keys[i].key);
        if (!is_whole && (doc->rev > record->to_place || (version != NULL && version->rev > doc->rev))) continue; /* ahead; or behind a tail, as played */
        checker_hold(checker, version != NULL && !version->deleted && version->rev == doc->rev && version->sum == doc->sum, rule, number,
                     version == NULL ? TABLE_NONE : version->event, TABLE_NONE, "%.*s is there as of rev %llu at %llu, where it has rev %llu", (int)name.bytes, name.at,
                     (unsigned long long)doc->rev, (unsigned long long)record->to_place, version == NULL ? 0ull : (unsigned long long)version->rev);
    }
    for (uint32_t i = 0; is_whole && order != NULL && i < order->keys.count; i++) {
        const struct checker_version *first = &checker->versions[checker->keys[order->keys.first + i].first];
        const struct checker_version *version = checker_order_version(checker, record->order, first->key, record->to_place);
        struct span name = checker_name_of(checker, first->key);
        if (version == NULL || version->deleted) continue;
        checker_hold(checker, names_key(record, version->key), rule, number, version->event, TABLE_NONE, "%.*s of rev %llu is not there at %llu", (int)name.bytes, name.at,
                     (unsigned long long)version->rev, (unsigned long long)record->to_place);
    }
}

void checker_end_claim(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    const struct checker_order *order = checker_order_of(checker, record->order);
    bool is_whole = true;
    uint64_t sum = 0;
    if (!checker->judging) return;
    if (record->who != 0 && record->event.kind == CHECKER_FINAL) {
        const struct checker_copy *copy = checker_copy_of(checker, checker_store_of(checker, record->who), record->space);
        is_whole = checker_copy_is_whole(copy) && copy->run == 0;
        if (record->to == 0 || copy->run != 0) return;
    }
    for (size_t i = 0; i < record->event.docs_count; i++) sum ^= record->event.docs[i].sum;
    checker->report.checks++;
    if (is_whole && sum == (order == NULL ? 0 : checker_order_sum(checker, order, record->to_place))) return;
    compare_docs(checker, number, record->event.kind == CHECKER_RESTORED ? CHECKER_RESTORED_OTHER : CHECKER_MISSING, is_whole);
}

/* ---- counters ---- */

/* Where two stores mean two things by one number, either may have come to be. */
static void add_doubtful(struct checker *checker, const struct checker_record *final, struct span counter, int64_t *least, int64_t *most)
{
    for (uint32_t i = 0; i < checker->records_count; i++) {
        const struct checker_record *record = &checker->records[i];
        if (record->event.kind != CHECKER_ENQUEUE || record->space != final->space || record->identity == 0) continue;
        const struct checker_push *push = checker_push_of(checker, record->identity, record->space, record->event.id);
        if (push == NULL || !push->two_digests) continue;
        for (size_t p = 0; p < record->event.parts_count; p++) {
            if (!span_equal(record->event.parts[p].counter, counter)) continue;
            if (record->event.parts[p].by > 0) *most += record->event.parts[p].by;
            else *least += record->event.parts[p].by;
        }
    }
}

static void judge_counters(struct checker *checker, uint32_t number)
{
    const struct checker_record *final = &checker->records[number];
    for (size_t k = 0; k < final->event.parts_count; k++) {
        struct span counter = final->event.parts[k].counter;
        int64_t least = 0, most = 0;
        for (size_t i = 0; i < checker->pushes_count; i++) {
            const struct checker_push *push = &checker->pushes[i];
            if (push->enqueued == TABLE_NONE || push->two_digests || checker->lanes[push->lane].space != final->space || (push->sent_log != 0 && push->sent_log != final->log)) continue;
            const struct checker_event *event = &checker->records[push->enqueued].event;
            bool open = (push->said == SAID_NOTHING && push->rev == 0) || (push->said == SAID_REFUSED && push->traceless);
            for (size_t p = 0; p < event->parts_count; p++) {
                if (!span_equal(event->parts[p].counter, counter) || (push->said == SAID_REFUSED && !open)) continue;
                if (!open || event->parts[p].by > 0) most += event->parts[p].by;
                if (!open || event->parts[p].by < 0) least += event->parts[p].by;
                if (push->came_again) *(event->parts[p].by > 0 ? &most : &least) += event->parts[p].by;
            }
        }
        add_doubtful(checker, final, counter, &least, &most);
        checker_hold(checker, final->event.parts[k].by >= least && final->event.parts[k].by <= most, CHECKER_COUNTER, number, TABLE_NONE, TABLE_NONE,
                     "%.*s is %lld, and its parts are %lld to %lld", (int)counter.bytes, counter.at, (long long)final->event.parts[k].by, (long long)least, (long long)most);
    }
}

/* ---- the readers of `updates` ---- */

static void see(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    for (size_t i = 0; i < record->event.docs_count; i++) {
        const struct checker_doc *doc = &record->event.docs[i];
        uint64_t first = (uint64_t)record->who << 32 | record->order;
        uint32_t at = checker_table_find(&checker->seen_by_key, first, record->keys[i].key);
        struct span name = checker_name_of(checker, record->keys[i].key);
        if (at == TABLE_NONE) {
            at = (uint32_t)checker->seen_count;
            *(struct checker_seen *)GROW(checker, seen) = (struct checker_seen){.reader = record->who, .order = record->order, .key = record->keys[i].key, .event = number};
            checker_table_put(&checker->seen_by_key, first, record->keys[i].key, at);
        }
        struct checker_seen *seen = &checker->seen[at];
        checker_hold(checker, doc->rev > seen->rev || (doc->rev == seen->rev && doc->sum == seen->sum), CHECKER_BACKWARDS, number, seen->event, TABLE_NONE,
                     "%.*s of rev %llu comes behind rev %llu", (int)name.bytes, name.at, (unsigned long long)doc->rev, (unsigned long long)seen->rev);
        *seen = (struct checker_seen){record->who, record->order, record->keys[i].key, number, doc->rev, doc->sum, doc->deleted};
    }
}

/* Did the reader get to what the owner has? */
static void judge_reader(struct checker *checker, uint32_t final_number, uint32_t reader)
{
    const struct checker_record *final = &checker->records[final_number];
    for (size_t i = 0; i < final->event.docs_count; i++) {
        const struct checker_doc *doc = &final->event.docs[i];
        uint32_t at = checker_table_find(&checker->seen_by_key, (uint64_t)reader << 32 | final->order, final->keys[i].key);
        struct span name = checker_name_of(checker, final->keys[i].key);
        checker_hold(checker, at != TABLE_NONE && checker->seen[at].rev == doc->rev && checker->seen[at].sum == doc->sum, CHECKER_DOWNSTREAM_END, final_number,
                     at == TABLE_NONE ? TABLE_NONE : checker->seen[at].event, TABLE_NONE, "%.*s has rev %llu, and its reader got to rev %llu", (int)name.bytes, name.at,
                     (unsigned long long)doc->rev, at == TABLE_NONE ? 0ull : (unsigned long long)checker->seen[at].rev);
    }
    for (size_t i = 0; i < checker->seen_count; i++) {
        const struct checker_seen *seen = &checker->seen[i];
        struct span name = checker_name_of(checker, seen->key);
        if (seen->reader != reader || seen->order != final->order || seen->deleted) continue;
        const struct checker_version *version = checker_order_version(checker, final->order, seen->key, final->to_place);
        checker_hold(checker, version != NULL && !version->deleted, CHECKER_DOWNSTREAM_END, final_number, seen->event, TABLE_NONE, "%.*s is gone, and its reader holds rev %llu",
                     (int)name.bytes, name.at, (unsigned long long)seen->rev);
    }
}

static void judge_readers(struct checker *checker, uint32_t final_number)
{
    uint32_t order = checker->records[final_number].order;
    for (size_t i = 0; i < checker->seen_count; i++) {
        const struct checker_seen *seen = &checker->seen[i];
        uint32_t before = checker->pairs_count;
        if (seen->order == order && checker_pair(checker, PAIR_READER, seen->reader, order) > before) judge_reader(checker, final_number, seen->reader);
    }
}

/* ---- liveness ---- */

/* The last thing that the owner says it has of this order; TABLE_NONE: it does not. */
static uint32_t final_of(const struct checker *checker, uint32_t order)
{
    const struct checker_order *found = checker_order_of(checker, order);
    return found == NULL ? TABLE_NONE : found->final;
}

static uint64_t head_of(const struct checker *checker, uint32_t order_number, uint32_t final)
{
    const struct checker_order *order = checker_order_of(checker, order_number);
    if (final != TABLE_NONE) return checker->records[final].to_place;
    return order == NULL || order->changes.count == 0 ? 0 : checker->changes[order->changes.first + order->changes.count - 1].rev;
}

static void judge_settled(struct checker *checker, const struct checker_copy *copy, int64_t deadline_ms)
{
    if (checker->stores[copy->store].is_retired) return;
    for (uint32_t at = copy->first_entry; at != TABLE_NONE; at = checker->entries[at].next) {
        const struct checker_entry *entry = &checker->entries[at];
        const struct checker_push *push = &checker->pushes[entry->push];
        if (checker->records[entry->event].event.time_ms > deadline_ms) continue;
        checker_hold(checker, entry->settled != TABLE_NONE, CHECKER_UNSETTLED, entry->event, push->acked, checker->end, "push %llu is still in the outbox", (unsigned long long)push->id);
    }
}

static void judge_caught_up(struct checker *checker, uint64_t first, uint64_t space, uint32_t session_number, int64_t deadline_ms)
{
    const struct checker_session *session = &checker->sessions[session_number];
    uint32_t store = (uint32_t)(first & UINT32_MAX), conn = (uint32_t)(first >> 32);
    if (!session->is_open || checker->stores[store].is_retired || !checker_is_connected(checker, store, conn) || session->epoch != checker_epoch_of(checker, store, conn)) return;
    const struct checker_copy *copy = checker_copy_of(checker, store, (uint32_t)space);
    uint32_t order = copy->order == TABLE_NONE ? checker_pair(checker, PAIR_ORDER, checker->stores[store].log, (uint32_t)space) : copy->order;
    uint32_t final = final_of(checker, order);
    uint64_t head = head_of(checker, order, final);
    const struct checker_change *last = checker_order_change(checker, order, head);
    if (last != NULL && checker->records[last->event].event.time_ms > deadline_ms) return;
    checker_hold(checker, !session->is_fresh && !session->in_run && session->place >= head && !copy->is_null && copy->run == 0 && copy->place >= head, CHECKER_BEHIND, checker->end, copy->event, final == TABLE_NONE ? (last == NULL ? TABLE_NONE : last->event) : final,
                 "%.*s holds %llu of %.*s, whose head is %llu", (int)checker->records[checker->stores[store].hello].event.who.bytes,
                 checker->records[checker->stores[store].hello].event.who.at, (unsigned long long)copy->place, (int)checker_name_of(checker, (uint32_t)space).bytes,
                 checker_name_of(checker, (uint32_t)space).at, (unsigned long long)head);
}

static void judge_liveness(struct checker *checker)
{
    int64_t end_ms = checker->records[checker->end].event.time_ms, calm_ms = checker->records[checker->calm].event.time_ms;
    int64_t deadline_ms = end_ms - checker->options.converge_ms; /* what came by then is seen to by everybody at the end */
    if (calm_ms > deadline_ms) return;
    for (size_t i = 0; i < checker->copies_count; i++) judge_settled(checker, &checker->copies[i], deadline_ms);
    for (size_t i = 0; i < checker->sessions_by_pair.room; i++) {
        const struct checker_slot *slot = &checker->sessions_by_pair.slots[i];
        if (slot->value != TABLE_NONE) judge_caught_up(checker, slot->a, slot->b, slot->value, deadline_ms);
    }
}

static void judge_restored(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    checker_end_claim(checker, number);
    for (uint32_t i = 0; record->event.digest != 0 && i < checker->records_count; i++) {
        const struct checker_record *other = &checker->records[i];
        if (i == number || (other->event.kind != CHECKER_FINAL && other->event.kind != CHECKER_RESTORED) || other->order != record->order || other->to != record->to || other->event.digest == 0) continue;
        checker_hold(checker, other->event.digest == record->event.digest, CHECKER_RESTORED_OTHER, number, i, TABLE_NONE, "a restore gave other bytes at %llu",
                     (unsigned long long)record->to_place);
    }
}

void checker_end_judge(struct checker *checker)
{
    bool is_over = checker->calm != TABLE_NONE && checker->end != TABLE_NONE && checker->calm < checker->end;
    for (size_t i = 0; i < checker->copies_count; i++) {
        struct checker_copy *copy = &checker->copies[i];
        if (copy->run == 0 && !copy->is_null && copy->event != TABLE_NONE) checker_copy_compare_all(checker, copy, copy->event);
    }
    for (uint32_t i = 0; i < checker->records_count; i++) {
        const struct checker_record *record = &checker->records[i];
        if (record->event.kind == CHECKER_DOWNSTREAM) see(checker, i);
        if (record->event.kind == CHECKER_RESTORED) judge_restored(checker, i);
    }
    for (uint32_t i = 0; i < checker->records_count; i++) {
        const struct checker_record *record = &checker->records[i];
        if (record->event.kind != CHECKER_FINAL || record->who != 0) continue;
        checker_end_claim(checker, i);
        judge_counters(checker, i);
        if (is_over && final_of(checker, record->order) == i) judge_readers(checker, i);
    }
    if (is_over && checker->options.converge_ms > 0) judge_liveness(checker);
}
