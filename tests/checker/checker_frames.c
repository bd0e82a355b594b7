/* What a frame does to a device, by the page's rules, and what it must not be. */
#include "tests/checker/checker_parts.h"

/* A frame, whom it came to, and what stood before it. */
struct hearing {
    struct checker *checker;
    uint32_t number;
    const struct checker_record *record;
    const struct checker_event *event;
    struct checker_copy *copy;
    struct checker_session *session;
};

static bool hold(const struct hearing *h, bool holds, enum checker_rule rule, const char *text)
{
    return checker_hold(h->checker, holds, rule, h->number, h->copy->event, TABLE_NONE, "%s", text);
}

/* Is it heeded? A device ignores what came before the first frame of its newest open. */
static bool is_heeded(const struct hearing *h)
{
    struct checker_session *session = h->session;
    bool is_update = h->event->kind == CHECKER_UPDATE;
    if (session->epoch != checker_epoch_of(h->checker, h->copy->store, h->event->conn) || session->ref == 0)
        return hold(h, false, CHECKER_NOT_OPEN, "a frame of a space that was not opened on this connection");
    if (!session->is_open) return !session->by_server ? false : hold(h, false, CHECKER_NOT_OPEN, "a frame of a space that is not open any more");
    if (session->is_fresh) return !is_update && h->record->ref == session->ref;
    return is_update || hold(h, h->record->ref == session->ref, CHECKER_NOT_OPEN, "a frame of another ref than the open that stands");
}

static void stand_at(struct checker_session *session, const struct checker_record *record)
{
    session->cursor = record->to;
    session->place = record->to_place;
    session->has_floor = record->to_floor;
    session->is_null = session->is_fresh = false;
}

static void one_string_a_place(const struct hearing *h)
{
    struct checker *checker = h->checker;
    if (h->record->to == 0 || h->record->to_floor || h->record->order == TABLE_NONE) return;
    uint32_t cursor = checker_table_find(&checker->cursors_by_place, h->record->order, h->record->to_place);
    if (cursor == TABLE_NONE) checker_table_put(&checker->cursors_by_place, h->record->order, h->record->to_place, h->record->to);
    else hold(h, cursor == h->record->to, CHECKER_TWO_CURSORS, "two cursors name one place");
}

static void answered_once(struct checker_session *session)
{
    if (!session->once) return;
    session->is_open = false;
    session->by_server = true;
}

/* ---- current ---- */

static void hear_current(const struct hearing *h)
{
    if (!is_heeded(h)) return;
    hold(h, h->session->is_fresh, CHECKER_CURRENT_WRONG, "a current that answers no open");
    hold(h, !h->session->is_null && h->record->to == h->session->cursor, CHECKER_CURRENT_WRONG, "current at another cursor than the open's");
    one_string_a_place(h);
    checker_removed_judge(h->checker, h->number, h->record->to_place);
    stand_at(h->session, h->record);
    h->session->in_run = false;
    if (h->copy->cursor == h->record->to) {
        h->copy->run = 0;
        checker_copy_compare(h->checker, h->copy, h->number);
    }
    checker_outbox_settle_up_to(h->checker, h->copy, h->session, h->number);
    answered_once(h->session);
}

/* ---- page ---- */

/* Nothing that was there at its cursor is forgotten within the window. */
static void judge_reset(const struct hearing *h)
{
    const struct checker_order *order = checker_order_of(h->checker, h->record->order);
    const struct checker_change *change = checker_order_change(h->checker, h->record->order, h->session->place);
    struct span cursor = checker_name_of(h->checker, h->session->cursor), log = checker_name_of(h->checker, h->record->log);
    bool is_ours = cursor.bytes > log.bytes && cursor.at[log.bytes] == '.' && memcmp(cursor.at, log.at, log.bytes) == 0;
    if (order == NULL || order->window_ms == 0 || change == NULL || change->log_ms == 0 || !is_ours || h->session->has_floor) return;
    hold(h, h->event->time_ms - change->log_ms >= order->window_ms - h->checker->options.slack_ms, CHECKER_NEEDLESS_RESET,
         "a reset, though its cursor is younger than the window");
}

