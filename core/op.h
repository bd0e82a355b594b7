/* The operations of a push, decoded from raw JSON; their digest.
 *
 * Decoded text (collection, id, field) is placed in the arena; bodies and values stay raw spans of the caller's bytes. */
#ifndef TIDEGATE_CORE_OP_H
#define TIDEGATE_CORE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/json.h"

enum op_kind { OP_PUT, OP_PATCH, OP_DELETE, OP_APPEND, OP_INCR, OP_ADD, OP_REMOVE, OP_MAX };
enum op_if { OP_IF_NONE, OP_IF_ABSENT, OP_IF_REV };

struct op {
    enum op_kind kind;
    enum op_if condition;
    uint64_t if_rev;
    bool has_base;
    uint64_t base;
    bool age_unknown;         /* `age`: null */
    int64_t age_ms;           /* at least 0 */
    struct span collection;   /* decoded */
    struct span id;           /* decoded */
    struct json_value body;   /* put, patch, append: an object */
    struct span field;        /* incr, add, remove, max: decoded */
    struct span field_raw;    /* as it stood, without quotes */
    int64_t by;
    bool has_min, has_max;
    int64_t min, max;
    struct json_value values; /* add, remove: an array */
    struct json_value value;  /* max: a number */
};

/* Decodes `ops` (a checked JSON array). ERR_OK; ERR_INVALID with ret_why naming the member ("ops[2].by: ..."),
 * ERR_TOO_LARGE past LIMIT_OPS_MAX; ERR_MEMORY. Bodies' repeated top-level keys and sizes are judged here too
 * (ERR_INVALID, ERR_TOO_LARGE); what needs the namespace is resolve.h's. */
enum err op_decode_all(struct json_value ops, struct arena *arena, struct op **ret_ops, size_t *ret_count,
                       char *ret_why, size_t why_bytes);
/* Same digest <=> the same push: decoded members, raw values; `if` in, `age` and `base` out; unknown members out.
 * Works on malformed operations as well (what cannot be decoded counts as its raw bytes). ERR_MEMORY. */
enum err op_digest(struct json_value ops, struct hash_digest *ret_digest);
const char *op_name(enum op_kind kind);

#endif
