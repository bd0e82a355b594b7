/* What the C client library costs: a write, opening a large store, a query, a first sync, offline edits sent, an edit seen elsewhere.
 *
 *     client DIR URL TOKEN USER [DOCUMENTS]     DIR: an empty folder; the user's spaces on the server: todos:USER, todos:USER:.. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "client/tidegate.h"

enum { WRITES = 1000, EDITS = 1000, BATCH = 128, SIGHTS = 500, PATH_BYTES = 512, TIMEOUT_MS = 300000 };

static double now_s(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void well(struct tide *tide, enum tide_code code, const char *what)
{
    if (code == TIDE_OK) return;
    fprintf(stderr, "%s: %s\n", what, tide != NULL && tide_message(tide)[0] != '\0' ? tide_message(tide) : tide_code_text(code));
    exit(1);
}

struct place {
    const char *dir, *url, *token, *user;
    char space[256];
    unsigned documents;
};

static struct tide *open_store(const struct place *place, const char *name)
{
    char path[PATH_BYTES], why[256] = "";
    struct tide *tide = NULL;
    snprintf(path, sizeof path, "%s/%s.db", place->dir, name);
    struct tide_options options = {.path = path, .url = place->url, .token = place->token};
    enum tide_code code = tide_open(&options, &tide, why, sizeof why);
    if (code != TIDE_OK) fprintf(stderr, "%s\n", why);
    well(tide, code, "open");
    return tide;
}

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void tell(const char *what, double *seconds, size_t count)
{
    qsort(seconds, count, sizeof *seconds, order);
    printf("%-58s p50 %7.3f ms   p99 %7.3f ms\n", what, seconds[count / 2] * 1e3, seconds[count * 99 / 100] * 1e3);
}

/* ---- writes ---- */

static void measure_writes(const struct place *place)
{
    static double seconds[WRITES];
    struct tide *tide = open_store(place, "writes");
    for (int i = 0; i < WRITES; i++) {
        char id[32];
        snprintf(id, sizeof id, "t%d", i);
        double start = now_s();
        well(tide, tide_put(tide, place->space, "todos", id, "{\"title\":\"something that is to be done\",\"done\":false}", NULL), "put");
        seconds[i] = now_s() - start;
    }
    tell("a write, durable when it returns", seconds, WRITES);
    tide_close(tide);
}

static bool passed_of(void *ctx)
{
    struct tide_status status;
    tide_status(ctx, &status);
    return status.pending == 0;
}

static void measure_offline_edits(const struct place *place)
{
    struct tide *tide = open_store(place, "edits");
    for (int i = 0; i < EDITS; i++) {
        char id[32];
        snprintf(id, sizeof id, "e%d", i % 100);
        well(tide, tide_incr(tide, place->space, "todos", id, "count", 1, NULL, NULL, NULL), "incr");
    }
    well(tide, tide_subscribe(tide, place->space, NULL), "subscribe");
    double start = now_s();
    well(tide, tide_start(tide, TIDE_BOTH), "start");
    if (!tide_run(tide, TIMEOUT_MS, passed_of, tide)) well(tide, TIDE_TIMEOUT, "edits");
    printf("%-58s %.3f s\n", "1,000 offline edits, from connecting to the last outcome", now_s() - start);
    tide_close(tide);
}

/* ---- a first sync ---- */

static void seed(const struct place *place)
{
    struct tide *tide = open_store(place, "seed");
    static char ops[BATCH * 256];
    for (unsigned made = 0; made < place->documents;) {
        size_t at = 1;
        ops[0] = '[';
        for (int i = 0; i < BATCH && made < place->documents; i++, made++)
            at += (size_t)snprintf(ops + at, sizeof ops - at, "%s{\"op\":\"put\",\"collection\":\"todos\",\"id\":\"d%07u\",\"body\":{\"title\":\"something to do, number %u\",\"done\":false,\"rank\":%u}}",
                                   i > 0 ? "," : "", made, made, made * 7919 % place->documents);
        snprintf(ops + at, sizeof ops - at, "]");
        well(tide, tide_push(tide, place->space, ops, NULL), "seed");
    }
    well(tide, tide_start(tide, TIDE_PUSH_ONLY), "start");
    if (!tide_run(tide, TIMEOUT_MS, passed_of, tide)) well(tide, TIDE_TIMEOUT, "seed");
    tide_close(tide);
}

static bool whole_of(void *ctx)
{
    struct tide_status status;
    tide_status(ctx, &status);
    return status.whole;
}

static bool add_count(void *ctx, const struct tide_space *space)
{
    *(uint64_t *)ctx += space->documents;
    return true;
}

static void count_space(uint64_t *documents, struct tide *tide)
{
    *documents = 0;
    tide_spaces(tide, add_count, documents);
}

