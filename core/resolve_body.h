/* A document's body while a push works on it: its top-level members, by name and in order, with their edit times.
 *
 * INVARIANTS
 * 1. The text stays what it was until a member's value changes, comes or goes (`touched`); only then is it written
 *    anew: members in the order they had, each with the bytes of its name and value, new ones at the end, no white space.
 * 2. Names are compared decoded, written as they stood. */
#ifndef TIDEGATE_CORE_RESOLVE_BODY_H
#define TIDEGATE_CORE_RESOLVE_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/doc.h"
#include "core/err.h"
#include "core/json.h"
#include "core/resolve_set.h"
#include "core/resolve_tree.h"

/* A field: of the body now, or only of its past (its removal's edit time is kept). */
struct resolve_part {
    struct resolve_tree_node node; /* the first member: a node is its part */
    struct span name;              /* decoded */
    struct span key;               /* as it stands, or shall, in the text: raw, without quotes */
    struct json_value value;       /* JSON_NONE: the body has no such field */
    struct resolve_set *set;       /* the value, once it has been worked on as a set */
    bool set_ahead;                /* and it has changed since `value` was its text */
    uint64_t place;                /* grows along the body */
    bool own;                      /* has an edit time of its own; otherwise the whole document's holds */
    struct stamp stamp;
    uint64_t known_rev;            /* the base that knows this value; see resolve_edit_fold() */
    /* What the operation at hand says of it. */
    uint64_t said_mark;            /* whether it names the field: equal to resolve_body.mark */
    struct json_value said;        /* JSON_NONE: that it shall not be there */
    struct span said_key;
    uint64_t said_place;
    bool wins;
};

struct resolve_body {
    struct arena *arena;
    struct resolve_tree tree;
    struct resolve_part **parts; /* in order of arrival: the body's, removed ones by name, then what operations bring */
    size_t parts_count, parts_room;
    size_t count;                /* fields the body has */
    uint64_t places;
    uint64_t mark;
    bool loaded;
    bool touched;
};

/* Reads doc's fields, unless they have been read already. ERR_TOO_LARGE (past LIMIT_PUSH_FIELDS_MAX), ERR_MEMORY. */
enum err resolve_body_load(struct resolve_body *body, struct arena *arena, const struct doc *doc);
/* The part of that name; made, if there is none. ERR_TOO_LARGE past LIMIT_PUSH_FIELDS_MAX, ERR_MEMORY. */
enum err resolve_body_part(struct resolve_body *body, struct span name, struct span key, struct resolve_part **ret_part);
/* Begins an operation: nothing is said. Then says each member of `members` of the body. Errors as above. */
void resolve_body_listen(struct resolve_body *body);
enum err resolve_body_say(struct resolve_body *body, struct json_value members);
static inline bool resolve_body_names(const struct resolve_body *body, const struct resolve_part *part)
{
    return part->said_mark == body->mark;
}
/* Where a field that the body lacks shall come when it is given a value: at the end, under `key`. */
void resolve_body_place(struct resolve_body *body, struct resolve_part *part, struct span key);
/* Is the field's value, byte for byte, that one (JSON_NONE: not there)? ERR_MEMORY. */
enum err resolve_body_is(struct resolve_part *part, struct json_value value, bool *ret_is);
/* Gives a field what was said of it. */
void resolve_body_take(struct resolve_body *body, struct resolve_part *part);
void resolve_body_set(struct resolve_body *body, struct resolve_part *part, struct json_value value);
void resolve_body_set_changed(struct resolve_body *body, struct resolve_part *part); /* its set has */
/* The body is the text that was said, no more and no less. */
void resolve_body_is_said(struct resolve_body *body);
/* The field's array as a set: read once, then kept. ERR_TOO_LARGE, ERR_MEMORY. */
enum err resolve_body_as_set(struct resolve_body *body, struct resolve_part *part, struct resolve_set **ret_set);
/* The field's value as text, written if need be. ERR_MEMORY. */
enum err resolve_body_value(struct resolve_part *part, struct json_value *ret_value);
size_t resolve_body_bytes(const struct resolve_body *body); /* of the text to come */
enum err resolve_body_text(struct resolve_body *body, struct span *ret_text); /* ERR_MEMORY */
/* The edit times that fields have of their own, by name; at most LIMIT_FIELD_STAMPS_MAX. ERR_MEMORY. */
enum err resolve_body_stamps(struct resolve_body *body, struct field_stamp **ret_stamps, size_t *ret_count);

#endif
