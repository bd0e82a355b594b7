/* One end of a log on the broker that tests/kafka/run started: a worker's or a gateway's, on a loop of its own, and what it was told.
 *
 * Each desk's log is its own, behind a prefix; two desks of one prefix share it. */
#ifndef TIDEGATE_TESTS_SUPPORT_KAFKA_DESK_H
#define TIDEGATE_TESTS_SUPPORT_KAFKA_DESK_H

#include <uv.h>

#include "backends/kafka/kafka.h"

enum { KAFKA_DESK_PARTITIONS = 2, KAFKA_DESK_WAIT_MS = 120000 };

struct kafka_desk {
    char prefix[64];
    uv_loop_t loop;
    struct kafka *kafka;
    bool open;
    /* the writer's */
    size_t acks, refused;
    uint64_t last_tag;
    bool tags_in_order;
    /* the reader's, a partition each */
    bool owned[KAFKA_DESK_PARTITIONS], released[KAFKA_DESK_PARTITIONS];
    struct log_assignment assignment[KAFKA_DESK_PARTITIONS];
    size_t records[KAFKA_DESK_PARTITIONS], batches_across;
    uint64_t next[KAFKA_DESK_PARTITIONS];
    bool in_order;
    char last[64];
    enum err failed;
    char why[256];
};

const char *kafka_desk_hosts(void); /* fails the test where there is none */
void kafka_desk_name(struct kafka_desk *desk); /* a prefix that nobody has; makes the log */
void kafka_desk_open(struct kafka_desk *desk, bool worker);
void kafka_desk_close(struct kafka_desk *desk);
void kafka_desk_own_all(struct kafka_desk *desk);  /* waits until every partition is assigned */
void kafka_desk_start(struct kafka_desk *desk, uint32_t partition, uint64_t offset);
void kafka_desk_append(struct kafka_desk *desk, uint32_t partition, const char *text, uint64_t tag);
void kafka_desk_until_acks(struct kafka_desk *desk, size_t count);  /* good and refused */
void kafka_desk_until_records(struct kafka_desk *desk, uint32_t partition, size_t count);

#endif