static void measure_first_sync(const struct place *place)
{
    uint64_t documents;
    struct tide *tide = open_store(place, "first");
    well(tide, tide_subscribe(tide, place->space, NULL), "subscribe");
    double start = now_s();
    well(tide, tide_start(tide, TIDE_BOTH), "start");
    if (!tide_run(tide, TIMEOUT_MS, whole_of, tide)) well(tide, TIDE_TIMEOUT, "first sync");
    double took = now_s() - start;
    count_space(&documents, tide);
    printf("%-58s %.2f s: %.0f documents/s\n", "a first sync, live", took, (double)documents / took);
    tide_close(tide);
    tide = open_store(place, "first-http");
    well(tide, tide_subscribe(tide, place->space, NULL), "subscribe");
    start = now_s();
    well(tide, tide_sync(tide, TIDE_BOTH, TIMEOUT_MS), "sync");
    took = now_s() - start;
    count_space(&documents, tide);
    printf("%-58s %.2f s: %.0f documents/s\n", "the same by POST /v1/sync", took, (double)documents / took);
    tide_close(tide);
}

/* ---- a large store ---- */

static bool count(void *ctx, const struct tide_doc *doc)
{
    (void)doc;
    ++*(unsigned *)ctx;
    return true;
}

static void measure_large(const struct place *place)
{
    static double opens[20], queries[200];
    struct tide *tide;
    for (int i = 0; i < 20; i++) {
        double start = now_s();
        tide = open_store(place, "first");
        struct tide_doc *doc;
        well(tide, tide_get(tide, place->space, "todos", "d0000042", &doc), "get");
        opens[i] = now_s() - start;
        tide_doc_free(doc);
        tide_close(tide);
    }
    tell("opening that store, and getting a document", opens, 20);
    tide = open_store(place, "first");
    well(tide, tide_index(tide, "todos", "rank"), "index");
    for (int i = 0; i < 200; i++) {
        char least[16];
        unsigned found = 0;
        snprintf(least, sizeof least, "%d", i * 97);
        struct tide_where where = {"rank", TIDE_LEAST, least};
        double start = now_s();
        well(tide, tide_query(tide, &(struct tide_query){place->space, "todos", &where, 1, "rank", false, 20, 0}, count, &found), "query");
        queries[i] = now_s() - start;
    }
    tell("an indexed query of 20 documents in it", queries, 200);
    tide_close(tide);
}

/* ---- an edit seen elsewhere ---- */

struct sight {
    bool seen;
    char id[32];
};

static void see(void *ctx, enum tide_change change, const struct tide_doc *doc)
{
    struct sight *sight = ctx;
    (void)change;
    if (strcmp(doc->id, sight->id) == 0) sight->seen = true;
}

static void measure_sight(struct place *place)
{
    static double seconds[SIGHTS];
    struct sight sight = {false, ""};
    struct tide_observer *observer;
    snprintf(place->space, sizeof place->space, "todos:%s:sight", place->user);
    struct tide *maker = open_store(place, "maker"), *viewer = open_store(place, "viewer");
    well(maker, tide_subscribe(maker, place->space, NULL), "subscribe");
    well(viewer, tide_subscribe(viewer, place->space, NULL), "subscribe");
    well(maker, tide_start(maker, TIDE_BOTH), "start");
    well(viewer, tide_start(viewer, TIDE_BOTH), "start");
    if (!tide_run(maker, TIMEOUT_MS, whole_of, maker) || !tide_run(viewer, TIMEOUT_MS, whole_of, viewer)) well(NULL, TIDE_TIMEOUT, "live");
    well(viewer, tide_observe(viewer, &(struct tide_query){.space = place->space, .collection = "todos"}, see, NULL, &sight, &observer), "observe");
    for (int i = 0; i < SIGHTS; i++) {
        sight.seen = false;
        snprintf(sight.id, sizeof sight.id, "s%d", i);
        double start = now_s();
        well(maker, tide_put(maker, place->space, "todos", sight.id, "{\"title\":\"seen\"}", NULL), "put");
        while (!sight.seen) { /* two handles on one thread, in turns */
            tide_run(maker, 0, NULL, NULL);
            tide_run(viewer, 0, NULL, NULL);
        }
        seconds[i] = now_s() - start;
    }
    tell("a write on one device, seen by another's observer", seconds, SIGHTS);
    tide_observer_free(observer);
    tide_close(maker);
    tide_close(viewer);
}

int main(int argc, char **argv)
{
    struct utsname name;
    if (argc < 5) return 64;
    struct place place = {.dir = argv[1], .url = argv[2], .token = argv[3], .user = argv[4], .documents = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 100000};
    setvbuf(stdout, NULL, _IOLBF, 0);
    uname(&name);
    printf("%s %s %s\n", name.sysname, name.release, name.machine);
    snprintf(place.space, sizeof place.space, "todos:%s:writes", place.user);
    measure_writes(&place);
    measure_offline_edits(&place);
    snprintf(place.space, sizeof place.space, "todos:%s:many", place.user);
    double start = now_s();
    seed(&place);
    printf("%-58s %.2f s\n", "documents written and sent, 128 a push", now_s() - start);
    measure_first_sync(&place);
    measure_large(&place);
    measure_sight(&place);
    return 0;
}
