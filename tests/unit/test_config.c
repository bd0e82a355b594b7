/* Settings: who beats whom, and how a mistake is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"

static struct config *config;
static char said[4096];

/* Reads the arguments as `serve` would, with stderr caught in `said`. */
static int read_as(unsigned command, char *const *argv)
{
    char *copy[64];
    int argc = 0;
    bool help;
    FILE *caught = tmpfile();
    int kept = dup(STDERR_FILENO);
    assert_true(caught != NULL && kept >= 0);
    for (; argv[argc] != NULL; argc++) copy[argc] = argv[argc];
    config_free(config);
    config = NULL;
    fflush(stderr);
    assert_true(dup2(fileno(caught), STDERR_FILENO) >= 0);
    int code = config_read(command, argc, copy, &config, &help);
    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(caught);
    said[fread(said, 1, sizeof said - 1, caught)] = '\0';
    fclose(caught);
    assert_true((code == EXIT_WELL) == (config != NULL));
    if (code != EXIT_WELL) assert_int_equal(strcspn(said, "\n"), strlen(said) - 1); /* one line */
    return code;
}
static char *lend(const char *text)
{
    union { const char *lent; char *argument; } both = {.lent = text};
    return both.argument;
}
#define READ(command, ...) read_as(command, (char *const[]){__VA_ARGS__, NULL})
#define A(text) lend(text)

static int clear(void **state)
{
    (void)state;
    unsetenv("TIDEGATE_HEARTBEAT");
    unsetenv("TIDEGATE_LISTEN");
    unsetenv("TIDEGATE_DEV");
    unsetenv("TIDEGATE_DATA");
    config_free(config);
    config = NULL;
    return 0;
}

static void a_flag_beats_the_environment_which_beats_the_default(void **state)
{
    (void)state;
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_WELL);
    assert_int_equal(config_number(config, "heartbeat"), 25);
    setenv("TIDEGATE_HEARTBEAT", "7", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_WELL);
    assert_int_equal(config_number(config, "heartbeat"), 7);
    assert_int_equal(READ(CONFIG_SERVE, A("--heartbeat"), A("9")), EXIT_WELL);
    assert_int_equal(config_number(config, "heartbeat"), 9);
    assert_int_equal(READ(CONFIG_SERVE, A("--heartbeat=11")), EXIT_WELL);
    assert_int_equal(config_number(config, "heartbeat"), 11);
    setenv("TIDEGATE_HEARTBEAT", "", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_WELL);
    assert_int_equal(config_number(config, "heartbeat"), 25);
}

static void a_list_is_one_source_whole(void **state)
{
    const char *const *items;
    (void)state;
    assert_int_equal(READ(CONFIG_SERVE, A("--listen"), A("a:1"), A("--listen=b:2")), EXIT_WELL);
    assert_int_equal(config_list(config, "listen", &items), 2);
    assert_string_equal(items[0], "a:1");
    assert_string_equal(items[1], "b:2");
    setenv("TIDEGATE_LISTEN", "c:3,d:4,e:5", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_WELL);
    assert_int_equal(config_list(config, "listen", &items), 3);
    assert_string_equal(items[2], "e:5");
    assert_int_equal(READ(CONFIG_SERVE, A("--listen"), A("a:1")), EXIT_WELL);
    assert_int_equal(config_list(config, "listen", &items), 1);
    clear(NULL);
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_WELL);
    assert_int_equal(config_list(config, "listen", &items), 1);
    assert_string_equal(items[0], "127.0.0.1:8080");
}

