/* The embedded registry: sessions, last seen, offsets, who holds a device; across a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/embedded/embedded_registry.h"
#include "tests/support/rig.h"

#define ANA SPAN_LITERAL("ana")
#define PHONE SPAN_LITERAL("phone-0001")

struct desk {
    char dir[RIG_PATH_BYTES];
    uv_loop_t loop;
    struct embedded_registry *embedded;
    struct registry *registry;
    struct registry_user user;
    size_t offsets;
    char first_cursor[64];
    uint64_t displaced;
    bool closed;
};

static void on_displaced(void *ctx, uint64_t session) { ((struct desk *)ctx)->displaced = session; }

static void desk_open(struct desk *desk)
{
    char why[128];
    uv_loop_init(&desk->loop);
    assert_int_equal(embedded_registry_open(desk->dir, false, &desk->loop, &desk->embedded, why, sizeof why), ERR_OK);
    desk->registry = embedded_registry_seam(desk->embedded);
    desk->registry->ctx = desk;
    desk->registry->displaced = on_displaced;
    desk->closed = false;
}

static void on_closed(void *ctx) { ((struct desk *)ctx)->closed = true; }

static void desk_close(struct desk *desk)
{
    embedded_registry_close(desk->embedded, desk, on_closed);
    rig_loop_close(&desk->loop);
    assert_true(desk->closed);
}

static int setup(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) return -1;
    rig_dir_make(desk->dir);
    desk_open(desk);
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    struct desk *desk = *state;
    desk_close(desk);
    rig_dir_remove(desk->dir);
    free(desk);
    return 0;
}

static void on_user(void *ctx, enum err err, const struct registry_user *user)
{
    assert_int_equal(err, ERR_OK);
    ((struct desk *)ctx)->user = *user;
}
static const struct registry_user *user(struct desk *desk, struct span name)
{
    desk->registry->ops->get_user(desk->registry, name, desk, on_user);
    return &desk->user;
}

static void on_offsets(void *ctx, enum err err, const struct registry_offset *offsets, size_t count)
{
    struct desk *desk = ctx;
    assert_int_equal(err, ERR_OK);
    desk->offsets = count;
    for (size_t i = 0; i < count; i++)
        if (span_is(offsets[i].space, "chat:a")) snprintf(desk->first_cursor, sizeof desk->first_cursor, "%.*s", (int)offsets[i].cursor.bytes, offsets[i].cursor.at);
}
static size_t offsets(struct desk *desk)
{
    desk->first_cursor[0] = 0;
    desk->registry->ops->get_offsets(desk->registry, ANA, PHONE, desk, on_offsets);
    return desk->offsets;
}
static void put_offset(struct desk *desk, const char *space, uint64_t place)
{
    char cursor[32];
    snprintf(cursor, sizeof cursor, "c%llu", (unsigned long long)place);
    desk->registry->ops->put_offset(desk->registry, ANA, PHONE, span_text(space), place, span_text(cursor), 1000);
}

static void a_users_state_is_that_of_his_most_awake_session(void **state)
{
    struct desk *desk = *state;
    const struct registry_ops *ops = desk->registry->ops;
    assert_int_equal(user(desk, ANA)->state, PRESENCE_OFFLINE);
    assert_int_equal(user(desk, ANA)->last_seen_ms, 0);
    ops->set_presence(desk->registry, ANA, PHONE, 1, PRESENCE_IDLE, 100);
    assert_int_equal(user(desk, ANA)->state, PRESENCE_IDLE);
    ops->set_presence(desk->registry, ANA, SPAN_LITERAL("laptop-001"), 2, PRESENCE_ONLINE, 200);
    assert_int_equal(user(desk, ANA)->state, PRESENCE_ONLINE);
    ops->set_presence(desk->registry, ANA, SPAN_LITERAL("laptop-001"), 2, PRESENCE_OFFLINE, 300);
    assert_int_equal(user(desk, ANA)->state, PRESENCE_IDLE);
    ops->set_presence(desk->registry, ANA, PHONE, 1, PRESENCE_OFFLINE, 400);
    assert_int_equal(user(desk, ANA)->state, PRESENCE_OFFLINE);
    assert_int_equal(user(desk, ANA)->last_seen_ms, 400);
}

static void last_seen_and_offsets_survive_a_restart(void **state)
{
    struct desk *desk = *state;
    desk->registry->ops->set_presence(desk->registry, ANA, PHONE, 1, PRESENCE_ONLINE, 500);
    put_offset(desk, "chat:a", 7);
    put_offset(desk, "chat:b", 9);
    desk_close(desk);
    desk_open(desk);
    assert_int_equal(user(desk, ANA)->state, PRESENCE_OFFLINE);
    assert_int_equal(user(desk, ANA)->last_seen_ms, 500);
    assert_int_equal(offsets(desk), 2);
    assert_string_equal(desk->first_cursor, "c7");
    put_offset(desk, "chat:a", 8); /* newer than what was saved: it is the one told */
    put_offset(desk, "chat:c", 1);
    assert_int_equal(offsets(desk), 3);
    assert_string_equal(desk->first_cursor, "c8");
}

