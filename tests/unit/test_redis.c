/* What the registry on Redis keeps, with a real server: presence, devices, offsets, owners. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/redis_rig.h"

static void present(struct redis_seat *seat, const char *user, uint64_t session, enum presence_state state, int64_t now_ms)
{
    seat->registry->ops->set_presence(seat->registry, span_text(user), SPAN_LITERAL("phone-0001"), session, state, now_ms);
}
static void claim(struct redis_seat *seat, const char *user, uint64_t session)
{
    seat->registry->ops->claim_device(seat->registry, span_text(user), SPAN_LITERAL("phone-0001"), session);
}
static void release(struct redis_seat *seat, const char *user, uint64_t session)
{
    seat->registry->ops->release_device(seat->registry, span_text(user), SPAN_LITERAL("phone-0001"), session);
}
static void put_offset(struct redis_seat *seat, const char *user, const char *space, uint64_t place, const char *cursor)
{
    seat->registry->ops->put_offset(seat->registry, span_text(user), SPAN_LITERAL("phone-0001"), span_text(space), place, span_text(cursor), 1);
}

static void a_user_is_as_awake_as_his_most_awake_session_anywhere(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *b = redis_rig_open(rig, 1, NULL, "gate-b"), *w = redis_rig_open(rig, 2, NULL, NULL);
    present(a, "ana", 1, PRESENCE_IDLE, 1000);
    assert_true(redis_rig_until_user(rig, w, "ana", ERR_OK, PRESENCE_IDLE));
    present(b, "ana", 1, PRESENCE_ONLINE, 2000); /* the same number, of another gateway */
    assert_true(redis_rig_until_user(rig, w, "ana", ERR_OK, PRESENCE_ONLINE));
    present(b, "ana", 1, PRESENCE_OFFLINE, 3000);
    assert_true(redis_rig_until_user(rig, w, "ana", ERR_OK, PRESENCE_IDLE));
    present(a, "ana", 1, PRESENCE_OFFLINE, 2500); /* its clock is behind: last seen goes back for nobody */
    assert_true(redis_rig_until_user(rig, w, "ana", ERR_OK, PRESENCE_OFFLINE));
    assert_int_equal(rig->asked.user.last_seen_ms, 3000);
    redis_rig_ask_user(rig, w, "nobody");
    assert_int_equal(rig->asked.user.last_seen_ms, 0);
}

static void sessions_of_a_gateway_that_is_dead_are_void(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_desk *server = &rig->servers[0];
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *b = redis_rig_open(rig, 1, NULL, "gate-b");
    present(a, "ana", 1, PRESENCE_ONLINE, 1000);
    assert_true(redis_rig_until_user(rig, b, "ana", ERR_OK, PRESENCE_ONLINE));
    assert_string_not_equal(redis_desk_ask(server, "PTTL tidegate:log-1:gw:gate-a"), "-1"); /* it ends by itself */
    redis_rig_close(rig, a);
    redis_desk_ask(server, "DEL tidegate:log-1:gw:gate-a"); /* as if its time had come */
    assert_true(redis_rig_until_user(rig, b, "ana", ERR_OK, PRESENCE_OFFLINE));
    assert_int_equal(rig->asked.user.last_seen_ms, 1000);
    assert_string_equal(redis_desk_ask(server, "HLEN tidegate:log-1:user:ana"), "1");
    /* One of the same name that lives later does not bring them back. */
    present(b, "bo", 1, PRESENCE_ONLINE, 1000);
    assert_true(redis_rig_until_user(rig, b, "bo", ERR_OK, PRESENCE_ONLINE));
    redis_rig_close(rig, b);
    b = redis_rig_open(rig, 1, NULL, "gate-b");
    assert_true(redis_rig_until_user(rig, b, "bo", ERR_OK, PRESENCE_OFFLINE));
}

