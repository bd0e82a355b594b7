/* Internal to the worker's files: worker.c (the hub), partition_open.c (taking over), partition.c (records and effects),
 * partition_journal.c (storing them), partition_room.c (a disk that is full),
 * pages.c (answers from snapshots), rules.c (namespaces). Nobody else includes this. All on the loop's thread. */
#ifndef TIDEGATE_WORKERS_WORKER_PARTS_H
#define TIDEGATE_WORKERS_WORKER_PARTS_H

#include <limits.h>

#include "base/boot.h"
#include "core/limits.h"
#include "core/namespace.h"
#include "core/owner.h"
#include "workers/interests.h"
#include "workers/overlay.h"
#include "workers/presence.h"
#include "workers/restore.h"
#include "workers/store.h"
#include "workers/worker.h"

enum {
    JOURNAL_MS = 100,
    JOURNAL_BYTES = 8388608,          /* gathered: journalled at once */
    OVERLAY_BYTES_MAX = 134217728,    /* past it the log's delivery pauses until a batch is stored */
    SWEEP_COUNT = 256,                /* entries freed in one slice */
    PAGES_RUNNING_MAX = 1024,         /* past it ERR_BUSY */
    RETRY_MS = 500,                   /* an append of a namespace that was refused */
    ROOM_MS = 1000,                   /* a store that did not fit on its disk */
    RESTORES_RUNNING_MAX = 2          /* others wait: pages need their threads */
};

/* Compiled namespaces that pages on other threads read: the owner's own may change under them. Counted. */
struct rules {
    uint32_t refs;
    struct namespace_set set;
};

/* A namespace asked for by worker_namespaces_put(). */
struct wanted {
    char *text;
    size_t text_bytes;
    char name[LIMIT_SPACE_BYTES_MAX + 1];
};

struct peer {
    struct map_node node; /* first; by name */
    struct peer *next;
    uint32_t id;
    char name[];
};

/* What gateways were told of a namespace. */
struct told_rule {
    char name[LIMIT_SPACE_BYTES_MAX + 1];
    uint64_t version;
    bool presence;
};

/* A batch on its way to the store. */
struct journal_job {
    struct worker_job job; /* first */
    struct partition *p;
    struct store *store;
    struct store_batch batch;
    uint64_t first;           /* of the log's records that it came from */
    bool silent;              /* an earlier owner journalled it: for the store alone */
    bool journalled;          /* and here it is in the journal already: the store had no room */
    enum journal_end end;
    enum err err;
    char why[256];
};

/* A store that is made anew, on another thread. */
struct restore_job {
    struct worker_job job; /* first */
    struct partition *p;
    struct restore restore;
    struct log_assignment assignment; /* what it was asked for with */
    enum err err;
    char path[PATH_MAX], why[256];
};

enum partition_state {
    PARTITION_WAITING, /* not assigned */
    PARTITION_RESTORING, /* its store is made anew from the journal */
    PARTITION_RUNNING,
    PARTITION_LEAVING, /* revoked: its last batch is stored, then all of it is dropped */
    PARTITION_FAILED   /* stopped for good, what it had journalled stays */
};

struct partition {
    struct worker *worker;
    uint32_t index;
    enum partition_state state;
    struct store *store;
    struct owner *owner;
    struct overlay *overlay;
    struct rules *rules;
    uint64_t target;          /* the log's end at assignment: ready when passed */
    uint64_t silent_below;    /* an earlier owner told and journalled what lies below */
    bool loud;                /* past silent_below, and what lies below is stored: what comes is told and journalled */
    bool owned;               /* told to the link: at the log's end too, as it was at the assignment */
    bool abandoned;           /* what is not stored is dropped: the store or the log failed */
    uint64_t last_hash;       /* of the record before the owner's next */
    uint64_t durable;         /* the greatest offset delivered, plus one */
    bool paused;
    bool sweep_more;
    bool rules_in_force;      /* every wanted text is */
    size_t rules_sent;        /* appended and not yet seen */
    /* dead letters since the last seal, and those being journalled */
    struct store_dead *dead_first, *dead_last, *dead_sealed;
    bool journaling, restoring;
    bool full, full_waits;    /* said that its disk is full; what did not fit waits to be tried again, and nobody has it under way */
    uint64_t sealed_next;     /* the log's record that the next batch begins with */
    struct restore_job *restore;
    struct journal_job job;
    struct overlay_batch batch;
    size_t pages_running;     /* they read the store */
    /* the owner's reader: overlay over a view of the store, while `reading` */
    unsigned reading;
    struct store_view *view;
    struct merge merge;
    struct state_reader reader;
    /* the patch made last, reused while nothing changed */
    struct patch *patch;
    uint64_t patch_writes;
    size_t patch_space_bytes;
    char patch_space[LIMIT_SPACE_BYTES_MAX];
};

