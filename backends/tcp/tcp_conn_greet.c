/* The handshake: who is there, may we talk, and does each know the key. */
#include <string.h>

#include "backends/tcp/tcp_conn_parts.h"

static void say_hello(struct tcp_conn *conn)
{
    struct buf fields, frame;
    struct tcp_hello mine = conn->conns->hello;
    if (!tcp_key_nonce(mine.nonce)) {
        tcp_conn_cut(conn, LOG_ERROR_LEVEL, "this machine gives no randomness");
        return;
    }
    buf_init(&fields, TCP_HELLO_BYTES_MAX);
    buf_init(&frame, TCP_EARLY_BYTES);
    tcp_hello_encode(&fields, &mine);
    tcp_codec_frame(&frame, TCP_HELLO, buf_span(&fields));
    if (buf_ok(&frame) && buf_ok(&fields)) {
        memcpy(conn->my_hello, fields.at, fields.bytes);
        conn->my_hello_bytes = fields.bytes;
        (void)tcp_conn_out_add(conn, buf_span(&frame), NULL, false);
    } else {
        tcp_conn_cut(conn, LOG_ERROR_LEVEL, "out of memory");
    }
    buf_fini(&fields);
    buf_fini(&frame);
}

static bool prove(const struct tcp_conn *conn, enum tcp_role role, unsigned char ret_proof[TCP_PROOF_BYTES])
{
    struct span mine = span_of(conn->my_hello, conn->my_hello_bytes), theirs = span_of(conn->their_hello, conn->their_hello_bytes);
    bool is_gateway = conn->conns->hello.role == TCP_GATEWAY;
    return tcp_key_proof(&conn->conns->key, role, is_gateway ? mine : theirs, is_gateway ? theirs : mine, ret_proof);
}

static void say_proof(struct tcp_conn *conn)
{
    unsigned char proof[TCP_PROOF_BYTES];
    struct buf frame;
    if (!prove(conn, conn->conns->hello.role, proof)) {
        tcp_conn_cut(conn, LOG_ERROR_LEVEL, "out of memory");
        return;
    }
    buf_init(&frame, TCP_EARLY_BYTES);
    tcp_codec_frame(&frame, TCP_PROOF, span_of((const char *)proof, sizeof proof));
    (void)tcp_conn_out_add(conn, buf_span(&frame), NULL, false);
    buf_fini(&frame);
}

void tcp_conn_greet_begin(struct tcp_conn *conn)
{
    conn->state = TCP_CONN_GREETING;
    if (conn->dialled) say_hello(conn);
    if (conn->state == TCP_CONN_GREETING && !tcp_conn_in_start(conn)) tcp_conn_cut(conn, LOG_WARN_LEVEL, "its socket cannot be read");
}

static void take_hello(struct tcp_conn *conn, struct span fields)
{
    unsigned refusal = 0;
    if (fields.bytes > sizeof conn->their_hello || !tcp_hello_decode(fields, &conn->theirs)) refusal = TCP_REFUSED_HELLO;
    else refusal = tcp_hello_judge(&conn->conns->hello, &conn->theirs);
    if (refusal != 0) {
        tcp_conn_refuse(conn, refusal);
        return;
    }
    memcpy(conn->their_hello, fields.at, fields.bytes);
    conn->their_hello_bytes = fields.bytes;
    conn->state = TCP_CONN_PROVING;
    if (conn->dialled) say_proof(conn);
    else say_hello(conn);
}

static void take_proof(struct tcp_conn *conn, struct span fields)
{
    unsigned char wanted[TCP_PROOF_BYTES];
    if (fields.bytes != TCP_PROOF_BYTES || !prove(conn, conn->theirs.role, wanted) ||
        !tcp_key_equal(wanted, (const unsigned char *)fields.at)) {
        tcp_conn_refuse(conn, TCP_REFUSED_KEY);
        return;
    }
    if (!conn->dialled) say_proof(conn);
    if (conn->state != TCP_CONN_PROVING) return;
    conn->state = TCP_CONN_READY;
    conn->was_ready = true;
    conn->conns->counters.links++;
    conn->conns->counters.made++;
    log_line(LOG_INFO_LEVEL, "link_made", "peer=%s name=%s version=%u", conn->label, conn->theirs.name,
             tcp_hello_version(&conn->conns->hello, &conn->theirs));
    conn->conns->ops->ready(conn);
}

void tcp_conn_greet_frame(struct tcp_conn *conn, enum tcp_frame kind, struct span fields)
{
    if (kind == TCP_HELLO && conn->state == TCP_CONN_GREETING) take_hello(conn, fields);
    else if (kind == TCP_PROOF && conn->state == TCP_CONN_PROVING) take_proof(conn, fields);
    else if (kind == TCP_REFUSAL && fields.bytes == 1) tcp_conn_cut(conn, LOG_WARN_LEVEL, tcp_hello_refusal_text((unsigned char)fields.at[0]));
    else tcp_conn_refuse(conn, TCP_REFUSED_HELLO);
}

void tcp_conn_refuse(struct tcp_conn *conn, unsigned refusal)
{
    char fields = (char)refusal;
    struct buf frame;
    if (conn->state == TCP_CONN_CLOSING) return;
    buf_init(&frame, TCP_EARLY_BYTES);
    tcp_codec_frame(&frame, TCP_REFUSAL, span_of(&fields, 1));
    if (buf_ok(&frame) && tcp_conn_out_add(conn, buf_span(&frame), NULL, false)) tcp_conn_out_flush(conn);
    buf_fini(&frame);
    tcp_conn_cut(conn, LOG_WARN_LEVEL, tcp_hello_refusal_text(refusal));
}
