#include "base/jwt_keys.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, NUMBER_BYTES_MAX = 1024 };

size_t jwt_keys_decode64(struct span text, unsigned char *room, size_t room_bytes)
{
    size_t at = 0;
    unsigned bits = 0, value = 0;
    if (text.bytes % 4 == 1) return SIZE_MAX;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.at[i];
        unsigned digit;
        if (c >= 'A' && c <= 'Z') digit = (unsigned)(c - 'A');
        else if (c >= 'a' && c <= 'z') digit = (unsigned)(c - 'a') + 26;
        else if (c >= '0' && c <= '9') digit = (unsigned)(c - '0') + 52;
        else if (c == '-') digit = 62;
        else if (c == '_') digit = 63;
        else return SIZE_MAX;
        value = (value << 6 | digit) & 0xffffff;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        if (at == room_bytes) return SIZE_MAX;
        room[at++] = (unsigned char)(value >> bits & 0xff);
    }
    return (value & ((1u << bits) - 1)) == 0 ? at : SIZE_MAX; /* left-over bits must be zero: one text a value */
}

static enum err refuse(char *why, size_t why_bytes, const char *what)
{
    snprintf(why, why_bytes, "%s", what);
    return ERR_CONFIG;
}

static struct jwt_key *next_key(struct jwt_keys *keys, const char *id, const char *algorithm)
{
    if (keys->count == JWT_KEYS_MAX) return NULL;
    struct jwt_key *key = &keys->keys[keys->count];
    *key = (struct jwt_key){0};
    snprintf(key->id, sizeof key->id, "%s", id);
    snprintf(key->algorithm, sizeof key->algorithm, "%s", algorithm);
    return key;
}

static const char *curve_algorithm(EVP_PKEY *key)
{
    char curve[64] = "";
    size_t bytes;
    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve, &bytes) != 1) return NULL;
    if (strcmp(curve, "prime256v1") == 0 || strcmp(curve, "P-256") == 0) return "ES256";
    if (strcmp(curve, "secp384r1") == 0 || strcmp(curve, "P-384") == 0) return "ES384";
    if (strcmp(curve, "secp521r1") == 0 || strcmp(curve, "P-521") == 0) return "ES512";
    return NULL;
}

/* Takes the key over, on success only. */
enum err jwt_keys_add_public(struct jwt_keys *keys, EVP_PKEY *pkey, const char *id, const char *algorithm, char *why, size_t why_bytes)
{
    struct jwt_key *key = next_key(keys, id, algorithm);
    if (key == NULL) return refuse(why, why_bytes, "more than 32 keys");
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        key->family = JWT_RSA;
        if (EVP_PKEY_get_bits(pkey) > RSA_BITS_MAX) return refuse(why, why_bytes, "an RSA key of more than 8192 bits");
        if (EVP_PKEY_get_bits(pkey) < RSA_BITS_MIN) return refuse(why, why_bytes, "an RSA key of fewer than 2048 bits");
        break;
    case EVP_PKEY_EC:
        key->family = JWT_EC;
        key->ec_algorithm = curve_algorithm(pkey);
        if (key->ec_algorithm == NULL) return refuse(why, why_bytes, "an elliptic curve that is none of P-256, P-384, P-521");
        break;
    case EVP_PKEY_ED25519: key->family = JWT_ED; break;
    default: return refuse(why, why_bytes, "a public key of an unknown kind");
    }
    key->key = pkey;
    keys->count++;
    return ERR_OK;
}

