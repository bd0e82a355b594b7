/* Who is here: per space, users with their sessions, as the gateways tell it; joins and leaves as frames. Pure: time is
 * passed in, frames come out by a callback.
 *
 * STATES of a user in a space, as those who watch were last told, and as he is: told and here alike: nothing to do;
 * here, not told (or told otherwise): a join is due; told, not here: a leave is due once his grace has passed.
 * INVARIANTS
 * 1. Who returns within PRESENCE_GRACE_MS shows neither as a leave nor as a join.
 * 2. At most one frame a space and PRESENCE_FRAME_MS, snapshots counted: a snapshot puts the next frame off once.
 * 3. A user's state is the most awake of his sessions, his meta the one told last by any of them,
 *    `devices` the number of his devices.
 * 4. A frame lists at most LIMIT_PRESENCE_HERE_MAX users; what is left waits for the next.
 * FORMAT {"type":"presence","space":..,"here":[U..],"count":n} or {"type":"presence","space":..[,"join":[U..]][,"leave":[U..]]}
 *        U: {"user":..,"devices":n,"state":"online"|"idle","meta":{..}}; in a leave, devices is 0, the rest as last told.
 * Sessions a space are bounded by those that the gateways admit. One thread. */
#ifndef TIDEGATE_WORKERS_PRESENCE_H
#define TIDEGATE_WORKERS_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/registry.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/span.h"

enum { PRESENCE_GRACE_MS = 10000, PRESENCE_FRAME_MS = 1000 };

struct presence;

enum err presence_open(struct presence **ret_presence);
void presence_close(struct presence *presence);

struct presence_event {
    uint32_t peer;
    struct span space, user, device;
    uint64_t session;
    enum presence_state state; /* OFFLINE: the session left the space */
    struct span meta;          /* raw JSON object or empty */
};
enum err presence_tell(struct presence *presence, const struct presence_event *event, int64_t now_ms); /* ERR_MEMORY */
void presence_drop_peer(struct presence *presence, uint32_t peer, int64_t now_ms);
/* Its spaces are another owner's from now on: they are forgotten, and nobody hears of it. */
void presence_drop_partition(struct presence *presence, uint32_t partition, uint32_t partitions);

/* When presence_step() has something to do; INT64_MAX: nothing is under way. */
int64_t presence_due_ms(const struct presence *presence);
void presence_step(struct presence *presence, int64_t now_ms, void *ctx,
                   void (*emit)(void *ctx, struct span space, struct span frame));

/* The first frame of one who begins to watch. */
void presence_snapshot(struct presence *presence, struct span space, int64_t now_ms, struct buf *ret_frame);
/* `"here":[..],"count":n`, the inside of the HTTP call's answer. */
void presence_who(const struct presence *presence, struct span space, struct buf *ret_text);
bool presence_is_here(const struct presence *presence, struct span space, struct span user);

#endif
