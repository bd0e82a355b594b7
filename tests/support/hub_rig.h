/* A hub among fakes: an edge that keeps what is sent, a link and a log that keep what is asked, a registry of a few devices.
 * Nothing answers by itself: the test tells, acks and turns. The clock is rig->now_ms. */
#ifndef TIDEGATE_TESTS_SUPPORT_HUB_RIG_H
#define TIDEGATE_TESTS_SUPPORT_HUB_RIG_H

#include "gateway/hub.h"
#include "gateway/hub_http.h"

enum { RIG_CONNS = 16, RIG_ASKS_MAX = 16384, RIG_WAITERS = 256, RIG_APPENDS = 32768, RIG_PARTITIONS = 1, HUB_RIG_CURSOR_BYTES = 128 };

struct rig_conn {
    struct hub_session *session; /* NULL: closed */
    uint64_t number;             /* the session's, as welcome says */
    char *text;                  /* every frame sent and not looked at, each with '\n' */
    size_t text_bytes, looked;
    unsigned messages;           /* sent in all */
    bool full;                   /* the socket takes one more message, then none until hub_rig_drain() */
    unsigned close_code;         /* asked for; 0: none */
    unsigned pings;
    char line[1 << 14];          /* what hub_rig_next() gives */
};

struct rig_ask {
    struct link_ask ask;         /* its spans point into `room` */
    struct page_waiter *waiters;
    char *room;
    bool taken;
};

struct rig_append {
    struct blob *record;
    uint64_t tag;
    uint32_t partition;
};

struct hub_rig {
    struct hub *hub;
    struct log_writer writer;
    struct link_gateway link;
    struct registry registry;
    int64_t now_ms;
    struct rig_conn conns[RIG_CONNS];
    size_t asks_count;           /* RIG_ASKS_MAX, RIG_APPENDS: then the fakes are busy */
    struct rig_ask **asks;
    enum err send_err;           /* of the link */
    size_t appends_count, acked_count;
    struct rig_append *appends;
    enum err append_err;
    uint64_t holder;             /* the last session that claimed a device */
    char holds[256];             /* "user/device" of it */
    char offset[512];            /* "user/device space cursor" of the last put_offset */
    enum presence_state state;   /* of the last set_presence */
    char verified[129];          /* the user that every token but "bad" is of; "" : the token itself */
    int64_t expires_ms;
    int64_t token_ms;            /* every token lives so long, from when it is shown; 0: until expires_ms */
    bool admin;
    unsigned answer_status;      /* of the last HTTP call */
    unsigned answers;
    char answer[1 << 14];
};

void hub_rig_init(struct hub_rig *rig);              /* a link up, rules of chat (with presence), cart, notes */
/* Without fakes but for the edge: what is behind these seams is the test's. now_ms is the caller's to set. */
void hub_rig_init_on(struct hub_rig *rig, const char *name, struct log_writer *writer, struct link_gateway *link, struct registry *registry);
void hub_rig_fini(struct hub_rig *rig);
void hub_rig_turn(struct hub_rig *rig);
void hub_rig_pass(struct hub_rig *rig, int64_t ms);  /* time, in ticks of a quarter of a second */

/* A connection of `user` with a hello behind it; the welcome is looked at. */
struct rig_conn *hub_rig_connect(struct hub_rig *rig, size_t at, const char *user, const char *device);
struct rig_conn *hub_rig_raw(struct hub_rig *rig, size_t at, const char *user); /* without a hello; user NULL: no token */
void hub_rig_close(struct hub_rig *rig, struct rig_conn *conn);
void hub_rig_say(struct hub_rig *rig, struct rig_conn *conn, const char *text); /* and ends the turn */
void hub_rig_drain(struct hub_rig *rig, struct rig_conn *conn);
const char *hub_rig_next(struct rig_conn *conn);     /* the next frame; "" : there is none */
/* Is the next frame that? `%C7` in it is the cursor at place 7 of `space`. What differs is printed. */
bool hub_rig_says(struct rig_conn *conn, const char *space, const char *expected);

/* The oldest ask of that kind that was not taken; NULL: there is none. */
const struct rig_ask *hub_rig_ask(struct hub_rig *rig, enum link_ask_kind kind);
void hub_rig_head(struct hub_rig *rig, const char *space, uint64_t place);
void hub_rig_update(struct hub_rig *rig, const char *space, uint64_t prev, uint64_t place, const char *frame);
/* Answers a pull: everybody a writer, `pushed` for all, refused none. */
void hub_rig_page(struct hub_rig *rig, const struct rig_ask *ask, uint64_t to, const char *docs, uint64_t pushed, bool more);
void hub_rig_page_of(struct hub_rig *rig, const struct rig_ask *ask, const struct page *page);
void hub_rig_answer(struct hub_rig *rig, const struct rig_conn *conn, const char *user, const char *device, const char *space,
                    uint64_t id, uint64_t place, bool with_update, bool is_error, const char *frame);
/* Opens a space at `since` (NULL: null) and answers it as current there, or as empty. Looked at. */
void hub_rig_open(struct hub_rig *rig, struct rig_conn *conn, const char *space, uint64_t place);
void hub_rig_ack(struct hub_rig *rig, enum err err); /* the oldest append that was not acked */
void hub_rig_http(struct hub_rig *rig, const char *method_and_path, const char *query, const char *user, const char *body);
void hub_rig_cursor(const char *space, uint64_t place, char ret_text[HUB_RIG_CURSOR_BYTES]);

#endif
