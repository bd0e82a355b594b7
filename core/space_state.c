#include "core/space_state.h"

#include <assert.h>

#include "core/pack.h"
#include "core/state_key.h"

enum { VERSION = 1 };

enum err space_state_decode(struct span stored, struct space_state *ret_state)
{
    struct unpack in = {.rest = stored};
    struct space_state state = {0};
    if (unpack_u64(&in, 1) != VERSION) return in.failed ? ERR_CORRUPT : ERR_VERSION;
    state.sid = unpack_u64(&in, 8);
    state.head = unpack_u64(&in, 8);
    state.horizon = unpack_u64(&in, 8);
    state.owners = unpack_u64(&in, 8);
    state.loser_first = unpack_u64(&in, 8);
    state.loser_next = unpack_u64(&in, 8);
    state.founder = unpack_text(&in, 1);
    state.sums_count = (uint32_t)unpack_u64(&in, 1);
    if (state.sums_count > LIMIT_COLLECTIONS_MAX + 1) return ERR_CORRUPT;
    for (uint32_t i = 0; i < state.sums_count; i++) {
        struct span name = unpack_text(&in, 1);
        if (name.bytes > LIMIT_COLLECTION_BYTES_MAX) return ERR_CORRUPT;
        if (name.bytes > 0) memcpy(state.sums[i].collection, name.at, name.bytes);
        state.sums[i].sum = unpack_u64(&in, 8);
        state.sums[i].live = unpack_u64(&in, 8);
    }
    if (in.failed || in.rest.bytes != 0 || state.sid == 0) return ERR_CORRUPT;
    *ret_state = state;
    return ERR_OK;
}

enum err space_state_read(const struct state_reader *reader, struct span space, struct space_state *ret_state)
{
    struct state_key key;
    struct span stored;
    state_key_space(&key, space);
    enum err err = reader->get(reader->ctx, STATE_SPACE, state_key_span(&key), &stored);
    if (err != ERR_OK) return err;
    if (stored.at == NULL) {
        *ret_state = (struct space_state){0};
        return ERR_OK;
    }
    return space_state_decode(stored, ret_state);
}

void space_state_encode(const struct space_state *state, struct buf *buf)
{
    pack_u64(buf, VERSION, 1);
    pack_u64(buf, state->sid, 8);
    pack_u64(buf, state->head, 8);
    pack_u64(buf, state->horizon, 8);
    pack_u64(buf, state->owners, 8);
    pack_u64(buf, state->loser_first, 8);
    pack_u64(buf, state->loser_next, 8);
    pack_text(buf, state->founder, 1);
    pack_u64(buf, state->sums_count, 1);
    for (uint32_t i = 0; i < state->sums_count; i++) {
        pack_text(buf, span_text(state->sums[i].collection), 1);
        pack_u64(buf, state->sums[i].sum, 8);
        pack_u64(buf, state->sums[i].live, 8);
    }
}

void space_state_sum(struct space_state *state, struct span collection, uint64_t part, int step)
{
    uint32_t i = 0;
    while (i < state->sums_count && !span_is(collection, state->sums[i].collection)) i++;
    if (i == state->sums_count) {
        /* A namespace has at most this many collections at a time; a slot of one that is gone and empty is taken over. */
        if (state->sums_count == LIMIT_COLLECTIONS_MAX + 1) {
            for (i = 0; i < state->sums_count && state->sums[i].live > 0; i++) continue;
            if (i == state->sums_count) return; /* collections came and went: no sum is told for this one */
        } else {
            state->sums_count++;
        }
        state->sums[i] = (struct space_sum){0};
        assert(collection.bytes <= LIMIT_COLLECTION_BYTES_MAX);
        memcpy(state->sums[i].collection, collection.at, collection.bytes);
    }
    state->sums[i].sum ^= part;
    state->sums[i].live = step < 0 ? state->sums[i].live - 1 : state->sums[i].live + (uint64_t)step;
}

void space_state_render_sums(const struct space_state *state, struct buf *buf)
{
    bool first = true;
    buf_add_char(buf, '{');
    for (uint32_t i = 0; i < state->sums_count; i++) {
        if (state->sums[i].live == 0) continue;
        if (!first) buf_add_char(buf, ',');
        first = false;
        buf_add_json_string(buf, span_text(state->sums[i].collection));
        buf_add_text(buf, ":\"");
        buf_add_hex64(buf, state->sums[i].sum);
        buf_add_char(buf, '"');
    }
    buf_add_char(buf, '}');
}