static void judge_from(const struct hearing *h)
{
    struct checker_session *session = h->session;
    bool is_null = h->record->from == 0, is_first = !session->in_run;
    if (is_first) {
        if (is_null) hold(h, h->event->reset, CHECKER_MIXED_RESET, "a run from nothing that says no reset");
        else if (hold(h, h->record->from == session->cursor, CHECKER_PAGE_FROM, "a page from elsewhere than the cursor"))
            hold(h, h->event->reset == session->has_floor, CHECKER_MIXED_RESET, "a run that is resumed otherwise than it began");
        if (is_null && h->event->reset && !session->is_null) judge_reset(h);
        session->run_resets = h->event->reset;
        return;
    }
    hold(h, !is_null && h->record->from == session->cursor, CHECKER_PAGE_FROM, "a page from elsewhere than the last one's end");
    hold(h, h->event->reset == session->run_resets, CHECKER_MIXED_RESET, "reset on some pages of a run and not on others");
}

static void judge_page_docs(const struct hearing *h)
{
    for (size_t i = 0; i < h->event->docs_count; i++) {
        const struct checker_doc *doc = &h->event->docs[i];
        struct span name = checker_name_of(h->checker, h->record->keys[i].key);
        bool is_new = doc->rev > h->record->from_place, continues = h->session->in_run && doc->rev == h->record->from_place;
        checker_hold(h->checker, is_new, continues ? CHECKER_DIVIDED : CHECKER_OLD_NEWS, h->number, h->copy->event, TABLE_NONE, "%.*s of rev %llu on the page from %llu",
                     (int)name.bytes, name.at, (unsigned long long)doc->rev, (unsigned long long)h->record->from_place);
        checker_hold(h->checker, doc->rev <= h->record->to_place, CHECKER_BYTES, h->number, TABLE_NONE, TABLE_NONE, "%.*s of rev %llu on the page to %llu", (int)name.bytes,
                     name.at, (unsigned long long)doc->rev, (unsigned long long)h->record->to_place);
    }
}

/* `pushed` is neither less nor more than these documents contain. */
static void judge_pushed(const struct hearing *h)
{
    struct checker *checker = h->checker;
    uint32_t lane = checker_table_find(&checker->lanes_by_pair, checker->stores[h->copy->store].identity, h->copy->space), push = 0;
    uint64_t newest = h->event->more ? 0 : h->record->to_place;
    if (lane == TABLE_NONE) return;
    for (size_t i = 0; i < h->event->docs_count; i++)
        if (h->event->docs[i].rev > newest) newest = h->event->docs[i].rev;
    const struct checker_order *order = checker_order_of(checker, h->record->order);
    uint64_t least = checker_lane_applied(checker, &checker->lanes[lane], h->record->order, newest, &push);
    bool forgotten = least > 0 && order->window_ms > 0 && h->event->time_ms - checker->records[checker->pushes[push].effect].event.time_ms >= 2 * order->window_ms - checker->options.slack_ms;
    if (least > 0 && !forgotten)
        checker_hold(checker, h->event->pushed >= least, CHECKER_PUSHED, h->number, checker->pushes[push].effect, TABLE_NONE, "`pushed` is %llu, and push %llu is in it",
                     (unsigned long long)h->event->pushed, (unsigned long long)least);
    for (size_t i = 0; i < h->event->docs_count; i++) {
        const struct checker_version *version = checker_order_version(checker, h->record->order, h->record->keys[i].key, h->event->docs[i].rev), *next;
        if (version == NULL || (next = checker_order_next(checker, version)) == NULL) continue;
        const struct checker_change *change = checker_order_change(checker, h->record->order, next->rev);
        if (change == NULL || change->push == TABLE_NONE || checker->pushes[change->push].lane != lane) continue;
        checker_hold(checker, checker->pushes[change->push].id > h->event->pushed, CHECKER_PUSHED, h->number, checker->pushes[change->push].effect, TABLE_NONE,
                     "`pushed` is %llu, and a document stands here as before push %llu", (unsigned long long)h->event->pushed,
                     (unsigned long long)checker->pushes[change->push].id);
    }
}

