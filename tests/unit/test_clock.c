/* The clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "base/clock.h"

static void the_wall_clock_tells_milliseconds_since_1970(void **state)
{
    (void)state;
    int64_t before = (int64_t)time(NULL) * 1000, now = clock_wall_ms(), after = ((int64_t)time(NULL) + 1) * 1000;
    assert_true(before - 1000 <= now && now <= after + 1000); /* time() may lag a tick behind */
    assert_true(now > INT64_C(1600000000000));
}

static void the_monotonic_clock_moves_on_and_never_back(void **state)
{
    int64_t begin = clock_monotonic_ms(), last = begin;
    (void)state;
    while (last < begin + 20) {
        int64_t now = clock_monotonic_ms();
        assert_true(now >= last);
        last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wall_clock_tells_milliseconds_since_1970),
        cmocka_unit_test(the_monotonic_clock_moves_on_and_never_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
