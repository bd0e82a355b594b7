/* Pushes: checked, appended, acked; their outcomes brought back in order.
 *
 * STATES of a push  appending (the log has not said) -> acked (its outcome is awaited) -> gone. A failed append is told
 * `busy` and forgotten: the device sends it again. Nothing else ends one but its outcome, or its session. */
#include <assert.h>
#include <stdlib.h>

#include "core/name.h"
#include "core/record.h"
#include "gateway/hub_parts.h"

enum { NONE_FREE = 0 };

static void refuse(struct hub_session *session, const struct frame *frame, enum err code, const char *message)
{
    session->hub->counters.refusals++;
    frame_refusal(&session->hub->text, frame->space, frame->id, code, message);
    hub_send_text(session, OUT_RESULT);
}

static void postpone(struct hub_session *session, struct span space, uint64_t id, enum err code)
{
    hub_send_error(session, code, NULL, span_of(NULL, 0), true, id, space, SESSION_RETRY_MS);
}

/* ---- the list of a session's pushes ---- */

static void unlink_push(struct hub_session *session, struct hub_push *push)
{
    struct hub_push **at = &session->pushes;
    while (*at != push) at = &(*at)->next;
    *at = push->next;
    if (session->pushes_end == &push->next) session->pushes_end = at;
    session->pushes_count--;
    session->pushes_bytes -= push->record->bytes;
    session->hub->pushes_count--;
    session->hub->pushes_bytes -= push->record->bytes;
}

static void free_push(struct hub *hub, struct hub_push *push)
{
    hub_space_put(hub, push->space);
    blob_put(push->record);
    free(push);
}

static void drop_push(struct hub_session *session, struct hub_push *push)
{
    unlink_push(session, push);
    free_push(session->hub, push);
}

/* ---- appends under way, by tag ---- */

static bool take_append(struct hub *hub, uint32_t *ret_at)
{
    if (hub->append_free == NONE_FREE) {
        if (hub->appends_count == hub->appends_room) {
            size_t room = hub->appends_room == 0 ? 256 : hub->appends_room * 2;
            struct hub_append *moved = room > 2 * (size_t)LIMIT_HUB_PUSHES ? NULL : realloc(hub->appends, room * sizeof *moved);
            if (moved == NULL) return false;
            hub->appends = moved;
            hub->appends_room = room;
        }
        *ret_at = (uint32_t)hub->appends_count++;
        return true;
    }
    *ret_at = hub->append_free - 1;
    hub->append_free = hub->appends[*ret_at].next_free;
    return true;
}

static void give_append(struct hub *hub, uint32_t at)
{
    hub->appends[at] = (struct hub_append){.next_free = hub->append_free};
    hub->append_free = at + 1;
}

/* ---- pushing ---- */

static struct blob *make_record(struct hub_session *session, const struct hub_space *space, const struct frame *frame, bool with_device)
{
    struct hub *hub = session->hub;
    struct record_push push = {
        .space = hub_space_name(space), .user = hub_space_user(session), .granted = hub_space_granted(session, space),
        .ns_version = space->rules->version, .has_device = with_device, .device = span_text(session->device), .id = frame->id,
        .after = frame->after, .known = frame->known, .gateway = span_text(hub->options.name), .session = session->number,
        .ops = frame->ops};
    buf_reset(&hub->text);
    record_encode_push(&push, &hub->text);
    struct blob *record = buf_ok(&hub->text) ? blob_make(buf_span(&hub->text)) : NULL;
    buf_reset(&hub->text);
    return record;
}

/* A copy of one that is under way is no further one. */
static bool has_room(const struct hub_session *session, const struct hub_space *space, const struct frame *frame)
{
    uint32_t count = 0;
    if (session->pushes_count < LIMIT_INFLIGHT_MAX) return true;
    for (const struct hub_push *push = session->pushes; push != NULL; push = push->next)
        if (push->space == space && push->id > frame->known && push->id != frame->id && !push->copy) count++;
    return count < LIMIT_INFLIGHT_MAX && session->pushes_count < LIMIT_SESSION_PUSHES;
}

static bool is_copy(const struct hub_session *session, const struct hub_space *space, uint64_t id)
{
    for (const struct hub_push *push = session->pushes; push != NULL; push = push->next)
        if (push->space == space && push->id == id) return true;
    return false;
}

