/* The worker's host: timers and jobs as events. A job runs at one moment and is done at a later one: a kill falls between. */
#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

struct sim_job {
    struct sim_event event;   /* first */
    struct sim_job *next;
    struct sim_host *host;
    struct worker_job *job;
    bool has_run;
};

static struct sim_host *of(struct worker_host *host) { return (struct sim_host *)(void *)host; }

static int64_t now_ms(struct worker_host *host) { return sim_now_ms(of(host)->sim); }

static void ring(struct sim *sim, struct sim_event *event)
{
    struct sim_timer *timer = (struct sim_timer *)(void *)event;
    (void)sim;
    worker_timer(timer->host->base.worker, timer->which);
}

static void arm(struct worker_host *lent, enum worker_timer which, uint64_t in_ms)
{
    struct sim_host *host = of(lent);
    if (host->dead) return;
    sim_queue_put(host->sim, &host->timers[which].event, host->sim->now_us + (int64_t)in_ms * 1000, ring);
}

static void disarm(struct worker_host *lent, enum worker_timer which) { sim_queue_take(of(lent)->sim, &of(lent)->timers[which].event); }

/* ---- jobs ---- */

static void finish(struct sim *sim, struct sim_event *event)
{
    struct sim_job *job = (struct sim_job *)(void *)event, **at = &job->host->jobs;
    struct worker_job *done = job->job;
    (void)sim;
    while (*at != job) at = &(*at)->next;
    *at = job->next;
    free(job);
    done->done(done);
}

static void run(struct sim *sim, struct sim_event *event)
{
    struct sim_job *job = (struct sim_job *)(void *)event;
    job->job->run(job->job);
    job->has_run = true;
    sim_queue_put(sim, &job->event, sim->now_us + sim_delay(sim, SIM_HOST, sim->settings.page), finish);
}

static void work(struct worker_host *lent, enum worker_lane lane, struct worker_job *handed)
{
    struct sim_host *host = of(lent);
    struct sim *sim = host->sim;
    struct sim_job *job = calloc(1, sizeof *job);
    assert(job != NULL);
    job->host = host;
    job->job = handed;
    job->next = host->jobs;
    host->jobs = job;
    if (host->dead) return; /* sim_host_drop() ends it */
    int64_t at_us = sim->now_us;
    if (lane == WORKER_LANE_JOURNAL) {
        if (at_us < host->journal_free_us) at_us = host->journal_free_us;
        at_us += sim_delay(sim, SIM_HOST, sim->settings.journal);
        host->journal_free_us = at_us;
    } else {
        at_us += sim_delay(sim, SIM_HOST, sim->settings.page);
    }
    sim_queue_put(sim, &job->event, at_us, run);
}

static void close_host(struct worker_host *lent, void *ctx, void (*closed)(void *ctx))
{
    struct sim_host *host = of(lent);
    assert(host->jobs == NULL);
    for (int i = 0; i < WORKER_TIMERS; i++) sim_queue_take(host->sim, &host->timers[i].event);
    closed(ctx);
}

static const struct worker_host_ops ops = {now_ms, arm, disarm, work, close_host};

void sim_host_open(struct sim *sim, struct sim_host *host, int worker)
{
    *host = (struct sim_host){.base.ops = &ops, .sim = sim, .worker = worker};
    for (int i = 0; i < WORKER_TIMERS; i++) host->timers[i] = (struct sim_timer){.host = host, .which = (enum worker_timer)i};
}

void sim_host_drop(struct sim_host *host)
{
    assert(host->dead);
    while (host->jobs != NULL) {
        sim_queue_take(host->sim, &host->jobs->event);
        finish(host->sim, &host->jobs->event);
    }
}
