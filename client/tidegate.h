/* libtidegate: an app's data on this device, offline first, in step with all other devices through a Tidegate server.
 *
 *     struct tide_options options = {.path = "app.db", .url = "https://sync.example.org", .token = token};
 *     struct tide *tide;
 *     if (tide_open(&options, &tide) != TIDE_OK) ...
 *     tide_subscribe(tide, "todos:ana", NULL);
 *     tide_put(tide, "todos:ana", "todos", "milk", "{\"title\":\"buy milk\",\"done\":false}", NULL);
 *     tide_start(tide, TIDE_BOTH);
 *     while (running) tide_run(tide, 1000, NULL, NULL);
 *     tide_close(tide);
 *
 * WHAT TO KNOW
 * - A write returns when it is on this device's disk. It is shown at once, sent when it can be, and takes effect on the server exactly
 *   once, whatever dies in between. What the server refuses is kept as a record (tide_refused()) until you settle it.
 * - Reading never waits for the network: it shows what the server told, with your own unconfirmed changes on top.
 * - A space (`todos:ana`) is what is shared, ordered and authorised together; in it are collections, in them documents: JSON objects.
 *   A collection's policy says what becomes of concurrent edits: `lww`, `merge` (field by field), `append`, `manual` (you decide).
 * - The store is one SQLite file that anyone may open with SQL (schemas/client-store.sql).
 *
 * THREADS AND PROCESSES  a handle belongs to one thread at a time. The library makes no threads and has no globals. Several handles,
 * in several threads or processes, may open one file; one of them syncs, the others see what comes (tide_poll()).
 * CALLBACKS  but options.on_key come only out of tide_run(), tide_run_due(), tide_poll(), the tide_io_ functions and the attached loop: never
 * out of a write. They may call anything but tide_close() and what waits. Texts handed to them are valid during the call.
 * TEXTS  are UTF-8 with a NUL behind; bodies and values are JSON, carried byte for byte. What you hand in is copied.
 * TIMES  `_ms` are milliseconds; a moment is since 1970, by the clock of whom it says.
 * ERRORS  every function that can fail returns enum tide_code; tide_message() has a sentence on the last one of a handle. After
 * anything but TIDE_OK nothing was changed, and outputs are as they were. */
#ifndef TIDEGATE_CLIENT_TIDEGATE_H
#define TIDEGATE_CLIENT_TIDEGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TIDE_API __attribute__((visibility("default")))
#define TIDE_VERSION "0.1.0"
#define TIDE_KEY_BYTES 32

struct tide;
struct tide_observer;

enum tide_code {
    TIDE_OK = 0,
    TIDE_INVALID = 1,      /* an argument is not what it must be; or the namespaces that you handed over refuse the write */
    TIDE_TOO_LARGE = 2,    /* a document is past 256 KiB, a push past its limits */
    TIDE_NOT_FOUND = 3,
    TIDE_MEMORY = 4,
    TIDE_IO = 5,           /* the disk refused a read or a write */
    TIDE_FULL = 6,         /* the disk is full */
    TIDE_CORRUPT = 7,      /* the file does not read back as written */
    TIDE_FOREIGN = 8,      /* the file is something else */
    TIDE_NEWER = 9,        /* the file was made by a later version of this library */
    TIDE_BUSY = 10,        /* another process holds the store (writes) or syncs it (tide_start(), tide_sync()) */
    TIDE_TIMEOUT = 11,
    TIDE_OFFLINE = 12,     /* the server cannot be reached */
    TIDE_UNAUTHORISED = 13, /* the server does not take the token, or none was given */
    TIDE_REFUSED = 14,     /* the server will not take this, ever */
    TIDE_MISUSE = 15,      /* not now: the handle is in a state in which this makes no sense */
    TIDE_KEY = 16                /* a key is not there, or does not open what it should: the file (tide_open()), or a document */
};

enum tide_mode { TIDE_BOTH = 0, TIDE_PUSH_ONLY = 1, TIDE_PULL_ONLY = 2 };

enum tide_state {
    TIDE_STOPPED = 0,
    TIDE_WAITING = 1,      /* for the time of the next attempt (full jitter, 1 s to 60 s; the server's own word where it gave one) */
    TIDE_TOKEN = 2,        /* for tide_set_token() */
    TIDE_CONNECTING = 3,
    TIDE_LIVE = 4,
    TIDE_REPLACED = 5,     /* the same device connected elsewhere; tide_start() takes over */
    TIDE_UNREACHABLE = 6   /* you said so: tide_set_reachable() */
};

