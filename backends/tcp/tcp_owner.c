#include "backends/tcp/tcp_owner.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/tcp/tcp_address.h"
#include "backends/tcp/tcp_conn.h"
#include "core/limits.h"

enum { BACKLOG = 128, ARENA_BYTES_MAX = 67108864, GENERATIONS = 4194304 };
_Static_assert((uint64_t)LIMIT_LINK_GATEWAYS * GENERATIONS - 1 <= UINT32_MAX, "a peer's id has 32 bits");

/* A gateway's connection. Its id is the slot and how often that was given out, so that an old id leads to nobody. */
struct guest {
    struct tcp_conn *conn; /* NULL: free */
    uint32_t generation;
    bool joined;
};

struct tcp_owner {
    struct link_owner seam; /* first: the seam's struct leads back here */
    struct tcp_conns conns;
    struct directory *directory;
    uv_tcp_t listener;
    bool closing, conns_closed, listener_closed;
    bool *owned;
    char address[DIRECTORY_ADDRESS_BYTES_MAX + 1];
    struct buf head;
    struct arena arena;
    void *closed_ctx;
    void (*closed)(void *ctx);
    struct guest guests[LIMIT_LINK_GATEWAYS];
};

static struct tcp_owner *self(struct link_owner *seam) { return (struct tcp_owner *)(void *)seam; }

static uint32_t id_of(const struct tcp_owner *owner, const struct guest *guest)
{
    return guest->generation * LIMIT_LINK_GATEWAYS + (uint32_t)(guest - owner->guests);
}

/* ---- connections ---- */

static void say_owns(struct tcp_owner *owner, struct tcp_conn *conn, uint32_t partition, bool owned)
{
    buf_reset(&owner->head);
    tcp_codec_owns(&owner->head, partition, owned);
    if (buf_ok(&owner->head)) (void)tcp_conn_send(conn, buf_span(&owner->head), NULL, false);
    else tcp_conn_cut(conn, LOG_ERROR_LEVEL, "out of memory");
}

static void on_ready(struct tcp_conn *conn)
{
    struct tcp_owner *owner = tcp_conn_all(conn)->ctx;
    struct guest *guest = tcp_conn_peer(conn);
    guest->joined = true;
    /* What the owner says on joining comes before anything is asked: first what is in force, then what is owned. */
    if (owner->seam.joined != NULL) owner->seam.joined(owner->seam.ctx, id_of(owner, guest), tcp_conn_name(conn));
    for (uint32_t i = 0; i < owner->conns.hello.partitions; i++)
        if (owner->owned[i]) say_owns(owner, conn, i, true);
}

static bool on_frame(struct tcp_conn *conn, enum tcp_frame kind, struct span fields)
{
    struct tcp_owner *owner = tcp_conn_all(conn)->ctx;
    const struct guest *guest = tcp_conn_peer(conn);
    struct link_ask ask;
    arena_reset(&owner->arena);
    if (kind != TCP_ASK || tcp_codec_read_ask(fields, &owner->arena, &ask) != ERR_OK) return false;
    if (owner->seam.asked != NULL) owner->seam.asked(owner->seam.ctx, id_of(owner, guest), &ask);
    blob_put(ask.record);
    blob_put(ask.frame);
    return true;
}

static void on_closed(struct tcp_conn *conn)
{
    struct tcp_owner *owner = tcp_conn_all(conn)->ctx;
    struct guest *guest = tcp_conn_peer(conn);
    uint32_t id = id_of(owner, guest);
    bool joined = guest->joined;
    guest->conn = NULL;
    guest->joined = false;
    guest->generation = (guest->generation + 1) % GENERATIONS;
    if (joined && owner->seam.left != NULL) owner->seam.left(owner->seam.ctx, id);
}

static const struct tcp_conn_ops conn_ops = {on_ready, on_frame, on_closed};

static void on_refused_closed(uv_handle_t *handle) { free(handle); }

