/* The rules of a device's session that need no more than a few numbers: delivery, rates, faults, order after a failure. */
#ifndef TIDEGATE_CORE_SESSION_H
#define TIDEGATE_CORE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum session_state {
    SESSION_HELLO,   /* connected; nothing but a hello is welcome, within SESSION_HELLO_MS */
    SESSION_LIVE,    /* frames are served */
    SESSION_CLOSING  /* a close was asked of the edge; nothing is served, nothing sent */
};
/* The one setter: asserts that the move is legal (HELLO -> LIVE, anything -> CLOSING). */
void session_move(enum session_state *state, enum session_state to);

enum {
    SESSION_HELLO_MS = 10000,
    SESSION_IDLE_MS = 300000,       /* without a frame but pings: the user is idle */
    SESSION_EXPIRED_MS = 60000,     /* between the error and close 4401 */
    SESSION_FAULT_WINDOW_MS = 60000,
    SESSION_ASK_AGAIN_MS = 10000,   /* an outcome that did not come is asked for */
    SESSION_ASKS_MAX = 3,           /* asked so often in vain: the device is told to send the push again */
    SESSION_RETRY_MS = 1000,        /* what a device is told to wait after `busy` and `too_many` */
    SESSION_FAILURES_MAX = 8        /* spaces in which appends failed; past it the owner's `gap` catches what gets past */
};

/* What a session's silence calls for. */
enum session_due {
    SESSION_DUE_NOTHING,
    SESSION_DUE_PING,      /* a heartbeat has passed since the last one */
    SESSION_DUE_HELLO,     /* no hello within SESSION_HELLO_MS: unauthenticated, 4401 */
    SESSION_DUE_HEARTBEAT  /* two heartbeats without a byte: 4408 */
};
struct session_times {
    int64_t connected_ms, heard_ms, pinged_ms;
};
enum session_due session_due(enum session_state state, const struct session_times *times, int64_t heartbeat_ms, int64_t now_ms);

/* What to do with an update for a session that stands at `place`. */
enum session_delivery { SESSION_FORWARD, SESSION_DROP, SESSION_HOLE };
enum session_delivery session_deliver(uint64_t place, uint64_t update_prev, uint64_t update_place);

/* Frames a second, with a burst of four seconds' worth. Zeroed: full. */
struct session_bucket {
    int64_t at_ms;
    int64_t used_milli;
};
bool session_bucket_take(struct session_bucket *bucket, int64_t rate, int64_t now_ms); /* false: over `rate` a second */

/* Bad frames of the last minute. */
struct session_faults {
    int64_t since_ms;
    uint32_t count;
};
bool session_faults_add(struct session_faults *faults, int64_t now_ms); /* false: one too many, close 4400 */

/* After a failed append every later push of the connection to that space fails too, until the device begins again with the
 * failed one or an earlier one; or, where that one was answered meanwhile (another copy of it got through), until the time is
 * over that the device was told to wait. What gets past this the owner answers with `gap`. A space is named by the hash of its name: nothing here outlives, or holds on to, the space itself. */
struct session_failure {
    struct { uint64_t space, id; int64_t until_ms; } entries[SESSION_FAILURES_MAX];
    uint32_t count;
};
void session_failure_note(struct session_failure *failure, uint64_t space, uint64_t id, int64_t now_ms);
/* Must this push fail for the sake of order? */
bool session_failure_blocks(struct session_failure *failure, uint64_t space, uint64_t id, int64_t now_ms);

#endif
