/* Bodies at work: see resolve_body.h. Everything is in the arena of the step, and in no hurry to be text: a push of 512
 * operations on one large document reads and writes it once. */
#include "core/resolve_body.h"

#include <assert.h>
#include <stdlib.h>

#include "core/limits.h"

static int order_parts(const struct resolve_tree_node *a, const struct resolve_tree_node *b)
{
    return span_compare(((const struct resolve_part *)(const void *)a)->name,
                        ((const struct resolve_part *)(const void *)b)->name);
}

static bool make_room(struct resolve_body *body)
{
    if (body->parts_count < body->parts_room) return true;
    size_t room = body->parts_room == 0 ? 16 : body->parts_room * 2;
    struct resolve_part **parts = arena_take(body->arena, room * sizeof(struct resolve_part *));
    if (parts == NULL) return false;
    if (body->parts_count > 0) memcpy(parts, body->parts, body->parts_count * sizeof(struct resolve_part *));
    body->parts = parts;
    body->parts_room = room;
    return true;
}

enum err resolve_body_part(struct resolve_body *body, struct span name, struct span key, struct resolve_part **ret_part)
{
    struct resolve_part like = {.name = name};
    struct resolve_part *part = (struct resolve_part *)(void *)resolve_tree_find(&body->tree, &like.node);
    if (part == NULL) {
        if (body->parts_count == LIMIT_PUSH_FIELDS_MAX) return ERR_TOO_LARGE;
        part = make_room(body) ? arena_take(body->arena, sizeof *part) : NULL;
        if (part == NULL) return ERR_MEMORY;
        part->name = name;
        part->key = key;
        resolve_tree_put(&body->tree, &part->node);
        body->parts[body->parts_count++] = part;
    }
    *ret_part = part;
    return ERR_OK;
}

/* The part that a member of a text is. */
static enum err part_of(struct resolve_body *body, struct span key, struct resolve_part **ret_part)
{
    struct span name = key;
    if (key.bytes > 0 && memchr(key.at, '\\', key.bytes) != NULL) {
        char *decoded = arena_take(body->arena, key.bytes);
        if (decoded == NULL) return ERR_MEMORY;
        name = span_of(decoded, json_decode(key, decoded, key.bytes));
    }
    return resolve_body_part(body, name, key, ret_part);
}

void resolve_body_listen(struct resolve_body *body) { body->mark++; }

enum err resolve_body_say(struct resolve_body *body, struct json_value members)
{
    struct json_iter iter = json_members(members);
    struct json_member member;
    while (json_next_member(&iter, &member)) {
        struct resolve_part *part;
        enum err err = part_of(body, member.key, &part);
        if (err != ERR_OK) return err;
        part->said_mark = body->mark;
        part->said = member.value;
        part->said_key = member.key;
        part->said_place = ++body->places;
    }
    return ERR_OK;
}

void resolve_body_is_said(struct resolve_body *body)
{
    body->count = 0;
    for (size_t i = 0; i < body->parts_count; i++) {
        struct resolve_part *part = body->parts[i];
        bool named = resolve_body_names(body, part);
        part->set = NULL;
        part->set_ahead = false;
        part->value = named ? part->said : (struct json_value){0};
        if (!named) continue;
        part->key = part->said_key;
        part->place = part->said_place;
        body->count++;
    }
    body->touched = false;
}

enum err resolve_body_load(struct resolve_body *body, struct arena *arena, const struct doc *doc)
{
    enum err err = ERR_OK;
    if (body->loaded) return ERR_OK;
    *body = (struct resolve_body){.arena = arena, .tree = {.order = order_parts}};
    resolve_body_listen(body);
    if (doc->body.bytes > 0) err = resolve_body_say(body, (struct json_value){.type = JSON_OBJECT, .raw = doc->body});
    resolve_body_is_said(body);
    for (size_t i = 0; i < doc->fields_count && err == ERR_OK; i++) {
        /* One that the body has not is given its key by whoever brings it in. */
        struct resolve_part *part;
        err = resolve_body_part(body, doc->fields[i].field, span_of(NULL, 0), &part);
        if (err != ERR_OK) break;
        part->own = true;
        part->stamp = doc->fields[i].stamp;
        part->known_rev = part->stamp.rev;
    }
    body->loaded = err == ERR_OK;
    return err;
}

void resolve_body_set(struct resolve_body *body, struct resolve_part *part, struct json_value value)
{
    bool was = part->value.type != JSON_NONE, is = value.type != JSON_NONE;
    if (!part->set_ahead && was == is && span_equal(part->value.raw, value.raw)) return;
    if (is && !was) body->count++;
    if (was && !is) body->count--;
    part->set = NULL;
    part->set_ahead = false;
    part->value = value;
    body->touched = true;
}

void resolve_body_place(struct resolve_body *body, struct resolve_part *part, struct span key)
{
    if (part->value.type != JSON_NONE) return;
    part->key = key;
    part->place = ++body->places;
}

enum err resolve_body_is(struct resolve_part *part, struct json_value value, bool *ret_is)
{
    struct json_value now = part->value;
    if ((now.type == JSON_NONE) != (value.type == JSON_NONE)) {
        *ret_is = false;
        return ERR_OK;
    }
    /* Asked before the set is written out: a set may be asked about often, and be large. */
    if (part->set_ahead && resolve_set_bytes(part->set) == value.raw.bytes) {
        enum err err = resolve_body_value(part, &now);
        if (err != ERR_OK) return err;
    } else if (part->set_ahead) {
        *ret_is = false;
        return ERR_OK;
    }
    *ret_is = span_equal(now.raw, value.raw);
    return ERR_OK;
}

