/* Who may do what in a space: name, token's grant and `members` documents, taken together. Pure. */
#ifndef TIDEGATE_CORE_ACCESS_H
#define TIDEGATE_CORE_ACCESS_H

#include <stdbool.h>

#include "core/json.h"
#include "core/namespace.h"
#include "core/span.h"

/* Greater is more. */
enum role { ROLE_NONE, ROLE_READER, ROLE_WRITER, ROLE_OWNER };

/* What is known of one user in one space when access is judged. */
struct access_facts {
    struct span space;
    struct span user;
    enum role granted;       /* what the token grants here: r, rw, admin; ROLE_NONE otherwise */
    enum role member;        /* the user's live `members` document's role, ROLE_NONE without one */
    bool join_open;          /* room/settings is live and its join is "open" */
    bool founded;            /* somebody's push has changed something here */
};

enum role access_role(const struct namespace *ns, const struct access_facts *facts);
/* May this user bring the space into being by a first push? (members namespaces, a name that is nobody's, not founded) */
bool access_may_found(const struct namespace *ns, const struct access_facts *facts);
/* `ns:{sub}:...` in a members namespace, or any space of an owner namespace, belongs to a name, not to a founder. */
bool access_is_named(const struct namespace *ns, struct span space);
enum role access_role_of_member(struct json_value body); /* a `members` body's role */
bool access_join_is_open(struct json_value body);        /* a `room/settings` body's join */
/* The grant of a token's `spaces` object (raw JSON, checked) and `admin` for a space. */
enum role access_granted(struct json_value spaces, bool admin, struct span space);
const char *access_role_name(enum role role);            /* "none" "reader" "writer" "owner" */
enum role access_role_parse(struct span text);           /* ROLE_NONE for anything else */

#endif
