#include "client/sync_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RETRY_BASE_MS = 1000, RETRY_MOST_MS = 60000, HEARTBEAT_MS = 25000,
    TOKEN_AGAIN_MS = 30000,    /* a token that did not come is asked for again */
    BAD_REQUEST_MS = 60000     /* after close 4400, which a correct client does not see */
};

struct sync *sync_make(struct store *store, struct view *view, const struct sync_host *host, const struct sync_options *options)
{
    struct sync *sync = calloc(1, sizeof *sync);
    if (sync == NULL) return NULL;
    sync->store = store;
    sync->view = view;
    sync->host = *host;
    sync->options = *options;
    if (sync->options.retry_base_ms <= 0) sync->options.retry_base_ms = RETRY_BASE_MS;
    if (sync->options.retry_most_ms < sync->options.retry_base_ms) sync->options.retry_most_ms = RETRY_MOST_MS;
    if (sync->options.connect_ms <= 0) sync->options.connect_ms = SYNC_CONNECT_MS;
    sync->reachable = true;
    sync->inflight_max = SYNC_INFLIGHT;
    sync->frame_max = LIMIT_FRAME_BYTES_MAX;
    sync->heartbeat_ms = HEARTBEAT_MS;
    buf_init(&sync->token, SYNC_TOKEN_BYTES_MAX);
    buf_init(&sync->out, SYNC_OUT_BYTES_MAX);
    arena_init(&sync->arena, SYNC_ARENA_BYTES_MAX);
    arena_init(&sync->tales, SYNC_ARENA_BYTES_MAX);
    return sync;
}

void sync_free(struct sync *sync)
{
    if (sync == NULL) return;
    buf_fini(&sync->token);
    buf_fini(&sync->out);
    arena_fini(&sync->arena);
    arena_fini(&sync->tales);
    free(sync->spaces);
    free(sync);
}

/* ---- the step at hand ---- */

void sync_enter(struct sync *sync, const struct store_moment *now)
{
    sync->moment = *now;
    sync->moment.server_ms = sync_server_ms(sync, now);
    sync->now = &sync->moment;
}

/* By the boot clock since the server's time was heard in this boot; else by the wall clock, corrected by the difference known. */
int64_t sync_server_ms(const struct sync *sync, const struct store_moment *at)
{
    const struct store_moment *clock = &store_self(sync->store)->clock;
    if (clock->server_ms == 0) return 0;
    if (clock->boot[0] != '\0' && strcmp(clock->boot, at->boot) == 0) return clock->server_ms + (at->boot_ms - clock->boot_ms);
    return at->wall_ms + (clock->server_ms - clock->wall_ms);
}

uint64_t sync_random(struct sync *sync, uint64_t below)
{
    uint64_t number = 0;
    sync->host.random(sync->host.ctx, &number, sizeof number);
    return below == 0 ? number : number % below;
}

void sync_note(struct sync *sync, struct sync_event event)
{
    if (sync->events_count == SYNC_EVENTS_MAX) return; /* one message can hold more; what they tell of is in the store */
    struct span space = arena_copy(&sync->tales, event.space), code = arena_copy(&sync->tales, event.code), frame = arena_copy(&sync->tales, event.frame);
    if (space.at == NULL || code.at == NULL || frame.at == NULL) return;
    event.space = space;
    event.code = code;
    event.frame = frame;
    sync->events[sync->events_count++] = event;
}

void sync_tell(struct sync *sync)
{
    bool whole = sync_is_whole(sync);
    if (whole != sync->is_whole) {
        sync->is_whole = whole;
        sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_STATE});
    }
    size_t count = sync->events_count;
    for (size_t i = 0; i < count; i++) sync->host.tell(sync->host.ctx, &sync->events[i]);
    sync->events_count = 0;
    arena_reset(&sync->tales);
}

bool sync_begin(struct sync *sync, bool durable)
{
    if (store_is_open(sync->store)) return true;
    enum err err = store_begin(sync->store, durable);
    if (err == ERR_OK) return true;
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_ERROR, .code = span_text(err_name(err)), .frame = SPAN_LITERAL("the store cannot be written")});
    sync_give_up(sync, "the store cannot be written", -1);
    return false;
}

