/* A worker over the embedded backends in a directory, and a gateway's end of the link that keeps what it is told. */
#ifndef TIDEGATE_TESTS_SUPPORT_OWNER_RIG_H
#define TIDEGATE_TESTS_SUPPORT_OWNER_RIG_H

#include <stdio.h>

#include "backends/embedded/embedded.h"
#include "core/map.h"
#include "core/record.h"
#include "tests/support/rig.h"
#include "workers/worker.h"

struct owner_rig {
    char dir[RIG_PATH_BYTES];
    uv_loop_t loop;
    struct embedded *embedded;
    struct worker *worker;
    struct link_gateway *link;
    struct log_writer *writer;
    bool closed;
    bool loop_open;
    size_t acks, ups, failures;
    size_t told[8];           /* by enum link_tell_kind */
    /* the last of each kind */
    struct link_tell last[8]; /* without spans and pointers */
    char *text[8];            /* its frame, or a page's documents; "" none */
    enum role role;           /* of the last page's first part */
    uint64_t answers_applied;
    const char *device;       /* that pushes; NULL: device-0001 */
    int64_t now_ms;           /* the worker's clock when not 0 */
    FILE *copy;               /* every record delivered: owner_rig_replay() reads it; NULL: none */
    void *records_ctx;
    void (*records)(void *ctx, uint32_t partition, const struct log_record *records, size_t count);
};

void owner_rig_open(struct owner_rig *rig, const char *const *namespaces, size_t count); /* rig->dir is set */
void owner_rig_close(struct owner_rig *rig);
bool owner_rig_until_ready(struct owner_rig *rig);
void owner_rig_push(struct owner_rig *rig, const struct record_push *push);
void owner_rig_push_text(struct owner_rig *rig, const char *space, const char *user, uint64_t id, const char *ops);
void owner_rig_ask(struct owner_rig *rig, const struct link_ask *ask);
bool owner_rig_until_told(struct owner_rig *rig, enum link_tell_kind kind, size_t count);
/* Waits until everything that was delivered is in the stores. */
bool owner_rig_until_stored(struct owner_rig *rig);

#endif
