/* Presence: joins, leaves, grace, rate, states; time is passed in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "tests/support/rig.h"
#include "workers/presence.h"

struct desk {
    struct presence *presence;
    int64_t now_ms;
    size_t frames;
    char *frame; /* the last */
};

static int setup(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL || presence_open(&desk->presence) != ERR_OK) return -1;
    desk->now_ms = 1000000;
    *state = desk;
    return 0;
}

static int teardown(void **state)
{
    struct desk *desk = *state;
    presence_close(desk->presence);
    free(desk->frame);
    free(desk);
    return 0;
}

static void emit(void *ctx, struct span space, struct span frame)
{
    struct desk *desk = ctx;
    struct json_value value;
    assert_true(space.bytes > 0);
    assert_true(json_check(frame, &value, NULL));
    desk->frames++;
    free(desk->frame);
    desk->frame = malloc(frame.bytes + 1);
    assert_non_null(desk->frame);
    memcpy(desk->frame, frame.at, frame.bytes);
    desk->frame[frame.bytes] = 0;
}

static void tell_as(struct desk *desk, uint32_t peer, const char *user, const char *device, uint64_t session,
                    enum presence_state how, const char *meta)
{
    struct presence_event event = {.peer = peer, .space = SPAN_LITERAL("chat:a"), .user = span_text(user),
                                   .device = span_text(device), .session = session, .state = how, .meta = span_text(meta)};
    assert_int_equal(presence_tell(desk->presence, &event, desk->now_ms), ERR_OK);
}
static void tell(struct desk *desk, const char *user, uint64_t session, enum presence_state how)
{
    char device[32];
    snprintf(device, sizeof device, "device-%llu", (unsigned long long)session);
    tell_as(desk, 0, user, device, session, how, "");
}

/* Lets `ms` pass, a step each time that something is due; returns how many frames came. */
static size_t pass(struct desk *desk, int64_t ms)
{
    size_t before = desk->frames;
    int64_t end_ms = desk->now_ms + ms;
    while (presence_due_ms(desk->presence) <= end_ms) {
        int64_t due_ms = presence_due_ms(desk->presence);
        if (due_ms > desk->now_ms) desk->now_ms = due_ms;
        presence_step(desk->presence, desk->now_ms, desk, emit);
    }
    desk->now_ms = end_ms;
    return desk->frames - before;
}

static void frame_is(struct desk *desk, const char *expected)
{
    assert_non_null(desk->frame);
    assert_string_equal(desk->frame, expected);
}

static const char *snapshot(struct desk *desk)
{
    static char text[65536];
    struct buf buf;
    buf_init(&buf, sizeof text - 1);
    presence_snapshot(desk->presence, SPAN_LITERAL("chat:a"), desk->now_ms, &buf);
    assert_true(buf_ok(&buf));
    memcpy(text, buf_span(&buf).at, buf.bytes);
    text[buf.bytes] = 0;
    buf_fini(&buf);
    return text;
}

static void who_comes_joins(void **state)
{
    struct desk *desk = *state;
    tell_as(desk, 0, "ana", "device-1", 1, PRESENCE_ONLINE, "{\"mood\":\"well\"}");
    assert_int_equal(pass(desk, 0), 1);
    frame_is(desk, "{\"type\":\"presence\",\"space\":\"chat:a\",\"join\":[{\"user\":\"ana\",\"devices\":1,\"state\":\"online\","
                   "\"meta\":{\"mood\":\"well\"}}]}");
}

static void who_goes_leaves_after_the_grace(void **state)
{
    struct desk *desk = *state;
    tell(desk, "ana", 1, PRESENCE_ONLINE);
    assert_int_equal(pass(desk, 5000), 1);
    tell(desk, "ana", 1, PRESENCE_OFFLINE);
    assert_int_equal(pass(desk, PRESENCE_GRACE_MS - 1), 0);
    assert_true(presence_is_here(desk->presence, SPAN_LITERAL("chat:a"), SPAN_LITERAL("ana")));
    assert_int_equal(pass(desk, 1), 1);
    frame_is(desk, "{\"type\":\"presence\",\"space\":\"chat:a\",\"leave\":[{\"user\":\"ana\",\"devices\":0,\"state\":\"online\",\"meta\":{}}]}");
    assert_false(presence_is_here(desk->presence, SPAN_LITERAL("chat:a"), SPAN_LITERAL("ana")));
    assert_int_equal(presence_due_ms(desk->presence), INT64_MAX);
}

static void a_return_within_the_grace_shows_as_neither(void **state)
{
    struct desk *desk = *state;
    tell(desk, "ana", 1, PRESENCE_ONLINE);
    pass(desk, 5000);
    tell(desk, "ana", 1, PRESENCE_OFFLINE);
    pass(desk, PRESENCE_GRACE_MS - 1);
    tell(desk, "ana", 2, PRESENCE_ONLINE);
    assert_int_equal(pass(desk, 60000), 0);
}

