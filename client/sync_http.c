/* One-shot sync: a round of calls of POST /v1/sync, until everything that can be is asked and answered. */
#include <assert.h>
#include <stdio.h>

#include "client/sync_parts.h"

enum { RETRY_MS = 1000 };

void sync_begin_round(struct sync *sync) { sync->in_round = false; }

/* ---- the request ---- */

/* The next of a space's pushes; false: the call is full. */
static bool add_pushes(struct sync *sync, struct buf *body, struct store_space *space, struct sync_space *here, size_t *count)
{
    const struct store_self *self = store_self(sync->store);
    struct store_push *pushes;
    size_t room = SYNC_HTTP_PUSHES - *count < sync->inflight_max ? SYNC_HTTP_PUSHES - *count : sync->inflight_max;
    size_t bytes_left = body->bytes < SYNC_HTTP_BYTES ? SYNC_HTTP_BYTES - body->bytes : 0;
    if (room == 0 || bytes_left == 0) return false;
    size_t listed = store_push_list(sync->store, &sync->arena, space, 0, room, bytes_left, &pushes);
    uint64_t known = store_push_known(sync->store, space);
    for (size_t i = 0; i < listed; i++) {
        if (sync_holds(self, space, &pushes[i])) continue;
        store_push_mark_sent(sync->store, space, pushes[i].id, pushes[i].sent ? pushes[i].sent_ms : sync->now->server_ms, pushes[i].checked);
        if ((*count)++ > 0) buf_add_char(body, ',');
        sync_render_push(sync, body, space, &pushes[i], known, false);
        here->sent_most = pushes[i].id;
    }
    store_space_put(sync->store, space);
    return true;
}

static size_t add_all_pushes(struct sync *sync, struct buf *body)
{
    int64_t *ids;
    size_t count = 0, spaces = store_spaces_pushing(sync->store, &sync->arena, &ids);
    for (size_t i = 0; i < spaces; i++) {
        struct store_space space = store_space_get(sync->store, ids[i]);
        struct sync_space *here = sync_space_of(sync, ids[i]);
        if (here == NULL) break;
        size_t before = count;
        here->told_id = here->told_sent = here->sent_most = 0;
        sync_settle_old(sync, &space);
        if (!add_pushes(sync, body, &space, here, &count)) break;
        if (count > before) here->answered = false; /* the page that has them is to come */
    }
    return count;
}

/* The important spaces first: one of a lower priority waits until those above are whole. */
static size_t add_opens(struct sync *sync, struct buf *body)
{
    int64_t *ids, tier = INT64_MIN;
    size_t count = 0, spaces = store_spaces_all(sync->store, &sync->arena, &ids);
    for (size_t i = 0; i < spaces && count < SYNC_HTTP_OPENS; i++) {
        struct store_space space = store_space_get(sync->store, ids[i]);
        struct sync_space *here = sync_space_of(sync, ids[i]);
        if (here == NULL || !space.wanted || here->is_closed || (here->answered && !here->in_run)) continue;
        if (count > 0 && space.priority < tier) break;
        tier = space.priority;
        if (count++ > 0) buf_add_char(body, ',');
        sync_render_open(sync, body, &space);
        here->wanted = here->asked = true;
    }
    return count;
}

bool sync_http_request(struct sync *sync, enum sync_mode mode, struct buf *body, const struct store_moment *now)
{
    sync_enter(sync, now);
    arena_reset(&sync->arena);
    assert(sync->state != SYNC_LIVE && sync->state != SYNC_GREETING);
    if (!sync->in_round) sync->spaces_count = 0;
    sync->in_round = sync->in_http = true;
    sync->progress = false;
    sync->mode = mode;
    size_t pushes = 0, opens = 0;
    if (sync_begin(sync, true)) {
        const struct store_self *self = store_self(sync->store);
        buf_add_text(body, "{\"device\":\"");
        buf_add_text(body, self->device);
        if (self->log[0] != '\0') {
            buf_add_text(body, "\",\"log\":\"");
            buf_add_text(body, self->log);
        }
        buf_add_text(body, "\",\"pushes\":[");
        if (mode != SYNC_PULL_ONLY && self->log[0] != '\0') pushes = add_all_pushes(sync, body);
        buf_add_text(body, "],\"opens\":[");
        if (mode != SYNC_PUSH_ONLY) opens = add_opens(sync, body);
        buf_add_text(body, "]}");
        bool first_call = self->log[0] == '\0';
        if (!sync_commit(sync) || !buf_ok(body)) pushes = opens = 0;
        else if (first_call && mode != SYNC_PULL_ONLY && store_push_any(sync->store)) opens++; /* asks which log it is, at least */
        sync->is_soft = false;
    }
    sync->in_http = false;
    if (pushes + opens == 0) sync->in_round = false;
    sync_tell(sync); /* what grew too old is settled by now, whether an answer comes or not */
    return pushes + opens > 0;
}

/* ---- the answer ---- */

