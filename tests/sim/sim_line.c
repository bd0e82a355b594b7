/* The lines of a plan. One does one thing, at once; time goes by in `wait`, `leap` and `settle` alone.
 *
 * FORMAT  `#` begins a comment. D a device, S a space, G `g1`.., W `w1`.., P `p0`.., TIME `10ms` `3s` `5m` `2h` `91d`.
 *   set KEY VALUE               gateways, workers, partitions, form serve|cluster, seed, fsync on|off, journaled on|off; net, append, link, journal,
 *                               page, deliver LEAST..MOST (ms); fail, lose, double, busy, headless PERCENT
 *   space S · device D USER [lib: one on the C client library]    first of all, where their order matters
 *   go D [G] · stop D · crash D · reboot D · clock D TIME · reinstall D · backup D · restore D [FROM: another's backup] · retire D
 *   cut D · half D (open at one end) · slow D on|off
 *   open D S [once] [tail N] · close D S · push D S OPERATIONS · history D S COLLECTION LIMIT · sync D S G (a call of HTTP, of a space
 *   that it has opened before, beside whatever session it has; on the C library of all, in the place of the session) · write D S OPERATIONS (another process on the same store: who syncs finds it later)
 *   kill G|W · start G|W (in the form `serve` either is the whole server) · disk W lost|back · isolate W · reach W
 *   journal die W (right behind its next commit) · journal stall W (it dies amid that, which is left undecided) · journal done|undone P (now it
 *   is decided) · journal tear|mend P
 *   link G W cut|mend · move P W · registry down|up|empty · rules N [W]
 *   log hold|let G (what this gateway appends waits) · log down|up · log fail|lose|double N · log skew TIME · log cut P N · log odd P RECORD · log anew
 *   wait TIME · leap TIME (nothing moves) · settle · calm · stop (no calm, no judge: the plan is over)
 *   expect D S holds|lacks KEY | says KEY BODY | count|outbox N | refused N [CODE] | purged · expect D id N | on | off
 *   expect W failed WORDS | well */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "tests/sim/sim_lib.h"
#include "tests/sim/sim_words.h"

#define LOOK_MS 200 /* who syncs finds what another process wrote */

/* ---- words ---- */

struct span sim_words_next(struct sim_words *words)
{
    while (*words->at == ' ') words->at++;
    const char *from = words->at;
    while (*words->at != '\0' && *words->at != ' ') words->at++;
    return span_of(from, (size_t)(words->at - from));
}

struct span sim_words_json(struct sim_words *words)
{
    int depth = 0;
    bool quoted = false;
    while (*words->at == ' ') words->at++;
    const char *from = words->at;
    for (; *words->at != '\0'; words->at++) {
        char c = *words->at;
        if (c == '"' && (words->at == from || words->at[-1] != '\\')) quoted = !quoted;
        if (quoted) continue;
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && --depth == 0) {
            words->at++;
            break;
        }
        if (c == ' ' && depth == 0) break;
    }
    return span_of(from, (size_t)(words->at - from));
}

struct span sim_words_rest(struct sim_words *words)
{
    while (*words->at == ' ') words->at++;
    return span_text(words->at);
}

bool sim_words_is(struct sim_words *words, const char *word)
{
    struct sim_words ahead = *words;
    if (!span_is(sim_words_next(&ahead), word)) return false;
    *words = ahead;
    return true;
}

static void bad(struct sim *sim, const char *what) { sim_fail(sim, "line %zu: what is that: %s", sim->line, what); }

static int64_t number(struct span word) { return word.bytes == 0 ? 0 : strtoll(word.at, NULL, 10); }

static int64_t time_ms(struct sim *sim, struct span word)
{
    static const struct { const char *unit; int64_t ms; } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"y", 31536000000}};
    char *end;
    if (word.bytes == 0) return 0;
    int64_t count = strtoll(word.at, &end, 10);
    struct span unit = span_of(end, (size_t)(word.at + word.bytes - end));
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (span_is(unit, units[i].unit)) return count * units[i].ms;
    bad(sim, "a time");
    return 0;
}

static int process(struct sim *sim, struct span word, char kind, int count)
{
    int at = word.bytes == 2 && word.at[0] == kind ? word.at[1] - '1' : -1;
    if (at < 0 || at >= count) {
        bad(sim, "a process");
        return 0;
    }
    return at;
}

static uint32_t partition(struct sim *sim, struct sim_words *words)
{
    struct span word = sim_words_next(words);
    uint32_t at = word.bytes == 2 && word.at[0] == 'p' ? (uint32_t)(word.at[1] - '0') : UINT32_MAX;
    if (at >= sim->log.partitions) bad(sim, "a partition");
    return at < sim->log.partitions ? at : 0;
}

