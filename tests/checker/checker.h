/* The checker: a history of what happened goes in, the promises of docs/protocol.md that it breaks come out.
 *
 * Written once, for the simulator, the suites that kill real processes, and the clients' schedules. Whoever records tells
 * what was said and heard, and judges nothing: the checker itself plays each device by the page's rules (which frames are
 * ignored, what a page does to a copy), knows what each copy must hold at each cursor, and names the events that prove it.
 *
 * USE
 *     struct checker *checker = checker_open(&options);
 *     checker_add(checker, &event);  for everything, in the order in which it happened; spans are copied
 *     report = checker_finish(checker);
 *     checker_render(report, i, &buf);  a person's text of one violation, with its events
 * As JSON lines the same goes through tests/tools/check_history. checker_json.c owns that FORMAT: the members have the names
 * of the struct's (`time` for time_ms, `window`, `log_time`), an event's kind is `event`, hashes are 16 hex digits.
 *
 * WHO IS WHO  `who` is one local store, whatever device ids it goes by; a push is (space, user, device, id). Two stores may
 * hold one device id (a backup restored): `forked` is for them alone. A store's frames come by a connection `conn`; most have one at a time, 0.
 * WHAT IS KNOWN OF THE ORDER  all that any frame showed, and, where the recorder can see the owner, what it derived
 * (CHECKER_STEP): then nothing is left to guess. Cursors are read as core/cursor.h writes them.
 * COST  n log n in events and documents. Memory: all of the history. One thread at a time. Out of memory it aborts. */
#ifndef TIDEGATE_TESTS_CHECKER_H
#define TIDEGATE_TESTS_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/span.h"

/* X(symbol, name): in brackets the members that are read, besides time_ms; for a device's, `who` and `conn` too. */
#define CHECKER_KINDS(X)                                                                                                          \
    /* the world */                                                                                                               \
    X(CHECKER_FAULTS, "faults")         /* something is being broken from here */                                                 \
    X(CHECKER_CALM, "calm")             /* nothing is broken any more: from here all must converge */                             \
    X(CHECKER_END, "end")               /* the history was watched up to here */                                                  \
    X(CHECKER_STEP, "step")             /* an owner took one push: [log space rev log_ms from=prev user device id status code docs]; `rev` is its place, `docs` what it changed; again by each that replays it */ \
    X(CHECKER_ACCESS, "access")         /* at a place in the order someone has access, or not: [log space rev user may]; `user` "*": everyone; a user never named is not judged */ \
    X(CHECKER_FINAL, "final")           /* what the owner has, or, with `who`, a store: [log space to docs sums parts digest]; all live documents; `parts`: what its counters say */ \
    X(CHECKER_RESTORED, "restored")     /* what a restore from the topics gave, or another owner: likewise */                     \
    X(CHECKER_DOWNSTREAM, "downstream") /* a reader of `updates` saw: [log space docs]; `who` is the reader */                    \
    /* a device's store */                                                                                                        \
    X(CHECKER_WIPE, "wipe")             /* it is empty: reinstalled (a new store needs none) */                                   \
    X(CHECKER_BACKUP, "backup")         /* a copy of it is laid aside */                                                          \
    X(CHECKER_RESTORE, "restore")       /* it is what was last laid aside, by the store `ref` where one is named: [ref]; what that outbox held is enqueued here, too */ \
    X(CHECKER_RETIRED, "retired")       /* it will not come back: nobody waits for it */                                          \
    X(CHECKER_ENQUEUE, "enqueue")       /* a push went into the outbox: [space user device id digest parts]; `digest`: anything that tells other operations apart; `parts`: what it adds to counters */ \
    X(CHECKER_SETTLE, "settle")         /* it left the outbox by the device's own judgement: [space id code]: `unknown`, `precondition` (an `if` rev behind a reset), `forked` (up to `after`), `renumbered` (goes on under another) */ \
    X(CHECKER_OUTBOX, "outbox")         /* what is in the outbox now: [space numbers] */                                          \
    /* what it said */                                                                                                            \
    X(CHECKER_HELLO, "hello")           /* and was welcome: [user device log] */                                                  \
    X(CHECKER_CUT, "cut")               /* the connection is gone */                                                              \
    X(CHECKER_OPEN, "open")             /* [space ref from=since known once] */                                        \
    X(CHECKER_CLOSE, "close")           /* [space] */                                                                             \
    X(CHECKER_SENT, "sent")             /* a push: [space id after known] */                                                      \
    /* what it heard, ignored frames too */                                                                                       \
    X(CHECKER_ACK, "ack")               /* [space id] */                                                                          \
    X(CHECKER_RESULT, "result")         /* [space id status code to=cursor at docs] */                                            \
    X(CHECKER_CURRENT, "current")       /* one space of it: [ref space to=cursor pushed window_ms refused] */                     \
    X(CHECKER_PAGE, "page")             /* [ref space from to at=head more reset pushed docs tails sums refused window_ms] */               \
    X(CHECKER_HISTORY, "history")       /* a page of it: [space at before docs] */                                                \
    X(CHECKER_UPDATE, "update")         /* [space from=prev to=cursor rev log_ms user device id=push docs own]; where the frame had no `docs`, those that the device made of its push, and `own` */ \
    X(CHECKER_CLOSED, "closed")         /* [space ref code purge] */                                                              \
    X(CHECKER_ERROR, "error")           /* [space id after code] */

#define CHECKER_AS_ENUM(symbol, name) symbol,
enum checker_kind { CHECKER_KINDS(CHECKER_AS_ENUM) CHECKER_KINDS_COUNT };
#undef CHECKER_AS_ENUM