bool sync_commit(struct sync *sync)
{
    if (!store_is_open(sync->store)) return true;
    view_settle(sync->view, sync->store, sync->now->wall_ms);
    enum err err = store_commit(sync->store);
    if (err == ERR_OK) return true;
    /* What was noted did not happen. */
    sync->events_count = 0;
    arena_reset(&sync->tales);
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_ERROR, .code = span_text(err_name(err)), .frame = SPAN_LITERAL("the store cannot be written")});
    sync_give_up(sync, "the store cannot be written", -1);
    return false;
}

/* ---- states ---- */

const char *sync_state_name(enum sync_state state)
{
    static const char *const names[] = {"stopped", "waiting", "token", "connecting", "greeting", "live", "closing", "replaced", "unreachable"};
    return names[state];
}

enum sync_state sync_state(const struct sync *sync) { return sync->state; }
const char *sync_why(const struct sync *sync) { return sync->why; }

static bool is_connected(enum sync_state state) { return state == SYNC_GREETING || state == SYNC_LIVE || state == SYNC_CLOSING; }

/* Legal moves: from a connection only by way of CLOSING, or because it is gone. */
void sync_move(struct sync *sync, enum sync_state state)
{
    static const unsigned moves[] = {
        [SYNC_STOPPED] = 1u << SYNC_CONNECTING | 1u << SYNC_TOKEN | 1u << SYNC_UNREACHABLE,
        [SYNC_WAITING] = 1u << SYNC_CONNECTING | 1u << SYNC_TOKEN | 1u << SYNC_STOPPED | 1u << SYNC_UNREACHABLE,
        [SYNC_TOKEN] = 1u << SYNC_CONNECTING | 1u << SYNC_STOPPED | 1u << SYNC_UNREACHABLE,
        [SYNC_CONNECTING] = 1u << SYNC_GREETING | 1u << SYNC_WAITING | 1u << SYNC_TOKEN | 1u << SYNC_STOPPED | 1u << SYNC_UNREACHABLE | 1u << SYNC_REPLACED,
        [SYNC_GREETING] = 1u << SYNC_LIVE | 1u << SYNC_CLOSING | 1u << SYNC_WAITING | 1u << SYNC_TOKEN | 1u << SYNC_REPLACED | 1u << SYNC_UNREACHABLE | 1u << SYNC_STOPPED,
        [SYNC_LIVE] = 1u << SYNC_CLOSING | 1u << SYNC_WAITING | 1u << SYNC_TOKEN | 1u << SYNC_REPLACED | 1u << SYNC_UNREACHABLE | 1u << SYNC_STOPPED,
        [SYNC_CLOSING] = 1u << SYNC_WAITING | 1u << SYNC_TOKEN | 1u << SYNC_REPLACED | 1u << SYNC_UNREACHABLE | 1u << SYNC_STOPPED | 1u << SYNC_CONNECTING,
        [SYNC_REPLACED] = 1u << SYNC_CONNECTING | 1u << SYNC_STOPPED | 1u << SYNC_TOKEN | 1u << SYNC_UNREACHABLE,
        [SYNC_UNREACHABLE] = 1u << SYNC_CONNECTING | 1u << SYNC_TOKEN | 1u << SYNC_STOPPED | 1u << SYNC_WAITING};
    if (state == sync->state) return;
    assert(moves[sync->state] >> state & 1u);
    sync->state = state;
    if (state == SYNC_CONNECTING) sync->connecting_ms = sync->now->boot_ms;
    if (state == SYNC_CONNECTING) sync->waits_as_told = false;
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_STATE});
}

static int64_t backoff_ms(struct sync *sync)
{
    int64_t most = sync->options.retry_base_ms;
    for (unsigned i = 1; i < sync->attempts && most < sync->options.retry_most_ms; i++) most *= 2;
    if (most > sync->options.retry_most_ms) most = sync->options.retry_most_ms;
    return (int64_t)sync_random(sync, (uint64_t)most + 1); /* full jitter: Brooker, Exponential Backoff and Jitter, 2015 */
}

