/* Internal to embedded_log*.c: what the loop's side and the log's thread share. Nobody else includes this.
 *
 * THREADS  `shared` fields only under `lock`; `thread_*` by the log's thread; the rest by the loop's thread. */
#ifndef TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_LOG_PARTS_H
#define TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_LOG_PARTS_H

#include <uv.h>

#include "backends/embedded/embedded_log.h"
#include "backends/embedded/lmdbx.h"

enum {
    QUEUE_RECORDS = 32768,
    QUEUE_BYTES = 33554432,
    READ_RECORDS = 512,      /* one batch from LMDB */
    READ_BYTES = 1048576,
    HAND_RECORDS = 256,      /* records given to the reader in one call */
    TRIM_RECORDS = 512,      /* removed in one commit */
    GROUPS = 4,              /* one gathers, one is committed, others wait for the loop; without a spare one gathers on */
    TABLE_STAMP = 0,
    TABLE_PARTITIONS = 1,    /* and those after it */
    RECORD_HEAD_BYTES = 16
};

/* What the log's thread hands to the loop, in order. */
enum done_kind { DONE_GROUP, DONE_READ };
struct done {
    struct done *next;
    enum done_kind kind;
};

struct item {
    struct blob *blob;
    uint64_t tag;
    uint64_t offset;
    int64_t time_ms;
    uint32_t partition;
    uint32_t writer;
    uint32_t next;           /* of the same partition in this group */
};

/* Records that are, or were, committed together. */
struct group {
    struct done done;        /* first: a done of that kind is this struct */
    struct group *spare;     /* the next one that nobody uses */
    enum err err;
    size_t count, room, bytes;
    struct item *items;
};

/* Records read again for a reader that lags. */
struct read_batch {
    struct done done;        /* first likewise */
    uint32_t partition;
    enum err err;
    size_t count;
    struct log_record records[READ_RECORDS];
    char *bytes;
};

struct part {
    /* shared */
    uint64_t first;          /* the oldest record held */
    uint64_t trim_to;        /* everything below may go */
    bool read_wanted;
    uint64_t read_from, read_to;
    /* the log's thread */
    uint64_t thread_next;
    int64_t thread_time_ms;
    /* the loop's */
    bool started, paused, read_sent;
    uint64_t next;           /* the next record to be handed over */
    uint64_t durable;        /* every record below is durable, as far as the loop was told */
    struct read_batch *held; /* read, but the reader paused meanwhile */
    uint32_t chain_first, chain_last;
};

struct writer {
    struct log_writer base;
    struct embedded_log *log;
    uint32_t place;
};

struct embedded_log {
    struct log_reader reader; /* first: the seam's struct is this one */
    struct writer writers[EMBEDDED_LOG_WRITERS];
    struct lmdbx *env;
    int64_t (*now_ms)(void);
    char name[48];
    uint32_t partitions;
    struct part *parts;
    uint64_t records_at_open;

    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    /* shared */
    struct group *gathering;
    struct group *spare;
    struct done *done_first, *done_last;
    size_t reads_wanted;
    bool trims_wanted, stopping, waiting;
    enum err broken;
    /* the loop's */
    uv_async_t async;
    bool assigned_told, broken_told, closing;
    uint32_t *touched;       /* partitions of the group being handed over */
    char *read_bytes;        /* of the last read() */
    void *closed_ctx;
    void (*closed)(void *ctx);
};

/* embedded_log.c */
void embedded_log_wire(struct embedded_log *log); /* fills in the seams' structs */
int embedded_log_listen(struct embedded_log *log, uv_loop_t *loop); /* libuv's code */

/* embedded_log_thread.c */
void embedded_log_thread_run(void *log);
/* Fills in first, thread_next, thread_time_ms, durable. */
enum err embedded_log_thread_recover(struct embedded_log *log);
/* Takes a stored value apart; false: it does not read back as written. */
bool embedded_log_thread_decode(struct span stored, struct log_record *ret_record);

#endif
