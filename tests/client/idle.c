/* A device that is live and has nothing to do: how often does that wake it? Counted are the calls of poll() that had to sleep: this
 * program's own is in the place of the C library's.
 *
 *     idle DB URL TOKEN SPACE SECONDS      prints how often, and in how many milliseconds, once it was whole */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "client/tidegate.h"

enum { WHOLE_MS = 60000 };

static bool is_whole(void *ctx)
{
    struct tide_status status;
    tide_status(ctx, &status);
    return status.whole;
}

static unsigned sleeps;

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    const struct timespec none = {0, 0}, wait = {timeout / 1000, timeout % 1000 * 1000000L};
    int ready = ppoll(fds, count, &none, NULL);
    if (ready != 0 || timeout == 0) return ready;
    sleeps++;
    return ppoll(fds, count, timeout < 0 ? NULL : &wait, NULL);
}

int main(int argc, char **argv)
{
    struct tide *tide;
    char why[256];
    if (argc != 6) return 64;
    struct tide_options options = {.path = argv[1], .url = argv[2], .token = argv[3]};
    if (tide_open(&options, &tide, why, sizeof why) != TIDE_OK || tide_subscribe(tide, argv[4], NULL) != TIDE_OK || tide_start(tide, TIDE_BOTH) != TIDE_OK) return 2;
    if (!tide_run(tide, WHOLE_MS, is_whole, tide)) return 3;
    tide_run(tide, 1000, NULL, NULL); /* what is still on its way */
    int64_t began = clock_monotonic_ms();
    sleeps = 0;
    tide_run(tide, strtol(argv[5], NULL, 10) * 1000, NULL, NULL);
    printf("{\"wakes\":%u,\"ms\":%lld,\"live\":%s}\n", sleeps, (long long)(clock_monotonic_ms() - began), is_whole(tide) ? "true" : "false");
    tide_close(tide);
    return 0;
}
