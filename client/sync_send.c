/* What a device says. */
#include <assert.h>

#include "client/sync_parts.h"

void sync_say_hello(struct sync *sync)
{
    struct buf *out = &sync->out;
    buf_add_text(out, "{\"type\":\"hello\",\"protocol\":1,\"token\":");
    buf_add_json_string(out, buf_span(&sync->token));
    buf_add_text(out, ",\"device\":\"");
    buf_add_text(out, store_self(sync->store)->device);
    buf_add_text(out, "\",\"client\":");
    buf_add_json_string(out, span_text(sync->options.client == NULL ? "libtidegate" : sync->options.client));
    buf_add_text(out, sync->options.background ? ",\"background\":true}\n" : "}\n");
}

void sync_say_auth(struct sync *sync)
{
    buf_add_text(&sync->out, "{\"type\":\"auth\",\"token\":");
    buf_add_json_string(&sync->out, buf_span(&sync->token));
    buf_add_text(&sync->out, "}\n");
}

/* ---- opens ---- */

void sync_render_open(struct sync *sync, struct buf *out, const struct store_space *space)
{
    buf_add_text(out, "{\"space\":");
    buf_add_json_string(out, span_text(space->name));
    buf_add_text(out, ",\"since\":");
    if (space->cursor[0] == '\0') buf_add_text(out, "null");
    else buf_add_json_string(out, span_text(space->cursor));
    buf_add_text(out, ",\"known\":");
    buf_add_u64(out, store_push_known(sync->store, space));
    if (space->has_tail) {
        buf_add_text(out, ",\"tail\":");
        buf_add_u64(out, space->tail);
    }
    buf_add_char(out, '}');
}

static void say_close(struct sync *sync, const struct store_space *space, struct sync_space *here)
{
    buf_add_text(&sync->out, "{\"type\":\"close\",\"space\":");
    buf_add_json_string(&sync->out, span_text(space->name));
    buf_add_text(&sync->out, "}\n");
    *here = (struct sync_space){.id = here->id, .left = here->ref, .sent_most = here->sent_most, .told_id = here->told_id, .told_sent = here->told_sent};
}

static void say_opens(struct sync *sync, const int64_t *ids, size_t count)
{
    struct buf *out = &sync->out;
    uint32_t ref = ++sync->next_ref;
    if (count == 0) return;
    buf_add_text(out, "{\"type\":\"open\",\"ref\":");
    buf_add_u64(out, ref);
    buf_add_text(out, ",\"spaces\":[");
    for (size_t i = 0; i < count; i++) {
        struct store_space space = store_space_get(sync->store, ids[i]);
        struct sync_space *here = sync_space_of(sync, ids[i]);
        if (i > 0) buf_add_char(out, ',');
        sync_render_open(sync, out, &space);
        here->ref = ref;
        here->answered = here->in_run = false;
    }
    buf_add_text(out, sync->options.presence ? "],\"presence\":true}\n" : "]}\n");
}

void sync_open_due(struct sync *sync)
{
    int64_t *ids, tier = INT64_MIN;
    bool waits = false;
    size_t due = 0;
    arena_reset(&sync->arena);
    if (sync->state != SYNC_LIVE || sync->mode == SYNC_PUSH_ONLY) return;
    size_t count = store_spaces_all(sync->store, &sync->arena, &ids);
    for (size_t i = 0; i < count; i++) {
        struct store_space space = store_space_get(sync->store, ids[i]);
        struct sync_space *here = sync_space_of(sync, ids[i]);
        if (here == NULL) return;
        if (here->ref != 0 && !space.wanted) say_close(sync, &space, here);
        here->wanted = space.wanted;
        here->priority = space.priority;
        if (!space.wanted || here->is_closed || here->reopen_ms > 0) continue;
        if (waits && space.priority < tier) continue; /* those above are not whole yet */
        if (here->ref == 0) ids[due++] = ids[i];
        if (here->ref == 0 || !here->answered || here->in_run) {
            waits = true;
            tier = space.priority;
        }
    }
    say_opens(sync, ids, due);
}

