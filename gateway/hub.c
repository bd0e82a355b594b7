#include "gateway/hub.h"

#include <assert.h>
#include <stdlib.h>

#include "gateway/hub_parts.h"

enum { TEXT_BYTES_MAX = 16777216, ARENA_BYTES_MAX = 16777216, SLOT_BITS = 20, TICK_SLICE = 4096, DRAIN_JITTER_MS = 5000 };

void hub_credentials_fini(struct hub_credentials *credentials)
{
    blob_put(credentials->grants);
    *credentials = (struct hub_credentials){0};
}

const struct hub_counters *hub_counters(const struct hub *hub) { return &hub->counters; }
size_t hub_connections(const struct hub *hub) { return hub->counters.connections; }
bool hub_ready(const struct hub *hub)
{
    return hub->links_up >= hub->options.writer->partitions && hub->rules.count > 0 && !hub->draining;
}

/* ---- sessions by number ---- */

struct hub_session *hub_find_session(struct hub *hub, uint64_t number)
{
    uint64_t at = number & ((UINT64_C(1) << SLOT_BITS) - 1);
    if (at >= hub->slots_count || hub->slots[at].session == NULL) return NULL;
    return hub->slots[at].session->number == number ? hub->slots[at].session : NULL;
}

static bool take_slot(struct hub *hub, uint32_t *ret_at)
{
    if (hub->slot_free > 0) {
        *ret_at = hub->slot_free - 1;
        hub->slot_free = hub->slots[*ret_at].next_free;
        return true;
    }
    if (hub->slots_count == LIMIT_HUB_SESSIONS) return false;
    if (hub->slots_count == hub->slots_room) {
        size_t room = hub->slots_room == 0 ? 64 : hub->slots_room * 2;
        struct hub_slot *moved = realloc(hub->slots, room * sizeof *moved);
        if (moved == NULL) return false;
        hub->slots = moved;
        hub->slots_room = room;
    }
    hub->slots[hub->slots_count] = (struct hub_slot){0};
    *ret_at = (uint32_t)hub->slots_count++;
    return true;
}

struct hub_session *hub_session_make(struct hub *hub, void *conn, int64_t now_ms)
{
    uint32_t at;
    struct hub_session *session = calloc(1, sizeof *session);
    if (session == NULL || !take_slot(hub, &at)) {
        free(session);
        return NULL;
    }
    struct hub_slot *slot = &hub->slots[at];
    /* Not a number that an earlier process gave out: what that one left unanswered in the log names it still. */
    slot->generation = slot->generation < now_ms / 1000 ? (uint32_t)(now_ms / 1000) : slot->generation + 1;
    slot->session = session;
    session->hub = hub;
    session->conn = conn;
    session->number = (uint64_t)slot->generation << SLOT_BITS | at;
    session->times = (struct session_times){.connected_ms = now_ms, .heard_ms = now_ms, .pinged_ms = now_ms};
    session->frame_ms = now_ms;
    session->pushes_end = &session->pushes;
    session->writable = true;
    return session;
}

static void unlink_dirty(struct hub_session *session)
{
    struct hub_session **at = &session->hub->dirty_sessions;
    if (!session->dirty) return;
    while (*at != session) at = &(*at)->next_dirty;
    *at = session->next_dirty;
}

void hub_session_free(struct hub_session *session)
{
    struct hub *hub = session->hub;
    uint32_t at = (uint32_t)(session->number & ((UINT64_C(1) << SLOT_BITS) - 1));
    while (session->subs_count > 0) hub_sub_remove(session->subs[session->subs_count - 1]);
    hub_push_forget(session);
    unlink_dirty(session);
    hub_send_forget(session);
    free(session->failure);
    hub_credentials_fini(&session->credentials);
    free(session->subs);
    free(session);
    hub->slots[at].session = NULL;
    hub->slots[at].next_free = hub->slot_free;
    hub->slot_free = at + 1;
}

