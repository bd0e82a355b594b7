/* Random writes to an owner's state, kept in a model beside what is tested: few spaces and keys, so that they meet often. */
#ifndef TIDEGATE_TESTS_SUPPORT_SCRIBE_H
#define TIDEGATE_TESTS_SUPPORT_SCRIBE_H

#include <stdint.h>

#include "tests/support/map_state.h"

enum { SCRIBE_SPACES = 3, SCRIBE_WRITES_MAX = 12 };

struct scribe {
    uint64_t seed;
    uint64_t next_offset;
    struct map_state model;
    size_t count;
    struct state_write writes[SCRIBE_WRITES_MAX];
    char keys[SCRIBE_WRITES_MAX][64];
    char values[SCRIBE_WRITES_MAX][64];
};

void scribe_step(struct scribe *scribe); /* fills in writes, applies them to the model, counts the offset up */
void scribe_fini(struct scribe *scribe);
const char *scribe_space(unsigned i);    /* its sid is i + 1 */
/* Every get and seek, both ways, gives in `reader` what it gives in `model`: of one space's sid (0: of everything). */
void scribe_compare(const struct state_reader *reader, struct map_state *model, uint64_t sid);

#endif