/* What is next when no connection is. */
static void rest(struct sync *sync, int64_t wait_ms)
{
    if (!sync->reachable) {
        sync_move(sync, SYNC_UNREACHABLE);
    } else if (sync->token.bytes == 0) {
        sync_move(sync, SYNC_TOKEN);
        sync_want_token(sync);
    } else if (wait_ms <= 0) {
        sync_move(sync, SYNC_CONNECTING);
    } else {
        sync->retry_ms = sync->now->boot_ms + wait_ms;
        sync_move(sync, SYNC_WAITING);
    }
}

static void forget_connection(struct sync *sync)
{
    buf_reset(&sync->out);
    sync->out_at = 0;
    sync->spaces_count = 0;
    sync->heard_ms = sync->pinged_ms = 0;
}

void sync_give_up(struct sync *sync, const char *why, int64_t wait_ms)
{
    if (sync->in_http || (sync->state != SYNC_GREETING && sync->state != SYNC_LIVE)) return;
    snprintf(sync->why, sizeof sync->why, "%s", why);
    if (wait_ms < 0) {
        sync->attempts++;
        wait_ms = backoff_ms(sync);
    } else if (wait_ms > 0) sync->waits_as_told = true;
    sync->retry_ms = sync->now->boot_ms + wait_ms;
    sync_move(sync, SYNC_CLOSING);
}

void sync_want_token(struct sync *sync)
{
    if (sync->token_asked && sync->now->boot_ms < sync->token_asked_ms + TOKEN_AGAIN_MS) return;
    sync->token_asked = true;
    sync->token_asked_ms = sync->now->boot_ms;
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_TOKEN});
}

void sync_start(struct sync *sync, enum sync_mode mode, const struct store_moment *now)
{
    sync_enter(sync, now);
    sync->mode = mode;
    if (is_connected(sync->state) || sync->state == SYNC_CONNECTING) return;
    sync->attempts = 0;
    rest(sync, 0);
    sync_tell(sync);
}

void sync_stop(struct sync *sync)
{
    forget_connection(sync);
    sync_move(sync, SYNC_STOPPED);
    sync_tell(sync);
}

void sync_set_token(struct sync *sync, struct span token, const struct store_moment *now)
{
    sync_enter(sync, now);
    buf_reset(&sync->token);
    buf_add_span(&sync->token, token);
    if (!buf_ok(&sync->token)) buf_reset(&sync->token);
    sync->token_asked = false;
    if (sync->state == SYNC_LIVE && sync->token.bytes > 0) {
        sync_say_auth(sync);
        for (size_t i = 0; i < sync->spaces_count; i++) sync->spaces[i].is_closed = false;
        sync_look(sync, now);
    } else if (sync->state == SYNC_TOKEN && sync->token.bytes > 0) {
        rest(sync, 0);
    }
    sync_tell(sync);
}

struct span sync_token(const struct sync *sync) { return buf_span(&sync->token); }

void sync_ask_token(struct sync *sync, const struct store_moment *now)
{
    sync_enter(sync, now);
    sync_want_token(sync);
    sync_tell(sync);
}

void sync_reopen_closed(struct sync *sync, int64_t space)
{
    for (size_t i = 0; i < sync->spaces_count; i++)
        if (sync->spaces[i].id == space) sync->spaces[i].is_closed = false;
}

void sync_set_reachable(struct sync *sync, bool reachable, const struct store_moment *now)
{
    sync_enter(sync, now);
    bool comes = reachable && !sync->reachable;
    sync->reachable = reachable;
    if (sync->state == SYNC_UNREACHABLE && reachable) {
        sync->attempts = 0;
        rest(sync, 0);
    } else if (sync->state == SYNC_WAITING && comes) {
        rest(sync, 0);
    } else if (!reachable && (sync->state == SYNC_WAITING || sync->state == SYNC_CONNECTING)) {
        sync_move(sync, SYNC_UNREACHABLE);
    } else if (!reachable) {
        sync_give_up(sync, "the network is gone", 0);
    }
    sync_tell(sync);
}

static void ping(struct sync *sync, int64_t patience_ms)
{
    buf_add_text(&sync->out, "{\"type\":\"ping\"}\n");
    sync->pinged_ms = sync->now->boot_ms;
    sync->patience_ms = patience_ms < sync->heartbeat_ms ? patience_ms : sync->heartbeat_ms;
}

