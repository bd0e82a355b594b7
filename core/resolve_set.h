/* A field's set while a push works on it: an array's values, each once, in order of insertion. */
#ifndef TIDEGATE_CORE_RESOLVE_SET_H
#define TIDEGATE_CORE_RESOLVE_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arena.h"
#include "core/err.h"
#include "core/json.h"

struct resolve_set;

/* From an array's text, or from nothing (JSON_NONE). ERR_TOO_LARGE: more values than a set may hold. ERR_MEMORY. */
enum err resolve_set_make(struct arena *arena, struct json_value array, struct resolve_set **ret_set);
/* Adds those of `values` that are not in. ERR_TOO_LARGE past LIMIT_SET_VALUES_MAX; then the set is spoilt. */
enum err resolve_set_add(struct resolve_set *set, struct json_value values, bool *ret_changed);
enum err resolve_set_remove(struct resolve_set *set, struct json_value values, bool *ret_changed);
size_t resolve_set_bytes(const struct resolve_set *set);               /* of its text */
enum err resolve_set_text(struct resolve_set *set, struct span *ret_text); /* "[..]" in the arena; ERR_MEMORY */

#endif
