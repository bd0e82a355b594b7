#include "core/namespace.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/name.h"

static const char MEMBERS_SCHEMA[] =
    "{\"type\":\"object\",\"required\":[\"role\"],\"properties\":{\"role\":{\"enum\":[\"owner\",\"writer\",\"reader\"]}}}";

struct compiling {
    char *why;
    size_t why_bytes;
};

static enum err refuse(const struct compiling *c, struct span where, const char *what)
{
    snprintf(c->why, c->why_bytes, "%.*s: %s", (int)(where.bytes < 64 ? where.bytes : 64), where.at, what);
    return ERR_INVALID;
}

/* One of the texts of `choices` ("a|b|c"): its position; -1 for anything else. */
static int choice_of(struct json_value value, const char *choices)
{
    for (int i = 0; *choices != '\0'; i++) {
        size_t bytes = strcspn(choices, "|");
        if (value.type == JSON_STRING && span_equal(json_inside(value), span_of(choices, bytes))) return i;
        choices += bytes + (choices[bytes] == '|' ? 1 : 0);
    }
    return -1;
}

/* "90d" and the like: s, m, h, d. At most 100 years. */
static bool parse_window(struct json_value value, int64_t *ret_ms)
{
    struct span text = json_inside(value);
    int64_t count = 0, unit;
    if (text.bytes < 2 || text.bytes > 10) return false;
    for (size_t i = 0; i + 1 < text.bytes; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        count = count * 10 + (text.at[i] - '0');
    }
    switch (text.at[text.bytes - 1]) {
    case 's': unit = 1000; break;
    case 'm': unit = 60000; break;
    case 'h': unit = 3600000; break;
    case 'd': unit = 86400000; break;
    default: return false;
    }
    if (count == 0 || count > INT64_C(3155760000000) / unit) return false;
    *ret_ms = count * unit;
    return true;
}

static enum err set_collection_member(const struct compiling *c, struct collection *collection, const struct json_member *m)
{
    int choice;
    if (json_key_is(m->key, "policy")) {
        choice = choice_of(m->value, "lww|merge|append|manual");
        collection->policy = (enum policy)choice;
        return choice >= 0 ? ERR_OK : refuse(c, m->key, "must be lww, merge, append or manual");
    }
    if (json_key_is(m->key, "order")) {
        choice = choice_of(m->value, "edited|arrival");
        collection->order = (enum order)choice;
        return choice >= 0 ? ERR_OK : refuse(c, m->key, "must be edited or arrival");
    }
    if (json_key_is(m->key, "write")) {
        choice = choice_of(m->value, "writer|owner|self");
        collection->write = (enum write_rule)choice;
        return choice >= 0 ? ERR_OK : refuse(c, m->key, "must be writer, owner or self");
    }
    if (json_key_is(m->key, "schema")) return schema_compile(m->value.raw, &collection->schema, c->why, c->why_bytes);
    return refuse(c, m->key, "no such member of a collection");
}

static enum err add_collection(const struct compiling *c, struct namespace *ns, struct span name, struct json_value value)
{
    struct json_iter iter = json_members(value);
    struct json_member member;
    if (!name_is_collection(name)) return refuse(c, name, "is not a collection's name");
    if (span_is(name, "members")) return refuse(c, name, "is built in and may not be declared");
    if (ns->collections_count == LIMIT_COLLECTIONS_MAX) return refuse(c, name, "is one collection too many");
    if (value.type != JSON_OBJECT || json_find(value, "policy").type == JSON_NONE) return refuse(c, name, "must be an object with a policy");
    if (json_has_repeated_key(value)) return refuse(c, name, "names a member twice");
    struct collection *collection = &ns->collections[ns->collections_count++];
    memcpy(collection->name, name.at, name.bytes);
    while (json_next_member(&iter, &member)) {
        enum err err = set_collection_member(c, collection, &member);
        if (err != ERR_OK) return err;
    }
    if (span_is(name, "room")) ns->has_room = true;
    return ERR_OK;
}

