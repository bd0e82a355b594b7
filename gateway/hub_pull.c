/* Runs of pages: asked of the owner, many waiters at a time; each waiter's page made of the shared documents and its own
 * part. A session's next page is asked for only when the last one is out. */
#include <stdlib.h>

#include "gateway/hub_parts.h"

enum {
    WAITERS_MAX = 256, /* of one request */
    BATCH = 4096,      /* pulls sorted at a time */
    RETRY_MS = 500
};

static struct hub_group *group_of(struct map_node *node) { return (struct hub_group *)((char *)node - offsetof(struct hub_group, node)); }

static void append(struct hub *hub, struct hub_pull *pull)
{
    pull->next = NULL;
    *hub->pulls_end = pull;
    hub->pulls_end = &pull->next;
}

static void enqueue(struct hub *hub, struct hub_pull *pull)
{
    pull->stage = PULL_WAITING;
    pull->order = hub->next_order++;
    append(hub, pull);
    if (pull->not_before_ms <= hub->now_ms) hub->pulls_due = true;
}

static void free_held(struct hub_pull *pull)
{
    while (pull->held != NULL) {
        struct hub_held *held = pull->held;
        pull->held = held->next;
        blob_put(held->frame);
        free(held);
    }
}

void hub_pull_hold(struct hub_sub *sub, struct blob *frame, uint64_t place, bool with_update)
{
    struct hub_held *held = calloc(1, sizeof *held), **end = &sub->pull->held;
    if (held == NULL) {
        hub_send_close(sub->session, 1011, "out of memory");
        return;
    }
    held->frame = blob_take(frame);
    held->place = place;
    held->with_update = with_update;
    while (*end != NULL) end = &(*end)->next;
    *end = held;
}

void hub_pull_let_go(struct hub_sub *sub)
{
    if (sub->pull == NULL) return;
    for (struct hub_held *held = sub->pull->held; held != NULL; held = held->next)
        (void)hub_send_blob(sub->session, OUT_RESULT, held->frame);
    free_held(sub->pull);
}

void hub_pull_cancel(struct hub_sub *sub)
{
    struct hub_pull *pull = sub->pull;
    if (pull == NULL) return;
    sub->pull = NULL;
    free_held(pull);
    pull->sub = NULL;
    /* Queued or asked ones are freed by whoever comes upon them. */
    if (pull->stage == PULL_WRITTEN_OUT) free(pull);
}

/* Replaces a run under way; outcomes that it held go on waiting. */
void hub_pull_start(struct hub_sub *sub, struct hub_pull *pull)
{
    if (sub->pull != NULL) {
        pull->held = sub->pull->held;
        sub->pull->held = NULL;
        hub_pull_cancel(sub);
    }
    pull->sub = sub;
    sub->pull = pull;
    enqueue(sub->session->hub, pull);
}

void hub_pull_heal(struct hub_sub *sub)
{
    if (sub->pull != NULL) {
        sub->again = true;
        return;
    }
    struct hub_pull *pull = calloc(1, sizeof *pull);
    if (pull == NULL) {
        hub_send_close(sub->session, 1011, "out of memory");
        return;
    }
    pull->first = true;
    pull->run.place = sub->place;
    pull->least = sub->again ? sub->space->head : 0;
    sub->behind = false;
    sub->again = false;
    hub_pull_start(sub, pull);
}

/* ---- asking ---- */

static int compare_u64(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

/* Pulls that compare equal get one answer. A run with cuts of its own is never shared. */
static int compare_runs(const struct hub_pull *a, const struct hub_pull *b)
{
    int order = compare_u64((uint64_t)(uintptr_t)a->sub->space, (uint64_t)(uintptr_t)b->sub->space);
    if (order == 0) order = compare_u64(a->run.place, b->run.place);
    if (order == 0) order = compare_u64(a->run.tail, b->run.tail);
    if (order == 0) order = a->run.has_tail - b->run.has_tail;
    if (order == 0) order = compare_u64(a->run.floor, b->run.floor);
    if (order == 0) order = compare_u64(a->run.run_from, b->run.run_from);
    if (order == 0) order = (a->run.from_nothing - b->run.from_nothing) * 4 + (a->run.has_floor - b->run.has_floor) * 2 +
                            (a->run.started - b->run.started);
    if (order == 0 && (a->run.tails_count > 0 || b->run.tails_count > 0))
        order = compare_u64((uint64_t)(uintptr_t)a, (uint64_t)(uintptr_t)b);
    return order;
}

static int compare_entries(const void *a, const void *b)
{
    return compare_runs(*(struct hub_pull *const *)a, *(struct hub_pull *const *)b);
}

/* Those that have to wait after a failure go behind all others: their turn comes by time. */
static void postpone(struct hub *hub, struct hub_pull **pulls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pulls[i]->not_before_ms = hub->now_ms + RETRY_MS;
        enqueue(hub, pulls[i]);
    }
}