static void who_comes_and_goes_at_once_was_never_here(void **state)
{
    struct desk *desk = *state;
    tell(desk, "ana", 1, PRESENCE_ONLINE);
    tell(desk, "ana", 1, PRESENCE_OFFLINE);
    assert_int_equal(pass(desk, 60000), 0);
    assert_string_equal(snapshot(desk), "{\"type\":\"presence\",\"space\":\"chat:a\",\"here\":[],\"count\":0}");
}

static void at_most_one_frame_a_second(void **state)
{
    struct desk *desk = *state;
    size_t frames = 0;
    for (uint64_t i = 0; i < 50; i++) {
        char user[16];
        snprintf(user, sizeof user, "user%llu", (unsigned long long)i);
        tell(desk, user, i, PRESENCE_ONLINE);
        frames += pass(desk, 100);
    }
    frames += pass(desk, 2000);
    assert_true(frames >= 5 && frames <= 6);
}

static void a_snapshot_counts_as_a_frame_once(void **state)
{
    struct desk *desk = *state;
    tell(desk, "ana", 1, PRESENCE_ONLINE);
    snapshot(desk);
    assert_int_equal(pass(desk, 999), 0);
    snapshot(desk); /* another watcher does not put it off again */
    assert_int_equal(pass(desk, 1), 1);
}

static void a_users_state_is_that_of_his_most_awake_device(void **state)
{
    struct desk *desk = *state;
    tell(desk, "ana", 1, PRESENCE_IDLE);
    pass(desk, 2000);
    assert_non_null(strstr(desk->frame, "\"devices\":1,\"state\":\"idle\""));
    tell(desk, "ana", 2, PRESENCE_ONLINE);
    assert_int_equal(pass(desk, 2000), 1);
    assert_non_null(strstr(desk->frame, "\"join\":[{\"user\":\"ana\",\"devices\":2,\"state\":\"online\""));
    tell(desk, "ana", 1, PRESENCE_ONLINE);
    assert_int_equal(pass(desk, 2000), 0);
    tell(desk, "ana", 2, PRESENCE_OFFLINE);
    assert_int_equal(pass(desk, 20000), 0); /* another device is as awake */
    tell(desk, "ana", 1, PRESENCE_IDLE);
    assert_int_equal(pass(desk, 2000), 1);
    assert_non_null(strstr(desk->frame, "\"state\":\"idle\""));
}

static void two_sessions_of_one_device_are_one_device(void **state)
{
    struct desk *desk = *state;
    tell_as(desk, 0, "ana", "device-1", 1, PRESENCE_ONLINE, "");
    tell_as(desk, 1, "ana", "device-1", 1, PRESENCE_ONLINE, "");
    pass(desk, 0);
    assert_non_null(strstr(desk->frame, "\"devices\":1"));
}

static void a_change_of_meta_comes_as_a_join(void **state)
{
    struct desk *desk = *state;
    tell_as(desk, 0, "ana", "device-1", 1, PRESENCE_ONLINE, "{\"a\":1}");
    pass(desk, 2000);
    tell_as(desk, 0, "ana", "device-1", 1, PRESENCE_ONLINE, "{\"a\":1}");
    assert_int_equal(pass(desk, 2000), 0);
    tell_as(desk, 0, "ana", "device-2", 2, PRESENCE_ONLINE, "{\"a\":2}");
    assert_int_equal(pass(desk, 2000), 1);
    assert_non_null(strstr(desk->frame, "\"join\":[{\"user\":\"ana\",\"devices\":2,\"state\":\"online\",\"meta\":{\"a\":2}}]"));
}

static void the_meta_is_the_newest_of_the_devices_that_are_here(void **state)
{
    struct desk *desk = *state;
    tell_as(desk, 0, "ana", "device-1", 1, PRESENCE_ONLINE, "{\"a\":1}");
    tell_as(desk, 0, "ana", "device-2", 2, PRESENCE_ONLINE, "{\"a\":2}");
    pass(desk, 2000);
    tell_as(desk, 0, "ana", "device-1", 1, PRESENCE_IDLE, "{\"a\":1}"); /* told again with another state: no newer for that */
    assert_int_equal(pass(desk, 2000), 0);
    tell_as(desk, 0, "ana", "device-2", 2, PRESENCE_OFFLINE, "");
    assert_int_equal(pass(desk, 2000), 1);
    assert_non_null(strstr(desk->frame, "\"join\":[{\"user\":\"ana\",\"devices\":1,\"state\":\"idle\",\"meta\":{\"a\":1}}]"));
    tell_as(desk, 0, "ana", "device-1", 1, PRESENCE_OFFLINE, "");
    assert_int_equal(pass(desk, 12000), 1);
    assert_non_null(strstr(desk->frame, "\"meta\":{\"a\":1}")); /* a leave: as last told */
}

