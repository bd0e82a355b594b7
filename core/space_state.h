/* What the owner knows of a space as a whole.
 *
 * FORMAT of the stored value (version 1, little-endian): u8 version, u64 sid, u64 head, u64 horizon, u64 owners,
 * u64 loser_first, u64 loser_next, u8+bytes founder, u8 count of sums, each: u8+bytes collection, u64 sum, u64 live.
 * INVARIANTS
 * 1. `head` is the rev of the last push that changed a document here; 0: none did. It never goes back.
 * 2. `horizon` is the greatest rev of a tombstone that was swept: a cursor below it cannot be continued.
 * 3. A sum is the exclusive or of hash_document() over the collection's live documents, `live` their number. */
#ifndef TIDEGATE_CORE_SPACE_STATE_H
#define TIDEGATE_CORE_SPACE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/limits.h"
#include "core/state.h"

struct space_sum {
    char collection[LIMIT_COLLECTION_BYTES_MAX + 1];
    uint64_t sum;
    uint64_t live;
};

struct space_state {
    uint64_t sid;      /* 0: nothing is known of this space */
    uint64_t head;
    uint64_t horizon;
    uint64_t owners;   /* live `members` documents whose role is owner */
    uint64_t loser_first, loser_next; /* sequence numbers of the kept losers */
    struct span founder; /* into the stored bytes; "" where a name owns the space, or nobody does */
    uint32_t sums_count;
    struct space_sum sums[LIMIT_COLLECTIONS_MAX + 1];
};

/* Reads a space's state; ret_state->sid == 0 where there is none. ERR_CORRUPT, or the reader's failure. */
enum err space_state_read(const struct state_reader *reader, struct span space, struct space_state *ret_state);
enum err space_state_decode(struct span stored, struct space_state *ret_state);
void space_state_encode(const struct space_state *state, struct buf *buf);
/* Takes one live document's part in or out (it is its own inverse); `live` moves by `step` (+1, 0, -1). */
void space_state_sum(struct space_state *state, struct span collection, uint64_t part, int step);
/* {"messages":"0123456789abcdef",..}: collections that have live documents. */
void space_state_render_sums(const struct space_state *state, struct buf *buf);

#endif
