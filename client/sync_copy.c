/* The copy of a space moves on: pages, updates, and being told that there is nothing new. */
#include <assert.h>
#include <stdio.h>

#include "client/sync_parts.h"
#include "core/op.h"

enum { HOLES_AT_ONCE = 3, REOPEN_MS = 2000 };

static bool is_at(const struct store_space *space, struct span cursor) { return span_is(cursor, space->cursor); }

static void move_to(struct store_space *space, struct span cursor)
{
    /* One that is too long to keep: the copy is taken again from nothing, one day. */
    snprintf(space->cursor, sizeof space->cursor, "%.*s", cursor.bytes > STORE_CURSOR_BYTES_MAX ? 0 : (int)cursor.bytes, cursor.at);
}

void sync_reopen(struct sync *sync, struct store_space *space, struct sync_space *here, bool from_nothing)
{
    if (from_nothing) {
        space->cursor[0] = '\0';
        space->run = 0;
    }
    here->ref = 0; /* opened anew when this message is done with; at once, but not for ever */
    here->answered = here->in_run = false;
    if (++here->holes > HOLES_AT_ONCE) here->reopen_ms = sync->now->boot_ms + REOPEN_MS;
}

/* ---- documents ---- */

/* What came sealed is kept as it came, and shown open where that can be. */
static void unseal(struct sync *sync, const struct store_space *space, struct store_arrival *arrival)
{
    struct seal_place place = {span_text(space->name), arrival->collection, arrival->id};
    struct span came = arrival->body;
    if (came.at == NULL) return;
    arrival->seal = (int)seal_open(&sync->view->seal, &place, came, &sync->arena, &arrival->body);
    if (arrival->seal != SEAL_NONE) arrival->sealed = came;
}

static void take_doc(struct sync *sync, struct store_space *space, struct json_value value, uint64_t contains, bool ahead)
{
    struct store_arrival arrival = {.contains = contains, .ahead = ahead};
    struct json_iter iter = json_members(value);
    struct json_member member;
    int64_t number;
    while (json_next_member(&iter, &member)) {
        struct json_value it = member.value;
        if (span_is(member.key, "body") && it.type == JSON_OBJECT) arrival.body = it.raw;
        else if (span_is(member.key, "collection")) arrival.collection = json_inside(it);
        else if (span_is(member.key, "id")) arrival.id = sync_word(sync, it);
        else if (span_is(member.key, "user")) arrival.user = sync_word(sync, it);
        else if (span_is(member.key, "rev") && json_integer(it, &number)) arrival.rev = (uint64_t)number;
        else if (span_is(member.key, "born") && json_integer(it, &number)) arrival.born = (uint64_t)number;
        else if (span_is(member.key, "time") && json_integer(it, &number)) arrival.time_ms = number;
    }
    if (arrival.collection.bytes == 0 || arrival.id.bytes == 0 || arrival.rev == 0) {
        sync_give_up(sync, "a document without collection, id or rev", -1);
        return;
    }
    unseal(sync, space, &arrival);
    store_doc_arrive(sync->store, space, &arrival, sync->now->wall_ms);
}

void sync_take_docs(struct sync *sync, struct store_space *space, struct json_value docs, uint64_t contains, bool ahead)
{
    struct json_iter iter = json_elements(docs);
    struct json_value doc;
    while (json_next_element(&iter, &doc)) take_doc(sync, space, doc, contains, ahead);
}

/* ---- pages ---- */

/* The copy is one state of the space. */
static void is_whole(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value window)
{
    int64_t seconds;
    if (json_integer(window, &seconds) && seconds > 0) space->window_s = seconds;
    if (space->run != 0) store_doc_drop_unnamed(sync->store, space, sync->now->wall_ms);
    space->run = 0;
    space->synced_ms = sync->now->wall_ms;
    space->closed[0] = '\0';
    here->in_run = false;
    here->holes = 0;
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_SYNCED, .space = span_text(space->name)});
    if (sync->now->server_ms > 0 && space->window_s > 0) store_doc_sweep(sync->store, space->id, sync->now->wall_ms - space->window_s * 1000);
}

static void begin_run(struct sync *sync, struct store_space *space, struct sync_space *here, uint64_t pushed)
{
    bool had_copy = space->seen_rev > 0;
    if (had_copy) sync_settle_reset(sync, space, false);
    store_doc_begin_run(sync->store, space);
    /* The log's last push from here, as far as is told; a gap mends what is told too early. */
    sync_settle_follow(sync, here, pushed);
    if (had_copy) sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_RESET, .space = span_text(space->name)});
}

/* Is it a frame of the subscription that holds now? The first one of an open's ref begins it. */
static bool belongs(const struct sync *sync, const struct sync_space *here, struct json_value frame)
{
    return sync->in_http || (here->wanted && here->ref != 0 && sync_number(frame, "ref") == here->ref);
}

