/* Internal to kafka_topics*.c: writing what a log is (kafka_topics.c), and its topics as the broker has them (kafka_topics_admin.c). */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_TOPICS_PARTS_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_TOPICS_PARTS_H

#include "backends/kafka/kafka_stamp.h"

void kafka_topics_say(const struct kafka_topics *topics, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Makes what is missing (unless it shall only look) and compares the rest: what differs is said, with how to mend it, and counted. */
enum err kafka_topics_settle(rd_kafka_t *rk, const struct kafka_options *options, const struct kafka_topics *topics,
                             const struct kafka_stamp *stamp, size_t *ret_differing, char *why, size_t why_bytes);

#endif
