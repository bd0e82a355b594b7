/* What a device hears: a message taken apart, its frames handed on, all in one transaction. */
#include <assert.h>
#include <stdio.h>

#include "client/sync_parts.h"
#include "core/name.h"

uint64_t sync_number(struct json_value frame, const char *key)
{
    int64_t value = 0;
    return json_integer(json_find(frame, key), &value) && value > 0 ? (uint64_t)value : 0;
}

struct span sync_word(struct sync *sync, struct json_value value)
{
    if (value.type != JSON_STRING) return span_of("", 0);
    struct span inside = json_inside(value);
    char *room = arena_take(&sync->arena, inside.bytes + 1);
    size_t bytes = room == NULL ? SIZE_MAX : json_decode(inside, room, inside.bytes + 1);
    if (bytes == SIZE_MAX) {
        if (store_is_open(sync->store)) store_fail(sync->store, ERR_MEMORY);
        return span_of("", 0);
    }
    return span_of(room, bytes);
}

/* ---- welcome ---- */

static void hear_limits(struct sync *sync, struct json_value limits)
{
    uint64_t inflight = sync_number(limits, "inflight"), frame = sync_number(limits, "frame");
    sync->inflight_max = inflight > 0 && inflight < SYNC_INFLIGHT ? (unsigned)inflight : SYNC_INFLIGHT;
    sync->frame_max = frame > 0 ? (size_t)frame : LIMIT_FRAME_BYTES_MAX;
}

/* Another log: its order began anew, and nothing of the old one is worth anything in it. */
static void take_log(struct sync *sync, struct span log)
{
    struct store_self *self = store_self(sync->store);
    if (log.bytes == 0 || log.bytes > LOG_NAME_BYTES_MAX || span_is(log, self->log)) return;
    int64_t *ids;
    size_t count = self->log[0] == '\0' ? 0 : store_spaces_all(sync->store, &sync->arena, &ids);
    snprintf(self->log, sizeof self->log, "%.*s", (int)log.bytes, log.at);
    for (size_t i = 0; i < count; i++) {
        struct store_space space = store_space_get(sync->store, ids[i]);
        sync_settle_reset(sync, &space, true);
        store_space_put(sync->store, &space);
        sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_RESET, .space = span_text(space.name)});
    }
}

static void hear_welcome(struct sync *sync, struct json_value frame)
{
    struct store_self *self = store_self(sync->store);
    int64_t *ids;
    if (sync->state != SYNC_GREETING) return;
    struct span user = sync_word(sync, json_find(frame, "user"));
    uint64_t time_ms = sync_number(frame, "time"), heartbeat = sync_number(frame, "heartbeat");
    if (time_ms > 0) {
        self->clock = *sync->now;
        self->clock.server_ms = (int64_t)time_ms;
        sync->moment.server_ms = (int64_t)time_ms;
    }
    if (heartbeat >= 100) sync->heartbeat_ms = (int64_t)heartbeat;
    hear_limits(sync, json_find(frame, "limits"));
    if (user.bytes <= LIMIT_USER_BYTES_MAX) snprintf(self->user, sizeof self->user, "%.*s", (int)user.bytes, user.at);
    take_log(sync, sync_word(sync, json_find(frame, "log")));
    size_t count = store_spaces_pushing(sync->store, &sync->arena, &ids);
    for (size_t i = 0; i < count; i++) {
        struct store_space space = store_space_get(sync->store, ids[i]);
        sync_settle_old(sync, &space);
        store_space_put(sync->store, &space);
    }
    sync->attempts = 0;
    sync->why[0] = '\0';
    sync->token_asked = false;
    sync_move(sync, SYNC_LIVE);
}

/* ---- others ---- */

static void hear_closed(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value frame)
{
    struct span code = sync_word(sync, json_find(frame, "code"));
    bool purge = json_find(frame, "purge").type == JSON_TRUE, has_ref = json_find(frame, "ref").type != JSON_NONE;
    uint32_t ref = here->wanted ? here->ref : here->left; /* access that was taken away as it closed the space is gone all the same */
    if (has_ref && !sync->in_http && sync_number(frame, "ref") != ref) return; /* of an open that was replaced */
    here->is_closed = true;
    here->answered = here->in_run = false;
    here->ref = 0;
    here->resend_ms = 0;
    here->sent_upto = 0; /* what was unanswered is asked for again: its outcome went with the subscription */
    here->inflight = 0;
    snprintf(space->closed, sizeof space->closed, "%.*s", (int)code.bytes, code.at);
    if (purge) store_space_purge(sync->store, space, sync->now->wall_ms);
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_CLOSED, .space = span_text(space->name), .code = code, .purged = purge});
}

static void hear_bye(struct sync *sync, struct json_value frame)
{
    uint64_t retry = sync_number(frame, "retry");
    sync_give_up(sync, "the gateway is going", (int64_t)(retry + sync_random(sync, retry / 2 + 1)));
}

/* Documents of the past: stored where they are no older than what was seen. */
static void hear_history(struct sync *sync, struct store_space *space, struct json_value frame)
{
    uint64_t at = sync_number(frame, "at");
    if (at < space->seen_rev) return;
    sync_take_docs(sync, space, json_find(frame, "docs"), 0, true);
}

