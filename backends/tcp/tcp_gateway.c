#include "backends/tcp/tcp_gateway.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/tcp/tcp_address.h"
#include "backends/tcp/tcp_conn.h"
#include "core/hash.h"
#include "core/limits.h"

enum {
    FIND_MS = 100,           /* between questions to the directory about a partition that is down, doubling up to */
    FIND_MS_MAX = 2000,
    FIND_UP_MS = 5000,       /* and about one that is up */
    DIAL_MS = 100,           /* the first backoff's most */
    DIAL_MS_MAX = 5000,
    ARENA_BYTES_MAX = 67108864
};

/* A process that owns, or owned, or shall own some partitions. */
struct peer {
    struct peer *next;
    struct tcp_gateway *gateway;
    struct tcp_conn *conn;       /* NULL: none now */
    bool resolving;
    unsigned failures;           /* since it was last ready */
    uint64_t dial_ms;            /* not before */
    uv_getaddrinfo_t request;
    uint64_t *said;              /* by partition: when it said, in the order of all such sayings, that it owns it; 0: it does not */
    char address[];
};

struct route {
    struct peer *at;             /* up */
    struct peer *hint;           /* whom the directory names */
    bool finding;
    unsigned tries;              /* since it was last up */
    uint64_t find_ms;            /* not before */
};

