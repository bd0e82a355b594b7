/* The checker is itself checked: a good history passes, each kind of violation planted in it is found, and a history that is
 * dropped, doubled, reordered or altered at random is not called good. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/checker/checker.h"
#include "tests/support/chance.h"
#include "tests/support/history.h"

enum { TEXT_MAX = 1 << 16, REPORT_MAX = 1 << 22, PAGE_MAX = 1 << 18 };

static const struct checker_options options = {.converge_ms = 100, .slack_ms = 10};
static const struct checker_options told = {.converge_ms = 100, .slack_ms = 10, .order_is_told = true};

static char history_good[TEXT_MAX];

static int join(void **state)
{
    size_t at = 0;
    (void)state;
    for (size_t i = 0; i < history_lines_count; i++) at += (size_t)snprintf(history_good + at, sizeof history_good - at, "%s\n", history_lines[i]);
    return at < sizeof history_good ? 0 : -1;
}

/* Reads lines written with ' for ". */
static struct checker *read_history(const char *text, const struct checker_options *chosen)
{
    struct checker *checker = checker_open(chosen);
    char line[2048];
    while (*text != '\0') {
        const char *end = strchr(text, '\n'), *why = "";
        size_t bytes = end == NULL ? strlen(text) : (size_t)(end - text);
        assert_true(bytes < sizeof line);
        for (size_t i = 0; i < bytes; i++) line[i] = text[i] == '\'' ? '"' : text[i];
        if (bytes > 0 && !checker_add_json(checker, span_of(line, bytes), &why)) fail_msg("%.*s: %s", (int)bytes, line, why);
        text += bytes + (end != NULL);
    }
    return checker;
}

static void say(const struct checker *checker, const struct checker_report *report)
{
    struct buf buf;
    buf_init(&buf, REPORT_MAX);
    for (size_t i = 0; i < report->list_count; i++) checker_render(checker, i, &buf);
    fprintf(stderr, "%.*s", (int)buf.bytes, buf.at == NULL ? "" : buf.at);
    buf_fini(&buf);
}

static void a_good_history_passes(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct checker *checker = read_history(history_good, i == 0 ? &options : &told);
        const struct checker_report *report = checker_finish(checker);
        if (report->violations > 0) say(checker, report);
        assert_int_equal(report->violations, 0);
        assert_true(report->checks > 150);
        checker_close(checker);
    }
}

static void each_kind_of_violation_is_found_where_it_is_planted(void **state)
{
    static char text[TEXT_MAX];
    bool seen[CHECKER_RULES_COUNT] = {false};
    size_t missed = 0;
    (void)state;
    for (size_t i = 0; i < history_plants_count; i++) {
        const struct history_plant *plant = &history_plants[i];
        const char *at = strstr(history_good, plant->from);
        if (at == NULL || strstr(at + 1, plant->from) != NULL) fail_msg("%s: \"%s\" is not there exactly once", plant->name, plant->from);
        int bytes = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - history_good), history_good, plant->to, at + strlen(plant->from));
        assert_true(bytes > 0 && (size_t)bytes < sizeof text);
        struct checker *checker = read_history(text, plant->untold ? &options : &told);
        const struct checker_report *report = checker_finish(checker);
        bool found = false;
        for (size_t k = 0; k < report->list_count; k++) found = found || report->list[k].rule == plant->rule;
        seen[plant->rule] = seen[plant->rule] || found;
        if (!found) {
            fprintf(stderr, "missed: %s, which breaks %s; found %zu:\n", plant->name, checker_rule_name(plant->rule), report->violations);
            say(checker, report);
            missed++;
        }
        checker_close(checker);
    }
    for (size_t rule = 0; rule < CHECKER_RULES_COUNT; rule++)
        if (!seen[rule]) fail_msg("nothing is planted for the rule %s", checker_rule_name((enum checker_rule)rule));
    assert_int_equal(missed, 0);
}

