/* Does a value fit? One function a group of keywords; the first that does not fit says where and why. */
#include <stdio.h>

#include "core/number.h"
#include "core/schema_parts.h"

static bool misfit(struct schema_fit *f, const char *what)
{
    if (f->why_bytes > 0) snprintf(f->why, f->why_bytes, "%s: %s", f->place[0] == '\0' ? "body" : f->place, what);
    return false;
}

static bool same_members(struct json_value a, struct json_value b)
{
    struct json_iter iter = json_members(a);
    struct json_member mine, theirs;
    if (json_count(a) != json_count(b)) return false;
    while (json_next_member(&iter, &mine)) {
        struct json_iter other = json_members(b);
        bool found = false;
        while (!found && json_next_member(&other, &theirs))
            found = json_key_equal(mine.key, theirs.key) && schema_fit_equal(mine.value, theirs.value);
        if (!found) return false;
    }
    return true;
}

bool schema_fit_equal(struct json_value a, struct json_value b)
{
    struct json_iter left = json_elements(a), right = json_elements(b);
    struct json_value x, y;
    if (a.type != b.type) return false;
    switch (a.type) {
    case JSON_NUMBER: return number_compare(a.raw, b.raw) == 0;
    case JSON_STRING: return json_key_equal(json_inside(a), json_inside(b));
    case JSON_OBJECT: return same_members(a, b);
    case JSON_ARRAY:
        if (json_count(a) != json_count(b)) return false;
        while (json_next_element(&left, &x) && json_next_element(&right, &y))
            if (!schema_fit_equal(x, y)) return false;
        return true;
    case JSON_NONE: case JSON_NULL: case JSON_FALSE: case JSON_TRUE: return true;
    }
    return false;
}

static unsigned types_of(struct json_value value)
{
    switch (value.type) {
    case JSON_NULL: return TYPE_NULL;
    case JSON_FALSE: case JSON_TRUE: return TYPE_BOOLEAN;
    case JSON_NUMBER: return number_is_integer(value.raw) ? TYPE_NUMBER | TYPE_INTEGER : TYPE_NUMBER;
    case JSON_STRING: return TYPE_STRING;
    case JSON_ARRAY: return TYPE_ARRAY;
    case JSON_OBJECT: return TYPE_OBJECT;
    case JSON_NONE: break;
    }
    return 0;
}

static bool fits_values(const struct schema_node *n, struct json_value value, struct schema_fit *f)
{
    struct json_iter iter = json_elements(n->one_of_values);
    struct json_value allowed;
    if (n->constant.type != JSON_NONE && !schema_fit_equal(n->constant, value)) return misfit(f, "is not the one value allowed");
    if (n->one_of_values.type == JSON_NONE) return true;
    while (json_next_element(&iter, &allowed))
        if (schema_fit_equal(allowed, value)) return true;
    return misfit(f, "is none of the values allowed");
}

static bool misfit_bound(struct schema_fit *f, const char *what, struct span bound)
{
    char text[96];
    snprintf(text, sizeof text, "%s %.*s", what, (int)(bound.bytes < 40 ? bound.bytes : 40), bound.at);
    return misfit(f, text);
}

static bool fits_number(const struct schema_node *n, struct span text, struct schema_fit *f)
{
    bool known;
    if (n->minimum.at != NULL && number_compare(text, n->minimum) < 0) return misfit_bound(f, "less than", n->minimum);
    if (n->maximum.at != NULL && number_compare(text, n->maximum) > 0) return misfit_bound(f, "greater than", n->maximum);
    if (n->above.at != NULL && number_compare(text, n->above) <= 0) return misfit_bound(f, "not greater than", n->above);
    if (n->below.at != NULL && number_compare(text, n->below) >= 0) return misfit_bound(f, "not less than", n->below);
    if (n->multiple.at == NULL || number_multiple_of(text, n->multiple, &known)) return true;
    return misfit_bound(f, known ? "not a multiple of" : "too long to be seen as a multiple of", n->multiple);
}

