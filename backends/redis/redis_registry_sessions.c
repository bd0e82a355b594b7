/* Sessions of this gateway: present, and holding their devices. What is known here is written at once, and again when a server may have
 * lost it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/redis/redis_registry_parts.h"
#include "base/clock.h"

enum { WINDOW = 256 /* commands under way while all is written again */, AGAIN_TICKS = 1800 };
#define KEEP_MS ((int64_t)REDIS_KEEP_DAYS * 86400000)

static struct redis_session *session_of(struct map_node *node) { return node == NULL ? NULL : (struct redis_session *)(void *)node; }
static struct redis_session *holder_of(struct map_node *node)
{
    return node == NULL ? NULL : (struct redis_session *)(void *)((char *)node - offsetof(struct redis_session, holder));
}

static struct redis_session *find(struct redis_registry *r, uint64_t number)
{
    return session_of(map_find(&r->sessions, span_of((const char *)&number, sizeof number)));
}

/* ---- writing ---- */

static void field_of(const struct redis_registry *r, uint64_t number, char field[128])
{
    snprintf(field, 128, "%s:%s:%llu", r->name, r->epoch, (unsigned long long)number);
}

static bool write_presence(struct redis_registry *r, struct span user, uint64_t number, enum presence_state state, int64_t seen_ms,
                           const struct redis_slot *only, void *ctx, void (*answered)(void *ctx, const struct redisReply *reply))
{
    static const char *const states[] = {"", "idle", "online"};
    struct redis_key key;
    char field[128], seen[24], keep[24];
    redis_registry_key(r, "user", user, &key);
    if (only != NULL && key.slot != only) return false;
    field_of(r, number, field);
    snprintf(seen, sizeof seen, "%lld", (long long)seen_ms);
    snprintf(keep, sizeof keep, "%lld", (long long)KEEP_MS);
    struct span args[] = {span_text(field), span_text(states[state]), span_text(seen), span_text(keep)};
    return redis_server_run(key.slot->server, REDIS_PRESENCE, redis_registry_span(&key), args, 4, ctx, answered);
}

/* What is known of a device that is held here, until the server has said whether another holds it. */
struct holding {
    struct redis_registry *registry;
    uint64_t number;
};

static void on_held(void *ctx, const struct redisReply *reply)
{
    struct holding *holding = ctx;
    long long lost;
    if (redis_server_integer(reply, &lost) && lost == 1) redis_registry_displaced(holding->registry, holding->number);
    free(holding);
}

static void write_holder(struct redis_registry *r, const struct redis_session *session, enum redis_script script, const struct redis_slot *only)
{
    struct redis_key key;
    char holder[160], channels[REDIS_KEY_BYTES / 2], keep[24], claimed[24];
    redis_registry_key(r, "dev", session->device_user, &key);
    if (only != NULL && key.slot != only) return;
    snprintf(claimed, sizeof claimed, "%lld", (long long)session->claim_ms);
    snprintf(holder, sizeof holder, "%s:%s:%llu:%s", r->name, r->epoch, (unsigned long long)session->number, claimed);
    snprintf(channels, sizeof channels, "%s:to:", r->prefix);
    snprintf(keep, sizeof keep, "%lld", (long long)KEEP_MS);
    struct span args[] = {span_text(holder), span_text(channels), span_text(keep), span_text(claimed)};
    if (script == REDIS_CLAIM) {
        (void)redis_server_run(key.slot->server, script, redis_registry_span(&key), args, 4, NULL, NULL);
    } else if (script == REDIS_RELEASE) {
        (void)redis_server_run(key.slot->server, script, redis_registry_span(&key), args, 1, NULL, NULL);
    } else {
        struct holding *holding = malloc(sizeof *holding);
        if (holding == NULL) return; /* written again in half an hour */
        *holding = (struct holding){r, session->number};
        if (!redis_server_run(key.slot->server, script, redis_registry_span(&key), args, 4, holding, on_held)) free(holding);
    }
}

/* ---- what is known here ---- */

static struct redis_session *make(struct redis_registry *r, struct span user, struct span device, uint64_t number)
{
    struct redis_session *session = calloc(1, sizeof *session + user.bytes + device.bytes + 1);
    if (session == NULL) return NULL;
    session->number = number;
    session->node.key = span_of((const char *)&session->number, sizeof session->number);
    memcpy(session->text, device.at, device.bytes);
    session->text[device.bytes] = ':';
    memcpy(session->text + device.bytes + 1, user.at, user.bytes);
    session->device = span_of(session->text, device.bytes);
    session->user = span_of(session->text + device.bytes + 1, user.bytes);
    session->device_user = span_of(session->text, device.bytes + 1 + user.bytes);
    if (!map_put(&r->sessions, &session->node)) {
        free(session);
        return NULL;
    }
    session->next = r->first;
    if (session->next != NULL) session->next->prev = session;
    r->first = session;
    return session;
}

static void drop_if_idle(struct redis_registry *r, struct redis_session *session)
{
    if (session->holds || session->state != PRESENCE_OFFLINE) return;
    for (size_t i = 0; i < r->slots_count; i++)
        if (r->slots[i].rewrite == session) r->slots[i].rewrite = session->next;
    if (session->prev == NULL) r->first = session->next;
    else session->prev->next = session->next;
    if (session->next != NULL) session->next->prev = session->prev;
    map_take(&r->sessions, &session->node);
    free(session);
}

static void let_go(struct redis_registry *r, struct redis_session *session)
{
    if (!session->holds) return;
    session->holds = false;
    map_take(&r->holders, &session->holder);
}

