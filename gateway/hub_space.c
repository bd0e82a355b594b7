/* Spaces by name, and sessions' subscriptions to them. */
#include <assert.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/name.h"
#include "gateway/hub_parts.h"

enum { LINGER_MS = 10000 /* a space without subscribers keeps its interest and ring this long: devices come back */ };

struct span hub_space_name(const struct hub_space *space) { return span_of(space->name, space->name_bytes); }
struct span hub_space_user(const struct hub_session *session) { return span_of(session->credentials.user, session->credentials.user_bytes); }

enum role hub_space_granted(const struct hub_session *session, const struct hub_space *space)
{
    struct json_value grants = {.type = JSON_NONE};
    if (session->credentials.grants != NULL) grants = (struct json_value){.type = JSON_OBJECT, .raw = blob_span(session->credentials.grants)};
    return access_granted(grants, session->credentials.admin, hub_space_name(space));
}

static const struct hub_rules *rules_of(struct hub *hub, struct span name)
{
    struct map_node *node = map_find(&hub->rules, name_namespace(name));
    return node == NULL ? NULL : (struct hub_rules *)((char *)node - offsetof(struct hub_rules, node));
}

struct hub_space *hub_space_take(struct hub *hub, struct span name)
{
    struct map_node *node = map_find(&hub->spaces, name);
    if (node != NULL) {
        struct hub_space *found = (struct hub_space *)((char *)node - offsetof(struct hub_space, node));
        found->refs++;
        if (found->rules == NULL) found->rules = rules_of(hub, name);
        return found;
    }
    struct hub_space *space = hub->spaces.count >= LIMIT_HUB_SPACES ? NULL : calloc(1, sizeof *space);
    char *text = malloc(name.bytes + 1);
    if (space == NULL || text == NULL) goto out;
    memcpy(text, name.at, name.bytes);
    text[name.bytes] = '\0';
    space->name = text;
    space->name_bytes = name.bytes;
    space->node.key = hub_space_name(space);
    space->partition = hash_partition(name, hub->options.writer->partitions);
    space->rules = rules_of(hub, name);
    space->refs = 1;
    if (!map_put(&hub->spaces, &space->node)) goto out;
    hub->counters.spaces++;
    return space;
out:
    free(text);
    free(space);
    return NULL;
}

/* A gateway that has just begun hears the namespaces one by one: an owner tells all that it has before it says what it owns. */
bool hub_space_is_unknown(const struct hub *hub, const struct hub_space *space)
{
    return space->rules == NULL && hub->rules.count > 0 && hub->links_up >= hub->options.writer->partitions;
}

static void space_free(struct hub *hub, struct hub_space *space)
{
    assert(space->refs == 0 && space->subs_count == 0 && !space->dirty);
    if (space->interested) {
        struct link_ask ask = {.kind = LINK_UNINTEREST, .space = hub_space_name(space)};
        (void)hub->options.link->ops->send(hub->options.link, &ask); /* a link that is away forgets by itself */
    }
    map_take(&hub->spaces, &space->node);
    hub_space_forget(hub, space);
    for (size_t i = 0; i < space->turn_count; i++) blob_put(space->turn[i].frame);
    free(space->turn);
    free(space->subs);
    free(space->name);
    free(space);
    hub->counters.spaces--;
}

static void become_idle(struct hub *hub, struct hub_space *space)
{
    space->idling = true;
    space->next_idle = NULL;
    *hub->idle_end = space;
    hub->idle_end = &space->next_idle;
}

void hub_space_put(struct hub *hub, struct hub_space *space)
{
    assert(space->refs > 0);
    space->refs--;
    if (space->refs > 0) return;
    space->idle_since_ms = hub->now_ms;
    if (!space->idling) become_idle(hub, space);
}

/* One that nobody was interested in has nothing worth lingering for. */
static bool is_due(const struct hub_space *space, int64_t now_ms)
{
    return !space->interested || now_ms - space->idle_since_ms > LINGER_MS;
}

/* The list is in the order of becoming idle; one that was taken and put again meanwhile goes to its end. */
void hub_space_sweep(struct hub *hub, int64_t now_ms)
{
    struct hub_space *space = hub->idle, *next;
    hub->idle = NULL;
    hub->idle_end = &hub->idle;
    for (; space != NULL; space = next) {
        next = space->next_idle;
        space->idling = false;
        if (space->refs > 0) continue;
        if (space->dirty || !is_due(space, now_ms)) become_idle(hub, space);
        else space_free(hub, space);
    }
}

