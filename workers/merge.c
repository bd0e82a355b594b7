#include "workers/merge.h"

#include <assert.h>

static enum err get(void *ctx, enum state_table table, struct span key, struct span *ret_value)
{
    const struct merge *merge = ctx;
    const struct cell *cell = merge->over.get(merge->over.ctx, table, key);
    if (cell == NULL) return merge->under.get(merge->under.ctx, table, key, ret_value);
    *ret_value = cell->removed ? span_of(NULL, 0) : cell_value(cell);
    return ERR_OK;
}

/* Past `key` in the direction of the seek: a seek down is strict already. */
static struct span step_past(struct span key, bool down, char room[STATE_KEY_BYTES_MAX + 1])
{
    if (down) return key;
    assert(key.bytes <= STATE_KEY_BYTES_MAX);
    memcpy(room, key.at, key.bytes);
    room[key.bytes] = 0;
    return span_of(room, key.bytes + 1);
}

static enum err seek(void *ctx, enum state_table table, struct span key, bool down, struct span *ret_key, struct span *ret_value)
{
    const struct merge *merge = ctx;
    const struct state_reader *under = &merge->under;
    char room[STATE_KEY_BYTES_MAX + 1];
    struct span under_key, under_value;
    enum err err = under->seek(under->ctx, table, key, down, &under_key, &under_value);
    if (err != ERR_OK) return err;
    const struct cell *cell = merge->over.seek(merge->over.ctx, table, key, down);
    while (cell != NULL) {
        int order = under_key.at == NULL ? -1 : span_compare(cell_key(cell), under_key);
        if (down && under_key.at != NULL) order = -order;
        if (order > 0) break; /* the one below comes first */
        if (!cell->removed) {
            *ret_key = cell_key(cell);
            *ret_value = cell_value(cell);
            return ERR_OK;
        }
        struct span past = step_past(cell_key(cell), down, room);
        if (order == 0) {
            err = under->seek(under->ctx, table, past, down, &under_key, &under_value);
            if (err != ERR_OK) return err;
        }
        cell = merge->over.seek(merge->over.ctx, table, past, down);
    }
    *ret_key = under_key;
    *ret_value = under_value;
    return ERR_OK;
}

struct state_reader merge_reader(struct merge *merge) { return (struct state_reader){merge, get, seek}; }