/* Accepted and closed at once: left in the backlog it would wait for ever. */
static void turn_away(struct tcp_owner *owner)
{
    uv_tcp_t *socket = malloc(sizeof *socket);
    if (socket == NULL) return;
    uv_tcp_init(owner->conns.loop, socket);
    (void)uv_accept((uv_stream_t *)&owner->listener, (uv_stream_t *)socket);
    log_line(LOG_WARN_LEVEL, "link_refused", "why=\"%s\"", tcp_hello_refusal_text(TCP_REFUSED_FULL));
    owner->conns.counters.refused++;
    uv_close((uv_handle_t *)socket, on_refused_closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct tcp_owner *owner = listener->data;
    struct guest *guest = owner->guests;
    if (status < 0) {
        log_line(LOG_WARN_LEVEL, "link_refused", "why=\"%s\"", uv_strerror(status));
        return;
    }
    while (guest < owner->guests + LIMIT_LINK_GATEWAYS && guest->conn != NULL) guest++;
    if (guest == owner->guests + LIMIT_LINK_GATEWAYS) {
        turn_away(owner);
        return;
    }
    guest->conn = tcp_conn_accept(&owner->conns, listener, guest);
    if (guest->conn == NULL) turn_away(owner);
}

/* ---- the seam ---- */

static enum err send_tell(struct link_owner *seam, uint32_t peer, const struct link_tell *tell)
{
    struct tcp_owner *owner = self(seam);
    struct guest *guest = &owner->guests[peer % LIMIT_LINK_GATEWAYS];
    struct blob *tail;
    bool later = tell->kind == LINK_PAGE || tell->kind == LINK_BODY;
    if (guest->conn == NULL || guest->generation != peer / LIMIT_LINK_GATEWAYS || !tcp_conn_is_ready(guest->conn)) return ERR_BUSY;
    if (!later && tcp_conn_unsent(guest->conn) > LIMIT_LINK_TELLS_BYTES) {
        tcp_conn_cut(guest->conn, LOG_WARN_LEVEL, "more waits to be sent than may");
        return ERR_BUSY;
    }
    buf_reset(&owner->head);
    tcp_codec_tell(&owner->head, tell, &tail);
    bool fits = buf_ok(&owner->head) && owner->head.bytes + (tail == NULL ? 0 : tail->bytes) <= LIMIT_LINK_FRAME_BYTES;
    if (!fits && later && tell->err == ERR_OK) {
        struct link_tell refusal = {.kind = tell->kind, .space = tell->space, .tag = tell->tag, .err = ERR_TOO_LARGE};
        return send_tell(seam, peer, &refusal);
    }
    if (!fits) return ERR_TOO_LARGE;
    return tcp_conn_send(guest->conn, buf_span(&owner->head), tail, later) ? ERR_OK : ERR_BUSY;
}

static void owns(struct link_owner *seam, uint32_t partition, bool owned)
{
    struct tcp_owner *owner = self(seam);
    struct directory *directory = owner->directory;
    assert(partition < owner->conns.hello.partitions);
    owner->owned[partition] = owned;
    for (struct guest *guest = owner->guests; guest < owner->guests + LIMIT_LINK_GATEWAYS; guest++)
        if (guest->joined) say_owns(owner, guest->conn, partition, owned);
    if (directory == NULL || owner->closing) return;
    if (owned) directory->ops->put(directory, partition, span_text(owner->address));
    else directory->ops->withdraw(directory, partition, span_text(owner->address));
}

static const struct link_owner_ops owner_ops = {send_tell, owns};

/* ---- opening and closing ---- */

static void on_listener_closed(uv_handle_t *handle);

/* Tried on a socket of its own: libuv's handle stays with the family that it was first bound to. */
static bool is_of_this_machine(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool there = fd >= 0 && (bind(fd, info->ai_addr, info->ai_addrlen) == 0 || errno != EADDRNOTAVAIL);
    if (fd >= 0) close(fd);
    return there;
}

/* On the first of the name's addresses that this machine has. */
static int bind_to(struct tcp_owner *owner, const struct addrinfo *info)
{
    while (info != NULL && !is_of_this_machine(info)) info = info->ai_next;
    if (info == NULL) return UV_EADDRNOTAVAIL;
    if (owner->conns.key.bytes == 0 && !tcp_address_is_loopback(info->ai_addr)) return UV_EACCES;
    int code = uv_tcp_bind(&owner->listener, info->ai_addr, 0);
    return code == 0 ? uv_listen((uv_stream_t *)&owner->listener, BACKLOG, on_connection) : code;
}

static enum err listen_on(struct tcp_owner *owner, const char *address, char *why, size_t why_bytes)
{
    char host[TCP_HOST_BYTES_MAX], port[TCP_PORT_BYTES_MAX];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *info = NULL;
    struct sockaddr_storage bound = {0};
    int bytes = sizeof bound;
    if (!tcp_address_split(address, host, port)) {
        snprintf(why, why_bytes, "%.200s: host:port is wanted, or [v6]:port", address);
        return ERR_CONFIG;
    }
    int code = getaddrinfo(host, port, &hints, &info);
    if (code != 0) {
        snprintf(why, why_bytes, "%.200s: %s", address, gai_strerror(code));
        return ERR_CONFIG;
    }
    code = bind_to(owner, info);
    freeaddrinfo(info);
    if (code == 0) code = uv_tcp_getsockname(&owner->listener, (struct sockaddr *)&bound, &bytes);
    if (code != 0) {
        snprintf(why, why_bytes, "%.200s: %s", address,
                 code == UV_EACCES && owner->conns.key.bytes == 0 ? "without --link-key only a loopback address is listened on" : uv_strerror(code));
        return ERR_CONFIG;
    }
    unsigned number = ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)(void *)&bound)->sin_port : ((struct sockaddr_in6 *)(void *)&bound)->sin6_port);
    snprintf(owner->address, sizeof owner->address, strchr(host, ':') != NULL ? "[%.240s]:%u" : "%.240s:%u", host, number);
    return ERR_OK;
}