/* ---- recent updates ---- */

static void unlink_ring(struct hub *hub, struct hub_space *space)
{
    if (space->quieter != NULL) space->quieter->livelier = space->livelier;
    else if (hub->quietest == space) hub->quietest = space->livelier;
    if (space->livelier != NULL) space->livelier->quieter = space->quieter;
    else if (hub->liveliest == space) hub->liveliest = space->quieter;
    space->quieter = space->livelier = NULL;
}

void hub_space_forget(struct hub *hub, struct hub_space *space)
{
    unlink_ring(hub, space);
    hub->ring_bytes -= space->ring.bytes;
    ring_fini(&space->ring);
}

void hub_space_remember(struct hub *hub, struct hub_space *space, uint64_t prev, uint64_t place, struct blob *frame)
{
    unlink_ring(hub, space);
    hub->ring_bytes -= space->ring.bytes;
    ring_add(&space->ring, prev, place, frame);
    hub->ring_bytes += space->ring.bytes;
    space->quieter = hub->liveliest;
    if (space->quieter != NULL) space->quieter->livelier = space;
    else hub->quietest = space;
    hub->liveliest = space;
    while (hub->ring_bytes > LIMIT_HUB_RING_BYTES) hub_space_forget(hub, hub->quietest);
}

/* ---- interests ---- */

bool hub_space_interest(struct hub *hub, struct hub_space *space)
{
    struct link_ask ask = {.kind = LINK_INTEREST, .space = hub_space_name(space)};
    if (space->interested) return true;
    if (hub->options.link->ops->send(hub->options.link, &ask) != ERR_OK) return false;
    space->interested = true;
    return true;
}

struct hub_sub *hub_sub_find(const struct hub_session *session, const struct hub_space *space)
{
    /* The shorter of the two lists. */
    if (space->subs_count < session->subs_count) {
        for (size_t i = 0; i < space->subs_count; i++)
            if (space->subs[i]->session == session) return space->subs[i];
        return NULL;
    }
    for (size_t i = 0; i < session->subs_count; i++)
        if (session->subs[i]->space == space) return session->subs[i];
    return NULL;
}

static bool list_add(struct hub_sub ***list, uint32_t *count, uint32_t *room, struct hub_sub *sub)
{
    if (*count == *room) {
        uint32_t grown = *room == 0 ? 1 : *room + *room / 2 + 1;
        struct hub_sub **moved = realloc(*list, grown * sizeof *moved);
        if (moved == NULL) return false;
        *list = moved;
        *room = grown;
    }
    (*list)[(*count)++] = sub;
    return true;
}

struct hub_sub *hub_sub_add(struct hub_session *session, struct hub_space *space)
{
    struct hub_sub *sub = calloc(1, sizeof *sub);
    if (sub == NULL) return NULL;
    sub->session = session;
    sub->space = space;
    sub->at_space = space->subs_count;
    sub->at_session = (uint16_t)session->subs_count; /* at most LIMIT_SPACES_MAX */
    if (!list_add(&session->subs, &session->subs_count, &session->subs_room, sub)) goto out;
    if (!list_add(&space->subs, &space->subs_count, &space->subs_room, sub)) {
        session->subs_count--;
        goto out;
    }
    space->refs++;
    session->hub->counters.subscriptions++;
    return sub;
out:
    free(sub);
    return NULL;
}

void hub_sub_remove(struct hub_sub *sub)
{
    struct hub_session *session = sub->session;
    struct hub_space *space = sub->space;
    hub_presence_leave(sub);
    hub_pull_cancel(sub);
    struct hub_sub *last = session->subs[--session->subs_count];
    session->subs[sub->at_session] = last;
    last->at_session = sub->at_session;
    last = space->subs[--space->subs_count];
    space->subs[sub->at_space] = last;
    last->at_space = sub->at_space;
    blob_put(sub->ref);
    blob_put(sub->meta);
    session->hub->counters.subscriptions--;
    hub_space_put(session->hub, space);
    free(sub);
}