static size_t member64(struct json_value jwk, const char *name, unsigned char *room, size_t room_bytes)
{
    size_t bytes = jwt_keys_decode64(json_inside(json_find(jwk, name)), room, room_bytes);
    return bytes == 0 ? SIZE_MAX : bytes;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_of(struct json_value jwk)
{
    unsigned char room[NUMBER_BYTES_MAX];
    EVP_PKEY *key = NULL;
    BIGNUM *n = NULL, *e = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    size_t bytes = member64(jwk, "n", room, sizeof room);
    if (bytes != SIZE_MAX) n = BN_bin2bn(room, (int)bytes, NULL);
    bytes = member64(jwk, "e", room, sizeof room);
    if (bytes != SIZE_MAX) e = BN_bin2bn(room, (int)bytes, NULL);
    if (builder != NULL && n != NULL && e != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1) key = from_params("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return key;
}

static EVP_PKEY *ec_of(struct json_value jwk)
{
    static const struct { const char *crv, *group; size_t bytes; } curves[] = {
        {"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}};
    unsigned char point[1 + 2 * 66];
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        size_t half = curves[i].bytes;
        if (!json_string_is(json_find(jwk, "crv"), curves[i].crv)) continue;
        point[0] = POINT_CONVERSION_UNCOMPRESSED;
        if (member64(jwk, "x", point + 1, half) != half || member64(jwk, "y", point + 1 + half, half) != half) return NULL;
        OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
        if (builder != NULL && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group, 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half) == 1) key = from_params("EC", builder);
        OSSL_PARAM_BLD_free(builder);
    }
    return key;
}

static EVP_PKEY *ed_of(struct json_value jwk)
{
    unsigned char room[32];
    if (!json_string_is(json_find(jwk, "crv"), "Ed25519") || member64(jwk, "x", room, sizeof room) != sizeof room) return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, room, sizeof room);
}

static enum err add_secret(struct jwt_keys *keys, struct json_value jwk, const char *id, const char *algorithm, char *why, size_t why_bytes)
{
    unsigned char room[NUMBER_BYTES_MAX];
    size_t bytes = member64(jwk, "k", room, sizeof room);
    if (bytes == SIZE_MAX || bytes == 0) return refuse(why, why_bytes, "a JWK whose `k` is malformed, or empty");
    struct jwt_key *key = next_key(keys, id, algorithm[0] == '\0' ? "HS256" : algorithm);
    if (key == NULL) return refuse(why, why_bytes, "more than 32 keys");
    key->family = JWT_HMAC;
    key->secret = malloc(bytes);
    if (key->secret == NULL) return ERR_MEMORY;
    memcpy(key->secret, room, bytes);
    key->secret_bytes = bytes;
    keys->count++;
    return ERR_OK;
}

/* "" where there is none; false: no text, or longer than any that means something (cut short it would mean another). */
static bool copy_text(struct json_value value, char *room, size_t room_bytes)
{
    room[0] = '\0';
    if (value.type == JSON_NONE) return true;
    size_t bytes = value.type == JSON_STRING ? json_decode(json_inside(value), room, room_bytes - 1) : SIZE_MAX;
    if (bytes == SIZE_MAX) return false;
    room[bytes] = '\0';
    return strlen(room) == bytes;
}

/* Keys that are not for signatures, or of a kind that we know nothing of, are passed over (RFC 7517, section 5). */
static bool is_of_use(struct json_value jwk, const char *algorithm)
{
    static const struct { const char *kty, *algorithms; } kinds[] = {
        {"oct", "HS256 HS384 HS512"}, {"RSA", "RS256 RS384 RS512 PS256 PS384 PS512"}, {"EC", "ES256 ES384 ES512"}, {"OKP", "EdDSA"}};
    struct json_value use = json_find(jwk, "use"), curve = json_find(jwk, "crv");
    if (use.type != JSON_NONE && !json_string_is(use, "sig")) return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!json_string_is(json_find(jwk, "kty"), kinds[i].kty)) continue;
        if (strcmp(kinds[i].kty, "OKP") == 0 && !json_string_is(curve, "Ed25519")) return false;
        if (strcmp(kinds[i].kty, "EC") == 0 && !json_string_is(curve, "P-256") && !json_string_is(curve, "P-384") && !json_string_is(curve, "P-521")) return false;
        return algorithm[0] == '\0' || (strlen(algorithm) >= 5 && strstr(kinds[i].algorithms, algorithm) != NULL);
    }
    return false;
}

enum err jwt_keys_add_jwk(struct jwt_keys *keys, struct json_value jwk, bool *ret_used, char *why, size_t why_bytes)
{
    char id[128], algorithm[12];
    struct json_value type = json_find(jwk, "kty");
    EVP_PKEY *key = NULL;
    *ret_used = copy_text(json_find(jwk, "alg"), algorithm, sizeof algorithm) && is_of_use(jwk, algorithm);
    if (!*ret_used) return ERR_OK;
    if (!copy_text(json_find(jwk, "kid"), id, sizeof id)) return refuse(why, why_bytes, "a JWK whose `kid` is no text of at most 126 bytes");
    if (json_string_is(type, "oct")) return add_secret(keys, jwk, id, algorithm, why, why_bytes);
    if (json_string_is(type, "RSA")) key = rsa_of(jwk);
    else if (json_string_is(type, "EC")) key = ec_of(jwk);
    else if (json_string_is(type, "OKP")) key = ed_of(jwk);
    if (key == NULL) return refuse(why, why_bytes, "a JWK whose numbers are malformed, or not of its curve");
    enum err err = jwt_keys_add_public(keys, key, id, algorithm, why, why_bytes);
    if (err != ERR_OK) EVP_PKEY_free(key);
    return err;
}

