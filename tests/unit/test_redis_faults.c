/* Redis gone, hung, emptied, restarted, or never there: what is known here is written again, and questions are answered, if only busy. */
#include "tests/support/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/redis_rig.h"

static void present(struct redis_seat *seat, const char *user, uint64_t session, enum presence_state state, int64_t now_ms)
{
    seat->registry->ops->set_presence(seat->registry, span_text(user), SPAN_LITERAL("phone-0001"), session, state, now_ms);
}
static void claim(struct redis_seat *seat, const char *user, uint64_t session)
{
    seat->registry->ops->claim_device(seat->registry, span_text(user), SPAN_LITERAL("phone-0001"), session);
}
static void put_offset(struct redis_seat *seat, const char *user, const char *space, uint64_t place, const char *cursor)
{
    seat->registry->ops->put_offset(seat->registry, span_text(user), SPAN_LITERAL("phone-0001"), span_text(space), place, span_text(cursor), 1);
}

/* All that a gateway and a worker may know. */
static void know_something(struct redis_seat *gateway, struct redis_seat *worker)
{
    present(gateway, "ana", 1, PRESENCE_ONLINE, 1000);
    claim(gateway, "ana", 1);
    put_offset(gateway, "ana", "chat:a", 7, "c-7");
    worker->directory->ops->put(worker->directory, 2, SPAN_LITERAL("127.0.0.1:7"));
}

static void assert_known(struct redis_rig *rig, struct redis_seat *asker)
{
    assert_true(redis_rig_until_user(rig, asker, "ana", ERR_OK, PRESENCE_ONLINE));
    assert_true(redis_rig_until_owner(rig, asker, 2, "127.0.0.1:7"));
    while (strstr(redis_desk_ask(&rig->servers[0], "GET tidegate:log-1:dev:phone-0001:ana"), "gate-a:") == NULL) uv_run(&rig->loop, UV_RUN_NOWAIT);
}

static void a_server_that_is_not_there_yet_is_found_when_it_is(void **state)
{
    struct redis_rig *rig = *state;
    redis_desk_stop(&rig->servers[0]);
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *w = redis_rig_open(rig, 1, NULL, NULL);
    know_something(a, w);
    redis_rig_ask_user(rig, a, "ana");
    assert_int_equal(rig->asked.err, ERR_BUSY);
    redis_rig_ask_offsets(rig, a, "ana", "phone-0001");
    assert_int_equal(rig->asked.err, ERR_BUSY);
    redis_rig_ask_owner(rig, a, 2);
    assert_int_equal(rig->asked.err, ERR_BUSY);
    redis_desk_start(&rig->servers[0]);
    assert_known(rig, w);
    assert_true(redis_rig_until_cursor(rig, w, "ana", "phone-0001", "c-7"));
}

static void what_was_known_is_written_again_after_a_restart(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *w = redis_rig_open(rig, 1, NULL, NULL);
    know_something(a, w);
    assert_known(rig, w);
    redis_desk_stop(&rig->servers[0]);
    assert_true(redis_rig_until_ready(rig, a, 0));
    put_offset(a, "ana", "chat:a", 8, "c-8");
    present(a, "bo", 2, PRESENCE_ONLINE, 2000);
    present(a, "bo", 2, PRESENCE_OFFLINE, 3000); /* came and went meanwhile */
    redis_desk_start(&rig->servers[0]);
    assert_known(rig, w);
    assert_true(redis_rig_until_cursor(rig, w, "ana", "phone-0001", "c-8"));
    assert_true(redis_rig_until_user(rig, w, "bo", ERR_OK, PRESENCE_OFFLINE));
    assert_int_equal(rig->asked.user.last_seen_ms, 3000);
}

static void what_was_known_is_written_again_into_an_emptied_server(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *w = redis_rig_open(rig, 1, NULL, NULL);
    know_something(a, w);
    assert_known(rig, w);
    assert_string_equal(redis_desk_ask(&rig->servers[0], "FLUSHALL"), "OK");
    assert_known(rig, w);
    assert_int_equal(redis_registry_counters(a->redis)->lost, 0); /* the connection stood all the while */
}

static void a_server_that_forgot_the_scripts_gets_them_again(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *w = redis_rig_open(rig, 1, NULL, NULL);
    assert_true(redis_rig_until_ready(rig, a, 1));
    assert_string_equal(redis_desk_ask(&rig->servers[0], "SCRIPT FLUSH"), "OK");
    know_something(a, w);
    assert_known(rig, w);
    assert_true(redis_rig_until_cursor(rig, w, "ana", "phone-0001", "c-7"));
}

