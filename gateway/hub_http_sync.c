/* POST /v1/sync and POST /v1/spaces/{space}/push: pushes in order through a virtual session, then the opens. */
#include <assert.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/name.h"
#include "gateway/hub_http_parts.h"

/* ---- POST /v1/sync ---- */

static void add_list(struct buf *out, const char *name, const struct buf *list)
{
    buf_add_text(out, ",\"");
    buf_add_text(out, name);
    buf_add_text(out, "\":[");
    buf_add_span(out, buf_span(list));
    buf_add_char(out, ']');
}

/* Spaces whose owner did not answer in time: they are to be asked for again. */
static void give_up_opens(struct hub_http_job *job)
{
    while (job->session->subs_count > 0) {
        struct hub_sub *sub = job->session->subs[job->session->subs_count - 1];
        hub_send_error(job->session, ERR_BUSY, NULL, span_of(NULL, 0), false, 0, hub_space_name(sub->space), SESSION_RETRY_MS);
        hub_sub_remove(sub);
    }
}

static void answer_sync(struct hub_http_job *job)
{
    static const char *const names[LISTS] = {"results", "pages", "current", "closed", "errors"};
    struct buf body;
    bool first = true, good = true;
    buf_init(&body, HTTP_BODY_BYTES_MAX);
    buf_add_text(&body, "{\"log\":\"");
    buf_add_span(&body, job->hub->log);
    buf_add_char(&body, '"');
    for (int i = 0; i < LISTS; i++) {
        good = good && buf_ok(&job->lists[i]);
        add_list(&body, names[i], &job->lists[i]);
    }
    buf_add_text(&body, ",\"pending\":[");
    for (size_t i = 0; i < job->pushes_count; i++) {
        if (job->pushes[i].done || !job->pushes[i].acked) continue; /* what is not acked is simply sent again */
        if (!first) buf_add_char(&body, ',');
        first = false;
        buf_add_u64(&body, job->pushes[i].id);
    }
    buf_add_text(&body, "],\"retry\":");
    buf_add_u64(&body, job->retry_ms);
    buf_add_char(&body, '}');
    if (good && buf_ok(&body)) hub_http_answer_with(job, 200, buf_span(&body), 0);
    else hub_http_answer_error(job, ERR_TOO_LARGE, "more pages than one call can carry: open fewer spaces");
    buf_fini(&body);
}

static void open_all(struct hub_http_job *job)
{
    struct json_iter iter = json_elements(job->opens);
    struct json_value entry;
    struct blob *ref = blob_make(SPAN_LITERAL("0"));
    job->stage = JOB_OPENING;
    job->until_ms = job->hub->now_ms + HTTP_WAIT_MS * 2;
    job->opens_waiting = json_count(job->opens);
    while (ref != NULL && json_next_element(&iter, &entry)) {
        struct frame_open open;
        const char *why;
        arena_reset(&job->hub->arena);
        /* Judged when the call came in: it decodes again. */
        if (frame_decode_open(entry, &job->hub->arena, &open, &why) == ERR_OK && why == NULL)
            hub_open_space(job->session, &open, ref, NULL, true, false);
    }
    blob_put(ref);
}

/* Goes on when what it waited for is there. */
void hub_http_go_on(struct hub_http_job *job)
{
    if (job->stage == JOB_PUSHING && job->is_sync && (job->pending_count == 0 || job->hub->now_ms >= job->until_ms)) open_all(job);
    if (job->stage == JOB_OPENING && (job->opens_waiting == 0 || job->hub->now_ms >= job->until_ms)) {
        give_up_opens(job);
        answer_sync(job);
        return;
    }
    if (job->is_sync || job->stage != JOB_PUSHING) return;
    struct json_value outcome;
    if (job->lists[LIST_RESULTS].bytes > 0 && json_check(buf_span(&job->lists[LIST_RESULTS]), &outcome, NULL)) {
        struct span code = json_inside(json_find(outcome, "code"));
        enum err err = code.bytes == 0 ? ERR_OK : err_find(code.at, code.bytes);
        if (err == ERR_COUNT) err = ERR_INTERNAL;
        hub_http_answer_with(job, hub_http_status(err), buf_span(&job->lists[LIST_RESULTS]), 0);
    } else if (job->lists[LIST_ERRORS].bytes > 0 && json_check(buf_span(&job->lists[LIST_ERRORS]), &outcome, NULL)) {
        struct span code = json_inside(json_find(outcome, "code"));
        enum err err = err_find(code.at, code.bytes);
        hub_http_answer_error(job, err == ERR_COUNT ? ERR_INTERNAL : err, err == ERR_FORKED ? "this key was used before for other operations" : NULL);
    } else if (job->hub->now_ms >= job->until_ms) {
        hub_http_answer_error(job, ERR_BUSY, "in the log, but its outcome took too long: call again with the same key");
    }
}

static struct hub_session *make_session(struct hub_http_job *job, struct span device)
{
    struct hub_session *session = hub_session_make(job->hub, NULL, job->hub->now_ms);
    if (session == NULL) return NULL;
    session->job = job;
    session->state = SESSION_LIVE;
    session->background = true;
    session->credentials = job->credentials;
    job->credentials = (struct hub_credentials){0};
    assert(device.bytes <= LIMIT_DEVICE_BYTES_MAX);
    if (device.bytes > 0) memcpy(session->device, device.at, device.bytes);
    return session;
}

