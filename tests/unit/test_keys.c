/* Key files: what they may hold, and what is refused before it can do harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jwt.h"

#define NOW_MS INT64_C(1800000000000)
static const struct jwt_rules no_rules = {0};
static struct jwt_claims claims;
static char why[256];

static enum err parse(struct span text)
{
    struct jwt_keys *keys = NULL;
    why[0] = '\0';
    enum err err = jwt_keys_parse(text, &keys, why, sizeof why);
    assert_true((err == ERR_OK) == (keys != NULL));
    if (err != ERR_OK) assert_true(why[0] != '\0');
    jwt_keys_free(keys);
    return err;
}

static void sign(struct span secret, struct buf *token)
{
    struct jwt_keys *keys = NULL;
    assert_int_equal(jwt_keys_parse(secret, &keys, why, sizeof why), ERR_OK);
    buf_init(token, 4096);
    assert_int_equal(jwt_sign(keys, SPAN_LITERAL("{\"sub\":\"ana\",\"exp\":1800000100}"), token), ERR_OK);
    jwt_keys_free(keys);
}

/* Is what `secret` signs good under the keys of `text`? */
static bool takes(struct span text, struct span secret)
{
    struct jwt_keys *keys = NULL;
    struct buf token;
    const char *reason;
    if (jwt_keys_parse(text, &keys, why, sizeof why) != ERR_OK) fail_msg("%s", why);
    sign(secret, &token);
    bool good = jwt_verify(keys, &no_rules, buf_span(&token), NOW_MS, &claims, &reason) == ERR_OK;
    buf_fini(&token);
    jwt_keys_free(keys);
    return good;
}

static struct span public_of(EVP_PKEY *key, bool der)
{
    static char room[4096];
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(der ? i2d_PUBKEY_bio(bio, key) : PEM_write_bio_PUBKEY(bio, key), 1);
    int bytes = BIO_read(bio, room, sizeof room);
    assert_true(bytes > 0);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return span_of(room, (size_t)bytes);
}

static void a_secret_is_its_bytes_less_one_final_newline(void **state)
{
    (void)state;
    assert_true(takes(SPAN_LITERAL("sixteen bytes at least\n"), SPAN_LITERAL("sixteen bytes at least")));
    assert_false(takes(SPAN_LITERAL("sixteen bytes at least\n\n"), SPAN_LITERAL("sixteen bytes at least")));
    assert_false(takes(SPAN_LITERAL("sixteen bytes at least\r\n"), SPAN_LITERAL("sixteen bytes at least")));
    assert_false(takes(SPAN_LITERAL(" sixteen bytes at least"), SPAN_LITERAL("sixteen bytes at least")));
    assert_true(takes(SPAN_LITERAL("binary\0bytes\xff\x80, and more"), SPAN_LITERAL("binary\0bytes\xff\x80, and more")));
    assert_false(takes(SPAN_LITERAL("binary\0bytes\xff\x80, and more"), SPAN_LITERAL("binary\0bytes\xff\x80, and less")));
}

static void an_empty_secret_is_refused(void **state)
{
    (void)state;
    assert_int_equal(parse(SPAN_LITERAL("")), ERR_CONFIG);
    assert_int_equal(parse(SPAN_LITERAL("\n")), ERR_CONFIG);
    assert_int_equal(parse(SPAN_LITERAL("s\n")), ERR_OK); /* what an operator chose is his: `check` and the log warn of it */
}

static void a_public_key_in_another_dress_is_no_secret(void **state)
{
    (void)state;
    assert_int_equal(parse(public_of(EVP_RSA_gen(2048), true)), ERR_CONFIG);
    assert_int_equal(parse(public_of(EVP_EC_gen("P-256"), true)), ERR_CONFIG);
    assert_int_equal(parse(SPAN_LITERAL("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxvcmVtaXBzdW1kb2xvcnNpdGFtZXQ= me@here\n")), ERR_CONFIG);
    assert_int_equal(parse(SPAN_LITERAL("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}")), ERR_CONFIG);
    assert_int_equal(parse(SPAN_LITERAL("{\"keys\":{}}")), ERR_CONFIG);
}

