/* The address of a device's server: how long it may be looked up, what is said where it cannot be, and addresses of the app's own. */
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tide_parts.h"
#include "tests/support/client_bench.h"
#include "tests/support/unit.h"

/* In place of the resolver's: of names it knows none. */
static struct {
    unsigned names, servers;
    int seconds, tries;
} asked;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list);
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **ret_list)
{
    (void)service;
    (void)hints;
    (void)ret_list;
    if (strstr(name, "example") == NULL) return EAI_NONAME; /* an address in digits: no matter */
    asked.names++;
    asked.servers = (unsigned)_res.nscount;
    asked.seconds = _res.retrans;
    asked.tries = _res.retry;
    return EAI_AGAIN;
}

/* What glibc does with them (res_send.c), where nobody answers. */
static int waits_ms(void)
{
    int seconds = 0;
    for (unsigned at = 0; at < (asked.servers > 0 ? asked.servers : 1); at++) {
        int one = asked.seconds << at;
        if (at > 0) one /= (int)asked.servers;
        seconds += one > 0 ? one : 1;
    }
    return 1000 * seconds * asked.tries;
}

static bool has_failed(void *ctx)
{
    struct tide_status status;
    tide_status(ctx, &status);
    return status.why[0] != '\0';
}

static struct tide *open_at(struct client *client, const char *url, const char *const *addresses)
{
    struct tide_options options = {.path = client->path, .url = url, .token = "t", .addresses = addresses, .store_key = client_store_key()};
    struct tide *tide;
    client_kill(client);
    memset(&asked, 0, sizeof asked);
    bench_well(tide_open(&options, &tide, NULL, 0));
    bench_well(tide_subscribe(tide, "todos:ana", NULL));
    return tide;
}

static void looking_a_name_up_takes_no_longer_than_connecting_may(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide *tide = open_at(ana, "http://sync.example:1", NULL);
    for (int servers = 1; servers <= MAXNS; servers++) {
        assert_int_equal(res_init(), 0);
        _res.nscount = servers;
        _res.retrans = 5;
        _res.retry = 2;
        assert_int_equal(tide_sync(tide, TIDE_BOTH, 60000), TIDE_OFFLINE);
        assert_non_null(strstr(tide_message(tide), "sync.example cannot be looked up"));
        assert_int_equal(asked.names, servers); /* once a call: nobody else asks again */
        assert_int_equal(asked.servers, servers);
        assert_true(2 * waits_ms() < SYNC_CONNECT_MS); /* as it is, and with the domain of the search list */
    }
    tide_close(tide);
    client_begin(ana);
}

static void a_live_device_says_that_the_name_cannot_be_looked_up_and_tries_again(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    struct tide *tide = open_at(ana, "http://sync.example:1", NULL);
    struct tide_status status;
    bench_well(tide_start(tide, TIDE_BOTH));
    assert_true(tide_run(tide, 60000, has_failed, tide));
    tide_status(tide, &status);
    assert_non_null(strstr(status.why, "sync.example cannot be looked up"));
    assert_int_equal(status.state, TIDE_WAITING);
    assert_true(status.next_ms > 0);
    tide_close(tide);
    client_begin(ana);
}

static void addresses_of_the_apps_own_are_tried_in_turn_and_nothing_is_looked_up(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    char first[] = "127.0.0.2", second[] = "127.0.0.1";
    const char *addresses[] = {first, second, NULL};
    struct tide *tide = open_at(ana, "http://sync.example:1", addresses);
    memset(first, 'x', sizeof first - 1); /* what is handed in is copied */
    addresses[0] = addresses[1] = NULL;
    bench_well(tide_need_transport(tide, NULL));
    assert_int_equal(tide_sync(tide, TIDE_BOTH, 60000), TIDE_OFFLINE);
    assert_int_equal(transport_addresses(tide->transport), 2);
    assert_int_equal(asked.names, 0);
    tide_close(tide);
    client_begin(ana);
}

static void a_list_of_addresses_that_cannot_be_dialled_is_refused_at_once(void **state)
{
    struct bench *bench = *state;
    struct client *ana = bench_add(bench, "ana");
    static const char *const lists[][3] = {{NULL}, {"127.0.0.1", "sync.example", NULL}, {"", NULL}, {"127.0.0.1:80", NULL}, {"[::1]", NULL}, {"127.0.0.1%lo", NULL},
        {"fe80::1%", NULL}, {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001", NULL}};
    static const char *const good[] = {"127.0.0.1", "::1", "fe80::1%lo", "::ffff:192.0.2.1", NULL};
    struct tide *tide = NULL;
    char why[160];
    client_kill(ana);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct tide_options options = {.path = ana->path, .url = "http://sync.example:1", .token = "t", .addresses = lists[i], .store_key = client_store_key()};
        assert_int_equal(tide_open(&options, &tide, why, sizeof why), TIDE_INVALID);
        assert_non_null(strstr(why, "addresses"));
        assert_null(tide);
    }
    tide_close(open_at(ana, "http://sync.example:1", good));
    client_begin(ana);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(looking_a_name_up_takes_no_longer_than_connecting_may), TEST(a_live_device_says_that_the_name_cannot_be_looked_up_and_tries_again),
                                       TEST(addresses_of_the_apps_own_are_tried_in_turn_and_nothing_is_looked_up),
                                       TEST(a_list_of_addresses_that_cannot_be_dialled_is_refused_at_once)};
    return cmocka_run_group_tests_name("client_resolve", tests, NULL, NULL);
}
