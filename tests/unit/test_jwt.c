/* Tokens: what is let in, and the attacks that are not. Keys are made here; a token is forged with the very bytes at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jwt.h"

#define NOW_MS INT64_C(1800000000000)
#define CLAIMS "{\"sub\":\"ana\",\"exp\":1800000100}"
static const char secret[] = "a secret of thirty-two bytes....";
static const struct jwt_rules no_rules = {0};
static struct jwt_claims claims;

static struct jwt_keys *keys_of(const char *text)
{
    struct jwt_keys *keys = NULL;
    char why[256] = "";
    if (jwt_keys_parse(span_text(text), &keys, why, sizeof why) != ERR_OK) fail_msg("%s", why);
    return keys;
}

static void encode(struct buf *out, const void *bytes, size_t count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const unsigned char *at = bytes;
    unsigned bits = 0, value = 0;
    for (size_t i = 0; i < count; i++) {
        value = (value << 8 | at[i]) & 0xffff;
        for (bits += 8; bits >= 6; bits -= 6) buf_add_char(out, digits[value >> (bits - 6) & 63]);
    }
    if (bits > 0) buf_add_char(out, digits[value << (6 - bits) & 63]);
}

static void begin(struct buf *token, const char *header, const char *payload)
{
    buf_init(token, 65536);
    encode(token, header, strlen(header));
    buf_add_char(token, '.');
    encode(token, payload, strlen(payload));
}

static void end(struct buf *token, const unsigned char *signature, size_t bytes)
{
    buf_add_char(token, '.');
    encode(token, signature, bytes);
    assert_true(buf_ok(token));
}

static void make_hmac(struct buf *token, const char *header, const char *payload, const void *key, size_t key_bytes)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    const EVP_MD *digest = strstr(header, "512") != NULL ? EVP_sha512() : strstr(header, "384") != NULL ? EVP_sha384() : EVP_sha256();
    begin(token, header, payload);
    assert_non_null(HMAC(digest, key, (int)key_bytes, (const unsigned char *)token->at, token->bytes, mac, &bytes));
    end(token, mac, bytes);
}

/* JWS has r and s of an ECDSA signature side by side. */
static size_t raw_signature(unsigned char *signature, size_t bytes, size_t half)
{
    const unsigned char *at = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)bytes);
    assert_non_null(pair);
    unsigned char raw[160];
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, (int)half), (int)half);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + half, (int)half), (int)half);
    memcpy(signature, raw, 2 * half);
    ECDSA_SIG_free(pair);
    return 2 * half;
}

static void make_signed(struct buf *token, const char *algorithm, const char *payload, EVP_PKEY *key)
{
    char header[64];
    unsigned char signature[1024];
    size_t bytes = sizeof signature;
    EVP_PKEY_CTX *pctx = NULL;
    const EVP_MD *digest = strstr(algorithm, "256") != NULL ? EVP_sha256() : strstr(algorithm, "384") != NULL ? EVP_sha384() : EVP_sha512();
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", algorithm);
    begin(token, header, payload);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, &pctx, strcmp(algorithm, "EdDSA") == 0 ? NULL : digest, NULL, key), 1);
    if (algorithm[0] == 'P') {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(ctx, signature, &bytes, (const unsigned char *)token->at, token->bytes), 1);
    EVP_MD_CTX_free(ctx);
    if (algorithm[0] == 'E' && algorithm[1] == 'S') bytes = raw_signature(signature, bytes, ((size_t)EVP_PKEY_get_bits(key) + 7) / 8);
    end(token, signature, bytes);
}

static char *pem_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *at = NULL;
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    long bytes = BIO_get_mem_data(bio, &at);
    char *text = strndup(at, (size_t)bytes);
    BIO_free(bio);
    return text;
}

static enum err verify(const struct jwt_keys *keys, struct span token)
{
    const char *why = NULL;
    enum err err = jwt_verify(keys, &no_rules, token, NOW_MS, &claims, &why);
    assert_true(err == ERR_OK ? why == NULL : err == ERR_UNAUTHENTICATED && why != NULL);
    return err;
}

