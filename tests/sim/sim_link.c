/* Links between gateways and workers: each message through the bytes that TCP carries, in order, late, or lost with its link.
 *
 * An owner says over its own link what it owns. A gateway sends what concerns a partition to the worker that said so last. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/tcp/tcp_codec.h"
#include "core/hash.h"
#include "tests/sim/sim.h"

enum { MESSAGE_BYTES_MAX = 33554432, REJOIN_US = 150000 };

struct sim_message {
    struct sim_message *next;
    int64_t at_us;
    size_t bytes;
    char text[]; /* a frame: head, fields, tail */
};

static struct sim_link *link_of(struct sim *sim, int gateway, int worker) { return &sim->links[gateway][worker]; }

/* ---- sending ---- */

static void arrive(struct sim *sim, struct sim_event *event);

static void send(struct sim_wire *wire, const struct buf *head, const struct blob *tail)
{
    struct sim *sim = wire->link->sim;
    size_t tail_bytes = tail == NULL ? 0 : tail->bytes;
    struct sim_message *message = malloc(sizeof *message + head->bytes + tail_bytes);
    assert(buf_ok(head) && message != NULL);
    message->next = NULL;
    message->at_us = sim->now_us + sim_delay(sim, SIM_LINK, sim->settings.link);
    message->bytes = head->bytes + tail_bytes;
    memcpy(message->text, head->at, head->bytes);
    if (tail_bytes > 0) memcpy(message->text + head->bytes, tail->text, tail_bytes);
    *wire->end = message;
    wire->end = &message->next;
    if (wire->event.heap_at == 0) sim_queue_put(sim, &wire->event, wire->first->at_us, arrive);
}

static enum err send_ask(struct link_gateway *base, const struct link_ask *ask)
{
    struct sim_gateway *gateway = (struct sim_gateway *)(void *)((char *)base - offsetof(struct sim_gateway, link));
    struct sim *sim = sim_current();
    int route = gateway->routes[hash_partition(ask->space, sim->log.partitions)];
    struct buf head;
    struct blob *tail;
    if (!gateway->alive || route < 0) return ERR_BUSY;
    struct sim_link *link = link_of(sim, gateway->at, route);
    assert(link->stands);
    buf_init(&head, MESSAGE_BYTES_MAX);
    tcp_codec_ask(&head, ask, &tail);
    send(&link->up, &head, tail);
    buf_fini(&head);
    return ERR_OK;
}

static struct sim_link *link_of_peer(struct sim *sim, int worker, uint32_t peer)
{
    for (int i = 0; i < sim->settings.gateways; i++) {
        struct sim_link *link = link_of(sim, i, worker);
        if (link->stands && link->peer == peer) return link;
    }
    return NULL;
}

static enum err send_tell(struct link_owner *base, uint32_t peer, const struct link_tell *tell)
{
    struct sim_worker *worker = (struct sim_worker *)(void *)((char *)base - offsetof(struct sim_worker, link));
    struct sim *sim = sim_current();
    struct link_tell told = *tell;
    struct buf head;
    struct blob *tail;
    if (!worker->alive) return ERR_BUSY;
    sim_judge_told(sim, worker->at, tell);
    struct sim_link *link = link_of_peer(sim, worker->at, peer);
    if (link == NULL) return ERR_BUSY;
    if (told.kind == LINK_UPDATE && sim_chance(sim, SIM_LINK, sim->settings.headless_percent)) told.frame = NULL; /* as one too long */
    buf_init(&head, MESSAGE_BYTES_MAX);
    tcp_codec_tell(&head, &told, &tail);
    send(&link->down, &head, tail);
    buf_fini(&head);
    return ERR_OK;
}

static void say_owns(struct sim_link *link, uint32_t partition, bool owned)
{
    struct buf head;
    buf_init(&head, 64);
    tcp_codec_owns(&head, partition, owned);
    send(&link->down, &head, NULL);
    buf_fini(&head);
}

