/* The HTTP calls, as jobs: each ends in one answer. Pushes and opens run through a session of their own that has no
 * socket, displaces nobody and shows nobody as present: so they take the very path that a device's frames take.
 *
 * STATES of a sync  PUSHING (until every push has an outcome or an error, at most WAIT_MS) -> OPENING -> answered. */
#include "gateway/hub_http.h"

#include <assert.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/name.h"
#include "gateway/hub_parts.h"

enum { WAIT_MS = 5000, SYNC_BYTES_MAX = 33554432, SYNC_PUSHES_MAX = 1024, BUSY_RETRY_S = 1 };
enum job_stage { JOB_PUSHING, JOB_OPENING, JOB_ASKING };
enum job_list { LIST_RESULTS, LIST_PAGES, LIST_CURRENT, LIST_CLOSED, LIST_ERRORS, LISTS };

struct awaited {
    uint64_t id;
    bool done;
};

struct hub_http_job {
    struct hub_http_job *next, *prev;
    struct hub *hub;
    void *ctx;
    void (*done)(void *ctx, const struct hub_http_answer *answer);
    struct hub_session *session; /* virtual; NULL for mere questions */
    struct hub_credentials credentials;
    enum job_stage stage;
    bool is_sync;                /* else one backend's push */
    bool *gone;                  /* told when the job ends inside hub_http_start() */
    uint64_t retry_ms;
    int64_t until_ms;
    struct blob *body;           /* the request's, for the opens that come after the pushes */
    struct json_value opens;
    size_t awaited_count;
    struct awaited *awaited;
    size_t opens_waiting;
    struct buf lists[LISTS];
    size_t pending_count;
    struct span collection;      /* of GET docs; into `name` */
    struct blob *name;           /* the space, and behind it the collection */
};

static void answer_with(struct hub_http_job *job, unsigned status, struct span body, unsigned retry_after_s)
{
    struct blob *blob = blob_make(body);
    struct hub_http_answer answer = {.status = blob == NULL ? 503 : status, .retry_after_s = retry_after_s, .body = blob};
    void (*done)(void *ctx, const struct hub_http_answer *answer) = job->done;
    void *ctx = job->ctx;
    if (job->gone != NULL) *job->gone = true;
    if (job->prev != NULL) job->prev->next = job->next;
    else job->hub->jobs = job->next;
    if (job->next != NULL) job->next->prev = job->prev;
    if (job->session != NULL) {
        job->session->job = NULL; /* what the session says from here on goes nowhere */
        hub_session_free(job->session);
    }
    for (int i = 0; i < LISTS; i++) buf_fini(&job->lists[i]);
    hub_credentials_fini(&job->credentials);
    blob_put(job->body);
    blob_put(job->name);
    free(job->awaited);
    free(job);
    if (done != NULL) done(ctx, &answer);
    blob_put(blob);
}

static unsigned status_of(enum err code)
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

static void answer_error(struct hub_http_job *job, enum err code, const char *message)
{
    struct buf body;
    unsigned status = status_of(code);
    buf_init(&body, 4096);
    buf_add_text(&body, "{\"code\":\"");
    buf_add_text(&body, err_name(code));
    buf_add_text(&body, "\",\"message\":");
    buf_add_json_string(&body, span_text(message == NULL ? err_text(code) : message));
    buf_add_char(&body, '}');
    answer_with(job, status, buf_span(&body), status == 429 || status == 503 ? BUSY_RETRY_S : 0);
    buf_fini(&body);
}

/* ---- what the virtual session hears ---- */

static void list_add(struct hub_http_job *job, enum job_list list, struct span item)
{
    struct buf *out = &job->lists[list];
    if (out->bytes > 0) buf_add_char(out, ',');
    buf_add_span(out, item);
}

static void settle(struct hub_http_job *job, struct json_value frame)
{
    int64_t id;
    if (!json_integer(json_find(frame, "id"), &id)) return;
    for (size_t i = 0; i < job->awaited_count; i++) {
        if (job->awaited[i].id != (uint64_t)id || job->awaited[i].done) continue;
        job->awaited[i].done = true;
        job->pending_count--;
        return;
    }
}

