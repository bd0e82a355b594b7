/* What background work is due, when next, and why not; and what Linux says of network, power and disk. */
#include "client/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/work_conditions.h"
#include "tests/support/rig.h"
#include "tests/support/unit.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static const struct work_conditions all_well = {.network = true, .unmetered = true, .charging = true};
static struct store_moment now;

static int set_up(void **state)
{
    (void)state;
    now = (struct store_moment){.boot = "one", .boot_ms = 5000, .wall_ms = INT64_C(1700000000000)};
    return 0;
}

static void pass(int64_t ms)
{
    now.boot_ms += ms;
    now.wall_ms += ms;
    if (now.server_ms != 0) now.server_ms += ms;
}

static void reboot(int64_t off_for_ms, int64_t clock_jumps_ms)
{
    static unsigned boots;
    pass(off_for_ms);
    snprintf(now.boot, sizeof now.boot, "boot-%u", ++boots);
    now.boot_ms = 1000;
    now.wall_ms += clock_jumps_ms;
}

static struct store_work make(struct store_work work, int64_t delay_ms)
{
    assert_int_equal(work_make(&work, delay_ms, &now), ERR_OK);
    return work;
}

static enum work_why why(const struct store_work *work) { return work_decide(work, &now, &all_well).why; }
static int64_t in_ms(const struct store_work *work) { return work_decide(work, &now, &all_well).in_ms; }

static bool run(struct store_work *work, int64_t for_ms, enum work_end end)
{
    struct store_work before = *work;
    assert_int_equal(why(work), WORK_DUE);
    work_begin(work, &now);
    pass(for_ms);
    return work_finish(work, &before, end, 0, &now);
}

static void work_that_is_done_once_is_over(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.every_ms = 0}, 0);
    assert_false(run(&work, SECOND, WORK_WELL));
    work = make((struct store_work){.every_ms = 0}, 0);
    assert_false(run(&work, SECOND, WORK_FAILED));
}

static void a_delay_is_waited_for_whatever_the_wall_clock_does(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.every_ms = 0}, HOUR);
    assert_int_equal(why(&work), WORK_DELAYED);
    now.wall_ms += INT64_C(10) * 365 * DAY;
    pass(HOUR - 1);
    assert_int_equal(why(&work), WORK_DELAYED);
    assert_int_equal(in_ms(&work), 1);
    pass(1);
    now.wall_ms -= INT64_C(20) * 365 * DAY;
    assert_int_equal(why(&work), WORK_DUE);
}

static void across_a_boot_the_servers_time_counts(void **state)
{
    (void)state;
    now.server_ms = INT64_C(1800000000000);
    struct store_work work = make((struct store_work){.every_ms = 0}, HOUR);
    reboot(MINUTE, INT64_C(10) * 365 * DAY);
    assert_int_equal(in_ms(&work), HOUR - MINUTE);
    reboot(HOUR, -INT64_C(20) * 365 * DAY);
    assert_int_equal(why(&work), WORK_DUE);
}

static void without_it_the_wall_clock_does_and_one_that_went_back_costs_no_more_than_the_wait(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.every_ms = 0}, HOUR);
    reboot(MINUTE, 0);
    assert_int_equal(in_ms(&work), HOUR - MINUTE);
    reboot(MINUTE, -INT64_C(10) * 365 * DAY);
    assert_int_equal(in_ms(&work), HOUR);
    assert_true(work_settle(&work, &now));
    pass(HOUR);
    assert_int_equal(why(&work), WORK_DUE);
}

static void time_that_is_over_is_not_lost_by_boots_with_a_clock_from_1970(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.every_ms = 0}, HOUR);
    for (int i = 0; i < 3; i++) {
        pass(25 * MINUTE);
        (void)work_settle(&work, &now);
        reboot(0, -now.wall_ms);
        (void)work_settle(&work, &now);
    }
    assert_int_equal(why(&work), WORK_DUE);
}

static void the_backoff_doubles_or_grows_by_itself_from_10_s_to_5_h(void **state)
{
    (void)state;
    static const int64_t doubling[] = {30, 60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 18000, 18000}, linear[] = {30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 330, 360};
    struct store_work work = make((struct store_work){.every_ms = 0}, 0), other = make((struct store_work){.is_linear = true}, 0);
    for (size_t i = 0; i < sizeof doubling / sizeof doubling[0]; i++) {
        assert_true(run(&work, 3 * SECOND, WORK_RETRY));
        assert_int_equal(why(&work), WORK_BACKOFF);
        assert_int_equal(in_ms(&work), doubling[i] * SECOND);
        pass(in_ms(&work));
        assert_int_equal(work_backoff_ms(&other, (unsigned)i + 1), linear[i] * SECOND);
    }
    assert_int_equal(work_backoff_ms(&work, 1000000), WORK_BACKOFF_MOST_MS);
    work = make((struct store_work){.backoff_ms = 1}, 0);
    assert_int_equal(work_backoff_ms(&work, 1), WORK_BACKOFF_LEAST_MS);
    work = make((struct store_work){.backoff_ms = DAY}, 0);
    assert_int_equal(work_backoff_ms(&work, 1), WORK_BACKOFF_MOST_MS);
}

