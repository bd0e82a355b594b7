/* The judge: an owner of its own that takes every record the moment it is durable, and never sweeps, crashes or stores. What the
 * real owners send must be what it derives, byte for byte; what devices see goes to the checker, beside what it knows of the order. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cursor.h"
#include "core/facts.h"
#include "core/hash.h"
#include "core/name.h"
#include "core/page.h"
#include "core/record.h"
#include "tests/checker/checker.h"
#include "tests/sim/sim_judge.h"
#include "tests/sim/sim_lib.h"

enum { TEXT_BYTES_MAX = 33554432, DOCS_MAX = 2048, PAGES_MAX = 16, CONVERGE_MS = 1000 /* the run goes on for longer than that when all is quiet */ };

struct judge_part {
    struct map_state state;
    struct owner *owner;
    size_t count, room;
    uint64_t *updates;          /* by offset: the hash of its update's frame; 0: none */
};

struct sim_judge {
    struct checker *checker;
    struct judge_part parts[SIM_PARTITIONS_MAX];
    bool may[SIM_SPACES_MAX][SIM_DEVICES_MAX], told[SIM_SPACES_MAX][SIM_DEVICES_MAX];
    struct arena arena;
    struct buf texts[PAGES_MAX]; /* of the pages of one look */
    uint64_t *seen;             /* pushes that had an outcome: hashes, an open table */
    size_t seen_count, seen_room;
};

/* ---- the history ---- */

void sim_judge_event(struct sim *sim, struct checker_event *event)
{
    event->time_ms = sim_now_ms(sim);
    sim_mix(sim, (uint64_t)event->kind << 56 ^ event->id << 28 ^ event->rev ^ event->docs_count << 40);
    if (sim->out != NULL) sim_history_trace(sim, event);
    checker_add(sim->judge->checker, event);
}

static void tell_of(struct sim *sim, enum checker_kind kind)
{
    struct checker_event event = {.kind = kind};
    sim_judge_event(sim, &event);
}

/* ---- opening ---- */

static void open_owners(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->log.partitions; i++) {
        struct judge_part *part = &sim->judge->parts[i];
        struct state_reader reader = map_state_reader(&part->state);
        enum err err = owner_open(&reader, span_text(sim->log.name), &part->owner);
        assert(err == ERR_OK);
    }
}

static void close_owners(struct sim_judge *judge)
{
    for (int i = 0; i < SIM_PARTITIONS_MAX; i++) {
        struct judge_part *part = &judge->parts[i];
        owner_close(part->owner);
        map_state_fini(&part->state);
        free(part->updates);
        *part = (struct judge_part){0};
    }
}

void sim_judge_open(struct sim *sim)
{
    struct sim_judge *judge = calloc(1, sizeof *judge);
    struct checker_options options = {.converge_ms = CONVERGE_MS, .slack_ms = 1000, .order_is_told = true};
    assert(judge != NULL);
    sim->judge = judge;
    judge->checker = checker_open(&options);
    arena_init(&judge->arena, TEXT_BYTES_MAX);
    for (int i = 0; i < PAGES_MAX; i++) buf_init(&judge->texts[i], TEXT_BYTES_MAX);
    open_owners(sim);
    tell_of(sim, CHECKER_FAULTS);
}

void sim_judge_close(struct sim *sim)
{
    struct sim_judge *judge = sim->judge;
    if (judge == NULL) return;
    close_owners(judge);
    checker_close(judge->checker);
    arena_fini(&judge->arena);
    for (int i = 0; i < PAGES_MAX; i++) buf_fini(&judge->texts[i]);
    free(judge->seen);
    free(judge);
    sim->judge = NULL;
}

void sim_judge_log_anew(struct sim *sim)
{
    close_owners(sim->judge);
    open_owners(sim);
    memset(sim->judge->told, 0, sizeof sim->judge->told);
    sim->judge->seen_count = 0;
    free(sim->judge->seen);
    sim->judge->seen = NULL;
    sim->judge->seen_room = 0;
}

/* ---- steps ---- */

/* False: it is there already. */
static bool add_seen(struct sim_judge *judge, uint64_t hash)
{
    if (hash == 0) hash = 1;
    if (judge->seen_count * 2 >= judge->seen_room) {
        size_t room = judge->seen_room == 0 ? 64 : judge->seen_room * 2;
        uint64_t *old = judge->seen, *moved = calloc(room, sizeof *moved);
        assert(moved != NULL);
        for (size_t i = 0; i < judge->seen_room; i++) {
            if (old[i] == 0) continue;
            size_t at = old[i] & (room - 1);
            while (moved[at] != 0) at = (at + 1) & (room - 1);
            moved[at] = old[i];
        }
        free(old);
        judge->seen = moved;
        judge->seen_room = room;
    }
    size_t at = hash & (judge->seen_room - 1);
    while (judge->seen[at] != 0 && judge->seen[at] != hash) at = (at + 1) & (judge->seen_room - 1);
    if (judge->seen[at] == hash) return false;
    judge->seen[at] = hash;
    judge->seen_count++;
    return true;
}

