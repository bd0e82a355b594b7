/* The checker's inside. Everything has a number: names by checker_names, the rest by its place in an array. */
#ifndef TIDEGATE_TESTS_CHECKER_PARTS_H
#define TIDEGATE_TESTS_CHECKER_PARTS_H

#include "tests/checker/checker.h"
#include "tests/checker/checker_table.h"

/* A document of an event, by numbers. */
struct checker_key {
    uint32_t key;        /* name of collection 0x00 id */
    uint32_t collection; /* name */
};

struct checker_record {
    struct checker_event event; /* its spans are in the heap */
    uint32_t who, user, device, space, ref, from, to, code;
    uint32_t log;               /* a device's: of its newest hello */
    uint32_t order;             /* number of (log, space); TABLE_NONE where no log is known */
    uint32_t identity;          /* number of (user, device): what the event names, or the store's own */
    uint64_t from_place, to_place;
    bool from_floor, to_floor;  /* the cursor is one of amid a run from nothing */
    struct checker_key *keys;   /* of docs */
};

/* One version of one document in one order. `made` (no document): a run from nothing did not name it, so it was deleted by then. */
struct checker_version {
    uint32_t order, key, collection, event;
    uint64_t rev, sum, born;
    bool deleted, made;
};

/* A place in an order at which something changed. */
struct checker_change {
    uint32_t order, event, prev_event; /* prev_event: the one that tells `prev`, or TABLE_NONE */
    uint32_t whole_event;              /* the one that showed all of its documents, or TABLE_NONE */
    uint32_t push;                     /* TABLE_NONE: not known */
    uint64_t rev, prev, digest;
    size_t docs_count;
    int64_t log_ms;                    /* 0: not known */
    bool made;                         /* only a version that was made stands here */
};

/* The versions of one key in order, as a slice of the sorted array. */
struct checker_slice {
    uint32_t first, count;
};

struct checker_order {
    uint32_t log, space;
    struct checker_slice versions, changes, keys; /* all sorted: versions by (key, rev), changes by rev; keys: slices by key */
    uint64_t *sums;        /* by change: the exclusive or of all live documents' sums at that place */
    uint32_t final;        /* the owner's last CHECKER_FINAL; TABLE_NONE */
    int64_t window_ms;     /* the least that was told; 0: none was */
};

enum checker_said { SAID_NOTHING, SAID_APPLIED, SAID_REFUSED };

/* A push, whoever holds it. */
struct checker_push {
    uint32_t lane;       /* number of (identity, space) */
    uint32_t enqueued, acked, told, step; /* events; TABLE_NONE. told: the first that told its outcome */
    uint32_t effect;     /* the event that showed `rev` */
    uint32_t order;      /* of `rev` */
    uint32_t code;       /* with SAID_REFUSED: a name, 0: not told */
    uint32_t sent_log;   /* the log of its first sending; 0: never sent */
    uint64_t id, rev, digest;
    int64_t first_sent_ms;
    enum checker_said said;
    bool came_again;     /* after it was forgotten, from a store restored from what was older than that */
    bool has_digest, two_digests, traceless; /* traceless: refused without a trace, another copy may fare otherwise */
};

/* One device's pushes to one space. */
struct checker_lane {
    uint32_t identity, space;
    uint64_t id_max;       /* greatest ever made, while the history is played */
    bool was_stranger;     /* a push was refused here without a trace */
    bool is_cloned;        /* two stores went by this device's id, or one forgot */
    uint32_t maker;        /* the store that made its first push */
    struct checker_slice pushes;  /* by id, in pushes_by_id */
    struct checker_slice applied; /* those with a rev, by rev, in pushes_by_rev */
};

/* A push in one store's outbox. */
struct checker_entry {
    uint32_t push, next;   /* next of the same copy, by id */
    uint32_t event;        /* when it was put there */
    uint32_t settled;      /* the event; TABLE_NONE: still there */
    uint32_t conn_epoch;   /* of the connection that it was last sent on; 0: none */
};

/* What a store holds of a document. */
struct checker_held {
    uint32_t key, collection, event, run;
    uint64_t rev, sum, born;
    bool deleted, gone;    /* gone: dropped */
};
struct checker_tail {
    uint32_t collection;
    uint64_t above, below; /* born between: left out */
};
struct checker_part_sum {
    uint32_t collection;
    uint64_t sum;
};