void resolve_body_take(struct resolve_body *body, struct resolve_part *part)
{
    struct json_value value = resolve_body_names(body, part) ? part->said : (struct json_value){0};
    if (value.type != JSON_NONE && part->value.type == JSON_NONE) {
        part->key = part->said_key;
        part->place = part->said_place;
    }
    resolve_body_set(body, part, value);
}

enum err resolve_body_as_set(struct resolve_body *body, struct resolve_part *part, struct resolve_set **ret_set)
{
    if (part->set == NULL) {
        enum err err = resolve_set_make(body->arena, part->value, &part->set);
        if (err != ERR_OK) return err;
    }
    *ret_set = part->set;
    return ERR_OK;
}

void resolve_body_set_changed(struct resolve_body *body, struct resolve_part *part)
{
    if (part->value.type == JSON_NONE) body->count++;
    part->value.type = JSON_ARRAY; /* its text is what it was until somebody asks */
    part->set_ahead = true;
    body->touched = true;
}

enum err resolve_body_value(struct resolve_part *part, struct json_value *ret_value)
{
    if (part->set_ahead) {
        enum err err = resolve_set_text(part->set, &part->value.raw);
        if (err != ERR_OK) return err;
        part->set_ahead = false;
    }
    *ret_value = part->value;
    return ERR_OK;
}

size_t resolve_body_bytes(const struct resolve_body *body)
{
    size_t bytes = 2 + (body->count > 0 ? body->count - 1 : 0);
    for (size_t i = 0; i < body->parts_count; i++) {
        const struct resolve_part *part = body->parts[i];
        if (part->value.type == JSON_NONE) continue;
        bytes += part->key.bytes + 3 + (part->set_ahead ? resolve_set_bytes(part->set) : part->value.raw.bytes);
    }
    return bytes;
}

static int order_places(const void *a, const void *b)
{
    const struct resolve_part *const *first = a;
    const struct resolve_part *const *second = b;
    return (*first)->place < (*second)->place ? -1 : 1;
}

static char *copy(char *at, struct span span)
{
    if (span.bytes > 0) memcpy(at, span.at, span.bytes);
    return at + span.bytes;
}

enum err resolve_body_text(struct resolve_body *body, struct span *ret_text)
{
    size_t bytes = resolve_body_bytes(body), count = 0;
    struct resolve_part **parts = arena_take(body->arena, (body->count + 1) * sizeof(struct resolve_part *));
    char *text = arena_take(body->arena, bytes);
    if (parts == NULL || text == NULL) return ERR_MEMORY;
    for (size_t i = 0; i < body->parts_count; i++)
        if (body->parts[i]->value.type != JSON_NONE) parts[count++] = body->parts[i];
    assert(count == body->count);
    qsort(parts, count, sizeof(struct resolve_part *), order_places);
    char *at = copy(text, SPAN_LITERAL("{"));
    for (size_t i = 0; i < count; i++) {
        struct json_value value;
        enum err err = resolve_body_value(parts[i], &value);
        if (err != ERR_OK) return err;
        at = copy(at, i > 0 ? SPAN_LITERAL(",\"") : SPAN_LITERAL("\""));
        at = copy(at, parts[i]->key);
        at = copy(at, SPAN_LITERAL("\":"));
        at = copy(at, value.raw);
    }
    at = copy(at, SPAN_LITERAL("}"));
    assert((size_t)(at - text) == bytes);
    *ret_text = span_of(text, bytes);
    return ERR_OK;
}

/* Removed fields before the body's, of the removed the oldest first: those that go when there are too many. */
static int order_oldest(const void *a, const void *b)
{
    const struct resolve_part *first = *(const struct resolve_part *const *)a;
    const struct resolve_part *second = *(const struct resolve_part *const *)b;
    bool first_in = first->value.type != JSON_NONE, second_in = second->value.type != JSON_NONE;
    if (first_in != second_in) return first_in ? 1 : -1;
    if (first->stamp.rev != second->stamp.rev) return first->stamp.rev < second->stamp.rev ? -1 : 1;
    return span_compare(first->name, second->name);
}

static int order_names(const void *a, const void *b)
{
    return span_compare((*(const struct resolve_part *const *)a)->name, (*(const struct resolve_part *const *)b)->name);
}

enum err resolve_body_stamps(struct resolve_body *body, struct field_stamp **ret_stamps, size_t *ret_count)
{
    size_t count = 0, gone = 0;
    struct resolve_part **parts = arena_take(body->arena, (body->parts_count + 1) * sizeof(struct resolve_part *));
    if (parts == NULL) return ERR_MEMORY;
    for (size_t i = 0; i < body->parts_count; i++)
        if (body->parts[i]->own) parts[count++] = body->parts[i];
    if (count > LIMIT_FIELD_STAMPS_MAX) {
        qsort(parts, count, sizeof(struct resolve_part *), order_oldest);
        gone = count - LIMIT_FIELD_STAMPS_MAX;
        count = LIMIT_FIELD_STAMPS_MAX;
    }
    qsort(parts + gone, count, sizeof(struct resolve_part *), order_names);
    struct field_stamp *stamps = arena_take(body->arena, (count + 1) * sizeof *stamps);
    if (stamps == NULL) return ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        stamps[i] = (struct field_stamp){.field = parts[gone + i]->name, .stamp = parts[gone + i]->stamp};
    *ret_stamps = stamps;
    *ret_count = count;
    return ERR_OK;
}