struct tcp_gateway {
    struct link_gateway seam; /* first: the seam's struct leads back here */
    struct tcp_conns conns;
    struct directory *directory;
    uint32_t partitions;
    struct route *routes;
    struct peer *peers;
    uint64_t sayings;
    bool reached;                /* somebody has owned something here, ever */
    unsigned resolving;
    bool closing, conns_closed;
    uv_timer_t timer;
    bool timer_closed;
    struct buf head;
    struct arena arena;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

static struct tcp_gateway *self(struct link_gateway *seam) { return (struct tcp_gateway *)(void *)seam; }

/* ---- who has a partition ---- */

static bool says(const struct peer *peer, uint32_t partition)
{
    return peer != NULL && peer->conn != NULL && tcp_conn_is_ready(peer->conn) && peer->said[partition] != 0;
}

static struct peer *choose(const struct tcp_gateway *gateway, uint32_t partition)
{
    struct peer *best = NULL;
    if (says(gateway->routes[partition].hint, partition)) return gateway->routes[partition].hint;
    for (struct peer *peer = gateway->peers; peer != NULL; peer = peer->next)
        if (says(peer, partition) && (best == NULL || peer->said[partition] > best->said[partition])) best = peer;
    return best;
}

static void arm(struct tcp_gateway *gateway);

static void settle(struct tcp_gateway *gateway, uint32_t partition)
{
    struct route *route = &gateway->routes[partition];
    struct peer *chosen = choose(gateway, partition);
    if (chosen == route->at) return;
    bool was_up = route->at != NULL;
    route->at = NULL;
    if (was_up && gateway->seam.down != NULL) gateway->seam.down(gateway->seam.ctx, partition);
    route->at = chosen;
    gateway->reached = gateway->reached || chosen != NULL;
    route->tries = 0;
    route->find_ms = uv_now(gateway->conns.loop) + (chosen == NULL ? 0 : FIND_UP_MS);
    if (chosen != NULL && gateway->seam.up != NULL) gateway->seam.up(gateway->seam.ctx, partition);
    arm(gateway);
}

/* ---- connections ---- */

static void on_ready(struct tcp_conn *conn) { ((struct peer *)tcp_conn_peer(conn))->failures = 0; }

static void on_closed(struct tcp_conn *conn)
{
    struct peer *peer = tcp_conn_peer(conn);
    struct tcp_gateway *gateway = peer->gateway;
    uint64_t most_ms = DIAL_MS;
    for (unsigned i = 0; i < peer->failures && most_ms < DIAL_MS_MAX; i++) most_ms *= 2;
    peer->conn = NULL;
    peer->failures++;
    peer->dial_ms = uv_now(gateway->conns.loop) + tcp_key_chance(most_ms < DIAL_MS_MAX ? most_ms : DIAL_MS_MAX);
    memset(peer->said, 0, gateway->partitions * sizeof *peer->said);
    if (gateway->closing) return;
    for (uint32_t i = 0; i < gateway->partitions; i++)
        if (gateway->routes[i].at == peer) settle(gateway, i);
    arm(gateway);
}

static bool take_owns(struct peer *peer, struct span fields)
{
    struct tcp_gateway *gateway = peer->gateway;
    uint32_t partition;
    bool owned;
    if (tcp_codec_read_owns(fields, &partition, &owned) != ERR_OK || partition >= gateway->partitions) return false;
    /* Said again means begun again: whoever was asked or told before is to be asked and told anew. */
    if (peer->said[partition] != 0) {
        peer->said[partition] = 0;
        settle(gateway, partition);
    }
    peer->said[partition] = owned ? ++gateway->sayings : 0;
    settle(gateway, partition);
    return true;
}

static bool on_frame(struct tcp_conn *conn, enum tcp_frame kind, struct span fields)
{
    struct peer *peer = tcp_conn_peer(conn);
    struct tcp_gateway *gateway = peer->gateway;
    struct link_tell tell;
    if (kind == TCP_OWNS) return take_owns(peer, fields);
    arena_reset(&gateway->arena);
    if (kind != TCP_TELL || tcp_codec_read_tell(fields, &gateway->arena, &tell) != ERR_OK) return false;
    if (gateway->seam.told != NULL) gateway->seam.told(gateway->seam.ctx, &tell);
    blob_put(tell.frame);
    return true;
}

static const struct tcp_conn_ops conn_ops = {on_ready, on_frame, on_closed};

static void dial_failed(struct peer *peer)
{
    peer->failures++;
    peer->dial_ms = uv_now(peer->gateway->conns.loop) + DIAL_MS_MAX / 2 + tcp_key_chance(DIAL_MS_MAX / 2);
    arm(peer->gateway);
}

static void dial_address(struct peer *peer, const struct sockaddr *address)
{
    peer->conn = tcp_conn_dial(&peer->gateway->conns, address, peer->address, peer);
    if (peer->conn == NULL) dial_failed(peer);
}

static void finish(struct tcp_gateway *gateway);

/* A name may have several addresses: each try takes the next. */
static const struct addrinfo *one_of(const struct addrinfo *info, unsigned at)
{
    unsigned count = 0;
    for (const struct addrinfo *next = info; next != NULL; next = next->ai_next) count++;
    for (at %= count; at > 0; at--) info = info->ai_next;
    return info;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
    struct peer *peer = request->data;
    struct tcp_gateway *gateway = peer->gateway;
    peer->resolving = false;
    gateway->resolving--;
    if (gateway->closing) {
        finish(gateway);
    } else if (status < 0 || info == NULL) {
        log_line(LOG_WARN_LEVEL, "link_refused", "peer=%s why=\"%s\"", peer->address, uv_strerror(status));
        dial_failed(peer);
    } else {
        dial_address(peer, one_of(info, peer->failures)->ai_addr);
    }
    uv_freeaddrinfo(info);
}

static void dial(struct peer *peer)
{
    char host[TCP_HOST_BYTES_MAX], port[TCP_PORT_BYTES_MAX];
    struct sockaddr_storage address;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (!tcp_address_split(peer->address, host, port)) {
        log_line(LOG_WARN_LEVEL, "link_refused", "peer=%s why=\"not an address\"", peer->address);
        dial_failed(peer);
    } else if (tcp_address_numeric(host, port, &address)) {
        dial_address(peer, (const struct sockaddr *)&address);
    } else {
        peer->request.data = peer;
        peer->resolving = uv_getaddrinfo(peer->gateway->conns.loop, &peer->request, on_resolved, host, port, &hints) == 0;
        if (peer->resolving) peer->gateway->resolving++;
        else dial_failed(peer);
    }
}

/* ---- the directory ---- */

static struct peer *peer_of(struct tcp_gateway *gateway, struct span address)
{
    for (struct peer *peer = gateway->peers; peer != NULL; peer = peer->next)
        if (span_is(address, peer->address)) return peer;
    struct peer *peer = calloc(1, sizeof *peer + address.bytes + 1);
    if (peer == NULL) return NULL;
    peer->said = calloc(gateway->partitions, sizeof *peer->said);
    if (peer->said == NULL) {
        free(peer);
        return NULL;
    }
    memcpy(peer->address, address.at, address.bytes);
    peer->gateway = gateway;
    peer->next = gateway->peers;
    gateway->peers = peer;
    return peer;
}

static void on_found(void *ctx, enum err err, uint32_t partition, struct span address)
{
    struct tcp_gateway *gateway = ctx;
    struct route *route = &gateway->routes[partition];
    route->finding = false;
    if (err == ERR_OK && address.bytes <= DIRECTORY_ADDRESS_BYTES_MAX) {
        route->hint = address.bytes == 0 ? NULL : peer_of(gateway, address);
        settle(gateway, partition);
    }
    arm(gateway);
}

static void find(struct tcp_gateway *gateway, uint32_t partition)
{
    struct route *route = &gateway->routes[partition];
    uint64_t wait_ms = FIND_UP_MS;
    if (route->at == NULL) {
        wait_ms = FIND_MS;
        for (unsigned i = 0; i < route->tries && wait_ms < FIND_MS_MAX; i++) wait_ms *= 2;
        if (wait_ms < FIND_MS_MAX) route->tries++;
        else wait_ms = FIND_MS_MAX;
    }
    route->finding = true;
    route->find_ms = uv_now(gateway->conns.loop) + wait_ms / 2 + tcp_key_chance(wait_ms / 2);
    gateway->directory->ops->find(gateway->directory, partition, gateway, on_found);
}

static void on_changed(void *ctx, uint32_t partition)
{
    struct tcp_gateway *gateway = ctx;
    if (gateway->closing || partition >= gateway->partitions) return;
    gateway->routes[partition].tries = 0;
    gateway->routes[partition].find_ms = 0;
    arm(gateway);
}

/* ---- what is due ---- */

static bool is_named(const struct tcp_gateway *gateway, const struct peer *peer)
{
    for (uint32_t i = 0; i < gateway->partitions; i++)
        if (gateway->routes[i].hint == peer) return true;
    return false;
}

static void free_peer(struct peer *peer)
{
    free(peer->said);
    free(peer);
}

static void forget_peers(struct tcp_gateway *gateway)
{
    for (struct peer **at = &gateway->peers; *at != NULL;) {
        struct peer *peer = *at;
        if (peer->conn != NULL || peer->resolving || is_named(gateway, peer)) {
            at = &peer->next;
            continue;
        }
        *at = peer->next;
        free_peer(peer);
    }
}

static bool wants_dial(const struct peer *peer) { return peer->conn == NULL && !peer->resolving; }

static void on_timer(uv_timer_t *timer)
{
    struct tcp_gateway *gateway = timer->data;
    uint64_t now_ms = uv_now(timer->loop);
    for (uint32_t i = 0; i < gateway->partitions; i++)
        if (!gateway->routes[i].finding && gateway->routes[i].find_ms <= now_ms) find(gateway, i);
    forget_peers(gateway);
    for (struct peer *peer = gateway->peers; peer != NULL; peer = peer->next)
        if (wants_dial(peer) && peer->dial_ms <= now_ms) dial(peer);
    arm(gateway);
}

static void arm(struct tcp_gateway *gateway)
{
    uint64_t now_ms = uv_now(gateway->conns.loop), due_ms = now_ms + FIND_UP_MS;
    if (gateway->closing) return;
    for (uint32_t i = 0; i < gateway->partitions; i++)
        if (!gateway->routes[i].finding && gateway->routes[i].find_ms < due_ms) due_ms = gateway->routes[i].find_ms;
    for (struct peer *peer = gateway->peers; peer != NULL; peer = peer->next)
        if (wants_dial(peer) && peer->dial_ms < due_ms) due_ms = peer->dial_ms;
    uv_timer_start(&gateway->timer, on_timer, due_ms <= now_ms ? 0 : due_ms - now_ms, 0);
}

/* ---- the seam ---- */

/* What may be answered ERR_BUSY, because it is asked again or was not worth much; the rest is told once, and must arrive. */
static bool may_wait(enum link_ask_kind kind)
{
    return kind == LINK_PULL || kind == LINK_HISTORY || kind == LINK_CONFLICTS || kind == LINK_WHO || kind == LINK_OUTCOME || kind == LINK_SIGNAL;
}

static enum err send_ask(struct link_gateway *seam, const struct link_ask *ask)
{
    struct tcp_gateway *gateway = self(seam);
    struct peer *peer = gateway->routes[hash_partition(ask->space, gateway->partitions)].at;
    struct blob *tail;
    if (gateway->closing || peer == NULL || peer->conn == NULL || !tcp_conn_is_ready(peer->conn)) return ERR_BUSY;
    size_t unsent = tcp_conn_unsent(peer->conn);
    if (unsent > LIMIT_LINK_ASKS_BYTES && may_wait(ask->kind)) return ERR_BUSY;
    if (unsent > LIMIT_LINK_QUEUE_BYTES) {
        tcp_conn_cut(peer->conn, LOG_WARN_LEVEL, "more waits to be sent than may");
        return ERR_BUSY;
    }
    buf_reset(&gateway->head);
    tcp_codec_ask(&gateway->head, ask, &tail);
    if (!buf_ok(&gateway->head)) return ERR_MEMORY;
    return tcp_conn_send(peer->conn, buf_span(&gateway->head), tail, false) ? ERR_OK : ERR_BUSY;
}

static const struct link_gateway_ops gateway_ops = {send_ask};

/* ---- opening and closing ---- */

enum err tcp_gateway_open(const struct tcp_gateway_options *options, struct tcp_gateway **ret_gateway)
{
    struct tcp_gateway *gateway = calloc(1, sizeof *gateway);
    struct route *routes = calloc(options->partitions, sizeof *routes);
    if (gateway == NULL || routes == NULL) {
        free(gateway);
        free(routes);
        return ERR_MEMORY;
    }
    assert(strlen(options->name) <= TCP_NAME_BYTES_MAX && strlen(options->log) <= TCP_LOG_BYTES_MAX);
    gateway->seam.ops = &gateway_ops;
    gateway->partitions = options->partitions;
    gateway->routes = routes;
    gateway->directory = options->directory;
    gateway->directory->ctx = gateway;
    gateway->directory->changed = on_changed;
    gateway->conns = (struct tcp_conns){.loop = options->loop, .ops = &conn_ops, .ctx = gateway, .later_bytes_max = LIMIT_LINK_PAGES_BYTES,
                                        .heartbeat_ms = options->heartbeat_ms == 0 ? TCP_HEARTBEAT_MS : options->heartbeat_ms};
    struct tcp_hello *hello = &gateway->conns.hello;
    *hello = (struct tcp_hello){.least = TCP_VERSION, .most = TCP_VERSION, .role = TCP_GATEWAY, .partitions = options->partitions};
    hello->name_bytes = strlen(options->name);
    snprintf(hello->name, sizeof hello->name, "%s", options->name);
    snprintf(hello->log, sizeof hello->log, "%s", options->log);
    if (options->key != NULL) gateway->conns.key = *options->key;
    buf_init(&gateway->head, LIMIT_LINK_FRAME_BYTES);
    arena_init(&gateway->arena, ARENA_BYTES_MAX);
    tcp_conns_open(&gateway->conns);
    uv_timer_init(options->loop, &gateway->timer);
    gateway->timer.data = gateway;
    arm(gateway);
    *ret_gateway = gateway;
    return ERR_OK;
}

static void finish(struct tcp_gateway *gateway)
{
    if (!gateway->conns_closed || !gateway->timer_closed || gateway->resolving != 0) return;
    void *ctx = gateway->closed_ctx;
    void (*closed)(void *) = gateway->closed;
    for (struct peer *peer = gateway->peers, *next; peer != NULL; peer = next) {
        next = peer->next;
        free_peer(peer);
    }
    buf_fini(&gateway->head);
    arena_fini(&gateway->arena);
    free(gateway->routes);
    free(gateway);
    if (closed != NULL) closed(ctx);
}

static void on_conns_closed(void *ctx)
{
    struct tcp_gateway *gateway = ctx;
    gateway->conns_closed = true;
    finish(gateway);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct tcp_gateway *gateway = handle->data;
    gateway->timer_closed = true;
    finish(gateway);
}

void tcp_gateway_close(struct tcp_gateway *gateway, void *ctx, void (*closed)(void *ctx))
{
    assert(!gateway->closing);
    gateway->closing = true;
    gateway->closed_ctx = ctx;
    gateway->closed = closed;
    gateway->directory->changed = NULL;
    gateway->directory->ops->forget(gateway->directory, gateway);
    for (struct peer *peer = gateway->peers; peer != NULL; peer = peer->next)
        if (peer->resolving) (void)uv_cancel((uv_req_t *)&peer->request);
    tcp_conns_close(&gateway->conns, gateway, on_conns_closed);
    uv_close((uv_handle_t *)&gateway->timer, on_timer_closed);
}

struct link_gateway *tcp_gateway_seam(struct tcp_gateway *gateway) { return &gateway->seam; }
const struct tcp_counters *tcp_gateway_counters(const struct tcp_gateway *gateway) { return &gateway->conns.counters; }
bool tcp_gateway_reached(const struct tcp_gateway *gateway) { return gateway->reached; }