void sync_network_came(struct sync *sync, const struct store_moment *now)
{
    sync_enter(sync, now);
    if (sync->state == SYNC_LIVE && sync->pinged_ms == 0) ping(sync, SYNC_PROBE_MS);
    if (sync->state != SYNC_WAITING || sync->waits_as_told) return;
    sync->attempts = 0;
    rest(sync, 0);
    sync_tell(sync);
}

/* ---- the connection ---- */

bool sync_wants_connection(const struct sync *sync) { return sync->state == SYNC_CONNECTING; }
bool sync_wants_close(const struct sync *sync) { return sync->state == SYNC_CLOSING; }
bool sync_wants_none(const struct sync *sync) { return !is_connected(sync->state) && sync->state != SYNC_CONNECTING; }

void sync_connected(struct sync *sync, const struct store_moment *now)
{
    assert(sync->state == SYNC_CONNECTING);
    sync_enter(sync, now);
    forget_connection(sync);
    sync->heard_ms = sync->greeted_ms = now->boot_ms;
    sync_move(sync, SYNC_GREETING);
    sync_say_hello(sync);
    sync_tell(sync);
}

void sync_disconnected(struct sync *sync, unsigned code, const char *why, const struct store_moment *now)
{
    sync_enter(sync, now);
    bool ours = sync->state == SYNC_CLOSING;
    if (!is_connected(sync->state) && sync->state != SYNC_CONNECTING) return;
    forget_connection(sync);
    if (ours) {
        rest(sync, sync->retry_ms - now->boot_ms);
    } else if (code == 4409) {
        snprintf(sync->why, sizeof sync->why, "the same device connected again");
        sync_move(sync, SYNC_REPLACED);
    } else if (code == 4401 || code == 4403 || code == 401 || code == 403) {
        snprintf(sync->why, sizeof sync->why, "%s", code == 4403 || code == 403 ? "forbidden" : "unauthenticated");
        buf_reset(&sync->token);
        rest(sync, 0);
    } else {
        snprintf(sync->why, sizeof sync->why, "%s", why == NULL || why[0] == '\0' ? "the connection ended" : why);
        sync->attempts++;
        sync->waits_as_told = code == 4400;
        rest(sync, code == 4400 ? BAD_REQUEST_MS : 1 + backoff_ms(sync));
    }
    sync_tell(sync);
}

void sync_heard(struct sync *sync, const struct store_moment *now)
{
    sync->heard_ms = now->boot_ms;
    sync->pinged_ms = 0;
}

struct sync_space *sync_space_of(struct sync *sync, int64_t id)
{
    for (size_t i = 0; i < sync->spaces_count; i++)
        if (sync->spaces[i].id == id) return &sync->spaces[i];
    if (sync->spaces_count == sync->spaces_room) {
        size_t room = sync->spaces_room == 0 ? 16 : sync->spaces_room * 2;
        struct sync_space *spaces = realloc(sync->spaces, room * sizeof *spaces);
        if (spaces == NULL) return NULL;
        sync->spaces = spaces;
        sync->spaces_room = room;
    }
    sync->spaces[sync->spaces_count] = (struct sync_space){.id = id};
    return &sync->spaces[sync->spaces_count++];
}

void sync_look(struct sync *sync, const struct store_moment *now)
{
    sync_enter(sync, now);
    arena_reset(&sync->arena);
    if (sync->state != SYNC_LIVE) return;
    sync_fork_step(sync);
    sync_open_due(sync);
    sync_pump(sync);
    sync_tell(sync);
}

void sync_wrote(struct sync *sync, const struct store_moment *now)
{
    sync->is_soft = false; /* a durable commit takes all before it along */
    sync_look(sync, now);
}

bool sync_is_whole(const struct sync *sync)
{
    if (sync->state != SYNC_LIVE) return false;
    for (size_t i = 0; i < sync->spaces_count; i++) {
        const struct sync_space *here = &sync->spaces[i];
        if (here->wanted && !here->is_closed && (!here->answered || here->in_run)) return false;
    }
    return !store_push_any(sync->store);
}

/* ---- time ---- */

static int64_t earliest(int64_t a, int64_t b) { return a < b ? a : b; }