void hub_http_collect(struct hub_http_job *job, enum hub_frame_kind kind, struct span text)
{
    struct json_value frame, spaces, entry;
    if (!json_check(text, &frame, NULL)) return; /* our own frames: always well-formed */
    switch (kind) {
    case OUT_RESULT:
        list_add(job, LIST_RESULTS, text);
        settle(job, frame);
        break;
    case OUT_ERROR: {
        int64_t retry;
        list_add(job, LIST_ERRORS, text);
        if (json_integer(json_find(frame, "retry"), &retry) && (uint64_t)retry > job->retry_ms) job->retry_ms = (uint64_t)retry;
        settle(job, frame);
        if (json_find(frame, "id").type == JSON_NONE && job->opens_waiting > 0) job->opens_waiting--;
        break;
    }
    case OUT_PAGE:
        list_add(job, LIST_PAGES, text);
        job->opens_waiting--;
        break;
    case OUT_CURRENT:
        spaces = json_find(frame, "spaces");
        struct json_iter iter = json_elements(spaces);
        while (json_next_element(&iter, &entry)) {
            list_add(job, LIST_CURRENT, entry.raw);
            job->opens_waiting--;
        }
        break;
    case OUT_CLOSED:
        list_add(job, LIST_CLOSED, text);
        job->opens_waiting--;
        break;
    case OUT_ACK: case OUT_UPDATE: case OUT_DROPPABLE: case OUT_OTHER: break;
    }
}

/* ---- POST /v1/sync ---- */

static void add_list(struct buf *out, const char *name, const struct buf *list)
{
    buf_add_text(out, ",\"");
    buf_add_text(out, name);
    buf_add_text(out, "\":[");
    buf_add_span(out, buf_span(list));
    buf_add_char(out, ']');
}

static void answer_sync(struct hub_http_job *job)
{
    static const char *const names[LISTS] = {"results", "pages", "current", "closed", "errors"};
    struct buf body;
    bool first = true, good = true;
    buf_init(&body, SYNC_BYTES_MAX * 2);
    buf_add_text(&body, "{\"log\":\"");
    buf_add_span(&body, job->hub->log);
    buf_add_char(&body, '"');
    for (int i = 0; i < LISTS; i++) {
        good = good && buf_ok(&job->lists[i]);
        add_list(&body, names[i], &job->lists[i]);
    }
    buf_add_text(&body, ",\"pending\":[");
    for (size_t i = 0; i < job->awaited_count; i++) {
        if (job->awaited[i].done) continue;
        if (!first) buf_add_char(&body, ',');
        first = false;
        buf_add_u64(&body, job->awaited[i].id);
    }
    buf_add_text(&body, "],\"retry\":");
    buf_add_u64(&body, job->retry_ms);
    buf_add_char(&body, '}');
    if (good && buf_ok(&body)) answer_with(job, 200, buf_span(&body), 0);
    else answer_error(job, ERR_TOO_LARGE, "more pages than one call can carry: open fewer spaces");
    buf_fini(&body);
}

static void open_all(struct hub_http_job *job)
{
    struct json_iter iter = json_elements(job->opens);
    struct json_value entry;
    struct blob *ref = blob_make(SPAN_LITERAL("0"));
    job->stage = JOB_OPENING;
    job->until_ms = job->hub->now_ms + WAIT_MS * 2;
    job->opens_waiting = json_count(job->opens);
    while (ref != NULL && json_next_element(&iter, &entry)) {
        struct frame_open open;
        const char *why;
        arena_reset(&job->hub->arena);
        /* Judged when the call came in: it decodes again. */
        if (frame_decode_open(entry, &job->hub->arena, &open, &why) == ERR_OK && why == NULL)
            hub_open_space(job->session, &open, ref, true, false);
    }
    blob_put(ref);
}

