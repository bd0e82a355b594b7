/* Outcomes. A push leaves the outbox here and nowhere else, in the transaction that brings what became of it. */
#include <assert.h>
#include <stdio.h>

#include "client/sync_parts.h"
#include "core/op.h"

enum { RETRY_MS = 1000, GAP_MS = 20, GAP_MOST_MS = 5000, STALE_GAPS_MAX = 16, CLOCKS_APART_MS = 60000 };

/* ---- what is done with a push ---- */

static void forget_push(struct sync *sync, struct store_space *space, const struct store_push *push)
{
    struct sync_space *here = sync_space_of(sync, space->id);
    store_push_remove(sync->store, push);
    if (push->id == space->fork_probe) space->fork_probe = 0;
    sync->is_soft = sync->progress = true;
    if (here == NULL) return;
    here->faults = 0;
    if (!push->answered && push->id <= here->sent_upto && here->inflight > 0) here->inflight--;
}

/* An outcome came: this push is in the log, whatever was said before. */
static void is_in_log(struct sync *sync, struct store_space *space, uint64_t id)
{
    struct sync_space *here = sync_space_of(sync, space->id);
    store_push_settled(sync->store, space->id, id);
    if (here == NULL || id <= here->told_id) return;
    here->told_id = id;
    here->told_sent = here->sent_most;
    here->stale_gaps = 0;
}

void sync_settle_follow(struct sync *sync, struct sync_space *here, uint64_t after)
{
    store_push_follow(sync->store, here->id, after < here->told_id ? here->told_id : after);
}

void sync_settle_applied(struct sync *sync, struct store_space *space, uint64_t id, const char *code)
{
    struct store_push push;
    if (!store_push_get(sync->store, &sync->arena, id, &push) || push.space != space->id) return;
    if (!push.sent) { /* the log has something under this id that did not come from this copy of the store */
        sync_fork(sync, space, id);
        return;
    }
    forget_push(sync, space, &push);
    is_in_log(sync, space, id);
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_OUTCOME, .space = span_text(space->name), .code = span_text(code), .id = id});
}

/* The server's documents, for who has to choose: open where they can be opened. */
static void add_opened(struct sync *sync, const struct store_space *space, struct span docs, struct buf *out)
{
    struct json_iter iter = json_elements((struct json_value){JSON_ARRAY, docs});
    struct json_value doc;
    for (bool first = true; json_next_element(&iter, &doc); first = false) {
        struct seal_place place = {span_text(space->name), json_inside(json_find(doc, "collection")), sync_word(sync, json_find(doc, "id"))};
        struct json_value body = json_find(doc, "body");
        struct span open = body.raw;
        buf_add_char(out, first ? '[' : ',');
        if (body.type == JSON_OBJECT) seal_open(&sync->view->seal, &place, body.raw, &sync->arena, &open);
        buf_add(out, doc.raw.at, body.type == JSON_OBJECT ? (size_t)(body.raw.at - doc.raw.at) : doc.raw.bytes);
        if (body.type != JSON_OBJECT) continue;
        buf_add_span(out, open);
        buf_add(out, body.raw.at + body.raw.bytes, (size_t)(doc.raw.at + doc.raw.bytes - (body.raw.at + body.raw.bytes)));
    }
    buf_add_text(out, out->bytes == 0 ? "[]" : "]");
}

void sync_settle_refused(struct sync *sync, struct store_space *space, const struct store_push *push, struct span code, struct span message, struct span docs)
{
    forget_push(sync, space, push);
    if (json_count((struct json_value){JSON_ARRAY, push->ops}) == 0) { /* a barrier: there is nothing to settle */
        sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_OUTCOME, .space = span_text(space->name), .code = code, .id = push->id});
        return;
    }
    struct buf opened;
    buf_init(&opened, STORE_SERVER_DOCS_BYTES_MAX + 1);
    if (docs.at != NULL && sync->view->seal.key != NULL) add_opened(sync, space, docs, &opened);
    if (opened.bytes > 0) docs = buf_ok(&opened) ? buf_span(&opened) : span_of(NULL, 0);
    int64_t id = store_refused_add(sync->store, push, code, message, docs, sync->now->wall_ms);
    buf_fini(&opened);
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_REFUSED, .space = span_text(space->name), .code = code, .id = (uint64_t)id});
}