/* ---- pushes ---- */

/* Between the edit and now. False: not known. */
static bool age_of(const struct sync *sync, const struct store_moment *made, int64_t *ret_ms)
{
    const struct store_moment *now = sync->now, *clock = &store_self(sync->store)->clock;
    int64_t age;
    if (made->boot[0] != '\0' && strcmp(made->boot, now->boot) == 0) {
        age = now->boot_ms - made->boot_ms;
    } else {
        int64_t made_ms = made->server_ms;
        if (made_ms == 0 && clock->server_ms != 0) made_ms = made->wall_ms + (clock->server_ms - clock->wall_ms);
        if (made_ms == 0 || now->server_ms == 0) return false;
        age = now->server_ms - made_ms;
    }
    *ret_ms = age < 0 ? 0 : age > LIMIT_INTEGER_MAX ? LIMIT_INTEGER_MAX : age;
    return true;
}

static void add_ops(struct buf *out, const struct store_push *push, bool has_age, int64_t age_ms)
{
    struct json_value ops, bases, op, base;
    bool first = true, good = json_check(push->ops, &ops, NULL) && json_check(push->bases, &bases, NULL);
    assert(good);
    struct json_iter iter = json_elements(ops), others = json_elements(bases);
    buf_add_char(out, '[');
    while (json_next_element(&iter, &op)) {
        int64_t rev = 0;
        if (!first) buf_add_char(out, ',');
        first = false;
        buf_add(out, op.raw.at, op.raw.bytes - 1);
        if (json_next_element(&others, &base)) json_integer(base, &rev);
        if (rev > 0) {
            buf_add_text(out, ",\"base\":");
            buf_add_i64(out, rev);
        }
        buf_add_text(out, ",\"age\":");
        if (has_age) buf_add_i64(out, age_ms);
        else buf_add_text(out, "null");
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

void sync_render_push(struct sync *sync, struct buf *out, const struct store_space *space, const struct store_push *push, uint64_t known, bool framed)
{
    int64_t age_ms = 0;
    bool has_age = age_of(sync, &push->made, &age_ms);
    buf_add_text(out, framed ? "{\"type\":\"push\",\"id\":" : "{\"id\":");
    buf_add_u64(out, push->id);
    buf_add_text(out, ",\"after\":");
    buf_add_u64(out, push->after);
    buf_add_text(out, ",\"space\":");
    buf_add_json_string(out, span_text(space->name));
    buf_add_text(out, ",\"known\":");
    buf_add_u64(out, known);
    buf_add_text(out, ",\"ops\":");
    add_ops(out, push, has_age, age_ms);
    buf_add_text(out, framed ? "}\n" : "}");
}

static bool may_push(const struct sync *sync, const struct sync_space *here)
{
    if (sync->state != SYNC_LIVE || sync->mode == SYNC_PULL_ONLY || here->resend_ms > 0) return false;
    return !here->wanted || here->is_closed || (here->answered && !here->in_run) || sync->mode == SYNC_PUSH_ONLY;
}

/* On this connection `pushed` was seen to name nothing that was not sent from here. */
static bool is_checked(const struct sync_space *here) { return here->wanted && here->answered && !here->in_run; }

/* While a new device id is waited for, only what the old one may have sent goes on under it. */
bool sync_holds(const struct store_self *self, const struct store_space *space, const struct store_push *push)
{
    if (self->fork_at == 0) return false;
    return space->forked ? !push->sent && push->id != space->fork_probe : push->id >= self->fork_at;
}

static void pump_space(struct sync *sync, int64_t id)
{
    struct store_space space = store_space_get(sync->store, id);
    struct sync_space *here = sync_space_of(sync, id);
    struct store_push *pushes;
    size_t before = sync->out.bytes, ready = 0;
    bool marks = false;
    if (here == NULL) return;
    here->wanted = space.wanted;
    if (!may_push(sync, here) || here->inflight >= sync->inflight_max || before - sync->out_at > SYNC_OUT_PAUSE_BYTES) return;
    size_t count = store_push_list(sync->store, &sync->arena, &space, here->sent_upto, sync->inflight_max - here->inflight, SYNC_OUT_PAUSE_BYTES, &pushes);
    for (size_t i = 0; i < count; i++) {
        if (sync_holds(store_self(sync->store), &space, &pushes[i])) continue;
        if (!pushes[i].sent || sync->is_soft) marks = true;
        pushes[ready++] = pushes[i];
    }
    if (ready == 0 || (marks && !sync_begin(sync, true))) return;
    if (marks) space = store_space_get(sync->store, id); /* another process may have written to it */
    uint64_t known = store_push_known(sync->store, &space);
    for (size_t i = 0; i < ready; i++) {
        if (marks && !pushes[i].sent) store_push_mark_sent(sync->store, &space, pushes[i].id, sync->now->server_ms, is_checked(here));
        else if (marks && i == 0) store_push_mark_sent(sync->store, &space, pushes[i].id, pushes[i].sent_ms, pushes[i].checked);
        sync_render_push(sync, &sync->out, &space, &pushes[i], known, true);
    }
    if (marks) store_space_put(sync->store, &space);
    if (marks && !sync_commit(sync)) {
        buf_truncate(&sync->out, before);
        return;
    }
    if (marks) sync->is_soft = false;
    here->sent_upto = pushes[ready - 1].id;
    if (here->sent_most < here->sent_upto) here->sent_most = here->sent_upto;
    here->inflight += (unsigned)ready;
}

void sync_pump(struct sync *sync)
{
    int64_t *ids;
    arena_reset(&sync->arena);
    if (sync->state != SYNC_LIVE || sync->mode == SYNC_PULL_ONLY) return;
    size_t count = store_spaces_pushing(sync->store, &sync->arena, &ids);
    for (size_t i = 0; i < count && sync->state == SYNC_LIVE; i++) pump_space(sync, ids[i]);
    if (!buf_ok(&sync->out)) sync_give_up(sync, "more to say than there is room for", -1);
}

void sync_claim(struct sync *sync, struct store_space *space, uint64_t id, const struct store_moment *now)
{
    struct sync_space *here = sync->state == SYNC_LIVE ? sync_space_of(sync, space->id) : NULL;
    if (here == NULL) return;
    sync_enter(sync, now);
    here->wanted = space->wanted;
    uint64_t *ids;
    arena_reset(&sync->arena);
    if (!may_push(sync, here) || here->inflight >= sync->inflight_max || store_self(sync->store)->fork_at != 0) return;
    /* It would be sent next: all before it are. */
    size_t count = store_push_ids(sync->store, &sync->arena, space->id, &ids);
    if (count > 1 && ids[count - 2] > here->sent_upto) return;
    store_push_mark_sent(sync->store, space, id, sync->now->server_ms, is_checked(here));
}

bool sync_signal(struct sync *sync, struct span space, struct span body)
{
    if (sync->state != SYNC_LIVE) return false;
    buf_add_text(&sync->out, "{\"type\":\"signal\",\"space\":");
    buf_add_json_string(&sync->out, space);
    buf_add_text(&sync->out, ",\"body\":");
    buf_add_span(&sync->out, body);
    buf_add_text(&sync->out, "}\n");
    return true;
}

bool sync_history(struct sync *sync, struct span space, struct span collection, uint64_t before, uint64_t limit)
{
    struct buf *out = &sync->out;
    if (sync->state != SYNC_LIVE) return false;
    buf_add_text(out, "{\"type\":\"history\",\"ref\":0,\"space\":");
    buf_add_json_string(out, space);
    buf_add_text(out, ",\"collection\":");
    buf_add_json_string(out, collection);
    if (before > 0) {
        buf_add_text(out, ",\"before\":");
        buf_add_u64(out, before);
    }
    buf_add_text(out, ",\"limit\":");
    buf_add_u64(out, limit);
    buf_add_text(out, "}\n");
    return true;
}
