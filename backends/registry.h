/* The seam `registry`: what is shared between processes but is not the truth: presence for questions, last seen,
 * per-device offsets, who holds a device's session. Everything in it can be lost and comes back by itself.
 *
 * Called, and calls back, on the loop's thread; a callback may come from inside the call (embedded) or later (Redis).
 * Answers are told ERR_BUSY when the registry is away. Texts are copied. */
#ifndef TIDEGATE_BACKENDS_REGISTRY_H
#define TIDEGATE_BACKENDS_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/span.h"

enum presence_state { PRESENCE_OFFLINE, PRESENCE_IDLE, PRESENCE_ONLINE };

struct registry_user {
    enum presence_state state;  /* the most awake of the user's devices */
    int64_t last_seen_ms;       /* 0: never */
};
struct registry_offset {
    struct span space;
    struct span cursor;
};

struct registry;
struct registry_ops {
    /* A session of (user, device) is here in this state; OFFLINE: gone, which also sets last seen to now_ms. */
    void (*set_presence)(struct registry *r, struct span user, struct span device, uint64_t session,
                         enum presence_state state, int64_t now_ms);
    void (*get_user)(struct registry *r, struct span user, void *ctx,
                     void (*told)(void *ctx, enum err err, const struct registry_user *user));
    /* This session now holds the device; the registry tells an earlier holder (displaced). */
    void (*claim_device)(struct registry *r, struct span user, struct span device, uint64_t session);
    void (*release_device)(struct registry *r, struct span user, struct span device, uint64_t session);
    /* A device's offset in a space, only ever forward (by place). */
    void (*put_offset)(struct registry *r, struct span user, struct span device, struct span space, uint64_t place,
                       struct span cursor, int64_t now_ms);
    void (*get_offsets)(struct registry *r, struct span user, struct span device, void *ctx,
                        void (*told)(void *ctx, enum err err, const struct registry_offset *offsets, size_t count));
    /* Questions of this ctx are not answered any more: it is about to go. */
    void (*forget)(struct registry *r, void *ctx);
};
struct registry {
    const struct registry_ops *ops;
    void *ctx;                                          /* the gateway's */
    void (*displaced)(void *ctx, uint64_t session);     /* another session holds the device now: close with 4409 */
};

#endif
