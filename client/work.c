#include "client/work.h"

bool work_elapsed(const struct store_moment *since, const struct store_moment *now, int64_t *ret_ms)
{
    int64_t ms;
    if (since->boot[0] != '\0' && strcmp(since->boot, now->boot) == 0) ms = now->boot_ms - since->boot_ms;
    else if (since->server_ms != 0 && now->server_ms != 0) ms = now->server_ms - since->server_ms;
    else ms = now->wall_ms - since->wall_ms;
    if (ms < 0) return false;
    *ret_ms = ms;
    return true;
}

enum work_why work_constraint(const struct store_work *work, const struct work_conditions *conditions)
{
    if (work->network != STORE_NETWORK_NONE && !conditions->network) return WORK_NETWORK;
    if (work->network == STORE_NETWORK_UNMETERED && !conditions->unmetered) return WORK_UNMETERED;
    if (work->charging && !conditions->charging) return WORK_CHARGING;
    if (work->battery && conditions->battery_low) return WORK_BATTERY;
    if (work->storage && conditions->storage_low) return WORK_STORAGE;
    return WORK_DUE;
}

struct work_verdict work_decide(const struct store_work *work, const struct store_moment *now, const struct work_conditions *conditions)
{
    int64_t elapsed = 0;
    (void)work_elapsed(&work->since, now, &elapsed);
    struct work_verdict verdict = {.in_ms = work->wait_ms - elapsed};
    if (work->is_behind) verdict.why = WORK_BEHIND;
    else if (verdict.in_ms > 0) verdict.why = work->attempts > 0 ? WORK_BACKOFF : work->every_ms > 0 ? WORK_PERIOD : WORK_DELAYED;
    else verdict.why = work_constraint(work, conditions);
    return verdict;
}

const char *work_why_text(enum work_why why)
{
    static const char *const texts[] = {[WORK_DUE] = "for nothing: it is due", [WORK_BEHIND] = "for the work that it was appended to", [WORK_DELAYED] = "for its time",
        [WORK_PERIOD] = "for the next part of its period that is for running", [WORK_BACKOFF] = "after a run that failed", [WORK_NETWORK] = "for a network",
        [WORK_UNMETERED] = "for a network that is not metered", [WORK_CHARGING] = "for the charger", [WORK_BATTERY] = "for a battery that is not low",
        [WORK_STORAGE] = "for room on the disk"};
    return texts[why];
}

static int64_t between(int64_t value, int64_t least, int64_t most) { return value < least ? least : value > most ? most : value; }

int64_t work_backoff_ms(const struct store_work *work, unsigned attempts)
{
    int64_t ms = work->backoff_ms;
    for (unsigned i = 1; i < attempts && ms < WORK_BACKOFF_MOST_MS; i++) ms += work->is_linear ? work->backoff_ms : ms;
    return between(ms, WORK_BACKOFF_LEAST_MS, WORK_BACKOFF_MOST_MS);
}

enum err work_make(struct store_work *work, int64_t delay_ms, const struct store_moment *now)
{
    if (delay_ms < 0 || delay_ms > WORK_LONGEST_MS || work->every_ms < 0 || work->every_ms > WORK_LONGEST_MS || (work->every_ms > 0 && work->every_ms < WORK_EVERY_LEAST_MS)) return ERR_INVALID;
    work->backoff_ms = between(work->backoff_ms > 0 ? work->backoff_ms : WORK_BACKOFF_MS, WORK_BACKOFF_LEAST_MS, WORK_BACKOFF_MOST_MS);
    if (work->every_ms == 0) work->flex_ms = 0;
    else if (work->flex_ms <= 0) work->flex_ms = work->every_ms;
    else work->flex_ms = between(work->flex_ms, WORK_FLEX_LEAST_MS, work->every_ms);
    work->attempts = 0;
    work->since = *now;
    work->wait_ms = delay_ms + work->every_ms - work->flex_ms;
    work->end_ms = delay_ms + work->every_ms;
    return ERR_OK;
}

/* From now on, with what is left of the period. */
static void wait_from_now(struct store_work *work, int64_t wait_ms, const struct store_moment *now)
{
    int64_t elapsed = 0;
    (void)work_elapsed(&work->since, now, &elapsed);
    int64_t left = work->end_ms - elapsed;
    if (work->every_ms > 0 && left <= 0) left += (-left / work->every_ms + 1) * work->every_ms;
    work->end_ms = work->every_ms > 0 ? left : 0;
    work->wait_ms = wait_ms;
    work->since = *now;
}

bool work_settle(struct store_work *work, const struct store_moment *now)
{
    int64_t elapsed;
    bool known = work_elapsed(&work->since, now, &elapsed);
    if (known && elapsed < WORK_SETTLE_MS) return false;
    wait_from_now(work, work->wait_ms - (known ? elapsed : 0), now);
    return true;
}

void work_begin(struct store_work *work, const struct store_moment *now)
{
    work->attempts++;
    wait_from_now(work, work_backoff_ms(work, work->attempts), now);
}

bool work_finish(struct store_work *work, const struct store_work *before, enum work_end end, int64_t least_ms, const struct store_moment *now)
{
    least_ms = between(least_ms, 0, WORK_BACKOFF_MOST_MS);
    if (end == WORK_RETRY) {
        int64_t backoff_ms = work_backoff_ms(work, work->attempts);
        wait_from_now(work, backoff_ms > least_ms ? backoff_ms : least_ms, now);
        return true;
    }
    if (end == WORK_MORE) {
        work->attempts = before->attempts;
        wait_from_now(work, least_ms, now);
        return true;
    }
    if (work->every_ms == 0) return false;
    work->attempts = 0;
    wait_from_now(work, 0, now);
    work->wait_ms = work->end_ms + work->every_ms - work->flex_ms;
    work->end_ms += work->every_ms;
    return true;
}
