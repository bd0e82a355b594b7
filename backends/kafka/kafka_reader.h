/* Reads `changes` for the partitions that the group gave this worker. Two clients: the member has a place in the group and fetches
 * nothing; the other fetches, from the very offset that an owner asks for, and knows no group.
 *
 * STATES of a partition: kafka_reader_parts.h
 * TAKE-OVER  assignment; then on another thread the committed offset, stable: it waits until a predecessor's transaction is decided
 *            (the member is read_committed for that alone); the log's ends; the record before that offset, which the owner will
 *            compare; then `assigned`. What the owner does next (store, restore) is its own.
 * INVARIANTS
 * 1. A partition's group metadata is that of the generation in which it was assigned, until it is released: a journal that commits
 *    for it later is refused by the broker.
 * 2. The group hears that partitions are given back only after each was released.
 * 3. A reader never jumps: an offset that the log does not hold fails loudly.
 * `changes` takes no transactions of others': the end of one leaves a gap that an owner would wait for. */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_READER_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_READER_H

#include "backends/kafka/kafka_stamp.h"

struct uv_loop_s;
struct kafka_reader;

enum err kafka_reader_open(const struct kafka_options *options, const struct kafka_stamp *stamp, struct uv_loop_s *loop,
                           struct kafka_counters *counters, struct kafka_reader **ret_reader, char *why, size_t why_bytes);
void kafka_reader_close(struct kafka_reader *reader, void *ctx, void (*closed)(void *ctx));
struct log_reader *kafka_reader_log(struct kafka_reader *reader);
bool kafka_reader_ready(const struct kafka_reader *reader, const char **ret_why);
/* What a transaction for the partition must carry; NULL: not owned here. The caller destroys it. Any thread. */
rd_kafka_consumer_group_metadata_t *kafka_reader_group(struct kafka_reader *reader, uint32_t partition);
/* The group's committed offset of a partition, stable; -1: none. Blocks; any thread but the loop's. */
enum err kafka_reader_committed(struct kafka_reader *reader, uint32_t partition, int64_t *ret_offset, char *why, size_t why_bytes);

#endif
