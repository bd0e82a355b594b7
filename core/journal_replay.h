/* A journal read back, record by record: what its topics hold becomes an owner's state again, or it is said why that is not whole.
 *
 * ORDER  all of `state`, then all of `updates`, each as it was written; of a key the last record counts. The last batch's number is known by
 *        then, before the documents that it counts.
 * INVARIANTS
 * 1. Only a journal that ends with a trailer, whose batch has as many records with values as it says, and their very bytes, is whole.
 * BOUNDS  JOURNAL_REPLAY_WRITES writes, or JOURNAL_REPLAY_BYTES of them, are put at once. */
#ifndef TIDEGATE_CORE_JOURNAL_REPLAY_H
#define TIDEGATE_CORE_JOURNAL_REPLAY_H

#include "core/journal_record.h"

enum { JOURNAL_REPLAY_WRITES = 1000, JOURNAL_REPLAY_BYTES = 16777216 };

struct journal_replay {
    enum journal_topic topic;
    struct arena arena;
    size_t count;
    struct state_write writes[JOURNAL_REPLAY_WRITES + 4];
    bool any, has_trailer;
    struct journal_trailer trailer;
    uint64_t batch, batch_count, batch_hash; /* of the last one seen in `state`; then of the trailer's, in both topics */
    void *ctx;
    enum err (*put)(void *ctx, const struct state_write *writes, size_t count);
};

void journal_replay_init(struct journal_replay *replay, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count));
void journal_replay_fini(struct journal_replay *replay);
/* Of `state` until journal_replay_turn(), of `updates` behind it. ERR_CORRUPT, ERR_VERSION, ERR_MEMORY, or put's failure. */
enum err journal_replay_take(struct journal_replay *replay, struct span key, struct span value, bool has_value, struct span mark);
enum err journal_replay_turn(struct journal_replay *replay, char *ret_why, size_t why_bytes);
/* ERR_UNKNOWN: there was nothing. ERR_CORRUPT: it is not whole, and ret_why says in what. */
enum err journal_replay_end(struct journal_replay *replay, struct journal_trailer *ret_trailer, char *ret_why, size_t why_bytes);

#endif
