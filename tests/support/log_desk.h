/* One process's use of the embedded log, for tests: what it appended, what was acked, what it read. */
#ifndef TIDEGATE_TESTS_SUPPORT_LOG_DESK_H
#define TIDEGATE_TESTS_SUPPORT_LOG_DESK_H

#include "backends/embedded/embedded.h"
#include "tests/support/rig.h"

enum { LOG_DESK_WAIT_MS = 20000 }; /* no test waits longer for what must come */

extern int64_t log_desk_clock_ms; /* the log's clock; 0: the true one */

/* One process's use of a directory. */
struct log_desk {
    char dir[RIG_PATH_BYTES];
    uv_loop_t loop;
    struct embedded *embedded;
    struct log_writer *writer;
    struct log_reader *reader;
    size_t assigned;
    /* acks, by tag */
    size_t acks, refused;
    uint64_t last_tag;
    bool tags_in_order;
    /* records of partition 0 */
    size_t records;
    uint64_t next_expected;
    bool gapless;
    int64_t last_time_ms;
    bool times_grow;
    char last[64];
    enum err failed;
    size_t pause_after;
};

int log_desk_set_up(void **state); /* a desk with a directory, as a cmocka test's state */
int log_desk_tear_down(void **state);
enum err log_desk_try(struct log_desk *desk, uint32_t partitions, uint64_t bytes_max, char *why, size_t why_bytes);
void log_desk_open(struct log_desk *desk); /* until all partitions are assigned */
void log_desk_open_with(struct log_desk *desk, uint64_t bytes_max);
void log_desk_close(struct log_desk *desk);
void log_desk_start(struct log_desk *desk, uint64_t offset);
enum err log_desk_append_text(struct log_desk *desk, uint32_t partition, const char *text, uint64_t tag);
void log_desk_append_numbers(struct log_desk *desk, uint64_t from, size_t count); /* `count` records from number `from` on, each its number */
void log_desk_wait_for(struct log_desk *desk, size_t acks, size_t records);

#endif
