#include <assert.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "client/transport_parts.h"

enum { HEADER_BYTES = 16384, FDS = 64, WRITES_AT_ONCE = 16, KEEP_BYTES = 1048576, WAKE_MOST_MS = 86400000 };

static const lws_retry_bo_t no_retry; /* the heart sees to time-outs; the context keeps the pointer */

/* ---- dialling ---- */

struct lws *transport_dial(struct transport *transport, const char *method, const char *path, const char *protocol, uintptr_t number)
{
    struct lws_client_connect_info info = {.context = transport->context, .vhost = transport->vhost};
    char address[TRANSPORT_HOST_BYTES];
    /* lws tries the next address only on its own loop, and only after its longest time-out. */
    transport->dial_why[0] = '\0';
    transport->address_count = transport_resolve(transport, address, transport->dial_why);
    if (transport->address_count == 0) return NULL; /* asked for a name, lws would look it up itself, with all the patience of the system */
    info.address = address;
    info.host = info.origin = transport->url.authority;
    info.port = transport->url.port;
    info.path = path;
    info.method = method;
    info.protocol = method == NULL ? protocol : NULL;
    info.local_protocol_name = protocol;
    info.ssl_connection = transport->url.tls ? LCCSCF_USE_SSL : 0;
    info.alpn = "http/1.1";
    info.opaque_user_data = (void *)number;
    info.retry_and_idle_policy = &no_retry;
    return lws_client_connect_via_info(&info);
}

/* From outside its own callback: at the loop's next turn. */
void transport_kill(struct transport *transport, struct lws *wsi)
{
    lws_set_timeout(wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
    lws_cancel_service(transport->context);
}

static void lose(struct transport *transport, unsigned code, const char *why)
{
    char text[TRANSPORT_WHY_BYTES];
    snprintf(text, sizeof text, "%s", why == NULL ? "" : why);
    if (!transport->ws_up) transport->address_at++;
    transport->ws = NULL;
    transport->ws_wanted = transport->ws_up = false;
    transport->number += TRANSPORT_NUMBER_STEP;
    buf_fini(&transport->message);
    transport->host.closed(transport->host.ctx, code, text);
}

void transport_connect(struct transport *transport)
{
    char path[TRANSPORT_PATH_BYTES + 16];
    if (transport->ws_wanted || !transport->has_url) return;
    snprintf(path, sizeof path, "%s/v1/ws", transport->url.base);
    transport->ws_wanted = true;
    transport->close_code = 0;
    uintptr_t number = transport->number += TRANSPORT_NUMBER_STEP;
    struct lws *wsi = transport_dial(transport, NULL, path, "tidegate.v1", number);
    if (number != transport->number) return; /* it failed at once, and said so */
    transport->ws = wsi;
    if (wsi == NULL) lose(transport, 0, transport->dial_why[0] != '\0' ? transport->dial_why : "cannot connect");
}

void transport_disconnect(struct transport *transport)
{
    struct lws *wsi = transport->ws;
    bool was_up = transport->ws_up;
    if (!transport->ws_wanted) return;
    lose(transport, 0, "closed here");
    if (wsi == NULL) return;
    if (was_up) lws_callback_on_writable(wsi); /* where it finds that it is nobody's, and closes */
    else transport_kill(transport, wsi);
}

void transport_write(struct transport *transport)
{
    if (transport->ws_up) lws_callback_on_writable(transport->ws);
}

/* ---- the WebSocket ---- */

static int receive(struct transport *transport, struct lws *wsi, const char *in, size_t bytes)
{
    if (lws_is_first_fragment(wsi)) buf_reset(&transport->message);
    buf_add(&transport->message, in, bytes);
    if (!buf_ok(&transport->message)) {
        lws_close_reason(wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, NULL, 0);
        return -1;
    }
    transport->host.heard(transport->host.ctx);
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0) return 0;
    /* What is heard may close the connection, and its buffer with it. */
    struct buf message = transport->message;
    uintptr_t number = transport->number;
    buf_init(&transport->message, TRANSPORT_MESSAGE_BYTES_MAX);
    transport->host.message(transport->host.ctx, buf_span(&message));
    if (number == transport->number && message.room < KEEP_BYTES) {
        buf_fini(&transport->message);
        transport->message = message;
        buf_reset(&transport->message);
    } else {
        buf_fini(&message);
    }
    return number == transport->number ? 0 : -1;
}

