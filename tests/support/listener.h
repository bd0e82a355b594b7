/* A port of loopback on which a thread of the test answers, or on which nobody does. */
#ifndef TIDEGATE_TESTS_SUPPORT_LISTENER_H
#define TIDEGATE_TESTS_SUPPORT_LISTENER_H

#include <pthread.h>
#include <stdbool.h>

struct listener {
    int fd, port;
    bool answers;
    pthread_t thread;
};

/* `serve` accepts from the listener's fd until that fails, and returns; NULL: the port is bound, so that nobody else gets it, and
 * connections are refused. Ends the process where the machine has no port or thread. */
void listener_begin(struct listener *listener, void *(*serve)(void *ctx), void *ctx);
void listener_end(struct listener *listener); /* waits for `serve` */

#endif