static void a_list_past_its_bound_is_refused(void **state)
{
    char *argv[2 * CONFIG_LIST_MAX + 3] = {0};
    (void)state;
    for (int i = 0; i <= CONFIG_LIST_MAX; i++) {
        argv[2 * i] = A("--grant");
        argv[2 * i + 1] = A("chat:*=r");
    }
    config_free(config);
    config = NULL;
    char *many[64];
    memcpy(many, argv, 62 * sizeof argv[0]);
    many[62] = A("--user=ana");
    many[63] = NULL;
    assert_int_equal(read_as(CONFIG_TOKEN, many), EXIT_WELL); /* 31 of them */
    setenv("TIDEGATE_LISTEN", "a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_WELL); /* 32 */
    setenv("TIDEGATE_LISTEN", "a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_CONFIG); /* 33 */
    assert_non_null(strstr(said, "TIDEGATE_LISTEN"));
}

static void an_unknown_flag_is_told_what_was_meant(void **state)
{
    (void)state;
    assert_int_equal(READ(CONFIG_SERVE, A("--listn"), A("a:1")), EXIT_USAGE);
    assert_non_null(strstr(said, "did you mean --listen?"));
    assert_int_equal(READ(CONFIG_SERVE, A("--jwtkey"), A("k")), EXIT_USAGE);
    assert_non_null(strstr(said, "did you mean --jwt-key?"));
    assert_int_equal(READ(CONFIG_SERVE, A("--zzzzzzzzzzzz")), EXIT_USAGE);
    assert_null(strstr(said, "did you mean"));
    assert_int_equal(READ(CONFIG_TOKEN, A("--partitions"), A("2")), EXIT_USAGE); /* another command's */
    assert_int_equal(READ(CONFIG_SERVE, A("listen")), EXIT_USAGE);
    assert_int_equal(READ(CONFIG_SERVE, A("--")), EXIT_USAGE);
    assert_int_equal(READ(CONFIG_SERVE, A("--data")), EXIT_USAGE); /* its value is missing */
}

static void a_wrong_value_names_its_setting(void **state)
{
    static const char *const wrong[] = {"--heartbeat=0", "--heartbeat=3601", "--heartbeat=-1", "--heartbeat=", "--heartbeat=ten", "--heartbeat=1.5",
                                        "--heartbeat=99999999999999999999", "--partitions=0", "--partitions=257", "--fsync=yes", "--fsync=", "--fsync=o",
                                        "--fsync=on|off", "--log-level=loud", "--dev=maybe"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char name[32];
        if (READ(CONFIG_SERVE, A(wrong[i])) != EXIT_CONFIG) fail_msg("taken: %s", wrong[i]);
        snprintf(name, sizeof name, "%.*s", (int)strcspn(wrong[i], "="), wrong[i]);
        if (strstr(said, name) == NULL) fail_msg("not named: %s", said);
    }
    setenv("TIDEGATE_HEARTBEAT", "soon", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_CONFIG);
    assert_non_null(strstr(said, "TIDEGATE_HEARTBEAT"));
    assert_int_equal(READ(CONFIG_SERVE, A("--heartbeat=1")), EXIT_WELL); /* what is not used is not judged */
}

static void a_flag_can_be_taken_back(void **state)
{
    (void)state;
    setenv("TIDEGATE_DEV", "1", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--heartbeat=1")), EXIT_WELL);
    assert_true(config_is_on(config, "dev"));
    assert_int_equal(READ(CONFIG_SERVE, A("--dev=off")), EXIT_WELL);
    assert_false(config_is_on(config, "dev"));
    setenv("TIDEGATE_DEV", "false", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--heartbeat=1")), EXIT_WELL);
    assert_false(config_is_on(config, "dev"));
    setenv("TIDEGATE_DEV", "perhaps", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--heartbeat=1")), EXIT_CONFIG);
}

static void what_is_not_given_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_WELL);
    assert_null(config_text(config, "data"));
    assert_true(config_is_on(config, "fsync"));
    setenv("TIDEGATE_DATA", "/somewhere", 1);
    assert_int_equal(READ(CONFIG_SERVE, A("--dev")), EXIT_WELL);
    assert_string_equal(config_text(config, "data"), "/somewhere");
}

static void the_page_has_a_row_for_each_setting_and_help_names_it(void **state)
{
    char *page = NULL, *help = NULL, *line = NULL, *rest = NULL;
    size_t bytes;
    FILE *out = open_memstream(&page, &bytes);
    unsigned rows = 0;
    (void)state;
    config_print_markdown(out);
    fclose(out);
    out = open_memstream(&help, &bytes);
    config_print_help(out, CONFIG_SERVE);
    fclose(out);
    for (line = strtok_r(page, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        unsigned bars = 0;
        char flag[64];
        if (sscanf(line, "| `%60[a-z-]` |", flag) != 1) continue;
        for (const char *at = line; *at != '\0'; at++) bars += *at == '|';
        assert_int_equal(bars, 7);
        if (strstr(line, " serve") != NULL && strstr(help, flag) == NULL) fail_msg("help lacks %s", flag);
        rows++;
    }
    assert_true(rows > 10);
    free(page);
    free(help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_flag_beats_the_environment_which_beats_the_default, clear, clear),
        cmocka_unit_test_setup_teardown(a_list_is_one_source_whole, clear, clear),
        cmocka_unit_test_setup_teardown(a_list_past_its_bound_is_refused, clear, clear),
        cmocka_unit_test_setup_teardown(an_unknown_flag_is_told_what_was_meant, clear, clear),
        cmocka_unit_test_setup_teardown(a_wrong_value_names_its_setting, clear, clear),
        cmocka_unit_test_setup_teardown(a_flag_can_be_taken_back, clear, clear),
        cmocka_unit_test_setup_teardown(what_is_not_given_is_not_there, clear, clear),
        cmocka_unit_test_setup_teardown(the_page_has_a_row_for_each_setting_and_help_names_it, clear, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
