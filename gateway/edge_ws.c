/* WebSocket: the upgrade, whole messages in (of a text past the bound, whole lines), whole messages out.
 *
 * INVARIANTS
 * 1. Behind a close frame, the peer's or ours, no message is handed over and none is written (RFC 6455, 5.5.1).
 * 2. A pong goes out before what is written after its ping came amid a message: lws queues pongs for its next turn, and
 *    tells nobody, so a write at once would overtake it. Only then does a write wait. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/edge_parts.h"

enum { CLOSE_REASON_BYTES = 48, CLOSE_WAIT_S = 3, WRITE_CLOSE = 4 /* lws' own, left out of its public list */ };
_Static_assert(BLOB_HEADROOM_BYTES >= LWS_PRE, "lws writes its header before the payload");

/* ---- the upgrade ---- */

static bool has_protocol(struct lws *wsi, const char *protocol)
{
    char offered[256];
    if (lws_hdr_copy(wsi, offered, sizeof offered, WSI_TOKEN_PROTOCOL) <= 0) return false;
    char *rest = NULL;
    for (char *one = strtok_r(offered, ", \t", &rest); one != NULL; one = strtok_r(NULL, ", \t", &rest))
        if (strcmp(one, protocol) == 0) return true;
    return false;
}

int edge_ws_upgrade(struct edge *edge, struct lws *wsi)
{
    char path[64], upgrade[32], token[EDGE_TOKEN_ROOM];
    struct hub_credentials *credentials;
    if (lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI) <= 0 || strcmp(path, edge->options.path) != 0)
        return edge_http_refuse(wsi, 404, ERR_UNKNOWN_SPACE, "no such call");
    if (lws_hdr_copy(wsi, upgrade, sizeof upgrade, WSI_TOKEN_UPGRADE) <= 0 || strcasecmp(upgrade, "websocket") != 0)
        return edge_http_refuse(wsi, 400, ERR_INVALID, "only an upgrade to websocket is served");
    if (edge->options.protocol != NULL && !has_protocol(wsi, edge->options.protocol)) return edge_http_refuse(wsi, 400, ERR_INVALID, "the sub-protocol must be tidegate.v1");
    size_t bytes = edge_http_token(wsi, token, sizeof token);
    if (bytes == 0) return 0;
    credentials = calloc(1, sizeof *credentials);
    if (credentials == NULL) return -1;
    if (edge->options.verify(edge->options.ctx, span_of(token, bytes), credentials) == ERR_OK) {
        lws_set_opaque_user_data(wsi, credentials); /* taken by ESTABLISHED, or freed with the connection */
        return 0;
    }
    free(credentials);
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0) return edge_http_refuse(wsi, 401, ERR_UNAUTHENTICATED, NULL);
    /* Upgraded all the same: a browser, which sets no header, is not told the status of a refused upgrade, but it is told 4401. */
    return 0;
}

static void establish(struct edge *edge, struct lws *wsi, struct edge_conn *conn)
{
    struct hub_credentials *credentials = lws_get_opaque_user_data(wsi);
    lws_set_opaque_user_data(wsi, NULL);
    *conn = (struct edge_conn){.edge = edge, .wsi = wsi};
    conn->session = edge->options.handler.connected(edge->options.handler.ctx, conn, credentials, edge->options.now_ms());
    if (credentials != NULL) hub_credentials_fini(credentials);
    free(credentials);
    edge->connections++;
}

/* ---- in ---- */

static int too_long(struct lws *wsi, struct edge_conn *conn)
{
    unsigned char reason[] = "longer than limits.frame";
    conn->closing = true;
    lws_close_reason(wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, reason, sizeof reason - 1);
    return -1;
}

static void hand_over(struct edge_conn *conn, struct span text, bool binary)
{
    const struct edge_handler *handler = &conn->edge->options.handler;
    handler->message(handler->ctx, conn->session, text, binary, conn->edge->options.now_ms());
}

/* Of a text longer than the bound the lines that are whole go ahead. False: what is left is a line longer than that. */
static bool hand_over_lines(struct edge_conn *conn)
{
    size_t whole = conn->message_bytes;
    while (whole > conn->unbroken_bytes && conn->message[whole - 1] != '\n') whole--;
    if (whole > conn->unbroken_bytes) {
        hand_over(conn, span_of(conn->message, whole), false);
        conn->message_bytes -= whole;
        memmove(conn->message, conn->message + whole, conn->message_bytes);
    }
    conn->unbroken_bytes = conn->message_bytes;
    return conn->message_bytes <= conn->edge->message_bytes_max;
}

static int receive(struct lws *wsi, struct edge_conn *conn, const char *in, size_t bytes)
{
    size_t rest = lws_remaining_packet_payload(wsi), bytes_max = conn->edge == NULL ? 0 : conn->edge->message_bytes_max;
    bool last = lws_is_final_fragment(wsi) && rest == 0, binary = lws_frame_is_binary(wsi) != 0;
    if (conn->session == NULL || conn->closing) return 0;
    bool long_text = conn->message_bytes + bytes + rest > bytes_max;
    if (long_text && binary) return too_long(wsi, conn);
    if (rest == 0 && !last) conn->split = true;
    if (last && conn->message_bytes == 0) {
        hand_over(conn, span_of(in, bytes), binary);
        return 0;
    }
    char *grown = realloc(conn->message, conn->message_bytes + bytes + (long_text ? 0 : rest) + 1);
    if (grown == NULL) return -1;
    conn->message = grown;
    if (bytes > 0) memcpy(conn->message + conn->message_bytes, in, bytes);
    conn->message_bytes += bytes;
    if (long_text && !hand_over_lines(conn)) return too_long(wsi, conn);
    if (conn->closing) return 0; /* by what a line said */
    if (!last) {
        conn->edge->options.handler.heard(conn->edge->options.handler.ctx, conn->session, conn->edge->options.now_ms());
        return 0;
    }
    char *whole = conn->message;
    size_t whole_bytes = conn->message_bytes;
    conn->message = NULL;
    conn->message_bytes = conn->unbroken_bytes = 0;
    hand_over(conn, span_of(whole, whole_bytes), binary);
    free(whole);
    return 0;
}

