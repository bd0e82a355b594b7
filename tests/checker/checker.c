#include "tests/checker/checker.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/checker/checker_parts.h"

struct checker *checker_open(const struct checker_options *options)
{
    struct checker *checker = calloc(1, sizeof *checker);
    assert(checker != NULL);
    checker->names.heap = &checker->heap;
    checker_reset(checker, options);
    return checker;
}

static void each_table(struct checker *checker, void (*act)(struct checker_table *table))
{
    struct checker_table *tables[] = {&checker->pairs, &checker->stores_by_name, &checker->orders_by_pair, &checker->versions_by_key,
                                      &checker->changes_by_rev, &checker->lanes_by_pair, &checker->pushes_by_lane, &checker->entries_by_push,
                                      &checker->copies_by_pair, &checker->sessions_by_pair, &checker->epochs_by_conn, &checker->access_by_pair,
                                      &checker->cursors_by_place, &checker->seen_by_key};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) act(tables[i]);
}

static void drop_copies(struct checker *checker)
{
    for (size_t i = 0; i < checker->copies_count; i++) checker_copy_fini(&checker->copies[i]);
    for (size_t i = 0; i < checker->backups_count; i++) checker_copy_fini(&checker->backups[i].copy);
    checker->copies_count = checker->backups_count = 0;
}

void checker_reset(struct checker *checker, const struct checker_options *options)
{
    drop_copies(checker);
    each_table(checker, checker_table_reset);
    checker_names_reset(&checker->names);
    checker_heap_reset(&checker->heap);
    checker->options = *options;
    checker->records_count = checker->orders_count = checker->versions_count = checker->keys_count = checker->changes_count = checker->pushes_count = 0;
    checker->lanes_count = checker->entries_count = checker->sessions_count = checker->stores_count = checker->access_count = checker->seen_count = 0;
    checker->pairs_count = checker->runs = checker->epochs = 0;
    checker->calm = checker->end = TABLE_NONE;
    checker->report = (struct checker_report){0};
    (void)checker_name(&checker->names, span_of(NULL, 0));
}

void checker_close(struct checker *checker)
{
    if (checker == NULL) return;
    drop_copies(checker);
    each_table(checker, checker_table_fini);
    checker_names_fini(&checker->names);
    checker_heap_fini(&checker->heap);
    void *arrays[] = {checker->records, checker->orders, checker->versions, checker->keys, checker->changes, checker->pushes, checker->by_id,
                      checker->by_rev, checker->lanes, checker->entries, checker->copies, checker->sessions, checker->stores, checker->backups,
                      checker->access, checker->seen, checker->list};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
    free(checker);
}

/* ---- what comes in ---- */

uint32_t checker_pair(struct checker *checker, unsigned kind, uint32_t a, uint32_t b)
{
    uint64_t first = (uint64_t)kind << 32 | a;
    uint32_t number = checker_table_find(&checker->pairs, first, b);
    if (number != TABLE_NONE) return number;
    checker_table_put(&checker->pairs, first, b, ++checker->pairs_count);
    return checker->pairs_count;
}

struct span checker_name_of(const struct checker *checker, uint32_t name) { return checker->names.list[name]; }

/* The place that a cursor names: log "." hash "." place ["." floor]. What is not written so has place 0. */
static uint64_t place_of(struct span cursor, bool *ret_has_floor)
{
    uint64_t numbers[2] = {0, 0};
    size_t dots = 0;
    for (size_t i = 0; i < cursor.bytes; i++) {
        if (cursor.at[i] == '.') dots++;
        else if (dots >= 2 && dots <= 3 && cursor.at[i] >= '0' && cursor.at[i] <= '9') numbers[dots - 2] = numbers[dots - 2] * 10 + (uint64_t)(cursor.at[i] - '0');
    }
    *ret_has_floor = dots == 3;
    return numbers[0];
}

static void *copy_bytes(struct checker *checker, const void *at, size_t bytes)
{
    void *copy = checker_heap_take(&checker->heap, bytes);
    if (copy != NULL) memcpy(copy, at, bytes);
    return copy;
}

static uint32_t keep(struct checker *checker, struct span *span)
{
    uint32_t name = checker_name(&checker->names, *span);
    *span = checker_name_of(checker, name);
    return name;
}

static void keep_docs(struct checker *checker, struct checker_record *record)
{
    struct checker_event *event = &record->event;
    struct checker_doc *docs = copy_bytes(checker, event->docs, event->docs_count * sizeof *docs);
    record->keys = checker_heap_take(&checker->heap, event->docs_count * sizeof *record->keys);
    event->docs = docs;
    for (size_t i = 0; i < event->docs_count; i++) {
        char text[512];
        size_t bytes = docs[i].collection.bytes + 1 + docs[i].id.bytes;
        assert(bytes <= sizeof text);
        memcpy(text, docs[i].collection.at, docs[i].collection.bytes);
        text[docs[i].collection.bytes] = '/';
        memcpy(text + docs[i].collection.bytes + 1, docs[i].id.at, docs[i].id.bytes);
        record->keys[i] = (struct checker_key){.key = checker_name(&checker->names, span_of(text, bytes))};
        record->keys[i].collection = keep(checker, &docs[i].collection);
        (void)keep(checker, &docs[i].id);
        if (docs[i].deleted) docs[i].sum = 0;
    }
}

