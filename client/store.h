/* The store of a device: schemas/client-store.sql says what it holds, and this is how the library reads and writes it.
 *
 * TRANSACTIONS  everything that writes stands between store_begin() and store_commit(). A failure inside (a full disk, a torn
 * file) makes the transaction failed: what follows in it changes nothing, and store_commit() undoes it all and says why. So only
 * its answer needs to be looked at. Reading is allowed inside and outside.
 * DURABILITY  a durable commit is on the disk when it returns (synchronous=FULL). One that is not survives the death of the
 * process, and after a power cut the file is as some commit left it: what the server told is simply told again.
 * SEVERAL  processes may have one file open; a write waits up to STORE_WAIT_MS for another's. Who syncs holds store_lock().
 *
 * INVARIANTS are the schema's. Spans handed out lie in the caller's arena, or are valid until the next call where it says so.
 * One thread at a time. */
#ifndef TIDEGATE_CLIENT_STORE_H
#define TIDEGATE_CLIENT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/cursor.h"
#include "core/envelope.h"
#include "core/err.h"
#include "core/limits.h"
#include "core/span.h"

enum {
    STORE_WAIT_MS = 10000,
    STORE_CURSOR_BYTES_MAX = 512, /* of a cursor, which is the server's to make: a longer one is not stored, and the space starts from nothing */
    STORE_CODE_BYTES_MAX = 31,
    STORE_BOOT_BYTES = 37,
    STORE_KEY_BYTES = 32,
    STORE_SERVER_DOCS_BYTES_MAX = 1048576, /* documents kept with a refusal: more are left out, the copy has them */
    STORE_DIRTY_MAX = 65536       /* documents in one transaction whose view is to be made again: past it, all that have pending pushes */
};

struct store;

/* A moment, by all the clocks there are. */
struct store_moment {
    char boot[STORE_BOOT_BYTES]; /* "" where the system has no name for a boot */
    int64_t boot_ms;
    int64_t wall_ms;
    int64_t server_ms;           /* 0: not known */
};

/* The row of `store`. Read anew by store_begin(), written by store_commit(). */
struct store_self {
    char device[LIMIT_DEVICE_BYTES_MAX + 1];
    char user[LIMIT_USER_BYTES_MAX + 1];  /* "": not known */
    char log[LOG_NAME_BYTES_MAX + 1];     /* "": never connected */
    uint64_t next_push, seq, runs, fork_at;
    struct store_moment clock;            /* server_ms 0: never heard */
};

struct store_space {
    int64_t id; /* 0: there is none */
    char name[LIMIT_SPACE_BYTES_MAX + 1];
    bool wanted, has_tail, partial, forked;
    int64_t priority;
    uint64_t tail;
    char cursor[STORE_CURSOR_BYTES_MAX + 1]; /* "": null */
    uint64_t run, seen_rev;
    int64_t window_s;
    uint64_t last_push, sent_push, forked_after, fork_probe;
    int64_t synced_ms;
    char closed[STORE_CODE_BYTES_MAX + 1]; /* "": it is not */
};

struct store_doc {
    int64_t doc; /* 0: there is no row */
    struct span collection, id, user;
    uint64_t rev, born, contains, run, seq, added_seq;
    int64_t time_ms, changed_ms;
    uint64_t pending;
    struct span body;   /* as shown; at NULL: none */
    struct span server; /* as the server has it, opened where it was sealed and could be; at NULL: none */
    int seal;           /* enum seal_state of the server's */
};

/* A document as the server tells of it. */
struct store_arrival {
    struct span collection, id, user;
    uint64_t rev, born;
    int64_t time_ms;
    struct span body;  /* opened where it was sealed and could be; at NULL: deleted */
    struct span sealed; /* as it came, where it is sealed or should be; at NULL: as `body` */
    int seal;          /* enum seal_state */
    uint64_t contains; /* it holds this device's pushes up to here */
    bool ahead;        /* of the cursor: by a result or history */
};

