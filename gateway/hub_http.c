/* The HTTP calls, as jobs: each ends in one answer. Pushes and opens run through a session of their own that has no
 * socket, displaces nobody and shows nobody as present: so they take the very path that a device's frames take.
 *
 * STATES of a job  JOB_PUSHING (until every push has an outcome or an error, at most HTTP_WAIT_MS) -> JOB_OPENING (a sync
 * alone) -> answered; JOB_ASKING -> answered.
 * BOUND  LIMIT_HTTP_JOBS at a time (503); what they gather LIMIT_HTTP_BYTES: pages past it become errors `too_many`. */
#include <stdlib.h>

#include "core/name.h"
#include "gateway/hub_http_parts.h"

enum { BUSY_RETRY_S = 1, ERROR_BYTES_MAX = 4096 };

void hub_http_answer_with(struct hub_http_job *job, unsigned status, struct span body, unsigned retry_after_s)
{
    struct blob *blob = blob_make(body);
    struct hub_http_answer answer = {.status = blob == NULL ? 503 : status, .retry_after_s = retry_after_s, .body = blob};
    void (*done)(void *ctx, const struct hub_http_answer *answer) = job->done;
    void *ctx = job->ctx;
    if (job->gone != NULL) *job->gone = true;
    if (job->prev != NULL) job->prev->next = job->next;
    else job->hub->jobs = job->next;
    if (job->next != NULL) job->next->prev = job->prev;
    job->hub->jobs_count--;
    job->hub->jobs_bytes -= job->lists_bytes;
    if (job->session != NULL) {
        job->session->job = NULL; /* what the session says from here on goes nowhere */
        hub_session_free(job->session);
    }
    for (int i = 0; i < LISTS; i++) buf_fini(&job->lists[i]);
    hub_credentials_fini(&job->credentials);
    blob_put(job->body);
    blob_put(job->name);
    free(job->pushes);
    free(job);
    if (done != NULL) done(ctx, &answer);
    blob_put(blob);
}

unsigned hub_http_status(enum err code)
{
    switch ((int)code) {
    case ERR_OK: case ERR_LOST: return 200;
    case ERR_UNAUTHENTICATED: return 401;
    case ERR_FORBIDDEN: return 403;
    case ERR_UNKNOWN_SPACE: return 404;
    case ERR_CONFLICT: case ERR_PRECONDITION: case ERR_LOG: case ERR_FORKED: case ERR_GAP: return 409;
    case ERR_TOO_LARGE: return 413;
    case ERR_TOO_MANY: return 429;
    case ERR_BAD_FRAME: case ERR_INVALID: return 400;
    default: return 503;
    }
}

void hub_http_answer_error(struct hub_http_job *job, enum err code, const char *message)
{
    struct buf body;
    unsigned status = hub_http_status(code);
    buf_init(&body, ERROR_BYTES_MAX);
    buf_add_text(&body, "{\"code\":\"");
    buf_add_text(&body, err_name(code));
    buf_add_text(&body, "\",\"message\":");
    buf_add_json_string(&body, span_text(message == NULL ? err_text(code) : message));
    buf_add_char(&body, '}');
    hub_http_answer_with(job, status, buf_span(&body), status == 429 || status == 503 ? BUSY_RETRY_S : 0);
    buf_fini(&body);
}

/* ---- what the virtual session hears ---- */

static void list_add(struct hub_http_job *job, enum job_list list, struct span item)
{
    struct buf *out = &job->lists[list];
    if (out->bytes > 0) buf_add_char(out, ',');
    buf_add_span(out, item);
    job->lists_bytes += item.bytes;
    job->hub->jobs_bytes += item.bytes;
}

static struct job_push *find_push(struct hub_http_job *job, struct json_value frame)
{
    int64_t id;
    if (!json_integer(json_find(frame, "id"), &id)) return NULL;
    for (size_t i = 0; i < job->pushes_count; i++)
        if (job->pushes[i].id == (uint64_t)id && !job->pushes[i].done) return &job->pushes[i];
    return NULL;
}

static void settle(struct hub_http_job *job, struct json_value frame)
{
    struct job_push *push = find_push(job, frame);
    if (push == NULL) return;
    push->done = true;
    job->pending_count--;
}