static void who_is_killed_in_a_run_comes_back_after_the_backoff(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.every_ms = 0}, 0);
    work_begin(&work, &now);
    assert_int_equal(why(&work), WORK_BACKOFF);
    assert_int_equal(in_ms(&work), WORK_BACKOFF_MS);
    pass(WORK_BACKOFF_MS);
    work_begin(&work, &now);
    assert_int_equal(in_ms(&work), 2 * WORK_BACKOFF_MS);
}

static void what_ran_out_of_time_is_due_at_once_and_its_attempts_are_not_counted(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.every_ms = 0}, 0);
    assert_true(run(&work, SECOND, WORK_RETRY));
    pass(HOUR);
    assert_true(run(&work, SECOND, WORK_MORE));
    assert_int_equal(work.attempts, 1);
    assert_int_equal(why(&work), WORK_DUE);
}

static void periodic_work_runs_once_in_each_period(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.every_ms = HOUR}, 0);
    for (int i = 0; i < 3; i++) { /* late in the period or early: the next one is where it is */
        pass(i * MINUTE);
        assert_true(run(&work, MINUTE, WORK_WELL));
        assert_int_equal(why(&work), WORK_PERIOD);
        assert_int_equal(in_ms(&work), HOUR - (i + 1) * MINUTE);
        pass(in_ms(&work));
    }
    pass(100 * HOUR + MINUTE); /* in a drawer */
    assert_true(run(&work, MINUTE, WORK_WELL));
    assert_int_equal(in_ms(&work), HOUR - 2 * MINUTE);
}

static void its_flex_is_the_last_part_of_the_period(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.every_ms = DAY, .flex_ms = HOUR}, 0);
    assert_int_equal(in_ms(&work), 23 * HOUR);
    pass(23 * HOUR + 10 * MINUTE);
    assert_true(run(&work, MINUTE, WORK_WELL));
    assert_int_equal(in_ms(&work), 49 * MINUTE + 23 * HOUR);
    work = make((struct store_work){.every_ms = DAY, .flex_ms = 1}, 0);
    assert_int_equal(work.flex_ms, WORK_FLEX_LEAST_MS);
}

static void a_failed_period_is_tried_again_and_the_next_one_stays_where_it_was(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.every_ms = HOUR}, 0);
    assert_true(run(&work, MINUTE, WORK_RETRY));
    assert_int_equal(in_ms(&work), WORK_BACKOFF_MS);
    pass(4 * MINUTE);
    assert_true(run(&work, 0, WORK_WELL));
    assert_int_equal(work.attempts, 0);
    assert_int_equal(in_ms(&work), 55 * MINUTE);
    pass(in_ms(&work));
    assert_true(run(&work, 0, WORK_FAILED));
    assert_int_equal(in_ms(&work), HOUR);
}

static void periods_and_delays_that_are_none_are_refused(void **state)
{
    (void)state;
    struct store_work work = {.every_ms = WORK_EVERY_LEAST_MS - 1};
    assert_int_equal(work_make(&work, 0, &now), ERR_INVALID);
    work.every_ms = -1;
    assert_int_equal(work_make(&work, 0, &now), ERR_INVALID);
    work.every_ms = 0;
    assert_int_equal(work_make(&work, -1, &now), ERR_INVALID);
    assert_int_equal(work_make(&work, WORK_LONGEST_MS + 1, &now), ERR_INVALID);
}

static void every_constraint_must_hold_and_the_first_that_does_not_is_named(void **state)
{
    (void)state;
    struct store_work work = make((struct store_work){.network = STORE_NETWORK_UNMETERED, .charging = true, .battery = true, .storage = true}, 0);
    struct work_conditions outside = {.battery_low = true, .storage_low = true};
    assert_int_equal(work_decide(&work, &now, &outside).why, WORK_NETWORK);
    outside.network = true;
    assert_int_equal(work_decide(&work, &now, &outside).why, WORK_UNMETERED);
    outside.unmetered = true;
    assert_int_equal(work_decide(&work, &now, &outside).why, WORK_CHARGING);
    outside.charging = true;
    assert_int_equal(work_decide(&work, &now, &outside).why, WORK_BATTERY);
    outside.battery_low = false;
    assert_int_equal(work_decide(&work, &now, &outside).why, WORK_STORAGE);
    outside.storage_low = false;
    assert_int_equal(work_decide(&work, &now, &outside).why, WORK_DUE);
    work = make((struct store_work){.every_ms = 0}, 0);
    assert_int_equal(work_decide(&work, &now, &(struct work_conditions){.battery_low = true, .storage_low = true}).why, WORK_DUE);
    work.is_behind = true;
    assert_int_equal(why(&work), WORK_BEHIND);
}

