/* The edge of a server: devices' tokens, what the edge hands to the hub, and the pages beside the protocol. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/asset.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/service.h"
#include "core/name.h"

enum { DEV_TOKEN_S = 3600 };

/* ---- tokens ---- */

enum err service_edge_verify(void *service, struct span token, struct hub_credentials *ret_credentials)
{
    struct service *s = service;
    const char *why;
    if (jwt_verify(s->keys, &s->token_rules, token, clock_wall_ms(), &s->claims, &why) != ERR_OK) {
        log_line(LOG_INFO_LEVEL, "token_refused", "why=\"%s\"", why);
        return ERR_UNAUTHENTICATED;
    }
    struct hub_credentials credentials = {.user_bytes = s->claims.user_bytes, .expires_ms = s->claims.expires_ms, .admin = s->claims.admin};
    memcpy(credentials.user, s->claims.user, s->claims.user_bytes);
    if (s->claims.spaces.at != NULL) {
        credentials.grants = blob_make(s->claims.spaces);
        if (credentials.grants == NULL) return ERR_UNAUTHENTICATED;
    }
    *ret_credentials = credentials;
    return ERR_OK;
}

/* ---- what the edge hands to the hub ---- */

static void *connected(void *ctx, void *conn, struct hub_credentials *credentials, int64_t now_ms)
{
    return hub_connected(((struct service *)ctx)->hub, conn, credentials, now_ms);
}
static void message(void *ctx, void *session, struct span text, bool binary, int64_t now_ms)
{
    (void)ctx;
    if (binary) hub_binary(session, now_ms);
    else hub_message(session, text, now_ms);
}
static void heard(void *ctx, void *session, int64_t now_ms)
{
    (void)ctx;
    hub_heard(session, now_ms);
}
static void writable(void *ctx, void *session)
{
    (void)ctx;
    hub_writable(session);
}
static void disconnected(void *ctx, void *session, int64_t now_ms)
{
    (void)ctx;
    hub_disconnected(session, now_ms);
}
static void tick(void *ctx, int64_t now_ms)
{
    struct service *s = ctx;
    hub_tick(s->hub, now_ms);
    if (s->draining && hub_connections(s->hub) == 0) service_close_all(s);
}
static void turn_end(void *ctx, int64_t now_ms) { hub_turn_end(((struct service *)ctx)->hub, now_ms); }
static bool has_work(void *ctx) { return hub_has_work(((struct service *)ctx)->hub); }

/* ---- pages ---- */

static bool is_ready(struct service *s, const char **ret_why)
{
    *ret_why = "draining";
    if (s->draining || !s->ops->ready(s, ret_why)) return false;
    *ret_why = "no namespace in force yet";
    return s->hub == NULL || hub_ready(s->hub);
}

static void make_metrics(struct service *s)
{
    if (s->hub != NULL) metrics_add(&s->page, metrics_hub_rows, metrics_hub_rows_count, hub_counters(s->hub));
    metrics_add(&s->page, metrics_edge_rows, metrics_edge_rows_count, edge_counters(s->edge));
    s->ops->metrics(s, &s->page);
    metrics_add_process(&s->page);
}

static bool is_dev(const struct service *s) { return s->ops->command == CONFIG_SERVE && config_is_on(s->config, "dev"); }

static bool dev_token(struct service *s, struct span query, struct edge_page *page)
{
    struct buf payload, token;
    int64_t now_s = clock_wall_ms() / 1000;
    struct span user = span_of(query.at, 0);
    if (query.bytes > 5 && memcmp(query.at, "user=", 5) == 0) user = span_of(query.at + 5, query.bytes - 5);
    if (!name_is_user(user)) {
        page->status = 400;
        page->type = "application/json";
        page->body = SPAN_LITERAL("{\"code\":\"invalid\",\"message\":\"user: 1 to 128 bytes\"}");
        return true;
    }
    buf_init(&payload, 4096);
    buf_init(&token, 8192);
    buf_add_text(&payload, "{\"sub\":");
    buf_add_json_string(&payload, user);
    buf_add_text(&payload, ",\"exp\":");
    buf_add_i64(&payload, now_s + DEV_TOKEN_S);
    buf_add_char(&payload, '}');
    bool good = buf_ok(&payload) && jwt_sign(s->keys, buf_span(&payload), &token) == ERR_OK;
    if (good) {
        buf_add_text(&s->page, "{\"user\":");
        buf_add_json_string(&s->page, user);
        buf_add_text(&s->page, ",\"token\":\"");
        buf_add_span(&s->page, buf_span(&token));
        buf_add_text(&s->page, "\"}");
        page->type = "application/json";
        page->body = buf_span(&s->page);
    }
    buf_fini(&payload);
    buf_fini(&token);
    return good;
}

