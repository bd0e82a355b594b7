/* One session's queue of frames on their way out: counted blobs, first in, first out.
 *
 * BOUND  The hub drops what may be dropped past LIMIT_SESSION_QUEUE_BYTES; what may not goes on up to OUTQ_BYTES_HARD,
 *        past which outq_add() refuses and the connection is to be closed. */
#ifndef TIDEGATE_GATEWAY_OUTQ_H
#define TIDEGATE_GATEWAY_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/blob.h"

enum { OUTQ_BYTES_HARD = 16777216, OUTQ_FRAMES_HARD = 65536 };

struct outq {
    struct blob **slots;
    uint32_t room, head, count;
    size_t bytes;
};

void outq_fini(struct outq *queue);
bool outq_add(struct outq *queue, struct blob *frame); /* takes a reference */
/* What goes out in one message: a single frame as it is, several joined by '\n' up to `bytes_max`. The caller's
 * reference. NULL: empty, or out of memory. ret_frames: how many it holds. */
struct blob *outq_take(struct outq *queue, size_t bytes_max, uint32_t *ret_frames);

#endif