/* Goes on when what it waited for is there. May answer: the job is gone then. */
static void go_on(struct hub_http_job *job)
{
    if (job->stage == JOB_PUSHING && job->is_sync && (job->pending_count == 0 || job->hub->now_ms >= job->until_ms)) open_all(job);
    if (job->stage == JOB_OPENING && (job->opens_waiting == 0 || job->hub->now_ms >= job->until_ms)) {
        answer_sync(job);
        return;
    }
    if (job->is_sync || job->stage != JOB_PUSHING) return;
    struct json_value outcome;
    if (job->lists[LIST_RESULTS].bytes > 0 && json_check(buf_span(&job->lists[LIST_RESULTS]), &outcome, NULL)) {
        struct span code = json_inside(json_find(outcome, "code"));
        enum err err = code.bytes == 0 ? ERR_OK : err_find(code.at, code.bytes);
        if (err == ERR_COUNT) err = ERR_INTERNAL;
        answer_with(job, status_of(err), buf_span(&job->lists[LIST_RESULTS]), 0);
    } else if (job->lists[LIST_ERRORS].bytes > 0 && json_check(buf_span(&job->lists[LIST_ERRORS]), &outcome, NULL)) {
        struct span code = json_inside(json_find(outcome, "code"));
        enum err err = err_find(code.at, code.bytes);
        answer_error(job, err == ERR_COUNT ? ERR_INTERNAL : err, err == ERR_FORKED ? "this key was used before for other operations" : NULL);
    } else if (job->hub->now_ms >= job->until_ms) {
        answer_error(job, ERR_BUSY, "in the log, but its outcome took too long: call again with the same key");
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
    memcpy(session->device, device.at, device.bytes);
    return session;
}

static void start_sync_pushes(struct hub_http_job *job, struct json_value pushes)
{
    struct json_iter iter = json_elements(pushes);
    struct json_value entry;
    job->stage = JOB_PUSHING;
    job->until_ms = job->hub->now_ms + WAIT_MS;
    while (json_next_element(&iter, &entry)) {
        struct frame frame;
        arena_reset(&job->hub->arena);
        if (frame_decode_push(entry, &job->hub->arena, &frame) != ERR_OK || frame.type != FRAME_PUSH) {
            hub_send_error(job->session, ERR_BAD_FRAME, frame.why, frame.ref, frame.has_id, frame.id, frame.space, 0);
            continue;
        }
        job->awaited[job->awaited_count++] = (struct awaited){.id = frame.id};
        job->pending_count++;
        hub_push_append(job->session, &frame, true);
    }
}

static const char *check_sync(struct hub_http_job *job, struct json_value body, struct span *ret_device)
{
    struct json_value device = json_find(body, "device"), pushes = json_find(body, "pushes"), opens = json_find(body, "opens"), entry;
    struct json_iter iter = json_elements(opens);
    *ret_device = json_inside(device);
    if (body.type != JSON_OBJECT || frame_repeats_key(body)) return "the body must be a JSON object without repeated keys";
    if (device.type != JSON_STRING || !name_is_device(*ret_device)) return "device: must be [A-Za-z0-9_-]{8,64}";
    if (pushes.type != JSON_ARRAY && pushes.type != JSON_NONE) return "pushes: must be an array";
    if (opens.type != JSON_ARRAY && opens.type != JSON_NONE) return "opens: must be an array";
    if (json_count(pushes) > SYNC_PUSHES_MAX || json_count(opens) > LIMIT_SPACES_MAX) return "more pushes or opens than one call may hold";
    while (json_next_element(&iter, &entry)) {
        struct frame_open open;
        const char *why;
        arena_reset(&job->hub->arena);
        if (frame_decode_open(entry, &job->hub->arena, &open, &why) != ERR_OK) return "out of memory";
        if (why != NULL) return why;
    }
    return NULL;
}

static void start_sync(struct hub_http_job *job, struct json_value body)
{
    struct span device;
    struct json_value log = json_find(body, "log");
    const char *why = check_sync(job, body, &device);
    if (why != NULL) {
        answer_error(job, ERR_INVALID, why);
        return;
    }
    if (log.type == JSON_STRING && !span_equal(json_inside(log), job->hub->log)) {
        struct buf *out = &job->lists[LIST_ERRORS];
        buf_add_text(out, "{\"code\":\"log\",\"message\":\"made under another log: treat every space as reset\",\"log\":\"");
        buf_add_span(out, job->hub->log);
        buf_add_text(out, "\"}");
        answer_with(job, 409, buf_span(out), 0);
        return;
    }
    job->is_sync = true;
    job->opens = json_find(body, "opens");
    job->awaited = calloc(json_count(json_find(body, "pushes")) + 1, sizeof *job->awaited);
    job->session = make_session(job, device);
    if (job->session == NULL || job->awaited == NULL) {
        answer_error(job, ERR_BUSY, NULL);
        return;
    }
    start_sync_pushes(job, json_find(body, "pushes"));
    go_on(job);
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

static void start_push(struct hub_http_job *job, struct span space, struct json_value body)
{
    struct json_value key = json_find(body, "key");
    struct frame frame = {.type = FRAME_PUSH, .space = space, .ops = json_find(body, "ops")};
    if (body.type != JSON_OBJECT || frame_repeats_key(body) || frame.ops.type != JSON_ARRAY) {
        answer_error(job, ERR_INVALID, "ops: must be an array, and no key repeated");
        return;
    }
    if (key.type != JSON_NONE && (key.type != JSON_STRING || json_inside(key).bytes == 0 || key.raw.bytes > 512)) {
        answer_error(job, ERR_INVALID, "key: must be a string of 1 to 510 bytes");
        return;
    }
    struct buf *device = &job->lists[LIST_CURRENT];
    if (key.type == JSON_STRING && device_of_key(json_inside(key), device)) frame.id = 1;
    job->session = make_session(job, buf_span(device));
    job->awaited = calloc(1, sizeof *job->awaited);
    if (job->session == NULL || job->awaited == NULL || (key.type == JSON_STRING && frame.id == 0)) {
        answer_error(job, ERR_BUSY, NULL);
        return;
    }
    job->awaited[job->awaited_count++] = (struct awaited){.id = frame.id};
    job->pending_count = 1;
    job->stage = JOB_PUSHING;
    job->until_ms = job->hub->now_ms + WAIT_MS;
    hub_push_append(job->session, &frame, frame.id != 0);
    go_on(job);
}

/* ---- questions ---- */

static void answer_docs(struct hub_http_job *job, const struct link_tell *tell)
{
    const struct page *page = tell->page;
    struct buf body;
    struct cursor from = {.place = page->from, .has_floor = page->from_has_floor, .floor = page->from_floor};
    struct cursor to = {.place = page->to, .has_floor = page->to_has_floor, .floor = page->to_floor};
    struct span scope = blob_span(job->name); /* with the collection in it: foreign to any other call */
    if (page->parts_count != 1 || (page->parts[0].role == ROLE_NONE && !page->parts[0].may_found)) {
        answer_error(job, ERR_FORBIDDEN, NULL);
        return;
    }
    struct span space = job->collection.bytes == 0 ? scope : span_of(scope.at, scope.bytes - job->collection.bytes - 1);
    buf_init(&body, SYNC_BYTES_MAX);
    buf_add_text(&body, "{\"type\":\"page\",\"space\":");
    buf_add_json_string(&body, space);
    buf_add_text(&body, page->from_null ? ",\"from\":null" : ",\"from\":\"");
    if (!page->from_null) {
        cursor_encode(&body, job->hub->log, scope, &from);
        buf_add_char(&body, '"');
    }
    buf_add_text(&body, ",\"to\":\"");
    cursor_encode(&body, job->hub->log, scope, &to);
    buf_add_text(&body, page->reset ? "\",\"reset\":true,\"docs\":" : "\",\"docs\":");
    buf_add_span(&body, page->docs);
    buf_add_text(&body, page->more ? ",\"more\":true,\"pushed\":0" : ",\"more\":false,\"pushed\":0,\"refused\":[],\"window\":");
    if (!page->more) {
        buf_add_u64(&body, page->window_s);
        if (job->collection.bytes == 0) {
            buf_add_text(&body, ",\"sum\":");
            buf_add_span(&body, page->sum);
        }
    }
    buf_add_char(&body, '}');
    if (buf_ok(&body)) answer_with(job, 200, buf_span(&body), 0);
    else answer_error(job, ERR_TOO_LARGE, NULL);
    buf_fini(&body);
}

void hub_http_body(struct hub_http_job *job, const struct link_tell *tell)
{
    if (tell->err != ERR_OK) answer_error(job, tell->err, NULL);
    else if (tell->kind == LINK_PAGE) answer_docs(job, tell);
    else answer_with(job, 200, blob_span(tell->frame), 0);
}

/* The value of a query's parameter, percent-decoded into `room`; absent: empty. False: malformed or too long. */
static bool query_value(struct span query, const char *name, char *room, size_t room_bytes, struct span *ret_value)
{
    size_t name_bytes = strlen(name);
    *ret_value = span_of(room, 0);
    while (query.bytes > 0) {
        const char *stop = memchr(query.at, '&', query.bytes);
        struct span item = span_of(query.at, stop == NULL ? query.bytes : (size_t)(stop - query.at));
        query = stop == NULL ? span_of(NULL, 0) : span_of(stop + 1, query.bytes - item.bytes - 1);
        if (item.bytes <= name_bytes || memcmp(item.at, name, name_bytes) != 0 || item.at[name_bytes] != '=') continue;
        size_t at = 0;
        for (size_t i = name_bytes + 1; i < item.bytes; i++, at++) {
            char c = item.at[i];
            if (at == room_bytes) return false;
            if (c == '%') {
                char hex[3] = {0};
                char *end;
                if (i + 2 >= item.bytes) return false;
                memcpy(hex, item.at + i + 1, 2);
                c = (char)strtol(hex, &end, 16);
                if (end != hex + 2) return false;
                i += 2;
            }
            room[at] = c;
        }
        *ret_value = span_of(room, at);
        return true;
    }
    return true;
}

static bool number_of(struct span text, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || i > 9) return false;
        number = number * 10 + (uint64_t)(text.at[i] - '0');
    }
    *ret_number = number;
    return true;
}

