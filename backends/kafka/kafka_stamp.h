/* What names a log on Kafka: the record of key `log` in the topic `tidegate`.
 *
 * FORMAT  {"v":1,"log":NAME,"epoch":N,"partitions":N}. NAME is "<ms of its creation, base 36>-<random, base 36>".
 * INVARIANT 1: it is written after the epoch's topics stand, and an epoch's is never changed. */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_STAMP_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_STAMP_H

#include "backends/kafka/kafka_conf.h"
#include "core/buf.h"
#include "core/cursor.h"

enum { KAFKA_TOPIC_BYTES = 250, KAFKA_PREFIX_BYTES_MAX = 100, KAFKA_PARTITIONS_MAX = 1024 };
enum kafka_topic { KAFKA_META, KAFKA_CHANGES, KAFKA_UPDATES, KAFKA_STATE, KAFKA_DEAD, KAFKA_TOPICS };

struct kafka_stamp {
    bool exists;
    char log[LOG_NAME_BYTES_MAX + 1];
    uint32_t epoch, partitions;
    char topics[KAFKA_TOPICS][KAFKA_TOPIC_BYTES];
    char group[KAFKA_TOPIC_BYTES];
};

/* The names of an epoch's topics; `log` and `partitions` stay. ERR_CONFIG: a prefix that no topic can have. */
enum err kafka_stamp_names(const struct kafka_options *options, uint32_t epoch, struct kafka_stamp *stamp, char *why, size_t why_bytes);
/* Reads it; exists is false where no log was begun. Blocks. */
enum err kafka_stamp_read(const struct kafka_options *options, struct kafka_stamp *ret_stamp, char *why, size_t why_bytes);
/* Is a namespace's text the one that was written last? Called back while kafka_stamp_read_all() goes over the topic. */
enum err kafka_stamp_read_all(const struct kafka_options *options, struct kafka_stamp *ret_stamp, void *ctx,
                              void (*namespace_text)(void *ctx, struct span name, struct span text), char *why, size_t why_bytes);
void kafka_stamp_begin(struct kafka_stamp *stamp, int64_t now_ms); /* a new name */
void kafka_stamp_encode(const struct kafka_stamp *stamp, struct buf *buf);

#endif
