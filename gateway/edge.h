/* The edge: sockets, HTTP and WebSocket (libwebsockets on the caller's libuv loop), and nothing that decides.
 *
 * It opens the listening sockets itself (SO_REUSEPORT, so that several processes share an address), adopts connections
 * into libwebsockets, gives whole messages to a handler, and writes what it is told to. libwebsockets.h is included in
 * gateway/edge*.c alone.
 *
 * BOUNDS  connections: the file-descriptor limit less EDGE_FDS_RESERVED, past which a polite 503 is sent and the socket
 *         closed; a message: LIMIT_FRAME_BYTES_MAX (close 1009); an HTTP body: the same (413); headers: 16 KiB. */
#ifndef TIDEGATE_GATEWAY_EDGE_H
#define TIDEGATE_GATEWAY_EDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/hub.h"
#include "gateway/hub_http.h"

struct uv_loop_s;
struct edge;

/* What is behind the edge: the hub, or an echo in tests. Same meaning as hub.h's functions. */
struct edge_handler {
    void *ctx;
    void *(*connected)(void *ctx, void *conn, struct hub_credentials *credentials, int64_t now_ms);
    void (*message)(void *ctx, void *session, struct span text, bool binary, int64_t now_ms);
    void (*heard)(void *ctx, void *session, int64_t now_ms);
    void (*writable)(void *ctx, void *session);
    void (*disconnected)(void *ctx, void *session, int64_t now_ms);
    void (*tick)(void *ctx, int64_t now_ms);
    void (*turn_end)(void *ctx, int64_t now_ms);
    bool (*has_work)(void *ctx);
};

/* A plain page: the demo, health, metrics. `body` is the caller's until the next call. */
struct edge_page {
    unsigned status;
    const char *type;
    struct span body;
    bool is_dev;            /* adds the headers of an HTML application */
};

struct edge_options {
    struct uv_loop_s *loop;
    struct edge_handler handler;
    struct hub *hub;                    /* for the calls under /v1/; NULL: there are none */
    int64_t (*now_ms)(void);            /* the wall clock */
    size_t listen_count;
    const char *const *listen;          /* "host:port", "[v6]:port"; port 0: any */
    const char *protocol;               /* the WebSocket sub-protocol */
    const char *path;                   /* where it is upgraded */
    const char *tls_cert, *tls_key;     /* NULL: plain */
    void *ctx;
    enum err (*verify)(void *ctx, struct span token, struct hub_credentials *ret_credentials);
    /* Serves what is not under /v1/. False: 404. */
    bool (*page)(void *ctx, struct span path, struct span query, struct edge_page *ret_page);
    void (*say)(void *ctx, const char *event, const char *details);
};

/* ERR_BUSY: an address is taken; ERR_CONFIG: it is none; `why` says which. */
enum err edge_open(const struct edge_options *options, struct edge **ret_edge, char *why, size_t why_bytes);
const struct hub_edge_ops *edge_ops(void);
/* The bound address of a listener, "host:port". */
const char *edge_address(const struct edge *edge, size_t listener);
void edge_stop_accepting(struct edge *edge);
/* Drops what is still connected (each is told `disconnected`); `closed` comes from the loop when that is done. */
void edge_close(struct edge *edge, void *ctx, void (*closed)(void *ctx));
void edge_free(struct edge *edge); /* after the loop has run out */
size_t edge_connections(const struct edge *edge);
uint64_t edge_refused(const struct edge *edge); /* by the bound on connections */

#endif