/* Fills what a page is asked from; false: malformed. */
static bool read_docs_query(struct hub_http_job *job, struct span space, struct span query, struct link_ask *ask)
{
    char room[256], name[LIMIT_COLLECTION_BYTES_MAX];
    struct span value, collection;
    struct cursor cursor;
    uint64_t limit;
    struct buf scope;
    if (!query_value(query, "collection", name, sizeof name, &collection)) return false;
    if (collection.bytes > 0 && !name_is_collection(collection)) return false;
    buf_init(&scope, LIMIT_SPACE_BYTES_MAX + LIMIT_COLLECTION_BYTES_MAX + 1);
    buf_add_span(&scope, space);
    if (collection.bytes > 0) {
        buf_add_char(&scope, '#');
        buf_add_span(&scope, collection);
    }
    job->name = blob_make(buf_span(&scope));
    buf_fini(&scope);
    if (job->name == NULL) return false;
    job->collection = span_of(job->name->text + job->name->bytes - collection.bytes, collection.bytes);
    if (!query_value(query, "limit", room, sizeof room, &value) || !number_of(value, &limit)) return false;
    ask->docs_max = (size_t)limit;
    ask->collection = job->collection;
    ask->run = (struct page_run){.from_nothing = true};
    if (!query_value(query, "since", room, sizeof room, &value)) return false;
    if (cursor_decode(value, job->hub->log, blob_span(job->name), &cursor) == CURSOR_GOOD)
        ask->run = (struct page_run){.place = cursor.place, .has_floor = cursor.has_floor, .floor = cursor.floor};
    return true;
}