struct hub_session *hub_connected(struct hub *hub, void *conn, struct hub_credentials *credentials, int64_t now_ms)
{
    struct hub_session *session = hub->draining ? NULL : hub_session_make(hub, conn, now_ms);
    if (session == NULL) {
        if (credentials != NULL) hub_credentials_fini(credentials);
        return NULL;
    }
    if (credentials != NULL) {
        session->credentials = *credentials;
        *credentials = (struct hub_credentials){0};
    }
    hub->now_ms = now_ms;
    hub->counters.connections++;
    hub->counters.connections_total++;
    return session;
}

void hub_disconnected(struct hub_session *session, int64_t now_ms)
{
    struct hub *hub = session->hub;
    struct registry *registry = hub->options.registry;
    hub->now_ms = now_ms;
    hub->counters.connections--;
    if (session->device[0] != '\0') {
        struct span device = span_text(session->device);
        hub->counters.sessions--;
        registry->ops->release_device(registry, hub_space_user(session), device, session->number);
        if (!session->background)
            registry->ops->set_presence(registry, hub_space_user(session), device, session->number, PRESENCE_OFFLINE, now_ms);
    }
    hub_session_free(session);
}

void hub_message(struct hub_session *session, struct span text, int64_t now_ms)
{
    session->hub->now_ms = now_ms;
    session->times.heard_ms = now_ms;
    session->hub->counters.bytes_in += text.bytes;
    hub_frames_handle(session, text);
}

void hub_heard(struct hub_session *session, int64_t now_ms) { session->times.heard_ms = now_ms; }

/* ---- time ---- */

static void tick_live(struct hub *hub, struct hub_session *session)
{
    struct span none = span_of(NULL, 0);
    int64_t now_ms = hub->now_ms;
    if (session->warned && now_ms - session->warned_ms >= SESSION_EXPIRED_MS) {
        hub_send_close(session, 4401, "token expired");
        return;
    }
    if (!session->warned && now_ms >= session->credentials.expires_ms) {
        session->warned = true;
        session->warned_ms = now_ms;
        hub_send_error(session, ERR_UNAUTHENTICATED, "the token has expired: send a fresh one by auth", none, false, 0, none, 0);
    }
    if (!session->idle && now_ms - session->frame_ms >= SESSION_IDLE_MS) hub_presence_state(session, true);
    if (session->pushes != NULL) hub_push_ask_again(hub, session, now_ms - SESSION_ASK_AGAIN_MS, 0, true);
}

static void tick_session(struct hub *hub, struct hub_session *session)
{
    struct span none = span_of(NULL, 0);
    if (session->conn == NULL) return;
    switch (session_due(session->state, &session->times, hub->options.heartbeat_ms, hub->now_ms)) {
    case SESSION_DUE_NOTHING: break;
    case SESSION_DUE_HELLO:
        hub->counters.unauthenticated++;
        hub_send_error(session, ERR_UNAUTHENTICATED, "no hello within 10 s", none, false, 0, none, 0);
        hub_send_close(session, 4401, "no hello");
        break;
    case SESSION_DUE_HEARTBEAT:
        hub->counters.closed_heartbeat++;
        hub_send_close(session, 4408, "no heartbeat");
        break;
    case SESSION_DUE_PING:
        session->times.pinged_ms = hub->now_ms;
        hub->options.edge->ping(session->conn);
        break;
    }
    if (session->state == SESSION_LIVE) tick_live(hub, session);
}

/* Sweeps a slice of the slots at a time, all of them in eight ticks at most. */
void hub_tick(struct hub *hub, int64_t now_ms)
{
    size_t slice = TICK_SLICE + hub->slots_count / 8;
    hub->now_ms = now_ms;
    for (size_t i = 0; i < slice && i < hub->slots_count; i++) {
        if (hub->tick_at >= hub->slots_count) hub->tick_at = 0;
        struct hub_session *session = hub->slots[hub->tick_at++].session;
        if (session != NULL) tick_session(hub, session);
    }
    hub->jobs_due = hub->jobs != NULL; /* their deadlines */
    hub_space_sweep(hub, now_ms);
    hub->pulls_due = hub->pulls != NULL; /* of those that were told to wait some may be due */
}

