/* Sets kept as arrays.
 *
 * Two values are one where strings are equal decoded, numbers by exact value (1, 1.0 and 1e0), anything else by its
 * bytes. What stays keeps its bytes and its place; what comes goes to the end.
 *
 * INVARIANTS
 * 1. A set holds each value once, and at most LIMIT_SET_VALUES_MAX of them.
 * 2. Over a push the work is that of the values named, not of the values named times the set: the set is read once,
 *    and written once. Memory is the arena's. */
#include "core/resolve_set.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/number.h"
#include "core/resolve_tree.h"

struct value {
    struct resolve_tree_node node; /* the first member: a node is its value */
    enum json_type type;
    struct span content; /* a string's decoded text; otherwise raw */
    struct span raw;
    uint64_t place;
    bool in;
    struct value *older;
};

struct resolve_set {
    struct arena *arena;
    struct resolve_tree tree;
    struct value *newest; /* a chain of all that ever were in */
    size_t count;         /* those in */
    size_t raw_bytes;     /* theirs together */
    uint64_t places;
};

static int order_values(const struct resolve_tree_node *node_a, const struct resolve_tree_node *node_b)
{
    const struct value *a = (const struct value *)(const void *)node_a;
    const struct value *b = (const struct value *)(const void *)node_b;
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    return a->type == JSON_NUMBER ? number_compare(a->content, b->content) : span_compare(a->content, b->content);
}

static enum err content_of(struct resolve_set *set, struct json_value json, struct span *ret_content)
{
    struct span raw = json.type == JSON_STRING ? json_inside(json) : json.raw;
    *ret_content = raw;
    if (json.type != JSON_STRING || raw.bytes == 0 || memchr(raw.at, '\\', raw.bytes) == NULL) return ERR_OK;
    char *text = arena_take(set->arena, raw.bytes);
    if (text == NULL) return ERR_MEMORY;
    *ret_content = span_of(text, json_decode(raw, text, raw.bytes));
    return ERR_OK;
}

/* The value equal to `json` that is, or once was, in the set; NULL where none was. */
static enum err find(struct resolve_set *set, struct json_value json, struct value *ret_like, struct value **ret_value)
{
    *ret_like = (struct value){.type = json.type, .raw = json.raw};
    enum err err = content_of(set, json, &ret_like->content);
    if (err != ERR_OK) return err;
    *ret_value = (struct value *)(void *)resolve_tree_find(&set->tree, &ret_like->node);
    return ERR_OK;
}

static enum err put(struct resolve_set *set, struct json_value json, bool *ret_new)
{
    struct value like, *value;
    enum err err = find(set, json, &like, &value);
    if (err != ERR_OK || (value != NULL && value->in)) return err;
    if (set->count == LIMIT_SET_VALUES_MAX) return ERR_TOO_LARGE;
    if (value == NULL) {
        value = arena_take(set->arena, sizeof *value);
        if (value == NULL) return ERR_MEMORY;
        *value = like;
        value->older = set->newest;
        set->newest = value;
        resolve_tree_put(&set->tree, &value->node);
    }
    value->raw = json.raw;
    value->in = true;
    value->place = ++set->places;
    set->count++;
    set->raw_bytes += json.raw.bytes;
    *ret_new = true;
    return ERR_OK;
}

enum err resolve_set_add(struct resolve_set *set, struct json_value values, bool *ret_changed)
{
    struct json_iter iter = json_elements(values);
    struct json_value json;
    bool changed = false;
    while (json_next_element(&iter, &json)) {
        enum err err = put(set, json, &changed);
        if (err != ERR_OK) return err;
    }
    *ret_changed = changed;
    return ERR_OK;
}

enum err resolve_set_remove(struct resolve_set *set, struct json_value values, bool *ret_changed)
{
    struct json_iter iter = json_elements(values);
    struct json_value json;
    bool changed = false;
    while (json_next_element(&iter, &json)) {
        struct value like, *value;
        enum err err = find(set, json, &like, &value);
        if (err != ERR_OK) return err;
        if (value == NULL || !value->in) continue;
        value->in = false;
        set->count--;
        set->raw_bytes -= value->raw.bytes;
        changed = true;
    }
    *ret_changed = changed;
    return ERR_OK;
}

enum err resolve_set_make(struct arena *arena, struct json_value array, struct resolve_set **ret_set)
{
    struct resolve_set *set = arena_take(arena, sizeof *set);
    if (set == NULL) return ERR_MEMORY;
    *set = (struct resolve_set){.arena = arena, .tree = {.order = order_values}};
    struct json_iter iter = json_elements(array);
    struct json_value json;
    bool changed;
    /* An array that was put may repeat a value, and be longer than a set may: what is beyond counts, repeats or not,
     * so that a walk is never longer than the bound. */
    for (size_t walked = 0; json_next_element(&iter, &json); walked++) {
        if (walked == LIMIT_SET_VALUES_MAX) return ERR_TOO_LARGE;
        enum err err = put(set, json, &changed);
        if (err != ERR_OK) return err;
    }
    *ret_set = set;
    return ERR_OK;
}

size_t resolve_set_bytes(const struct resolve_set *set)
{
    return 2 + set->raw_bytes + (set->count > 0 ? set->count - 1 : 0);
}

static int order_places(const void *a, const void *b)
{
    const struct value *const *first = a;
    const struct value *const *second = b;
    return (*first)->place < (*second)->place ? -1 : 1;
}

enum err resolve_set_text(struct resolve_set *set, struct span *ret_text)
{
    size_t bytes = resolve_set_bytes(set), count = 0, at = 0;
    struct value **values = arena_take(set->arena, (set->count + 1) * sizeof(struct value *));
    char *text = arena_take(set->arena, bytes);
    if (values == NULL || text == NULL) return ERR_MEMORY;
    for (struct value *value = set->newest; value != NULL; value = value->older)
        if (value->in) values[count++] = value;
    assert(count == set->count);
    qsort(values, count, sizeof(struct value *), order_places);
    text[at++] = '[';
    for (size_t i = 0; i < count; i++) {
        if (i > 0) text[at++] = ',';
        memcpy(text + at, values[i]->raw.at, values[i]->raw.bytes);
        at += values[i]->raw.bytes;
    }
    text[at++] = ']';
    assert(at == bytes);
    *ret_text = span_of(text, bytes);
    return ERR_OK;
}