static int write_out(struct transport *transport, struct lws *wsi)
{
    for (int i = 0; i < WRITES_AT_ONCE && !lws_send_pipe_choked(wsi); i++) {
        struct span message = transport->host.output(transport->host.ctx);
        static const char room[LWS_PRE];
        if (message.at == NULL) return 0;
        buf_reset(&transport->scratch);
        buf_add(&transport->scratch, room, sizeof room);
        buf_add_span(&transport->scratch, message);
        if (!buf_ok(&transport->scratch)) return -1;
        int wrote = lws_write(wsi, (unsigned char *)transport->scratch.at + LWS_PRE, message.bytes, LWS_WRITE_TEXT);
        if (wrote < (int)message.bytes) return -1;
        transport->host.taken(transport->host.ctx, message.bytes);
    }
    lws_callback_on_writable(wsi);
    return 0;
}

static void note_close(struct transport *transport, const unsigned char *in, size_t bytes)
{
    if (bytes >= 2) transport->close_code = (unsigned)in[0] << 8 | in[1];
    snprintf(transport->why, sizeof transport->why, "%.*s", (int)(bytes > 2 ? bytes - 2 : 0), bytes > 2 ? (const char *)in + 2 : "");
}

/* The last that is heard of any connection, a call's too; of some it is the first: where the peer resets before the request is written,
 * lws frees them without a word. */
static void gone(struct transport *transport, uintptr_t number)
{
    if (transport->ws_wanted && number == transport->number) lose(transport, transport->close_code, "the connection was reset");
    transport_http_gone(transport, number);
}

static int ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes)
{
    struct lws_context *context = lws_get_context(wsi);
    struct transport *transport = context == NULL ? NULL : lws_context_user(context);
    uintptr_t number = (uintptr_t)lws_get_opaque_user_data(wsi);
    (void)user;
    if (transport == NULL || number == 0) return 0;
    bool ours = transport->ws_wanted && number == transport->number;
    switch ((int)reason) {
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        if (ours) lose(transport, lws_http_client_http_response(wsi), in == NULL ? "cannot connect" : in);
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        if (!ours) return -1;
        if (!transport_tls_is_pinned(transport, wsi)) {
            lose(transport, 0, "the server's key is not the pinned one");
            return -1;
        }
        transport->ws = wsi;
        transport->ws_up = true;
        transport->host.connected(transport->host.ctx);
        return number == transport->number ? 0 : -1;
    case LWS_CALLBACK_CLIENT_RECEIVE: return ours ? receive(transport, wsi, in, bytes) : -1;
    case LWS_CALLBACK_CLIENT_WRITEABLE: return ours ? write_out(transport, wsi) : -1;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        if (ours) note_close(transport, in, bytes);
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        if (ours) lose(transport, transport->close_code, transport->why);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        if (transport->is_foreign) transport_uv_sweep(transport, wsi);
        gone(transport, number);
        return 0;
    default: return 0;
    }
}

/* Bytes that lws answers by itself (a ping) are seen by the kernel's clock of the connection. */
static void look_whether_heard(struct transport *transport)
{
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    if (!transport->ws_up) return;
    int fd = lws_get_socket_fd(transport->ws);
    if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0) return;
    if (info.tcpi_last_data_recv < transport->heard_at_ms || info.tcpi_last_data_recv < 1000) transport->host.heard(transport->host.ctx);
    transport->heard_at_ms = info.tcpi_last_data_recv;
}

/* ---- time, and files that change ---- */

