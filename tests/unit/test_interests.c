/* Interests: who wants which space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "tests/support/rig.h"
#include "workers/interests.h"

static size_t count_of(const struct interests *interests, const char *space)
{
    size_t count;
    interests_find(interests, span_text(space), &count);
    return count;
}

static void an_interest_twice_is_one(void **state)
{
    struct interests interests = {0};
    (void)state;
    assert_int_equal(count_of(&interests, "chat:a"), 0);
    assert_int_equal(interests_add(&interests, 3, SPAN_LITERAL("chat:a")), ERR_OK);
    assert_int_equal(interests_add(&interests, 3, SPAN_LITERAL("chat:a")), ERR_OK);
    assert_int_equal(count_of(&interests, "chat:a"), 1);
    interests_drop(&interests, 3, SPAN_LITERAL("chat:a"));
    assert_int_equal(count_of(&interests, "chat:a"), 0);
    interests_drop(&interests, 3, SPAN_LITERAL("chat:a"));
    assert_int_equal(interests.spaces.count, 0);
    interests_fini(&interests);
}

static void a_peer_that_left_wants_nothing(void **state)
{
    struct interests interests = {0};
    (void)state;
    for (uint32_t peer = 0; peer < 4; peer++) {
        for (int i = 0; i < 500; i++) {
            char space[24];
            snprintf(space, sizeof space, "chat:%d", i);
            if (peer < 3 || i % 2 == 0) assert_int_equal(interests_add(&interests, peer, span_text(space)), ERR_OK);
        }
    }
    interests_drop_peer(&interests, 1);
    assert_int_equal(count_of(&interests, "chat:0"), 3);
    assert_int_equal(count_of(&interests, "chat:1"), 2);
    for (uint32_t peer = 0; peer < 4; peer++) interests_drop_peer(&interests, peer);
    assert_int_equal(interests.spaces.count, 0);
    interests_fini(&interests);
}

static void a_partition_that_went_takes_its_spaces_alone(void **state)
{
    struct interests interests = {0};
    size_t left = 0;
    (void)state;
    for (int i = 0; i < 200; i++) {
        char space[24];
        snprintf(space, sizeof space, "chat:%d", i);
        left += hash_partition(span_text(space), 4) != 2;
        assert_int_equal(interests_add(&interests, 1, span_text(space)), ERR_OK);
        assert_int_equal(interests_add(&interests, 2, span_text(space)), ERR_OK);
    }
    interests_drop_partition(&interests, 2, 4);
    assert_int_equal(interests.spaces.count, left);
    assert_in_range(left, 1, 199);
    interests_drop_peer(&interests, 1);
    interests_drop_peer(&interests, 2);
    interests_fini(&interests);
}

/* Against a plain table. */
static void any_order_of_adds_and_drops_leaves_what_was_added(void **state)
{
    enum { PEERS = 6, SPACES = 40 };
    struct interests interests = {0};
    bool wanted[PEERS][SPACES] = {{false}};
    uint64_t seed = 11;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint32_t peer = (uint32_t)(rig_random(&seed) % PEERS);
        unsigned at = (unsigned)(rig_random(&seed) % SPACES);
        char space[24];
        snprintf(space, sizeof space, "chat:%u", at);
        uint64_t what = rig_random(&seed) % 50;
        if (what == 0) {
            interests_drop_peer(&interests, peer);
            memset(wanted[peer], 0, sizeof wanted[peer]);
        } else if (what < 25) {
            interests_drop(&interests, peer, span_text(space));
            wanted[peer][at] = false;
        } else {
            assert_int_equal(interests_add(&interests, peer, span_text(space)), ERR_OK);
            wanted[peer][at] = true;
        }
        size_t count, expected = 0;
        const uint32_t *peers = interests_find(&interests, span_text(space), &count);
        for (uint32_t p = 0; p < PEERS; p++) expected += wanted[p][at];
        assert_int_equal(count, expected);
        for (size_t p = 0; p < count; p++) assert_true(wanted[peers[p]][at]);
    }
    interests_fini(&interests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interest_twice_is_one),
        cmocka_unit_test(a_peer_that_left_wants_nothing),
        cmocka_unit_test(a_partition_that_went_takes_its_spaces_alone),
        cmocka_unit_test(any_order_of_adds_and_drops_leaves_what_was_added),
    };
    return cmocka_run_group_tests_name("interests", tests, NULL, NULL);
}
