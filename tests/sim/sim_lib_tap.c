/* What a device on the client library says and hears, told to the history. */
#include <assert.h>
#include <stdio.h>

#include "core/hash.h"
#include "tests/sim/sim_frame.h"
#include "tests/sim/sim_lib.h"

static struct span space_name(const struct sim_lib *lib, size_t space) { return span_text(lib->device->sim->spaces[space]); }

/* The next line of a message as a frame; false: there is none. */
static bool next_frame(struct span *message, struct json_value *ret_frame)
{
    if (message->bytes == 0) return false;
    const char *end = memchr(message->at, '\n', message->bytes);
    size_t bytes = end == NULL ? message->bytes : (size_t)(end - message->at);
    bool strict = json_check(span_of(message->at, bytes), ret_frame, NULL);
    assert(strict);
    *message = span_of(message->at + bytes + (end != NULL), message->bytes - bytes - (end != NULL));
    return true;
}

/* ---- said ---- */

static void said_open(struct sim_lib *lib, struct json_value frame)
{
    struct json_iter iter = json_elements(json_find(frame, "spaces"));
    struct json_value entry;
    while (json_next_element(&iter, &entry)) {
        struct checker_event event = {.kind = CHECKER_OPEN, .who = span_text(lib->device->name), .space = sim_frame_word(entry, "space"),
                                      .ref = sim_frame_word(frame, "ref"), .from = sim_frame_word(entry, "since"), .known = sim_frame_number(entry, "known")};
        sim_judge_event(lib->device->sim, &event);
    }
}

void sim_lib_tap_said(struct sim_lib *lib, struct span message)
{
    struct json_value frame;
    while (next_frame(&message, &frame)) {
        struct json_value type = json_find(frame, "type");
        struct checker_event event = {.who = span_text(lib->device->name), .space = sim_frame_word(frame, "space")};
        if (json_string_is(type, "open")) {
            said_open(lib, frame);
        } else if (json_string_is(type, "close")) {
            event.kind = CHECKER_CLOSE;
            sim_judge_event(lib->device->sim, &event);
        } else if (json_string_is(type, "push")) {
            event.kind = CHECKER_SENT;
            event.id = sim_frame_number(frame, "id");
            event.after = sim_frame_number(frame, "after");
            event.known = sim_frame_number(frame, "known");
            sim_judge_event(lib->device->sim, &event);
        }
    }
}

/* ---- heard ---- */

static void forget(struct sim_lib *lib, uint64_t id);
static void tell_settled(struct sim_lib *lib, size_t space, uint64_t id, const char *code);

struct copy {
    struct sim_lib *lib;
    int64_t space;
};

static uint64_t born_here(void *ctx, const char *key)
{
    const struct copy *copy = ctx;
    const char *slash = strchr(key, '/');
    struct store_doc doc;
    bool found = store_doc_find(copy->lib->tide->store, &copy->lib->arena, copy->space, span_of(key, (size_t)(slash - key)), span_text(slash + 1), &doc);
    return found ? doc.born : 0;
}

/* An update of one's own, where the server left out what came out exactly as it was said. */
static void read_own(struct sim_lib *lib, struct sim_heard *heard)
{
    struct store_push push;
    struct store *store = lib->tide->store;
    struct copy copy = {lib, store_space_find(store, heard->event.space).id};
    bool mine = span_is(heard->event.user, lib->device->user) && span_is(heard->event.device, store_self(store)->device);
    if (mine && store_push_get(store, &lib->arena, heard->event.id, &push)) sim_frame_own_docs(heard, push.ops, born_here, &copy);
}

static void heard_welcome(struct sim_lib *lib, struct json_value frame)
{
    struct sim_device *device = lib->device;
    struct checker_event event = {.kind = CHECKER_HELLO, .who = span_text(device->name), .user = span_text(device->user),
                                  .device = span_text(tide_device(lib->tide)), .log = sim_frame_word(frame, "log")};
    device->welcome = device->knows_ahead = true;
    sim_judge_event(device->sim, &event);
}