static void hear_each(struct sync *sync, struct json_value list, const char *type)
{
    struct json_iter iter = json_elements(list);
    struct json_value entry;
    while (json_next_element(&iter, &entry)) {
        struct span name = sync_word(sync, json_find(entry, "space"));
        struct store_space space = store_space_find(sync->store, name);
        struct sync_space *here = space.id == 0 ? NULL : sync_space_of(sync, space.id);
        if (here == NULL) continue;
        if (type[0] == 'r') sync_hear_result(sync, &space, here, entry);
        else if (type[0] == 'p') sync_hear_page(sync, &space, here, entry);
        else if (type[0] == 'c') sync_hear_current(sync, &space, here, entry);
        else sync_hear_error(sync, &space, here, entry);
        store_space_put(sync->store, &space);
    }
}

static void take_log(struct sync *sync, struct span log)
{
    struct store_self *self = store_self(sync->store);
    int64_t *ids;
    if (log.bytes == 0 || log.bytes > LOG_NAME_BYTES_MAX || span_is(log, self->log)) return;
    bool another = self->log[0] != '\0';
    snprintf(self->log, sizeof self->log, "%.*s", (int)log.bytes, log.at);
    sync->progress = true;
    size_t count = another ? store_spaces_all(sync->store, &sync->arena, &ids) : 0;
    for (size_t i = 0; i < count; i++) {
        struct store_space space = store_space_get(sync->store, ids[i]);
        sync_settle_reset(sync, &space, true);
        store_space_put(sync->store, &space);
        sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_RESET, .space = span_text(space.name)});
    }
}

static void take_answer(struct sync *sync, struct json_value answer)
{
    struct json_value closed = json_find(answer, "closed"), entry;
    struct json_iter iter = json_elements(closed);
    take_log(sync, sync_word(sync, json_find(answer, "log")));
    hear_each(sync, json_find(answer, "results"), "result");
    hear_each(sync, json_find(answer, "errors"), "error");
    while (json_next_element(&iter, &entry)) sync_hear(sync, entry);
    hear_each(sync, json_find(answer, "pages"), "page");
    hear_each(sync, json_find(answer, "current"), "current");
}

/* What is left to ask. */
static bool any_left(struct sync *sync)
{
    for (size_t i = 0; i < sync->spaces_count; i++) {
        const struct sync_space *here = &sync->spaces[i];
        if (here->asked && !here->is_closed && (!here->answered || here->in_run)) return true;
    }
    return false;
}

static enum sync_http conclude(struct sync *sync, struct json_value answer, int64_t *ret_retry_ms)
{
    int64_t *ids;
    uint64_t retry = sync_number(answer, "retry");
    bool opens_left = any_left(sync), pushes_left = sync->mode != SYNC_PULL_ONLY && store_push_any(sync->store);
    size_t spaces = store_spaces_all(sync->store, &sync->arena, &ids);
    for (size_t i = 0; i < spaces && sync->mode != SYNC_PUSH_ONLY; i++) {
        struct store_space space = store_space_get(sync->store, ids[i]);
        struct sync_space *here = sync_space_of(sync, ids[i]);
        if (here != NULL && space.wanted && !here->is_closed && !here->answered) opens_left = true;
    }
    if (!opens_left && !pushes_left) {
        sync->in_round = false;
        return SYNC_HTTP_DONE;
    }
    if (sync->progress && retry == 0) return SYNC_HTTP_MORE;
    *ret_retry_ms = retry > 0 ? (int64_t)retry : RETRY_MS;
    return SYNC_HTTP_RETRY;
}

static bool refuse_log(struct sync *sync, struct json_value answer)
{
    bool good = json_string_is(json_find(answer, "code"), "log") && sync_begin(sync, true);
    if (good) take_log(sync, sync_word(sync, json_find(answer, "log")));
    return good && sync_commit(sync) && sync->progress;
}

enum sync_http sync_http_answer(struct sync *sync, unsigned status, struct span body, int64_t *ret_retry_ms, const struct store_moment *now)
{
    struct json_value answer;
    enum sync_http what = SYNC_HTTP_RETRY;
    sync_enter(sync, now);
    arena_reset(&sync->arena);
    *ret_retry_ms = *ret_retry_ms > 0 ? *ret_retry_ms : RETRY_MS;
    bool good = json_check_depth(body, 64, &answer, NULL) && answer.type == JSON_OBJECT;
    sync->in_http = true;
    if (status == 401 || status == 403) {
        what = SYNC_HTTP_TOKEN;
        sync_want_token(sync);
    } else if (status == 409 && good) {
        what = refuse_log(sync, answer) ? SYNC_HTTP_MORE : SYNC_HTTP_RETRY;
    } else if (status >= 400 && status < 500 && status != 429 && status != 408) {
        what = SYNC_HTTP_FAILED;
    } else if (status == 200 && good && sync_begin(sync, false)) {
        take_answer(sync, answer);
        if (sync_commit(sync)) {
            sync_fork_step(sync);
            what = conclude(sync, answer, ret_retry_ms);
        }
    }
    if (what == SYNC_HTTP_RETRY || what == SYNC_HTTP_FAILED)
        snprintf(sync->why, sizeof sync->why, "POST /v1/sync: %u", status);
    if (what == SYNC_HTTP_FAILED || what == SYNC_HTTP_TOKEN) sync->in_round = false;
    sync->in_http = false;
    sync_tell(sync);
    return what;
}
