/* What a device hears, and does about it. Every frame joins the history before it is judged here. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_frame.h"
#include "tests/sim/sim_lib.h"

enum { RETRY_MS = 1000, STALE_GAPS_MAX = 50 };

/* ---- documents ---- */

static void take_docs(struct sim_copy *copy, const struct sim_heard *heard)
{
    for (size_t i = 0; i < heard->event.docs_count; i++) {
        const struct checker_doc *doc = &heard->docs[i];
        char key[SIM_NAME_BYTES];
        snprintf(key, sizeof key, "%.*s/%.*s", (int)doc->collection.bytes, doc->collection.at, (int)doc->id.bytes, doc->id.at);
        struct sim_doc *mine = sim_copy_put(copy, key);
        if (doc->rev < mine->rev) continue; /* brought ahead by a result or by history */
        mine->rev = doc->rev;
        mine->born = doc->born;
        mine->sum = doc->sum;
        mine->deleted = doc->deleted;
        mine->named = true;
        if (doc->rev > copy->seen_rev) copy->seen_rev = doc->rev;
    }
}

static uint64_t born_here(void *ctx, const char *key)
{
    const struct sim_doc *doc = sim_copy_find(ctx, key);
    return doc == NULL ? 0 : doc->born;
}

/* ---- outcomes ---- */

static void note_in_log(struct sim_copy *copy, uint64_t id)
{
    if (id <= copy->told_id) return;
    copy->told_id = id;
    copy->told_sent = copy->sent_here;
    copy->stale_gaps = 0;
}

/* A `gap` was answered to what was sent before an outcome came, and is heard behind it: the log has come further since. What was sent
 * later is judged later: there a lower id means that the log has forgotten this device; and so it does where it is said again and again. */
static uint64_t true_after(struct sim_copy *copy, uint64_t id, uint64_t after)
{
    if (after >= copy->told_id || id > copy->told_sent || copy->stale_gaps == STALE_GAPS_MAX) return after;
    copy->stale_gaps++;
    return copy->told_id;
}

/* It is in the log after all, if an error from before said otherwise: what comes next goes behind it. */
static void settle(struct sim_device *device, size_t space, uint64_t id, bool applied, struct span code, bool has_place)
{
    struct sim_copy *copy = &device->store.copies[space];
    struct sim_push *push = sim_copy_push(copy, id);
    if (push == NULL || push->settled) return;
    push->settled = true;
    if (has_place) note_in_log(copy, id);
    if (!applied) {
        copy->refused++;
        snprintf(copy->refusal, sizeof copy->refusal, "%.*s", (int)code.bytes, code.at);
    }
    for (size_t i = 0; has_place && i < copy->pushes_count; i++) {
        if (copy->pushes[i].settled || copy->pushes[i].id < id) continue;
        if (copy->pushes[i].after < id) copy->pushes[i].after = id;
        break;
    }
    sim_copy_settled(copy);
}

static void settle_up_to(struct sim_device *device, size_t space, const struct sim_heard *heard)
{
    struct sim_copy *copy = &device->store.copies[space];
    if (heard->event.pushed > copy->sent_id) { /* another store went by this id */
        sim_device_fork(device, space, heard->event.pushed);
        return;
    }
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < copy->pushes_count && copy->pushes[i].id <= heard->event.pushed; i++) {
            const struct checker_refusal *refusal = NULL;
            if (copy->pushes[i].settled) continue;
            if (copy->pushes[i].unsure) { /* its own outcome is asked for */
                if (copy->resend_ms == 0) copy->resend_ms = sim_now_ms(device->sim) + RETRY_MS;
                continue;
            }
            for (size_t k = 0; k < heard->event.refused_count; k++)
                if (heard->refused[k].id == copy->pushes[i].id) refusal = &heard->refused[k];
            settle(device, space, copy->pushes[i].id, refusal == NULL, refusal == NULL ? span_of(NULL, 0) : refusal->code, true);
            again = true; /* the outbox is another one now */
            break;
        }
    }
}

