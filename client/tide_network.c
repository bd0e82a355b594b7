/* What the system says of the network by itself: a change is looked at, and where a way out came or became another one, what waits
 * for its next attempt makes it at once. Nothing is ever taken for unreachable by this: a server may be on this very machine.
 *
 * Changes come in bursts (link, address, route), and where containers come and go by the hundred: they are looked at LOOK_MS after the
 * first of a burst. */
#include "client/tide_parts.h"
#include "client/work_netlink.h"

enum { LOOK_MS = 200 };

/* Is there a way out, and which? 0: none. */
static uint64_t way_out(const struct tide *tide)
{
    struct work_netlink found;
    if (tide->machine.network != NULL) return tide->machine.network(tide->machine.ctx);
    if (!work_netlink_ask(&found)) return 0;
    for (size_t i = 0; i < found.ways_count; i++)
        if (work_netlink_is_out(&found, i)) return found.stamp | 1;
    return 0;
}

void tide_network_watch(struct tide *tide)
{
    if (tide->system_root != NULL && tide->system_root[0] != '\0') return; /* as a test has it, or a container: no kernel speaks for that */
    int fd = tide->machine.network_watch != NULL ? tide->machine.network_watch(tide->machine.ctx) : work_netlink_watch();
    if (fd < 0 || !transport_watch_network(tide->transport, fd)) return;
    tide->network_fd = fd;
    tide->way_out = way_out(tide);
}

void tide_network_stirred(struct tide *tide)
{
    bool news = work_netlink_drain(tide->network_fd);
    if (news && tide->network_look_ms == SYNC_NEVER) tide->network_look_ms = tide_now(tide).boot_ms + LOOK_MS;
}

void tide_network_look(struct tide *tide)
{
    uint64_t before = tide->way_out;
    tide->network_look_ms = SYNC_NEVER;
    tide->way_out = way_out(tide);
    if (tide->way_out == 0 || tide->way_out == before) return;
    /* An attempt under way is by the way that was. */
    if (sync_state(tide->sync) == SYNC_CONNECTING && tide->transport != NULL) transport_disconnect(tide->transport);
    struct store_moment now = tide_now(tide);
    sync_network_came(tide->sync, &now);
}
