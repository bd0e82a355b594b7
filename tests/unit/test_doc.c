/* Stored documents: what is encoded decodes, and nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/doc.h"

static struct stamp stamp_of(uint64_t rev, int64_t edited_ms, const char *user, const char *device)
{
    return (struct stamp){.rev = rev, .edited_ms = edited_ms, .user = span_text(user), .device = span_text(device)};
}

static struct field_stamp some_fields[2];

static struct doc some_doc(void)
{
    some_fields[0] = (struct field_stamp){SPAN_LITERAL(""), stamp_of(9007199254740993, INT64_MIN, "bob", "")};
    some_fields[1] = (struct field_stamp){SPAN_LITERAL("q\"\n"), stamp_of(2, -1, "ann", "phone-01")};
    return (struct doc){.rev = UINT64_MAX, .born = 3, .time_ms = INT64_MAX, .user = SPAN_LITERAL("ann"), .author = SPAN_LITERAL("caf\xc3\xa9"),
                        .whole = stamp_of(1, 17, "ann", "phone-01"), .fields_count = 2, .fields = some_fields,
                        .body = SPAN_LITERAL("{\"n\": 1234567890123456789}")};
}

static void assert_stamps_equal(const struct stamp *a, const struct stamp *b)
{
    assert_true(a->rev == b->rev && a->edited_ms == b->edited_ms && span_equal(a->user, b->user) && span_equal(a->device, b->device));
}

static void assert_docs_equal(const struct doc *a, const struct doc *b)
{
    assert_true(a->deleted == b->deleted && a->rev == b->rev && a->born == b->born && a->time_ms == b->time_ms);
    assert_true(span_equal(a->user, b->user) && span_equal(a->author, b->author) && span_equal(a->body, b->body));
    assert_stamps_equal(&a->whole, &b->whole);
    assert_int_equal(a->fields_count, b->fields_count);
    for (size_t i = 0; i < a->fields_count; i++) {
        assert_true(span_equal(a->fields[i].field, b->fields[i].field));
        assert_stamps_equal(&a->fields[i].stamp, &b->fields[i].stamp);
    }
}

static void doc__a_document_comes_back_as_it_was_stored(void **state)
{
    (void)state;
    struct doc docs[2] = {some_doc(), some_doc()};
    docs[1].deleted = true;
    docs[1].body = span_of(NULL, 0);
    docs[1].fields_count = 0;
    for (size_t i = 0; i < 2; i++) {
        struct arena arena;
        struct buf first, second;
        struct doc back;
        arena_init(&arena, 65536);
        buf_init(&first, 65536);
        buf_init(&second, 65536);
        doc_encode(&docs[i], &first);
        assert_int_equal(doc_decode(buf_span(&first), &arena, &back), ERR_OK);
        assert_docs_equal(&docs[i], &back);
        doc_encode(&back, &second);
        assert_true(span_equal(buf_span(&first), buf_span(&second)));
        arena_fini(&arena);
        buf_fini(&first);
        buf_fini(&second);
    }
}

/* In memory of its own length, so that a read past its end is caught. */
static enum err decode_alone(const char *bytes, size_t count)
{
    struct arena arena;
    struct doc back;
    char *alone = malloc(count > 0 ? count : 1);
    assert_non_null(alone);
    if (count > 0) memcpy(alone, bytes, count);
    arena_init(&arena, 65536);
    enum err err = doc_decode(span_of(alone, count), &arena, &back);
    arena_fini(&arena);
    free(alone);
    return err;
}

static void doc__a_torn_document_is_corrupt_wherever_it_is_torn(void **state)
{
    (void)state;
    struct doc doc = some_doc();
    struct buf buf;
    buf_init(&buf, 65536);
    doc_encode(&doc, &buf);
    for (size_t count = 0; count < buf.bytes; count++) assert_int_equal(decode_alone(buf.at, count), ERR_CORRUPT);
    assert_int_equal(decode_alone(buf.at, buf.bytes), ERR_OK);
    buf_add_char(&buf, '}');
    assert_int_equal(decode_alone(buf.at, buf.bytes), ERR_CORRUPT);
    buf_fini(&buf);
}

static void doc__another_version_is_told_from_corruption(void **state)
{
    (void)state;
    struct doc doc = some_doc();
    struct buf buf;
    buf_init(&buf, 65536);
    doc_encode(&doc, &buf);
    buf.at[0] = 2;
    assert_int_equal(decode_alone(buf.at, buf.bytes), ERR_VERSION);
    buf.at[0] = 1;
    buf.at[1] = 1; /* deleted, with a body */
    assert_int_equal(decode_alone(buf.at, buf.bytes), ERR_CORRUPT);
    buf.at[1] = 2;
    assert_int_equal(decode_alone(buf.at, buf.bytes), ERR_CORRUPT);
    buf_fini(&buf);
}

static void doc__frames_carry_the_body_byte_for_byte(void **state)
{
    (void)state;
    struct doc doc = some_doc();
    struct buf buf;
    buf_init(&buf, 65536);
    doc.rev = 12;
    doc.time_ms = 34;
    doc_render(&buf, SPAN_LITERAL("items"), SPAN_LITERAL("a\"b"), &doc, false);
    assert_true(span_is(buf_span(&buf), "{\"collection\":\"items\",\"id\":\"a\\\"b\",\"rev\":12,\"time\":34,\"user\":\"ann\",\"body\":{\"n\": 1234567890123456789}}"));
    buf_reset(&buf);
    doc.deleted = true;
    doc_render(&buf, SPAN_LITERAL("items"), SPAN_LITERAL("a"), &doc, true);
    assert_true(span_is(buf_span(&buf), "{\"collection\":\"items\",\"id\":\"a\",\"rev\":12,\"time\":34,\"user\":\"ann\",\"deleted\":true,\"born\":3}"));
    buf_fini(&buf);
}

static void doc__a_field_without_a_stamp_is_governed_by_the_whole(void **state)
{
    (void)state;
    struct doc doc = some_doc();
    assert_int_equal(doc_stamp(&doc, SPAN_LITERAL("q\"\n")).rev, 2);
    assert_int_equal(doc_stamp(&doc, SPAN_LITERAL("other")).rev, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doc__a_document_comes_back_as_it_was_stored),
        cmocka_unit_test(doc__a_torn_document_is_corrupt_wherever_it_is_torn),
        cmocka_unit_test(doc__another_version_is_told_from_corruption),
        cmocka_unit_test(doc__frames_carry_the_body_byte_for_byte),
        cmocka_unit_test(doc__a_field_without_a_stamp_is_governed_by_the_whole),
    };
    return cmocka_run_group_tests_name("doc", tests, NULL, NULL);
}
