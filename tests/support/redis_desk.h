/* A real redis-server of the test's own, that can be hung, killed, emptied and started again on its port; and a connection to look into it. */
#ifndef TIDEGATE_TESTS_SUPPORT_REDIS_DESK_H
#define TIDEGATE_TESTS_SUPPORT_REDIS_DESK_H

#include <stdbool.h>
#include <sys/types.h>

#include "tests/support/rig.h"

struct redis_desk {
    char dir[RIG_PATH_BYTES];
    int port;
    char address[32];
    pid_t pid;      /* 0: it does not run */
    void *look;     /* a redisContext */
};

void redis_desk_init(struct redis_desk *desk);  /* chooses a port; nothing runs yet */
void redis_desk_start(struct redis_desk *desk); /* and waits until it answers */
void redis_desk_stop(struct redis_desk *desk);  /* kill -9: it keeps nothing */
void redis_desk_hang(struct redis_desk *desk, bool hung);
void redis_desk_fini(struct redis_desk *desk);
/* A command's reply as text: strings and numbers as they are, nil "", an array's elements with blanks between. */
const char *redis_desk_ask(struct redis_desk *desk, const char *format, ...);

#endif