static void a_server_that_hangs_is_busy_and_then_known_again(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *w = redis_rig_open(rig, 1, NULL, NULL);
    know_something(a, w);
    assert_known(rig, w);
    redis_desk_hang(&rig->servers[0], true);
    redis_rig_ask_user(rig, w, "ana"); /* under way when it is given up */
    assert_int_equal(rig->asked.err, ERR_BUSY);
    assert_true(redis_rig_until_ready(rig, a, 0)); /* nobody asked here: its own PING told */
    put_offset(a, "ana", "chat:a", 9, "c-9");
    redis_desk_hang(&rig->servers[0], false);
    assert_known(rig, w);
    assert_true(redis_rig_until_cursor(rig, w, "ana", "phone-0001", "c-9"));
}

static void a_listener_that_was_cut_listens_again(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *b = redis_rig_open(rig, 1, NULL, "gate-b");
    static const char listening[] = "tidegate:log-1:to:gate-a 1";
    assert_true(redis_rig_until_ready(rig, a, 1) && redis_rig_until_ready(rig, b, 1));
    while (strcmp(redis_desk_ask(&rig->servers[0], "PUBSUB NUMSUB tidegate:log-1:to:gate-a"), listening) != 0) uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_string_equal(redis_desk_ask(&rig->servers[0], "CLIENT KILL TYPE pubsub"), "2");
    while (strcmp(redis_desk_ask(&rig->servers[0], "PUBSUB NUMSUB tidegate:log-1:to:gate-a"), listening) != 0) uv_run(&rig->loop, UV_RUN_NOWAIT);
    claim(a, "ana", 1);
    redis_rig_ask_user(rig, a, "ana");
    claim(b, "ana", 2);
    assert_true(redis_rig_until_displaced(rig, a, 1));
}

static void of_two_that_hold_a_device_when_the_server_is_back_the_older_hears(void **state)
{
    struct redis_rig *rig = *state;
    redis_desk_stop(&rig->servers[0]);
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *b = redis_rig_open(rig, 1, NULL, "gate-b");
    int64_t before_ms = rig_now_ms();
    claim(a, "ana", 1);
    while (rig_now_ms() <= before_ms + 1) uv_run(&rig->loop, UV_RUN_NOWAIT); /* in the next millisecond the device connects elsewhere */
    claim(b, "ana", 2);
    redis_desk_start(&rig->servers[0]);
    assert_true(redis_rig_until_displaced(rig, a, 1));
    assert_int_equal(a->displaced[0], 1);
    assert_int_equal(b->displaced_count, 0);
    assert_non_null(strstr(redis_desk_ask(&rig->servers[0], "GET tidegate:log-1:dev:phone-0001:ana"), "gate-b:"));
}

static void two_here_need_no_server(void **state)
{
    struct redis_rig *rig = *state;
    redis_desk_stop(&rig->servers[0]);
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a");
    claim(a, "ana", 1);
    claim(a, "ana", 2);
    assert_int_equal(a->displaced_count, 1);
    assert_int_equal(a->displaced[0], 1);
}

struct resetter {
    uv_tcp_t listener, conn;
    size_t accepted;
    bool open;
};
static void on_reset(uv_handle_t *handle) { ((struct resetter *)handle->data)->open = false; }
static void on_connection(uv_stream_t *stream, int status)
{
    struct resetter *resetter = stream->data;
    if (status < 0 || resetter->open) return;
    uv_tcp_init(stream->loop, &resetter->conn);
    resetter->conn.data = resetter;
    resetter->open = true;
    if (uv_accept(stream, (uv_stream_t *)&resetter->conn) == 0) resetter->accepted++;
    uv_tcp_close_reset(&resetter->conn, on_reset);
}
static bool accepted_5(void *ctx) { return ((struct resetter *)ctx)->accepted >= 5 && !((struct resetter *)ctx)->open; }

static void a_server_that_resets_every_connection_is_tried_again_and_again(void **state)
{
    struct redis_rig *rig = *state;
    struct resetter *resetter = calloc(1, sizeof *resetter);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int bytes = sizeof at;
    char address[32];
    uv_tcp_init(&rig->loop, &resetter->listener);
    resetter->listener.data = resetter;
    assert_int_equal(uv_tcp_bind(&resetter->listener, (struct sockaddr *)&at, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&resetter->listener, 16, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&resetter->listener, (struct sockaddr *)&at, &bytes), 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(at.sin_port));
    struct redis_seat *w = redis_rig_open(rig, 0, address, NULL);
    assert_true(redis_rig_until(rig, accepted_5, resetter));
    assert_int_equal(redis_registry_counters(w->redis)->servers, 0);
    redis_rig_close(rig, w);
    uv_close((uv_handle_t *)&resetter->listener, NULL);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    free(resetter);
}

