/* The HTTP calls that only ask: documents, conflicts, presence, offsets. */
#include <stdlib.h>

#include "core/name.h"
#include "gateway/hub_http_parts.h"

/* ---- questions ---- */

static void answer_docs(struct hub_http_job *job, const struct link_tell *tell)
{
    const struct page *page = tell->page;
    struct buf body;
    struct cursor from = {.place = page->from, .has_floor = page->from_has_floor, .floor = page->from_floor};
    struct cursor to = {.place = page->to, .has_floor = page->to_has_floor, .floor = page->to_floor};
    struct span scope = blob_span(job->name); /* with the collection in it: foreign to any other call */
    if (page->parts_count != 1 || (page->parts[0].role == ROLE_NONE && !page->parts[0].may_found)) {
        hub_http_answer_error(job, ERR_FORBIDDEN, NULL);
        return;
    }
    struct span space = job->collection.bytes == 0 ? scope : span_of(scope.at, scope.bytes - job->collection.bytes - 1);
    buf_init(&body, HTTP_BODY_BYTES_MAX);
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
    if (buf_ok(&body)) hub_http_answer_with(job, 200, buf_span(&body), 0);
    else hub_http_answer_error(job, ERR_TOO_LARGE, NULL);
    buf_fini(&body);
}

void hub_http_body(struct hub_http_job *job, const struct link_tell *tell)
{
    if (tell->err != ERR_OK) hub_http_answer_error(job, tell->err, NULL);
    else if (tell->kind == LINK_PAGE) answer_docs(job, tell);
    else hub_http_answer_with(job, 200, blob_span(tell->frame), 0);
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

void hub_http_start_question(struct hub_http_job *job, struct span space, struct span what, struct span query)
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
        hub_http_answer_error(job, ERR_INVALID, "since, collection or limit is malformed");
        return;
    }
    job->stage = JOB_ASKING;
    job->until_ms = hub->now_ms + HTTP_WAIT_MS * 2;
    struct hub_body body = {.kind = BODY_HTTP, .job = job, .space = hub_space_take(hub, space)};
    if (body.space != NULL && hub_space_is_unknown(hub, body.space)) {
        hub_space_put(hub, body.space);
        hub_http_answer_error(job, ERR_UNKNOWN_SPACE, NULL);
    } else if (body.space == NULL || !hub_body_ask(hub, &body, &ask)) {
        if (body.space != NULL) hub_space_put(hub, body.space);
        hub_http_answer_error(job, ERR_BUSY, NULL);
    }
}

static void user_told(void *ctx, enum err err, const struct registry_user *user)
{
    static const char *const states[] = {"offline", "idle", "online"};
    struct hub_http_job *job = ctx;
    struct buf body;
    if (err != ERR_OK) {
        hub_http_answer_error(job, ERR_BUSY, NULL);
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
    hub_http_answer_with(job, 200, buf_span(&body), 0);
    buf_fini(&body);
}

static void offsets_told(void *ctx, enum err err, const struct registry_offset *offsets, size_t count)
{
    struct hub_http_job *job = ctx;
    struct buf body;
    if (err != ERR_OK) {
        hub_http_answer_error(job, ERR_BUSY, NULL);
        return;
    }
    buf_init(&body, HTTP_BODY_BYTES_MAX);
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
    hub_http_answer_with(job, 200, buf_span(&body), 0);
    buf_fini(&body);
}


void hub_http_start_user(struct hub_http_job *job, struct span user)
{
    struct registry *registry = job->hub->options.registry;
    bool own = span_equal(user, span_of(job->credentials.user, job->credentials.user_bytes));
    job->name = blob_make(user);
    job->until_ms = job->hub->now_ms + HTTP_WAIT_MS * 2;
    if (!name_is_user(user)) hub_http_answer_error(job, ERR_INVALID, "not a user's name");
    else if (!own && !job->credentials.admin) hub_http_answer_error(job, ERR_FORBIDDEN, "another's presence needs an admin token");
    else if (job->name == NULL) hub_http_answer_error(job, ERR_BUSY, NULL);
    else registry->ops->get_user(registry, user, job, user_told);
}

void hub_http_start_offsets(struct hub_http_job *job, struct span device)
{
    struct registry *registry = job->hub->options.registry;
    job->name = blob_make(device);
    job->until_ms = job->hub->now_ms + HTTP_WAIT_MS * 2;
    if (!name_is_device(device)) hub_http_answer_error(job, ERR_INVALID, "not a device's id");
    else if (job->name == NULL) hub_http_answer_error(job, ERR_BUSY, NULL);
    else registry->ops->get_offsets(registry, span_of(job->credentials.user, job->credentials.user_bytes), device, job, offsets_told);
}
