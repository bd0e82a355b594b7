/* tidegate topics: the log on Kafka made, its namespaces written into it; or what differs, and how to mend it. */
#include <stdio.h>

#include "backends/kafka/kafka.h"
#include "cli/cli.h"

static void help(void)
{
    puts("tidegate topics --kafka HOSTS [--partitions N] [--replicas N] [--namespaces DIR]\n\n"
         "  tidegate topics --kafka kafka-1:9092,kafka-2:9092,kafka-3:9092 --replicas 3    makes the topics, 3 replicas and min ISR 2\n"
         "  tidegate topics --kafka kafka-1:9092 --namespaces ./namespaces                 writes what changed there into the log\n"
         "  tidegate topics --kafka kafka-1:9092 --new-epoch                               the log is lost: begins another\n\n"
         "Safe to run again at any time. Exit code 0: all is as it must be; 69: Kafka does not answer; 78: something differs, and was said.\n"
         "After --new-epoch start gateways and workers anew.\n");
    config_print_help(stdout, CONFIG_TOPICS);
}

static void say(void *ctx, const char *line)
{
    (void)ctx;
    puts(line);
}

static int make(const struct config *config)
{
    struct kafka_options options;
    struct namespaces_texts texts;
    char why[512] = "";
    cluster_kafka_options(config, &options);
    if (options.hosts == NULL) return cli_fail(EXIT_USAGE, "--kafka HOSTS is needed: host:port,host:port");
    int code = namespaces_load(config_text(config, "namespaces"), &texts);
    if (code != EXIT_WELL) return code;
    struct kafka_topics topics = {.partitions = (uint32_t)config_number(config, "partitions"), .replicas = (uint32_t)config_number(config, "replicas"),
                                  .new_epoch = config_is_on(config, "new-epoch"), .namespaces_count = texts.count, .namespaces = texts.texts, .say = say};
    enum err err = kafka_topics_make(&options, &topics, why, sizeof why);
    namespaces_fini(&texts);
    if (err == ERR_OK) return EXIT_WELL;
    return cli_fail(err == ERR_CONFIG || err == ERR_VERSION ? EXIT_CONFIG : err == ERR_MEMORY ? EXIT_BUG : EXIT_MISSING, "--kafka %s: %s", options.hosts, why);
}

int topics_main(int argc, char **argv)
{
    struct config *config = NULL;
    bool wants_help = false;
    int code = config_read(CONFIG_TOPICS, argc, argv, &config, &wants_help);
    if (code == EXIT_WELL && wants_help) help();
    else if (code == EXIT_WELL) code = make(config);
    config_free(config);
    return code;
}