/* ---- one check ---- */

static const EVP_MD *digest_of(struct span algorithm)
{
    if (algorithm.bytes != 5) return NULL;
    if (memcmp(algorithm.at + 2, "256", 3) == 0) return EVP_sha256();
    if (memcmp(algorithm.at + 2, "384", 3) == 0) return EVP_sha384();
    if (memcmp(algorithm.at + 2, "512", 3) == 0) return EVP_sha512();
    return NULL;
}

/* Is the algorithm one that this key is for? */
static bool is_for(const struct jwt_key *key, struct span algorithm)
{
    if (key->algorithm[0] != '\0' && !span_is(algorithm, key->algorithm)) return false;
    switch (key->family) {
    case JWT_HMAC: return span_is(algorithm, "HS256") || span_is(algorithm, "HS384") || span_is(algorithm, "HS512");
    case JWT_RSA: return digest_of(algorithm) != NULL && (memcmp(algorithm.at, "RS", 2) == 0 || memcmp(algorithm.at, "PS", 2) == 0);
    case JWT_EC: return span_is(algorithm, key->ec_algorithm);
    case JWT_ED: return span_is(algorithm, "EdDSA");
    }
    return false;
}

static bool check_hmac(const struct jwt_key *key, struct span algorithm, struct span content, const unsigned char *signature, size_t bytes)
{
    unsigned char expected[EVP_MAX_MD_SIZE];
    unsigned expected_bytes = 0;
    if (HMAC(digest_of(algorithm), key->secret, (int)key->secret_bytes, (const unsigned char *)content.at, content.bytes, expected,
             &expected_bytes) == NULL) return false;
    return bytes == expected_bytes && CRYPTO_memcmp(signature, expected, bytes) == 0;
}

/* JWS carries r and s side by side; OpenSSL wants them in DER. */
static size_t der_of(const unsigned char *signature, size_t bytes, unsigned char *room, size_t room_bytes)
{
    size_t der_bytes = 0;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature, (int)(bytes / 2), NULL), *s = BN_bin2bn(signature + bytes / 2, (int)(bytes / 2), NULL);
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* sig's now */
        int length = i2d_ECDSA_SIG(sig, NULL);
        unsigned char *at = room;
        if (length > 0 && (size_t)length <= room_bytes) der_bytes = (size_t)i2d_ECDSA_SIG(sig, &at);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return der_bytes;
}

bool jwt_keys_check(const struct jwt_key *key, struct span algorithm, struct span content, const unsigned char *signature,
                    size_t signature_bytes)
{
    unsigned char der[160];
    EVP_PKEY_CTX *pctx = NULL;
    bool good = false;
    if (!is_for(key, algorithm)) return false;
    if (key->family == JWT_HMAC) return check_hmac(key, algorithm, content, signature, signature_bytes);
    if (key->family == JWT_EC) {
        size_t half = ((size_t)EVP_PKEY_get_bits(key->key) + 7) / 8;
        if (signature_bytes != 2 * half) return false;
        signature_bytes = der_of(signature, signature_bytes, der, sizeof der);
        signature = der;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const EVP_MD *digest = key->family == JWT_ED ? NULL : digest_of(algorithm);
    if (ctx != NULL && EVP_DigestVerifyInit(ctx, &pctx, digest, NULL, key->key) == 1) {
        bool pss = key->family == JWT_RSA && algorithm.at[0] == 'P';
        bool set = !pss || (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                            EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1);
        good = set && EVP_DigestVerify(ctx, signature, signature_bytes, (const unsigned char *)content.at, content.bytes) == 1;
    }
    EVP_MD_CTX_free(ctx);
    ERR_clear_error(); /* what is left behind would be taken for a TLS connection's */
    return good;
}
