/* Syncing: spaces that are wanted, starting and stopping, once, barriers, status. */
#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "client/tide_parts.h"
#include "core/name.h"

enum { SYNC_BODY_BYTES_MAX = 4194304 };

/* ---- spaces ---- */

enum tide_code tide_subscribe(struct tide *tide, const char *space, const struct tide_space_options *options)
{
    struct store_moment now = tide_now(tide);
    if (space == NULL || !name_is_space(span_text(space))) return tide_fail(tide, TIDE_INVALID, "'%.80s' is not the name of a space", space == NULL ? "" : space);
    enum err err = store_begin(tide->store, true);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    struct store_space found = store_space_make(tide->store, span_text(space));
    found.wanted = true;
    found.priority = options == NULL ? 0 : options->priority;
    found.has_tail = options != NULL && options->tail >= 0;
    found.tail = found.has_tail ? (uint64_t)options->tail : 0;
    found.closed[0] = '\0';
    store_space_put(tide->store, &found);
    err = store_commit(tide->store);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    sync_reopen_closed(tide->sync, found.id);
    sync_wrote(tide->sync, &now);
    tide_step(tide);
    return TIDE_OK;
}

enum tide_code tide_unsubscribe(struct tide *tide, const char *space, bool drop_copy)
{
    struct store_moment now = tide_now(tide);
    if (space == NULL) return tide_fail(tide, TIDE_INVALID, "space is needed");
    enum err err = store_begin(tide->store, true);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    struct store_space found = store_space_find(tide->store, span_text(space));
    if (found.id == 0) {
        store_rollback(tide->store);
        return tide_fail(tide, TIDE_NOT_FOUND, "there is no space %.80s here", space);
    }
    found.wanted = false;
    if (drop_copy) store_space_purge(tide->store, &found, now.wall_ms);
    store_space_put(tide->store, &found);
    view_settle(&tide->view, tide->store, now.wall_ms);
    err = store_commit(tide->store);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    sync_wrote(tide->sync, &now);
    tide_step(tide);
    return TIDE_OK;
}

/* ---- live ---- */

enum tide_code tide_start(struct tide *tide, enum tide_mode mode)
{
    struct store_moment now = tide_now(tide);
    enum tide_code code = TIDE_OK;
    if ((unsigned)mode > TIDE_PULL_ONLY) return tide_fail(tide, TIDE_INVALID, "no such mode");
    if (!store_lock(tide->store)) return tide_fail(tide, TIDE_BUSY, "another process syncs this store");
    if (tide->url != NULL) code = tide_need_transport(tide, NULL);
    if (code != TIDE_OK) {
        store_unlock(tide->store);
        return code;
    }
    store_refresh(tide->store);
    now = tide_now(tide);
    tide->started = true;
    sync_start(tide->sync, (enum sync_mode)mode, &now);
    tide_step(tide);
    return TIDE_OK;
}

void tide_stop(struct tide *tide)
{
    tide->started = false;
    sync_stop(tide->sync);
    if (tide->transport != NULL) transport_disconnect(tide->transport);
    store_unlock(tide->store);
    tide_step(tide);
}

enum tide_code tide_set_token(struct tide *tide, const char *token)
{
    struct store_moment now = tide_now(tide);
    if (token == NULL || token[0] == '\0') return tide_fail(tide, TIDE_INVALID, "a token is needed");
    tide->token_given = true;
    sync_set_token(tide->sync, span_text(token), &now);
    tide_step(tide);
    return TIDE_OK;
}

void tide_set_reachable(struct tide *tide, bool reachable)
{
    struct store_moment now = tide_now(tide);
    sync_set_reachable(tide->sync, reachable, &now);
    tide_step(tide);
}

enum tide_code tide_signal(struct tide *tide, const char *space, const char *body)
{
    struct json_value value;
    if (space == NULL || body == NULL || !json_check(span_text(body), &value, NULL)) return tide_fail(tide, TIDE_INVALID, "the body of a signal is JSON");
    if (!sync_signal(tide->sync, span_text(space), value.raw)) return tide_fail(tide, TIDE_OFFLINE, "%s", tide_code_text(TIDE_OFFLINE));
    tide_step(tide);
    return TIDE_OK;
}

enum tide_code tide_history(struct tide *tide, const char *space, const char *collection, uint64_t before, uint64_t limit)
{
    if (space == NULL || collection == NULL) return tide_fail(tide, TIDE_INVALID, "space and collection are needed");
    if (!sync_history(tide->sync, span_text(space), span_text(collection), before, limit)) return tide_fail(tide, TIDE_OFFLINE, "%s", tide_code_text(TIDE_OFFLINE));
    tide_step(tide);
    return TIDE_OK;
}

/* ---- once ---- */

static bool has_answer(void *ctx) { return !((struct tide *)ctx)->posting; }
static bool has_token(void *ctx) { return ((struct tide *)ctx)->token_given; }

static int64_t left_ms(int64_t end_ms)
{
    int64_t now = clock_monotonic_ms();
    return end_ms > now ? end_ms - now : 0;
}

