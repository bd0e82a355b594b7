/* The journal's records: the newest state of what an owner wrote, as topics carry it, and back again to the same bytes.
 *
 * FORMAT  `updates`, for everybody: key SPACE/COLLECTION/ID; value the document as frames carry it, with `born` where it belongs to an
 *         `append` collection, {"deleted":true..} until it is swept, then none.
 *         `state`, for a restore alone:
 *             space/SPACE                 space_state.h                device/SPACE/USER/DEVICE     device_entry.h
 *             loser/SPACE/SEQUENCE        the conflict's JSON          namespace/NAME               its text
 *             partition                   {"v":1,"next","clock","record","first","last","count","batch","hash"}: how far the batch came
 *                 from and went in the log, XXH64 of the record before `next`, and what its records with values come to
 *         `mark`, a header of each but the last: u8 version = 1, u64 batch, u64 sid (little-endian; 0 for a namespace); for a document
 *         with a value then its stored bytes up to the body's length (doc.h: revs, times, authors, stamps).
 *         No record of BYREV, BORN or DUE: they follow from the documents and entries.
 * INVARIANTS
 * 1. Decoding what was encoded gives the very key and bytes that were stored.
 * 2. A batch is whole if the records that bear its number and have a value are `count`, and their hashes sum to `hash`. */
#ifndef TIDEGATE_CORE_JOURNAL_RECORD_H
#define TIDEGATE_CORE_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/state.h"
#include "core/state_key.h"

enum journal_topic { JOURNAL_UPDATES, JOURNAL_STATE };

/* One record as it is written. Spans live until the next one is made. */
struct journal_record {
    enum journal_topic topic;
    struct span key, value, mark;
    bool has_value;
    /* of a document, for those who describe it */
    struct span space, collection, id;
    uint64_t rev;       /* 0: it is swept */
    int64_t time_ms;
    bool deleted;
};

/* What a batch comes to. */
struct journal_trailer {
    uint64_t first, next;   /* the log's records that it came from: [first, next) */
    int64_t clock_ms;
    uint64_t last_hash;
    uint64_t batch;
    uint64_t count, hash;
};

/* Emits a record for each write that has one, and fills count, hash and clock_ms of *trailer, whose other members are the caller's.
 * ERR_CORRUPT: a write that does not read back, or belongs to a space that is not among them; ERR_MEMORY; or emit's failure. */
enum err journal_record_encode(const struct state_write *writes, size_t count, struct journal_trailer *trailer, void *ctx,
                               enum err (*emit)(void *ctx, const struct journal_record *record));
void journal_record_encode_trailer(const struct journal_trailer *trailer, struct buf *buf);

/* One record as it is read: what it says of state. At most three writes: a document, its entry in BYREV, its entry in BORN. */
struct journal_entry {
    bool is_trailer;
    struct journal_trailer trailer;
    uint64_t batch, hash;   /* hash 0 and has_value false: not counted */
    bool has_value;
    size_t writes_count;
    struct state_write writes[3]; /* keys and values in the arena */
};
/* ERR_CORRUPT, ERR_VERSION, ERR_MEMORY. Spans in the arena or in what was given. */
enum err journal_record_decode(enum journal_topic topic, struct span key, struct span value, bool has_value, struct span mark,
                               struct arena *arena, struct journal_entry *ret_entry);
/* META's entry of the partition, as the owner writes it. */
void journal_record_partition(const struct journal_trailer *trailer, struct buf *buf);

#endif
