/* JSON Web Tokens, verified only: a compact JWS under a configured key, its claims checked.
 *
 * On OpenSSL alone: one signature check is all that is needed of a library, and header and payload are read by the same
 * strict reader as everything else. openssl headers are included in base/jwt*.c and base/key*.c alone.
 *
 * INVARIANTS
 * 1. The algorithm is the key's, never the token's: the header must name the very one that the key is for. So `none`,
 *    and an HMAC under a public key's text, are refused before any signature is looked at.
 * 2. `sub` and `exp` are required; nbf, and iss and aud where configured, are checked; leeway JWT_LEEWAY_MS.
 * Keys are read-only after loading: any thread. */
#ifndef TIDEGATE_BASE_JWT_H
#define TIDEGATE_BASE_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/limits.h"
#include "core/span.h"

enum { JWT_LEEWAY_MS = 30000, JWT_KEYS_MAX = 32, JWT_KEY_FILE_BYTES_MAX = 65536, JWT_SECRET_BYTES_ADVISED = 32 /* RFC 7518, 3.2 */ };

struct jwt_keys;

/* A key file: an HS256 secret (its bytes, less a final newline), a PEM public key, or a JWKS. What looks like a public key
 * in another dress (DER, OpenSSH, a lone JWK) is refused: taken for a secret, everyone would know it. `why` says what to
 * mend. */
enum err jwt_keys_load(const char *path, struct jwt_keys **ret_keys, char *why, size_t why_bytes);
enum err jwt_keys_parse(struct span text, struct jwt_keys **ret_keys, char *why, size_t why_bytes);
void jwt_keys_free(struct jwt_keys *keys);
bool jwt_keys_can_sign(const struct jwt_keys *keys); /* it is an HS256 secret */
/* The shortest secret among them; SIZE_MAX: none is one. */
size_t jwt_keys_secret_bytes(const struct jwt_keys *keys);

struct jwt_rules {
    const char *issuer;   /* NULL: any */
    const char *audience; /* NULL: any */
};
struct jwt_claims {
    char user[LIMIT_USER_BYTES_MAX + 1];
    size_t user_bytes;
    int64_t expires_ms;   /* leeway included */
    bool admin;
    struct span spaces;   /* raw JSON object, in `payload`; at NULL: none */
    char payload[LIMIT_TOKEN_BYTES_MAX];
};
/* ERR_OK, or ERR_UNAUTHENTICATED with a static sentence in *ret_why (for logs: not for the sender). */
enum err jwt_verify(const struct jwt_keys *keys, const struct jwt_rules *rules, struct span token, int64_t now_ms,
                    struct jwt_claims *ret_claims, const char **ret_why);
/* Signs `payload` with HS256. ERR_CONFIG: the keys hold no secret. */
enum err jwt_sign(const struct jwt_keys *keys, struct span payload, struct buf *token);

#endif
