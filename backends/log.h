/* The seam `log`: append with an ack; consume what is durable, in order; trim.
 *
 * Two halves, because in the distributed form the gateway writes and the worker reads: log_writer and log_reader. The
 * embedded backend gives both over one LMDB file. Everything is called, and calls back, on the loop's thread; callbacks
 * never come from inside a call. Whoever implements a half embeds the struct and sets `ops`.
 *
 * INVARIANTS
 * 1. A record is acked, and consumed, only after it is durable (its group's fsync; every in-sync replica).
 * 2. Records of one partition appended through one writer are acked in order; after a failed one every later one that was already
 *    handed in fails too, until the writer reports `settled` by the last ack of the failed group.
 * 3. Offsets of a partition start at 0 and grow; a reader sees each exactly once, in order, with the time of its append. */
#ifndef TIDEGATE_BACKENDS_LOG_H
#define TIDEGATE_BACKENDS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/blob.h"
#include "core/err.h"
#include "core/span.h"

struct log_ack {
    uint64_t tag;   /* the appender's own */
    enum err err;   /* ERR_OK: durable; ERR_BUSY: not appended, try again; ERR_INTERNAL: perhaps appended, send again */
};

struct log_writer;
struct log_writer_ops {
    /* The record is taken over by reference (blob_take). ERR_BUSY at the queue's bound: nothing was taken. */
    enum err (*append)(struct log_writer *writer, uint32_t partition, struct blob *record, uint64_t tag);
};
struct log_writer {
    const struct log_writer_ops *ops;
    uint32_t partitions;
    const char *name;     /* the log's name, core/cursor.h; valid as long as the writer */
    void *ctx;            /* set by the user of the seam */
    void (*acked)(void *ctx, const struct log_ack *acks, size_t count);
};

struct log_record {
    uint64_t offset;
    int64_t time_ms;
    struct span bytes;    /* valid during the callback */
};

/* What a process is told of a partition that it owns from now on. */
struct log_assignment {
    uint64_t first, next;   /* what the log holds now: an owner is caught up when it has passed `next` */
    uint64_t silent_below;  /* an earlier owner journalled what lies below: it is replayed without a word to anybody; 0: nothing was */
};

struct log_reader;
struct log_reader_ops {
    /* Begins to deliver a partition's records from `offset` on. ERR_CORRUPT when the log no longer, or not yet, holds it. */
    enum err (*start)(struct log_reader *reader, uint32_t partition, uint64_t offset);
    /* Pauses and resumes delivery: back-pressure of the owner. */
    void (*pause)(struct log_reader *reader, uint32_t partition, bool paused);
    /* Effects of everything below `offset` are stored: the log may forget it when it likes. */
    void (*trim)(struct log_reader *reader, uint32_t partition, uint64_t offset);
    /* The range that the log holds now: first offset and the next to be written. */
    enum err (*range)(struct log_reader *reader, uint32_t partition, uint64_t *ret_first, uint64_t *ret_next);
    /* Reads one durable record again; `bytes` valid until the next call. ERR_UNKNOWN when it is not held. */
    enum err (*read)(struct log_reader *reader, uint32_t partition, uint64_t offset, struct log_record *ret_record);
    /* Ends what `revoked` began: the owner has journalled what it had, and another may have the partition. */
    void (*release)(struct log_reader *reader, uint32_t partition);
};
struct log_reader {
    const struct log_reader_ops *ops;
    uint32_t partitions;
    const char *name;
    void *ctx;
    /* A batch of durable records, in order. One that begins below the assignment's silent_below ends there. */
    void (*records)(void *ctx, uint32_t partition, const struct log_record *records, size_t count);
    /* This process owns the partition from now on (embedded: all of them, right after the loop starts), or no longer. */
    void (*assigned)(void *ctx, uint32_t partition, const struct log_assignment *assignment);
    void (*revoked)(void *ctx, uint32_t partition); /* no record comes any more; answered by ops->release() */
    /* The log failed for good (disk full, torn): `why` names what to mend. */
    void (*failed)(void *ctx, enum err err, const char *why);
};

#endif
