/* A device id that was used before for something else: the device was restored from an old backup.
 *
 * A new id must be taken; but what the old one may have sent, in any space, would take effect twice if it were sent again under
 * the new one. So, under the old id, everything that was sent, and in spaces where nothing is known to be wrong everything made until
 * then, is pushed until it has an outcome (a repeat gets its first one, by the log). In a space that is forked what the outbox
 * holds up to the log's last id becomes `unknown`, at once. What that last id is by now (pushes of the life before the backup may still
 * be on their way) is asked by an empty push under the old id. Then the id changes, the rest is numbered anew, and goes on. */
#include <stdio.h>

#include "client/sync_parts.h"

enum { DEVICE_BYTES = 22 };

static void make_id(struct sync *sync, char ret_id[DEVICE_BYTES + 1])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < DEVICE_BYTES; i++) ret_id[i] = letters[sync_random(sync, 64)];
    ret_id[DEVICE_BYTES] = '\0';
}

/* The log has ids up to `after` of this device here; what the outbox holds of them is not known to be the same. */
static void raise_after(struct sync *sync, struct store_space *space, uint64_t after)
{
    struct store_self *self = store_self(sync->store);
    struct store_push push;
    uint64_t *ids;
    if (self->fork_at == 0) self->fork_at = self->next_push;
    if (self->next_push <= after) self->next_push = after + 1;
    if (!space->forked || after > space->forked_after) space->forked_after = after;
    space->forked = true;
    size_t count = store_push_ids(sync->store, &sync->arena, space->id, &ids);
    for (size_t i = 0; i < count && ids[i] <= space->forked_after; i++) {
        if (!store_push_get(sync->store, &sync->arena, ids[i], &push)) return;
        sync_settle_refused(sync, space, &push, SPAN_LITERAL("unknown"), span_text(err_text(ERR_UNKNOWN)), span_of(NULL, 0));
    }
    store_push_follow(sync->store, space->id, space->forked_after);
}

/* An empty push under the old id, behind all that was sent: whatever answers it says how far the log has got by then. */
static void probe(struct sync *sync, struct store_space *space)
{
    struct store_self *self = store_self(sync->store);
    struct store_push push = {.id = self->next_push, .space = space->id, .ops = SPAN_LITERAL("[]"), .bases = SPAN_LITERAL("[]"), .made = *sync->now}, other;
    uint64_t *ids;
    bool unsent = false;
    push.previous = space->last_push;
    push.after = space->forked_after;
    size_t count = store_push_ids(sync->store, &sync->arena, space->id, &ids);
    for (size_t i = 0; i < count; i++) {
        if (!store_push_get(sync->store, &sync->arena, ids[i], &other)) return;
        if (other.sent) push.after = other.id;
        else unsent = true;
    }
    if (!unsent) return;
    self->next_push++;
    space->fork_probe = space->last_push = push.id;
    store_push_add(sync->store, &push);
}

void sync_fork(struct sync *sync, struct store_space *space, uint64_t after)
{
    raise_after(sync, space, after);
    if (space->fork_probe == 0) probe(sync, space);
}

void sync_fork_probed(struct sync *sync, struct store_space *space, uint64_t after) { raise_after(sync, space, after); }

void sync_fork_step(struct sync *sync)
{
    struct store_self *self = store_self(sync->store);
    char id[DEVICE_BYTES + 1];
    if (self->fork_at == 0 || store_push_any_uncertain(sync->store, self->fork_at)) return;
    if (!sync_begin(sync, true)) return;
    self = store_self(sync->store);
    if (self->fork_at != 0 && !store_push_any_uncertain(sync->store, self->fork_at)) {
        make_id(sync, id);
        snprintf(self->device, sizeof self->device, "%s", id);
        self->fork_at = 0;
        store_push_renumber(sync->store);
        sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_IDENTITY, .code = span_text(id)});
    }
    if (sync_commit(sync)) sync_give_up(sync, "a new device id", 0);
}