/* Lenience that a rule has, planted likewise: nothing is found. */
static void what_the_page_allows_is_no_violation(void **state)
{
    static char text[TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < history_allowed_count; i++) {
        const struct history_plant *plant = &history_allowed[i];
        const char *at = strstr(history_good, plant->from);
        if (at == NULL || strstr(at + 1, plant->from) != NULL) fail_msg("%s: \"%s\" is not there exactly once", plant->name, plant->from);
        int bytes = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - history_good), history_good, plant->to, at + strlen(plant->from));
        assert_true(bytes > 0 && (size_t)bytes < sizeof text);
        struct checker *checker = read_history(text, plant->untold ? &options : &told);
        const struct checker_report *report = checker_finish(checker);
        if (report->violations > 0) say(checker, report);
        if (report->violations > 0) fail_msg("%s is called a violation", plant->name);
        checker_close(checker);
    }
}

/* ---- at random ---- */

/* Does this line matter to anybody? Frames that carry documents do, to the stores that are there until the end. */
static bool is_weighty(const char *line, size_t bytes)
{
    bool stays = memmem(line, bytes, "'who':'d0'", 10) != NULL || memmem(line, bytes, "'who':'d1'", 10) != NULL || memmem(line, bytes, "'who':'d2'", 10) != NULL;
    bool is_frame = memmem(line, bytes, "'event':'update'", 16) != NULL || memmem(line, bytes, "'event':'page'", 14) != NULL;
    return stays && is_frame && memmem(line, bytes, "'docs'", 6) != NULL;
}

static size_t find_weighty(const char *text, struct chance *chance, size_t *ret_bytes)
{
    size_t starts[512], lengths[512], count = 0;
    for (const char *at = text; *at != '\0';) {
        const char *end = strchr(at, '\n');
        size_t bytes = (size_t)(end - at) + 1;
        assert_true(count < sizeof starts / sizeof *starts);
        if (is_weighty(at, bytes)) {
            starts[count] = (size_t)(at - text);
            lengths[count++] = bytes;
        }
        at = end + 1;
    }
    size_t chosen = chance_below(chance, count);
    *ret_bytes = lengths[chosen];
    return starts[chosen];
}

/* One digit behind `name` is another, in the first document of the line. */
static bool alter(char *line, size_t bytes, const char *name)
{
    char *docs = memmem(line, bytes, "'docs':[", 8);
    char *at = memmem(docs, bytes - (size_t)(docs - line), name, strlen(name));
    if (at == NULL) return false;
    at += strlen(name);
    *at = *at == '7' ? '6' : '7';
    return true;
}

static void mutate(char *text, struct chance *chance, const char **ret_what)
{
    static char copy[TEXT_MAX];
    size_t bytes, at = find_weighty(text, chance, &bytes), what = chance_below(chance, 4);
    memcpy(copy, text, strlen(text) + 1);
    if (what == 0) {
        memmove(text + at, copy + at + bytes, strlen(copy + at + bytes) + 1);
        *ret_what = "dropped";
    } else if (what == 1) {
        memcpy(text + at + bytes, copy + at, strlen(copy + at) + 1);
        *ret_what = "doubled";
    } else if (what == 2 && alter(text + at, bytes, "'sum':'")) {
        *ret_what = "altered";
    } else {
        assert_true(alter(text + at, bytes, "'rev':"));
        *ret_what = "of another rev";
    }
}

static void a_frame_that_is_lost_doubled_or_altered_never_passes(void **state)
{
    static char text[TEXT_MAX];
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct chance chance = {seed};
        const char *what = "";
        memcpy(text, history_good, strlen(history_good) + 1);
        mutate(text, &chance, &what);
        struct checker *checker = read_history(text, seed % 2 == 0 ? &options : &told);
        const struct checker_report *report = checker_finish(checker);
        if (report->violations == 0) {
            size_t differs = 0;
            while (text[differs] == history_good[differs]) differs++;
            fail_msg("seed %llu: a frame was %s, and nobody noticed: ...%.120s", (unsigned long long)seed, what, text + (differs > 60 ? differs - 60 : 0));
        }
        checker_close(checker);
    }
}

