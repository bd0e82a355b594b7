/* A gateway's process: its ticks and turns, its start and its end; and the registry, a table that may be emptied. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/map.h"
#include "tests/sim/sim.h"

enum { TICK_US = 250000, TURN_US = 100 };

static void turn(struct sim *sim, struct sim_event *event)
{
    struct sim_gateway *gateway = (struct sim_gateway *)(void *)((char *)event - offsetof(struct sim_gateway, turn));
    for (int round = 0; hub_has_work(gateway->hub); round++) {
        if (round == 100) {
            sim_fail(sim, "%s has work for ever", gateway->name);
            return;
        }
        hub_turn_end(gateway->hub, sim_now_ms(sim));
    }
}

void sim_gateway_touched(struct sim *sim, int at)
{
    struct sim_gateway *gateway = &sim->gateways[at];
    if (gateway->alive && gateway->turn.heap_at == 0) sim_queue_put(sim, &gateway->turn, sim->now_us + TURN_US, turn);
}

static void tick(struct sim *sim, struct sim_event *event)
{
    struct sim_gateway *gateway = (struct sim_gateway *)(void *)((char *)event - offsetof(struct sim_gateway, tick));
    hub_tick(gateway->hub, sim_now_ms(sim));
    sim_gateway_touched(sim, gateway->at);
    sim_queue_put(sim, event, sim->now_us + TICK_US, tick);
}

/* Tokens are users' names. */
static enum err verify(void *ctx, struct span token, struct hub_credentials *ret_credentials)
{
    (void)ctx;
    if (token.bytes == 0 || token.bytes >= sizeof ret_credentials->user) return ERR_UNAUTHENTICATED;
    *ret_credentials = (struct hub_credentials){.user_bytes = token.bytes, .expires_ms = INT64_MAX};
    memcpy(ret_credentials->user, token.at, token.bytes);
    return ERR_OK;
}

void sim_gateway_start(struct sim *sim, int at)
{
    struct sim_gateway *gateway = &sim->gateways[at];
    if (gateway->alive) return;
    gateway->at = at;
    gateway->alive = true;
    snprintf(gateway->name, sizeof gateway->name, "%s%d", sim->settings.serve ? "local" : "g", at + 1);
    sim_trace(sim, "%-7s starts", gateway->name);
    sim_writer_open(sim, &gateway->writer);
    sim_link_gateway_end(sim, at, &gateway->link);
    struct hub_options options = {.edge = &sim_edge_ops, .writer = &gateway->writer.base, .link = &gateway->link,
                                  .registry = &gateway->registry, .name = gateway->name, .heartbeat_ms = 25000, .verify = verify};
    enum err err = hub_open(&options, &gateway->hub);
    assert(err == ERR_OK);
    sim_queue_put(sim, &gateway->tick, sim->now_us + TICK_US, tick);
    sim_link_alive(sim, at, -1);
}

void sim_gateway_kill(struct sim *sim, int at)
{
    struct sim_gateway *gateway = &sim->gateways[at];
    if (!gateway->alive) return;
    sim_trace(sim, "%-7s is killed", gateway->name);
    gateway->alive = false;
    sim_writer_kill(&gateway->writer);
    sim_link_dead(sim, at, -1);
    sim_edge_gateway_died(sim, at);
    sim_queue_take(sim, &gateway->tick);
    sim_queue_take(sim, &gateway->turn);
    sim_http_gateway_dies(sim, at);
    hub_close(gateway->hub);
    gateway->hub = NULL;
    sim_registry_forget(sim, at);
}

/* ---- the registry ---- */

struct holder {
    struct holder *next;
    char device[2 * SIM_NAME_BYTES]; /* user/device */
    int gateway;
    uint64_t session;
    struct sim_event displaced;      /* its gateway is about to be told */
};

static struct sim_gateway *gateway_of(struct registry *r)
{
    return (struct sim_gateway *)(void *)((char *)r - offsetof(struct sim_gateway, registry));
}

