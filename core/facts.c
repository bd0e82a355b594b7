#include "core/facts.h"

#include "core/doc.h"
#include "core/json.h"
#include "core/state_key.h"

enum err facts_read_doc(const struct state_reader *reader, uint64_t sid, struct span collection, struct span id,
                        struct span *ret_stored)
{
    struct state_key key;
    state_key_doc(&key, sid, collection, id);
    return reader->get(reader->ctx, STATE_DOC, state_key_span(&key), ret_stored);
}

/* The live document's body as a checked object; JSON_NONE where there is no live document. */
static enum err live_body(const struct state_reader *reader, uint64_t sid, struct span collection, struct span id,
                          struct arena *arena, struct json_value *ret_body)
{
    struct span stored;
    struct doc doc;
    *ret_body = (struct json_value){.type = JSON_NONE};
    enum err err = facts_read_doc(reader, sid, collection, id, &stored);
    if (err != ERR_OK || stored.at == NULL) return err;
    err = doc_decode(stored, arena, &doc);
    if (err != ERR_OK) return err;
    if (!doc.deleted) *ret_body = (struct json_value){.type = JSON_OBJECT, .raw = doc.body};
    return ERR_OK;
}

enum err facts_gather(const struct state_reader *reader, const struct namespace *ns, const struct space_state *space_state,
                      struct span space, struct span user, enum role granted, struct arena *arena,
                      struct access_facts *ret_facts)
{
    struct access_facts facts = {.space = space, .user = user, .granted = granted, .founded = space_state->head > 0};
    struct json_value body;
    if (space_state->sid != 0 && ns->access != NAMESPACE_GRANT) {
        enum err err = live_body(reader, space_state->sid, SPAN_LITERAL("members"), user, arena, &body);
        if (err != ERR_OK) return err;
        if (body.type == JSON_OBJECT) facts.member = access_role_of_member(body);
        if (ns->has_room) {
            err = live_body(reader, space_state->sid, SPAN_LITERAL("room"), SPAN_LITERAL("settings"), arena, &body);
            if (err != ERR_OK) return err;
            if (body.type == JSON_OBJECT) facts.join_open = access_join_is_open(body);
        }
    }
    *ret_facts = facts;
    return ERR_OK;
}