static void keep_lists(struct checker *checker, struct checker_event *event)
{
    struct checker_refusal *refused = copy_bytes(checker, event->refused, event->refused_count * sizeof *refused);
    struct checker_part *parts = copy_bytes(checker, event->parts, event->parts_count * sizeof *parts);
    struct checker_number *tails = copy_bytes(checker, event->tails, event->tails_count * sizeof *tails);
    struct checker_number *sums = copy_bytes(checker, event->sums, event->sums_count * sizeof *sums);
    for (size_t i = 0; i < event->refused_count; i++) (void)keep(checker, &refused[i].code);
    for (size_t i = 0; i < event->parts_count; i++) (void)keep(checker, &parts[i].counter);
    for (size_t i = 0; i < event->tails_count; i++) (void)keep(checker, &tails[i].collection);
    for (size_t i = 0; i < event->sums_count; i++) (void)keep(checker, &sums[i].collection);
    event->refused = refused;
    event->parts = parts;
    event->tails = tails;
    event->sums = sums;
    event->numbers = copy_bytes(checker, event->numbers, event->numbers_count * sizeof *event->numbers);
}

size_t checker_add(struct checker *checker, const struct checker_event *event)
{
    struct checker_record *record = GROW(checker, records);
    record->event = *event;
    record->who = keep(checker, &record->event.who);
    record->user = keep(checker, &record->event.user);
    record->device = keep(checker, &record->event.device);
    record->space = keep(checker, &record->event.space);
    record->ref = keep(checker, &record->event.ref);
    record->from = keep(checker, &record->event.from);
    record->to = keep(checker, &record->event.to);
    record->code = keep(checker, &record->event.code);
    record->log = keep(checker, &record->event.log);
    record->from_place = place_of(record->event.from, &record->from_floor);
    record->to_place = place_of(record->event.to, &record->to_floor);
    if (event->kind == CHECKER_CALM) checker->calm = (uint32_t)checker->records_count - 1;
    if (event->kind == CHECKER_END) checker->end = (uint32_t)checker->records_count - 1;
    if (record->user != 0 && record->device != 0) record->identity = checker_pair(checker, PAIR_IDENTITY, record->user, record->device);
    record->order = TABLE_NONE;
    keep_docs(checker, record);
    keep_lists(checker, &record->event);
    return checker->records_count - 1;
}

const struct checker_event *checker_event_at(const struct checker *checker, size_t number) { return &checker->records[number].event; }

/* ---- what comes out ---- */

bool checker_hold(struct checker *checker, bool holds, enum checker_rule rule, size_t event, uint32_t proof, uint32_t other, const char *format, ...)
{
    if (!checker->judging) return holds;
    checker->report.checks++;
    if (holds) return true;
    if (checker->report.violations++ >= CHECKER_VIOLATIONS_MAX) return false;
    struct checker_violation *made = checker_grow((void **)&checker->list, &checker->report.list_count, &checker->list_room, sizeof *made);
    va_list args;
    va_start(args, format);
    made->rule = rule;
    made->proofs[made->proofs_count++] = event;
    if (proof != TABLE_NONE && proof != event) made->proofs[made->proofs_count++] = proof;
    if (other != TABLE_NONE && other != event && other != proof) made->proofs[made->proofs_count++] = other;
    (void)vsnprintf(made->text, sizeof made->text, format, args);
    va_end(args);
    return false;
}

static int by_first_event(const void *a, const void *b)
{
    const struct checker_violation *one = a, *other = b;
    if (one->proofs[0] != other->proofs[0]) return one->proofs[0] < other->proofs[0] ? -1 : 1;
    return one->rule < other->rule ? -1 : one->rule > other->rule;
}

/* The log that a device's events are of is that of its newest hello. */
static void find_orders(struct checker *checker)
{
    for (uint32_t i = 0; i < checker->records_count; i++) {
        struct checker_record *record = &checker->records[i];
        if (record->who != 0) {
            uint32_t at = checker_store_of(checker, record->who);
            if (record->event.kind == CHECKER_HELLO) checker->stores[at].log = record->log;
            else if (record->log == 0) record->log = checker->stores[at].log;
        }
        if (record->log != 0 && record->space != 0) record->order = checker_pair(checker, PAIR_ORDER, record->log, record->space);
    }
    checker->stores_count = 0;
    checker_table_reset(&checker->stores_by_name);
}

const struct checker_report *checker_finish(struct checker *checker)
{
    find_orders(checker);
    checker->judging = true;
    checker_pushes_read(checker);
    checker_order_read(checker);
    checker_access_read(checker);
    checker_order_sort(checker);
    checker_pushes_sort(checker);
    if (!checker->options.order_is_told) {
        checker->judging = false;
        checker_play(checker);
        checker_order_sort(checker);
        checker->judging = true;
    }
    checker_order_judge(checker);
    checker_play(checker);
    checker_pushes_judge(checker);
    checker_end_judge(checker);
    if (checker->report.list_count > 0) qsort(checker->list, checker->report.list_count, sizeof *checker->list, by_first_event);
    checker->report.events = checker->records_count;
    checker->report.list = checker->list;
    return &checker->report;
}