/* The updates of a space that somebody stays in follow on the snapshot of its page: the interest stands before it. */
static bool see_to_interest(struct hub *hub, struct hub_space *space, struct hub_pull **pulls, size_t count)
{
    bool live = false;
    for (size_t i = 0; i < count; i++) live = live || !pulls[i]->once;
    return !live || hub_space_interest(hub, space);
}

/* One request for pulls[0..count), which stand at one place. */
static void ask_one(struct hub *hub, struct hub_pull **pulls, size_t count)
{
    struct hub_space *space = pulls[0]->sub->space;
    struct hub_group *group = calloc(1, sizeof *group);
    struct hub_pull **members = calloc(count, sizeof *members);
    arena_reset(&hub->arena);
    struct page_waiter *waiters = arena_take(&hub->arena, count * sizeof *waiters);
    if (group == NULL || members == NULL || waiters == NULL) goto out;
    for (size_t i = 0; i < count; i++) {
        const struct hub_session *session = pulls[i]->sub->session;
        members[i] = pulls[i];
        waiters[i] = (struct page_waiter){.session = session->number, .user = hub_space_user(session),
            .device = span_text(session->device), .known = pulls[i]->sub->known, .granted = hub_space_granted(session, space)};
    }
    group->tag = ++hub->next_tag;
    group->node.key = span_of((const char *)&group->tag, sizeof group->tag);
    group->count = count;
    group->pulls = members;
    struct link_ask ask = {.kind = LINK_PULL, .space = hub_space_name(space), .tag = group->tag, .run = pulls[0]->run,
                           .waiters_count = count, .waiters = waiters};
    if (!see_to_interest(hub, space, pulls, count) || !map_put(&hub->groups, &group->node)) goto out;
    if (hub->options.link->ops->send(hub->options.link, &ask) != ERR_OK) {
        map_take(&hub->groups, &group->node);
        goto out;
    }
    for (size_t i = 0; i < count; i++) pulls[i]->stage = PULL_ASKED;
    hub->pages_asked += LIMIT_PAGE_BYTES;
    hub->counters.pulls++;
    return;
out:
    free(members);
    free(group);
    postpone(hub, pulls, count);
}

/* Is the device too slow for another page? Then its run goes on when its socket has drained. */
static bool put_off(struct hub_pull *pull)
{
    struct hub_session *session = pull->sub->session;
    if (session->out.bytes <= HUB_MESSAGE_BYTES) return false;
    pull->stage = PULL_WRITTEN_OUT;
    session->waits = true;
    return true;
}

/* Takes the queue apart: those that may be asked now into `ret_ready`, the rest stays, in order. */
static size_t gather(struct hub *hub, struct hub_pull **ret_ready, size_t room)
{
    struct hub_pull *pull = hub->pulls, *next;
    size_t count = 0;
    hub->pulls = NULL;
    hub->pulls_end = &hub->pulls;
    hub->pulls_due = false;
    for (; pull != NULL; pull = next) {
        next = pull->next;
        if (pull->sub == NULL) {
            free(pull);
        } else if (pull->not_before_ms > hub->now_ms) {
            append(hub, pull);
        } else if (count == room) {
            append(hub, pull);
            hub->pulls_due = true;
        } else if (!put_off(pull)) {
            ret_ready[count++] = pull;
        }
    }
    return count;
}

/* Pulls of one request, `count` from `first` on; `order`: of the one that waited longest. */
struct batch {
    struct hub_pull **first;
    size_t count;
    uint64_t order;
};

static int compare_batches(const void *a, const void *b)
{
    return compare_u64(((const struct batch *)a)->order, ((const struct batch *)b)->order);
}

/* Runs from nothing are long, and each waiter gets its own copy of the page: fewer share one. */
static size_t waiters_max(const struct hub_pull *pull)
{
    return pull->run.from_nothing || pull->run.has_floor ? WAITERS_MAX / 8 : WAITERS_MAX;
}

