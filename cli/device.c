/* tidegate device: a device on the command line, on the C client library. What it prints is JSON, a line each. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/device_parts.h"
#include "core/buf.h"
#include "core/json.h"

enum { TIMEOUT_MS = 30000, TURN_MS = 250, ARGS_MAX = 64, TEXT_BYTES_MAX = 4194304 };

struct device {
    struct tide *tide;
    int argc;              /* behind the command's name */
    char **argv;
    char collection[64];   /* of the second argument, COLLECTION/ID */
    const char *id;        /* NULL: none was given */
    bool has_keys;         /* --keys */
};

static volatile sig_atomic_t stop_asked;

static void ask_stop(int signal)
{
    (void)signal;
    stop_asked = 1;
}

static void help(void)
{
    puts("tidegate device --db FILE [--url URL --token T] COMMAND\n\n"
         "A device: writing and reading work offline, on FILE alone; `sync` and `watch` need the server. Spaces that a command names are kept in step from\n"
         "then on.\n\n"
         "  tidegate device --db ana.db put todos:ana todos/milk '{\"title\":\"buy milk\",\"done\":false}'\n"
         "  tidegate device --db ana.db patch todos:ana todos/milk '{\"done\":true}'      null removes a field\n"
         "  tidegate device --db ana.db delete todos:ana todos/milk\n"
         "  tidegate device --db ana.db append chat:lobby messages '{\"text\":\"hello\"}'   messages/ID: under that id\n"
         "  tidegate device --db ana.db incr cart:ana items/tea qty 2                      a counter; 2 0 10: within bounds\n"
         "  tidegate device --db ana.db add todos:ana todos/milk tags '[\"shop\"]'           a set; remove likewise\n"
         "  tidegate device --db ana.db max chat:lobby receipts/ana read 17                the greater stays\n"
         "  tidegate device --db ana.db get todos:ana todos/milk\n"
         "  tidegate device --db ana.db list todos:ana todos done=true --order title --limit 10\n"
         "  tidegate device --db ana.db --url http://127.0.0.1:8080 --token T sync [--strict] [SPACE..]   once, then exit: 0 also\n"
         "      where a push was refused or a space closed, which `refused` and `status` tell; with --strict 65 while any is\n"
         "  tidegate device --db ana.db --url http://127.0.0.1:8080 --token T watch [SPACE..]  stays, and tells each change\n"
         "  tidegate device --db ana.db status\n"
         "  tidegate device --db ana.db refused             what the server refused, and what to do: refused retry ID [OPS], refused drop ID\n\n"
         "Keys come out of files, never out of arguments; /dev/fd/3 is one too. A line of --keys, `workouts:ana/workouts 2026-11 KEY`, encrypts that collection's\n"
         "bodies end to end: the first line that fits (workouts:* fits too) is written with, all are read with. --store-key: where SQLite can encrypt.\n\n"
         "  tidegate device --db ana.db --keys ana.keys put workouts:ana workouts/w1 '{\"kind\":\"run\"}'\n\n"
         "Background work: syncing that waits for its time, a network, the charger; kept in FILE, with a backoff where it fails.\n\n"
         "  tidegate device --db ana.db work add upload --push --network any     once, as soon as there is a network\n"
         "  tidegate device --db ana.db work add nightly --every 86400 --flex 7200 --network unmetered --charging\n"
         "      also: --delay S, --pull, --battery-not-low, --storage-not-low, --backoff S (10 to 18000), --linear; where there is work of\n"
         "      that name it stays as it is, unless --replace, or --append: when that is done\n"
         "  tidegate device --db ana.db work                what there is, and how it last went; work cancel NAME\n"
         "  tidegate device --db ana.db why [NAME]          why it does not run now\n"
         "  tidegate device --db ana.db --url .. --token .. due [SECONDS]     runs what is due, for so long at most (25): for cron and timers\n"
         "  tidegate device --db ana.db --url .. --token .. run [SPACE..]     stays, and runs it when it is due: at once\n"
         "      when a network comes; what another process asks for, and a charger, is seen within 10 s\n");
    config_print_help(stdout, CONFIG_DEVICE);
}

