/* Internal to owner*.c: the owner's struct and the steps between its files. Nobody else includes this. */
#ifndef TIDEGATE_CORE_OWNER_PARTS_H
#define TIDEGATE_CORE_OWNER_PARTS_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/cursor.h"
#include "core/device_entry.h"
#include "core/op.h"
#include "core/owner.h"
#include "core/resolve.h"
#include "core/space_state.h"
#include "core/state_key.h"

enum {
    OWNER_WRITES_MAX = 4096,
    OWNER_ARENA_BYTES_MAX = 67108864, /* a step's memory: a frame's worth of documents several times over */
    OWNER_FRAME_BYTES_MAX = 8388608,  /* an update or result as text */
    OWNER_RESULT_DOCS_BYTES = LIMIT_PUSH_BODIES_BYTES_MAX /* documents in one result: those past it are left out */
};

struct owner {
    char log[LOG_NAME_BYTES_MAX + 1];
    uint64_t next_offset;
    int64_t clock_ms;
    struct namespace_set namespaces;
    struct arena arena;
    struct buf frame;         /* the update */
    struct buf answer;        /* the answer */
    struct buf value;         /* scratch for one encoded value */
    struct device_entry entry; /* of the push under judgement */
    size_t writes_count;
    struct state_write writes[OWNER_WRITES_MAX];
    bool failed;              /* a write did not fit: the step is undone as a whole */
};

/* One push under judgement: what is known of it, gathered once. */
struct owner_case {
    const struct state_reader *reader;
    const struct record_push *push;
    const struct namespace *ns;
    struct space_state space;
    struct access_facts facts;
    enum role role;           /* a founder's is ROLE_OWNER */
    bool founding;            /* this push would found the space */
    uint64_t rev;             /* this push's */
    int64_t time_ms;
    struct hash_digest digest;
    struct op *ops;
    size_t ops_count;
    enum err malformed;       /* what op_decode_all() said; ERR_OK: ops are good */
    struct resolve_result result;
    char why[LIMIT_MESSAGE_BYTES_MAX + 1];
};

/* owner_write.c */
void owner_write_put(struct owner *owner, enum state_table table, const struct state_key *key, uint64_t sid, struct span value);
void owner_write_remove(struct owner *owner, enum state_table table, const struct state_key *key, uint64_t sid);
void owner_write_partition(struct owner *owner); /* next offset and clock */
enum err owner_write_push(struct owner *owner, struct owner_case *c); /* documents, indexes, sums, losers */
void owner_write_space(struct owner *owner, const struct owner_case *c);
void owner_write_entry(struct owner *owner, const struct owner_case *c, const struct device_entry *entry, bool fresh);

/* owner_render.c */
void owner_render_update(struct owner *owner, const struct owner_case *c, uint64_t prev);
/* `status` and `code` as kept; `with_docs`: what the push named, as it is now (after the step's own changes). */
enum err owner_render_result(struct owner *owner, struct owner_case *c, enum device_status status, enum err code,
                             struct span why, bool allowed);
void owner_render_error(struct owner *owner, const struct owner_case *c, enum err code, uint64_t after);

/* owner_push.c */
enum err owner_push_step(struct owner *owner, struct owner_case *c, bool ask, struct owner_out *ret_out);

#endif
