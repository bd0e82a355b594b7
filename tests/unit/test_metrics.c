/* Metrics as a Prometheus server reads them: format 0.0.4, and the rules that promtool checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "cli/cli.h"
#include "gateway/hub.h"

struct numbers { uint64_t first, second; };
static const struct metrics_row rows[] = {
    {"tidegate_first_total", METRICS_COUNTER, "The first.", offsetof(struct numbers, first), 1},
    {"tidegate_second_seconds_total", METRICS_COUNTER, "The second.", offsetof(struct numbers, second), 1000},
};

static void numbers_come_out_with_help_and_type(void **state)
{
    struct numbers numbers = {UINT64_MAX, 1500};
    struct buf out;
    (void)state;
    buf_init(&out, 4096);
    metrics_add(&out, rows, 2, &numbers);
    assert_true(span_is(buf_span(&out), "# HELP tidegate_first_total The first.\n# TYPE tidegate_first_total counter\ntidegate_first_total 18446744073709551615\n"
                                        "# HELP tidegate_second_seconds_total The second.\n# TYPE tidegate_second_seconds_total counter\n"
                                        "tidegate_second_seconds_total 1.500000\n"));
    buf_fini(&out);
}

static bool ends_in(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

/* What `promtool check metrics` objects to. */
static void check_row(const struct metrics_row *row)
{
    static const char *const units[] = {"millisecond", "microsecond", "_ms", "minute", "hour", "kilobyte", "megabyte", "kibibyte", "mebibyte"};
    if (strncmp(row->name, "tidegate_", 9) != 0) fail_msg("%s: without its prefix", row->name);
    if (row->name[strspn(row->name, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0') fail_msg("%s: a character too many", row->name);
    if (ends_in(row->name, "_total") != (row->kind == METRICS_COUNTER)) fail_msg("%s: _total is for counters, and all of them", row->name);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strstr(row->name, units[i]) != NULL) fail_msg("%s: base units only", row->name);
    if (ends_in(row->name, "_count") || ends_in(row->name, "_sum") || ends_in(row->name, "_bucket")) fail_msg("%s: a histogram's end", row->name);
    if (row->help == NULL || row->help[0] == '\0' || strpbrk(row->help, "\n|\\") != NULL) fail_msg("%s: help", row->name);
}

static void every_row_is_as_promtool_wants_it_and_named_once(void **state)
{
    const struct { const struct metrics_row *at; size_t count; } tables[] = {{metrics_hub_rows, metrics_hub_rows_count},
        {metrics_edge_rows, metrics_edge_rows_count}, {metrics_worker_rows, metrics_worker_rows_count}};
    const char *names[256];
    size_t count = 0;
    (void)state;
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            check_row(&tables[t].at[i]);
            for (size_t k = 0; k < count; k++) assert_string_not_equal(names[k], tables[t].at[i].name);
            assert_true(count < 256);
            names[count++] = tables[t].at[i].name;
        }
    }
    assert_true(count > 30);
}

static void every_counter_of_the_hub_has_a_row(void **state)
{
    (void)state;
    bool seen[sizeof(struct hub_counters) / sizeof(uint64_t)] = {false};
    for (size_t i = 0; i < metrics_hub_rows_count; i++) seen[metrics_hub_rows[i].offset / sizeof(uint64_t)] = true;
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        if (!seen[i]) fail_msg("number %zu of struct hub_counters", i);
}

static void the_process_tells_of_itself(void **state)
{
    struct buf out;
    double cpu = -1;
    unsigned long long resident = 0, files = 0;
    (void)state;
    buf_init(&out, 4096);
    metrics_add_process(&out);
    buf_add_char(&out, '\0');
    assert_true(buf_ok(&out));
    const char *at = strstr(out.at, "\nprocess_cpu_seconds_total ");
    assert_true(at != NULL && sscanf(at, "\nprocess_cpu_seconds_total %lf", &cpu) == 1 && cpu >= 0);
    at = strstr(out.at, "\nprocess_resident_memory_bytes ");
    assert_true(at != NULL && sscanf(at, "\nprocess_resident_memory_bytes %llu", &resident) == 1 && resident > 65536);
    at = strstr(out.at, "\nprocess_open_fds ");
    assert_true(at != NULL && sscanf(at, "\nprocess_open_fds %llu", &files) == 1 && files >= 1);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_out_with_help_and_type),
        cmocka_unit_test(every_row_is_as_promtool_wants_it_and_named_once),
        cmocka_unit_test(every_counter_of_the_hub_has_a_row),
        cmocka_unit_test(the_process_tells_of_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