/* ---- events ---- */

enum tide_event_kind {
    TIDE_EVENT_STATE = 0,    /* tide_status() has changed */
    TIDE_EVENT_APPLIED = 1,  /* push `id` of `space` has its outcome: it took effect; with code `lost`: a later edit won */
    TIDE_EVENT_REFUSED = 2,  /* a push was refused, for `code`: record `id` of tide_refused() */
    TIDE_EVENT_SYNCED = 3,   /* `space` holds everything that the server had a moment ago */
    TIDE_EVENT_RESET = 4,    /* `space` is taken anew from nothing; nothing of yours is lost */
    TIDE_EVENT_CLOSED = 5,   /* the server closed `space`, for `code`; `purged`: access was taken away, the copy is gone */
    TIDE_EVENT_PRESENCE = 6, /* `frame`, as in docs/protocol.md: who is in `space` */
    TIDE_EVENT_SIGNAL = 7,   /* `frame`: somebody's signal in `space` */
    TIDE_EVENT_IDENTITY = 8, /* the file was restored from a backup: this device has a new id */
    TIDE_EVENT_ERROR = 9     /* `code`, `frame` a sentence: for your log */
};
struct tide_event {
    enum tide_event_kind kind;
    const char *space;       /* "": none, as all texts here */
    const char *code;
    const char *frame;
    uint64_t id;
    bool purged;
};

enum tide_work_result {
    TIDE_WORK_WELL = 0,
    TIDE_WORK_AGAIN = 1,     /* after its backoff */
    TIDE_WORK_FAILED = 2     /* for good: what was appended to it goes with it; what is periodic waits for its next time */
};

/* ---- opening ---- */

/* ---- end-to-end encryption ---- */

/* A key for bodies: `id` stands in them, and tells later which key opens them. [A-Za-z0-9._-], at most 64. */
struct tide_key {
    char id[65];
    unsigned char bytes[TIDE_KEY_BYTES];
};
enum tide_key_answer {
    TIDE_KEY_PLAIN = 0,      /* this collection is not encrypted; a body in it that is sealed all the same is locked, and not written over */
    TIDE_KEY_HERE = 1,       /* *ret_key is it */
    TIDE_KEY_MISSING = 2     /* it is encrypted, and the key is not to be had now */
};
/* What became of a document's body. One that is not open is shown as it came, and never written over: TIDE_KEY. */
enum tide_seal {
    TIDE_SEAL_NONE = 0,      /* its collection is not encrypted */
    TIDE_SEAL_OPEN = 1,
    TIDE_SEAL_LOCKED = 2,    /* its key is missing: tide_open_sealed() once it is there */
    TIDE_SEAL_BROKEN = 3,    /* it does not open: altered, moved from another document, or of another key of that id */
    TIDE_SEAL_BARE = 4       /* it came in the clear, from somebody who need not have the key: do not trust it */
};

