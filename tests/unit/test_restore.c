/* A restore gives the owner's bytes: what it wrote, batch after batch, goes into records, compacted or not, and comes back as a store that is the
 * same in every table but the dates, which follow from the rest. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journal_record.h"
#include "core/record.h"
#include "tests/support/chance.h"
#include "tests/support/desk.h"
#include "tests/support/rig.h"
#include "workers/restore.h"

enum { KEPT_MAX = 4096, PLAYS = 12, STEPS = 120, WINDOW_MS = 2000 };
static const char *const NAMESPACE =
    "{\"namespace\":\"fast\",\"version\":1,\"access\":\"members\",\"window\":\"2s\",\"collections\":{\"c\":{\"policy\":\"lww\"},\"g\":{\"policy\":\"merge\"},"
    "\"m\":{\"policy\":\"append\"}}}";

struct kept {
    enum journal_topic topic;
    char *key, *value, *mark;
    size_t key_bytes, value_bytes, mark_bytes;
    bool has_value, compacted;
};

struct tape {
    struct journal journal; /* first */
    struct desk desk;
    struct chance chance;
    struct kept kept[KEPT_MAX];
    size_t count;
    struct journal_trailer trailer;
};

static char *copied(struct span span)
{
    char *copy = malloc(span.bytes + 1);
    assert_non_null(copy);
    if (span.bytes > 0) memcpy(copy, span.at, span.bytes);
    return copy;
}

static enum err keep(void *ctx, const struct journal_record *record)
{
    struct tape *tape = ctx;
    assert_true(tape->count < KEPT_MAX);
    tape->kept[tape->count++] = (struct kept){record->topic, copied(record->key), copied(record->value), copied(record->mark),
                                              record->key.bytes, record->value.bytes, record->mark.bytes, record->has_value, false};
    return ERR_OK;
}

/* ---- an owner whose writes are journalled, a step a batch ---- */

static void journal_writes(struct tape *tape, const struct owner_out *out, uint64_t first, uint64_t next)
{
    tape->trailer = (struct journal_trailer){.first = first, .next = next, .last_hash = next, .batch = tape->trailer.batch + 1, .clock_ms = tape->trailer.clock_ms};
    assert_int_equal(journal_record_encode(out->writes, out->writes_count, &tape->trailer, tape, keep), ERR_OK);
    map_state_apply(&tape->desk.state, out->writes, out->writes_count);
}

static void take(struct tape *tape, const char *text)
{
    struct owner_out out;
    struct state_reader reader = map_state_reader(&tape->desk.state);
    struct owner_record record = {.offset = tape->desk.next_offset++, .time_ms = tape->desk.now_ms, .bytes = span_text(text)};
    assert_int_equal(owner_step(tape->desk.owner, &reader, &record, &out), ERR_OK);
    journal_writes(tape, &out, record.offset, record.offset + 1);
}

static void sweep(struct tape *tape)
{
    bool more = true;
    while (more) {
        struct owner_out out;
        struct state_reader reader = map_state_reader(&tape->desk.state);
        assert_int_equal(owner_sweep(tape->desk.owner, &reader, &out, &more), ERR_OK);
        if (out.writes_count > 0) journal_writes(tape, &out, tape->desk.next_offset, tape->desk.next_offset);
    }
}

