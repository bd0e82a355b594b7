/* The owner's state as an ordered map: what the step and the pages read, and what the step writes.
 *
 * TABLES and their keys (integers big-endian, so that bytes order as numbers do; `sid` is the rev of the record that
 * made the space's state, a u64 that stands for its name; texts decoded; 0x00 never occurs in a name):
 *   SPACE   name                                   -> space_state (space_state.h)
 *   DOC     sid, collection, 0, id                 -> doc (doc.h)
 *   BYREV   sid, rev, collection, 0, id            -> "" : one entry a document, at its newest rev, tombstones too
 *   BORN    sid, collection, 0, born, id           -> "" : live documents of `append` collections
 *   DEVICE  sid, user, 0, device                   -> device_entry (device_entry.h)
 *   LOSER   sid, sequence                          -> the JSON of one conflict, as the HTTP call lists it
 *   DUE     due_ms, kind byte ('t','d'), then the key in DOC or DEVICE -> the space's name: when it may be swept
 *   META    "partition"                            -> next offset, clock; "ns:" name -> a namespace's text
 * INVARIANT 1: a step's writes are applied all at once or not at all. */
#ifndef TIDEGATE_CORE_STATE_H
#define TIDEGATE_CORE_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/span.h"

enum state_table {
    STATE_SPACE, STATE_DOC, STATE_BYREV, STATE_BORN, STATE_DEVICE, STATE_LOSER, STATE_DUE, STATE_META, STATE_TABLES
};

/* How state is read. All spans handed out stay valid until whoever provides the reader says the step (or page) is over. */
struct state_reader {
    void *ctx;
    /* ret_value->at NULL where there is none. */
    enum err (*get)(void *ctx, enum state_table table, struct span key, struct span *ret_value);
    /* The first entry whose key is >= `key` (or, when `down`, the last whose key is < `key`); ret_key->at NULL at the
     * end. The caller looks at the key to see whether it is still in its range. */
    enum err (*seek)(void *ctx, enum state_table table, struct span key, bool down, struct span *ret_key,
                     struct span *ret_value);
};

struct state_write {
    enum state_table table;
    bool remove;
    struct span key;
    struct span value;
    struct span space_key; /* sid (8 bytes) that the entry belongs to, empty for META and DUE: what a page's patch is made of */
};

#endif
