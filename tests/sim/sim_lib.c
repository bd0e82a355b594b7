/* The life of a device on the client library. */
#include "tests/sim/sim_lib.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/checker/checker.h"

enum { OWN_MS = 120000, RETRY_BASE_MS = 200, RETRY_MOST_MS = 8000, ROUNDS_MAX = 1000, LOOK_MS = 200, ARENA_BYTES_MAX = 16777216, OPS_BYTES_MAX = 1 << 20 };

/* ---- the machine ---- */

static struct store_moment clock_now(void *ctx)
{
    const struct sim_device *device = ctx;
    struct store_moment now = {.boot_ms = sim_device_clock_ms(device), .wall_ms = sim_now_ms(device->sim) + device->wall_ms};
    snprintf(now.boot, sizeof now.boot, "boot-%u", device->boot);
    return now;
}

static void random_bytes(void *ctx, void *ret_bytes, size_t bytes)
{
    const struct sim_device *device = ctx;
    for (size_t i = 0; i < bytes; i++) ((unsigned char *)ret_bytes)[i] = (unsigned char)sim_below(device->sim, SIM_LIB, 256);
}

static void on_event(void *ctx, struct tide *tide, const struct tide_event *event)
{
    struct sim_device *device = ctx;
    (void)tide;
    sim_lib_tap_event(device->lib, event);
}

static struct tide *open_handle(struct sim_device *device, bool alone)
{
    char path[64], why[256];
    struct tide *tide = NULL;
    sim_lib_disk_path(device->lib, path, sizeof path);
    struct tide_options options = {.path = path, .token = device->user, .background = device->background, .retry_base_ms = RETRY_BASE_MS,
                                   .retry_most_ms = RETRY_MOST_MS, .on_event = alone ? on_event : NULL, .ctx = device};
    struct tide_machine machine = {.ctx = device, .clock = clock_now, .random = random_bytes};
    enum tide_code code = tide_open_on(&options, &machine, &tide, why, sizeof why);
    if (code != TIDE_OK) fprintf(stderr, "%s\n", why);
    assert(code == TIDE_OK);
    return tide;
}

/* ---- the wire ---- */

static void arm(struct sim_device *device);

static void end_conn(struct sim_device *device, unsigned code)
{
    if (device->welcome) sim_device_record(device, CHECKER_CUT, SIM_SPACES_MAX, 0);
    device->conn = NULL;
    device->welcome = false;
    bool recently = sim_device_clock_ms(device) - device->left_ms <= OWN_MS;
    device->left_ms = sim_device_clock_ms(device);
    tide_io_disconnected(device->lib->tide, code, "the wire");
    if (code != 4409) return;
    /* It does not come back by itself, unless it may have been its own: what it gave up a moment ago arrived late. */
    if (recently) tide_start(device->lib->tide, TIDE_BOTH);
    else device->wants_on = false;
}

static int pick_gateway(struct sim_device *device)
{
    const struct sim *sim = device->sim;
    if (device->prefers >= 0 && sim->gateways[device->prefers].alive) return device->prefers;
    return (int)sim_below(device->sim, SIM_LIB, (uint64_t)sim->settings.gateways);
}

static bool move(struct sim_device *device)
{
    struct sim_lib *lib = device->lib;
    const char *message;
    size_t bytes;
    if (device->conn != NULL && tide_io_wants_close(lib->tide)) {
        sim_edge_leave(device->conn);
        end_conn(device, 0);
        return true;
    }
    if (device->conn == NULL && tide_io_wants_connection(lib->tide)) {
        device->conn = sim_edge_connect(device->sim, device, pick_gateway(device));
        tide_io_connected(lib->tide);
        return true;
    }
    if (device->conn != NULL && (message = tide_io_output(lib->tide, &bytes)) != NULL) {
        sim_lib_tap_said(lib, span_of(message, bytes));
        sim_edge_say(device->conn, span_of(message, bytes));
        tide_io_sent(lib->tide, bytes);
        return true;
    }
    if (tide_io_deadline(lib->tide) != 0) return false;
    tide_poll(lib->tide);
    return true;
}