static void push(struct tape *tape, uint64_t id)
{
    struct buf buf;
    char ops[256];
    unsigned which = (unsigned)chance_below(&tape->chance, 4);
    switch (chance_below(&tape->chance, 6)) {
    case 0: snprintf(ops, sizeof ops, "[{\"op\":\"append\",\"collection\":\"m\",\"id\":\"m%llu\",\"body\":{\"n\":1.10}}]", (unsigned long long)id); break;
    case 1: snprintf(ops, sizeof ops, "[{\"op\":\"delete\",\"collection\":\"m\",\"id\":\"m%llu\"}]", (unsigned long long)(id > which ? id - which : 1)); break;
    case 2: snprintf(ops, sizeof ops, "[{\"op\":\"patch\",\"collection\":\"g\",\"id\":\"g%u\",\"body\":{\"x\":%llu}}]", which, (unsigned long long)id); break;
    case 3: snprintf(ops, sizeof ops, "[{\"op\":\"delete\",\"collection\":\"g\",\"id\":\"g%u\"}]", which); break;
    default: snprintf(ops, sizeof ops, "[{\"op\":\"put\",\"collection\":\"c\",\"id\":\"c%u\",\"age\":%u,\"body\":{\"x\":\"%llu\"}}]", which, which * 900, (unsigned long long)id); break;
    }
    struct record_push record = {.space = SPAN_LITERAL("fast:room"), .user = SPAN_LITERAL("ana"), .has_device = true, .device = SPAN_LITERAL("phone-0001"),
                                 .id = id, .after = id - 1, .known = id > 3 ? id - 3 : 0, .ops = {.type = JSON_ARRAY, .raw = span_text(ops)}};
    buf_init(&buf, 4096);
    record_encode_push(&record, &buf);
    buf_add_char(&buf, '\0');
    take(tape, buf.at);
    buf_fini(&buf);
}

/* Of records with one key all but the newest may go: by chance, some do. */
static void compact(struct tape *tape)
{
    for (size_t i = 0; i < tape->count; i++) {
        struct kept *old = &tape->kept[i];
        bool newer = false;
        for (size_t k = i + 1; k < tape->count && !newer; k++)
            newer = tape->kept[k].topic == old->topic && span_equal(span_of(tape->kept[k].key, tape->kept[k].key_bytes), span_of(old->key, old->key_bytes));
        old->compacted = newer && chance_one_in(&tape->chance, 2);
    }
}

/* ---- the journal that gives it back ---- */

static enum err give_topic(struct tape *tape, enum journal_topic topic, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count))
{
    struct arena arena;
    enum err err = ERR_OK;
    arena_init(&arena, 1 << 24);
    for (size_t i = 0; err == ERR_OK && i < tape->count; i++) {
        const struct kept *k = &tape->kept[i];
        struct journal_entry entry;
        if (k->topic != topic || k->compacted) continue;
        arena_reset(&arena);
        err = journal_record_decode(topic, span_of(k->key, k->key_bytes), span_of(k->value, k->value_bytes), k->has_value, span_of(k->mark, k->mark_bytes), &arena, &entry);
        if (err == ERR_OK) err = put(ctx, entry.writes, entry.writes_count);
    }
    arena_fini(&arena);
    return err;
}

static enum err give_back(struct journal *journal, uint32_t partition, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count),
                          void (*progress)(void *ctx, uint64_t at, uint64_t end), struct journal_place *ret_place, char *why, size_t why_bytes)
{
    struct tape *tape = (struct tape *)(void *)journal;
    struct state_key key;
    struct buf text;
    (void)partition, (void)progress, (void)why, (void)why_bytes;
    enum err err = give_topic(tape, JOURNAL_STATE, ctx, put);
    if (err == ERR_OK) err = give_topic(tape, JOURNAL_UPDATES, ctx, put);
    buf_init(&text, 256);
    journal_record_partition(&tape->trailer, &text);
    state_key_partition(&key);
    struct state_write write = {.table = STATE_META, .key = state_key_span(&key), .value = buf_span(&text)};
    if (err == ERR_OK) err = put(ctx, &write, 1);
    buf_fini(&text);
    *ret_place = (struct journal_place){tape->trailer.next, tape->trailer.last_hash};
    return err;
}

static const struct journal_ops ops = {.restore = give_back};

/* ---- comparing ---- */