/* The empty push that asked how far the log has got under a used id has its answer. */
static void heard_error(struct sim_lib *lib, const struct checker_event *event)
{
    struct store_space space = store_space_find(lib->tide->store, event->space);
    if (event->id == 0 || event->id != space.fork_probe || (!span_is(event->code, "forked") && !span_is(event->code, "gap"))) return;
    tell_settled(lib, sim_space(lib->device->sim, event->space), event->id, "forked");
    forget(lib, event->id);
}

void sim_lib_tap_heard(struct sim_lib *lib, struct span message)
{
    struct json_value frame, entry;
    struct sim_heard heard;
    arena_reset(&lib->arena);
    while (next_frame(&message, &frame)) {
        if (json_string_is(json_find(frame, "type"), "welcome")) {
            heard_welcome(lib, frame);
        } else if (json_string_is(json_find(frame, "type"), "current")) {
            struct json_iter iter = json_elements(json_find(frame, "spaces"));
            while (json_next_element(&iter, &entry)) {
                sim_frame_read_current(frame, entry, &heard);
                sim_frame_record(lib->device, &heard);
            }
        } else if (json_find(frame, "space").type == JSON_STRING && sim_frame_read(frame, &heard)) {
            if (heard.event.kind == CHECKER_UPDATE && json_find(frame, "docs").type != JSON_ARRAY) read_own(lib, &heard);
            sim_frame_record(lib->device, &heard);
            if (heard.event.kind == CHECKER_ERROR) heard_error(lib, &heard.event);
        }
    }
}

/* ---- the outbox ---- */

static struct sim_lib_push *find(struct sim_lib *lib, uint64_t id)
{
    for (size_t i = 0; i < lib->outbox_count; i++)
        if (lib->outbox[i].id == id) return &lib->outbox[i];
    return NULL;
}

static void forget(struct sim_lib *lib, uint64_t id)
{
    struct sim_lib_push *push = find(lib, id);
    if (push == NULL) return;
    size_t at = (size_t)(push - lib->outbox);
    memmove(push, push + 1, (--lib->outbox_count - at) * sizeof *push);
}

static void tell_enqueued(struct sim_lib *lib, const struct sim_lib_push *push)
{
    struct checker_part part = {.counter = span_text(push->counter), .by = push->by};
    struct checker_event event = {.kind = CHECKER_ENQUEUE, .who = span_text(lib->device->name), .user = span_text(lib->device->user),
                                  .device = span_text(tide_device(lib->tide)), .space = space_name(lib, push->space), .id = push->id,
                                  .digest = push->digest, .parts_count = push->counter[0] != '\0', .parts = &part};
    sim_judge_event(lib->device->sim, &event);
}

static void tell_settled(struct sim_lib *lib, size_t space, uint64_t id, const char *code)
{
    struct checker_event event = {.kind = CHECKER_SETTLE, .who = span_text(lib->device->name), .space = space_name(lib, space), .id = id, .code = span_text(code)};
    sim_judge_event(lib->device->sim, &event);
}

/* As the store has it. */
static bool read_push(struct sim_lib *lib, uint64_t id, struct sim_lib_push *ret_push)
{
    struct store *store = lib->tide->store;
    struct store_push push;
    if (!store_push_get(store, &lib->arena, id, &push)) return false;
    struct store_space space = store_space_get(store, push.space);
    *ret_push = (struct sim_lib_push){.id = id, .digest = hash_64(push.ops), .space = sim_space(lib->device->sim, span_text(space.name))};
    return true;
}

static void add(struct sim_lib *lib, struct sim_lib_push push)
{
    assert(lib->outbox_count < SIM_LIB_OUTBOX_MAX);
    tell_enqueued(lib, &push);
    lib->outbox[lib->outbox_count++] = push;
}