static void an_offset_only_goes_forward(void **state)
{
    struct desk *desk = *state;
    put_offset(desk, "chat:a", 7);
    put_offset(desk, "chat:a", 5);
    assert_int_equal(offsets(desk), 1);
    assert_string_equal(desk->first_cursor, "c7");
    desk_close(desk);
    desk_open(desk);
    put_offset(desk, "chat:a", 6);
    offsets(desk);
    assert_string_equal(desk->first_cursor, "c7");
}

static void another_devices_offsets_are_its_own(void **state)
{
    struct desk *desk = *state;
    put_offset(desk, "chat:a", 7);
    desk->registry->ops->put_offset(desk->registry, ANA, SPAN_LITERAL("phone-00011"), SPAN_LITERAL("chat:b"), 1, SPAN_LITERAL("x"), 1);
    desk->registry->ops->put_offset(desk->registry, SPAN_LITERAL("ana2"), PHONE, SPAN_LITERAL("chat:c"), 1, SPAN_LITERAL("x"), 1);
    assert_int_equal(offsets(desk), 1);
}

static void the_older_session_of_a_device_is_displaced(void **state)
{
    struct desk *desk = *state;
    const struct registry_ops *ops = desk->registry->ops;
    ops->claim_device(desk->registry, ANA, PHONE, 1);
    ops->claim_device(desk->registry, ANA, PHONE, 1);
    assert_int_equal(desk->displaced, 0);
    ops->claim_device(desk->registry, ANA, PHONE, 2);
    assert_int_equal(desk->displaced, 1);
    desk->displaced = 0;
    ops->release_device(desk->registry, ANA, PHONE, 1); /* the older one's going does not free what the newer holds */
    ops->claim_device(desk->registry, ANA, PHONE, 3);
    assert_int_equal(desk->displaced, 2);
    desk->displaced = 0;
    ops->release_device(desk->registry, ANA, PHONE, 3);
    ops->claim_device(desk->registry, ANA, PHONE, 4);
    assert_int_equal(desk->displaced, 0);
    ops->claim_device(desk->registry, SPAN_LITERAL("bo"), PHONE, 5); /* a device id is its user's */
    assert_int_equal(desk->displaced, 0);
}

int main(void)
{
#define REGISTRY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(a_users_state_is_that_of_his_most_awake_session),
        REGISTRY_TEST(last_seen_and_offsets_survive_a_restart),
        REGISTRY_TEST(an_offset_only_goes_forward),
        REGISTRY_TEST(another_devices_offsets_are_its_own),
        REGISTRY_TEST(the_older_session_of_a_device_is_displaced),
    };
    return cmocka_run_group_tests_name("embedded_registry", tests, NULL, NULL);
}
