/* Internal to kafka_reader*.c: its partitions (kafka_reader.c), the member of the group (kafka_reader_member.c), taking over (kafka_reader_take.c), records
 * (kafka_reader_data.c), forgetting (kafka_reader_trim.c). */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_READER_PARTS_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_READER_PARTS_H

#include <stdatomic.h>
#include <uv.h>

#include "backends/kafka/kafka_reader.h"
#include "backends/kafka/kafka_wake.h"

enum {
    HAND_RECORDS = 256,     /* records given to the owner in one call */
    TURN_RECORDS = 2048,    /* and in one turn of the loop */
    TRIM_MS = 60000         /* between two looks at what may be forgotten, and no longer than it is kept */
};

enum part_state {
    PART_FREE,     /* another's, or nobody's */
    PART_TAKING,   /* ours by the group; committed offset and ends are being asked for */
    PART_OWNED,    /* told to the owner */
    PART_LEAVING   /* the group wants it back; the owner finishes */
};

struct part {
    enum part_state state;
    bool started, paused, flowing; /* asked for; asked to hold; being fetched */
    bool revoked_early;            /* amid TAKING */
    uint64_t first, end;           /* at the assignment */
    uint64_t silent_below;
    uint64_t next;                 /* the record to be handed over next */
    uint64_t journalled;           /* the log may forget what lies this side of it, in time */
    rd_kafka_consumer_group_metadata_t *group; /* under the lock */
    /* the record before the committed offset, read while taking over */
    bool has_before;
    uint64_t before_offset;
    int64_t before_time_ms;
    char *before;
    size_t before_bytes;
};

struct kafka_reader {
    struct log_reader base;  /* first: the seam's struct is this one */
    struct kafka_options options;
    struct kafka_stamp stamp;
    uv_loop_t *loop;
    struct kafka_counters *counters;
    rd_kafka_t *member;
    struct kafka_wake member_wake;
    rd_kafka_t *data;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    struct kafka_wake data_wake;
    uv_timer_t trim_timer;
    uv_mutex_t lock;
    struct part *parts;
    bool in_group, unassign_due, failed;
    bool member_lost;         /* it cannot go on: another takes its place when everything was given back */
    atomic_bool renewing;     /* on another thread */
    int64_t lost_ms;          /* the first time of a minute, and how often since */
    unsigned lost_count;
    bool works_trim;
    atomic_bool closing;
    bool handles_closing;
    unsigned works, handles;  /* on other threads; to be closed */
    uv_work_t ending, renewal;
    char *read_bytes;         /* of the last read() */
    void *closed_ctx;
    void (*closed)(void *ctx);
};

/* kafka_reader.c */
void kafka_reader_fail(struct kafka_reader *reader, enum err err, const char *why);
void kafka_reader_freed(struct kafka_reader *reader);       /* a partition was let go of: perhaps the last */
size_t kafka_reader_held(const struct kafka_reader *reader); /* partitions that are not free */
void kafka_reader_go_on_closing(struct kafka_reader *reader);

/* kafka_reader_member.c */
enum err kafka_reader_open_member(struct kafka_reader *reader, char *why, size_t why_bytes);
bool kafka_reader_serve_member(void *reader);
void kafka_reader_renew(struct kafka_reader *reader); /* where the member is lost and nothing is held any more */
void kafka_reader_take_back(struct kafka_reader *reader);

/* kafka_reader_take.c */
void kafka_reader_take(struct kafka_reader *reader, const rd_kafka_topic_partition_list_t *list);

/* kafka_reader_data.c */
bool kafka_reader_serve(void *reader);
enum err kafka_reader_start(struct log_reader *base, uint32_t partition, uint64_t offset);
void kafka_reader_pause(struct log_reader *base, uint32_t partition, bool paused);
void kafka_reader_halt(struct kafka_reader *reader, struct part *part); /* no more records */
enum err kafka_reader_range(struct log_reader *base, uint32_t partition, uint64_t *ret_first, uint64_t *ret_next);
enum err kafka_reader_read(struct log_reader *base, uint32_t partition, uint64_t offset, struct log_record *ret_record);
/* Reads one record by fetching, which nobody else does in that partition meanwhile. Blocks. NULL with an error's code in *ret_code. */
rd_kafka_message_t *kafka_reader_fetch(struct kafka_reader *reader, uint32_t partition, uint64_t offset, rd_kafka_resp_err_t *ret_code);

/* kafka_reader_trim.c */
void kafka_reader_trim(struct log_reader *base, uint32_t partition, uint64_t offset);
uint64_t kafka_reader_trim_ms(const struct kafka_reader *reader);
void kafka_reader_on_trim_timer(uv_timer_t *timer);

#endif