static void same_table(const struct map_table *table, const struct state_reader *reader, enum state_table number, uint64_t seed)
{
    char room[STATE_KEY_BYTES_MAX + 1];
    struct span from = span_of(room, 0), key, value;
    for (size_t i = 0; i <= table->count; i++) {
        assert_int_equal(reader->seek(reader->ctx, number, from, false, &key, &value), ERR_OK);
        if (i == table->count) {
            if (key.at != NULL) fail_msg("seed %llu: table %d has more: %.*s", (unsigned long long)seed, (int)number, (int)key.bytes, key.at);
            return;
        }
        if (key.at == NULL || !span_equal(key, table->entries[i].key) || !span_equal(value, table->entries[i].value))
            fail_msg("seed %llu: table %d differs at entry %zu: `%.*s`", (unsigned long long)seed, (int)number, i, (int)table->entries[i].key.bytes, table->entries[i].key.at);
        memcpy(room, key.at, key.bytes);
        room[key.bytes] = 0;
        from = span_of(room, key.bytes + 1);
    }
}

static void restore_and_compare(struct tape *tape, const char *dir, uint64_t seed)
{
    char path[RIG_PATH_BYTES + 16], why[256] = "";
    struct restore restore = {.journal = &tape->journal, .path = path, .log = "testlog"};
    struct store *store;
    struct store_view *view;
    struct store_stamp stamp;
    snprintf(path, sizeof path, "%s/store-0", dir);
    if (restore_run(&restore, why, sizeof why) != ERR_OK) fail_msg("seed %llu: %s", (unsigned long long)seed, why);
    struct store_options options = {.path = path, .log = "testlog"};
    assert_int_equal(store_open(&options, &store, why, sizeof why), ERR_OK);
    assert_int_equal(store_view_begin(store, &view), ERR_OK);
    assert_int_equal(store_view_stamp(view, &stamp), ERR_OK);
    assert_int_equal(stamp.next_offset, tape->desk.next_offset);
    struct state_reader reader = store_view_reader(view);
    for (int table = 0; table < STATE_TABLES; table++)
        if (table != STATE_DUE) same_table(&tape->desk.state.tables[table], &reader, (enum state_table)table, seed);
    store_view_end(view);
    store_close(store);
}

static void one_play(uint64_t seed, const char *dir)
{
    struct tape *tape = calloc(1, sizeof *tape);
    struct buf record;
    assert_non_null(tape);
    tape->journal.ops = &ops;
    tape->chance.state = seed;
    tape->desk.now_ms = 1700000000000;
    arena_init(&tape->desk.arena, 1 << 20);
    buf_init(&tape->desk.text, 1 << 20);
    desk_reopen(&tape->desk);
    buf_init(&record, 131072);
    record_encode_namespace(span_text(NAMESPACE), &record);
    buf_add_char(&record, '\0');
    take(tape, record.at);
    buf_fini(&record);
    for (uint64_t id = 1; id <= STEPS; id++) {
        tape->desk.now_ms += (int64_t)chance_below(&tape->chance, 400);
        push(tape, id);
        if (chance_one_in(&tape->chance, 6)) sweep(tape);
        if (id % 40 != 0) continue;
        if (chance_one_in(&tape->chance, 2)) compact(tape);
        restore_and_compare(tape, dir, seed);
    }
    assert_true(tape->desk.state.tables[STATE_DOC].count > 5 && tape->desk.state.tables[STATE_BORN].count > 0);
    for (size_t i = 0; i < tape->count; i++) {
        free(tape->kept[i].key);
        free(tape->kept[i].value);
        free(tape->kept[i].mark);
    }
    desk_fini(&tape->desk);
    free(tape);
}

static void restore__gives_the_owners_bytes_whatever_was_compacted(void **state)
{
    char dir[RIG_PATH_BYTES];
    (void)state;
    rig_dir_make(dir);
    for (uint64_t seed = 1; seed <= PLAYS; seed++) one_play(seed, dir);
    rig_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(restore__gives_the_owners_bytes_whatever_was_compacted)};
    return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
