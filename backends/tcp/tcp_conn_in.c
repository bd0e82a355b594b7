/* Bytes in, taken apart into frames. The buffer grows to what one frame needs, and no frame is longer than LIMIT_LINK_FRAME_BYTES. */
#include <stdlib.h>
#include <string.h>

#include "backends/tcp/tcp_conn_parts.h"
#include "core/limits.h"

enum { ROOM_BYTES = 65536 };

/* How many bytes the frame that stands first has, its length included; 0: not known yet. */
static size_t first_bytes(const struct tcp_conn *conn)
{
    const unsigned char *at = (const unsigned char *)conn->in;
    if (conn->in_bytes < 4) return 0;
    return 4 + ((size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct tcp_conn *conn = handle->data;
    size_t frame = first_bytes(conn), wanted = frame > ROOM_BYTES ? frame : ROOM_BYTES;
    (void)suggested;
    if (conn->in_room < wanted || (conn->in_room > wanted && conn->in_bytes <= wanted)) {
        char *moved = realloc(conn->in, wanted);
        if (moved != NULL) {
            conn->in = moved;
            conn->in_room = wanted;
        }
    }
    *buf = uv_buf_init(conn->in == NULL ? NULL : conn->in + conn->in_bytes, (unsigned)(conn->in_room - conn->in_bytes));
}

static void take_frame(struct tcp_conn *conn, unsigned kind, struct span fields)
{
    conn->conns->counters.frames_in++;
    if (conn->state != TCP_CONN_READY) tcp_conn_greet_frame(conn, (enum tcp_frame)kind, fields);
    else if (kind == TCP_PING && fields.bytes == 0) return;
    else if (kind < TCP_OWNS || !conn->conns->ops->frame(conn, (enum tcp_frame)kind, fields)) tcp_conn_cut(conn, LOG_WARN_LEVEL, "it sent what is no frame");
}

static void take_frames(struct tcp_conn *conn)
{
    size_t at = 0;
    while (conn->state != TCP_CONN_CLOSING && conn->in_bytes - at >= 4) {
        const unsigned char *head = (const unsigned char *)conn->in + at;
        size_t bytes = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        size_t most = conn->state == TCP_CONN_READY ? LIMIT_LINK_FRAME_BYTES : TCP_EARLY_BYTES;
        if (bytes == 0 || bytes > most) {
            if (conn->state == TCP_CONN_READY) tcp_conn_cut(conn, LOG_WARN_LEVEL, "it sent a frame that is too long");
            else tcp_conn_refuse(conn, TCP_REFUSED_HELLO);
            return;
        }
        if (conn->in_bytes - at - 4 < bytes) break;
        take_frame(conn, head[4], span_of(conn->in + at + TCP_FRAME_HEAD_BYTES, bytes - 1));
        at += 4 + bytes;
    }
    if (at == 0) return;
    conn->in_bytes -= at;
    memmove(conn->in, conn->in + at, conn->in_bytes);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct tcp_conn *conn = stream->data;
    (void)buf;
    if (count == 0 || conn->state == TCP_CONN_CLOSING) return;
    if (count < 0) {
        tcp_conn_cut(conn, conn->state == TCP_CONN_READY ? LOG_WARN_LEVEL : LOG_INFO_LEVEL, count == UV_EOF ? "it closed" : uv_strerror((int)count));
        return;
    }
    conn->heard = true;
    conn->in_bytes += (size_t)count;
    conn->conns->counters.bytes_in += (uint64_t)count;
    take_frames(conn);
}

bool tcp_conn_in_start(struct tcp_conn *conn)
{
    conn->reading = uv_read_start((uv_stream_t *)&conn->socket, on_room, on_read) == 0;
    return conn->reading;
}

void tcp_conn_in_stop(struct tcp_conn *conn)
{
    if (!conn->reading || conn->state != TCP_CONN_READY) return;
    conn->reading = false;
    uv_read_stop((uv_stream_t *)&conn->socket);
}