struct tide_options {
    const char *path;        /* the store; made where it is not. Needed; everything else may be 0 */
    const char *url;         /* http(s):// or ws(s)://host[:port]; NULL: for local work, or you move the bytes (tide_io_) */
    const char *token;       /* a JWT; NULL: tide_set_token() later, or the callback */
    const char *const *namespaces; /* JSON texts of the namespaces that your server has, which sharpen the optimistic view, and whose */
    size_t namespaces_count; /* refusals come at once; NULL: those that ship with Tidegate, refused by the server alone */
    bool background;         /* syncing does not make the user look online */
    bool presence;           /* asks for TIDE_EVENT_PRESENCE */
    int64_t retry_base_ms;   /* of the backoff: 0: 1000 */
    int64_t retry_most_ms;   /* 0: 60000 */
    const char *ca_file;     /* PEM: whom to trust in place of the system's own */
    /* Up to a NULL: addresses in digits, one at least, tried in turn in place of those that the system's resolver has for the url's host. Looking a
     * name up blocks: by DNS on glibc some 8 s an attempt where nobody answers, longer where a server answers by half, else as long as the system's
     * resolver may take; an app that cannot have that resolves by itself, and opens with this (or moves the bytes itself). NULL: the resolver. The
     * certificate is the host's all the same. */
    const char *const *addresses;
    const char *pinned_key;  /* base64 of the SHA-256 of the server's public key (SubjectPublicKeyInfo); NULL: none */
    /* Encryption at rest, where the library was built on an SQLite that can (docs/client.md): TIDE_KEY_BYTES from the system's keychain,
     * read during tide_open() alone; NULL: none. TIDE_KEY: it does not open the file, and nothing was made in its place.
     * `store_new_key`: the file is to have this one from now on (with `store_key` NULL: it was not encrypted). No other handle may have
     * it open: TIDE_BUSY. Cut at any moment, it is either's: try the new one first, and on TIDE_KEY both. */
    const unsigned char *store_key, *store_new_key;
    /* End-to-end encryption, a collection at a time: the server carries what it cannot read. Asked with `key_id` NULL for the key to write
     * with, else for the key of that id, to read with. Unlike other callbacks it is called out of writes and reads too, and of whatever
     * brings documents: it answers at once, and calls nothing here. Keys are wiped when they were used. Collections whose policy
     * is `merge`, or not known, refuse to be written like that. docs/client.md says what it hides, and what not. NULL: nothing is sealed or opened;
     * what is sealed in the store already is not written over (TIDE_KEY). */
    enum tide_key_answer (*on_key)(void *ctx, const char *space, const char *collection, const char *key_id, struct tide_key *ret_key);
    void (*on_event)(void *ctx, struct tide *tide, const struct tide_event *event);
    /* A (fresh) token is wanted: call tide_set_token(), now or whenever you have it. Asked again every 30 s. */
    void (*on_token)(void *ctx, struct tide *tide);
    /* Work of yours is to be done (TIDE_WORK_APP), within so long: out of tide_run_due(). */
    enum tide_work_result (*on_work)(void *ctx, struct tide *tide, const char *name, const char *input, int64_t within_ms);
    const char *system_root; /* /sys and /proc are read under it, and the kernel is not asked for the network; NULL: "" */
    void *ctx;
};

/* TIDE_INVALID, _MEMORY, _IO, _FULL, _CORRUPT, _FOREIGN, _NEWER, _BUSY, _KEY; `ret_why` (may be NULL) gets a sentence, "" with TIDE_OK. */
TIDE_API enum tide_code tide_open(const struct tide_options *options, struct tide **ret_tide, char *ret_why, size_t why_bytes);
TIDE_API void tide_close(struct tide *tide);                     /* stops; NULL is accepted */
TIDE_API const char *tide_code_text(enum tide_code code);        /* a sentence */
TIDE_API const char *tide_message(const struct tide *tide);      /* on the last failure of this handle; "" */
TIDE_API const char *tide_device(const struct tide *tide);       /* this device's id, as the server knows it */

/* ---- writing ----
 * One call, one push: atomic here and on the server. `ret_push` (may be NULL) gets its id, which TIDE_EVENT_APPLIED names.
 * TIDE_INVALID, _TOO_LARGE, _MEMORY, _IO, _FULL, _BUSY; _KEY: the key is missing, or what stands there is not open (delete it first). */

TIDE_API enum tide_code tide_put(struct tide *tide, const char *space, const char *collection, const char *id, const char *body, uint64_t *ret_push);
/* Sets top-level fields; null removes one (JSON Merge Patch, RFC 7396, one level). */
TIDE_API enum tide_code tide_patch(struct tide *tide, const char *space, const char *collection, const char *id, const char *body, uint64_t *ret_push);
TIDE_API enum tide_code tide_delete(struct tide *tide, const char *space, const char *collection, const char *id, uint64_t *ret_push);
/* A new document of an `append` collection. `id` NULL: one is made. */
TIDE_API enum tide_code tide_append(struct tide *tide, const char *space, const char *collection, const char *id, const char *body, uint64_t *ret_push);
/* Operations on a field that lose nobody's part: a counter (`least`, `most`: NULL: no bound), a set, a maximum. */
TIDE_API enum tide_code tide_incr(struct tide *tide, const char *space, const char *collection, const char *id, const char *field, int64_t by,
                                  const int64_t *least, const int64_t *most, uint64_t *ret_push);