static bool dev_page(struct service *s, struct span path, struct span query, struct edge_page *page)
{
    if (span_is(path, "/dev/token")) return dev_token(s, query, page);
    if (span_is(path, "/")) path = SPAN_LITERAL("/index.html");
    for (size_t i = 0; i < asset_demo_count; i++) {
        if (!span_is(span_of(path.at + 1, path.bytes - 1), asset_demo[i].path)) continue;
        page->type = asset_demo[i].type;
        page->body = span_of((const char *)asset_demo[i].data, asset_demo[i].data_bytes);
        page->is_dev = true;
        return true;
    }
    return false;
}

static bool make_page(void *ctx, struct span path, struct span query, struct edge_page *page)
{
    struct service *s = ctx;
    const char *why;
    buf_reset(&s->page);
    page->type = "text/plain; charset=utf-8";
    if (span_is(path, "/healthz")) {
        page->body = SPAN_LITERAL("alive\n");
    } else if (span_is(path, "/readyz")) {
        bool ready = is_ready(s, &why);
        page->status = ready ? 200 : 503;
        buf_add_text(&s->page, ready ? "ready" : why);
        buf_add_char(&s->page, '\n');
        page->body = buf_span(&s->page);
    } else if (span_is(path, "/metrics")) {
        make_metrics(s);
        page->type = "text/plain; version=0.0.4; charset=utf-8";
        page->body = buf_span(&s->page);
    } else {
        return path.bytes > 0 && is_dev(s) && dev_page(s, path, query, page);
    }
    return true;
}

/* ---- opening ---- */

int service_edge_keys(struct service *s)
{
    int code = keys_load(s->config, is_dev(s), &s->keys);
    s->token_rules = (struct jwt_rules){.issuer = config_text(s->config, "jwt-issuer"), .audience = config_text(s->config, "jwt-audience")};
    if (code == EXIT_WELL && jwt_keys_secret_bytes(s->keys) < JWT_SECRET_BYTES_ADVISED)
        log_line(LOG_WARN_LEVEL, "short_secret", "bytes=%zu advised=%d", jwt_keys_secret_bytes(s->keys), JWT_SECRET_BYTES_ADVISED);
    return code;
}

/* A worker's edge has pages and no devices. */
static void *refuse(void *ctx, void *conn, struct hub_credentials *credentials, int64_t now_ms)
{
    (void)ctx;
    (void)conn;
    (void)credentials;
    (void)now_ms;
    return NULL;
}
static enum err verify_nobody(void *ctx, struct span token, struct hub_credentials *ret_credentials)
{
    (void)ctx;
    (void)token;
    (void)ret_credentials;
    return ERR_UNAUTHENTICATED;
}
static void no_tick(void *ctx, int64_t now_ms)
{
    struct service *s = ctx;
    (void)now_ms;
    if (s->draining) service_close_all(s);
}
static void no_turn_end(void *ctx, int64_t now_ms)
{
    (void)ctx;
    (void)now_ms;
}
static bool no_work(void *ctx)
{
    (void)ctx;
    return false;
}

static void serve_devices(struct service *s, struct edge_options *edge)
{
    edge->hub = s->hub;
    edge->verify = service_edge_verify;
    edge->tls_cert = config_text(s->config, "tls-cert");
    edge->tls_key = config_text(s->config, "tls-key");
    edge->share_address = s->ops->command == CONFIG_GATEWAY; /* several on one host */
    edge->handler = (struct edge_handler){.ctx = s, .connected = connected, .message = message, .heard = heard, .writable = writable,
                                          .disconnected = disconnected, .tick = tick, .turn_end = turn_end, .has_work = has_work};
}

int service_edge_open(struct service *s)
{
    char why[512] = "";
    const char *const *listen;
    struct edge_options edge = {.loop = s->loop, .now_ms = clock_wall_ms, .ctx = s, .page = make_page, .verify = verify_nobody, .say = service_say,
                                .protocol = "tidegate.v1", .path = "/v1/ws",
                                .handler = {.ctx = s, .connected = refuse, .tick = no_tick, .turn_end = no_turn_end, .has_work = no_work}};
    edge.listen_count = config_list(s->config, "listen", &listen);
    edge.listen = listen;
    if (s->hub != NULL) serve_devices(s, &edge);
    if (edge.listen_count == 0) return EXIT_WELL; /* a worker without a page */
    enum err err = edge_open(&edge, &s->edge, why, sizeof why);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "%s", why);
    for (size_t i = 0; i < edge.listen_count; i++) log_line(LOG_INFO_LEVEL, "listening", "addr=%s", edge_address(s->edge, i));
    if (is_dev(s)) {
        printf("The demo is at http://%s/\n", edge_address(s->edge, 0));
        fflush(stdout);
    }
    return EXIT_WELL;
}
