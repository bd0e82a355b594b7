/* Background work: asked for, run within a budget, and why not. What is due is work.h's to say; what holds outside, the app's or Linux's. */
#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "client/tide_parts.h"
#include "client/work_conditions.h"
#include "core/name.h"

enum { INPUT_BYTES_MAX = 10240, NOTE_MS = 150 /* past its time a run's end waits so long for the store */, CLOSE_MS = 1000 };

struct run {
    struct tide *tide;
    const struct store_work *work;
    int64_t end_ms;         /* clock_monotonic_ms() */
    char stopped[96];       /* why it was, between two batches; "": it was not */
    int64_t least_ms;       /* not again before: the server's word */
};

/* ---- what holds outside ---- */

static bool told(enum tide_known known, bool read) { return known == TIDE_ASK_SYSTEM ? read : known == TIDE_YES; }

static struct work_conditions conditions_now(struct tide *tide)
{
    const struct tide_conditions *said = &tide->conditions;
    struct work_conditions conditions;
    work_conditions_read(tide->system_root, store_path(tide->store), &conditions);
    conditions.network = told(said->network, conditions.network);
    conditions.unmetered = conditions.network && told(said->unmetered, conditions.unmetered);
    conditions.charging = told(said->charging, conditions.charging);
    conditions.battery_low = told(said->battery_low, conditions.battery_low);
    conditions.storage_low = told(said->storage_low, conditions.storage_low);
    return conditions;
}

void tide_set_conditions(struct tide *tide, const struct tide_conditions *conditions)
{
    tide->conditions = conditions == NULL ? (struct tide_conditions){.network = TIDE_ASK_SYSTEM} : *conditions;
}

/* ---- asking for it ---- */

static bool is_good(const struct tide_work *work, enum tide_exists exists)
{
    size_t input = work->input == NULL ? 0 : strlen(work->input);
    return work->name != NULL && name_is_id(span_text(work->name)) && input <= INPUT_BYTES_MAX &&
           (unsigned)work->kind <= TIDE_WORK_APP && (unsigned)work->network <= TIDE_NETWORK_UNMETERED && (unsigned)exists <= TIDE_APPEND;
}

enum tide_code tide_work_add(struct tide *tide, const struct tide_work *work, enum tide_exists exists)
{
    struct store_moment now = tide_now(tide);
    struct store_work *there;
    if (!is_good(work, exists)) return tide_fail(tide, TIDE_INVALID, "work has a name of 1 to 128 bytes, and an input of at most 10 KiB");
    struct store_work row = {.name = span_text(work->name), .kind = (int)work->kind, .input = span_text(work->input == NULL ? "" : work->input), .every_ms = work->every_ms,
        .flex_ms = work->flex_ms, .network = (enum store_network)work->network, .charging = work->charging, .battery = work->battery_not_low, .storage = work->storage_not_low,
        .is_linear = work->linear, .backoff_ms = work->backoff_ms};
    if (work_make(&row, work->delay_ms, &now) != ERR_OK) return tide_fail(tide, TIDE_INVALID, "a delay is none or more, and a period at least 15 minutes");
    size_t count = 0;
    enum err err = store_begin(tide->store, true);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    arena_reset(&tide->arena);
    err = store_work_list(tide->store, &tide->arena, row.name, &there, &count);
    if (err != ERR_OK) store_fail(tide->store, err);
    if (exists == TIDE_REPLACE) store_work_cancel(tide->store, row.name);
    if (exists == TIDE_APPEND && count > 0 && there[count - 1].every_ms > 0) {
        store_rollback(tide->store);
        return tide_fail(tide, TIDE_INVALID, "what comes again and again has no end that something could be appended to");
    }
    if (exists != TIDE_KEEP || count == 0) {
        if (store_work_count(tide->store) >= STORE_WORK_MAX) store_fail(tide->store, ERR_TOO_MANY);
        store_work_add(tide->store, &row);
    }
    err = store_commit(tide->store);
    return err == ERR_OK ? TIDE_OK : tide_fail_err(tide, err);
}