int device_fail(const struct tide *tide, enum tide_code code)
{
    static const int codes[] = {[TIDE_INVALID] = EXIT_USAGE, [TIDE_TOO_LARGE] = EXIT_USAGE, [TIDE_MISUSE] = EXIT_USAGE, [TIDE_UNAUTHORISED] = EXIT_CONFIG,
                                [TIDE_REFUSED] = EXIT_CONFIG, [TIDE_KEY] = EXIT_CONFIG, [TIDE_FOREIGN] = EXIT_CONFIG, [TIDE_NEWER] = EXIT_CONFIG};
    int exit_code = (size_t)code < sizeof codes / sizeof codes[0] && codes[code] != 0 ? codes[code] : EXIT_MISSING;
    const char *what_next = code == TIDE_OFFLINE        ? " (is --url right, and does the server run there?)"
                            : code == TIDE_UNAUTHORISED ? " (`tidegate token` prints one, with the server's key or its --data)"
                           : code == TIDE_KEY          ? " (does --keys have it?)"
                                                        : "";
    return cli_fail(exit_code, "%s%s", tide_message(tide)[0] != '\0' ? tide_message(tide) : tide_code_text(code), what_next);
}

static int fail(const struct device *device, enum tide_code code) { return device_fail(device->tide, code); }

/* ---- writing ---- */

static bool take_key(struct device *device, bool needs_id)
{
    const char *key = device->argc > 1 ? device->argv[1] : "", *slash = strchr(key, '/');
    size_t bytes = slash == NULL ? strlen(key) : (size_t)(slash - key);
    if (bytes == 0 || bytes >= sizeof device->collection || (needs_id && slash == NULL)) return false;
    snprintf(device->collection, sizeof device->collection, "%.*s", (int)bytes, key);
    device->id = slash == NULL ? NULL : slash + 1;
    return true;
}

static enum tide_code keep_in_step(struct device *device, const char *space)
{
    return tide_subscribe(device->tide, space, NULL);
}

static bool number(const char *text, int64_t *ret_value)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    *ret_value = value;
    return end != text && *end == '\0';
}

static int fail_usage(const char *command)
{
    static const char *const usages[][2] = {{"put", "COLLECTION/ID OBJECT"}, {"patch", "COLLECTION/ID OBJECT"}, {"delete", "COLLECTION/ID"}, {"append", "COLLECTION[/ID] OBJECT"},
                                            {"incr", "COLLECTION/ID FIELD BY [LEAST [MOST]], whole numbers"}, {"add", "COLLECTION/ID FIELD '[\"VALUE\", ..]'"},
                                            {"remove", "COLLECTION/ID FIELD '[\"VALUE\", ..]'"}, {"max", "COLLECTION/ID FIELD VALUE"}};
    size_t at = 0;
    while (at + 1 < sizeof usages / sizeof usages[0] && strcmp(usages[at][0], command) != 0) at++;
    return cli_fail(EXIT_USAGE, "device %s SPACE %s", command, usages[at][1]);
}

static enum tide_code write_incr(struct device *device, uint64_t *push)
{
    int64_t by, bounds[2];
    int count = device->argc - 4;
    if (!number(device->argv[3], &by)) return TIDE_INVALID;
    for (int i = 0; i < count && i < 2; i++)
        if (!number(device->argv[4 + i], &bounds[i])) return TIDE_INVALID;
    return tide_incr(device->tide, device->argv[0], device->collection, device->id, device->argv[2], by, count > 0 ? &bounds[0] : NULL, count > 1 ? &bounds[1] : NULL, push);
}