static struct sim_device *device_of(struct sim *sim, struct sim_words *words)
{
    struct span name = sim_words_next(words);
    struct sim_device *device = sim_device_find(sim, name);
    if (device == NULL) bad(sim, "a device");
    return device;
}

/* ---- settings ---- */

static void set_span(struct sim_span_us *span, struct span value)
{
    char *end;
    span->least_us = span->most_us = strtoll(value.at, &end, 10) * 1000;
    if (end[0] == '.' && end[1] == '.') span->most_us = strtoll(end + 2, NULL, 10) * 1000;
}

static void set(struct sim *sim, struct sim_words *words)
{
    struct sim_settings *s = &sim->settings;
    struct { const char *name; int *value; int most; } counts[] = {
        {"gateways", &s->gateways, SIM_GATEWAYS_MAX}, {"workers", &s->workers, SIM_WORKERS_MAX}, {"partitions", &s->partitions, SIM_PARTITIONS_MAX}};
    struct { const char *name; struct sim_span_us *value; } delays[] = {{"net", &s->net}, {"append", &s->append}, {"link", &s->link},
                                                                        {"journal", &s->journal}, {"page", &s->page}, {"deliver", &s->deliver}};
    struct { const char *name; unsigned *value; } percents[] = {{"fail", &s->fail_percent}, {"lose", &s->lose_percent}, {"double", &s->double_percent},
                                                                {"busy", &s->busy_percent}, {"headless", &s->headless_percent}};
    struct span key = sim_words_next(words), value = sim_words_next(words);
    if (sim->begun || value.bytes == 0) bad(sim, "a setting here");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (span_is(key, counts[i].name) && number(value) >= 1 && number(value) <= counts[i].most) *counts[i].value = (int)number(value);
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++)
        if (span_is(key, delays[i].name)) set_span(delays[i].value, value);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++)
        if (span_is(key, percents[i].name)) *percents[i].value = (unsigned)number(value);
    if (span_is(key, "form")) s->serve = span_is(value, "serve");
    if (span_is(key, "seed")) s->seed = strtoull(value.at, NULL, 10);
    if (span_is(key, "fsync")) s->fsync = span_is(value, "on");
    if (span_is(key, "journaled")) s->journaled = span_is(value, "on");
}

/* ---- devices ---- */

static bool life_line(struct sim *sim, struct span verb, struct sim_words *words)
{
    static const struct { const char *verb; void (*call)(struct sim_device *); } calls[] = {
        {"stop", sim_device_stop}, {"crash", sim_device_crash}, {"reboot", sim_device_reboot}, {"reinstall", sim_device_reinstall}, {"backup", sim_device_backup}};
    struct sim_words ahead = *words;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (!span_is(verb, calls[i].verb)) continue;
        struct sim_device *device = device_of(sim, words);
        if (device != NULL) calls[i].call(device);
        return true;
    }
    if (span_is(verb, "device")) {
        struct span name = sim_words_next(words);
        struct span user = sim_words_next(words);
        sim_device_make(sim, name, user, sim_words_is(words, "lib"));
        return true;
    }
    struct sim_device *device = sim_device_find(sim, sim_words_next(&ahead));
    if (device == NULL) return false;
    if (span_is(verb, "go")) {
        struct span gateway = sim_words_next(&ahead);
        sim_device_go(device, gateway.bytes == 0 ? -1 : process(sim, gateway, 'g', sim->settings.gateways));
    } else if (span_is(verb, "restore")) {
        struct sim_device *from = ahead.at[0] == '\0' ? device : device_of(sim, &ahead);
        if (from != NULL && sim_device_can_restore(device, from)) sim_device_restore(device, from);
    } else if (span_is(verb, "clock")) {
        sim_device_set_clock(device, time_ms(sim, sim_words_next(&ahead)));
    } else if (span_is(verb, "retire")) {
        sim_device_retire(device);
    } else if (span_is(verb, "slow")) {
        device->slow = sim_words_is(&ahead, "on");
    } else if (span_is(verb, "cut")) {
        if (device->conn != NULL) sim_edge_cut(device->conn);
    } else if (span_is(verb, "half")) {
        if (device->conn != NULL) sim_edge_half_open(device->conn);
    } else {
        return false;
    }
    return true;
}

static void push_line(struct sim_device *device, size_t space, struct sim_words *words, bool beside)
{
    struct sim_written written = {.by = 0};
    sim_ops_read(words, &device->store.copies[space], &written);
    const char *counter = written.counter[0] == '\0' ? NULL : written.counter;
    if (device->lib != NULL) sim_lib_push(device, space, buf_span(&written.ops), written.by, counter, beside);
    else sim_device_push(device, space, buf_span(&written.ops), written.has_if, written.by, counter);
    buf_fini(&written.ops);
}