/* With the secret, under `rules`, at NOW_MS. */
static enum err verify_payload(const char *payload, const struct jwt_rules *rules)
{
    struct jwt_keys *keys = keys_of(secret);
    struct buf token;
    const char *why = NULL;
    make_hmac(&token, "{\"alg\":\"HS256\"}", payload, secret, strlen(secret));
    enum err err = jwt_verify(keys, rules, buf_span(&token), NOW_MS, &claims, &why);
    buf_fini(&token);
    jwt_keys_free(keys);
    return err;
}
static enum err verify_claims(const char *payload) { return verify_payload(payload, &no_rules); }

static void what_a_token_says_is_told(void **state)
{
    (void)state;
    assert_int_equal(verify_claims("{\"sub\":\"an\\u0061\",\"exp\":1800000100,\"admin\":true,\"spaces\":{\"chat:*\":\"rw\",\"cart:bob\":\"r\"}}"), ERR_OK);
    assert_string_equal(claims.user, "ana");
    assert_int_equal(claims.user_bytes, 3);
    assert_true(claims.admin);
    assert_int_equal(claims.expires_ms, INT64_C(1800000100000) + JWT_LEEWAY_MS);
    assert_true(span_is(claims.spaces, "{\"chat:*\":\"rw\",\"cart:bob\":\"r\"}"));
    assert_int_equal(verify_claims(CLAIMS), ERR_OK);
    assert_false(claims.admin);
    assert_null(claims.spaces.at);
    assert_int_equal(verify_claims("{\"sub\":\"ana\",\"exp\":1800000100,\"admin\":\"true\"}"), ERR_OK);
    assert_false(claims.admin);
}

static void our_own_tokens_are_taken(void **state)
{
    struct jwt_keys *keys = keys_of(secret);
    struct buf token;
    (void)state;
    buf_init(&token, 4096);
    assert_int_equal(jwt_sign(keys, SPAN_LITERAL(CLAIMS), &token), ERR_OK);
    assert_int_equal(verify(keys, buf_span(&token)), ERR_OK);
    for (size_t i = 0; i < token.bytes; i++) { /* each changed byte, also in the signature, makes it another */
        char was = token.at[i];
        token.at[i] = was == 'A' ? 'B' : 'A';
        if (verify(keys, buf_span(&token)) == ERR_OK) fail_msg("byte %zu changed, and still good", i);
        token.at[i] = was;
    }
    buf_fini(&token);
    jwt_keys_free(keys);
}

static void unsigned_tokens_are_refused(void **state)
{
    static const char *const names[] = {"none", "None", "NONE", "nOnE", ""};
    struct jwt_keys *keys = keys_of(secret);
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char header[64];
        struct buf token;
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", names[i]);
        begin(&token, header, CLAIMS);
        end(&token, NULL, 0);
        assert_int_equal(verify(keys, buf_span(&token)), ERR_UNAUTHENTICATED);
        buf_fini(&token);
        make_hmac(&token, header, CLAIMS, secret, strlen(secret));
        assert_int_equal(verify(keys, buf_span(&token)), ERR_UNAUTHENTICATED);
        buf_fini(&token);
    }
    jwt_keys_free(keys);
}

