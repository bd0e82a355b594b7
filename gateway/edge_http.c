/* HTTP: one exchange at a time a connection; bodies bounded; answers of any length.
 *
 * INVARIANTS
 * 1. A body ends where its one Content-Length says, or the connection ends behind the answer: no byte of a body is ever
 *    taken for a request (a proxy in front may have another opinion of where it ends).
 * 2. A refused request's body is read and dropped first, up to DRAIN_BYTES_MAX, so that its sender gets to read why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "gateway/edge_parts.h"

enum { PATH_BYTES_MAX = 2048, HEADERS_BYTES = 1024, LENGTH_DIGITS_MAX = 15, DRAIN_BYTES_MAX = 16777216, ANSWER_S = 30 };

size_t edge_http_token(struct lws *wsi, char *room, size_t room_bytes)
{
    static const char bearer[] = "Bearer ";
    int bytes = lws_hdr_copy(wsi, room, (int)room_bytes, WSI_TOKEN_HTTP_AUTHORIZATION);
    if (bytes > (int)sizeof bearer - 1 && strncasecmp(room, bearer, sizeof bearer - 1) == 0) {
        memmove(room, room + sizeof bearer - 1, (size_t)bytes - sizeof bearer + 2);
        return (size_t)bytes - sizeof bearer + 1;
    }
    if (bytes != 0 || lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0) {
        room[0] = '?'; /* there, but no bearer token of a possible length: verified, and refused */
        return 1;
    }
    for (int i = 0;; i++) {
        int length = lws_hdr_copy_fragment(wsi, room, (int)room_bytes, WSI_TOKEN_HTTP_URI_ARGS, i);
        if (length == -1) return 0;
        if (length < 0) continue; /* longer than a token may be: whatever it is, it is none */
        if (strncmp(room, "access_token=", 13) != 0) continue;
        memmove(room, room + 13, (size_t)length - 13 + 1);
        if (length == 13) room[0] = '?';
        return length == 13 ? 1 : (size_t)length - 13;
    }
}

static const char *allow_of(unsigned status) { return status == 405 ? "GET, POST" : NULL; }

/* Status line and headers of an answer whose body follows. */
static int write_headers(struct lws *wsi, unsigned status, const char *type, size_t bytes, unsigned retry_after_s, bool is_dev, bool is_last)
{
    unsigned char room[LWS_PRE + HEADERS_BYTES], *start = room + LWS_PRE, *at = start, *end = room + sizeof room - 1;
    static const char csp[] = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; style-src 'self'";
    char number[16];
    if (lws_add_http_common_headers(wsi, status, type, bytes, &at, end)) return -1;
    if (lws_add_http_header_by_name(wsi, (const unsigned char *)"cache-control:", (const unsigned char *)"no-store", 8, &at, end)) return -1;
    if (lws_add_http_header_by_name(wsi, (const unsigned char *)"x-content-type-options:", (const unsigned char *)"nosniff", 7, &at, end)) return -1;
    if (is_dev && lws_add_http_header_by_name(wsi, (const unsigned char *)"content-security-policy:", (const unsigned char *)csp, sizeof csp - 1, &at, end)) return -1;
    if (allow_of(status) != NULL && lws_add_http_header_by_name(wsi, (const unsigned char *)"allow:", (const unsigned char *)allow_of(status), (int)strlen(allow_of(status)), &at, end)) return -1;
    if (is_last && lws_add_http_header_by_name(wsi, (const unsigned char *)"connection:", (const unsigned char *)"close", 5, &at, end)) return -1;
    if (status == 401 && lws_add_http_header_by_name(wsi, (const unsigned char *)"www-authenticate:", (const unsigned char *)"Bearer", 6, &at, end)) return -1;
    if (retry_after_s > 0) {
        int count = snprintf(number, sizeof number, "%u", retry_after_s);
        if (lws_add_http_header_by_name(wsi, (const unsigned char *)"retry-after:", (const unsigned char *)number, count, &at, end)) return -1;
    }
    return lws_finalize_write_http_header(wsi, start, &at, end);
}