struct store_push {
    uint64_t id, previous, after;
    int64_t space;
    struct span ops, bases;
    struct span plain;       /* `ops` with their bodies open; at NULL: none is sealed */
    struct span origins;     /* at NULL: none */
    struct store_moment made;
    bool sent;
    int64_t sent_ms;
    char sent_log[LOG_NAME_BYTES_MAX + 1];
    bool checked;
    bool answered;
};

struct store_refused {
    int64_t id;
    int64_t space;
    uint64_t push;
    char device[LIMIT_DEVICE_BYTES_MAX + 1];
    struct span code, message, ops;
    struct span origins, server; /* at NULL: none */
    int64_t made_ms, refused_ms;
    bool asked;
    bool sealed;                 /* it was sent sealed; `ops` are open */
};

enum { STORE_WORK_MAX = 256 /* more is refused */ };
enum store_network { STORE_NETWORK_NONE, STORE_NETWORK_ANY, STORE_NETWORK_UNMETERED };

/* A row of `work`; work.h says what is made of it. */
struct store_work {
    int64_t id;
    struct span name, input;
    int kind;
    int64_t every_ms, flex_ms;
    enum store_network network;
    bool charging, battery, storage;
    bool is_linear;
    int64_t backoff_ms;
    unsigned attempts;
    struct store_moment since;
    int64_t wait_ms, end_ms;
    struct span why;
    int64_t looked_ms;
    bool is_behind;          /* another of its name is before it */
};
struct store_work_run {
    int64_t began_ms, took_ms;
    struct span outcome, reason;
};

/* Encryption at rest: keys of STORE_KEY_BYTES, NULL: none. They are not kept. */
struct store_keys {
    const unsigned char *key;     /* that opens it, */
    const unsigned char *new_key; /* and that it is to have from now on */
};

/* Opens or makes the file. `device`: the id that a new one takes. Errors: ERR_KEY (see store_crypt.c), ERR_IO, ERR_FULL, ERR_FOREIGN (not a store),
 * ERR_VERSION (made by a later version), ERR_CORRUPT, ERR_BUSY, ERR_MEMORY; ret_why says which file and what. */
enum err store_open_file(const char *path, const struct store_keys *keys, const char *device, struct store **ret_store, char *ret_why, size_t why_bytes);
void store_close_file(struct store *store); /* NULL is accepted. Outside of a transaction */
const char *store_path(const struct store *store);
/* The right to sync, until the process ends or store_unlock(). False: another process has it. */
bool store_lock(struct store *store);
bool store_is_locked(const struct store *store); /* by this handle */
/* By the monotonic clock: until then at most is another's write waited for, should that be sooner than STORE_WAIT_MS. 0: no more. Returns what it was. */
int64_t store_set_deadline(struct store *store, int64_t end_ms);
void store_unlock(struct store *store);

enum err store_begin(struct store *store, bool durable);
enum err store_commit(struct store *store);
void store_rollback(struct store *store);
void store_fail(struct store *store, enum err err); /* the transaction is to be undone */
bool store_is_open(const struct store *store);      /* within a transaction */
struct store_self *store_self(struct store *store); /* to be changed within a transaction only */
enum err store_read_err(const struct store *store); /* of the last reading, outside of a transaction: what seemed not to be there could not be read */
void store_refresh(struct store *store);            /* reads `self` anew, outside of one */
uint64_t store_version(struct store *store);        /* differs once another connection has committed */

/* ---- spaces ---- */
struct store_space store_space_find(struct store *store, struct span name);
struct store_space store_space_get(struct store *store, int64_t id);
/* The space of that name, made where there is none. */
struct store_space store_space_make(struct store *store, struct span name);
void store_space_put(struct store *store, const struct store_space *space);
/* Each wanted space, and each that has pushes to send: the greater priority first. `ret_ids` in the arena. */
size_t store_spaces_active(struct store *store, struct arena *arena, int64_t **ret_ids);
size_t store_spaces_pushing(struct store *store, struct arena *arena, int64_t **ret_ids); /* with unanswered pushes */
size_t store_spaces_all(struct store *store, struct arena *arena, int64_t **ret_ids);
/* Drops the copy: what is not pending is gone, and so are cursor and sums. */
void store_space_purge(struct store *store, struct store_space *space, int64_t now_ms);
uint64_t store_space_sum(struct store *store, int64_t space, struct span collection, uint64_t *ret_live);
/* Collections with live documents that are not in a JSON object of the server's sums, or differ from it. */
bool store_space_sums_agree(struct store *store, int64_t space, struct span sums);
uint64_t store_space_live(struct store *store, int64_t space); /* live documents */

