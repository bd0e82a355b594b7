#include "backends/embedded/embedded_link.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

enum { ROUNDS_MAX = 16 }; /* of asking and answering in one turn, before other events get theirs */

/* One message: the struct and, behind it, everything that it points to but blobs. */
struct message {
    struct message *next;
    bool is_ask;
    union {
        struct link_ask ask;
        struct link_tell tell;
    } of;
    struct page page;
};

struct embedded_link {
    struct link_gateway gateway; /* first: the seams' structs lead back here */
    struct link_owner owner;
    uint32_t partitions;
    bool begun, closing;
    struct message *first, *last; /* both ways in one queue: what was sent first is delivered first */
    uv_check_t check;
    uv_idle_t idle; /* keeps the loop from sleeping while something is queued */
    unsigned handles;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

static struct embedded_link *link_of_owner(struct link_owner *owner)
{
    return (struct embedded_link *)(void *)((char *)owner - offsetof(struct embedded_link, owner));
}

/* ---- copying ---- */

/* A message's own memory: counted first, then laid out behind the struct. */
struct layout {
    char *at; /* NULL while counting */
    size_t bytes;
};

static void *lay(struct layout *layout, const void *from, size_t bytes)
{
    size_t aligned = (layout->bytes + 15) & ~(size_t)15;
    layout->bytes = aligned + bytes;
    if (layout->at == NULL || bytes == 0) return NULL;
    memcpy(layout->at + aligned, from, bytes);
    return layout->at + aligned;
}

static void lay_span(struct layout *layout, struct span *span)
{
    char *copy;
    size_t bytes = span->bytes;
    if (bytes == 0) return;
    if (layout->at == NULL) {
        layout->bytes += bytes;
        return;
    }
    copy = layout->at + layout->bytes;
    memcpy(copy, span->at, bytes);
    layout->bytes += bytes;
    span->at = copy;
}

/* A page's texts may stand in the blob that goes along; those are not copied. */
static void lay_page_span(struct layout *layout, const struct blob *frame, struct span *span)
{
    if (frame != NULL && span->at >= frame->text && span->at + span->bytes <= frame->text + frame->bytes) return;
    lay_span(layout, span);
}

static void lay_ask(struct layout *layout, struct link_ask *ask)
{
    struct page_waiter *waiters = lay(layout, ask->waiters, ask->waiters_count * sizeof *waiters);
    const struct page_waiter *from = waiters != NULL ? waiters : ask->waiters;
    for (size_t i = 0; i < ask->waiters_count; i++) {
        struct page_waiter waiter = from[i];
        lay_span(layout, &waiter.user);
        lay_span(layout, &waiter.device);
        if (waiters != NULL) waiters[i] = waiter;
    }
    if (layout->at != NULL) ask->waiters = waiters;
    lay_span(layout, &ask->space);
    lay_span(layout, &ask->collection);
    lay_span(layout, &ask->user);
    lay_span(layout, &ask->device);
    lay_span(layout, &ask->meta);
}

static void lay_tell_page(struct layout *layout, struct message *message, struct link_tell *tell)
{
    if (tell->page == NULL) return;
    struct page page = *tell->page;
    struct page_part *parts = lay(layout, page.parts, page.parts_count * sizeof *parts);
    const struct page_part *from = parts != NULL ? parts : page.parts;
    for (size_t i = 0; i < page.parts_count; i++) {
        struct page_part part = from[i];
        lay_page_span(layout, tell->frame, &part.refused);
        if (parts != NULL) parts[i] = part;
    }
    lay_page_span(layout, tell->frame, &page.docs);
    lay_page_span(layout, tell->frame, &page.tail);
    lay_page_span(layout, tell->frame, &page.sum);
    if (layout->at == NULL) return;
    page.parts = parts;
    message->page = page;
    tell->page = &message->page;
}

static void lay_tell(struct layout *layout, struct message *message, struct link_tell *tell)
{
    struct span *removed = lay(layout, tell->removed, tell->removed_count * sizeof *removed);
    const struct span *from = removed != NULL ? removed : tell->removed;
    lay_tell_page(layout, message, tell);
    for (size_t i = 0; i < tell->removed_count; i++) {
        struct span user = from[i];
        lay_span(layout, &user);
        if (removed != NULL) removed[i] = user;
    }
    if (layout->at != NULL) tell->removed = removed;
    lay_span(layout, &tell->space);
    lay_span(layout, &tell->user);
    lay_span(layout, &tell->device);
}

static struct message *make_message(size_t bytes, struct layout *layout)
{
    size_t head = (sizeof(struct message) + 15) & ~(size_t)15;
    struct message *message = malloc(head + bytes + 1);
    if (message == NULL) return NULL;
    message->next = NULL;
    *layout = (struct layout){.at = (char *)message + head, .bytes = 0};
    return message;
}

static void drop_message(struct message *message)
{
    if (message->is_ask) {
        blob_put(message->of.ask.record);
        blob_put(message->of.ask.frame);
    } else {
        blob_put(message->of.tell.frame);
    }
    free(message);
}

/* ---- sending ---- */

static void on_idle(uv_idle_t *idle) { (void)idle; }

static void enqueue(struct embedded_link *link, struct message *message)
{
    if (link->last == NULL) link->first = message;
    else link->last->next = message;
    link->last = message;
    uv_idle_start(&link->idle, on_idle);
}

static enum err send_ask(struct link_gateway *gateway, const struct link_ask *ask)
{
    struct embedded_link *link = (struct embedded_link *)(void *)gateway;
    if (link->closing) return ERR_BUSY;
    struct layout layout = {NULL, 0};
    struct link_ask copy = *ask;
    lay_ask(&layout, &copy);
    struct message *message = make_message(layout.bytes, &layout);
    if (message == NULL) return ERR_MEMORY;
    message->is_ask = true;
    lay_ask(&layout, &copy);
    message->of.ask = copy;
    if (copy.record != NULL) blob_take(copy.record);
    if (copy.frame != NULL) blob_take(copy.frame);
    enqueue(link, message);
    return ERR_OK;
}

static enum err send_tell(struct link_owner *owner, uint32_t peer, const struct link_tell *tell)
{
    struct embedded_link *link = link_of_owner(owner);
    assert(peer == EMBEDDED_LINK_PEER);
    if (link->closing) return ERR_BUSY;
    struct layout layout = {NULL, 0};
    struct link_tell copy = *tell;
    lay_tell(&layout, NULL, &copy);
    struct message *message = make_message(layout.bytes, &layout);
    if (message == NULL) return ERR_MEMORY;
    message->is_ask = false;
    lay_tell(&layout, message, &copy);
    message->of.tell = copy;
    if (copy.frame != NULL) blob_take(copy.frame);
    enqueue(link, message);
    return ERR_OK;
}

/* ---- delivering ---- */

static void begin(struct embedded_link *link)
{
    link->begun = true;
    if (link->owner.joined != NULL)
        link->owner.joined(link->owner.ctx, EMBEDDED_LINK_PEER, SPAN_LITERAL(EMBEDDED_LINK_NAME));
    for (uint32_t i = 0; i < link->partitions && link->gateway.up != NULL; i++) link->gateway.up(link->gateway.ctx, i);
}

static void deliver(struct embedded_link *link, const struct message *message)
{
    if (message->is_ask) {
        if (link->owner.asked != NULL) link->owner.asked(link->owner.ctx, EMBEDDED_LINK_PEER, &message->of.ask);
    } else if (link->gateway.told != NULL) {
        link->gateway.told(link->gateway.ctx, &message->of.tell);
    }
}

static void on_check(uv_check_t *check)
{
    struct embedded_link *link = check->data;
    if (!link->begun) begin(link);
    for (int round = 0; round < ROUNDS_MAX && link->first != NULL; round++) {
        struct message *message = link->first, *next;
        link->first = link->last = NULL;
        for (; message != NULL; message = next) {
            next = message->next;
            if (!link->closing) deliver(link, message);
            drop_message(message);
        }
    }
    if (link->first == NULL) uv_idle_stop(&link->idle);
}

/* ---- opening ---- */

static const struct link_gateway_ops gateway_ops = {send_ask};
/* The one process owns all, and its gateway is told so in the first turn. */
static void owns(struct link_owner *owner, uint32_t partition, bool owned)
{
    (void)owner;
    (void)partition;
    (void)owned;
}

static const struct link_owner_ops owner_ops = {send_tell, owns};

enum err embedded_link_open(struct uv_loop_s *loop, uint32_t partitions, struct embedded_link **ret_link)
{
    struct embedded_link *link = calloc(1, sizeof *link);
    if (link == NULL) return ERR_MEMORY;
    link->partitions = partitions;
    link->gateway.ops = &gateway_ops;
    link->owner.ops = &owner_ops;
    uv_check_init(loop, &link->check);
    uv_idle_init(loop, &link->idle);
    link->handles = 2;
    link->check.data = link->idle.data = link;
    uv_check_start(&link->check, on_check);
    uv_idle_start(&link->idle, on_idle); /* the first turn tells joined and up */
    uv_unref((uv_handle_t *)&link->check);
    *ret_link = link;
    return ERR_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct embedded_link *link = handle->data;
    if (--link->handles != 0) return;
    void *ctx = link->closed_ctx;
    void (*closed)(void *) = link->closed;
    for (struct message *message = link->first, *next; message != NULL; message = next) {
        next = message->next;
        drop_message(message);
    }
    free(link);
    if (closed != NULL) closed(ctx);
}

void embedded_link_close(struct embedded_link *link, void *ctx, void (*closed)(void *ctx))
{
    link->closing = true;
    link->closed_ctx = ctx;
    link->closed = closed;
    uv_close((uv_handle_t *)&link->check, on_closed);
    uv_close((uv_handle_t *)&link->idle, on_closed);
}

struct link_gateway *embedded_link_gateway_end(struct embedded_link *link) { return &link->gateway; }
struct link_owner *embedded_link_owner_end(struct embedded_link *link) { return &link->owner; }
