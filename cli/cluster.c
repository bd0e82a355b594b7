/* What gateway and worker have in common: where Kafka and Redis are, the key of the links. */
#include "backends/kafka/kafka.h"
#include "backends/tcp/tcp_key.h"
#include "cli/cli.h"

void cluster_kafka_options(const struct config *config, struct kafka_options *ret_options)
{
    *ret_options = (struct kafka_options){.hosts = config_text(config, "kafka"), .file = config_text(config, "kafka-config"), .prefix = config_text(config, "prefix"),
                                          .instance = config_text(config, "instance"), .session_s = config_number(config, "session"),
                                          .keep_s = config_number(config, "keep")};
}

int cluster_link_key(const struct config *config, struct tcp_key *ret_key)
{
    char why[256];
    const char *path = config_text(config, "link-key");
    *ret_key = (struct tcp_key){.bytes = 0};
    if (path == NULL || tcp_key_load(path, ret_key, why, sizeof why) == ERR_OK) return EXIT_WELL;
    return cli_fail(EXIT_CONFIG, "--link-key %s: %s", path, why);
}

int cluster_check(const struct config *config)
{
    if (config_text(config, "kafka") == NULL) return cli_fail(EXIT_USAGE, "--kafka HOSTS is needed: host:port,host:port");
    if (config_text(config, "redis") == NULL) return cli_fail(EXIT_USAGE, "--redis HOSTS is needed: host:port,host:port");
    return EXIT_WELL;
}
