/* Set-up shared by the tests of a device on the C client library: a world, and devices in it. */
#ifndef TIDEGATE_TESTS_SUPPORT_CLIENT_BENCH_H
#define TIDEGATE_TESTS_SUPPORT_CLIENT_BENCH_H

#include "tests/support/client_rig.h"
#include "tests/support/rig.h"

enum { CLIENTS = 4 };

struct bench {
    struct world world;
    char dir[RIG_PATH_BYTES];
    struct client clients[CLIENTS];
    struct client *all[CLIENTS];
    size_t count;
};

int bench_set_up(void **state);
int bench_tear_down(void **state);
struct client *bench_add(struct bench *bench, const char *user);  /* a device that runs */
void bench_settle(struct bench *bench);
void bench_shows(struct client *client, const char *space, const char *collection, const char *id, const char *body); /* NULL: nothing */
void bench_well(enum tide_code code);
struct tide_status bench_status(struct client *client);

#endif
