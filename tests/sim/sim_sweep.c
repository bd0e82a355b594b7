#include "tests/sim/sim_sweep.h"

#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64, TRY_SECONDS = 25, SHRINK_SECONDS = 30, NOT_THE_SAME = 3, FAILED = 1 };

/* What children tell, in memory that all share. */
struct board {
    struct {
        _Atomic uint64_t seed, runs, events, checks, virtual_ms;
    } jobs[JOBS_MAX];
};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *share(size_t bytes)
{
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(shared != MAP_FAILED);
    return shared;
}

/* Of all children that ended: what a busy machine does not change. */
static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* One that does not end is a failure too: so much of the processor, not of the clock, which a busy machine takes for others. */
static void limit_time(void)
{
    struct itimerval limit = {.it_value = {.tv_sec = TRY_SECONDS}};
    setitimer(ITIMER_PROF, &limit, NULL);
}

/* ---- one plan in a process of its own ---- */

bool sim_try(const struct sim_plan *plan, const bool *dropped, char why[SIM_WHY_BYTES])
{
    struct sim_result *shared = share(sizeof *shared);
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        struct sim_result first;
        limit_time();
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(FAILED);
        sim_run(plan, dropped, NULL, &first);
        sim_run(plan, dropped, NULL, shared);
        if (first.hash != shared->hash && shared->why[0] == '\0') snprintf(shared->why, sizeof shared->why, "two runs differ");
        _exit(shared->why[0] == '\0' ? 0 : FAILED);
    }
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status)) snprintf(why, SIM_WHY_BYTES, "ended by signal %d", WTERMSIG(status));
    else snprintf(why, SIM_WHY_BYTES, "%s", shared->why);
    munmap(shared, sizeof *shared);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- making small ---- */

static bool drop_some(const struct sim_plan *plan, bool *dropped, size_t from, size_t count)
{
    char why[SIM_WHY_BYTES];
    bool *tried = malloc(plan->count + 1), any = false;
    assert(tried != NULL);
    memcpy(tried, dropped, plan->count);
    for (size_t i = from; i < from + count && i < plan->count; i++) {
        if (tried[i] || sim_plan_is_fixed(plan->lines[i])) continue;
        tried[i] = any = true;
    }
    bool smaller = any && !sim_try(plan, tried, why);
    if (smaller) memcpy(dropped, tried, plan->count);
    free(tried);
    return smaller;
}

void sim_shrink(const struct sim_plan *plan)
{
    bool *dropped = calloc(plan->count + 1, sizeof *dropped);
    char why[SIM_WHY_BYTES];
    assert(dropped != NULL);
    double until_s = now_s() + SHRINK_SECONDS;
    for (size_t step = plan->count / 2; step > 0 && now_s() < until_s;) {
        bool smaller = false;
        for (size_t from = 0; from < plan->count; from += step) smaller = drop_some(plan, dropped, from, step) || smaller;
        if (!smaller || step > 1) step /= 2;
    }
    (void)sim_try(plan, dropped, why);
    printf("# ");
    for (const char *at = why; *at != '\0'; at++) {
        putchar(*at);
        if (at[0] == '\n') printf("# ");
    }
    printf("%s\n", why[0] == '\0' ? "it fails no more" : "");
    for (size_t i = 0; i < plan->count; i++)
        if (!dropped[i]) printf("%s\n", plan->lines[i]);
    free(dropped);
}

/* ---- sweeping ---- */

