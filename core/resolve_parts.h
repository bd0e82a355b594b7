/* What the files of resolve.c share: one push on its way.
 *
 *     resolve.c        the push as a whole: its documents, its operations in turn, what it leaves behind
 *     resolve_edit.c   which edit is later; what lost
 *     resolve_whole.c  lww, append, manual: edits of the whole document
 *     resolve_merge.c  merge: put, patch, delete, field by field
 *     resolve_field.c  incr, add, remove, max
 *     resolve_body.c, resolve_set.c, resolve_tree.c   bodies, sets and their order while they are worked on
 *
 * Steps return ERR_OK, ERR_MEMORY (nothing is decided), or what resolve_reject() gave back (the push is rejected). */
#ifndef TIDEGATE_CORE_RESOLVE_PARTS_H
#define TIDEGATE_CORE_RESOLVE_PARTS_H

#include "core/limits.h"
#include "core/resolve.h"
#include "core/resolve_body.h"

/* A document in the working set. `doc->after` is what the operations so far left. */
struct resolve_work {
    struct resolve_doc *doc;
    bool exists;              /* a tombstone counts */
    struct resolve_body body; /* holds the body, and fields' stamps, once loaded */
};

struct resolve_case {
    const struct resolve_push *push;
    struct arena *arena;
    struct resolve_result *result;
    struct resolve_work *works; /* beside result->docs */
    size_t op_index;
    const struct op *op;
    size_t losers_room, losers_first; /* the ring of result->losers */
    bool lost;     /* an edit lost */
    bool conflict; /* an edit of a `manual` document was made on another base */
};

/* The edit that the operation at hand is. */
struct resolve_edit {
    struct stamp stamp;
    uint64_t base;
};

static inline bool resolve_work_is_live(const struct resolve_work *work)
{
    return work->exists && !work->doc->after.deleted;
}

/* resolve.c */
enum err resolve_reject(struct resolve_case *c, enum err code, const struct resolve_work *work, const char *what);
void resolve_change(struct resolve_case *c, struct resolve_work *work); /* the document is, and takes this push's rev */

/* resolve_edit.c */
struct resolve_edit resolve_edit_of(const struct resolve_push *push, const struct op *op);
bool resolve_edit_same_device(const struct resolve_edit *edit, const struct stamp *stamp);
bool resolve_edit_knows(const struct resolve_edit *edit, const struct stamp *stamp);
bool resolve_edit_is_later(const struct resolve_edit *edit, const struct stamp *stamp, enum order order);
struct stamp resolve_edit_judged(const struct resolve_work *work, const struct resolve_part *part);
void resolve_edit_fold(const struct resolve_edit *edit, const struct resolve_work *work, struct resolve_part *part);
/* Keeps what lost: `value` as stamped, of a field or (NULL) of the whole document. JSON_NONE counts as null. */
enum err resolve_edit_lost(struct resolve_case *c, const struct resolve_work *work, const struct span *field,
                           struct json_value value, const struct stamp *stamp);

/* resolve_whole.c */
enum err resolve_whole_lww(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit);
enum err resolve_whole_append(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit);
enum err resolve_whole_manual(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit);

/* resolve_merge.c, resolve_field.c */
enum err resolve_merge_revive(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit);
enum err resolve_merge(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit);
enum err resolve_field(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit);

#endif
