#include "core/access.h"

#include "core/name.h"

static enum role greater(enum role a, enum role b) { return a > b ? a : b; }

/* Is the space the user's by its name alone? In `members` namespaces only what stands below his name is. */
static bool is_own_name(const struct namespace *ns, const struct access_facts *facts)
{
    if (ns->access == NAMESPACE_GRANT) return false;
    return name_space_is_users(facts->space, facts->user, ns->access == NAMESPACE_OWNER);
}

bool access_is_named(const struct namespace *ns, struct span space)
{
    struct span rest = name_rest(space);
    if (ns->access == NAMESPACE_OWNER) return true;
    return ns->access == NAMESPACE_MEMBERS && rest.bytes > 0 && memchr(rest.at, ':', rest.bytes) != NULL;
}

enum role access_role(const struct namespace *ns, const struct access_facts *facts)
{
    enum role role = facts->granted;
    if (is_own_name(ns, facts)) role = ROLE_OWNER;
    if (ns->access == NAMESPACE_GRANT) return role;
    role = greater(role, facts->member);
    if (ns->access == NAMESPACE_MEMBERS && ns->has_room && facts->join_open) role = greater(role, ROLE_WRITER);
    return role;
}

bool access_may_found(const struct namespace *ns, const struct access_facts *facts)
{
    return ns->access == NAMESPACE_MEMBERS && !facts->founded && !access_is_named(ns, facts->space);
}

enum role access_role_of_member(struct json_value body)
{
    static const struct { const char *name; enum role role; } roles[] = {
        {"owner", ROLE_OWNER}, {"writer", ROLE_WRITER}, {"reader", ROLE_READER}};
    struct json_value role = json_find(body, "role");
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (json_string_is(role, roles[i].name)) return roles[i].role;
    return ROLE_NONE;
}

bool access_join_is_open(struct json_value body) { return json_string_is(json_find(body, "join"), "open"); }

enum role access_granted(struct json_value spaces, bool admin, struct span space)
{
    enum role role = admin ? ROLE_OWNER : ROLE_NONE;
    struct json_iter iter = json_members(spaces);
    struct json_member member;
    while (json_next_member(&iter, &member)) {
        char pattern[LIMIT_SPACE_BYTES_MAX];
        size_t bytes = json_decode(member.key, pattern, sizeof pattern);
        if (bytes > sizeof pattern || !name_pattern_covers(span_of(pattern, bytes), space)) continue;
        if (json_string_is(member.value, "rw")) role = greater(role, ROLE_WRITER);
        else if (json_string_is(member.value, "r")) role = greater(role, ROLE_READER);
    }
    return role;
}

const char *access_role_name(enum role role)
{
    static const char *const names[] = {"none", "reader", "writer", "owner"};
    return names[role];
}

enum role access_role_parse(struct span text)
{
    for (int role = ROLE_READER; role <= ROLE_OWNER; role++)
        if (span_is(text, access_role_name((enum role)role))) return (enum role)role;
    return ROLE_NONE;
}
