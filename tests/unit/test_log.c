/* The log: one line an event, and no flood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static char said[65536];
static FILE *caught;
static int kept = -1;

static void catch_stderr(void)
{
    caught = tmpfile();
    kept = dup(STDERR_FILENO);
    assert_true(caught != NULL && kept >= 0);
    fflush(stderr);
    assert_true(dup2(fileno(caught), STDERR_FILENO) >= 0);
}
static void give_back(void)
{
    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(caught);
    said[fread(said, 1, sizeof said - 1, caught)] = '\0';
    fclose(caught);
}
static unsigned lines(void)
{
    unsigned count = 0;
    for (const char *at = said; *at != '\0'; at++) count += *at == '\n';
    return count;
}

static void a_line_has_time_level_event_and_pairs(void **state)
{
    int year, month, day, hour, minute, second, thousandth;
    char level[8], event[32], pair[32];
    (void)state;
    catch_stderr();
    log_line(LOG_WARN_LEVEL, "shape", "count=%d", 7);
    log_line(LOG_INFO_LEVEL, "bare", "%s", "");
    give_back();
    assert_int_equal(sscanf(said, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %7s %31s %31s", &year, &month, &day, &hour, &minute, &second, &thousandth, level, event, pair), 10);
    assert_string_equal(level, "warn");
    assert_string_equal(event, "shape");
    assert_string_equal(pair, "count=7");
    assert_non_null(strstr(said, "Z info bare\n"));
    assert_int_equal(lines(), 2);
}

static void below_the_threshold_nothing_is_written(void **state)
{
    (void)state;
    catch_stderr();
    log_line(LOG_DEBUG_LEVEL, "quiet", "a=%d", 1);
    log_threshold(LOG_ERROR_LEVEL);
    log_line(LOG_WARN_LEVEL, "quiet", "a=%d", 1);
    log_line(LOG_ERROR_LEVEL, "loud", "a=%d", 1);
    log_threshold(LOG_INFO_LEVEL);
    give_back();
    assert_int_equal(lines(), 1);
    assert_non_null(strstr(said, " error loud a=1\n"));
}

static void what_a_peer_sent_makes_no_line_of_its_own(void **state)
{
    (void)state;
    catch_stderr();
    log_line(LOG_INFO_LEVEL, "sly", "why=\"%s\"", "x\"\n2026-01-01T00:00:00.000Z error forged\r\x1b[31m");
    give_back();
    assert_int_equal(lines(), 1);
    assert_null(strchr(said, '\r'));
    assert_null(strchr(said, '\x1b'));
}

static void a_flood_is_cut_and_counted(void **state)
{
    unsigned long left_out = 0, told = 0, written = 0;
    const int64_t end = clock_monotonic_ms() + 1200; /* into the next second, whichever it is */
    unsigned long calls = 0;
    (void)state;
    catch_stderr();
    while (clock_monotonic_ms() < end) {
        log_line(LOG_INFO_LEVEL, "flood", "n=%lu", calls++);
        if (calls % 100 == 0) usleep(1000);
    }
    log_line(LOG_INFO_LEVEL, "other", "a=%d", 1);
    give_back();
    for (const char *at = strstr(said, " flood "); at != NULL; at = strstr(at + 1, " flood ")) {
        const char *note = strstr(at, "left_out="), *line_end = strchr(at, '\n');
        written++;
        if (note != NULL && note < line_end && sscanf(note, "left_out=%lu", &told) == 1) left_out += told;
    }
    assert_true(written >= LOG_BURST && written <= 3 * LOG_BURST);
    assert_true(left_out > 0 && written + left_out <= calls);
    assert_non_null(strstr(said, " other a=1\n")); /* another event is not held back by it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_event_and_pairs),
        cmocka_unit_test(below_the_threshold_nothing_is_written),
        cmocka_unit_test(what_a_peer_sent_makes_no_line_of_its_own),
        cmocka_unit_test(a_flood_is_cut_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