static void unknown(struct sync *sync, struct store_space *space, const struct store_push *push)
{
    sync_settle_refused(sync, space, push, SPAN_LITERAL("unknown"), span_text(err_text(ERR_UNKNOWN)), span_of(NULL, 0));
}

static void push_again(struct sync *sync, struct sync_space *here, uint64_t from, int64_t wait_ms)
{
    int64_t due_ms = sync->now->boot_ms + (wait_ms > 0 ? wait_ms : 1);
    if (from <= here->sent_upto) {
        here->sent_upto = from - 1;
        here->inflight = 0;
        uint64_t *ids;
        size_t count = store_push_ids(sync->store, &sync->arena, here->id, &ids);
        for (size_t i = 0; i < count && ids[i] <= here->sent_upto; i++) here->inflight++;
    }
    if (here->resend_ms < due_ms) here->resend_ms = due_ms;
}

/* Not known to be what `pushed` speaks of: its own outcome comes, or is asked for. */
static void ask_again(struct sync *sync, struct store_space *space, uint64_t id)
{
    struct sync_space *here = sync_space_of(sync, space->id);
    if (here != NULL && !sync->in_http) push_again(sync, here, id, RETRY_MS);
}

/* `pushed` (and `refused`) of a last page or of `current`. */
void sync_settle_pushed(struct sync *sync, struct store_space *space, uint64_t pushed, struct json_value refused)
{
    uint64_t *ids;
    if (pushed > space->sent_push) {
        sync_fork(sync, space, pushed);
        return;
    }
    /* Also those whose effect was waited for. */
    struct store_push push;
    size_t count = store_push_ids_upto(sync->store, &sync->arena, space->id, pushed, &ids);
    for (size_t i = 0; i < count; i++) {
        struct json_iter iter = json_elements(refused);
        struct json_value entry, found = {.type = JSON_NONE};
        if (!store_push_get(sync->store, &sync->arena, ids[i], &push)) continue; /* a fork took it */
        if (push.sent && !push.checked && !push.answered) {
            ask_again(sync, space, ids[i]);
            continue;
        }
        if (!push.sent && space->forked) continue; /* it is held, and `pushed` speaks of the probe behind it: if it was used, that is told so */
        while (!push.answered && json_next_element(&iter, &entry))
            if (sync_number(entry, "id") == ids[i]) found = entry;
        if (found.type == JSON_NONE || !push.sent) sync_settle_applied(sync, space, ids[i], "");
        else
            sync_settle_refused(sync, space, &push, sync_word(sync, json_find(found, "code")), sync_word(sync, json_find(found, "message")), span_of(NULL, 0));
        is_in_log(sync, space, ids[i]);
    }
}

/* ---- result ---- */

/* Does `docs` tell of each document that the push names? */
static bool tells_all(struct sync *sync, const struct store_push *push, struct json_value docs)
{
    struct json_value text;
    struct op *ops;
    size_t count;
    char why[LIMIT_MESSAGE_BYTES_MAX + 1];
    if (!json_check(push->ops, &text, NULL) || op_decode_all(text, &sync->arena, &ops, &count, why, sizeof why) != ERR_OK) return false;
    for (size_t i = 0; i < count; i++) {
        struct json_iter iter = json_elements(docs);
        struct json_value doc;
        bool found = false;
        while (!found && json_next_element(&iter, &doc))
            found = span_equal(sync_word(sync, json_find(doc, "id")), ops[i].id) && span_equal(json_inside(json_find(doc, "collection")), ops[i].collection);
        if (!found) return false;
    }
    return true;
}