static _Noreturn void job(struct board *board, unsigned at, uint64_t from, uint64_t count, uint64_t each, unsigned jobs, double until_s)
{
    for (uint64_t i = at; (count == 0 || i < count) && now_s() < until_s; i += jobs) {
        struct sim_plan plan = {0};
        struct sim_result first, second;
        board->jobs[at].seed = from + i * each;
        limit_time();
        sim_plan_draw(from + i * each, &plan);
        sim_run(&plan, NULL, NULL, &first);
        sim_run(&plan, NULL, NULL, &second);
        sim_plan_fini(&plan);
        if (first.hash != second.hash) _exit(NOT_THE_SAME);
        if (first.why[0] != '\0') _exit(FAILED);
        board->jobs[at].runs += 2;
        board->jobs[at].events += first.events + second.events;
        board->jobs[at].checks += first.checks + second.checks;
        board->jobs[at].virtual_ms += (uint64_t)(first.virtual_ms + second.virtual_ms);
    }
    _exit(0);
}

struct sum {
    uint64_t runs, events, checks, virtual_ms;
};

static struct sum sum_up(struct board *board, unsigned jobs)
{
    struct sum sum = {0};
    for (unsigned i = 0; i < jobs; i++) {
        sum.runs += board->jobs[i].runs;
        sum.events += board->jobs[i].events;
        sum.checks += board->jobs[i].checks;
        sum.virtual_ms += board->jobs[i].virtual_ms;
    }
    return sum;
}

static void tell_failure(uint64_t seed)
{
    struct sim_plan plan = {0};
    char why[SIM_WHY_BYTES];
    sim_plan_draw(seed, &plan);
    bool well = sim_try(&plan, NULL, why);
    printf("seed %" PRIu64 " fails: %s\nreplay it: make sim SEED=%" PRIu64 "\nmade small:\n", seed, well ? "only beside others" : why, seed);
    if (!well) sim_shrink(&plan);
    sim_plan_fini(&plan);
}

/* The child that ended otherwise than well; -1: all are well or still at it. */
static int reap(pid_t *pids, unsigned jobs, unsigned *left)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (unsigned i = 0; i < jobs; i++) {
            if (pids[i] != pid) continue;
            pids[i] = 0;
            --*left;
            if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return (int)i;
        }
    }
    return -1;
}

bool sim_sweep(uint64_t from, uint64_t count, uint64_t each, unsigned seconds, unsigned jobs)
{
    struct board *board = share(sizeof *board);
    pid_t pids[JOBS_MAX];
    if (jobs > JOBS_MAX) jobs = JOBS_MAX;
    double began_s = now_s(), until_s = seconds == 0 ? 1e18 : began_s + seconds;
    unsigned left = jobs;
    printf("sweep from seed %" PRIu64 " in %u processes\n", from, jobs);
    fflush(stdout);
    for (unsigned i = 0; i < jobs; i++) {
        pids[i] = fork();
        assert(pids[i] >= 0);
        if (pids[i] == 0) job(board, i, from, count, each, jobs, until_s);
    }
    int failed = -1;
    for (unsigned turn = 0; left > 0 && failed < 0; turn++) {
        struct timespec wait = {0, 100000000};
        nanosleep(&wait, NULL);
        failed = reap(pids, jobs, &left);
        struct sum sum = sum_up(board, jobs);
        if (turn % 10 == 9 && isatty(1)) printf("\r%" PRIu64 " runs, %.0f s ", sum.runs, now_s() - began_s);
        fflush(stdout);
    }
    for (unsigned i = 0; i < jobs; i++)
        if (pids[i] > 0) kill(pids[i], SIGKILL);
    while (wait(NULL) > 0) continue;
    struct sum sum = sum_up(board, jobs);
    printf("%s%" PRIu64 " scenarios, each run twice: %.0f runs a second of CPU, %" PRIu64 " events, %" PRIu64 " checks, %.1f days of virtual time\n",
           isatty(1) ? "\r" : "", sum.runs / 2, (double)sum.runs / cpu_s(), sum.events, sum.checks, (double)sum.virtual_ms / 86400000);
    if (failed >= 0) tell_failure(board->jobs[failed].seed);
    printf("%" PRIu64 " passed, %d failed\n", sum.runs / 2, failed >= 0);
    munmap(board, sizeof *board);
    return failed < 0;
}
