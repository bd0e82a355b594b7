/* Internal to sync*.c.
 *
 *     sync.c         states, deadlines, backoff, the connection
 *     sync_send.c    what is said: hello, opens, pushes with their ages
 *     sync_hear.c    what is heard: a message is taken apart, each frame goes to who knows it
 *     sync_copy.c    pages, updates, currents: the copy of a space moves on
 *     sync_settle.c  outcomes: applied, refused, unknown; gaps; resets
 *     sync_fork.c    a device id that was used before, and the taking of a new one
 *     sync_http.c    the same by HTTP */
#ifndef TIDEGATE_CLIENT_SYNC_PARTS_H
#define TIDEGATE_CLIENT_SYNC_PARTS_H

#include "client/sync.h"
#include "core/json.h"

enum { SYNC_EVENTS_MAX = 4096, SYNC_ARENA_BYTES_MAX = 67108864, SYNC_TOKEN_BYTES_MAX = 16384, SYNC_WHY_BYTES = 128 };

/* A space as this connection sees it. */
struct sync_space {
    int64_t id;
    int64_t priority;
    bool wanted;
    bool is_closed;        /* by the server, on this connection */
    uint32_t ref;          /* of the newest open; 0: not open */
    uint32_t left;         /* of the open that it closed itself; 0: none */
    bool answered;         /* its first frame came */
    bool in_run;           /* in the middle of pages */
    bool compared;         /* its sums were found to differ once: not again on this connection */
    unsigned holes;        /* opens that were needed since it was whole */
    bool asked;            /* by this call of HTTP */
    uint64_t sent_upto;    /* pushes up to here went out on this connection (or were claimed) */
    unsigned inflight;     /* unanswered ones of them */
    uint64_t sent_most;    /* the greatest id that went out on this connection, or in this call of HTTP */
    uint64_t told_id;      /* the greatest id that was heard to be in the log meanwhile; 0: none */
    uint64_t told_sent;    /* `sent_most` as it was then */
    unsigned stale_gaps;   /* rounds of gaps since then that spoke of less */
    unsigned faults;       /* gaps and refusals to take a push since the last outcome */
    int64_t resend_ms;     /* boot clock; pushes wait until then; 0: they do not */
    int64_t reopen_ms;     /* an open was answered by an error; 0: it was not */
};

struct sync {
    struct store *store;
    struct view *view;
    struct sync_host host;
    struct sync_options options;
    enum sync_state state;
    enum sync_mode mode;
    bool is_background;
    bool reachable;
    bool is_whole;         /* as last told */
    bool in_round;         /* HTTP: a round of calls is under way */
    bool progress;         /* HTTP: this call settled something */
    bool in_http;          /* an answer of HTTP is being taken */
    bool is_soft;          /* outcomes were committed since the last durable commit: `known` must not tell them yet */
    struct buf token;
    struct buf out;
    size_t out_at;         /* what was taken of it */
    unsigned attempts;     /* in vain, since the last welcome */
    int64_t retry_ms;      /* boot clock: SYNC_WAITING ends */
    bool waits_as_told;    /* by the server */
    int64_t connecting_ms; /* SYNC_CONNECTING began */
    int64_t heard_ms, greeted_ms, pinged_ms, heartbeat_ms;
    int64_t patience_ms;   /* for the answer to a ping */
    bool token_asked;
    int64_t token_asked_ms;
    unsigned inflight_max;
    size_t frame_max;
    uint32_t next_ref;
    uint64_t session;
    char why[SYNC_WHY_BYTES];
    size_t spaces_count, spaces_room;
    struct sync_space *spaces;
    struct arena arena;    /* of one step */
    struct arena tales;    /* of the events' texts */
    size_t events_count;
    struct sync_event events[SYNC_EVENTS_MAX];
    const struct store_moment *now; /* of the step at hand */
    struct store_moment moment;
};

/* sync.c */
void sync_move(struct sync *sync, enum sync_state state);
struct sync_space *sync_space_of(struct sync *sync, int64_t id);           /* made where there is none; NULL: out of memory */
void sync_note(struct sync *sync, struct sync_event event);                /* told after the commit; its texts are copied */
void sync_tell(struct sync *sync);                                         /* tells what was noted */
void sync_give_up(struct sync *sync, const char *why, int64_t wait_ms);    /* closes, and comes back after (< 0: backoff) */
void sync_want_token(struct sync *sync);
void sync_enter(struct sync *sync, const struct store_moment *now);
uint64_t sync_random(struct sync *sync, uint64_t below);
bool sync_begin(struct sync *sync, bool durable);                          /* opens a transaction unless one is; false: the store cannot */
bool sync_commit(struct sync *sync);                                       /* with the view settled; false: undone, and given up */

/* sync_send.c */
void sync_say_hello(struct sync *sync);
void sync_say_auth(struct sync *sync);
void sync_open_due(struct sync *sync);                                     /* opens what is due, by priority */
void sync_pump(struct sync *sync);                                         /* sends what may be sent of the outbox */
bool sync_holds(const struct store_self *self, const struct store_space *space, const struct store_push *push);
void sync_render_push(struct sync *sync, struct buf *out, const struct store_space *space, const struct store_push *push, uint64_t known, bool framed);
void sync_render_open(struct sync *sync, struct buf *out, const struct store_space *space);

/* sync_hear.c */
void sync_hear(struct sync *sync, struct json_value frame);
uint64_t sync_number(struct json_value frame, const char *key);            /* 0: none */
struct span sync_word(struct sync *sync, struct json_value value);         /* a string, decoded, in the arena; empty: none */

/* sync_copy.c */
void sync_hear_page(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value frame);
void sync_hear_current(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value entry);
void sync_hear_update(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value frame);
void sync_take_docs(struct sync *sync, struct store_space *space, struct json_value docs, uint64_t contains, bool ahead);
void sync_reopen(struct sync *sync, struct store_space *space, struct sync_space *here, bool from_nothing);

/* sync_settle.c */
void sync_settle_applied(struct sync *sync, struct store_space *space, uint64_t id, const char *code);
void sync_settle_refused(struct sync *sync, struct store_space *space, const struct store_push *push, struct span code, struct span message, struct span docs);
void sync_settle_pushed(struct sync *sync, struct store_space *space, uint64_t pushed, struct json_value refused);
void sync_settle_follow(struct sync *sync, struct sync_space *here, uint64_t after); /* the log is said to have this one: what is unanswered goes on behind it */
void sync_hear_result(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value frame);
void sync_hear_error(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value frame);
void sync_settle_reset(struct sync *sync, struct store_space *space, bool another_log);
void sync_settle_old(struct sync *sync, struct store_space *space);        /* what was sent too long ago becomes unknown */

/* sync_fork.c */
void sync_fork(struct sync *sync, struct store_space *space, uint64_t after);
void sync_fork_probed(struct sync *sync, struct store_space *space, uint64_t after); /* the probe was answered: that is the log's last id */
void sync_fork_step(struct sync *sync);                                    /* takes a new id when it may */

#endif