/* The public key is public: whoever could make it count as a secret could sign. */
static void a_public_keys_text_signs_nothing(void **state)
{
    static const char *const headers[] = {"{\"alg\":\"HS256\"}", "{\"alg\":\"HS384\"}", "{\"alg\":\"HS512\"}"};
    EVP_PKEY *made[] = {EVP_RSA_gen(2048), EVP_EC_gen("P-256"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        char *pem = pem_of(made[k]);
        struct jwt_keys *keys = keys_of(pem);
        assert_false(jwt_keys_can_sign(keys));
        for (size_t i = 0; i < 3; i++) {
            for (size_t cut = 0; cut < 2; cut++) { /* with and without its last line end */
                struct buf token;
                make_hmac(&token, headers[i], CLAIMS, pem, strlen(pem) - cut);
                assert_int_equal(verify(keys, buf_span(&token)), ERR_UNAUTHENTICATED);
                buf_fini(&token);
            }
        }
        jwt_keys_free(keys);
        free(pem);
        EVP_PKEY_free(made[k]);
    }
}

static void each_key_takes_its_own_algorithms_and_no_other(void **state)
{
    static const struct { const char *kind, *good; } kinds[] = {
        {"RSA", "RS256 RS384 RS512 PS256 PS384 PS512"}, {"P-256", "ES256"}, {"P-384", "ES384"}, {"P-521", "ES512"}, {"ED25519", "EdDSA"}};
    static const char *const algorithms[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"};
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        bool rsa = kinds[k].kind[0] == 'R', ed = kinds[k].kind[0] == 'E';
        EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : ed ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen(kinds[k].kind);
        char *pem = pem_of(key);
        struct jwt_keys *keys = keys_of(pem);
        for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
            struct buf token;
            /* Sign what this key can sign under that name: a matching family, whatever the digest. */
            bool can = rsa ? algorithms[i][1] == 'S' && algorithms[i][0] != 'E' : ed ? algorithms[i][1] == 'd' : strncmp(algorithms[i], "ES", 2) == 0;
            if (!can) continue;
            make_signed(&token, algorithms[i], CLAIMS, key);
            assert_int_equal(verify(keys, buf_span(&token)), strstr(kinds[k].good, algorithms[i]) != NULL ? ERR_OK : ERR_UNAUTHENTICATED);
            token.at[token.bytes - 8] = token.at[token.bytes - 8] == 'A' ? 'B' : 'A';
            assert_int_equal(verify(keys, buf_span(&token)), ERR_UNAUTHENTICATED);
            buf_fini(&token);
        }
        jwt_keys_free(keys);
        free(pem);
        EVP_PKEY_free(key);
    }
}

static void anothers_key_is_refused(void **state)
{
    EVP_PKEY *mine = EVP_EC_gen("P-256"), *theirs = EVP_EC_gen("P-256");
    char *pem = pem_of(mine);
    struct jwt_keys *keys = keys_of(pem), *secrets = keys_of(secret);
    struct buf token;
    (void)state;
    make_signed(&token, "ES256", CLAIMS, theirs);
    assert_int_equal(verify(keys, buf_span(&token)), ERR_UNAUTHENTICATED);
    buf_fini(&token);
    make_hmac(&token, "{\"alg\":\"HS256\"}", CLAIMS, "another secret of many bytes", 28);
    assert_int_equal(verify(secrets, buf_span(&token)), ERR_UNAUTHENTICATED);
    buf_fini(&token);
    make_hmac(&token, "{\"alg\":\"HS512\"}", CLAIMS, secret, strlen(secret)); /* the right secret, another algorithm */
    assert_int_equal(verify(secrets, buf_span(&token)), ERR_UNAUTHENTICATED);
    buf_fini(&token);
    jwt_keys_free(keys);
    jwt_keys_free(secrets);
    free(pem);
    EVP_PKEY_free(mine);
    EVP_PKEY_free(theirs);
}

static void time_is_checked_with_half_a_minutes_leeway(void **state)
{
    (void)state;
    assert_int_equal(verify_claims("{\"sub\":\"ana\",\"exp\":1799999971}"), ERR_OK);
    assert_int_equal(verify_claims("{\"sub\":\"ana\",\"exp\":1799999970}"), ERR_UNAUTHENTICATED);
    assert_int_equal(verify_claims("{\"sub\":\"ana\",\"exp\":1800000100,\"nbf\":1800000030}"), ERR_OK);
    assert_int_equal(verify_claims("{\"sub\":\"ana\",\"exp\":1800000100,\"nbf\":1800000031}"), ERR_UNAUTHENTICATED);
    assert_int_equal(verify_claims("{\"sub\":\"ana\",\"exp\":1800000100.75}"), ERR_OK);
}

