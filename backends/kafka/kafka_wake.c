#include "backends/kafka/kafka_wake.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void ring(struct kafka_wake *wake)
{
    uint64_t one = 1;
    ssize_t written = write(wake->fd, &one, sizeof one);
    (void)written; /* full: it rings already */
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct kafka_wake *wake = poll->data;
    uint64_t count;
    (void)events;
    if (status < 0) return;
    ssize_t got = read(wake->fd, &count, sizeof count);
    (void)got; /* nothing there: somebody else's turn took it */
    if (wake->queue != NULL && wake->serve(wake->ctx)) ring(wake);
}

void kafka_wake_change(struct kafka_wake *wake, rd_kafka_queue_t *queue)
{
    static const uint64_t one = 1;
    kafka_wake_drop(wake);
    wake->queue = queue;
    rd_kafka_queue_io_event_enable(queue, wake->fd, &one, sizeof one);
    ring(wake); /* what came before */
}

bool kafka_wake_open(struct kafka_wake *wake, uv_loop_t *loop, rd_kafka_queue_t *queue, void *ctx, bool (*serve)(void *ctx))
{
    wake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake->fd < 0 || uv_poll_init(loop, &wake->poll, wake->fd) != 0) {
        if (wake->fd >= 0) close(wake->fd);
        rd_kafka_queue_destroy(queue);
        return false;
    }
    wake->poll.data = wake;
    wake->ctx = ctx;
    wake->serve = serve;
    wake->queue = NULL;
    kafka_wake_change(wake, queue);
    uv_poll_start(&wake->poll, UV_READABLE, on_poll);
    return true;
}

void kafka_wake_drop(struct kafka_wake *wake)
{
    if (wake->queue == NULL) return;
    rd_kafka_queue_io_event_enable(wake->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(wake->queue);
    wake->queue = NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct kafka_wake *wake = handle->data;
    close(wake->fd);
    wake->closed(wake->ctx);
}

void kafka_wake_close(struct kafka_wake *wake, void (*closed)(void *ctx))
{
    kafka_wake_drop(wake);
    wake->closed = closed;
    uv_close((uv_handle_t *)&wake->poll, on_closed);
}