static enum err append(struct hub_session *session, struct hub_space *space, const struct frame *frame, bool with_device)
{
    struct hub *hub = session->hub;
    struct log_writer *writer = hub->options.writer;
    uint32_t at;
    size_t bytes = frame->ops.raw.bytes;
    if (hub->pushes_count >= LIMIT_HUB_PUSHES || hub->counters.appends_in_flight >= LIMIT_HUB_PUSHES) return ERR_BUSY;
    if (hub->pushes_bytes + bytes > LIMIT_HUB_PUSH_BYTES || session->pushes_bytes + bytes > LIMIT_SESSION_PUSH_BYTES) return ERR_BUSY;
    struct hub_push *push = calloc(1, sizeof *push);
    if (push == NULL) return ERR_BUSY;
    push->record = make_record(session, space, frame, with_device);
    if (push->record == NULL || !take_append(hub, &at)) {
        blob_put(push->record);
        free(push);
        return ERR_BUSY;
    }
    hub->appends[at] = (struct hub_append){.session = session->number, .push = push};
    if (writer->ops->append(writer, space->partition, push->record, at) != ERR_OK) {
        give_append(hub, at);
        blob_put(push->record);
        free(push);
        return ERR_BUSY;
    }
    hub->counters.appends_in_flight++;
    hub->counters.pushes++;
    push->space = space;
    space->refs++;
    push->id = frame->id;
    push->copy = is_copy(session, space, frame->id);
    push->append_at = at;
    push->appending = true;
    push->asked_ms = hub->now_ms;
    *session->pushes_end = push;
    session->pushes_end = &push->next;
    session->pushes_count++;
    session->pushes_bytes += push->record->bytes;
    hub->pushes_count++;
    hub->pushes_bytes += push->record->bytes;
    return ERR_OK;
}

static void note_failure(struct hub_session *session, const struct hub_space *space, uint64_t id)
{
    if (session->failure == NULL) session->failure = calloc(1, sizeof *session->failure);
    if (session->failure == NULL) hub_send_close(session, 1011, "out of memory"); /* order could not be kept */
    else session_failure_note(session->failure, space->node.hash, id, session->hub->now_ms);
}

static bool is_blocked(struct hub_session *session, const struct hub_space *space, uint64_t id)
{
    if (session->failure == NULL) return false;
    bool blocks = session_failure_blocks(session->failure, space->node.hash, id, session->hub->now_ms);
    if (session->failure->count > 0) return blocks;
    free(session->failure);
    session->failure = NULL;
    return blocks;
}

void hub_push_append(struct hub_session *session, const struct frame *frame, bool with_device)
{
    struct hub *hub = session->hub;
    if (!name_is_space(frame->space)) {
        refuse(session, frame, ERR_INVALID, "space: is not a space's name");
        return;
    }
    struct hub_space *space = hub_space_take(hub, frame->space);
    if (space != NULL && frame->known > 0) hub_push_known(session, space, frame->known);
    if (space != NULL && hub_space_is_unknown(hub, space)) {
        refuse(session, frame, ERR_UNKNOWN_SPACE, NULL);
    } else if (space == NULL) {
        postpone(session, frame->space, frame->id, ERR_BUSY);
    } else if (space->rules == NULL || !has_room(session, space, frame)) {
        note_failure(session, space, frame->id); /* an ack speaks of all before it: what comes behind is not taken first */
        postpone(session, frame->space, frame->id, space->rules == NULL ? ERR_BUSY : ERR_TOO_MANY);
    } else if (is_blocked(session, space, frame->id)) {
        postpone(session, frame->space, frame->id, ERR_BUSY);
    } else if (append(session, space, frame, with_device) != ERR_OK) {
        note_failure(session, space, frame->id);
        postpone(session, frame->space, frame->id, ERR_BUSY);
    } else {
        struct hub_sub *sub = hub_sub_find(session, space);
        if (sub != NULL && frame->known > sub->known) sub->known = frame->known;
    }
    if (space != NULL) hub_space_put(hub, space);
}

void hub_push_frame(struct hub_session *session, const struct frame *frame) { hub_push_append(session, frame, true); }

static void ack_one(struct hub *hub, const struct log_ack *ack)
{
    assert(ack->tag < hub->appends_count);
    struct hub_append append = hub->appends[ack->tag];
    struct hub_session *session = hub_find_session(hub, append.session);
    give_append(hub, (uint32_t)ack->tag);
    hub->counters.appends_in_flight--;
    if (append.push == NULL) return; /* its session went: the outcome waits in the log */
    assert(session != NULL);
    struct hub_push *push = append.push;
    push->appending = false;
    if (ack->err != ERR_OK) {
        note_failure(session, push->space, push->id);
        postpone(session, hub_space_name(push->space), push->id, ERR_BUSY);
        drop_push(session, push);
        return;
    }
    hub->counters.acks++;
    push->asked_ms = hub->now_ms; /* from here on its outcome is waited for */
    if (push->answered) {
        drop_push(session, push); /* an outcome implies the ack */
        return;
    }
    frame_ack(&hub->text, hub_space_name(push->space), push->id);
    hub_send_text(session, OUT_ACK);
}

void hub_push_acked(void *ctx, const struct log_ack *acks, size_t count)
{
    for (size_t i = 0; i < count; i++) ack_one(ctx, &acks[i]);
}

/* ---- outcomes ---- */

static void settle_push(struct hub_session *session, struct hub_push *push)
{
    if (push->appending) push->answered = true;
    else drop_push(session, push);
}

/* False: no push of that id waits for an answer here. */
static bool settle_id(struct hub_session *session, const struct hub_space *space, uint64_t id)
{
    for (struct hub_push *push = session->pushes; push != NULL; push = push->next) {
        if (push->space != space || push->id != id || push->answered) continue;
        settle_push(session, push);
        return true;
    }
    return false;
}

