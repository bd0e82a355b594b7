/* Background work: what is due, when next, and why not. Pure: a row of the store's `work`, a moment and what holds outside go in; a
 * verdict comes out, or the row as it is to be written. No I/O, no clock.
 *
 * The shape is WorkManager's (androidx/work): constraints that must all hold, a backoff for runs that failed, periods of which only the
 * last part, the flex, is for running.
 *
 * TIME  a wait is told from a moment on (`since`), so that no clock set right or wrong in between changes it: the boot clock counts,
 * and across a boot the server's time where both ends know it, else the wall clock. One that went back counts as no time at all.
 *
 * INVARIANTS
 * 1. A run is booked as one that failed before it begins (work_begin()): whoever dies in it comes back after the backoff.
 * 2. A period holds at most one run that was well. What was slept through is made up by one run.
 * 3. Being stopped in time, or by a constraint that went, is no failure: what is left is due at once, or when the server said.
 * 4. Work is due, waits for a time that is known, or for a constraint that is named: never for nothing. */
#ifndef TIDEGATE_CLIENT_WORK_H
#define TIDEGATE_CLIENT_WORK_H

#include "client/store.h"

enum {
    WORK_BACKOFF_MS = 30000, WORK_BACKOFF_LEAST_MS = 10000, WORK_BACKOFF_MOST_MS = 18000000, /* 10 s to 5 h */
    WORK_EVERY_LEAST_MS = 900000, WORK_FLEX_LEAST_MS = 300000,
    WORK_SETTLE_MS = 600000, /* a wait of which so much is over is written anew, so that a boot costs no more than that */
    WORK_RUNS_KEPT = 20
};
#define WORK_LONGEST_MS INT64_C(315360000000) /* ten years */

/* What stands in the way; WORK_DUE: nothing. In the order in which it is told. */
enum work_why { WORK_DUE, WORK_BEHIND, WORK_DELAYED, WORK_PERIOD, WORK_BACKOFF, WORK_NETWORK, WORK_UNMETERED, WORK_CHARGING, WORK_BATTERY, WORK_STORAGE };

/* What holds outside. */
struct work_conditions {
    bool network, unmetered, charging, battery_low, storage_low;
};
struct work_verdict {
    enum work_why why;
    int64_t in_ms;   /* 0: now, as far as time goes; how overdue it is: negative */
};
enum work_end { WORK_WELL, WORK_MORE, WORK_RETRY, WORK_FAILED };

/* In how long; false: it cannot be told. */
bool work_elapsed(const struct store_moment *since, const struct store_moment *now, int64_t *ret_ms);
struct work_verdict work_decide(const struct store_work *work, const struct store_moment *now, const struct work_conditions *conditions);
/* The same constraints, while it runs: WORK_DUE while all hold. */
enum work_why work_constraint(const struct store_work *work, const struct work_conditions *conditions);
const char *work_why_text(enum work_why why); /* a sentence that follows "it waits " */
int64_t work_backoff_ms(const struct store_work *work, unsigned attempts); /* after so many failures in a row, at least 1 */

/* The row of new work, with its bounds kept: a backoff in WORK_BACKOFF_*, a flex in its period. ERR_INVALID: a period that is too short. */
enum err work_make(struct store_work *work, int64_t delay_ms, const struct store_moment *now);
/* Takes the time that is over off its wait. True: it is to be written. */
bool work_settle(struct store_work *work, const struct store_moment *now);
void work_begin(struct store_work *work, const struct store_moment *now);
/* `before`: as it was before work_begin(). `least_ms`: not again before (the server's word; at most WORK_BACKOFF_MOST_MS of it). True: it
 * is to be written; false: it is over, and its row goes. */
bool work_finish(struct store_work *work, const struct store_work *before, enum work_end end, int64_t least_ms, const struct store_moment *now);

#endif
