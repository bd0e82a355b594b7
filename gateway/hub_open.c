/* Opening and closing spaces. */
#include <stdlib.h>

#include "core/name.h"
#include "gateway/hub_parts.h"

static void refuse(struct hub_session *session, struct span space, enum err code, struct blob *ref)
{
    frame_closed(&session->hub->text, space, code, false, blob_span(ref));
    hub_send_text(session, OUT_CLOSED);
}

static struct hub_pull *make_pull(struct hub_session *session, const struct frame_open *open, bool once, bool presence)
{
    struct cursor cursor;
    struct hub_pull *pull = calloc(1, sizeof *pull);
    if (pull == NULL) return NULL;
    pull->is_open = true;
    pull->once = once;
    pull->presence = presence;
    pull->first = true;
    pull->run.tail = open->tail;
    pull->run.has_tail = open->has_tail;
    pull->run.from_nothing = true;
    if (!open->since_null && cursor_decode(open->since, session->hub->log, open->space, &cursor) == CURSOR_GOOD)
        pull->run = (struct page_run){.place = cursor.place, .has_floor = cursor.has_floor, .floor = cursor.floor, .tail = open->tail, .has_tail = open->has_tail};
    return pull;
}

static void start(struct hub_session *session, struct hub_space *space, const struct frame_open *open, struct blob *ref,
                  struct blob *meta, bool once, bool presence)
{
    struct hub_sub *sub = hub_sub_find(session, space);
    struct hub_pull *pull = make_pull(session, open, once, presence);
    if (pull != NULL && sub == NULL) sub = hub_sub_add(session, space);
    if (pull == NULL || sub == NULL) {
        free(pull);
        hub_send_error(session, ERR_BUSY, NULL, blob_span(ref), false, 0, open->space, SESSION_RETRY_MS);
        return;
    }
    blob_put(sub->ref);
    sub->ref = blob_take(ref);
    if (meta != NULL) {
        blob_put(sub->meta);
        sub->meta = blob_take(meta);
    }
    sub->known = open->known; /* shapes this answer alone: only a push's makes the owner forget */
    hub_push_known(session, space, open->known);
    sub->place = pull->run.from_nothing || pull->run.has_floor ? 0 : pull->run.place;
    sub->behind = sub->watches = sub->hears = false;
    if (!once) (void)hub_space_interest(session->hub, space); /* a link that is away is told when it is back */
    hub_pull_start(sub, pull);
}

void hub_open_space(struct hub_session *session, const struct frame_open *open, struct blob *ref, struct blob *meta, bool once, bool presence)
{
    struct hub *hub = session->hub;
    if (!name_is_space(open->space)) {
        refuse(session, open->space, ERR_INVALID, ref);
        return;
    }
    struct hub_space *space = hub_space_take(hub, open->space);
    if (space == NULL) {
        hub_send_error(session, ERR_BUSY, NULL, blob_span(ref), false, 0, open->space, SESSION_RETRY_MS);
        return;
    }
    if (hub_space_is_unknown(hub, space))
        refuse(session, open->space, ERR_UNKNOWN_SPACE, ref);
    else if (session->subs_count >= LIMIT_SPACES_MAX && hub_sub_find(session, space) == NULL)
        hub_send_error(session, ERR_TOO_MANY, "more spaces than limits.spaces", blob_span(ref), false, 0, open->space, SESSION_RETRY_MS);
    else
        start(session, space, open, ref, meta, once, presence);
    hub_space_put(hub, space);
}

/* The ref is always told: a device that has opened the space anew meanwhile knows that this is not about that. */
void hub_open_closed(struct hub_sub *sub, enum err code, bool purge)
{
    struct hub_session *session = sub->session;
    frame_closed(&session->hub->text, hub_space_name(sub->space), code, purge, blob_span(sub->ref));
    hub_send_text(session, OUT_CLOSED);
    hub_pull_let_go(sub); /* outcomes that waited for its pages: there will be none */
    hub_sub_remove(sub);
}
