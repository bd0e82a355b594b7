#include "tests/sim/sim_frame.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"

struct span sim_frame_word(struct json_value frame, const char *key)
{
    struct json_value value = json_find(frame, key);
    if (value.type == JSON_STRING) return json_inside(value);
    return value.type == JSON_NUMBER ? value.raw : span_of(NULL, 0);
}

uint64_t sim_frame_number(struct json_value frame, const char *key)
{
    int64_t value = 0;
    return json_integer(json_find(frame, key), &value) && value > 0 ? (uint64_t)value : 0;
}

/* ---- parts ---- */

static void read_docs(struct sim_heard *heard, struct json_value docs)
{
    struct json_iter iter = json_elements(docs);
    struct json_value doc;
    while (json_next_element(&iter, &doc)) {
        assert(heard->event.docs_count < SIM_FRAME_DOCS_MAX);
        struct checker_doc *one = &heard->docs[heard->event.docs_count++];
        *one = (struct checker_doc){.collection = sim_frame_word(doc, "collection"), .id = sim_frame_word(doc, "id"), .rev = sim_frame_number(doc, "rev"),
                                    .born = sim_frame_number(doc, "born"), .deleted = json_find(doc, "deleted").type == JSON_TRUE};
        if (!one->deleted) one->sum = hash_document(one->id, one->rev, json_find(doc, "body").raw);
    }
}

static void read_numbers(struct json_value object, struct checker_number *numbers, size_t *count, bool hex)
{
    struct json_iter iter = json_members(object);
    struct json_member member;
    while (json_next_member(&iter, &member)) {
        assert(*count < SIM_FRAME_LIST_MAX);
        struct span text = hex ? json_inside(member.value) : member.value.raw;
        char digits[24];
        snprintf(digits, sizeof digits, "%.*s", (int)text.bytes, text.at);
        numbers[(*count)++] = (struct checker_number){member.key, strtoull(digits, NULL, hex ? 16 : 10)};
    }
}

static enum checker_status status_of(struct json_value frame)
{
    struct json_value status = json_find(frame, "status");
    if (json_string_is(status, "applied")) return CHECKER_APPLIED;
    return json_string_is(status, "conflict") ? CHECKER_CONFLICT : CHECKER_REJECTED;
}

static void read_refused(struct sim_heard *heard, struct json_value list)
{
    struct json_iter iter = json_elements(list);
    struct json_value one;
    while (json_next_element(&iter, &one)) {
        assert(heard->event.refused_count < SIM_FRAME_LIST_MAX);
        heard->refused[heard->event.refused_count++] = (struct checker_refusal){sim_frame_number(one, "id"), status_of(one), sim_frame_word(one, "code")};
    }
}

/* ---- frames ---- */

static void read_page(struct sim_heard *heard, struct json_value frame)
{
    struct checker_event *event = &heard->event;
    event->kind = json_find(frame, "to").type == JSON_NONE ? CHECKER_HISTORY : CHECKER_PAGE;
    read_docs(heard, json_find(frame, "docs"));
    event->at = sim_frame_number(frame, event->kind == CHECKER_HISTORY ? "at" : "head");
    if (event->kind == CHECKER_HISTORY) return;
    event->ref = sim_frame_word(frame, "ref");
    event->from = sim_frame_word(frame, "from");
    event->to = sim_frame_word(frame, "to");
    event->more = json_find(frame, "more").type == JSON_TRUE;
    event->reset = json_find(frame, "reset").type == JSON_TRUE;
    event->pushed = sim_frame_number(frame, "pushed");
    event->window_ms = (int64_t)sim_frame_number(frame, "window") * 1000;
    read_refused(heard, json_find(frame, "refused"));
    read_numbers(json_find(frame, "tail"), heard->tails, &event->tails_count, false);
    read_numbers(json_find(frame, "sum"), heard->sums, &event->sums_count, true);
}

static void read_update(struct sim_heard *heard, struct json_value frame)
{
    struct checker_event *event = &heard->event;
    event->kind = CHECKER_UPDATE;
    event->from = sim_frame_word(frame, "prev");
    event->to = sim_frame_word(frame, "cursor");
    event->rev = sim_frame_number(frame, "rev");
    event->log_ms = (int64_t)sim_frame_number(frame, "time");
    event->user = sim_frame_word(frame, "user");
    event->device = sim_frame_word(frame, "device");
    event->id = sim_frame_number(frame, "push");
    read_docs(heard, json_find(frame, "docs"));
}

