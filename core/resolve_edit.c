/* Which of two edits is later, and what becomes of the one that is not.
 *
 * Between edits that knew nothing of each other time decides, then the device: a total order, so that the winner does
 * not depend on who came first. Whoever knew of the other is later whatever the clocks say. */
#include <assert.h>

#include "core/resolve_parts.h"

struct resolve_edit resolve_edit_of(const struct resolve_push *push, const struct op *op)
{
    struct resolve_edit edit = {.stamp = {.rev = push->rev, .user = push->user, .device = push->device}};
    edit.base = op->has_base && op->base <= push->head ? op->base : 0;
    if (!op->age_unknown) edit.stamp.edited_ms = push->time_ms - op->age_ms;
    else edit.stamp.edited_ms = push->last_push_ms >= 0 ? push->last_push_ms : INT64_MIN;
    return edit;
}

/* Backends have no device id: two of their pushes may come from two machines, one push cannot. */
bool resolve_edit_same_device(const struct resolve_edit *edit, const struct stamp *stamp)
{
    return span_equal(edit->stamp.user, stamp->user) && span_equal(edit->stamp.device, stamp->device) &&
           (stamp->device.bytes > 0 || stamp->rev == edit->stamp.rev);
}

bool resolve_edit_knows(const struct resolve_edit *edit, const struct stamp *stamp)
{
    return edit->base >= stamp->rev || resolve_edit_same_device(edit, stamp);
}

static int compare_times(const struct stamp *a, const struct stamp *b)
{
    if (a->edited_ms != b->edited_ms) return a->edited_ms < b->edited_ms ? -1 : 1;
    int order = span_compare(a->user, b->user);
    return order != 0 ? order : span_compare(a->device, b->device);
}

/* Equal in time, user and device, and not known: two pushes of a backend in one millisecond. The log's order is theirs. */
bool resolve_edit_is_later(const struct resolve_edit *edit, const struct stamp *stamp, enum order order)
{
    return order == ORDER_ARRIVAL || resolve_edit_knows(edit, stamp) || compare_times(&edit->stamp, stamp) >= 0;
}

/* The stamp that an edit of the field is measured against. */
struct stamp resolve_edit_judged(const struct resolve_work *work, const struct resolve_part *part)
{
    if (!part->own) return work->doc->after.whole;
    struct stamp stamp = part->stamp;
    stamp.rev = part->known_rev;
    return stamp;
}

/* A commutative operation becomes part of the value: the field's stamp is as late as the latest part, so that a put
 * older than any part loses to it. Where the value's own author stays the latest, what a base must reach to know the
 * value is, for the rest of this push, still the author's rev: the pusher knows his own part without saying so. */
void resolve_edit_fold(const struct resolve_edit *edit, const struct resolve_work *work, struct resolve_part *part)
{
    struct stamp now = part->own ? part->stamp : work->doc->after.whole;
    uint64_t known_rev = part->own ? part->known_rev : now.rev;
    if (compare_times(&edit->stamp, &now) >= 0) {
        now = edit->stamp;
        known_rev = edit->stamp.rev;
    }
    now.rev = edit->stamp.rev;
    part->own = true;
    part->stamp = now;
    part->known_rev = known_rev;
}

/* The newest LIMIT_LOSERS_MAX stay: a ring, put in order at the end of the push. */
static struct resolve_loser *next_loser(struct resolve_case *c)
{
    struct resolve_result *result = c->result;
    if (result->losers_count == LIMIT_LOSERS_MAX) {
        struct resolve_loser *oldest = &result->losers[c->losers_first];
        c->losers_first = (c->losers_first + 1) % LIMIT_LOSERS_MAX;
        return oldest;
    }
    if (result->losers_count == c->losers_room) {
        size_t room = c->losers_room == 0 ? 8 : c->losers_room * 2;
        if (room > LIMIT_LOSERS_MAX) room = LIMIT_LOSERS_MAX;
        struct resolve_loser *losers = arena_take(c->arena, room * sizeof *losers);
        if (losers == NULL) return NULL;
        if (result->losers_count > 0) memcpy(losers, result->losers, result->losers_count * sizeof *losers);
        result->losers = losers;
        c->losers_room = room;
    }
    return &result->losers[result->losers_count++];
}

enum err resolve_edit_lost(struct resolve_case *c, const struct resolve_work *work, const struct span *field,
                           struct json_value value, const struct stamp *stamp)
{
    struct resolve_loser *loser = next_loser(c);
    if (loser == NULL) return ERR_MEMORY;
    *loser = (struct resolve_loser){
        .collection = span_text(work->doc->collection->name), .id = work->doc->id, .whole = field == NULL,
        .value = value.type == JSON_NONE ? SPAN_LITERAL("null") : value.raw, .user = stamp->user, .device = stamp->device,
        .rev = stamp->rev, .time_ms = stamp->edited_ms};
    if (field != NULL) loser->field = *field;
    return ERR_OK;
}
