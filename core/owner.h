/* The owner of a partition: a deterministic function of the partition's records, in order, and of nothing else.
 *
 * owner_step() takes one record with its offset and the log's time, reads state through a state_reader, and returns
 * what is to be written (all at once) and what is to be sent. It keeps nothing that is not derived from state:
 * owner_open() loads it (namespaces in force, clock, next offset) from META.
 *
 * INVARIANTS
 * 1. The same records from the same state give the same writes and messages, byte for byte.
 * 2. A rev is the record's offset + 1.
 * 3. Whether a tombstone or a device entry exists is decided by the partition's clock (the greatest record time so far)
 *    and the namespace's window when it is looked up; owner_sweep() only frees what is hidden already.
 * 4. A repeat changes nothing and is answered with its first outcome.
 * 5. Writes that touch a document, device entry or loser hold its space's own entry too, and all that are not empty hold the
 *    partition's: a journal finds in them what a sid stands for, and how far they go.
 * Everything returned lives in the owner's arena until the next call. One thread at a time. No I/O, no clock. */
#ifndef TIDEGATE_CORE_OWNER_H
#define TIDEGATE_CORE_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/access.h"
#include "core/err.h"
#include "core/namespace.h"
#include "core/record.h"
#include "core/state.h"

struct owner;

/* `log` is the log's name. ERR_CORRUPT, ERR_MEMORY, ERR_VERSION. A fresh state opens with next offset 0. */
enum err owner_open(const struct state_reader *reader, struct span log, struct owner **ret_owner);
void owner_close(struct owner *owner);
uint64_t owner_next_offset(const struct owner *owner); /* the record to be given next */
int64_t owner_clock_ms(const struct owner *owner);
const struct namespace_set *owner_namespaces(const struct owner *owner);

struct owner_record {
    uint64_t offset;
    int64_t time_ms; /* the log's */
    struct span bytes;
};

/* A push changed documents: goes to every gateway with an interest in the space. */
struct owner_update {
    struct span space;
    uint64_t prev, place, rev; /* cursors' places before and after; place == rev */
    struct span user, device;
    uint64_t push;             /* 0 for a backend's without a key */
    struct span frame;         /* the whole `update` frame's text */
    size_t removed_count;      /* users whose access this push took or may have taken: they are asked again */
    const struct span *removed;
    bool recheck_all;          /* `join` went back, or the space was founded (then prev is 0): everyone is asked again */
};

enum owner_answer_kind {
    OWNER_RESULT,  /* a `result` frame: an outcome */
    OWNER_ERROR    /* an `error` frame (gap, forked, too_many): not an outcome */
};

/* For the very session that sent this copy of the push. When an update was sent and the space is open there, the update
 * is the outcome and a RESULT with `with_update` is only for sessions that do not have the space open. */
struct owner_answer {
    enum owner_answer_kind kind;
    struct span gateway;
    uint64_t session;
    struct span space, user, device;
    uint64_t id;
    uint64_t place;       /* the head when it was answered */
    bool with_update;
    enum err code;        /* ERR_OK, or what `code` says */
    struct span frame;    /* the whole frame's text */
};

struct owner_out {
    size_t writes_count;
    const struct state_write *writes;
    bool has_update;
    struct owner_update update;
    bool has_answer;
    struct owner_answer answer;
    bool dead_letter;     /* no version could decode this record: set it aside whole; `why` says what was wrong */
    bool namespaces_changed;
    const char *why;
};

/* ERR_OK; ERR_VERSION: a record whose rules are not known here: stop the partition; ERR_CORRUPT, ERR_MEMORY, ERR_IO:
 * nothing was decided, the record may be given again. The record's offset must be >= owner_next_offset(). */
enum err owner_step(struct owner *owner, const struct state_reader *reader, const struct owner_record *record,
                    struct owner_out *ret_out);

/* Asked again for the outcome of a push that a gateway has seen none of: `bytes` is the record it appended. Writes
 * nothing. No answer when the record is still to come. */
enum err owner_ask(struct owner *owner, const struct state_reader *reader, struct span bytes, struct owner_out *ret_out);

/* Frees the one hidden tombstone or device entry that has been due longest; the writes are to be applied like a step's
 * before the next call. ret_more: there was one, and there may be others. */
enum err owner_sweep(struct owner *owner, const struct state_reader *reader, struct owner_out *ret_out, bool *ret_more);

#endif
