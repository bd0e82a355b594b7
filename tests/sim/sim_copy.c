/* What a device keeps: copies of spaces, outboxes, and how all of it is laid aside. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

struct sim_doc *sim_copy_find(struct sim_copy *copy, const char *key)
{
    for (size_t i = 0; i < copy->docs_count; i++)
        if (strcmp(copy->docs[i].key, key) == 0) return &copy->docs[i];
    return NULL;
}

struct sim_doc *sim_copy_put(struct sim_copy *copy, const char *key)
{
    struct sim_doc *doc = sim_copy_find(copy, key);
    if (doc != NULL) return doc;
    if (copy->docs_count == copy->docs_room) {
        copy->docs_room = copy->docs_room == 0 ? 16 : copy->docs_room * 2;
        copy->docs = realloc(copy->docs, copy->docs_room * sizeof *copy->docs);
        assert(copy->docs != NULL);
    }
    doc = &copy->docs[copy->docs_count++];
    *doc = (struct sim_doc){0};
    snprintf(doc->key, sizeof doc->key, "%s", key);
    return doc;
}

void sim_copy_drop_docs(struct sim_copy *copy) { copy->docs_count = 0; }

/* log.hash.place[.floor] */
void sim_copy_set_cursor(struct sim_copy *copy, struct span text)
{
    assert(text.bytes < sizeof copy->cursor);
    if (text.bytes > 0) memcpy(copy->cursor, text.at, text.bytes);
    copy->cursor[text.bytes] = '\0';
    const char *at = strchr(copy->cursor, '.');
    if (at != NULL) at = strchr(at + 1, '.');
    copy->place = at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}

struct sim_push *sim_copy_push(struct sim_copy *copy, uint64_t id)
{
    for (size_t i = 0; i < copy->pushes_count; i++)
        if (copy->pushes[i].id == id) return &copy->pushes[i];
    return NULL;
}

void sim_copy_settled(struct sim_copy *copy)
{
    size_t gone = 0;
    while (gone < copy->pushes_count && copy->pushes[gone].settled) {
        copy->known = copy->pushes[gone].id;
        blob_put(copy->pushes[gone++].ops);
    }
    if (gone == 0) return; /* there may be no list at all */
    copy->pushes_count -= gone;
    memmove(copy->pushes, copy->pushes + gone, copy->pushes_count * sizeof *copy->pushes);
}

void sim_copy_drop_settled(struct sim_copy *copy)
{
    size_t left = 0;
    for (size_t i = 0; i < copy->pushes_count; i++) {
        if (copy->pushes[i].settled) blob_put(copy->pushes[i].ops);
        else copy->pushes[left++] = copy->pushes[i];
    }
    copy->pushes_count = left;
}

static void *clone(const void *from, size_t bytes)
{
    void *to = malloc(bytes + 1);
    assert(to != NULL);
    if (bytes > 0) memcpy(to, from, bytes);
    return to;
}

void sim_store_clone(const struct sim_store *from, struct sim_store *ret_to)
{
    *ret_to = *from;
    for (size_t i = 0; i < SIM_SPACES_MAX; i++) {
        struct sim_copy *copy = &ret_to->copies[i];
        copy->docs_room = copy->docs_count;
        copy->pushes_room = copy->pushes_count;
        copy->docs = clone(copy->docs, copy->docs_count * sizeof *copy->docs);
        copy->pushes = clone(copy->pushes, copy->pushes_count * sizeof *copy->pushes);
        for (size_t k = 0; k < copy->pushes_count; k++) blob_take(copy->pushes[k].ops);
        copy->live = copy->once = false;
    }
}

void sim_store_drop(struct sim_store *store)
{
    for (size_t i = 0; i < SIM_SPACES_MAX; i++) {
        struct sim_copy *copy = &store->copies[i];
        for (size_t k = 0; k < copy->pushes_count; k++) blob_put(copy->pushes[k].ops);
        free(copy->docs);
        free(copy->pushes);
    }
    *store = (struct sim_store){0};
}
