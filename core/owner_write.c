/* What a judged push writes: documents, their indexes, sums, losers, the space and the device entry. */
#include <assert.h>

#include "core/facts.h"
#include "core/owner_parts.h"

static void write_one(struct owner *owner, enum state_table table, const struct state_key *key, uint64_t sid,
                      struct span value, bool remove)
{
    struct state_key prefix;
    if (owner->writes_count == OWNER_WRITES_MAX) {
        owner->failed = true;
        return;
    }
    struct state_write write = {.table = table, .remove = remove};
    write.key = arena_copy(&owner->arena, state_key_span(key));
    if (!remove) write.value = arena_copy(&owner->arena, value);
    if (sid != 0) {
        state_key_rev_from(&prefix, sid, 0);
        write.space_key = arena_copy(&owner->arena, span_of(prefix.at, sizeof sid));
    }
    if (write.key.at == NULL || (!remove && write.value.at == NULL) || (sid != 0 && write.space_key.at == NULL)) {
        owner->failed = true;
        return;
    }
    owner->writes[owner->writes_count++] = write;
}

void owner_write_put(struct owner *owner, enum state_table table, const struct state_key *key, uint64_t sid, struct span value)
{
    write_one(owner, table, key, sid, value, false);
}

void owner_write_remove(struct owner *owner, enum state_table table, const struct state_key *key, uint64_t sid)
{
    write_one(owner, table, key, sid, span_of(NULL, 0), true);
}

/* Puts what was encoded into owner->value. */
static void put_value(struct owner *owner, enum state_table table, const struct state_key *key, uint64_t sid)
{
    if (!buf_ok(&owner->value)) owner->failed = true;
    else owner_write_put(owner, table, key, sid, buf_span(&owner->value));
}

void owner_write_partition(struct owner *owner)
{
    struct state_key key;
    state_key_partition(&key);
    buf_reset(&owner->value);
    buf_add_u64(&owner->value, owner->next_offset);
    buf_add_char(&owner->value, ' ');
    buf_add_i64(&owner->value, owner->clock_ms);
    put_value(owner, STATE_META, &key, 0);
}

/* The document as it is physically stored, hidden tombstones too: its index entries are what must go. */
static enum err forget_stored(struct owner *owner, struct owner_case *c, const struct resolve_doc *doc, struct span collection)
{
    struct span stored;
    struct doc old;
    struct state_key key;
    enum err err = facts_read_doc(c->reader, c->space.sid, collection, doc->id, &stored);
    if (err != ERR_OK || stored.at == NULL) return err;
    err = doc_decode(stored, &owner->arena, &old);
    if (err != ERR_OK) return err;
    state_key_rev(&key, c->space.sid, old.rev, collection, doc->id);
    owner_write_remove(owner, STATE_BYREV, &key, c->space.sid);
    if (old.deleted) return ERR_OK;
    space_state_sum(&c->space, collection, hash_document(doc->id, old.rev, old.body), -1);
    if (doc->collection->policy == POLICY_APPEND) {
        state_key_born(&key, c->space.sid, collection, old.born, doc->id);
        owner_write_remove(owner, STATE_BORN, &key, c->space.sid);
    }
    return ERR_OK;
}

