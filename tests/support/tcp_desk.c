#include "tests/support/tcp_desk.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

static void on_asked(void *ctx, uint32_t peer, const struct link_ask *ask)
{
    struct desk_owner *owner = ctx;
    assert(peer == owner->peer || owner->joined > 1);
    if (ask->tag != 0) {
        if (ask->tag != owner->last_tag + 1) owner->in_order = false;
        owner->last_tag = ask->tag;
    }
    owner->asked++;
    if (!owner->answering) return;
    struct link_tell tell = {.kind = LINK_PRESENCE_FRAME, .space = ask->space, .session = ask->tag, .frame = blob_make(ask->space)};
    (void)owner->link->ops->send(owner->link, peer, &tell);
    blob_put(tell.frame);
}

static void on_joined(void *ctx, uint32_t peer, struct span name)
{
    struct desk_owner *owner = ctx;
    owner->peer = peer;
    owner->joined++;
    snprintf(owner->name, sizeof owner->name, "%.*s", (int)name.bytes, name.at);
}

static void on_left(void *ctx, uint32_t peer)
{
    (void)peer;
    ((struct desk_owner *)ctx)->left++;
}

static void on_told(void *ctx, const struct link_tell *tell)
{
    struct desk_gateway *gateway = ctx;
    if (tell->kind == LINK_PRESENCE_FRAME) {
        if (tell->session != gateway->last_tag + 1) gateway->in_order = false;
        gateway->last_tag = tell->session;
    }
    gateway->told++;
    gateway->last_kind = tell->kind;
    gateway->bytes += tell->frame == NULL ? 0 : tell->frame->bytes;
}

static void on_up(void *ctx, uint32_t partition)
{
    struct desk_gateway *gateway = ctx;
    assert(!gateway->up[partition]);
    gateway->up[partition] = true;
    gateway->ups++;
}

static void on_down(void *ctx, uint32_t partition)
{
    struct desk_gateway *gateway = ctx;
    assert(gateway->up[partition]);
    gateway->up[partition] = false;
    gateway->downs++;
}

int tcp_desk_setup(void **state)
{
    struct tcp_desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) return -1;
    signal(SIGPIPE, SIG_IGN); /* as main() does */
    uv_loop_init(&desk->loop);
    directory_desk_init(&desk->directory);
    desk->key.bytes = sizeof DESK_KEY - 1;
    memcpy(desk->key.secret, DESK_KEY, desk->key.bytes);
    *state = desk;
    return 0;
}

static void on_closed(void *ctx) { (*(size_t *)ctx)++; }
static bool is_closed(void *ctx) { return *(size_t *)ctx == 1; }

void tcp_desk_close_owner(struct tcp_desk *desk, struct desk_owner *owner)
{
    owner->closed = 0;
    tcp_owner_close(owner->tcp, &owner->closed, on_closed);
    owner->tcp = NULL;
    bool closed = rig_until(&desk->loop, is_closed, &owner->closed, DESK_WAIT_MS);
    assert(closed);
}

void tcp_desk_close_gateway(struct tcp_desk *desk, struct desk_gateway *gateway)
{
    gateway->closed = 0;
    tcp_gateway_close(gateway->tcp, &gateway->closed, on_closed);
    gateway->tcp = NULL;
    bool closed = rig_until(&desk->loop, is_closed, &gateway->closed, DESK_WAIT_MS);
    assert(closed);
}

int tcp_desk_teardown(void **state)
{
    struct tcp_desk *desk = *state;
    for (int i = 0; i < 2; i++) {
        if (desk->gateways[i].tcp != NULL) tcp_desk_close_gateway(desk, &desk->gateways[i]);
        if (desk->owners[i].tcp != NULL) tcp_desk_close_owner(desk, &desk->owners[i]);
    }
    rig_loop_close(&desk->loop);
    free(desk);
    return 0;
}

struct desk_owner *tcp_desk_owner(struct tcp_desk *desk, int at, const struct tcp_key *key)
{
    struct desk_owner *owner = &desk->owners[at];
    char why[256];
    struct tcp_owner_options options = {.loop = &desk->loop, .name = at == 0 ? "worker-0" : "worker-1", .log = DESK_LOG, .partitions = DESK_PARTITIONS,
                                        .key = key, .directory = &desk->directory.seam, .heartbeat_ms = DESK_HEARTBEAT_MS};
    *owner = (struct desk_owner){.in_order = true};
    enum err err = tcp_owner_open(&options, &owner->tcp, why, sizeof why);
    assert(err == ERR_OK);
    owner->link = tcp_owner_seam(owner->tcp);
    owner->link->ctx = owner;
    owner->link->asked = on_asked;
    owner->link->joined = on_joined;
    owner->link->left = on_left;
    return owner;
}

struct desk_gateway *tcp_desk_gateway(struct tcp_desk *desk, int at, const struct tcp_key *key, const char *log)
{
    struct desk_gateway *gateway = &desk->gateways[at];
    struct tcp_gateway_options options = {.loop = &desk->loop, .name = at == 0 ? "gate-0" : "gate-1", .log = log, .partitions = DESK_PARTITIONS,
                                          .key = key, .directory = &desk->directory.seam, .heartbeat_ms = DESK_HEARTBEAT_MS};
    *gateway = (struct desk_gateway){.in_order = true};
    enum err err = tcp_gateway_open(&options, &gateway->tcp);
    assert(err == ERR_OK);
    gateway->link = tcp_gateway_seam(gateway->tcp);
    gateway->link->ctx = gateway;
    gateway->link->told = on_told;
    gateway->link->up = on_up;
    gateway->link->down = on_down;
    return gateway;
}

bool tcp_desk_until(struct tcp_desk *desk, bool (*holds)(void *ctx), void *ctx) { return rig_until(&desk->loop, holds, ctx, DESK_WAIT_MS); }

const char *tcp_desk_space(uint32_t partition)
{
    static char name[32];
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof name, "chat:%u", i);
        if (hash_partition(span_text(name), DESK_PARTITIONS) == partition) return name;
    }
}