static void a_device_that_connects_elsewhere_displaces_its_older_session(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *b = redis_rig_open(rig, 1, NULL, "gate-b");
    assert_true(redis_rig_until_ready(rig, a, 1) && redis_rig_until_ready(rig, b, 1));
    claim(a, "ana", 7);
    present(a, "ana", 7, PRESENCE_ONLINE, 1000);
    assert_true(redis_rig_until_user(rig, a, "ana", ERR_OK, PRESENCE_ONLINE)); /* what was sent before is done */
    while (strcmp(redis_desk_ask(&rig->servers[0], "PUBSUB NUMSUB tidegate:log-1:to:gate-a"), "tidegate:log-1:to:gate-a 1") != 0)
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    claim(b, "ana", 8);
    assert_true(redis_rig_until_displaced(rig, a, 1));
    assert_int_equal(a->displaced[0], 7);
    release(a, "ana", 7); /* it goes: the newer one's entry stays */
    present(a, "ana", 7, PRESENCE_OFFLINE, 1000);
    assert_true(redis_rig_until_user(rig, a, "ana", ERR_OK, PRESENCE_OFFLINE));
    assert_non_null(strstr(redis_desk_ask(&rig->servers[0], "GET tidegate:log-1:dev:phone-0001:ana"), "gate-b:"));
    release(b, "ana", 8);
    redis_rig_ask_user(rig, b, "ana");
    assert_string_equal(redis_desk_ask(&rig->servers[0], "EXISTS tidegate:log-1:dev:phone-0001:ana"), "0");
    assert_int_equal(b->displaced_count, 0);
}

static void a_release_takes_nobody_elses_entry(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a");
    assert_true(redis_rig_until_ready(rig, a, 1));
    claim(a, "ana", 1);
    redis_rig_ask_user(rig, a, "ana");
    redis_desk_ask(&rig->servers[0], "SET tidegate:log-1:dev:phone-0001:ana gate-z:0:1:1"); /* and this gateway was not told */
    release(a, "ana", 1);
    redis_rig_ask_user(rig, a, "ana");
    assert_string_equal(redis_desk_ask(&rig->servers[0], "GET tidegate:log-1:dev:phone-0001:ana"), "gate-z:0:1:1");
}

static void a_claim_that_was_overtaken_on_its_way_displaces_itself(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_desk *server = &rig->servers[0];
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *b = redis_rig_open(rig, 1, NULL, "gate-b");
    char command[256];
    assert_true(redis_rig_until_ready(rig, a, 1) && redis_rig_until_ready(rig, b, 1));
    while (strcmp(redis_desk_ask(server, "PUBSUB NUMSUB tidegate:log-1:to:gate-a"), "tidegate:log-1:to:gate-a 1") != 0)
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    /* The other gateway's claim, made half a second later, is there already. */
    snprintf(command, sizeof command, "SET tidegate:log-1:dev:phone-0001:ana gate-b:1f:8:%lld", (long long)rig_now_ms() + 500);
    redis_desk_ask(server, command);
    claim(a, "ana", 7);
    assert_true(redis_rig_until_displaced(rig, a, 1));
    assert_int_equal(a->displaced[0], 7);
    assert_non_null(strstr(redis_desk_ask(server, "GET tidegate:log-1:dev:phone-0001:ana"), "gate-b:"));
    /* A clock that is far ahead keeps nobody out. */
    snprintf(command, sizeof command, "SET tidegate:log-1:dev:phone-0001:ana gate-b:1f:8:%lld", (long long)rig_now_ms() + 60000);
    redis_desk_ask(server, command);
    claim(a, "ana", 9);
    redis_rig_ask_user(rig, a, "ana"); /* what was sent before is done */
    assert_non_null(strstr(redis_desk_ask(server, "GET tidegate:log-1:dev:phone-0001:ana"), "gate-a:"));
    assert_int_equal(a->displaced_count, 1);
    assert_int_equal(b->displaced_count, 0);
}

static void another_user_or_device_displaces_nobody(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a");
    assert_true(redis_rig_until_ready(rig, a, 1));
    claim(a, "ana", 1);
    claim(a, "bo", 2);
    a->registry->ops->claim_device(a->registry, SPAN_LITERAL("ana"), SPAN_LITERAL("laptop-01"), 3);
    claim(a, "ana", 1); /* again */
    redis_rig_ask_user(rig, a, "ana");
    assert_int_equal(a->displaced_count, 0);
    claim(a, "ana", 4);
    assert_int_equal(a->displaced_count, 1); /* both are here: at once */
    assert_int_equal(a->displaced[0], 1);
}