/* ---- frames ---- */

/* What was made before a reset has no base any more, and goes behind what the server says it has. */
static void after_reset(struct sim_device *device, size_t space, uint64_t pushed)
{
    struct sim_copy *copy = &device->store.copies[space];
    uint64_t after = pushed < copy->told_id ? copy->told_id : pushed;
    bool other = false;
    for (size_t i = 0; i < copy->docs_count; i++)
        if (!copy->docs[i].named) copy->docs[i--] = copy->docs[--copy->docs_count];
    for (size_t i = 0; i < copy->pushes_count; i++) {
        struct sim_push *push = &copy->pushes[i];
        push->before_reset = true;
        if (push->settled) continue;
        if (push->first_sent_ms == 0 && push->has_if) {
            sim_device_refuse(device, space, push, "precondition");
            continue;
        }
        if (push->id <= after) continue; /* unsure */
        other = other || push->after != after;
        push->after = after;
        after = push->id;
    }
    sim_copy_settled(copy);
    if (copy->pushes_count == 0 && pushed > copy->last_id) copy->last_id = pushed;
    if (other) sim_device_resend(device, space, 0);
}

static void first_frame(struct sim_copy *copy)
{
    copy->live = true;
    copy->reopen_ms = 0;
}

/* A call's answer: it counts where the copy still is where the call found it, and no run of the session's is under way. */
static void hear_called_page(struct sim_device *device, size_t space, const struct sim_heard *heard)
{
    struct sim_copy *copy = &device->store.copies[space];
    if (copy->in_run || heard->event.more || !span_is(heard->event.from, copy->cursor)) return;
    take_docs(copy, heard);
    sim_copy_set_cursor(copy, heard->event.to);
    settle_up_to(device, space, heard);
}

static void hear_page(struct sim_device *device, size_t space, const struct sim_heard *heard)
{
    struct sim_copy *copy = &device->store.copies[space];
    const struct checker_event *event = &heard->event;
    char ref[24];
    snprintf(ref, sizeof ref, "%u", copy->ref);
    if (device->in_call) {
        hear_called_page(device, space, heard);
        return;
    }
    if (!copy->wanted || !span_is(event->ref, ref)) return; /* of an open that was replaced or closed */
    first_frame(copy);
    if (event->from.bytes == 0) {
        for (size_t i = 0; i < copy->docs_count; i++) copy->docs[i].named = false;
    } else if (!span_is(event->from, copy->cursor)) {
        sim_device_reopen(device, space);
        return;
    }
    take_docs(copy, heard);
    sim_copy_set_cursor(copy, event->to);
    if (event->at > copy->seen_rev) copy->seen_rev = event->at;
    copy->in_run = event->more;
    copy->reset_run = event->reset;
    copy->purged = false;
    if (event->window_ms > 0) copy->window_ms = event->window_ms;
    if (event->more) return;
    settle_up_to(device, space, heard);
    if (event->reset) after_reset(device, space, event->pushed);
    if (copy->once) copy->wanted = copy->live = copy->once = false;
}

static void hear_current(struct sim_device *device, struct sim_heard *heard, struct json_value frame)
{
    struct json_iter iter = json_elements(json_find(frame, "spaces"));
    struct json_value entry;
    char ref[24];
    while (json_next_element(&iter, &entry)) {
        size_t space = sim_space(device->sim, sim_frame_word(entry, "space"));
        struct sim_copy *copy = &device->store.copies[space];
        sim_frame_read_current(frame, entry, heard);
        sim_frame_record(device, heard);
        snprintf(ref, sizeof ref, "%u", copy->ref);
        if (!copy->wanted || !span_is(heard->event.ref, ref)) continue;
        first_frame(copy);
        copy->in_run = false;
        if (heard->event.window_ms > 0) copy->window_ms = heard->event.window_ms;
        settle_up_to(device, space, heard);
        if (copy->once) copy->wanted = copy->live = copy->once = false;
    }
}