static int write_one(struct device *device, const char *command)
{
    uint64_t push = 0;
    char **argv = device->argv;
    enum tide_code code = TIDE_INVALID;
    bool on_field = strcmp(command, "incr") == 0 || strcmp(command, "add") == 0 || strcmp(command, "remove") == 0 || strcmp(command, "max") == 0;
    bool is_delete = strcmp(command, "delete") == 0, is_append = strcmp(command, "append") == 0, is_incr = strcmp(command, "incr") == 0;
    int least = on_field ? 4 : is_delete ? 2 : 3, most = is_incr ? 6 : least;
    if (device->argc < least || device->argc > most || !take_key(device, !is_append)) return fail_usage(command);
    if (strcmp(command, "put") == 0) code = tide_put(device->tide, argv[0], device->collection, device->id, argv[2], &push);
    else if (strcmp(command, "patch") == 0) code = tide_patch(device->tide, argv[0], device->collection, device->id, argv[2], &push);
    else if (is_delete) code = tide_delete(device->tide, argv[0], device->collection, device->id, &push);
    else if (is_append) code = tide_append(device->tide, argv[0], device->collection, device->id, argv[2], &push);
    else if (is_incr) code = write_incr(device, &push);
    else if (strcmp(command, "add") == 0) code = tide_add(device->tide, argv[0], device->collection, device->id, argv[2], argv[3], &push);
    else if (strcmp(command, "remove") == 0) code = tide_remove(device->tide, argv[0], device->collection, device->id, argv[2], argv[3], &push);
    else code = tide_max(device->tide, argv[0], device->collection, device->id, argv[2], argv[3], &push);
    if (code == TIDE_INVALID && tide_message(device->tide)[0] == '\0') return fail_usage(command);
    if (code == TIDE_OK) code = keep_in_step(device, argv[0]);
    if (code != TIDE_OK) return fail(device, code);
    printf("{\"push\":%llu}\n", (unsigned long long)push);
    return EXIT_WELL;
}

/* ---- reading ---- */

static void add_text(struct buf *out, const char *key, const char *text)
{
    buf_add_text(out, key);
    buf_add_json_string(out, span_text(text));
}

static void print_doc(const char *change, const struct tide_doc *doc)
{
    static const char *const seals[] = {"none", "open", "locked", "broken", "bare"};
    struct buf out;
    buf_init(&out, TEXT_BYTES_MAX);
    buf_add_char(&out, '{');
    if (change != NULL) {
        add_text(&out, "\"change\":", change);
        add_text(&out, ",\"space\":", doc->space);
        add_text(&out, ",\"collection\":", doc->collection);
        buf_add_char(&out, ',');
    }
    add_text(&out, "\"id\":", doc->id);
    buf_add_text(&out, ",\"rev\":");
    buf_add_u64(&out, doc->rev);
    if (doc->seal != TIDE_SEAL_NONE) add_text(&out, ",\"seal\":", seals[doc->seal]);
    buf_add_text(&out, doc->pending ? ",\"pending\":true,\"body\":" : ",\"pending\":false,\"body\":");
    buf_add_text(&out, doc->body == NULL ? "null" : doc->body);
    buf_add_text(&out, "}\n");
    fwrite(out.at, 1, out.bytes, stdout);
    buf_fini(&out);
}

static int run_get(struct device *device)
{
    struct tide_doc *doc;
    if (device->argc != 2 || !take_key(device, true)) return cli_fail(EXIT_USAGE, "device get SPACE COLLECTION/ID");
    enum tide_code code = tide_get(device->tide, device->argv[0], device->collection, device->id, &doc);
    if (code != TIDE_OK) return fail(device, code);
    int exit_code = EXIT_WELL;
    if (device->has_keys && (doc->seal == TIDE_SEAL_LOCKED || doc->seal == TIDE_SEAL_BROKEN))
        exit_code = cli_fail(EXIT_CONFIG, "--keys: %s is %s", device->argv[1], doc->seal == TIDE_SEAL_LOCKED ? "locked: its key is not there" : "sealed, and does not open");
    else puts(doc->body);
    tide_doc_free(doc);
    return exit_code;
}

static bool print_each(void *ctx, const struct tide_doc *doc)
{
    (void)ctx;
    print_doc(NULL, doc);
    return true;
}

/* FIELD=VALUE: the value as JSON where it is some, else as a text. */
static bool take_condition(const char *text, struct tide_where *ret_where, struct buf *room)
{
    const char *equals = strchr(text, '=');
    struct json_value value;
    if (equals == NULL || equals == text) return false;
    buf_init(room, TEXT_BYTES_MAX);
    buf_add(room, text, (size_t)(equals - text));
    buf_add_char(room, '\0');
    size_t at = room->bytes;
    if (json_check(span_text(equals + 1), &value, NULL)) buf_add_span(room, value.raw);
    else buf_add_json_string(room, span_text(equals + 1));
    buf_add_char(room, '\0');
    if (!buf_ok(room)) return false;
    *ret_where = (struct tide_where){room->at, TIDE_EQUAL, room->at + at};
    return true;
}

