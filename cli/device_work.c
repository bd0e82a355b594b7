/* Background work on the command line: asking for it, looking at it, running it once or as a daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/device_parts.h"
#include "core/buf.h"

/* A nap is bounded, because a charger or a network comes without a word, and a signal just before a nap is seen after it. */
enum { DUE_SECONDS = 25, RUN_MS = 600000, NAP_MS = 10000, TEXT_BYTES_MAX = 1048576 };
enum { BACKOFF_LEAST_S = 10, BACKOFF_MOST_S = 18000, FLEX_LEAST_S = 300, UNSAID = -1 };

static const char *const whys[] = {"due", "no_work", "time", "backoff", "behind", "network", "unmetered", "charging", "battery", "storage", "busy"};

static bool take_seconds(const char *text, int64_t *ret_ms)
{
    char *end;
    long long seconds = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || seconds < 0 || seconds > INT32_MAX) return false;
    *ret_ms = (int64_t)seconds * 1000;
    return true;
}

/* ---- asking for it ---- */

static bool take_network(const char *text, enum tide_network *ret_network)
{
    *ret_network = strcmp(text, "unmetered") == 0 ? TIDE_NETWORK_UNMETERED : TIDE_NETWORK_ANY;
    return strcmp(text, "unmetered") == 0 || strcmp(text, "any") == 0;
}

static bool take_flag(const char *flag, struct tide_work *work, enum tide_exists *exists)
{
    if (strcmp(flag, "--push") == 0) work->kind = TIDE_WORK_PUSH;
    else if (strcmp(flag, "--pull") == 0) work->kind = TIDE_WORK_PULL;
    else if (strcmp(flag, "--charging") == 0) work->charging = true;
    else if (strcmp(flag, "--battery-not-low") == 0) work->battery_not_low = true;
    else if (strcmp(flag, "--storage-not-low") == 0) work->storage_not_low = true;
    else if (strcmp(flag, "--linear") == 0) work->linear = true;
    else if (strcmp(flag, "--replace") == 0) *exists = TIDE_REPLACE;
    else if (strcmp(flag, "--append") == 0) *exists = TIDE_APPEND;
    else return false;
    return true;
}

static bool take_value(const char *flag, const char *value, struct tide_work *work)
{
    if (strcmp(flag, "--delay") == 0) return take_seconds(value, &work->delay_ms);
    if (strcmp(flag, "--every") == 0) return take_seconds(value, &work->every_ms);
    if (strcmp(flag, "--flex") == 0) return take_seconds(value, &work->flex_ms);
    if (strcmp(flag, "--backoff") == 0) return take_seconds(value, &work->backoff_ms);
    return strcmp(flag, "--network") == 0 && take_network(value, &work->network);
}

/* What the library would set right by itself. */
static int check_bounds(const char *flag, int64_t ms, int least_s, int most_s)
{
    if (ms >= (int64_t)least_s * 1000 && ms <= (int64_t)most_s * 1000) return EXIT_WELL;
    return cli_fail(EXIT_USAGE, "device work add: %s %lld: must be %d to %d seconds", flag, (long long)(ms / 1000), least_s, most_s);
}

static int add_work(struct tide *tide, int argc, char **argv)
{
    struct tide_work work = {.name = argc > 0 ? argv[0] : "", .backoff_ms = UNSAID, .flex_ms = UNSAID};
    enum tide_exists exists = TIDE_KEEP;
    bool good = argc > 0;
    for (int i = 1; i < argc && good; i++) {
        if (take_flag(argv[i], &work, &exists)) continue;
        good = i + 1 < argc && take_value(argv[i], argv[i + 1], &work);
        i++;
    }
    if (!good)
        return cli_fail(EXIT_USAGE, "device work add NAME [--push | --pull] [--delay S] [--every S [--flex S]] [--network any|unmetered] [--charging] [--battery-not-low] "
                                    "[--storage-not-low] [--backoff S] [--linear] [--replace | --append]");
    int bad = work.backoff_ms != UNSAID ? check_bounds("--backoff", work.backoff_ms, BACKOFF_LEAST_S, BACKOFF_MOST_S) : EXIT_WELL;
    if (bad == EXIT_WELL && work.flex_ms != UNSAID) bad = check_bounds("--flex", work.flex_ms, FLEX_LEAST_S, work.every_ms > 0 ? (int)(work.every_ms / 1000) : INT32_MAX);
    if (bad != EXIT_WELL) return bad;
    if (work.backoff_ms == UNSAID) work.backoff_ms = 0;
    if (work.flex_ms == UNSAID) work.flex_ms = 0;
    else if (work.every_ms == 0) return cli_fail(EXIT_USAGE, "device work add: --flex is a part of the period that --every S says");
    enum tide_code code = tide_work_add(tide, &work, exists);
    return code == TIDE_OK ? EXIT_WELL : device_fail(tide, code);
}

/* ---- looking at it ---- */

static void add_text(struct buf *out, const char *key, const char *text)
{
    buf_add_text(out, key);
    buf_add_json_string(out, span_text(text));
}

static void add_number(struct buf *out, const char *key, int64_t value)
{
    buf_add_text(out, key);
    buf_add_i64(out, value);
}

static void print_out(struct buf *out)
{
    buf_add_text(out, "}\n");
    fwrite(out->at, 1, out->bytes, stdout);
    fflush(stdout);
    buf_fini(out);
}