static void start_question(struct hub_http_job *job, struct span space, struct span what, struct span query)
{
    struct hub *hub = job->hub;
    struct link_ask ask = {.space = space, .waiters_count = 1};
    struct page_waiter waiter = {.user = span_of(job->credentials.user, job->credentials.user_bytes)};
    struct json_value grants = {.type = JSON_NONE};
    if (job->credentials.grants != NULL) grants = (struct json_value){.type = JSON_OBJECT, .raw = blob_span(job->credentials.grants)};
    waiter.granted = access_granted(grants, job->credentials.admin, space);
    ask.waiters = &waiter;
    ask.kind = span_is(what, "docs") ? LINK_PULL : span_is(what, "conflicts") ? LINK_CONFLICTS : LINK_WHO;
    if (ask.kind == LINK_PULL && !read_docs_query(job, space, query, &ask)) {
        answer_error(job, ERR_INVALID, "since, collection or limit is malformed");
        return;
    }
    job->stage = JOB_ASKING;
    job->until_ms = hub->now_ms + WAIT_MS * 2;
    struct hub_body body = {.kind = BODY_HTTP, .job = job, .space = hub_space_take(hub, space)};
    if (body.space != NULL && body.space->rules == NULL && hub->rules.count > 0) {
        hub_space_put(hub, body.space);
        answer_error(job, ERR_UNKNOWN_SPACE, NULL);
    } else if (body.space == NULL || !hub_body_ask(hub, &body, &ask)) {
        if (body.space != NULL) hub_space_put(hub, body.space);
        answer_error(job, ERR_BUSY, NULL);
    }
}