struct worker {
    struct worker_options options;
    char *data_dir;
    uint32_t partitions_count;
    struct partition *partitions;
    struct worker_host *host;
    struct interests interests;
    struct presence *presence;
    struct map peers;
    struct peer *peers_first;
    struct wanted *wanted;
    size_t wanted_count;
    struct told_rule *told;   /* LIMIT_NAMESPACES_MAX of them */
    size_t told_count;
    struct worker_counters counters;
    bool journal_armed, retry_armed;
    size_t pages_running, asks_running;
    size_t restores_running;
    char boot[BOOT_BYTES];
    bool log_failed, closing, host_closing;
    char why[256];
    void *closed_ctx;
    void (*closed)(void *ctx);
};

/* worker.c */
void worker_say(struct worker *worker, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));
void worker_send(struct worker *worker, uint32_t peer, const struct link_tell *tell);
const struct peer *worker_peer(const struct worker *worker, uint32_t id); /* NULL: it left */
void worker_go_on_closing(struct worker *worker);
struct partition *worker_partition(struct worker *worker, struct span space);

/* partition_open.c */
void partition_assign(struct partition *p, const struct log_assignment *assignment);
void partition_restore_next(struct worker *worker);  /* begins what waits, as far as there is room */

/* partition.c */
void partition_disown(struct partition *p);          /* gateways look elsewhere, before anything is given up */
void partition_revoke(struct partition *p);
void partition_heed(struct partition *p);            /* when something gathered or was stored: pauses, goes on, begins to own */
void partition_take(struct partition *p, const struct log_record *records, size_t count);
void partition_answer(struct partition *p, uint32_t peer, const struct owner_answer *answer);
void partition_fail(struct partition *p, enum err err, const char *why);
enum err partition_read_begin(struct partition *p);
void partition_read_end(struct partition *p);
void partition_sweep(struct partition *p);

/* partition_journal.c */
void partition_journal_arm(struct worker *worker);
void partition_journal_seal(struct partition *p);   /* where something gathered and nothing is under way */
void partition_journal_tick(struct worker *worker);
void partition_journal_store(struct partition *p);  /* once more, what is in the journal and did not fit */
void partition_journal_drop(struct partition *p);   /* it goes without its store having it */
void partition_close(struct partition *p);          /* nothing is under way */
void partition_go_on_leaving(struct partition *p);  /* when something that was under way is done */

/* partition_room.c */
bool partition_room_wait(struct partition *p);      /* its disk is full: true, and it is tried again; false: nothing else has what would be lost */
void partition_room_again(struct worker *worker);
void partition_room_found(struct partition *p);     /* what did not fit does */
void partition_room_give_up(struct partition *p);   /* it is about to go: what waits is in the journal */
bool partition_room_lacks(const struct worker *worker);

/* pages.c */
void pages_ask(struct worker *worker, uint32_t peer, const struct link_ask *ask);
void pages_refuse(struct worker *worker, uint32_t peer, const struct link_ask *ask, enum err err);

/* who.c */
/* `members`: the JSON array of member ids, or empty. */
void who_answer(struct worker *worker, uint32_t peer, uint64_t tag, struct span space, struct span members);

/* rules.c */
enum err rules_load(struct partition *p);             /* p->rules anew from state */
void rules_put(struct rules *rules);                  /* accepts NULL */
void rules_tell_all(struct worker *worker, uint32_t peer);
void rules_check(struct partition *p);                /* appends what is wanted and not in force */
void rules_retry(struct worker *worker);
void rules_acked(void *worker, const struct log_ack *acks, size_t count);
void rules_fini(struct worker *worker);

#endif
