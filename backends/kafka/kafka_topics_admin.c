/* The topics themselves: what each must be set to, making them, comparing them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kafka/kafka_topics_parts.h"

enum { ASK_MS = 30000, SETTINGS_MAX = 10 };

struct setting {
    const char *name, *value;
};
/* Why each: changes has one clock for all, and forgets only what its owner says; the compacted ones keep a removal for a week, longer
 * than a consumer should be away; nobody is elected who lacks what was acked. */
static const struct setting settings[KAFKA_TOPICS][SETTINGS_MAX] = {
    [KAFKA_META] = {{"cleanup.policy", "compact"}, {"unclean.leader.election.enable", "false"}},
    [KAFKA_CHANGES] = {{"cleanup.policy", "delete"}, {"retention.ms", "-1"}, {"retention.bytes", "-1"}, {"message.timestamp.type", "LogAppendTime"},
                       {"max.message.bytes", "4194304"}, {"unclean.leader.election.enable", "false"}},
    [KAFKA_UPDATES] = {{"cleanup.policy", "compact"}, {"max.message.bytes", "4194304"}, {"segment.ms", "3600000"},
                       {"delete.retention.ms", "604800000"}, {"unclean.leader.election.enable", "false"}},
    [KAFKA_STATE] = {{"cleanup.policy", "compact"}, {"max.message.bytes", "4194304"}, {"segment.ms", "3600000"},
                     {"delete.retention.ms", "604800000"}, {"unclean.leader.election.enable", "false"}},
    [KAFKA_DEAD] = {{"cleanup.policy", "delete"}, {"retention.ms", "-1"}, {"max.message.bytes", "4194304"}, {"unclean.leader.election.enable", "false"}}};

/* One call of the admin interface, waited for. NULL with `why`. */
static rd_kafka_event_t *wait_for(rd_kafka_queue_t *queue, char *why, size_t why_bytes)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ASK_MS);
    if (event == NULL) {
        snprintf(why, why_bytes, "Kafka does not answer");
    } else if (rd_kafka_event_error(event) != 0) {
        snprintf(why, why_bytes, "%s", rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
        event = NULL;
    }
    return event;
}

static bool set_all(rd_kafka_NewTopic_t *topic, enum kafka_topic which, uint32_t replicas)
{
    bool good = true;
    for (const struct setting *s = settings[which]; s->name != NULL; s++) good = good && rd_kafka_NewTopic_set_config(topic, s->name, s->value) == 0;
    return good && rd_kafka_NewTopic_set_config(topic, "min.insync.replicas", replicas >= 3 ? "2" : "1") == 0;
}

