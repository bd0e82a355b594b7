/* One call of HTTP at a time. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/transport_parts.h"
#include "core/limits.h"

enum { CHUNK_BYTES = 32768 };

static void finish(struct transport *transport, unsigned status, const char *why)
{
    if (!transport->calling) return;
    if (status == 0 && transport->call_status == 0) transport->address_at++;
    transport->calling = false;
    transport->call = NULL;
    transport->call_number += TRANSPORT_NUMBER_STEP;
    transport->host.answered(transport->host.ctx, status, transport->call_retry_ms, buf_span(&transport->call_answer), why);
}

void transport_http_gone(struct transport *transport, uintptr_t number)
{
    if (transport->calling && number == transport->call_number) finish(transport, 0, "the connection was reset");
}

bool transport_post(struct transport *transport, const char *path, struct span token, struct span body)
{
    struct buf *whole = &transport->call_path;
    if (transport->calling || !transport->has_url) return false;
    transport_http_fini(transport);
    buf_init(whole, TRANSPORT_PATH_BYTES);
    buf_init(&transport->call_token, LIMIT_TOKEN_BYTES_MAX * 2);
    buf_init(&transport->call_body, TRANSPORT_MESSAGE_BYTES_MAX);
    buf_init(&transport->call_answer, TRANSPORT_MESSAGE_BYTES_MAX);
    buf_add_text(whole, transport->url.base);
    buf_add_text(whole, path);
    buf_add_char(whole, '\0');
    buf_add_text(&transport->call_token, "Bearer ");
    buf_add_span(&transport->call_token, token);
    buf_add_span(&transport->call_body, body);
    if (!buf_ok(whole) || !buf_ok(&transport->call_token) || !buf_ok(&transport->call_body)) return false;
    transport->calling = true;
    transport->body_sent = false;
    transport->call_body_at = 0;
    transport->call_status = 0;
    transport->call_retry_ms = 0;
    uintptr_t number = transport->call_number += TRANSPORT_NUMBER_STEP;
    struct lws *wsi = transport_dial(transport, "POST", whole->at, "http", number);
    if (number != transport->call_number) return true; /* failed at once, and said so */
    transport->call = wsi;
    if (wsi == NULL) finish(transport, 0, transport->dial_why[0] != '\0' ? transport->dial_why : "cannot connect");
    return true;
}

void transport_abandon(struct transport *transport)
{
    struct lws *wsi = transport->call;
    if (!transport->calling) return;
    transport->calling = false;
    transport->call = NULL;
    transport->call_number += TRANSPORT_NUMBER_STEP;
    if (wsi != NULL) transport_kill(transport, wsi);
}

static int add_headers(struct transport *transport, struct lws *wsi, unsigned char **at, unsigned char *end)
{
    char length[24];
    int digits = snprintf(length, sizeof length, "%zu", transport->call_body.bytes);
    if (!transport_tls_is_pinned(transport, wsi)) {
        snprintf(transport->why, sizeof transport->why, "the server's key is not the pinned one");
        return -1;
    }
    if (lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, (const unsigned char *)"application/json", 16, at, end) != 0 ||
        lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, (const unsigned char *)length, digits, at, end) != 0 ||
        lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, (const unsigned char *)transport->call_token.at, (int)transport->call_token.bytes, at, end) != 0)
        return -1;
    lws_client_http_body_pending(wsi, 1);
    lws_callback_on_writable(wsi);
    return 0;
}

static int send_body(struct transport *transport, struct lws *wsi)
{
    static const char room[LWS_PRE];
    size_t left = transport->call_body.bytes - transport->call_body_at, bytes = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    if (transport->body_sent) return 0;
    buf_reset(&transport->scratch);
    buf_add(&transport->scratch, room, sizeof room);
    buf_add(&transport->scratch, transport->call_body.at + transport->call_body_at, bytes);
    if (!buf_ok(&transport->scratch)) return -1;
    bool last = bytes == left;
    if (lws_write(wsi, (unsigned char *)transport->scratch.at + LWS_PRE, bytes, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)bytes) return -1;
    transport->call_body_at += bytes;
    transport->body_sent = last;
    if (last) lws_client_http_body_pending(wsi, 0);
    else lws_callback_on_writable(wsi);
    return 0;
}

static void hear_head(struct transport *transport, struct lws *wsi)
{
    char retry[16] = "";
    transport->call_status = lws_http_client_http_response(wsi);
    if (lws_hdr_copy(wsi, retry, sizeof retry, WSI_TOKEN_HTTP_RETRY_AFTER) > 0) transport->call_retry_ms = strtol(retry, NULL, 10) * 1000;
}

static int read_some(struct lws *wsi)
{
    char room[LWS_PRE + CHUNK_BYTES], *at = room + LWS_PRE;
    int bytes = CHUNK_BYTES;
    return lws_http_client_read(wsi, &at, &bytes) < 0 ? -1 : 0;
}

int transport_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes)
{
    struct lws_context *context = lws_get_context(wsi);
    struct transport *transport = context == NULL ? NULL : lws_context_user(context);
    uintptr_t number = (uintptr_t)lws_get_opaque_user_data(wsi);
    (void)user;
    if (transport == NULL || number == 0) return 0;
    bool ours = transport->calling && number == transport->call_number;
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        if (ours) finish(transport, 0, transport->why[0] != '\0' ? transport->why : in == NULL ? "cannot connect" : in);
        return 0;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
        unsigned char **at = in;
        return ours ? add_headers(transport, wsi, at, *at + bytes) : -1;
    }
    case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE: return ours ? send_body(transport, wsi) : -1;
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
        if (ours) hear_head(transport, wsi);
        return ours ? 0 : -1;
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP: return ours ? read_some(wsi) : -1;
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
        if (ours) buf_add(&transport->call_answer, in, bytes);
        return ours && buf_ok(&transport->call_answer) ? 0 : -1;
    case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
        if (ours) finish(transport, transport->call_status, "");
        return 0;
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
        if (ours) finish(transport, 0, "the connection ended before the answer");
        return 0;
    default: return 0;
    }
}

void transport_http_fini(struct transport *transport)
{
    buf_fini(&transport->call_path);
    buf_fini(&transport->call_token);
    buf_fini(&transport->call_body);
    buf_fini(&transport->call_answer);
    transport->why[0] = '\0';
}
