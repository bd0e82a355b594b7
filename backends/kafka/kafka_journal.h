/* The journal on Kafka: a transaction a batch, into `updates`, `state` and `dead-letter`, with the group's offset in it.
 *
 * FENCE  the offset is committed under the generation in which the partition was assigned (kafka_reader.h): from an owner that the
 *        group has given up, the broker takes neither it nor the rest. That is JOURNAL_LOST.
 * DOUBT  librdkafka's transactions are not safe against a late request of an earlier one (KIP-890 is not in it): after any time-out
 *        or fatal error of commit or abort the producer is destroyed and made anew under the same id, which decides what was under way;
 *        the committed offset, stable, then tells whether the batch is in. Kafka gone: it is tried until it is there, or stop().
 * HEADERS of `updates`: CloudEvents 1.0 in binary mode (ce_*), and `tidegate`, the mark of core/journal_record.h. */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_JOURNAL_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_JOURNAL_H

#include "backends/kafka/kafka_reader.h"

struct kafka_journal;

/* Blocks for nothing: the producer is made by the first commit. */
enum err kafka_journal_open(const struct kafka_options *options, const struct kafka_stamp *stamp, struct kafka_reader *reader,
                            struct kafka_counters *counters, struct kafka_journal **ret_journal);
void kafka_journal_close(struct kafka_journal *journal); /* nothing is under way; may block for a moment */
struct journal *kafka_journal_seam(struct kafka_journal *journal);

#endif
