/* The system's network: what the kernel's messages come to, and what a device does when it changes. */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/tide_parts.h"
#include "client/work_netlink.h"
#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

/* ---- messages, made as the kernel makes them ---- */

static struct {
    size_t bytes;
    unsigned char at[8192];
} wire;

static void *add(const void *what, size_t bytes)
{
    unsigned char *at = wire.at + wire.bytes;
    assert_true(wire.bytes + bytes + 4 < sizeof wire.at);
    memcpy(at, what, bytes);
    wire.bytes += (bytes + 3) & ~(size_t)3;
    return at;
}

static size_t begin(uint16_t type)
{
    size_t from = wire.bytes;
    add(&(struct nlmsghdr){.nlmsg_type = type, .nlmsg_flags = NLM_F_MULTI}, sizeof(struct nlmsghdr));
    return from;
}

static void end(size_t from)
{
    uint32_t bytes = (uint32_t)(wire.bytes - from);
    memcpy(wire.at + from, &bytes, sizeof bytes);
}

static void attribute(uint16_t type, const void *value, size_t bytes)
{
    add(&(struct rtattr){.rta_len = (uint16_t)(sizeof(struct rtattr) + bytes), .rta_type = type}, sizeof(struct rtattr));
    add(value, bytes);
}

struct road {
    uint8_t family, destination, type, table;
    uint32_t flags;
    int link;
};

static void route(struct road road)
{
    static const unsigned char gateway[16] = {192, 0, 2, 1};
    size_t from = begin(RTM_NEWROUTE);
    add(&(struct rtmsg){.rtm_family = road.family, .rtm_dst_len = road.destination, .rtm_type = road.type, .rtm_table = road.table, .rtm_flags = road.flags}, sizeof(struct rtmsg));
    attribute(RTA_GATEWAY, gateway, road.family == AF_INET6 ? 16 : 4);
    attribute(RTA_OIF, &road.link, sizeof road.link);
    end(from);
}

static void interface(int link, const char *name, unsigned flags)
{
    size_t from = begin(RTM_NEWLINK);
    add(&(struct ifinfomsg){.ifi_family = AF_UNSPEC, .ifi_index = link, .ifi_flags = flags}, sizeof(struct ifinfomsg));
    attribute(IFLA_IFNAME, name, strlen(name) + 1);
    end(from);
}

static void address(uint8_t family, int link, uint8_t scope, uint8_t flags, unsigned char last)
{
    unsigned char bytes[16] = {10, 0, 0, last};
    size_t from = begin(RTM_NEWADDR);
    add(&(struct ifaddrmsg){.ifa_family = family, .ifa_scope = scope, .ifa_flags = flags, .ifa_index = (uint32_t)link}, sizeof(struct ifaddrmsg));
    attribute(IFA_ADDRESS, bytes, family == AF_INET6 ? 16 : 4);
    end(from);
}

static struct work_netlink heard(void)
{
    struct work_netlink found = {.ways_count = 0};
    assert_true(work_netlink_take(&found, wire.at, wire.bytes));
    return found;
}

static bool is_out(void)
{
    struct work_netlink found = heard();
    bool out = false;
    for (size_t i = 0; i < found.ways_count; i++) out = out || work_netlink_is_out(&found, i);
    return out;
}

static int begin_anew(void **state)
{
    (void)state;
    wire.bytes = 0;
    return 0;
}

enum { UP = IFF_UP | IFF_RUNNING };
static const struct road way = {AF_INET, 0, RTN_UNICAST, RT_TABLE_MAIN, 0, 2};

static void a_default_route_over_what_is_up_with_an_address_is_a_way_out(void **state)
{
    (void)state;
    route(way);
    assert_false(is_out());
    interface(2, "eth0", UP);
    assert_false(is_out());
    address(AF_INET, 2, RT_SCOPE_UNIVERSE, 0, 7);
    assert_true(is_out());
    assert_string_equal(heard().ways[0].name, "eth0");
}

