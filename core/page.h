/* Pages: what changed in a space since a place, made from a snapshot of state by index, never by scan.
 *
 * INVARIANTS
 * 1. A page never divides a push: it ends at a rev of which every document is in it.
 * 2. A run from nothing leaves out tombstones up to its floor (the head when it began) and names those past it.
 * 3. A place below the space's horizon (or a floor below it) cannot be continued: the run starts from nothing.
 * 4. Access and each opener's own part are judged on the same snapshot as the documents.
 * Pure; runs on any thread with a reader of its own. */
#ifndef TIDEGATE_CORE_PAGE_H
#define TIDEGATE_CORE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/access.h"
#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/namespace.h"
#include "core/state.h"

enum { PAGE_TAILS_MAX = 32 };

/* `tail` of one append collection in a run: asked as a count, from the first page on carried as a cut. */
struct page_tail {
    char collection[LIMIT_COLLECTION_BYTES_MAX + 1];
    uint64_t cut; /* live documents born after run_from and before this are left out; 0: none are */
};

/* Where a run stands. The first request of a run has started=false; each page gives the next. */
struct page_run {
    bool from_nothing;  /* since null, foreign, or (decided by the page) too old: pages say reset */
    bool has_floor;
    uint64_t place;     /* everything up to here is there already */
    uint64_t floor;     /* with has_floor */
    bool started;
    uint64_t run_from;  /* the place when the run began */
    bool has_tail;      /* of each append collection only the newest `tail`, in this run */
    uint64_t tail;
    size_t tails_count;
    struct page_tail tails[PAGE_TAILS_MAX];
};

/* One who waits for the page. */
struct page_waiter {
    uint64_t session;
    struct span user, device; /* device "" : none */
    uint64_t known;
    enum role granted;
};

struct page_request {
    struct span space;
    const struct namespace *ns;
    struct span log;
    int64_t clock_ms;          /* the partition's */
    struct page_run run;
    struct span collection;    /* "" : all; otherwise only this one's documents */
    size_t docs_max;           /* 0: by bytes alone */
    bool parts_only;           /* no documents: each waiter's own part as of the head */
    size_t waiters_count;
    const struct page_waiter *waiters;
};

struct page_part {
    uint64_t session;
    enum role role;       /* ROLE_NONE: no access, unless may_found */
    bool may_found;       /* nobody wrote here yet, and this user could */
    uint64_t pushed;
    uint64_t refused_count;
    struct span refused;  /* JSON array "[..]" of those past `known` */
};

struct page {
    bool reset;           /* each page of a run from nothing */
    bool from_null;       /* `from` is null: the first of a run from nothing */
    uint64_t from, from_floor; bool from_has_floor;
    uint64_t to;          /* the place reached */
    bool to_has_floor; uint64_t to_floor;
    bool more;
    uint64_t head;        /* of the snapshot */
    size_t docs_count;
    struct span docs;     /* "[..]" */
    struct span tail;     /* `{"messages":17}` or empty: on each page that left some out */
    struct span sum;      /* `{"messages":"0123.."}`: on the last */
    uint64_t window_s;
    struct page_run next; /* for the next page, when more */
    size_t parts_count;
    struct page_part *parts; /* in the waiters' order */
};

/* Spans live in `arena` and `text` (a buffer that the caller made large enough: LIMIT_PAGE_BYTES + a push). */
enum err page_make(const struct page_request *request, const struct state_reader *reader, struct arena *arena,
                   struct buf *text, struct page *ret_page);

struct page_history_request {
    struct span space;
    const struct namespace *ns;
    int64_t clock_ms;
    struct span collection;
    uint64_t before;      /* 0: the newest */
    size_t limit;
    struct page_waiter waiter;
};
struct page_history {
    enum role role;
    bool may_found;
    enum err err;         /* ERR_INVALID: not an append collection */
    uint64_t at;          /* the space's newest rev */
    bool more;
    struct span docs;     /* newest first */
};
enum err page_history(const struct page_history_request *request, const struct state_reader *reader,
                      struct arena *arena, struct buf *text, struct page_history *ret_history);

/* The conflicts kept in a space, newest first, as the HTTP call's body; ret_role tells whether the asker may read it. */
enum err page_conflicts(const struct page_request *request, const struct state_reader *reader, struct arena *arena,
                        struct buf *text, enum role *ret_role);
/* The live `members` documents' user ids, for `away`: JSON array of strings. */
enum err page_members(const struct page_request *request, const struct state_reader *reader, struct arena *arena,
                      struct buf *text, enum role *ret_role);

#endif