static bool print_state(void *ctx, const struct tide_work_state *state)
{
    struct buf out;
    (void)ctx;
    buf_init(&out, TEXT_BYTES_MAX);
    add_text(&out, "{\"work\":", state->work.name);
    add_text(&out, ",\"why\":", whys[state->why]);
    add_number(&out, ",\"next\":", state->next_ms);
    add_number(&out, ",\"attempts\":", (int64_t)state->attempts);
    if (state->work.every_ms > 0) add_number(&out, ",\"every\":", state->work.every_ms);
    if (state->outcome[0] != '\0') add_text(&out, ",\"outcome\":", state->outcome);
    if (state->outcome[0] != '\0') add_number(&out, ",\"ran\":", state->ran_ms);
    if (state->reason[0] != '\0') add_text(&out, ",\"reason\":", state->reason);
    print_out(&out);
    return true;
}

int device_work(struct tide *tide, int argc, char **argv)
{
    enum tide_code code = TIDE_OK;
    if (argc > 0 && strcmp(argv[0], "add") == 0) return add_work(tide, argc - 1, argv + 1);
    if (argc == 2 && strcmp(argv[0], "cancel") == 0) code = tide_work_cancel(tide, argv[1]);
    else if (argc == 0) code = tide_work_list(tide, print_state, NULL);
    else return cli_fail(EXIT_USAGE, "device work [add NAME .. | cancel NAME]");
    return code == TIDE_OK ? EXIT_WELL : device_fail(tide, code);
}

static bool add_name(void *ctx, const struct tide_work_state *state)
{
    struct buf *names = ctx;
    buf_add_text(names, names->bytes > 0 ? ", " : "");
    buf_add_text(names, state->work.name);
    return true;
}

/* Says what there is. */
static int fail_unknown(struct tide *tide, const char *name)
{
    struct buf names;
    buf_init(&names, TEXT_BYTES_MAX);
    enum tide_code code = tide_work_list(tide, add_name, &names);
    int exit_code = code != TIDE_OK      ? device_fail(tide, code)
                    : names.bytes == 0   ? cli_fail(EXIT_MISSING, "device why: there is no work '%.80s', nor any other", name)
                                         : cli_fail(EXIT_MISSING, "device why: there is no work '%.80s'; there is: %.*s", name, (int)names.bytes, names.at);
    buf_fini(&names);
    return exit_code;
}

int device_why(struct tide *tide, int argc, char **argv)
{
    struct tide_reason reason;
    struct buf out;
    if (argc > 1) return cli_fail(EXIT_USAGE, "device why [NAME]");
    tide_why_not(tide, argc == 1 ? argv[0] : NULL, &reason);
    if (argc == 1 && reason.why == TIDE_WHY_NO_WORK) return fail_unknown(tide, argv[0]);
    buf_init(&out, TEXT_BYTES_MAX);
    add_text(&out, "{\"why\":", whys[reason.why]);
    if (reason.name[0] != '\0') add_text(&out, ",\"work\":", reason.name);
    add_number(&out, ",\"next\":", reason.next_ms);
    add_text(&out, ",\"says\":", reason.sentence);
    print_out(&out);
    return EXIT_WELL;
}

/* ---- running it ---- */

static void print_due(struct tide *tide, const struct tide_due *due)
{
    struct tide_reason reason;
    struct buf out;
    tide_why_not(tide, NULL, &reason);
    buf_init(&out, TEXT_BYTES_MAX);
    add_number(&out, "{\"ran\":", (int64_t)due->ran);
    add_number(&out, ",\"well\":", (int64_t)due->well);
    add_number(&out, ",\"next\":", due->next_ms);
    add_text(&out, ",\"why\":", whys[reason.why]);
    add_text(&out, ",\"says\":", reason.sentence);
    print_out(&out);
}

int device_due(struct tide *tide, int argc, char **argv)
{
    int64_t within_ms = (int64_t)DUE_SECONDS * 1000;
    struct tide_due due;
    if (argc > 1 || (argc == 1 && !take_seconds(argv[0], &within_ms))) return cli_fail(EXIT_USAGE, "device due [SECONDS]");
    enum tide_code code = tide_run_due(tide, within_ms, &due);
    if (code != TIDE_OK) return device_fail(tide, code);
    print_due(tide, &due);
    return EXIT_WELL;
}

static bool is_over_or_due(void *ctx)
{
    struct tide_reason reason;
    tide_why_not(ctx, NULL, &reason);
    return device_is_over(NULL) || reason.why == TIDE_WHY_DUE;
}

int device_run(struct tide *tide, int argc, char **argv)
{
    enum tide_code code = TIDE_OK;
    for (int i = 0; i < argc && code == TIDE_OK; i++) code = tide_subscribe(tide, argv[i], NULL);
    while (code == TIDE_OK && !device_is_over(NULL)) {
        struct tide_due due = {.next_ms = -1};
        code = tide_run_due(tide, RUN_MS, &due);
        if (code == TIDE_OK && due.ran > 0) print_due(tide, &due);
        if (code == TIDE_BUSY) code = TIDE_OK; /* a process that syncs live: it will go one day */
        tide_run(tide, due.next_ms >= 0 && due.next_ms < NAP_MS ? due.next_ms : NAP_MS, is_over_or_due, tide);
    }
    return code == TIDE_OK ? EXIT_WELL : device_fail(tide, code);
}