static void begin_run(const struct hearing *h)
{
    struct checker_copy *copy = h->copy;
    bool is_null = h->record->from == 0, resumes = !is_null && h->event->reset && copy->run != 0 && copy->run_resets;
    copy->order = h->record->order;
    if (is_null) copy->tails_count = 0;
    if (copy->run != 0 && (h->session->in_run || resumes) && !is_null) return;
    copy->run = ++h->checker->runs;
    copy->run_resets = h->event->reset;
}

static void judge_sums(const struct hearing *h)
{
    const struct checker_copy *copy = h->copy;
    if (!checker_copy_is_whole(copy)) return;
    for (size_t i = 0; i < copy->parts_count; i++) {
        struct span collection = checker_name_of(h->checker, copy->parts[i].collection);
        uint64_t told = 0;
        for (size_t k = 0; k < h->event->sums_count; k++)
            if (span_equal(h->event->sums[k].collection, collection)) told = h->event->sums[k].value;
        checker_hold(h->checker, told == copy->parts[i].sum, CHECKER_SUM, h->number, TABLE_NONE, TABLE_NONE, "the sum of %.*s is %016llx, and what is held has %016llx",
                     (int)collection.bytes, collection.at, (unsigned long long)told, (unsigned long long)copy->parts[i].sum);
    }
}

/* While nothing is judged: what a run from nothing did not name was deleted by then, unseen by anybody. */
static void learn_deleted(const struct hearing *h)
{
    struct checker *checker = h->checker;
    const struct checker_order *order = checker_order_of(checker, h->record->order);
    size_t keys = order == NULL ? 0 : order->keys.count;
    for (uint32_t i = 0; i < keys; i++) {
        const struct checker_slice *slice = &checker->keys[checker_order_of(checker, h->record->order)->keys.first + i];
        const struct checker_version *version = checker_order_version(checker, h->record->order, checker->versions[slice->first].key, h->copy->place);
        bool left_out = false;
        if (version == NULL || version->deleted || checker_copy_find(h->copy, version->key) != NULL) continue;
        for (size_t k = 0; k < h->copy->tails_count; k++)
            left_out = left_out || (h->copy->tails[k].collection == version->collection && version->born > h->copy->tails[k].above && version->born < h->copy->tails[k].below);
        if (!left_out) checker_order_deleted(checker, h->record->order, version, h->copy->place, h->number);
    }
}

static void end_run(const struct hearing *h)
{
    struct checker_copy *copy = h->copy;
    for (size_t i = 0; copy->run_resets && i < copy->held_count; i++)
        if (!copy->held[i].gone && copy->held[i].run != copy->run) checker_copy_drop(copy, &copy->held[i]);
    if (copy->run_resets && !h->checker->judging) learn_deleted(h);
    copy->run = 0;
    judge_sums(h);
    checker_copy_compare(h->checker, copy, h->number);
}

static void take_page(const struct hearing *h)
{
    struct checker_copy *copy = h->copy;
    begin_run(h);
    for (size_t i = 0; i < h->event->docs_count; i++) {
        const struct checker_held *held = checker_copy_find(copy, h->record->keys[i].key);
        struct span name = checker_name_of(h->checker, h->record->keys[i].key);
        checker_hold(h->checker, held == NULL || held->run != copy->run || held->rev < h->event->docs[i].rev, CHECKER_REPEATED, h->number, held == NULL ? TABLE_NONE : held->event,
                     TABLE_NONE, "%.*s of rev %llu is named again in one run", (int)name.bytes, name.at, (unsigned long long)h->event->docs[i].rev);
        checker_copy_put(copy, &h->event->docs[i], h->record->keys[i], copy->run, h->number);
    }
    for (size_t i = 0; i < h->event->tails_count; i++)
        *(struct checker_tail *)checker_grow((void **)&copy->tails, &copy->tails_count, &copy->tails_room, sizeof *copy->tails) =
            (struct checker_tail){checker_name(&h->checker->names, h->event->tails[i].collection), h->record->from_place, h->event->tails[i].value};
    copy->cursor = h->record->to;
    copy->place = h->record->to_place;
    copy->has_floor = h->record->to_floor;
    copy->is_null = false;
    copy->event = h->number;
    if (h->event->at > copy->newest) copy->newest = h->event->at;
    if (!h->event->more) end_run(h);
}