static struct blob *error_body(enum err code, const char *message)
{
    struct buf body;
    buf_init(&body, 2048);
    buf_add_text(&body, "{\"code\":\"");
    buf_add_text(&body, err_name(code));
    buf_add_text(&body, "\",\"message\":");
    buf_add_json_string(&body, span_text(message == NULL ? err_text(code) : message));
    buf_add_char(&body, '}');
    struct blob *blob = buf_ok(&body) ? blob_make(buf_span(&body)) : NULL;
    buf_fini(&body);
    return blob;
}

static const char *status_text(unsigned status)
{
    switch (status) {
    case 400: return "400 Bad Request";
    case 401: return "401 Unauthorized\r\nwww-authenticate: Bearer";
    case 404: return "404 Not Found";
    default: return "503 Service Unavailable";
    }
}

/* Answers an upgrade that is refused: all at once, then the connection ends. The head is written here: lws has not read
 * the request's version yet, and would answer as HTTP/1.0. */
int edge_http_refuse(struct lws *wsi, unsigned status, enum err code, const char *message)
{
    struct blob *body = error_body(code, message), *answer = NULL;
    struct buf text;
    edge_of(wsi)->counters.upgrades_refused++;
    if (body == NULL) return -1;
    buf_init(&text, 8192);
    buf_add_text(&text, "HTTP/1.1 ");
    buf_add_text(&text, status_text(status));
    buf_add_text(&text, "\r\ncontent-type: application/json\r\ncache-control: no-store\r\nconnection: close\r\ncontent-length: ");
    buf_add_u64(&text, body->bytes);
    buf_add_text(&text, "\r\n\r\n");
    buf_add_span(&text, blob_span(body));
    if (buf_ok(&text)) answer = blob_make(buf_span(&text));
    int written = answer == NULL ? -1 : lws_write(wsi, (unsigned char *)answer->text, answer->bytes, LWS_WRITE_HTTP_HEADERS);
    blob_put(answer);
    blob_put(body);
    buf_fini(&text);
    return written < 0 ? -1 : 1;
}

static void forget(struct edge_exchange *x)
{
    if (x->job != NULL) hub_http_cancel(x->job);
    hub_credentials_fini(&x->credentials);
    free(x->path);
    free(x->query);
    free(x->body);
    blob_put(x->answer);
    *x = (struct edge_exchange){.edge = x->edge, .wsi = x->wsi};
}

static int answer(struct edge_exchange *x, unsigned status, const char *type, struct blob *body, unsigned retry_after_s, bool is_dev)
{
    if (body == NULL) return -1;
    x->answer = body;
    if (write_headers(x->wsi, status, type, body->bytes, retry_after_s, is_dev, x->last) != 0) return -1;
    x->headers_sent = true;
    lws_set_timeout(x->wsi, PENDING_TIMEOUT_HTTP_CONTENT, ANSWER_S); /* who does not read it */
    lws_callback_on_writable(x->wsi);
    return 0;
}

static int answer_error(struct edge_exchange *x, unsigned status, enum err code, const char *message)
{
    return answer(x, status, "application/json", error_body(code, message), status == 503 ? 1 : 0, false);
}

static void on_answered(void *ctx, const struct hub_http_answer *given)
{
    struct edge_exchange *x = ctx;
    x->job = NULL;
    x->status = given->status;
    x->retry_after_s = given->retry_after_s;
    x->answer = given->body != NULL ? blob_take(given->body) : error_body(ERR_BUSY, NULL);
    x->answered = true;
    lws_set_timeout(x->wsi, PENDING_TIMEOUT_HTTP_CONTENT, ANSWER_S);
    lws_callback_on_writable(x->wsi);
}

static int serve_page(struct edge_exchange *x)
{
    struct edge_page page = {.status = 200};
    struct edge *edge = x->edge;
    if (edge->options.page == NULL || !edge->options.page(edge->options.ctx, span_text(x->path), span_text(x->query), &page))
        return answer_error(x, 404, ERR_UNKNOWN_SPACE, "no such page");
    return answer(x, page.status, page.type, blob_make(page.body), page.status == 503 ? 1 : 0, page.is_dev);
}

