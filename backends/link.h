/* The seam `link` between a gateway and the owners of partitions: interests, pulls, signals and presence one way;
 * updates, pages, outcomes the other. Ordered, with back-pressure. TCP between processes, queues within one.
 *
 * A message is a struct; every span and pointer in one given to send() is only lent for the call, blobs are taken by
 * reference. The in-process link copies what it needs and delivers later in the same turn of the loop, never from inside send().
 * Everything on the loop's thread. */
#ifndef TIDEGATE_BACKENDS_LINK_H
#define TIDEGATE_BACKENDS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/registry.h"
#include "core/access.h"
#include "core/blob.h"
#include "core/err.h"
#include "core/page.h"
#include "core/span.h"

/* ---- gateway to owner ---- */
enum link_ask_kind {
    LINK_INTEREST,    /* space: tell me its updates from now on; answered by LINK_HEAD */
    LINK_UNINTEREST,  /* space */
    LINK_PULL,        /* space, tag, run, waiters..: answered by one LINK_PAGE of that tag */
    LINK_HISTORY,     /* space, tag, collection, before, limit, waiters[0]: answered by LINK_BODY */
    LINK_CONFLICTS,   /* space, tag, waiters[0]: answered by LINK_BODY with the HTTP body */
    LINK_WHO,         /* space, tag, waiters[0]: who is here: answered by LINK_BODY with the HTTP body */
    LINK_OUTCOME,     /* record: the outcome of this push, which I appended and heard nothing of */
    LINK_PRESENCE,    /* space, user, device, session, state, meta: OFFLINE when it left */
    LINK_WATCH,       /* space, session: wants the presence snapshot now (answered by LINK_PRESENCE_FRAME to it alone) */
    LINK_SIGNAL       /* space, session (the sender's), frame */
};

struct link_ask {
    enum link_ask_kind kind;
    struct span space;
    uint64_t tag;
    struct page_run run;
    struct span collection;
    size_t docs_max;
    bool parts_only;
    uint64_t before, limit;
    size_t waiters_count;
    const struct page_waiter *waiters;
    struct blob *record;
    struct span user, device;
    uint64_t session;
    enum presence_state state;
    struct span meta;       /* raw JSON object or empty */
    struct blob *frame;
};

/* ---- owner to gateway ---- */
enum link_tell_kind {
    LINK_RULES,          /* a namespace is in force: name (in `space`), version, presence */
    LINK_HEAD,           /* space, place: the head at the moment that the interest stands */
    LINK_UPDATE,         /* a push changed something; frame NULL: too long, pull it */
    LINK_ANSWER,         /* result or error for one session */
    LINK_PAGE,           /* answers LINK_PULL */
    LINK_BODY,           /* answers LINK_HISTORY, LINK_CONFLICTS, LINK_WHO */
    LINK_PRESENCE_FRAME, /* space, frame; session 0: to all who watch the space, otherwise to that one */
    LINK_SIGNAL_FRAME    /* space, session (not to this one), frame */
};

struct link_tell {
    enum link_tell_kind kind;
    struct span space;
    uint64_t tag;
    uint64_t place;            /* HEAD, ANSWER (the head when answered), UPDATE (the new place) */
    /* RULES */
    uint64_t version;
    bool presence;
    /* UPDATE */
    uint64_t prev, rev, push;
    struct span user, device;
    size_t removed_count;
    const struct span *removed;
    bool recheck_all;
    /* ANSWER */
    uint64_t session, id;
    bool is_error;             /* an `error` frame, not an outcome */
    bool with_update;          /* the update sent just before is the outcome where the space is open */
    enum err code;
    /* PAGE and BODY */
    enum err err;              /* ERR_OK; ERR_UNKNOWN_SPACE, ERR_FORBIDDEN, ERR_INVALID, ERR_BUSY, ERR_INTERNAL */
    const struct page *page;   /* PAGE: its text spans are in `frame`'s bytes or lent likewise */
    uint64_t at;               /* BODY of HISTORY: the newest rev; with `more` */
    bool more;
    struct blob *frame;        /* UPDATE, ANSWER, PRESENCE_FRAME, SIGNAL_FRAME: the frame; BODY: the JSON; PAGE: unused */
};

/* The gateway's end: one for all owners; routes by the space's partition. */
struct link_gateway;
struct link_gateway_ops {
    enum err (*send)(struct link_gateway *link, const struct link_ask *ask); /* ERR_BUSY: no owner reachable now */
};
struct link_gateway {
    const struct link_gateway_ops *ops;
    void *ctx;
    void (*told)(void *ctx, const struct link_tell *tell);
    /* A partition's owner (again) reachable or gone: on up, the gateway tells interests, presence, and asks outcomes anew. */
    void (*up)(void *ctx, uint32_t partition);
    void (*down)(void *ctx, uint32_t partition);
};

/* The owner's end: peers are gateways. */
struct link_owner;
struct link_owner_ops {
    enum err (*send)(struct link_owner *link, uint32_t peer, const struct link_tell *tell);
    /* This process answers for the partition from now on, or no longer: gateways find it, or look elsewhere. */
    void (*owns)(struct link_owner *link, uint32_t partition, bool owned);
};
struct link_owner {
    const struct link_owner_ops *ops;
    void *ctx;
    void (*asked)(void *ctx, uint32_t peer, const struct link_ask *ask);
    void (*joined)(void *ctx, uint32_t peer, struct span gateway_name);
    void (*left)(void *ctx, uint32_t peer);
};

#endif
