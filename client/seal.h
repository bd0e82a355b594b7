/* Bodies that are encrypted end to end: sealed on the device that writes, opened on those that have the key, opaque to the server.
 *
 * ALGORITHM  XChaCha20-Poly1305 (libsodium's crypto_aead_xchacha20poly1305_ietf), a random nonce of 24 bytes for each body. What is
 * sealed is the JSON object, its bytes as they are. Bound to it, so that it cannot be moved: "tidegate.sealed.1", the key's id, space,
 * collection and document id, each with a NUL behind but the last.
 * FORM  core/envelope.h.
 *
 * Whether a collection is sealed, and by which key, is the app's to say, each time: keys are asked for when they are needed, wiped when
 * they were used, and never stored. */
#ifndef TIDEGATE_CLIENT_SEAL_H
#define TIDEGATE_CLIENT_SEAL_H

#include <stdbool.h>

#include "core/arena.h"
#include "core/buf.h"
#include "core/envelope.h"
#include "core/err.h"
#include "core/span.h"

enum { SEAL_KEY_BYTES = 32 };

/* A document, as far as its seal is concerned. Stored (schemas/client-store.sql). */
enum seal_state {
    SEAL_NONE = 0,   /* of a collection that is not encrypted */
    SEAL_OPENED = 1,
    SEAL_LOCKED = 2, /* its key is not there, or the app does not know that its collection is encrypted */
    SEAL_BROKEN = 3, /* it does not open: altered, moved, of another key, or of a form that is not known */
    SEAL_BARE = 4    /* in the clear where it should be sealed: who wrote it need not have had the key */
};

struct seal_key {
    char id[ENVELOPE_KEY_BYTES_MAX + 1];
    unsigned char bytes[SEAL_KEY_BYTES];
};
enum seal_answer { SEAL_ANSWER_PLAIN, SEAL_ANSWER_HERE, SEAL_ANSWER_MISSING };

struct seal {
    void *ctx;
    /* The key of that id, or (empty) the one to seal with. NULL: nothing is sealed. */
    enum seal_answer (*key)(void *ctx, struct span space, struct span collection, struct span id, struct seal_key *ret_key);
    void (*random)(void *ctx, void *ret_bytes, size_t bytes);
};

/* Which document it is. */
struct seal_place {
    struct span space, collection, id;
};

bool seal_init(void); /* libsodium is ready; any thread, any number of times */
/* How the collection is written: the key is the caller's to wipe. ERR_KEY: the app's key has an id that cannot be one. */
enum err seal_wants(const struct seal *seal, struct span space, struct span collection, enum seal_answer *ret_answer, struct seal_key *ret_key);
void seal_wipe(struct seal_key *key);
/* Adds the envelope of a body. ERR_TOO_LARGE: it would be past what a document may hold; ERR_MEMORY. */
enum err seal_close(const struct seal *seal, const struct seal_key *key, const struct seal_place *place, struct span body, struct buf *out);
/* What a body is; opened, *ret_body is it, in the arena. `*ret_body` is untouched otherwise. Memory that is not to be had: SEAL_LOCKED. */
enum seal_state seal_open(const struct seal *seal, const struct seal_place *place, struct span body, struct arena *arena, struct span *ret_body);

#endif
