#include "client/work_netlink.h"

#include <string.h>

#include "core/hash.h"

#ifdef __linux__
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM_BYTES = 32768, WAIT_MS = 500, MANY = 8 /* where so many came at once, others may have been lost */ };

/* ---- reading: lengths first, and nothing by a cast ---- */

struct piece {
    const unsigned char *at;
    size_t bytes;
};

static size_t aligned(size_t bytes) { return (bytes + 3) & ~(size_t)3; }

/* Takes a fixed head off the front. */
static bool take(struct piece *rest, void *ret_head, size_t bytes)
{
    if (rest->bytes < bytes) return false;
    memcpy(ret_head, rest->at, bytes);
    bytes = aligned(bytes) < rest->bytes ? aligned(bytes) : rest->bytes;
    *rest = (struct piece){rest->at + bytes, rest->bytes - bytes};
    return true;
}

/* What follows a head that says a length of itself and what is in it. */
static bool take_inside(struct piece *rest, const struct piece *whole, size_t length, size_t head, struct piece *ret_inside)
{
    if (length < head || length > whole->bytes) return false;
    size_t inner = aligned(head) < length ? aligned(head) : length, step = aligned(length) < whole->bytes ? aligned(length) : whole->bytes;
    *ret_inside = (struct piece){whole->at + inner, length - inner};
    *rest = (struct piece){whole->at + step, whole->bytes - step};
    return true;
}

static bool next_attribute(struct piece *rest, unsigned *ret_type, struct piece *ret_value)
{
    struct piece whole = *rest;
    struct rtattr head;
    if (!take(rest, &head, sizeof head)) return false;
    *ret_type = head.rta_type & (unsigned)NLA_TYPE_MASK;
    return take_inside(rest, &whole, head.rta_len, sizeof head, ret_value);
}

static bool is_four(const struct piece *value, uint32_t *ret_number)
{
    if (value->bytes < sizeof *ret_number) return false;
    memcpy(ret_number, value->at, sizeof *ret_number);
    return true;
}

static void stamp(struct work_netlink *found, unsigned char kind, uint32_t link, const struct piece *value)
{
    unsigned char room[64] = {kind};
    memcpy(room + 1, &link, sizeof link);
    size_t bytes = value->bytes < sizeof room - 5 ? value->bytes : sizeof room - 5;
    if (bytes > 0) memcpy(room + 5, value->at, bytes);
    found->stamp += hash_64(span_of((const char *)room, 5 + bytes)); /* a sum: their order is chance */
}

/* ---- what is told ---- */

static void add_way(struct work_netlink *found, bool six, uint32_t link)
{
    if (found->ways_count == WORK_NETLINK_WAYS || link == 0) return;
    found->ways[found->ways_count++] = (struct work_netlink_way){.six = six, .link = link};
}

static void add_ways(struct work_netlink *found, bool six, struct piece hops)
{
    struct rtnexthop head;
    struct piece whole = hops, inside;
    while (take(&hops, &head, sizeof head) && take_inside(&hops, &whole, head.rtnh_len, sizeof head, &inside)) {
        if ((head.rtnh_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) == 0) add_way(found, six, (uint32_t)head.rtnh_ifindex);
        stamp(found, 'h', (uint32_t)head.rtnh_ifindex, &inside);
        whole = hops;
    }
}

