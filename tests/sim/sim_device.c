/* A device as docs/protocol.md wants it: its life. What it says: sim_say.c; what it hears: sim_hear.c; what it keeps: sim_copy.c. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/checker/checker.h"
#include "tests/sim/sim_lib.h"

enum { BACKOFF_MS = 200, BACKOFF_MAX_MS = 8000, SILENCE_MS = 60000, CONNECT_MS = 5000, OWN_MS = 120000, FRAME_BYTES_MAX = 4096 };

int64_t sim_device_clock_ms(const struct sim_device *device) { return sim_now_ms(device->sim) + device->boot_ms; }

void sim_device_record(struct sim_device *device, int kind, size_t space, uint64_t id)
{
    struct checker_event event = {.kind = (enum checker_kind)kind, .who = span_text(device->name), .user = span_text(device->user),
                                  .device = span_text(device->store.id), .log = span_text(device->store.log), .id = id};
    if (space < SIM_SPACES_MAX) event.space = span_text(device->sim->spaces[space]);
    sim_judge_event(device->sim, &event);
}

/* ---- making and ending ---- */

struct sim_device *sim_device_find(struct sim *sim, struct span name)
{
    for (size_t i = 0; i < sim->devices_count; i++)
        if (span_is(name, sim->devices[i].name)) return &sim->devices[i];
    return NULL;
}

void sim_device_new_id(struct sim_device *device)
{
    char id[sizeof device->store.id];
    snprintf(id, sizeof id, "dev-%s-%02u", device->name, ++device->ids);
    memcpy(device->store.id, id, sizeof id);
    device->store.next_id = 1;
    device->forked_space = -1;
    device->restored_ms = 0;
}

struct sim_device *sim_device_make(struct sim *sim, struct span name, struct span user, bool lib)
{
    assert(sim->devices_count < SIM_DEVICES_MAX && name.bytes < SIM_NAME_BYTES && user.bytes < SIM_NAME_BYTES);
    struct sim_device *device = &sim->devices[sim->devices_count];
    *device = (struct sim_device){.sim = sim, .at = (int)sim->devices_count++, .prefers = -1, .forked_space = -1};
    memcpy(device->name, name.at, name.bytes);
    memcpy(device->user, user.at, user.bytes);
    sim_device_new_id(device);
    if (lib) sim_lib_make(device);
    return device;
}

void sim_device_fini(struct sim_device *device)
{
    if (device->lib != NULL) sim_lib_fini(device);
    sim_store_drop(&device->store);
    if (device->backup != NULL) sim_store_drop(device->backup);
    free(device->backup);
}

static void forget_session(struct sim_device *device)
{
    device->left_ms = sim_device_clock_ms(device);
    for (size_t i = 0; i < SIM_SPACES_MAX; i++) {
        struct sim_copy *copy = &device->store.copies[i];
        copy->live = false;
        copy->resend_ms = copy->reopen_ms = 0;
        copy->told_id = copy->told_sent = copy->sent_here = copy->stale_gaps = 0;
        copy->wanted = copy->wanted && !copy->once;
        copy->once = false;
    }
    device->welcome = false;
}

/* ---- connecting ---- */

static int pick_gateway(struct sim_device *device)
{
    struct sim *sim = device->sim;
    if (device->prefers >= 0 && sim->gateways[device->prefers].alive) return device->prefers;
    return (int)sim_below(sim, SIM_DEVICE, (uint64_t)sim->settings.gateways);
}

static void connect_now(struct sim_device *device)
{
    struct sim *sim = device->sim;
    struct buf text;
    device->conn = sim_edge_connect(sim, device, pick_gateway(device));
    device->heard_ms = sim_now_ms(sim);
    device->welcome = false;
    buf_init(&text, FRAME_BYTES_MAX);
    buf_add_text(&text, "{\"type\":\"hello\",\"protocol\":1,\"token\":\"");
    buf_add_text(&text, device->user);
    buf_add_text(&text, "\",\"device\":\"");
    buf_add_text(&text, device->store.id);
    buf_add_text(&text, device->background ? "\",\"background\":true}" : "\"}");
    sim_edge_say(device->conn, buf_span(&text));
    buf_fini(&text);
}

static int64_t earliest(int64_t a, int64_t b) { return b != 0 && b < a ? b : a; }

static void on_timer(struct sim *sim, struct sim_event *event);

