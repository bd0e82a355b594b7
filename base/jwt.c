#include "base/jwt.h"

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jwt_keys.h"
#include "core/name.h"

enum { SIGNATURE_BYTES_MAX = 1024, HEADER_BYTES_MAX = 1024 };

/* ---- loading ---- */

void jwt_keys_free(struct jwt_keys *keys)
{
    if (keys == NULL) return;
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->keys[i].secret);
        EVP_PKEY_free(keys->keys[i].key);
    }
    free(keys);
}

size_t jwt_keys_secret_bytes(const struct jwt_keys *keys)
{
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < keys->count; i++)
        if (keys->keys[i].family == JWT_HMAC && keys->keys[i].secret_bytes < least) least = keys->keys[i].secret_bytes;
    return least;
}

bool jwt_keys_can_sign(const struct jwt_keys *keys) { return keys->count == 1 && keys->keys[0].family == JWT_HMAC; }

static enum err parse_pem(struct jwt_keys *keys, struct span text, char *why, size_t why_bytes)
{
    BIO *bio = BIO_new_mem_buf(text.at, (int)text.bytes);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (key == NULL) {
        snprintf(why, why_bytes, "a PEM file that holds no public key (a private key or certificate is not taken)");
        return ERR_CONFIG;
    }
    enum err err = jwt_keys_add_public(keys, key, "", "", why, why_bytes);
    if (err != ERR_OK) EVP_PKEY_free(key);
    return err;
}

static enum err parse_set(struct jwt_keys *keys, struct json_value set, char *why, size_t why_bytes)
{
    struct json_iter iter = json_elements(json_find(set, "keys"));
    struct json_value jwk;
    while (json_next_element(&iter, &jwk)) {
        bool used;
        enum err err = jwt_keys_add_jwk(keys, jwk, &used, why, why_bytes);
        if (err != ERR_OK) return err;
    }
    if (keys->count > 0) return ERR_OK;
    snprintf(why, why_bytes, "a JWKS without a key for signatures");
    return ERR_CONFIG;
}

/* NULL, or what it is instead of a secret. */
static const char *other_than_secret(struct span text, bool is_object)
{
    static const char *const begins[] = {"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"};
    const unsigned char *at = (const unsigned char *)text.at;
    EVP_PKEY *key = text.bytes == 0 ? NULL : d2i_PUBKEY(NULL, &at, (long)text.bytes);
    ERR_clear_error();
    EVP_PKEY_free(key);
    if (key != NULL) return "a public key in DER: convert it to PEM";
    if (is_object) return "a JSON object that is no JWKS: {\"keys\":[..]}";
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (text.bytes > strlen(begins[i]) && memcmp(text.at, begins[i], strlen(begins[i])) == 0) return "a public key in OpenSSH's format: convert it to PEM";
    return NULL;
}

static enum err parse_secret(struct jwt_keys *keys, struct span text, char *why, size_t why_bytes)
{
    if (text.bytes > 0 && text.at[text.bytes - 1] == '\n') text.bytes--;
    if (text.bytes == 0) {
        snprintf(why, why_bytes, "an empty HS256 secret");
        return ERR_CONFIG;
    }
    struct jwt_key *key = &keys->keys[0];
    *key = (struct jwt_key){.family = JWT_HMAC, .secret_bytes = text.bytes};
    snprintf(key->algorithm, sizeof key->algorithm, "HS256");
    key->secret = malloc(text.bytes);
    if (key->secret == NULL) return ERR_MEMORY;
    memcpy(key->secret, text.at, text.bytes);
    keys->count = 1;
    return ERR_OK;
}

enum err jwt_keys_parse(struct span text, struct jwt_keys **ret_keys, char *why, size_t why_bytes)
{
    struct json_value set;
    bool is_object = json_check(text, &set, NULL) && set.type == JSON_OBJECT;
    const char *other = NULL;
    struct jwt_keys *keys = calloc(1, sizeof *keys);
    enum err err;
    if (keys == NULL) return ERR_MEMORY;
    if (memmem(text.at, text.bytes, "-----BEGIN", 10) != NULL) err = parse_pem(keys, text, why, why_bytes);
    else if (is_object && json_find(set, "keys").type == JSON_ARRAY) err = parse_set(keys, set, why, why_bytes);
    else if ((other = other_than_secret(text, is_object)) == NULL) err = parse_secret(keys, text, why, why_bytes);
    else err = ERR_CONFIG;
    if (other != NULL) snprintf(why, why_bytes, "%s", other);
    if (err != ERR_OK) {
        jwt_keys_free(keys);
        return err;
    }
    *ret_keys = keys;
    return ERR_OK;
}

