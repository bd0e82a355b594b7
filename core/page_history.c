/* The pages that move no cursor: history of an append collection, kept conflicts, the list of members. */
#include "core/doc.h"
#include "core/facts.h"
#include "core/page_parts.h"
#include "core/state_key.h"

enum { MEMBERS_MAX = 1000 /* users listed in `away`: the rest are left out */ };

static enum err render(const struct state_reader *reader, uint64_t sid, struct span collection, struct span id,
                       struct arena *arena, struct buf *text)
{
    struct span stored;
    struct doc doc;
    enum err err = facts_read_doc(reader, sid, collection, id, &stored);
    if (err != ERR_OK) return err;
    if (stored.at == NULL) return ERR_CORRUPT;
    err = doc_decode(stored, arena, &doc);
    if (err != ERR_OK) return err;
    doc_render(text, collection, id, &doc, true);
    return ERR_OK;
}

/* Newest first; documents born together stay together, so that `before` can go on from any page. */
static enum err walk_born(const struct page_history_request *request, uint64_t sid, const struct state_reader *reader,
                          struct arena *arena, struct buf *text, bool *ret_more)
{
    struct state_key from;
    uint64_t born, last = 0;
    size_t limit = request->limit == 0 || request->limit > LIMIT_HISTORY_MAX ? LIMIT_HISTORY_MAX : request->limit;
    state_key_born(&from, sid, request->collection, request->before == 0 ? UINT64_MAX : request->before, SPAN_LITERAL(""));
    *ret_more = false;
    for (size_t count = 0;; count++) {
        struct span key, value, id;
        enum err err = reader->seek(reader->ctx, STATE_BORN, state_key_span(&from), true, &key, &value);
        if (err != ERR_OK) return err;
        if (key.at == NULL || !state_key_parse_born(key, sid, request->collection, &born, &id)) return ERR_OK;
        if (born != last && (count >= limit || text->bytes >= LIMIT_PAGE_BYTES)) {
            *ret_more = true;
            return ERR_OK;
        }
        if (count > 0) buf_add_char(text, ',');
        last = born;
        state_key_born(&from, sid, request->collection, born, id);
        err = render(reader, sid, request->collection, id, arena, text);
        if (err != ERR_OK) return err;
    }
}

enum err page_history(const struct page_history_request *request, const struct state_reader *reader, struct arena *arena,
                      struct buf *text, struct page_history *ret_history)
{
    struct page_history history = {.err = ERR_OK};
    struct space_state space;
    const struct collection *collection = namespace_collection(request->ns, request->collection);
    enum err err = space_state_read(reader, request->space, &space);
    if (err != ERR_OK) return err;
    err = page_parts_role(request->ns, &space, request->space, &request->waiter, reader, arena, &history.role, &history.may_found);
    if (err != ERR_OK) return err;
    if (collection == NULL || collection->policy != POLICY_APPEND) history.err = ERR_INVALID;
    history.at = space.head;
    buf_reset(text);
    buf_add_char(text, '[');
    if (history.err == ERR_OK && history.role != ROLE_NONE && space.sid != 0)
        err = walk_born(request, space.sid, reader, arena, text, &history.more);
    buf_add_char(text, ']');
    if (err != ERR_OK) return err;
    if (!buf_ok(text)) return ERR_MEMORY;
    history.docs = buf_span(text);
    *ret_history = history;
    return ERR_OK;
}

/* The time that a kept conflict carries, for the window. */
static bool is_within_window(const struct page_request *request, struct span loser)
{
    struct json_value object;
    int64_t time_ms;
    if (!json_check(loser, &object, NULL) || !json_integer(json_find(object, "time"), &time_ms)) return true;
    return time_ms + request->ns->window_ms >= request->clock_ms;
}

enum err page_conflicts(const struct page_request *request, const struct state_reader *reader, struct arena *arena,
                        struct buf *text, enum role *ret_role)
{
    struct space_state space;
    bool may_found;
    size_t count = 0;
    enum err err = space_state_read(reader, request->space, &space);
    if (err == ERR_OK)
        err = page_parts_role(request->ns, &space, request->space, &request->waiters[0], reader, arena, ret_role, &may_found);
    if (err != ERR_OK) return err;
    if (*ret_role == ROLE_NONE && may_found) *ret_role = ROLE_READER; /* there is nothing yet, and he may see that */
    buf_reset(text);
    buf_add_text(text, "{\"conflicts\":[");
    if (*ret_role == ROLE_NONE) space = (struct space_state){0};
    for (uint64_t at = space.loser_next; at > space.loser_first && text->bytes < LIMIT_PAGES_IN_FLIGHT_BYTES; at--) {
        struct state_key key;
        struct span loser;
        state_key_loser(&key, space.sid, at - 1);
        err = reader->get(reader->ctx, STATE_LOSER, state_key_span(&key), &loser);
        if (err != ERR_OK) return err;
        if (loser.at == NULL || !is_within_window(request, loser)) continue;
        if (count++ > 0) buf_add_char(text, ',');
        buf_add_span(text, loser);
    }
    buf_add_text(text, "]}");
    return buf_ok(text) ? ERR_OK : ERR_MEMORY;
}

enum err page_members(const struct page_request *request, const struct state_reader *reader, struct arena *arena,
                      struct buf *text, enum role *ret_role)
{
    struct space_state space;
    struct state_key from;
    bool may_found;
    size_t count = 0;
    enum err err = space_state_read(reader, request->space, &space);
    if (err == ERR_OK)
        err = page_parts_role(request->ns, &space, request->space, &request->waiters[0], reader, arena, ret_role, &may_found);
    if (err != ERR_OK) return err;
    if (*ret_role == ROLE_NONE && may_found) *ret_role = ROLE_READER; /* there is nothing yet, and he may see that */
    buf_reset(text);
    buf_add_char(text, '[');
    state_key_doc(&from, space.sid, SPAN_LITERAL("members"), SPAN_LITERAL(""));
    while (space.sid != 0 && *ret_role != ROLE_NONE && count < MEMBERS_MAX) {
        struct span key, value, collection, id;
        struct doc doc;
        uint64_t sid;
        err = reader->seek(reader->ctx, STATE_DOC, state_key_span(&from), false, &key, &value);
        if (err != ERR_OK) return err;
        if (key.at == NULL || !state_key_parse_doc(key, &sid, &collection, &id) || sid != space.sid ||
            !span_is(collection, "members")) break;
        err = doc_decode(value, arena, &doc);
        if (err != ERR_OK) return err;
        if (!doc.deleted) {
            if (count++ > 0) buf_add_char(text, ',');
            buf_add_json_string(text, id);
        }
        state_key_doc(&from, space.sid, collection, id);
        from.at[from.bytes++] = '\0';
    }
    buf_add_char(text, ']');
    return buf_ok(text) ? ERR_OK : ERR_MEMORY;
}