static enum err create(rd_kafka_t *rk, const struct kafka_topics *topics, const struct kafka_stamp *stamp, enum kafka_topic which, uint32_t replicas,
                       char *why, size_t why_bytes)
{
    char text[256];
    const char *name = stamp->topics[which];
    int partitions = which == KAFKA_META || which == KAFKA_DEAD ? 1 : (int)stamp->partitions;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, (int)replicas, text, sizeof text);
    if (topic == NULL || !set_all(topic, which, replicas)) {
        snprintf(why, why_bytes, "%s: %s", name, topic == NULL ? text : "a setting was refused");
        if (topic != NULL) rd_kafka_NewTopic_destroy(topic);
        return ERR_CONFIG;
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = wait_for(queue, why, why_bytes);
    enum err err = event == NULL ? ERR_BUSY : ERR_OK;
    if (event != NULL) {
        size_t count = 0;
        const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        rd_kafka_resp_err_t code = count == 1 ? rd_kafka_topic_result_error(results[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
        if (code != 0 && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            snprintf(why, why_bytes, "%s: %s", name, rd_kafka_topic_result_error_string(results[0]));
            err = ERR_CONFIG;
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    if (err == ERR_OK) kafka_topics_say(topics, "topic %s: made, %d partitions, %u replicas", name, partitions, replicas);
    return err;
}

static void compare_one(const rd_kafka_ConfigEntry_t **entries, size_t count, const struct kafka_options *options, const struct kafka_topics *topics,
                        const char *topic, const struct setting *wanted, size_t *differing)
{
    const char *is = "not set";
    for (size_t i = 0; i < count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), wanted->name) == 0 && rd_kafka_ConfigEntry_value(entries[i]) != NULL)
            is = rd_kafka_ConfigEntry_value(entries[i]);
    if (strcmp(is, wanted->value) == 0) return;
    ++*differing;
    kafka_topics_say(topics, "topic %s: %s is %s and must be %s. To mend it: kafka-configs.sh --bootstrap-server %s --alter --entity-type topics "
                     "--entity-name %s --add-config %s=%s", topic, wanted->name, is, wanted->value, options->hosts, topic, wanted->name, wanted->value);
}

static enum err compare(rd_kafka_t *rk, const struct kafka_options *options, const struct kafka_topics *topics, const struct kafka_stamp *stamp,
                        enum kafka_topic which, size_t replicas, size_t *differing, char *why, size_t why_bytes)
{
    const char *name = stamp->topics[which];
    struct setting isr = {"min.insync.replicas", "2"};
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DescribeConfigs(rk, &resource, 1, NULL, queue);
    rd_kafka_event_t *event = wait_for(queue, why, why_bytes);
    enum err err = event == NULL ? ERR_BUSY : ERR_OK;
    if (event != NULL) {
        size_t count = 0, entries_count = 0;
        const rd_kafka_ConfigResource_t **found = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
        const rd_kafka_ConfigEntry_t **entries = count == 1 ? rd_kafka_ConfigResource_configs(found[0], &entries_count) : NULL;
        for (const struct setting *s = settings[which]; s->name != NULL; s++)
            compare_one(entries, entries_count, options, topics, name, s, differing);
        if (replicas >= 3) compare_one(entries, entries_count, options, topics, name, &isr, differing);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(resource);
    return err;
}

static const struct rd_kafka_metadata_topic *find(const struct rd_kafka_metadata *metadata, const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0 && metadata->topics[i].err == 0) return &metadata->topics[i];
    return NULL;
}

static enum err settle_one(rd_kafka_t *rk, const struct kafka_options *options, const struct kafka_topics *topics, const struct kafka_stamp *stamp,
                           enum kafka_topic which, const struct rd_kafka_metadata *metadata, size_t *differing, char *why, size_t why_bytes)
{
    const struct rd_kafka_metadata_topic *there = find(metadata, stamp->topics[which]);
    int wanted = which == KAFKA_META || which == KAFKA_DEAD ? 1 : (int)stamp->partitions;
    uint32_t replicas = topics->replicas != 0 ? topics->replicas : metadata->broker_cnt >= 3 ? 3 : 1;
    if (there == NULL && topics->only_look) {
        snprintf(why, why_bytes, "topic %s is not there: `tidegate topics` makes it", stamp->topics[which]);
        return ERR_CONFIG;
    }
    if (there == NULL) return create(rk, topics, stamp, which, replicas, why, why_bytes);
    if (there->partition_cnt != wanted) {
        snprintf(why, why_bytes, "topic %s has %d partitions and must have %d for the log's life: --new-epoch begins a new log", stamp->topics[which],
                 there->partition_cnt, wanted);
        return ERR_CONFIG;
    }
    size_t has = there->partition_cnt > 0 ? (size_t)there->partitions[0].replica_cnt : 0;
    if (topics->replicas != 0 && has != topics->replicas) {
        ++*differing;
        kafka_topics_say(topics, "topic %s: %zu replicas and not %u. To mend it: kafka-reassign-partitions.sh --bootstrap-server %s", stamp->topics[which],
                         has, topics->replicas, options->hosts);
    }
    return compare(rk, options, topics, stamp, which, has, differing, why, why_bytes);
}

enum err kafka_topics_settle(rd_kafka_t *rk, const struct kafka_options *options, const struct kafka_topics *topics,
                             const struct kafka_stamp *stamp, size_t *ret_differing, char *why, size_t why_bytes)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &metadata, ASK_MS);
    if (code != 0) {
        snprintf(why, why_bytes, "%s: %s", options->hosts, rd_kafka_err2str(code));
        return ERR_BUSY;
    }
    enum err err = ERR_OK;
    for (int i = 0; err == ERR_OK && i < KAFKA_TOPICS; i++)
        err = settle_one(rk, options, topics, stamp, (enum kafka_topic)i, metadata, ret_differing, why, why_bytes);
    rd_kafka_metadata_destroy(metadata);
    return err;
}
