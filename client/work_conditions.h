/* What holds outside, as Linux tells it: rtnetlink (a way out: work_netlink.h), /sys/class/net (over what), /sys/class/power_supply
 * (charger, battery), statvfs (room on the disk). Under a root that tests and containers may set, and where the kernel may not be asked, the
 * way out is that of /proc/net/route and ipv6_route.
 *
 * - network: there is a default route. unmetered: and its interface is not a modem's (wwan, ppp, rmnet, or of that DEVTYPE).
 * - charging: a charger is plugged in, or there is no battery at all (of the machine: a mouse's does not count).
 * - battery_low: it is at 15 % or below, or calls itself low. storage_low: less than 5 % is left, and less than 500 MB. */
#ifndef TIDEGATE_CLIENT_WORK_CONDITIONS_H
#define TIDEGATE_CLIENT_WORK_CONDITIONS_H

#include "client/work.h"

/* `path`: of the store. What cannot be read counts as no hindrance. */
void work_conditions_read(const char *root, const char *path, struct work_conditions *ret_conditions);

#endif
