/* Internal to hub*.c: the hub's structs. Nobody else includes this. */
#ifndef TIDEGATE_GATEWAY_HUB_PARTS_H
#define TIDEGATE_GATEWAY_HUB_PARTS_H

#include "core/arena.h"
#include "core/buf.h"
#include "core/cursor.h"
#include "core/frame.h"
#include "core/map.h"
#include "core/session.h"
#include "gateway/hub.h"
#include "gateway/outq.h"
#include "gateway/ring.h"

enum {
    HUB_TURN_UPDATES_MAX = 256, /* updates of one space gathered in one turn: then they are handed out at once */
    HUB_MESSAGE_BYTES = 65536   /* frames are joined into one message up to this */
};

struct hub_space;
struct hub_pull;

/* A push that was appended and has no outcome yet. */
struct hub_push {
    struct hub_push *next;    /* of the session's, oldest first */
    struct hub_space *space;  /* one reference */
    struct blob *record;
    uint64_t id;
    int64_t asked_ms;         /* when it was appended, or its outcome last asked for */
    uint32_t append_at;       /* in hub->appends, while `appending` */
    uint8_t asks;             /* how often its outcome was asked for */
    bool appending;           /* the log has not said yet */
    bool answered;            /* its outcome came before its ack */
    bool copy;                /* of one that was under way when it came */
};

/* A session's subscription to a space. At most 64 bytes (checked below): there are many. */
struct hub_sub {
    struct hub_session *session;
    struct hub_space *space;
    uint64_t place;           /* the session's cursor here */
    struct hub_pull *pull;    /* a run of pages is under way, or about to be */
    struct blob *ref;         /* raw, of the open */
    struct blob *meta;        /* raw, what an open of this space said last; NULL: none did */
    uint64_t known;
    uint32_t at_space;        /* its place in space->subs */
    uint16_t at_session;      /* its place in session->subs */
    bool behind : 1;          /* updates were dropped: pull when the socket has drained */
    bool watches : 1;         /* wants presence frames: a snapshot was asked for */
    bool hears : 1;           /* it came: joins and leaves may follow it */
    bool missed : 1;          /* a presence frame was dropped: a snapshot when the socket has drained */
    bool present : 1;         /* told to the owner as here */
    bool shown : 1;           /* a first page or `current` went out */
    bool again : 1;           /* access is to be judged anew: no update goes out before a further pull */
};
_Static_assert(sizeof(struct hub_sub) <= 64, "a further space costs at most 64 bytes");

/* An outcome that has to wait for its space's pull. */
struct hub_held {
    struct hub_held *next;
    struct blob *frame;
    uint64_t place;           /* goes out when the session is there */
    bool with_update;         /* only needed if the space gets closed: the pull covers it otherwise */
};

enum hub_pull_stage { PULL_WAITING, PULL_ASKED, PULL_WRITTEN_OUT /* its page is on its way out: the next waits for it */ };

/* One session's run of pages of one space. */
struct hub_pull {
    struct hub_pull *next;    /* in hub->pulls, while WAITING */
    uint64_t order;           /* first come, first asked */
    struct hub_sub *sub;      /* NULL: cancelled while asked */
    enum hub_pull_stage stage;
    bool is_open;             /* answers an open; else it heals */
    bool once;
    bool first;               /* no page of the run was sent yet */
    bool presence;
    struct page_run run;
    uint64_t least;           /* a page of an older head judges nothing: its owner has not come to what is to be judged anew */
    int64_t not_before_ms;    /* after a BUSY */
    struct hub_held *held;    /* oldest first */
};

/* Pulls that stand at one place and were asked as one. */
struct hub_group {
    struct map_node node;     /* by tag */
    uint64_t tag;
    size_t count;
    struct hub_pull **pulls;  /* entries of cancelled ones are freed when the page comes */
};

enum hub_body_kind { BODY_HISTORY, BODY_HTTP };
/* A question with a body for an answer. */
struct hub_body {
    struct map_node node;     /* by tag */
    uint64_t tag;
    enum hub_body_kind kind;
    uint64_t session;         /* HISTORY */
    struct blob *ref;
    struct hub_space *space;
    struct hub_http_job *job; /* HTTP; NULL: cancelled */
};

/* A namespace as its owners told it. */
struct hub_rules {
    struct map_node node;
    char name[LIMIT_COLLECTION_BYTES_MAX + 1];
    uint64_t version;
    bool presence;
};

struct hub_turn_update {
    uint64_t prev, place;
    struct blob *frame;       /* NULL: too long, pull it */
};

