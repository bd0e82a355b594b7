/* The log on Kafka, and the journal beside it: what `gateway`, `worker` and `topics` stand on.
 *
 * TOPICS  (each name behind --prefix)
 *     tidegate      one partition, compacted: key `log` -> the stamp (kafka_stamp.h), key `namespace/NAME` -> the text written last
 *     changes       the truth: core/record.h; LogAppendTime; no retention by time; the owner deletes what it needs no more
 *     updates       compacted, for everybody: the newest state of each document (core/journal_record.h)
 *     state         compacted, for a restore: device entries, losers, spaces, partitions
 *     dead-letter   what no version could decode, whole, with the reason in a header
 * From the second epoch on, the last four names carry it: changes-2. Several deployments share a Kafka by --prefix.
 *
 * INVARIANTS
 * 1. The partition count is fixed with the log's name, in the stamp; an open refuses topics that have another.
 * 2. Only an owner that the group's generation confirms commits to `updates` and `state` (kafka_journal.h).
 * Everything but the journal's calls is of the loop's thread; the opens block until Kafka has answered, and come before the loop runs. */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/journal.h"
#include "backends/log.h"

struct uv_loop_s; /* uv_loop_t */
struct kafka;

struct kafka_options {
    const char *hosts;     /* host:port,host:port */
    const char *file;      /* properties for librdkafka, kafka_conf.h; NULL: none */
    const char *prefix;    /* of topics and group; NULL: none */
    const char *instance;  /* static membership's name; NULL: none */
    uint64_t session_s;    /* without a sign of life for so long, a worker's partitions go to others; 0: 10 */
    uint64_t keep_s;       /* how long `changes` keeps what the journal has; 0: a day */
};

/* For a gateway: a writer. For a worker: reader, rules_writer, journal. ERR_CONFIG: no log there, or not as it must be;
 * ERR_BUSY: Kafka does not answer. `why` (one line) is written on failure only. */
enum err kafka_gateway_open(const struct kafka_options *options, struct uv_loop_s *loop, struct kafka **ret_kafka, char *why, size_t why_bytes);
enum err kafka_worker_open(const struct kafka_options *options, struct uv_loop_s *loop, struct kafka **ret_kafka, char *why, size_t why_bytes);
/* `closed` comes from the loop, when the clients are gone and the group was left. */
void kafka_close(struct kafka *kafka, void *ctx, void (*closed)(void *ctx));

struct log_writer *kafka_writer(struct kafka *kafka);
struct log_reader *kafka_reader(struct kafka *kafka);   /* NULL at a gateway */
struct journal *kafka_journal(struct kafka *kafka);     /* NULL at a gateway */
const char *kafka_log_name(const struct kafka *kafka);
uint32_t kafka_partitions(const struct kafka *kafka);
/* False with a sentence while this process has no place in the group yet. */
bool kafka_ready(const struct kafka *kafka, const char **ret_why);

/* For metrics: plain numbers that only grow, but for those marked (now). */
struct kafka_counters {
    uint64_t appended;
    uint64_t append_errors;
    uint64_t queue_records;    /* (now) */
    uint64_t producers;        /* made: past the first, one had failed for good */
    uint64_t rebalances;
    uint64_t partitions_owned; /* (now) */
    uint64_t transactions;
    uint64_t transactions_failed;
    uint64_t fenced;           /* batches given up because another owns the partition */
};
const struct kafka_counters *kafka_counters(struct kafka *kafka);

/* ---- tidegate topics, tidegate check ---- */

struct kafka_topics {
    uint32_t partitions;       /* of a new log; 0: 16 */
    uint32_t replicas;         /* 0: 3 where there are three brokers, else 1 */
    bool new_epoch;            /* a new log beside the old one */
    bool only_look;            /* nothing is made or written */
    size_t namespaces_count;
    const struct span *namespaces; /* compiled already */
    void *ctx;
    void (*say)(void *ctx, const char *line); /* what is done, and what differs and how to mend it */
};
/* ERR_OK: all is as it must be; ERR_CONFIG: something differs (said); ERR_BUSY with `why`: Kafka does not answer. */
enum err kafka_topics_make(const struct kafka_options *options, const struct kafka_topics *topics, char *why, size_t why_bytes);

#endif