static void what_leads_nowhere_is_no_way_out(void **state)
{
    (void)state;
    static const struct road roads[] = {{AF_INET, 24, RTN_UNICAST, RT_TABLE_MAIN, 0, 2}, {AF_INET, 0, RTN_UNREACHABLE, RT_TABLE_MAIN, 0, 2}, {AF_INET, 0, RTN_LOCAL, RT_TABLE_LOCAL, 0, 2},
        {AF_INET, 0, RTN_UNICAST, RT_TABLE_MAIN, RTNH_F_LINKDOWN, 2}, {AF_INET, 0, RTN_UNICAST, RT_TABLE_MAIN, RTNH_F_DEAD, 2}, {AF_INET, 0, RTN_UNICAST, RT_TABLE_MAIN, 0, 3},
        {AF_INET, 0, RTN_UNICAST, RT_TABLE_MAIN, 0, 4}, {AF_INET, 0, RTN_UNICAST, RT_TABLE_MAIN, 0, 1}, {AF_INET6, 0, RTN_UNICAST, RT_TABLE_MAIN, 0, 2}, {AF_MPLS, 0, RTN_UNICAST, RT_TABLE_MAIN, 0, 2}};
    for (size_t i = 0; i < sizeof roads / sizeof roads[0]; i++) {
        wire.bytes = 0;
        route(roads[i]);
        interface(1, "lo", UP | IFF_LOOPBACK);
        interface(2, "eth0", UP);
        interface(3, "eth1", IFF_UP); /* no carrier */
        interface(4, "eth2", IFF_RUNNING);
        address(AF_INET, 2, RT_SCOPE_UNIVERSE, 0, 7);
        address(AF_INET6, 2, RT_SCOPE_LINK, 0, 7);
        address(AF_INET6, 2, RT_SCOPE_UNIVERSE, IFA_F_TENTATIVE, 8);
        assert_false(is_out());
    }
}

static void each_hop_of_a_route_is_a_way(void **state)
{
    (void)state;
    size_t from = begin(RTM_NEWROUTE);
    struct rtnexthop hops[3] = {{.rtnh_len = sizeof hops[0], .rtnh_ifindex = 2, .rtnh_flags = RTNH_F_LINKDOWN}, {.rtnh_len = sizeof hops[0], .rtnh_ifindex = 3}, {.rtnh_len = 3, .rtnh_ifindex = 4}};
    add(&(struct rtmsg){.rtm_family = AF_INET, .rtm_type = RTN_UNICAST, .rtm_table = RT_TABLE_MAIN}, sizeof(struct rtmsg));
    attribute(RTA_MULTIPATH, hops, sizeof hops);
    end(from);
    interface(3, "wwan0", UP);
    address(AF_INET, 9, RT_SCOPE_UNIVERSE, 0, 7);
    struct work_netlink found = heard();
    assert_true(found.ways_count == 1 && found.ways[0].link == 3 && is_out());
}

static void another_gateway_or_address_is_another_network_and_another_order_is_none(void **state)
{
    (void)state;
    uint64_t stamps[4];
    for (int i = 0; i < 4; i++) {
        wire.bytes = 0;
        route(way);
        interface(2, "eth0", UP);
        if (i == 1) address(AF_INET, 2, RT_SCOPE_UNIVERSE, 0, 8);
        address(AF_INET, 2, RT_SCOPE_UNIVERSE, 0, 7);
        if (i == 2) address(AF_INET, 2, RT_SCOPE_UNIVERSE, 0, 8);
        if (i == 3) address(AF_INET, 5, RT_SCOPE_UNIVERSE, 0, 9); /* of a container's interface */
        stamps[i] = heard().stamp;
    }
    assert_true(stamps[0] != stamps[1] && stamps[1] == stamps[2] && stamps[0] == stamps[3]);
}

static void what_is_cut_anywhere_is_read_as_far_as_it_goes(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * WORK_NETLINK_WAYS; i++) route(way);
    interface(2, "a name that is longer than any", UP);
    address(AF_INET, 2, RT_SCOPE_UNIVERSE, 0, 7);
    struct work_netlink whole = heard();
    assert_int_equal(whole.ways_count, WORK_NETLINK_WAYS);
    assert_int_equal(strlen(whole.ways[0].name), WORK_NETLINK_NAME_BYTES - 1);
    for (size_t bytes = 0; bytes <= wire.bytes; bytes++) {
        struct work_netlink found = {.ways_count = 0};
        unsigned char *copy = malloc(bytes + 1); /* whoever reads past it is found out */
        assert_non_null(copy);
        memcpy(copy, wire.at, bytes);
        (void)work_netlink_take(&found, copy, bytes);
        assert_true(found.ways_count <= WORK_NETLINK_WAYS);
        free(copy);
    }
}

