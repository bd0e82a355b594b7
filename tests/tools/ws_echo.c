/* A server that sends back every message, on the very same edge as the gateway: what conformance tests talk to.
 *
 *     ws_echo host:port        says `listening ADDR` and serves until TERM
 *
 * In the hub's place stands a queue a connection: messages wait here while the socket is full, as the hub's do. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"
#include "gateway/edge.h"

enum { MESSAGE_BYTES_MAX = 67108864 };

struct waiting {
    struct waiting *next;
    struct blob *message;
    bool binary;
};
struct peer {
    void *conn;
    struct waiting *first, **end;
    bool full;
};
struct echo {
    uv_loop_t loop;
    uv_signal_t term;
    struct edge *edge;
};

static void *connected(void *ctx, void *conn, struct hub_credentials *credentials, int64_t now_ms)
{
    struct peer *peer = calloc(1, sizeof *peer);
    (void)ctx;
    (void)credentials;
    (void)now_ms;
    assert(peer != NULL);
    peer->conn = conn;
    peer->end = &peer->first;
    return peer;
}

static void flush(struct peer *peer)
{
    while (!peer->full && peer->first != NULL) {
        struct waiting *one = peer->first;
        peer->first = one->next;
        if (peer->first == NULL) peer->end = &peer->first;
        peer->full = !(one->binary ? edge_send_binary(peer->conn, one->message) : edge_ops()->send(peer->conn, one->message));
        blob_put(one->message);
        free(one);
    }
}

static void message(void *ctx, void *session, struct span text, bool binary, int64_t now_ms)
{
    struct peer *peer = session;
    struct waiting *one = calloc(1, sizeof *one);
    (void)ctx;
    (void)now_ms;
    assert(one != NULL);
    one->message = blob_make(text);
    one->binary = binary;
    assert(one->message != NULL);
    *peer->end = one;
    peer->end = &one->next;
    flush(peer);
}

static void writable(void *ctx, void *session)
{
    struct peer *peer = session;
    (void)ctx;
    peer->full = false;
    flush(peer);
}

static void disconnected(void *ctx, void *session, int64_t now_ms)
{
    struct peer *peer = session;
    (void)ctx;
    (void)now_ms;
    while (peer->first != NULL) {
        struct waiting *one = peer->first;
        peer->first = one->next;
        blob_put(one->message);
        free(one);
    }
    free(peer);
}

static void heard(void *ctx, void *session, int64_t now_ms)
{
    (void)ctx;
    (void)session;
    (void)now_ms;
}
static void tick(void *ctx, int64_t now_ms)
{
    (void)ctx;
    (void)now_ms;
}
static bool has_work(void *ctx)
{
    (void)ctx;
    return false;
}
static enum err verify(void *ctx, struct span token, struct hub_credentials *ret_credentials)
{
    (void)ctx;
    (void)token;
    (void)ret_credentials;
    return ERR_UNAUTHENTICATED;
}

static void on_term(uv_signal_t *term, int number)
{
    struct echo *echo = term->data;
    (void)number;
    uv_close((uv_handle_t *)term, NULL);
    edge_close(echo->edge, NULL, NULL);
}

int main(int argc, char **argv)
{
    static struct echo echo;
    char why[256];
    if (argc != 2) return fprintf(stderr, "ws_echo host:port\n"), 64;
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&echo.loop);
    const char *const listen[] = {argv[1]};
    const struct edge_options options = {
        .loop = &echo.loop, .now_ms = clock_wall_ms, .listen = listen, .listen_count = 1, .path = "/", .message_bytes_max = MESSAGE_BYTES_MAX,
        .verify = verify,
        .handler = {.ctx = &echo, .connected = connected, .message = message, .heard = heard, .writable = writable,
                    .disconnected = disconnected, .tick = tick, .turn_end = tick, .has_work = has_work}};
    if (edge_open(&options, &echo.edge, why, sizeof why) != ERR_OK) return fprintf(stderr, "ws_echo: %s\n", why), 69;
    uv_signal_init(&echo.loop, &echo.term);
    echo.term.data = &echo;
    uv_signal_start(&echo.term, on_term, SIGTERM);
    printf("listening %s\n", edge_address(echo.edge, 0));
    fflush(stdout);
    uv_run(&echo.loop, UV_RUN_DEFAULT);
    edge_free(echo.edge);
    uv_run(&echo.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&echo.loop) == 0 ? 0 : 70;
}