static int run_list(struct device *device)
{
    struct tide_where where[16];
    struct buf rooms[16];
    struct tide_query query = {.where = where};
    int code = EXIT_WELL;
    int64_t limit = 0;
    bool good = device->argc >= 2;
    for (int i = 2; i < device->argc && good; i++) {
        char **argv = device->argv;
        bool more = i + 1 < device->argc;
        if (strcmp(argv[i], "--desc") == 0) query.descending = true;
        else if (strcmp(argv[i], "--order") == 0 && more) query.order = argv[++i];
        else if (strcmp(argv[i], "--limit") == 0 && more) good = number(argv[++i], &limit) && limit >= 0;
        else if (query.where_count == 16 || !take_condition(argv[i], &where[query.where_count], &rooms[query.where_count])) good = false;
        else query.where_count++;
    }
    if (!good) {
        code = cli_fail(EXIT_USAGE, "device list SPACE COLLECTION [FIELD=VALUE..] [--order FIELD] [--desc] [--limit N]");
    } else {
        query.space = device->argv[0];
        query.collection = device->argv[1];
        query.limit = (uint64_t)limit;
        enum tide_code done = tide_query(device->tide, &query, print_each, NULL);
        if (done != TIDE_OK) code = fail(device, done);
    }
    for (size_t i = 0; i < query.where_count; i++) buf_fini(&rooms[i]);
    return code;
}

static bool print_space(void *ctx, const struct tide_space *space)
{
    struct buf *out = ctx;
    if (out->at[out->bytes - 1] != '[') buf_add_char(out, ',');
    add_text(out, "{\"space\":", space->name);
    buf_add_text(out, space->subscribed ? ",\"subscribed\":true" : ",\"subscribed\":false");
    buf_add_text(out, space->whole ? ",\"whole\":true,\"documents\":" : ",\"whole\":false,\"documents\":");
    buf_add_u64(out, space->documents);
    buf_add_text(out, ",\"pending\":");
    buf_add_u64(out, space->pending);
    buf_add_text(out, ",\"synced\":");
    buf_add_i64(out, space->synced_ms);
    if (space->closed[0] != '\0') add_text(out, ",\"closed\":", space->closed);
    buf_add_char(out, '}');
    return true;
}

static int run_status(struct device *device)
{
    struct tide_status status;
    struct buf out;
    tide_status(device->tide, &status);
    buf_init(&out, TEXT_BYTES_MAX);
    add_text(&out, "{\"device\":", tide_device(device->tide));
    buf_add_text(&out, ",\"pending\":");
    buf_add_u64(&out, status.pending);
    buf_add_text(&out, ",\"pending_bytes\":");
    buf_add_u64(&out, status.pending_bytes);
    buf_add_text(&out, ",\"oldest\":");
    buf_add_i64(&out, status.oldest_ms);
    buf_add_text(&out, ",\"refused\":");
    buf_add_u64(&out, status.refused);
    buf_add_text(&out, ",\"spaces\":[");
    tide_spaces(device->tide, print_space, &out);
    buf_add_text(&out, "]}\n");
    fwrite(out.at, 1, out.bytes, stdout);
    buf_fini(&out);
    return EXIT_WELL;
}

static bool print_refusal(void *ctx, const struct tide_refusal *refusal)
{
    struct buf out;
    (void)ctx;
    buf_init(&out, TEXT_BYTES_MAX);
    buf_add_text(&out, "{\"refused\":");
    buf_add_i64(&out, refusal->id);
    add_text(&out, ",\"space\":", refusal->space);
    add_text(&out, ",\"code\":", refusal->code);
    add_text(&out, ",\"message\":", refusal->message);
    buf_add_text(&out, ",\"ops\":");
    buf_add_text(&out, refusal->ops);
    if (refusal->base[0] != '\0') buf_add_text(&out, ",\"base\":");
    buf_add_text(&out, refusal->base);
    if (refusal->server[0] != '\0') buf_add_text(&out, ",\"server\":");
    buf_add_text(&out, refusal->server);
    buf_add_text(&out, "}\n");
    fwrite(out.at, 1, out.bytes, stdout);
    buf_fini(&out);
    return true;
}

