/* A journal read back: whole, or refused. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/journal_replay.h"
#include "tests/support/desk.h"

enum { RECORDS_MAX = 64, TEXT_BYTES = 4096 };

struct taken {
    enum journal_topic topic;
    bool has_value;
    size_t key_bytes, value_bytes, mark_bytes;
    char text[TEXT_BYTES]; /* key, value, mark */
};
struct tape {
    struct desk desk;
    size_t count;
    struct taken records[RECORDS_MAX];
    struct map_state again;
};

static enum err keep(void *ctx, const struct journal_record *record)
{
    struct tape *tape = ctx;
    struct taken *taken = &tape->records[tape->count++];
    assert_true(tape->count <= RECORDS_MAX && record->key.bytes + record->value.bytes + record->mark.bytes < TEXT_BYTES);
    *taken = (struct taken){.topic = record->topic, .has_value = record->has_value, .key_bytes = record->key.bytes, .value_bytes = record->value.bytes,
                            .mark_bytes = record->mark.bytes};
    memcpy(taken->text, record->key.at, record->key.bytes);
    if (record->value.bytes > 0) memcpy(taken->text + record->key.bytes, record->value.at, record->value.bytes);
    if (record->mark.bytes > 0) memcpy(taken->text + record->key.bytes + record->value.bytes, record->mark.at, record->mark.bytes);
    return ERR_OK;
}

/* All that the desk's owner has, as one batch with its trailer. */
static void record_all(struct tape *tape)
{
    static struct state_write writes[256];
    struct journal_trailer trailer = {.first = 0, .next = tape->desk.next_offset, .last_hash = 7, .batch = 5};
    struct buf text;
    size_t count = 0;
    for (int table = 0; table < STATE_TABLES; table++) {
        const struct map_table *from = &tape->desk.state.tables[table];
        for (size_t i = 0; i < from->count; i++) {
            assert_true(count < 256);
            writes[count++] = (struct state_write){.table = (enum state_table)table, .key = from->entries[i].key, .value = from->entries[i].value};
        }
    }
    assert_int_equal(journal_record_encode(writes, count, &trailer, tape, keep), ERR_OK);
    buf_init(&text, TEXT_BYTES);
    journal_record_encode_trailer(&trailer, &text);
    struct journal_record last = {.topic = JOURNAL_STATE, .key = SPAN_LITERAL("partition"), .value = buf_span(&text), .has_value = true};
    assert_int_equal(keep(tape, &last), ERR_OK);
    buf_fini(&text);
}

static int set_up(void **state)
{
    struct tape *tape = calloc(1, sizeof *tape);
    if (tape == NULL) return -1;
    desk_init(&tape->desk);
    desk_push(&tape->desk, "ana", "phone-0001", 1, 0, 0, "chat:room", "[{\"op\":\"append\",\"collection\":\"messages\",\"id\":\"m1\",\"body\":{\"text\":\"hi\"}}]", "none");
    desk_push(&tape->desk, "ana", "phone-0001", 2, 1, 1, "chat:room", "[{\"op\":\"delete\",\"collection\":\"messages\",\"id\":\"m1\"}]", "none");
    desk_push(&tape->desk, "ana", "phone-0001", 1, 0, 0, "cart:ana", "[{\"op\":\"put\",\"collection\":\"items\",\"id\":\"tea\",\"body\":{\"qty\":1}}]", "none");
    record_all(tape);
    *state = tape;
    return 0;
}

static int tear_down(void **state)
{
    struct tape *tape = *state;
    map_state_fini(&tape->again);
    desk_fini(&tape->desk);
    free(tape);
    return 0;
}

static enum err put(void *ctx, const struct state_write *writes, size_t count)
{
    map_state_apply(&((struct tape *)ctx)->again, writes, count);
    return ERR_OK;
}

/* But for record `left_out`. */
static enum err replay(struct tape *tape, size_t left_out, struct journal_trailer *ret_trailer, char why[128])
{
    struct journal_replay *replay = malloc(sizeof *replay);
    enum err err = ERR_OK;
    assert_non_null(replay);
    journal_replay_init(replay, tape, put);
    for (int topic = JOURNAL_STATE; err == ERR_OK && topic >= JOURNAL_UPDATES; topic--) {
        for (size_t i = 0; err == ERR_OK && i < tape->count; i++) {
            const struct taken *taken = &tape->records[i];
            const char *value = taken->text + taken->key_bytes, *mark = value + taken->value_bytes;
            if ((int)taken->topic != topic || i == left_out) continue;
            err = journal_replay_take(replay, span_of(taken->text, taken->key_bytes), span_of(value, taken->value_bytes), taken->has_value, span_of(mark, taken->mark_bytes));
        }
        if (err == ERR_OK && topic == JOURNAL_STATE) err = journal_replay_turn(replay, why, 128);
    }
    if (err == ERR_OK) err = journal_replay_end(replay, ret_trailer, why, 128);
    journal_replay_fini(replay);
    free(replay);
    return err;
}

static void journal_replay__a_whole_one_gives_the_owners_bytes(void **state)
{
    struct tape *tape = *state;
    struct journal_trailer trailer;
    char why[128] = "";
    assert_int_equal(replay(tape, SIZE_MAX, &trailer, why), ERR_OK);
    assert_int_equal(trailer.next, tape->desk.next_offset);
    for (int table = 0; table < STATE_TABLES; table++) {
        const struct map_table *a = &tape->desk.state.tables[table], *b = &tape->again.tables[table];
        if (table == STATE_DUE) continue; /* dates follow from the rest */
        assert_int_equal(a->count, b->count);
        for (size_t i = 0; i < a->count; i++) assert_true(span_equal(a->entries[i].key, b->entries[i].key) && span_equal(a->entries[i].value, b->entries[i].value));
    }
}

static void journal_replay__without_any_one_record_it_is_refused(void **state)
{
    struct tape *tape = *state;
    struct journal_trailer trailer;
    for (size_t i = 0; i < tape->count; i++) {
        char why[128] = "";
        assert_int_equal(replay(tape, i, &trailer, why), ERR_CORRUPT);
        assert_true(why[0] != '\0');
    }
}

static void journal_replay__of_nothing_there_is_nothing(void **state)
{
    struct tape *tape = *state;
    struct journal_trailer trailer;
    char why[128];
    tape->count = 0;
    assert_int_equal(replay(tape, SIZE_MAX, &trailer, why), ERR_UNKNOWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(journal_replay__a_whole_one_gives_the_owners_bytes), TEST(journal_replay__without_any_one_record_it_is_refused),
                                       TEST(journal_replay__of_nothing_there_is_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
