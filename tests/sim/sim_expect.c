/* `expect` lines: what a person wants to see proved beside the promises, which are the checker's. See sim_line.c. */
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "tests/sim/sim_lib.h"
#include "tests/sim/sim_words.h"

static size_t count_live(const struct sim_copy *copy)
{
    size_t count = 0;
    for (size_t i = 0; i < copy->docs_count; i++) count += !copy->docs[i].deleted;
    return count;
}

static void expect_number(struct sim *sim, const char *who, const char *what, unsigned long found, struct sim_words *words)
{
    unsigned long wanted = strtoul(sim_words_next(words).at, NULL, 10);
    if (found != wanted) sim_fail(sim, "line %zu: %s %s is %lu, not %lu", sim->line, who, what, found, wanted);
}

static void expect_says(struct sim *sim, const struct sim_device *device, struct sim_copy *copy, struct sim_words *words)
{
    char key[SIM_NAME_BYTES];
    struct span name = sim_words_next(words), body = sim_words_json(words);
    snprintf(key, sizeof key, "%.*s", (int)name.bytes, name.at);
    const struct sim_doc *doc = sim_copy_find(copy, key);
    const char *slash = strchr(key, '/');
    if (doc == NULL || doc->deleted) sim_fail(sim, "line %zu: %s lacks %s", sim->line, device->name, key);
    else if (doc->sum != hash_document(span_text(slash + 1), doc->rev, body))
        sim_fail(sim, "line %zu: %s holds another %s, of rev %llu, than %.*s", sim->line, device->name, key, (unsigned long long)doc->rev, (int)body.bytes, body.at);
}

static void expect_lib(struct sim *sim, struct sim_device *device, struct sim_words *words)
{
    size_t space = sim_space(sim, sim_words_next(words));
    char key[SIM_NAME_BYTES];
    if (sim_words_is(words, "count")) {
        expect_number(sim, device->name, "count of documents", sim_lib_count(device, space), words);
    } else if (sim_words_is(words, "outbox")) {
        expect_number(sim, device->name, "outbox", sim_lib_pending(device, space), words);
    } else if (sim_words_is(words, "refused")) {
        expect_number(sim, device->name, "count of refused pushes", sim_lib_refused(device, space), words);
        struct span code = sim_words_next(words);
        if (code.bytes > 0 && !span_is(code, device->lib->refusal)) sim_fail(sim, "line %zu: %s was refused with %s", sim->line, device->name, device->lib->refusal);
    } else {
        struct span verb = sim_words_next(words), name = sim_words_next(words), wanted = sim_words_json(words);
        snprintf(key, sizeof key, "%.*s", (int)name.bytes, name.at);
        char *body = sim_lib_body(device, space, key);
        if ((body == NULL) != span_is(verb, "lacks") || (body != NULL && span_is(verb, "says") && !span_is(wanted, body)))
            sim_fail(sim, "line %zu: %s has %s as %s", sim->line, device->name, key, body == NULL ? "nothing" : body);
        free(body);
    }
}

static void expect_device(struct sim *sim, struct sim_device *device, struct sim_words *words)
{
    if (sim_words_is(words, "id")) {
        expect_number(sim, device->name, "ids", device->ids, words);
        return;
    }
    if (sim_words_is(words, "on") || sim_words_is(words, "off")) {
        bool on = words->at[-1] == 'n';
        if (on != device->welcome) sim_fail(sim, "line %zu: %s is %s", sim->line, device->name, on ? "off" : "on");
        return;
    }
    if (device->lib != NULL) {
        expect_lib(sim, device, words);
        return;
    }
    struct sim_copy *copy = &device->store.copies[sim_space(sim, sim_words_next(words))];
    char key[SIM_NAME_BYTES];
    if (sim_words_is(words, "says")) {
        expect_says(sim, device, copy, words);
    } else if (sim_words_is(words, "count")) {
        expect_number(sim, device->name, "count of documents", count_live(copy), words);
    } else if (sim_words_is(words, "outbox")) {
        expect_number(sim, device->name, "outbox", copy->pushes_count, words);
    } else if (sim_words_is(words, "refused")) {
        expect_number(sim, device->name, "count of refused pushes", copy->refused, words);
        struct span code = sim_words_next(words);
        if (code.bytes > 0 && !span_is(code, copy->refusal)) sim_fail(sim, "line %zu: %s was refused with %s", sim->line, device->name, copy->refusal);
    } else if (sim_words_is(words, "purged")) {
        if (!copy->purged) sim_fail(sim, "line %zu: %s still has its copy", sim->line, device->name);
    } else {
        bool lacks = sim_words_is(words, "lacks");
        struct span name = sim_words_next(words);
        if (!lacks) name = sim_words_next(words); /* after `holds` */
        snprintf(key, sizeof key, "%.*s", (int)name.bytes, name.at);
        const struct sim_doc *doc = sim_copy_find(copy, key);
        bool holds = doc != NULL && !doc->deleted;
        if (holds == lacks) sim_fail(sim, "line %zu: %s %s %s", sim->line, device->name, lacks ? "holds" : "lacks", key);
    }
}

/* `w1 failed WORDS`, `w1 well`. */
static void expect_worker(struct sim *sim, const struct sim_worker *worker, struct sim_words *words)
{
    bool failed = sim_words_is(words, "failed");
    struct span part = sim_words_rest(words);
    char text[128];
    snprintf(text, sizeof text, "%.*s", (int)part.bytes, part.at);
    if (failed != worker->failed || (failed && strstr(worker->failure, text) == NULL))
        sim_fail(sim, "line %zu: w%d %s %s", sim->line, worker->at + 1, worker->failed ? "failed:" : "is well", worker->failure);
}

void sim_expect(struct sim *sim, struct sim_words *words)
{
    struct span who = sim_words_next(words);
    struct sim_device *device = sim_device_find(sim, who);
    if (device != NULL) expect_device(sim, device, words);
    else if (who.bytes == 2 && who.at[0] == 'w') expect_worker(sim, &sim->workers[who.at[1] - '1'], words);
    else sim_fail(sim, "line %zu: nobody is called %.*s", sim->line, (int)who.bytes, who.at);
}