static void hear_update(struct sim_device *device, size_t space, struct sim_heard *heard, struct json_value frame)
{
    struct sim_copy *copy = &device->store.copies[space];
    const struct checker_event *event = &heard->event;
    bool mine = span_is(event->user, device->user) && span_is(event->device, device->store.id);
    const struct sim_push *push = mine ? sim_copy_push(copy, event->id) : NULL;
    if (json_find(frame, "docs").type != JSON_ARRAY && push != NULL) sim_frame_own_docs(heard, blob_span(push->ops), born_here, copy);
    sim_frame_record(device, heard);
    if (!copy->live) return; /* of a subscription that was replaced or closed */
    if (!span_is(event->from, copy->cursor)) {
        sim_device_reopen(device, space);
        return;
    }
    take_docs(copy, heard);
    sim_copy_set_cursor(copy, event->to);
    if (event->rev > copy->seen_rev) copy->seen_rev = event->rev;
    if (mine) settle(device, space, event->id, true, span_of(NULL, 0), true);
}

static void hear_result(struct sim_device *device, size_t space, const struct sim_heard *heard)
{
    struct sim_copy *copy = &device->store.copies[space];
    const struct checker_event *event = &heard->event;
    if (copy->live && !copy->in_run && event->docs_count > 0 && event->at >= copy->seen_rev) take_docs(copy, heard);
    settle(device, space, event->id, event->status == CHECKER_APPLIED, event->code, event->to.bytes > 0);
}

static void hear_history(struct sim_device *device, size_t space, const struct sim_heard *heard)
{
    struct sim_copy *copy = &device->store.copies[space];
    if (copy->live && !copy->in_run && heard->event.at >= copy->seen_rev) take_docs(copy, heard);
}

/* What is unanswered is sent again, behind what the log has. */
static void go_on_behind(struct sim_device *device, size_t space, uint64_t after)
{
    struct sim_copy *copy = &device->store.copies[space];
    for (size_t i = 0; i < copy->pushes_count; i++) {
        if (copy->pushes[i].settled || copy->pushes[i].id <= after) continue;
        copy->pushes[i].after = after;
        break;
    }
    sim_device_resend(device, space, after);
}

static void hear_error(struct sim_device *device, size_t space, const struct sim_heard *heard, struct json_value frame)
{
    struct sim_copy *copy = &device->store.copies[space];
    const struct checker_event *event = &heard->event;
    int64_t retry_ms = (int64_t)sim_frame_number(frame, "retry");
    if (span_is(event->code, "forked")) {
        sim_device_fork(device, space, event->after);
        go_on_behind(device, space, event->after);
    } else if (span_is(event->code, "gap")) {
        go_on_behind(device, space, true_after(copy, event->id, event->after));
    } else if (span_is(event->code, "busy") || span_is(event->code, "too_many") || span_is(event->code, "internal")) {
        int64_t due_ms = sim_now_ms(device->sim) + (retry_ms > 0 ? retry_ms : RETRY_MS);
        if (event->id != 0 && copy->resend_ms == 0) copy->resend_ms = due_ms;
        if (event->id == 0 && copy->wanted && !copy->live) copy->reopen_ms = due_ms;
    } else if (!span_is(sim_frame_word(frame, "ref"), "h")) { /* a look at history may be refused */
        sim_fail(device->sim, "%s hears an error %.*s", device->name, (int)event->code.bytes, event->code.at);
    }
}

static void hear_closed(struct sim_device *device, size_t space, const struct sim_heard *heard)
{
    struct sim_copy *copy = &device->store.copies[space];
    const struct checker_event *event = &heard->event;
    char ref[24];
    snprintf(ref, sizeof ref, "%u", copy->ref);
    if (event->ref.bytes > 0 && !span_is(event->ref, ref)) return;
    copy->live = copy->in_run = false;
    if (event->purge) {
        copy->wanted = copy->once = false;
        copy->purged = true;
        sim_copy_drop_docs(copy);
        sim_copy_set_cursor(copy, span_of(NULL, 0));
        copy->seen_rev = 0;
    } else if (copy->wanted) {
        copy->reopen_ms = sim_now_ms(device->sim) + RETRY_MS;
    }
    if (copy->pushes_count > 0 && copy->resend_ms == 0) copy->resend_ms = sim_now_ms(device->sim) + RETRY_MS;
}

