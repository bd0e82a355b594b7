#include "backends/tcp/tcp_conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/tcp/tcp_address.h"
#include "backends/tcp/tcp_conn_parts.h"

void *tcp_conn_peer(const struct tcp_conn *conn) { return conn->peer; }
struct tcp_conns *tcp_conn_all(const struct tcp_conn *conn) { return conn->conns; }
bool tcp_conn_is_ready(const struct tcp_conn *conn) { return conn->state == TCP_CONN_READY; }
struct span tcp_conn_name(const struct tcp_conn *conn) { return span_of(conn->theirs.name, conn->theirs.name_bytes); }

/* ---- ending ---- */

static void finish(struct tcp_conns *conns)
{
    if (!conns->closing || conns->handles != 0 || conns->first != NULL) return;
    conns->closed(conns->closed_ctx); /* the end's memory goes with it */
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct tcp_conn *conn = handle->data;
    struct tcp_conns *conns = conn->conns;
    if (conn->prev == NULL) conns->first = conn->next;
    else conn->prev->next = conn->next;
    if (conn->next != NULL) conn->next->prev = conn->prev;
    tcp_conn_out_forget(conn);
    conns->ops->closed(conn);
    free(conn->in);
    free(conn);
    finish(conns);
}

void tcp_conn_end(struct tcp_conn *conn)
{
    if (conn->state == TCP_CONN_CLOSING) return;
    if (conn->was_ready) {
        conn->conns->counters.links--;
        conn->conns->counters.lost++;
    } else {
        conn->conns->counters.refused++;
    }
    conn->state = TCP_CONN_CLOSING;
    uv_close((uv_handle_t *)&conn->socket, on_socket_closed);
}

void tcp_conn_cut(struct tcp_conn *conn, enum log_level level, const char *why)
{
    if (conn->state == TCP_CONN_CLOSING) return;
    log_line(level, conn->was_ready ? "link_lost" : "link_refused", "peer=%s name=%s why=\"%s\"", conn->label,
             conn->theirs.name[0] == '\0' ? "?" : conn->theirs.name, why);
    tcp_conn_end(conn);
}

/* ---- beginning ---- */

static struct tcp_conn *make(struct tcp_conns *conns, bool dialled, void *peer)
{
    struct tcp_conn *conn = conns->closing ? NULL : calloc(1, sizeof *conn);
    if (conn == NULL) return NULL;
    conn->conns = conns;
    conn->peer = peer;
    conn->dialled = dialled;
    conn->next = conns->first;
    if (conn->next != NULL) conn->next->prev = conn;
    conns->first = conn;
    uv_tcp_init(conns->loop, &conn->socket);
    conn->socket.data = conn;
    return conn;
}

static void on_connected(uv_connect_t *request, int status)
{
    struct tcp_conn *conn = request->data;
    if (conn->state == TCP_CONN_CLOSING) return;
    if (status < 0) {
        tcp_conn_cut(conn, LOG_INFO_LEVEL, uv_strerror(status));
        return;
    }
    (void)uv_tcp_nodelay(&conn->socket, 1);
    tcp_conn_greet_begin(conn);
}

struct tcp_conn *tcp_conn_dial(struct tcp_conns *conns, const struct sockaddr *address, const char *label, void *peer)
{
    if (conns->key.bytes == 0 && !tcp_address_is_loopback(address)) {
        log_line(LOG_WARN_LEVEL, "link_refused", "peer=%s why=\"without --link-key only loopback addresses are dialled\"", label);
        return NULL;
    }
    struct tcp_conn *conn = make(conns, true, peer);
    if (conn == NULL) return NULL;
    snprintf(conn->label, sizeof conn->label, "%s", label);
    conn->connect.data = conn;
    int code = uv_tcp_connect(&conn->connect, &conn->socket, address, on_connected);
    if (code < 0) tcp_conn_cut(conn, LOG_INFO_LEVEL, uv_strerror(code));
    return conn;
}

