/* A run from its first line to the judge's word. */
#include "tests/sim/sim_lib.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUIET_CHECKS = 4, CHECK_US = 300000, SETTLE_US = 15000000, CONVERGE_US = 200000000 };

static struct sim the_sim;
struct sim *sim_current(void) { return &the_sim; }

size_t sim_space(struct sim *sim, struct span name)
{
    for (size_t i = 0; i < sim->spaces_count; i++)
        if (span_is(name, sim->spaces[i])) return i;
    assert(sim->spaces_count < SIM_SPACES_MAX && name.bytes > 0 && name.bytes < SIM_NAME_BYTES);
    memcpy(sim->spaces[sim->spaces_count], name.at, name.bytes);
    return sim->spaces_count++;
}

/* ---- beginning ---- */

static void init(struct sim *sim, struct buf *out)
{
    memset(sim, 0, sizeof *sim);
    sim->out = out;
    sim->rules = 1;
    sim->settings = (struct sim_settings){
        .seed = 1, .gateways = 1, .workers = 1, .partitions = 1, .fsync = true, .net = {5000, 5000}, .append = {2000, 2000},
        .link = {1000, 1000}, .journal = {3000, 3000}, .page = {1000, 1000}, .deliver = {1000, 1000}};
}

static bool is_ready(const struct sim *sim)
{
    for (int i = 0; i < sim->settings.gateways; i++)
        if (!hub_ready(sim->gateways[i].hub)) return false;
    for (uint32_t p = 0; p < sim->log.partitions; p++)
        if (sim->workers[sim->log.parts[p].owner].disks[p].next_offset < 2) return false; /* its namespaces are in force */
    return true;
}

void sim_begin(struct sim *sim)
{
    if (sim->begun) return;
    sim->begun = true;
    for (int i = 0; i < SIM_STREAMS; i++) sim->streams[i].state = sim->settings.seed * UINT64_C(0x2545f4914f6cdd1d) + (uint64_t)i;
    sim_log_init(sim);
    sim_link_open(sim);
    sim_judge_open(sim);
    for (int i = 0; i < SIM_GATEWAYS_MAX; i++) sim_registry_open(sim, i, &sim->gateways[i].registry);
    for (int i = 0; i < sim->settings.workers; i++) {
        sim->workers[i].rules = sim->rules;
        sim_worker_start(sim, i);
    }
    for (int i = 0; i < sim->settings.gateways; i++) sim_gateway_start(sim, i);
    sim_queue_take(sim, &sim->log.balance);
    for (uint32_t p = 0; p < sim->log.partitions; p++) sim_log_assign(sim, p, (int)(p % (uint32_t)sim->settings.workers));
    for (int i = 0; i < 2000 && !is_ready(sim); i++) sim_pass(sim, 10000);
    if (!is_ready(sim)) sim_fail(sim, "nobody is ready");
}

/* ---- passing ---- */

void sim_pass(struct sim *sim, int64_t us)
{
    int64_t until_us = sim->now_us + us;
    while (sim->why[0] == '\0' && sim_queue_step(sim, until_us)) continue;
    if (sim->now_us < until_us) sim->now_us = until_us;
}

void sim_leap(struct sim *sim, int64_t ms)
{
    sim_trace(sim, "------- %lld s go by in which nothing moves", (long long)(ms / 1000));
    sim_edge_cut_all(sim); /* no connection outlives that, and no append waits for so long */
    for (int g = 0; g < sim->settings.gateways; g++)
        if (sim->gateways[g].alive) sim_writer_give_up(&sim->gateways[g].writer);
    sim->now_us += ms * 1000;
    for (size_t i = 0; i < sim->devices_count; i++) {
        struct sim_device *device = &sim->devices[i];
        if (device->restored_ms == 0 || sim_now_ms(sim) - device->restored_ms < SIM_BACKUP_MS_MAX) continue;
        sim_trace(sim, "%-7s has a restored store that is too old to go on from", device->name);
        sim_device_reinstall(device);
    }
}

static bool lanes_are_empty(const struct sim_writer *writer)
{
    for (int i = 0; i < SIM_PARTITIONS_MAX; i++)
        if (writer->lanes[i].first != NULL) return false;
    return true;
}

static bool is_quiet(const struct sim *sim)
{
    for (size_t i = 0; i < sim->devices_count; i++)
        if (!sim_device_is_idle(&sim->devices[i])) return false;
    for (int i = 0; i < sim->settings.gateways; i++)
        if (sim->gateways[i].alive && !lanes_are_empty(&sim->gateways[i].writer)) return false;
    for (uint32_t p = 0; p < sim->log.partitions; p++) {
        const struct sim_partition *part = &sim->log.parts[p];
        if (part->owner < 0 || part->moving_to >= 0) return false;
        const struct sim_worker *worker = &sim->workers[part->owner];
        if (worker->alive && !worker->failed && worker->disks[p].next_offset != part->next) return false;
        if (worker->alive && !lanes_are_empty(&worker->rules_writer)) return false;
    }
    return true;
}

static bool settle(struct sim *sim, int64_t most_us)
{
    int64_t until_us = sim->now_us + most_us;
    for (int quiet = 0; sim->now_us < until_us && sim->why[0] == '\0';) {
        sim_pass(sim, CHECK_US);
        quiet = is_quiet(sim) ? quiet + 1 : 0;
        if (quiet == QUIET_CHECKS) return true;
    }
    return false;
}

void sim_settle(struct sim *sim) { (void)settle(sim, SETTLE_US); }