/* As the kernel tells of a scan: the same interface, and what its driver has to say. */
static void scan(void)
{
    static const unsigned char said[12] = {12, 0, 0x19, 0x8b};
    size_t from = begin(RTM_NEWLINK);
    add(&(struct ifinfomsg){.ifi_family = AF_UNSPEC, .ifi_index = 2, .ifi_flags = UP}, sizeof(struct ifinfomsg));
    attribute(IFLA_IFNAME, "wlan0", sizeof "wlan0");
    attribute(IFLA_WIRELESS, said, sizeof said);
    end(from);
}

static bool is_news(void) { return work_netlink_is_news(wire.at, wire.bytes); }

static void a_wireless_scan_is_no_news_and_all_else_is(void **state)
{
    (void)state;
    assert_true(is_news()); /* nothing to go by */
    scan();
    scan();
    assert_false(is_news());
    size_t scans = wire.bytes;
    interface(2, "wlan0", UP);
    assert_true(is_news());
    wire.bytes = scans;
    address(AF_INET, 2, RT_SCOPE_UNIVERSE, 0, 7);
    assert_true(is_news());
    wire.bytes = scans;
    route(way);
    assert_true(is_news());
    for (wire.bytes = scans - 1; wire.bytes > scans / 2; wire.bytes--) assert_true(is_news()); /* cut */
}

/* libuv gives a descriptor up that has an error. */
static void a_watch_that_more_came_to_than_fits_has_no_error(void **state)
{
    (void)state;
    int fd = work_netlink_watch(), without = 0;
    socklen_t bytes = sizeof without;
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &without, &bytes), 0);
    assert_int_equal(without, 1);
    close(fd);
}

/* ---- a device that hears of it ---- */

static struct {
    int ends[2];
    uint64_t number;   /* of the network */
    unsigned looks;    /* at it */
    bool was_connecting;
    unsigned failures;
} net;

static int watch(void *ctx)
{
    (void)ctx;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, net.ends), 0);
    return net.ends[0];
}

static uint64_t number(void *ctx)
{
    (void)ctx;
    net.looks++;
    return net.number;
}

static void no_chance(void *ctx, void *ret_bytes, size_t bytes)
{
    static unsigned char counter;
    (void)ctx;
    memset(ret_bytes, 0, bytes);
    if (bytes == sizeof(uint64_t)) memcpy(ret_bytes, &(uint64_t){3000000}, bytes); /* a backoff of 3,000 s */
    else ((unsigned char *)ret_bytes)[0] = ++counter;
}

static void count_failures(void *ctx, struct tide *tide, const struct tide_event *event)
{
    struct tide_status status;
    (void)ctx;
    (void)event;
    tide_status(tide, &status);
    if (net.was_connecting && status.state == TIDE_WAITING) net.failures++;
    net.was_connecting = status.state == TIDE_CONNECTING;
}

static bool has_failed_again(void *ctx) { return net.failures >= *(const unsigned *)ctx; }

static bool has_looked_again(void *ctx) { return net.looks > *(const unsigned *)ctx; }

/* What comes of it comes later. */
static void change(uint64_t to)
{
    net.number = to;
    assert_int_equal(write(net.ends[1], "x", 1), 1);
}

static void change_and_see_it_looked_at(struct tide *tide, uint64_t to)
{
    unsigned before = net.looks;
    change(to);
    assert_true(tide_run(tide, 60000, has_looked_again, &before));
    assert_true(tide->way_out == to);
}