enum tide_code tide_work_cancel(struct tide *tide, const char *name)
{
    if (name == NULL) return tide_fail(tide, TIDE_INVALID, "a name is needed");
    enum err err = store_begin(tide->store, true);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    uint64_t count = store_work_cancel(tide->store, span_text(name));
    err = store_commit(tide->store);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    return count > 0 ? TIDE_OK : tide_fail(tide, TIDE_NOT_FOUND, "there is no work '%.80s'", name);
}

/* ---- looking ---- */

static const enum tide_why whys[] = {[WORK_DUE] = TIDE_WHY_DUE, [WORK_BEHIND] = TIDE_WHY_BEHIND, [WORK_DELAYED] = TIDE_WHY_TIME, [WORK_PERIOD] = TIDE_WHY_TIME,
    [WORK_BACKOFF] = TIDE_WHY_BACKOFF, [WORK_NETWORK] = TIDE_WHY_NETWORK, [WORK_UNMETERED] = TIDE_WHY_UNMETERED, [WORK_CHARGING] = TIDE_WHY_CHARGING,
    [WORK_BATTERY] = TIDE_WHY_BATTERY, [WORK_STORAGE] = TIDE_WHY_STORAGE};

static bool waits_for_time(enum work_why why) { return why == WORK_DELAYED || why == WORK_PERIOD || why == WORK_BACKOFF; }

static int64_t next_ms(struct work_verdict verdict)
{
    if (verdict.why == WORK_DUE) return 0;
    return waits_for_time(verdict.why) ? verdict.in_ms : -1;
}

enum tide_code tide_work_list(struct tide *tide, bool (*each)(void *ctx, const struct tide_work_state *state), void *ctx)
{
    struct store_moment now = tide_now(tide);
    struct work_conditions conditions = conditions_now(tide);
    struct store_work *list;
    struct arena arena;
    bool goes_on = true;
    size_t count = 0;
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    enum err err = store_work_list(tide->store, &arena, span_of(NULL, 0), &list, &count);
    for (size_t i = 0; i < count && goes_on; i++) {
        const struct store_work *row = &list[i];
        struct work_verdict verdict = work_decide(row, &now, &conditions);
        struct store_work_run run = {.outcome = SPAN_LITERAL(""), .reason = SPAN_LITERAL("")};
        (void)store_work_last_run(tide->store, &arena, row->name, &run);
        struct tide_work_state state = {.work = {.name = row->name.at, .kind = (enum tide_work_kind)row->kind, .input = row->input.at, .every_ms = row->every_ms,
            .flex_ms = row->flex_ms, .network = (enum tide_network)row->network, .charging = row->charging, .battery_not_low = row->battery,
            .storage_not_low = row->storage, .linear = row->is_linear, .backoff_ms = row->backoff_ms}, .why = whys[verdict.why], .next_ms = next_ms(verdict),
            .attempts = row->attempts, .looked_ms = row->looked_ms, .looked_why = row->why.at, .ran_ms = run.began_ms, .outcome = run.outcome.at, .reason = run.reason.at};
        goes_on = each(ctx, &state);
    }
    arena_fini(&arena);
    return err == ERR_OK ? TIDE_OK : tide_fail_err(tide, err);
}

/* Of all work, what would run first: due before not due, then what waits for a time, the earliest first; -1: there is none. */
static int first_of(const struct store_work *list, size_t count, const struct store_moment *now, const struct work_conditions *conditions, struct work_verdict *ret_verdict)
{
    int first = -1, best_rank = 0;
    for (size_t i = 0; i < count; i++) {
        struct work_verdict verdict = work_decide(&list[i], now, conditions);
        int rank = verdict.why == WORK_DUE ? 0 : waits_for_time(verdict.why) ? 1 : 2;
        if (first >= 0 && (rank > best_rank || (rank == best_rank && verdict.in_ms >= ret_verdict->in_ms))) continue;
        first = (int)i;
        best_rank = rank;
        *ret_verdict = verdict;
    }
    return first;
}

/* The right to sync, if only to know whether another process has it. */
static bool is_busy(struct tide *tide)
{
    if (tide->started || store_is_locked(tide->store)) return false; /* a callback of a run under way may ask */
    if (!store_lock(tide->store)) return true;
    store_unlock(tide->store);
    return false;
}

