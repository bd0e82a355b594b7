/* Frees what the partition's clock already hides: tombstones past the window, device entries past twice the window.
 *
 * INVARIANT 1: no outcome of any push differs between an owner that swept and one that did not; only how a cursor older
 * than the swept tombstones is answered does (a reset instead of what changed), and the horizon remembers that. */
#include "core/name.h"
#include "core/owner_parts.h"

/* Where something due is found alive still: when to look again. */
static void put_off(struct owner *owner, int64_t due_ms, char kind, struct span inner, struct span space)
{
    struct state_key key;
    state_key_due(&key, due_ms, kind, inner);
    owner_write_put(owner, STATE_DUE, &key, 0, space);
}

static enum err write_space(struct owner *owner, struct span space, const struct space_state *state)
{
    struct state_key key;
    buf_reset(&owner->value);
    space_state_encode(state, &owner->value);
    state_key_space(&key, space);
    owner_write_put(owner, STATE_SPACE, &key, state->sid, buf_span(&owner->value));
    return buf_ok(&owner->value) ? ERR_OK : ERR_MEMORY;
}

static enum err sweep_tombstone(struct owner *owner, const struct state_reader *reader, const struct namespace *ns,
                                struct span inner, struct span space)
{
    struct span stored, collection, id;
    struct doc doc;
    struct state_key key;
    struct space_state state;
    uint64_t sid;
    enum err err = reader->get(reader->ctx, STATE_DOC, inner, &stored);
    if (err != ERR_OK || stored.at == NULL) return err;
    if (!state_key_parse_doc(inner, &sid, &collection, &id)) return ERR_CORRUPT;
    err = doc_decode(stored, &owner->arena, &doc);
    if (err != ERR_OK || !doc.deleted) return err; /* brought back since: its next deletion has a date of its own */
    if (doc.time_ms + ns->window_ms >= owner->clock_ms) {
        put_off(owner, doc.time_ms + ns->window_ms, 't', inner, space);
        return ERR_OK;
    }
    err = space_state_read(reader, space, &state);
    if (err != ERR_OK) return err;
    if (state.sid != sid) return ERR_CORRUPT;
    state_key_doc(&key, sid, collection, id);
    owner_write_remove(owner, STATE_DOC, &key, sid);
    state_key_rev(&key, sid, doc.rev, collection, id);
    owner_write_remove(owner, STATE_BYREV, &key, sid);
    if (doc.rev > state.horizon) state.horizon = doc.rev;
    return write_space(owner, space, &state);
}

static enum err sweep_entry(struct owner *owner, const struct state_reader *reader, const struct namespace *ns,
                            struct span inner, struct span space)
{
    struct span stored;
    struct state_key key;
    enum err err = reader->get(reader->ctx, STATE_DEVICE, inner, &stored);
    if (err != ERR_OK || stored.at == NULL) return err;
    err = device_entry_decode(stored, &owner->entry);
    if (err != ERR_OK) return err;
    int64_t due_ms = owner->entry.last_ms + 2 * ns->window_ms;
    if (due_ms >= owner->clock_ms) {
        put_off(owner, due_ms, 'd', inner, space);
        return ERR_OK;
    }
    key.bytes = inner.bytes;
    memcpy(key.at, inner.at, inner.bytes);
    owner_write_remove(owner, STATE_DEVICE, &key, state_key_sid(inner));
    struct space_state state;
    err = space_state_read(reader, space, &state);
    if (err == ERR_OK && state.sid != state_key_sid(inner)) err = ERR_CORRUPT;
    return err == ERR_OK ? write_space(owner, space, &state) : err;
}

/* One due entry: swept, put off, or found to be nothing any more; in each case its date goes. */
static enum err sweep_one(struct owner *owner, const struct state_reader *reader, struct span due, struct span space)
{
    int64_t due_ms;
    char kind;
    struct span inner;
    struct state_key key;
    if (due.bytes > STATE_KEY_BYTES_MAX || !state_key_parse_due(due, &due_ms, &kind, &inner)) return ERR_CORRUPT;
    key.bytes = due.bytes;
    memcpy(key.at, due.at, due.bytes);
    owner_write_remove(owner, STATE_DUE, &key, 0);
    const struct namespace *ns = namespace_find(&owner->namespaces, name_namespace(space));
    if (ns == NULL) return ERR_CORRUPT; /* a namespace once in force is never taken out */
    return kind == 't' ? sweep_tombstone(owner, reader, ns, inner, space) : sweep_entry(owner, reader, ns, inner, space);
}

enum err owner_sweep(struct owner *owner, const struct state_reader *reader, struct owner_out *ret_out, bool *ret_more)
{
    struct owner_out out = {.why = ""};
    struct span due, space, inner;
    int64_t due_ms;
    char kind;
    arena_reset(&owner->arena);
    owner->writes_count = 0;
    owner->failed = false;
    enum err err = reader->seek(reader->ctx, STATE_DUE, SPAN_LITERAL(""), false, &due, &space);
    if (err != ERR_OK) return err;
    bool is_due = due.at != NULL && state_key_parse_due(due, &due_ms, &kind, &inner) && due_ms < owner->clock_ms;
    if (is_due) {
        err = sweep_one(owner, reader, due, space);
        if (err != ERR_OK) return err;
        owner_write_partition(owner);
        if (owner->failed) return ERR_MEMORY;
    }
    out.writes = owner->writes;
    out.writes_count = owner->writes_count;
    *ret_out = out;
    *ret_more = is_due;
    return ERR_OK;
}