static void a_network_that_comes_is_tried_at_once_and_what_is_no_other_one_is_not(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide_options options = {.path = ana->path, .url = "http://127.0.0.1:9", .token = "ana", .store_key = client_store_key(), .on_event = count_failures,
                                   .retry_base_ms = 3600000, .retry_most_ms = 3600000};
    struct tide_machine machine = {.random = no_chance, .network_watch = watch, .network = number};
    struct tide *tide;
    unsigned wanted = 1;
    memset(&net, 0, sizeof net);
    wire.bytes = 0;
    client_kill(ana);
    bench_well(tide_open_on(&options, &machine, &tide, NULL, 0));
    bench_well(tide_start(tide, TIDE_BOTH));
    assert_true(tide_run(tide, 60000, has_failed_again, &wanted));
    for (uint64_t to = 1; to <= 3; to++) { /* one comes, then another in its place */
        wanted++;
        change(to);
        assert_true(tide_run(tide, 60000, has_failed_again, &wanted));
    }
    wanted++;
    change_and_see_it_looked_at(tide, net.number);
    assert_false(tide_run(tide, 300, has_failed_again, &wanted));
    change_and_see_it_looked_at(tide, 0); /* it goes */
    assert_false(tide_run(tide, 300, has_failed_again, &wanted));
    change(3); /* and is back */
    assert_true(tide_run(tide, 60000, has_failed_again, &wanted));
    scan();
    assert_int_equal(write(net.ends[1], wire.at, wire.bytes), wire.bytes);
    tide_network_stirred(tide);
    assert_true(tide->network_look_ms == SYNC_NEVER);
    change(3);
    tide_network_stirred(tide);
    assert_true(tide->network_look_ms != SYNC_NEVER);
    tide_close(tide);
    close(net.ends[1]);
    client_begin(ana);
}

static void a_network_does_not_shorten_what_the_server_asked_for(void **state)
{
    static const char bye[] = "{\"type\":\"bye\",\"reason\":\"drained\",\"retry\":60000}";
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide_status status;
    bench_settle(bench);
    tide_io_received(ana->tide, bye, sizeof bye - 1);
    client_cut(ana);
    tide_status(ana->tide, &status);
    assert_true(status.state == TIDE_WAITING && status.next_ms >= 60000);
    struct store_moment now = tide_now(ana->tide);
    sync_network_came(ana->tide->sync, &now);
    tide_status(ana->tide, &status);
    assert_true(status.state == TIDE_WAITING && status.next_ms >= 60000);
}

static enum tide_state state_of(struct client *client)
{
    struct tide_status status;
    tide_status(client->tide, &status);
    return status.state;
}

static void another_network(struct client *client)
{
    struct store_moment now = tide_now(client->tide);
    assert_int_equal(state_of(client), TIDE_LIVE);
    sync_network_came(client->tide->sync, &now);
}

static void a_connection_that_does_not_outlive_its_network_is_found_out_soon(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    size_t bytes;
    bench_settle(bench);
    another_network(ana);
    bench_settle(bench); /* it is answered */
    bench->world.rig.now_ms += SYNC_PROBE_MS;
    tide_poll(ana->tide);
    assert_int_equal(state_of(ana), TIDE_LIVE);
    another_network(ana);
    assert_non_null(strstr(tide_io_output(ana->tide, &bytes), "ping"));
    bench->world.rig.now_ms += SYNC_PROBE_MS - 1;
    tide_poll(ana->tide);
    assert_false(tide_io_wants_close(ana->tide));
    bench->world.rig.now_ms += 1;
    tide_poll(ana->tide);
    assert_true(tide_io_wants_close(ana->tide));
    client_cut(ana);
    bench_settle(bench);
    assert_int_equal(state_of(ana), TIDE_LIVE);
}

#define TEST(name) cmocka_unit_test_setup(name, begin_anew)
#define DEVICE_TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_default_route_over_what_is_up_with_an_address_is_a_way_out), TEST(what_leads_nowhere_is_no_way_out), TEST(each_hop_of_a_route_is_a_way),
        TEST(another_gateway_or_address_is_another_network_and_another_order_is_none), TEST(what_is_cut_anywhere_is_read_as_far_as_it_goes),
        TEST(a_wireless_scan_is_no_news_and_all_else_is), TEST(a_watch_that_more_came_to_than_fits_has_no_error),
        DEVICE_TEST(a_network_that_comes_is_tried_at_once_and_what_is_no_other_one_is_not), DEVICE_TEST(a_network_does_not_shorten_what_the_server_asked_for),
        DEVICE_TEST(a_connection_that_does_not_outlive_its_network_is_found_out_soon)};
    return cmocka_run_group_tests_name("client_network", tests, NULL, NULL);
}
