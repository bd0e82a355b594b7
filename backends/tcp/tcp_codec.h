/* What goes over a link as bytes: every link_ask and link_tell, encoded and decoded. No I/O, no clock.
 *
 * FORMAT  frame   = u32 LE count of the bytes behind it, u8 kind (enum tcp_frame), fields, tail
 *         integer = LEB128, 7 bits a byte, the least first, at most 10 bytes
 *         text    = integer length, bytes
 *         ask     = u8 kind, tail length + 1 (0: none), space, then the groups of fields that the kind's row in tcp_codec.c names
 *         tell    = the same
 *         page    = u8 flags, integers, parts, texts; a text of a page that stands in the tail is its place there
 *         tail    = the bytes of the message's blob, the last of the frame: written from where they are, without a copy
 * A frame is at most LIMIT_LINK_FRAME_BYTES; one that says more of itself ends the link.
 * VERSION of all this: TCP_VERSION; what a kind's row holds never changes within a version. */
#ifndef TIDEGATE_BACKENDS_TCP_TCP_CODEC_H
#define TIDEGATE_BACKENDS_TCP_TCP_CODEC_H

#include "backends/link.h"
#include "core/arena.h"
#include "core/buf.h"

enum { TCP_VERSION = 1, TCP_FRAME_HEAD_BYTES = 5 };
enum tcp_frame {
    TCP_HELLO = 1,  /* who I am, and a nonce: the first of both */
    TCP_PROOF = 2,  /* that I know the key */
    TCP_REFUSAL = 3, /* u8 enum tcp_refusal, and the end */
    TCP_PING = 4,   /* nothing: I am alive */
    TCP_OWNS = 5,   /* integer partition, u8 0 or 1: I answer for it, or no longer */
    TCP_ASK = 6,
    TCP_TELL = 7
};

/* Append a frame, all but the bytes of *ret_tail that follow it on the wire (NULL: none; only lent). */
void tcp_codec_ask(struct buf *out, const struct link_ask *ask, struct blob **ret_tail);
void tcp_codec_tell(struct buf *out, const struct link_tell *tell, struct blob **ret_tail);
void tcp_codec_owns(struct buf *out, uint32_t partition, bool owned);
/* Any other frame whole. */
void tcp_codec_frame(struct buf *out, enum tcp_frame kind, struct span fields);

/* Decode what stands behind a frame's kind. Spans point into `fields`, the blob or the arena. ERR_OK: the blob has one
 * reference, the caller's to put. ERR_INVALID: malformed; ERR_MEMORY. Nothing is owned then. */
enum err tcp_codec_read_ask(struct span fields, struct arena *arena, struct link_ask *ret_ask);
enum err tcp_codec_read_tell(struct span fields, struct arena *arena, struct link_tell *ret_tell);
enum err tcp_codec_read_owns(struct span fields, uint32_t *ret_partition, bool *ret_owned);

#endif