/* ---- Linux ---- */

static char root[RIG_PATH_BYTES];

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

static int set_up_root(void **state)
{
    (void)state;
    rig_dir_make(root);
    return 0;
}

static int tear_down_root(void **state)
{
    (void)state;
    rig_dir_remove(root);
    return 0;
}

static struct work_conditions look(void)
{
    struct work_conditions conditions;
    work_conditions_read(root, root, &conditions);
    return conditions;
}

#define ROUTES "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
#define ROUTES_6_LOOPBACK "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"

static void a_default_route_is_a_network_and_a_modems_is_metered(void **state)
{
    (void)state;
    write_file("proc/net/route", ROUTES "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
    write_file("proc/net/ipv6_route", ROUTES_6_LOOPBACK);
    assert_false(look().network);
    write_file("proc/net/route", ROUTES "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
    assert_true(look().network && look().unmetered);
    write_file("proc/net/route", ROUTES "wwan0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
    assert_true(look().network && !look().unmetered);
    write_file("proc/net/route", ROUTES "usb0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
    assert_true(look().unmetered);
    write_file("sys/class/net/usb0/uevent", "DEVTYPE=wwan\nINTERFACE=usb0\n");
    assert_true(look().network && !look().unmetered);
    write_file("proc/net/route", ROUTES);
    write_file("proc/net/ipv6_route", ROUTES_6_LOOPBACK "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 "
                                      "00000400 00000001 00000000 00000003    wlan0\n");
    assert_true(look().network && look().unmetered);
}

static void power_is_what_charger_and_battery_say(void **state)
{
    (void)state;
    assert_true(look().charging && !look().battery_low); /* a machine without either */
    write_file("sys/class/power_supply/BAT0/type", "Battery\n");
    write_file("sys/class/power_supply/BAT0/status", "Discharging\n");
    write_file("sys/class/power_supply/BAT0/capacity", "80\n");
    assert_true(!look().charging && !look().battery_low);
    write_file("sys/class/power_supply/BAT0/capacity", "15\n");
    assert_true(look().battery_low);
    write_file("sys/class/power_supply/BAT0/capacity", "16\n");
    write_file("sys/class/power_supply/BAT0/capacity_level", "Low\n");
    assert_true(look().battery_low);
    write_file("sys/class/power_supply/BAT0/capacity_level", "Normal\n");
    write_file("sys/class/power_supply/mouse/type", "Battery\n");
    write_file("sys/class/power_supply/mouse/scope", "Device\n");
    write_file("sys/class/power_supply/mouse/capacity", "1\n");
    assert_false(look().battery_low);
    write_file("sys/class/power_supply/AC/type", "Mains\n");
    write_file("sys/class/power_supply/AC/online", "0\n");
    assert_false(look().charging);
    write_file("sys/class/power_supply/AC/online", "1\n");
    assert_true(look().charging);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)
#define SYSTEM_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_root, tear_down_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(work_that_is_done_once_is_over), TEST(a_delay_is_waited_for_whatever_the_wall_clock_does), TEST(across_a_boot_the_servers_time_counts),
        TEST(without_it_the_wall_clock_does_and_one_that_went_back_costs_no_more_than_the_wait), TEST(time_that_is_over_is_not_lost_by_boots_with_a_clock_from_1970),
        TEST(the_backoff_doubles_or_grows_by_itself_from_10_s_to_5_h), TEST(who_is_killed_in_a_run_comes_back_after_the_backoff),
        TEST(what_ran_out_of_time_is_due_at_once_and_its_attempts_are_not_counted), TEST(periodic_work_runs_once_in_each_period), TEST(its_flex_is_the_last_part_of_the_period),
        TEST(a_failed_period_is_tried_again_and_the_next_one_stays_where_it_was), TEST(periods_and_delays_that_are_none_are_refused),
        TEST(every_constraint_must_hold_and_the_first_that_does_not_is_named), SYSTEM_TEST(a_default_route_is_a_network_and_a_modems_is_metered),
        SYSTEM_TEST(power_is_what_charger_and_battery_say)};
    return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
