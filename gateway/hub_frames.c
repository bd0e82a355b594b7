/* What devices say: one function a frame. */
#include <string.h>

#include "core/name.h"
#include "gateway/hub_parts.h"

static void bad_frame(struct hub_session *session, const struct frame *frame, const char *why)
{
    session->hub->counters.bad_frames++;
    hub_send_error(session, ERR_BAD_FRAME, why, frame->ref, frame->has_id, frame->id, frame->space, 0);
    if (!session_faults_add(&session->faults, session->hub->now_ms)) hub_send_close(session, 4400, "bad frames");
}

static void refuse_hello(struct hub_session *session, enum err code, const char *why, unsigned close_code)
{
    struct span none = span_of(NULL, 0);
    if (code == ERR_UNAUTHENTICATED) session->hub->counters.unauthenticated++;
    hub_send_error(session, code, why, none, false, 0, none, 0);
    hub_send_close(session, close_code, code == ERR_UNAUTHENTICATED ? "unauthenticated" : "bad hello");
}

static void welcome(struct hub_session *session)
{
    struct hub *hub = session->hub;
    struct buf *out = &hub->text;
    buf_add_text(out, "{\"type\":\"welcome\",\"session\":\"");
    buf_add_text(out, hub->options.name);
    buf_add_char(out, '-');
    buf_add_u64(out, session->number);
    buf_add_text(out, "\",\"user\":");
    buf_add_json_string(out, hub_space_user(session));
    buf_add_text(out, ",\"device\":\"");
    buf_add_text(out, session->device);
    buf_add_text(out, "\",\"log\":\"");
    buf_add_span(out, hub->log);
    buf_add_text(out, "\",\"time\":");
    buf_add_i64(out, hub->now_ms);
    buf_add_text(out, ",\"heartbeat\":");
    buf_add_i64(out, hub->options.heartbeat_ms);
    buf_add_text(out, ",\"limits\":{\"frame\":");
    buf_add_u64(out, LIMIT_FRAME_BYTES_MAX);
    buf_add_text(out, ",\"document\":");
    buf_add_u64(out, LIMIT_DOCUMENT_BYTES_MAX);
    buf_add_text(out, ",\"ops\":");
    buf_add_u64(out, LIMIT_OPS_MAX);
    buf_add_text(out, ",\"inflight\":");
    buf_add_u64(out, LIMIT_INFLIGHT_MAX);
    buf_add_text(out, ",\"spaces\":");
    buf_add_u64(out, LIMIT_SPACES_MAX);
    buf_add_text(out, ",\"rate\":");
    buf_add_i64(out, hub->options.rate);
    buf_add_text(out, "}}");
    hub_send_text(session, OUT_OTHER);
}

static void handle_hello(struct hub_session *session, const struct frame *frame)
{
    struct hub *hub = session->hub;
    struct registry *registry = hub->options.registry;
    if (session->state != SESSION_HELLO) {
        bad_frame(session, frame, "a second hello");
        return;
    }
    if (frame->why != NULL || frame->protocol != 1) {
        hub->counters.bad_frames++;
        refuse_hello(session, ERR_BAD_FRAME, frame->why != NULL ? frame->why : "protocol: must be 1", 4400);
        return;
    }
    if (frame->token.bytes > 0) {
        struct hub_credentials fresh = {0};
        if (hub->options.verify(hub->options.verify_ctx, frame->token, &fresh) != ERR_OK) {
            refuse_hello(session, ERR_UNAUTHENTICATED, NULL, 4401);
            return;
        }
        hub_credentials_fini(&session->credentials);
        session->credentials = fresh;
    }
    if (session->credentials.user_bytes == 0) {
        refuse_hello(session, ERR_UNAUTHENTICATED, NULL, 4401);
        return;
    }
    memcpy(session->device, frame->device.at, frame->device.bytes);
    session->background = frame->background;
    session_move(&session->state, SESSION_LIVE);
    hub->counters.sessions++;
    registry->ops->claim_device(registry, hub_space_user(session), frame->device, session->number);
    if (!session->background)
        registry->ops->set_presence(registry, hub_space_user(session), frame->device, session->number, PRESENCE_ONLINE, hub->now_ms);
    welcome(session);
}

