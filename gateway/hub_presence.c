/* Presence and signals: what a gateway tells an owner of its sessions, and what it passes on to them. */
#include "core/limits.h"
#include "core/name.h"
#include "gateway/hub_parts.h"

static void tell(struct hub_sub *sub, enum presence_state state)
{
    struct hub_session *session = sub->session;
    struct hub *hub = session->hub;
    struct link_ask ask = {
        .kind = LINK_PRESENCE, .space = hub_space_name(sub->space), .user = hub_space_user(session),
        .device = span_text(session->device), .session = session->number, .state = state,
        .meta = sub->meta == NULL ? span_of(NULL, 0) : blob_span(sub->meta)};
    (void)hub->options.link->ops->send(hub->options.link, &ask); /* a link that is away is told all when it is back */
}

static bool counts(const struct hub_sub *sub)
{
    return sub->space->rules != NULL && sub->space->rules->presence && !sub->session->background && sub->session->job == NULL;
}

void hub_presence_enter(struct hub_sub *sub)
{
    if (!counts(sub)) return;
    sub->present = true;
    tell(sub, sub->session->idle ? PRESENCE_IDLE : PRESENCE_ONLINE);
}

void hub_presence_leave(struct hub_sub *sub)
{
    if (!sub->present) return;
    sub->present = false;
    tell(sub, PRESENCE_OFFLINE);
}

void hub_presence_watch(struct hub_sub *sub)
{
    struct hub *hub = sub->session->hub;
    if (sub->space->rules == NULL || !sub->space->rules->presence) return;
    struct link_ask ask = {.kind = LINK_WATCH, .space = hub_space_name(sub->space), .session = sub->session->number};
    sub->watches = true;
    sub->hears = sub->missed = false;
    (void)hub->options.link->ops->send(hub->options.link, &ask);
}

/* Frames were dropped: who is here is told from the start. */
void hub_presence_drained(struct hub_sub *sub)
{
    sub->missed = false;
    if (sub->watches) hub_presence_watch(sub);
}

void hub_presence_state(struct hub_session *session, bool idle)
{
    struct registry *registry = session->hub->options.registry;
    session->idle = idle;
    if (session->background || session->state != SESSION_LIVE) return;
    registry->ops->set_presence(registry, hub_space_user(session), span_text(session->device), session->number,
                                idle ? PRESENCE_IDLE : PRESENCE_ONLINE, session->hub->now_ms);
    for (size_t i = 0; i < session->subs_count; i++)
        if (session->subs[i]->present) tell(session->subs[i], idle ? PRESENCE_IDLE : PRESENCE_ONLINE);
}

static struct hub_space *space_of(struct hub *hub, struct span name)
{
    struct map_node *node = map_find(&hub->spaces, name);
    return node == NULL ? NULL : (struct hub_space *)((char *)node - offsetof(struct hub_space, node));
}

void hub_presence_frame(struct hub *hub, const struct link_tell *tell_)
{
    struct hub_space *space = space_of(hub, tell_->space);
    for (size_t i = 0; space != NULL && i < space->subs_count; i++) {
        struct hub_sub *sub = space->subs[i];
        bool snapshot = tell_->session != 0 && sub->watches && sub->session->number == tell_->session;
        if (!snapshot && (tell_->session != 0 || !sub->hears)) continue;
        sub->hears = hub_send_blob(sub->session, OUT_DROPPABLE, tell_->frame); /* the first to go at the bound */
        if (!sub->hears) sub->missed = sub->session->waits = true;
    }
}

void hub_presence_signal(struct hub_session *session, const struct frame *frame)
{
    struct hub *hub = session->hub;
    struct hub_space *space = space_of(hub, frame->space);
    struct hub_sub *sub = space == NULL ? NULL : hub_sub_find(session, space);
    struct span none = span_of(NULL, 0);
    struct buf *out = &hub->text;
    if (frame->body.raw.bytes > LIMIT_SIGNAL_BYTES_MAX) {
        hub_send_error(session, ERR_TOO_LARGE, "body: longer than a signal may be", none, false, 0, frame->space, 0);
        return;
    }
    if (sub == NULL || !sub->shown) {
        hub_send_error(session, ERR_FORBIDDEN, "the space is not open here", none, false, 0, frame->space, 0);
        return;
    }
    buf_add_text(out, "{\"type\":\"signal\",\"space\":");
    buf_add_json_string(out, hub_space_name(space));
    buf_add_text(out, ",\"user\":");
    buf_add_json_string(out, hub_space_user(session));
    buf_add_text(out, ",\"device\":\"");
    buf_add_text(out, session->device);
    buf_add_text(out, "\",\"body\":");
    buf_add_span(out, frame->body.raw);
    buf_add_char(out, '}');
    struct blob *signal = buf_ok(out) ? blob_make(buf_span(out)) : NULL;
    buf_reset(out);
    if (signal == NULL) return; /* never stored, first to be dropped */
    struct link_ask ask = {.kind = LINK_SIGNAL, .space = hub_space_name(space), .session = session->number, .frame = signal};
    (void)hub->options.link->ops->send(hub->options.link, &ask);
    blob_put(signal);
}

void hub_presence_signal_frame(struct hub *hub, const struct link_tell *tell_)
{
    struct hub_space *space = space_of(hub, tell_->space);
    for (size_t i = 0; space != NULL && i < space->subs_count; i++) {
        struct hub_sub *sub = space->subs[i];
        if (sub->session->number == tell_->session || !sub->shown) continue;
        (void)hub_send_blob(sub->session, OUT_DROPPABLE, tell_->frame);
    }
}
