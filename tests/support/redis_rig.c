#include "tests/support/redis_rig.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int redis_rig_setup(void **state)
{
    struct redis_rig *rig = calloc(1, sizeof *rig);
    if (rig == NULL) return -1;
    signal(SIGPIPE, SIG_IGN); /* as main() does */
    uv_loop_init(&rig->loop);
    for (int i = 0; i < 2; i++) redis_desk_init(&rig->servers[i]);
    redis_desk_start(&rig->servers[0]);
    *state = rig;
    return 0;
}

static void on_closed(void *ctx) { ((struct redis_seat *)ctx)->closed++; }
static bool is_closed(void *ctx) { return ((struct redis_seat *)ctx)->closed == 1; }

void redis_rig_close(struct redis_rig *rig, struct redis_seat *seat)
{
    redis_registry_close(seat->redis, seat, on_closed);
    seat->redis = NULL;
    bool closed = rig_until(&rig->loop, is_closed, seat, RIG_WAIT_MS);
    assert(closed);
}

int redis_rig_teardown(void **state)
{
    struct redis_rig *rig = *state;
    for (int i = 0; i < RIG_REGISTRIES; i++)
        if (rig->seats[i].redis != NULL) redis_rig_close(rig, &rig->seats[i]);
    rig_loop_close(&rig->loop);
    for (int i = 0; i < 2; i++) redis_desk_fini(&rig->servers[i]);
    free(rig);
    return 0;
}

static void on_displaced(void *ctx, uint64_t session)
{
    struct redis_seat *seat = ctx;
    assert(seat->displaced_count < 8);
    seat->displaced[seat->displaced_count++] = session;
}

static void on_changed(void *ctx, uint32_t partition)
{
    struct redis_seat *seat = ctx;
    seat->changes++;
    seat->changed = partition;
}

struct redis_seat *redis_rig_open(struct redis_rig *rig, int at, const char *servers, const char *gateway)
{
    struct redis_seat *seat = &rig->seats[at];
    char why[256];
    struct redis_registry_options options = {.loop = &rig->loop, .servers = servers == NULL ? rig->servers[0].address : servers, .log = "log-1",
                                             .gateway = gateway, .tick_ms = RIG_TICK_MS};
    *seat = (struct redis_seat){0};
    enum err err = redis_registry_open(&options, &seat->redis, why, sizeof why);
    assert(err == ERR_OK);
    seat->registry = redis_registry_seam(seat->redis);
    seat->directory = redis_registry_directory(seat->redis);
    seat->registry->ctx = seat->directory->ctx = seat;
    seat->registry->displaced = on_displaced;
    seat->directory->changed = on_changed;
    return seat;
}

bool redis_rig_until(struct redis_rig *rig, bool (*holds)(void *ctx), void *ctx) { return rig_until(&rig->loop, holds, ctx, RIG_WAIT_MS); }

/* ---- questions ---- */

static bool is_answered(void *ctx) { return ((struct redis_asked *)ctx)->answered; }

static void wait_for_answer(struct redis_rig *rig)
{
    bool answered = rig_until(&rig->loop, is_answered, &rig->asked, RIG_WAIT_MS);
    assert(answered);
}

static void user_told(void *ctx, enum err err, const struct registry_user *user)
{
    struct redis_asked *asked = ctx;
    assert(!asked->answered);
    asked->answered = true;
    asked->err = err;
    if (err == ERR_OK) asked->user = *user;
}

void redis_rig_ask_user(struct redis_rig *rig, struct redis_seat *seat, const char *user)
{
    rig->asked = (struct redis_asked){0};
    seat->registry->ops->get_user(seat->registry, span_text(user), &rig->asked, user_told);
    wait_for_answer(rig);
}