static void handle_open(struct hub_session *session, const struct frame *frame)
{
    struct blob *ref = blob_make(frame->ref), *meta = frame->meta.bytes > 0 ? blob_make(frame->meta) : NULL;
    if (ref == NULL) {
        blob_put(meta);
        hub_send_close(session, 1011, "out of memory");
        return;
    }
    for (size_t i = 0; i < frame->opens_count && session->state == SESSION_LIVE; i++)
        hub_open_space(session, &frame->opens[i], ref, meta, frame->once, frame->presence);
    blob_put(meta);
    blob_put(ref);
}

static struct hub_sub *sub_of(struct hub_session *session, struct span name)
{
    struct map_node *node = map_find(&session->hub->spaces, name);
    if (node == NULL) return NULL;
    return hub_sub_find(session, (struct hub_space *)((char *)node - offsetof(struct hub_space, node)));
}

static void handle_close(struct hub_session *session, const struct frame *frame)
{
    struct hub_sub *sub = sub_of(session, frame->space);
    if (sub == NULL) return;
    hub_pull_let_go(sub); /* outcomes that waited for its pages */
    hub_sub_remove(sub);
}

static void handle_history(struct hub_session *session, const struct frame *frame)
{
    struct hub *hub = session->hub;
    struct span device = span_of(session->device, strlen(session->device));
    if (!name_is_space(frame->space)) {
        hub_send_error(session, ERR_INVALID, "space: is not a space's name", frame->ref, false, 0, frame->space, 0);
        return;
    }
    struct hub_space *space = hub_space_take(hub, frame->space);
    if (space == NULL) return;
    struct page_waiter waiter = {.session = session->number, .user = hub_space_user(session), .device = device,
                                 .granted = hub_space_granted(session, space)};
    struct link_ask ask = {.kind = LINK_HISTORY, .space = frame->space, .collection = frame->collection, .before = frame->before,
                           .limit = frame->limit, .waiters_count = 1, .waiters = &waiter};
    struct hub_body body = {.kind = BODY_HISTORY, .session = session->number, .ref = blob_make(frame->ref), .space = space};
    if (hub_space_is_unknown(hub, space))
        hub_send_error(session, ERR_UNKNOWN_SPACE, NULL, frame->ref, false, 0, frame->space, 0);
    else if (hub_body_ask(hub, &body, &ask))
        return;
    else
        hub_send_error(session, ERR_BUSY, NULL, frame->ref, false, 0, frame->space, SESSION_RETRY_MS);
    blob_put(body.ref);
    hub_space_put(hub, space);
}

static void handle_seen(struct hub_session *session, const struct frame *frame)
{
    struct registry *registry = session->hub->options.registry;
    struct cursor cursor;
    if (!name_is_space(frame->space) || cursor_decode(frame->cursor, session->hub->log, frame->space, &cursor) != CURSOR_GOOD ||
        cursor.has_floor) return; /* another log's, or amid a run: no offset of ours */
    struct span device = span_of(session->device, strlen(session->device));
    registry->ops->put_offset(registry, hub_space_user(session), device, frame->space, cursor.place, frame->cursor, session->hub->now_ms);
}

