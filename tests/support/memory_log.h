/* A log in memory, shared by several writers and readers on one loop: what Kafka is to gateways and workers, without Kafka. Partitions are
 * assigned to readers and moved between them by the test; nothing is ever forgotten. Callbacks come from the loop, never from inside a call. */
#ifndef TIDEGATE_TESTS_SUPPORT_MEMORY_LOG_H
#define TIDEGATE_TESTS_SUPPORT_MEMORY_LOG_H

#include <uv.h>

#include "backends/log.h"

enum { MEMORY_LOG_PARTITIONS = 4, MEMORY_LOG_WRITERS = 8, MEMORY_LOG_READERS = 4, MEMORY_LOG_BATCH = 7, MEMORY_LOG_TURN_MS = 1 };

struct memory_log;

struct memory_record {
    struct blob *blob;
    int64_t time_ms;
};
struct memory_ack {
    struct memory_ack *next;
    struct log_writer *writer;
    uint64_t tag;
};
struct memory_writer {
    struct log_writer seam; /* first */
    struct memory_log *log;
};
struct memory_reader {
    struct log_reader seam; /* first */
    struct memory_log *log;
};
struct memory_partition {
    size_t count, room;
    struct memory_record *records;
    struct log_reader *owner, *coming; /* the reader that has it; the one that shall, when the other has let go */
    struct log_reader *lost;           /* one that had it, and has not heard that it was taken away */
    bool assigned, told_revoked, started, paused;
    uint64_t next;                     /* to be delivered */
    uint64_t trimmed;                  /* effects below are stored by whoever had it */
    uint64_t silent_below;             /* as at the assignment */
};
struct memory_log {
    uv_loop_t *loop;
    uv_timer_t timer;
    bool held;                         /* nothing is delivered but what is replayed in silence */
    int64_t last_ms;
    struct memory_partition partitions[MEMORY_LOG_PARTITIONS];
    struct memory_writer writers[MEMORY_LOG_WRITERS];
    struct memory_reader readers[MEMORY_LOG_READERS];
    size_t writers_count, readers_count;
    struct memory_ack *acks, **acks_end;
};

void memory_log_init(struct memory_log *log, uv_loop_t *loop);
void memory_log_fini(struct memory_log *log); /* the loop is to be run after it */
struct log_writer *memory_log_writer(struct memory_log *log);
struct log_reader *memory_log_reader(struct memory_log *log);
/* The partition is this reader's as soon as the one before has let go; NULL: nobody's. */
void memory_log_assign(struct memory_log *log, uint32_t partition, struct log_reader *reader);
/* It is this reader's at once: the one before goes on believing that it has it, but gets nothing more, until memory_log_wake(). */
void memory_log_steal(struct memory_log *log, uint32_t partition, struct log_reader *reader);
void memory_log_wake(struct memory_log *log, uint32_t partition);

#endif