static void collect_error(struct hub_http_job *job, struct span text, struct json_value frame)
{
    int64_t retry;
    list_add(job, LIST_ERRORS, text);
    if (json_integer(json_find(frame, "retry"), &retry) && (uint64_t)retry > job->retry_ms) job->retry_ms = (uint64_t)retry;
    settle(job, frame);
    if (json_find(frame, "id").type == JSON_NONE && job->opens_waiting > 0) job->opens_waiting--;
}

/* Past the bound the space is to be asked for in another call. */
static void collect_page(struct hub_http_job *job, struct span text, struct json_value frame)
{
    if (job->lists[LIST_PAGES].bytes + text.bytes <= LIMIT_HTTP_PAGES_BYTES && job->hub->jobs_bytes + text.bytes <= LIMIT_HTTP_BYTES) {
        list_add(job, LIST_PAGES, text);
    } else {
        struct buf error;
        char name[LIMIT_SPACE_BYTES_MAX];
        size_t bytes = json_decode(json_inside(json_find(frame, "space")), name, sizeof name);
        buf_init(&error, ERROR_BYTES_MAX);
        frame_error(&error, ERR_TOO_MANY, "more pages than one call carries: ask for this space in another", span_of(NULL, 0), false, 0,
                    span_of(name, bytes > sizeof name ? 0 : bytes), 1);
        list_add(job, LIST_ERRORS, buf_span(&error));
        buf_fini(&error);
    }
    job->opens_waiting--;
}

void hub_http_collect(struct hub_http_job *job, enum hub_frame_kind kind, struct span text)
{
    struct json_value frame, entry;
    struct job_push *push;
    if (!json_check(text, &frame, NULL)) return; /* our own frames: always well-formed */
    job->hub->jobs_due = true;
    struct json_iter iter = json_elements(json_find(frame, "spaces"));
    switch (kind) {
    case OUT_ACK:
        push = find_push(job, frame);
        if (push != NULL) push->acked = true;
        break;
    case OUT_RESULT:
        list_add(job, LIST_RESULTS, text);
        settle(job, frame);
        break;
    case OUT_ERROR: collect_error(job, text, frame); break;
    case OUT_PAGE: collect_page(job, text, frame); break;
    case OUT_CURRENT:
        while (json_next_element(&iter, &entry)) {
            list_add(job, LIST_CURRENT, entry.raw);
            job->opens_waiting--;
        }
        break;
    case OUT_CLOSED:
        list_add(job, LIST_CLOSED, text);
        job->opens_waiting--;
        break;
    case OUT_UPDATE: case OUT_DROPPABLE: case OUT_OTHER: break;
    }
}

/* ---- routing ---- */

/* What stands between `before` and `behind`; false: they do not. */
static bool is_between(struct span path, const char *before, const char *behind, struct span *ret_name)
{
    size_t front = strlen(before), back = strlen(behind);
    if (path.bytes <= front + back || memcmp(path.at, before, front) != 0) return false;
    if (memcmp(path.at + path.bytes - back, behind, back) != 0) return false;
    *ret_name = span_of(path.at + front, path.bytes - front - back);
    return true;
}

static void route_post(struct hub_http_job *job, struct span path)
{
    struct json_value body;
    struct span name;
    bool is_push = is_between(path, "spaces/", "/push", &name);
    if (!is_push && !span_is(path, "sync")) hub_http_answer_error(job, ERR_UNKNOWN_SPACE, "no such call");
    else if (!json_check(blob_span(job->body), &body, NULL)) hub_http_answer_error(job, ERR_INVALID, "the body must be strict JSON");
    else if (!is_push) hub_http_start_sync(job, body);
    else if (!name_is_space(name)) hub_http_answer_error(job, ERR_INVALID, "not a space's name");
    else hub_http_start_push(job, name, body);
}

