/* The embedded log under kill -9: thirty lives of a program that appends, each cut short at a random moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/embedded/embedded.h"
#include "tests/support/rig.h"

enum { WAIT_MS = 20000, KILLS = 30 };

struct crash {
    char dir[RIG_PATH_BYTES];
    uint64_t acked_max[2]; /* greatest number acked, by partition, plus one */
    uint64_t next;         /* the number to begin with */
    /* Each run's first number, and what was acked before it. */
    size_t runs;
    uint64_t began_at[KILLS];
    uint64_t acked_before[KILLS][2];
};

/* Runs the tool for a while, kills it, and notes the acks that it had written. */
static void run_and_kill(struct crash *crash, uint64_t ms)
{
    int out[2];
    char tool[RIG_PATH_BYTES], first[32], line[64];
    rig_tool("log_crasher", tool);
    snprintf(first, sizeof first, "%llu", (unsigned long long)crash->next);
    crash->began_at[crash->runs] = crash->next;
    memcpy(crash->acked_before[crash->runs++], crash->acked_max, sizeof crash->acked_max);
    assert_int_equal(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        close(out[0]);
        close(out[1]);
        execl(tool, tool, crash->dir, first, (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    close(out[1]);
    FILE *acks = fdopen(out[0], "r");
    assert_non_null(acks);
    /* The first ack says that it runs; only then does the time count. */
    bool running = fgets(line, sizeof line, acks) != NULL;
    assert_true(running);
    struct timespec wait = {0, (long)ms * 1000000};
    nanosleep(&wait, NULL);
    kill(pid, SIGKILL);
    do {
        if (strchr(line, '\n') == NULL) continue; /* cut by the kill */
        uint64_t number = strtoull(line, NULL, 10);
        crash->acked_max[number % 2] = number + 1;
    } while (fgets(line, sizeof line, acks) != NULL);
    fclose(acks);
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status));
}

struct replay {
    const struct crash *crash;
    uint64_t last[2]; /* the last number seen, plus one */
    uint64_t offsets[2];
    size_t count;
    bool whole, ordered;
};

/* A partition's numbers go up by two, but where a run began: what is missing there was not acked. */
static bool follows(const struct replay *replay, uint32_t partition, uint64_t number)
{
    const struct crash *crash = replay->crash;
    if (number % 2 != partition || number < replay->last[partition]) return false;
    if (replay->last[partition] != 0 && number == replay->last[partition] + 1) return true;
    for (size_t i = 0; i < crash->runs; i++)
        if (number == crash->began_at[i] + partition) return replay->last[partition] >= crash->acked_before[i][partition];
    return false;
}

static void on_crash_records(void *ctx, uint32_t partition, const struct log_record *records, size_t count)
{
    struct replay *replay = ctx;
    for (size_t i = 0; i < count; i++) {
        char head[24] = "";
        memcpy(head, records[i].bytes.at, records[i].bytes.bytes < 20 ? records[i].bytes.bytes : 20);
        uint64_t number = strtoull(head, NULL, 10);
        if (!follows(replay, partition, number)) replay->ordered = false;
        replay->last[partition] = number + 1;
        for (size_t at = 20; at < records[i].bytes.bytes; at++)
            if (records[i].bytes.at[at] != (char)('a' + number % 26)) replay->whole = false;
        replay->offsets[partition] = records[i].offset + 1;
        replay->count++;
    }
}

struct replay_goal {
    struct replay *replay;
    uint64_t next[2];
};

static bool replayed(void *ctx)
{
    const struct replay_goal *goal = ctx;
    return goal->replay->offsets[0] == goal->next[0] && goal->replay->offsets[1] == goal->next[1];
}

static void check_after_kill(struct crash *crash)
{
    uv_loop_t loop;
    struct embedded *embedded;
    char why[256];
    struct replay replay = {.crash = crash, .whole = true, .ordered = true};
    struct replay_goal goal = {.replay = &replay};
    struct embedded_options options = {.dir = crash->dir, .fsync = false, .now_ms = rig_now_ms};
    uv_loop_init(&loop);
    if (embedded_open(&options, &loop, &embedded, why, sizeof why) != ERR_OK) fail_msg("%s", why);
    struct log_reader *reader = embedded_reader(embedded);
    reader->ctx = &replay;
    reader->records = on_crash_records;
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t first;
        assert_int_equal(reader->ops->range(reader, i, &first, &goal.next[i]), ERR_OK);
        assert_int_equal(reader->ops->start(reader, i, 0), ERR_OK);
    }
    assert_true(rig_until(&loop, replayed, &goal, WAIT_MS));
    assert_true(replay.ordered);
    assert_true(replay.whole);
    for (uint32_t i = 0; i < 2; i++) assert_true(replay.last[i] >= crash->acked_max[i]);
    crash->next = replay.last[0] > replay.last[1] ? replay.last[0] : replay.last[1];
    if (crash->next % 2 != 0) crash->next++;
    embedded_close(embedded);
    rig_loop_close(&loop);
}

static void nothing_acked_is_lost_by_kill_9(void **state)
{
    struct crash crash = {.next = 0};
    uint64_t seed = 20240917;
    (void)state;
    rig_dir_make(crash.dir);
    for (int i = 0; i < KILLS; i++) {
        run_and_kill(&crash, rig_random(&seed) % 60);
        check_after_kill(&crash);
    }
    assert_true(crash.next > 1000);
    rig_dir_remove(crash.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acked_is_lost_by_kill_9),
    };
    return cmocka_run_group_tests_name("embedded_crash", tests, NULL, NULL);
}
