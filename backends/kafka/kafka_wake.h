/* A queue of librdkafka on libuv's loop: an event fd that the library writes when an empty queue gets something.
 *
 * USE  `serve` takes everything that is there, or says true to be called again in the loop's next turn. It must leave nothing
 *      unasked: the library writes only once until the queue was empty. One thread, the loop's. */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_WAKE_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_WAKE_H

#include <stdbool.h>

#include <librdkafka/rdkafka.h>
#include <uv.h>

struct kafka_wake {
    uv_poll_t poll;
    int fd;
    rd_kafka_queue_t *queue;
    void *ctx;
    bool (*serve)(void *ctx);
    void (*closed)(void *ctx);
};

/* Takes over a reference of `queue`, also when it fails. False: no file descriptor left. */
bool kafka_wake_open(struct kafka_wake *wake, uv_loop_t *loop, rd_kafka_queue_t *queue, void *ctx, bool (*serve)(void *ctx));
/* Another client's queue in the place of the one there was. */
void kafka_wake_change(struct kafka_wake *wake, rd_kafka_queue_t *queue);
void kafka_wake_drop(struct kafka_wake *wake);  /* lets go of the queue: before its client is destroyed */
/* `closed` comes from the loop. */
void kafka_wake_close(struct kafka_wake *wake, void (*closed)(void *ctx));

#endif