/* ---- out ---- */

static bool write_now(struct edge_conn *conn, struct blob *message, bool binary)
{
    int written = lws_write(conn->wsi, (unsigned char *)message->text, message->bytes, binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
    if (written < 0) {
        conn->dead = true; /* lws must hear -1 from a callback of its own */
        lws_callback_on_writable(conn->wsi);
        return true;
    }
    if (!lws_partial_buffered(conn->wsi)) return true;
    conn->waiting = true;
    lws_callback_on_writable(conn->wsi);
    return false;
}

static bool write_message(struct edge_conn *conn, struct blob *message, bool binary)
{
    if (conn->dead || conn->closing) return true;
    if (!conn->split) return write_now(conn, message, binary);
    assert(conn->held == NULL); /* the handler waits for `writable` */
    conn->held = blob_take(message);
    conn->held_binary = binary;
    conn->waiting = true;
    lws_callback_on_writable(conn->wsi);
    return false;
}

/* What was held goes out. True: there is room for more. */
static bool write_held(struct edge_conn *conn)
{
    struct blob *message = conn->held;
    conn->split = false;
    conn->held = NULL;
    bool room = message == NULL || write_now(conn, message, conn->held_binary);
    blob_put(message);
    return room;
}

static bool send_message(void *conn, struct blob *message) { return write_message(conn, message, false); }
bool edge_send_binary(void *conn, struct blob *message) { return write_message(conn, message, true); }

/* The close frame is written here and now, behind what was sent: lws 4.1.6 drops the socket without one when a WRITEABLE
 * callback returns -1. The peer answers with its own, and lws ends the connection; or the timeout does. */
static void close_conn(void *at, unsigned code, const char *reason)
{
    struct edge_conn *conn = at;
    unsigned char room[LWS_PRE + 2 + CLOSE_REASON_BYTES], *payload = room + LWS_PRE;
    size_t bytes = strnlen(reason, CLOSE_REASON_BYTES);
    if (conn->dead || conn->closing) return;
    (void)write_held(conn);
    payload[0] = (unsigned char)(code >> 8 & 0xff);
    payload[1] = (unsigned char)(code & 0xff);
    memcpy(payload + 2, reason, bytes);
    conn->closing = true;
    if (lws_write(conn->wsi, payload, bytes + 2, (enum lws_write_protocol)WRITE_CLOSE) < 0) conn->dead = true;
    lws_set_timeout(conn->wsi, PENDING_TIMEOUT_CLOSE_ACK, CLOSE_WAIT_S);
    lws_callback_on_writable(conn->wsi);
}

static void ping_conn(void *at)
{
    struct edge_conn *conn = at;
    conn->ping = true;
    lws_callback_on_writable(conn->wsi);
}

const struct hub_edge_ops edge_ws_ops = {.send = send_message, .close = close_conn, .ping = ping_conn};

static int on_writeable(struct lws *wsi, struct edge_conn *conn)
{
    if (conn->dead) return -1;
    if (conn->session == NULL) close_conn(conn, 1013, "too many connections");
    if (conn->closing) return 0;
    if (conn->ping) {
        unsigned char ping[LWS_PRE + 1] = {0};
        ping[LWS_PRE] = '.'; /* lws 4.1.6 keeps a pong without a payload to itself */
        conn->ping = false;
        if (lws_write(wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) < 0) return -1;
    }
    bool room = write_held(conn);
    if (conn->dead) return -1;
    if (room && conn->waiting) {
        conn->waiting = false;
        conn->edge->options.handler.writable(conn->edge->options.handler.ctx, conn->session);
    }
    return 0;
}

static void end(struct edge *edge, struct edge_conn *conn)
{
    edge->connections--;
    free(conn->message);
    blob_put(conn->held);
    conn->message = NULL;
    conn->held = NULL;
    if (conn->session != NULL) edge->options.handler.disconnected(edge->options.handler.ctx, conn->session, edge->options.now_ms());
    conn->session = NULL;
}

int edge_ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes)
{
    struct edge_conn *conn = user;
    switch ((int)reason) {
    case LWS_CALLBACK_ESTABLISHED:
        establish(edge_of(wsi), wsi, conn);
        if (conn->session == NULL) lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_RECEIVE: return receive(wsi, conn, in, bytes);
    case LWS_CALLBACK_RECEIVE_PONG:
        if (conn->session != NULL)
            conn->edge->options.handler.heard(conn->edge->options.handler.ctx, conn->session, conn->edge->options.now_ms());
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE: return on_writeable(wsi, conn);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: /* lws answers it */
        conn->closing = true;
        return 0;
    case LWS_CALLBACK_CLOSED:
        if (conn->edge != NULL) end(conn->edge, conn);
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: case LWS_CALLBACK_WSI_DESTROY: return edge_http_callback(wsi, reason, NULL, in, bytes);
    default: return 0;
    }
}