static void pem_that_is_no_public_key_is_refused(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_mem());
    char room[2048];
    (void)state;
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    int bytes = BIO_read(bio, room, sizeof room);
    assert_int_equal(parse(span_of(room, (size_t)bytes)), ERR_CONFIG);
    BIO_free(bio);
    EVP_PKEY_free(key);
    assert_int_equal(parse(SPAN_LITERAL("-----BEGIN PUBLIC KEY-----\n")), ERR_CONFIG);
    assert_int_equal(parse(SPAN_LITERAL("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), ERR_CONFIG);
}

static void weak_or_foreign_kinds_of_keys_are_refused(void **state)
{
    (void)state;
    assert_int_equal(parse(public_of(EVP_RSA_gen(2048), false)), ERR_OK);
    assert_int_equal(parse(public_of(EVP_RSA_gen(1024), false)), ERR_CONFIG);
    assert_non_null(strstr(why, "2048"));
    assert_int_equal(parse(public_of(EVP_EC_gen("secp256k1"), false)), ERR_CONFIG);
    assert_int_equal(parse(public_of(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), false)), ERR_CONFIG);
    assert_int_equal(parse(public_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), false)), ERR_CONFIG);
}

/* Two secrets, and each in base64url. */
#define FIRST "the first secret of this set"
#define SECOND "the second secret of this set"
#define FIRST64 "dGhlIGZpcnN0IHNlY3JldCBvZiB0aGlzIHNldA"
#define SECOND64 "dGhlIHNlY29uZCBzZWNyZXQgb2YgdGhpcyBzZXQ"

static void a_set_takes_what_any_of_its_keys_signed(void **state)
{
    struct span set = SPAN_LITERAL("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" FIRST64 "\"},{\"kty\":\"oct\",\"kid\":\"b\",\"alg\":\"HS256\",\"k\":\"" SECOND64 "\"}]}");
    struct jwt_keys *keys = NULL;
    (void)state;
    assert_true(takes(set, SPAN_LITERAL(FIRST)));
    assert_true(takes(set, SPAN_LITERAL(SECOND)));
    assert_false(takes(set, SPAN_LITERAL("a secret that is not in the set")));
    assert_int_equal(jwt_keys_parse(set, &keys, why, sizeof why), ERR_OK);
    assert_false(jwt_keys_can_sign(keys)); /* which of them? */
    jwt_keys_free(keys);
}

static void a_keys_algorithm_is_pinned_by_its_set(void **state)
{
    (void)state;
    assert_false(takes(SPAN_LITERAL("{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS512\",\"k\":\"" FIRST64 "\"}]}"), SPAN_LITERAL(FIRST)));
    assert_true(takes(SPAN_LITERAL("{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"" FIRST64 "\"}]}"), SPAN_LITERAL(FIRST)));
}

static void what_a_set_holds_for_others_is_passed_over(void **state)
{
    static const char *const others[] = {
        "{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"" SECOND64 "\"}", "{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}", "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AA\"}", "{\"kty\":\"new\"}",
        "{\"kty\":\"oct\",\"alg\":\"none\",\"k\":\"" SECOND64 "\"}", "{\"kty\":\"oct\",\"alg\":\"HS256 and more\",\"k\":\"" SECOND64 "\"}",
        "{\"kty\":\"oct\",\"alg\":\"RS256\",\"k\":\"" SECOND64 "\"}", "7", "{}"};
    char text[1024];
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(text, sizeof text, "{\"keys\":[%s]}", others[i]);
        if (parse(span_text(text)) != ERR_CONFIG) fail_msg("taken alone: %s", others[i]);
        snprintf(text, sizeof text, "{\"keys\":[%s,{\"kty\":\"oct\",\"k\":\"" FIRST64 "\"}]}", others[i]);
        if (!takes(span_text(text), SPAN_LITERAL(FIRST))) fail_msg("the key behind it is lost: %s", others[i]);
        if (takes(span_text(text), SPAN_LITERAL(SECOND))) fail_msg("used: %s", others[i]);
    }
}

