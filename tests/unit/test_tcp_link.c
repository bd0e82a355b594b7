/* Links over real sockets: who finds whom, order, bounds, and what moves where. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "backends/tcp/tcp_address.h"
#include "core/limits.h"
#include "tests/support/tcp_desk.h"

static bool up_0(void *ctx) { return ((struct desk_gateway *)ctx)->up[0]; }
static bool down_0(void *ctx) { return !((struct desk_gateway *)ctx)->up[0]; }
static bool all_up(void *ctx)
{
    const struct desk_gateway *gateway = ctx;
    return gateway->up[0] && gateway->up[1] && gateway->up[2] && gateway->up[3];
}
static bool all_down(void *ctx)
{
    const struct desk_gateway *gateway = ctx;
    return !gateway->up[0] && !gateway->up[1] && !gateway->up[2] && !gateway->up[3];
}
static bool has_left(void *ctx) { return ((struct desk_owner *)ctx)->left > 0; }
static bool has_joined_twice(void *ctx) { return ((struct desk_owner *)ctx)->joined == 2; }

static enum err ask(struct desk_gateway *gateway, uint32_t partition, uint64_t tag)
{
    struct link_ask question = {.kind = LINK_WHO, .space = span_text(tcp_desk_space(partition)), .tag = tag};
    return gateway->link->ops->send(gateway->link, &question);
}

static void own_all(struct desk_owner *owner)
{
    for (uint32_t i = 0; i < DESK_PARTITIONS; i++) owner->link->ops->owns(owner->link, i, true);
}

static void a_gateway_is_up_where_an_owner_says_that_it_owns(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    assert_int_equal(ask(gateway, 0, 1), ERR_BUSY);
    assert_false(tcp_gateway_reached(gateway->tcp));
    owner->link->ops->owns(owner->link, 0, true);
    assert_true(tcp_desk_until(desk, up_0, gateway));
    assert_true(tcp_gateway_reached(gateway->tcp));
    assert_int_equal(gateway->ups, 1);
    assert_int_equal(owner->joined, 1);
    assert_string_equal(owner->name, "gate-0");
    assert_int_equal(ask(gateway, 1, 1), ERR_BUSY);
    own_all(owner);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    assert_int_equal(owner->joined, 1); /* one connection for all of them */
}

enum { MANY = 20000 };
static bool many_told(void *ctx) { return ((struct desk_gateway *)ctx)->told == MANY; }

static void asks_and_what_is_told_keep_their_order(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    own_all(owner);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    owner->answering = true;
    for (uint64_t i = 1; i <= MANY; i++) assert_int_equal(ask(gateway, (uint32_t)(i % DESK_PARTITIONS), i), ERR_OK);
    assert_int_equal(owner->asked, 0); /* nothing comes from inside a call */
    assert_true(tcp_desk_until(desk, many_told, gateway));
    assert_true(owner->in_order && gateway->in_order);
}

static bool has_16_mib(void *ctx) { return ((struct desk_gateway *)ctx)->bytes == 16777216 + 3; }

static void a_long_answer_arrives_whole_and_its_blob_is_let_go(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    own_all(owner);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    struct blob *blob = blob_make_room(16777216), *small = blob_make(SPAN_LITERAL("end"));
    memset(blob->text, 'x', blob->bytes);
    struct link_tell tell = {.kind = LINK_BODY, .space = span_text(tcp_desk_space(0)), .tag = 1, .frame = blob};
    assert_int_equal(owner->link->ops->send(owner->link, owner->peer, &tell), ERR_OK);
    tell.frame = small;
    assert_int_equal(owner->link->ops->send(owner->link, owner->peer, &tell), ERR_OK);
    assert_true(tcp_desk_until(desk, has_16_mib, gateway));
    assert_int_equal(blob->refs + small->refs, 2);
    blob_put(blob);
    blob_put(small);
}

static bool told_2(void *ctx) { return ((struct desk_gateway *)ctx)->told == 2; }

