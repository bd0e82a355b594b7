#include "cli/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"

enum { METRICS_BYTES_MAX = 262144, SIGNALS = 3 };

/* The loop and what of it only this file knows. */
struct frame {
    struct service service; /* first */
    uv_loop_t loop;
    uv_signal_t signals[SIGNALS];
    uv_timer_t drain;
};
static struct frame *frame_of(struct service *s) { return (struct frame *)(void *)s; }

void service_say(void *service, const char *event, const char *details)
{
    (void)service;
    log_line(LOG_INFO_LEVEL, event, "%s", details);
}

int service_exit_code(enum err err)
{
    switch ((int)err) {
    case ERR_CONFIG: case ERR_FOREIGN: case ERR_VERSION: return EXIT_CONFIG;
    case ERR_MEMORY: return EXIT_BUG;
    default: return EXIT_MISSING;
    }
}

/* ---- ending ---- */

static void on_edge_closed(void *ctx)
{
    struct service *s = ctx;
    hub_close(s->hub);
    s->hub = NULL;
    s->ops->close(s);
}

void service_close_all(struct service *s)
{
    struct frame *frame = frame_of(s);
    if (s->closing) return;
    s->closing = true;
    for (int i = 0; i < SIGNALS; i++) uv_close((uv_handle_t *)&frame->signals[i], NULL);
    uv_close((uv_handle_t *)&frame->drain, NULL);
    if (s->edge != NULL) edge_close(s->edge, s, on_edge_closed);
    else on_edge_closed(s);
}

static void on_drained(uv_timer_t *timer) { service_close_all(timer->data); }

static void drain(struct service *s, const char *reason)
{
    if (s->draining) return;
    s->draining = true;
    size_t connections = s->hub == NULL ? 0 : hub_connections(s->hub);
    log_line(LOG_INFO_LEVEL, "draining", "reason=\"%s\" connections=%zu", reason, connections);
    if (s->edge != NULL) edge_stop_accepting(s->edge);
    if (s->hub != NULL) hub_drain(s->hub, clock_wall_ms());
    uv_timer_start(&frame_of(s)->drain, on_drained, s->hub == NULL ? 0 : config_number(s->config, "drain") * 1000, 0);
}

void service_fail(void *service, enum err err, const char *why)
{
    struct service *s = service;
    log_line(LOG_ERROR_LEVEL, "failed", "code=%s why=\"%s\"", err_name(err), why);
    s->exit_code = EXIT_MISSING;
    drain(s, "something failed for good");
}

/* ---- signals ---- */

static void reload(struct service *s)
{
    struct jwt_keys *keys = NULL;
    char why[512];
    bool keys_kept = false, tls_kept = false;
    if (s->keys != NULL) {
        if (keys_load(s->config, false, &keys) == EXIT_WELL) { /* else the old ones stay, and stderr says why */
            jwt_keys_free(s->keys);
            s->keys = keys;
        } else {
            keys_kept = true;
        }
    }
    if (s->hub != NULL && s->edge != NULL) tls_kept = edge_tls_reload(s->edge, why, sizeof why) != ERR_OK;
    if (tls_kept) (void)cli_fail(EXIT_CONFIG, "%s", why);
    bool rest_kept = s->ops->reload != NULL && !s->ops->reload(s);
    const char *certificate = s->hub == NULL || config_text(s->config, "tls-cert") == NULL ? "none" : tls_kept ? "kept" : "new";
    log_line(keys_kept || tls_kept || rest_kept ? LOG_WARN_LEVEL : LOG_INFO_LEVEL, "reloaded", "keys=%s certificate=%s namespaces=%s",
             s->keys == NULL ? "none" : keys_kept ? "kept" : "new", certificate, s->ops->reload == NULL ? "none" : rest_kept ? "kept" : "new");
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct service *s = handle->data;
    if (number == SIGHUP) reload(s);
    else if (s->draining) service_close_all(s);
    else drain(s, "asked to end");
}

static void start_signals(struct frame *frame)
{
    static const int numbers[SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(&frame->loop, &frame->signals[i]);
        frame->signals[i].data = &frame->service;
        uv_signal_start(&frame->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&frame->loop, &frame->drain);
    frame->drain.data = &frame->service;
}

/* ---- running ---- */

static int run(struct frame *frame)
{
    struct service *s = &frame->service;
    uv_loop_init(&frame->loop);
    s->loop = &frame->loop;
    start_signals(frame);
    buf_init(&s->page, METRICS_BYTES_MAX);
    s->exit_code = s->ops->open(s);
    if (s->exit_code == EXIT_WELL) s->exit_code = service_edge_open(s);
    if (s->exit_code != EXIT_WELL) service_close_all(s);
    uv_run(&frame->loop, UV_RUN_DEFAULT);
    edge_free(s->edge);
    uv_run(&frame->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&frame->loop);
    if (left != 0) log_line(LOG_WARN_LEVEL, "loop_not_empty", "left=%d", left);
    jwt_keys_free(s->keys);
    buf_fini(&s->page);
    return s->exit_code;
}

static int begin(struct frame *frame)
{
    struct service *s = &frame->service;
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (strcmp(config_text(s->config, "log-level"), levels[i]) == 0) log_threshold((enum log_level)i);
    int code = s->ops->check(s);
    if (code == EXIT_WELL) code = settings_check(s->config);
    return code == EXIT_WELL ? run(frame) : code;
}

int service_main(const struct service_ops *ops, void *ctx, int argc, char **argv)
{
    struct frame *frame = calloc(1, sizeof *frame);
    bool wants_help = false;
    if (frame == NULL) return cli_fail(EXIT_BUG, "out of memory");
    frame->service.ops = ops;
    frame->service.ctx = ctx;
    int code = config_read(ops->command, argc, argv, &frame->service.config, &wants_help);
    if (code == EXIT_WELL && wants_help) {
        ops->help();
        config_print_help(stdout, ops->command);
    } else if (code == EXIT_WELL) {
        code = begin(frame);
    }
    config_free(frame->service.config);
    free(frame);
    return code;
}
