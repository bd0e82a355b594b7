/* tidegate serve: gateway and worker on embedded backends, in one process and on one loop.
 *
 * STATES  running -> draining (TERM: bye, no new connections) -> closing (edge, hub, worker, backends, in this order)
 *         -> out. A second TERM goes to closing at once. A failed partition or log drains, and exits with 69. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "backends/embedded/embedded.h"
#include "base/asset.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/cli.h"
#include "core/name.h"
#include "gateway/edge.h"
#include "gateway/hub.h"
#include "workers/host_uv.h"
#include "workers/worker.h"

enum { METRICS_BYTES_MAX = 262144, DEV_TOKEN_S = 3600, SIGNALS = 3 };

struct serve {
    uv_loop_t loop;
    uv_signal_t signals[SIGNALS];
    uv_timer_t drain;
    struct config *config;
    struct jwt_keys *keys;
    struct jwt_rules token_rules;
    struct embedded *embedded;
    struct worker *worker;
    struct hub *hub;
    struct edge *edge;
    struct buf page;
    struct jwt_claims claims;
    bool draining, closing;
    int exit_code;
};

static void say(void *ctx, const char *event, const char *details)
{
    (void)ctx;
    log_line(LOG_INFO_LEVEL, event, "%s", details);
}

/* ---- tokens ---- */

static enum err verify(void *ctx, struct span token, struct hub_credentials *ret_credentials)
{
    struct serve *s = ctx;
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
    return hub_connected(((struct serve *)ctx)->hub, conn, credentials, now_ms);
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
static void close_all(struct serve *s);
static void tick(void *ctx, int64_t now_ms)
{
    struct serve *s = ctx;
    hub_tick(s->hub, now_ms);
    if (s->draining && hub_connections(s->hub) == 0) close_all(s);
}
static void turn_end(void *ctx, int64_t now_ms) { hub_turn_end(((struct serve *)ctx)->hub, now_ms); }
static bool has_work(void *ctx) { return hub_has_work(((struct serve *)ctx)->hub); }

/* ---- pages ---- */

static bool is_ready(const struct serve *s, const char **ret_why)
{
    *ret_why = "draining";
    if (s->draining) return false;
    if (!worker_ready(s->worker, ret_why)) return false;
    *ret_why = "no namespace in force yet";
    return hub_ready(s->hub);
}

static void make_metrics(struct serve *s)
{
    metrics_add(&s->page, metrics_hub_rows, metrics_hub_rows_count, hub_counters(s->hub));
    metrics_add(&s->page, metrics_edge_rows, metrics_edge_rows_count, edge_counters(s->edge));
    metrics_add(&s->page, metrics_worker_rows, metrics_worker_rows_count, worker_counters(s->worker));
    metrics_add_process(&s->page);
}

static bool dev_token(struct serve *s, struct span query, struct edge_page *page)
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

static bool dev_page(struct serve *s, struct span path, struct span query, struct edge_page *page)
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

static bool serve_page(void *ctx, struct span path, struct span query, struct edge_page *page)
{
    struct serve *s = ctx;
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
        return path.bytes > 0 && config_is_on(s->config, "dev") && dev_page(s, path, query, page);
    }
    return true;
}

/* ---- starting ---- */

static int put_namespaces(struct serve *s)
{
    struct namespaces_texts texts;
    char why[256];
    int code = namespaces_load(config_text(s->config, "namespaces"), &texts);
    if (code != EXIT_WELL) return code;
    if (worker_namespaces_put(s->worker, texts.texts, texts.count, why, sizeof why) != ERR_OK) code = cli_fail(EXIT_CONFIG, "--namespaces: %s", why);
    namespaces_fini(&texts);
    return code;
}

static void drain(struct serve *s, const char *reason);

static void on_failed(void *ctx, enum err err, const char *why)
{
    struct serve *s = ctx;
    log_line(LOG_ERROR_LEVEL, "failed", "code=%s why=\"%s\"", err_name(err), why);
    s->exit_code = EXIT_MISSING;
    drain(s, "a partition failed");
}

static int exit_code_of(enum err err)
{
    switch ((int)err) {
    case ERR_CONFIG: case ERR_FOREIGN: case ERR_VERSION: return EXIT_CONFIG;
    case ERR_MEMORY: return EXIT_BUG;
    default: return EXIT_MISSING;
    }
}