/* One call to one address; TIDE_OK: answered. */
static enum tide_code call_one(struct tide *tide, struct span body, int64_t end_ms)
{
    tide->posting = true;
    tide->post_status = 0;
    if (!transport_post(tide->transport, "/v1/sync", sync_token(tide->sync), body)) {
        tide->posting = false;
        return tide_fail(tide, TIDE_MEMORY, "the call cannot be made");
    }
    if (!tide_run(tide, left_ms(end_ms), has_answer, tide)) {
        transport_abandon(tide->transport);
        tide->posting = false;
        return tide_fail(tide, TIDE_TIMEOUT, "the server did not answer in time");
    }
    return tide->post_status == 0 ? tide_fail(tide, TIDE_OFFLINE, "%s", tide->why) : TIDE_OK;
}

/* To each address that the server's name has, until one answers. Whatever an earlier one got of it, sending it again is safe. */
static enum tide_code call(struct tide *tide, struct span body, int64_t end_ms)
{
    enum tide_code code;
    size_t tries = 0;
    if (tide->machine.post != NULL) {
        buf_reset(&tide->post_body);
        tide->post_retry_ms = 0;
        tide->post_status = tide->machine.post(tide->machine.ctx, body, &tide->post_body);
        return tide->post_status == 0 ? tide_fail(tide, TIDE_OFFLINE, "there was no answer") : TIDE_OK;
    }
    do code = call_one(tide, body, end_ms);
    while (code == TIDE_OFFLINE && ++tries < transport_addresses(tide->transport) && left_ms(end_ms) > 0);
    return code;
}

static bool wait_for_token(struct tide *tide, int64_t end_ms)
{
    if (tide->options.on_token == NULL) return false;
    if (tide->machine.post == NULL) return tide_run(tide, left_ms(end_ms), has_token, tide);
    tide_deliver(tide);
    return has_token(tide);
}

/* Whether to go on: TIDE_OK with *ret_more, or how it ends. */
static enum tide_code go_on(struct tide *tide, int64_t end_ms, bool *ret_more, bool *ret_progress)
{
    struct store_moment now = tide_now(tide);
    int64_t retry_ms = tide->post_retry_ms;
    enum sync_http what = sync_http_answer(tide->sync, tide->post_status, buf_span(&tide->post_body), &retry_ms, &now);
    *ret_more = what != SYNC_HTTP_DONE;
    if (what == SYNC_HTTP_MORE) *ret_progress = true;
    if (what == SYNC_HTTP_DONE || what == SYNC_HTTP_MORE) return TIDE_OK;
    if (what == SYNC_HTTP_FAILED) return tide_fail(tide, TIDE_REFUSED, "%s: %.*s", sync_why(tide->sync), (int)(tide->post_body.bytes < 120 ? tide->post_body.bytes : 120),
                                                   tide->post_body.at == NULL ? "" : tide->post_body.at);
    if (what == SYNC_HTTP_TOKEN) {
        if (wait_for_token(tide, end_ms)) return TIDE_OK;
        return tide_fail(tide, TIDE_UNAUTHORISED, "%s", tide_code_text(TIDE_UNAUTHORISED));
    }
    if (retry_ms >= left_ms(end_ms)) {
        tide->come_back_ms = retry_ms;
        return tide_fail(tide, TIDE_TIMEOUT, "%s; it says to come back in %lld ms", sync_why(tide->sync), (long long)retry_ms);
    }
    if (tide->machine.post == NULL) tide_run(tide, retry_ms, NULL, NULL);
    return TIDE_OK;
}

static enum tide_code take_token(struct tide *tide, int64_t end_ms)
{
    struct store_moment now = tide_now(tide);
    if (sync_token(tide->sync).bytes > 0) return TIDE_OK;
    sync_ask_token(tide->sync, &now);
    return wait_for_token(tide, end_ms) ? TIDE_OK : tide_fail(tide, TIDE_UNAUTHORISED, "there is no token");
}

enum tide_code tide_sync_until(struct tide *tide, enum tide_mode mode, int64_t end_ms, bool (*may_go_on)(void *ctx), void *ctx, bool *ret_progress)
{
    bool more = true;
    if (tide->url == NULL && tide->machine.post == NULL) return tide_fail(tide, TIDE_INVALID, "url is needed");
    enum tide_code code = tide->machine.post != NULL ? TIDE_OK : tide_need_transport(tide, NULL);
    if (code != TIDE_OK) return code;
    store_refresh(tide->store);
    sync_begin_round(tide->sync);
    tide->come_back_ms = 0;
    code = take_token(tide, end_ms);
    while (code == TIDE_OK && more && may_go_on(ctx)) {
        struct store_moment now = tide_now(tide);
        struct buf body;
        buf_init(&body, SYNC_BODY_BYTES_MAX);
        if (!sync_http_request(tide->sync, (enum sync_mode)mode, &body, &now)) more = false;
        else if ((code = call(tide, buf_span(&body), end_ms)) == TIDE_OK) code = go_on(tide, end_ms, &more, ret_progress);
        buf_fini(&body);
        if (code == TIDE_OK && more && left_ms(end_ms) == 0) code = tide_fail(tide, TIDE_TIMEOUT, "there is more than there was time for");
    }
    return code;
}