static bool is_first(struct sim_judge *judge, const struct record_push *push)
{
    char text[512];
    int bytes = snprintf(text, sizeof text, "%.*s\n%.*s\n%.*s\n%llu", (int)push->space.bytes, push->space.at, (int)push->user.bytes, push->user.at,
                         (int)push->device.bytes, push->device.at, (unsigned long long)push->id);
    return add_seen(judge, hash_64(span_of(text, (size_t)bytes)));
}

static struct span member(struct json_value object, const char *key)
{
    struct json_value value = json_find(object, key);
    return value.type == JSON_STRING ? json_inside(value) : span_of(NULL, 0);
}

size_t sim_judge_docs(struct json_value docs, struct checker_doc *ret_docs, size_t room)
{
    struct json_iter iter = json_elements(docs);
    struct json_value doc;
    size_t count = 0;
    while (json_next_element(&iter, &doc)) {
        int64_t rev = 0, born = 0;
        assert(count < room);
        (void)json_integer(json_find(doc, "rev"), &rev);
        (void)json_integer(json_find(doc, "born"), &born);
        ret_docs[count] = (struct checker_doc){.collection = member(doc, "collection"), .id = member(doc, "id"), .rev = (uint64_t)rev,
                                               .born = (uint64_t)born, .deleted = json_find(doc, "deleted").type == JSON_TRUE};
        if (!ret_docs[count].deleted) ret_docs[count].sum = hash_document(ret_docs[count].id, (uint64_t)rev, json_find(doc, "body").raw);
        count++;
    }
    return count;
}

static void tell_step(struct sim *sim, const struct sim_record *record, const struct record_push *push, const struct owner_out *out)
{
    static struct checker_doc docs[DOCS_MAX];
    struct json_value frame;
    struct checker_event event = {.kind = CHECKER_STEP, .log = span_text(sim->log.name), .space = push->space, .user = push->user,
                                  .device = push->device, .id = push->id, .rev = record->offset + 1, .log_ms = record->time_ms};
    if (out->has_update && json_check(out->update.frame, &frame, NULL)) {
        event.docs_count = sim_judge_docs(json_find(frame, "docs"), docs, DOCS_MAX);
        event.docs = docs;
        event.from = member(frame, "prev");
        event.status = CHECKER_APPLIED;
    } else if (out->has_answer && out->answer.kind == OWNER_RESULT && json_check(out->answer.frame, &frame, NULL)) {
        struct json_value status = json_find(frame, "status");
        event.status = json_string_is(status, "applied") ? CHECKER_APPLIED : json_string_is(status, "conflict") ? CHECKER_CONFLICT : CHECKER_REJECTED;
        event.code = member(frame, "code");
        if (json_find(frame, "cursor").type == JSON_NONE) { /* a stranger's: it leaves no trace */
            event.rev = 0;
            sim_judge_event(sim, &event);
            return;
        }
    } else if (out->has_answer && out->answer.kind == OWNER_ERROR) {
        sim_judge_event(sim, &event); /* taken, without an outcome: the device is told to say it otherwise */
        return;
    } else {
        return;
    }
    const struct namespace *ns = namespace_find(owner_namespaces(sim->judge->parts[hash_partition(push->space, sim->log.partitions)].owner),
                                                name_namespace(push->space));
    if (ns != NULL) event.window_ms = ns->window_ms;
    if (out->has_update || is_first(sim->judge, push)) sim_judge_event(sim, &event);
    if (out->has_update) (void)is_first(sim->judge, push);
}

/* Who may read from this place on. */
static void tell_access(struct sim *sim, struct judge_part *part, struct span name, uint64_t rev)
{
    struct state_reader reader = map_state_reader(&part->state);
    const struct namespace *ns = namespace_find(owner_namespaces(part->owner), name_namespace(name));
    size_t space = sim_space(sim, name);
    struct space_state state;
    if (ns == NULL || space_state_read(&reader, name, &state) != ERR_OK) return;
    for (size_t i = 0; i < sim->devices_count; i++) {
        struct access_facts facts;
        arena_reset(&sim->judge->arena);
        if (facts_gather(&reader, ns, &state, name, span_text(sim->devices[i].user), ROLE_NONE, &sim->judge->arena, &facts) != ERR_OK) continue;
        bool may = access_role(ns, &facts) != ROLE_NONE;
        if (sim->judge->told[space][i] && sim->judge->may[space][i] == may) continue;
        sim->judge->told[space][i] = true;
        sim->judge->may[space][i] = may;
        struct checker_event event = {.kind = CHECKER_ACCESS, .log = span_text(sim->log.name), .space = name, .rev = rev,
                                      .user = span_text(sim->devices[i].user), .may = may};
        sim_judge_event(sim, &event);
    }
}

