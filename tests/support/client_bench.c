#include "tests/support/client_bench.h"

#include <stdlib.h>

#include "tests/support/unit.h"

enum { SETTLE_MS = 60000 };

int bench_set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    if (bench == NULL) return -1;
    world_init(&bench->world, 7);
    bench->world.rig.now_ms = INT64_C(1700000000000);
    rig_dir_make(bench->dir);
    *state = bench;
    return 0;
}

int bench_tear_down(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < bench->count; i++) client_fini(&bench->clients[i]);
    world_fini(&bench->world);
    rig_dir_remove(bench->dir);
    free(bench);
    return 0;
}

struct client *bench_add(struct bench *bench, const char *user)
{
    struct client *client = &bench->clients[bench->count];
    client_init(client, &bench->world, bench->count, user, bench->dir);
    bench->all[bench->count++] = client;
    client_begin(client);
    return client;
}

void bench_settle(struct bench *bench) { client_settle(bench->all, bench->count, SETTLE_MS); }

void bench_shows(struct client *client, const char *space, const char *collection, const char *id, const char *body)
{
    char *shown = client_body(client, space, collection, id);
    if (body == NULL) assert_null(shown);
    else assert_string_equal(shown == NULL ? "nothing" : shown, body);
    free(shown);
}

void bench_well(enum tide_code code) { assert_int_equal(code, TIDE_OK); }

struct tide_status bench_status(struct client *client)
{
    struct tide_status status;
    tide_status(client->tide, &status);
    return status;
}
