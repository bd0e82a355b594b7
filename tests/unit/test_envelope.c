/* The form of a sealed body: what is one, what is not, and one that any language must open (schemas/vectors/sealed.json). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/seal.h"
#include "tests/support/unit.h"

enum { VECTOR_BYTES_MAX = 4096 };

static struct json_value value(const char *text)
{
    struct json_value made;
    assert_true(json_check(span_text(text), &made, NULL));
    return made;
}

static enum envelope_is what(const char *text)
{
    struct envelope envelope;
    return envelope_decode(value(text), &envelope);
}

#define NONCE "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"

static void an_envelope_has_its_four_members_and_no_other(void **state)
{
    (void)state;
    assert_int_equal(what("{\"sealed\":1,\"key\":\"k\",\"nonce\":\"" NONCE "\",\"box\":\"AAAA\"}"), ENVELOPE_GOOD);
    assert_int_equal(what("{\"box\":\"\",\"nonce\":\"" NONCE "\",\"key\":\"k\",\"sealed\":1}"), ENVELOPE_GOOD);
    assert_int_equal(what("{\"sealed\":2,\"key\":\"k\",\"nonce\":\"" NONCE "\",\"box\":\"AAAA\"}"), ENVELOPE_BAD);
    assert_int_equal(what("{\"sealed\":1,\"key\":\"k\",\"nonce\":\"" NONCE "\",\"box\":\"AAAA\",\"more\":1}"), ENVELOPE_BAD);
    assert_int_equal(what("{\"sealed\":1,\"key\":\"k\",\"key\":\"k\",\"box\":\"AAAA\"}"), ENVELOPE_BAD);
    assert_int_equal(what("{\"sealed\":1,\"key\":\"\",\"nonce\":\"" NONCE "\",\"box\":\"AAAA\"}"), ENVELOPE_BAD);
    assert_int_equal(what("{\"sealed\":1,\"key\":\"a b\",\"nonce\":\"" NONCE "\",\"box\":\"AAAA\"}"), ENVELOPE_BAD);
    assert_int_equal(what("{\"sealed\":1,\"key\":\"k\",\"nonce\":\"AAAA\",\"box\":\"AAAA\"}"), ENVELOPE_BAD);
    assert_int_equal(what("{\"sealed\":1,\"key\":\"k\",\"nonce\":\"" NONCE "AAAA\",\"box\":\"AAAA\"}"), ENVELOPE_BAD);
    assert_int_equal(what("{\"sealed\":1}"), ENVELOPE_BAD);
    assert_int_equal(what("{\"sealed\":true}"), ENVELOPE_NONE);
    assert_int_equal(what("{\"text\":\"hello\"}"), ENVELOPE_NONE);
    assert_int_equal(what("{}"), ENVELOPE_NONE);
    assert_int_equal(what("[1]"), ENVELOPE_NONE);
}

static void base64_has_one_spelling(void **state)
{
    static const struct { const char *text, *bytes; size_t count; } good[] = {{"", "", 0}, {"Zg==", "f", 1}, {"Zm8=", "fo", 2}, {"Zm9v", "foo", 3}, {"Zm9vYmFy", "foobar", 6}, {"+/+/", "\xfb\xff\xbf", 3}};
    static const char *const bad[] = {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zm9v=", "Z===", "====", "Zg==Zg==", "Zm9 ", "Zm-_", "Zm\n9"};
    unsigned char bytes[16];
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(envelope_base64(span_text(good[i].text), bytes, sizeof bytes), good[i].count);
        assert_memory_equal(bytes, good[i].bytes, good[i].count);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_true(envelope_base64(span_text(bad[i]), bytes, sizeof bytes) == SIZE_MAX);
    assert_true(envelope_base64(span_text("Zm9v"), bytes, 2) == SIZE_MAX);
}

/* ---- the vector ---- */

static enum seal_answer give(void *ctx, struct span space, struct span collection, struct span id, struct seal_key *ret_key)
{
    (void)space;
    (void)collection;
    (void)id;
    *ret_key = *(const struct seal_key *)ctx;
    return SEAL_ANSWER_HERE;
}

static void count_up(void *ctx, void *ret_bytes, size_t bytes)
{
    unsigned char *at = ret_bytes;
    (void)ctx;
    for (size_t i = 0; i < bytes; i++) at[i] = (unsigned char)i;
}

static void any_language_opens_what_is_sealed_here(void **state)
{
    static char text[VECTOR_BYTES_MAX];
    struct seal_key key = {.id = ""};
    struct seal seal = {&key, give, count_up};
    struct arena arena;
    struct buf out;
    (void)state;
    FILE *file = fopen("schemas/vectors/sealed.json", "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_true(seal_init());
    struct json_value vector = value(text), body = json_find(vector, "body");
    struct span id = json_inside(json_find(vector, "key_id"));
    struct seal_place place = {json_inside(json_find(vector, "space")), json_inside(json_find(vector, "collection")), json_inside(json_find(vector, "id"))};
    assert_int_equal(envelope_base64(json_inside(json_find(vector, "key")), key.bytes, sizeof key.bytes), sizeof key.bytes);
    memcpy(key.id, id.at, id.bytes);
    arena_init(&arena, 1 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(seal_close(&seal, &key, &place, body.raw, &out), ERR_OK);
    assert_true(span_equal(buf_span(&out), json_find(vector, "sealed").raw));
    struct span opened;
    assert_int_equal(seal_open(&seal, &place, json_find(vector, "sealed").raw, &arena, &opened), SEAL_OPENED);
    assert_true(span_equal(opened, body.raw));
    /* Of another document, or under another key, it does not. */
    place.id = SPAN_LITERAL("another");
    assert_int_equal(seal_open(&seal, &place, buf_span(&out), &arena, &opened), SEAL_BROKEN);
    place.id = json_inside(json_find(vector, "id"));
    key.bytes[0] ^= 1;
    assert_int_equal(seal_open(&seal, &place, buf_span(&out), &arena, &opened), SEAL_BROKEN);
    buf_fini(&out);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_envelope_has_its_four_members_and_no_other),
        cmocka_unit_test(base64_has_one_spelling),
        cmocka_unit_test(any_language_opens_what_is_sealed_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
