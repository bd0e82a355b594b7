/* The network, as the kernel tells it (rtnetlink): is there a way out, over what, and word of each change.
 *
 * A way out is a default route, in any table but the kernel's own, over an interface that is up, has a carrier and is no loopback, where
 * some interface has an address of that family that reaches beyond its link. So a cable that is pulled, and a lease that did not come,
 * are no network, although the route still stands.
 *
 * BOUNDS  WORK_NETLINK_WAYS ways and WORK_NETLINK_MESSAGES messages are looked at, more are not; what is no message ends the look.
 * Where the kernel does not answer (Android's apps may not ask; other systems have no such thing), /proc/net is read instead. */
#ifndef TIDEGATE_CLIENT_WORK_NETLINK_H
#define TIDEGATE_CLIENT_WORK_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORK_NETLINK_WAYS = 32, WORK_NETLINK_MESSAGES = 65536, WORK_NETLINK_NAME_BYTES = 16 };

struct work_netlink_way {
    bool six;        /* of IPv6 */
    bool is_up;      /* its interface: up, with a carrier, no loopback */
    uint32_t link;
    char name[WORK_NETLINK_NAME_BYTES]; /* of the interface; "": not known (yet) */
};
struct work_netlink {
    size_t ways_count;
    struct work_netlink_way ways[WORK_NETLINK_WAYS];
    bool has_four, has_six; /* an address that reaches beyond its link */
    uint64_t stamp;         /* of ways, gateways and addresses: another one, and this device is somewhere else */
    size_t messages;
};

/* Takes what the kernel sent, routes before links and addresses. False: it is the end of an answer, or no more is to be looked at. */
bool work_netlink_take(struct work_netlink *found, const void *bytes, size_t count);
bool work_netlink_is_out(const struct work_netlink *found, size_t way);

bool work_netlink_ask(struct work_netlink *ret_found); /* false: the kernel does not say */
int work_netlink_watch(void);                          /* a descriptor that can be read when something changed; -1: none */
/* Could what it sent change a way out? Not if all of it is of wireless scans and the like, which come every few seconds. */
bool work_netlink_is_news(const void *bytes, size_t count);
bool work_netlink_drain(int fd);                       /* true: there was news, or may have been */

#endif
