/* What a peer sends is a message or is not; deciding never harms, and what was read is written and read again the same. */
#include <stdint.h>
#include <stdlib.h>

#include "backends/tcp/tcp_codec.h"
#include "core/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span whole(struct buf *buf, const struct blob *tail)
{
    if (tail != NULL) buf_add_span(buf, blob_span(tail));
    if (!buf_ok(buf)) abort();
    return span_of(buf->at + TCP_FRAME_HEAD_BYTES, buf->bytes - TCP_FRAME_HEAD_BYTES);
}

static void try_ask(struct span fields, struct arena *arena, struct buf *first, struct buf *second)
{
    struct link_ask ask, again;
    struct blob *tail;
    if (tcp_codec_read_ask(fields, arena, &ask) != ERR_OK) return;
    tcp_codec_ask(first, &ask, &tail);
    if (tcp_codec_read_ask(whole(first, tail), arena, &again) != ERR_OK) abort();
    blob_put(ask.record);
    blob_put(ask.frame);
    tcp_codec_ask(second, &again, &tail);
    (void)whole(second, tail);
    if (!span_equal(buf_span(first), buf_span(second))) abort();
    blob_put(again.record);
    blob_put(again.frame);
}

static void try_tell(struct span fields, struct arena *arena, struct buf *first, struct buf *second)
{
    struct link_tell tell, again;
    struct blob *tail;
    if (tcp_codec_read_tell(fields, arena, &tell) != ERR_OK) return;
    tcp_codec_tell(first, &tell, &tail);
    if (tcp_codec_read_tell(whole(first, tail), arena, &again) != ERR_OK) abort();
    blob_put(tell.frame);
    tcp_codec_tell(second, &again, &tail);
    (void)whole(second, tail);
    if (!span_equal(buf_span(first), buf_span(second))) abort();
    blob_put(again.frame);
}

/* The first byte says as what the rest is read. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena = {.bytes_max = 16777216};
    struct buf first, second;
    uint32_t partition;
    bool owned;
    if (size == 0) return 0;
    struct span fields = span_of((const char *)data + 1, size - 1);
    arena_reset(&arena);
    buf_init(&first, LIMIT_LINK_FRAME_BYTES);
    buf_init(&second, LIMIT_LINK_FRAME_BYTES);
    if (data[0] == TCP_ASK) try_ask(fields, &arena, &first, &second);
    else if (data[0] == TCP_TELL) try_tell(fields, &arena, &first, &second);
    else (void)tcp_codec_read_owns(fields, &partition, &owned);
    buf_fini(&first);
    buf_fini(&second);
    return 0;
}
