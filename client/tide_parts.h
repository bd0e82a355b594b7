/* Internal to tide*.c: the handle. */
#ifndef TIDEGATE_CLIENT_TIDE_PARTS_H
#define TIDEGATE_CLIENT_TIDE_PARTS_H

#include "client/store.h"
#include "client/sync.h"
#include "client/tidegate.h"
#include "client/transport.h"
#include "client/view.h"
#include "client/work.h"
#include "core/json.h"
#include "core/op.h"

enum { TIDE_EVENTS_MAX = 4096 /* not yet told: past it they are dropped, what they tell of is in the store */, TIDE_MESSAGE_BYTES = 256, TIDE_ARENA_BYTES_MAX = 67108864 };

struct tide_told {
    struct tide_told *next;
    struct tide_event event;
    bool token;
    char texts[];
};

struct tide_observer {
    struct tide *tide;
    struct tide_observer *next;
    bool freed;               /* while it is being called */
    struct tide_query query;  /* a copy, with the texts behind it */
    int64_t space;            /* 0: the store does not know it yet */
    void (*each)(void *ctx, enum tide_change change, const struct tide_doc *doc);
    void (*done)(void *ctx);
    void *ctx;
    bool began;
    size_t there_count, there_room;
    struct tide_there *there; /* what it was told of, by doc */
    struct store_condition *tests;
    char *texts;
};
/* A document that an observer was told of. */
struct tide_there {
    int64_t doc;
    uint64_t seq;
    bool seen;                /* in the run at hand */
    char *id;
};

/* What the app said of collections during one reading: of them all the last few. */
enum { TIDE_SAID_MAX = 8 };
struct tide_said {
    char space[LIMIT_SPACE_BYTES_MAX + 1], collection[LIMIT_COLLECTION_BYTES_MAX + 1];
    bool sealed;
};

/* Clock and chance in place of the machine's own, for tests. */
struct tide_machine {
    void *ctx;
    struct store_moment (*clock)(void *ctx); /* NULL: the machine's */
    void (*random)(void *ctx, void *ret_bytes, size_t bytes);
    const char *const *addresses; /* transport.h; NULL: the resolver's */
    int64_t connect_ms;       /* in place of SYNC_CONNECT_MS; 0: that */
    /* Word of the system's network, and what it is, in place of the kernel's: a descriptor, and tide_network.c's number. NULL: the kernel's. */
    int (*network_watch)(void *ctx);
    uint64_t (*network)(void *ctx);
    /* A call of POST /v1/sync in place of the wire's: its status, 0: no answer. */
    unsigned (*post)(void *ctx, struct span body, struct buf *answer);
};

/* A run of work that is over, as the store is to have it: kept here while another process holds the store. */
struct tide_ended {
    bool is_owed;
    struct store_work work, before; /* of their texts `name` alone is there: */
    char name[LIMIT_ID_BYTES_MAX + 1];
    enum work_end end;
    int64_t record, took_ms, least_ms;
    uint64_t next_push;       /* the store's, when it began */
    struct store_moment at;
    char reason[160];
};

/* What the resolver chose for a conflict, and the store could not take yet: full, or another process's. */
struct tide_chosen {
    int64_t id;               /* of the refusal; 0: nothing waits */
    uint64_t rev;             /* of the document that it was told of */
    enum tide_choice choice;
    char *merged;
};

struct tide {
    struct store *store;
    struct view view;
    struct sync *sync;
    struct transport *transport;
    struct tide_options options;
    char *url, *ca_file, *pinned_key, *system_root; /* owned copies of the options' */
    union { const char *const *at; const char **owned; } addresses; /* a copy; NULL: the resolver's */
    char boot[STORE_BOOT_BYTES];
    struct tide_machine machine;
    bool started, by_hand;
    bool in_callback, in_step;
    bool token_given;         /* since it was last asked for */
    uint64_t way_out;         /* what the system's network was when it was last looked at; 0: none */
    int network_fd;           /* word of changes, where it is watched: the transport's to close */
    int64_t network_look_ms;  /* by boot_ms: when it is looked at again; SYNC_NEVER */
    uint64_t version;         /* the store's, as last looked at */
    uint64_t delivered;       /* changes up to this seq were told to observers */
    bool fresh_observers;     /* that were told of nothing yet */
    struct tide_observer *observers;
    struct tide_told *told, **told_end;
    size_t told_count;
    enum tide_choice (*resolve)(void *ctx, const struct tide_conflict *conflict, const char **ret_merged);
    void *resolve_ctx;
    bool look_for_conflicts;
    struct tide_chosen chosen;
    int64_t look_again_ms;    /* by boot_ms: for conflicts that the store could not take; SYNC_NEVER */
    bool posting;             /* tide_sync() waits for an answer */
    unsigned post_status;
    int64_t post_retry_ms;
    int64_t come_back_ms;     /* the server's word, where tide_sync_until() ended for it; else 0 */
    struct buf post_body;
    char message[TIDE_MESSAGE_BYTES];
    char device[LIMIT_DEVICE_BYTES_MAX + 1];
    char why[TIDE_MESSAGE_BYTES];
    struct tide_conditions conditions; /* as the app told them */
    char why_not[TIDE_MESSAGE_BYTES + TIDE_MESSAGE_BYTES];
    struct tide_ended ended;
    size_t said_count;        /* past TIDE_SAID_MAX each takes the place of the oldest */
    struct tide_said said[TIDE_SAID_MAX];
    struct arena arena;       /* of one call */
};