struct hub_space {
    struct map_node node;
    struct hub_space *next_dirty, *next_idle;
    struct hub_space *quieter, *livelier; /* spaces with a ring, by their last update */
    char *name;
    size_t name_bytes;
    uint32_t refs;            /* subs, pushes, bodies */
    uint32_t partition;
    const struct hub_rules *rules; /* NULL: not known (yet) */
    bool interested;          /* the owner was told */
    bool dirty;
    bool idling;              /* in hub->idle */
    uint64_t head;            /* as far as heard while interested */
    int64_t idle_since_ms;    /* without refs since */
    uint32_t subs_count, subs_room;
    struct hub_sub **subs;
    uint32_t turn_count, turn_room;
    struct hub_turn_update *turn;
    struct ring ring;
};

struct hub_session {
    struct hub *hub;
    void *conn;               /* NULL: virtual, of an HTTP call */
    struct hub_http_job *job;
    uint64_t number;
    enum session_state state;
    bool writable, dirty, background, idle, warned, closing_after;
    bool waits;               /* some space of it waits for the socket to drain */
    struct hub_credentials credentials;
    char device[LIMIT_DEVICE_BYTES_MAX + 1];
    struct session_times times;
    int64_t frame_ms, warned_ms;
    struct session_bucket bucket;
    struct session_faults faults;
    struct outq out;
    struct hub_session *next_dirty;
    uint32_t subs_count, subs_room;
    struct hub_sub **subs;
    struct hub_push *pushes, **pushes_end;
    uint32_t pushes_count;
    size_t pushes_bytes;
    struct session_failure *failure; /* made when an append fails */
};
_Static_assert(sizeof(struct hub_session) <= 512, "an idle connection costs little");

struct hub_slot {
    struct hub_session *session;
    uint32_t generation;
    uint32_t next_free;
};

/* An append under way. */
struct hub_append {
    uint64_t session;
    struct hub_push *push;    /* NULL: its session went away */
    uint32_t next_free;
};

/* An outcome that came this turn: it goes out behind the turn's updates. */
struct hub_answer {
    uint64_t session, id, place;
    struct hub_space *space;
    bool with_update, is_error;
    enum err code;
    struct blob *frame;
};

struct hub {
    struct hub_options options;
    struct hub_counters counters;
    struct arena arena;
    struct buf text;
    int64_t now_ms;
    bool draining;
    struct span log;
    struct map spaces, rules, groups, bodies;
    size_t slots_count, slots_room;
    uint32_t slot_free;
    struct hub_slot *slots;
    struct hub_session *dirty_sessions;
    struct hub_space *dirty_spaces;
    struct hub_space *idle, **idle_end;      /* without refs, the longest first */
    struct hub_space *quietest, *liveliest;  /* rings */
    size_t ring_bytes, out_bytes;
    struct hub_pull *pulls, **pulls_end;     /* oldest first */
    bool pulls_due;                          /* some may be asked for now */
    size_t pages_asked;
    uint64_t next_tag, next_order;
    size_t pushes_count, pushes_bytes;
    size_t appends_count, appends_room;
    uint32_t append_free;
    struct hub_append *appends;
    size_t answers_count, answers_room;
    struct hub_answer *answers;
    uint64_t links_up;
    size_t tick_at;
    struct hub_http_job *jobs;
    size_t jobs_count, jobs_bytes;
    bool jobs_due;            /* one heard something since hub_http_go_on_all() */
};

/* hub.c */
struct hub_session *hub_find_session(struct hub *hub, uint64_t number);
struct hub_session *hub_session_make(struct hub *hub, void *conn, int64_t now_ms);
void hub_session_free(struct hub_session *session);

/* hub_space.c */
struct hub_space *hub_space_take(struct hub *hub, struct span name); /* one more reference; NULL out of memory */
void hub_space_put(struct hub *hub, struct hub_space *space);
bool hub_space_is_unknown(const struct hub *hub, const struct hub_space *space); /* no such namespace; false while that is not known */
struct span hub_space_name(const struct hub_space *space);
struct hub_sub *hub_sub_find(const struct hub_session *session, const struct hub_space *space);
struct hub_sub *hub_sub_add(struct hub_session *session, struct hub_space *space);
void hub_sub_remove(struct hub_sub *sub);
void hub_space_sweep(struct hub *hub, int64_t now_ms);
bool hub_space_interest(struct hub *hub, struct hub_space *space);
void hub_space_remember(struct hub *hub, struct hub_space *space, uint64_t prev, uint64_t place, struct blob *frame);
void hub_space_forget(struct hub *hub, struct hub_space *space); /* its recent updates */
struct span hub_space_user(const struct hub_session *session);
enum role hub_space_granted(const struct hub_session *session, const struct hub_space *space);

