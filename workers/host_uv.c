#include "workers/host_uv.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

#include "workers/worker.h"

enum { RUNNERS_MAX = 16 };

struct queue {
    struct worker_job *first, *last;
};

/* A page in libuv's pool. */
struct runner {
    uv_work_t work; /* first */
    struct host_uv *host;
    struct worker_job *job;
    struct runner *next_free;
};

struct host_timer {
    uv_timer_t timer; /* first */
    struct host_uv *host;
    enum worker_timer which;
};

struct host_uv {
    struct worker_host host; /* first */
    uv_loop_t *loop;
    int64_t (*now_ms)(void);
    struct host_timer timers[WORKER_TIMERS];
    /* pages */
    struct runner runners[RUNNERS_MAX];
    struct runner *free_first;
    struct queue waiting;
    /* the journal: the two queues and `stopping` under the lock */
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    struct queue asked, done;
    bool stopping;
    uv_async_t async;
    unsigned handles;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

static struct host_uv *of(struct worker_host *host) { return (struct host_uv *)(void *)host; }

static void push(struct queue *queue, struct worker_job *job)
{
    job->next = NULL;
    if (queue->last == NULL) queue->first = job;
    else queue->last->next = job;
    queue->last = job;
}

static struct worker_job *pull(struct queue *queue)
{
    struct worker_job *job = queue->first;
    if (job != NULL) queue->first = job->next;
    if (queue->first == NULL) queue->last = NULL;
    return job;
}

static void run_timed(struct worker_job *job)
{
    uint64_t began_ns = uv_hrtime();
    job->run(job);
    job->took_us = (uv_hrtime() - began_ns) / 1000;
}

/* ---- clock and timers ---- */

static int64_t now_ms(struct worker_host *host) { return of(host)->now_ms(); }

static void on_timer(uv_timer_t *timer)
{
    struct host_timer *rung = (struct host_timer *)(void *)timer;
    worker_timer(rung->host->host.worker, rung->which);
}

static void arm(struct worker_host *host, enum worker_timer which, uint64_t in_ms)
{
    uv_timer_start(&of(host)->timers[which].timer, on_timer, in_ms, 0);
}

static void disarm(struct worker_host *host, enum worker_timer which) { uv_timer_stop(&of(host)->timers[which].timer); }

/* ---- pages ---- */

static void run_page(uv_work_t *work) { run_timed(((struct runner *)(void *)work)->job); }

static void begin_page(struct host_uv *host, struct worker_job *job);

static void on_page(uv_work_t *work, int status)
{
    struct runner *runner = (struct runner *)(void *)work;
    struct host_uv *host = runner->host;
    struct worker_job *job = runner->job, *next = pull(&host->waiting);
    assert(status == 0); /* jobs are never cancelled */
    runner->next_free = host->free_first;
    host->free_first = runner;
    if (next != NULL) begin_page(host, next);
    job->done(job);
}

static void begin_page(struct host_uv *host, struct worker_job *job)
{
    struct runner *runner = host->free_first;
    host->free_first = runner->next_free;
    runner->job = job;
    int code = uv_queue_work(host->loop, &runner->work, run_page, on_page);
    assert(code == 0);
}

/* ---- the journal ---- */

static void run_journal(void *ctx)
{
    struct host_uv *host = ctx;
    for (;;) {
        uv_mutex_lock(&host->lock);
        while (host->asked.first == NULL && !host->stopping) uv_cond_wait(&host->wake, &host->lock);
        struct worker_job *job = pull(&host->asked);
        uv_mutex_unlock(&host->lock);
        if (job == NULL) return;
        run_timed(job);
        uv_mutex_lock(&host->lock);
        push(&host->done, job);
        uv_mutex_unlock(&host->lock);
        uv_async_send(&host->async);
    }
}

static void on_async(uv_async_t *async)
{
    struct host_uv *host = async->data;
    uv_mutex_lock(&host->lock);
    struct worker_job *job = host->done.first, *next;
    host->done = (struct queue){NULL, NULL};
    uv_mutex_unlock(&host->lock);
    for (; job != NULL; job = next) {
        next = job->next;
        job->done(job);
    }
}

static void work(struct worker_host *lent, enum worker_lane lane, struct worker_job *job)
{
    struct host_uv *host = of(lent);
    if (lane == WORKER_LANE_PAGES) {
        if (host->free_first != NULL) begin_page(host, job);
        else push(&host->waiting, job);
        return;
    }
    uv_mutex_lock(&host->lock);
    push(&host->asked, job);
    uv_cond_signal(&host->wake);
    uv_mutex_unlock(&host->lock);
}

/* ---- opening and closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct host_uv *host = handle->data;
    if (--host->handles != 0) return;
    void *ctx = host->closed_ctx;
    void (*closed)(void *) = host->closed;
    uv_mutex_destroy(&host->lock);
    uv_cond_destroy(&host->wake);
    free(host);
    closed(ctx);
}

static void host_close(struct worker_host *lent, void *ctx, void (*closed)(void *ctx))
{
    struct host_uv *host = of(lent);
    uv_mutex_lock(&host->lock);
    assert(host->asked.first == NULL && host->done.first == NULL);
    host->stopping = true;
    uv_cond_signal(&host->wake);
    uv_mutex_unlock(&host->lock);
    uv_thread_join(&host->thread);
    host->closed_ctx = ctx;
    host->closed = closed;
    host->handles = WORKER_TIMERS + 1;
    for (int i = 0; i < WORKER_TIMERS; i++) uv_close((uv_handle_t *)&host->timers[i].timer, on_closed);
    uv_close((uv_handle_t *)&host->async, on_closed);
}

static const struct worker_host_ops ops = {now_ms, arm, disarm, work, host_close};

static void init_parts(struct host_uv *host)
{
    for (int i = 0; i < WORKER_TIMERS; i++) {
        uv_timer_init(host->loop, &host->timers[i].timer);
        host->timers[i].timer.data = host->timers[i].host = host;
        host->timers[i].which = (enum worker_timer)i;
    }
    for (int i = 0; i < RUNNERS_MAX; i++) {
        host->runners[i].host = host;
        host->runners[i].next_free = host->free_first;
        host->free_first = &host->runners[i];
    }
}

enum err host_uv_open(struct uv_loop_s *loop, int64_t (*clock_ms)(void), struct worker_host **ret_host)
{
    struct host_uv *host = calloc(1, sizeof *host);
    if (host == NULL) return ERR_MEMORY;
    host->host.ops = &ops;
    host->loop = loop;
    host->now_ms = clock_ms;
    init_parts(host);
    int code = uv_mutex_init(&host->lock);
    if (code == 0) code = uv_cond_init(&host->wake);
    if (code == 0) code = uv_async_init(loop, &host->async, on_async);
    host->async.data = host;
    if (code == 0) code = uv_thread_create(&host->thread, run_journal, host);
    if (code != 0) return ERR_INTERNAL; /* the process ends, and this with it */
    *ret_host = &host->host;
    return ERR_OK;
}
