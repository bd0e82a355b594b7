/* The owner's state as sorted arrays in memory: what tests and the simulator drive the owner with. */
#ifndef TIDEGATE_TESTS_MAP_STATE_H
#define TIDEGATE_TESTS_MAP_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "core/state.h"

struct map_entry {
    struct span key, value; /* owned */
};
struct map_table {
    size_t count, room;
    struct map_entry *entries; /* by key */
};
struct map_state {
    struct map_table tables[STATE_TABLES];
};

void map_state_fini(struct map_state *state);
struct state_reader map_state_reader(struct map_state *state);
void map_state_apply(struct map_state *state, const struct state_write *writes, size_t count);
void map_state_copy(const struct map_state *from, struct map_state *ret_to); /* ret_to zeroed */
/* Same tables, same keys, same bytes? */
bool map_state_equal(const struct map_state *a, const struct map_state *b);

#endif
