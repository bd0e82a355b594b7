/* tidegate worker: owns some partitions of the log on Kafka; keeps their documents in DIR/store-N, a copy of what the journal has. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kafka/kafka.h"
#include "backends/redis/redis_registry.h"
#include "backends/tcp/tcp_owner.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/service.h"
#include "workers/host_uv.h"
#include "workers/worker.h"

struct worker_process {
    int lock;   /* of the data directory */
    struct tcp_key key;
    struct kafka *kafka;
    struct redis_registry *redis;
    struct tcp_owner *links;
    struct worker *worker;
};

/* ---- opening ---- */

/* One process a directory. */
static int lock_data(struct worker_process *w, const char *dir)
{
    char path[PATH_MAX];
    int bytes = snprintf(path, sizeof path, "%s/lock", dir);
    if (bytes < 0 || (size_t)bytes >= sizeof path) return cli_fail(EXIT_CONFIG, "--data: too long");
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) return cli_fail(EXIT_MISSING, "--data %s: %s", dir, strerror(errno));
    w->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (w->lock < 0) return cli_fail(EXIT_MISSING, "--data %s: %s", dir, strerror(errno));
    if (flock(w->lock, LOCK_EX | LOCK_NB) != 0) return cli_fail(EXIT_MISSING, "--data %s: another process uses it", dir);
    return EXIT_WELL;
}

static int open_backends(struct service *s)
{
    struct worker_process *w = s->ctx;
    struct kafka_options options;
    char why[512] = "";
    cluster_kafka_options(s->config, &options);
    enum err err = kafka_worker_open(&options, s->loop, &w->kafka, why, sizeof why);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "--kafka %s: %s", options.hosts, why);
    struct redis_registry_options redis = {.loop = s->loop, .servers = config_text(s->config, "redis"), .log = kafka_log_name(w->kafka)};
    err = redis_registry_open(&redis, &w->redis, why, sizeof why);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "--redis %s: %s", redis.servers, why);
    const char *instance = config_text(s->config, "instance"), *reached = config_text(s->config, "link"), *listens = config_text(s->config, "link-listen");
    struct tcp_owner_options links = {.loop = s->loop, .address = listens == NULL ? reached : listens,
                                      .told = listens == NULL ? NULL : reached, .name = instance == NULL ? "worker" : instance,
                                      .log = kafka_log_name(w->kafka), .partitions = kafka_partitions(w->kafka), .key = &w->key,
                                      .directory = redis_registry_directory(w->redis)};
    err = tcp_owner_open(&links, &w->links, why, sizeof why);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "--link %s: %s", links.address, why);
    log_line(LOG_INFO_LEVEL, "linking", "addr=%s", tcp_owner_address(w->links));
    return EXIT_WELL;
}

static int open_all(struct service *s)
{
    struct worker_process *w = s->ctx;
    const char *dir = config_text(s->config, "data");
    struct worker_host *host;
    int code = lock_data(w, dir);
    if (code == EXIT_WELL) code = cluster_link_key(s->config, &w->key);
    if (code == EXIT_WELL) code = open_backends(s);
    if (code != EXIT_WELL) return code;
    enum err err = host_uv_open(s->loop, clock_wall_ms, &host);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "the worker's threads cannot be started: %s", err_text(err));
    struct worker_options worker = {
        .host = host, .reader = kafka_reader(w->kafka), .rules_writer = kafka_writer(w->kafka), .link = tcp_owner_seam(w->links),
        .registry = redis_registry_seam(w->redis), .data_dir = dir, .fsync = false, .journal = kafka_journal(w->kafka), .shares_partitions = true,
        .gateways_outlive = true, .say = service_say, .say_ctx = s, .failed = service_fail};
    err = worker_open(&worker, &w->worker);
    return err == ERR_OK ? EXIT_WELL : cli_fail(service_exit_code(err), "--data %s: %s", dir, err_text(err));
}

/* ---- ending: what is left is journalled; links, registry, log ---- */

static void on_kafka_closed(void *ctx)
{
    struct worker_process *w = ctx;
    w->kafka = NULL;
    if (w->lock >= 0) close(w->lock);
    w->lock = -1;
}

static void on_redis_closed(void *ctx)
{
    struct worker_process *w = ctx;
    w->redis = NULL;
    if (w->kafka != NULL) kafka_close(w->kafka, w, on_kafka_closed);
    else on_kafka_closed(w);
}

static void on_links_closed(void *ctx)
{
    struct worker_process *w = ctx;
    w->links = NULL;
    if (w->redis != NULL) redis_registry_close(w->redis, w, on_redis_closed);
    else on_redis_closed(w);
}

static void on_worker_closed(void *ctx)
{
    struct worker_process *w = ctx;
    w->worker = NULL;
    if (w->links != NULL) tcp_owner_close(w->links, w, on_links_closed);
    else on_links_closed(w);
}

static void close_rest(struct service *s)
{
    struct worker_process *w = s->ctx;
    if (w->worker != NULL) worker_close(w->worker, w, on_worker_closed);
    else on_worker_closed(w);
}

/* ---- what the service asks ---- */

static bool is_ready(struct service *s, const char **ret_why)
{
    struct worker_process *w = s->ctx;
    return kafka_ready(w->kafka, ret_why) && worker_ready(w->worker, ret_why);
}

static void add_metrics(struct service *s, struct buf *page)
{
    struct worker_process *w = s->ctx;
    metrics_add(page, metrics_worker_rows, metrics_worker_rows_count, worker_counters(w->worker));
    metrics_add(page, metrics_kafka_rows, metrics_kafka_rows_count, kafka_counters(w->kafka));
    metrics_add(page, metrics_link_rows, metrics_link_rows_count, tcp_owner_counters(w->links));
    metrics_add(page, metrics_redis_rows, metrics_redis_rows_count, redis_registry_counters(w->redis));
}

static int check(struct service *s)
{
    if (config_text(s->config, "data") == NULL) return cli_fail(EXIT_USAGE, "--data DIR is needed: where documents are kept");
    return cluster_check(s->config);
}

static void help(void)
{
    puts("tidegate worker --kafka HOSTS --redis HOSTS --data DIR [--listen ADDR] [--link ADDR] [--link-key FILE]\n\n"
         "  tidegate worker --kafka kafka-1:9092,kafka-2:9092 --redis redis-1:6379 --data /var/lib/tidegate \\\n"
         "                  --link worker-1:7070 --link-key link --listen 0.0.0.0:8081 --instance worker-1\n\n"
         "Partitions are shared among all that run. Its directory may be lost at any time: it is made anew from Kafka.\n"
         "TERM journals what is left and gives its partitions back.\n");
}

int worker_main(int argc, char **argv)
{
    static const struct service_ops ops = {.command = CONFIG_WORKER, .help = help, .check = check, .open = open_all, .ready = is_ready,
                                           .metrics = add_metrics, .close = close_rest};
    struct worker_process worker = {.lock = -1};
    return service_main(&ops, &worker, argc, argv);
}
