/* What a shell lends the worker: a clock, four timers and other threads. host_uv.h is libuv's; the simulator has its own.
 *
 * The worker calls a host on its loop's thread alone. INVARIANTS of a host:
 * 1. Nothing calls back from inside a call of the worker's: a timer's ring (worker_timer()) and a job's `done` come later.
 * 2. A job is the host's from work() until its `done`. Jobs of the journal lane run one at a time, in the order handed in:
 *    one at most a partition is under way. Those of the pages lane run in any order, as many at once as the host likes.
 * 3. Every job is done in the end: none is dropped, whatever was closed meanwhile. */
#ifndef TIDEGATE_WORKERS_HOST_H
#define TIDEGATE_WORKERS_HOST_H

#include <stdint.h>

struct worker;

enum worker_timer { WORKER_TIMER_JOURNAL, WORKER_TIMER_PRESENCE, WORKER_TIMER_RETRY, WORKER_TIMER_ROOM, WORKER_TIMERS };
enum worker_lane { WORKER_LANE_JOURNAL, WORKER_LANE_PAGES };

/* Embedded in whatever is to be done; placed by the worker. */
struct worker_job {
    struct worker_job *next;               /* the host's */
    void (*run)(struct worker_job *job);   /* on another thread; touches what the job holds and nothing else of the worker */
    void (*done)(struct worker_job *job);  /* then on the loop; may free the job */
    uint64_t took_us;                      /* of run(), for metrics */
};

struct worker_host;
struct worker_host_ops {
    int64_t (*now_ms)(struct worker_host *host); /* any steady or wall clock: presence's grace */
    /* Rings once, `in_ms` from now; arming again moves it. */
    void (*arm)(struct worker_host *host, enum worker_timer timer, uint64_t in_ms);
    void (*disarm)(struct worker_host *host, enum worker_timer timer);
    void (*work)(struct worker_host *host, enum worker_lane lane, struct worker_job *job);
    /* Nothing is under way. `closed` comes when the host is gone. */
    void (*close)(struct worker_host *host, void *ctx, void (*closed)(void *ctx));
};
/* Whoever implements one embeds the struct and sets `ops`; worker_open() sets `worker`. */
struct worker_host {
    const struct worker_host_ops *ops;
    struct worker *worker;
};

#endif
