#include "backends/redis/redis_poll.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <uv.h>

struct redis_poll {
    uv_poll_t handle;
    redisAsyncContext *redis; /* NULL: hiredis has let go */
    int events;
    void *ctx;
    void (*gone)(void *ctx);
};

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct redis_poll *poll = handle->data;
    if (status != 0) events = poll->events; /* libuv has stopped polling: who waits shall see why */
    if (poll->redis != NULL && events & UV_READABLE) redisAsyncHandleRead(poll->redis);
    if (poll->redis != NULL && events & UV_WRITABLE) redisAsyncHandleWrite(poll->redis);
}

static void want(struct redis_poll *poll, int events)
{
    if (events == poll->events) return;
    poll->events = events;
    if (events == 0) uv_poll_stop(&poll->handle);
    else uv_poll_start(&poll->handle, events, on_poll);
}

static void add_read(void *data) { want(data, ((struct redis_poll *)data)->events | UV_READABLE); }
static void add_write(void *data) { want(data, ((struct redis_poll *)data)->events | UV_WRITABLE); }
static void remove_read(void *data) { want(data, ((struct redis_poll *)data)->events & ~UV_READABLE); }
static void remove_write(void *data) { want(data, ((struct redis_poll *)data)->events & ~UV_WRITABLE); }

static void on_closed(uv_handle_t *handle)
{
    struct redis_poll *poll = handle->data;
    void *ctx = poll->ctx;
    void (*gone)(void *) = poll->gone;
    free(poll);
    gone(ctx);
}

static void clean_up(void *data)
{
    struct redis_poll *poll = data;
    poll->redis = NULL;
    uv_close((uv_handle_t *)&poll->handle, on_closed);
}

bool redis_poll_attach(struct redisAsyncContext *redis, struct uv_loop_s *loop, void *ctx, void (*gone)(void *ctx))
{
    struct redis_poll *poll = calloc(1, sizeof *poll);
    if (poll == NULL) return false;
    if (uv_poll_init_socket(loop, &poll->handle, redis->c.fd) != 0) {
        free(poll);
        return false;
    }
    poll->handle.data = poll;
    poll->redis = redis;
    poll->ctx = ctx;
    poll->gone = gone;
    redis->ev.data = poll;
    redis->ev.addRead = add_read;
    redis->ev.delRead = remove_read;
    redis->ev.addWrite = add_write;
    redis->ev.delWrite = remove_write;
    redis->ev.cleanup = clean_up;
    return true;
}
