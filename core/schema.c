/* Compiling a schema: every keyword has a row in a table; what is not in the table is refused by name. */
#include "core/schema.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/number.h"
#include "core/schema_parts.h"

struct schema {
    char *text;
    struct schema_node *root;
};

struct compiling {
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

static bool set_required(struct compiling *c, struct schema_node *node, struct span keyword, struct json_value value)
{
    struct json_iter iter = json_elements(value);
    struct json_value name;
    if (value.type != JSON_ARRAY) return refuse(c, keyword, "must be an array of names");
    while (json_next_element(&iter, &name))
        if (name.type != JSON_STRING) return refuse(c, keyword, "must be an array of names");
    node->required = value;
    return true;
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
    static const char *const notes[] = {"$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"};
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
    *ret_known = false;
    return true;
}

static bool set_keyword(struct compiling *c, struct schema_node *n, struct span k, struct json_value v)
{
    bool known;
    bool good = set_bounds(c, n, k, v, &known);
    if (known || !good) return good;
    if (json_key_is(k, "type")) return set_type(c, n, k, v);
    if (json_key_is(k, "enum")) return set_values(c, n, k, v);
    if (json_key_is(k, "const")) {
        n->constant = v;
        return true;
    }
    if (json_key_is(k, "properties")) return set_properties(c, n, k, v);
    if (json_key_is(k, "required")) return set_required(c, n, k, v);
    if (json_key_is(k, "additionalProperties")) return set_node(c, &n->additional, v);
    if (json_key_is(k, "propertyNames")) return set_node(c, &n->names, v);
    if (json_key_is(k, "items")) return set_node(c, &n->items, v);
    if (json_key_is(k, "prefixItems")) return set_list(c, &n->prefix, k, v);
    if (json_key_is(k, "uniqueItems")) return set_unique(c, n, k, v);
    if (json_key_is(k, "allOf")) return set_list(c, &n->all, k, v);
    if (json_key_is(k, "anyOf")) return set_list(c, &n->any, k, v);
    if (json_key_is(k, "oneOf")) return set_list(c, &n->one, k, v);
    if (json_key_is(k, "not")) return set_node(c, &n->negated, v);
    return is_note(k) || refuse(c, k, "this keyword is not supported");
}

static struct schema_node *compile_node(struct compiling *c, struct json_value value)
{
    struct json_iter iter = json_members(value);
    struct json_member member;
    bool good = true;
    if (c->depth == SCHEMA_DEPTH_MAX || (value.type != JSON_OBJECT && value.type != JSON_TRUE && value.type != JSON_FALSE)) {
        refuse(c, SPAN_LITERAL("a schema"), c->depth == SCHEMA_DEPTH_MAX ? "is nested too deep" : "must be an object, true or false");
        return NULL;
    }
    struct schema_node *node = calloc(1, sizeof *node);
    if (node == NULL) {
        out_of_memory(c);
        return NULL;
    }
    node->length_max = node->items_max = node->properties_max = UINT64_MAX;
    node->nothing_fits = value.type == JSON_FALSE;
    c->depth++;
    while (good && json_next_member(&iter, &member)) good = set_keyword(c, node, member.key, member.value);
    c->depth--;
    if (good) return node;
    free_node(node);
    return NULL;
}

enum err schema_compile(struct span text, struct schema **ret_schema, char *ret_why, size_t why_bytes)
{
    struct compiling c = {.why = ret_why, .why_bytes = why_bytes};
    struct json_value value;
    struct schema *schema = calloc(1, sizeof *schema);
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
    else schema->root = compile_node(&c, value);
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
    free_node(schema->root);
    free(schema->text);
    free(schema);
}

bool schema_fits(const struct schema *schema, struct json_value value, char *ret_why, size_t why_bytes)
{
    char place[SCHEMA_PLACE_BYTES] = "";
    return schema == NULL || schema_fit_node(schema->root, value, place, ret_why, why_bytes);
}