static void offsets_told(void *ctx, enum err err, const struct registry_offset *offsets, size_t count)
{
    struct redis_asked *asked = ctx;
    assert(!asked->answered && count <= 4);
    asked->answered = true;
    asked->err = err;
    asked->count = count;
    for (size_t i = 0; i < count; i++) {
        snprintf(asked->spaces[i], sizeof asked->spaces[i], "%.*s", (int)offsets[i].space.bytes, offsets[i].space.at);
        snprintf(asked->cursors[i], sizeof asked->cursors[i], "%.*s", (int)offsets[i].cursor.bytes, offsets[i].cursor.at);
    }
}

void redis_rig_ask_offsets(struct redis_rig *rig, struct redis_seat *seat, const char *user, const char *device)
{
    rig->asked = (struct redis_asked){0};
    seat->registry->ops->get_offsets(seat->registry, span_text(user), span_text(device), &rig->asked, offsets_told);
    wait_for_answer(rig);
}

static void owner_told(void *ctx, enum err err, uint32_t partition, struct span address)
{
    struct redis_asked *asked = ctx;
    assert(!asked->answered && partition < 8);
    asked->answered = true;
    asked->err = err;
    snprintf(asked->address, sizeof asked->address, "%.*s", (int)address.bytes, address.at);
}

void redis_rig_ask_owner(struct redis_rig *rig, struct redis_seat *seat, uint32_t partition)
{
    rig->asked = (struct redis_asked){0};
    seat->directory->ops->find(seat->directory, partition, &rig->asked, owner_told);
    wait_for_answer(rig);
}

/* ---- until ---- */

static bool never(void *ctx)
{
    (void)ctx;
    return false;
}

static void a_moment(struct redis_rig *rig) { (void)rig_until(&rig->loop, never, NULL, RIG_TICK_MS / 2); }
static uint64_t end_ms(void) { return uv_hrtime() / 1000000 + RIG_WAIT_MS; }
static bool is_over(uint64_t end) { return uv_hrtime() / 1000000 > end; }

bool redis_rig_until_user(struct redis_rig *rig, struct redis_seat *seat, const char *user, enum err err, enum presence_state state)
{
    for (uint64_t end = end_ms(); !is_over(end); a_moment(rig)) {
        redis_rig_ask_user(rig, seat, user);
        if (rig->asked.err == err && (err != ERR_OK || rig->asked.user.state == state)) return true;
    }
    return false;
}

bool redis_rig_until_owner(struct redis_rig *rig, struct redis_seat *seat, uint32_t partition, const char *address)
{
    for (uint64_t end = end_ms(); !is_over(end); a_moment(rig)) {
        redis_rig_ask_owner(rig, seat, partition);
        if (rig->asked.err == ERR_OK && strcmp(rig->asked.address, address) == 0) return true;
    }
    return false;
}

bool redis_rig_until_cursor(struct redis_rig *rig, struct redis_seat *seat, const char *user, const char *device, const char *cursor)
{
    for (uint64_t end = end_ms(); !is_over(end); a_moment(rig)) {
        redis_rig_ask_offsets(rig, seat, user, device);
        for (size_t i = 0; rig->asked.err == ERR_OK && i < rig->asked.count; i++)
            if (strcmp(rig->asked.cursors[i], cursor) == 0) return true;
    }
    return false;
}

struct wanted {
    struct redis_seat *seat;
    size_t count;
};
static bool is_ready(void *ctx)
{
    const struct wanted *wanted = ctx;
    return redis_registry_counters(wanted->seat->redis)->servers == wanted->count;
}
static bool has_displaced(void *ctx)
{
    const struct wanted *wanted = ctx;
    return wanted->seat->displaced_count == wanted->count;
}

bool redis_rig_until_ready(struct redis_rig *rig, struct redis_seat *seat, size_t servers)
{
    struct wanted wanted = {seat, servers};
    return redis_rig_until(rig, is_ready, &wanted);
}

bool redis_rig_until_displaced(struct redis_rig *rig, struct redis_seat *seat, size_t count)
{
    struct wanted wanted = {seat, count};
    return redis_rig_until(rig, has_displaced, &wanted);
}
