/* The queue of frames on their way to one device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/outq.h"

static bool add(struct outq *queue, const char *text)
{
    struct blob *frame = blob_make(span_text(text));
    assert_non_null(frame);
    bool taken = outq_add(queue, frame);
    blob_put(frame);
    return taken;
}

static void take(struct outq *queue, size_t bytes_max, const char *expected, uint32_t frames_expected)
{
    uint32_t frames;
    struct blob *message = outq_take(queue, bytes_max, &frames);
    assert_non_null(message);
    assert_int_equal(frames, frames_expected);
    assert_true(span_is(blob_span(message), expected));
    blob_put(message);
}

static void outq__frames_leave_in_order_joined_up_to_the_bound(void **state)
{
    struct outq queue = {0};
    uint32_t frames;
    (void)state;
    assert_null(outq_take(&queue, 10, &frames));
    assert_int_equal(frames, 0);
    assert_true(add(&queue, "aaa") && add(&queue, "bbb") && add(&queue, "ccc"));
    assert_int_equal(queue.bytes, 9);
    take(&queue, 7, "aaa\nbbb", 2);
    take(&queue, 7, "ccc", 1);
    assert_int_equal(queue.bytes, 0);
    outq_fini(&queue);
}

static void outq__a_frame_longer_than_the_bound_goes_alone_and_uncopied(void **state)
{
    struct outq queue = {0};
    uint32_t frames;
    struct blob *frame = blob_make(SPAN_LITERAL("a long frame"));
    (void)state;
    assert_true(outq_add(&queue, frame) && add(&queue, "b"));
    struct blob *message = outq_take(&queue, 4, &frames);
    assert_ptr_equal(message, frame);
    blob_put(message);
    blob_put(frame);
    take(&queue, 4, "b", 1);
    outq_fini(&queue);
}

static void outq__keeps_order_while_it_grows_and_wraps(void **state)
{
    struct outq queue = {0};
    char in = 0, out = 0;
    (void)state;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 5; i++, in++) assert_true(add(&queue, (char[]){(char)('a' + in % 26), '\0'}));
        for (int i = 0; i < 3; i++, out++) take(&queue, 1, (char[]){(char)('a' + out % 26), '\0'}, 1);
        in = (char)(in % 26);
        out = (char)(out % 26);
    }
    assert_int_equal(queue.count, 100);
    outq_fini(&queue);
}

static void outq__refuses_past_its_hard_bound(void **state)
{
    struct outq queue = {0};
    struct blob *frame = blob_make_room(OUTQ_BYTES_HARD / 2);
    (void)state;
    memset(frame->text, 'x', frame->bytes);
    assert_true(outq_add(&queue, frame));
    assert_true(outq_add(&queue, frame));
    assert_false(add(&queue, "x"));
    assert_int_equal(frame->refs, 3);
    outq_fini(&queue);
    assert_int_equal(frame->refs, 1);
    blob_put(frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outq__frames_leave_in_order_joined_up_to_the_bound),
        cmocka_unit_test(outq__a_frame_longer_than_the_bound_goes_alone_and_uncopied),
        cmocka_unit_test(outq__keeps_order_while_it_grows_and_wraps),
        cmocka_unit_test(outq__refuses_past_its_hard_bound)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
