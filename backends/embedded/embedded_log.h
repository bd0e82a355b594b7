/* The log of one machine: LMDB under a thread that commits whatever gathered while it committed the group before.
 *
 * FORMAT  table `stamp`: "log" -> the log's name, "partitions" -> u64 BE.
 *         table `pN`, one a partition: offset u64 BE -> u64 LE time (ms), u64 LE XXH64 of the record, the record.
 * INVARIANTS
 * 1. Offsets of a partition have no hole, and its last record is never trimmed: the next offset is the last one's plus one.
 * 2. Times of a partition never go back, whatever the clock does, across restarts too.
 * 3. A reader that lags (started late, or paused) is fed from LMDB in bounded batches until it has everything that the
 *    loop knows to be durable, and from the appended blobs themselves from then on.
 * 4. trim(offset) keeps the record before `offset`, so that an owner can compare it at its next assignment.
 * Queue: at most QUEUE_RECORDS and QUEUE_BYTES wait for a commit; past either, append says ERR_BUSY.
 * After a failed commit every append is ERR_BUSY for good, and the reader's `failed` is told once.
 * Blobs are counted on the loop's thread alone; the log's thread only reads their bytes. */
#ifndef TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_LOG_H
#define TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/log.h"

struct uv_loop_s;
struct embedded_log;

enum { EMBEDDED_LOG_WRITERS = 2 };

struct embedded_log_options {
    const char *path;          /* a directory of its own */
    const char *name;          /* given to a new log; an existing one must bear it */
    uint32_t partitions;
    bool fresh;                /* true: there may be none yet; false: one without a stamp is ERR_CORRUPT */
    bool fsync;
    int64_t (*now_ms)(void);
    uint64_t bytes_max;        /* of the file; 0: lmdbx.h's own bound */
};

enum err embedded_log_open(const struct embedded_log_options *options, struct uv_loop_s *loop,
                           struct embedded_log **ret_log, char *why, size_t why_bytes);
/* What is queued is still committed, but nobody is told. `closed` comes from the loop, when the memory is gone. */
void embedded_log_close(struct embedded_log *log, void *ctx, void (*closed)(void *ctx));

struct log_writer *embedded_log_writer(struct embedded_log *log, size_t place); /* place < EMBEDDED_LOG_WRITERS */
struct log_reader *embedded_log_reader(struct embedded_log *log);
uint64_t embedded_log_records(const struct embedded_log *log); /* held in all partitions when it was opened */

#endif
