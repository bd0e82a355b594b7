/* The four policies: what a push does to the documents that it names. The heart of the product; pure.
 *
 * A push is atomic: resolve_push() works on a scratch table of documents ("working set"), each operation on what those
 * before it left, and either all of it stands or none.
 *
 * Which edit is later: an edit E (author, base, edited_ms = record time - age) against the stamp S of the value that it
 * replaces: later if base >= S.rev, or the same (user, device) wrote both, or edited_ms is greater, or at equal times
 * (user, device) is greater. Under ORDER_ARRIVAL E is always later. Commutative operations (incr, add, remove, max)
 * only lose to a later put or delete (`whole`). See docs/protocol.md, "Policies".
 *
 * Memory: everything in `arena`, spans may point into the push's bytes and into stored documents. */
#ifndef TIDEGATE_CORE_RESOLVE_H
#define TIDEGATE_CORE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/access.h"
#include "core/arena.h"
#include "core/doc.h"
#include "core/err.h"
#include "core/namespace.h"
#include "core/op.h"

/* Who pushes, when, and what is known of the time of its edits. */
struct resolve_push {
    const struct namespace *ns;
    struct span user;
    struct span device;
    enum role role;          /* of the pusher, at this place in the order */
    uint64_t rev;            /* this push's own */
    uint64_t head;           /* the space's newest rev before it: a base or `if` past it counts as 0 */
    int64_t time_ms;         /* the log's */
    int64_t last_push_ms;    /* the device's last push here, for `age`: null; < 0: none (older than all) */
    int64_t window_clock_ms; /* the partition clock: tombstones with time_ms < clock - ns->window_ms do not exist */
    const struct op *ops;
    size_t ops_count;
};

/* Reads a stored document: its encoded bytes, valid until the step ends; bytes 0 where there is none. */
struct resolve_reader {
    void *ctx;
    enum err (*read)(void *ctx, struct span collection, struct span id, struct span *ret_stored);
};

struct resolve_doc {
    const struct collection *collection;
    struct span id;
    bool existed;        /* was there (a tombstone counts) before the push */
    struct doc before;   /* as stored; zeroed when !existed */
    struct doc after;    /* as the push leaves it */
    bool changed;        /* after differs: it takes this push's rev */
};

/* What lost: kept for its author. */
struct resolve_loser {
    struct span collection, id;
    struct span field; /* decoded; empty bytes: the whole document */
    bool whole;        /* `field` is null on the wire */
    struct span value; /* raw JSON; a removal or deletion that lost is `null` */
    struct span user, device;
    uint64_t rev;
    int64_t time_ms;   /* of the edit that lost, in the log's time */
};

enum resolve_status { RESOLVE_CHANGED, RESOLVE_UNCHANGED, RESOLVE_LOST, RESOLVE_CONFLICT, RESOLVE_REJECTED };

struct resolve_result {
    enum resolve_status status;
    enum err code;       /* REJECTED: forbidden, invalid, precondition, too_large; CONFLICT: conflict; LOST: lost */
    char why[201];       /* for REJECTED: names the member */
    size_t docs_count;   /* every document named, once each, in order of first mention; `changed` marks those changed */
    struct resolve_doc *docs;
    size_t losers_count; /* to keep, also when UNCHANGED or LOST; 0 when REJECTED or CONFLICT */
    struct resolve_loser *losers;
};

/* ERR_OK with *ret_result filled, or a failure of the reader or of memory (nothing decided). */
enum err resolve_push(const struct resolve_push *push, const struct resolve_reader *reader, struct arena *arena,
                      struct resolve_result *ret_result);

#endif