/* ---- documents ---- */
bool store_doc_find(struct store *store, struct arena *arena, int64_t space, struct span collection, struct span id, struct store_doc *ret_doc);
bool store_doc_get(struct store *store, struct arena *arena, int64_t doc, int64_t *ret_space, struct store_doc *ret_doc);
void store_doc_arrive(struct store *store, struct store_space *space, const struct store_arrival *arrival, int64_t now_ms);
/* A run from nothing: what the copy holds counts as older than all that comes, and at its end what was not named is dropped. */
void store_doc_begin_run(struct store *store, struct store_space *space);
void store_doc_drop_unnamed(struct store *store, struct store_space *space, int64_t now_ms);
/* Sets what is shown. `pending` is its new count. A row is made where there is none; its id is returned. */
int64_t store_doc_show(struct store *store, int64_t space, const struct store_doc *doc, struct span body, uint64_t pending, int64_t now_ms);
/* As it came (`bare_too`: or should have come), or as it is to be sent. */
bool store_doc_is_sealed(struct store *store, int64_t space, struct span collection, struct span id, bool bare_too);
/* Documents that are sealed and not open, or in the clear where they should be sealed (`seal`: enum seal_state above 1), by the key that
 * would open them. The next such group past *group (all 0: the first), which is untouched where there is none; then, in a transaction, the
 * next document of it past `doc`, its texts in the arena. */
struct store_closed {
    int seal;
    int64_t space;
    char collection[LIMIT_COLLECTION_BYTES_MAX + 1], key[ENVELOPE_KEY_BYTES_MAX + 1]; /* the key's id; "": none can be told */
};
enum err store_closed_next(struct store *store, struct store_closed *group, bool *ret_found);
bool store_closed_doc(struct store *store, struct arena *arena, const struct store_closed *group, int64_t doc, struct store_doc *ret_doc, struct span *ret_sealed);
void store_doc_unseal(struct store *store, const struct store_doc *doc, int seal, struct span body, int64_t now_ms);
/* Tombstones whose time is below are forgotten. */
void store_doc_sweep(struct store *store, int64_t space, int64_t before_ms);
/* Documents whose view is to be made again, since the transaction began; emptied. In the arena. */
size_t store_dirty_take(struct store *store, struct arena *arena, int64_t **ret_docs);

/* ---- the outbox ---- */
void store_push_add(struct store *store, const struct store_push *push);
void store_push_touches(struct store *store, uint64_t push, int64_t doc);
bool store_push_get(struct store *store, struct arena *arena, uint64_t id, struct store_push *ret_push);
/* Unanswered pushes of a space (of a forked one those that go on under the old id) past an id, in order; at most `max`, and `bytes_max` of operations but always one. */
size_t store_push_list(struct store *store, struct arena *arena, const struct store_space *space, uint64_t past, size_t max, size_t bytes_max, struct store_push **ret_pushes);
/* Those that touch a document, in order: ids in the arena. And the documents that a push touches. */
size_t store_push_of_doc(struct store *store, struct arena *arena, int64_t doc, uint64_t **ret_ids);
size_t store_push_docs(struct store *store, struct arena *arena, uint64_t push, int64_t **ret_docs);
/* It leaves the outbox: its documents' views are dirty, and what named it as `after` is mended. */
void store_push_remove(struct store *store, const struct store_push *push);
void store_push_answered(struct store *store, uint64_t id);
void store_push_mark_sent(struct store *store, struct store_space *space, uint64_t id, int64_t server_ms, bool checked);
/* The first unanswered past `after` (or, `at_least`, all whose after is below) names it. */
void store_push_follow(struct store *store, int64_t space, uint64_t after);
void store_push_settled(struct store *store, int64_t space, uint64_t id);
void store_push_forget_bases(struct store *store, int64_t space, uint64_t below);
uint64_t store_push_known(struct store *store, const struct store_space *space);
/* Unanswered ids of a space (0: of all): in order, in the arena. */
size_t store_push_ids(struct store *store, struct arena *arena, int64_t space, uint64_t **ret_ids);
size_t store_push_ids_upto(struct store *store, struct arena *arena, int64_t space, uint64_t upto, uint64_t **ret_ids); /* answered ones too */
void store_push_drop_answered(struct store *store, int64_t space);
uint64_t store_push_count(struct store *store, int64_t *ret_oldest_wall_ms, uint64_t *ret_bytes);
bool store_push_any(struct store *store); /* unanswered */
/* Is any sent and unanswered, or below `below` and outside of forked spaces? */
bool store_push_any_uncertain(struct store *store, uint64_t below);
/* Numbers what is left from 1 on, for a new device id. */
void store_push_renumber(struct store *store);

