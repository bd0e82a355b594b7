#include "gateway/edge.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/edge_parts.h"

/* HEADER_POOL handshakes at a time; further ones wait, HANDSHAKE_S at most. Who opens thousands and says nothing shall not
 * make the others wait: 4,096 cost 24 MiB, or 60 with headers of 14 KiB each. */
enum { RX_BUFFER_BYTES = 1024, HEADER_BYTES = 16384, HEADER_POOL = 4096, HANDSHAKE_S = 10, THREAD_BUFFER_BYTES = 65536 };

struct edge *edge_of(struct lws *wsi) { return lws_context_user(lws_get_context(wsi)); }
const struct hub_edge_ops *edge_ops(void) { return &edge_ws_ops; }
const char *edge_address(const struct edge *edge, size_t listener) { return edge->listeners[listener].address; }
size_t edge_connections(const struct edge *edge) { return edge->connections; }
const struct edge_counters *edge_counters(const struct edge *edge) { return &edge->counters; }

static void end_turn(struct edge *edge)
{
    const struct edge_handler *handler = &edge->options.handler;
    if (handler->has_work(handler->ctx)) handler->turn_end(handler->ctx, edge->options.now_ms());
}

/* Before the loop sleeps, for what timers and other checks have made; behind the polling, for what sockets brought. */
static void on_prepare(uv_prepare_t *prepare) { end_turn(prepare->data); }
static void on_check(uv_check_t *check) { end_turn(check->data); }

static void on_tick(uv_timer_t *timer)
{
    struct edge *edge = timer->data;
    edge->options.handler.tick(edge->options.handler.ctx, edge->options.now_ms());
    end_turn(edge);
    lws_cancel_service(edge->context); /* lws' own deadlines are only looked at when it is serviced */
}

static void on_rearm(uv_timer_t *timer) { edge_listen_rearm(timer->data); }

static void quiet(int level, const char *line)
{
    (void)level;
    (void)line; /* what matters is said by us, with names of our own */
}

static struct lws_context *make_context(struct edge *edge)
{
    static const struct lws_protocol_vhost_options by_default = {.name = "default", .value = "1"};
    static const struct lws_protocol_vhost_options any_protocol = {.options = &by_default, .name = "any", .value = ""};
    static const lws_retry_bo_t no_pings = {0}; /* lws walks a sorted list for each: the handler sweeps instead */
    void *loops[1] = {edge->options.loop};
    struct lws_context_creation_info info = {0};
    /* No client can ask for a sub-protocol of this name: a comma ends one. */
    edge->protocols[0] = (struct lws_protocols){.name = "http,", .callback = edge_http_callback,
        .per_session_data_size = sizeof(struct edge_exchange), .rx_buffer_size = RX_BUFFER_BYTES, .tx_packet_size = THREAD_BUFFER_BYTES};
    edge->protocols[1] = (struct lws_protocols){.name = edge->options.protocol == NULL ? "any" : edge->options.protocol, .callback = edge_ws_callback,
        .per_session_data_size = sizeof(struct edge_conn), .rx_buffer_size = RX_BUFFER_BYTES, .tx_packet_size = THREAD_BUFFER_BYTES};
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.foreign_loops = loops;
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8;
    if (edge->options.tls_cert != NULL) info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.protocols = edge->protocols;
    info.max_http_header_data = HEADER_BYTES;
    info.max_http_header_data2 = HEADER_BYTES;
    info.max_http_header_pool = HEADER_POOL;
    info.max_http_header_pool2 = HEADER_POOL;
    info.timeout_secs = HANDSHAKE_S;
    info.keepalive_timeout = 60;
    info.pt_serv_buf_size = THREAD_BUFFER_BYTES;
    info.retry_and_idle_policy = &no_pings;
    info.user = edge;
    info.alpn = "http/1.1";
    info.server_string = "tidegate";
    struct lws_context *context = lws_create_context(&info);
    if (context == NULL) return NULL;
    info.ssl_cert_filepath = edge->options.tls_cert;
    info.ssl_private_key_filepath = edge->options.tls_key;
    if (edge->options.protocol == NULL) info.pvo = &any_protocol;
    edge->vhost = lws_create_vhost(context, &info);
    return context;
}

static void start_timers(struct edge *edge)
{
    struct uv_loop_s *loop = edge->options.loop;
    uv_timer_init(loop, &edge->tick);
    uv_timer_init(loop, &edge->rearm);
    uv_prepare_init(loop, &edge->prepare);
    uv_check_init(loop, &edge->check);
    edge->tick.data = edge->rearm.data = edge->prepare.data = edge->check.data = edge;
    uv_timer_start(&edge->tick, on_tick, EDGE_TICK_MS, EDGE_TICK_MS);
    uv_timer_start(&edge->rearm, on_rearm, 100, 100);
    uv_prepare_start(&edge->prepare, on_prepare);
    uv_check_start(&edge->check, on_check);
    edge->handles_open = 4;
}

enum err edge_open(const struct edge_options *options, struct edge **ret_edge, char *why, size_t why_bytes)
{
    if (options->tls_cert != NULL && edge_tls_check(options->tls_cert, options->tls_key, why, why_bytes) != ERR_OK) return ERR_CONFIG;
    struct edge *edge = calloc(1, sizeof *edge);
    if (edge == NULL) return ERR_MEMORY;
    assert(options->listen_count <= EDGE_LISTENERS_MAX);
    edge->options = *options;
    edge->message_bytes_max = options->message_bytes_max > 0 ? options->message_bytes_max : LIMIT_FRAME_BYTES_MAX;
    edge->connections_max = edge_listen_limit(); /* raises the limit: lws sizes its tables by it */
    lws_set_log_level(LLL_ERR, quiet);
    edge->context = make_context(edge);
    if (edge->context == NULL || edge->vhost == NULL) {
        snprintf(why, why_bytes, "libwebsockets cannot start: is libwebsockets-evlib-uv installed?");
        if (edge->context != NULL) lws_context_destroy(edge->context);
        free(edge);
        return ERR_CONFIG;
    }
    start_timers(edge);
    for (size_t i = 0; i < options->listen_count; i++) {
        enum err err = edge_listen_open(edge, options->listen[i], why, why_bytes);
        if (err != ERR_OK) {
            *ret_edge = edge;
            return err;
        }
    }
    *ret_edge = edge;
    return ERR_OK;
}

void edge_stop_accepting(struct edge *edge) { edge_listen_stop(edge); }

static void on_all_closed(uv_handle_t *handle)
{
    struct edge *edge = handle->data;
    if (--edge->handles_open > 0) return;
    if (edge->closed != NULL) edge->closed(edge->closed_ctx);
}

void edge_free(struct edge *edge)
{
    if (edge == NULL) return;
    lws_context_destroy(edge->context); /* the second time: frees what the first one only closed */
    free(edge);
}

void edge_close(struct edge *edge, void *ctx, void (*closed)(void *ctx))
{
    if (edge->closing) return;
    edge->closing = true;
    edge->closed_ctx = ctx;
    edge->closed = closed;
    edge_listen_stop(edge);
    lws_context_destroy(edge->context);
    uv_close((uv_handle_t *)&edge->prepare, on_all_closed);
    uv_close((uv_handle_t *)&edge->check, on_all_closed);
    uv_close((uv_handle_t *)&edge->tick, on_all_closed);
    uv_close((uv_handle_t *)&edge->rearm, on_all_closed);
    edge_listen_close(edge, on_all_closed);
}