static void user_told(void *ctx, enum err err, const struct registry_user *user)
{
    static const char *const states[] = {"offline", "idle", "online"};
    struct hub_http_job *job = ctx;
    struct buf body;
    if (err != ERR_OK) {
        answer_error(job, ERR_BUSY, NULL);
        return;
    }
    buf_init(&body, 4096);
    buf_add_text(&body, "{\"user\":");
    buf_add_json_string(&body, blob_span(job->name));
    buf_add_text(&body, ",\"state\":\"");
    buf_add_text(&body, states[user->state]);
    buf_add_text(&body, "\",\"last_seen\":");
    buf_add_i64(&body, user->last_seen_ms);
    buf_add_char(&body, '}');
    answer_with(job, 200, buf_span(&body), 0);
    buf_fini(&body);
}

static void offsets_told(void *ctx, enum err err, const struct registry_offset *offsets, size_t count)
{
    struct hub_http_job *job = ctx;
    struct buf body;
    if (err != ERR_OK) {
        answer_error(job, ERR_BUSY, NULL);
        return;
    }
    buf_init(&body, SYNC_BYTES_MAX);
    buf_add_text(&body, "{\"device\":");
    buf_add_json_string(&body, blob_span(job->name));
    buf_add_text(&body, ",\"offsets\":{");
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_add_char(&body, ',');
        buf_add_json_string(&body, offsets[i].space);
        buf_add_char(&body, ':');
        buf_add_json_string(&body, offsets[i].cursor);
    }
    buf_add_text(&body, "}}");
    answer_with(job, 200, buf_span(&body), 0);
    buf_fini(&body);
}

/* ---- routing ---- */

/* Takes the path's next part off: up to a '/', or the rest. */
static struct span next_part(struct span *path)
{
    const char *slash = path->bytes == 0 ? NULL : memchr(path->at, '/', path->bytes);
    struct span part = span_of(path->at, slash == NULL ? path->bytes : (size_t)(slash - path->at));
    *path = slash == NULL ? span_of(NULL, 0) : span_of(slash + 1, path->bytes - part.bytes - 1);
    return part;
}

static void route_space(struct hub_http_job *job, const struct hub_http_request *request, struct span space, struct span what, struct json_value body)
{
    bool question = span_is(what, "docs") || span_is(what, "conflicts") || span_is(what, "presence");
    if (!name_is_space(space)) answer_error(job, ERR_INVALID, "not a space's name");
    else if (question && !request->post) start_question(job, space, what, request->query);
    else if (span_is(what, "push") && request->post) start_push(job, space, body);
    else answer_error(job, ERR_UNKNOWN_SPACE, "no such call");
}