static void route_get(struct hub_http_job *job, struct span path, struct span query)
{
    static const char *const questions[] = {"docs", "conflicts", "presence"};
    struct span name, what;
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        what = span_text(questions[i]);
        if (!is_between(path, "spaces/", questions[i], &name) || name.bytes < 2 || name.at[name.bytes - 1] != '/') continue;
        name.bytes--;
        if (!name_is_space(name)) hub_http_answer_error(job, ERR_INVALID, "not a space's name");
        else hub_http_start_question(job, name, what, query);
        return;
    }
    if (is_between(path, "users/", "/presence", &name)) hub_http_start_user(job, name);
    else if (is_between(path, "devices/", "/offsets", &name)) hub_http_start_offsets(job, name);
    else hub_http_answer_error(job, ERR_UNKNOWN_SPACE, "no such call");
}

/* Bodies that come by HTTP may hold line ends, which frames may not: each becomes a space. (In a string there is none:
 * what is not strict JSON stays as it is, and is refused.) */
static struct blob *copy_body(struct span body)
{
    struct json_value checked;
    struct blob *copy = blob_make(body);
    if (!json_check(body, &checked, NULL)) return copy;
    for (size_t i = 0; copy != NULL && i < copy->bytes; i++)
        if (copy->text[i] == '\n' || copy->text[i] == '\r') copy->text[i] = ' ';
    return copy;
}

/* There is no room for another job. */
static void refuse(const struct hub_http_request *request, void *ctx, void (*done)(void *ctx, const struct hub_http_answer *answer))
{
    struct blob *body = blob_make(SPAN_LITERAL("{\"code\":\"busy\",\"message\":\"the server cannot take this now\"}"));
    struct hub_http_answer answer = {.status = 503, .retry_after_s = BUSY_RETRY_S, .body = body};
    hub_credentials_fini(request->credentials);
    done(ctx, &answer);
    blob_put(body);
}

struct hub_http_job *hub_http_start(struct hub *hub, const struct hub_http_request *request, int64_t now_ms, void *ctx,
                                    void (*done)(void *ctx, const struct hub_http_answer *answer))
{
    struct hub_http_job *job = hub->jobs_count >= LIMIT_HTTP_JOBS ? NULL : calloc(1, sizeof *job);
    hub->now_ms = now_ms;
    if (job == NULL) {
        refuse(request, ctx, done);
        return NULL;
    }
    job->hub = hub;
    job->ctx = ctx;
    job->done = done;
    job->stage = JOB_ASKING;
    job->until_ms = INT64_MAX;
    job->credentials = *request->credentials;
    *request->credentials = (struct hub_credentials){0};
    for (int i = 0; i < LISTS; i++) buf_init(&job->lists[i], HTTP_BODY_BYTES_MAX);
    job->next = hub->jobs;
    if (job->next != NULL) job->next->prev = job;
    hub->jobs = job;
    hub->jobs_count++;
    bool gone = false;
    job->gone = &gone;
    job->body = copy_body(request->body);
    if (job->body == NULL) hub_http_answer_error(job, ERR_BUSY, NULL);
    else if (request->post) route_post(job, request->path);
    else route_get(job, request->path, request->query);
    if (gone) return NULL;
    job->gone = NULL;
    return job;
}

/* A question whose owner, or the registry, does not answer. */
static void give_up(struct hub_http_job *job)
{
    struct registry *registry = job->hub->options.registry;
    struct map_node *node = NULL;
    registry->ops->forget(registry, job);
    while ((node = map_next(&job->hub->bodies, node)) != NULL) {
        struct hub_body *body = (struct hub_body *)((char *)node - offsetof(struct hub_body, node));
        if (body->job == job) body->job = NULL;
    }
    hub_http_answer_error(job, ERR_BUSY, NULL);
}

void hub_http_go_on_all(struct hub *hub)
{
    struct hub_http_job *job = hub->jobs;
    hub->jobs_due = false; /* opening what follows the pushes may be answered at once, and set it again */
    while (job != NULL) {
        struct hub_http_job *next = job->next;
        if (job->stage != JOB_ASKING) hub_http_go_on(job);
        else if (hub->now_ms >= job->until_ms) give_up(job);
        job = next;
    }
}

void hub_http_cancel(struct hub_http_job *job)
{
    job->done = NULL; /* it goes on to its end: what it pushed is in the log anyway */
}

void hub_http_free(struct hub *hub)
{
    while (hub->jobs != NULL) {
        hub_http_cancel(hub->jobs);
        give_up(hub->jobs);
    }
}