static void owns(struct link_owner *base, uint32_t partition, bool owned)
{
    struct sim_worker *worker = (struct sim_worker *)(void *)((char *)base - offsetof(struct sim_worker, link));
    struct sim *sim = sim_current();
    if (!worker->alive) return;
    sim_trace(sim, "w%d      %s p%u", worker->at + 1, owned ? "owns" : "no longer owns", partition);
    for (int i = 0; i < sim->settings.gateways; i++) {
        struct sim_link *link = link_of(sim, i, worker->at);
        link->owned[partition] = owned;
        if (link->stands) say_owns(link, partition, owned);
    }
}

/* ---- arriving ---- */

/* The one that said last that it owns it. */
static void choose(struct sim *sim, int at, uint32_t partition)
{
    struct sim_gateway *gateway = &sim->gateways[at];
    int chosen = -1, route = gateway->routes[partition];
    for (int w = 0; w < sim->settings.workers; w++) {
        const struct sim_link *link = link_of(sim, at, w);
        if (!link->stands || link->said[partition] == 0) continue;
        if (chosen < 0 || link->said[partition] > link_of(sim, at, chosen)->said[partition]) chosen = w;
    }
    if (chosen == route) return;
    gateway->routes[partition] = -1;
    if (route >= 0) gateway->link.down(gateway->link.ctx, partition);
    gateway->routes[partition] = chosen;
    if (chosen >= 0) gateway->link.up(gateway->link.ctx, partition);
}

static void hear_owns(struct sim_link *link, uint32_t partition, bool owned)
{
    link->said[partition] = owned ? ++link->sim->sayings : 0;
    choose(link->sim, link->gateway, partition);
}

static void hear_tell(struct sim_link *link, struct span fields)
{
    struct sim_gateway *gateway = &link->sim->gateways[link->gateway];
    struct link_tell tell;
    arena_reset(&link->arena);
    enum err err = tcp_codec_read_tell(fields, &link->arena, &tell);
    assert(err == ERR_OK);
    gateway->link.told(gateway->link.ctx, &tell);
    blob_put(tell.frame);
}

static void hear_ask(struct sim_link *link, struct span fields)
{
    struct sim_worker *worker = &link->sim->workers[link->worker];
    struct link_ask ask;
    arena_reset(&link->arena);
    enum err err = tcp_codec_read_ask(fields, &link->arena, &ask);
    assert(err == ERR_OK);
    if (worker->link.asked != NULL) worker->link.asked(worker->link.ctx, link->peer, &ask);
    blob_put(ask.record);
    blob_put(ask.frame);
}

static void arrive(struct sim *sim, struct sim_event *event)
{
    struct sim_wire *wire = (struct sim_wire *)(void *)event;
    struct sim_link *link = wire->link;
    struct sim_message *message = wire->first;
    wire->first = message->next;
    if (wire->first == NULL) wire->end = &wire->first;
    else sim_queue_put(sim, &wire->event, wire->first->at_us, arrive);
    struct span fields = span_of(message->text + TCP_FRAME_HEAD_BYTES, message->bytes - TCP_FRAME_HEAD_BYTES);
    sim_mix_span(sim, fields);
    if (wire->to_worker) {
        hear_ask(link, fields);
    } else {
        uint32_t partition;
        bool owned;
        if (message->text[TCP_FRAME_HEAD_BYTES - 1] == TCP_TELL) hear_tell(link, fields);
        else if (tcp_codec_read_owns(fields, &partition, &owned) == ERR_OK) hear_owns(link, partition, owned);
        sim_gateway_touched(sim, link->gateway);
    }
    free(message);
}

/* ---- standing and falling ---- */

static void drop(struct sim_wire *wire)
{
    sim_queue_take(wire->link->sim, &wire->event);
    for (struct sim_message *message = wire->first, *next; message != NULL; message = next) {
        next = message->next;
        free(message);
    }
    wire->first = NULL;
    wire->end = &wire->first;
}