void tide_why_not(struct tide *tide, const char *name, struct tide_reason *ret_reason)
{
    struct store_moment now = tide_now(tide);
    struct work_conditions conditions = conditions_now(tide);
    struct work_verdict verdict = {.why = WORK_DUE};
    struct store_work_run run;
    struct store_work *list;
    size_t count = 0;
    arena_reset(&tide->arena);
    enum err err = store_work_list(tide->store, &tide->arena, span_text(name == NULL ? "" : name), &list, &count);
    int first = err == ERR_OK ? first_of(list, count, &now, &conditions, &verdict) : -1;
    struct tide_reason reason = {.why = TIDE_WHY_NO_WORK, .sentence = tide->why_not, .next_ms = -1, .name = ""};
    if (first < 0) {
        snprintf(tide->why_not, sizeof tide->why_not, "%s", err == ERR_OK ? "there is no such work" : err_text(err));
        *ret_reason = reason;
        return;
    }
    reason.why = whys[verdict.why];
    reason.next_ms = next_ms(verdict);
    reason.name = list[first].name.at;
    bool busy = reason.why == TIDE_WHY_DUE && is_busy(tide), ran = store_work_last_run(tide->store, &tide->arena, list[first].name, &run);
    if (busy) reason.why = TIDE_WHY_BUSY;
    snprintf(tide->why_not, sizeof tide->why_not, "%.128s waits %s%s%.16s%s%.100s", reason.name, busy ? "for another process that syncs this store" : work_why_text(verdict.why),
             ran ? "; its last run: " : "", ran ? run.outcome.at : "", ran && run.reason.bytes > 0 ? ", " : "", ran ? run.reason.at : "");
    *ret_reason = reason;
}

/* ---- running ---- */

/* Between two batches: its time, what it needs outside, and whether it is still wanted. */
static bool may_go_on(void *ctx)
{
    struct run *run = ctx;
    struct work_conditions conditions = conditions_now(run->tide);
    enum work_why why = work_constraint(run->work, &conditions);
    if (why != WORK_DUE) snprintf(run->stopped, sizeof run->stopped, "it waits %s", work_why_text(why));
    else if (!store_work_is_there(run->tide->store, run->work->id)) snprintf(run->stopped, sizeof run->stopped, "it was cancelled");
    return run->stopped[0] == '\0';
}

static bool is_whole(void *ctx) { return sync_is_whole(((struct run *)ctx)->tide->sync); }

static enum work_end sync_it(struct run *run, char *ret_reason, size_t reason_bytes)
{
    static const enum tide_mode modes[] = {[TIDE_WORK_SYNC] = TIDE_BOTH, [TIDE_WORK_PUSH] = TIDE_PUSH_ONLY, [TIDE_WORK_PULL] = TIDE_PULL_ONLY};
    struct tide *tide = run->tide;
    bool progress = false;
    if (tide->started) { /* live already: it is enough that everything has come through */
        if (tide_run(tide, run->end_ms - clock_monotonic_ms() > 0 ? run->end_ms - clock_monotonic_ms() : 0, is_whole, run)) return WORK_WELL;
        snprintf(ret_reason, reason_bytes, "%s", sync_state_name(sync_state(tide->sync)));
        return sync_state(tide->sync) == SYNC_LIVE ? WORK_MORE : WORK_RETRY;
    }
    enum tide_code code = tide_sync_until(tide, modes[run->work->kind], run->end_ms, may_go_on, run, &progress);
    if (run->stopped[0] != '\0') snprintf(ret_reason, reason_bytes, "%s", run->stopped);
    else if (code != TIDE_OK) snprintf(ret_reason, reason_bytes, "%s", tide_message(tide));
    run->least_ms = tide->come_back_ms;
    if (run->stopped[0] != '\0' || (code == TIDE_TIMEOUT && progress)) return WORK_MORE;
    return code == TIDE_OK ? WORK_WELL : WORK_RETRY;
}

