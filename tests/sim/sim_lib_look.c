/* What a device on the client library has, as its app is shown it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "tests/checker/checker.h"
#include "tests/sim/sim_lib.h"

enum { DOCS_MAX = 1024 };

struct look {
    struct sim_lib *lib;
    const char *space;
    size_t count;
    bool pending;
    struct checker_doc docs[DOCS_MAX];
};

static bool take(void *ctx, const struct tide_doc *doc)
{
    struct look *look = ctx;
    if (strcmp(doc->space, look->space) != 0 || doc->body == NULL) return true;
    assert(look->count < DOCS_MAX);
    struct span collection = arena_copy(&look->lib->arena, span_text(doc->collection)), id = arena_copy(&look->lib->arena, span_text(doc->id));
    look->pending = look->pending || doc->pending;
    look->docs[look->count++] = (struct checker_doc){.collection = collection, .id = id, .rev = doc->rev, .born = doc->born,
                                                     .sum = hash_document(id, doc->rev, span_of(doc->body, doc->body_bytes))};
    return true;
}

static void look_at(struct sim_lib *lib, size_t space, struct look *ret_look)
{
    uint64_t seq;
    *ret_look = (struct look){.lib = lib, .space = lib->device->sim->spaces[space]};
    arena_reset(&lib->arena);
    enum tide_code code = tide_changes(lib->tide, 0, take, ret_look, &seq);
    assert(code == TIDE_OK);
}

static void tell_copy(struct sim_lib *lib, size_t space)
{
    static struct look look;
    struct store_space found = store_space_find(lib->tide->store, span_text(lib->device->sim->spaces[space]));
    if (found.id == 0 || !found.wanted || found.closed[0] != '\0' || found.cursor[0] == '\0' || found.run != 0 || !lib->device->welcome) return;
    look_at(lib, space, &look);
    if (look.pending) return; /* the outbox tells of it */
    struct checker_event event = {.kind = CHECKER_FINAL, .who = span_text(lib->device->name), .log = span_text(store_self(lib->tide->store)->log),
                                  .space = span_text(found.name), .to = span_text(found.cursor), .docs = look.docs, .docs_count = look.count};
    sim_judge_event(lib->device->sim, &event);
}

void sim_lib_tell_end(struct sim_device *device)
{
    struct sim_lib *lib = device->lib;
    for (size_t i = 0; i < device->sim->spaces_count; i++) {
        uint64_t *ids = NULL;
        arena_reset(&lib->arena);
        struct store_space space = store_space_find(lib->tide->store, span_text(device->sim->spaces[i]));
        size_t count = space.id == 0 ? 0 : store_push_ids(lib->tide->store, &lib->arena, space.id, &ids);
        struct checker_event event = {.kind = CHECKER_OUTBOX, .who = span_text(device->name), .space = span_text(device->sim->spaces[i]), .numbers = ids, .numbers_count = count};
        sim_judge_event(device->sim, &event);
        tell_copy(lib, i);
    }
}

size_t sim_lib_count(struct sim_device *device, size_t space)
{
    static struct look look;
    look_at(device->lib, space, &look);
    return look.count;
}

char *sim_lib_body(struct sim_device *device, size_t space, const char *key)
{
    char collection[SIM_NAME_BYTES];
    const char *slash = strchr(key, '/');
    struct tide_doc *doc;
    snprintf(collection, sizeof collection, "%.*s", (int)(slash - key), key);
    if (tide_get(device->lib->tide, device->sim->spaces[space], collection, slash + 1, &doc) != TIDE_OK) return NULL;
    char *body = strdup(doc->body);
    tide_doc_free(doc);
    return body;
}

size_t sim_lib_pending(struct sim_device *device, size_t space)
{
    size_t count = 0;
    for (size_t i = 0; i < device->lib->outbox_count; i++) count += device->lib->outbox[i].space == space;
    return count;
}

struct counting {
    const char *space;
    size_t count;
};

static bool count_refusal(void *ctx, const struct tide_refusal *refusal)
{
    struct counting *counting = ctx;
    counting->count += strcmp(refusal->space, counting->space) == 0;
    return true;
}

size_t sim_lib_refused(struct sim_device *device, size_t space)
{
    struct counting counting = {.space = device->sim->spaces[space]};
    enum tide_code code = tide_refused(device->lib->tide, count_refusal, &counting);
    assert(code == TIDE_OK);
    return counting.count;
}