static void join(struct sim *sim, struct sim_event *event)
{
    struct sim_link *link = (struct sim_link *)(void *)((char *)event - offsetof(struct sim_link, join));
    struct sim_gateway *gateway = &sim->gateways[link->gateway];
    struct sim_worker *worker = &sim->workers[link->worker];
    if (link->stands || link->cut || !gateway->alive || !worker->alive) return;
    link->stands = true;
    link->peer = ++sim->next_peer;
    sim_trace(sim, "link    %s and w%d stand", gateway->name, worker->at + 1);
    worker->link.joined(worker->link.ctx, link->peer, span_text(gateway->name));
    for (uint32_t p = 0; p < sim->log.partitions; p++)
        if (link->owned[p]) say_owns(link, p, true);
}

static void seek(struct sim_link *link, int64_t in_us)
{
    if (!link->stands) sim_queue_put(link->sim, &link->join, link->sim->now_us + in_us, join);
}

/* Whatever end still lives is told. */
static void fall(struct sim_link *link)
{
    struct sim *sim = link->sim;
    struct sim_gateway *gateway = &sim->gateways[link->gateway];
    struct sim_worker *worker = &sim->workers[link->worker];
    if (!link->stands) return;
    link->stands = false;
    drop(&link->up);
    drop(&link->down);
    sim_trace(sim, "link    %s and w%d are parted", gateway->name, worker->at + 1);
    if (worker->alive) worker->link.left(worker->link.ctx, link->peer);
    memset(link->said, 0, sizeof link->said);
    if (!gateway->alive) return;
    for (uint32_t p = 0; p < sim->log.partitions; p++) choose(sim, link->gateway, p);
    sim_gateway_touched(sim, link->gateway);
}

void sim_link_cut(struct sim *sim, int gateway, int worker, bool cut)
{
    struct sim_link *link = link_of(sim, gateway, worker);
    link->cut = cut;
    if (cut) fall(link);
    else seek(link, REJOIN_US);
}

static void each(struct sim *sim, int gateway, int worker, void (*call)(struct sim_link *))
{
    for (int g = 0; g < sim->settings.gateways; g++)
        for (int w = 0; w < sim->settings.workers; w++)
            if ((gateway < 0 || g == gateway) && (worker < 0 || w == worker)) call(link_of(sim, g, w));
}

static void seek_soon(struct sim_link *link) { seek(link, sim_delay(link->sim, SIM_LINK, link->sim->settings.link)); }

static void forget_owned(struct sim_link *link)
{
    memset(link->owned, 0, sizeof link->owned);
    fall(link);
}

void sim_link_alive(struct sim *sim, int gateway, int worker) { each(sim, gateway, worker, seek_soon); }
void sim_link_dead(struct sim *sim, int gateway, int worker) { each(sim, gateway, worker, worker < 0 ? fall : forget_owned); }

/* ---- opening ---- */

void sim_link_open(struct sim *sim)
{
    for (int g = 0; g < SIM_GATEWAYS_MAX; g++) {
        for (int w = 0; w < SIM_WORKERS_MAX; w++) {
            struct sim_link *link = link_of(sim, g, w);
            *link = (struct sim_link){.sim = sim, .gateway = g, .worker = w, .up = {.to_worker = true}};
            link->up.link = link->down.link = link;
            link->up.end = &link->up.first;
            link->down.end = &link->down.first;
            arena_init(&link->arena, MESSAGE_BYTES_MAX);
        }
    }
}

void sim_link_fini(struct sim *sim)
{
    for (int g = 0; g < SIM_GATEWAYS_MAX; g++) {
        for (int w = 0; w < SIM_WORKERS_MAX; w++) {
            struct sim_link *link = link_of(sim, g, w);
            drop(&link->up);
            drop(&link->down);
            arena_fini(&link->arena);
        }
    }
}

void sim_link_gateway_end(struct sim *sim, int gateway, struct link_gateway *link)
{
    static const struct link_gateway_ops ops = {send_ask};
    *link = (struct link_gateway){.ops = &ops};
    for (int p = 0; p < SIM_PARTITIONS_MAX; p++) sim->gateways[gateway].routes[p] = -1;
}

void sim_link_worker_end(struct sim *sim, int worker, struct link_owner *link)
{
    static const struct link_owner_ops ops = {send_tell, owns};
    (void)sim;
    (void)worker;
    *link = (struct link_owner){.ops = &ops};
}
