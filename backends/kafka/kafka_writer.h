/* Appends to `changes`: an idempotent producer, acks=all, the partition given by whoever appends.
 *
 * INVARIANTS (beside log.h's)
 * 1. Acks of a partition come in the order of the appends. A failed one fails every later one that was handed in before it was told.
 * 2. A record that is not acked may stand in the log all the same (ERR_INTERNAL): owners know repeats by their digests.
 * 3. A blob is let go of only after the client that may still read it is destroyed or has reported on it.
 * LINGER   while fewer than LINGER_FREE records come in LINGER_WINDOW_MS, each is sent at once; past it what comes within a time that
 *          grows with their number, at most LINGER_MS_MAX, goes together: a broker pays for requests, not for records.
 * BOUND    QUEUE_RECORDS and QUEUE_BYTES unacked, past either append() says ERR_BUSY.
 * FAILURE  a producer that says that it cannot go on fails all that is under way (ERR_INTERNAL) and is replaced; it is destroyed on
 *          another thread, since that waits for the broker. */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_WRITER_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_WRITER_H

#include "backends/kafka/kafka_stamp.h"

struct uv_loop_s;
struct kafka_writer;

/* Blocks until the topic's metadata is there: no cold first record. `counters` outlives it. */
enum err kafka_writer_open(const struct kafka_options *options, const struct kafka_stamp *stamp, struct uv_loop_s *loop,
                           struct kafka_counters *counters, struct kafka_writer **ret_writer, char *why, size_t why_bytes);
/* What is under way is told nobody any more. `closed` comes from the loop. */
void kafka_writer_close(struct kafka_writer *writer, void *ctx, void (*closed)(void *ctx));
struct log_writer *kafka_writer_log(struct kafka_writer *writer);
/* For tests: the producer fails as it does when the broker lost track of it. */
void kafka_writer_break(struct kafka_writer *writer);

#endif
