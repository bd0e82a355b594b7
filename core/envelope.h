/* The form of a body that is encrypted end to end: what the server carries in the place of an app's JSON object.
 *
 * FORMAT  an object of these members and no others, in any order:
 *     {"sealed":1,"key":"2026-11","nonce":"...","box":"..."}
 * sealed: the version of this form. key: which key opens it, [A-Za-z0-9._-]{1,64}. nonce: 24 bytes, box: the ciphertext with its tag
 * behind, both base64 (RFC 4648, section 4, padded, one spelling only). docs/client.md tells what is inside; client/seal.h opens it.
 * An object without an integer `sealed` is no envelope. */
#ifndef TIDEGATE_CORE_ENVELOPE_H
#define TIDEGATE_CORE_ENVELOPE_H

#include "core/buf.h"
#include "core/json.h"

enum { ENVELOPE_VERSION = 1, ENVELOPE_KEY_BYTES_MAX = 64, ENVELOPE_NONCE_BYTES = 24 };

struct envelope {
    struct span key;
    struct span nonce, box; /* base64, as it stands */
};

enum envelope_is {
    ENVELOPE_NONE, /* an ordinary body */
    ENVELOPE_GOOD,
    ENVELOPE_BAD   /* it says that it is one, and is not of a form that is known */
};
enum envelope_is envelope_decode(struct json_value body, struct envelope *ret_envelope);
void envelope_encode(struct buf *out, struct span key, struct span nonce, struct span box); /* the bytes themselves */
bool envelope_is_key(struct span key);
size_t envelope_base64_bytes(struct span text);                       /* how many it stands for, at most */
/* SIZE_MAX: it is none, or does not fit. */
size_t envelope_base64(struct span text, unsigned char *ret_bytes, size_t room);

#endif