static int serve_call(struct edge_exchange *x)
{
    struct hub_http_request request = {.post = x->post, .path = span_text(x->path + 4), .query = span_text(x->query),
                                       .body = span_of(x->body, x->body_bytes), .credentials = &x->credentials};
    lws_set_timeout(x->wsi, NO_PENDING_TIMEOUT, 0); /* the hub has deadlines of its own */
    x->job = hub_http_start(x->edge->options.hub, &request, x->edge->options.now_ms(), x, on_answered);
    return 0;
}

static int serve(struct edge_exchange *x)
{
    if (x->refusal.status != 0) return answer_error(x, x->refusal.status, x->refusal.code, x->refusal.message);
    bool call = x->edge->options.hub != NULL && strncmp(x->path, "/v1/", 4) == 0;
    if (!call && x->post) return answer_error(x, 405, ERR_INVALID, "only GET is served here");
    return call ? serve_call(x) : serve_page(x);
}

static char *copy_header(struct lws *wsi, enum lws_token_indexes token)
{
    int bytes = lws_hdr_total_length(wsi, token);
    char *text = bytes > PATH_BYTES_MAX ? NULL : calloc(1, (size_t)bytes + 32);
    if (text != NULL && bytes > 0 && lws_hdr_copy(wsi, text, bytes + 31, token) < 0) text[0] = '\0';
    return text;
}

/* The arguments, already decoded by lws, joined by '&' again (lws_hdr_copy() would put a comma between them). */
static char *copy_query(struct lws *wsi)
{
    size_t room = (size_t)lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) + 64, at = 0;
    char *text = room > PATH_BYTES_MAX ? NULL : calloc(1, room);
    for (int i = 0; text != NULL; i++) {
        int bytes = lws_hdr_copy_fragment(wsi, text + at + (at > 0 ? 1 : 0), (int)(room - at - 2), WSI_TOKEN_HTTP_URI_ARGS, i);
        if (bytes < 0) break;
        if (at > 0) text[at++] = '&';
        at += (size_t)bytes;
    }
    if (text != NULL) text[at] = '\0';
    return text;
}

static void refuse(struct edge_exchange *x, unsigned status, enum err code, const char *message, bool is_last)
{
    x->last = x->last || is_last;
    if (x->refusal.status != 0) return; /* the first reason is the one that is told */
    x->refusal.status = status;
    x->refusal.code = code;
    x->refusal.message = message;
}

/* Verifies what a call under /v1/ needs. */
static void admit(struct edge_exchange *x)
{
    char token[EDGE_TOKEN_ROOM];
    if (x->edge->options.hub == NULL || strncmp(x->path, "/v1/", 4) != 0) return;
    size_t bytes = edge_http_token(x->wsi, token, sizeof token);
    if (bytes == 0 || x->edge->options.verify(x->edge->options.ctx, span_of(token, bytes), &x->credentials) != ERR_OK)
        refuse(x, 401, ERR_UNAUTHENTICATED, NULL, false);
}