static bool space_line(struct sim *sim, struct span verb, struct sim_words *words)
{
    bool open = span_is(verb, "open"), push = span_is(verb, "push"), history = span_is(verb, "history"), sync = span_is(verb, "sync");
    bool write = span_is(verb, "write");
    if (!open && !push && !history && !sync && !write && !span_is(verb, "close")) return false;
    struct sim_device *device = device_of(sim, words);
    if (device == NULL) return true;
    size_t space = sim_space(sim, sim_words_next(words));
    struct sim_copy *copy = &device->store.copies[space];
    if (push || write) {
        if (write && device->lib == NULL && copy->resend_ms == 0) copy->resend_ms = sim_now_ms(sim) + LOOK_MS; /* nothing is sent before */
        push_line(device, space, words, write);
        if (write && device->lib == NULL) sim_device_arm(device);
    } else if (sync) {
        int gateway = process(sim, sim_words_next(words), 'g', sim->settings.gateways);
        if (device->lib != NULL) sim_lib_sync(device, gateway);
        else sim_http_sync(sim, device, space, gateway);
    } else if (history) {
        char collection[SIM_NAME_BYTES];
        struct span name = sim_words_next(words);
        snprintf(collection, sizeof collection, "%.*s", (int)name.bytes, name.at);
        sim_device_history(device, space, collection, 0, (unsigned)number(sim_words_next(words)));
    } else if (open) {
        copy->once = sim_words_is(words, "once");
        copy->has_tail = sim_words_is(words, "tail");
        if (copy->has_tail) copy->tail = (uint64_t)number(sim_words_next(words));
        sim_device_open(device, space);
    } else {
        sim_device_close(device, space);
    }
    return true;
}

/* ---- processes ---- */

static void process_line(struct sim *sim, bool kill, struct span name)
{
    bool gateway = name.bytes > 0 && name.at[0] == 'g';
    int g = gateway ? process(sim, name, 'g', sim->settings.gateways) : 0, w = gateway ? 0 : process(sim, name, 'w', sim->settings.workers);
    if (sim->settings.serve) gateway = true;
    if (kill && gateway) sim_gateway_kill(sim, g);
    if (kill && (!gateway || sim->settings.serve)) sim_worker_kill(sim, w);
    if (!kill && (!gateway || sim->settings.serve)) sim_worker_start(sim, w);
    if (!kill && gateway) sim_gateway_start(sim, g);
}

static void log_line(struct sim *sim, struct sim_words *words)
{
    struct sim_log *log = &sim->log;
    struct span what = sim_words_next(words);
    if (span_is(what, "down") || span_is(what, "up")) {
        log->down = span_is(what, "down");
    } else if (span_is(what, "hold") || span_is(what, "let")) {
        sim->gateways[process(sim, sim_words_next(words), 'g', sim->settings.gateways)].writer.held = span_is(what, "hold");
    } else if (span_is(what, "fail")) {
        log->fail_next = (unsigned)number(sim_words_next(words));
    } else if (span_is(what, "lose")) {
        log->lose_next = (unsigned)number(sim_words_next(words));
    } else if (span_is(what, "double")) {
        log->double_next = (unsigned)number(sim_words_next(words));
    } else if (span_is(what, "skew")) {
        log->skew_ms = time_ms(sim, sim_words_next(words));
    } else if (span_is(what, "cut")) {
        uint32_t p = partition(sim, words);
        (void)sim_log_cut(sim, p, (uint64_t)number(sim_words_next(words)));
    } else if (span_is(what, "odd")) {
        uint32_t p = partition(sim, words);
        sim_log_odd(sim, p, sim_words_rest(words));
    } else if (span_is(what, "anew")) {
        for (int w = 0; w < sim->settings.workers; w++) sim_worker_kill(sim, w);
        for (int g = 0; g < sim->settings.gateways; g++) sim_gateway_kill(sim, g);
        sim_log_anew(sim);
        for (int w = 0; w < sim->settings.workers; w++) sim_worker_lose_disk(sim, w);
    } else {
        bad(sim, "of the log");
    }
}

static void isolate(struct sim *sim, int at, bool isolated)
{
    struct sim_worker *worker = &sim->workers[at];
    if (!worker->alive || worker->isolated == isolated) return;
    worker->isolated = isolated;
    sim_trace(sim, "w%d      %s", at + 1, isolated ? "is not reached by the coordinator" : "is reached again");
    if (isolated) sim_log_balance(sim);
    else sim_reader_learn(&worker->reader);
}