static void keep_update(struct judge_part *part, uint64_t offset, uint64_t hash)
{
    if (offset >= part->room) {
        size_t room = part->room == 0 ? 64 : part->room * 2;
        part->updates = realloc(part->updates, room * sizeof *part->updates);
        assert(part->updates != NULL && offset < room);
        memset(part->updates + part->room, 0, (room - part->room) * sizeof *part->updates);
        part->room = room;
    }
    part->updates[offset] = hash;
}

void sim_judge_record(struct sim *sim, uint32_t partition, const struct sim_record *record)
{
    struct judge_part *part = &sim->judge->parts[partition];
    struct state_reader reader = map_state_reader(&part->state);
    struct owner_record in = {record->offset, record->time_ms, blob_span(record->bytes)};
    struct owner_out out;
    struct record decoded;
    if (record->offset < owner_next_offset(part->owner)) return; /* the log was cut: such a plan ends by what the owners say */
    enum err err = owner_step(part->owner, &reader, &in, &out);
    if (err != ERR_OK) {
        if (err != ERR_VERSION) sim_fail(sim, "the owner says %s", err_name(err));
        return;
    }
    map_state_apply(&part->state, out.writes, out.writes_count);
    keep_update(part, record->offset, out.has_update ? hash_64(out.update.frame) : 0);
    arena_reset(&sim->judge->arena);
    if (record_decode(in.bytes, &sim->judge->arena, &decoded) != ERR_OK) {
        sim_trace(sim, "log     p%u %llu: nobody can read it", partition, (unsigned long long)record->offset);
    } else if (decoded.kind == RECORD_NAMESPACE) {
        sim_trace(sim, "log     p%u %llu: namespace %.*s", partition, (unsigned long long)record->offset,
                  (int)member(decoded.namespace_text, "namespace").bytes, member(decoded.namespace_text, "namespace").at);
    } else {
        sim_trace(sim, "log     p%u %llu: push %llu of %.*s to %.*s", partition, (unsigned long long)record->offset, (unsigned long long)decoded.push.id,
                  (int)decoded.push.device.bytes, decoded.push.device.at, (int)decoded.push.space.bytes, decoded.push.space.at);
        if (decoded.push.has_device) tell_step(sim, record, &decoded.push, &out);
        if (out.has_update) tell_access(sim, part, decoded.push.space, record->offset + 1);
    }
}

void sim_judge_told(struct sim *sim, int worker, const struct link_tell *tell)
{
    if (tell->kind != LINK_UPDATE || tell->frame == NULL) return;
    struct judge_part *part = &sim->judge->parts[hash_partition(tell->space, sim->log.partitions)];
    uint64_t hash = tell->rev == 0 || tell->rev > part->room ? 0 : part->updates[tell->rev - 1];
    if (hash != hash_64(blob_span(tell->frame)))
        sim_fail(sim, "w%d sends another update than the log says, rev %llu: %.*s", worker + 1, (unsigned long long)tell->rev, (int)tell->frame->bytes,
                 tell->frame->text);
}

/* ---- the end ---- */

struct sim_look {
    struct checker_doc docs[DOCS_MAX];
    struct checker_number sums[16];
    struct checker_part parts[64];
};

static void read_sums(struct span text, struct checker_event *event, struct sim_look *look)
{
    struct json_value object;
    struct json_member one;
    if (!json_check(text, &object, NULL)) return;
    struct json_iter iter = json_members(object);
    while (json_next_member(&iter, &one)) {
        char digits[24];
        snprintf(digits, sizeof digits, "%.*s", (int)json_inside(one.value).bytes, json_inside(one.value).at);
        look->sums[event->sums_count++] = (struct checker_number){one.key, strtoull(digits, NULL, 16)};
    }
}

/* Counters are the documents `items/sum*`, in their member `n`. */
static void read_parts(struct json_value docs, struct checker_event *event, struct sim_look *look)
{
    struct json_iter iter = json_elements(docs);
    struct json_value doc;
    while (json_next_element(&iter, &doc) && event->parts_count < 64) {
        struct span id = member(doc, "id");
        int64_t value = 0;
        if (id.bytes < 3 || memcmp(id.at, "sum", 3) != 0) continue;
        if (json_integer(json_find(json_find(doc, "body"), "n"), &value)) look->parts[event->parts_count++] = (struct checker_part){id, value};
    }
}