/* tide.c */
enum tide_code tide_open_on(const struct tide_options *options, const struct tide_machine *machine, struct tide **ret_tide, char *ret_why, size_t why_bytes);
struct store_moment tide_now(struct tide *tide);
void tide_random(void *tide, void *ret_bytes, size_t bytes);
enum tide_code tide_fail(struct tide *tide, enum tide_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
enum tide_code tide_code_of(enum err err);
enum tide_code tide_fail_err(struct tide *tide, enum err err);
void tide_step(struct tide *tide);     /* what the heart wants of the wire is asked of it */
void tide_deliver(struct tide *tide);  /* events, observers, conflicts */
int64_t tide_end_ms(int64_t within_ms); /* by clock_monotonic_ms(): SYNC_NEVER where that is past all time */
enum tide_code tide_need_transport(struct tide *tide, void *uv_loop);

/* tide_sync.c: calls until all is in, with the right to sync. Before each, `may_go_on` is asked; where it says no, that is TIDE_OK.
 * ret_progress: something was answered. */
enum tide_code tide_sync_until(struct tide *tide, enum tide_mode mode, int64_t end_ms, bool (*may_go_on)(void *ctx), void *ctx, bool *ret_progress);

/* The operations of a push, as they are stored and decoded. */
struct tide_written {
    struct buf text;          /* in the clear */
    struct buf sealed;        /* as they are sent, where any body is sealed; else empty */
    struct op *ops;           /* of `text` */
    size_t count;
};

/* tide_seal.c */
void tide_seal_set_up(struct tide *tide);
/* Within the transaction of the write: seals what is to be sealed. A patch of a sealed document becomes the whole of it. `was_sealed`: these
 * settle a push that was, so if none of them is to be sealed now, that is TIDE_KEY. */
enum tide_code tide_seal_ops(struct tide *tide, struct store_space *space, struct tide_written *written, bool was_sealed);
enum tide_code tide_open_closed(struct tide *tide, bool broken_too); /* tide_open_sealed() */
/* What a patch leaves of an object (NULL: of nothing), in the arena. At NULL: out of memory. */
struct span tide_seal_patched(struct arena *arena, struct span body, struct json_value patch);
/* Of what is shown. The app is asked once a collection, until another reading begins. */
enum tide_seal tide_seal_shown(struct tide *tide, struct span space, const struct store_doc *doc);
void tide_seal_begin(struct tide *tide);
bool tide_seal_is_readable(struct tide *tide, struct span space, const struct store_doc *doc); /* what the server has: not locked, broken or bare */

/* tide_write.c */
enum tide_code tide_write_ops(struct tide *tide, const char *space, struct span ops, int64_t settles, uint64_t *ret_push);

/* tide_read.c */
void tide_doc_fill(struct tide *tide, struct tide_doc *ret_doc, const char *space, const struct store_doc *doc);
enum tide_code tide_query_make(struct tide *tide, const struct tide_query *query, struct store_condition *tests, struct store_query *ret_query);

/* tide_observe.c */
void tide_observe_deliver(struct tide *tide);
void tide_observe_fini(struct tide *tide);

/* tide_work.c: the end of a run that the store does not know of yet, written now. */
enum err tide_work_note_end(struct tide *tide);
void tide_work_note_last(struct tide *tide); /* the same at closing, with little patience */

/* tide_network.c */
void tide_network_watch(struct tide *tide);   /* once there is a transport */
void tide_network_stirred(struct tide *tide); /* it changed */
void tide_network_look(struct tide *tide);    /* network_look_ms is over */

/* tide_refused.c */
void tide_refused_resolve(struct tide *tide);

#endif