static void a_malformed_key_refuses_its_set(void **state)
{
    static const char *const malformed[] = {
        "{\"kty\":\"oct\"}", "{\"kty\":\"oct\",\"k\":\"\"}", "{\"kty\":\"oct\",\"k\":\"not base64url!\"}", "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\",\"y\":\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", "{\"kty\":\"oct\",\"kid\":7,\"k\":\"" FIRST64 "\"}"};
    char text[1024], id[200];
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        snprintf(text, sizeof text, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"" FIRST64 "\"},%s]}", malformed[i]);
        if (parse(span_text(text)) != ERR_CONFIG) fail_msg("taken: %s", malformed[i]);
    }
    snprintf(id, sizeof id, "%0150d", 1);
    snprintf(text, sizeof text, "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"%s\",\"k\":\"" FIRST64 "\"}]}", id);
    assert_int_equal(parse(span_text(text)), ERR_CONFIG);
}

static void a_set_past_its_bound_is_refused(void **state)
{
    char text[4096];
    (void)state;
    for (int count = JWT_KEYS_MAX; count <= JWT_KEYS_MAX + 1; count++) {
        size_t at = (size_t)snprintf(text, sizeof text, "{\"keys\":[");
        for (int i = 0; i < count; i++) at += (size_t)snprintf(text + at, sizeof text - at, "%s{\"kty\":\"oct\",\"k\":\"" FIRST64 "\"}", i == 0 ? "" : ",");
        snprintf(text + at, sizeof text - at, "]}");
        assert_int_equal(parse(span_text(text)), count == JWT_KEYS_MAX ? ERR_OK : ERR_CONFIG);
    }
}

static void a_file_that_cannot_be_used_is_named(void **state)
{
    struct jwt_keys *keys = NULL;
    char path[] = "/tmp/tidegate-keys-XXXXXX", line[256];
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "\n", 1), 1);
    assert_int_equal(jwt_keys_load(path, &keys, line, sizeof line), ERR_CONFIG);
    assert_non_null(strstr(line, path));
    assert_non_null(strstr(line, "--jwt-key"));
    assert_int_equal(pwrite(fd, "a secret of many bytes\n", 23, 0), 23);
    assert_int_equal(jwt_keys_load(path, &keys, line, sizeof line), ERR_OK);
    assert_true(jwt_keys_can_sign(keys));
    jwt_keys_free(keys);
    assert_int_equal(ftruncate(fd, JWT_KEY_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(jwt_keys_load(path, &keys, line, sizeof line), ERR_CONFIG);
    close(fd);
    unlink(path);
    assert_int_equal(jwt_keys_load(path, &keys, line, sizeof line), ERR_CONFIG);
    assert_non_null(strstr(line, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_secret_is_its_bytes_less_one_final_newline),
        cmocka_unit_test(an_empty_secret_is_refused),
        cmocka_unit_test(a_public_key_in_another_dress_is_no_secret),
        cmocka_unit_test(pem_that_is_no_public_key_is_refused),
        cmocka_unit_test(weak_or_foreign_kinds_of_keys_are_refused),
        cmocka_unit_test(a_set_takes_what_any_of_its_keys_signed),
        cmocka_unit_test(a_keys_algorithm_is_pinned_by_its_set),
        cmocka_unit_test(what_a_set_holds_for_others_is_passed_over),
        cmocka_unit_test(a_malformed_key_refuses_its_set),
        cmocka_unit_test(a_set_past_its_bound_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_used_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
