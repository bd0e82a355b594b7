/* The frames of the wire: those of devices decoded, those of the gateway encoded. Pure.
 *
 * A frame's own members are judged here, strictly: types, ranges, repeated keys outside bodies. Unknown members are
 * ignored. What the operations of a push say is the owner's to judge (core/op.h). Decoded texts live in the arena;
 * everything else is spans into the frame. */
#ifndef TIDEGATE_CORE_FRAME_H
#define TIDEGATE_CORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/json.h"

enum frame_type {
    FRAME_HELLO, FRAME_OPEN, FRAME_CLOSE, FRAME_PUSH, FRAME_HISTORY, FRAME_SEEN, FRAME_SIGNAL, FRAME_AUTH, FRAME_PING,
    FRAME_UNKNOWN /* an object, but of no known type, or malformed: `why` says what is wrong */
};

/* One entry of an open's `spaces`. */
struct frame_open {
    struct span space;   /* decoded; perhaps not a space's name: checked by whoever opens it */
    bool since_null;
    struct span since;   /* decoded cursor */
    uint64_t known;
    bool has_tail;       /* absent: all */
    uint64_t tail;
};

struct frame {
    enum frame_type type;
    const char *why;        /* of FRAME_UNKNOWN: names the member */
    struct span ref;        /* raw JSON (a number or string), empty where there is none */
    struct span space;      /* decoded; close, push, history, seen, signal */
    bool has_id;
    uint64_t id;
    /* hello, auth */
    uint64_t protocol;
    struct span token;      /* decoded; empty: none */
    struct span device;
    bool background;
    /* open */
    bool once;
    bool presence;
    struct span meta;       /* raw object; empty: none */
    size_t opens_count;
    struct frame_open *opens;
    /* push */
    uint64_t after, known;
    struct json_value ops;
    /* history */
    struct span collection;
    uint64_t before, limit;
    struct span cursor;     /* seen */
    struct json_value body; /* signal: any value */
};

/* `line` is one frame. ERR_OK always fills *ret_frame (type FRAME_UNKNOWN: answer bad_frame with ref, id, space as far
 * as they could be read); ERR_MEMORY. */
enum err frame_decode(struct span line, struct arena *arena, struct frame *ret_frame);
/* The members of a push alone, as HTTP brings them in an array: as frame_decode() of a push. */
enum err frame_decode_push(struct json_value object, struct arena *arena, struct frame *ret_frame);
enum err frame_decode_open(struct json_value entry, struct arena *arena, struct frame_open *ret_open, const char **ret_why);
/* A key repeated in an object outside bodies (body, meta, value, values), or an object there of absurd width. */
bool frame_repeats_key(struct json_value value);

/* {"type":"error",..}: members that are not known are left out (ref and space empty, has_id false, retry_ms 0). */
void frame_error(struct buf *buf, enum err code, const char *message, struct span ref, bool has_id, uint64_t id,
                 struct span space, uint64_t retry_ms);
void frame_ack(struct buf *buf, struct span space, uint64_t id);
void frame_bye(struct buf *buf, const char *reason, uint64_t retry_ms);
/* A refusal by the gateway itself: without cursor and at. */
void frame_refusal(struct buf *buf, struct span space, uint64_t id, enum err code, const char *message);
void frame_closed(struct buf *buf, struct span space, enum err code, bool purge, struct span ref);

#endif