static void offsets_move_only_forward_and_exactly(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *b = redis_rig_open(rig, 1, NULL, "gate-b");
    assert_true(redis_rig_until_ready(rig, a, 1) && redis_rig_until_ready(rig, b, 1));
    put_offset(b, "ana", "chat:a", 9007199254740992, "c-92");
    assert_true(redis_rig_until_cursor(rig, b, "ana", "phone-0001", "c-92"));
    put_offset(a, "ana", "chat:a", 9007199254740993, "c-93"); /* one more than a double can tell */
    put_offset(a, "ana", "chat:b", 5, "b-5");
    put_offset(a, "ana", "chat:b", 4, "b-4"); /* in one batch, and behind */
    assert_true(redis_rig_until_cursor(rig, b, "ana", "phone-0001", "c-93"));
    assert_int_equal(rig->asked.count, 2);
    put_offset(b, "ana", "chat:a", 9007199254740992, "c-92");
    put_offset(b, "ana", "chat:b", 10, "b-10");               /* more, and less as text */
    assert_true(redis_rig_until_cursor(rig, b, "ana", "phone-0001", "b-10"));
    assert_true(redis_rig_until_cursor(rig, b, "ana", "phone-0001", "c-93"));
    put_offset(b, "ana", "chat:a", 9007199254740994, "c-94");
    assert_true(redis_rig_until_cursor(rig, a, "ana", "phone-0001", "c-94"));
    redis_rig_ask_offsets(rig, a, "ana", "laptop-01");
    assert_int_equal(rig->asked.count, 0);
    redis_rig_ask_offsets(rig, a, "bo", "phone-0001");
    assert_int_equal(rig->asked.count, 0);
}

static void offsets_that_nobody_moved_for_long_are_gone(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a");
    redis_desk_ask(&rig->servers[0], "HSET tidegate:log-1:off:phone-0001:ana chat:old 7:1000:old-7");
    assert_true(redis_rig_until_ready(rig, a, 1));
    put_offset(a, "ana", "chat:a", 3, "a-3");
    assert_true(redis_rig_until_cursor(rig, a, "ana", "phone-0001", "a-3"));
    assert_int_equal(rig->asked.count, 1);
    for (int i = 0; i < 14; i++) {
        char space[32];
        snprintf(space, sizeof space, "chat:n%d", i);
        put_offset(a, "bo", space, 1, "c");
    }
    redis_desk_ask(&rig->servers[0], "HSET tidegate:log-1:off:phone-0001:bo chat:old 7:1000:old-7");
    while (strcmp(redis_desk_ask(&rig->servers[0], "HLEN tidegate:log-1:off:phone-0001:bo"), "15") != 0) uv_run(&rig->loop, UV_RUN_NOWAIT);
    put_offset(a, "bo", "chat:more", 1, "c"); /* the sixteenth: the old are looked for */
    while (strcmp(redis_desk_ask(&rig->servers[0], "HEXISTS tidegate:log-1:off:phone-0001:bo chat:more"), "1") != 0) uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_string_equal(redis_desk_ask(&rig->servers[0], "HEXISTS tidegate:log-1:off:phone-0001:bo chat:old"), "0");
}

static bool heard_of_3(void *ctx) { return ((struct redis_seat *)ctx)->changes > 0 && ((struct redis_seat *)ctx)->changed == 3; }

static void an_owner_is_found_and_the_later_one_has_it(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a"), *first = redis_rig_open(rig, 1, NULL, NULL), *second = redis_rig_open(rig, 2, NULL, NULL);
    struct span one = SPAN_LITERAL("127.0.0.1:1"), two = SPAN_LITERAL("127.0.0.1:2");
    first->directory->ops->put(first->directory, 3, one);
    assert_true(redis_rig_until_owner(rig, a, 3, "127.0.0.1:1"));
    assert_true(redis_rig_until_owner(rig, a, 2, ""));
    while (strcmp(redis_desk_ask(&rig->servers[0], "PUBSUB NUMSUB tidegate:log-1:owners"), "tidegate:log-1:owners 1") != 0)
        uv_run(&rig->loop, UV_RUN_NOWAIT);
    a->changes = 0;
    second->directory->ops->put(second->directory, 3, two);
    assert_true(redis_rig_until(rig, heard_of_3, a)); /* told, not only found */
    assert_true(redis_rig_until_owner(rig, a, 3, "127.0.0.1:2"));
    /* The first goes on believing: it neither takes the entry back, nor away. */
    a->changes = 0;
    redis_desk_ask(&rig->servers[0], "PEXPIRE tidegate:log-1:own:3 14000");
    while (strtol(redis_desk_ask(&rig->servers[0], "PTTL tidegate:log-1:own:3"), NULL, 10) <= 14000) uv_run(&rig->loop, UV_RUN_NOWAIT);
    assert_true(redis_rig_until_owner(rig, a, 3, "127.0.0.1:2"));
    first->directory->ops->withdraw(first->directory, 3, one);
    redis_rig_ask_user(rig, first, "ana");
    assert_true(redis_rig_until_owner(rig, a, 3, "127.0.0.1:2"));
    assert_int_equal(a->changes, 0);
    second->directory->ops->withdraw(second->directory, 3, two);
    assert_true(redis_rig_until_owner(rig, a, 3, ""));
}