static void start_sync_pushes(struct hub_http_job *job, struct json_value pushes)
{
    struct json_iter iter = json_elements(pushes);
    struct json_value entry;
    job->stage = JOB_PUSHING;
    job->until_ms = job->hub->now_ms + HTTP_WAIT_MS;
    while (json_next_element(&iter, &entry)) {
        struct frame frame;
        arena_reset(&job->hub->arena);
        if (frame_decode_push(entry, &job->hub->arena, &frame) != ERR_OK || frame.type != FRAME_PUSH) {
            hub_send_error(job->session, ERR_BAD_FRAME, frame.why, frame.ref, frame.has_id, frame.id, frame.space, 0);
            continue;
        }
        job->pushes[job->pushes_count++] = (struct job_push){.id = frame.id};
        job->pending_count++;
        hub_push_append(job->session, &frame, true);
    }
}

/* Each has its answer, so each space may be named once. */
static const char *check_opens(struct hub_http_job *job, struct json_value opens)
{
    struct json_iter iter = json_elements(opens);
    struct json_value entry;
    size_t count = 0;
    arena_reset(&job->hub->arena);
    struct span *names = arena_take(&job->hub->arena, (json_count(opens) + 1) * sizeof *names);
    if (names == NULL) return "out of memory";
    while (json_next_element(&iter, &entry)) {
        struct frame_open open;
        const char *why;
        if (frame_decode_open(entry, &job->hub->arena, &open, &why) != ERR_OK) return "out of memory";
        if (why != NULL) return why;
        for (size_t i = 0; i < count; i++)
            if (span_equal(names[i], open.space)) return "opens: a space is named twice";
        names[count++] = open.space;
    }
    return NULL;
}

static const char *check_sync(struct hub_http_job *job, struct json_value body, struct span *ret_device)
{
    struct json_value device = json_find(body, "device"), pushes = json_find(body, "pushes"), opens = json_find(body, "opens");
    *ret_device = json_inside(device);
    if (body.type != JSON_OBJECT || frame_repeats_key(body)) return "the body must be a JSON object without repeated keys";
    if (device.type != JSON_STRING || !name_is_device(*ret_device)) return "device: must be [A-Za-z0-9_-]{8,64}";
    if (pushes.type != JSON_ARRAY && pushes.type != JSON_NONE) return "pushes: must be an array";
    if (opens.type != JSON_ARRAY && opens.type != JSON_NONE) return "opens: must be an array";
    if (json_count(pushes) > HTTP_PUSHES_MAX || json_count(opens) > LIMIT_SPACES_MAX) return "more pushes or opens than one call may hold";
    return check_opens(job, opens);
}

void hub_http_start_sync(struct hub_http_job *job, struct json_value body)
{
    struct span device;
    struct json_value log = json_find(body, "log");
    const char *why = check_sync(job, body, &device);
    if (why != NULL) {
        hub_http_answer_error(job, ERR_INVALID, why);
        return;
    }
    if (log.type == JSON_STRING && !span_equal(json_inside(log), job->hub->log)) {
        struct buf *out = &job->lists[LIST_ERRORS];
        buf_add_text(out, "{\"code\":\"log\",\"message\":\"made under another log: treat every space as reset\",\"log\":\"");
        buf_add_span(out, job->hub->log);
        buf_add_text(out, "\"}");
        hub_http_answer_with(job, 409, buf_span(out), 0);
        return;
    }
    job->is_sync = true;
    job->opens = json_find(body, "opens");
    job->pushes = calloc(json_count(json_find(body, "pushes")) + 1, sizeof *job->pushes);
    job->session = make_session(job, device);
    if (job->session == NULL || job->pushes == NULL) {
        hub_http_answer_error(job, ERR_BUSY, NULL);
        return;
    }
    start_sync_pushes(job, json_find(body, "pushes"));
    hub_http_go_on(job);
}

/* ---- POST /v1/spaces/{space}/push ---- */

/* A key names a device of its own, so that the same key again is the same push again. */
static bool device_of_key(struct span key, struct buf *device)
{
    struct hash_state *state = hash_begin();
    if (state == NULL) return false;
    hash_piece(state, key);
    struct hash_digest digest = hash_end(state);
    buf_add_text(device, "key-");
    for (size_t i = 0; i < sizeof digest.bytes; i++) {
        buf_add_char(device, "0123456789abcdef"[digest.bytes[i] >> 4]);
        buf_add_char(device, "0123456789abcdef"[digest.bytes[i] & 15]);
    }
    return true;
}

void hub_http_start_push(struct hub_http_job *job, struct span space, struct json_value body)
{
    struct json_value key = json_find(body, "key");
    struct frame frame = {.type = FRAME_PUSH, .space = space, .ops = json_find(body, "ops")};
    if (body.type != JSON_OBJECT || frame_repeats_key(body) || frame.ops.type != JSON_ARRAY) {
        hub_http_answer_error(job, ERR_INVALID, "ops: must be an array, and no key repeated");
        return;
    }
    if (key.type != JSON_NONE && (key.type != JSON_STRING || json_inside(key).bytes == 0 || key.raw.bytes > 512)) {
        hub_http_answer_error(job, ERR_INVALID, "key: must be a string of 1 to 510 bytes");
        return;
    }
    struct buf *device = &job->lists[LIST_CURRENT];
    if (key.type == JSON_STRING && device_of_key(json_inside(key), device)) frame.id = 1;
    job->session = make_session(job, buf_span(device));
    job->pushes = calloc(1, sizeof *job->pushes);
    if (job->session == NULL || job->pushes == NULL || (key.type == JSON_STRING && frame.id == 0)) {
        hub_http_answer_error(job, ERR_BUSY, NULL);
        return;
    }
    job->pushes[job->pushes_count++] = (struct job_push){.id = frame.id};
    job->pending_count = 1;
    job->stage = JOB_PUSHING;
    job->until_ms = job->hub->now_ms + HTTP_WAIT_MS;
    hub_push_append(job->session, &frame, frame.id != 0);
    hub_http_go_on(job);
}
