/* Names of the wire: which texts are spaces, collections, ids, users, devices. All take decoded text. */
#ifndef TIDEGATE_CORE_NAME_H
#define TIDEGATE_CORE_NAME_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/span.h"

bool name_is_space(struct span text);
bool name_is_collection(struct span text);
bool name_is_id(struct span text);     /* 1 to 128 bytes of UTF-8 without control characters (C0, DEL, C1) */
bool name_is_user(struct span text);   /* 1 to 128 bytes of UTF-8 without control characters */
bool name_is_device(struct span text);
struct span name_namespace(struct span space); /* what stands before the first ':' */
struct span name_rest(struct span space);      /* what stands after it */
/* {sub} as it stands in a space's name: bytes outside [A-Za-z0-9._@-] as ~XX. */
void name_escape_user(struct buf *buf, struct span user);
/* Is `space` `ns:{user}` (exact) or `ns:{user}:...` (below)? */
bool name_space_is_users(struct span space, struct span user, bool allow_exact);
/* Does a token's grant pattern (`chat:lobby`, `chat:*`, `*`) cover the space? `*` only at the end. */
bool name_pattern_covers(struct span pattern, struct span space);
bool name_is_pattern(struct span text);

#endif