/* hub_send.c */
enum hub_frame_kind { OUT_ACK, OUT_RESULT, OUT_ERROR, OUT_PAGE, OUT_CURRENT, OUT_CLOSED, OUT_UPDATE, OUT_DROPPABLE, OUT_OTHER };
/* Queues a frame; the blob's reference stays the caller's. False: dropped at the bound (UPDATE, DROPPABLE). */
bool hub_send_blob(struct hub_session *session, enum hub_frame_kind kind, struct blob *frame);
/* Queues what stands in hub->text, and empties it. */
void hub_send_text(struct hub_session *session, enum hub_frame_kind kind);
void hub_send_error(struct hub_session *session, enum err code, const char *message, struct span ref, bool has_id, uint64_t id,
                    struct span space, uint64_t retry_ms);
void hub_send_flush(struct hub *hub);
void hub_send_at_once(struct hub_session *session); /* a long page: it need not wait for the turn's end */
void hub_send_forget(struct hub_session *session);  /* its queue */
void hub_send_close(struct hub_session *session, unsigned code, const char *reason);

/* hub_frames.c */
void hub_frames_handle(struct hub_session *session, struct span text);
/* hub_open.c */
void hub_open_space(struct hub_session *session, const struct frame_open *open, struct blob *ref, struct blob *meta, bool once, bool presence);
void hub_open_closed(struct hub_sub *sub, enum err code, bool purge);
/* hub_page.c */
void hub_page_current(struct hub_sub *sub, const struct page *page, const struct page_part *part);
void hub_page_send(struct hub_sub *sub, const struct page *page, const struct page_part *part);
/* hub_pull.c */
void hub_pull_heal(struct hub_sub *sub);
void hub_pull_start(struct hub_sub *sub, struct hub_pull *pull);
void hub_pull_cancel(struct hub_sub *sub);
void hub_pull_hold(struct hub_sub *sub, struct blob *frame, uint64_t place, bool with_update); /* sub->pull is there */
void hub_pull_let_go(struct hub_sub *sub); /* what is held goes out: the space is about to be closed */
void hub_pull_ask_all(struct hub *hub);
bool hub_pull_may_ask(const struct hub *hub);
void hub_pull_page(struct hub *hub, const struct link_tell *tell);
void hub_pull_drained(struct hub_session *session); /* the session's queue is empty: its runs go on */
void hub_pull_found(struct hub *hub, uint32_t partition); /* a link stands again: what was put off need not wait */
void hub_pull_lost(struct hub *hub, uint32_t partition); /* the link broke: what was asked is asked again */
void hub_pull_free(struct hub *hub);
/* hub_push.c */
void hub_push_frame(struct hub_session *session, const struct frame *frame);
void hub_push_acked(void *ctx, const struct log_ack *acks, size_t count);
void hub_push_answer(struct hub *hub, const struct link_tell *tell);
void hub_push_answers_out(struct hub *hub);
void hub_push_known(struct hub_session *session, const struct hub_space *space, uint64_t known);
void hub_push_forget(struct hub_session *session);
void hub_push_ask_again(struct hub *hub, struct hub_session *session, int64_t older_than_ms, uint32_t partition, bool any_partition);
/* A backend's push without a device: appended for a virtual session. */
void hub_push_append(struct hub_session *session, const struct frame *frame, bool with_device);
/* hub_deliver.c */
void hub_deliver_update(struct hub *hub, const struct link_tell *tell);
void hub_deliver_turn(struct hub *hub);
void hub_deliver_catch_up(struct hub_sub *sub);
/* hub_presence.c */
void hub_presence_enter(struct hub_sub *sub);
void hub_presence_leave(struct hub_sub *sub);
void hub_presence_watch(struct hub_sub *sub);
void hub_presence_state(struct hub_session *session, bool idle);
void hub_presence_frame(struct hub *hub, const struct link_tell *tell);
void hub_presence_drained(struct hub_sub *sub);
void hub_presence_signal(struct hub_session *session, const struct frame *frame);
void hub_presence_signal_frame(struct hub *hub, const struct link_tell *tell);
/* hub_http.c */
void hub_http_collect(struct hub_http_job *job, enum hub_frame_kind kind, struct span frame);
void hub_http_body(struct hub_http_job *job, const struct link_tell *tell);
void hub_http_go_on_all(struct hub *hub); /* those that heard what they wait for, or whose deadline is there */
void hub_http_free(struct hub *hub);
/* hub_body.c */
bool hub_body_ask(struct hub *hub, struct hub_body *body, struct link_ask *ask);
void hub_body_told(struct hub *hub, const struct link_tell *tell);
void hub_body_lost(struct hub *hub, uint32_t partition);
void hub_body_free(struct hub *hub);

#endif