static void keys_are_spread_and_one_server_of_two_takes_its_own_with_it(void **state)
{
    struct redis_rig *rig = *state;
    char both[80];
    redis_desk_start(&rig->servers[1]);
    snprintf(both, sizeof both, "%s,%s", rig->servers[0].address, rig->servers[1].address);
    struct redis_seat *a = redis_rig_open(rig, 0, both, "gate-a"), *w = redis_rig_open(rig, 1, both, NULL);
    assert_true(redis_rig_until_ready(rig, a, 2) && redis_rig_until_ready(rig, w, 2));
    char user[32];
    size_t there = 0;
    for (uint64_t i = 0; i < 32; i++) {
        snprintf(user, sizeof user, "user-%02d", (int)i);
        present(a, user, i + 1, PRESENCE_ONLINE, 1000);
        assert_true(redis_rig_until_user(rig, w, user, ERR_OK, PRESENCE_ONLINE));
        there += strcmp(redis_desk_ask(&rig->servers[1], "EXISTS tidegate:log-1:user:%s", user), "1") == 0;
    }
    assert_in_range(there, 4, 28);
    redis_desk_stop(&rig->servers[1]);
    assert_true(redis_rig_until_ready(rig, w, 1));
    size_t busy = 0;
    for (int i = 0; i < 32; i++) {
        snprintf(user, sizeof user, "user-%02d", i);
        redis_rig_ask_user(rig, w, user);
        busy += rig->asked.err == ERR_BUSY;
    }
    assert_int_equal(busy, there);
    redis_desk_start(&rig->servers[1]);
    for (int i = 0; i < 32; i++) {
        snprintf(user, sizeof user, "user-%02d", i);
        assert_true(redis_rig_until_user(rig, w, user, ERR_OK, PRESENCE_ONLINE));
    }
}

static void a_thousand_sessions_come_back_by_themselves(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a");
    char user[32];
    assert_true(redis_rig_until_ready(rig, a, 1));
    for (uint64_t i = 0; i < 1000; i++) {
        snprintf(user, sizeof user, "user-%d", (int)i);
        present(a, user, i + 1, PRESENCE_ONLINE, 1000);
        claim(a, user, i + 1);
    }
    for (int i = 0; i < 1000; i += 2) { /* every other goes, some of them amid the writing again */
        snprintf(user, sizeof user, "user-%d", i);
        if (i == 500) {
            redis_desk_ask(&rig->servers[0], "FLUSHALL");
            redis_desk_ask(&rig->servers[0], "SCRIPT FLUSH");
        }
        a->registry->ops->release_device(a->registry, span_text(user), SPAN_LITERAL("phone-0001"), (uint64_t)i + 1);
        present(a, user, (uint64_t)i + 1, PRESENCE_OFFLINE, 2000);
        if (i % 50 == 0) uv_run(&rig->loop, UV_RUN_NOWAIT);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(user, sizeof user, "user-%d", i);
        assert_true(redis_rig_until_user(rig, a, user, ERR_OK, i % 2 == 0 ? PRESENCE_OFFLINE : PRESENCE_ONLINE));
    }
    assert_int_equal(a->displaced_count, 0);
}

int main(void)
{
#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, redis_rig_setup, redis_rig_teardown)
    const struct CMUnitTest tests[] = {
        FAULT_TEST(a_server_that_is_not_there_yet_is_found_when_it_is),
        FAULT_TEST(what_was_known_is_written_again_after_a_restart),
        FAULT_TEST(what_was_known_is_written_again_into_an_emptied_server),
        FAULT_TEST(a_server_that_forgot_the_scripts_gets_them_again),
        FAULT_TEST(a_server_that_hangs_is_busy_and_then_known_again),
        FAULT_TEST(a_listener_that_was_cut_listens_again),
        FAULT_TEST(of_two_that_hold_a_device_when_the_server_is_back_the_older_hears),
        FAULT_TEST(two_here_need_no_server),
        FAULT_TEST(a_server_that_resets_every_connection_is_tried_again_and_again),
        FAULT_TEST(keys_are_spread_and_one_server_of_two_takes_its_own_with_it),
        FAULT_TEST(a_thousand_sessions_come_back_by_themselves),
    };
    return cmocka_run_group_tests_name("redis_faults", tests, NULL, NULL);
}