TIDE_API enum tide_code tide_add(struct tide *tide, const char *space, const char *collection, const char *id, const char *field, const char *values, uint64_t *ret_push);
TIDE_API enum tide_code tide_remove(struct tide *tide, const char *space, const char *collection, const char *id, const char *field, const char *values, uint64_t *ret_push);
TIDE_API enum tide_code tide_max(struct tide *tide, const char *space, const char *collection, const char *id, const char *field, const char *value, uint64_t *ret_push);
/* Many operations as one push: a JSON array of the protocol's operations, on one space. `age` is the library's; `base` too, unless
 * you say one; `if` is yours. */
TIDE_API enum tide_code tide_push(struct tide *tide, const char *space, const char *ops, uint64_t *ret_push);

/* ---- reading ---- */

struct tide_doc {
    const char *space, *collection, *id;
    const char *body;        /* NULL: deleted (only in changes) */
    size_t body_bytes;
    uint64_t rev;            /* the server's; 0: it has not told of this document */
    uint64_t born;           /* in `append` collections, the rev that added it */
    int64_t time_ms;         /* of the server's last change, by its clock */
    const char *user;        /* who made it; "": not known */
    enum tide_seal seal;     /* of an encrypted collection: is `body` what was sealed, and if not, why */
    bool pending;            /* a push of yours to it has no outcome yet */
    bool is_new;             /* in changes: it appeared since then */
    uint64_t seq;            /* the number of its last change on this device */
    int64_t changed_ms;      /* when that came, by this device's clock */
};
/* TIDE_NOT_FOUND. The document is yours: tide_doc_free(). */
TIDE_API enum tide_code tide_get(struct tide *tide, const char *space, const char *collection, const char *id, struct tide_doc **ret_doc);
TIDE_API void tide_doc_free(struct tide_doc *doc);

enum tide_test { TIDE_EQUAL = 0, TIDE_DIFFERENT = 1, TIDE_LESS = 2, TIDE_LEAST = 3, TIDE_GREATER = 4, TIDE_MOST = 5, TIDE_HAS = 6 };
struct tide_where {
    const char *field;       /* `done`, `address.city`; under TIDE_HAS an array that holds the value */
    enum tide_test test;
    const char *value;       /* JSON: "\"milk\"", "3", "true" */
};
struct tide_query {
    const char *space, *collection;
    const struct tide_where *where; /* all must hold; at most 16 */
    size_t where_count;
    const char *order;       /* a field, or `@id`, `@born`, `@time`, `@changed`; NULL: `@id` */
    bool descending;
    uint64_t limit;          /* 0: all */
    uint64_t offset;
};
/* Calls for each, in order, until it returns false. A field that is tested or ordered by wants an index: tide_index(). */
TIDE_API enum tide_code tide_query(struct tide *tide, const struct tide_query *query, bool (*each)(void *ctx, const struct tide_doc *doc), void *ctx);
/* Declares an index, once for ever; building it over many documents takes a while. */
TIDE_API enum tide_code tide_index(struct tide *tide, const char *collection, const char *field);
/* What changed past `seq` (0: everything), oldest change first, deletions included; *ret_seq is where to go on from. */
TIDE_API enum tide_code tide_changes(struct tide *tide, uint64_t seq, bool (*each)(void *ctx, const struct tide_doc *doc), void *ctx, uint64_t *ret_seq);

enum tide_change { TIDE_ADDED = 0, TIDE_CHANGED = 1, TIDE_REMOVED = 2 };
/* A live query: called for what is there (TIDE_ADDED each), and then for what comes, changes and goes, after the commit that did it,
 * whoever made it, this process or another. `done` (may be NULL) follows the calls of one turn. Free it before closing. */
TIDE_API enum tide_code tide_observe(struct tide *tide, const struct tide_query *query,
                                     void (*each)(void *ctx, enum tide_change change, const struct tide_doc *doc), void (*done)(void *ctx), void *ctx,
                                     struct tide_observer **ret_observer);
TIDE_API void tide_observer_free(struct tide_observer *observer); /* NULL is accepted */

/* Tries again to open what is locked or broken, after a key came; tide_open() does it for what is locked. A key that is missing is asked for once a
 * collection, not once a document. */
TIDE_API enum tide_code tide_open_sealed(struct tide *tide);

/* ---- spaces ---- */

