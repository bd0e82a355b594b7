/* What the owner knows of one device in one space: how far its pushes are in the log, and the outcomes that the device
 * may not know yet. It is what makes a push sent twice take effect once.
 *
 * FORMAT of the stored value (version 1, little-endian): u8 version, u64 last, u64 known, i64 last_ms, u8 count, each:
 *   u64 id, u64 rev, 16 bytes digest, u8 status, u8 code, u8+bytes why (the codes are enum err's positions: append-only).
 * INVARIANTS
 * 1. `last` is the greatest id of this device in the log here (refused ones too); outcomes are those past `known`, by id.
 * 2. At most LIMIT_INFLIGHT_MAX outcomes are kept; a push past that is `too_many` and leaves no trace.
 * 3. An entry exists for twice the namespace's window after last_ms, by the partition's clock. */
#ifndef TIDEGATE_CORE_DEVICE_ENTRY_H
#define TIDEGATE_CORE_DEVICE_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/hash.h"
#include "core/limits.h"
#include "core/span.h"

enum device_status { DEVICE_APPLIED, DEVICE_CONFLICT, DEVICE_REJECTED };

struct device_outcome {
    uint64_t id;
    uint64_t rev;          /* the push's place */
    struct hash_digest digest;
    enum device_status status;
    enum err code;         /* ERR_OK, ERR_LOST, or why it was refused */
    struct span why;       /* into the stored bytes */
};

struct device_entry {
    bool exists;
    uint64_t last;
    uint64_t known;
    int64_t last_ms;
    uint32_t count;
    struct device_outcome outcomes[LIMIT_INFLIGHT_MAX];
};

enum err device_entry_decode(struct span stored, struct device_entry *ret_entry);
void device_entry_encode(const struct device_entry *entry, struct buf *buf);
/* The outcome kept for that id; NULL: none (known by the device, or never in this log). */
const struct device_outcome *device_entry_find(const struct device_entry *entry, uint64_t id);
void device_entry_prune(struct device_entry *entry, uint64_t known); /* the device knows those up to here */
const char *device_entry_status_name(enum device_status status);
/* {"id","space","status","code","message"} of one refused push, as pages list it. */
void device_entry_render_refused(const struct device_outcome *outcome, struct span space, struct buf *buf);

#endif