void hub_turn_end(struct hub *hub, int64_t now_ms)
{
    hub->now_ms = now_ms;
    hub_deliver_turn(hub);
    hub_push_answers_out(hub);
    hub_send_flush(hub);
    if (hub->jobs_due) hub_http_go_on_all(hub);
    hub_pull_ask_all(hub);
    hub_send_flush(hub); /* what closings have added */
}

bool hub_has_work(const struct hub *hub)
{
    return hub->dirty_spaces != NULL || hub->dirty_sessions != NULL || hub->answers_count > 0 || hub->jobs_due || hub_pull_may_ask(hub);
}

void hub_drain(struct hub *hub, int64_t now_ms)
{
    hub->now_ms = now_ms;
    hub->draining = true;
    for (size_t i = 0; i < hub->slots_count; i++) {
        struct hub_session *session = hub->slots[i].session;
        if (session == NULL || session->conn == NULL || session->state == SESSION_CLOSING) continue;
        /* Spread by number: a whole gateway's devices do not come back in one instant. */
        frame_bye(&hub->text, "draining", 100 + session->number * 7919 % DRAIN_JITTER_MS);
        session->closing_after = true;
        hub_send_text(session, OUT_OTHER);
    }
}

/* ---- the links ---- */

static void take_rules(struct hub *hub, const struct link_tell *tell)
{
    struct map_node *node = map_find(&hub->rules, tell->space);
    struct hub_rules *rules = node == NULL ? NULL : (struct hub_rules *)((char *)node - offsetof(struct hub_rules, node));
    if (rules == NULL) {
        if (tell->space.bytes > LIMIT_COLLECTION_BYTES_MAX || hub->rules.count >= LIMIT_NAMESPACES_MAX) return;
        rules = calloc(1, sizeof *rules);
        if (rules == NULL) return;
        memcpy(rules->name, tell->space.at, tell->space.bytes);
        rules->node.key = span_text(rules->name);
        if (!map_put(&hub->rules, &rules->node)) {
            free(rules);
            return;
        }
    }
    rules->version = tell->version;
    rules->presence = tell->presence;
}

/* The head at the moment that an interest stands: who is behind it catches up. */
static void take_head(struct hub *hub, const struct link_tell *tell)
{
    struct map_node *node = map_find(&hub->spaces, tell->space);
    if (node == NULL) return;
    struct hub_space *space = (struct hub_space *)((char *)node - offsetof(struct hub_space, node));
    if (tell->place <= space->head) return;
    space->head = tell->place;
    hub_space_forget(hub, space);
    for (size_t i = 0; i < space->subs_count; i++)
        if (space->subs[i]->pull == NULL) hub_deliver_catch_up(space->subs[i]);
}

static void told(void *ctx, const struct link_tell *tell)
{
    struct hub *hub = ctx;
    switch (tell->kind) {
    case LINK_RULES: take_rules(hub, tell); break;
    case LINK_HEAD: take_head(hub, tell); break;
    case LINK_UPDATE: hub_deliver_update(hub, tell); break;
    case LINK_ANSWER: hub_push_answer(hub, tell); break;
    case LINK_PAGE:
        if (map_find(&hub->groups, span_of((const char *)&tell->tag, sizeof tell->tag)) != NULL) hub_pull_page(hub, tell);
        else hub_body_told(hub, tell);
        break;
    case LINK_BODY: hub_body_told(hub, tell); break;
    case LINK_PRESENCE_FRAME: hub_presence_frame(hub, tell); break;
    case LINK_SIGNAL_FRAME: hub_presence_signal_frame(hub, tell); break;
    }
}