static void an_answer_too_long_for_a_frame_is_refused_not_lost(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    own_all(owner);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    struct blob *blob = blob_make_room(LIMIT_LINK_FRAME_BYTES);
    memset(blob->text, 'x', blob->bytes);
    struct link_tell tell = {.kind = LINK_BODY, .space = span_text(tcp_desk_space(0)), .tag = 1, .frame = blob};
    assert_int_equal(owner->link->ops->send(owner->link, owner->peer, &tell), ERR_OK);
    tell.kind = LINK_SIGNAL_FRAME;
    assert_int_equal(owner->link->ops->send(owner->link, owner->peer, &tell), ERR_TOO_LARGE);
    tell = (struct link_tell){.kind = LINK_HEAD, .space = span_text(tcp_desk_space(0))};
    assert_int_equal(owner->link->ops->send(owner->link, owner->peer, &tell), ERR_OK);
    assert_true(tcp_desk_until(desk, told_2, gateway));
    assert_int_equal(gateway->bytes, 0);
    blob_put(blob);
}

static void a_partition_moves_from_owner_to_owner(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *a = tcp_desk_owner(desk, 0, &desk->key), *b = tcp_desk_owner(desk, 1, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    own_all(a);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    a->link->ops->owns(a->link, 0, false);
    b->link->ops->owns(b->link, 0, true);
    assert_true(tcp_desk_until(desk, down_0, gateway));
    assert_true(tcp_desk_until(desk, up_0, gateway));
    assert_int_equal(ask(gateway, 0, 1), ERR_OK);
    assert_int_equal(ask(gateway, 1, 1), ERR_OK);
    while (a->asked + b->asked < 2) uv_run(&desk->loop, UV_RUN_ONCE);
    assert_int_equal(a->asked, 1);
    assert_int_equal(b->asked, 1);
    assert_int_equal(gateway->downs, 1);
}

static bool moved(void *ctx) { return ((struct desk_gateway *)ctx)->downs == 1 && ((struct desk_gateway *)ctx)->up[0]; }

static void of_two_that_say_so_the_one_that_the_directory_names_has_it(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *a = tcp_desk_owner(desk, 0, &desk->key), *b = tcp_desk_owner(desk, 1, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    own_all(a);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    b->link->ops->owns(b->link, 0, true); /* a has not heard that he lost it */
    assert_true(tcp_desk_until(desk, moved, gateway));
    assert_int_equal(ask(gateway, 0, 1), ERR_OK);
    while (b->asked < 1) uv_run(&desk->loop, UV_RUN_ONCE);
    a->link->ops->owns(a->link, 0, false); /* later he does: nothing changes */
    assert_int_equal(ask(gateway, 0, 2), ERR_OK);
    while (b->asked < 2) uv_run(&desk->loop, UV_RUN_ONCE);
    assert_int_equal(gateway->downs, 1);
    assert_int_equal(a->asked, 0);
}

static void owning_said_again_is_a_beginning_anew(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    own_all(owner);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    owner->link->ops->owns(owner->link, 0, true);
    assert_true(tcp_desk_until(desk, moved, gateway));
}

static void a_directory_that_is_away_or_emptied_leaves_links_that_stand(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    own_all(owner);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    desk->directory.away = true;
    directory_desk_name(&desk->directory, 0, "");
    desk->directory.away = false;
    directory_desk_name(&desk->directory, 1, "");
    owner->answering = true;
    assert_int_equal(ask(gateway, 0, 1), ERR_OK);
    assert_int_equal(ask(gateway, 1, 2), ERR_OK);
    assert_true(tcp_desk_until(desk, told_2, gateway));
    assert_int_equal(gateway->downs, 0);
}

static void an_owner_that_went_and_came_elsewhere_is_found_again(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    own_all(owner);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    tcp_desk_close_owner(desk, owner);
    assert_true(tcp_desk_until(desk, all_down, gateway));
    own_all(tcp_desk_owner(desk, 1, &desk->key));
    assert_true(tcp_desk_until(desk, all_up, gateway));
}

static void two_gateways_are_two_peers_and_one_that_goes_is_told_of(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    own_all(owner);
    struct desk_gateway *first = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    assert_true(tcp_desk_until(desk, all_up, first));
    uint32_t older = owner->peer;
    desk->directory.seam.changed = NULL; /* the desk's directory tells one gateway alone */
    assert_true(tcp_desk_until(desk, all_up, tcp_desk_gateway(desk, 1, &desk->key, DESK_LOG)));
    assert_true(tcp_desk_until(desk, has_joined_twice, owner));
    assert_true(owner->peer != older);
    tcp_desk_close_gateway(desk, first);
    assert_true(tcp_desk_until(desk, has_left, owner));
    struct link_tell tell = {.kind = LINK_HEAD, .space = span_text(tcp_desk_space(0))};
    assert_int_equal(owner->link->ops->send(owner->link, older, &tell), ERR_BUSY);
    assert_int_equal(owner->link->ops->send(owner->link, owner->peer, &tell), ERR_OK);
}

/* The record is sent by reference, so much may wait without being held twice. */
static void questions_past_the_bound_are_busy_and_the_rest_still_goes(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    own_all(owner);
    assert_true(tcp_desk_until(desk, all_up, gateway));
    struct blob *record = blob_make_room(1048576);
    memset(record->text, 'x', record->bytes);
    struct span space = span_text(tcp_desk_space(0));
    struct link_ask outcome = {.kind = LINK_OUTCOME, .space = space, .record = record}, interest = {.kind = LINK_INTEREST, .space = space};
    size_t taken = 0;
    while (gateway->link->ops->send(gateway->link, &outcome) == ERR_OK) taken++;
    assert_in_range(taken, 16, 17);
    assert_int_equal(gateway->link->ops->send(gateway->link, &interest), ERR_OK);
    while (owner->asked < taken + 1) uv_run(&desk->loop, UV_RUN_ONCE);
    assert_int_equal(gateway->link->ops->send(gateway->link, &outcome), ERR_OK);
    assert_int_equal(gateway->downs, 0);
    blob_put(record);
}

static void without_a_key_only_loopback_is_listened_on_and_dialled(void **state)
{
    struct tcp_desk *desk = *state;
    struct tcp_owner_options options = {.loop = &desk->loop, .name = "worker", .log = DESK_LOG, .partitions = DESK_PARTITIONS, .address = "0.0.0.0:0"};
    struct tcp_owner *tcp = NULL;
    char why[256] = "";
    assert_int_equal(tcp_owner_open(&options, &tcp, why, sizeof why), ERR_CONFIG);
    assert_non_null(strstr(why, "--link-key"));
    options.address = "nonsense";
    assert_int_equal(tcp_owner_open(&options, &tcp, why, sizeof why), ERR_CONFIG);
    assert_null(tcp);
    struct desk_owner *owner = tcp_desk_owner(desk, 0, NULL);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, NULL, DESK_LOG);
    directory_desk_name(&desk->directory, 1, "192.0.2.1:7411"); /* nobody's: dialled, it would hang */
    owner->link->ops->owns(owner->link, 0, true);
    assert_true(tcp_desk_until(desk, up_0, gateway));
    assert_int_equal(tcp_gateway_counters(gateway->tcp)->made, 1);
}

static void addresses_are_taken_apart_as_they_are_written(void **state)
{
    static const struct { const char *text, *host, *port; } good[] = {
        {"127.0.0.1:7070", "127.0.0.1", "7070"}, {"worker-1:0", "worker-1", "0"}, {"[::1]:7070", "::1", "7070"}, {"fd00::12:7070", "fd00::12", "7070"}};
    static const char *const bad[] = {"", ":1", "a", "a:", "a:b:1", "a:65536", "a:-1", "a:123456", "[::1]", "a:1x"};
    char host[TCP_HOST_BYTES_MAX], port[TCP_PORT_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(tcp_address_split(good[i].text, host, port));
        assert_string_equal(host, good[i].host);
        assert_string_equal(port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(tcp_address_split(bad[i], host, port));
}

static void an_owner_is_reached_by_name(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = &desk->owners[0];
    char why[256];
    struct tcp_owner_options options = {.loop = &desk->loop, .name = "worker", .log = DESK_LOG, .partitions = DESK_PARTITIONS, .address = "localhost:0",
                                        .directory = &desk->directory.seam, .heartbeat_ms = DESK_HEARTBEAT_MS};
    assert_int_equal(tcp_owner_open(&options, &owner->tcp, why, sizeof why), ERR_OK);
    assert_memory_equal(tcp_owner_address(owner->tcp), "localhost:", 10);
    owner->link = tcp_owner_seam(owner->tcp);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, NULL, DESK_LOG);
    owner->link->ops->owns(owner->link, 0, true);
    assert_true(tcp_desk_until(desk, up_0, gateway));
}

static void an_owner_behind_a_tunnel_is_told_by_the_tunnels_address(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = &desk->owners[0];
    struct tcp_owner *none = NULL;
    char why[256] = "", port[TCP_PORT_BYTES_MAX], host[TCP_HOST_BYTES_MAX];
    struct tcp_owner_options options = {.loop = &desk->loop, .name = "worker", .log = DESK_LOG, .partitions = DESK_PARTITIONS, .address = "127.0.0.1:0",
                                        .told = "tunnel", .directory = &desk->directory.seam, .heartbeat_ms = DESK_HEARTBEAT_MS};
    assert_int_equal(tcp_owner_open(&options, &none, why, sizeof why), ERR_CONFIG);
    options.told = "tunnel:0"; /* nobody is reached there */
    assert_int_equal(tcp_owner_open(&options, &none, why, sizeof why), ERR_CONFIG);
    assert_null(none);
    options.told = "192.0.2.1:7411";
    assert_int_equal(tcp_owner_open(&options, &owner->tcp, why, sizeof why), ERR_OK);
    assert_string_equal(tcp_owner_address(owner->tcp), "192.0.2.1:7411");
    assert_true(tcp_address_split(tcp_owner_address(owner->tcp), host, port));
    owner->link = tcp_owner_seam(owner->tcp);
    owner->link->ops->owns(owner->link, 0, true);
    assert_string_equal(desk->directory.address[0], "192.0.2.1:7411");
}

int main(void)
{
#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, tcp_desk_setup, tcp_desk_teardown)
    const struct CMUnitTest tests[] = {
        LINK_TEST(a_gateway_is_up_where_an_owner_says_that_it_owns),
        LINK_TEST(asks_and_what_is_told_keep_their_order),
        LINK_TEST(a_long_answer_arrives_whole_and_its_blob_is_let_go),
        LINK_TEST(an_answer_too_long_for_a_frame_is_refused_not_lost),
        LINK_TEST(a_partition_moves_from_owner_to_owner),
        LINK_TEST(of_two_that_say_so_the_one_that_the_directory_names_has_it),
        LINK_TEST(owning_said_again_is_a_beginning_anew),
        LINK_TEST(a_directory_that_is_away_or_emptied_leaves_links_that_stand),
        LINK_TEST(an_owner_that_went_and_came_elsewhere_is_found_again),
        LINK_TEST(two_gateways_are_two_peers_and_one_that_goes_is_told_of),
        LINK_TEST(questions_past_the_bound_are_busy_and_the_rest_still_goes),
        LINK_TEST(addresses_are_taken_apart_as_they_are_written),
        LINK_TEST(an_owner_is_reached_by_name),
        LINK_TEST(an_owner_behind_a_tunnel_is_told_by_the_tunnels_address),
        LINK_TEST(without_a_key_only_loopback_is_listened_on_and_dialled),
    };
    return cmocka_run_group_tests_name("tcp_link", tests, NULL, NULL);
}
