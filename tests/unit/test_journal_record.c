/* The journal's records: what goes out comes back, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journal_record.h"
#include "tests/support/desk.h"

enum { RECORDS_MAX = 4096 };

struct kept {
    enum journal_topic topic;
    char *key, *value, *mark;
    size_t key_bytes, value_bytes, mark_bytes;
    bool has_value;
};
struct shelf_of_records {
    size_t count;
    struct kept items[RECORDS_MAX];
};

static char *copy_of(struct span span)
{
    char *copy = malloc(span.bytes + 1);
    assert_non_null(copy);
    if (span.bytes > 0) memcpy(copy, span.at, span.bytes);
    copy[span.bytes] = 0;
    return copy;
}

static enum err keep(void *ctx, const struct journal_record *r)
{
    struct shelf_of_records *records = ctx;
    assert_true(records->count < RECORDS_MAX);
    records->items[records->count++] = (struct kept){r->topic, copy_of(r->key), copy_of(r->value), copy_of(r->mark), r->key.bytes, r->value.bytes,
                                                     r->mark.bytes, r->has_value};
    return ERR_OK;
}

static void drop(struct shelf_of_records *records)
{
    for (size_t i = 0; i < records->count; i++) {
        free(records->items[i].key);
        free(records->items[i].value);
        free(records->items[i].mark);
    }
    free(records);
}

/* A bit of everything: appends, merges, sets, deletions, what lost, members, refusals, names with slashes. */
static void live(struct desk *desk)
{
    desk_push(desk, "ana", "phone-0001", 1, 0, 0, "chat:room-1", "[{\"op\":\"append\",\"collection\":\"messages\",\"id\":\"m/1\",\"body\":{\"text\":\"h\\u0131\"}}]", "none");
    desk_push(desk, "ana", "phone-0001", 2, 1, 1, "chat:room-1", "[{\"op\":\"put\",\"collection\":\"members\",\"id\":\"b/o\\\"b\",\"body\":{\"role\":\"writer\"}}]", "none");
    desk_push(desk, "b/o\"b", "tab-00000001", 1, 0, 0, "chat:room-1", "[{\"op\":\"append\",\"collection\":\"messages\",\"id\":\"m2\",\"body\":{\"text\":\"yo\",\"n\":1.10}}]", "none");
    desk_push(desk, "ana", "phone-0001", 3, 2, 1, "chat:room-1", "[{\"op\":\"delete\",\"collection\":\"messages\",\"id\":\"m/1\"}]", "none");
    desk_push(desk, "eve", "evil-00000001", 1, 0, 0, "cart:ana", "[]", "none");
    desk_push(desk, "ana", "phone-0001", 1, 0, 0, "cart:ana", "[{\"op\":\"put\",\"collection\":\"items\",\"id\":\"tea\",\"body\":{\"qty\":1}}]", "none");
    desk_push(desk, "ana", "tablet-0001", 1, 0, 0, "cart:ana", "[{\"op\":\"patch\",\"collection\":\"items\",\"id\":\"tea\",\"age\":50000,\"body\":{\"qty\":2}}]", "none");
    desk_push(desk, "ana", "tablet-0001", 2, 1, 0, "cart:ana", "[{\"op\":\"put\",\"collection\":\"items\",\"id\":\"tea\",\"body\":{\"qty\":5000}}]", "none");
    desk_push(desk, "ana", "", 0, 0, 0, "notes:ana", "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n\",\"body\":{\"big\":9007199254740993123}}]", "none");
}

/* Everything that the desk's state holds, as a batch would hold it. */
static struct state_write *all_of(const struct desk *desk, size_t *ret_count)
{
    size_t count = 0;
    for (int t = 0; t < STATE_TABLES; t++) count += desk->state.tables[t].count;
    struct state_write *writes = calloc(count, sizeof *writes);
    assert_non_null(writes);
    *ret_count = 0;
    for (int t = 0; t < STATE_TABLES; t++)
        for (size_t i = 0; i < desk->state.tables[t].count; i++)
            writes[(*ret_count)++] = (struct state_write){.table = (enum state_table)t, .key = desk->state.tables[t].entries[i].key,
                                                          .value = desk->state.tables[t].entries[i].value};
    return writes;
}