static int open_backends(struct serve *s)
{
    char why[512] = "";
    struct embedded_options options = {.dir = config_text(s->config, "data"), .partitions = config_text(s->config, "partitions") == NULL ? 1 : (uint32_t)config_number(s->config, "partitions"),
                                       .fsync = config_is_on(s->config, "fsync"), .now_ms = clock_wall_ms};
    enum err err = embedded_open(&options, &s->loop, &s->embedded, why, sizeof why);
    if (err != ERR_OK) return cli_fail(exit_code_of(err), "--data %s: %s", options.dir, why);
    int code = keys_load(s->config, config_is_on(s->config, "dev"), &s->keys);
    if (code != EXIT_WELL) return code;
    if (jwt_keys_secret_bytes(s->keys) < JWT_SECRET_BYTES_ADVISED)
        log_line(LOG_WARN_LEVEL, "short_secret", "bytes=%zu advised=%d", jwt_keys_secret_bytes(s->keys), JWT_SECRET_BYTES_ADVISED);
    struct worker_host *host;
    err = host_uv_open(&s->loop, clock_wall_ms, &host);
    if (err != ERR_OK) return cli_fail(exit_code_of(err), "the worker's threads cannot be started: %s", err_text(err));
    struct worker_options worker = {
        .host = host, .reader = embedded_reader(s->embedded), .rules_writer = embedded_rules_writer(s->embedded),
        .link = embedded_link_owner(s->embedded), .registry = embedded_registry(s->embedded), .data_dir = options.dir,
        .fsync = options.fsync, .say = say, .say_ctx = s, .failed = on_failed};
    err = worker_open(&worker, &s->worker);
    return err == ERR_OK ? put_namespaces(s) : cli_fail(exit_code_of(err), "--data %s: the store cannot be opened: %s", options.dir, err_text(err));
}

static int open_gateway(struct serve *s)
{
    char why[512] = "";
    const char *const *listen;
    struct hub_options hub = {.edge = edge_ops(), .writer = embedded_writer(s->embedded), .link = embedded_link_gateway(s->embedded),
                              .registry = embedded_registry(s->embedded), .name = "local", .verify = verify, .verify_ctx = s,
                              .heartbeat_ms = (int64_t)config_number(s->config, "heartbeat") * 1000,
                              .rate = (int64_t)config_number(s->config, "rate")};
    if (hub_open(&hub, &s->hub) != ERR_OK) return cli_fail(EXIT_BUG, "out of memory");
    struct edge_options edge = {
        .loop = &s->loop, .hub = s->hub, .now_ms = clock_wall_ms, .protocol = "tidegate.v1", .path = "/v1/ws", .ctx = s,
        .verify = verify, .page = serve_page, .say = say, .tls_cert = config_text(s->config, "tls-cert"), .tls_key = config_text(s->config, "tls-key"),
        .handler = {.ctx = s, .connected = connected, .message = message, .heard = heard, .writable = writable,
                    .disconnected = disconnected, .tick = tick, .turn_end = turn_end, .has_work = has_work}};
    edge.listen_count = config_list(s->config, "listen", &listen);
    edge.listen = listen;
    enum err err = edge_open(&edge, &s->edge, why, sizeof why);
    if (err != ERR_OK) return cli_fail(exit_code_of(err), "%s", why);
    for (size_t i = 0; i < edge.listen_count; i++) log_line(LOG_INFO_LEVEL, "listening", "addr=%s", edge_address(s->edge, i));
    if (config_is_on(s->config, "dev")) {
        printf("The demo is at http://%s/\n", edge_address(s->edge, 0));
        fflush(stdout);
    }
    return EXIT_WELL;
}

/* ---- ending ---- */

static void on_worker_closed(void *ctx)
{
    struct serve *s = ctx;
    embedded_close(s->embedded);
    s->embedded = NULL;
}

static void on_edge_closed(void *ctx)
{
    struct serve *s = ctx;
    hub_close(s->hub);
    s->hub = NULL;
    if (s->worker != NULL) worker_close(s->worker, s, on_worker_closed);
    else if (s->embedded != NULL) on_worker_closed(s);
    s->worker = NULL;
}

static void close_all(struct serve *s)
{
    if (s->closing) return;
    s->closing = true;
    for (int i = 0; i < SIGNALS; i++) uv_close((uv_handle_t *)&s->signals[i], NULL);
    uv_close((uv_handle_t *)&s->drain, NULL);
    if (s->edge != NULL) edge_close(s->edge, s, on_edge_closed);
    else on_edge_closed(s);
}

static void on_drained(uv_timer_t *timer) { close_all(timer->data); }

