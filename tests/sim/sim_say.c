/* What a device says: opens, closes, pushes and when it sends them again; and what it makes of a welcome. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "tests/checker/checker.h"
#include "tests/sim/sim_lib.h"

enum { FRAME_BYTES_MAX = 1 << 20, WINDOW_S_UNTOLD = 7776000 };

static int64_t wall_ms(const struct sim_device *device) { return sim_now_ms(device->sim) + device->wall_ms; }

/* The server's time as the device can know it: what `welcome` said, and its boot clock since. */
static int64_t server_ms(const struct sim_device *device)
{
    return device->welcome_ms + sim_device_clock_ms(device) - device->welcome_at_ms;
}

static struct span space_name(const struct sim_device *device, size_t space) { return span_text(device->sim->spaces[space]); }

static void say(struct sim_device *device, const struct buf *text)
{
    assert(buf_ok(text));
    sim_edge_say(device->conn, buf_span(text));
}

/* ---- opening ---- */

static void send_open(struct sim_device *device, size_t space)
{
    struct sim_copy *copy = &device->store.copies[space];
    struct buf text;
    copy->live = false;
    copy->reopen_ms = 0;
    copy->ref = ++device->next_ref;
    buf_init(&text, FRAME_BYTES_MAX);
    buf_add_text(&text, "{\"type\":\"open\",\"ref\":");
    buf_add_u64(&text, copy->ref);
    buf_add_text(&text, ",\"spaces\":[{\"space\":\"");
    buf_add_text(&text, device->sim->spaces[space]);
    buf_add_text(&text, "\",\"since\":");
    if (copy->cursor[0] == '\0') buf_add_text(&text, "null");
    else buf_add_json_string(&text, span_text(copy->cursor));
    buf_add_text(&text, ",\"known\":");
    buf_add_u64(&text, copy->known);
    if (copy->has_tail) buf_add_text(&text, ",\"tail\":");
    if (copy->has_tail) buf_add_u64(&text, copy->tail);
    buf_add_text(&text, copy->once ? "}],\"mode\":\"once\"}" : "}]}");
    say(device, &text);
    buf_fini(&text);
    char ref[24];
    snprintf(ref, sizeof ref, "%u", copy->ref);
    struct checker_event event = {.kind = CHECKER_OPEN, .who = span_text(device->name), .space = space_name(device, space), .ref = span_text(ref),
                                  .from = span_text(copy->cursor), .known = copy->known, .once = copy->once};
    sim_judge_event(device->sim, &event);
}

void sim_device_reopen(struct sim_device *device, size_t space)
{
    if (device->welcome) send_open(device, space);
}

void sim_device_open(struct sim_device *device, size_t space)
{
    const struct sim_copy *copy = &device->store.copies[space];
    if (device->lib != NULL) {
        sim_lib_subscribe(device, space, copy->has_tail ? (int64_t)copy->tail : -1);
        return;
    }
    device->store.copies[space].wanted = true;
    sim_device_reopen(device, space);
    sim_device_arm(device);
}

void sim_device_close(struct sim_device *device, size_t space)
{
    struct sim_copy *copy = &device->store.copies[space];
    struct buf text;
    if (device->lib != NULL) {
        sim_lib_unsubscribe(device, space);
        return;
    }
    copy->wanted = copy->live = false;
    copy->reopen_ms = 0;
    if (!device->welcome) return;
    buf_init(&text, FRAME_BYTES_MAX);
    buf_add_text(&text, "{\"type\":\"close\",\"space\":\"");
    buf_add_text(&text, device->sim->spaces[space]);
    buf_add_text(&text, "\"}");
    say(device, &text);
    buf_fini(&text);
    sim_device_record(device, CHECKER_CLOSE, space, 0);
    /* An outcome may have come as a frame that is not heeded any more: it is asked for by sending again. */
    if (copy->pushes_count > 0) copy->resend_ms = sim_now_ms(device->sim) + 1000;
    sim_device_arm(device);
}

void sim_device_history(struct sim_device *device, size_t space, const char *collection, uint64_t before, unsigned limit)
{
    struct buf text;
    if (device->lib != NULL) {
        sim_lib_history(device, space, collection, before, limit);
        return;
    }
    if (!device->welcome) return;
    buf_init(&text, FRAME_BYTES_MAX);
    buf_add_text(&text, "{\"type\":\"history\",\"ref\":\"h\",\"space\":\"");
    buf_add_text(&text, device->sim->spaces[space]);
    buf_add_text(&text, "\",\"collection\":\"");
    buf_add_text(&text, collection);
    buf_add_text(&text, "\",\"limit\":");
    buf_add_u64(&text, limit);
    if (before > 0) buf_add_text(&text, ",\"before\":");
    if (before > 0) buf_add_u64(&text, before);
    buf_add_char(&text, '}');
    say(device, &text);
    buf_fini(&text);
}

/* ---- pushing ---- */