/* Took effect, or none: its effect stays on top until the copy has it. */
static void hear_applied(struct sync *sync, struct store_space *space, const struct sync_space *here, const struct store_push *push, struct json_value frame)
{
    struct json_value docs = json_find(frame, "docs");
    struct span code = sync_word(sync, json_find(frame, "code"));
    uint64_t at = sync_number(frame, "at");
    bool follows = here->answered && here->wanted && !here->in_run; /* the result comes behind everything up to its cursor */
    bool told = at >= space->seen_rev && tells_all(sync, push, docs);
    if (!follows && told) sync_take_docs(sync, space, docs, push->id, true);
    if (follows || told) {
        sync_settle_applied(sync, space, push->id, span_is(code, "lost") ? "lost" : "");
        return;
    }
    store_push_answered(sync->store, push->id);
    is_in_log(sync, space, push->id);
    struct sync_space *mine = sync_space_of(sync, space->id);
    if (mine != NULL && push->id <= mine->sent_upto && mine->inflight > 0) mine->inflight--;
    sync->is_soft = true;
}

void sync_hear_result(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value frame)
{
    struct json_value status = json_find(frame, "status"), docs = json_find(frame, "docs");
    struct store_push push;
    uint64_t id = sync_number(frame, "id");
    if (!store_push_get(sync->store, &sync->arena, id, &push) || push.space != space->id || push.answered || !push.sent) return;
    if (json_string_is(status, "applied")) {
        hear_applied(sync, space, here, &push, frame);
        return;
    }
    if (docs.type == JSON_ARRAY && sync_number(frame, "at") >= space->seen_rev && !here->answered) sync_take_docs(sync, space, docs, 0, true);
    struct span code = sync_word(sync, json_find(frame, "code"));
    if (code.bytes == 0) code = sync_word(sync, status);
    sync_settle_refused(sync, space, &push, code, sync_word(sync, json_find(frame, "message")), docs.type == JSON_ARRAY ? docs.raw : span_of(NULL, 0));
    if (json_find(frame, "cursor").type == JSON_STRING) is_in_log(sync, space, id);
}

/* ---- error: what is no outcome ---- */

/* The log was said to lack what push `id` named. Of what was sent before an outcome came, and is answered behind it, that was true once, and
 * is no more. What was sent later is judged later: if the log is said to have less now, it has forgotten this device. Should it be
 * said round after round, it is believed too. */
static void hear_gap(struct sync *sync, struct sync_space *here, uint64_t id, uint64_t after)
{
    int64_t wait = (int64_t)GAP_MS << (here->faults < 8 ? here->faults : 8);
    bool stale = after < here->told_id && id <= here->told_sent && here->stale_gaps < STALE_GAPS_MAX;
    if (!stale && after < here->told_id) here->told_id = here->told_sent = 0;
    if (stale && here->sent_upto > 0) here->stale_gaps++;
    sync_settle_follow(sync, here, after);
    push_again(sync, here, 1, wait < GAP_MOST_MS ? wait : GAP_MOST_MS);
    here->faults++;
}

static void hear_push_error(struct sync *sync, struct store_space *space, struct sync_space *here, struct span code, struct json_value frame)
{
    uint64_t id = sync_number(frame, "id"), after = sync_number(frame, "after"), retry = sync_number(frame, "retry");
    struct span message = sync_word(sync, json_find(frame, "message"));
    struct store_push push;
    if (!store_push_get(sync->store, &sync->arena, id, &push) || push.space != space->id || push.answered) return;
    if (id == space->fork_probe && (span_is(code, "forked") || span_is(code, "gap"))) {
        forget_push(sync, space, &push);
        sync_fork_probed(sync, space, after);
    } else if (span_is(code, "forked")) {
        sync_fork(sync, space, after);
        if (id > after) push_again(sync, here, after + 1, GAP_MS); /* sent under the old id: it goes on under it */
    } else if (span_is(code, "gap")) {
        hear_gap(sync, here, id, after);
    } else if (span_is(code, "too_large") || span_is(code, "bad_frame") || span_is(code, "invalid")) {
        /* It can't be sent as it is, so it is not in the log: its user has to hear of it. */
        push.sent = false;
        sync_settle_refused(sync, space, &push, code, message, span_of(NULL, 0));
    } else {
        int64_t wait = retry > 0 ? (int64_t)retry : RETRY_MS;
        push_again(sync, here, id, wait + (int64_t)sync_random(sync, (uint64_t)wait / 2 + 1));
        here->faults++;
    }
}

