/* Internal to tcp_conn*.c: a connection. */
#ifndef TIDEGATE_BACKENDS_TCP_TCP_CONN_PARTS_H
#define TIDEGATE_BACKENDS_TCP_TCP_CONN_PARTS_H

#include "backends/tcp/tcp_conn.h"

enum tcp_conn_state { TCP_CONN_CONNECTING, TCP_CONN_GREETING, TCP_CONN_PROVING, TCP_CONN_READY, TCP_CONN_CLOSING };

/* A frame on its way out. */
struct tcp_out {
    struct tcp_out *next;
    struct blob *tail;
    size_t head_bytes;
    char head[];
};
struct tcp_outs {
    struct tcp_out *first, *last;
    size_t bytes;
};

struct tcp_conn {
    struct tcp_conn *next, *prev;
    struct tcp_conns *conns;
    void *peer;
    enum tcp_conn_state state;
    bool dialled, was_ready;
    char label[TCP_LABEL_BYTES];
    uv_tcp_t socket;
    uv_connect_t connect;
    /* the handshake */
    struct tcp_hello theirs;
    unsigned char nonce[TCP_NONCE_BYTES];
    size_t my_hello_bytes, their_hello_bytes;
    char my_hello[TCP_HELLO_BYTES_MAX], their_hello[TCP_HELLO_BYTES_MAX];
    /* out */
    struct tcp_outs now, later, writing;
    uv_write_t write;
    bool dirty, write_running;
    uint64_t writes;
    /* in */
    char *in;
    size_t in_bytes, in_room;
    bool reading;
    /* ticks */
    bool heard, said;
    unsigned quiet, stalled, early;
    size_t left_before;
    uint64_t writes_before;
};

/* tcp_conn_out.c */
void tcp_conn_out_flush(struct tcp_conn *conn);
void tcp_conn_out_forget(struct tcp_conn *conn); /* all that is queued */
bool tcp_conn_out_add(struct tcp_conn *conn, struct span head, struct blob *tail, bool later);
/* tcp_conn_in.c */
bool tcp_conn_in_start(struct tcp_conn *conn); /* or goes on */
void tcp_conn_in_stop(struct tcp_conn *conn);
/* tcp_conn_greet.c */
void tcp_conn_greet_begin(struct tcp_conn *conn);
void tcp_conn_greet_frame(struct tcp_conn *conn, enum tcp_frame kind, struct span fields);
/* tcp_conn.c */
void tcp_conn_end(struct tcp_conn *conn); /* closes the socket; nothing is said */

#endif
