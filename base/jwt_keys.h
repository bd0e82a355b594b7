/* Internal to jwt*.c: keys of each kind, and one check of a signature. */
#ifndef TIDEGATE_BASE_JWT_KEYS_H
#define TIDEGATE_BASE_JWT_KEYS_H

#include <openssl/evp.h>

#include "base/jwt.h"
#include "core/json.h"

enum jwt_family { JWT_HMAC, JWT_RSA, JWT_EC, JWT_ED };

struct jwt_key {
    enum jwt_family family;
    char id[128];           /* `kid`; "" none */
    char algorithm[12];     /* what a JWK's `alg` pins; "" any of its family's */
    const char *ec_algorithm; /* of an EC key's curve */
    unsigned char *secret;  /* HMAC */
    size_t secret_bytes;
    EVP_PKEY *key;          /* the others */
};

struct jwt_keys {
    size_t count;
    struct jwt_key keys[JWT_KEYS_MAX];
};

/* One JWK of a set; ERR_OK with *ret_used false for keys that are not for signatures. */
enum err jwt_keys_add_jwk(struct jwt_keys *keys, struct json_value jwk, bool *ret_used, char *why, size_t why_bytes);
enum err jwt_keys_add_public(struct jwt_keys *keys, EVP_PKEY *key, const char *id, const char *algorithm, char *why, size_t why_bytes);
/* base64url without padding; SIZE_MAX: malformed, or does not fit. */
size_t jwt_keys_decode64(struct span text, unsigned char *room, size_t room_bytes);
bool jwt_keys_check(const struct jwt_key *key, struct span algorithm, struct span content, const unsigned char *signature,
                    size_t signature_bytes);

#endif
