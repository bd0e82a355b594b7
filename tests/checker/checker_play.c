/* The history again, event by event, each store played by the page's rules. */
#include "tests/checker/checker_parts.h"

uint32_t checker_store_of(struct checker *checker, uint32_t who)
{
    uint32_t at = checker_table_find(&checker->stores_by_name, who, 0);
    if (at != TABLE_NONE) return at;
    at = (uint32_t)checker->stores_count;
    *(struct checker_store *)GROW(checker, stores) = (struct checker_store){.hello = TABLE_NONE};
    checker_table_put(&checker->stores_by_name, who, 0, at);
    return at;
}

struct checker_copy *checker_copy_of(struct checker *checker, uint32_t store, uint32_t space)
{
    uint32_t at = checker_table_find(&checker->copies_by_pair, store, space);
    if (at == TABLE_NONE) {
        at = (uint32_t)checker->copies_count;
        *(struct checker_copy *)GROW(checker, copies) =
            (struct checker_copy){.store = store, .space = space, .order = TABLE_NONE, .event = TABLE_NONE, .is_null = true, .head_entry = TABLE_NONE,
                                  .first_entry = TABLE_NONE, .last_entry = TABLE_NONE};
        checker_table_put(&checker->copies_by_pair, store, space, at);
    }
    return &checker->copies[at];
}

struct checker_session *checker_session_of(struct checker *checker, uint32_t store, uint32_t conn, uint32_t space)
{
    uint64_t first = (uint64_t)conn << 32 | store;
    uint32_t at = checker_table_find(&checker->sessions_by_pair, first, space);
    if (at == TABLE_NONE) {
        at = (uint32_t)checker->sessions_count;
        (void)GROW(checker, sessions);
        checker_table_put(&checker->sessions_by_pair, first, space, at);
    }
    return &checker->sessions[at];
}

uint32_t checker_epoch_of(const struct checker *checker, uint32_t store, uint32_t conn)
{
    uint32_t epoch = checker_table_find(&checker->epochs_by_conn, store, conn);
    return epoch == TABLE_NONE ? 0 : epoch >> 1;
}

/* The lowest bit of what is kept tells whether the connection stands. */
static void turn_epoch(struct checker *checker, uint32_t store, uint32_t conn, bool stands)
{
    checker_table_set(&checker->epochs_by_conn, store, conn, ++checker->epochs << 1 | stands);
}

bool checker_is_connected(const struct checker *checker, uint32_t store, uint32_t conn)
{
    uint32_t epoch = checker_table_find(&checker->epochs_by_conn, store, conn);
    return epoch != TABLE_NONE && (epoch & 1) != 0;
}

/* ---- the store as a whole ---- */

static void lay_aside(struct checker *checker, uint32_t store, uint32_t number)
{
    for (size_t i = 0; i < checker->backups_count; i++)
        if (checker->backups[i].store == store) {
            checker_copy_fini(&checker->backups[i].copy);
            checker->backups[i].store = TABLE_NONE;
        }
    for (size_t i = 0; i < checker->copies_count; i++) {
        if (checker->copies[i].store != store) continue;
        struct checker_backup *backup = GROW(checker, backups);
        backup->store = store;
        backup->event = number;
        checker_copy_duplicate(&checker->copies[i], &backup->copy);
    }
}

/* The outbox as it was at an event; TABLE_NONE: as of none, it is empty. */
static void outbox_as_of(struct checker *checker, uint32_t store, uint32_t event, uint32_t number)
{
    for (size_t i = 0; i < checker->copies_count; i++) {
        struct checker_copy *copy = &checker->copies[i];
        if (copy->store != store) continue;
        for (uint32_t at = copy->head_entry; at != TABLE_NONE; at = checker->entries[at].next) {
            struct checker_entry *entry = &checker->entries[at];
            if (event == TABLE_NONE || entry->event > event) entry->settled = entry->settled == TABLE_NONE ? number : entry->settled;
            else if (entry->settled != TABLE_NONE && entry->settled > event) entry->settled = TABLE_NONE;
        }
        copy->first_entry = copy->head_entry;
    }
}