static void read_result(struct sim_heard *heard, struct json_value frame)
{
    struct checker_event *event = &heard->event;
    event->kind = CHECKER_RESULT;
    event->id = sim_frame_number(frame, "id");
    event->status = status_of(frame);
    event->code = sim_frame_word(frame, "code");
    event->to = sim_frame_word(frame, "cursor");
    event->at = sim_frame_number(frame, "at");
    read_docs(heard, json_find(frame, "docs"));
}

bool sim_frame_read(struct json_value frame, struct sim_heard *ret_heard)
{
    struct json_value type = json_find(frame, "type");
    struct checker_event *event = &ret_heard->event;
    *event = (struct checker_event){.space = sim_frame_word(frame, "space")};
    if (json_string_is(type, "page")) {
        read_page(ret_heard, frame);
    } else if (json_string_is(type, "update")) {
        read_update(ret_heard, frame);
    } else if (json_string_is(type, "result")) {
        read_result(ret_heard, frame);
    } else if (json_string_is(type, "ack")) {
        event->kind = CHECKER_ACK;
        event->id = sim_frame_number(frame, "id");
    } else if (json_string_is(type, "error")) {
        event->kind = CHECKER_ERROR;
        event->id = sim_frame_number(frame, "id");
        event->after = sim_frame_number(frame, "after");
        event->code = sim_frame_word(frame, "code");
    } else if (json_string_is(type, "closed")) {
        event->kind = CHECKER_CLOSED;
        event->ref = sim_frame_word(frame, "ref");
        event->code = sim_frame_word(frame, "code");
        event->purge = json_find(frame, "purge").type == JSON_TRUE;
    } else {
        return false;
    }
    return true;
}

void sim_frame_read_current(struct json_value frame, struct json_value entry, struct sim_heard *ret_heard)
{
    ret_heard->event = (struct checker_event){.kind = CHECKER_CURRENT, .ref = sim_frame_word(frame, "ref"), .space = sim_frame_word(entry, "space"),
                                              .to = sim_frame_word(entry, "cursor"), .pushed = sim_frame_number(entry, "pushed"),
                                              .window_ms = (int64_t)sim_frame_number(entry, "window") * 1000};
}

void sim_frame_own_docs(struct sim_heard *heard, struct span text, uint64_t (*born)(void *ctx, const char *key), void *ctx)
{
    struct json_value ops, op;
    char key[SIM_NAME_BYTES];
    if (text.bytes == 0 || !json_check(text, &ops, NULL)) return;
    struct json_iter iter = json_elements(ops);
    while (json_next_element(&iter, &op)) {
        struct span collection = sim_frame_word(op, "collection"), id = sim_frame_word(op, "id");
        struct checker_doc *doc = NULL;
        for (size_t i = 0; i < heard->event.docs_count; i++)
            if (span_equal(heard->docs[i].collection, collection) && span_equal(heard->docs[i].id, id)) doc = &heard->docs[i];
        if (doc == NULL) doc = &heard->docs[heard->event.docs_count++];
        snprintf(key, sizeof key, "%.*s/%.*s", (int)collection.bytes, collection.at, (int)id.bytes, id.at);
        bool append = json_string_is(json_find(op, "op"), "append");
        *doc = (struct checker_doc){.collection = collection, .id = id, .rev = heard->event.rev, .deleted = json_string_is(json_find(op, "op"), "delete")};
        doc->born = append ? heard->event.rev : born(ctx, key);
        if (!doc->deleted) doc->sum = hash_document(id, doc->rev, json_find(op, "body").raw);
    }
    heard->event.own = true;
}

void sim_frame_record(struct sim_device *device, struct sim_heard *heard)
{
    heard->event.who = span_text(device->name);
    heard->event.conn = device->in_call ? SIM_CONN_HTTP : 0;
    heard->event.docs = heard->docs;
    heard->event.refused = heard->refused;
    heard->event.tails = heard->tails;
    heard->event.sums = heard->sums;
    sim_judge_event(device->sim, &heard->event);
}
