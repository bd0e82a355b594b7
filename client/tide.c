/* The handle: opening, closing, what its parts say to each other, events. */
#include "client/tide_parts.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"

enum { DEVICE_BYTES = 22 };

/* ---- codes ---- */

const char *tide_code_text(enum tide_code code)
{
    static const char *const texts[] = {"well", "an argument is not what it must be", "past a limit", "there is none", "out of memory", "the disk refused a read or a write",
        "the disk is full", "the file does not read back as written", "the file is something else", "the file was made by a later version", "another process has it",
        "it took too long", "the server cannot be reached", "the server does not take the token", "the server will not take this", "not in this state",
        "a key is not there, or does not open what it should"};
    return (unsigned)code < sizeof texts / sizeof texts[0] ? texts[code] : "an unknown code";
}

enum tide_code tide_code_of(enum err err)
{
    if (err == ERR_OK) return TIDE_OK;
    if (err == ERR_TOO_LARGE || err == ERR_TOO_MANY) return TIDE_TOO_LARGE;
    if (err == ERR_MEMORY) return TIDE_MEMORY;
    if (err == ERR_IO) return TIDE_IO;
    if (err == ERR_FULL) return TIDE_FULL;
    if (err == ERR_CORRUPT) return TIDE_CORRUPT;
    if (err == ERR_FOREIGN) return TIDE_FOREIGN;
    if (err == ERR_VERSION) return TIDE_NEWER;
    if (err == ERR_BUSY) return TIDE_BUSY;
    if (err == ERR_KEY) return TIDE_KEY;
    return TIDE_INVALID;
}

enum tide_code tide_fail(struct tide *tide, enum tide_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(tide->message, sizeof tide->message, format, args);
    va_end(args);
    return code;
}

/* The sentences of some are a server's. */
enum tide_code tide_fail_err(struct tide *tide, enum err err)
{
    enum tide_code code = tide_code_of(err);
    return tide_fail(tide, code, "%s", code == TIDE_INVALID || code == TIDE_TOO_LARGE ? err_text(err) : tide_code_text(code));
}

const char *tide_message(const struct tide *tide) { return tide->message; }

const char *tide_device(const struct tide *tide) { return store_self(tide->store)->device; }

/* ---- the clocks ---- */

struct store_moment tide_now(struct tide *tide)
{
    struct store_moment now = {.boot_ms = clock_monotonic_ms(), .wall_ms = clock_wall_ms()};
    memcpy(now.boot, tide->boot, sizeof now.boot);
    if (tide->machine.clock != NULL) now = tide->machine.clock(tide->machine.ctx);
    now.server_ms = tide->sync == NULL ? 0 : sync_server_ms(tide->sync, &now);
    return now;
}

void tide_random(void *ctx, void *ret_bytes, size_t bytes)
{
    struct tide *tide = ctx;
    if (tide->machine.random != NULL) tide->machine.random(tide->machine.ctx, ret_bytes, bytes);
    else if (getrandom(ret_bytes, bytes, 0) != (ssize_t)bytes) assert(!"the system has randomness");
}

/* ---- events ---- */

/* Kept until tide_deliver(): nothing calls back out of a write. */
static void note(struct tide *tide, const struct tide_event *event, bool token)
{
    if (tide->told_count >= TIDE_EVENTS_MAX && !token) return;
    size_t space = strlen(event->space) + 1, code = strlen(event->code) + 1, frame = strlen(event->frame) + 1;
    struct tide_told *told = malloc(sizeof *told + space + code + frame);
    if (told == NULL) return;
    told->next = NULL;
    told->token = token;
    told->event = *event;
    told->event.space = memcpy(told->texts, event->space, space);
    told->event.code = memcpy(told->texts + space, event->code, code);
    told->event.frame = memcpy(told->texts + space + code, event->frame, frame);
    *tide->told_end = told;
    tide->told_end = &told->next;
    tide->told_count++;
}