static enum work_end let_app_do_it(struct run *run, char *ret_reason, size_t reason_bytes)
{
    static const enum work_end ends[] = {[TIDE_WORK_WELL] = WORK_WELL, [TIDE_WORK_AGAIN] = WORK_RETRY, [TIDE_WORK_FAILED] = WORK_FAILED};
    struct tide *tide = run->tide;
    if (tide->options.on_work == NULL) {
        snprintf(ret_reason, reason_bytes, "the app has no on_work()");
        return WORK_RETRY;
    }
    int64_t left = run->end_ms - clock_monotonic_ms();
    tide->in_callback = true;
    enum tide_work_result result = tide->options.on_work(tide->options.ctx, tide, run->work->name.at, run->work->input.at, left > 0 ? left : 0);
    tide->in_callback = false;
    return (unsigned)result <= TIDE_WORK_FAILED ? ends[result] : WORK_FAILED;
}

/* What was appended to work that failed fails with it. */
static void end_row(struct store *store, const struct tide_ended *ended, enum work_end end)
{
    struct store_work work = ended->work;
    work.name = span_text(ended->name);
    work.why = SPAN_LITERAL("");
    if (work_finish(&work, &ended->before, end, ended->least_ms, &ended->at)) (void)store_work_put(store, &work); /* without a row, it was cancelled */
    else if (end == WORK_FAILED && store_work_is_there(store, work.id)) (void)store_work_cancel(store, work.name); /* else: another took its place */
    else store_work_remove(store, work.id);
}

enum err tide_work_note_end(struct tide *tide)
{
    static const char *const outcomes[] = {[WORK_WELL] = "well", [WORK_MORE] = "more", [WORK_RETRY] = "retry", [WORK_FAILED] = "failed"};
    struct tide_ended *ended = &tide->ended;
    if (!ended->is_owed) return ERR_OK;
    enum err err = store_begin(tide->store, true);
    if (err != ERR_OK) return err;
    /* Written behind its last batch, by one who found (TIDE_KEEP) that there is such work: it is not over. */
    bool sends = ended->work.kind == TIDE_WORK_SYNC || ended->work.kind == TIDE_WORK_PUSH;
    enum work_end end = ended->end;
    if (end == WORK_WELL && sends && store_self(tide->store)->next_push > ended->next_push && store_push_any(tide->store)) end = WORK_MORE;
    /* Who took it for dead meanwhile has run it anew: the row is about that run. */
    if (!store_work_ran_since(tide->store, span_text(ended->name), ended->record)) end_row(tide->store, ended, end);
    store_work_run_ended(tide->store, ended->record, ended->took_ms, outcomes[end], span_text(ended->reason));
    err = store_commit(tide->store);
    if (err != ERR_OK) return err;
    ended->end = end;
    ended->is_owed = false;
    return ERR_OK;
}

void tide_work_note_last(struct tide *tide)
{
    store_set_deadline(tide->store, tide_end_ms(CLOSE_MS));
    (void)tide_work_note_end(tide); /* else it counts as one that was killed, which is all that is left to say */
}

/* Booked as a run that failed; false: it is not there any more. */
static enum err book(struct tide *tide, struct store_work *work, bool *ret_there)
{
    struct tide_ended *ended = &tide->ended;
    struct store_moment now = tide_now(tide);
    enum err err = store_begin(tide->store, true);
    if (err != ERR_OK) return err;
    *ended = (struct tide_ended){.before = *work, .next_push = store_self(tide->store)->next_push};
    work_begin(work, &now);
    bool there = store_work_put(tide->store, work);
    ended->record = there ? store_work_ran(tide->store, work->name, now.wall_ms, WORK_RUNS_KEPT) : 0;
    ended->work = *work;
    snprintf(ended->name, sizeof ended->name, "%.*s", (int)work->name.bytes, work->name.at);
    *ret_there = there;
    return store_commit(tide->store);
}