static void hear_route(struct work_netlink *found, struct piece rest)
{
    struct rtmsg route;
    struct piece value, gateway = {NULL, 0}, hops = {NULL, 0};
    unsigned type;
    uint32_t link = 0;
    if (!take(&rest, &route, sizeof route) || (route.rtm_family != AF_INET && route.rtm_family != AF_INET6)) return;
    if (route.rtm_dst_len != 0 || route.rtm_type != RTN_UNICAST || route.rtm_table == RT_TABLE_LOCAL || (route.rtm_flags & (RTM_F_CLONED | RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0) return;
    while (next_attribute(&rest, &type, &value)) {
        if (type == RTA_OIF) (void)is_four(&value, &link);
        else if (type == RTA_GATEWAY) gateway = value;
        else if (type == RTA_MULTIPATH) hops = value;
    }
    if (link != 0) stamp(found, 'r', link, &gateway);
    add_way(found, route.rtm_family == AF_INET6, link);
    add_ways(found, route.rtm_family == AF_INET6, hops);
}

static void hear_link(struct work_netlink *found, struct piece rest)
{
    struct ifinfomsg link;
    struct piece value, name = {NULL, 0};
    unsigned type;
    if (!take(&rest, &link, sizeof link)) return;
    while (next_attribute(&rest, &type, &value))
        if (type == IFLA_IFNAME) name = value;
    for (size_t i = 0; i < found->ways_count; i++) {
        struct work_netlink_way *way = &found->ways[i];
        if (way->link != (uint32_t)link.ifi_index) continue;
        way->is_up = (link.ifi_flags & IFF_UP) != 0 && (link.ifi_flags & IFF_RUNNING) != 0 && (link.ifi_flags & IFF_LOOPBACK) == 0;
        size_t bytes = name.bytes < sizeof way->name - 1 ? name.bytes : sizeof way->name - 1;
        memset(way->name, 0, sizeof way->name);
        if (bytes > 0) memcpy(way->name, name.at, bytes);
        if (way->is_up) stamp(found, 'l', way->link, &name);
    }
}

static void hear_address(struct work_netlink *found, struct piece rest)
{
    struct ifaddrmsg address;
    struct piece value;
    unsigned type;
    if (!take(&rest, &address, sizeof address) || (address.ifa_family != AF_INET && address.ifa_family != AF_INET6)) return;
    if (address.ifa_scope >= RT_SCOPE_LINK || (address.ifa_flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0) return;
    if (address.ifa_family == AF_INET) found->has_four = true;
    else found->has_six = true;
    for (size_t i = 0; i < found->ways_count; i++) {
        struct piece attributes = rest;
        if (found->ways[i].link != address.ifa_index || found->ways[i].six != (address.ifa_family == AF_INET6)) continue;
        while (next_attribute(&attributes, &type, &value))
            if (type == IFA_ADDRESS) stamp(found, 'a', address.ifa_index, &value);
    }
}

bool work_netlink_take(struct work_netlink *found, const void *bytes, size_t count)
{
    struct piece rest = {bytes, count}, whole = rest, inside;
    struct nlmsghdr head;
    while (take(&rest, &head, sizeof head) && take_inside(&rest, &whole, head.nlmsg_len, sizeof head, &inside)) {
        if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR || ++found->messages > WORK_NETLINK_MESSAGES) return false;
        if (head.nlmsg_type == RTM_NEWROUTE) hear_route(found, inside);
        else if (head.nlmsg_type == RTM_NEWLINK) hear_link(found, inside);
        else if (head.nlmsg_type == RTM_NEWADDR) hear_address(found, inside);
        whole = rest;
    }
    return rest.bytes == 0;
}

bool work_netlink_is_out(const struct work_netlink *found, size_t way)
{
    return found->ways[way].is_up && (found->ways[way].six ? found->has_six : found->has_four);
}

/* ---- asking ---- */

/* One table. False: no answer. */
static bool ask_for(int fd, uint16_t type, struct work_netlink *found)
{
    struct {
        struct nlmsghdr head;
        struct rtgenmsg of;
    } question = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP}, .of = {AF_UNSPEC}};
    unsigned char room[ROOM_BYTES];
    ssize_t got;
    bool any = false;
    if (send(fd, &question, sizeof question, 0) != (ssize_t)sizeof question) return false;
    while ((got = recv(fd, room, sizeof room, 0)) > 0) {
        struct nlmsghdr first = {.nlmsg_type = NLMSG_ERROR};
        if ((size_t)got >= sizeof first) memcpy(&first, room, sizeof first);
        if (!any && first.nlmsg_type == NLMSG_ERROR) return false;
        any = true;
        if (!work_netlink_take(found, room, (size_t)got)) return true;
    }
    return false; /* it broke off, or said nothing in time */
}

static int open_socket(unsigned groups, int flags)
{
    struct sockaddr_nl at = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
    if (fd < 0) return -1;
    if (bind(fd, (const struct sockaddr *)&at, sizeof at) == 0) return fd;
    close(fd);
    return -1;
}

bool work_netlink_ask(struct work_netlink *ret_found)
{
    static const uint16_t tables[] = {RTM_GETROUTE, RTM_GETLINK, RTM_GETADDR};
    const struct timeval patience = {.tv_usec = WAIT_MS * 1000};
    struct work_netlink found = {.ways_count = 0};
    bool good = true;
    /* A socket for each: what is left of an answer that was not read to its end is none to the next question. */
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && good; i++) {
        int fd = open_socket(0, 0);
        good = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 && ask_for(fd, tables[i], &found);
        if (fd >= 0) close(fd);
    }
    if (good) *ret_found = found;
    return good;
}

/* ---- word of changes ---- */

int work_netlink_watch(void)
{
    int fd = open_socket(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE, SOCK_NONBLOCK), on = 1;
    /* What does not fit is lost in silence: as an error of the descriptor it would end the watch on a libuv loop. An old kernel may refuse. */
    if (fd >= 0) (void)setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);
    return fd;
}

static bool is_of_wireless(struct piece link)
{
    struct ifinfomsg head;
    struct piece value;
    unsigned type;
    if (!take(&link, &head, sizeof head)) return false;
    while (next_attribute(&link, &type, &value))
        if (type == IFLA_WIRELESS) return true;
    return false;
}

bool work_netlink_is_news(const void *bytes, size_t count)
{
    struct piece rest = {bytes, count}, whole = rest, inside;
    struct nlmsghdr head;
    while (take(&rest, &head, sizeof head) && take_inside(&rest, &whole, head.nlmsg_len, sizeof head, &inside)) {
        if (head.nlmsg_type != RTM_NEWLINK || !is_of_wireless(inside)) return true;
        whole = rest;
    }
    return whole.bytes > 0 || count == 0;
}

bool work_netlink_drain(int fd)
{
    unsigned char room[ROOM_BYTES];
    ssize_t got = 0;
    bool news = false;
    int count = 0;
    while (count < WORK_NETLINK_MESSAGES && (got = recv(fd, room, sizeof room, 0)) > 0) {
        news = news || work_netlink_is_news(room, (size_t)got);
        count++;
    }
    return news || count == 0 || count > MANY;
}
#else
bool work_netlink_take(struct work_netlink *found, const void *bytes, size_t count)
{
    (void)found;
    (void)bytes;
    (void)count;
    return false;
}
bool work_netlink_is_out(const struct work_netlink *found, size_t way) { return found->ways[way].is_up; }
bool work_netlink_ask(struct work_netlink *ret_found)
{
    (void)ret_found;
    return false;
}
int work_netlink_watch(void) { return -1; }
bool work_netlink_is_news(const void *bytes, size_t count)
{
    (void)bytes;
    return count == 0;
}
bool work_netlink_drain(int fd)
{
    (void)fd;
    return true;
}
#endif
