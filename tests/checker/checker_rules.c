/* The rules, each with the sentence that it checks: tests/unit/test_checker.c looks every one up in its page. */
#include <assert.h>

#include "tests/checker/checker_parts.h"

#define PROTOCOL "docs/protocol.md"
#define ARCHITECTURE "ARCHITECTURE.md"

static const struct checker_rule_row rows[CHECKER_RULES_COUNT] = {
    [CHECKER_LOST] = {"lost", 1, PROTOCOL, "A push that was acked is applied exactly once, or refused with a reason that waits for the device"},
    [CHECKER_TWICE] = {"twice", 1, PROTOCOL, "A push that was acked is applied exactly once"},
    [CHECKER_COUNTER] = {"counter", 1, PROTOCOL, "counters, sets and maxima never lose anyone's part"},
    [CHECKER_OUTCOME] = {"outcome", 1, PROTOCOL, "Sending the same push again is always safe, and is answered with its outcome"},
    [CHECKER_FALSE_FORK] = {"false-fork", 1, PROTOCOL, "this id was used before for something else; the device was restored from an old backup"},
    [CHECKER_FALSE_UNKNOWN] = {"false-unknown", 1, PROTOCOL, "A push that was first sent longer ago than that"},
    [CHECKER_PHANTOM] = {"phantom", 1, PROTOCOL, "A `pushed` past the greatest id that the device ever sent there says the same"},
    [CHECKER_EARLY] = {"early", 1, PROTOCOL, "in the same local transaction as the cursor that covers it"},
    [CHECKER_UNTOLD] = {"untold", 1, PROTOCOL, "those up to `pushed` and after `known` that were not applied"},
    [CHECKER_OTHER_LOG] = {"other-log", 1, PROTOCOL, "or to another log, is not sent again"},
    [CHECKER_OUTBOX_LOST] = {"outbox-lost", 4, PROTOCOL, "Neither touches the outbox"},
    [CHECKER_ORDER] = {"order", 2, PROTOCOL, "All devices see one order per space"},
    [CHECKER_BYTES] = {"bytes", 6, PROTOCOL, "Two devices at the same cursor, neither in the middle of a run, hold the same documents"},
    [CHECKER_CHAIN] = {"chain", 2, PROTOCOL, "one chain of `prev` and `cursor` for all devices of a space"},
    [CHECKER_HOLE] = {"hole", 2, PROTOCOL, "`prev` is the cursor the device had"},
    [CHECKER_MISSING] = {"missing", 2, PROTOCOL, "who holds a cursor and no unfinished run of pages holds everything before it"},
    [CHECKER_AMID_RUN] = {"amid-run", 2, PROTOCOL, "No `update` of a space comes amid a run of its pages"},
    [CHECKER_PAGE_FROM] = {"page-from", 2, PROTOCOL, "`from` is then the device's cursor"},
    [CHECKER_NOT_OPEN] = {"not-open", 2, PROTOCOL, "no longer open here"},
    [CHECKER_NOT_AS_OF] = {"not-as-of", 2, PROTOCOL, "`docs`: the server's, for what it named, as of rev `at`"},
    [CHECKER_RESULT_EARLY] = {"result-early", 2, PROTOCOL, "In an open space it comes after everything up to `cursor`"},
    [CHECKER_CURRENT_WRONG] = {"current-wrong", 2, PROTOCOL, "where nothing changed since and no refusal waits, is named in a `current`"},
    [CHECKER_ID_ORDER] = {"id-order", 3, PROTOCOL, "One device's pushes to one space take effect in `id` order"},
    [CHECKER_OLD_NEWS] = {"old-news", 4, PROTOCOL, "gets what changed and nothing else"},
    [CHECKER_NEEDLESS_RESET] = {"needless-reset", 4, PROTOCOL, "Who comes back within the window (90 days by default) gets what changed and nothing else"},
    [CHECKER_MIXED_RESET] = {"mixed-reset", 4, PROTOCOL, "`reset`:true on each page of a run that starts from nothing"},
    [CHECKER_REPEATED] = {"repeated", 5, PROTOCOL, "each document once (again if it changed during the run)"},
    [CHECKER_DIVIDED] = {"divided", 2, PROTOCOL, "A page never divides a push"},
    [CHECKER_PUSHED] = {"pushed", 1, PROTOCOL, "this page's documents contain this device's pushes up to this id"},
    [CHECKER_SUM] = {"sum", 6, PROTOCOL, "A device that holds the whole collection compares"},
    [CHECKER_TWO_CURSORS] = {"two-cursors", 6, PROTOCOL, "compare it for equality"},
    [CHECKER_HISTORY_ORDER] = {"history-order", 2, PROTOCOL, "documents of an `append` collection `born` before that (without it: the newest), newest first"},
    [CHECKER_REMOVED] = {"removed", 0, PROTOCOL, "nothing with a rev past a removal reaches the removed"},
    [CHECKER_UNSETTLED] = {"unsettled", 0, PROTOCOL, "No outcome is lost for good"},
    [CHECKER_BEHIND] = {"behind", 0, ARCHITECTURE, "every copy (store, ring, device) can be wrong only by being behind, and heals by asking"},
    [CHECKER_BACKWARDS] = {"backwards", 0, ARCHITECTURE, "whoever replays the records derives the same revs and bytes"},
    [CHECKER_DOWNSTREAM_END] = {"downstream-end", 0, ARCHITECTURE, "every copy (store, ring, device) can be wrong only by being behind, and heals by asking"},
    [CHECKER_RESTORED_OTHER] = {"restored-other", 0, ARCHITECTURE, "whoever replays the records derives the same revs and bytes"},
};

static const char *const kinds[CHECKER_KINDS_COUNT] = {
#define CHECKER_AS_NAME(symbol, name) [symbol] = name,
    CHECKER_KINDS(CHECKER_AS_NAME)
#undef CHECKER_AS_NAME
};

const char *checker_rule_name(enum checker_rule rule) { return rows[rule].name; }
const char *checker_rule_sentence(enum checker_rule rule) { return rows[rule].sentence; }
const char *checker_rule_page(enum checker_rule rule) { return rows[rule].page; }
unsigned checker_rule_promise(enum checker_rule rule) { return rows[rule].promise; }
const char *checker_kind_name(enum checker_kind kind) { return kinds[kind]; }

void checker_render(const struct checker *checker, size_t violation, struct buf *buf)
{
    assert(violation < checker->report.list_count);
    const struct checker_violation *found = &checker->report.list[violation];
    buf_add_text(buf, rows[found->rule].name);
    buf_add_text(buf, ": ");
    buf_add_text(buf, found->text);
    buf_add_text(buf, "\n    but ");
    buf_add_text(buf, rows[found->rule].page);
    buf_add_text(buf, " says: ");
    buf_add_text(buf, rows[found->rule].sentence);
    buf_add_char(buf, '\n');
    for (size_t i = 0; i < found->proofs_count; i++) {
        buf_add_text(buf, "    event ");
        buf_add_u64(buf, found->proofs[i]);
        buf_add_text(buf, ": ");
        checker_event_json(&checker->records[found->proofs[i]].event, buf);
    }
}
