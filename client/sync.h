/* The heart of a device: what to say to a gateway and what to make of what it says. No socket, no thread, no clock, no randomness of
 * its own: bytes, moments and local writes go in; messages, the next deadline and events come out. So the same code runs under
 * libwebsockets, in a simulator, in an app's own network stack, in a browser.
 *
 * HOW IT IS DRIVEN, by a WebSocket:
 *     sync_tick(now)            whenever sync_deadline() has come, and after anything that may have changed it
 *     sync_wants_connection()   true: connect, then sync_connected() or sync_disconnected()
 *     sync_output() / sync_output_taken()  whole text messages to send, in order
 *     sync_receive(message)     each whole text message that came
 *     sync_heard()              any byte came (a ping too): the connection lives
 *     sync_wants_close()        true: close it, then sync_disconnected()
 * or by HTTP, a call at a time: sync_http_request() gives the body of a POST /v1/sync, sync_http_answer() takes what came.
 *
 * STATES are enum sync_state. Every message that comes is one transaction of the store, its events are told after the commit.
 *
 * INVARIANTS
 * 1. A push is marked as sent, durably, before it is sent; it leaves the outbox only with its outcome (schemas/client-store.sql, 2).
 * 2. Pushes to a space go out in the order of their ids, each naming the one before it as the log has it.
 * 3. To a space that is subscribed nothing is pushed amid a run of pages, nor before its open is answered: a reset is heard first, and
 *    whether `pushed` names what another life of this device sent.
 * 4. A space of a lower priority is opened only when those above it are whole.
 * 5. Whatever fails, something is due: a deadline, a connection, or the app's token. Nothing waits for the next local write.
 *
 * BOUNDS  out: SYNC_OUT_BYTES_MAX, past it no push is taken from the outbox until some is sent. */
#ifndef TIDEGATE_CLIENT_SYNC_H
#define TIDEGATE_CLIENT_SYNC_H

#include "client/store.h"
#include "client/view.h"

enum {
    SYNC_OUT_BYTES_MAX = 8388608,
    SYNC_OUT_PAUSE_BYTES = 1048576,  /* pushes wait while so much is unsent */
    SYNC_MESSAGE_BYTES = 262144,     /* frames are put together up to this */
    SYNC_INFLIGHT = 48,              /* unanswered pushes on their way to a space, unless the server says fewer */
    SYNC_CONNECT_MS = 10000,         /* without a connection: the attempt is given up, whatever the wire has to say of it */
    SYNC_PROBE_MS = 10000,           /* without a sign of life after the network changed: the connection is given up */
    SYNC_HELLO_MS = 15000,           /* without a welcome: the connection is given up */
    SYNC_HTTP_PUSHES = 256, SYNC_HTTP_BYTES = 1048576, SYNC_HTTP_OPENS = 256
};
#define SYNC_NEVER INT64_MAX
#define SYNC_WHY_CONNECT "no connection in time"

enum sync_state {
    SYNC_STOPPED,     /* nobody wants it to run */
    SYNC_WAITING,     /* until a deadline, then it connects */
    SYNC_TOKEN,       /* until there is a token */
    SYNC_CONNECTING,  /* a connection is wanted, or being made; for SYNC_CONNECT_MS */
    SYNC_GREETING,    /* hello is said */
    SYNC_LIVE,        /* welcome came */
    SYNC_CLOSING,     /* the connection is to be closed */
    SYNC_REPLACED,    /* the same device connected elsewhere: it does not come back by itself */
    SYNC_UNREACHABLE  /* the app says that there is no network */
};
enum sync_mode { SYNC_BOTH, SYNC_PUSH_ONLY, SYNC_PULL_ONLY };

enum sync_event_kind {
    SYNC_EVENT_STATE,    /* state, or whether everything is whole, has changed */
    SYNC_EVENT_TOKEN,    /* a (fresh) token is wanted */
    SYNC_EVENT_OUTCOME,  /* push `id` of `space` took effect (code ""), or its edit lost (`lost`) */
    SYNC_EVENT_REFUSED,  /* a push was refused: record `id`, `code` */
    SYNC_EVENT_SYNCED,   /* `space` is whole as of now */
    SYNC_EVENT_RESET,    /* `space` starts from nothing */
    SYNC_EVENT_CLOSED,   /* `space` was closed by the server, `code`; `purged`: the copy is gone */
    SYNC_EVENT_IDENTITY, /* the device has a new id */
    SYNC_EVENT_PRESENCE, /* `frame` of `space` */
    SYNC_EVENT_SIGNAL,
    SYNC_EVENT_ERROR     /* the store failed, or the server said something that is none of the above: `code`, `frame` its text */
};
struct sync_event {
    enum sync_event_kind kind;
    struct span space, code, frame;
    uint64_t id;
    bool purged;
};
/* What a heart is given. */
struct sync_host {
    void *ctx;
    void (*tell)(void *ctx, const struct sync_event *event);
    void (*random)(void *ctx, void *ret_bytes, size_t bytes);
};
struct sync_options {
    int64_t retry_base_ms, retry_most_ms; /* 0: 1 s, 60 s; full jitter */
    int64_t connect_ms;                   /* 0: SYNC_CONNECT_MS */
    bool background;                      /* does not make its user look online */
    bool presence;                        /* asks who is there, in every space */
    const char *client;                   /* told in the hello */
};

