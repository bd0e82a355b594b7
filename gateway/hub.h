/* The gateway's hub: sessions, open spaces, delivery. No socket, no thread, no clock: the edge hands in what happened
 * and the time, and performs what the hub asks for. The simulator drives the very same code.
 *
 * Everything on one thread. Nothing here calls the edge back from inside a call but `send`, `close`, `ping` of
 * struct hub_edge_ops. hub_turn_end() is to be called once at the end of each turn of the loop in which anything was
 * handed in: only then frames go out, all of a session's in one message.
 *
 * INVARIANTS
 * 1. An update goes to a session only if its `prev` is the session's cursor in that space; older ones are dropped, a
 *    hole is pulled. No update of a space comes amid a run of its pages.
 * 2. Acks and outcomes are never dropped while the connection lives; updates, presence and signals are, at the bound,
 *    and then the space is behind and gets one coalesced pull when the socket has drained.
 * 3. What stands on a session's cursor is never ahead of what was handed to its socket. */
#ifndef TIDEGATE_GATEWAY_HUB_H
#define TIDEGATE_GATEWAY_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/link.h"
#include "backends/log.h"
#include "backends/registry.h"
#include "core/blob.h"
#include "core/err.h"
#include "core/limits.h"
#include "core/span.h"

/* What a verified token says. */
struct hub_credentials {
    char user[LIMIT_USER_BYTES_MAX + 1];
    size_t user_bytes;
    int64_t expires_ms;   /* wall clock, leeway included */
    bool admin;
    struct blob *grants;  /* the raw JSON object `spaces`, one reference owned; NULL: none */
};
void hub_credentials_fini(struct hub_credentials *credentials);

struct hub_edge_ops {
    /* Writes one whole text message. Called only while the connection is writable. False: the socket is full now; the
     * message is taken all the same, and hub_writable() tells when there is room again. */
    bool (*send)(void *conn, struct blob *message);
    /* Closes with this code once what was sent is out. The edge then calls hub_disconnected(), not from inside. */
    void (*close)(void *conn, unsigned code, const char *reason);
    void (*ping)(void *conn);
};

struct hub_options {
    const struct hub_edge_ops *edge;
    struct log_writer *writer;
    struct link_gateway *link;
    struct registry *registry;
    const char *name;          /* the reply address: [A-Za-z0-9._-], at most 64 bytes */
    int64_t heartbeat_ms;      /* between pings: told in `welcome` */
    int64_t rate;              /* frames a second of one session: told in `welcome`; 0: LIMIT_RATE_MAX */
    void *verify_ctx;
    /* A token to credentials: ERR_OK fills *ret (its grants are the caller's to free), else ERR_UNAUTHENTICATED. */
    enum err (*verify)(void *ctx, struct span token, struct hub_credentials *ret_credentials);
};

/* Plain numbers that only grow, but those marked (now). */
struct hub_counters {
    uint64_t sessions;          /* (now) with a hello */
    uint64_t connections;       /* (now) */
    uint64_t connections_total;
    uint64_t spaces;            /* (now) open or remembered */
    uint64_t subscriptions;     /* (now) */
    uint64_t frames_in, frames_out, messages_out, bytes_in, bytes_out;
    uint64_t deliveries;        /* updates handed to a session's queue */
    uint64_t pushes, acks, outcomes, refusals;
    uint64_t pulls, pages, holes, behind;
    uint64_t ring_hits;         /* pages or gaps served from the ring */
    uint64_t bad_frames, closed_slow, closed_rate, closed_heartbeat, unauthenticated;
    uint64_t appends_in_flight; /* (now) */
};

struct hub;
struct hub_session;

/* Sets ctx and callbacks of writer, link and registry. */
enum err hub_open(const struct hub_options *options, struct hub **ret_hub);
void hub_close(struct hub *hub); /* every connection was disconnected before */
const struct hub_counters *hub_counters(const struct hub *hub);

/* A WebSocket is open. `credentials` (taken over; may be NULL) if the upgrade carried a token that verified. NULL: too
 * many connections, refuse it. */
struct hub_session *hub_connected(struct hub *hub, void *conn, struct hub_credentials *credentials, int64_t now_ms);
void hub_message(struct hub_session *session, struct span text, int64_t now_ms); /* one whole text message */
void hub_binary(struct hub_session *session, int64_t now_ms);
void hub_heard(struct hub_session *session, int64_t now_ms); /* a pong, or part of a message */
void hub_writable(struct hub_session *session);
void hub_disconnected(struct hub_session *session, int64_t now_ms); /* session is gone after this */

void hub_tick(struct hub *hub, int64_t now_ms);     /* about every 250 ms: deadlines, heartbeats, expiries */
void hub_turn_end(struct hub *hub, int64_t now_ms); /* sends what the turn gathered */
bool hub_has_work(const struct hub *hub);           /* would hub_turn_end() do anything? */
/* Says bye to everyone and closes with 1012 as they drain; no new connection is welcome. */
void hub_drain(struct hub *hub, int64_t now_ms);
size_t hub_connections(const struct hub *hub);
/* A namespace is in force and links stand: pushes can be taken. */
bool hub_ready(const struct hub *hub);

#endif