struct tide_space_options {
    int priority;            /* a space of a greater one is whole before others begin */
    int64_t tail;            /* of `append` collections bring only the newest so many when far behind; < 0: all. tide_history() has more */
};
TIDE_API enum tide_code tide_subscribe(struct tide *tide, const char *space, const struct tide_space_options *options); /* NULL: 0, all */
TIDE_API enum tide_code tide_unsubscribe(struct tide *tide, const char *space, bool drop_copy);
struct tide_space {
    const char *name;
    bool subscribed, whole;  /* whole: no run of pages is unfinished */
    int priority;
    uint64_t documents;      /* that the copy holds */
    uint64_t pending;        /* pushes without an outcome */
    int64_t synced_ms;       /* when the copy was last known to be the server's; 0: never */
    const char *closed;      /* the code under which the server closed it; "": it did not */
};
TIDE_API enum tide_code tide_spaces(struct tide *tide, bool (*each)(void *ctx, const struct tide_space *space), void *ctx);

/* ---- syncing ---- */

TIDE_API enum tide_code tide_start(struct tide *tide, enum tide_mode mode); /* and stays: TIDE_BUSY where another process syncs */
TIDE_API void tide_stop(struct tide *tide);                                 /* at once; holds no lock when it returns */
/* Once, by HTTP: everything pushed that can be, everything pulled, then it returns. Blocks, at most so long.
 * TIDE_BUSY, _OFFLINE, _TIMEOUT, _UNAUTHORISED, _REFUSED, _MISUSE (while started). */
TIDE_API enum tide_code tide_sync(struct tide *tide, enum tide_mode mode, int64_t timeout_ms);
/* A barrier: pushes it to every subscribed space. Once tide_barrier_passed(), everything that the server had accepted before the
 * call, and all that was written here before it, is in. tide_wait_synced() does both, and blocks: TIDE_TIMEOUT. */
TIDE_API enum tide_code tide_barrier(struct tide *tide, uint64_t *ret_barrier);
TIDE_API bool tide_barrier_passed(struct tide *tide, uint64_t barrier);
TIDE_API enum tide_code tide_wait_synced(struct tide *tide, int64_t timeout_ms);

struct tide_status {
    enum tide_state state;
    bool whole;              /* live, every space whole, nothing pending */
    const char *why;         /* what the last connection ended with; "" */
    uint64_t pending;        /* pushes without an outcome, */
    uint64_t pending_bytes;
    int64_t oldest_ms;       /* and when the oldest was made, by this device's clock; 0: none */
    uint64_t refused;        /* records that wait for you */
    int64_t next_ms;         /* TIDE_WAITING: in how long it tries again */
    uint64_t spaces_whole, spaces_subscribed; /* progress */
};
TIDE_API void tide_status(struct tide *tide, struct tide_status *ret_status); /* its texts are valid until the next call */
TIDE_API enum tide_code tide_set_token(struct tide *tide, const char *token); /* of the same user; a live connection goes on with it */
/* What the system says of the network: after false, true connects at once; false waits for the next true. On Linux the library hears by itself of a
 * network that comes, and tries at once then. */
TIDE_API void tide_set_reachable(struct tide *tide, bool reachable);

/* Tells whoever has the space open, and stores nothing. TIDE_OFFLINE. */
TIDE_API enum tide_code tide_signal(struct tide *tide, const char *space, const char *body);
/* Brings older documents of an `append` collection, born before that rev (0: the newest), at most `limit`. TIDE_OFFLINE. */
TIDE_API enum tide_code tide_history(struct tide *tide, const char *space, const char *collection, uint64_t before, uint64_t limit);

/* ---- what was refused ---- */

struct tide_refusal {
    int64_t id;
    const char *space;
    const char *code;        /* `conflict`, `invalid`, `forbidden`, `precondition`, `too_large`, `unknown` (it may have taken effect), .. */
    const char *message;
    const char *ops;         /* what was tried */
    const char *base;        /* in `manual` collections, what it was made on: {"collection/id": body}; "": none */
    const char *server;      /* the server's documents, where they came with the refusal, a JSON array; "": none */
    int64_t made_ms, refused_ms;
};
TIDE_API enum tide_code tide_refused(struct tide *tide, bool (*each)(void *ctx, const struct tide_refusal *refusal), void *ctx);
/* Settles it by a new push: of `ops`, or (NULL) of the same ones, made on what the server has now. TIDE_NOT_FOUND, and as tide_push(). */
TIDE_API enum tide_code tide_refused_retry(struct tide *tide, int64_t id, const char *ops, uint64_t *ret_push);
TIDE_API enum tide_code tide_refused_drop(struct tide *tide, int64_t id); /* settles it by doing nothing */