/* Within a boot by the clock that does not jump; across one by the wall clock as it stood to the server's. */
static void add_age(struct buf *text, const struct sim_device *device, const struct sim_push *push)
{
    int64_t age_ms = push->edited_boot == device->boot ? sim_device_clock_ms(device) - push->edited_ms
                                                       : server_ms(device) - push->edited_wall_ms - push->edited_ahead_ms;
    if (push->edited_boot != device->boot && !push->edited_knows) buf_add_text(text, "null");
    else buf_add_i64(text, age_ms < 0 ? 0 : age_ms);
}

/* `~A~` becomes the age, `~B7~` the base 7, or 0 for what was made before a reset. */
static void add_ops(struct buf *text, const struct sim_device *device, const struct sim_push *push)
{
    const char *at = push->ops->text, *end = at + push->ops->bytes;
    while (at < end) {
        const char *mark = memchr(at, '~', (size_t)(end - at));
        buf_add(text, at, (size_t)((mark == NULL ? end : mark) - at));
        if (mark == NULL) return;
        const char *close = memchr(mark + 1, '~', (size_t)(end - mark - 1));
        if (mark[1] == 'A') add_age(text, device, push);
        else if (push->before_reset) buf_add_char(text, '0');
        else buf_add(text, mark + 2, (size_t)(close - mark - 2));
        at = close + 1;
    }
}

static void add_push(struct buf *text, const struct sim_device *device, size_t space, const struct sim_push *push)
{
    buf_add_text(text, "{\"type\":\"push\",\"id\":");
    buf_add_u64(text, push->id);
    buf_add_text(text, ",\"after\":");
    buf_add_u64(text, push->after);
    buf_add_text(text, ",\"space\":\"");
    buf_add_text(text, device->sim->spaces[space]);
    buf_add_text(text, "\",\"known\":");
    buf_add_u64(text, device->store.copies[space].known);
    buf_add_text(text, ",\"ops\":");
    add_ops(text, device, push);
    buf_add_char(text, '}');
}

static void note_sent(struct sim_device *device, size_t space, struct sim_push *push, uint32_t conn)
{
    struct sim_copy *copy = &device->store.copies[space];
    if (push->first_sent_ms == 0) {
        push->first_sent_ms = server_ms(device);
        push->unsure = device->restored_ms != 0 && (!copy->live || copy->in_run);
    }
    if (push->id > copy->sent_id) copy->sent_id = push->id;
    if (push->id > copy->sent_here) copy->sent_here = push->id;
    struct checker_event event = {.kind = CHECKER_SENT, .who = span_text(device->name), .conn = conn, .space = space_name(device, space), .id = push->id,
                                  .after = push->after, .known = copy->known};
    sim_judge_event(device->sim, &event);
}

static void send_push(struct sim_device *device, size_t space, struct sim_push *push)
{
    struct buf text;
    buf_init(&text, FRAME_BYTES_MAX);
    add_push(&text, device, space, push);
    say(device, &text);
    buf_fini(&text);
    note_sent(device, space, push, 0);
}

void sim_device_say_sync(struct sim_device *device, size_t space, struct buf *text)
{
    struct sim_copy *copy = &device->store.copies[space];
    bool first = true;
    struct checker_event event = {.kind = CHECKER_HELLO, .who = span_text(device->name), .conn = SIM_CONN_HTTP, .user = span_text(device->user),
                                  .device = span_text(device->store.id), .log = span_text(device->store.log)};
    sim_judge_event(device->sim, &event);
    buf_add_text(text, "{\"device\":\"");
    buf_add_text(text, device->store.id);
    buf_add_text(text, "\",\"log\":\"");
    buf_add_text(text, device->store.log);
    buf_add_text(text, "\",\"pushes\":[");
    for (size_t i = 0; i < copy->pushes_count; i++) {
        if (copy->pushes[i].settled) continue;
        if (!first) buf_add_char(text, ',');
        first = false;
        add_push(text, device, space, &copy->pushes[i]);
        note_sent(device, space, &copy->pushes[i], SIM_CONN_HTTP);
    }
    buf_add_text(text, "],\"opens\":[{\"space\":\"");
    buf_add_text(text, device->sim->spaces[space]);
    buf_add_text(text, "\",\"since\":");
    buf_add_json_string(text, span_text(copy->cursor));
    buf_add_text(text, ",\"known\":");
    buf_add_u64(text, copy->known);
    buf_add_text(text, "}]}");
    event = (struct checker_event){.kind = CHECKER_OPEN, .who = span_text(device->name), .conn = SIM_CONN_HTTP, .space = space_name(device, space),
                                   .ref = SPAN_LITERAL("0"), .from = span_text(copy->cursor), .known = copy->known, .once = true};
    sim_judge_event(device->sim, &event);
}

/* Under an id that others went by too, nothing is sent for the first time (sim_fork.c). */
static bool may_send(const struct sim_device *device, const struct sim_push *push) { return device->forked_space < 0 || push->first_sent_ms != 0; }

void sim_device_resend(struct sim_device *device, size_t space, uint64_t past)
{
    struct sim_copy *copy = &device->store.copies[space];
    bool older = false; /* one that is in the log already, and was told to come again: its time stands */
    for (size_t i = 0; i < copy->pushes_count; i++) older = older || (!copy->pushes[i].settled && copy->pushes[i].id <= past);
    if (!older) copy->resend_ms = 0;
    if (!device->welcome) return;
    for (size_t i = 0; i < copy->pushes_count; i++)
        if (!copy->pushes[i].settled && copy->pushes[i].id > past && may_send(device, &copy->pushes[i])) send_push(device, space, &copy->pushes[i]);
}