static enum err tell_another(struct tcp_owner *owner, const char *told, char *why, size_t why_bytes)
{
    char host[TCP_HOST_BYTES_MAX], port[TCP_PORT_BYTES_MAX];
    if (!tcp_address_split(told, host, port) || strtoul(port, NULL, 10) == 0 || strlen(told) > DIRECTORY_ADDRESS_BYTES_MAX) {
        snprintf(why, why_bytes, "%.200s: host:port is wanted, as gateways reach it", told);
        return ERR_CONFIG;
    }
    snprintf(owner->address, sizeof owner->address, "%s", told);
    return ERR_OK;
}

static void finish(struct tcp_owner *owner)
{
    if (!owner->conns_closed || !owner->listener_closed) return;
    void *ctx = owner->closed_ctx;
    void (*closed)(void *) = owner->closed;
    buf_fini(&owner->head);
    arena_fini(&owner->arena);
    free(owner->owned);
    free(owner);
    if (closed != NULL) closed(ctx);
}

static void on_conns_closed(void *ctx)
{
    struct tcp_owner *owner = ctx;
    owner->conns_closed = true;
    finish(owner);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct tcp_owner *owner = handle->data;
    owner->listener_closed = true;
    finish(owner);
}

enum err tcp_owner_open(const struct tcp_owner_options *options, struct tcp_owner **ret_owner, char *why, size_t why_bytes)
{
    struct tcp_owner *owner = calloc(1, sizeof *owner);
    bool *owned = calloc(options->partitions, sizeof *owned);
    if (owner == NULL || owned == NULL) {
        free(owner);
        free(owned);
        snprintf(why, why_bytes, "out of memory");
        return ERR_MEMORY;
    }
    assert(strlen(options->name) <= TCP_NAME_BYTES_MAX && strlen(options->log) <= TCP_LOG_BYTES_MAX);
    owner->seam.ops = &owner_ops;
    owner->owned = owned;
    owner->directory = options->directory;
    owner->conns = (struct tcp_conns){.loop = options->loop, .ops = &conn_ops, .ctx = owner, .later_bytes_max = LIMIT_LINK_PAGES_BYTES,
                                      .heartbeat_ms = options->heartbeat_ms == 0 ? TCP_HEARTBEAT_MS : options->heartbeat_ms};
    struct tcp_hello *hello = &owner->conns.hello;
    *hello = (struct tcp_hello){.least = TCP_VERSION, .most = TCP_VERSION, .role = TCP_OWNER, .partitions = options->partitions};
    hello->name_bytes = strlen(options->name);
    snprintf(hello->name, sizeof hello->name, "%s", options->name);
    snprintf(hello->log, sizeof hello->log, "%s", options->log);
    if (options->key != NULL) owner->conns.key = *options->key;
    buf_init(&owner->head, LIMIT_LINK_FRAME_BYTES);
    arena_init(&owner->arena, ARENA_BYTES_MAX);
    tcp_conns_open(&owner->conns);
    uv_tcp_init(options->loop, &owner->listener);
    owner->listener.data = owner;
    enum err err = listen_on(owner, options->address == NULL ? "127.0.0.1:0" : options->address, why, why_bytes);
    if (err == ERR_OK && options->told != NULL) err = tell_another(owner, options->told, why, why_bytes);
    if (err != ERR_OK) {
        tcp_owner_close(owner, NULL, NULL);
        return err;
    }
    *ret_owner = owner;
    return ERR_OK;
}

void tcp_owner_close(struct tcp_owner *owner, void *ctx, void (*closed)(void *ctx))
{
    assert(!owner->closing);
    for (uint32_t i = 0; i < owner->conns.hello.partitions; i++)
        if (owner->owned[i]) owns(&owner->seam, i, false);
    owner->closing = true;
    owner->closed_ctx = ctx;
    owner->closed = closed;
    tcp_conns_close(&owner->conns, owner, on_conns_closed);
    uv_close((uv_handle_t *)&owner->listener, on_listener_closed);
}

struct link_owner *tcp_owner_seam(struct tcp_owner *owner) { return &owner->seam; }
const char *tcp_owner_address(const struct tcp_owner *owner) { return owner->address; }
const struct tcp_counters *tcp_owner_counters(const struct tcp_owner *owner) { return &owner->conns.counters; }