enum checker_status { CHECKER_NONE, CHECKER_APPLIED, CHECKER_CONFLICT, CHECKER_REJECTED };

struct checker_doc {
    struct span collection, id;
    uint64_t rev;
    uint64_t born;    /* 0: not in an `append` collection */
    uint64_t sum;     /* hash_document(id, rev, body): what the protocol's `sum` is made of; 0 where deleted */
    bool deleted;
};

struct checker_refusal {
    uint64_t id;
    enum checker_status status;
    struct span code;
};

/* A counter: a member that nothing but unclamped `incr` ever touches. */
struct checker_part {
    struct span counter; /* any name, one a counter of the space */
    int64_t by;          /* what the push adds; in CHECKER_FINAL its value */
};

/* Of a collection: a page's `tail` (a rev), or a frame's `sum`. */
struct checker_number {
    struct span collection;
    uint64_t value;
};

struct checker_event {
    enum checker_kind kind;
    int64_t time_ms;      /* one clock for all, near the log's: what windows and the bound of convergence are judged by */
    struct span who;
    uint32_t conn;
    struct span user, device, log, space, ref;
    uint64_t id, after, known, rev, at, before, pushed;
    struct span from, to; /* cursors; no bytes: null */
    enum checker_status status;
    struct span code;     /* no bytes: none */
    bool more, reset, purge, once, may, own;
    int64_t window_ms;    /* 0: not told */
    int64_t log_ms;       /* the record's time in the log; 0: not told */
    uint64_t digest;
    size_t docs_count, refused_count, parts_count, tails_count, sums_count, numbers_count;
    const struct checker_doc *docs;
    const struct checker_refusal *refused;
    const struct checker_part *parts;
    const struct checker_number *tails, *sums;
    const uint64_t *numbers; /* ids */
};

struct checker_options {
    int64_t converge_ms; /* after calm (or what came later) all must agree within it; 0: liveness is not judged */
    int64_t slack_ms;    /* how far time_ms may be from the log's clock, and windows are judged with */
    bool order_is_told;  /* CHECKER_STEP is recorded of every push: what no step made is nobody's */
};

/* What can be broken: checker_rules.c has the table, each with the sentence that it checks. */
enum checker_rule {
    CHECKER_LOST, CHECKER_TWICE, CHECKER_COUNTER, CHECKER_OUTCOME, CHECKER_FALSE_FORK, CHECKER_FALSE_UNKNOWN, CHECKER_PHANTOM,
    CHECKER_EARLY, CHECKER_UNTOLD, CHECKER_OTHER_LOG, CHECKER_OUTBOX_LOST,
    CHECKER_ORDER, CHECKER_BYTES, CHECKER_CHAIN, CHECKER_HOLE, CHECKER_MISSING, CHECKER_AMID_RUN, CHECKER_PAGE_FROM, CHECKER_NOT_OPEN,
    CHECKER_NOT_AS_OF, CHECKER_RESULT_EARLY, CHECKER_CURRENT_WRONG,
    CHECKER_ID_ORDER,
    CHECKER_OLD_NEWS, CHECKER_NEEDLESS_RESET, CHECKER_MIXED_RESET,
    CHECKER_REPEATED, CHECKER_DIVIDED, CHECKER_PUSHED,
    CHECKER_SUM, CHECKER_TWO_CURSORS, CHECKER_HISTORY_ORDER,
    CHECKER_REMOVED,
    CHECKER_UNSETTLED, CHECKER_BEHIND,
    CHECKER_BACKWARDS, CHECKER_DOWNSTREAM_END, CHECKER_RESTORED_OTHER,
    CHECKER_RULES_COUNT
};

enum { CHECKER_PROOFS_MAX = 3, CHECKER_TEXT_MAX = 240, CHECKER_VIOLATIONS_MAX = 100 };

struct checker_violation {
    enum checker_rule rule;
    size_t proofs_count;
    size_t proofs[CHECKER_PROOFS_MAX]; /* numbers of events: the one where it showed, then those that say otherwise */
    char text[CHECKER_TEXT_MAX];
};

struct checker_report {
    size_t events;
    size_t checks;         /* comparisons made: a history that proved nothing shows itself */
    size_t violations;     /* all; those past CHECKER_VIOLATIONS_MAX are only counted */
    size_t list_count;
    const struct checker_violation *list; /* by the first event that proves each */
};

struct checker;

struct checker *checker_open(const struct checker_options *options);
void checker_close(struct checker *checker);  /* NULL is accepted */
void checker_reset(struct checker *checker, const struct checker_options *options); /* another history, in the same memory */
size_t checker_add(struct checker *checker, const struct checker_event *event); /* its number, from 0 */
const struct checker_report *checker_finish(struct checker *checker); /* once; valid until reset or close */
void checker_render(const struct checker *checker, size_t violation, struct buf *buf); /* some lines of text */
const struct checker_event *checker_event_at(const struct checker *checker, size_t number);

const char *checker_rule_name(enum checker_rule rule);
const char *checker_rule_sentence(enum checker_rule rule); /* as it stands in checker_rule_page() */
const char *checker_rule_page(enum checker_rule rule);     /* "docs/protocol.md", or what else promises it */
unsigned checker_rule_promise(enum checker_rule rule);     /* 1 to 6; 0: none of them */
const char *checker_kind_name(enum checker_kind kind);

/* One event as a line of JSON, and back. `line` must outlive nothing: checker_add_json copies. On false ret_why (may be
 * NULL) says in a few words what is wrong with the line. */
void checker_event_json(const struct checker_event *event, struct buf *buf); /* ends with a line end */
bool checker_add_json(struct checker *checker, struct span line, const char **ret_why);

#endif