enum err jwt_keys_load(const char *path, struct jwt_keys **ret_keys, char *why, size_t why_bytes)
{
    char *text = malloc(JWT_KEY_FILE_BYTES_MAX + 1);
    FILE *file = fopen(path, "rb");
    enum err err = ERR_CONFIG;
    char what[160] = "";
    if (text == NULL || file == NULL) {
        snprintf(why, why_bytes, "--jwt-key %s: cannot be read", path);
    } else {
        size_t bytes = fread(text, 1, JWT_KEY_FILE_BYTES_MAX + 1, file);
        if (bytes > JWT_KEY_FILE_BYTES_MAX) snprintf(what, sizeof what, "longer than 64 KiB");
        else err = jwt_keys_parse(span_of(text, bytes), ret_keys, what, sizeof what);
        if (err != ERR_OK) snprintf(why, why_bytes, "--jwt-key %s: %s", path, what);
    }
    if (file != NULL) fclose(file);
    free(text);
    return err;
}

/* ---- verifying ---- */

static bool time_of(struct json_value claims, const char *name, int64_t *ret_ms)
{
    struct json_value value = json_find(claims, name);
    int64_t seconds;
    char whole[32];
    if (value.type != JSON_NUMBER) return false;
    /* NumericDate may have a fraction: the whole seconds count. An exponent may not be cut off with it. */
    size_t bytes = 0;
    if (memchr(value.raw.at, 'e', value.raw.bytes) != NULL || memchr(value.raw.at, 'E', value.raw.bytes) != NULL) return false;
    while (bytes < value.raw.bytes && value.raw.at[bytes] != '.') bytes++;
    if (bytes >= sizeof whole) return false;
    struct json_value number = {.type = JSON_NUMBER, .raw = span_of(value.raw.at, bytes)};
    if (!json_integer(number, &seconds) || seconds < 0 || seconds > INT64_C(9000000000000)) return false;
    *ret_ms = seconds * 1000;
    return true;
}

static bool audience_fits(struct json_value value, const char *wanted)
{
    struct json_iter iter = json_elements(value);
    struct json_value one;
    if (json_string_is(value, wanted)) return true;
    while (json_next_element(&iter, &one))
        if (json_string_is(one, wanted)) return true;
    return false;
}

static bool grants_fit(struct json_value spaces)
{
    struct json_iter iter = json_members(spaces);
    struct json_member member;
    if (spaces.type == JSON_NONE) return true;
    if (spaces.type != JSON_OBJECT || json_count(spaces) > LIMIT_GRANTS_MAX) return false;
    while (json_next_member(&iter, &member)) {
        char pattern[LIMIT_SPACE_BYTES_MAX];
        size_t bytes = json_decode(member.key, pattern, sizeof pattern);
        if (bytes == SIZE_MAX || !name_is_pattern(span_of(pattern, bytes))) return false;
        if (!json_string_is(member.value, "r") && !json_string_is(member.value, "rw")) return false;
    }
    return true;
}

static const char *check_claims(struct json_value claims, const struct jwt_rules *rules, int64_t now_ms, struct jwt_claims *ret)
{
    int64_t time_ms;
    struct json_value sub = json_find(claims, "sub"), nbf = json_find(claims, "nbf"), spaces = json_find(claims, "spaces");
    ret->user_bytes = sub.type == JSON_STRING ? json_decode(json_inside(sub), ret->user, LIMIT_USER_BYTES_MAX) : SIZE_MAX;
    if (ret->user_bytes == SIZE_MAX || !name_is_user(span_of(ret->user, ret->user_bytes))) return "sub: missing or malformed";
    ret->user[ret->user_bytes] = '\0';
    if (!time_of(claims, "exp", &time_ms)) return "exp: missing or malformed";
    ret->expires_ms = time_ms + JWT_LEEWAY_MS;
    if (now_ms >= ret->expires_ms) return "expired";
    if (nbf.type != JSON_NONE && (!time_of(claims, "nbf", &time_ms) || now_ms < time_ms - JWT_LEEWAY_MS)) return "nbf: not valid yet";
    if (rules->issuer != NULL && !json_string_is(json_find(claims, "iss"), rules->issuer)) return "iss: another issuer";
    if (rules->audience != NULL && !audience_fits(json_find(claims, "aud"), rules->audience)) return "aud: another audience";
    if (!grants_fit(spaces)) return "spaces: must map patterns to r or rw";
    if (spaces.type == JSON_OBJECT) ret->spaces = spaces.raw;
    ret->admin = json_find(claims, "admin").type == JSON_TRUE;
    return NULL;
}