static void hear_event(void *ctx, const struct sync_event *event)
{
    static const enum tide_event_kind kinds[] = {[SYNC_EVENT_STATE] = TIDE_EVENT_STATE, [SYNC_EVENT_TOKEN] = TIDE_EVENT_STATE, [SYNC_EVENT_OUTCOME] = TIDE_EVENT_APPLIED,
        [SYNC_EVENT_REFUSED] = TIDE_EVENT_REFUSED, [SYNC_EVENT_SYNCED] = TIDE_EVENT_SYNCED, [SYNC_EVENT_RESET] = TIDE_EVENT_RESET, [SYNC_EVENT_CLOSED] = TIDE_EVENT_CLOSED,
        [SYNC_EVENT_IDENTITY] = TIDE_EVENT_IDENTITY, [SYNC_EVENT_PRESENCE] = TIDE_EVENT_PRESENCE, [SYNC_EVENT_SIGNAL] = TIDE_EVENT_SIGNAL,
        [SYNC_EVENT_ERROR] = TIDE_EVENT_ERROR};
    struct tide *tide = ctx;
    bool token = event->kind == SYNC_EVENT_TOKEN;
    /* The heart's copies have a NUL behind. */
    struct tide_event told = {.kind = kinds[event->kind], .space = event->space.at, .code = event->code.at, .frame = event->frame.at, .id = event->id, .purged = event->purged};
    if (token) tide->token_given = false;
    if (event->kind == SYNC_EVENT_REFUSED) tide->look_for_conflicts = true;
    if (token ? tide->options.on_token != NULL : tide->options.on_event != NULL) note(tide, &told, token);
}

static void tell(struct tide *tide)
{
    struct tide_told *told;
    while ((told = tide->told) != NULL) {
        tide->told = told->next;
        if (tide->told == NULL) tide->told_end = &tide->told;
        tide->told_count--;
        if (told->token) tide->options.on_token(tide->options.ctx, tide);
        else tide->options.on_event(tide->options.ctx, tide, &told->event);
        free(told);
    }
}

void tide_deliver(struct tide *tide)
{
    if (tide->in_callback) return;
    tide->in_callback = true;
    if (tide->look_for_conflicts || tide_now(tide).boot_ms >= tide->look_again_ms) tide_refused_resolve(tide);
    tide_observe_deliver(tide);
    tell(tide);
    tide->in_callback = false;
}

/* ---- the wire ---- */

static void wire_connected(void *ctx)
{
    struct tide *tide = ctx;
    struct store_moment now = tide_now(tide);
    if (sync_wants_connection(tide->sync)) sync_connected(tide->sync, &now);
    else transport_disconnect(tide->transport);
    tide_step(tide);
}

static void wire_closed(void *ctx, unsigned code, const char *why)
{
    struct tide *tide = ctx;
    struct store_moment now = tide_now(tide);
    sync_disconnected(tide->sync, code, why, &now);
    tide_step(tide);
}

static void wire_message(void *ctx, struct span message)
{
    struct tide *tide = ctx;
    struct store_moment now = tide_now(tide);
    sync_receive(tide->sync, message, &now);
    tide_deliver(tide);
    tide_step(tide);
}

static void wire_heard(void *ctx)
{
    struct tide *tide = ctx;
    struct store_moment now = tide_now(tide);
    sync_heard(tide->sync, &now);
}

static struct span wire_output(void *ctx) { return sync_output(((struct tide *)ctx)->sync); }
static void wire_taken(void *ctx, size_t bytes) { sync_output_taken(((struct tide *)ctx)->sync, bytes); }
static void wire_due(void *ctx) { tide_poll(ctx); }
static void wire_stirred(void *ctx) { tide_poll(ctx); }

static void wire_network(void *ctx)
{
    tide_network_stirred(ctx);
    tide_step(ctx);
}

static void wire_answered(void *ctx, unsigned status, int64_t retry_ms, struct span body, const char *why)
{
    struct tide *tide = ctx;
    tide->posting = false;
    tide->post_status = status;
    tide->post_retry_ms = retry_ms;
    buf_reset(&tide->post_body);
    buf_add_span(&tide->post_body, body);
    if (status == 0) snprintf(tide->why, sizeof tide->why, "%s", why);
}

enum tide_code tide_need_transport(struct tide *tide, void *uv_loop)
{
    struct transport_host host = {tide, wire_connected, wire_closed, wire_message, wire_heard, wire_output, wire_taken, wire_due, wire_stirred, wire_network, wire_answered};
    struct transport_options options = {tide->url, tide->ca_file, tide->pinned_key, uv_loop, tide->machine.addresses != NULL ? tide->machine.addresses : tide->addresses.at};
    char path[4096];
    if (tide->transport != NULL) return TIDE_OK;
    char why[TIDE_MESSAGE_BYTES] = "";
    enum err err = transport_open(&options, &host, &tide->transport, why, sizeof why);
    if (err != ERR_OK) return tide_fail(tide, tide_code_of(err), "%s", why);
    snprintf(path, sizeof path, "%s-wal", store_path(tide->store));
    transport_watch(tide->transport, path);
    tide_network_watch(tide);
    return TIDE_OK;
}