struct sync;

/* Store and view must outlive it. NULL: out of memory. */
struct sync *sync_make(struct store *store, struct view *view, const struct sync_host *host, const struct sync_options *options);
void sync_free(struct sync *sync);

void sync_start(struct sync *sync, enum sync_mode mode, const struct store_moment *now); /* connects at once */
void sync_stop(struct sync *sync);
void sync_set_token(struct sync *sync, struct span token, const struct store_moment *now);
void sync_set_reachable(struct sync *sync, bool reachable, const struct store_moment *now);
/* A network came, or another one: what waits out a backoff of its own tries now. What waits as the server said goes on waiting. A connection is
 * asked for a sign of life: it may have gone with the network that it came by. */
void sync_network_came(struct sync *sync, const struct store_moment *now);
/* The app wrote, subscribed, settled a refusal: look at the store again. */
void sync_look(struct sync *sync, const struct store_moment *now);
void sync_wrote(struct sync *sync, const struct store_moment *now); /* the same, after a durable commit */
/* Within the transaction of a local write: may this push go out at once? Then it is marked as sent in it. */
void sync_claim(struct sync *sync, struct store_space *space, uint64_t id, const struct store_moment *now);

/* The server's time at a moment, as far as it can be told. */
int64_t sync_server_ms(const struct sync *sync, const struct store_moment *at); /* 0: not known */
void sync_tick(struct sync *sync, const struct store_moment *now);
int64_t sync_deadline(const struct sync *sync); /* by boot_ms; SYNC_NEVER */
enum sync_state sync_state(const struct sync *sync);
const char *sync_state_name(enum sync_state state);
const char *sync_why(const struct sync *sync);  /* what the last connection ended with: a code or sentence; "" */
bool sync_is_whole(const struct sync *sync);    /* live, every space that is wanted (and may be) whole, nothing to push */

bool sync_wants_connection(const struct sync *sync);
bool sync_wants_none(const struct sync *sync);      /* one that is being made is to be given up; sync_disconnected() is not needed */
bool sync_wants_close(const struct sync *sync);
void sync_connected(struct sync *sync, const struct store_moment *now);
/* `code`: WebSocket's, an HTTP status of the upgrade, or 0. */
void sync_disconnected(struct sync *sync, unsigned code, const char *why, const struct store_moment *now);
void sync_receive(struct sync *sync, struct span message, const struct store_moment *now);
void sync_heard(struct sync *sync, const struct store_moment *now);
struct span sync_output(struct sync *sync);                   /* at NULL: nothing to send; valid until the next call */
void sync_output_taken(struct sync *sync, size_t bytes);
bool sync_signal(struct sync *sync, struct span space, struct span body); /* false: not live */
bool sync_history(struct sync *sync, struct span space, struct span collection, uint64_t before, uint64_t limit);

/* A space that the server closed is opened again, should it be live. */
void sync_reopen_closed(struct sync *sync, int64_t space);
struct span sync_token(const struct sync *sync); /* empty: none */
void sync_ask_token(struct sync *sync, const struct store_moment *now);

/* ---- HTTP ---- */
void sync_begin_round(struct sync *sync);
/* False: there is nothing to ask (or out of memory). `log`, pushes and opens as they are now. */
bool sync_http_request(struct sync *sync, enum sync_mode mode, struct buf *body, const struct store_moment *now);
enum sync_http {
    SYNC_HTTP_DONE,   /* everything that could be asked is answered */
    SYNC_HTTP_MORE,   /* call again at once */
    SYNC_HTTP_RETRY,  /* after *ret_retry_ms */
    SYNC_HTTP_TOKEN,  /* with another token */
    SYNC_HTTP_FAILED  /* never like this */
};
enum sync_http sync_http_answer(struct sync *sync, unsigned status, struct span body, int64_t *ret_retry_ms, const struct store_moment *now);

#endif
