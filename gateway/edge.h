/* The edge: sockets, HTTP and WebSocket (libwebsockets on the caller's libuv loop), and nothing that decides.
 *
 * It opens the listening sockets itself (SO_REUSEPORT, so that several processes share an address, where that is asked for), adopts connections
 * into libwebsockets, gives whole messages to a handler, and writes what it is told to. libwebsockets.h is included in
 * gateway/edge*.c alone.
 *
 * BOUNDS  connections, half-open ones too: the file-descriptor limit less EDGE_FDS_RESERVED, past which a polite 503 is
 *         sent and the socket closed; a line of a message, and a binary message: LIMIT_FRAME_BYTES_MAX (close 1009; of a text
 *         that is longer the whole lines are handed over as they come); an HTTP body: the same (413); headers: 16 KiB. */
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
    bool share_address;                 /* several processes on one address (SO_REUSEPORT) */
    const char *protocol;               /* the WebSocket sub-protocol; NULL: none is asked for, and no page served */
    size_t message_bytes_max;           /* of a message in; 0: LIMIT_FRAME_BYTES_MAX */
    const char *path;                   /* where it is upgraded */
    const char *tls_cert, *tls_key;     /* NULL: plain */
    void *ctx;
    enum err (*verify)(void *ctx, struct span token, struct hub_credentials *ret_credentials);
    /* Serves what is not under /v1/. False: 404. */
    bool (*page)(void *ctx, struct span path, struct span query, struct edge_page *ret_page);
    void (*say)(void *ctx, const char *event, const char *details);
};

/* ERR_BUSY: an address is taken; ERR_CONFIG: it is none, or the certificate is not usable; `why` says which. On failure
 * *ret_edge may be set: then it must be closed, and freed, like one that opened. */
enum err edge_open(const struct edge_options *options, struct edge **ret_edge, char *why, size_t why_bytes);
/* "host:port", "[v6]:port" in its two parts (host empty: any); false: it is none, or does not fit. */
bool edge_listen_split(const char *address, char *host, size_t host_bytes, char *port, size_t port_bytes);
const struct hub_edge_ops *edge_ops(void);
/* hub_edge_ops' `send`, for a message that is not text. */
bool edge_send_binary(void *conn, struct blob *message);
/* Is this a certificate chain and the private key that belongs to it? ERR_CONFIG: `why` says which setting to mend. */
enum err edge_tls_check(const char *cert, const char *key, char *why, size_t why_bytes);
/* Reads certificate and key again, for connections made from now on; on failure the old ones stay. */
enum err edge_tls_reload(struct edge *edge, char *why, size_t why_bytes);
/* The bound address of a listener, "host:port". */
const char *edge_address(const struct edge *edge, size_t listener);
void edge_stop_accepting(struct edge *edge);
/* Drops what is still connected (each is told `disconnected`); `closed` comes from the loop when that is done. */
void edge_close(struct edge *edge, void *ctx, void (*closed)(void *ctx));
void edge_free(struct edge *edge); /* after the loop has run out */
size_t edge_connections(const struct edge *edge);

/* Plain numbers that only grow. */
struct edge_counters {
    uint64_t refused;          /* by the bound on connections */
    uint64_t upgrades_refused;
    uint64_t requests;         /* HTTP */
};
const struct edge_counters *edge_counters(const struct edge *edge);

#endif