void sim_device_arm(struct sim_device *device)
{
    struct sim *sim = device->sim;
    int64_t due_ms = INT64_MAX;
    if (device->conn != NULL) due_ms = device->heard_ms + (device->welcome ? SILENCE_MS : CONNECT_MS);
    for (size_t i = 0; device->welcome && i < sim->spaces_count; i++) {
        due_ms = earliest(due_ms, device->store.copies[i].resend_ms);
        due_ms = earliest(due_ms, device->store.copies[i].reopen_ms);
    }
    if (device->conn == NULL) return; /* the time to connect again is set when a connection is lost */
    sim_queue_put(sim, &device->timer, (due_ms - SIM_EPOCH_MS) * 1000, on_timer);
}

static void connect_in(struct sim_device *device, int64_t ms)
{
    sim_queue_put(device->sim, &device->timer, device->sim->now_us + ms * 1000, on_timer);
}

static void on_timer(struct sim *sim, struct sim_event *event)
{
    struct sim_device *device = (struct sim_device *)(void *)((char *)event - offsetof(struct sim_device, timer));
    int64_t now_ms = sim_now_ms(sim);
    if (device->conn == NULL) {
        if (device->wants_on) connect_now(device);
        sim_device_arm(device);
        return;
    }
    if (now_ms - device->heard_ms >= (device->welcome ? SILENCE_MS : CONNECT_MS)) {
        struct sim_conn *conn = device->conn;
        sim_trace(sim, "%-7s gives its silent connection up", device->name);
        sim_edge_leave(conn);
        sim_device_lost(device, conn, 0);
        return;
    }
    for (size_t i = 0; device->welcome && i < sim->spaces_count; i++) {
        struct sim_copy *copy = &device->store.copies[i];
        if (copy->reopen_ms != 0 && now_ms >= copy->reopen_ms) {
            copy->reopen_ms = 0;
            if (copy->wanted) sim_device_reopen(device, i);
        }
        if (copy->resend_ms != 0 && now_ms >= copy->resend_ms) sim_device_resend(device, i, 0);
    }
    sim_device_arm(device);
}

void sim_device_go(struct sim_device *device, int gateway)
{
    device->prefers = gateway;
    if (device->wants_on || device->retired) return;
    if (device->lib != NULL) {
        sim_lib_go(device);
        return;
    }
    device->wants_on = true;
    device->backoff = 0;
    if (device->conn == NULL) connect_in(device, 0);
}

static void drop_conn(struct sim_device *device)
{
    if (device->conn != NULL) {
        sim_edge_leave(device->conn);
        if (device->welcome) sim_device_record(device, CHECKER_CUT, SIM_SPACES_MAX, 0);
    }
    device->conn = NULL;
    forget_session(device);
    sim_queue_take(device->sim, &device->timer);
}

void sim_device_stop(struct sim_device *device)
{
    device->wants_on = false;
    if (device->lib != NULL) sim_lib_stop(device);
    else drop_conn(device);
}

void sim_device_retire(struct sim_device *device)
{
    sim_device_stop(device);
    device->retired = true;
    sim_device_record(device, CHECKER_RETIRED, SIM_SPACES_MAX, 0);
}

void sim_device_crash(struct sim_device *device)
{
    bool on = device->wants_on;
    if (device->lib != NULL) {
        sim_lib_crash(device);
        return;
    }
    if (device->conn != NULL) sim_edge_cut(device->conn);
    drop_conn(device);
    if (on) connect_in(device, 500);
}

/* Its boot clock begins anew. */
void sim_device_reboot(struct sim_device *device)
{
    sim_trace(device->sim, "%-7s reboots", device->name);
    if (device->lib == NULL) sim_device_crash(device);
    device->boot++;
    device->boot_ms = -sim_now_ms(device->sim);
    if (device->lib != NULL) sim_lib_crash(device);
}

void sim_device_set_clock(struct sim_device *device, int64_t ahead_ms)
{
    device->wall_ms = ahead_ms;
    device->knows_ahead = false;
}

