#include "tests/support/map_state.h"

#include <assert.h>
#include <stdlib.h>

static size_t lower_bound(const struct map_table *table, struct span key)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (span_compare(table->entries[mid].key, key) < 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

static struct span copy(struct span span)
{
    char *at = malloc(span.bytes + 1);
    assert(at != NULL);
    if (span.bytes > 0) memcpy(at, span.at, span.bytes);
    at[span.bytes] = '\0';
    return span_of(at, span.bytes);
}

static void release(struct span span)
{
    union { const char *lent; char *owned; } pointer = {.lent = span.at};
    free(pointer.owned);
}

static void put(struct map_table *table, struct span key, struct span value)
{
    size_t at = lower_bound(table, key);
    if (at < table->count && span_equal(table->entries[at].key, key)) {
        release(table->entries[at].value);
        table->entries[at].value = copy(value);
        return;
    }
    if (table->count == table->room) {
        table->room = table->room == 0 ? 64 : table->room * 2;
        table->entries = realloc(table->entries, table->room * sizeof *table->entries);
        assert(table->entries != NULL);
    }
    memmove(table->entries + at + 1, table->entries + at, (table->count - at) * sizeof *table->entries);
    table->entries[at] = (struct map_entry){.key = copy(key), .value = copy(value)};
    table->count++;
}

static void drop(struct map_table *table, struct span key)
{
    size_t at = lower_bound(table, key);
    if (at == table->count || !span_equal(table->entries[at].key, key)) return;
    release(table->entries[at].key);
    release(table->entries[at].value);
    table->count--;
    memmove(table->entries + at, table->entries + at + 1, (table->count - at) * sizeof *table->entries);
}

static enum err map_get(void *ctx, enum state_table table, struct span key, struct span *ret_value)
{
    const struct map_table *in = &((struct map_state *)ctx)->tables[table];
    size_t at = lower_bound(in, key);
    bool found = at < in->count && span_equal(in->entries[at].key, key);
    *ret_value = found ? in->entries[at].value : span_of(NULL, 0);
    return ERR_OK;
}

static enum err map_seek(void *ctx, enum state_table table, struct span key, bool down, struct span *ret_key, struct span *ret_value)
{
    const struct map_table *in = &((struct map_state *)ctx)->tables[table];
    size_t at = lower_bound(in, key);
    *ret_key = *ret_value = span_of(NULL, 0);
    if (down && at == 0) return ERR_OK;
    if (down) at--;
    if (at >= in->count) return ERR_OK;
    *ret_key = in->entries[at].key;
    *ret_value = in->entries[at].value;
    return ERR_OK;
}

struct state_reader map_state_reader(struct map_state *state)
{
    return (struct state_reader){.ctx = state, .get = map_get, .seek = map_seek};
}

void map_state_apply(struct map_state *state, const struct state_write *writes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct map_table *table = &state->tables[writes[i].table];
        if (writes[i].remove) drop(table, writes[i].key);
        else put(table, writes[i].key, writes[i].value);
    }
}

void map_state_fini(struct map_state *state)
{
    for (int t = 0; t < STATE_TABLES; t++) {
        for (size_t i = 0; i < state->tables[t].count; i++) {
            release(state->tables[t].entries[i].key);
            release(state->tables[t].entries[i].value);
        }
        free(state->tables[t].entries);
    }
    *state = (struct map_state){0};
}

void map_state_copy(const struct map_state *from, struct map_state *ret_to)
{
    for (int t = 0; t < STATE_TABLES; t++)
        for (size_t i = 0; i < from->tables[t].count; i++)
            put(&ret_to->tables[t], from->tables[t].entries[i].key, from->tables[t].entries[i].value);
}

bool map_state_equal(const struct map_state *a, const struct map_state *b)
{
    for (int t = 0; t < STATE_TABLES; t++) {
        if (a->tables[t].count != b->tables[t].count) return false;
        for (size_t i = 0; i < a->tables[t].count; i++) {
            if (!span_equal(a->tables[t].entries[i].key, b->tables[t].entries[i].key)) return false;
            if (!span_equal(a->tables[t].entries[i].value, b->tables[t].entries[i].value)) return false;
        }
    }
    return true;
}