/* What it wants is done, and what became of it is told. */
static void step(struct sim_device *device)
{
    sim_lib_tap_outbox(device->lib, 0, NULL);
    for (int round = 0; move(device); round++) {
        sim_lib_tap_outbox(device->lib, 0, NULL);
        if (round < ROUNDS_MAX) continue;
        sim_fail(device->sim, "%s has something to do for ever: %s", device->name, sync_state_name(sync_state(device->lib->tide->sync)));
        return;
    }
    arm(device);
}

static void due(struct sim *sim, struct sim_event *event)
{
    struct sim_device *device = (struct sim_device *)(void *)((char *)event - offsetof(struct sim_device, timer));
    (void)sim;
    tide_poll(device->lib->tide);
    step(device);
}

static void arm(struct sim_device *device)
{
    struct sim *sim = device->sim;
    int64_t in_ms = tide_io_deadline(device->lib->tide);
    if (in_ms < 0) sim_queue_take(sim, &device->timer);
    else sim_queue_put(sim, &device->timer, (sim_now_ms(sim) + in_ms - SIM_EPOCH_MS) * 1000, due);
}

void sim_lib_hang_up(struct sim_device *device)
{
    if (device->conn == NULL) return;
    sim_edge_leave(device->conn);
    end_conn(device, 0);
}

void sim_lib_call_ends(struct sim_device *device)
{
    device->lib->calling = false;
    tide_start(device->lib->tide, TIDE_BOTH);
    step(device);
}

void sim_lib_lost(struct sim_device *device, unsigned code)
{
    sim_trace(device->sim, "%-7s has lost its connection%s", device->name, code == 4409 ? ": the same device connected again" : "");
    end_conn(device, code);
    if (code == 4400 || code == 4401 || code == 4429 || code == 1009) sim_fail(device->sim, "%s is closed with %u", device->name, code);
    step(device);
}

void sim_lib_heard(struct sim_device *device) { tide_io_heard(device->lib->tide); }

void sim_lib_hear(struct sim_device *device, struct span message)
{
    sim_lib_tap_heard(device->lib, message);
    tide_io_received(device->lib->tide, message.at, message.bytes);
    step(device);
}

/* ---- its process ---- */

static void begin(struct sim_device *device)
{
    struct tide *tide = device->lib->tide = open_handle(device, true);
    tide_set_reachable(tide, device->wants_on);
    enum tide_code code = tide_start(tide, TIDE_BOTH);
    assert(code == TIDE_OK);
    step(device);
}

/* Nothing is said to anybody. */
static void kill(struct sim_device *device)
{
    if (device->conn != NULL) sim_edge_cut(device->conn);
    if (device->welcome) sim_device_record(device, CHECKER_CUT, SIM_SPACES_MAX, 0);
    device->conn = NULL;
    device->welcome = false;
    device->left_ms = sim_device_clock_ms(device);
    sim_queue_take(device->sim, &device->timer);
    if (device->lib->calling) sim_lib_call_dies(device);
    tide_close(device->lib->tide);
    device->lib->tide = NULL;
}

void sim_lib_make(struct sim_device *device)
{
    device->lib = calloc(1, sizeof *device->lib);
    assert(device->lib != NULL);
    device->lib->device = device;
    arena_init(&device->lib->arena, ARENA_BYTES_MAX);
    sim_lib_disk_make(device->lib);
    begin(device);
}

void sim_lib_fini(struct sim_device *device)
{
    tide_close(device->lib->tide);
    sim_lib_disk_drop(device->lib);
    arena_fini(&device->lib->arena);
    free(device->lib);
    device->lib = NULL;
}

void sim_lib_go(struct sim_device *device)
{
    device->wants_on = true;
    tide_set_reachable(device->lib->tide, true);
    if (sync_state(device->lib->tide->sync) == SYNC_REPLACED) tide_start(device->lib->tide, TIDE_BOTH);
    step(device);
}

void sim_lib_stop(struct sim_device *device)
{
    device->wants_on = false;
    tide_set_reachable(device->lib->tide, false);
    step(device);
}

void sim_lib_crash(struct sim_device *device)
{
    kill(device);
    begin(device);
}