void sim_device_enqueued(struct sim_device *device, size_t space, const struct sim_push *push)
{
    struct checker_part part = {.counter = span_text(push->counter), .by = push->by};
    struct checker_event event = {.kind = CHECKER_ENQUEUE, .who = span_text(device->name), .user = span_text(device->user),
                                  .device = span_text(device->store.id), .space = space_name(device, space), .id = push->id,
                                  .digest = hash_64(blob_span(push->ops)), .parts_count = push->counter[0] != '\0', .parts = &part};
    sim_judge_event(device->sim, &event);
}

void sim_device_push(struct sim_device *device, size_t space, struct span ops, bool has_if, int64_t by, const char *counter)
{
    struct sim_copy *copy = &device->store.copies[space];
    if (copy->pushes_count == copy->pushes_room) {
        copy->pushes_room = copy->pushes_room == 0 ? 8 : copy->pushes_room * 2;
        copy->pushes = realloc(copy->pushes, copy->pushes_room * sizeof *copy->pushes);
        assert(copy->pushes != NULL);
    }
    struct sim_push *push = &copy->pushes[copy->pushes_count++];
    *push = (struct sim_push){.id = device->store.next_id++, .after = copy->last_id, .has_if = has_if,
                              .edited_boot = device->boot, .edited_ms = sim_device_clock_ms(device),
                              .edited_wall_ms = wall_ms(device), .edited_knows = device->knows_ahead, .edited_ahead_ms = -device->wall_ms,
                              .ops = blob_make(ops)};
    assert(push->ops != NULL);
    push->by = by;
    snprintf(push->counter, sizeof push->counter, "%s", counter == NULL ? "" : counter);
    copy->last_id = push->id;
    sim_device_enqueued(device, space, push);
    if (device->welcome && copy->resend_ms == 0 && device->forked_space < 0) send_push(device, space, push);
}

/* ---- welcome ---- */

void sim_device_refuse(struct sim_device *device, size_t space, struct sim_push *push, const char *code)
{
    struct sim_copy *copy = &device->store.copies[space];
    push->settled = true;
    copy->refused++;
    snprintf(copy->refusal, sizeof copy->refusal, "%s", code);
    struct checker_event event = {.kind = CHECKER_SETTLE, .who = span_text(device->name), .space = space_name(device, space), .id = push->id,
                                  .code = span_text(code)};
    sim_judge_event(device->sim, &event);
}

/* Sent so long ago, or to another log, that nobody can know any more what became of it. */
static void give_up_old(struct sim_device *device, size_t space, bool other_log)
{
    struct sim_copy *copy = &device->store.copies[space];
    int64_t window_ms = copy->window_ms > 0 ? copy->window_ms : WINDOW_S_UNTOLD * INT64_C(1000);
    for (size_t i = 0; i < copy->pushes_count; i++) {
        struct sim_push *push = &copy->pushes[i];
        if (push->settled || push->first_sent_ms == 0) continue;
        if (other_log || server_ms(device) - push->first_sent_ms >= 2 * window_ms) sim_device_refuse(device, space, push, "unknown");
    }
    for (size_t i = 0; other_log && i < copy->pushes_count; i++) {
        struct sim_push *push = &copy->pushes[i];
        push->before_reset = true;
        if (!push->settled && push->has_if) sim_device_refuse(device, space, push, "precondition");
    }
    sim_copy_settled(copy);
}

static void begin_other_log(struct sim_copy *copy)
{
    copy->cursor[0] = '\0';
    copy->place = copy->seen_rev = 0;
    copy->in_run = copy->reset_run = false;
    copy->sent_id = 0;
    uint64_t after = 0;
    for (size_t i = 0; i < copy->pushes_count; i++) {
        copy->pushes[i].after = after;
        after = copy->pushes[i].id;
    }
    if (copy->pushes_count == 0) copy->last_id = 0;
}

void sim_device_welcome(struct sim_device *device, struct span log, int64_t time_ms)
{
    bool other = device->store.log[0] != '\0' && !span_is(log, device->store.log);
    device->welcome = true;
    device->backoff = 0;
    device->welcome_ms = time_ms;
    device->welcome_at_ms = sim_device_clock_ms(device);
    device->knows_ahead = true;
    snprintf(device->store.log, sizeof device->store.log, "%.*s", (int)log.bytes, log.at);
    sim_device_record(device, CHECKER_HELLO, SIM_SPACES_MAX, 0);
    for (size_t i = 0; i < device->sim->spaces_count; i++) {
        struct sim_copy *copy = &device->store.copies[i];
        give_up_old(device, i, other);
        if (other) begin_other_log(copy);
        if (copy->wanted) send_open(device, i);
    }
    for (size_t i = 0; i < device->sim->spaces_count; i++) sim_device_resend(device, i, 0);
}