/* ---- ending ---- */

void sim_calm(struct sim *sim)
{
    sim->calm = true;
    sim->log.down = sim->registry_down = false;
    sim->log.fail_next = sim->log.lose_next = sim->log.double_next = 0;
    sim_judge_calm(sim);
    for (uint32_t p = 0; p < sim->log.partitions; p++) {
        sim_journal_decide(sim, p, false);
        if (sim->log.parts[p].torn) sim_journal_tear(sim, p, false);
    }
    for (int g = 0; g < sim->settings.gateways; g++) sim->gateways[g].writer.held = false;
    for (int g = 0; g < sim->settings.gateways; g++)
        for (int w = 0; w < sim->settings.workers; w++) sim_link_cut(sim, g, w, false);
    for (int w = 0; w < sim->settings.workers; w++) {
        struct sim_worker *worker = &sim->workers[w];
        worker->dies_at_commit = worker->dies_amid_commit = false;
        if (worker->dying) sim_worker_kill(sim, w);
        if (worker->alive && worker->isolated) {
            worker->isolated = false;
            sim_reader_learn(&worker->reader);
        }
        sim_worker_rules(sim, w, sim->rules);
        sim_worker_start(sim, w);
    }
    for (int g = 0; g < sim->settings.gateways; g++) sim_gateway_start(sim, g);
    for (size_t i = 0; i < sim->devices_count; i++) {
        sim->devices[i].slow = false;
        sim_device_go(&sim->devices[i], -1);
    }
}

static void tell_what_waits(struct sim *sim, char *why, size_t room)
{
    size_t at = (size_t)snprintf(why, room, "waited for in vain:");
    for (size_t i = 0; i < sim->devices_count; i++) {
        const struct sim_device *device = &sim->devices[i];
        if (sim_device_is_idle(device) || at >= room) continue;
        if (device->lib != NULL) at += (size_t)snprintf(why + at, room - at, " (on the library, %s, %zu pushes)", sync_state_name(sync_state(device->lib->tide->sync)), device->lib->outbox_count);
        if (at >= room) break;
        at += (size_t)snprintf(why + at, room - at, " %s%s", device->name, device->welcome ? "" : " is not welcome");
        for (size_t k = 0; k < sim->spaces_count && at < room; k++) {
            const struct sim_copy *copy = &device->store.copies[k];
            if (copy->pushes_count > 0 || (copy->wanted && (!copy->live || copy->in_run)))
                at += (size_t)snprintf(why + at, room - at, " (%s: live %d, in a run %d, %zu pushes)", sim->spaces[k], copy->live, copy->in_run, copy->pushes_count);
        }
    }
    for (uint32_t p = 0; p < sim->log.partitions && at < room; p++) {
        const struct sim_partition *part = &sim->log.parts[p];
        const struct sim_worker *worker = part->owner < 0 ? NULL : &sim->workers[part->owner];
        if (worker == NULL) at += (size_t)snprintf(why + at, room - at, " p%u has no owner", p);
        else if (worker->disks[p].next_offset != part->next || worker->failed)
            at += (size_t)snprintf(why + at, room - at, " p%u: stored to %llu of %llu by w%d%s%s", p, (unsigned long long)worker->disks[p].next_offset,
                                   (unsigned long long)part->next, worker->at + 1, worker->failed ? ", which failed: " : "", worker->failure);
    }
}

static void finish(struct sim *sim)
{
    char why[SIM_WHY_BYTES];
    sim_begin(sim);
    if (sim->stopped || sim->why[0] != '\0') return;
    if (!sim->calm) sim_calm(sim);
    if (!settle(sim, CONVERGE_US) && sim->why[0] == '\0') {
        tell_what_waits(sim, why, sizeof why);
        sim_fail(sim, "%s", why);
        return;
    }
    if (sim->why[0] == '\0') sim_judge_end(sim);
}

static void fini(struct sim *sim)
{
    for (int i = 0; i < SIM_GATEWAYS_MAX; i++) sim_gateway_kill(sim, i);
    for (int i = 0; i < SIM_WORKERS_MAX; i++) {
        sim_worker_kill(sim, i);
        for (int p = 0; p < SIM_PARTITIONS_MAX; p++) {
            sim_store_fini(&sim->workers[i].disks[p]);
            sim_store_fini(&sim->workers[i].making[p]);
        }
    }
    for (size_t i = 0; i < sim->devices_count; i++) sim_device_fini(&sim->devices[i]);
    sim_edge_fini(sim);
    sim_http_fini(sim);
    sim_link_fini(sim);
    sim_log_fini(sim);
    sim_registry_fini(sim);
    sim_judge_close(sim);
    sim_queue_fini(sim);
}

void sim_run(const struct sim_plan *plan, const bool *dropped, struct buf *out, struct sim_result *ret_result)
{
    struct sim *sim = &the_sim;
    init(sim, out);
    for (size_t i = 0; i < plan->count && sim->why[0] == '\0' && !sim->stopped; i++) {
        if (dropped != NULL && dropped[i]) continue;
        sim->line = i + 1;
        sim_line_run(sim, plan->lines[i]);
    }
    finish(sim);
    *ret_result = (struct sim_result){.hash = sim->hash, .events = sim->events, .checks = sim->checks, .virtual_ms = sim->now_us / 1000};
    memcpy(ret_result->why, sim->why, sizeof ret_result->why);
    sim->out = NULL; /* what goes on while all is taken down is nobody's business */
    fini(sim);
}