void sync_hear_page(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value frame)
{
    struct json_value from = json_find(frame, "from"), tail = json_find(frame, "tail");
    bool reset = json_find(frame, "reset").type == JSON_TRUE, more = json_find(frame, "more").type == JSON_TRUE;
    uint64_t pushed = sync_number(frame, "pushed");
    if (!belongs(sync, here, frame)) return;
    if (from.type == JSON_NULL && reset) {
        begin_run(sync, space, here, pushed);
    } else if (from.type != JSON_STRING || !is_at(space, json_inside(from)) || (reset && space->run == 0)) {
        sync_reopen(sync, space, here, reset && space->run == 0);
        return;
    }
    here->answered = true;
    here->in_run = more;
    sync_take_docs(sync, space, json_find(frame, "docs"), pushed, false);
    move_to(space, json_inside(json_find(frame, "to")));
    sync->progress = true;
    if (tail.type == JSON_OBJECT && json_count(tail) > 0) space->partial = true;
    if (more) return;
    /* A run from nothing names no deletions: what comes late, and is of before it, tells nothing any more. */
    if (sync_number(frame, "head") > space->seen_rev) space->seen_rev = sync_number(frame, "head");
    is_whole(sync, space, here, json_find(frame, "window"));
    sync_settle_pushed(sync, space, pushed, json_find(frame, "refused"));
    struct json_value sums = json_find(frame, "sum");
    if (space->partial || sums.type != JSON_OBJECT || here->compared || store_space_sums_agree(sync->store, space->id, sums.raw)) return;
    here->compared = true;
    sync_note(sync, (struct sync_event){.kind = SYNC_EVENT_ERROR, .space = span_text(space->name), .code = SPAN_LITERAL("corrupt"),
                                        .frame = SPAN_LITERAL("the copy differs from the server's: it is taken again")});
    sync_reopen(sync, space, here, true);
}

void sync_hear_current(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value entry)
{
    struct json_value cursor = json_find(entry, "cursor");
    if (space->cursor[0] == '\0' && cursor.type == JSON_STRING && space->seen_rev == 0) {
        move_to(space, json_inside(cursor)); /* an empty space, from nothing */
    } else if (cursor.type != JSON_STRING || !is_at(space, json_inside(cursor))) {
        sync_reopen(sync, space, here, false);
        return;
    }
    here->answered = true;
    is_whole(sync, space, here, json_find(entry, "window"));
    sync_settle_pushed(sync, space, sync_number(entry, "pushed"), json_find(entry, "refused"));
}

/* ---- updates ---- */

/* The documents of one's own push, where the server left them out because each came out exactly as it says. */
static bool take_own(struct sync *sync, struct store_space *space, uint64_t id, struct json_value frame)
{
    struct store_push push;
    struct json_value text;
    struct op *ops, *open = NULL;
    size_t count, open_count;
    char why[LIMIT_MESSAGE_BYTES_MAX + 1];
    struct span user = sync_word(sync, json_find(frame, "user"));
    uint64_t rev = sync_number(frame, "rev");
    if (!store_push_get(sync->store, &sync->arena, id, &push) || !push.sent || !json_check(push.ops, &text, NULL)) return false;
    if (op_decode_all(text, &sync->arena, &ops, &count, why, sizeof why) != ERR_OK) return false;
    /* What it says in the clear is on the device, whether or not the key still is. */
    if (push.plain.at != NULL && (!json_check(push.plain, &text, NULL) || op_decode_all(text, &sync->arena, &open, &open_count, why, sizeof why) != ERR_OK)) return false;
    if (open != NULL && open_count != count) return false;
    for (size_t i = 0; i < count; i++) {
        struct store_doc before;
        struct store_arrival arrival = {.collection = ops[i].collection, .id = ops[i].id, .user = user, .rev = rev, .contains = id};
        bool last = true;
        for (size_t k = i + 1; k < count; k++)
            if (span_equal(ops[k].id, ops[i].id) && span_equal(ops[k].collection, ops[i].collection)) last = false;
        if (!last) continue;
        if (ops[i].kind != OP_DELETE) arrival.body = open != NULL ? open[i].body.raw : ops[i].body.raw;
        if (open != NULL && ops[i].kind != OP_DELETE && !span_equal(open[i].body.raw, ops[i].body.raw)) {
            arrival.sealed = ops[i].body.raw;
            arrival.seal = SEAL_OPENED;
        }
        arrival.time_ms = (int64_t)sync_number(frame, "time");
        if (store_doc_find(sync->store, &sync->arena, space->id, ops[i].collection, ops[i].id, &before)) arrival.born = before.born;
        if (ops[i].kind == OP_APPEND) arrival.born = rev;
        store_doc_arrive(sync->store, space, &arrival, sync->now->wall_ms);
    }
    return true;
}

void sync_hear_update(struct sync *sync, struct store_space *space, struct sync_space *here, struct json_value frame)
{
    const struct store_self *self = store_self(sync->store);
    struct json_value docs = json_find(frame, "docs");
    if (!here->wanted || here->ref == 0 || !here->answered) return; /* of a subscription that was replaced */
    bool mine = json_string_is(json_find(frame, "device"), self->device) && span_is(sync_word(sync, json_find(frame, "user")), self->user);
    uint64_t id = sync_number(frame, "push");
    struct json_value prev = json_find(frame, "prev"), cursor = json_find(frame, "cursor");
    bool fits = !here->in_run && prev.type == JSON_STRING && is_at(space, json_inside(prev)) && cursor.type == JSON_STRING;
    if (fits && docs.type == JSON_NONE) fits = mine && take_own(sync, space, id, frame);
    if (!fits) {
        sync_reopen(sync, space, here, false);
        return;
    }
    if (mine && id > space->sent_push) {
        sync_fork(sync, space, id);
        id = 0;
    }
    sync_take_docs(sync, space, docs, mine ? id : 0, false);
    move_to(space, json_inside(cursor));
    if (sync_number(frame, "rev") > space->seen_rev) space->seen_rev = sync_number(frame, "rev");
    if (mine && id != 0) sync_settle_applied(sync, space, id, "");
    space->synced_ms = sync->now->wall_ms;
}