/* ---- its own ---- */

static void every_rule_cites_a_sentence_that_its_page_has(void **state)
{
    static char page[PAGE_MAX];
    (void)state;
    for (size_t rule = 0; rule < CHECKER_RULES_COUNT; rule++) {
        FILE *file = fopen(checker_rule_page((enum checker_rule)rule), "rb");
        assert_non_null(file);
        size_t bytes = fread(page, 1, sizeof page - 1, file);
        page[bytes] = '\0';
        (void)fclose(file);
        for (size_t i = 0; i < bytes; i++)
            if (page[i] == '\n') page[i] = ' ';
        if (strstr(page, checker_rule_sentence((enum checker_rule)rule)) == NULL)
            fail_msg("%s says nowhere: %s", checker_rule_page((enum checker_rule)rule), checker_rule_sentence((enum checker_rule)rule));
    }
}

static void events_come_back_from_their_lines(void **state)
{
    struct checker *checker = read_history(history_good, &options), *again = checker_open(&options);
    const struct checker_report *report = checker_finish(checker);
    struct buf one, other;
    (void)state;
    buf_init(&one, REPORT_MAX);
    buf_init(&other, REPORT_MAX);
    for (size_t i = 0; i < report->events; i++) {
        const char *why = "";
        buf_reset(&one);
        buf_reset(&other);
        checker_event_json(checker_event_at(checker, i), &one);
        assert_true(checker_add_json(again, span_of(one.at, one.bytes - 1), &why));
        checker_event_json(checker_event_at(again, i), &other);
        assert_true(span_equal(buf_span(&one), buf_span(&other)));
    }
    buf_fini(&one);
    buf_fini(&other);
    checker_close(checker);
    checker_close(again);
}

static void a_line_that_is_no_event_is_refused(void **state)
{
    static const char *const bad[] = {"", "[]", "{}", "{\"event\":\"updates\"}", "{\"event\":\"update\",\"revv\":1}", "{\"event\":\"update\",\"rev\":\"1\"}",
                                      "{\"event\":\"page\",\"docs\":[{\"collection\":\"a\",\"id\":\"b\",\"rev\":1}]}", "{\"event\":\"page\",\"digest\":\"xyz\"}",
                                      "{\"event\":\"page\",\"more\":1}", "{\"event\":\"result\",\"status\":\"fine\"}", "{\"time\":1}"};
    struct checker *checker = checker_open(&options);
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *why = NULL;
        if (checker_add_json(checker, span_text(bad[i]), &why) || why == NULL) fail_msg("taken: %s", bad[i]);
    }
    checker_close(checker);
}

static void another_history_in_the_same_memory_is_judged_alike(void **state)
{
    struct checker *checker = read_history(history_good, &told);
    (void)state;
    size_t checks = checker_finish(checker)->checks;
    for (int i = 0; i < 3; i++) {
        struct checker *fresh = read_history(history_good, &told);
        size_t events = checker_finish(fresh)->events;
        checker_reset(checker, &told);
        for (size_t k = 0; k < events; k++) (void)checker_add(checker, checker_event_at(fresh, k));
        assert_int_equal(checker_finish(checker)->checks, checks);
        checker_close(fresh);
    }
    checker_close(checker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_history_passes),
        cmocka_unit_test(each_kind_of_violation_is_found_where_it_is_planted),
        cmocka_unit_test(what_the_page_allows_is_no_violation),
        cmocka_unit_test(a_frame_that_is_lost_doubled_or_altered_never_passes),
        cmocka_unit_test(every_rule_cites_a_sentence_that_its_page_has),
        cmocka_unit_test(events_come_back_from_their_lines),
        cmocka_unit_test(a_line_that_is_no_event_is_refused),
        cmocka_unit_test(another_history_in_the_same_memory_is_judged_alike),
    };
    return cmocka_run_group_tests_name("checker", tests, join, NULL);
}