static void a_token_without_an_end_or_a_user_is_refused(void **state)
{
    static const char *const payloads[] = {
        "{\"sub\":\"ana\"}", "{\"exp\":1800000100}", "{\"sub\":\"ana\",\"exp\":\"1800000100\"}", "{\"sub\":\"ana\",\"exp\":null}",
        "{\"sub\":\"ana\",\"exp\":-1}", "{\"sub\":\"ana\",\"exp\":99999999999999999999}", "{\"sub\":\"ana\",\"exp\":1e300}",
        "{\"sub\":\"ana\",\"exp\":1800000100,\"nbf\":2.5e9}", "{\"sub\":\"ana\",\"exp\":1800000100,\"nbf\":\"soon\"}",
        "{\"sub\":\"\",\"exp\":1800000100}", "{\"sub\":7,\"exp\":1800000100}", "{\"sub\":\"a\\u0000b\",\"exp\":1800000100}", "{\"sub\":\"a\\nb\",\"exp\":1800000100}",
        "{\"sub\":\"ana\",\"sub\":\"bob\",\"exp\":1800000100}", "{\"sub\":\"ana\",\"exp\":1,\"exp\":1800000100}", "{\"sub\":\"ana\",\"exp\":1800000100}x",
        "[]", "null", "", "{"};
    char longest[256];
    (void)state;
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++)
        if (verify_claims(payloads[i]) != ERR_UNAUTHENTICATED) fail_msg("taken: %s", payloads[i]);
    snprintf(longest, sizeof longest, "{\"sub\":\"%0128d\",\"exp\":1800000100}", 1);
    assert_int_equal(verify_claims(longest), ERR_OK);
    assert_int_equal(claims.user_bytes, LIMIT_USER_BYTES_MAX);
    snprintf(longest, sizeof longest, "{\"sub\":\"%0129d\",\"exp\":1800000100}", 1);
    assert_int_equal(verify_claims(longest), ERR_UNAUTHENTICATED);
}

static void issuer_and_audience_are_checked_where_configured(void **state)
{
    const struct jwt_rules issuer = {.issuer = "https://id.example"}, audience = {.audience = "tidegate"};
    (void)state;
    assert_int_equal(verify_payload("{\"sub\":\"a\",\"exp\":1800000100,\"iss\":\"https://id.example\"}", &issuer), ERR_OK);
    assert_int_equal(verify_payload("{\"sub\":\"a\",\"exp\":1800000100,\"iss\":\"https://id.example.org\"}", &issuer), ERR_UNAUTHENTICATED);
    assert_int_equal(verify_payload("{\"sub\":\"a\",\"exp\":1800000100}", &issuer), ERR_UNAUTHENTICATED);
    assert_int_equal(verify_payload("{\"sub\":\"a\",\"exp\":1800000100,\"aud\":\"tidegate\"}", &audience), ERR_OK);
    assert_int_equal(verify_payload("{\"sub\":\"a\",\"exp\":1800000100,\"aud\":[\"x\",\"tidegate\"]}", &audience), ERR_OK);
    assert_int_equal(verify_payload("{\"sub\":\"a\",\"exp\":1800000100,\"aud\":[\"x\",[\"tidegate\"]]}", &audience), ERR_UNAUTHENTICATED);
    assert_int_equal(verify_payload("{\"sub\":\"a\",\"exp\":1800000100,\"aud\":{\"tidegate\":1}}", &audience), ERR_UNAUTHENTICATED);
    assert_int_equal(verify_payload("{\"sub\":\"a\",\"exp\":1800000100}", &audience), ERR_UNAUTHENTICATED);
}

static void grants_that_mean_nothing_are_refused(void **state)
{
    static const char *const grants[] = {"[]", "\"chat:*\"", "{\"chat:*\":\"w\"}", "{\"chat:*\":true}", "{\"\":\"r\"}", "{\"ch*at:x\":\"r\"}"};
    char payload[LIMIT_TOKEN_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof grants / sizeof grants[0]; i++) {
        snprintf(payload, sizeof payload, "{\"sub\":\"ana\",\"exp\":1800000100,\"spaces\":%s}", grants[i]);
        if (verify_claims(payload) != ERR_UNAUTHENTICATED) fail_msg("taken: %s", grants[i]);
    }
    for (int count = LIMIT_GRANTS_MAX; count <= LIMIT_GRANTS_MAX + 1; count++) {
        size_t at = (size_t)snprintf(payload, sizeof payload, "{\"sub\":\"ana\",\"exp\":1800000100,\"spaces\":{");
        for (int i = 0; i < count; i++) at += (size_t)snprintf(payload + at, sizeof payload - at, "%s\"chat:r%d\":\"r\"", i == 0 ? "" : ",", i);
        snprintf(payload + at, sizeof payload - at, "}}");
        assert_int_equal(verify_claims(payload), count == LIMIT_GRANTS_MAX ? ERR_OK : ERR_UNAUTHENTICATED);
    }
}

