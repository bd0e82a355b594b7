/* A partition that changes hands, by hand: log, journal, link and host are the test's own, one record, job and timer at a time; the store
 * is a real one. Records are of one space, notes:ana, by one device; the first is its namespace. */
#ifndef TIDEGATE_TESTS_SUPPORT_STAGE_H
#define TIDEGATE_TESTS_SUPPORT_STAGE_H

#include "tests/support/rig.h"
#include "tests/support/unit.h"
#include "workers/worker.h"

enum { STAGE_RECORDS_MAX = 32, STAGE_JOBS_MAX = 16, STAGE_NOTES_MAX = 64 };

struct stage {
    struct worker_host host;
    struct log_reader reader;
    struct log_writer writer;
    struct link_owner link;
    struct registry registry;
    struct journal journal;
    struct worker *worker;
    char dir[RIG_PATH_BYTES];
    /* the log */
    char *texts[STAGE_RECORDS_MAX];
    size_t count, next;
    uint64_t silent_below, delivered;
    bool started, paused;
    /* the host */
    struct worker_job *jobs[STAGE_JOBS_MAX];
    size_t jobs_count;
    bool armed[WORKER_TIMERS], closed;
    /* what was heard of it */
    uint64_t updates[STAGE_NOTES_MAX], answers[STAGE_NOTES_MAX], commits[STAGE_NOTES_MAX]; /* revs, places, first offsets */
    size_t updates_count, answers_count, commits_count, restores, failures;
    bool owned;
    char why[256]; /* it failed */
    enum journal_end end; /* what commits say */
};

int stage_setup(void **state); /* six records: a namespace and five pushes */
int stage_teardown(void **state);
void stage_push(struct stage *s, const char *ops);
/* Everything that can go on goes on, with the log's records below `below`. */
void stage_run(struct stage *s, uint64_t below);
/* A process takes the partition over, with a gateway that wants to hear of everything. */
void stage_open(struct stage *s, bool with_journal, uint64_t silent_below, uint64_t below);
void stage_close(struct stage *s);
uint64_t stage_stored(struct stage *s);
/* The disk: no file of this process grows past `bytes`; 0: there is room again. */
void stage_limit_files(uint64_t bytes);

#endif