static void due(lws_sorted_usec_list_t *sul)
{
    struct transport *transport = lws_container_of(sul, struct transport, timer);
    look_whether_heard(transport);
    transport->host.due(transport->host.ctx);
}

void transport_wake_in(struct transport *transport, int64_t ms)
{
    if (ms > WAKE_MOST_MS) ms = WAKE_MOST_MS; /* early is well: what is due is looked at */
    lws_sul_schedule(transport->context, 0, &transport->timer, due, ms < 0 ? (lws_usec_t)LWS_SET_TIMER_USEC_CANCEL : (lws_usec_t)(ms * 1000 + 1));
    if (transport->is_foreign) lws_cancel_service(transport->context); /* its own timer is set only out of its own callbacks */
}

static int watch_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes)
{
    struct transport *transport = lws_context_user(lws_get_context(wsi));
    char events[4096];
    (void)user;
    (void)in;
    (void)bytes;
    if (reason != LWS_CALLBACK_RAW_RX_FILE) return 0;
    while (read(transport->watch_fd, events, sizeof events) > 0) continue;
    transport->host.stirred(transport->host.ctx);
    return 0;
}

void transport_watch(struct transport *transport, const char *path)
{
    lws_sock_file_fd_type fd;
    int made = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (made < 0) return;
    if (inotify_add_watch(made, path, IN_MODIFY) < 0) {
        close(made);
        return;
    }
    transport->watch_fd = made;
    fd.filefd = made;
    transport->watch = lws_adopt_descriptor_vhost(transport->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "watch", NULL);
    if (transport->watch == NULL) transport->watch_fd = -1; /* adoption closes what it cannot keep */
}

static int network_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes)
{
    struct transport *transport = lws_context_user(lws_get_context(wsi));
    (void)user;
    (void)in;
    (void)bytes;
    if (reason == LWS_CALLBACK_RAW_RX_FILE) transport->host.network(transport->host.ctx);
    return 0;
}

bool transport_watch_network(struct transport *transport, int fd)
{
    lws_sock_file_fd_type adopted = {.filefd = fd};
    return lws_adopt_descriptor_vhost(transport->vhost, LWS_ADOPT_RAW_FILE_DESC, adopted, "network", NULL) != NULL;
}

void transport_turn(struct transport *transport)
{
    assert(!transport->is_foreign);
    lws_service(transport->context, 0);
    look_whether_heard(transport);
}

bool transport_has_url(const struct transport *transport) { return transport->has_url; }
size_t transport_addresses(const struct transport *transport) { return transport->address_count > 0 ? transport->address_count : 1; }
bool transport_is_foreign(const struct transport *transport) { return transport->is_foreign; }

/* ---- opening and closing ---- */

static const struct lws_protocols protocols[] = {{"tidegate.v1", ws_callback, 0, TRANSPORT_THREAD_BYTES, 0, NULL, 0},
                                                 {"http", transport_http_callback, 0, TRANSPORT_THREAD_BYTES, 0, NULL, 0},
                                                 {"watch", watch_callback, 0, 0, 0, NULL, 0},
                                                 {"network", network_callback, 0, 0, 0, NULL, 0},
                                                 {NULL, NULL, 0, 0, 0, NULL, 0}};

static bool make_context(struct transport *transport, void *uv_loop)
{
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .user = transport};
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    if (!transport->url.tls) info.options &= ~(uint64_t)LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    if (uv_loop != NULL) {
        info.options |= LWS_SERVER_OPTION_LIBUV;
        transport->foreign_loop[0] = uv_loop;
        info.foreign_loops = transport->foreign_loop;
    }
    info.pcontext = &transport->context; /* NULL again once it is freed */
    info.retry_and_idle_policy = &no_retry;
    info.pt_serv_buf_size = TRANSPORT_THREAD_BYTES;
    info.max_http_header_data = HEADER_BYTES;
    info.max_http_header_pool = 4;
    info.fd_limit_per_thread = FDS;
    info.connect_timeout_secs = TRANSPORT_CONNECT_MS / 1000;
    info.timeout_secs = TRANSPORT_ANSWER_MS / 1000;
    if (transport->ca_file != NULL) {
        info.client_ssl_ca_filepath = transport->ca_file;
        info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    }
    lws_set_log_level(0, NULL);
    transport->context = lws_create_context(&info);
    if (transport->context != NULL) transport->vhost = lws_create_vhost(transport->context, &info);
    return transport->vhost != NULL;
}