static void a_gateway_that_dies_takes_its_sessions_with_grace(void **state)
{
    struct desk *desk = *state;
    tell_as(desk, 1, "ana", "device-1", 1, PRESENCE_ONLINE, "");
    tell_as(desk, 1, "bo", "device-2", 2, PRESENCE_ONLINE, "");
    tell_as(desk, 2, "bo", "device-3", 2, PRESENCE_ONLINE, "");
    pass(desk, 2000);
    presence_drop_peer(desk->presence, 1, desk->now_ms);
    assert_int_equal(pass(desk, PRESENCE_GRACE_MS - 1), 0);
    assert_int_equal(pass(desk, 1), 1);
    assert_non_null(strstr(desk->frame, "\"leave\":[{\"user\":\"ana\""));
    assert_null(strstr(desk->frame, "bo"));
}

static void a_partition_that_went_is_forgotten_without_a_word(void **state)
{
    struct desk *desk = *state;
    tell(desk, "ana", 1, PRESENCE_ONLINE);
    pass(desk, PRESENCE_FRAME_MS);
    presence_drop_partition(desk->presence, 0, 1);
    assert_int_equal(pass(desk, 2 * PRESENCE_GRACE_MS), 0);
    assert_non_null(strstr(snapshot(desk), "\"count\":0}"));
    tell(desk, "bo", 2, PRESENCE_ONLINE);
    assert_non_null(strstr(snapshot(desk), "\"count\":1}"));
}

static void a_crowd_is_counted_and_told_in_slices(void **state)
{
    struct desk *desk = *state;
    for (uint64_t i = 0; i < 450; i++) {
        char user[16];
        snprintf(user, sizeof user, "user%llu", (unsigned long long)i);
        tell(desk, user, i, PRESENCE_ONLINE);
    }
    const char *text = snapshot(desk);
    size_t listed = 0;
    for (const char *at = text; (at = strstr(at, "\"user\"")) != NULL; at++) listed++;
    assert_int_equal(listed, LIMIT_PRESENCE_HERE_MAX);
    assert_non_null(strstr(text, "\"count\":450}"));
    assert_int_equal(pass(desk, 10000), 3);
}

/* Whatever happens, what the watchers were told becomes what is. */
static void what_is_told_converges_to_what_is(void **state)
{
    struct desk *desk = *state;
    uint64_t seed = 5;
    enum { PEOPLE = 12 };
    bool here[PEOPLE] = {false};
    for (int i = 0; i < 5000; i++) {
        unsigned who = (unsigned)(rig_random(&seed) % PEOPLE);
        char user[16];
        snprintf(user, sizeof user, "user%02u", who);
        uint64_t how = rig_random(&seed) % 3;
        tell(desk, user, who, how == 0 ? PRESENCE_OFFLINE : how == 1 ? PRESENCE_IDLE : PRESENCE_ONLINE);
        here[who] = how != 0;
        pass(desk, (int64_t)(rig_random(&seed) % 3000));
        if (i % 50 != 0) continue;
        pass(desk, PRESENCE_GRACE_MS + 2000);
        assert_int_equal(presence_due_ms(desk->presence), INT64_MAX);
        for (unsigned p = 0; p < PEOPLE; p++) {
            snprintf(user, sizeof user, "user%02u", p);
            assert_int_equal(presence_is_here(desk->presence, SPAN_LITERAL("chat:a"), span_text(user)), here[p]);
        }
    }
}

int main(void)
{
#define PRESENCE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        PRESENCE_TEST(who_comes_joins),
        PRESENCE_TEST(who_goes_leaves_after_the_grace),
        PRESENCE_TEST(a_return_within_the_grace_shows_as_neither),
        PRESENCE_TEST(who_comes_and_goes_at_once_was_never_here),
        PRESENCE_TEST(at_most_one_frame_a_second),
        PRESENCE_TEST(a_snapshot_counts_as_a_frame_once),
        PRESENCE_TEST(a_users_state_is_that_of_his_most_awake_device),
        PRESENCE_TEST(two_sessions_of_one_device_are_one_device),
        PRESENCE_TEST(a_change_of_meta_comes_as_a_join),
        PRESENCE_TEST(the_meta_is_the_newest_of_the_devices_that_are_here),
        PRESENCE_TEST(a_gateway_that_dies_takes_its_sessions_with_grace),
        PRESENCE_TEST(a_partition_that_went_is_forgotten_without_a_word),
        PRESENCE_TEST(a_crowd_is_counted_and_told_in_slices),
        PRESENCE_TEST(what_is_told_converges_to_what_is),
    };
    return cmocka_run_group_tests_name("presence", tests, NULL, NULL);
}