/* ---- refused ---- */
int64_t store_refused_add(struct store *store, const struct store_push *push, struct span code, struct span message, struct span server, int64_t now_ms);
bool store_refused_get(struct store *store, struct arena *arena, int64_t id, struct store_refused *ret_refused);
size_t store_refused_list(struct store *store, struct arena *arena, int64_t past, size_t max, bool unasked, struct store_refused **ret_list);
bool store_refused_is_sealed(struct store *store, int64_t id); /* it was sent sealed */
void store_refused_asked(struct store *store, int64_t id);
bool store_refused_remove(struct store *store, int64_t id); /* false: there was none */
uint64_t store_refused_count(struct store *store);

/* ---- background work ---- */
void store_work_add(struct store *store, struct store_work *work); /* sets its id */
bool store_work_put(struct store *store, const struct store_work *work); /* what changes of it; false: it is not there any more */
void store_work_remove(struct store *store, int64_t id);
uint64_t store_work_cancel(struct store *store, struct span name); /* how many of that name there were */
bool store_work_is_there(struct store *store, int64_t id);
enum err store_work_list(struct store *store, struct arena *arena, struct span name, struct store_work **ret_list, size_t *ret_count); /* in order; empty name: all */
uint64_t store_work_count(struct store *store);
/* A run begins, and whichever was said to run has died: its record. Only the newest `kept` stay. */
int64_t store_work_ran(struct store *store, struct span name, int64_t now_ms, unsigned kept);
void store_work_run_ended(struct store *store, int64_t run, int64_t took_ms, const char *outcome, struct span reason);
bool store_work_last_run(struct store *store, struct arena *arena, struct span name, struct store_work_run *ret_run);
bool store_work_ran_since(struct store *store, struct span name, int64_t run); /* another run of that name began after that one */

/* ---- queries ---- */
enum store_test { STORE_EQUAL, STORE_DIFFERENT, STORE_LESS, STORE_LEAST, STORE_GREATER, STORE_MOST, STORE_HAS };
enum { STORE_TESTS_MAX = 16, STORE_FIELD_BYTES_MAX = 256 };
struct store_condition {
    struct span field;  /* a path like `a` or `a.b`; of an array element `tags` under STORE_HAS */
    enum store_test test;
    struct span value;  /* JSON: a string, number, true, false or null */
};
struct store_query {
    int64_t space;
    struct span collection;
    size_t tests_count;
    const struct store_condition *tests;
    struct span order;  /* a field, `@id`, `@born`, `@time`, `@changed`; empty: the order of ids, in append collections of birth */
    bool descending;
    uint64_t limit;     /* 0: all */
    uint64_t offset;
};
/* Calls for each document shown, in order, until it returns false; its spans are valid during the call. `only_doc`: of that row alone
 * (0: all), without regard to limit and offset. ERR_INVALID: a field or value that is none. */
enum err store_query_run(struct store *store, const struct store_query *query, int64_t only_doc,
                         bool (*each)(void *ctx, const struct store_doc *doc), void *ctx);
enum err store_query_index(struct store *store, struct span collection, struct span field); /* in a transaction of its own */
/* Documents changed past `seq`, in the order of their changes. */
enum err store_query_changes(struct store *store, uint64_t seq, bool (*each)(void *ctx, int64_t space, const struct store_doc *doc), void *ctx);

#endif
