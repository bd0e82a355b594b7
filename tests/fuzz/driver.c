/* Fuzzing with gcc: a main() for a target that defines LLVMFuzzerTestOneInput.
 *
 *     fuzz_x --seconds N --seed N --corpus DIR --crash FILE      mutate the corpus
 *     fuzz_x FILE..                                              replay
 *
 * Inputs are mutated with a seeded generator; one that reaches code no other reached joins the corpus in memory. Coverage
 * comes from -fsanitize-coverage=trace-pc, which this file itself is built without; in a build that has none, mutation goes on blindly.
 *
 * The inputs run in a child. Its present input lies in memory shared with the parent, who saves it to FILE however
 * the child ended: assert, sanitizer, signal, or one input that took longer than INPUT_SECONDS_MAX.
 *
 * INVARIANTS
 *  1. The same seed, corpus and count of executions make the same inputs (where coverage is the same).
 *  2. No failure goes unsaved: an input is in shared memory before it runs. */
#include <assert.h>
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { INPUT_BYTES_MAX = 65536, CORPUS_MAX = 20000, EDGES = 65536, INPUT_SECONDS_MAX = 20, STACKED_MAX = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_cov_trace_pc(void);

/* Shared with the parent. */
struct present {
    uint64_t executions, seed;
    uint32_t edges, corpus;
    size_t bytes;
    uint8_t input[INPUT_BYTES_MAX];
};

struct input {
    uint8_t *data;
    size_t bytes;
};

static struct present *present;
static struct input corpus[CORPUS_MAX];
static size_t corpus_count;
static uint64_t chance_state;
static uint8_t edges_seen[EDGES];
static uint32_t edges_new;

void __sanitizer_cov_trace_pc(void)
{
    uintptr_t at = (uintptr_t)__builtin_return_address(0);
    uint8_t *edge = &edges_seen[(at ^ at >> 16) % EDGES];
    edges_new += *edge == 0;
    *edge = 1;
}

static uint64_t chance(uint64_t below) /* splitmix64 */
{
    uint64_t z = chance_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return below == 0 ? 0 : (z ^ z >> 31) % below;
}

static void remember(const uint8_t *data, size_t bytes)
{
    if (corpus_count == CORPUS_MAX) return;
    uint8_t *copy = malloc(bytes + 1);
    assert(copy != NULL);
    memcpy(copy, data, bytes);
    corpus[corpus_count++] = (struct input){copy, bytes};
}

static bool read_input(const char *path)
{
    static uint8_t room[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    size_t bytes = fread(room, 1, sizeof room, file);
    fclose(file);
    remember(room, bytes);
    return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_corpus(const char *dir)
{
    struct dirent **names;
    char path[4096];
    int count = scandir(dir, &names, NULL, by_name);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.' && snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name) < (int)sizeof path && !read_input(path))
            fprintf(stderr, "fuzz: cannot read %s\n", path);
        free(names[i]);
    }
    if (count >= 0) free(names);
}

static size_t splice(uint8_t *data, size_t bytes, const uint8_t *from, size_t from_bytes)
{
    size_t at = chance(bytes + 1), cut = chance(4) == 0 ? chance(bytes - at + 1) : 0;
    if (bytes - cut + from_bytes > INPUT_BYTES_MAX) return bytes;
    memmove(data + at + from_bytes, data + at + cut, bytes - at - cut);
    memcpy(data + at, from, from_bytes);
    return bytes - cut + from_bytes;
}

static size_t mutate_once(uint8_t *data, size_t bytes)
{
    static const char *const tokens[] = {"{", "}", "[", "]", "\"", ":", ",", "null", "true", "\\u0000", "\\ud800", "0", "-0", "1e999", "9007199254740993",
        "9223372036854775807", "-9223372036854775808", "18446744073709551616", "\"type\"", "\"space\"", "\"ops\"", "\"op\"", "\"id\"", "\"body\"", "\n", "\\", "\xff", "\xed\xa0\x80"};
    static uint8_t part[INPUT_BYTES_MAX];
    size_t kind = chance(9);
    if (bytes == 0 && kind < 5) kind = 5;
    if (kind == 0) data[chance(bytes)] ^= (uint8_t)(1u << chance(8));
    else if (kind == 1) data[chance(bytes)] = (uint8_t)chance(256);
    else if (kind == 2) data[chance(bytes)] = (uint8_t)"{}[]\",:0129-e\\"[chance(14)];
    else if (kind == 3) {
        size_t at = chance(bytes), cut = 1 + chance(bytes - at < 64 ? bytes - at : 64);
        if (cut > bytes - at) cut = bytes - at;
        memmove(data + at, data + at + cut, bytes - at - cut);
        return bytes - cut;
    } else if (kind == 4) {
        size_t at = chance(bytes), length = 1 + chance(bytes - at);
        if (length > bytes - at) length = bytes - at;
        memcpy(part, data + at, length);
        return splice(data, bytes, part, length);
    } else if (kind == 5) {
        const char *token = tokens[chance(sizeof tokens / sizeof tokens[0])];
        return splice(data, bytes, (const uint8_t *)token, strlen(token));
    } else if (kind == 6) {
        uint8_t byte = (uint8_t)chance(256);
        return splice(data, bytes, &byte, 1);
    } else if (kind == 7 && corpus_count > 0) {
        const struct input *other = &corpus[chance(corpus_count)];
        size_t at = chance(other->bytes + 1), length = chance(other->bytes - at + 1);
        return splice(data, bytes, other->data + at, length);
    } else if (chance(16) == 0) return chance(bytes + 1);
    return bytes;
}

static void execute(void)
{
    present->executions++;
    edges_new = 0;
    LLVMFuzzerTestOneInput(present->input, present->bytes);
    present->edges += edges_new;
}

static void fuzz(double seconds)
{
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    now = begin;
    size_t given = corpus_count;
    for (uint64_t turn = 0; (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9 < seconds; turn++) {
        const struct input *from = turn < given ? &corpus[turn] : corpus_count == 0 ? NULL : &corpus[chance(corpus_count)];
        present->bytes = from == NULL ? 0 : from->bytes;
        if (from != NULL) memcpy(present->input, from->data, from->bytes);
        if (turn >= given)
            for (uint64_t left = 1 + chance(STACKED_MAX); left > 0; left--) present->bytes = mutate_once(present->input, present->bytes);
        alarm(INPUT_SECONDS_MAX);
        execute();
        if (turn >= given && edges_new > 0) remember(present->input, present->bytes);
        present->corpus = (uint32_t)corpus_count;
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
}

static int replay(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        corpus_count = 0;
        if (!read_input(argv[i])) {
            fprintf(stderr, "fuzz: cannot read %s\n", argv[i]);
            return 69;
        }
        LLVMFuzzerTestOneInput(corpus[0].data, corpus[0].bytes);
        printf("%s: %zu bytes, well\n", argv[i], corpus[0].bytes);
        free(corpus[0].data);
    }
    return 0;
}

static int report(const char *program, const char *crash, int status)
{
    const char *name = strrchr(program, '/') == NULL ? program : strrchr(program, '/') + 1;
    printf("  fuzz  %-16s %9" PRIu64 " executions, %" PRIu32 " edges, %" PRIu32 " inputs kept, seed %" PRIu64 "\n", name, present->executions, present->edges, present->corpus, present->seed);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return present->executions > 0 ? 0 : 1;
    FILE *file = fopen(crash, "wb");
    bool saved = file != NULL && fwrite(present->input, 1, present->bytes, file) == present->bytes;
    if (file != NULL) saved = fclose(file) == 0 && saved;
    printf("FAILED %s: %s %d; its input %s %s; %s %s runs it again\n", name, WIFSIGNALED(status) ? WTERMSIG(status) == SIGALRM ? "hung, signal" : "signal" : "exit",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), saved ? "is in" : "could not be saved to", crash, program, crash);
    return 1;
}

int main(int argc, char **argv)
{
    const char *crash = "crash";
    double seconds = 10;
    if (argc > 1 && strncmp(argv[1], "--", 2) != 0) return replay(argc, argv);
    present = mmap(NULL, sizeof *present, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(present != MAP_FAILED);
    present->seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0) seconds = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--seed") == 0) present->seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--crash") == 0) crash = argv[i + 1];
        else if (strcmp(argv[i], "--corpus") == 0) read_corpus(argv[i + 1]);
        else return 64;
    }
    chance_state = present->seed;
    fflush(NULL);
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        fuzz(seconds);
        for (size_t i = 0; i < corpus_count; i++) free(corpus[i].data);
        exit(0);
    }
    int status = 0;
    pid_t waited = waitpid(child, &status, 0);
    assert(waited == child);
    for (size_t i = 0; i < corpus_count; i++) free(corpus[i].data);
    return report(argv[0], crash, status);
}