struct tcp_conn *tcp_conn_accept(struct tcp_conns *conns, uv_stream_t *listener, void *peer)
{
    struct sockaddr_storage address = {0};
    int bytes = sizeof address;
    struct tcp_conn *conn = make(conns, false, peer);
    if (conn == NULL) return NULL;
    int code = uv_accept(listener, (uv_stream_t *)&conn->socket);
    if (code == 0) code = uv_tcp_getpeername(&conn->socket, (struct sockaddr *)&address, &bytes);
    tcp_address_print((const struct sockaddr *)&address, conn->label, sizeof conn->label);
    if (code < 0) {
        tcp_conn_cut(conn, LOG_INFO_LEVEL, uv_strerror(code));
    } else if (conns->key.bytes == 0 && !tcp_address_is_loopback((const struct sockaddr *)&address)) {
        tcp_conn_cut(conn, LOG_WARN_LEVEL, "without --link-key only loopback peers are accepted");
    } else {
        (void)uv_tcp_nodelay(&conn->socket, 1);
        tcp_conn_greet_begin(conn);
    }
    return conn;
}

/* ---- every turn, every tick ---- */

static void flush_all(struct tcp_conns *conns)
{
    for (struct tcp_conn *conn = conns->first; conn != NULL; conn = conn->next) {
        if (!conn->dirty) continue;
        conn->dirty = false;
        tcp_conn_out_flush(conn);
    }
    uv_idle_stop(&conns->idle);
}

/* Before the loop sleeps, and after it woke: what either half of the turn has queued. */
static void on_prepare(uv_prepare_t *prepare) { flush_all(prepare->data); }
static void on_check(uv_check_t *check) { flush_all(check->data); }

static const char *overdue(struct tcp_conn *conn)
{
    size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&conn->socket);
    bool moved = !conn->write_running || left != conn->left_before || conn->writes != conn->writes_before;
    conn->left_before = left;
    conn->writes_before = conn->writes;
    conn->quiet = conn->heard || !conn->reading ? 0 : conn->quiet + 1;
    conn->stalled = moved ? 0 : conn->stalled + 1;
    conn->heard = false;
    if (conn->state != TCP_CONN_READY && ++conn->early > TCP_EARLY_TICKS) return "it did not get as far as proving itself in time";
    if (conn->state == TCP_CONN_READY && conn->quiet > TCP_QUIET_TICKS) return "it has been silent for too long";
    return conn->stalled > TCP_STALLED_TICKS ? "it reads nothing of what is sent" : NULL;
}

static void on_tick(uv_timer_t *timer)
{
    struct tcp_conns *conns = timer->data;
    struct buf ping;
    buf_init(&ping, TCP_EARLY_BYTES);
    tcp_codec_frame(&ping, TCP_PING, span_of("", 0));
    conns->counters.unsent_bytes = 0;
    for (struct tcp_conn *conn = conns->first; conn != NULL; conn = conn->next) {
        if (conn->state == TCP_CONN_CLOSING) continue;
        const char *why = overdue(conn);
        conns->counters.unsent_bytes += tcp_conn_unsent(conn) + conn->later.bytes;
        if (why != NULL) tcp_conn_cut(conn, LOG_WARN_LEVEL, why);
        else if (!conn->said && !conn->write_running) (void)tcp_conn_send(conn, buf_span(&ping), NULL, false);
        conn->said = false;
    }
    buf_fini(&ping);
}

/* ---- all of them ---- */

void tcp_conns_open(struct tcp_conns *conns)
{
    uv_prepare_init(conns->loop, &conns->prepare);
    uv_check_init(conns->loop, &conns->check);
    uv_idle_init(conns->loop, &conns->idle);
    uv_timer_init(conns->loop, &conns->ticker);
    conns->handles = 4;
    conns->prepare.data = conns->check.data = conns->idle.data = conns->ticker.data = conns;
    uv_prepare_start(&conns->prepare, on_prepare);
    uv_check_start(&conns->check, on_check);
    uv_timer_start(&conns->ticker, on_tick, conns->heartbeat_ms, conns->heartbeat_ms);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct tcp_conns *conns = handle->data;
    conns->handles--;
    finish(conns);
}

void tcp_conns_close(struct tcp_conns *conns, void *ctx, void (*closed)(void *ctx))
{
    assert(!conns->closing);
    conns->closing = true;
    conns->closed_ctx = ctx;
    conns->closed = closed;
    flush_all(conns);
    for (struct tcp_conn *conn = conns->first; conn != NULL; conn = conn->next) tcp_conn_end(conn);
    uv_close((uv_handle_t *)&conns->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&conns->check, on_handle_closed);
    uv_close((uv_handle_t *)&conns->idle, on_handle_closed);
    uv_close((uv_handle_t *)&conns->ticker, on_handle_closed);
}