static int run_refused(struct device *device)
{
    int64_t id = 0;
    uint64_t push = 0;
    bool retry = device->argc >= 2 && device->argc <= 3 && strcmp(device->argv[0], "retry") == 0, drop = device->argc == 2 && strcmp(device->argv[0], "drop") == 0;
    if (device->argc > 0 && ((!retry && !drop) || !number(device->argv[1], &id))) return cli_fail(EXIT_USAGE, "device refused [retry ID [OPS] | drop ID]");
    enum tide_code code = retry ? tide_refused_retry(device->tide, id, device->argc == 3 ? device->argv[2] : NULL, &push)
                        : drop  ? tide_refused_drop(device->tide, id)
                                : tide_refused(device->tide, print_refusal, NULL);
    if (code != TIDE_OK) return fail(device, code);
    if (retry) printf("{\"push\":%llu}\n", (unsigned long long)push);
    return EXIT_WELL;
}

/* ---- syncing ---- */

static enum tide_code keep_all(struct device *device)
{
    enum tide_code code = TIDE_OK;
    for (int i = 0; i < device->argc && code == TIDE_OK; i++) code = keep_in_step(device, device->argv[i]);
    return code;
}

static bool count_closed(void *ctx, const struct tide_space *space)
{
    uint64_t *count = ctx;
    if (space->subscribed && space->closed[0] != '\0') ++*count;
    return true;
}

static int run_sync(struct device *device)
{
    struct tide_status status;
    uint64_t closed = 0;
    bool strict = device->argc > 0 && strcmp(device->argv[0], "--strict") == 0;
    if (strict) {
        device->argc--;
        device->argv++;
    }
    enum tide_code code = keep_all(device);
    if (code == TIDE_OK) code = tide_sync(device->tide, TIDE_BOTH, TIMEOUT_MS);
    if (code == TIDE_OK) code = tide_spaces(device->tide, count_closed, &closed);
    if (code != TIDE_OK) return fail(device, code);
    int shown = run_status(device);
    tide_status(device->tide, &status);
    if (shown != EXIT_WELL || !strict || status.refused + closed == 0) return shown;
    return cli_fail(EXIT_REFUSED, "device sync: refused and not settled: %llu (`device refused` lists them); closed spaces: %llu (`device status`)",
                    (unsigned long long)status.refused, (unsigned long long)closed);
}

static void on_event(void *ctx, struct tide *tide, const struct tide_event *event)
{
    static const char *const names[] = {"state", "applied", "refused", "synced", "reset", "closed", "presence", "signal", "identity", "error"};
    static const char *const states[] = {"stopped", "waiting", "token", "connecting", "live", "replaced", "unreachable"};
    struct buf out;
    struct tide_status status;
    bool is_frame = event->kind == TIDE_EVENT_PRESENCE || event->kind == TIDE_EVENT_SIGNAL;
    if (!((const struct device_told *)ctx)->watches) return;
    tide_status(tide, &status);
    buf_init(&out, TEXT_BYTES_MAX);
    add_text(&out, "{\"event\":", names[event->kind]);
    if (event->kind == TIDE_EVENT_STATE) add_text(&out, ",\"state\":", states[status.state]);
    if (event->kind == TIDE_EVENT_STATE && status.why[0] != '\0') add_text(&out, ",\"why\":", status.why);
    if (event->space[0] != '\0') add_text(&out, ",\"space\":", event->space);
    if (event->code[0] != '\0') add_text(&out, ",\"code\":", event->code);
    if (event->kind == TIDE_EVENT_APPLIED || event->kind == TIDE_EVENT_REFUSED) {
        buf_add_text(&out, ",\"id\":");
        buf_add_u64(&out, event->id);
    }
    if (is_frame) buf_add_text(&out, ",\"frame\":");
    if (is_frame) buf_add_text(&out, event->frame);
    else if (event->frame[0] != '\0') add_text(&out, ",\"message\":", event->frame);
    buf_add_text(&out, "}\n");
    fwrite(out.at, 1, out.bytes, stdout);
    buf_fini(&out);
}