static const char *check_signature(const struct jwt_keys *keys, struct span header_text, struct span content, struct span signature_text)
{
    unsigned char header_room[HEADER_BYTES_MAX], signature[SIGNATURE_BYTES_MAX];
    struct json_value header;
    size_t header_bytes = jwt_keys_decode64(header_text, header_room, sizeof header_room);
    size_t signature_bytes = jwt_keys_decode64(signature_text, signature, sizeof signature);
    if (header_bytes == SIZE_MAX || signature_bytes == SIZE_MAX) return "malformed";
    if (!json_check(span_of((const char *)header_room, header_bytes), &header, NULL) || header.type != JSON_OBJECT) return "malformed header";
    if (json_has_repeated_key(header)) return "malformed header";
    struct json_value algorithm = json_find(header, "alg"), kid = json_find(header, "kid");
    if (kid.type != JSON_NONE && kid.type != JSON_STRING) return "malformed header";
    if (algorithm.type != JSON_STRING || json_find(header, "crit").type != JSON_NONE) return "malformed header";
    for (size_t i = 0; i < keys->count; i++) {
        const struct jwt_key *key = &keys->keys[i];
        /* A kid chooses among several; a single key without one takes any. */
        if (kid.type == JSON_STRING && key->id[0] != '\0' && !json_string_is(kid, key->id)) continue;
        if (jwt_keys_check(key, json_inside(algorithm), content, signature, signature_bytes)) return NULL;
    }
    return "not signed by a configured key under its algorithm";
}

enum err jwt_verify(const struct jwt_keys *keys, const struct jwt_rules *rules, struct span token, int64_t now_ms,
                    struct jwt_claims *ret_claims, const char **ret_why)
{
    struct json_value claims;
    const char *dot = token.bytes == 0 || token.bytes > LIMIT_TOKEN_BYTES_MAX ? NULL : memchr(token.at, '.', token.bytes);
    const char *last = dot == NULL ? NULL : memrchr(token.at, '.', token.bytes);
    *ret_why = "malformed";
    if (last == NULL || last == dot) return ERR_UNAUTHENTICATED;
    struct span header = span_of(token.at, (size_t)(dot - token.at)), payload = span_of(dot + 1, (size_t)(last - dot) - 1);
    struct span content = span_of(token.at, (size_t)(last - token.at));
    struct span signature = span_of(last + 1, token.bytes - (size_t)(last - token.at) - 1);
    *ret_why = check_signature(keys, header, content, signature);
    if (*ret_why != NULL) return ERR_UNAUTHENTICATED;
    size_t bytes = jwt_keys_decode64(payload, (unsigned char *)ret_claims->payload, sizeof ret_claims->payload);
    ret_claims->spaces = span_of(NULL, 0);
    *ret_why = "malformed payload";
    if (bytes == SIZE_MAX || !json_check(span_of(ret_claims->payload, bytes), &claims, NULL) || claims.type != JSON_OBJECT) return ERR_UNAUTHENTICATED;
    if (json_count(claims) > 64 || json_has_repeated_key(claims)) return ERR_UNAUTHENTICATED;
    *ret_why = check_claims(claims, rules, now_ms, ret_claims);
    return *ret_why == NULL ? ERR_OK : ERR_UNAUTHENTICATED;
}

/* ---- signing ---- */

static void add64(struct buf *out, const unsigned char *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < count; i += 3) {
        unsigned left = (unsigned)(count - i < 3 ? count - i : 3);
        unsigned value = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0u);
        for (unsigned k = 0; k <= left; k++) buf_add_char(out, digits[value >> (18 - 6 * k) & 63]);
    }
}

enum err jwt_sign(const struct jwt_keys *keys, struct span payload, struct buf *token)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    unsigned char signature[EVP_MAX_MD_SIZE];
    unsigned signature_bytes = 0;
    if (!jwt_keys_can_sign(keys)) return ERR_CONFIG;
    buf_reset(token);
    add64(token, (const unsigned char *)header, sizeof header - 1);
    buf_add_char(token, '.');
    add64(token, (const unsigned char *)payload.at, payload.bytes);
    if (!buf_ok(token) || HMAC(EVP_sha256(), keys->keys[0].secret, (int)keys->keys[0].secret_bytes, (unsigned char *)token->at,
                               token->bytes, signature, &signature_bytes) == NULL) return ERR_MEMORY;
    buf_add_char(token, '.');
    add64(token, signature, signature_bytes);
    return buf_ok(token) ? ERR_OK : ERR_MEMORY;
}