/* A store's copy of one space. */
struct checker_copy {
    uint32_t store, space, cursor, order, event; /* event: what brought it here */
    uint64_t place, newest, ahead_to, sum;       /* ahead_to: greatest rev that a history or a result brought */
    bool is_null, has_floor;
    uint32_t run, run_conn;                      /* the run under way; 0: none */
    bool run_resets;
    uint32_t head_entry, first_entry, last_entry; /* of the outbox; first: none before it is unsettled. TABLE_NONE: none */
    struct checker_table by_key;
    struct checker_held *held;
    size_t held_count, held_room;
    struct checker_tail *tails;
    size_t tails_count, tails_room;
    struct checker_part_sum *parts;
    size_t parts_count, parts_room;
};

/* What one connection was told of one space. */
struct checker_session {
    uint32_t ref, cursor, epoch;
    uint64_t place, known;
    bool is_open, is_fresh, is_null, has_floor, once, by_server; /* by_server: it is not open because the gateway said so */
    bool in_run, run_resets;
};

struct checker_store {
    uint32_t identity, log, hello; /* hello: event, TABLE_NONE before */
    bool is_retired;
};

/* What was laid aside. */
struct checker_backup {
    uint32_t store, event;
    struct checker_copy copy; /* with arrays of its own */
};

struct checker_rule_row {
    const char *name;
    unsigned promise;
    const char *page, *sentence;
};

/* From a place in an order on, a user has access or not. */
struct checker_access {
    uint32_t order, user, event;
    uint64_t rev;
    bool may;
};

/* The newest that a reader of `updates` saw of a document. */
struct checker_seen {
    uint32_t reader, order, key, event;
    uint64_t rev, sum;
    bool deleted;
};

struct checker {
    struct checker_options options;
    struct checker_heap heap;
    struct checker_names names;
    struct checker_record *records;
    size_t records_count, records_room;
    uint32_t pairs_count, calm, end; /* calm, end: events, TABLE_NONE where there is none */
    struct checker_table pairs, stores_by_name, orders_by_pair, versions_by_key, changes_by_rev, lanes_by_pair, pushes_by_lane, entries_by_push,
        copies_by_pair, sessions_by_pair, epochs_by_conn, access_by_pair, cursors_by_place, seen_by_key;
    struct checker_order *orders;
    struct checker_version *versions;
    struct checker_slice *keys;
    struct checker_change *changes;
    struct checker_push *pushes;
    uint32_t *by_id, *by_rev; /* pushes */
    struct checker_lane *lanes;
    struct checker_entry *entries;
    struct checker_copy *copies;
    struct checker_session *sessions;
    struct checker_store *stores;
    struct checker_backup *backups;
    struct checker_access *access;
    struct checker_seen *seen;
    struct checker_violation *list;
    size_t orders_count, orders_room, versions_count, versions_room, keys_count, keys_room, changes_count, changes_room, pushes_count, pushes_room,
        by_id_room, by_rev_room, lanes_count, lanes_room, entries_count, entries_room, copies_count, copies_room, sessions_count, sessions_room,
        stores_count, stores_room, backups_count, backups_room, access_count, access_room, seen_count, seen_room, list_room;
    uint32_t runs, epochs;
    bool judging;             /* false: played only to learn what was deleted unseen */
    struct checker_report report;
};

#define GROW(checker, what) checker_grow((void **)&(checker)->what, &(checker)->what##_count, &(checker)->what##_room, sizeof *(checker)->what)