static void up(void *ctx, uint32_t partition)
{
    struct hub *hub = ctx;
    struct map_node *node = NULL;
    hub->links_up++;
    hub_pull_found(hub, partition);
    while ((node = map_next(&hub->spaces, node)) != NULL) {
        struct hub_space *space = (struct hub_space *)((char *)node - offsetof(struct hub_space, node));
        if (space->partition != partition || space->subs_count == 0) continue;
        space->interested = false;
        (void)hub_space_interest(hub, space);
        for (size_t i = 0; i < space->subs_count; i++) {
            struct hub_sub *sub = space->subs[i];
            if (sub->present) hub_presence_enter(sub);
            if (sub->watches) hub_presence_watch(sub);
        }
    }
    for (size_t i = 0; i < hub->slots_count; i++)
        if (hub->slots[i].session != NULL) hub_push_ask_again(hub, hub->slots[i].session, hub->now_ms, partition, false);
}

static void down(void *ctx, uint32_t partition)
{
    struct hub *hub = ctx;
    struct map_node *node = NULL;
    if (hub->links_up > 0) hub->links_up--;
    hub_pull_lost(hub, partition);
    hub_body_lost(hub, partition);
    while ((node = map_next(&hub->spaces, node)) != NULL) {
        struct hub_space *space = (struct hub_space *)((char *)node - offsetof(struct hub_space, node));
        if (space->partition == partition) space->interested = false;
    }
}

static void displaced(void *ctx, uint64_t number)
{
    struct hub_session *session = hub_find_session(ctx, number);
    if (session != NULL) hub_send_close(session, 4409, "the same device connected again");
}

enum err hub_open(const struct hub_options *options, struct hub **ret_hub)
{
    struct hub *hub = calloc(1, sizeof *hub);
    if (hub == NULL) return ERR_MEMORY;
    hub->options = *options;
    if (hub->options.rate == 0) hub->options.rate = LIMIT_RATE_MAX;
    hub->log = span_text(options->writer->name);
    hub->pulls_end = &hub->pulls;
    hub->idle_end = &hub->idle;
    arena_init(&hub->arena, ARENA_BYTES_MAX);
    buf_init(&hub->text, TEXT_BYTES_MAX);
    options->writer->ctx = hub;
    options->writer->acked = hub_push_acked;
    options->link->ctx = hub;
    options->link->told = told;
    options->link->up = up;
    options->link->down = down;
    options->registry->ctx = hub;
    options->registry->displaced = displaced;
    *ret_hub = hub;
    return ERR_OK;
}

static void forget_spaces(struct hub *hub)
{
    struct map_node *node;
    while (hub->dirty_spaces != NULL) {
        hub->dirty_spaces->dirty = false;
        hub->dirty_spaces = hub->dirty_spaces->next_dirty;
    }
    for (size_t i = 0; i < hub->answers_count; i++) {
        blob_put(hub->answers[i].frame);
        hub_space_put(hub, hub->answers[i].space);
    }
    hub_space_sweep(hub, INT64_MAX);
    while ((node = map_next(&hub->rules, NULL)) != NULL) {
        map_take(&hub->rules, node);
        free((char *)node - offsetof(struct hub_rules, node));
    }
}

void hub_close(struct hub *hub)
{
    if (hub == NULL) return;
    assert(hub->counters.connections == 0);
    hub_http_free(hub);
    hub_body_free(hub);
    hub_pull_free(hub);
    forget_spaces(hub);
    map_fini(&hub->spaces);
    map_fini(&hub->rules);
    map_fini(&hub->groups);
    map_fini(&hub->bodies);
    arena_fini(&hub->arena);
    buf_fini(&hub->text);
    free(hub->slots);
    free(hub->appends);
    free(hub->answers);
    hub->options.writer->acked = NULL;
    hub->options.link->told = NULL;
    hub->options.link->up = NULL;
    hub->options.link->down = NULL;
    hub->options.registry->displaced = NULL;
    free(hub);
}