void sync_hear_error(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value frame)
{
    struct span code = sync_word(sync, json_find(frame, "code"));
    uint64_t retry = sync_number(frame, "retry");
    if (sync_number(frame, "id") > 0) {
        hear_push_error(sync, space, here, code, frame);
        return;
    }
    if (span_is(code, "unauthenticated")) sync_want_token(sync);
    /* An open that was not answered otherwise. */
    if (sync->in_http || (sync_number(frame, "ref") == here->ref && here->ref != 0 && !here->answered)) {
        here->reopen_ms = sync->now->boot_ms + (retry > 0 ? (int64_t)retry : RETRY_MS);
        return;
    }
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_ERROR, .space = span_text(space->name), .code = code, .frame = sync_word(sync, json_find(frame, "message"))});
}

/* ---- resets, and what is too old ---- */

static bool has_if_rev(struct sync *sync, const struct store_push *push)
{
    struct json_value text, op;
    if (!json_check(push->ops, &text, NULL)) return false;
    struct json_iter iter = json_elements(text);
    while (json_next_element(&iter, &op))
        if (json_find(op, "if").type == JSON_NUMBER) return true;
    (void)sync;
    return false;
}

void sync_settle_reset(struct sync *sync, struct store_space *space, bool another_log)
{
    uint64_t *ids;
    struct store_push push;
    size_t count = store_push_ids(sync->store, &sync->arena, space->id, &ids);
    for (size_t i = 0; i < count; i++) {
        if (!store_push_get(sync->store, &sync->arena, ids[i], &push)) return;
        if (another_log && push.sent) unknown(sync, space, &push);
        else if (!push.sent && has_if_rev(sync, &push))
            sync_settle_refused(sync, space, &push, SPAN_LITERAL("precondition"), SPAN_LITERAL("`if` names a rev of before the space was reset"), span_of(NULL, 0));
    }
    store_push_forget_bases(sync->store, space->id, store_self(sync->store)->next_push);
    space->cursor[0] = '\0';
    space->run = 0;
    if (!another_log) return;
    space->sent_push = 0;
    space->forked = false;
    store_push_follow(sync->store, space->id, 0);
    store_push_drop_answered(sync->store, space->id);
}

void sync_settle_old(struct sync *sync, struct store_space *space)
{
    uint64_t *ids;
    struct store_push push;
    int64_t window_ms = space->window_s > 0 ? space->window_s * 1000 : view_window_ms(sync->view, span_text(space->name));
    if (window_ms == 0 || sync->now->server_ms == 0) return;
    size_t count = store_push_ids(sync->store, &sync->arena, space->id, &ids);
    for (size_t i = 0; i < count; i++) {
        if (!store_push_get(sync->store, &sync->arena, ids[i], &push)) return;
        bool other_log = push.sent && strcmp(push.sent_log, store_self(sync->store)->log) != 0;
        /* In the time to come: the clock was wrong when it was sent, by HTTP, so nobody knows how long ago that is. */
        bool is_wrong = push.sent && push.sent_ms > sync->now->server_ms + CLOCKS_APART_MS;
        bool is_old = push.sent && push.sent_ms > 0 && sync->now->server_ms - push.sent_ms > 2 * window_ms;
        if (other_log || is_old || is_wrong) unknown(sync, space, &push);
    }
}
