/* Updates on their way to subscribers: gathered through a turn, joined once, handed out by reference. */
#include <assert.h>
#include <stdlib.h>

#include "core/session.h"
#include "gateway/hub_parts.h"

enum { TURN_ROOM_KEPT = 16 };

static bool keep_for_turn(struct hub_space *space, const struct link_tell *tell)
{
    struct hub *hub = space->subs[0]->session->hub;
    if (space->turn_count == space->turn_room) {
        uint32_t room = space->turn_room == 0 ? 2 : space->turn_room * 2;
        struct hub_turn_update *moved = realloc(space->turn, room * sizeof *moved);
        if (moved == NULL) return false;
        space->turn = moved;
        space->turn_room = room;
    }
    if (!space->dirty) {
        space->dirty = true;
        space->next_dirty = hub->dirty_spaces;
        hub->dirty_spaces = space;
    }
    space->turn[space->turn_count++] = (struct hub_turn_update){
        .prev = tell->prev, .place = tell->place, .frame = tell->frame == NULL ? NULL : blob_take(tell->frame)};
    return true;
}

static void recheck(struct hub_space *space, const struct link_tell *tell)
{
    for (size_t i = 0; i < space->subs_count; i++) {
        struct hub_sub *sub = space->subs[i];
        /* A founder (nothing was before his update) keeps what he has, and needs no page in its place. */
        bool founder = tell->prev == 0 && span_equal(tell->user, hub_space_user(sub->session));
        bool meant = tell->recheck_all && !founder;
        for (size_t k = 0; k < tell->removed_count; k++) meant = meant || span_equal(tell->removed[k], hub_space_user(sub->session));
        if (!meant) continue;
        sub->again = true;
        hub_pull_heal(sub);
    }
}

static void hand_out(struct hub_space *space);

void hub_deliver_update(struct hub *hub, const struct link_tell *tell)
{
    struct map_node *node = map_find(&hub->spaces, tell->space);
    if (node == NULL) return;
    struct hub_space *space = (struct hub_space *)((char *)node - offsetof(struct hub_space, node));
    if (tell->place <= space->head) return; /* told twice, by an old owner and its successor */
    space->head = tell->place;
    if (tell->frame != NULL) hub_space_remember(hub, space, tell->prev, tell->place, tell->frame);
    else hub_space_forget(hub, space);
    if (space->subs_count == 0) return;
    /* Before the update is handed out: whom it removes must not get it. */
    if (tell->recheck_all || tell->removed_count > 0) recheck(space, tell);
    if (!keep_for_turn(space, tell)) {
        for (size_t i = 0; i < space->subs_count; i++) hub_pull_heal(space->subs[i]);
        return;
    }
    if (space->turn_count == HUB_TURN_UPDATES_MAX) hand_out(space);
}

static void mark_behind(struct hub_sub *sub)
{
    sub->session->hub->counters.behind++;
    sub->behind = true;
    sub->session->waits = true;
}

/* One update, for one subscriber. False: the rest of the turn is not for it. */
static bool hand_one(struct hub_sub *sub, const struct hub_turn_update *update)
{
    switch (session_deliver(sub->place, update->prev, update->place)) {
    case SESSION_DROP: return true;
    case SESSION_HOLE: break;
    case SESSION_FORWARD:
        if (update->frame == NULL) break;
        if (!hub_send_blob(sub->session, OUT_UPDATE, update->frame)) {
            mark_behind(sub);
            return false;
        }
        sub->session->hub->counters.deliveries++;
        sub->place = update->place;
        return true;
    }
    sub->session->hub->counters.holes++;
    hub_pull_heal(sub);
    return false;
}

/* All frames of the turn as one, if they are a chain without gaps and not too long. The caller's reference; NULL: no. */
static struct blob *join(const struct hub_space *space)
{
    size_t bytes = 0, at = 0;
    for (size_t i = 0; i < space->turn_count; i++) {
        const struct hub_turn_update *update = &space->turn[i];
        if (update->frame == NULL || (i > 0 && update->prev != space->turn[i - 1].place)) return NULL;
        bytes += update->frame->bytes + (i > 0 ? 1 : 0);
    }
    if (space->turn_count == 1) return blob_take(space->turn[0].frame);
    if (bytes > HUB_MESSAGE_BYTES) return NULL;
    struct blob *joined = blob_make_room(bytes);
    for (size_t i = 0; joined != NULL && i < space->turn_count; i++) {
        if (i > 0) joined->text[at++] = '\n';
        memcpy(joined->text + at, space->turn[i].frame->text, space->turn[i].frame->bytes);
        at += space->turn[i].frame->bytes;
    }
    return joined;
}

static void hand_to(struct hub_sub *sub, const struct hub_space *space, struct blob *joined)
{
    if (sub->pull != NULL || sub->behind) return; /* what it asked for, or will ask for, covers this */
    if (joined != NULL && sub->place == space->turn[0].prev) {
        if (!hub_send_blob(sub->session, OUT_UPDATE, joined)) {
            mark_behind(sub);
            return;
        }
        sub->session->hub->counters.deliveries += space->turn_count;
        sub->place = space->turn[space->turn_count - 1].place;
        return;
    }
    for (size_t i = 0; i < space->turn_count; i++)
        if (!hand_one(sub, &space->turn[i])) return;
}

static void hand_out(struct hub_space *space)
{
    struct blob *joined = join(space);
    for (size_t i = 0; i < space->subs_count; i++) hand_to(space->subs[i], space, joined);
    blob_put(joined);
    for (size_t i = 0; i < space->turn_count; i++) blob_put(space->turn[i].frame);
    space->turn_count = 0;
    if (space->turn_room > TURN_ROOM_KEPT) {
        free(space->turn);
        space->turn = NULL;
        space->turn_room = 0;
    }
}

void hub_deliver_turn(struct hub *hub)
{
    while (hub->dirty_spaces != NULL) {
        struct hub_space *space = hub->dirty_spaces;
        hub->dirty_spaces = space->next_dirty;
        space->next_dirty = NULL;
        space->dirty = false;
        if (space->turn_count > 0) hand_out(space);
    }
}

void hub_deliver_catch_up(struct hub_sub *sub)
{
    const struct hub_space *space = sub->space;
    if (sub->again) {
        hub_pull_heal(sub);
        return;
    }
    if (sub->place >= space->head) return;
    uint32_t index = ring_find(&space->ring, sub->place);
    if (index == UINT32_MAX) {
        hub_pull_heal(sub);
        return;
    }
    sub->session->hub->counters.ring_hits++;
    for (; index < space->ring.count; index++) {
        const struct ring_entry *entry = ring_at(&space->ring, index);
        struct hub_turn_update update = {.prev = entry->prev, .place = entry->place, .frame = entry->frame};
        if (!hand_one(sub, &update)) return;
    }
}
