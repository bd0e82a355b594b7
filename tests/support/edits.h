/* Edits of one document, `x`, written short: what the tests of the policy merge are told in.
 *
 *     put {..} · patch {..} · delete · incr n 5 · add f [..] · remove f [..] · max f 5
 * each with `@age` and `^base` before it; several of one push divided by ` ; `. */
#ifndef TIDEGATE_TESTS_EDITS_H
#define TIDEGATE_TESTS_EDITS_H

#include "tests/support/shelf.h"

/* `who` is "user/device". */
enum resolve_status edits_push(struct shelf *shelf, const char *collection, const char *who, const char *edits);

#endif