/* A connection of its that it no longer minds may end too. */
void sim_device_lost(struct sim_device *device, struct sim_conn *conn, unsigned code)
{
    if (device->conn != conn) return;
    if (device->lib != NULL) {
        sim_lib_lost(device, code);
        return;
    }
    sim_trace(device->sim, "%-7s has lost its connection%s", device->name, code == 4409 ? ": the same device connected again" : "");
    if (device->welcome) sim_device_record(device, CHECKER_CUT, SIM_SPACES_MAX, 0);
    /* It does not come back by itself, unless it may have been its own: what it gave up a moment ago arrived late. */
    if (code == 4409 && sim_device_clock_ms(device) - device->left_ms > OWN_MS) device->wants_on = false;
    device->conn = NULL;
    forget_session(device);
    sim_queue_take(device->sim, &device->timer);
    if (code == 4400 || code == 4401 || code == 4429 || code == 1009) sim_fail(device->sim, "%s is closed with %u", device->name, code);
    if (!device->wants_on) return;
    int64_t most_ms = BACKOFF_MS << device->backoff;
    if (most_ms < BACKOFF_MAX_MS) device->backoff++;
    connect_in(device, 1 + (int64_t)sim_below(device->sim, SIM_DEVICE, (uint64_t)most_ms));
}

void sim_device_pinged(struct sim_device *device)
{
    device->heard_ms = sim_now_ms(device->sim);
    if (device->lib != NULL) sim_lib_heard(device);
}

/* ---- its disk ---- */

void sim_device_reinstall(struct sim_device *device)
{
    bool on = device->wants_on;
    if (device->lib != NULL) {
        sim_lib_reinstall(device);
        return;
    }
    sim_device_stop(device);
    sim_device_record(device, CHECKER_WIPE, SIM_SPACES_MAX, 0);
    sim_store_drop(&device->store);
    sim_device_new_id(device);
    if (on) sim_device_go(device, device->prefers);
}

int64_t sim_device_store_ms(const struct sim_device *device) { return device->restored_ms != 0 ? device->restored_ms : sim_now_ms(device->sim); }

void sim_device_backup(struct sim_device *device)
{
    if (device->lib != NULL) {
        sim_lib_backup(device);
        return;
    }
    sim_device_record(device, CHECKER_BACKUP, SIM_SPACES_MAX, 0);
    if (device->backup == NULL) device->backup = calloc(1, sizeof *device->backup);
    else sim_store_drop(device->backup);
    assert(device->backup != NULL);
    sim_store_clone(&device->store, device->backup);
    device->backup_ms = sim_device_store_ms(device);
}

/* What another's outbox held is in this one's now, too. */
static void enqueue_all(struct sim_device *device)
{
    for (size_t i = 0; i < device->sim->spaces_count; i++) {
        const struct sim_copy *copy = &device->store.copies[i];
        for (size_t k = 0; k < copy->pushes_count; k++)
            if (!copy->pushes[k].settled) sim_device_enqueued(device, i, &copy->pushes[k]);
    }
}

/* An older backup brings back pushes that the log has forgotten: nobody can tell them from new ones. */
bool sim_device_can_restore(const struct sim_device *device, const struct sim_device *from)
{
    if ((device->lib == NULL) != (from->lib == NULL) || sim_now_ms(device->sim) - from->backup_ms >= SIM_BACKUP_MS_MAX) return false;
    return from->lib == NULL ? from->backup != NULL : from->lib->backup != NULL;
}

void sim_device_restore(struct sim_device *device, const struct sim_device *from)
{
    bool on = device->wants_on;
    if (device->lib != NULL) {
        sim_lib_restore(device, from);
        return;
    }
    sim_device_stop(device);
    struct checker_event event = {.kind = CHECKER_RESTORE, .who = span_text(device->name), .ref = from == device ? span_of(NULL, 0) : span_text(from->name)};
    sim_judge_event(device->sim, &event);
    sim_store_drop(&device->store);
    sim_store_clone(from->backup, &device->store);
    device->restored_ms = from->backup_ms;
    device->forked_space = -1;
    if (from != device) enqueue_all(device);
    if (on) sim_device_go(device, device->prefers);
}

/* ---- what is left to do ---- */

bool sim_device_is_idle(const struct sim_device *device)
{
    if (device->lib != NULL) return sim_lib_is_idle(device);
    if (device->wants_on && !device->welcome) return false;
    if (!device->wants_on) return true;
    if (device->conn == NULL || !device->conn->path || device->conn->down_bytes > 0) return false;
    if (device->conn->session == NULL) return false; /* the other end is gone, and a slow device has not heard of it yet */
    if (device->forked_space >= 0) return false;
    for (size_t i = 0; i < device->sim->spaces_count; i++) {
        const struct sim_copy *copy = &device->store.copies[i];
        if (copy->wanted && (!copy->live || copy->in_run)) return false;
        if (copy->pushes_count > 0) return false;
    }
    return true;
}