/* ---- its disk ---- */

void sim_lib_reinstall(struct sim_device *device)
{
    kill(device);
    sim_device_record(device, CHECKER_WIPE, SIM_SPACES_MAX, 0);
    sim_lib_disk_make(device->lib);
    device->lib->outbox_count = 0;
    device->ids++;
    device->restored_ms = 0;
    begin(device);
}

void sim_lib_backup(struct sim_device *device)
{
    struct sim_lib *lib = device->lib;
    sim_device_record(device, CHECKER_BACKUP, SIM_SPACES_MAX, 0);
    sim_lib_disk_lay_aside(lib);
    lib->aside_count = lib->outbox_count;
    memcpy(lib->aside, lib->outbox, lib->outbox_count * sizeof *lib->outbox);
    device->backup_ms = sim_device_store_ms(device);
}

void sim_lib_restore(struct sim_device *device, const struct sim_device *from)
{
    struct checker_event event = {.kind = CHECKER_RESTORE, .who = span_text(device->name), .ref = from == device ? span_of(NULL, 0) : span_text(from->name)};
    kill(device);
    sim_judge_event(device->sim, &event);
    sim_lib_disk_put_back(device->lib, from->lib);
    device->restored_ms = from->backup_ms;
    device->lib->tide = open_handle(device, true);
    sim_lib_tap_restored(device->lib, from->lib);
    tide_close(device->lib->tide);
    begin(device);
}

/* ---- what its app does ---- */

void sim_lib_subscribe(struct sim_device *device, size_t space, int64_t tail)
{
    struct tide_space_options options = {.tail = tail};
    enum tide_code code = tide_subscribe(device->lib->tide, device->sim->spaces[space], &options);
    assert(code == TIDE_OK);
    step(device);
}

void sim_lib_unsubscribe(struct sim_device *device, size_t space)
{
    (void)tide_unsubscribe(device->lib->tide, device->sim->spaces[space], false); /* a space that it does not know may be named */
    step(device);
}

void sim_lib_history(struct sim_device *device, size_t space, const char *collection, uint64_t before, unsigned limit)
{
    (void)tide_history(device->lib->tide, device->sim->spaces[space], collection, before, limit); /* offline there is none */
    step(device);
}

/* The library adds ages and bases: what the line's writer left room for goes, with the comma before it. */
static void strip(struct buf *out, struct span ops)
{
    const char *at = ops.at, *end = ops.at + ops.bytes;
    while (at < end) {
        const char *mark = memchr(at, '~', (size_t)(end - at));
        const char *stop = mark == NULL ? end : mark;
        while (mark != NULL && *stop != ',') stop--;
        buf_add(out, at, (size_t)(stop - at));
        at = mark == NULL ? end : (const char *)memchr(mark + 1, '~', (size_t)(end - mark - 1)) + 1;
    }
}

void sim_lib_push(struct sim_device *device, size_t space, struct span ops, int64_t by, const char *counter, bool beside)
{
    struct sim_lib *lib = device->lib;
    struct tide *tide = beside ? open_handle(device, false) : lib->tide;
    struct buf text;
    buf_init(&text, OPS_BYTES_MAX);
    strip(&text, ops);
    buf_add(&text, "", 1);
    assert(buf_ok(&text));
    enum tide_code code = tide_push(tide, device->sim->spaces[space], text.at, NULL);
    if (code != TIDE_OK) sim_fail(device->sim, "%s may not write %s: %s", device->name, text.at, tide_message(tide));
    buf_fini(&text);
    sim_lib_tap_outbox(lib, by, counter);
    if (!beside) {
        step(device);
        return;
    }
    tide_close(tide);
    sim_queue_put(device->sim, &device->timer, device->sim->now_us + LOOK_MS * 1000, due); /* who syncs finds it */
}

bool sim_lib_is_idle(const struct sim_device *device)
{
    struct tide_status status;
    if (device->lib->calling) return false;
    if (!device->wants_on) return true;
    if (device->conn == NULL || !device->conn->path || device->conn->down_bytes > 0 || device->conn->session == NULL) return false;
    tide_status(device->lib->tide, &status);
    return status.whole;
}