static void hear_page(const struct hearing *h)
{
    if (!is_heeded(h)) return;
    judge_from(h);
    judge_page_docs(h);
    judge_pushed(h);
    if (!h->event->more) one_string_a_place(h);
    checker_removed_judge(h->checker, h->number, h->record->to_place);
    if ((h->record->from == 0 && h->event->reset) || (!h->copy->is_null && h->copy->cursor == h->record->from)) take_page(h);
    stand_at(h->session, h->record);
    h->session->in_run = h->event->more;
    if (h->event->more) return;
    checker_outbox_settle_up_to(h->checker, h->copy, h->session, h->number);
    answered_once(h->session);
}

/* ---- update ---- */

static void hear_update(const struct hearing *h)
{
    const struct checker_event *event = h->event;
    if (!is_heeded(h)) return;
    hold(h, !h->session->in_run, CHECKER_AMID_RUN, "an update amid a run of pages");
    hold(h, h->record->from == h->session->cursor, CHECKER_HOLE, "an update that does not follow the cursor");
    checker_hold(h->checker, h->record->to_place == event->rev && h->record->from_place < event->rev, CHECKER_CHAIN, h->number, TABLE_NONE, TABLE_NONE,
                 "an update of rev %llu from %llu to %llu", (unsigned long long)event->rev, (unsigned long long)h->record->from_place, (unsigned long long)h->record->to_place);
    one_string_a_place(h);
    checker_removed_judge(h->checker, h->number, event->rev);
    stand_at(h->session, h->record);
    h->session->in_run = false;
    if (!h->copy->is_null && h->copy->cursor == h->record->from) {
        for (size_t i = 0; i < event->docs_count; i++) checker_copy_put(h->copy, &event->docs[i], h->record->keys[i], 0, h->number);
        h->copy->cursor = h->record->to;
        h->copy->place = h->record->to_place;
        h->copy->order = h->record->order;
        if (event->rev > h->copy->newest) h->copy->newest = event->rev;
        checker_copy_compare(h->checker, h->copy, h->number);
    }
    if (h->record->identity != 0 && h->record->identity == h->checker->stores[h->copy->store].identity && event->id != 0)
        checker_outbox_settle(h->checker, h->copy, event->id, SAID_APPLIED, h->number);
}

/* ---- result, history ---- */

/* Documents as of `at`: stored only if that is not below the greatest rev seen. */
static void take_ahead(const struct hearing *h)
{
    struct checker_copy *copy = h->copy;
    bool stores = h->event->at >= copy->newest && !copy->is_null;
    for (size_t i = 0; i < h->event->docs_count; i++) {
        const struct checker_doc *doc = &h->event->docs[i];
        const struct checker_version *version = checker_order_version(h->checker, h->record->order, h->record->keys[i].key, h->event->at);
        struct span name = checker_name_of(h->checker, h->record->keys[i].key);
        checker_hold(h->checker, version != NULL && version->rev == doc->rev, CHECKER_NOT_AS_OF, h->number, version == NULL ? TABLE_NONE : version->event, TABLE_NONE,
                     "%.*s of rev %llu as of %llu, where it has rev %llu", (int)name.bytes, name.at, (unsigned long long)doc->rev, (unsigned long long)h->event->at,
                     version == NULL ? 0ull : (unsigned long long)version->rev);
        if (!stores) continue;
        checker_copy_put(copy, doc, h->record->keys[i], 0, h->number);
        if (doc->rev > copy->ahead_to) copy->ahead_to = doc->rev;
    }
}