static void drain(struct serve *s, const char *reason)
{
    if (s->draining) return;
    s->draining = true;
    log_line(LOG_INFO_LEVEL, "draining", "reason=\"%s\" connections=%zu", reason, s->hub == NULL ? 0 : hub_connections(s->hub));
    if (s->edge != NULL) edge_stop_accepting(s->edge);
    if (s->hub != NULL) hub_drain(s->hub, clock_wall_ms());
    uv_timer_start(&s->drain, on_drained, config_number(s->config, "drain") * 1000, 0);
}

static void reload(struct serve *s)
{
    struct jwt_keys *keys = NULL;
    char why[512];
    bool keys_kept = false;
    if (keys_load(s->config, false, &keys) == EXIT_WELL) { /* else the old ones stay, and stderr says why */
        jwt_keys_free(s->keys);
        s->keys = keys;
    } else {
        keys_kept = true;
    }
    bool tls_kept = edge_tls_reload(s->edge, why, sizeof why) != ERR_OK;
    if (tls_kept) (void)cli_fail(EXIT_CONFIG, "%s", why);
    bool namespaces_kept = put_namespaces(s) != EXIT_WELL;
    log_line(keys_kept || tls_kept || namespaces_kept ? LOG_WARN_LEVEL : LOG_INFO_LEVEL, "reloaded", "keys=%s certificate=%s namespaces=%s",
             keys_kept ? "kept" : "new", config_text(s->config, "tls-cert") == NULL ? "none" : tls_kept ? "kept" : "new", namespaces_kept ? "kept" : "new");
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct serve *s = handle->data;
    if (number == SIGHUP) reload(s);
    else if (s->draining) close_all(s);
    else drain(s, "asked to end");
}

static void start_signals(struct serve *s)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(&s->loop, &s->signals[i]);
        s->signals[i].data = s;
        uv_signal_start(&s->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&s->loop, &s->drain);
    s->drain.data = s;
}

static int run(struct serve *s)
{
    uv_loop_init(&s->loop);
    start_signals(s);
    buf_init(&s->page, METRICS_BYTES_MAX);
    s->token_rules = (struct jwt_rules){.issuer = config_text(s->config, "jwt-issuer"), .audience = config_text(s->config, "jwt-audience")};
    s->exit_code = open_backends(s);
    if (s->exit_code == EXIT_WELL) s->exit_code = open_gateway(s);
    if (s->exit_code != EXIT_WELL) close_all(s);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    edge_free(s->edge);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&s->loop);
    if (left != 0) log_line(LOG_WARN_LEVEL, "loop_not_empty", "left=%d", left);
    jwt_keys_free(s->keys);
    buf_fini(&s->page);
    return s->exit_code;
}

static int begin(struct serve *s)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (strcmp(config_text(s->config, "log-level"), levels[i]) == 0) log_threshold((enum log_level)i);
    if (config_text(s->config, "data") == NULL) return cli_fail(EXIT_USAGE, "--data DIR is needed: where log and documents are kept");
    if (!config_is_on(s->config, "dev") && config_text(s->config, "jwt-key") == NULL)
        return cli_fail(EXIT_USAGE, "--jwt-key FILE is needed (or --dev, to try things out)");
    int code = settings_check(s->config);
    return code == EXIT_WELL ? run(s) : code;
}

static void help(void)
{
    puts("tidegate serve --listen ADDR --data DIR [--namespaces DIR] --jwt-key FILE | --dev\n\n"
         "  tidegate serve --dev --data ./data                        try it: a demo at http://127.0.0.1:8080/\n"
         "  tidegate serve --listen 0.0.0.0:8080 --data /var/lib/tidegate --jwt-key key.pem\n"
         "  tidegate serve ... --tls-cert chain.pem --tls-key key.pem wss:// without a proxy in front\n\n"
         "TERM drains (`bye`, then close), a second TERM hurries; HUP rereads keys, certificates and namespaces.\n");
    config_print_help(stdout, CONFIG_SERVE);
}

int serve_main(int argc, char **argv)
{
    struct serve *s = calloc(1, sizeof *s);
    bool wants_help = false;
    if (s == NULL) return cli_fail(EXIT_BUG, "out of memory");
    int code = config_read(CONFIG_SERVE, argc, argv, &s->config, &wants_help);
    if (code == EXIT_WELL && wants_help) help();
    else if (code == EXIT_WELL) code = begin(s);
    config_free(s->config);
    free(s);
    return code;
}
