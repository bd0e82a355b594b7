/* A document as the owner keeps it: its body's bytes, who wrote what and when, its tombstone.
 *
 * FORMAT of the stored value (version 1, little-endian, lengths before texts):
 *   u8 version=1, u8 flags (1 deleted), u64 rev, u64 born, i64 time_ms, user (u8 length + bytes: last writer),
 *   author (u8+bytes: who made it first), stamp `whole`, u16 count of field stamps, each: u16 length + decoded field
 *   name, stamp; u32 length + body.
 *   stamp: u64 rev, i64 edited_ms, u8+bytes user, u8+bytes device.
 * INVARIANTS
 * 1. A field without a stamp of its own is governed by `whole`, the latest edit of the whole document (put, delete).
 * 2. A deleted document has no body, and keeps its stamps for the window: late edits are judged against them.
 * 3. Decoding gives spans into the stored bytes: nothing is copied. */
#ifndef TIDEGATE_CORE_DOC_H
#define TIDEGATE_CORE_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "core/span.h"

/* When, by whom, at which rev a value was set: what "which edit is later" compares. */
struct stamp {
    uint64_t rev;
    int64_t edited_ms;
    struct span user;
    struct span device; /* "" for a backend's push */
};

struct field_stamp {
    struct span field; /* decoded name */
    struct stamp stamp;
};

struct doc {
    bool deleted;
    uint64_t rev;
    uint64_t born;      /* the rev that first added it */
    int64_t time_ms;    /* of the last change, the log's */
    struct span user;   /* last writer */
    struct span author; /* first writer */
    struct stamp whole;
    size_t fields_count;
    struct field_stamp *fields; /* in the arena */
    struct span body;   /* "{...}"; empty when deleted */
};

enum err doc_decode(struct span stored, struct arena *arena, struct doc *ret_doc); /* ERR_CORRUPT, ERR_VERSION, ERR_MEMORY */
void doc_encode(const struct doc *doc, struct buf *buf);
/* The document as frames carry it: {"collection","id","rev","time","user","body"|"deleted":true[,"born"]}. */
void doc_render(struct buf *buf, struct span collection, struct span id, const struct doc *doc, bool with_born);
struct stamp doc_stamp(const struct doc *doc, struct span field); /* the field's own or `whole` */

#endif
