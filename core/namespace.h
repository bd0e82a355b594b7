/* A namespace: who may read and write its spaces, which collections they hold, under which policy and schema.
 *
 * FORMAT  the JSON of the protocol's "Namespaces". Unknown members are an error that names them (an app's typo must not
 * pass in silence). The collection `members` is built in wherever `access` is `members` or `owner`
 * (policy lww, order arrival, write owner, schema: role owner|writer|reader required) and may not be declared. */
#ifndef TIDEGATE_CORE_NAMESPACE_H
#define TIDEGATE_CORE_NAMESPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/limits.h"
#include "core/schema.h"
#include "core/span.h"

enum namespace_access { NAMESPACE_OWNER, NAMESPACE_MEMBERS, NAMESPACE_GRANT };
enum policy { POLICY_LWW, POLICY_MERGE, POLICY_APPEND, POLICY_MANUAL };
enum order { ORDER_EDITED, ORDER_ARRIVAL };
enum write_rule { WRITE_WRITER, WRITE_OWNER, WRITE_SELF };

struct collection {
    char name[LIMIT_COLLECTION_BYTES_MAX + 1];
    enum policy policy;
    enum order order;
    enum write_rule write;
    struct schema *schema; /* NULL: everything fits */
};

struct namespace {
    char name[LIMIT_SPACE_BYTES_MAX + 1];
    uint64_t version;
    enum namespace_access access;
    int64_t window_ms;
    bool presence;
    bool has_room; /* declares a collection `room`: room/settings.join counts */
    size_t collections_count;
    struct collection collections[LIMIT_COLLECTIONS_MAX + 1]; /* the built-in `members` is the last, where there is one */
};

/* Compiles a namespace's text. ret_why (caller's buffer) says what to mend. */
enum err namespace_compile(struct span text, struct namespace **ret_namespace, char *ret_why, size_t why_bytes);
void namespace_free(struct namespace *ns);
const struct collection *namespace_collection(const struct namespace *ns, struct span name); /* NULL: none such */

/* Those in force, by name. Compiled namespaces are owned by the set. */
struct namespace_set {
    size_t count;
    struct namespace *items[LIMIT_NAMESPACES_MAX];
};
const struct namespace *namespace_find(const struct namespace_set *set, struct span name);
/* Puts `ns` in the place of the one of its name. ERR_TOO_MANY past the bound (ns stays the caller's). */
enum err namespace_set_put(struct namespace_set *set, struct namespace *ns);
void namespace_set_fini(struct namespace_set *set);

#endif