void sim_lib_tap_outbox(struct sim_lib *lib, int64_t by, const char *counter)
{
    uint64_t *ids;
    struct sim_lib_push push;
    arena_reset(&lib->arena);
    size_t count = store_push_ids(lib->tide->store, &lib->arena, 0, &ids);
    for (size_t i = 0, at = 0; i < lib->outbox_count;) { /* both are in the order of ids */
        while (at < count && ids[at] < lib->outbox[i].id) at++;
        if (at < count && ids[at] == lib->outbox[i].id) i++;
        else forget(lib, lib->outbox[i].id); /* its outcome is known, and waits for the copy */
    }
    for (size_t i = 0; i < count; i++) {
        if (find(lib, ids[i]) != NULL || !read_push(lib, ids[i], &push)) continue;
        push.by = by;
        snprintf(push.counter, sizeof push.counter, "%s", counter == NULL ? "" : counter);
        add(lib, push);
    }
}

/* Under a new device id: what is left, numbered anew, in its order. */
static void renumber(struct sim_lib *lib)
{
    static struct sim_lib_push before[SIM_LIB_OUTBOX_MAX];
    size_t before_count = lib->outbox_count, at = 0;
    struct sim_lib_push push;
    uint64_t *ids;
    memcpy(before, lib->outbox, before_count * sizeof *before);
    lib->outbox_count = 0;
    arena_reset(&lib->arena);
    size_t count = store_push_ids(lib->tide->store, &lib->arena, 0, &ids);
    for (size_t i = 0; i < count; i++) {
        bool found = read_push(lib, ids[i], &push);
        assert(found);
        while (at < before_count && (before[at].space != push.space || before[at].digest != push.digest)) at++;
        assert(at < before_count); /* nothing is in it that was not before */
        tell_settled(lib, push.space, before[at].id, "renumbered");
        push.by = before[at].by;
        memcpy(push.counter, before[at++].counter, sizeof push.counter);
        add(lib, push);
    }
}

void sim_lib_tap_restored(struct sim_lib *lib, const struct sim_lib *from)
{
    lib->outbox_count = from->aside_count;
    memcpy(lib->outbox, from->aside, from->aside_count * sizeof *from->aside);
    for (size_t i = 0; from != lib && i < lib->outbox_count; i++) tell_enqueued(lib, &lib->outbox[i]);
}

/* ---- events ---- */

/* A refusal that no frame brought. */
static bool is_own_judgement(const struct store_refused *refused)
{
    static const char local[] = "`if` names a rev of before the space was reset";
    return span_is(refused->code, "unknown") || (span_is(refused->code, "precondition") && span_is(refused->message, local));
}

static void tap_refused(struct sim_lib *lib, int64_t id)
{
    struct store_refused refused;
    arena_reset(&lib->arena);
    if (!store_refused_get(lib->tide->store, &lib->arena, id, &refused)) return;
    snprintf(lib->refusal, sizeof lib->refusal, "%.*s", (int)refused.code.bytes, refused.code.at);
    struct store_space space = store_space_get(lib->tide->store, refused.space);
    if (is_own_judgement(&refused)) tell_settled(lib, sim_space(lib->device->sim, span_text(space.name)), refused.push, lib->refusal);
    forget(lib, refused.push);
}

void sim_lib_tap_event(struct sim_lib *lib, const struct tide_event *event)
{
    if (event->kind == TIDE_EVENT_APPLIED) {
        if (strcmp(event->code, "unknown") == 0) tell_settled(lib, sim_space(lib->device->sim, span_text(event->space)), event->id, "unknown"); /* a barrier */
        forget(lib, event->id);
    } else if (event->kind == TIDE_EVENT_REFUSED) {
        tap_refused(lib, (int64_t)event->id);
    } else if (event->kind == TIDE_EVENT_IDENTITY) {
        sim_trace(lib->device->sim, "%-7s goes on as %s", lib->device->name, event->code);
        lib->device->ids++;
        lib->device->restored_ms = 0;
        renumber(lib);
    } else if (event->kind == TIDE_EVENT_ERROR) {
        sim_trace(lib->device->sim, "%-7s is told of an error %s: %s", lib->device->name, event->code, event->frame);
        if (strcmp(event->code, "corrupt") == 0) sim_fail(lib->device->sim, "%s has a copy that differs from the server's", lib->device->name);
    }
}