static enum err write_doc(struct owner *owner, struct owner_case *c, const struct resolve_doc *doc)
{
    struct state_key key, due;
    struct span collection = span_text(doc->collection->name);
    const struct doc *after = &doc->after;
    enum err err = forget_stored(owner, c, doc, collection);
    if (err != ERR_OK) return err;
    assert(after->rev == c->rev);
    state_key_rev(&key, c->space.sid, after->rev, collection, doc->id);
    owner_write_put(owner, STATE_BYREV, &key, c->space.sid, SPAN_LITERAL(""));
    if (!after->deleted) {
        space_state_sum(&c->space, collection, hash_document(doc->id, after->rev, after->body), 1);
        if (doc->collection->policy == POLICY_APPEND) {
            state_key_born(&key, c->space.sid, collection, after->born, doc->id);
            owner_write_put(owner, STATE_BORN, &key, c->space.sid, SPAN_LITERAL(""));
        }
    }
    state_key_doc(&key, c->space.sid, collection, doc->id);
    buf_reset(&owner->value);
    doc_encode(after, &owner->value);
    put_value(owner, STATE_DOC, &key, c->space.sid);
    if (after->deleted) {
        state_key_due(&due, c->time_ms + c->ns->window_ms, 't', state_key_span(&key));
        owner_write_put(owner, STATE_DUE, &due, 0, c->push->space);
    }
    return ERR_OK;
}

static void write_loser(struct owner *owner, struct owner_case *c, const struct resolve_loser *loser)
{
    struct state_key key;
    struct buf *out = &owner->value;
    buf_reset(out);
    buf_add_text(out, "{\"collection\":");
    buf_add_json_string(out, loser->collection);
    buf_add_text(out, ",\"id\":");
    buf_add_json_string(out, loser->id);
    buf_add_text(out, ",\"field\":");
    if (loser->whole) buf_add_text(out, "null");
    else buf_add_json_string(out, loser->field);
    buf_add_text(out, ",\"value\":");
    buf_add_span(out, loser->value);
    buf_add_text(out, ",\"user\":");
    buf_add_json_string(out, loser->user);
    buf_add_text(out, ",\"device\":");
    buf_add_json_string(out, loser->device);
    buf_add_text(out, ",\"rev\":");
    buf_add_u64(out, loser->rev);
    buf_add_text(out, ",\"time\":");
    if (loser->time_ms == INT64_MIN) buf_add_text(out, "null"); /* older than all */
    else buf_add_i64(out, loser->time_ms);
    buf_add_char(out, '}');
    state_key_loser(&key, c->space.sid, c->space.loser_next++);
    put_value(owner, STATE_LOSER, &key, c->space.sid);
    if (c->space.loser_next - c->space.loser_first > LIMIT_LOSERS_MAX) {
        state_key_loser(&key, c->space.sid, c->space.loser_first++);
        owner_write_remove(owner, STATE_LOSER, &key, c->space.sid);
    }
}

enum err owner_write_push(struct owner *owner, struct owner_case *c)
{
    if (c->result.status == RESOLVE_CHANGED) {
        for (size_t i = 0; i < c->result.docs_count; i++) {
            if (!c->result.docs[i].changed) continue;
            enum err err = write_doc(owner, c, &c->result.docs[i]);
            if (err != ERR_OK) return err;
        }
        c->space.head = c->rev;
        if (c->founding) c->space.founder = c->push->user;
    }
    for (size_t i = 0; i < c->result.losers_count; i++) write_loser(owner, c, &c->result.losers[i]);
    return ERR_OK;
}

void owner_write_space(struct owner *owner, const struct owner_case *c)
{
    struct state_key key;
    state_key_space(&key, c->push->space);
    buf_reset(&owner->value);
    space_state_encode(&c->space, &owner->value);
    put_value(owner, STATE_SPACE, &key, c->space.sid);
}

void owner_write_entry(struct owner *owner, const struct owner_case *c, const struct device_entry *entry, bool fresh)
{
    struct state_key key, due;
    state_key_device(&key, c->space.sid, c->push->user, c->push->device);
    buf_reset(&owner->value);
    device_entry_encode(entry, &owner->value);
    put_value(owner, STATE_DEVICE, &key, c->space.sid);
    if (!fresh) return;
    /* Written once, when the entry is made: what is found alive when it falls due is put off, so that pushes stay cheap. */
    state_key_due(&due, c->time_ms + 2 * c->ns->window_ms, 'd', state_key_span(&key));
    owner_write_put(owner, STATE_DUE, &due, 0, c->push->space);
}
