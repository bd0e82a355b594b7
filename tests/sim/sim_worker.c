/* A worker's process: started, killed at any moment, its disk lost or set back. */
#include <assert.h>
#include <stdio.h>

#include "tests/sim/sim.h"

static void say(void *ctx, const char *event, const char *details)
{
    struct sim_worker *worker = ctx;
    sim_trace(sim_current(), "w%d      %s %s", worker->at + 1, event, details);
}

/* A partition that cannot go on: the process says so, and its operator looks. A plan says what he does. */
static void failed(void *ctx, enum err err, const char *why)
{
    struct sim_worker *worker = ctx;
    worker->failed = true;
    snprintf(worker->failure, sizeof worker->failure, "%s: %s", err_name(err), why);
}

static void put_rules(struct sim *sim, struct sim_worker *worker)
{
    struct span texts[8];
    char why[256];
    size_t count = sim_rules_texts(worker->rules, texts, sizeof texts / sizeof *texts);
    enum err err = worker_namespaces_put(worker->worker, texts, count, why, sizeof why);
    if (err != ERR_OK) sim_fail(sim, "the namespaces are refused: %s", why);
}

void sim_worker_start(struct sim *sim, int at)
{
    struct sim_worker *worker = &sim->workers[at];
    char dir[16];
    if (worker->alive) return;
    worker->at = at;
    worker->alive = true;
    worker->failed = worker->isolated = worker->dying = worker->dies_at_commit = worker->dies_amid_commit = false;
    sim_journal_open(&worker->journal);
    sim_trace(sim, "w%d      starts", at + 1);
    sim_host_open(sim, &worker->host, at);
    sim_reader_open(sim, &worker->reader, at);
    sim_writer_open(sim, &worker->rules_writer);
    sim_link_worker_end(sim, at, &worker->link);
    snprintf(dir, sizeof dir, "sim/%d", at);
    struct worker_options options = {.host = &worker->host.base, .reader = &worker->reader.base, .rules_writer = &worker->rules_writer.base,
                                     .link = &worker->link, .registry = &sim->gateways[0].registry, .data_dir = dir, .fsync = sim->settings.fsync,
                                     .journal = sim->settings.journaled ? &worker->journal : NULL, .shares_partitions = sim->settings.workers > 1,
                                     .gateways_outlive = !sim->settings.serve, .say = sim->out == NULL ? NULL : say, .say_ctx = worker,
                                     .failed = failed};
    enum err err = worker_open(&options, &worker->worker);
    assert(err == ERR_OK);
    put_rules(sim, worker);
    sim_link_alive(sim, -1, at);
    sim_log_balance(sim);
}

void sim_worker_rules(struct sim *sim, int at, unsigned rules)
{
    struct sim_worker *worker = &sim->workers[at];
    worker->rules = rules;
    if (worker->alive) put_rules(sim, worker);
}

static void closed(void *ctx) { ((struct sim_worker *)ctx)->worker = NULL; }

/* Nothing of what it still does on its way out has any effect: all its ends are dead before. */
void sim_worker_kill(struct sim *sim, int at)
{
    struct sim_worker *worker = &sim->workers[at];
    if (!worker->alive) return;
    sim_trace(sim, "w%d      is killed", at + 1);
    worker->alive = false;
    sim_queue_take(sim, &worker->death);
    sim_link_dead(sim, -1, at);
    worker->host.dead = true;
    sim_reader_kill(&worker->reader);
    sim_writer_kill(&worker->rules_writer);
    worker_close(worker->worker, worker, closed);
    while (worker->worker != NULL) sim_host_drop(&worker->host);
    sim_log_worker_gone(sim, at);
}

void sim_worker_lose_disk(struct sim *sim, int at)
{
    assert(!sim->workers[at].alive);
    sim_trace(sim, "w%d      loses its disk", at + 1);
    for (int p = 0; p < SIM_PARTITIONS_MAX; p++) sim_store_fini(&sim->workers[at].disks[p]);
}

void sim_worker_lose_unsynced(struct sim *sim, int at)
{
    assert(!sim->workers[at].alive);
    for (int p = 0; p < SIM_PARTITIONS_MAX; p++) {
        struct sim_disk *disk = &sim->workers[at].disks[p];
        disk->doubtful = disk->made && sim->settings.journaled;
        if (disk->doubtful) sim_trace(sim, "w%d      store-%d was open when the machine went down", at + 1, p);
        if (!disk->has_older || disk->doubtful) continue;
        sim_trace(sim, "w%d      store-%d goes back from %llu to %llu", at + 1, p, (unsigned long long)disk->next_offset,
                  (unsigned long long)disk->older_next);
        map_state_fini(&disk->state);
        disk->state = disk->older;
        disk->older = (struct map_state){0};
        disk->next_offset = disk->older_next;
        disk->last_hash = disk->older_hash;
        disk->has_older = false;
    }
}
