/* The link within one process: copies, order, never from inside a call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/embedded/embedded_link.h"
#include "tests/support/rig.h"

enum { WAIT_MS = 10000 };

struct desk {
    uv_loop_t loop;
    struct embedded_link *link;
    struct link_gateway *gateway;
    struct link_owner *owner;
    size_t asked, told, ups, joined, closed;
    bool answering;
    uint64_t last_tag;
    bool in_order;
    void (*look_at_ask)(const struct link_ask *ask);
    void (*look_at_tell)(const struct link_tell *tell);
};

static void on_asked(void *ctx, uint32_t peer, const struct link_ask *ask)
{
    struct desk *desk = ctx;
    assert_int_equal(peer, EMBEDDED_LINK_PEER);
    if (ask->tag != desk->asked + 1) desk->in_order = false;
    desk->asked++;
    if (desk->look_at_ask != NULL) desk->look_at_ask(ask);
    if (!desk->answering) return;
    struct link_tell tell = {.kind = LINK_BODY, .tag = ask->tag, .space = ask->space};
    size_t before = desk->told;
    assert_int_equal(desk->owner->ops->send(desk->owner, peer, &tell), ERR_OK);
    assert_int_equal(desk->told, before);
}

static void on_told(void *ctx, const struct link_tell *tell)
{
    struct desk *desk = ctx;
    if (tell->tag != desk->last_tag + 1) desk->in_order = false;
    desk->last_tag = tell->tag;
    desk->told++;
    if (desk->look_at_tell != NULL) desk->look_at_tell(tell);
}

static void on_up(void *ctx, uint32_t partition)
{
    struct desk *desk = ctx;
    assert_int_equal(partition, desk->ups);
    assert_int_equal(desk->joined, 1);
    desk->ups++;
}

static void on_joined(void *ctx, uint32_t peer, struct span name)
{
    assert_int_equal(peer, EMBEDDED_LINK_PEER);
    assert_true(span_is(name, EMBEDDED_LINK_NAME));
    ((struct desk *)ctx)->joined++;
}

static int setup(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    if (desk == NULL) return -1;
    uv_loop_init(&desk->loop);
    if (embedded_link_open(&desk->loop, 3, &desk->link) != ERR_OK) return -1;
    desk->gateway = embedded_link_gateway_end(desk->link);
    desk->owner = embedded_link_owner_end(desk->link);
    desk->gateway->ctx = desk->owner->ctx = desk;
    desk->gateway->told = on_told;
    desk->gateway->up = on_up;
    desk->owner->asked = on_asked;
    desk->owner->joined = on_joined;
    desk->in_order = true;
    *state = desk;
    return 0;
}

static void on_closed(void *ctx) { ((struct desk *)ctx)->closed++; }

static int teardown(void **state)
{
    struct desk *desk = *state;
    embedded_link_close(desk->link, desk, on_closed);
    rig_loop_close(&desk->loop);
    if (desk->closed != 1) return -1;
    free(desk);
    return 0;
}

static bool is_up(void *ctx) { return ((struct desk *)ctx)->ups == 3; }
static bool is_told_100(void *ctx) { return ((struct desk *)ctx)->told >= 100; }
static bool is_asked(void *ctx) { return ((struct desk *)ctx)->asked >= 1; }
static bool is_told(void *ctx) { return ((struct desk *)ctx)->told >= 1; }

static void the_gateway_joins_and_then_every_partition_is_up(void **state)
{
    assert_true(rig_until(&((struct desk *)*state)->loop, is_up, *state, WAIT_MS));
}

static void asks_and_answers_keep_their_order(void **state)
{
    struct desk *desk = *state;
    desk->answering = true;
    for (uint64_t i = 1; i <= 100; i++) {
        struct link_ask ask = {.kind = LINK_WHO, .tag = i, .space = SPAN_LITERAL("chat:a")};
        assert_int_equal(desk->gateway->ops->send(desk->gateway, &ask), ERR_OK);
    }
    assert_int_equal(desk->asked, 0);
    assert_true(rig_until(&desk->loop, is_told_100, desk, WAIT_MS));
    assert_true(desk->in_order);
}

static void look_at_ask(const struct link_ask *ask)
{
    assert_true(span_is(ask->space, "chat:a"));
    assert_true(span_is(ask->collection, "messages"));
    assert_true(span_is(ask->meta, "{\"m\":1}"));
    assert_int_equal(ask->waiters_count, 2);
    assert_true(span_is(ask->waiters[0].user, "ana"));
    assert_true(span_is(ask->waiters[1].device, "phone-0002"));
    assert_int_equal(ask->waiters[1].known, 5);
    assert_true(span_is(blob_span(ask->record), "record"));
    assert_int_equal(ask->run.place, 17);
}

static void an_ask_is_copied_whole(void **state)
{
    struct desk *desk = *state;
    char text[] = "chat:amessages{\"m\":1}anaphone-0001bophone-0002";
    struct page_waiter waiters[] = {{.session = 1, .user = {text + 20, 3}, .device = {text + 23, 10}},
                                    {.session = 2, .user = {text + 33, 2}, .device = {text + 35, 10}, .known = 5}};
    /* Offsets into `text`: 0 space, 6 collection, 14 meta. */
    waiters[0].user.at = text + 21;
    waiters[0].device.at = text + 24;
    waiters[1].user.at = text + 34;
    waiters[1].device.at = text + 36;
    struct blob *record = blob_make(SPAN_LITERAL("record"));
    struct link_ask ask = {.kind = LINK_PULL, .tag = 1, .space = {text, 6}, .collection = {text + 6, 8}, .meta = {text + 14, 7},
                           .waiters_count = 2, .waiters = waiters, .record = record, .run = {.place = 17}};
    desk->look_at_ask = look_at_ask;
    assert_int_equal(desk->gateway->ops->send(desk->gateway, &ask), ERR_OK);
    memset(text, 'X', sizeof text);
    memset(waiters, 0, sizeof waiters);
    assert_true(rig_until(&desk->loop, is_asked, desk, WAIT_MS));
    assert_int_equal(record->refs, 1);
    blob_put(record);
}