void redis_registry_displaced(struct redis_registry *r, uint64_t number)
{
    struct redis_session *session = find(r, number);
    if (session == NULL || !session->holds) return;
    let_go(r, session);
    drop_if_idle(r, session);
    r->counters.displaced++;
    if (r->base.displaced != NULL) r->base.displaced(r->base.ctx, number);
}

void redis_registry_claim(struct registry *base, struct span user, struct span device, uint64_t number)
{
    struct redis_registry *r = redis_registry_of(base);
    struct redis_session *session = find(r, number);
    if (session == NULL) session = make(r, user, device, number);
    if (session == NULL || session->holds) return;
    struct redis_session *older = holder_of(map_find(&r->holders, session->device_user));
    if (older != NULL) redis_registry_displaced(r, older->number); /* both are here: no server need be asked */
    session->holder.key = session->device_user;
    session->holds = map_put(&r->holders, &session->holder);
    if (!session->holds) {
        drop_if_idle(r, session);
        return;
    }
    session->claim_ms = clock_wall_ms();
    write_holder(r, session, REDIS_CLAIM, NULL);
}

void redis_registry_release(struct registry *base, struct span user, struct span device, uint64_t number)
{
    struct redis_registry *r = redis_registry_of(base);
    struct redis_session *session = find(r, number);
    (void)user;
    (void)device;
    if (session == NULL || !session->holds) return;
    write_holder(r, session, REDIS_RELEASE, NULL); /* if it is not heard, its entry stays, and names nobody who is there */
    let_go(r, session);
    drop_if_idle(r, session);
}

/* ---- sessions that ended ---- */

static void free_gone(struct redis_registry *r, struct redis_gone *gone)
{
    struct redis_gone **at = &r->gone;
    while (*at != gone) at = &(*at)->next;
    *at = gone->next;
    if (gone->next == NULL) r->gone_end = at;
    r->gone_count--;
    free(gone);
}

static void on_gone_written(void *ctx, const struct redisReply *reply)
{
    struct redis_gone *gone = ctx;
    gone->under_way = false;
    if (reply != NULL || gone->registry->closing) free_gone(gone->registry, gone); /* else it is tried again when the server is back */
}

static void write_gone(struct redis_gone *gone, const struct redis_slot *only)
{
    if (gone->under_way) return;
    gone->under_way = write_presence(gone->registry, gone->user, gone->number, PRESENCE_OFFLINE, gone->seen_ms, only, gone, on_gone_written);
}

static void note_gone(struct redis_registry *r, struct span user, uint64_t number, int64_t seen_ms)
{
    struct redis_gone *gone = calloc(1, sizeof *gone + user.bytes);
    if (gone == NULL) return;
    if (r->gone_count == REDIS_GONE_MAX && !r->gone->under_way) free_gone(r, r->gone);
    gone->registry = r;
    gone->number = number;
    gone->seen_ms = seen_ms;
    memcpy(gone->text, user.at, user.bytes);
    gone->user = span_of(gone->text, user.bytes);
    *r->gone_end = gone;
    r->gone_end = &gone->next;
    r->gone_count++;
    write_gone(gone, NULL);
}

void redis_registry_set_presence(struct registry *base, struct span user, struct span device, uint64_t number, enum presence_state state, int64_t now_ms)
{
    struct redis_registry *r = redis_registry_of(base);
    struct redis_session *session = find(r, number);
    if (state == PRESENCE_OFFLINE) {
        note_gone(r, user, number, now_ms);
        if (session == NULL) return;
        session->state = state;
        drop_if_idle(r, session);
        return;
    }
    if (session == NULL) session = make(r, user, device, number);
    if (session == NULL) return; /* he looks offline: presence is a courtesy */
    session->state = state;
    session->seen_ms = now_ms;
    (void)write_presence(r, user, number, state, now_ms, NULL, NULL, NULL); /* if it is not heard, it is written when the server is back */
}

/* ---- again ---- */

static bool write_next(struct redis_slot *slot)
{
    struct redis_registry *r = slot->registry;
    struct redis_session *session = slot->rewrite;
    if (session == NULL || !redis_server_is_ready(slot->server)) return false;
    slot->rewrite = session->next;
    if (session->state != PRESENCE_OFFLINE) (void)write_presence(r, session->user, session->number, session->state, session->seen_ms, slot, NULL, NULL);
    if (session->holds) write_holder(r, session, REDIS_HOLD, slot);
    return true;
}

static void go_on(struct redis_slot *slot)
{
    while (slot->hurried && redis_server_pending(slot->server) < WINDOW && write_next(slot)) continue;
    if (slot->rewrite == NULL) slot->hurried = false;
}

void redis_registry_sessions_again(struct redis_slot *slot)
{
    struct redis_registry *r = slot->registry;
    slot->rewrite = r->first;
    slot->hurried = true;
    slot->since_rewrite = 0;
    for (struct redis_gone *gone = r->gone; gone != NULL; gone = gone->next) write_gone(gone, slot);
    go_on(slot);
}

void redis_registry_sessions_tick(struct redis_slot *slot)
{
    struct redis_registry *r = slot->registry;
    if (slot->rewrite == NULL && ++slot->since_rewrite >= AGAIN_TICKS) {
        slot->rewrite = r->first;
        slot->since_rewrite = 0;
    }
    go_on(slot);
    for (size_t left = 1 + r->sessions.count / 1024; left > 0 && !slot->hurried && write_next(slot); left--) continue;
}

void redis_registry_sessions_fini(struct redis_registry *r)
{
    for (struct redis_session *session = r->first, *next; session != NULL; session = next) {
        next = session->next;
        free(session);
    }
    while (r->gone != NULL) free_gone(r, r->gone);
    map_fini(&r->sessions);
    map_fini(&r->holders);
}
