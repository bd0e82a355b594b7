/* The worker's host on libuv: its timers, a thread for the journal, libuv's pool for pages. The only file of workers/ that
 * knows libuv.
 *
 * At most RUNNERS_MAX pages are in libuv's queue at once; the others wait here (their number is PAGES_RUNNING_MAX at most). */
#ifndef TIDEGATE_WORKERS_HOST_UV_H
#define TIDEGATE_WORKERS_HOST_UV_H

#include "core/err.h"
#include "workers/host.h"

struct uv_loop_s; /* uv_loop_t */

/* It is closed by its worker (worker_close()). Without threads or descriptors at start: ERR_INTERNAL, and the process ends. */
enum err host_uv_open(struct uv_loop_s *loop, int64_t (*now_ms)(void), struct worker_host **ret_host);

#endif