static size_t divide(struct hub_pull **ready, size_t count, struct batch *ret_batches)
{
    size_t batches = 0;
    qsort(ready, count, sizeof *ready, compare_entries);
    for (size_t from = 0, to; from < count; from = to) {
        struct batch *batch = &ret_batches[batches++];
        *batch = (struct batch){.first = ready + from, .order = ready[from]->order};
        for (to = from; to < count && to - from < waiters_max(ready[from]) && compare_runs(ready[from], ready[to]) == 0; to++)
            if (ready[to]->order < batch->order) batch->order = ready[to]->order;
        batch->count = to - from;
    }
    qsort(ret_batches, batches, sizeof *ret_batches, compare_batches);
    return batches;
}

/* Back to where they stood: before those that came later. */
static void put_back(struct hub *hub, const struct batch *batches, size_t count)
{
    struct hub_pull *rest = hub->pulls, **rest_end = hub->pulls_end;
    if (count == 0) return;
    hub->pulls = NULL;
    hub->pulls_end = &hub->pulls;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < batches[i].count; k++) append(hub, batches[i].first[k]);
    *hub->pulls_end = rest;
    if (rest != NULL) hub->pulls_end = rest_end;
    hub->pulls_due = true;
}

bool hub_pull_may_ask(const struct hub *hub)
{
    return hub->pulls_due && hub->pages_asked < LIMIT_PAGES_IN_FLIGHT_BYTES && hub->out_bytes < LIMIT_HUB_OUT_BYTES;
}

static void ask_some(struct hub *hub, struct hub_pull **ready, struct batch *batches)
{
    size_t count = divide(ready, gather(hub, ready, BATCH), batches), asked = 0;
    for (; asked < count && hub->pages_asked < LIMIT_PAGES_IN_FLIGHT_BYTES; asked++)
        ask_one(hub, batches[asked].first, batches[asked].count);
    put_back(hub, batches + asked, count - asked);
}

void hub_pull_ask_all(struct hub *hub)
{
    if (!hub_pull_may_ask(hub)) return;
    struct hub_pull **ready = malloc(BATCH * sizeof *ready);
    struct batch *batches = malloc(BATCH * sizeof *batches);
    while (ready != NULL && batches != NULL && hub_pull_may_ask(hub)) ask_some(hub, ready, batches);
    free(ready); /* without memory: asked in a later turn */
    free(batches);
}

/* The owner may have said an outcome before it said what it stands behind: over a link that was just made again. */
static bool held_is_ahead(const struct hub_sub *sub, const struct hub_pull *pull)
{
    bool ahead = sub->behind && pull->held != NULL;
    for (const struct hub_held *held = pull->held; held != NULL; held = held->next) ahead = ahead || held->place > sub->place;
    return ahead;
}

/* The run is complete: what was held goes out behind what brings the session up to the head. */
static void finish(struct hub_sub *sub, struct hub_pull *pull)
{
    struct hub_session *session = sub->session;
    if (pull->once) {
        hub_pull_let_go(sub);
        hub_sub_remove(sub);
        free(pull);
        return;
    }
    sub->pull = NULL;
    sub->behind = false;
    if (pull->is_open) hub_presence_enter(sub);
    if (pull->presence) hub_presence_watch(sub);
    hub_deliver_catch_up(sub);
    /* Still not there: what is held goes on waiting. */
    if (sub->pull == NULL && held_is_ahead(sub, pull)) hub_pull_heal(sub);
    if (sub->pull != NULL) {
        sub->pull->held = pull->held;
        pull->held = NULL;
    } else {
        for (struct hub_held *held = pull->held; held != NULL; held = held->next)
            if (!held->with_update) (void)hub_send_blob(session, OUT_RESULT, held->frame);
    }
    free_held(pull);
    free(pull);
}

static bool is_current(const struct hub_pull *pull, const struct page *page, const struct page_part *part)
{
    return pull->is_open && pull->first && !page->reset && !page->more && page->docs_count == 0 && part->refused_count == 0 &&
           page->tail.bytes == 0;
}

/* A healed session that missed nothing hears nothing. */
static bool is_idle_heal(const struct hub_pull *pull, const struct page *page, const struct page_part *part)
{
    return !pull->is_open && pull->first && !page->reset && !page->more && page->docs_count == 0 && page->to == page->from &&
           part->refused_count == 0;
}