static void journal_line(struct sim *sim, struct sim_words *words)
{
    struct span what = sim_words_next(words);
    if (span_is(what, "die") || span_is(what, "stall")) {
        struct sim_worker *worker = &sim->workers[process(sim, sim_words_next(words), 'w', sim->settings.workers)];
        if (span_is(what, "die")) worker->dies_at_commit = true;
        else worker->dies_amid_commit = true;
    } else if (span_is(what, "done") || span_is(what, "undone")) {
        sim_journal_decide(sim, partition(sim, words), span_is(what, "done"));
    } else if (span_is(what, "tear") || span_is(what, "mend")) {
        sim_journal_tear(sim, partition(sim, words), span_is(what, "tear"));
    } else {
        bad(sim, "of the journal");
    }
}

static bool world_line(struct sim *sim, struct span verb, struct sim_words *words)
{
    if (span_is(verb, "kill") || span_is(verb, "start")) {
        process_line(sim, span_is(verb, "kill"), sim_words_next(words));
    } else if (span_is(verb, "disk")) {
        int w = process(sim, sim_words_next(words), 'w', sim->settings.workers);
        if (sim->workers[w].alive) return true; /* a living one keeps its disk */
        if (sim_words_is(words, "lost")) sim_worker_lose_disk(sim, w);
        else sim_worker_lose_unsynced(sim, w);
    } else if (span_is(verb, "isolate") || span_is(verb, "reach")) {
        isolate(sim, process(sim, sim_words_next(words), 'w', sim->settings.workers), span_is(verb, "isolate"));
    } else if (span_is(verb, "link")) {
        int g = process(sim, sim_words_next(words), 'g', sim->settings.gateways);
        int w = process(sim, sim_words_next(words), 'w', sim->settings.workers);
        sim_link_cut(sim, g, w, sim_words_is(words, "cut"));
    } else if (span_is(verb, "move")) {
        uint32_t p = partition(sim, words);
        sim_log_assign(sim, p, process(sim, sim_words_next(words), 'w', sim->settings.workers));
    } else if (span_is(verb, "journal")) {
        journal_line(sim, words);
    } else if (span_is(verb, "log")) {
        log_line(sim, words);
    } else if (span_is(verb, "registry")) {
        if (sim_words_is(words, "empty")) sim_registry_empty(sim);
        else sim->registry_down = sim_words_is(words, "down");
    } else if (span_is(verb, "rules")) {
        unsigned rules = (unsigned)number(sim_words_next(words));
        struct span one = sim_words_next(words);
        if (one.bytes == 0) sim->rules = rules;
        for (int w = 0; w < sim->settings.workers; w++)
            if (one.bytes == 0 || w == process(sim, one, 'w', sim->settings.workers)) sim_worker_rules(sim, w, rules);
    } else {
        return false;
    }
    return true;
}

static bool time_line(struct sim *sim, struct span verb, struct sim_words *words)
{
    if (span_is(verb, "wait")) sim_pass(sim, time_ms(sim, sim_words_next(words)) * 1000);
    else if (span_is(verb, "leap")) sim_leap(sim, time_ms(sim, sim_words_next(words)));
    else if (span_is(verb, "settle")) sim_settle(sim);
    else if (span_is(verb, "calm")) sim_calm(sim);
    else if (span_is(verb, "stop")) sim->stopped = true;
    else return false;
    return true;
}

void sim_line_run(struct sim *sim, const char *line)
{
    struct sim_words words = {line};
    struct span verb = sim_words_next(&words);
    if (verb.bytes == 0 || verb.at[0] == '#') return;
    if (span_is(verb, "set")) {
        set(sim, &words);
        return;
    }
    if (span_is(verb, "space")) {
        (void)sim_space(sim, sim_words_next(&words));
        return;
    }
    sim_begin(sim);
    if (!span_is(verb, "wait") && !span_is(verb, "settle") && !span_is(verb, "expect")) sim_trace(sim, "======= %s", line);
    sim_mix_span(sim, span_text(line));
    if (span_is(verb, "expect")) sim_expect(sim, &words);
    else if (span_is(verb, "stop") && sim_words_rest(&words).bytes == 0) sim->stopped = true;
    else if (!life_line(sim, verb, &words) && !space_line(sim, verb, &words) && !world_line(sim, verb, &words) && !time_line(sim, verb, &words))
        bad(sim, line);
}

bool sim_plan_is_fixed(const char *line)
{
    return strncmp(line, "set ", 4) == 0 || strncmp(line, "device ", 7) == 0 || strncmp(line, "space ", 6) == 0;
}