static const struct blob *page_blob;
static void look_at_tell(const struct link_tell *tell)
{
    assert_non_null(tell->page);
    assert_int_equal(tell->page->parts_count, 2);
    assert_true(span_is(tell->page->parts[1].refused, "[2]"));
    assert_true(span_is(tell->page->docs, "[{}]"));
    assert_ptr_equal(tell->page->docs.at, page_blob->text); /* what stands in the blob is not copied */
    assert_true(span_is(tell->page->sum, "{\"a\":\"0\"}"));
    assert_int_equal(tell->removed_count, 1);
    assert_true(span_is(tell->removed[0], "bo"));
}

static void a_page_is_copied_but_for_what_stands_in_its_blob(void **state)
{
    struct desk *desk = *state;
    char text[] = "{\"a\":\"0\"}[2]bo";
    struct blob *blob = blob_make(SPAN_LITERAL("[{}]"));
    struct page_part parts[] = {{.session = 1}, {.session = 2, .refused = {text + 9, 3}}};
    struct page page = {.parts_count = 2, .parts = parts, .docs = blob_span(blob), .sum = {text, 9}};
    struct span removed = {text + 12, 2};
    struct link_tell tell = {.kind = LINK_PAGE, .tag = 1, .page = &page, .frame = blob, .removed = &removed, .removed_count = 1};
    page_blob = blob;
    desk->look_at_tell = look_at_tell;
    assert_int_equal(desk->owner->ops->send(desk->owner, EMBEDDED_LINK_PEER, &tell), ERR_OK);
    memset(text, 'X', sizeof text);
    memset(parts, 0, sizeof parts);
    memset(&page, 0, sizeof page);
    assert_true(rig_until(&desk->loop, is_told, desk, WAIT_MS));
    assert_int_equal(blob->refs, 1);
    blob_put(blob);
}

static void what_is_under_way_at_the_end_is_dropped(void **state)
{
    struct desk *desk = *state;
    struct blob *frame = blob_make(SPAN_LITERAL("x"));
    struct link_ask ask = {.kind = LINK_SIGNAL, .tag = 1, .frame = frame};
    assert_int_equal(desk->gateway->ops->send(desk->gateway, &ask), ERR_OK);
    blob_put(frame); /* the link's is the last reference: the sanitizer tells whether it goes */
}

int main(void)
{
#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        LINK_TEST(the_gateway_joins_and_then_every_partition_is_up),
        LINK_TEST(asks_and_answers_keep_their_order),
        LINK_TEST(an_ask_is_copied_whole),
        LINK_TEST(a_page_is_copied_but_for_what_stands_in_its_blob),
        LINK_TEST(what_is_under_way_at_the_end_is_dropped),
    };
    return cmocka_run_group_tests_name("embedded_link", tests, NULL, NULL);
}