static void forget(struct checker *checker, uint32_t store)
{
    for (size_t i = 0; i < checker->copies_count; i++)
        if (checker->copies[i].store == store) checker_copy_clear(&checker->copies[i]);
}

static void restore(struct checker *checker, uint32_t store, uint32_t number)
{
    uint32_t event = TABLE_NONE, ref = checker->records[number].ref, from = ref == 0 ? store : checker_store_of(checker, ref);
    forget(checker, store);
    for (size_t i = 0; i < checker->backups_count; i++) {
        const struct checker_backup *backup = &checker->backups[i];
        if (backup->store != from) continue;
        struct checker_copy *copy = checker_copy_of(checker, store, backup->copy.space);
        uint32_t head = copy->head_entry, last = copy->last_entry;
        event = backup->event;
        checker_copy_fini(copy);
        checker_copy_duplicate(&backup->copy, copy);
        copy->store = store;
        copy->first_entry = copy->head_entry = head;
        copy->last_entry = last;
    }
    outbox_as_of(checker, store, from == store ? event : TABLE_NONE, number);
}

static void store_event(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    uint32_t at = checker_store_of(checker, record->who);
    struct checker_store *store = &checker->stores[at];
    enum checker_kind kind = record->event.kind;
    if (kind == CHECKER_HELLO) {
        store->identity = record->identity;
        store->log = record->log;
        store->hello = number;
        store->is_retired = false;
        turn_epoch(checker, at, record->event.conn, true);
    } else if (kind == CHECKER_CUT) {
        turn_epoch(checker, at, record->event.conn, false);
    } else if (kind == CHECKER_RETIRED) {
        store->is_retired = true;
    } else if (kind == CHECKER_WIPE) {
        forget(checker, at);
        outbox_as_of(checker, at, TABLE_NONE, number);
    } else if (kind == CHECKER_BACKUP) {
        lay_aside(checker, at, number);
    } else {
        restore(checker, at, number);
    }
}

/* ---- all of it ---- */

static void begin(struct checker *checker)
{
    for (size_t i = 0; i < checker->copies_count; i++) checker_copy_fini(&checker->copies[i]);
    for (size_t i = 0; i < checker->backups_count; i++) checker_copy_fini(&checker->backups[i].copy);
    checker->copies_count = checker->backups_count = checker->sessions_count = checker->entries_count = checker->stores_count = 0;
    checker->runs = checker->epochs = 0;
    checker_table_reset(&checker->copies_by_pair);
    checker_table_reset(&checker->sessions_by_pair);
    checker_table_reset(&checker->entries_by_push);
    checker_table_reset(&checker->stores_by_name);
    checker_table_reset(&checker->epochs_by_conn);
    checker_table_reset(&checker->cursors_by_place);
    for (size_t i = 0; i < checker->lanes_count; i++) checker->lanes[i].id_max = 0;
    for (size_t i = 0; i < checker->pushes_count; i++) checker->pushes[i].sent_log = 0;
}

void checker_play(struct checker *checker)
{
    begin(checker);
    for (uint32_t i = 0; i < checker->records_count; i++) {
        const struct checker_record *record = &checker->records[i];
        enum checker_kind kind = record->event.kind;
        if (record->who == 0 || kind == CHECKER_DOWNSTREAM || kind == CHECKER_RESTORED) continue;
        if (kind == CHECKER_FINAL) checker_end_claim(checker, i);
        else if (kind == CHECKER_ENQUEUE || kind == CHECKER_SENT || kind == CHECKER_ACK || kind == CHECKER_SETTLE || kind == CHECKER_OUTBOX) checker_outbox_event(checker, i);
        else if (record->space == 0) store_event(checker, i);
        else checker_frames_event(checker, i);
    }
}
