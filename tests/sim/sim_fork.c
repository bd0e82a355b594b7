/* A device that finds out that another store went by its id: it learns what the log has of that id everywhere, then goes on under
 * a new one.
 *
 * What its outbox holds up to the log's last id of this device becomes `unknown`; the rest is numbered anew. That last id is told
 * a space at a time (by `forked`, or as `pushed`). What was sent, by whatever connection, may be in the log, or come to be there: it is
 * sent again under the old id until it has an outcome. Nothing else is sent any more, and a space waits until it is live here. */
#include <assert.h>

#include "tests/checker/checker.h"
#include "tests/sim/sim.h"

/* Up to `after`: somebody's, and nobody can say whose. */
static void give_up(struct sim_device *device, size_t space, uint64_t after)
{
    struct sim_copy *copy = &device->store.copies[space];
    for (size_t i = 0; i < copy->pushes_count; i++)
        if (!copy->pushes[i].settled && copy->pushes[i].id <= after) sim_device_refuse(device, space, &copy->pushes[i], "unknown");
    sim_copy_settled(copy);
}

void sim_device_fork(struct sim_device *device, size_t space, uint64_t after)
{
    sim_trace(device->sim, "%-7s finds that its id was used elsewhere, up to %llu in %s", device->name, (unsigned long long)after,
              device->sim->spaces[space]);
    give_up(device, space, after);
    if (device->forked_space < 0) device->forked_space = (int)space;
}

/* Nothing of this id can come into being there any more. */
static bool is_known(const struct sim_device *device, size_t space)
{
    const struct sim_copy *copy = &device->store.copies[space];
    if (copy->pushes_count == 0) return true;
    for (size_t i = 0; i < copy->pushes_count; i++)
        if (!copy->pushes[i].settled && copy->pushes[i].first_sent_ms != 0) return false;
    return (int)space == device->forked_space || copy->purged || copy->live;
}

static void number_anew(struct sim_device *device, size_t space)
{
    struct sim_copy *copy = &device->store.copies[space];
    uint64_t after = 0;
    sim_copy_drop_settled(copy);
    for (size_t i = 0; i < copy->pushes_count; i++) {
        struct sim_push *push = &copy->pushes[i];
        struct checker_event event = {.kind = CHECKER_SETTLE, .who = span_text(device->name), .space = span_text(device->sim->spaces[space]),
                                      .id = push->id, .code = SPAN_LITERAL("renumbered")};
        sim_judge_event(device->sim, &event);
        push->id = device->store.next_id++;
        push->after = after;
        push->first_sent_ms = 0;
        after = push->id;
        sim_device_enqueued(device, space, push);
    }
    copy->last_id = after;
    copy->known = copy->sent_id = 0;
}

void sim_device_go_on_forking(struct sim_device *device)
{
    struct sim *sim = device->sim;
    if (device->conn == NULL || !device->welcome) return;
    for (size_t i = 0; i < sim->spaces_count; i++) {
        struct sim_copy *copy = &device->store.copies[i];
        if (is_known(device, i)) continue;
        if (!copy->wanted && !copy->purged) sim_device_open(device, i);
        return;
    }
    bool on = device->wants_on;
    sim_device_stop(device);
    sim_device_new_id(device);
    sim_trace(sim, "%-7s goes on as %s", device->name, device->store.id);
    for (size_t i = 0; i < sim->spaces_count; i++) number_anew(device, i);
    if (on) sim_device_go(device, device->prefers);
}
