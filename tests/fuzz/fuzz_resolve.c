/* Histories that nobody would push: each line of the input is one, a byte that tells who and when, then its operations.
 * Whatever they are, a push stands wholly or not at all, and what it leaves behind is sound. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/json.h"
#include "tests/support/pushes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PUSHES_MAX = 64, IMAGE_BYTES_MAX = 33554432 };

static void check_doc(const struct resolve_doc *doc)
{
    struct json_value value;
    assert(doc->after.fields_count <= LIMIT_FIELD_STAMPS_MAX);
    if (doc->after.deleted) return;
    bool good = json_check(doc->after.body, &value, NULL);
    assert(good && value.type == JSON_OBJECT && !json_has_repeated_key(value));
    assert(doc->after.body.bytes <= LIMIT_DOCUMENT_BYTES_MAX && json_count(value) <= LIMIT_MEMBERS_MAX);
}

static void check_result(const struct resolve_result *result, bool same)
{
    struct json_value value;
    bool changed = false;
    for (size_t i = 0; i < result->docs_count; i++) {
        changed |= result->docs[i].changed;
        if (result->docs[i].changed) check_doc(&result->docs[i]);
    }
    assert(changed == (result->status == RESOLVE_CHANGED));
    assert(changed || same);
    assert(result->losers_count <= LIMIT_LOSERS_MAX);
    assert(result->status != RESOLVE_REJECTED || result->code != ERR_OK);
    for (size_t i = 0; i < result->losers_count; i++) {
        bool good = json_check(result->losers[i].value, &value, NULL);
        assert(good);
    }
}

static void push_line(struct shelf *shelf, unsigned char how, struct span line, struct buf *before, struct buf *after)
{
    static const char *const users[] = {"ann", "bob"}, *const devices[] = {"phone", "tablet", ""};
    struct shelf_push push = {.user = users[how & 1], .device = devices[(how >> 1) % 3], .time_ms = shelf->clock_ms + (how & 0x40 ? 50 : 0)};
    push.role = (how & 0x30) == 0x30 ? ROLE_OWNER : (how & 0x30) == 0x20 ? ROLE_READER : ROLE_WRITER;
    if (how & 8) push.last_push_ms = push.time_ms - 40;
    if (how & 0x80) push.time_ms += 3600001;
    buf_reset(before);
    shelf_image(shelf, before);
    shelf_push_span(shelf, &push, line);
    buf_reset(after);
    shelf_image(shelf, after);
    assert(buf_ok(before) && buf_ok(after));
    check_result(&shelf->result, span_equal(buf_span(before), buf_span(after)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shelf shelf;
    struct buf before, after;
    const char *at = (const char *)data, *end = at + size;
    shelf_init(&shelf, pushes_namespace);
    buf_init(&before, IMAGE_BYTES_MAX);
    buf_init(&after, IMAGE_BYTES_MAX);
    for (size_t i = 0; i < PUSHES_MAX && at < end; i++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL) stop = end;
        struct json_value value;
        struct span line = span_of(at + 1, stop > at ? (size_t)(stop - at) - 1 : 0);
        if (line.bytes > 0 && json_check(line, &value, NULL)) push_line(&shelf, (unsigned char)*at, line, &before, &after);
        at = stop + 1;
    }
    buf_fini(&before);
    buf_fini(&after);
    shelf_fini(&shelf);
    return 0;
}