void tide_step(struct tide *tide)
{
    if (tide->transport == NULL || tide->in_step) return;
    tide->in_step = true;
    if (transport_has_url(tide->transport)) {
        if (sync_wants_close(tide->sync) || sync_wants_none(tide->sync)) transport_disconnect(tide->transport);
        if (sync_wants_connection(tide->sync)) transport_connect(tide->transport);
        if (sync_output(tide->sync).at != NULL) transport_write(tide->transport);
    }
    transport_wake_in(tide->transport, tide_io_deadline(tide));
    tide->in_step = false;
}

/* ---- moving along ---- */

static bool anything_to_tell(const struct tide *tide)
{
    if (tide->told != NULL || tide->look_for_conflicts || tide->fresh_observers) return true;
    return tide->observers != NULL && store_self(tide->store)->seq > tide->delivered;
}

int64_t tide_io_deadline(const struct tide *tide)
{
    int64_t due = sync_deadline(tide->sync), now = tide->machine.clock != NULL ? tide->machine.clock(tide->machine.ctx).boot_ms : clock_monotonic_ms();
    if (anything_to_tell(tide)) return 0;
    if (tide->look_again_ms < due) due = tide->look_again_ms;
    if (tide->network_look_ms < due) due = tide->network_look_ms;
    if (due == SYNC_NEVER) return -1;
    return due <= now ? 0 : due - now;
}

void tide_poll(struct tide *tide)
{
    struct store_moment now = tide_now(tide);
    uint64_t version = store_version(tide->store);
    if (version != tide->version) { /* another handle wrote */
        tide->version = version;
        store_refresh(tide->store);
        sync_look(tide->sync, &now);
    }
    if (now.boot_ms >= tide->network_look_ms) tide_network_look(tide);
    sync_tick(tide->sync, &now);
    tide_deliver(tide);
    tide_step(tide);
}


int64_t tide_end_ms(int64_t within_ms)
{
    int64_t now = clock_monotonic_ms();
    return within_ms < SYNC_NEVER - now ? now + within_ms : SYNC_NEVER;
}

bool tide_run(struct tide *tide, int64_t timeout_ms, bool (*until)(void *ctx), void *ctx)
{
    int64_t end = timeout_ms < 0 ? SYNC_NEVER : tide_end_ms(timeout_ms);
    if (tide_need_transport(tide, NULL) != TIDE_OK || transport_is_foreign(tide->transport)) return false; /* that loop is the app's to run */
    for (bool turned = false;; turned = true) { /* one turn at least, whatever the time-out */
        tide_poll(tide);
        if (until != NULL && until(ctx)) return true;
        int64_t now = clock_monotonic_ms(), due = tide_io_deadline(tide);
        if (now >= end && turned) return false;
        if (end != SYNC_NEVER && (due < 0 || due > end - now)) due = end > now ? end - now : 0;
        transport_wake_in(tide->transport, due);
        transport_turn(tide->transport);
    }
}

enum tide_code tide_attach_uv(struct tide *tide, void *uv_loop)
{
    if (tide->transport != NULL || uv_loop == NULL) return tide_fail(tide, TIDE_MISUSE, "a loop is in use already");
    enum tide_code code = tide_need_transport(tide, uv_loop);
    if (code == TIDE_OK) tide_step(tide);
    return code;
}

/* ---- opening and closing ---- */

static char *copy(const char *text, bool *failed)
{
    char *made = text == NULL ? NULL : strdup(text);
    if (text != NULL && made == NULL) *failed = true;
    return made;
}

/* One text for all, with the list in front. */
static bool copy_addresses(struct tide *tide, const char *const *given)
{
    size_t count = 0, bytes = 0;
    if (given == NULL) return true;
    for (; given[count] != NULL; count++) bytes += strlen(given[count]) + 1;
    const char **list = malloc((count + 1) * sizeof *list + bytes);
    if (list == NULL) return false;
    char *text = (char *)(list + count + 1);
    for (size_t i = 0; i < count; i++) {
        list[i] = memcpy(text, given[i], strlen(given[i]) + 1);
        text += strlen(given[i]) + 1;
    }
    list[count] = NULL;
    tide->addresses.owned = list;
    return true;
}

