/* A worker on the broker that tests/kafka/run started, with stores in a directory and nobody at its links. */
#ifndef TIDEGATE_TESTS_SUPPORT_WORKER_RIG_H
#define TIDEGATE_TESTS_SUPPORT_WORKER_RIG_H

#include "tests/support/kafka_desk.h"
#include "tests/support/rig.h"
#include "workers/worker.h"

struct worker_rig {
    char dir[RIG_PATH_BYTES];
    uv_loop_t loop;
    struct kafka *kafka;
    struct worker *worker;
    struct link_owner link;
    struct registry registry;
    bool open;
    size_t owned;            /* partitions that it answers for */
    size_t restoring, failures; /* events of these names */
    char why[256];
};

/* The directory is there; `prefix` names a log that is there (kafka_desk_name()). */
void worker_rig_open(struct worker_rig *w, const char *prefix);
void worker_rig_close(struct worker_rig *w);
void worker_rig_until_ready(struct worker_rig *w);   /* owns all partitions, all caught up */
void worker_rig_until_stored(struct worker_rig *w, uint64_t records); /* of this process: those stepped are `records`, and stored */
/* Copies the stores of one directory into another that has none. */
void worker_rig_copy(const char *from, const char *to);
/* Fails the test where two directories' stores differ in any table. */
void worker_rig_same(const char *a, const char *b, const char *log);

#endif
