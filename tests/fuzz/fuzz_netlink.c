/* What the kernel sends of routes, interfaces and addresses, or anybody in its place: reading stays inside it, and comes to the same each time. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/work_netlink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct work_netlink found = {.ways_count = 0}, again = {.ways_count = 0};
    unsigned char *copy = malloc(size > 0 ? size : 1);
    assert(copy != NULL);
    if (size > 0) memcpy(copy, data, size);
    bool more = work_netlink_take(&found, copy, size);
    assert(work_netlink_take(&again, copy, size) == more && again.stamp == found.stamp && again.ways_count == found.ways_count);
    assert(found.ways_count <= WORK_NETLINK_WAYS && found.messages <= WORK_NETLINK_MESSAGES + 1);
    for (size_t i = 0; i < found.ways_count; i++) {
        assert(found.ways[i].link != 0 && memchr(found.ways[i].name, 0, sizeof found.ways[i].name) != NULL);
        (void)work_netlink_is_out(&found, i);
    }
    free(copy);
    return 0;
}
