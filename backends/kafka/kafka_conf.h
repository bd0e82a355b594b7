/* How every client of the broker is configured: one place for what they have in common, and for what users add by file.
 *
 * FORMAT of the file (--kafka-config): a property of librdkafka a line, `name=value`; empty lines and those that begin with # say
 * nothing. What the product itself depends on (idempotence, isolation, acks, offsets, partitioning) cannot be changed by it.
 * Clients write what they have to say into the process's log, as events `kafka`. */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_CONF_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>

#include "backends/kafka/kafka.h"

struct kafka_property {
    const char *name, *value;
};

/* NULL with `why` when a property is refused. `extra` ends with a NULL name and is what the client itself depends on. */
rd_kafka_conf_t *kafka_conf_make(const struct kafka_options *options, const struct kafka_property *extra, char *why, size_t why_bytes);
/* Takes `made` over, also when it fails (NULL). */
rd_kafka_t *kafka_conf_open(rd_kafka_type_t type, rd_kafka_conf_t *made, char *why, size_t why_bytes);

#endif
