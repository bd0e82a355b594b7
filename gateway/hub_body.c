/* Questions that are answered with a body: history frames and the HTTP calls of that kind. */
#include <stdlib.h>

#include "gateway/hub_parts.h"

static struct hub_body *body_of(struct map_node *node) { return (struct hub_body *)((char *)node - offsetof(struct hub_body, node)); }

/* `body` is copied; on true its references are the table's. */
bool hub_body_ask(struct hub *hub, struct hub_body *body, struct link_ask *ask)
{
    struct hub_body *kept = hub->bodies.count >= LIMIT_HUB_QUESTIONS ? NULL : malloc(sizeof *kept);
    if (kept == NULL) return false;
    *kept = *body;
    kept->tag = ask->tag = ++hub->next_tag;
    kept->node.key = span_of((const char *)&kept->tag, sizeof kept->tag);
    if (!map_put(&hub->bodies, &kept->node)) {
        free(kept);
        return false;
    }
    if (hub->options.link->ops->send(hub->options.link, ask) == ERR_OK) return true;
    map_take(&hub->bodies, &kept->node);
    free(kept);
    return false;
}

static void free_body(struct hub *hub, struct hub_body *body)
{
    blob_put(body->ref);
    if (body->space != NULL) hub_space_put(hub, body->space);
    free(body);
}

static void send_history(struct hub *hub, struct hub_session *session, const struct hub_body *body, const struct link_tell *tell)
{
    struct buf *out = &hub->text;
    struct span space = hub_space_name(body->space), ref = blob_span(body->ref);
    if (tell->err != ERR_OK) {
        hub_send_error(session, tell->err, tell->err == ERR_INVALID ? "collection: must be one whose policy is append" : NULL, ref, false, 0, space, tell->err == ERR_BUSY ? 1000 : 0);
        return;
    }
    buf_add_text(out, "{\"type\":\"page\",\"ref\":");
    buf_add_span(out, ref);
    buf_add_text(out, ",\"space\":");
    buf_add_json_string(out, space);
    buf_add_text(out, ",\"docs\":");
    buf_add_span(out, blob_span(tell->frame));
    buf_add_text(out, tell->more ? ",\"more\":true,\"at\":" : ",\"more\":false,\"at\":");
    buf_add_u64(out, tell->at);
    buf_add_char(out, '}');
    hub_send_text(session, OUT_PAGE);
}

void hub_body_told(struct hub *hub, const struct link_tell *tell)
{
    struct map_node *node = map_find(&hub->bodies, span_of((const char *)&tell->tag, sizeof tell->tag));
    if (node == NULL) return;
    struct hub_body *body = body_of(node);
    map_take(&hub->bodies, node);
    struct hub_session *session = body->kind == BODY_HISTORY ? hub_find_session(hub, body->session) : NULL;
    if (session != NULL) send_history(hub, session, body, tell);
    if (body->kind == BODY_HTTP && body->job != NULL) hub_http_body(body->job, tell);
    free_body(hub, body);
}

/* Who asked over a link that is gone gets no answer any more: the device asks again, an HTTP call's deadline is its end. */
void hub_body_lost(struct hub *hub, uint32_t partition)
{
    struct map_node *node = map_next(&hub->bodies, NULL);
    while (node != NULL) {
        struct hub_body *body = body_of(node);
        node = map_next(&hub->bodies, node);
        if (body->space->partition != partition) continue;
        struct link_tell tell = {.kind = LINK_BODY, .tag = body->tag, .err = ERR_BUSY};
        hub_body_told(hub, &tell);
    }
}

void hub_body_free(struct hub *hub)
{
    struct map_node *node;
    while ((node = map_next(&hub->bodies, NULL)) != NULL) {
        map_take(&hub->bodies, node);
        free_body(hub, body_of(node));
    }
}
