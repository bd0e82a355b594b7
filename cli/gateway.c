/* tidegate gateway: devices' connections, before the log on Kafka, the registry on Redis and the owners' links. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "backends/kafka/kafka.h"
#include "backends/redis/redis_registry.h"
#include "backends/tcp/tcp_gateway.h"
#include "cli/service.h"

enum { NAME_BYTES = 65, RANDOM_BYTES = 6 };

struct gateway {
    char name[NAME_BYTES];
    struct tcp_key key;
    struct kafka *kafka;
    struct redis_registry *redis;
    struct tcp_gateway *links;
};

/* ---- opening ---- */

static int choose_name(struct gateway *g, const char *given)
{
    unsigned char random[RANDOM_BYTES];
    size_t at;
    if (given == NULL) {
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return cli_fail(EXIT_BUG, "the machine has no randomness");
        at = (size_t)snprintf(g->name, sizeof g->name, "gateway-");
        for (size_t i = 0; i < sizeof random; i++) at += (size_t)snprintf(g->name + at, sizeof g->name - at, "%02x", random[i]);
        return EXIT_WELL;
    }
    at = strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (at == 0 || at >= sizeof g->name || given[at] != '\0') return cli_fail(EXIT_CONFIG, "--name %.80s: must be 1 to 64 of A-Z a-z 0-9 . _ -", given);
    snprintf(g->name, sizeof g->name, "%s", given);
    return EXIT_WELL;
}

static int open_backends(struct service *s)
{
    struct gateway *g = s->ctx;
    struct kafka_options options;
    char why[512] = "";
    cluster_kafka_options(s->config, &options);
    enum err err = kafka_gateway_open(&options, s->loop, &g->kafka, why, sizeof why);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "--kafka %s: %s", options.hosts, why);
    struct redis_registry_options redis = {.loop = s->loop, .servers = config_text(s->config, "redis"), .log = kafka_log_name(g->kafka), .gateway = g->name};
    err = redis_registry_open(&redis, &g->redis, why, sizeof why);
    if (err != ERR_OK) return cli_fail(service_exit_code(err), "--redis %s: %s", redis.servers, why);
    struct tcp_gateway_options links = {.loop = s->loop, .name = g->name, .log = kafka_log_name(g->kafka), .partitions = kafka_partitions(g->kafka),
                                        .key = &g->key, .directory = redis_registry_directory(g->redis)};
    err = tcp_gateway_open(&links, &g->links);
    return err == ERR_OK ? EXIT_WELL : cli_fail(service_exit_code(err), "the links cannot be opened: %s", err_text(err));
}

static int open_all(struct service *s)
{
    struct gateway *g = s->ctx;
    int code = choose_name(g, config_text(s->config, "name"));
    if (code == EXIT_WELL) code = cluster_link_key(s->config, &g->key);
    if (code == EXIT_WELL) code = service_edge_keys(s);
    if (code == EXIT_WELL) code = open_backends(s);
    if (code != EXIT_WELL) return code;
    struct hub_options hub = {.edge = edge_ops(), .writer = kafka_writer(g->kafka), .link = tcp_gateway_seam(g->links),
                              .registry = redis_registry_seam(g->redis), .name = g->name, .verify = service_edge_verify, .verify_ctx = s,
                              .heartbeat_ms = (int64_t)config_number(s->config, "heartbeat") * 1000,
                              .rate = (int64_t)config_number(s->config, "rate")};
    return hub_open(&hub, &s->hub) == ERR_OK ? EXIT_WELL : cli_fail(EXIT_BUG, "out of memory");
}

/* ---- ending: links, registry, log ---- */

static void on_kafka_closed(void *ctx) { ((struct gateway *)ctx)->kafka = NULL; }

static void on_redis_closed(void *ctx)
{
    struct gateway *g = ctx;
    g->redis = NULL;
    if (g->kafka != NULL) kafka_close(g->kafka, g, on_kafka_closed);
}

static void on_links_closed(void *ctx)
{
    struct gateway *g = ctx;
    g->links = NULL;
    if (g->redis != NULL) redis_registry_close(g->redis, g, on_redis_closed);
    else on_redis_closed(g);
}

static void close_rest(struct service *s)
{
    struct gateway *g = s->ctx;
    if (g->links != NULL) tcp_gateway_close(g->links, g, on_links_closed);
    else on_links_closed(g);
}

/* ---- what the service asks ---- */

static bool is_ready(struct service *s, const char **ret_why)
{
    struct gateway *g = s->ctx;
    if (!kafka_ready(g->kafka, ret_why) || tcp_gateway_reached(g->links)) return *ret_why == NULL;
    *ret_why = redis_registry_counters(g->redis)->servers == 0 ? "Redis is away, which tells where workers are" : "no worker was reached yet";
    return false;
}

static void add_metrics(struct service *s, struct buf *page)
{
    struct gateway *g = s->ctx;
    metrics_add(page, metrics_kafka_rows, metrics_kafka_rows_count, kafka_counters(g->kafka));
    metrics_add(page, metrics_link_rows, metrics_link_rows_count, tcp_gateway_counters(g->links));
    metrics_add(page, metrics_redis_rows, metrics_redis_rows_count, redis_registry_counters(g->redis));
}

static int check(struct service *s)
{
    if (config_text(s->config, "jwt-key") == NULL) return cli_fail(EXIT_USAGE, "--jwt-key FILE is needed");
    return cluster_check(s->config);
}

static void help(void)
{
    puts("tidegate gateway --listen ADDR --kafka HOSTS --redis HOSTS --jwt-key FILE [--name N] [--link-key FILE]\n\n"
         "  tidegate gateway --listen 0.0.0.0:8080 --kafka kafka-1:9092,kafka-2:9092 --redis redis-1:6379 --jwt-key key.pem --link-key link\n"
         "  the same once more                                        shares the address: one a core\n\n"
         "`tidegate topics` comes before. TERM drains (`bye`, then close), a second TERM hurries; HUP rereads keys and certificates.\n");
}

int gateway_main(int argc, char **argv)
{
    static const struct service_ops ops = {.command = CONFIG_GATEWAY, .help = help, .check = check, .open = open_all, .ready = is_ready,
                                           .metrics = add_metrics, .close = close_rest};
    struct gateway gateway = {.kafka = NULL};
    return service_main(&ops, &gateway, argc, argv);
}