static void must_not_be_told(void *ctx, enum err err, const struct registry_user *user)
{
    (void)err;
    (void)user;
    *(bool *)ctx = true;
}

static void a_question_that_is_forgotten_is_not_answered(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a");
    bool told = false;
    assert_true(redis_rig_until_ready(rig, a, 1));
    a->registry->ops->get_user(a->registry, SPAN_LITERAL("ana"), &told, must_not_be_told);
    a->registry->ops->forget(a->registry, &told);
    redis_rig_ask_user(rig, a, "ana"); /* the one after it is */
    assert_false(told);
    /* And one that is under way when the registry goes is answered all the same; so is what was said before. */
    present(a, "ana", 1, PRESENCE_OFFLINE, 5000);
    put_offset(a, "ana", "chat:a", 1, "c-1");
    a->registry->ops->get_user(a->registry, SPAN_LITERAL("ana"), &told, must_not_be_told);
    redis_rig_close(rig, a);
    assert_true(told);
    assert_string_equal(redis_desk_ask(&rig->servers[0], "HGET tidegate:log-1:user:ana seen"), "5000");
    assert_string_equal(redis_desk_ask(&rig->servers[0], "HLEN tidegate:log-1:off:phone-0001:ana"), "1");
}

static void another_log_sees_nothing_of_it(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_seat *a = redis_rig_open(rig, 0, NULL, "gate-a");
    char why[128];
    struct redis_registry_options other = {.loop = &rig->loop, .servers = rig->servers[0].address, .log = "log-2", .gateway = "gate-a", .tick_ms = RIG_TICK_MS};
    assert_true(redis_rig_until_ready(rig, a, 1));
    put_offset(a, "ana", "chat:a", 1000000, "old-log");
    assert_true(redis_rig_until_cursor(rig, a, "ana", "phone-0001", "old-log"));
    struct redis_seat *b = &rig->seats[1];
    assert_int_equal(redis_registry_open(&other, &b->redis, why, sizeof why), ERR_OK);
    b->registry = redis_registry_seam(b->redis);
    assert_true(redis_rig_until_ready(rig, b, 1));
    put_offset(b, "ana", "chat:a", 1, "new-log"); /* offsets of two logs do not compare: this one begins anew */
    assert_true(redis_rig_until_cursor(rig, b, "ana", "phone-0001", "new-log"));
}

static void what_is_no_address_is_refused_by_name(void **state)
{
    struct redis_rig *rig = *state;
    struct redis_registry *none = NULL;
    char why[128];
    static const char *const wrong[] = {"", "host:port", "a:1:2", "127.0.0.1:6379,:6379"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct redis_registry_options options = {.loop = &rig->loop, .servers = wrong[i], .log = "log-1"};
        assert_int_equal(redis_registry_open(&options, &none, why, sizeof why), ERR_CONFIG);
        assert_null(none);
    }
    assert_non_null(strstr(why, ":6379"));
}

int main(void)
{
#define REDIS_TEST(name) cmocka_unit_test_setup_teardown(name, redis_rig_setup, redis_rig_teardown)
    const struct CMUnitTest tests[] = {
        REDIS_TEST(a_user_is_as_awake_as_his_most_awake_session_anywhere),
        REDIS_TEST(sessions_of_a_gateway_that_is_dead_are_void),
        REDIS_TEST(a_device_that_connects_elsewhere_displaces_its_older_session),
        REDIS_TEST(a_release_takes_nobody_elses_entry),
        REDIS_TEST(a_claim_that_was_overtaken_on_its_way_displaces_itself), REDIS_TEST(another_user_or_device_displaces_nobody),
        REDIS_TEST(offsets_move_only_forward_and_exactly),
        REDIS_TEST(offsets_that_nobody_moved_for_long_are_gone),
        REDIS_TEST(an_owner_is_found_and_the_later_one_has_it),
        REDIS_TEST(a_question_that_is_forgotten_is_not_answered),
        REDIS_TEST(another_log_sees_nothing_of_it),
        REDIS_TEST(what_is_no_address_is_refused_by_name),
    };
    return cmocka_run_group_tests_name("redis", tests, NULL, NULL);
}
