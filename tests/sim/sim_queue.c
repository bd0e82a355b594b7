/* The queue of events: a binary heap by (time, order of coming). */
#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void place(struct sim *sim, size_t at, struct sim_event *event)
{
    sim->heap[at] = event;
    event->heap_at = at + 1;
}

static void rise(struct sim *sim, size_t at, struct sim_event *event)
{
    while (at > 0 && is_before(event, sim->heap[(at - 1) / 2])) {
        place(sim, at, sim->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(sim, at, event);
}

static void sink(struct sim *sim, size_t at, struct sim_event *event)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= sim->heap_count) break;
        if (child + 1 < sim->heap_count && is_before(sim->heap[child + 1], sim->heap[child])) child++;
        if (!is_before(sim->heap[child], event)) break;
        place(sim, at, sim->heap[child]);
        at = child;
    }
    place(sim, at, event);
}

void sim_queue_put(struct sim *sim, struct sim_event *event, int64_t at_us, void (*fire)(struct sim *, struct sim_event *))
{
    sim_queue_take(sim, event);
    if (sim->heap_count == sim->heap_room) {
        sim->heap_room = sim->heap_room == 0 ? 256 : sim->heap_room * 2;
        sim->heap = realloc(sim->heap, sim->heap_room * sizeof(struct sim_event *));
        assert(sim->heap != NULL);
    }
    event->at_us = at_us < sim->now_us ? sim->now_us : at_us;
    event->order = sim->order++;
    event->fire = fire;
    rise(sim, sim->heap_count++, event);
}

void sim_queue_take(struct sim *sim, struct sim_event *event)
{
    if (event->heap_at == 0) return;
    size_t at = event->heap_at - 1;
    struct sim_event *last = sim->heap[--sim->heap_count];
    event->heap_at = 0;
    if (last == event) return;
    if (at > 0 && is_before(last, sim->heap[(at - 1) / 2])) rise(sim, at, last);
    else sink(sim, at, last);
}

bool sim_queue_step(struct sim *sim, int64_t until_us)
{
    if (sim->heap_count == 0 || sim->heap[0]->at_us > until_us) return false;
    struct sim_event *event = sim->heap[0];
    sim_queue_take(sim, event);
    if (event->at_us > sim->now_us) sim->now_us = event->at_us; /* after a leap there is what should have been long ago */
    sim->events++;
    event->fire(sim, event);
    return true;
}

void sim_queue_fini(struct sim *sim) { free(sim->heap); }