/* Another process may hold the store just then: what is not written within NOTE_MS stays owed, and the run is none that was killed. */
static enum err run_one(struct tide *tide, const struct store_work *due_work, int64_t end_ms, struct tide_due *due)
{
    struct tide_ended *ended = &tide->ended;
    struct store_work work = *due_work;
    struct run run = {.tide = tide, .work = &work, .end_ms = end_ms};
    char reason[sizeof ended->reason] = "";
    bool there;
    int64_t began_ms = clock_monotonic_ms();
    enum err err = book(tide, &work, &there);
    if (err != ERR_OK || !there) return err;
    enum work_end end = work.kind == TIDE_WORK_APP ? let_app_do_it(&run, reason, sizeof reason) : sync_it(&run, reason, sizeof reason);
    due->ran++;
    ended->end = end;
    ended->at = tide_now(tide);
    ended->took_ms = clock_monotonic_ms() - began_ms;
    ended->least_ms = run.least_ms;
    memcpy(ended->reason, reason, sizeof reason);
    ended->is_owed = true;
    store_set_deadline(tide->store, end_ms + NOTE_MS);
    err = tide_work_note_end(tide);
    store_set_deadline(tide->store, end_ms);
    if (ended->end == WORK_WELL) due->well++;
    return err;
}

/* Takes time that is over off the waits, and leaves word of why each does not run. The list is read anew. */
static enum err look(struct tide *tide, struct arena *arena, const struct work_conditions *conditions, struct store_work **ret_list, size_t *ret_count)
{
    struct store_moment now = tide_now(tide);
    bool writes = false;
    arena_reset(arena);
    enum err err = store_work_list(tide->store, arena, span_of(NULL, 0), ret_list, ret_count);
    if (err != ERR_OK) return err;
    for (size_t i = 0; i < *ret_count; i++) {
        struct store_work *work = &(*ret_list)[i];
        enum work_why why = work_decide(work, &now, conditions).why;
        struct span text = why == WORK_DUE ? SPAN_LITERAL("") : span_text(work_why_text(why));
        bool changed = work_settle(work, &now) || !span_equal(text, work->why);
        work->why = text;
        work->looked_ms = now.wall_ms;
        if (!changed) continue;
        if (!writes && (err = store_begin(tide->store, false)) != ERR_OK) return err;
        writes = true;
        (void)store_work_put(tide->store, work);
    }
    return writes ? store_commit(tide->store) : ERR_OK;
}

static enum err run_all(struct tide *tide, int64_t end_ms, struct tide_due *due)
{
    struct work_verdict verdict = {.why = WORK_DUE};
    struct store_work *list;
    struct arena arena;
    size_t count;
    enum err err = tide_work_note_end(tide);
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    while (err == ERR_OK) {
        struct work_conditions conditions = conditions_now(tide);
        err = look(tide, &arena, &conditions, &list, &count);
        if (err != ERR_OK) break;
        struct store_moment now = tide_now(tide);
        int first = first_of(list, count, &now, &conditions, &verdict);
        due->next_ms = first < 0 ? -1 : next_ms(verdict);
        if (first < 0 || verdict.why != WORK_DUE || clock_monotonic_ms() >= end_ms) break;
        /* A callback may have stopped syncing, and so given the right to it back. */
        err = tide->started || store_lock(tide->store) ? run_one(tide, &list[first], end_ms, due) : ERR_BUSY;
    }
    arena_fini(&arena);
    if (err != ERR_BUSY || due->ran == 0) return err;
    due->next_ms = 0; /* what ran did run */
    return ERR_OK;
}

enum tide_code tide_run_due(struct tide *tide, int64_t within_ms, struct tide_due *ret_due)
{
    struct tide_due due = {.next_ms = -1};
    int64_t end_ms = tide_end_ms(within_ms > 0 ? within_ms < WORK_LONGEST_MS ? within_ms : WORK_LONGEST_MS : 0);
    if (tide->in_callback) return tide_fail(tide, TIDE_MISUSE, "not out of a callback: it waits");
    if (tide->transport != NULL && transport_is_foreign(tide->transport)) return tide_fail(tide, TIDE_MISUSE, "not on an attached loop: it blocks; open another handle for it");
    if (!tide->started && !store_lock(tide->store)) return tide_fail(tide, TIDE_BUSY, "another process syncs this store");
    store_set_deadline(tide->store, end_ms);
    enum err err = run_all(tide, end_ms, &due);
    store_set_deadline(tide->store, 0);
    if (!tide->started) store_unlock(tide->store);
    tide_deliver(tide);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    *ret_due = due;
    return TIDE_OK;
}