/* How long is the body? Anything but one plain Content-Length is refused, and ends the connection. */
static unsigned long long measure(struct edge_exchange *x)
{
    char length[LENGTH_DIGITS_MAX + 1] = "";
    int given = lws_hdr_total_length(x->wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    if (lws_hdr_total_length(x->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) refuse(x, 411, ERR_INVALID, "send a Content-Length: no Transfer-Encoding is read", true);
    else if (given <= 0 && x->post) refuse(x, 411, ERR_INVALID, "send a Content-Length", true);
    if (given <= 0) return 0;
    int bytes = lws_hdr_copy(x->wsi, length, sizeof length, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    if (bytes <= 0 || length[strspn(length, "0123456789")] != '\0') {
        refuse(x, 400, ERR_INVALID, "Content-Length: must be one whole number", true);
        return 0;
    }
    unsigned long long value = strtoull(length, NULL, 10);
    if (value > LIMIT_FRAME_BYTES_MAX) refuse(x, 413, ERR_TOO_LARGE, "the body is longer than 2 MiB", value > DRAIN_BYTES_MAX);
    return value;
}

static int begin(struct lws *wsi, struct edge_exchange *x)
{
    forget(x);
    x->edge = edge_of(wsi);
    x->wsi = wsi;
    x->active = true;
    x->edge->counters.requests++;
    x->post = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0;
    bool get = lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0;
    unsigned long long length = measure(x);
    if (!x->post && !get) refuse(x, 405, ERR_INVALID, "only GET and POST are served", true);
    x->path = copy_header(wsi, x->post ? WSI_TOKEN_POST_URI : WSI_TOKEN_GET_URI);
    x->query = copy_query(wsi);
    if (x->path == NULL || x->query == NULL) refuse(x, 414, ERR_TOO_LARGE, "the address is too long", true);
    else if (strlen(x->path) != (size_t)lws_hdr_total_length(wsi, x->post ? WSI_TOKEN_POST_URI : WSI_TOKEN_GET_URI) && (x->post || get))
        refuse(x, 400, ERR_INVALID, "the address holds a zero byte", true);
    else if (strcmp(x->path, x->edge->options.path) == 0) refuse(x, 400, ERR_INVALID, "upgrade to websocket, sub-protocol tidegate.v1", false);
    else admit(x);
    return length == 0 || x->last ? serve(x) : 0; /* else at BODY_COMPLETION, which an empty body does not bring */
}

static int take_body(struct edge_exchange *x, const char *in, size_t bytes)
{
    if (!x->active || x->refusal.status != 0 || !x->post) return 0; /* refused, or of no use: read and dropped */
    if (x->body_bytes + bytes > LIMIT_FRAME_BYTES_MAX) return -1;   /* measure() saw to it that lws ends before */
    char *grown = realloc(x->body, x->body_bytes + bytes + 1);
    if (grown == NULL) return -1;
    x->body = grown;
    memcpy(x->body + x->body_bytes, in, bytes);
    x->body_bytes += bytes;
    return 0;
}

static int write_answer(struct lws *wsi, struct edge_exchange *x)
{
    if (!x->active || x->answer == NULL) return x->answered ? -1 : 0; /* there was no memory for an answer */
    if (!x->headers_sent) {
        x->headers_sent = true;
        if (write_headers(wsi, x->status, "application/json", x->answer->bytes, x->retry_after_s, false, x->last) != 0) return -1;
        lws_callback_on_writable(wsi);
        return 0;
    }
    struct blob *body = x->answer;
    x->answer = NULL;
    int written = body->bytes == 0 ? 0 : lws_write(wsi, (unsigned char *)body->text, body->bytes, LWS_WRITE_HTTP_FINAL);
    blob_put(body);
    if (written < 0 || x->last) return -1;
    forget(x);
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

int edge_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes)
{
    struct edge_exchange *x = user;
    switch ((int)reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return edge_ws_upgrade(edge_of(wsi), wsi);
    case LWS_CALLBACK_HTTP: return begin(wsi, x);
    case LWS_CALLBACK_HTTP_BODY: return take_body(x, in, bytes);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return x->answer == NULL && x->job == NULL && x->active ? serve(x) : 0;
    case LWS_CALLBACK_HTTP_WRITEABLE: return write_answer(wsi, x);
    case LWS_CALLBACK_CLOSED_HTTP:
        if (x != NULL) forget(x);
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return 1; /* a WebSocket bound here would be nobody's */
    case LWS_CALLBACK_WSI_DESTROY: {
        struct hub_credentials *unused = lws_get_opaque_user_data(wsi);
        if (unused != NULL) hub_credentials_fini(unused);
        free(unused);
        lws_set_opaque_user_data(wsi, NULL);
        return 0;
    }
    default: return 0;
    }
}