/* Those of frames that name a space that the device knows. */
static void hear_space(struct sync *sync, struct json_value type, struct json_value frame)
{
    struct span name = sync_word(sync, json_find(frame, "space"));
    if (name.bytes == 0 || !sync_begin(sync, false)) return;
    struct store_space space = store_space_find(sync->store, name);
    struct sync_space *here = space.id == 0 ? NULL : sync_space_of(sync, space.id);
    if (here == NULL) return;
    if (json_string_is(type, "page")) {
        if (json_find(frame, "at").type != JSON_NONE) hear_history(sync, &space, frame);
        else sync_hear_page(sync, &space, here, frame);
    } else if (json_string_is(type, "update")) {
        sync_hear_update(sync, &space, here, frame);
    } else if (json_string_is(type, "result")) {
        sync_hear_result(sync, &space, here, frame);
    } else if (json_string_is(type, "closed")) {
        hear_closed(sync, &space, here, frame);
    } else {
        sync_hear_error(sync, &space, here, frame);
    }
    store_space_put(sync->store, &space);
}

static void hear_currents(struct sync *sync, struct json_value frame)
{
    struct json_iter iter = json_elements(json_find(frame, "spaces"));
    struct json_value entry;
    uint64_t ref = sync_number(frame, "ref");
    while (json_next_element(&iter, &entry)) {
        struct span name = sync_word(sync, json_find(entry, "space"));
        if (!sync_begin(sync, false)) return;
        struct store_space space = store_space_find(sync->store, name);
        struct sync_space *here = space.id == 0 ? NULL : sync_space_of(sync, space.id);
        if (here == NULL || (!sync->in_http && (here->ref != ref || !here->wanted))) continue;
        sync_hear_current(sync, &space, here, entry);
        store_space_put(sync->store, &space);
    }
}

/* An error that names no space: of the connection, or of an open as a whole. */
static void hear_general_error(struct sync *sync, struct json_value frame)
{
    struct span code = sync_word(sync, json_find(frame, "code")), message = sync_word(sync, json_find(frame, "message"));
    uint64_t ref = sync_number(frame, "ref"), retry = sync_number(frame, "retry");
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_ERROR, .code = code, .frame = message});
    if (span_is(code, "unauthenticated")) {
        snprintf(sync->why, sizeof sync->why, "unauthenticated");
        sync_want_token(sync);
        return;
    }
    for (size_t i = 0; i < sync->spaces_count; i++) {
        struct sync_space *here = &sync->spaces[i];
        if (ref == 0 || here->ref != ref || here->answered) continue;
        here->reopen_ms = sync->now->boot_ms + (retry > 0 ? (int64_t)retry : 5000);
    }
}

void sync_hear(struct sync *sync, struct json_value frame)
{
    struct json_value type = json_find(frame, "type");
    bool general = json_find(frame, "space").type != JSON_STRING;
    if (json_string_is(type, "welcome")) {
        if (sync_begin(sync, false)) hear_welcome(sync, frame);
    } else if (json_string_is(type, "bye")) {
        hear_bye(sync, frame);
    } else if (json_string_is(type, "error") && general) {
        hear_general_error(sync, frame);
    } else if (sync->state != SYNC_LIVE && !sync->in_http) {
        return; /* nothing else is told before the welcome */
    } else if (json_string_is(type, "current")) {
        hear_currents(sync, frame);
    } else if (json_string_is(type, "page") || json_string_is(type, "update") || json_string_is(type, "result") || json_string_is(type, "closed") ||
               json_string_is(type, "error")) {
        hear_space(sync, type, frame);
    } else if (json_string_is(type, "presence") || json_string_is(type, "signal")) {
        struct span name = sync_word(sync, json_find(frame, "space"));
        bool presence = json_string_is(type, "presence");
        sync_note(sync, (struct sync_event){.kind = presence ? SYNC_EVENT_PRESENCE : SYNC_EVENT_SIGNAL, .space = name, .frame = frame.raw});
    }
}

void sync_receive(struct sync *sync, struct span message, const struct store_moment *now)
{
    const char *at = message.at, *end = message.at + message.bytes;
    sync_enter(sync, now);
    sync_heard(sync, now);
    arena_reset(&sync->arena);
    if (sync->state != SYNC_GREETING && sync->state != SYNC_LIVE) return;
    while (at < end && sync->state != SYNC_CLOSING) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        struct span text = span_of(at, (size_t)((line == NULL ? end : line) - at));
        struct json_value frame;
        at = line == NULL ? end : line + 1;
        if (text.bytes == 0) continue;
        if (!json_check(text, &frame, NULL) || frame.type != JSON_OBJECT) {
            sync_give_up(sync, "what the gateway said is no frame", -1);
            break;
        }
        sync_hear(sync, frame);
    }
    bool good = sync_commit(sync);
    if (good && sync->state == SYNC_LIVE) {
        sync_fork_step(sync);
        sync_open_due(sync);
        sync_pump(sync);
    }
    sync_tell(sync);
}