static void take_page(struct hub_pull *pull, const struct page *page, const struct page_part *part)
{
    struct hub_sub *sub = pull->sub;
    struct hub_session *session = sub->session;
    session->hub->counters.pages++;
    if (part->role == ROLE_NONE && !part->may_found) {
        hub_open_closed(sub, ERR_FORBIDDEN, true);
        free(pull);
        return;
    }
    if (is_current(pull, page, part)) hub_page_current(sub, page, part);
    else if (!is_idle_heal(pull, page, part)) hub_page_send(sub, page, part);
    if (session->state == SESSION_CLOSING) {
        pull->stage = PULL_WRITTEN_OUT; /* the session takes it along */
        return;
    }
    sub->place = page->to;
    sub->shown = true;
    pull->first = false;
    pull->run = page->next;
    if (page->more && session->job == NULL) {
        pull->stage = PULL_WRITTEN_OUT;
        session->waits = true;
    } else {
        finish(sub, pull);
    }
}

static void take_refusal(struct hub *hub, struct hub_pull *pull, enum err err)
{
    if (err == ERR_UNKNOWN_SPACE || err == ERR_FORBIDDEN || err == ERR_INVALID) {
        hub_open_closed(pull->sub, err, err == ERR_FORBIDDEN);
        free(pull);
        return;
    }
    pull->not_before_ms = hub->now_ms + RETRY_MS; /* busy, or a failure of the owner's: asked again */
    enqueue(hub, pull);
}

void hub_pull_page(struct hub *hub, const struct link_tell *tell)
{
    struct map_node *node = map_find(&hub->groups, span_of((const char *)&tell->tag, sizeof tell->tag));
    if (node == NULL) return; /* asked over a link that broke since */
    struct hub_group *group = group_of(node);
    map_take(&hub->groups, node);
    hub->pages_asked -= LIMIT_PAGE_BYTES;
    hub->pulls_due = hub->pulls_due || hub->pulls != NULL;
    /* An owner that answers for others than it was asked about is no better than one that failed. */
    enum err err = tell->err == ERR_OK && tell->page->parts_count != group->count ? ERR_INTERNAL : tell->err;
    for (size_t i = 0; i < group->count; i++) {
        struct hub_pull *pull = group->pulls[i];
        if (pull->sub == NULL) {
            free(pull);
            continue;
        }
        struct hub_session *session = pull->sub->session;
        if (err != ERR_OK || tell->page->head < pull->least) take_refusal(hub, pull, err != ERR_OK ? err : ERR_BUSY);
        else take_page(pull, tell->page, &tell->page->parts[i]);
        hub_send_at_once(session);
    }
    free(group->pulls);
    free(group);
}

void hub_pull_drained(struct hub_session *session)
{
    if (!session->waits) return;
    session->waits = false;
    for (size_t i = 0; i < session->subs_count; i++) {
        struct hub_sub *sub = session->subs[i];
        if (sub->pull != NULL && sub->pull->stage == PULL_WRITTEN_OUT) enqueue(session->hub, sub->pull);
        else if (sub->pull == NULL && sub->behind) hub_pull_heal(sub);
        if (sub->missed) hub_presence_drained(sub);
    }
}

void hub_pull_found(struct hub *hub, uint32_t partition)
{
    for (struct hub_pull *pull = hub->pulls; pull != NULL; pull = pull->next)
        if (pull->sub != NULL && pull->sub->space->partition == partition) pull->not_before_ms = 0;
    hub->pulls_due = hub->pulls != NULL;
}

/* What was asked of owners that are gone now is asked again; a tag that is answered after all is not known any more. */
void hub_pull_lost(struct hub *hub, uint32_t partition)
{
    struct map_node *node = map_next(&hub->groups, NULL);
    while (node != NULL) {
        struct hub_group *group = group_of(node);
        bool lost = true;
        node = map_next(&hub->groups, node);
        for (size_t i = 0; i < group->count; i++)
            if (group->pulls[i]->sub != NULL) lost = group->pulls[i]->sub->space->partition == partition;
        if (!lost) continue;
        map_take(&hub->groups, &group->node);
        hub->pages_asked -= LIMIT_PAGE_BYTES;
        hub->pulls_due = true;
        for (size_t i = 0; i < group->count; i++) {
            if (group->pulls[i]->sub == NULL) free(group->pulls[i]);
            else enqueue(hub, group->pulls[i]);
        }
        free(group->pulls);
        free(group);
    }
}

void hub_pull_free(struct hub *hub)
{
    struct map_node *node;
    while ((node = map_next(&hub->groups, NULL)) != NULL) {
        struct hub_group *group = group_of(node);
        map_take(&hub->groups, node);
        for (size_t i = 0; i < group->count; i++) free(group->pulls[i]);
        free(group->pulls);
        free(group);
    }
    while (hub->pulls != NULL) {
        struct hub_pull *pull = hub->pulls;
        hub->pulls = pull->next;
        free(pull);
    }
    hub->pulls_end = &hub->pulls;
}
