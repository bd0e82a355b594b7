/* A record is decoded, set aside or refused; what is decoded encodes to what decodes the same. */
#include <stdint.h>
#include <stdlib.h>

#include "core/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena = {.bytes_max = 16777216};
    struct record record, again;
    struct buf text;
    arena_reset(&arena);
    if (record_decode(span_of((const char *)data, size), &arena, &record) != ERR_OK || record.kind != RECORD_PUSH) return 0;
    buf_init(&text, 1 << 20);
    record_encode_push(&record.push, &text);
    if (!buf_ok(&text) || record_decode(buf_span(&text), &arena, &again) != ERR_OK) abort();
    if (!span_equal(again.push.space, record.push.space) || !span_equal(again.push.ops.raw, record.push.ops.raw) || again.push.id != record.push.id) abort();
    buf_fini(&text);
    return 0;
}
