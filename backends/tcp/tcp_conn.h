/* Connections between a gateway and owners: the handshake, frames out and in, heartbeats. What frames say is the ends' affair:
 * tcp_gateway.c and tcp_owner.c.
 *
 * STATES  CONNECTING -> GREETING (theirs to say hello) -> PROVING (theirs to prove) -> READY -> CLOSING; CLOSING from anywhere.
 *         The gateway says hello first and proves first; nothing but HELLO, PROOF and REFUSAL, each shorter than TCP_EARLY_BYTES, is
 *         read before both have proved.
 * TIME    Counted in ticks of `heartbeat_ms`, so that a process that was stopped or busy does not take its own silence for its
 *         peers'. Nothing sent for a tick: a PING. Nothing heard for TCP_QUIET_TICKS, nothing written of what is queued for
 *         TCP_STALLED_TICKS, or not READY after TCP_EARLY_TICKS: the connection is cut.
 * OUT     What was sent in one turn of the loop goes out in one write at its end, in order, from where it lies. `later` frames
 *         (pages) wait until fewer than TCP_LATER_UNDER_BYTES of the others are unsent, and may be passed by them; while more than
 *         later_bytes_max of them wait nothing is read, so that no more are asked for.
 *         The bound of the rest is the sender's: tcp_conn_unsent() tells.
 * Callbacks never come from inside a call; `closed` is the last, and the memory goes with it. All on the loop's thread. */
#ifndef TIDEGATE_BACKENDS_TCP_TCP_CONN_H
#define TIDEGATE_BACKENDS_TCP_TCP_CONN_H

#include <uv.h>

#include "backends/tcp/tcp_codec.h"
#include "backends/tcp/tcp_hello.h"
#include "base/log.h"

enum {
    TCP_HEARTBEAT_MS = 2000,
    TCP_QUIET_TICKS = 3,
    TCP_STALLED_TICKS = 5,
    TCP_EARLY_TICKS = 3,
    TCP_EARLY_BYTES = 512,
    TCP_LATER_UNDER_BYTES = 1048576,
    TCP_LABEL_BYTES = 320
};

/* For metrics: plain numbers that only grow, but those marked (now). */
struct tcp_counters {
    uint64_t links;      /* (now) ready */
    uint64_t made, lost; /* links that became ready, and of those that ended */
    uint64_t refused;    /* connections that never became ready */
    uint64_t frames_in, frames_out, bytes_in, bytes_out;
    uint64_t unsent_bytes; /* (now) */
};

struct tcp_conn;
struct tcp_conn_ops {
    void (*ready)(struct tcp_conn *conn);
    /* A frame of a kind past PING; false: malformed, the connection is cut. */
    bool (*frame)(struct tcp_conn *conn, enum tcp_frame kind, struct span fields);
    void (*closed)(struct tcp_conn *conn);
};

/* All connections of one end. Placed by the end, fields its own to read. */
struct tcp_conns {
    struct uv_loop_s *loop;
    const struct tcp_conn_ops *ops;
    void *ctx;
    struct tcp_hello hello;  /* mine, but for the nonce */
    struct tcp_key key;
    uint64_t heartbeat_ms;
    size_t later_bytes_max;
    struct tcp_counters counters;
    /* its own */
    struct tcp_conn *first;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* keeps the loop from sleeping while something waits to be written */
    uv_timer_t ticker;
    unsigned handles;
    bool closing;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

/* The fields above `counters` are set. */
void tcp_conns_open(struct tcp_conns *conns);
/* Cuts all; `closed` comes from the loop when the last is gone. */
void tcp_conns_close(struct tcp_conns *conns, void *ctx, void (*closed)(void *ctx));

/* `peer` is the end's own. NULL: out of memory or descriptors, or an address that needs a key that there is not. */
struct tcp_conn *tcp_conn_dial(struct tcp_conns *conns, const struct sockaddr *address, const char *label, void *peer);
struct tcp_conn *tcp_conn_accept(struct tcp_conns *conns, uv_stream_t *listener, void *peer);
void *tcp_conn_peer(const struct tcp_conn *conn);
struct tcp_conns *tcp_conn_all(const struct tcp_conn *conn);
bool tcp_conn_is_ready(const struct tcp_conn *conn);
struct span tcp_conn_name(const struct tcp_conn *conn); /* the other end's, once READY */
/* A frame's head, and its tail by reference. False: not READY, or out of memory (the connection is cut then). */
bool tcp_conn_send(struct tcp_conn *conn, struct span head, struct blob *tail, bool later);
size_t tcp_conn_unsent(const struct tcp_conn *conn); /* `later` frames that wait are not counted */
/* Ends it, with one line in the log. */
void tcp_conn_cut(struct tcp_conn *conn, enum log_level level, const char *why);
/* The same before it is READY, telling the other end why. */
void tcp_conn_refuse(struct tcp_conn *conn, unsigned refusal);

#endif