static enum err set_collections(const struct compiling *c, struct namespace *ns, const struct json_member *m)
{
    struct json_iter iter = json_members(m->value);
    struct json_member member;
    if (m->value.type != JSON_OBJECT || json_count(m->value) == 0) return refuse(c, m->key, "must name at least one collection");
    if (json_has_repeated_key(m->value)) return refuse(c, m->key, "names a collection twice");
    while (json_next_member(&iter, &member)) {
        enum err err = add_collection(c, ns, member.key, member.value);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

/* A namespace's own name: what may stand before a space's first ':'. */
static bool is_namespace_name(struct span text)
{
    char space[LIMIT_SPACE_BYTES_MAX + 1];
    if (text.bytes == 0 || text.bytes > LIMIT_COLLECTION_BYTES_MAX) return false;
    int bytes = snprintf(space, sizeof space, "%.*s:x", (int)text.bytes, text.at);
    return bytes > 0 && name_is_space(span_of(space, (size_t)bytes)) && memchr(text.at, ':', text.bytes) == NULL;
}

static enum err set_member(const struct compiling *c, struct namespace *ns, const struct json_member *m)
{
    int64_t version;
    int choice;
    if (json_key_is(m->key, "namespace")) {
        struct span name = json_inside(m->value);
        if (!is_namespace_name(name)) return refuse(c, m->key, "must be a name of [a-z][a-z0-9_-]*, at most 32 bytes");
        memcpy(ns->name, name.at, name.bytes);
        return ERR_OK;
    }
    if (json_key_is(m->key, "version")) {
        if (!json_integer(m->value, &version) || version < 1) return refuse(c, m->key, "must be an integer from 1");
        ns->version = (uint64_t)version;
        return ERR_OK;
    }
    if (json_key_is(m->key, "access")) {
        choice = choice_of(m->value, "owner|members|grant");
        ns->access = (enum namespace_access)choice;
        return choice >= 0 ? ERR_OK : refuse(c, m->key, "must be owner, members or grant");
    }
    if (json_key_is(m->key, "window"))
        return parse_window(m->value, &ns->window_ms) ? ERR_OK : refuse(c, m->key, "must be a time like \"90d\" (s, m, h, d)");
    if (json_key_is(m->key, "presence")) {
        ns->presence = m->value.type == JSON_TRUE;
        return ns->presence || m->value.type == JSON_FALSE ? ERR_OK : refuse(c, m->key, "must be true or false");
    }
    if (json_key_is(m->key, "collections")) return set_collections(c, ns, m);
    if (json_key_is(m->key, "$schema") || json_key_is(m->key, "description")) return ERR_OK;
    return refuse(c, m->key, "no such member of a namespace");
}

static enum err add_members(struct namespace *ns, const struct compiling *c)
{
    if (ns->access == NAMESPACE_GRANT) return ERR_OK;
    struct collection *members = &ns->collections[ns->collections_count++];
    *members = (struct collection){.name = "members", .policy = POLICY_LWW, .order = ORDER_ARRIVAL, .write = WRITE_OWNER};
    return schema_compile(span_text(MEMBERS_SCHEMA), &members->schema, c->why, c->why_bytes);
}

static enum err compile(const struct compiling *c, struct json_value object, struct namespace *ns)
{
    static const char *const needed[] = {"namespace", "version", "access", "collections"};
    struct json_iter iter = json_members(object);
    struct json_member member;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (json_find(object, needed[i]).type == JSON_NONE) return refuse(c, span_text(needed[i]), "is missing");
    if (json_has_repeated_key(object)) return refuse(c, SPAN_LITERAL("namespace"), "names a member twice");
    while (json_next_member(&iter, &member)) {
        enum err err = set_member(c, ns, &member);
        if (err != ERR_OK) return err;
    }
    return add_members(ns, c);
}

enum err namespace_compile(struct span text, struct namespace **ret_namespace, char *ret_why, size_t why_bytes)
{
    const struct compiling c = {.why = ret_why, .why_bytes = why_bytes};
    struct json_value object;
    if (text.bytes > LIMIT_NAMESPACE_BYTES_MAX) return refuse(&c, SPAN_LITERAL("namespace"), "is longer than 64 KiB");
    if (!json_check(text, &object, NULL) || object.type != JSON_OBJECT) return refuse(&c, SPAN_LITERAL("namespace"), "is not a JSON object");
    struct namespace *ns = calloc(1, sizeof *ns);
    if (ns == NULL) return ERR_MEMORY;
    ns->window_ms = INT64_C(90) * 86400000;
    enum err err = compile(&c, object, ns);
    if (err != ERR_OK) {
        namespace_free(ns);
        return err;
    }
    *ret_namespace = ns;
    return ERR_OK;
}

void namespace_free(struct namespace *ns)
{
    if (ns == NULL) return;
    for (size_t i = 0; i < ns->collections_count; i++) schema_free(ns->collections[i].schema);
    free(ns);
}

const struct collection *namespace_collection(const struct namespace *ns, struct span name)
{
    for (size_t i = 0; i < ns->collections_count; i++)
        if (span_is(name, ns->collections[i].name)) return &ns->collections[i];
    return NULL;
}

const struct namespace *namespace_find(const struct namespace_set *set, struct span name)
{
    for (size_t i = 0; i < set->count; i++)
        if (span_is(name, set->items[i]->name)) return set->items[i];
    return NULL;
}

enum err namespace_set_put(struct namespace_set *set, struct namespace *ns)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->items[i]->name, ns->name) != 0) continue;
        namespace_free(set->items[i]);
        set->items[i] = ns;
        return ERR_OK;
    }
    if (set->count == LIMIT_NAMESPACES_MAX) return ERR_TOO_MANY;
    set->items[set->count++] = ns;
    return ERR_OK;
}

void namespace_set_fini(struct namespace_set *set)
{
    for (size_t i = 0; i < set->count; i++) namespace_free(set->items[i]);
    set->count = 0;
}