static void handle_auth(struct hub_session *session, const struct frame *frame)
{
    struct hub *hub = session->hub;
    struct hub_credentials fresh = {0};
    struct span none = span_of(NULL, 0);
    enum err err = hub->options.verify(hub->options.verify_ctx, frame->token, &fresh);
    bool same = err == ERR_OK && span_equal(span_of(fresh.user, fresh.user_bytes), hub_space_user(session));
    if (!same) {
        hub_credentials_fini(&fresh);
        hub->counters.unauthenticated++;
        hub_send_error(session, ERR_UNAUTHENTICATED, err == ERR_OK ? "a token of another user" : NULL, none, false, 0, none, 0);
        return;
    }
    hub_credentials_fini(&session->credentials);
    session->credentials = fresh;
    session->warned = false;
    /* Those that it no longer covers are closed by what the owner says to the pull. */
    for (size_t i = 0; i < session->subs_count; i++) hub_pull_heal(session->subs[i]);
}

static void handle_ping(struct hub_session *session)
{
    buf_add_text(&session->hub->text, "{\"type\":\"pong\"}");
    hub_send_text(session, OUT_OTHER);
}

static void handle_frame(struct hub_session *session, const struct frame *frame)
{
    if (session->state == SESSION_HELLO && frame->type != FRAME_HELLO) {
        refuse_hello(session, ERR_UNAUTHENTICATED, "the first frame must be a hello", 4401);
        return;
    }
    if (frame->type != FRAME_PING) {
        session->frame_ms = session->hub->now_ms;
        if (session->idle) hub_presence_state(session, false);
    }
    switch (frame->type) {
    case FRAME_HELLO: handle_hello(session, frame); break;
    case FRAME_OPEN: handle_open(session, frame); break;
    case FRAME_CLOSE: handle_close(session, frame); break;
    case FRAME_PUSH: hub_push_frame(session, frame); break;
    case FRAME_HISTORY: handle_history(session, frame); break;
    case FRAME_SEEN: handle_seen(session, frame); break;
    case FRAME_SIGNAL: hub_presence_signal(session, frame); break;
    case FRAME_AUTH: handle_auth(session, frame); break;
    case FRAME_PING: handle_ping(session); break;
    case FRAME_UNKNOWN: bad_frame(session, frame, frame->why); break;
    }
}

static void handle_line(struct hub_session *session, struct span line)
{
    struct hub *hub = session->hub;
    struct frame frame;
    struct span none = span_of(NULL, 0);
    while (line.bytes > 0 && (line.at[line.bytes - 1] == '\r' || line.at[line.bytes - 1] == ' ')) line.bytes--;
    if (line.bytes == 0) return;
    hub->counters.frames_in++;
    if (!session_bucket_take(&session->bucket, hub->options.rate, hub->now_ms)) {
        hub->counters.closed_rate++;
        hub_send_error(session, ERR_TOO_MANY, "more frames a second than limits.rate", none, false, 0, none, SESSION_RETRY_MS);
        hub_send_close(session, 4429, "over its rate");
        return;
    }
    arena_reset(&hub->arena);
    if (line.bytes > LIMIT_FRAME_BYTES_MAX) {
        hub_send_error(session, ERR_TOO_LARGE, "longer than limits.frame", none, false, 0, none, 0);
        return;
    }
    if (frame_decode(line, &hub->arena, &frame) != ERR_OK) {
        hub_send_error(session, ERR_BUSY, NULL, frame.ref, frame.has_id, frame.id, frame.space, SESSION_RETRY_MS);
        return;
    }
    handle_frame(session, &frame);
}

void hub_frames_handle(struct hub_session *session, struct span text)
{
    const char *at = text.at, *end = text.at + text.bytes;
    while (at < end && session->state != SESSION_CLOSING) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline == NULL ? end : newline;
        handle_line(session, span_of(at, (size_t)(stop - at)));
        at = stop + 1;
    }
}

void hub_binary(struct hub_session *session, int64_t now_ms)
{
    struct frame frame = {.type = FRAME_UNKNOWN};
    session->hub->now_ms = now_ms;
    session->times.heard_ms = now_ms;
    if (session->state == SESSION_HELLO) refuse_hello(session, ERR_UNAUTHENTICATED, "the first frame must be a hello", 4401);
    else if (session->state == SESSION_LIVE) bad_frame(session, &frame, "a binary message");
}