static void hear_of_space(struct sim_device *device, struct json_value frame)
{
    struct sim_heard heard;
    size_t space = sim_space(device->sim, sim_frame_word(frame, "space"));
    if (!sim_frame_read(frame, &heard)) return;
    if (heard.event.kind != CHECKER_UPDATE) sim_frame_record(device, &heard);
    switch ((int)heard.event.kind) {
    case CHECKER_PAGE: hear_page(device, space, &heard); break;
    case CHECKER_HISTORY: hear_history(device, space, &heard); break;
    case CHECKER_UPDATE: hear_update(device, space, &heard, frame); break;
    case CHECKER_RESULT: hear_result(device, space, &heard); break;
    case CHECKER_ERROR: hear_error(device, space, &heard, frame); break;
    case CHECKER_CLOSED: hear_closed(device, space, &heard); break;
    default: break;
    }
}

static void hear(struct sim_device *device, struct json_value frame)
{
    struct json_value type = json_find(frame, "type");
    struct sim_heard heard;
    device->frames++;
    if (json_string_is(type, "welcome")) {
        sim_device_welcome(device, sim_frame_word(frame, "log"), (int64_t)sim_frame_number(frame, "time"));
    } else if (!device->welcome) {
        sim_fail(device->sim, "%s hears %.*s before its welcome", device->name, (int)type.raw.bytes, type.raw.at);
    } else if (json_string_is(type, "current")) {
        hear_current(device, &heard, frame);
    } else if (json_string_is(type, "bye")) {
        struct sim_conn *conn = device->conn;
        sim_edge_leave(conn);
        sim_device_lost(device, conn, 0);
    } else if (json_find(frame, "space").type == JSON_STRING) {
        hear_of_space(device, frame);
    } else if (json_string_is(type, "error")) {
        struct span code = sim_frame_word(frame, "code");
        if (!span_is(code, "busy")) sim_fail(device->sim, "%s hears an error %.*s", device->name, (int)code.bytes, code.at);
    }
    if (device->forked_space >= 0) sim_device_go_on_forking(device);
}

void sim_device_hear(struct sim_device *device, struct sim_conn *conn, struct span message)
{
    const char *at = message.at, *end = message.at + message.bytes;
    if (device->lib != NULL) {
        if (device->conn == conn) sim_lib_hear(device, message);
        return;
    }
    while (at < end && device->conn == conn) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        struct json_value frame;
        if (line_end == NULL) line_end = end;
        bool strict = json_check(span_of(at, (size_t)(line_end - at)), &frame, NULL);
        if (!strict) sim_fail(device->sim, "%s hears what is no JSON", device->name);
        else hear(device, frame);
        at = line_end + 1;
    }
    if (device->conn == conn) sim_device_arm(device);
}

void sim_device_hear_sync(struct sim_device *device, struct span body)
{
    static const char *const lists[] = {"results", "pages", "errors"};
    struct json_value answer, frame;
    bool strict = json_check(body, &answer, NULL);
    if (!strict || json_find(answer, "pages").type != JSON_ARRAY) {
        sim_fail(device->sim, "%s hears no answer to its sync: %.*s", device->name, (int)body.bytes, body.at);
        return;
    }
    device->in_call = true;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct json_iter iter = json_elements(json_find(answer, lists[i]));
        while (json_next_element(&iter, &frame)) hear_of_space(device, frame);
    }
    struct checker_event end = {.kind = CHECKER_CUT, .who = span_text(device->name), .conn = SIM_CONN_HTTP};
    sim_judge_event(device->sim, &end);
    device->in_call = false;
    sim_device_arm(device);
}