int64_t sync_deadline(const struct sync *sync)
{
    int64_t due = SYNC_NEVER;
    if (sync->state == SYNC_WAITING) return sync->retry_ms;
    if (sync->state == SYNC_TOKEN) return sync->token_asked_ms + TOKEN_AGAIN_MS;
    if (sync->state == SYNC_CONNECTING) return sync->connecting_ms + sync->options.connect_ms;
    if (sync->state == SYNC_GREETING) return sync->greeted_ms + SYNC_HELLO_MS;
    if (sync->state != SYNC_LIVE) return SYNC_NEVER;
    due = sync->pinged_ms > 0 ? sync->pinged_ms + sync->patience_ms : sync->heard_ms + 2 * sync->heartbeat_ms;
    for (size_t i = 0; i < sync->spaces_count; i++) {
        if (sync->spaces[i].resend_ms > 0) due = earliest(due, sync->spaces[i].resend_ms);
        if (sync->spaces[i].reopen_ms > 0) due = earliest(due, sync->spaces[i].reopen_ms);
    }
    return due;
}

static void tick_live(struct sync *sync)
{
    int64_t now_ms = sync->now->boot_ms;
    bool due = false;
    if (sync->pinged_ms > 0 && now_ms >= sync->pinged_ms + sync->patience_ms) {
        sync_give_up(sync, sync->patience_ms < sync->heartbeat_ms ? "nothing was heard since the network changed" : "nothing was heard for three heartbeats", -1);
        return;
    }
    if (sync->pinged_ms == 0 && now_ms >= sync->heard_ms + 2 * sync->heartbeat_ms) ping(sync, sync->heartbeat_ms);
    for (size_t i = 0; i < sync->spaces_count; i++) {
        struct sync_space *here = &sync->spaces[i];
        if (here->resend_ms > 0 && now_ms >= here->resend_ms) {
            here->resend_ms = 0;
            due = true;
        }
        if (here->reopen_ms > 0 && now_ms >= here->reopen_ms) {
            here->reopen_ms = 0;
            here->ref = 0;
            due = true;
        }
    }
    if (!due) return;
    sync_open_due(sync);
    sync_pump(sync);
}

/* A wire may be wrong about what becomes of an attempt, or never tell. */
static void give_up_connecting(struct sync *sync)
{
    snprintf(sync->why, sizeof sync->why, SYNC_WHY_CONNECT);
    sync->attempts++;
    rest(sync, 1 + backoff_ms(sync));
}

void sync_tick(struct sync *sync, const struct store_moment *now)
{
    sync_enter(sync, now);
    arena_reset(&sync->arena);
    if (now->boot_ms < sync_deadline(sync)) return;
    if (sync->state == SYNC_WAITING) rest(sync, 0);
    else if (sync->state == SYNC_TOKEN) sync_want_token(sync);
    else if (sync->state == SYNC_CONNECTING) give_up_connecting(sync);
    else if (sync->state == SYNC_GREETING) sync_give_up(sync, "no welcome came", -1);
    else if (sync->state == SYNC_LIVE) tick_live(sync);
    sync_tell(sync);
}

/* ---- out ---- */

/* Whole frames, as many as one message is to hold, and always one. */
struct span sync_output(struct sync *sync)
{
    size_t left = sync->out.bytes - sync->out_at, bytes = 0;
    const char *from = sync->out.at + sync->out_at;
    if (left == 0 || sync->state == SYNC_CLOSING || !is_connected(sync->state)) return span_of(NULL, 0);
    while (bytes < left) {
        const char *end = memchr(from + bytes, '\n', left - bytes);
        assert(end != NULL);
        size_t next = (size_t)(end - from) + 1;
        if (bytes > 0 && next > SYNC_MESSAGE_BYTES) break;
        bytes = next;
    }
    return span_of(from, bytes - 1);
}

void sync_output_taken(struct sync *sync, size_t bytes)
{
    assert(sync->out_at + bytes + 1 <= sync->out.bytes);
    sync->out_at += bytes + 1;
    if (sync->out_at < sync->out.bytes) return;
    buf_reset(&sync->out);
    sync->out_at = 0;
    if (sync->state == SYNC_LIVE) sync_pump(sync);
}