static struct shelf_of_records *encode(const struct desk *desk, struct journal_trailer *trailer)
{
    struct shelf_of_records *records = calloc(1, sizeof *records);
    size_t count;
    struct state_write *writes = all_of(desk, &count);
    assert_non_null(records);
    *trailer = (struct journal_trailer){.first = 3, .next = desk->next_offset, .last_hash = UINT64_C(0xfedcba9876543210), .batch = 77};
    assert_int_equal(journal_record_encode(writes, count, trailer, records, keep), ERR_OK);
    free(writes);
    return records;
}

static void journal_record__what_was_stored_comes_back_byte_for_byte(void **state)
{
    struct desk desk;
    struct map_state again = {0};
    struct journal_trailer trailer, read;
    struct arena arena;
    struct buf text;
    uint64_t count = 0, hash = 0;
    (void)state;
    desk_init(&desk);
    live(&desk);
    assert_true(desk.state.tables[STATE_LOSER].count > 0);
    assert_true(desk.state.tables[STATE_BORN].count > 0);
    struct shelf_of_records *records = encode(&desk, &trailer);
    arena_init(&arena, 16777216);
    for (size_t i = 0; i < records->count; i++) {
        const struct kept *k = &records->items[i];
        struct journal_entry entry;
        arena_reset(&arena);
        assert_int_equal(journal_record_decode(k->topic, span_of(k->key, k->key_bytes), span_of(k->value, k->value_bytes), k->has_value,
                                               span_of(k->mark, k->mark_bytes), &arena, &entry), ERR_OK);
        assert_int_equal(entry.batch, 77);
        count += entry.has_value;
        hash += entry.hash;
        map_state_apply(&again, entry.writes, entry.writes_count);
    }
    assert_int_equal(count, trailer.count);
    assert_int_equal(hash, trailer.hash);
    buf_init(&text, 4096);
    journal_record_encode_trailer(&trailer, &text);
    struct journal_entry entry;
    assert_int_equal(journal_record_decode(JOURNAL_STATE, SPAN_LITERAL("partition"), buf_span(&text), true, span_of(NULL, 0), &arena, &entry), ERR_OK);
    read = entry.trailer;
    assert_memory_equal(&read, &trailer, sizeof read);
    buf_reset(&text);
    journal_record_partition(&read, &text);
    struct state_write partition = {.table = STATE_META, .key = SPAN_LITERAL("partition"), .value = buf_span(&text)};
    map_state_apply(&again, &partition, 1);
    /* Dates follow from the rest, and are the restore's. */
    struct map_table dates = desk.state.tables[STATE_DUE];
    desk.state.tables[STATE_DUE] = (struct map_table){0};
    assert_true(map_state_equal(&desk.state, &again));
    desk.state.tables[STATE_DUE] = dates;
    buf_fini(&text);
    arena_fini(&arena);
    map_state_fini(&again);
    drop(records);
    desk_fini(&desk);
}

static void journal_record__a_document_is_as_frames_carry_it(void **state)
{
    struct desk desk;
    struct journal_trailer trailer;
    size_t found = 0;
    (void)state;
    desk_init(&desk);
    live(&desk);
    struct shelf_of_records *records = encode(&desk, &trailer);
    for (size_t i = 0; i < records->count; i++) {
        const struct kept *k = &records->items[i];
        if (strcmp(k->key, "chat:room-1/messages/m2") == 0) {
            assert_non_null(strstr(k->value, "\"user\":\"b/o\\\"b\",\"body\":{\"text\":\"yo\",\"n\":1.10},\"born\":"));
            found++;
        }
        if (strcmp(k->key, "chat:room-1/messages/m/1") == 0) {
            assert_non_null(strstr(k->value, "\"deleted\":true"));
            found++;
        }
        if (strcmp(k->key, "device/chat:room-1/b/o\"b/tab-00000001") == 0) found++;
    }
    assert_int_equal(found, 3);
    drop(records);
    desk_fini(&desk);
}

