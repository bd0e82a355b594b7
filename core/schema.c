/* Compiling a schema: every keyword has a row in a table; what is not in the table is refused by name. */
#include "core/schema.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/number.h"
#include "core/schema_parts.h"

/* A schema that may be referred to: the root, those of $defs, and any other that a $ref names. */
struct schema_target {
    struct schema_target *next;
    const char *at; /* where its text begins */
    struct schema_node *node;
};

struct schema {
    char *text;
    struct schema_node *root;
    struct schema_target *targets; /* owned, with their nodes: the root's is one of them */
};

struct compiling {
    struct schema *schema;
    struct json_value whole;
    bool refers, has_inner_id;
    char *why;
    size_t why_bytes;
    unsigned depth;
    enum err err;
};

static struct schema_node *compile_node(struct compiling *c, struct json_value value);

static bool refuse(struct compiling *c, struct span keyword, const char *what)
{
    if (c->err == ERR_OK) {
        c->err = ERR_INVALID;
        snprintf(c->why, c->why_bytes, "schema: %.*s: %s", (int)(keyword.bytes < 64 ? keyword.bytes : 64), keyword.at, what);
    }
    return false;
}

static bool out_of_memory(struct compiling *c)
{
    if (c->err == ERR_OK) c->err = ERR_MEMORY;
    return false;
}

static void free_node(struct schema_node *node);

static void free_list(struct schema_list *list)
{
    for (size_t i = 0; i < list->count; i++) free_node(list->nodes[i]);
    free(list->nodes);
}

static void free_node(struct schema_node *node)
{
    if (node == NULL) return;
    for (size_t i = 0; i < node->properties_count; i++) free_node(node->properties[i].node);
    free(node->properties);
    free_node(node->additional);
    free_node(node->names);
    free_node(node->items);
    free_node(node->negated);
    free_node(node->contains);
    free_node(node->cond);
    free_node(node->then);
    free_node(node->otherwise);
    pattern_free(node->pattern);
    for (size_t i = 0; i < node->matches_count; i++) {
        pattern_free(node->matches[i].pattern);
        free_node(node->matches[i].node);
    }
    free(node->matches);
    for (size_t i = 0; i < node->dependents_count; i++) free_node(node->dependents[i].node);
    free(node->dependents);
    free_list(&node->prefix);
    free_list(&node->all);
    free_list(&node->any);
    free_list(&node->one);
    free(node);
}