static struct holder **find_holder(struct sim *sim, struct span user, struct span device)
{
    char name[2 * SIM_NAME_BYTES];
    struct holder **at = (struct holder **)(void *)&sim->registry;
    snprintf(name, sizeof name, "%.*s/%.*s", (int)user.bytes, user.at, (int)device.bytes, device.at);
    while (*at != NULL && strcmp((*at)->device, name) != 0) at = &(*at)->next;
    return at;
}

static void set_presence(struct registry *r, struct span user, struct span device, uint64_t session, enum presence_state state, int64_t now_ms)
{
    (void)r, (void)user, (void)device, (void)session, (void)state, (void)now_ms;
}

static void get_user(struct registry *r, struct span user, void *ctx, void (*told)(void *ctx, enum err err, const struct registry_user *user))
{
    struct registry_user nobody = {.state = PRESENCE_OFFLINE};
    (void)r, (void)user;
    told(ctx, sim_current()->registry_down ? ERR_BUSY : ERR_OK, &nobody);
}

static void tell_displaced(struct sim *sim, struct sim_event *event)
{
    struct holder *holder = (struct holder *)(void *)((char *)event - offsetof(struct holder, displaced));
    struct sim_gateway *gateway = &sim->gateways[holder->gateway];
    if (gateway->alive) {
        gateway->registry.displaced(gateway->registry.ctx, holder->session);
        sim_gateway_touched(sim, gateway->at);
    }
    free(holder);
}

static void claim_device(struct registry *r, struct span user, struct span device, uint64_t session)
{
    struct sim *sim = sim_current();
    struct holder **at = find_holder(sim, user, device), *older = *at;
    if (sim->registry_down || !gateway_of(r)->alive) return;
    struct holder *holder = calloc(1, sizeof *holder);
    assert(holder != NULL);
    *holder = (struct holder){.gateway = gateway_of(r)->at, .session = session, .next = older == NULL ? NULL : older->next};
    snprintf(holder->device, sizeof holder->device, "%.*s/%.*s", (int)user.bytes, user.at, (int)device.bytes, device.at);
    *at = holder;
    if (older == NULL) return;
    sim_queue_put(sim, &older->displaced, sim->now_us + sim_delay(sim, SIM_LINK, sim->settings.link), tell_displaced);
}

static void release_device(struct registry *r, struct span user, struct span device, uint64_t session)
{
    struct sim *sim = sim_current();
    struct holder **at = find_holder(sim, user, device), *holder = *at;
    if (sim->registry_down || holder == NULL || holder->session != session || holder->gateway != gateway_of(r)->at) return;
    *at = holder->next;
    free(holder);
}

static void put_offset(struct registry *r, struct span user, struct span device, struct span space, uint64_t place, struct span cursor, int64_t now_ms)
{
    (void)r, (void)user, (void)device, (void)space, (void)place, (void)cursor, (void)now_ms;
}

static void get_offsets(struct registry *r, struct span user, struct span device, void *ctx,
                        void (*told)(void *ctx, enum err err, const struct registry_offset *offsets, size_t count))
{
    (void)r, (void)user, (void)device;
    told(ctx, ERR_OK, NULL, 0);
}

static void forget(struct registry *r, void *ctx)
{
    (void)r, (void)ctx; /* every answer was told at once */
}

void sim_registry_open(struct sim *sim, int gateway, struct registry *registry)
{
    static const struct registry_ops ops = {set_presence, get_user, claim_device, release_device, put_offset, get_offsets, forget};
    (void)sim;
    (void)gateway;
    *registry = (struct registry){.ops = &ops};
}

static void drop_holders(struct sim *sim, int gateway)
{
    struct holder **at = (struct holder **)(void *)&sim->registry;
    while (*at != NULL) {
        struct holder *holder = *at;
        if (gateway >= 0 && holder->gateway != gateway) {
            at = &holder->next;
            continue;
        }
        *at = holder->next;
        free(holder);
    }
}

void sim_registry_empty(struct sim *sim) { drop_holders(sim, -1); }
void sim_registry_forget(struct sim *sim, int gateway) { drop_holders(sim, gateway); }
void sim_registry_fini(struct sim *sim) { drop_holders(sim, -1); }
