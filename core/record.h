/* What stands in the log `changes`: JSON text, so that anybody's backend may write and read it.
 *
 * FORMAT (schemas in schemas/records)
 *   {"v":1,"kind":"push","space","user","grant","ns","ops":[..]
 *      [,"device","id","after","known"]       absent for a backend's push without a key: no repeat can be known
 *      [,"session","gateway"]}                 where the outcome goes; absent: nobody waits
 *   {"v":1,"kind":"namespace","text":{..}}    this namespace is in force from here on
 * INVARIANTS
 * 1. `v` names the rules that the record was written under: a reader that does not know it stops (ERR_VERSION).
 * 2. `ops` are the device's own bytes. */
#ifndef TIDEGATE_CORE_RECORD_H
#define TIDEGATE_CORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "core/access.h"
#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/json.h"

enum { RECORD_VERSION = 1 };
enum record_kind { RECORD_PUSH, RECORD_NAMESPACE };

struct record_push {
    struct span space, user;
    enum role granted;
    uint64_t ns_version;   /* the namespace's, as the gateway knew it; 0 unknown */
    bool has_device;
    struct span device;
    uint64_t id, after, known;
    struct span gateway;   /* reply address; empty: nobody waits */
    uint64_t session;
    struct json_value ops; /* an array */
};

struct record {
    enum record_kind kind;
    struct record_push push;
    struct json_value namespace_text;
};

/* Spans point into `bytes` or the arena. ERR_CORRUPT: no version could decode it (dead-letter); ERR_VERSION: stop;
 * ERR_UNKNOWN_SPACE never: that is the owner's. */
enum err record_decode(struct span bytes, struct arena *arena, struct record *ret_record);
void record_encode_push(const struct record_push *push, struct buf *buf);
void record_encode_namespace(struct span text, struct buf *buf);
/* The space of a push as record_encode_push() wrote it, by which logs are keyed; empty for any other record. */
struct span record_space(struct span bytes);

#endif