struct tide_conflict {
    const char *space, *collection, *id;
    const char *base;        /* what your edit was made on; NULL: nothing */
    const char *mine;        /* what your edit would have left; NULL: deleted */
    const char *theirs;      /* what the server has; NULL: deleted */
};
enum tide_choice { TIDE_LATER = 0, TIDE_THEIRS = 1, TIDE_MINE = 2, TIDE_MERGED = 3 };
/* Asked of each conflict in a `manual` collection with one document, as soon as it is known and no other process holds the store, once: an answer that
 * cannot be written (the disk is full) is kept by this handle until it can; should the document change before that, it is asked anew. TIDE_LATER leaves
 * the record for the user; TIDE_MERGED wants *ret_merged, a JSON object that stays valid until the next call. NULL: all are left. */
TIDE_API void tide_set_resolver(struct tide *tide, enum tide_choice (*resolve)(void *ctx, const struct tide_conflict *conflict, const char **ret_merged), void *ctx);

/* ---- background work ----
 * What the app's own scheduler (Android's WorkManager, iOS's BGTaskScheduler, cron, systemd, `tidegate device run`) is to run now and then
 * by tide_run_due(). It is kept in the store: names, constraints, attempts and times survive kill and reboot. */

enum tide_work_kind { TIDE_WORK_SYNC = 0, TIDE_WORK_PUSH = 1, TIDE_WORK_PULL = 2, TIDE_WORK_APP = 3 /* yours: options.on_work */ };
enum tide_network { TIDE_NETWORK_NOT_NEEDED = 0, TIDE_NETWORK_ANY = 1, TIDE_NETWORK_UNMETERED = 2 };
struct tide_work {
    const char *name;        /* 1 to 128 bytes. Needed; everything else may be 0 */
    enum tide_work_kind kind;
    const char *input;       /* handed to on_work(), at most 10 KiB; NULL: "" */
    int64_t delay_ms;        /* not before */
    int64_t every_ms;        /* again and again, once in each such period, at least 15 minutes; 0: once */
    int64_t flex_ms;         /* in the last so much of the period, at least 5 minutes; 0: anywhere in it */
    enum tide_network network; /* all of these must hold; when one goes while it runs, it stops between two batches and waits */
    bool charging, battery_not_low, storage_not_low;
    bool linear;             /* the backoff after a run that was not well: grows by itself; else it doubles */
    int64_t backoff_ms;      /* from 10 s to 5 h; 0: 30 s */
};
/* Where there is work of that name: keeps that alone, puts this in its place, or runs this when that is done. What was written before
 * TIDE_KEEP found a sync or push there is sent by it, also where it runs just then. */
enum tide_exists { TIDE_KEEP = 0, TIDE_REPLACE = 1, TIDE_APPEND = 2 };
TIDE_API enum tide_code tide_work_add(struct tide *tide, const struct tide_work *work, enum tide_exists exists); /* TIDE_INVALID, _TOO_LARGE: 256 are there */
TIDE_API enum tide_code tide_work_cancel(struct tide *tide, const char *name); /* one that runs stops between two batches. TIDE_NOT_FOUND */

enum tide_why {
    TIDE_WHY_DUE = 0,        /* nothing stands in its way: tide_run_due() runs it */
    TIDE_WHY_NO_WORK = 1,
    TIDE_WHY_TIME = 2,       /* its delay, or its period */
    TIDE_WHY_BACKOFF = 3,    /* the last run was not well */
    TIDE_WHY_BEHIND = 4,     /* what it was appended to is not done */
    TIDE_WHY_NETWORK = 5, TIDE_WHY_UNMETERED = 6, TIDE_WHY_CHARGING = 7, TIDE_WHY_BATTERY = 8, TIDE_WHY_STORAGE = 9,
    TIDE_WHY_BUSY = 10       /* another process syncs this store */
};
struct tide_work_state {
    struct tide_work work;   /* but for delay_ms */
    enum tide_why why;
    int64_t next_ms;         /* in so long time is no hindrance; -1: it waits for something else */
    uint64_t attempts;       /* runs in a row that were not well */
    const char *outcome;     /* of its last run: `well`, `more`, `retry`, `failed`, `running`, `killed`; "": none is remembered */
    const char *reason;      /* why it ended so; "" */
    int64_t ran_ms;          /* when that began, by this device's clock */
    const char *looked_why;  /* what it waited for when tide_run_due() last passed it by; "" */
    int64_t looked_ms;       /* and since when it does */
};
TIDE_API enum tide_code tide_work_list(struct tide *tide, bool (*each)(void *ctx, const struct tide_work_state *state), void *ctx);

