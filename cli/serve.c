/* tidegate serve: gateway and worker on embedded backends, in one process and on one loop. */
#include <stdio.h>

#include "backends/embedded/embedded.h"
#include "base/clock.h"
#include "cli/service.h"
#include "workers/host_uv.h"
#include "workers/worker.h"

struct serve {
    struct embedded *embedded;
    struct worker *worker;
};

/* ---- opening ---- */

static int put_namespaces(struct service *s)
{
    struct serve *serve = s->ctx;
    struct namespaces_texts texts;
    char why[256];
    int code = namespaces_load(config_text(s->config, "namespaces"), &texts);
    if (code != EXIT_WELL) return code;
    if (worker_namespaces_put(serve->worker, texts.texts, texts.count, why, sizeof why) != ERR_OK)
        code = cli_fail(EXIT_CONFIG, "--namespaces: %s", why);
    namespaces_fini(&texts);
    return code;
}

/* Log, store and registry, the worker over them, the hub before them. */
static int open_worker(struct service *s, const struct embedded_options *options)
{
    struct serve *serve = s->ctx;
    struct worker_host *host;
    enum err err = host_uv_open(s->loop, clock_wall_ms, &host);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "the worker's threads cannot be started: %s", err_text(err));
    struct worker_options worker = {
        .host = host, .reader = embedded_reader(serve->embedded), .rules_writer = embedded_rules_writer(serve->embedded),
        .link = embedded_link_owner(serve->embedded), .registry = embedded_registry(serve->embedded), .data_dir = options->dir,
        .fsync = options->fsync, .say = service_say, .say_ctx = s, .failed = service_fail};
    err = worker_open(&worker, &serve->worker);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "--data %s: the store cannot be opened: %s", options->dir, err_text(err));
    return put_namespaces(s);
}

static int open_all(struct service *s)
{
    struct serve *serve = s->ctx;
    char why[512] = "";
    uint32_t partitions = config_text(s->config, "partitions") == NULL ? 1 : (uint32_t)config_number(s->config, "partitions");
    struct embedded_options options = {.dir = config_text(s->config, "data"), .partitions = partitions, .fsync = config_is_on(s->config, "fsync"),
                                       .now_ms = clock_wall_ms};
    enum err err = embedded_open(&options, s->loop, &serve->embedded, why, sizeof why);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "--data %s: %s", options.dir, why);
    int code = service_edge_keys(s);
    if (code == EXIT_WELL) code = open_worker(s, &options);
    if (code != EXIT_WELL) return code;
    struct hub_options hub = {.edge = edge_ops(), .writer = embedded_writer(serve->embedded), .link = embedded_link_gateway(serve->embedded),
                              .registry = embedded_registry(serve->embedded), .name = "local", .verify = service_edge_verify, .verify_ctx = s,
                              .heartbeat_ms = (int64_t)config_number(s->config, "heartbeat") * 1000,
                              .rate = (int64_t)config_number(s->config, "rate")};
    return hub_open(&hub, &s->hub) == ERR_OK ? EXIT_WELL : cli_fail(EXIT_BUG, "out of memory");
}

/* ---- what the service asks ---- */

static bool is_ready(struct service *s, const char **ret_why) { return worker_ready(((struct serve *)s->ctx)->worker, ret_why); }

static void add_metrics(struct service *s, struct buf *page)
{
    metrics_add(page, metrics_worker_rows, metrics_worker_rows_count, worker_counters(((struct serve *)s->ctx)->worker));
}

static bool reload(struct service *s) { return put_namespaces(s) == EXIT_WELL; }

static void on_worker_closed(void *ctx)
{
    struct serve *serve = ctx;
    embedded_close(serve->embedded);
    serve->embedded = NULL;
}

static void close_rest(struct service *s)
{
    struct serve *serve = s->ctx;
    if (serve->worker != NULL) worker_close(serve->worker, serve, on_worker_closed);
    else if (serve->embedded != NULL) on_worker_closed(serve);
    serve->worker = NULL;
}

static int check(struct service *s)
{
    if (config_text(s->config, "data") == NULL) return cli_fail(EXIT_USAGE, "--data DIR is needed: where log and documents are kept");
    if (!config_is_on(s->config, "dev") && config_text(s->config, "jwt-key") == NULL)
        return cli_fail(EXIT_USAGE, "--jwt-key FILE is needed (or --dev, to try things out)");
    return EXIT_WELL;
}

static void help(void)
{
    puts("tidegate serve --listen ADDR --data DIR [--namespaces DIR] --jwt-key FILE | --dev\n\n"
         "  tidegate serve --dev --data ./data                        try it: a demo at http://127.0.0.1:8080/\n"
         "  tidegate serve --listen 0.0.0.0:8080 --data /var/lib/tidegate --jwt-key key.pem\n"
         "  tidegate serve ... --tls-cert chain.pem --tls-key key.pem wss:// without a proxy in front\n\n"
         "TERM drains (`bye`, then close), a second TERM hurries; HUP rereads keys, certificates and namespaces.\n");
}

int serve_main(int argc, char **argv)
{
    static const struct service_ops ops = {.command = CONFIG_SERVE, .help = help, .check = check, .open = open_all, .ready = is_ready,
                                           .metrics = add_metrics, .reload = reload, .close = close_rest};
    struct serve serve = {NULL, NULL};
    return service_main(&ops, &serve, argc, argv);
}