static bool fits_string(const struct schema_node *n, struct json_value value, struct schema_fit *f)
{
    if (n->pattern != NULL && !pattern_find(n->pattern, json_inside(value))) return misfit(f, "does not match the pattern");
    if (n->length_min == 0 && n->length_max == UINT64_MAX) return true;
    uint64_t points = json_code_points(value);
    if (points < n->length_min) return misfit(f, "shorter than allowed");
    return points <= n->length_max || misfit(f, "longer than allowed");
}

static bool fits_unique(struct json_value array, struct schema_fit *f)
{
    struct json_iter outer = json_elements(array);
    struct json_value a, b;
    while (json_next_element(&outer, &a)) {
        struct json_iter inner = outer;
        while (json_next_element(&inner, &b))
            if (schema_fit_equal(a, b)) return misfit(f, "holds a value twice");
    }
    return true;
}

/* Does it fit? Without a word of why not. */
static bool quietly(const struct schema_node *n, struct json_value value, struct schema_fit *f)
{
    size_t why_bytes = f->why_bytes;
    f->why_bytes = 0;
    bool good = schema_fit_node(n, value, f);
    f->why_bytes = why_bytes;
    return good;
}

/* Fits one member or element, with its name behind the place. */
static bool fits_below(const struct schema_node *n, struct json_value value, struct schema_fit *f, struct span name)
{
    size_t end = strlen(f->place);
    size_t room = SCHEMA_PLACE_BYTES - end;
    snprintf(f->place + end, room, "%s%.*s", end > 0 ? "." : "", (int)(name.bytes < 64 ? name.bytes : 64), name.at);
    bool good = schema_fit_node(n, value, f);
    f->place[end] = '\0';
    return good;
}

static bool fits_array(const struct schema_node *n, struct json_value value, struct schema_fit *f)
{
    struct json_iter iter = json_elements(value);
    struct json_value item;
    size_t count = json_count(value);
    if (count < n->items_min) return misfit(f, "has fewer values than allowed");
    if (count > n->items_max) return misfit(f, "has more values than allowed");
    for (size_t i = 0; json_next_element(&iter, &item); i++) {
        char name[24];
        const struct schema_node *rule = i < n->prefix.count ? n->prefix.nodes[i] : n->items;
        snprintf(name, sizeof name, "[%zu]", i);
        if (rule != NULL && !fits_below(rule, item, f, span_text(name))) return false;
    }
    if (n->contains != NULL) {
        uint64_t found = 0;
        for (iter = json_elements(value); json_next_element(&iter, &item);) found += quietly(n->contains, item, f) ? 1 : 0;
        if (found < n->contains_min || found > n->contains_max) return misfit(f, "holds too few or too many of the values asked for");
    }
    return !n->unique || fits_unique(value, f);
}

static bool has_member(struct json_value object, struct span raw_key)
{
    struct json_iter iter = json_members(object);
    struct json_member member;
    while (json_next_member(&iter, &member))
        if (json_key_equal(member.key, raw_key)) return true;
    return false;
}

static bool fits_member(const struct schema_node *n, const struct json_member *member, struct schema_fit *f)
{
    bool named = false;
    for (size_t i = 0; i < n->properties_count; i++) {
        if (!json_key_equal(n->properties[i].raw_key, member->key)) continue;
        named = true;
        if (!fits_below(n->properties[i].node, member->value, f, member->key)) return false;
    }
    for (size_t i = 0; i < n->matches_count; i++) {
        if (!pattern_find(n->matches[i].pattern, member->key)) continue;
        named = true;
        if (!fits_below(n->matches[i].node, member->value, f, member->key)) return false;
    }
    if (!named && n->additional != NULL && !fits_below(n->additional, member->value, f, member->key)) return false;
    if (n->names == NULL) return true;
    struct json_value name = {.type = JSON_STRING, .raw = span_of(member->key.at - 1, member->key.bytes + 2)};
    return fits_below(n->names, name, f, member->key);
}

