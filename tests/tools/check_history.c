/* Judges histories: check_history [--converge MS] [--slack MS] [--told] FILE...; "-" is standard input. Each FILE is one history, a line of
 * JSON an event (tests/checker/checker.h). Prints what promise is broken and the events that prove it; closes with "N passed, N failed",
 * N being comparisons and violations. Exit code 1 on a violation, 65 for a line that is no event, 64 for wrong use. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/checker/checker.h"

enum { REPORT_BYTES_MAX = 1 << 24 };

static int add_lines(struct checker *checker, const char *path, FILE *file)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t bytes;
    while ((bytes = getline(&line, &room, file)) > 0) {
        const char *why = "";
        number++;
        if (bytes > 0 && line[bytes - 1] == '\n') bytes--;
        if (bytes == 0 || checker_add_json(checker, span_of(line, (size_t)bytes), &why)) continue;
        fprintf(stderr, "check_history: %s:%zu: %s\n", path, number, why);
        free(line);
        return 65;
    }
    free(line);
    return ferror(file) ? 74 : 0;
}

static int check(const char *path, const struct checker_options *options, size_t *passed, size_t *failed)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "check_history: %s: %s\n", path, strerror(errno));
        return 66;
    }
    struct checker *checker = checker_open(options);
    int code = add_lines(checker, path, file);
    if (file != stdin && fclose(file) != 0) code = 74;
    if (code == 0) {
        const struct checker_report *report = checker_finish(checker);
        struct buf buf;
        buf_init(&buf, REPORT_BYTES_MAX);
        for (size_t i = 0; i < report->list_count; i++) checker_render(checker, i, &buf);
        printf("%.*s", (int)buf.bytes, buf.at == NULL ? "" : buf.at);
        if (report->violations > report->list_count) printf("and %zu more\n", report->violations - report->list_count);
        printf("%s: %zu events\n", path, report->events);
        *passed += report->checks - report->violations;
        *failed += report->violations;
        buf_fini(&buf);
    }
    checker_close(checker);
    return code;
}

static bool take_number(char **args, const char *name, int64_t *ret_value)
{
    char *end = NULL;
    if (strcmp(args[0], name) != 0 || args[1] == NULL) return false;
    *ret_value = strtoll(args[1], &end, 10);
    return end != args[1] && *end == '\0';
}

int main(int argc, char **argv)
{
    struct checker_options options = {.slack_ms = 1000};
    size_t passed = 0, failed = 0;
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--told") == 0) options.order_is_told = true;
        else if (take_number(argv + at, "--converge", &options.converge_ms) || take_number(argv + at, "--slack", &options.slack_ms)) at++;
        else break;
    }
    if (at >= argc || strncmp(argv[at], "--", 2) == 0) {
        fprintf(stderr, "usage: check_history [--converge MS] [--slack MS] [--told] FILE...\n");
        return 64;
    }
    for (; at < argc; at++) {
        int code = check(argv[at], &options, &passed, &failed);
        if (code != 0) return code;
    }
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