static void hear_result(const struct hearing *h)
{
    const struct checker_event *event = h->event;
    struct checker_session *session = h->session;
    if (span_is(event->code, "busy") || span_is(event->code, "too_many")) return;
    bool is_open = session->ref != 0 && session->is_open && !session->is_fresh && session->epoch == checker_epoch_of(h->checker, h->copy->store, event->conn);
    enum checker_said said = event->status == CHECKER_APPLIED ? SAID_APPLIED : SAID_REFUSED;
    if (is_open && h->record->to != 0)
        hold(h, !session->in_run && h->record->to_place <= session->place, CHECKER_RESULT_EARLY, "a result before what it says to come after");
    struct checker_push *push = checker_push_of(h->checker, h->checker->stores[h->copy->store].identity, h->record->space, event->id);
    if (push != NULL && push->rev != 0 && push->order == h->record->order && said == SAID_APPLIED && h->record->to != 0)
        checker_hold(h->checker, push->rev <= h->record->to_place, CHECKER_EARLY, h->number, push->effect, TABLE_NONE, "push %llu is said to be applied at %llu, and took effect at rev %llu",
                     (unsigned long long)event->id, (unsigned long long)h->record->to_place, (unsigned long long)push->rev);
    if (h->record->to != 0) {
        one_string_a_place(h);
        checker_removed_judge(h->checker, h->number, h->record->to_place);
    }
    take_ahead(h);
    if (event->id != 0) checker_outbox_settle(h->checker, h->copy, event->id, said, h->number);
}

static void hear_history(const struct hearing *h)
{
    uint64_t last = h->event->before == 0 ? UINT64_MAX : h->event->before - 1;
    for (size_t i = 0; i < h->event->docs_count; i++) {
        hold(h, h->event->docs[i].born <= last, CHECKER_HISTORY_ORDER, "history that is not newest first, and before what was asked");
        last = h->event->docs[i].born;
    }
    checker_removed_judge(h->checker, h->number, h->event->at);
    take_ahead(h);
}

/* ---- the rest ---- */

static void hear_closed(const struct hearing *h)
{
    if (h->record->ref != 0 && h->record->ref != h->session->ref) return;
    h->session->is_open = false;
    h->session->by_server = true;
    if (h->event->purge) checker_copy_clear(h->copy);
}

static void hear_error(const struct hearing *h)
{
    uint32_t lane = checker_table_find(&h->checker->lanes_by_pair, h->checker->stores[h->copy->store].identity, h->copy->space);
    if (!span_is(h->event->code, "forked")) return;
    hold(h, lane != TABLE_NONE && (h->checker->lanes[lane].is_cloned || h->checker->lanes[lane].was_stranger), CHECKER_FALSE_FORK, "forked, though nobody else ever went by this device id");
}

static void said_open(const struct hearing *h)
{
    *h->session = (struct checker_session){.ref = h->record->ref, .cursor = h->record->from, .epoch = checker_epoch_of(h->checker, h->copy->store, h->event->conn),
                                           .place = h->record->from_place, .known = h->event->known, .is_open = true, .is_fresh = true,
                                           .is_null = h->record->from == 0, .has_floor = h->record->from_floor, .once = h->event->once};
}

void checker_frames_event(struct checker *checker, uint32_t number)
{
    const struct checker_record *record = &checker->records[number];
    uint32_t store = checker_store_of(checker, record->who);
    struct hearing h = {.checker = checker, .number = number, .record = record, .event = &record->event,
                        .session = checker_session_of(checker, store, record->event.conn, record->space), .copy = checker_copy_of(checker, store, record->space)};
    enum checker_kind kind = record->event.kind;
    if (kind == CHECKER_OPEN) said_open(&h);
    else if (kind == CHECKER_CLOSE) h.session->is_open = h.session->by_server = false;
    else if (kind == CHECKER_CURRENT) hear_current(&h);
    else if (kind == CHECKER_PAGE) hear_page(&h);
    else if (kind == CHECKER_UPDATE) hear_update(&h);
    else if (kind == CHECKER_RESULT) hear_result(&h);
    else if (kind == CHECKER_HISTORY) hear_history(&h);
    else if (kind == CHECKER_CLOSED) hear_closed(&h);
    else if (kind == CHECKER_ERROR) hear_error(&h);
}