/* A space as this state has it, whole. */
static void look_at(struct sim *sim, struct state_reader reader, const struct owner *owner, size_t space, enum checker_kind kind)
{
    static struct sim_look look;
    struct span name = span_text(sim->spaces[space]);
    struct page_waiter waiter = {.session = 1, .user = SPAN_LITERAL("judge"), .granted = ROLE_OWNER};
    struct page_request request = {.space = name, .ns = namespace_find(owner_namespaces(owner), name_namespace(name)),
                                   .log = span_text(sim->log.name), .clock_ms = owner_clock_ms(owner), .run = {.from_nothing = true},
                                   .waiters_count = 1, .waiters = &waiter};
    struct page page = {.more = true};
    struct json_value docs;
    if (request.ns == NULL) return;
    struct checker_event event = {.kind = kind, .log = span_text(sim->log.name), .space = name, .docs = look.docs, .window_ms = request.ns->window_ms,
                                  .sums = look.sums, .parts = look.parts};
    arena_reset(&sim->judge->arena);
    for (size_t i = 0; page.more; i++) {
        enum err err = ERR_TOO_LARGE;
        buf_reset(&sim->judge->texts[i % PAGES_MAX]);
        if (i < PAGES_MAX) err = page_make(&request, &reader, &sim->judge->arena, &sim->judge->texts[i], &page);
        if (err != ERR_OK) {
            sim_fail(sim, "%s cannot be looked at: %s", sim->spaces[space], err_name(err));
            return;
        }
        bool strict = json_check(page.docs, &docs, NULL);
        assert(strict);
        event.docs_count += sim_judge_docs(docs, look.docs + event.docs_count, DOCS_MAX - event.docs_count);
        read_parts(docs, &event, &look);
        request.run = page.next;
    }
    read_sums(page.sum, &event, &look);
    struct buf cursor;
    struct cursor at = {.place = page.head};
    buf_init(&cursor, CURSOR_BYTES_MAX);
    cursor_encode(&cursor, span_text(sim->log.name), name, &at);
    event.to = buf_span(&cursor);
    sim_judge_event(sim, &event);
    buf_fini(&cursor);
}

static void look_at_all(struct sim *sim)
{
    for (size_t i = 0; i < sim->spaces_count; i++) {
        uint32_t p = hash_partition(span_text(sim->spaces[i]), sim->log.partitions);
        struct judge_part *part = &sim->judge->parts[p];
        look_at(sim, map_state_reader(&part->state), part->owner, i, CHECKER_FINAL);
        int owner = sim->log.parts[p].owner;
        if (owner < 0) {
            sim_fail(sim, "p%u has no owner", p);
            continue;
        }
        struct sim_disk *disk = &sim->workers[owner].disks[p];
        if (disk->next_offset != owner_next_offset(part->owner))
            sim_fail(sim, "w%d has stored up to %llu of p%u, the log ends at %llu", owner + 1, (unsigned long long)disk->next_offset, p,
                     (unsigned long long)owner_next_offset(part->owner));
        look_at(sim, map_state_reader(&disk->state), part->owner, i, CHECKER_RESTORED);
    }
}

static void tell_outboxes(struct sim *sim)
{
    for (size_t d = 0; d < sim->devices_count; d++) {
        if (sim->devices[d].lib != NULL) continue;
        for (size_t i = 0; i < sim->spaces_count; i++) {
            const struct sim_copy *copy = &sim->devices[d].store.copies[i];
            uint64_t numbers[64];
            size_t count = 0;
            for (size_t k = 0; k < copy->pushes_count && count < 64; k++)
                if (!copy->pushes[k].settled) numbers[count++] = copy->pushes[k].id;
            struct checker_event event = {.kind = CHECKER_OUTBOX, .who = span_text(sim->devices[d].name), .space = span_text(sim->spaces[i]),
                                          .numbers = numbers, .numbers_count = count};
            sim_judge_event(sim, &event);
        }
    }
}

void sim_judge_calm(struct sim *sim) { tell_of(sim, CHECKER_CALM); }

void sim_judge_end(struct sim *sim)
{
    struct buf text;
    tell_outboxes(sim);
    look_at_all(sim);
    for (size_t d = 0; d < sim->devices_count; d++)
        if (sim->devices[d].lib != NULL) sim_lib_tell_end(&sim->devices[d]);
    tell_of(sim, CHECKER_END);
    const struct checker_report *report = checker_finish(sim->judge->checker);
    sim->checks = report->checks;
    if (report->violations == 0) return;
    buf_init(&text, 65536);
    checker_render(sim->judge->checker, 0, &text);
    sim_fail(sim, "%.*s", (int)text.bytes, text.at);
    buf_fini(&text);
}