static unsigned type_bit(struct json_value name)
{
    static const struct { const char *name; unsigned bit; } types[] = {
        {"null", TYPE_NULL}, {"boolean", TYPE_BOOLEAN}, {"number", TYPE_NUMBER}, {"string", TYPE_STRING},
        {"array", TYPE_ARRAY}, {"object", TYPE_OBJECT}, {"integer", TYPE_INTEGER}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (json_string_is(name, types[i].name)) return types[i].bit;
    return 0;
}

static bool set_type(struct compiling *c, struct schema_node *node, struct span keyword, struct json_value value)
{
    struct json_iter iter = json_elements(value);
    struct json_value name;
    node->types = type_bit(value);
    while (json_next_element(&iter, &name)) {
        unsigned bit = type_bit(name);
        if (bit == 0) return refuse(c, keyword, "no such type");
        node->types |= bit;
    }
    return node->types != 0 || refuse(c, keyword, "no such type");
}

static bool set_number(struct compiling *c, struct span *ret_text, struct span keyword, struct json_value value)
{
    if (value.type != JSON_NUMBER) return refuse(c, keyword, "must be a number");
    *ret_text = value.raw;
    return true;
}

static bool set_multiple(struct compiling *c, struct schema_node *node, struct span keyword, struct json_value value)
{
    if (!set_number(c, &node->multiple, keyword, value)) return false;
    return number_compare(value.raw, SPAN_LITERAL("0")) > 0 || refuse(c, keyword, "must be greater than 0");
}

static bool set_count(struct compiling *c, uint64_t *ret_count, struct span keyword, struct json_value value)
{
    int64_t count;
    if (value.type != JSON_NUMBER || !number_int64(value.raw, &count) || count < 0) return refuse(c, keyword, "must be a whole number from 0");
    *ret_count = (uint64_t)count;
    return true;
}

static bool set_node(struct compiling *c, struct schema_node **ret_node, struct json_value value)
{
    *ret_node = compile_node(c, value);
    return *ret_node != NULL;
}

static bool set_list(struct compiling *c, struct schema_list *list, struct span keyword, struct json_value value)
{
    struct json_iter iter = json_elements(value);
    struct json_value item;
    size_t count = json_count(value);
    if (value.type != JSON_ARRAY || count == 0) return refuse(c, keyword, "must be an array of schemas");
    list->nodes = calloc(count, sizeof *list->nodes);
    if (list->nodes == NULL) return out_of_memory(c);
    while (json_next_element(&iter, &item)) {
        if (!set_node(c, &list->nodes[list->count], item)) return false;
        list->count++;
    }
    return true;
}

static bool set_properties(struct compiling *c, struct schema_node *node, struct span keyword, struct json_value value)
{
    struct json_iter iter = json_members(value);
    struct json_member member;
    size_t count = json_count(value);
    if (value.type != JSON_OBJECT) return refuse(c, keyword, "must be an object of schemas");
    node->properties = calloc(count + 1, sizeof *node->properties);
    if (node->properties == NULL) return out_of_memory(c);
    while (json_next_member(&iter, &member)) {
        struct schema_property *property = &node->properties[node->properties_count];
        property->raw_key = member.key;
        if (!set_node(c, &property->node, member.value)) return false;
        node->properties_count++;
    }
    return true;
}

static bool set_names(struct compiling *c, struct json_value *ret_names, struct span keyword, struct json_value value)
{
    struct json_iter iter = json_elements(value);
    struct json_value name;
    if (value.type != JSON_ARRAY) return refuse(c, keyword, "must be an array of names");
    while (json_next_element(&iter, &name))
        if (name.type != JSON_STRING) return refuse(c, keyword, "must be an array of names");
    *ret_names = value;
    return true;
}

static bool set_pattern(struct compiling *c, struct pattern **ret_pattern, struct span keyword, struct span raw)
{
    const char *why;
    enum err err = pattern_compile(raw, ret_pattern, &why);
    if (err == ERR_MEMORY) return out_of_memory(c);
    return err == ERR_OK || refuse(c, keyword, why);
}

static bool set_matches(struct compiling *c, struct schema_node *node, struct span keyword, struct json_value value)
{
    struct json_iter iter = json_members(value);
    struct json_member member;
    if (value.type != JSON_OBJECT) return refuse(c, keyword, "must be an object of schemas");
    node->matches = calloc(json_count(value) + 1, sizeof *node->matches);
    if (node->matches == NULL) return out_of_memory(c);
    while (json_next_member(&iter, &member)) {
        struct schema_match *match = &node->matches[node->matches_count++];
        if (!set_pattern(c, &match->pattern, keyword, member.key) || !set_node(c, &match->node, member.value)) return false;
    }
    return true;
}

/* Both of dependentRequired and dependentSchemas may stand in one schema: the list grows. */
static bool set_dependents(struct compiling *c, struct schema_node *node, struct span keyword, struct json_value value, bool schemas)
{
    struct json_iter iter = json_members(value);
    struct json_member member;
    if (value.type != JSON_OBJECT) return refuse(c, keyword, "must be an object");
    struct schema_dependent *grown = realloc(node->dependents, (node->dependents_count + json_count(value) + 1) * sizeof *grown);
    if (grown == NULL) return out_of_memory(c);
    node->dependents = grown;
    while (json_next_member(&iter, &member)) {
        struct schema_dependent *one = &node->dependents[node->dependents_count++];
        *one = (struct schema_dependent){.raw_key = member.key};
        if (schemas ? !set_node(c, &one->node, member.value) : !set_names(c, &one->required, keyword, member.value)) return false;
    }
    return true;
}

/* ---- references ---- */

static bool fill_node(struct compiling *c, struct schema_node *node, struct json_value value);
static struct schema_node *empty_node(struct compiling *c);

/* The node of a schema that is referred to, once for all references: so one may refer to itself. */
static struct schema_node *target_of(struct compiling *c, struct json_value value)
{
    struct schema_target *target = c->schema->targets;
    while (target != NULL && target->at != value.raw.at) target = target->next;
    if (target != NULL) return target->node;
    target = calloc(1, sizeof *target);
    if (target == NULL) {
        (void)out_of_memory(c);
        return NULL;
    }
    target->next = c->schema->targets;
    target->at = value.raw.at;
    c->schema->targets = target;
    target->node = empty_node(c);
    unsigned depth = c->depth;
    c->depth = 0;
    bool good = target->node != NULL && fill_node(c, target->node, value);
    c->depth = depth;
    return good ? target->node : NULL;
}

static bool set_definitions(struct compiling *c, struct span keyword, struct json_value value)
{
    struct json_iter iter = json_members(value);
    struct json_member member;
    if (value.type != JSON_OBJECT) return refuse(c, keyword, "must be an object of schemas");
    while (json_next_member(&iter, &member))
        if (target_of(c, member.value) == NULL) return false;
    return true;
}

static int hex_of(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1; }

/* One name of a JSON pointer in a fragment: %41, ~0 and ~1 undone in place. */
static size_t plain_name(char *name, size_t bytes)
{
    size_t out = 0, end = 0;
    for (size_t i = 0; i < bytes; i++) {
        bool coded = name[i] == '%' && i + 2 < bytes && hex_of(name[i + 1]) >= 0 && hex_of(name[i + 2]) >= 0;
        name[out++] = coded ? (char)(hex_of(name[i + 1]) * 16 + hex_of(name[i + 2])) : name[i];
        if (coded) i += 2;
    }
    for (size_t i = 0; i < out; i++) {
        bool coded = name[i] == '~' && i + 1 < out && (name[i + 1] == '0' || name[i + 1] == '1');
        name[end++] = coded ? name[++i] == '0' ? '~' : '/' : name[i];
    }
    return end;
}

static struct json_value step_into(struct json_value value, struct span name)
{
    struct json_iter iter = json_elements(value);
    struct json_value element;
    char index[24];
    if (value.type == JSON_OBJECT) return json_find_span(value, name);
    for (size_t i = 0; json_next_element(&iter, &element); i++) {
        snprintf(index, sizeof index, "%zu", i);
        if (span_is(name, index)) return element;
    }
    return (struct json_value){.type = JSON_NONE};
}

static bool set_ref(struct compiling *c, struct schema_node *node, struct span keyword, struct json_value value)
{
    char text[256];
    size_t bytes = value.type == JSON_STRING ? json_decode(json_inside(value), text, sizeof text) : SIZE_MAX;
    struct json_value at = c->whole;
    c->refers = true;
    if (bytes > sizeof text || bytes == 0 || text[0] != '#' || (bytes > 1 && text[1] != '/'))
        return refuse(c, keyword, "must be a place in this schema, as in \"#/$defs/name\"");
    for (size_t i = 1; i < bytes;) {
        size_t end = ++i;
        while (end < bytes && text[end] != '/') end++;
        at = step_into(at, span_of(text + i, plain_name(text + i, end - i)));
        i = end;
    }
    if (at.type == JSON_NONE) return refuse(c, keyword, "names no place in this schema");
    node->ref = target_of(c, at);
    return node->ref != NULL;
}

static bool set_values(struct compiling *c, struct schema_node *node, struct span keyword, struct json_value value)
{
    if (value.type != JSON_ARRAY) return refuse(c, keyword, "must be an array");
    node->one_of_values = value;
    return true;
}

static bool set_unique(struct compiling *c, struct schema_node *node, struct span keyword, struct json_value value)
{
    node->unique = value.type == JSON_TRUE;
    return value.type == JSON_TRUE || value.type == JSON_FALSE || refuse(c, keyword, "must be true or false");
}

static bool is_note(struct span keyword)
{
    static const char *const notes[] = {"$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated",
                                        "readOnly", "writeOnly", "format", "contentEncoding", "contentMediaType", "contentSchema"};
    for (size_t i = 0; i < sizeof notes / sizeof notes[0]; i++)
        if (json_key_is(keyword, notes[i])) return true;
    return false;
}

static bool set_bounds(struct compiling *c, struct schema_node *n, struct span k, struct json_value v, bool *ret_known)
{
    *ret_known = true;
    if (json_key_is(k, "minimum")) return set_number(c, &n->minimum, k, v);
    if (json_key_is(k, "maximum")) return set_number(c, &n->maximum, k, v);
    if (json_key_is(k, "exclusiveMinimum")) return set_number(c, &n->above, k, v);
    if (json_key_is(k, "exclusiveMaximum")) return set_number(c, &n->below, k, v);
    if (json_key_is(k, "multipleOf")) return set_multiple(c, n, k, v);
    if (json_key_is(k, "minLength")) return set_count(c, &n->length_min, k, v);
    if (json_key_is(k, "maxLength")) return set_count(c, &n->length_max, k, v);
    if (json_key_is(k, "minItems")) return set_count(c, &n->items_min, k, v);
    if (json_key_is(k, "maxItems")) return set_count(c, &n->items_max, k, v);
    if (json_key_is(k, "minProperties")) return set_count(c, &n->properties_min, k, v);
    if (json_key_is(k, "maxProperties")) return set_count(c, &n->properties_max, k, v);
    if (json_key_is(k, "minContains")) return set_count(c, &n->contains_min, k, v);
    if (json_key_is(k, "maxContains")) return set_count(c, &n->contains_max, k, v);
    *ret_known = false;
    return true;
}

/* Keywords whose value is one schema. */
static struct schema_node **place_of(struct schema_node *n, struct span k)
{
    if (json_key_is(k, "additionalProperties")) return &n->additional;
    if (json_key_is(k, "propertyNames")) return &n->names;
    if (json_key_is(k, "items")) return &n->items;
    if (json_key_is(k, "contains")) return &n->contains;
    if (json_key_is(k, "not")) return &n->negated;
    if (json_key_is(k, "if")) return &n->cond;
    if (json_key_is(k, "then")) return &n->then;
    if (json_key_is(k, "else")) return &n->otherwise;
    return NULL;
}

static bool set_keyword(struct compiling *c, struct schema_node *n, struct span k, struct json_value v)
{
    bool known;
    bool good = set_bounds(c, n, k, v, &known);
    struct schema_node **place = place_of(n, k);
    if (known || !good) return good;
    if (place != NULL) return set_node(c, place, v);
    if (json_key_is(k, "type")) return set_type(c, n, k, v);
    if (json_key_is(k, "enum")) return set_values(c, n, k, v);
    if (json_key_is(k, "const")) {
        n->constant = v;
        return true;
    }
    if (json_key_is(k, "properties")) return set_properties(c, n, k, v);
    if (json_key_is(k, "patternProperties")) return set_matches(c, n, k, v);
    if (json_key_is(k, "required")) return set_names(c, &n->required, k, v);
    if (json_key_is(k, "dependentRequired")) return set_dependents(c, n, k, v, false);
    if (json_key_is(k, "dependentSchemas")) return set_dependents(c, n, k, v, true);
    if (json_key_is(k, "prefixItems")) return set_list(c, &n->prefix, k, v);
    if (json_key_is(k, "uniqueItems")) return set_unique(c, n, k, v);
    if (json_key_is(k, "allOf")) return set_list(c, &n->all, k, v);
    if (json_key_is(k, "anyOf")) return set_list(c, &n->any, k, v);
    if (json_key_is(k, "oneOf")) return set_list(c, &n->one, k, v);
    if (json_key_is(k, "pattern")) return v.type == JSON_STRING ? set_pattern(c, &n->pattern, k, json_inside(v)) : refuse(c, k, "must be a string");
    if (json_key_is(k, "$defs")) return set_definitions(c, k, v);
    if (json_key_is(k, "$ref")) return set_ref(c, n, k, v);
    if (json_key_is(k, "$id") && n != c->schema->root) c->has_inner_id = true;
    return is_note(k) || refuse(c, k, "this keyword is not supported");
}

static struct schema_node *empty_node(struct compiling *c)
{
    struct schema_node *node = calloc(1, sizeof *node);
    if (node == NULL) (void)out_of_memory(c);
    else {
        node->length_max = node->items_max = node->properties_max = node->contains_max = UINT64_MAX;
        node->contains_min = 1;
    }
    return node;
}

/* A keyword stands once, and is written as it is: what a second one said would be anybody's guess. */
static bool is_plain(struct compiling *c, struct json_value object, struct span key)
{
    struct json_iter iter = json_members(object);
    struct json_member member;
    if (key.bytes > 0 && memchr(key.at, '\\', key.bytes) != NULL) return refuse(c, key, "this keyword is not supported");
    while (json_next_member(&iter, &member) && member.key.at != key.at)
        if (span_equal(member.key, key)) return refuse(c, key, "stands twice");
    return true;
}

static bool fill_node(struct compiling *c, struct schema_node *node, struct json_value value)
{
    struct json_iter iter = json_members(value);
    struct json_member member;
    bool good = true;
    if (c->depth == SCHEMA_DEPTH_MAX) return refuse(c, SPAN_LITERAL("a schema"), "is nested too deep");
    if (value.type != JSON_OBJECT && value.type != JSON_TRUE && value.type != JSON_FALSE)
        return refuse(c, SPAN_LITERAL("a schema"), "must be an object, true or false");
    node->nothing_fits = value.type == JSON_FALSE;
    c->depth++;
    while (good && json_next_member(&iter, &member)) good = is_plain(c, value, member.key) && set_keyword(c, node, member.key, member.value);
    c->depth--;
    return good;
}

static struct schema_node *compile_node(struct compiling *c, struct json_value value)
{
    struct schema_node *node = empty_node(c);
    if (node == NULL || fill_node(c, node, value)) return node;
    free_node(node);
    return NULL;
}

static void compile_root(struct compiling *c, struct json_value value)
{
    struct schema_target *target = calloc(1, sizeof *target);
    c->whole = value;
    if (target == NULL) {
        (void)out_of_memory(c);
        return;
    }
    target->at = value.raw.at;
    c->schema->targets = target;
    target->node = c->schema->root = empty_node(c);
    if (target->node == NULL || !fill_node(c, target->node, value)) return;
    /* A place is counted from the nearest $id: not from where it would be looked for. */
    if (c->refers && c->has_inner_id) (void)refuse(c, SPAN_LITERAL("$ref"), "not in a schema that holds another's $id");
}

enum err schema_compile(struct span text, struct schema **ret_schema, char *ret_why, size_t why_bytes)
{
    struct json_value value;
    struct schema *schema = calloc(1, sizeof *schema);
    struct compiling c = {.schema = schema, .why = ret_why, .why_bytes = why_bytes};
    if (schema == NULL) return ERR_MEMORY;
    if (text.at == NULL) text = SPAN_LITERAL("true");
    schema->text = malloc(text.bytes + 1);
    if (schema->text == NULL) {
        free(schema);
        return ERR_MEMORY;
    }
    memcpy(schema->text, text.at, text.bytes);
    schema->text[text.bytes] = '\0';
    if (!json_check(span_of(schema->text, text.bytes), &value, NULL)) refuse(&c, SPAN_LITERAL("text"), "is not JSON");
    else compile_root(&c, value);
    if (c.err != ERR_OK) {
        schema_free(schema);
        return c.err;
    }
    *ret_schema = schema;
    return ERR_OK;
}

void schema_free(struct schema *schema)
{
    if (schema == NULL) return;
    while (schema->targets != NULL) {
        struct schema_target *target = schema->targets;
        schema->targets = target->next;
        free_node(target->node);
        free(target);
    }
    free(schema->text);
    free(schema);
}

bool schema_fits(const struct schema *schema, struct json_value value, char *ret_why, size_t why_bytes)
{
    struct schema_fit f = {.why = ret_why, .why_bytes = why_bytes};
    if (schema == NULL) return true;
    bool fits = schema_fit_node(schema->root, value, &f);
    if (f.overrun && why_bytes > 0) snprintf(ret_why, why_bytes, "body: takes too long to be judged");
    return fits && !f.overrun;
}