enum err transport_open(const struct transport_options *options, const struct transport_host *host, struct transport **ret_transport, char *ret_why, size_t why_bytes)
{
    struct transport *transport = calloc(1, sizeof *transport);
    enum err err = transport == NULL ? ERR_MEMORY : ERR_OK;
    snprintf(ret_why, why_bytes, "out of memory");
    if (transport == NULL) return err;
    transport->host = *host;
    transport->number = TRANSPORT_NUMBER_STEP;
    transport->call_number = 1;
    transport->watch_fd = -1;
    transport->is_foreign = options->uv_loop != NULL;
    transport->addresses = options->addresses;
    buf_init(&transport->message, TRANSPORT_MESSAGE_BYTES_MAX);
    buf_init(&transport->scratch, TRANSPORT_MESSAGE_BYTES_MAX);
    if (options->url != NULL) err = transport_url_parse(options->url, &transport->url, ret_why, why_bytes);
    transport->has_url = options->url != NULL;
    if (err == ERR_OK && options->pinned_key != NULL) err = transport_url_pin(options->pinned_key, transport->pin, ret_why, why_bytes);
    transport->pinned = options->pinned_key != NULL;
    if (err == ERR_OK && transport->pinned && transport->has_url && !transport->url.tls) {
        snprintf(ret_why, why_bytes, "a pinned key needs https:// or wss://");
        err = ERR_INVALID;
    }
    if (err == ERR_OK && options->ca_file != NULL && access(options->ca_file, R_OK) != 0) {
        snprintf(ret_why, why_bytes, "%.100s: cannot be read", options->ca_file);
        err = ERR_INVALID;
    }
    if (err == ERR_OK && options->ca_file != NULL && (transport->ca_file = strdup(options->ca_file)) == NULL) err = ERR_MEMORY;
    if (err == ERR_OK && !make_context(transport, options->uv_loop)) {
        snprintf(ret_why, why_bytes, "no network context can be made");
        err = ERR_INVALID;
    }
    if (err != ERR_OK) {
        transport_free(transport);
        return err;
    }
    *ret_transport = transport;
    return ERR_OK;
}

static void nothing(void *ctx) { (void)ctx; }
static void not_closed(void *ctx, unsigned code, const char *why)
{
    (void)ctx;
    (void)code;
    (void)why;
}
static void not_answered(void *ctx, unsigned status, int64_t retry_ms, struct span body, const char *why)
{
    (void)ctx;
    (void)status;
    (void)retry_ms;
    (void)body;
    (void)why;
}

void transport_free(struct transport *transport)
{
    if (transport == NULL) return;
    transport->host.closed = not_closed;
    transport->host.answered = not_answered;
    transport->host.due = transport->host.stirred = transport->host.network = transport->host.connected = transport->host.heard = nothing;
    transport->ws_wanted = transport->calling = false;
    transport->number += TRANSPORT_NUMBER_STEP;
    transport->call_number += TRANSPORT_NUMBER_STEP;
    if (transport->context != NULL) lws_sul_schedule(transport->context, 0, &transport->timer, due, LWS_SET_TIMER_USEC_CANCEL);
    if (transport->context != NULL && transport->is_foreign) {
        transport_uv_bury(transport);
        return;
    }
    if (transport->context != NULL) lws_context_destroy(transport->context);
    transport_forget(transport);
}

void transport_forget(struct transport *transport)
{
    buf_fini(&transport->message);
    buf_fini(&transport->scratch);
    transport_http_fini(transport);
    free(transport->ca_file);
    free(transport);
}