struct tide_due {
    uint64_t ran, well;      /* runs, and how many of them were well */
    int64_t next_ms;         /* call again in so long; 0: there is more now; -1: nothing waits for a time alone */
};
/* Runs what is due, the longest overdue first, and returns within that time: it stops between two batches, and holds no lock then. What
 * was not done stays due; what the server put off, until its time. On a handle that is started, sync work is done when all has come through. Where another
 * process holds the store at the end of a run, that end is written by the next tide_run_due() or tide_close(). TIDE_BUSY, _MISUSE, _IO, _FULL, _CORRUPT. */
TIDE_API enum tide_code tide_run_due(struct tide *tide, int64_t within_ms, struct tide_due *ret_due);

struct tide_reason {
    enum tide_why why;
    const char *name;        /* of the work; "" */
    const char *sentence;    /* for your log: with how its last run ended. Valid until the next call, as `name` is */
    int64_t next_ms;         /* as above */
};
/* Why work of that name (NULL: the first of all that will) does not run now. */
TIDE_API void tide_why_not(struct tide *tide, const char *name, struct tide_reason *ret_reason);

/* What the app knows of its system; TIDE_ASK_SYSTEM: asked of Linux (rtnetlink, /proc, /sys) when it is needed. */
enum tide_known { TIDE_ASK_SYSTEM = 0, TIDE_NO = 1, TIDE_YES = 2 };
struct tide_conditions {
    enum tide_known network, unmetered, charging, battery_low, storage_low;
};
TIDE_API void tide_set_conditions(struct tide *tide, const struct tide_conditions *conditions); /* NULL: all from the system */

/* ---- moving along ---- */

/* Runs the library's own poll loop: until `until` (may be NULL) returns true, or the time is over (< 0: never). True: `until` did. */
TIDE_API bool tide_run(struct tide *tide, int64_t timeout_ms, bool (*until)(void *ctx), void *ctx);
/* Moves along on a libuv loop of yours (a uv_loop_t) instead; before tide_start(). After tide_close() let the loop turn until it is
 * empty. TIDE_MISUSE once a loop is in use. */
TIDE_API enum tide_code tide_attach_uv(struct tide *tide, void *uv_loop);
/* Calls back for what other handles changed, and does what is due. Cheap when there is nothing. */
TIDE_API void tide_poll(struct tide *tide);

/* ---- moving the bytes yourself (options.url NULL) ----
 * Connect a WebSocket to /v1/ws, sub-protocol `tidegate.v1`, whenever tide_io_wants_connection(); then hand over what happens. After
 * any call look at tide_io_output(), tide_io_wants_close() and tide_io_deadline() again. */

TIDE_API bool tide_io_wants_connection(const struct tide *tide);
TIDE_API bool tide_io_wants_close(const struct tide *tide);
TIDE_API void tide_io_connected(struct tide *tide);
TIDE_API void tide_io_disconnected(struct tide *tide, unsigned code, const char *why); /* the close code, an HTTP status, or 0 */
TIDE_API void tide_io_received(struct tide *tide, const char *message, size_t bytes);  /* one whole text message */
TIDE_API void tide_io_heard(struct tide *tide);                                        /* a byte came, a ping's too */
/* One text message to send; NULL: none. Valid until the next call. tide_io_sent() says that it was taken. */
TIDE_API const char *tide_io_output(struct tide *tide, size_t *ret_bytes);
TIDE_API void tide_io_sent(struct tide *tide, size_t bytes);
TIDE_API int64_t tide_io_deadline(const struct tide *tide);      /* in how many ms tide_poll() is due; -1: not at all */

#ifdef __cplusplus
}
#endif

#endif
