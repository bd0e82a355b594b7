/* Pushes made by chance: few devices, few documents, few fields, so that they meet; every operation, and what is odd
 * about them: ages that lie, bases of all kinds, conditions, members that do not fit. */
#ifndef TIDEGATE_TESTS_PUSHES_H
#define TIDEGATE_TESTS_PUSHES_H

#include "core/buf.h"
#include "tests/support/chance.h"
#include "tests/support/shelf.h"

/* The namespace that they are for. */
extern const char *const pushes_namespace;

/* Collections to draw from: a NULL-ended list, of pushes_namespace's. */
struct pushes {
    struct chance chance;
    const char *const *collections;
};

/* The next push to the shelf as it is now. `ret_push->ops` is in `ops`, which is reset, and ends in a NUL. */
void pushes_next(struct pushes *pushes, const struct shelf *shelf, struct buf *ops, struct shelf_push *ret_push);

#endif