/* The device holds these outcomes: the owner may have forgotten them, and is not asked for them any more. */
void hub_push_known(struct hub_session *session, const struct hub_space *space, uint64_t known)
{
    for (struct hub_push *push = session->pushes, *next; push != NULL; push = next) {
        next = push->next;
        if (push->space == space && push->id <= known && !push->answered) settle_push(session, push);
    }
}

void hub_push_answer(struct hub *hub, const struct link_tell *tell)
{
    const struct hub_session *session = hub_find_session(hub, tell->session);
    /* A number may have been another's before a restart: an outcome is its maker's alone. */
    if (session == NULL || tell->frame == NULL || !span_equal(tell->user, hub_space_user(session)) ||
        !span_is(tell->device, session->device)) return;
    if (hub->answers_count == hub->answers_room) {
        size_t room = hub->answers_room == 0 ? 64 : hub->answers_room * 2;
        struct hub_answer *moved = realloc(hub->answers, room * sizeof *moved);
        if (moved == NULL) return; /* asked for again after SESSION_ASK_AGAIN_MS */
        hub->answers = moved;
        hub->answers_room = room;
    }
    struct hub_space *space = hub_space_take(hub, tell->space);
    if (space == NULL) return;
    hub->answers[hub->answers_count++] = (struct hub_answer){
        .session = tell->session, .id = tell->id, .place = tell->place, .space = space, .with_update = tell->with_update,
        .is_error = tell->is_error, .code = tell->code, .frame = blob_take(tell->frame)};
}

/* The refusal of a stranger's push: it has no place in the log's order, so it waits for nothing, and has to come before a page
 * whose `pushed` speaks of later ones. */
static bool is_placeless(const struct hub_answer *answer)
{
    struct json_value frame;
    return answer->code == ERR_FORBIDDEN && json_check(blob_span(answer->frame), &frame, NULL) &&
           json_find(frame, "cursor").type == JSON_NONE;
}

/* An outcome in an open space comes after everything up to its place, or is the update itself. */
static void send_outcome(struct hub_session *session, const struct hub_answer *answer)
{
    struct hub_sub *sub = session->job != NULL ? NULL : hub_sub_find(session, answer->space);
    if (sub != NULL && is_placeless(answer)) sub = NULL;
    if (sub != NULL && sub->pull == NULL && answer->with_update) return; /* the update is the outcome, or a pull's `pushed` */
    if (sub != NULL && sub->pull == NULL) {
        if (sub->behind) hub_pull_heal(sub);
        else if (sub->place < answer->place) hub_deliver_catch_up(sub);
        /* Not told of yet: the link was just made again, or the socket took no more. */
        if (sub->pull == NULL && sub->place < answer->place) hub_pull_heal(sub);
    }
    if (sub != NULL && sub->pull != NULL) hub_pull_hold(sub, answer->frame, answer->place, answer->with_update);
    else (void)hub_send_blob(session, OUT_RESULT, answer->frame);
}

void hub_push_answers_out(struct hub *hub)
{
    for (size_t i = 0; i < hub->answers_count; i++) {
        struct hub_answer *answer = &hub->answers[i];
        struct hub_session *session = hub_find_session(hub, answer->session);
        if (session != NULL) {
            bool waited_for = settle_id(session, answer->space, answer->id);
            hub->counters.outcomes++;
            /* An error for what is answered is of a copy, or of a question that took too long: it means nothing any more. */
            if (!answer->is_error) send_outcome(session, answer);
            else if (waited_for) (void)hub_send_blob(session, OUT_ERROR, answer->frame);
        }
        blob_put(answer->frame);
        hub_space_put(hub, answer->space);
    }
    hub->answers_count = 0;
}

void hub_push_forget(struct hub_session *session)
{
    while (session->pushes != NULL) {
        struct hub_push *push = session->pushes;
        if (push->appending) session->hub->appends[push->append_at].push = NULL;
        drop_push(session, push);
    }
}

void hub_push_ask_again(struct hub *hub, struct hub_session *session, int64_t older_than_ms, uint32_t partition, bool any_partition)
{
    for (struct hub_push *push = session->pushes, *next; push != NULL; push = next) {
        next = push->next;
        if (push->appending || push->asked_ms > older_than_ms) continue;
        if (!any_partition && push->space->partition != partition) continue;
        if (push->asks >= SESSION_ASKS_MAX) { /* perhaps it was answered by an error that got lost: nobody keeps those */
            postpone(session, hub_space_name(push->space), push->id, ERR_BUSY);
            drop_push(session, push);
            continue;
        }
        struct link_ask ask = {.kind = LINK_OUTCOME, .space = hub_space_name(push->space), .record = push->record};
        if (hub->options.link->ops->send(hub->options.link, &ask) != ERR_OK) continue;
        push->asked_ms = hub->now_ms;
        push->asks++;
    }
}