static void journal_record__what_does_not_read_back_is_said(void **state)
{
    struct desk desk;
    struct journal_trailer trailer;
    struct journal_entry entry;
    struct arena arena;
    (void)state;
    desk_init(&desk);
    live(&desk);
    struct shelf_of_records *records = encode(&desk, &trailer);
    arena_init(&arena, 16777216);
    for (size_t i = 0; i < records->count; i++) {
        const struct kept *k = &records->items[i];
        struct span key = span_of(k->key, k->key_bytes), value = span_of(k->value, k->value_bytes), mark = span_of(k->mark, k->mark_bytes);
        for (size_t cut = 0; cut < 17; cut++)
            assert_int_equal(journal_record_decode(k->topic, key, value, true, span_of(mark.at, cut), &arena, &entry), ERR_CORRUPT);
        if (k->topic == JOURNAL_UPDATES) {
            for (size_t cut = 17; cut < mark.bytes; cut++) /* without a first byte of its own, the body's length passes for a version */
                assert_int_not_equal(journal_record_decode(k->topic, key, value, true, span_of(mark.at, cut), &arena, &entry), ERR_OK);
            assert_int_equal(journal_record_decode(k->topic, key, span_of(value.at, value.bytes - 1), true, mark, &arena, &entry), ERR_CORRUPT);
        }
        k->mark[0] = 2;
        assert_int_equal(journal_record_decode(k->topic, key, value, true, mark, &arena, &entry), ERR_VERSION);
        arena_reset(&arena);
    }
    assert_int_equal(journal_record_decode(JOURNAL_STATE, SPAN_LITERAL("partition"), SPAN_LITERAL("{\"v\":1}"), true, span_of(NULL, 0), &arena, &entry), ERR_CORRUPT);
    assert_int_equal(journal_record_decode(JOURNAL_STATE, SPAN_LITERAL("partition"), SPAN_LITERAL("{\"v\":2}"), true, span_of(NULL, 0), &arena, &entry), ERR_VERSION);
    arena_fini(&arena);
    drop(records);
    desk_fini(&desk);
}

static void journal_record__a_removal_names_its_space(void **state)
{
    struct desk desk;
    struct journal_trailer trailer = {.batch = 5};
    struct journal_entry entry;
    struct arena arena;
    struct state_write writes[2];
    (void)state;
    desk_init(&desk);
    live(&desk);
    struct shelf_of_records *records = calloc(1, sizeof *records);
    size_t count = 0;
    const struct map_table *docs = &desk.state.tables[STATE_DOC], *spaces = &desk.state.tables[STATE_SPACE];
    writes[count++] = (struct state_write){.table = STATE_DOC, .remove = true, .key = docs->entries[0].key};
    assert_int_equal(journal_record_encode(writes, count, &trailer, records, keep), ERR_CORRUPT); /* whose is it? */
    for (size_t i = 0; i < spaces->count; i++) {
        writes[1] = (struct state_write){.table = STATE_SPACE, .key = spaces->entries[i].key, .value = spaces->entries[i].value};
        records->count = 0;
        if (journal_record_encode(writes, 2, &trailer, records, keep) == ERR_OK) break;
    }
    assert_true(records->count == 2 && !records->items[0].has_value);
    arena_init(&arena, 65536);
    const struct kept *k = &records->items[0];
    assert_int_equal(journal_record_decode(k->topic, span_of(k->key, k->key_bytes), span_of(NULL, 0), false, span_of(k->mark, k->mark_bytes), &arena, &entry), ERR_OK);
    assert_int_equal(entry.writes_count, 1);
    assert_true(entry.writes[0].remove && entry.writes[0].table == STATE_DOC);
    assert_true(span_equal(entry.writes[0].key, docs->entries[0].key));
    arena_fini(&arena);
    drop(records);
    desk_fini(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journal_record__what_was_stored_comes_back_byte_for_byte), cmocka_unit_test(journal_record__a_document_is_as_frames_carry_it),
        cmocka_unit_test(journal_record__what_does_not_read_back_is_said), cmocka_unit_test(journal_record__a_removal_names_its_space)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
