/* Frames on their way out: queued, and written together at the end of the turn. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backends/tcp/tcp_conn_parts.h"

enum { FRAMES_A_WRITE = 256, BYTES_A_WRITE = 1048576 };

static size_t bytes_of(const struct tcp_out *out) { return out->head_bytes + (out->tail == NULL ? 0 : out->tail->bytes); }

static void add(struct tcp_outs *outs, struct tcp_out *out)
{
    out->next = NULL;
    if (outs->last == NULL) outs->first = out;
    else outs->last->next = out;
    outs->last = out;
    outs->bytes += bytes_of(out);
}

static struct tcp_out *take_first(struct tcp_outs *outs)
{
    struct tcp_out *out = outs->first;
    outs->first = out->next;
    if (outs->first == NULL) outs->last = NULL;
    outs->bytes -= bytes_of(out);
    return out;
}

static void drop_all(struct tcp_outs *outs)
{
    while (outs->first != NULL) {
        struct tcp_out *out = take_first(outs);
        blob_put(out->tail);
        free(out);
    }
}

static void on_idle(uv_idle_t *idle) { (void)idle; }

bool tcp_conn_out_add(struct tcp_conn *conn, struct span head, struct blob *tail, bool later)
{
    struct tcp_out *out = malloc(sizeof *out + head.bytes);
    if (out == NULL) {
        tcp_conn_cut(conn, LOG_ERROR_LEVEL, "out of memory");
        return false;
    }
    memcpy(out->head, head.at, head.bytes);
    out->head_bytes = head.bytes;
    out->tail = tail == NULL ? NULL : blob_take(tail);
    add(later ? &conn->later : &conn->now, out);
    conn->conns->counters.frames_out++;
    if (!conn->dirty) {
        conn->dirty = true;
        uv_idle_start(&conn->conns->idle, on_idle);
    }
    if (conn->later.bytes > conn->conns->later_bytes_max) tcp_conn_in_stop(conn);
    return true;
}

static void on_written(uv_write_t *write, int status)
{
    struct tcp_conn *conn = write->data;
    conn->conns->counters.bytes_out += conn->writing.bytes;
    drop_all(&conn->writing);
    conn->write_running = false;
    conn->writes++;
    if (conn->state == TCP_CONN_CLOSING) return;
    if (status < 0) {
        tcp_conn_cut(conn, LOG_WARN_LEVEL, uv_strerror(status));
        return;
    }
    tcp_conn_out_flush(conn);
}

/* Pages go behind what is urgent, and only so many at a time that what comes to be urgent is not long behind them. */
static void let_later_in(struct tcp_conn *conn)
{
    while (conn->later.first != NULL && conn->now.bytes < TCP_LATER_UNDER_BYTES) add(&conn->now, take_first(&conn->later));
    if (!conn->reading && conn->state == TCP_CONN_READY && conn->later.bytes <= conn->conns->later_bytes_max / 2 && !tcp_conn_in_start(conn))
        tcp_conn_cut(conn, LOG_WARN_LEVEL, "its socket cannot be read");
}

void tcp_conn_out_flush(struct tcp_conn *conn)
{
    uv_buf_t bufs[2 * FRAMES_A_WRITE];
    unsigned count = 0;
    if (conn->write_running || conn->state == TCP_CONN_CLOSING) return;
    let_later_in(conn);
    if (conn->now.first == NULL || conn->state == TCP_CONN_CLOSING) return;
    for (unsigned frames = 0; frames < FRAMES_A_WRITE && conn->now.first != NULL && conn->writing.bytes < BYTES_A_WRITE; frames++) {
        struct tcp_out *out = take_first(&conn->now);
        bufs[count++] = uv_buf_init(out->head, (unsigned)out->head_bytes);
        if (out->tail != NULL && out->tail->bytes > 0) bufs[count++] = uv_buf_init(out->tail->text, (unsigned)out->tail->bytes);
        add(&conn->writing, out);
    }
    conn->write.data = conn;
    conn->said = conn->write_running = true;
    int code = uv_write(&conn->write, (uv_stream_t *)&conn->socket, bufs, count, on_written);
    if (code == 0) return;
    conn->write_running = false;
    drop_all(&conn->writing);
    tcp_conn_cut(conn, LOG_WARN_LEVEL, uv_strerror(code));
}

void tcp_conn_out_forget(struct tcp_conn *conn)
{
    assert(!conn->write_running);
    drop_all(&conn->now);
    drop_all(&conn->later);
}

bool tcp_conn_send(struct tcp_conn *conn, struct span head, struct blob *tail, bool later)
{
    return conn->state == TCP_CONN_READY && tcp_conn_out_add(conn, head, tail, later);
}

size_t tcp_conn_unsent(const struct tcp_conn *conn) { return conn->now.bytes + conn->writing.bytes; }