static void headers_that_hide_something_are_refused(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}", "{\"alg\":\"none\",\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",\"kid\":7}",
        "{\"alg\":[\"HS256\"]}", "{\"alg\":\"hs256\"}", "{\"alg\":\"HS256 \"}", "{}", "[]", "\"HS256\"", "", "{\"alg\":\"HS256\"} x"};
    struct jwt_keys *keys = keys_of(secret);
    struct buf token;
    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        make_hmac(&token, headers[i], CLAIMS, secret, strlen(secret));
        if (verify(keys, buf_span(&token)) != ERR_UNAUTHENTICATED) fail_msg("taken: %s", headers[i]);
        buf_fini(&token);
    }
    jwt_keys_free(keys);
}

static void text_that_is_no_token_is_refused(void **state)
{
    static const char *const texts[] = {"", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d.e", "?", "e30.e30.", "e30=.e30.AA", "e3 0.e30.AA", "\xff.\xff.\xff"};
    struct jwt_keys *keys = keys_of(secret);
    struct buf token;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) assert_int_equal(verify(keys, span_text(texts[i])), ERR_UNAUTHENTICATED);
    make_hmac(&token, "{\"alg\":\"HS256\"}", CLAIMS, secret, strlen(secret));
    buf_add_char(&token, '=');
    assert_int_equal(verify(keys, buf_span(&token)), ERR_UNAUTHENTICATED); /* padded */
    buf_truncate(&token, token.bytes - 1);
    assert_int_equal(verify(keys, buf_span(&token)), ERR_OK);
    token.at[token.bytes - 1]++; /* the next digit differs in bits that are no signature's: one token, one text */
    assert_int_equal(verify(keys, buf_span(&token)), ERR_UNAUTHENTICATED);
    token.at[token.bytes - 1]--;
    for (size_t bytes = 0; bytes < token.bytes; bytes++)
        assert_int_equal(verify(keys, span_of(token.at, bytes)), ERR_UNAUTHENTICATED);
    buf_fini(&token);
    jwt_keys_free(keys);
}

static void a_token_past_its_limit_is_refused(void **state)
{
    static char payload[16384];
    struct jwt_keys *keys = keys_of(secret);
    struct buf token;
    (void)state;
    for (int filler = 5000; filler <= 11000; filler += 1000) {
        snprintf(payload, sizeof payload, "{\"sub\":\"ana\",\"exp\":1800000100,\"x\":\"%0*d\"}", filler, 1);
        make_hmac(&token, "{\"alg\":\"HS256\"}", payload, secret, strlen(secret));
        assert_int_equal(verify(keys, buf_span(&token)), token.bytes <= LIMIT_TOKEN_BYTES_MAX ? ERR_OK : ERR_UNAUTHENTICATED);
        buf_fini(&token);
    }
    jwt_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_token_says_is_told),
        cmocka_unit_test(our_own_tokens_are_taken),
        cmocka_unit_test(unsigned_tokens_are_refused),
        cmocka_unit_test(a_public_keys_text_signs_nothing),
        cmocka_unit_test(each_key_takes_its_own_algorithms_and_no_other),
        cmocka_unit_test(anothers_key_is_refused),
        cmocka_unit_test(time_is_checked_with_half_a_minutes_leeway),
        cmocka_unit_test(a_token_without_an_end_or_a_user_is_refused),
        cmocka_unit_test(issuer_and_audience_are_checked_where_configured),
        cmocka_unit_test(grants_that_mean_nothing_are_refused),
        cmocka_unit_test(headers_that_hide_something_are_refused),
        cmocka_unit_test(text_that_is_no_token_is_refused),
        cmocka_unit_test(a_token_past_its_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
