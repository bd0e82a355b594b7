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
    struct hub_space *space = calloc(1, sizeof *space);
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

static void space_free(struct hub *hub, struct hub_space *space)
{
    assert(space->refs == 0 && space->subs_count == 0 && !space->dirty);
    if (space->interested) {
        struct link_ask ask = {.kind = LINK_UNINTEREST, .space = hub_space_name(space)};
        (void)hub->options.link->ops->send(hub->options.link, &ask); /* a link that is away forgets by itself */
    }
    map_take(&hub->spaces, &space->node);
    ring_fini(&space->ring);
    for (size_t i = 0; i < space->turn_count; i++) blob_put(space->turn[i].frame);
    free(space->turn);
    free(space->subs);
    free(space->name);
    free(space);
    hub->counters.spaces--;
}

void hub_space_put(struct hub *hub, struct hub_space *space)
{
    assert(space->refs > 0);
    space->refs--;
    if (space->refs == 0) space->idle_since_ms = hub->now_ms;
}

void hub_space_sweep(struct hub *hub, int64_t now_ms)
{
    struct map_node *node = map_next(&hub->spaces, NULL);
    while (node != NULL) {
        struct hub_space *space = (struct hub_space *)((char *)node - offsetof(struct hub_space, node));
        node = map_next(&hub->spaces, node);
        if (space->refs == 0 && !space->dirty && now_ms - space->idle_since_ms > LINGER_MS) space_free(hub, space);
    }
}

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

static bool list_add(struct hub_sub ***list, size_t *count, size_t *room, struct hub_sub *sub)
{
    if (*count == *room) {
        size_t grown = *room == 0 ? 2 : *room * 2;
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
    sub->at_space = (uint32_t)space->subs_count;
    sub->at_session = (uint32_t)session->subs_count;
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
    session->hub->counters.subscriptions--;
    hub_space_put(session->hub, space);
    free(sub);
}