static bool has_members(struct json_value object, struct json_value names, struct schema_fit *f)
{
    struct json_iter iter = json_elements(names);
    struct json_value name;
    while (json_next_element(&iter, &name)) {
        if (has_member(object, json_inside(name))) continue;
        return fits_below(&(struct schema_node){.nothing_fits = true}, name, f, json_inside(name));
    }
    return true;
}

static bool fits_dependents(const struct schema_node *n, struct json_value value, struct schema_fit *f)
{
    for (size_t i = 0; i < n->dependents_count; i++) {
        const struct schema_dependent *one = &n->dependents[i];
        if (!has_member(value, one->raw_key)) continue;
        if (one->node != NULL ? !schema_fit_node(one->node, value, f) : !has_members(value, one->required, f)) return false;
    }
    return true;
}

static bool fits_object(const struct schema_node *n, struct json_value value, struct schema_fit *f)
{
    struct json_iter iter = json_members(value);
    struct json_member member;
    size_t count = json_count(value);
    if (count < n->properties_min) return misfit(f, "has fewer members than allowed");
    if (count > n->properties_max) return misfit(f, "has more members than allowed");
    if (!has_members(value, n->required, f) || !fits_dependents(n, value, f)) return false;
    while (json_next_member(&iter, &member))
        if (!fits_member(n, &member, f)) return false;
    return true;
}

static bool fits_combined(const struct schema_node *n, struct json_value value, struct schema_fit *f)
{
    size_t fitting = 0;
    bool any = n->any.count == 0;
    for (size_t i = 0; i < n->all.count; i++)
        if (!schema_fit_node(n->all.nodes[i], value, f)) return false;
    for (size_t i = 0; !any && i < n->any.count; i++) any = quietly(n->any.nodes[i], value, f);
    if (!any) return misfit(f, "fits none of the schemas allowed");
    for (size_t i = 0; i < n->one.count; i++) fitting += quietly(n->one.nodes[i], value, f) ? 1 : 0;
    if (n->one.count > 0 && fitting != 1) return misfit(f, "does not fit exactly one of the schemas");
    if (n->negated != NULL && quietly(n->negated, value, f)) return misfit(f, "fits what it must not");
    if (n->cond != NULL) {
        const struct schema_node *rule = quietly(n->cond, value, f) ? n->then : n->otherwise;
        if (rule != NULL && !schema_fit_node(rule, value, f)) return false;
    }
    return n->ref == NULL || schema_fit_node(n->ref, value, f);
}

static const char *type_text(unsigned types)
{
    if (types == TYPE_STRING) return "must be a string";
    if (types == TYPE_INTEGER) return "must be an integer";
    if (types == TYPE_NUMBER) return "must be a number";
    if (types == TYPE_BOOLEAN) return "must be true or false";
    if (types == TYPE_ARRAY) return "must be an array";
    if (types == TYPE_OBJECT) return "must be an object";
    return "is of none of the types allowed";
}

static bool fits_here(const struct schema_node *n, struct json_value value, struct schema_fit *f)
{
    if (n->nothing_fits) return misfit(f, "is missing, or not allowed");
    if (n->types != 0 && (n->types & types_of(value)) == 0) return misfit(f, type_text(n->types));
    if (!fits_values(n, value, f)) return false;
    if (value.type == JSON_NUMBER && !fits_number(n, value.raw, f)) return false;
    if (value.type == JSON_STRING && !fits_string(n, value, f)) return false;
    if (value.type == JSON_ARRAY && !fits_array(n, value, f)) return false;
    if (value.type == JSON_OBJECT && !fits_object(n, value, f)) return false;
    return fits_combined(n, value, f);
}

bool schema_fit_node(const struct schema_node *n, struct json_value value, struct schema_fit *f)
{
    if (f->overrun || f->depth == SCHEMA_FIT_DEPTH_MAX || ++f->steps > SCHEMA_FIT_STEPS_MAX) {
        f->overrun = true;
        return false;
    }
    f->depth++;
    bool good = fits_here(n, value, f);
    f->depth--;
    return good;
}