static void route(struct hub_http_job *job, const struct hub_http_request *request)
{
    struct registry *registry = job->hub->options.registry;
    struct span path = request->path, head = next_part(&path), name = next_part(&path), what = next_part(&path);
    struct span own = span_of(job->credentials.user, job->credentials.user_bytes);
    struct json_value body = {.type = JSON_NONE};
    if (path.at != NULL) head = span_of(NULL, 0); /* too many parts: no such call */
    if (request->post && !json_check(blob_span(job->body), &body, NULL)) {
        answer_error(job, ERR_INVALID, "the body must be strict JSON");
    } else if (span_is(head, "sync") && name.bytes == 0 && request->post) {
        start_sync(job, body);
    } else if (span_is(head, "spaces") && what.bytes > 0) {
        route_space(job, request, name, what, body);
    } else if (span_is(head, "users") && span_is(what, "presence") && !request->post) {
        job->name = blob_make(name);
        if (!span_equal(name, own) && !job->credentials.admin) answer_error(job, ERR_FORBIDDEN, "another's presence needs an admin token");
        else if (job->name == NULL) answer_error(job, ERR_BUSY, NULL);
        else registry->ops->get_user(registry, name, job, user_told);
    } else if (span_is(head, "devices") && span_is(what, "offsets") && !request->post) {
        job->name = blob_make(name);
        if (job->name == NULL) answer_error(job, ERR_BUSY, NULL);
        else registry->ops->get_offsets(registry, own, name, job, offsets_told);
    } else {
        answer_error(job, ERR_UNKNOWN_SPACE, "no such call");
    }
}

/* Bodies that come by HTTP may hold line ends, which frames may not: each becomes a space. */
static struct blob *copy_body(struct span body)
{
    struct blob *copy = blob_make(body);
    for (size_t i = 0; copy != NULL && i < copy->bytes; i++)
        if (copy->text[i] == '\n' || copy->text[i] == '\r') copy->text[i] = ' ';
    return copy;
}

struct hub_http_job *hub_http_start(struct hub *hub, const struct hub_http_request *request, int64_t now_ms, void *ctx,
                                    void (*done)(void *ctx, const struct hub_http_answer *answer))
{
    struct hub_http_job *job = calloc(1, sizeof *job);
    hub->now_ms = now_ms;
    if (job == NULL) {
        struct hub_http_answer answer = {.status = 503, .retry_after_s = BUSY_RETRY_S};
        hub_credentials_fini(request->credentials);
        done(ctx, &answer);
        return NULL;
    }
    job->hub = hub;
    job->ctx = ctx;
    job->done = done;
    job->stage = JOB_ASKING;
    job->until_ms = INT64_MAX;
    job->credentials = *request->credentials;
    *request->credentials = (struct hub_credentials){0};
    for (int i = 0; i < LISTS; i++) buf_init(&job->lists[i], SYNC_BYTES_MAX);
    job->next = hub->jobs;
    if (job->next != NULL) job->next->prev = job;
    hub->jobs = job;
    bool gone = false;
    job->gone = &gone;
    job->body = copy_body(request->body);
    if (job->body == NULL) answer_error(job, ERR_BUSY, NULL);
    else route(job, request);
    if (gone) return NULL;
    job->gone = NULL;
    return job;
}

/* A question whose owner does not answer. */
static void give_up(struct hub_http_job *job)
{
    struct map_node *node = NULL;
    while ((node = map_next(&job->hub->bodies, node)) != NULL) {
        struct hub_body *body = (struct hub_body *)((char *)node - offsetof(struct hub_body, node));
        if (body->job == job) body->job = NULL;
    }
    answer_error(job, ERR_BUSY, NULL);
}

void hub_http_tick(struct hub *hub)
{
    struct hub_http_job *job = hub->jobs;
    while (job != NULL) {
        struct hub_http_job *next = job->next;
        if (job->stage != JOB_ASKING) go_on(job);
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