/* checker.c */
uint32_t checker_pair(struct checker *checker, unsigned kind, uint32_t a, uint32_t b); /* a number from 1 on */
enum { PAIR_IDENTITY, PAIR_ORDER, PAIR_READER };
/* One more comparison was made; where it does not hold, a violation. The proofs are events; TABLE_NONE ends them. */
bool checker_hold(struct checker *checker, bool holds, enum checker_rule rule, size_t event, uint32_t proof, uint32_t other, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
struct span checker_name_of(const struct checker *checker, uint32_t name);

/* checker_order.c: what the order is, by all that was said of it. */
void checker_order_read(struct checker *checker);
void checker_order_sort(struct checker *checker);  /* again, after checker_order_deleted() */
void checker_order_judge(struct checker *checker);
void checker_order_deleted(struct checker *checker, uint32_t order, const struct checker_version *version, uint64_t by, uint32_t event);
const struct checker_order *checker_order_of(const struct checker *checker, uint32_t number);          /* NULL: nothing is known of it */
const struct checker_version *checker_order_version(const struct checker *checker, uint32_t order, uint32_t key, uint64_t place); /* the newest not past place; NULL */
const struct checker_version *checker_order_next(const struct checker *checker, const struct checker_version *version); /* of the same document; NULL */
const struct checker_change *checker_order_change(const struct checker *checker, uint32_t order, uint64_t rev); /* NULL */
uint64_t checker_order_sum(const struct checker *checker, const struct checker_order *order, uint64_t place);

/* checker_pushes.c: who pushed what, and what became of it. */
void checker_pushes_read(struct checker *checker); /* before the order is read */
void checker_pushes_sort(struct checker *checker);
void checker_pushes_judge(struct checker *checker);
struct checker_lane *checker_lane(struct checker *checker, uint32_t identity, uint32_t space);
struct checker_push *checker_push_of(struct checker *checker, uint32_t identity, uint32_t space, uint64_t id); /* NULL: nobody made it */
void checker_push_effect(struct checker *checker, struct checker_push *push, uint32_t order, uint64_t rev, uint32_t event);
void checker_push_told(struct checker *checker, struct checker_push *push, enum checker_said said, uint32_t code, uint32_t event);
/* The greatest id of the lane's pushes that took effect not past `rev`; 0: none. */
uint64_t checker_lane_applied(const struct checker *checker, const struct checker_lane *lane, uint32_t order, uint64_t rev, uint32_t *ret_push);

/* checker_play.c: the history again, event by event; checker_outbox.c and checker_frames.c: what each does to a device. */
void checker_play(struct checker *checker);
struct checker_copy *checker_copy_of(struct checker *checker, uint32_t store, uint32_t space);
struct checker_session *checker_session_of(struct checker *checker, uint32_t store, uint32_t conn, uint32_t space);
uint32_t checker_store_of(struct checker *checker, uint32_t who);
uint32_t checker_epoch_of(const struct checker *checker, uint32_t store, uint32_t conn);
bool checker_is_connected(const struct checker *checker, uint32_t store, uint32_t conn);
void checker_outbox_event(struct checker *checker, uint32_t number);
void checker_outbox_settle_up_to(struct checker *checker, struct checker_copy *copy, const struct checker_session *session, uint32_t number);
void checker_outbox_settle(struct checker *checker, struct checker_copy *copy, uint64_t id, enum checker_said said, uint32_t number);
void checker_frames_event(struct checker *checker, uint32_t number);

/* checker_access.c: who may see what. */
void checker_access_read(struct checker *checker);
void checker_removed_judge(struct checker *checker, uint32_t number, uint64_t place); /* the frame shows something of that rev */

/* checker_copy.c: what a store holds. */
void checker_copy_clear(struct checker_copy *copy);
void checker_copy_fini(struct checker_copy *copy);
void checker_copy_duplicate(const struct checker_copy *copy, struct checker_copy *ret_copy);
struct checker_held *checker_copy_find(const struct checker_copy *copy, uint32_t key);
void checker_copy_put(struct checker_copy *copy, const struct checker_doc *doc, struct checker_key key, uint32_t run, uint32_t event); /* run 0: it is not named by one */
void checker_copy_drop(struct checker_copy *copy, struct checker_held *held);
bool checker_copy_is_whole(const struct checker_copy *copy); /* nothing left out, nothing ahead */
void checker_copy_compare(struct checker *checker, struct checker_copy *copy, uint32_t number); /* at a cursor, no run under way */
void checker_copy_compare_all(struct checker *checker, struct checker_copy *copy, uint32_t number); /* document by document */

/* checker_end.c: when all is over. */
void checker_end_judge(struct checker *checker);
void checker_end_claim(struct checker *checker, uint32_t number); /* what a store, an owner or a restore says that it has */

#endif