static void make_device(struct tide *tide, char ret_id[DEVICE_BYTES + 1])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[DEVICE_BYTES];
    tide_random(tide, bytes, sizeof bytes);
    for (size_t i = 0; i < DEVICE_BYTES; i++) ret_id[i] = letters[bytes[i] & 63];
    ret_id[DEVICE_BYTES] = '\0';
}

static enum err set_up(struct tide *tide, const struct tide_options *options, char *ret_why, size_t why_bytes)
{
    struct sync_host host = {tide, hear_event, tide_random};
    struct sync_options heart = {options->retry_base_ms, options->retry_most_ms, tide->machine.connect_ms, options->background, options->presence, "libtidegate/" TIDE_VERSION};
    char device[DEVICE_BYTES + 1];
    bool failed = false;
    tide->options = *options;
    tide->options.store_key = tide->options.store_new_key = NULL; /* the caller's, for this call */
    tide->url = copy(options->url, &failed);
    tide->ca_file = copy(options->ca_file, &failed);
    tide->pinned_key = copy(options->pinned_key, &failed);
    tide->system_root = copy(options->system_root, &failed);
    if (!copy_addresses(tide, options->addresses)) failed = true;
    tide->told_end = &tide->told;
    arena_init(&tide->arena, TIDE_ARENA_BYTES_MAX);
    buf_init(&tide->post_body, TRANSPORT_MESSAGE_BYTES_MAX);
    clock_boot_id(tide->boot);
    make_device(tide, device);
    enum err err = failed ? ERR_MEMORY : view_init(&tide->view, options->namespaces, options->namespaces_count, ret_why, why_bytes);
    tide_seal_set_up(tide);
    if (err == ERR_OK && !transport_takes(tide->addresses.at, ret_why, why_bytes)) err = ERR_INVALID;
    if (err == ERR_OK && !seal_init()) err = ERR_INTERNAL;
    if (err == ERR_OK) err = store_open_file(options->path, &(struct store_keys){options->store_key, options->store_new_key}, device, &tide->store, ret_why, why_bytes);
    if (err == ERR_OK && (tide->sync = sync_make(tide->store, &tide->view, &host, &heart)) == NULL) err = ERR_MEMORY;
    return err;
}

enum tide_code tide_open_on(const struct tide_options *options, const struct tide_machine *machine, struct tide **ret_tide, char *ret_why, size_t why_bytes)
{
    char room[TIDE_MESSAGE_BYTES];
    if (ret_why == NULL || why_bytes == 0) {
        ret_why = room;
        why_bytes = sizeof room;
    }
    if (options->path == NULL) {
        snprintf(ret_why, why_bytes, "path is needed");
        return TIDE_INVALID;
    }
    struct tide *tide = calloc(1, sizeof *tide);
    snprintf(ret_why, why_bytes, "out of memory");
    if (tide == NULL) return TIDE_MEMORY;
    tide->machine = *machine;
    tide->look_again_ms = tide->network_look_ms = SYNC_NEVER;
    enum err err = set_up(tide, options, ret_why, why_bytes);
    if (err == ERR_OK && options->token != NULL && tide_set_token(tide, options->token) != TIDE_OK) {
        snprintf(ret_why, why_bytes, "%s", tide_message(tide));
        err = ERR_INVALID;
    }
    if (err != ERR_OK) {
        tide_close(tide);
        return tide_code_of(err);
    }
    tide->look_for_conflicts = true;
    tide_open_closed(tide, false); /* where another process has the store just now, a later one does */
    ret_why[0] = '\0';
    *ret_tide = tide;
    return TIDE_OK;
}

enum tide_code tide_open(const struct tide_options *options, struct tide **ret_tide, char *ret_why, size_t why_bytes)
{
    return tide_open_on(options, &(struct tide_machine){.ctx = NULL}, ret_tide, ret_why, why_bytes);
}

void tide_close(struct tide *tide)
{
    if (tide == NULL) return;
    assert(!tide->in_callback);
    if (tide->started) tide_stop(tide);
    if (tide->ended.is_owed) tide_work_note_last(tide);
    transport_free(tide->transport);
    tide_observe_fini(tide);
    sync_free(tide->sync);
    store_close_file(tide->store);
    view_fini(&tide->view);
    while (tide->told != NULL) {
        struct tide_told *told = tide->told;
        tide->told = told->next;
        free(told);
    }
    buf_fini(&tide->post_body);
    arena_fini(&tide->arena);
    free(tide->url);
    free(tide->ca_file);
    free(tide->pinned_key);
    free(tide->system_root);
    free(tide->addresses.owned);
    free(tide->chosen.merged);
    free(tide);
}
