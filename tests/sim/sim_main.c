/* The simulator's command.
 *   sim run SEED                      one seed, with its trace
 *   sim plan SEED                     its plan, as lines
 *   sim file FILE                     a plan from a file, with its trace
 *   sim small SEED|FILE               a failing one made small
 *   sim sweep FROM COUNT SECONDS JOBS seeds; FROM 0: from the clock; COUNT or SECONDS 0: no bound
 *   sim libs  FROM COUNT SECONDS JOBS the same, of those seeds alone that have devices on the client library
 *   sim scenarios [accept] FILE..     each against the trace beside it (FILE with .trace for .sim); accept writes it */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/sim_sweep.h"

enum { TRACE_BYTES_MAX = 67108864 };

static bool get_plan(const char *word, struct sim_plan *ret_plan)
{
    char *end;
    uint64_t seed = strtoull(word, &end, 10);
    if (*end == '\0') {
        sim_plan_draw(seed, ret_plan);
        return true;
    }
    if (sim_plan_read(word, ret_plan)) return true;
    fprintf(stderr, "%s cannot be read\n", word);
    return false;
}

static int run_one(const char *word)
{
    struct sim_plan plan = {0};
    struct sim_result result;
    struct buf out;
    if (!get_plan(word, &plan)) return 1;
    buf_init(&out, TRACE_BYTES_MAX);
    sim_run(&plan, NULL, &out, &result);
    fwrite(out.at, 1, out.bytes, stdout);
    printf("%s: %" PRIu64 " events, %" PRIu64 " checks, hash %016" PRIx64 "\n", result.why[0] == '\0' ? "well" : result.why, result.events, result.checks,
           result.hash);
    buf_fini(&out);
    sim_plan_fini(&plan);
    return result.why[0] != '\0';
}

static int print_plan(const char *word)
{
    struct sim_plan plan = {0};
    if (!get_plan(word, &plan)) return 1;
    for (size_t i = 0; i < plan.count; i++) printf("%s\n", plan.lines[i]);
    sim_plan_fini(&plan);
    return 0;
}

static int make_small(const char *word)
{
    struct sim_plan plan = {0};
    if (!get_plan(word, &plan)) return 1;
    sim_shrink(&plan);
    sim_plan_fini(&plan);
    return 0;
}

/* ---- scenarios ---- */

static bool write_file(const char *path, const struct buf *text)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) return false;
    bool good = fwrite(text->at, 1, text->bytes, file) == text->bytes;
    return fclose(file) == 0 && good;
}

static bool equals_file(const char *path, const struct buf *text)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    char *kept = malloc(text->bytes + 1);
    size_t bytes = kept == NULL ? 0 : fread(kept, 1, text->bytes + 1, file);
    bool same = kept != NULL && bytes == text->bytes && memcmp(kept, text->at, bytes) == 0;
    free(kept);
    fclose(file);
    return same;
}

static bool scenario(const char *path, bool accept)
{
    struct sim_plan plan = {0};
    struct sim_result result;
    struct buf out;
    char trace[512], seen[512];
    size_t bytes = strlen(path);
    if (bytes < 4 || !sim_plan_read(path, &plan)) {
        fprintf(stderr, "%s cannot be read\n", path);
        return false;
    }
    snprintf(trace, sizeof trace, "%.*strace", (int)(bytes - 3), path);
    buf_init(&out, TRACE_BYTES_MAX);
    sim_run(&plan, NULL, &out, &result);
    bool well = result.why[0] == '\0';
    if (!well) printf("%s: %s\n", path, result.why);
    if (well && accept && !equals_file(trace, &out)) well = write_file(trace, &out);
    if (well && !equals_file(trace, &out)) {
        const char *name = strrchr(path, '/');
        snprintf(seen, sizeof seen, "build/%.*strace", (int)strlen(name == NULL ? path : name + 1) - 3, name == NULL ? path : name + 1);
        (void)write_file(seen, &out);
        printf("%s: another trace than %s: see diff %s %s; where it is right, make scenarios-accept\n", path, trace, trace, seen);
        well = false;
    }
    buf_fini(&out);
    sim_plan_fini(&plan);
    return well;
}

static int scenarios(char **paths, bool accept)
{
    unsigned passed = 0, failed = 0;
    for (; *paths != NULL; paths++) {
        if (scenario(*paths, accept)) passed++;
        else failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0 || passed == 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";
    if (strcmp(verb, "run") == 0 || strcmp(verb, "file") == 0) return run_one(argv[2]);
    if (strcmp(verb, "plan") == 0) return print_plan(argv[2]);
    if (strcmp(verb, "small") == 0) return make_small(argv[2]);
    if (strcmp(verb, "scenarios") == 0 && strcmp(argv[2], "accept") == 0) return scenarios(argv + 3, true);
    if (strcmp(verb, "scenarios") == 0) return scenarios(argv + 2, false);
    bool libs = strcmp(verb, "libs") == 0;
    if ((libs || strcmp(verb, "sweep") == 0) && argc == 6) {
        uint64_t from = strtoull(argv[2], NULL, 10);
        if (from == 0) from = (uint64_t)time(NULL) * 1000000;
        if (libs) from += SIM_LIB_PLANS - from % SIM_LIB_PLANS;
        return !sim_sweep(from, strtoull(argv[3], NULL, 10), libs ? SIM_LIB_PLANS : 1, (unsigned)strtoul(argv[4], NULL, 10), (unsigned)strtoul(argv[5], NULL, 10));
    }
    fprintf(stderr, "see the first lines of tests/sim/sim_main.c\n");
    return 64;
}
