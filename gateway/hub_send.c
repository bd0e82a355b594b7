/* A session's way out: its queue, bounded; one message a turn. */
#include "gateway/hub_parts.h"

static void take_out(struct hub_session *session, struct blob **ret_message)
{
    struct hub *hub = session->hub;
    uint32_t frames;
    size_t before = session->out.bytes;
    *ret_message = outq_take(&session->out, HUB_MESSAGE_BYTES, &frames);
    if (*ret_message == NULL) return;
    hub->out_bytes -= before - session->out.bytes;
    hub->counters.frames_out += frames;
    hub->counters.messages_out++;
    hub->counters.bytes_out += (*ret_message)->bytes;
}

void hub_send_forget(struct hub_session *session)
{
    session->hub->out_bytes -= session->out.bytes;
    outq_fini(&session->out);
}

static void mark_dirty(struct hub_session *session)
{
    if (session->dirty) return;
    session->dirty = true;
    session->next_dirty = session->hub->dirty_sessions;
    session->hub->dirty_sessions = session;
}

void hub_send_close(struct hub_session *session, unsigned code, const char *reason)
{
    if (session->state == SESSION_CLOSING) return;
    session_move(&session->state, SESSION_CLOSING);
    if (session->conn == NULL) return;
    /* What is queued (the error that says why) goes first, as far as the socket takes it. */
    while (session->writable && session->out.count > 0) {
        struct blob *message;
        take_out(session, &message);
        if (message == NULL) break;
        session->writable = session->hub->options.edge->send(session->conn, message);
        blob_put(message);
    }
    hub_send_forget(session);
    session->hub->options.edge->close(session->conn, code, reason);
}

bool hub_send_blob(struct hub_session *session, enum hub_frame_kind kind, struct blob *frame)
{
    bool droppable = kind == OUT_UPDATE || kind == OUT_DROPPABLE;
    if (session->state == SESSION_CLOSING) return false;
    if (session->job != NULL) {
        hub_http_collect(session->job, kind, blob_span(frame));
        return true;
    }
    if (droppable && session->out.bytes + frame->bytes > LIMIT_SESSION_QUEUE_BYTES && session->out.count > 0) return false;
    if (!outq_add(&session->out, frame)) {
        session->hub->counters.closed_slow++;
        hub_send_close(session, 1013, "too slow");
        return false;
    }
    session->hub->out_bytes += frame->bytes;
    mark_dirty(session);
    return true;
}

void hub_send_text(struct hub_session *session, enum hub_frame_kind kind)
{
    struct buf *text = &session->hub->text;
    struct blob *frame = buf_ok(text) ? blob_make(buf_span(text)) : NULL;
    buf_reset(text);
    if (frame == NULL) {
        hub_send_close(session, 1011, "out of memory"); /* a frame that cannot be made must not go missing in silence */
        return;
    }
    (void)hub_send_blob(session, kind, frame); /* what is droppable is dropped; else the session is closed */
    blob_put(frame);
}

void hub_send_error(struct hub_session *session, enum err code, const char *message, struct span ref, bool has_id, uint64_t id,
                    struct span space, uint64_t retry_ms)
{
    frame_error(&session->hub->text, code, message, ref, has_id, id, space, retry_ms);
    hub_send_text(session, OUT_ERROR);
}

static void flush_one(struct hub_session *session)
{
    struct hub *hub = session->hub;
    while (session->writable && session->out.count > 0 && session->state != SESSION_CLOSING) {
        struct blob *message;
        take_out(session, &message);
        if (message == NULL) {
            hub_send_close(session, 1011, "out of memory");
            return;
        }
        session->writable = hub->options.edge->send(session->conn, message);
        blob_put(message);
    }
    if (session->out.count > 0 || !session->writable || session->state == SESSION_CLOSING) return;
    if (session->closing_after) hub_send_close(session, 1012, "draining");
    else hub_pull_drained(session);
}

void hub_send_at_once(struct hub_session *session)
{
    if (session->conn != NULL && session->out.bytes > HUB_MESSAGE_BYTES) flush_one(session);
}

void hub_send_flush(struct hub *hub)
{
    while (hub->dirty_sessions != NULL) {
        struct hub_session *session = hub->dirty_sessions;
        hub->dirty_sessions = session->next_dirty;
        session->next_dirty = NULL;
        session->dirty = false;
        flush_one(session);
    }
}

void hub_writable(struct hub_session *session)
{
    session->writable = true;
    mark_dirty(session);
}