static bool always(void *ctx)
{
    (void)ctx;
    return true;
}

enum tide_code tide_sync(struct tide *tide, enum tide_mode mode, int64_t timeout_ms)
{
    bool progress = false;
    int64_t end_ms = tide_end_ms(timeout_ms);
    if (tide->url == NULL || (unsigned)mode > TIDE_PULL_ONLY) return tide_fail(tide, TIDE_INVALID, "url and a mode are needed");
    if (tide->started || tide->in_callback) return tide_fail(tide, TIDE_MISUSE, "it syncs already");
    if (tide->transport != NULL && transport_is_foreign(tide->transport)) return tide_fail(tide, TIDE_MISUSE, "not on an attached loop: it blocks");
    if (!store_lock(tide->store)) return tide_fail(tide, TIDE_BUSY, "another process syncs this store");
    store_set_deadline(tide->store, end_ms);
    enum tide_code code = tide_sync_until(tide, mode, end_ms, always, NULL, &progress);
    store_set_deadline(tide->store, 0);
    store_unlock(tide->store);
    tide_deliver(tide);
    return code;
}

/* ---- barriers ---- */

enum tide_code tide_barrier(struct tide *tide, uint64_t *ret_barrier)
{
    int64_t *ids;
    struct arena arena;
    enum tide_code code = TIDE_OK;
    uint64_t last = 0;
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    size_t count = store_spaces_all(tide->store, &arena, &ids);
    enum err err = store_read_err(tide->store);
    if (err != ERR_OK) code = tide_fail_err(tide, err);
    for (size_t i = 0; i < count && code == TIDE_OK; i++) {
        struct store_space space = store_space_get(tide->store, ids[i]);
        if (space.wanted && space.closed[0] == '\0') code = tide_write_ops(tide, space.name, SPAN_LITERAL("[]"), 0, &last);
    }
    arena_fini(&arena);
    if (code != TIDE_OK) return code;
    *ret_barrier = last != 0 ? last : store_self(tide->store)->next_push - 1;
    return TIDE_OK;
}

bool tide_barrier_passed(struct tide *tide, uint64_t barrier)
{
    uint64_t *ids;
    arena_reset(&tide->arena);
    size_t count = store_push_ids(tide->store, &tide->arena, 0, &ids);
    return store_read_err(tide->store) == ERR_OK && (count == 0 || ids[0] > barrier);
}

struct waiting {
    struct tide *tide;
    uint64_t barrier;
};

static bool passed(void *ctx)
{
    const struct waiting *waiting = ctx;
    return tide_barrier_passed(waiting->tide, waiting->barrier);
}

enum tide_code tide_wait_synced(struct tide *tide, int64_t timeout_ms)
{
    struct waiting waiting = {.tide = tide};
    if (tide->in_callback) return tide_fail(tide, TIDE_MISUSE, "not out of a callback: it waits");
    if (tide->transport != NULL && transport_is_foreign(tide->transport)) return tide_fail(tide, TIDE_MISUSE, "not on an attached loop: it blocks");
    enum tide_code code = tide_barrier(tide, &waiting.barrier);
    if (code != TIDE_OK) return code;
    if (tide_run(tide, timeout_ms, passed, &waiting)) return TIDE_OK;
    return tide_fail(tide, TIDE_TIMEOUT, "%s%s", sync_state_name(sync_state(tide->sync)), sync_why(tide->sync)[0] == '\0' ? "" : ", after a connection that ended");
}

/* ---- status ---- */

void tide_status(struct tide *tide, struct tide_status *ret_status)
{
    static const enum tide_state states[] = {[SYNC_STOPPED] = TIDE_STOPPED, [SYNC_WAITING] = TIDE_WAITING, [SYNC_TOKEN] = TIDE_TOKEN, [SYNC_CONNECTING] = TIDE_CONNECTING,
        [SYNC_GREETING] = TIDE_CONNECTING, [SYNC_LIVE] = TIDE_LIVE, [SYNC_CLOSING] = TIDE_WAITING, [SYNC_REPLACED] = TIDE_REPLACED, [SYNC_UNREACHABLE] = TIDE_UNREACHABLE};
    struct tide_status status = {.state = states[sync_state(tide->sync)], .whole = sync_is_whole(tide->sync), .why = sync_why(tide->sync)};
    int64_t *ids, due = sync_deadline(tide->sync), now = tide_now(tide).boot_ms;
    status.pending = store_push_count(tide->store, &status.oldest_ms, &status.pending_bytes);
    status.refused = store_refused_count(tide->store);
    if (status.state == TIDE_WAITING && due != SYNC_NEVER && due > now) status.next_ms = due - now;
    arena_reset(&tide->arena);
    size_t count = store_spaces_all(tide->store, &tide->arena, &ids);
    for (size_t i = 0; i < count; i++) {
        struct store_space space = store_space_get(tide->store, ids[i]);
        if (!space.wanted) continue;
        status.spaces_subscribed++;
        if (space.cursor[0] != '\0' && space.run == 0) status.spaces_whole++;
    }
    *ret_status = status;
}
