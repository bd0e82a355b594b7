/* The rows of /metrics of gateways and workers on Kafka and Redis: the log, the links, the registry. */
#include "backends/kafka/kafka.h"
#include "backends/redis/redis_registry.h"
#include "backends/tcp/tcp_conn.h"
#include "cli/cli.h"

#define KAFKA(name, kind, field, help) {"tidegate_kafka_" name, kind, help, offsetof(struct kafka_counters, field), 1}
const struct metrics_row metrics_kafka_rows[] = {
    KAFKA("appended_total", METRICS_COUNTER, appended, "Records handed to the producer."),
    KAFKA("append_errors_total", METRICS_COUNTER, append_errors, "Records that were not acked."),
    KAFKA("queue_records", METRICS_GAUGE, queue_records, "Records not acked yet."),
    KAFKA("producers_total", METRICS_COUNTER, producers, "Producers made: each past the first followed one that had failed for good."),
    KAFKA("rebalances_total", METRICS_COUNTER, rebalances, "Times that the group gave or took partitions."),
    KAFKA("partitions_owned", METRICS_GAUGE, partitions_owned, "Partitions that this worker holds."),
    KAFKA("transactions_total", METRICS_COUNTER, transactions, "Transactions of the journal, tried."),
    KAFKA("transactions_failed_total", METRICS_COUNTER, transactions_failed, "Those that failed, most to be tried again."),
    KAFKA("fenced_total", METRICS_COUNTER, fenced, "Batches that Kafka kept out because another owns the partition."),
};
const size_t metrics_kafka_rows_count = sizeof metrics_kafka_rows / sizeof metrics_kafka_rows[0];

#define LINK(name, kind, field, help) {"tidegate_link_" name, kind, help, offsetof(struct tcp_counters, field), 1}
const struct metrics_row metrics_link_rows[] = {
    LINK("links", METRICS_GAUGE, links, "Links between this process and others that stand."),
    LINK("made_total", METRICS_COUNTER, made, "Links that came to stand."),
    LINK("lost_total", METRICS_COUNTER, lost, "Those of them that ended."),
    LINK("refused_total", METRICS_COUNTER, refused, "Connections that never became a link."),
    LINK("received_bytes_total", METRICS_COUNTER, bytes_in, "Bytes that came over links."),
    LINK("sent_bytes_total", METRICS_COUNTER, bytes_out, "Bytes that went over links."),
    LINK("unsent_bytes", METRICS_GAUGE, unsent_bytes, "Bytes that wait for the other end to read."),
};
const size_t metrics_link_rows_count = sizeof metrics_link_rows / sizeof metrics_link_rows[0];

#define REDIS(name, kind, field, help) {"tidegate_redis_" name, kind, help, offsetof(struct redis_counters, field), 1}
const struct metrics_row metrics_redis_rows[] = {
    REDIS("servers", METRICS_GAUGE, servers, "Redis servers that answer."),
    REDIS("ready_total", METRICS_COUNTER, ready, "Connections that came to stand."),
    REDIS("lost_total", METRICS_COUNTER, lost, "Those of them that ended."),
    REDIS("busy_total", METRICS_COUNTER, busy, "Questions that no server could be asked."),
    REDIS("offsets_total", METRICS_COUNTER, offsets, "Offsets of devices written."),
    REDIS("offsets_dropped_total", METRICS_COUNTER, offsets_dropped, "Offsets dropped because too many waited."),
};
const size_t metrics_redis_rows_count = sizeof metrics_redis_rows / sizeof metrics_redis_rows[0];
