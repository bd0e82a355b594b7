/* Internal to edge*.c. */
#ifndef TIDEGATE_GATEWAY_EDGE_PARTS_H
#define TIDEGATE_GATEWAY_EDGE_PARTS_H

#include <libwebsockets.h>
#include <uv.h>

#include "gateway/edge.h"

enum {
    EDGE_FDS_RESERVED = 128,      /* files, logs, the store */
    EDGE_LISTENERS_MAX = 8,
    EDGE_ACCEPTS_A_TURN = 64,
    EDGE_TICK_MS = 250,
    EDGE_ADDRESS_BYTES = 80,
    EDGE_TOKEN_ROOM = LIMIT_TOKEN_BYTES_MAX + 32 /* with `Bearer ` or `access_token=` before it */
};

struct edge_listener {
    struct edge *edge;
    uv_poll_t poll;
    int fd;
    bool polling;
    char address[EDGE_ADDRESS_BYTES];
};

/* A WebSocket connection; lws allocates it. */
struct edge_conn {
    struct edge *edge;
    struct lws *wsi;
    void *session;           /* the handler's; NULL: refused or gone */
    char *message;           /* while a message comes in pieces */
    size_t message_bytes;
    size_t unbroken_bytes;    /* of those, from the first on, known to hold no line end: looked through once */
    struct blob *held;       /* taken, to be written behind a pong; then the handler waits */
    bool held_binary;
    bool split;              /* frames of one message came one by one: a ping may have come between, unanswered yet */
    bool waiting;            /* the handler waits for room */
    bool closing;            /* either side has said so: nothing more goes in or out */
    bool dead;               /* a write failed: nothing but the end may follow */
    bool ping;
};

/* An HTTP exchange; lws allocates it. */
struct edge_exchange {
    struct edge *edge;
    struct lws *wsi;
    bool active;             /* between a request's headers and the end of its answer */
    bool post;
    bool last;               /* the connection ends behind the answer */
    struct {
        unsigned status;     /* 0: not refused */
        enum err code;
        const char *message; /* static; NULL: the code's */
    } refusal;
    char *path, *query, *body;
    size_t body_bytes;
    struct hub_credentials credentials;
    struct hub_http_job *job;
    struct blob *answer;     /* what is still to be written */
    bool headers_sent;
    bool answered;           /* the hub did */
    unsigned status;
    unsigned retry_after_s;
};

struct edge {
    struct edge_options options;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws_protocols protocols[3];
    struct edge_listener listeners[EDGE_LISTENERS_MAX];
    size_t listeners_open;
    uv_timer_t tick, rearm;
    uv_prepare_t prepare;
    uv_check_t check;
    size_t connections, connections_max;
    size_t message_bytes_max;
    struct edge_counters counters;
    bool closing;
    unsigned handles_open;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

/* edge_listen.c */
enum err edge_listen_open(struct edge *edge, const char *address, char *why, size_t why_bytes);
void edge_listen_stop(struct edge *edge);
void edge_listen_rearm(struct edge *edge);
void edge_listen_close(struct edge *edge, uv_close_cb closed);
size_t edge_listen_limit(void);
/* edge_ws.c */
int edge_ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes);
extern const struct hub_edge_ops edge_ws_ops;
int edge_ws_upgrade(struct edge *edge, struct lws *wsi); /* CONFIRM_UPGRADE: 0 goes on, else the status was sent */
/* edge_http.c */
int edge_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes);
/* The bearer token of the headers, or of ?access_token=; its length, 0 where there is none, or too long. */
size_t edge_http_token(struct lws *wsi, char *room, size_t room_bytes);
int edge_http_refuse(struct lws *wsi, unsigned status, enum err code, const char *message);
struct edge *edge_of(struct lws *wsi);

#endif
