/* hiredis on libuv. The adapter that comes with hiredis 0.14 swallows errors of the poll: a connection that was refused or reset is never
 * reported, and what was asked waits for ever. Here an error is handed on as readiness, so that hiredis meets it by itself. */
#ifndef TIDEGATE_BACKENDS_REDIS_REDIS_POLL_H
#define TIDEGATE_BACKENDS_REDIS_REDIS_POLL_H

#include <stdbool.h>

struct redisAsyncContext;
struct uv_loop_s;

/* False: out of memory, or no socket. `gone` is called from the loop when nothing of the adapter is left, after hiredis has let go. */
bool redis_poll_attach(struct redisAsyncContext *redis, struct uv_loop_s *loop, void *ctx, void (*gone)(void *ctx));

#endif
