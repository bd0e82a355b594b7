/* The wire of a device on libwebsockets: one WebSocket and one HTTP call at a time, on a poll loop of its own or on a libuv loop of the app.
 *
 * All calls and callbacks are on the thread that runs the loop. A callback may call anything here but transport_free() and
 * transport_turn(). Memory: a message under way, up to TRANSPORT_MESSAGE_BYTES_MAX: past it the connection is closed (1009).
 * No decision about when to connect is made here: that is the heart's (sync.h). */
#ifndef TIDEGATE_CLIENT_TRANSPORT_H
#define TIDEGATE_CLIENT_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/span.h"

enum {
    TRANSPORT_MESSAGE_BYTES_MAX = 33554432,
    TRANSPORT_CONNECT_MS = 5000, /* to one address of the server's name; the next attempt tries the next one, and stays with what it got through to */
    TRANSPORT_ANSWER_MS = 20000
};

struct transport_host {
    void *ctx;
    void (*connected)(void *ctx);
    void (*closed)(void *ctx, unsigned code, const char *why); /* of a connection made, or one that could not be */
    void (*message)(void *ctx, struct span message);
    void (*heard)(void *ctx);
    struct span (*output)(void *ctx);                          /* the next message; at NULL: none */
    void (*taken)(void *ctx, size_t bytes);
    void (*due)(void *ctx);                                    /* transport_wake_in() is over */
    void (*stirred)(void *ctx);                                /* a watched file changed */
    void (*network)(void *ctx);                                /* transport_watch_network()'s descriptor can be read: it is to be emptied */
    /* An answer to transport_post(): status 0: there was none, for `why`. */
    void (*answered)(void *ctx, unsigned status, int64_t retry_ms, struct span body, const char *why);
};
struct transport_options {
    const char *url;        /* NULL: only timers and watching */
    const char *ca_file, *pinned_key;
    void *uv_loop;          /* NULL: a loop of its own */
    const char *const *addresses; /* up to a NULL: in place of what the resolver says; NULL: the resolver. Must outlive the transport */
};

struct transport;

bool transport_takes(const char *const *addresses, char *ret_why, size_t why_bytes); /* false: one is not in digits, or there is none; for `ret_why` */
/* ERR_INVALID (with ret_why): the URL, the CA file or the pin is none. ERR_MEMORY. */
enum err transport_open(const struct transport_options *options, const struct transport_host *host, struct transport **ret_transport, char *ret_why, size_t why_bytes);
void transport_free(struct transport *transport); /* nothing is called back any more; NULL is accepted */
bool transport_has_url(const struct transport *transport);
size_t transport_addresses(const struct transport *transport); /* that the server's name has, as of the last attempt; 1 at least */
bool transport_is_foreign(const struct transport *transport); /* on a uv loop */
void transport_connect(struct transport *transport); /* closed() or connected() follows; ignored while one is there */
void transport_disconnect(struct transport *transport); /* closed() follows at once, if there was one */
void transport_write(struct transport *transport);   /* there is output */
void transport_wake_in(struct transport *transport, int64_t ms); /* one timer: the last word counts; < 0: none */
void transport_watch(struct transport *transport, const char *path); /* stirred() when it is written to; where the system can */
bool transport_watch_network(struct transport *transport, int fd); /* which is closed with the transport; false: at once */
/* One at a time. False: one is under way, or out of memory. */
bool transport_post(struct transport *transport, const char *path, struct span token, struct span body);
void transport_abandon(struct transport *transport); /* the call under way: no answer will come */
/* Its own loop: waits for something to happen, and does it. Never on a uv loop. */
void transport_turn(struct transport *transport);

#endif
