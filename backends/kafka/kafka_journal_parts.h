/* Internal to kafka_journal*.c: transactions (kafka_journal.c), records with their headers (kafka_journal_write.c), reading them back
 * (kafka_journal_restore.c). All on the worker's journal lane but stop(). */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_JOURNAL_PARTS_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_JOURNAL_PARTS_H

#include <stdatomic.h>

#include "backends/kafka/kafka_journal.h"
#include "core/journal_record.h"

struct kafka_journal {
    struct journal base;      /* first: the seam's struct is this one */
    struct kafka_options options;
    struct kafka_stamp stamp;
    struct kafka_reader *reader;
    struct kafka_counters *counters;
    char transactional_id[512];
    rd_kafka_t *rk;           /* NULL: to be made */
    uint64_t batch;           /* the last one's number: they differ from all others' */
    struct buf text;
    atomic_bool stopped;
};

/* Hands every record of the batch to the producer, within a transaction. */
rd_kafka_resp_err_t kafka_journal_write(struct kafka_journal *journal, const struct journal_batch *batch);
enum err kafka_journal_restore(struct journal *base, uint32_t partition, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count),
                               void (*progress)(void *ctx, uint64_t at, uint64_t end), struct journal_place *ret_place, char *why, size_t why_bytes);

#endif