static bool print_change(void *ctx, const struct tide_doc *doc)
{
    (void)ctx;
    print_doc(doc->body == NULL ? "removed" : doc->is_new ? "added" : "changed", doc);
    return true;
}

bool device_is_over(void *ctx)
{
    (void)ctx;
    return stop_asked != 0;
}

static int run_watch(struct device *device)
{
    uint64_t seq = 0;
    enum tide_code code = keep_all(device);
    if (code == TIDE_OK) code = tide_start(device->tide, TIDE_BOTH);
    while (code == TIDE_OK && !stop_asked) {
        tide_run(device->tide, TURN_MS, device_is_over, NULL);
        code = tide_changes(device->tide, seq, print_change, NULL, &seq);
        fflush(stdout);
    }
    return code == TIDE_OK ? EXIT_WELL : fail(device, code);
}

/* ---- the command ---- */

static int run(struct device *device, const char *command)
{
    static const char *const writes[] = {"put", "patch", "delete", "append", "incr", "add", "remove", "max"};
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++)
        if (strcmp(command, writes[i]) == 0) return write_one(device, command);
    if (strcmp(command, "get") == 0) return run_get(device);
    if (strcmp(command, "list") == 0) return run_list(device);
    if (strcmp(command, "sync") == 0) return run_sync(device);
    if (strcmp(command, "watch") == 0) return run_watch(device);
    if (strcmp(command, "status") == 0) return run_status(device);
    if (strcmp(command, "refused") == 0) return run_refused(device);
    if (strcmp(command, "work") == 0) return device_work(device->tide, device->argc, device->argv);
    if (strcmp(command, "why") == 0) return device_why(device->tide, device->argc, device->argv);
    if (strcmp(command, "due") == 0) return device_due(device->tide, device->argc, device->argv);
    if (strcmp(command, "run") == 0) return device_run(device->tide, device->argc, device->argv);
    return cli_fail(EXIT_USAGE, "device: '%.40s': no such command; tidegate device --help lists them", command);
}

/* Options come first: how many arguments they are. */
static int options_count(int argc, char **argv)
{
    int at = 0;
    while (at < argc && strncmp(argv[at], "--", 2) == 0) at += strchr(argv[at], '=') != NULL || strcmp(argv[at], "--help") == 0 ? 1 : 2;
    return at < argc ? at : argc;
}

static bool needs_server(const char *command)
{
    static const char *const all[] = {"sync", "watch", "due", "run"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(command, all[i]) == 0) return true;
    return false;
}

int device_main(int argc, char **argv)
{
    struct config *config = NULL;
    struct device device = {0};
    struct device_told told = {.watches = false};
    bool wants_help;
    int options = options_count(argc, argv), code = config_read(CONFIG_DEVICE, options, argv, &config, &wants_help);
    if (code != EXIT_WELL) return code;
    const char *command = options < argc ? argv[options] : "";
    wants_help = wants_help || strcmp(command, "-h") == 0 || strcmp(command, "help") == 0 || (options + 1 < argc && strcmp(argv[options + 1], "--help") == 0);
    if (wants_help || command[0] == '\0') {
        help();
        config_free(config);
        return wants_help ? EXIT_WELL : EXIT_USAGE;
    }
    /* A second one ends it at once, also amid a run whose server is slow: whatever is cut goes on from the store. */
    struct sigaction action = {.sa_handler = ask_stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    told.watches = strcmp(command, "watch") == 0;
    if (config_text(config, "db") == NULL) {
        code = cli_fail(EXIT_USAGE, "--db FILE is needed (or TIDEGATE_DB): where this device's store is, or is to be made");
    } else if (needs_server(command) && (config_text(config, "url") == NULL || config_text(config, "token") == NULL)) {
        code = cli_fail(EXIT_CONFIG, "device %s: --url URL and --token T are needed (or TIDEGATE_URL and TIDEGATE_TOKEN); `tidegate token` prints one", command);
    } else if ((code = device_open(config, on_event, &told, &device.tide)) == EXIT_WELL) {
        device.has_keys = told.keys.count > 0;
        device.argc = argc - options - 1;
        device.argv = argv + options + 1;
        code = run(&device, command);
    }
    tide_close(device.tide);
    device_keys_wipe(&told.keys);
    config_free(config);
    return code;
}
