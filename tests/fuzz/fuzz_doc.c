/* Stored bytes that nobody stored: decoding stays inside them, and what decodes encodes to the same bytes. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct buf buf;
    struct doc doc;
    char *stored = malloc(size > 0 ? size : 1);
    assert(stored != NULL);
    if (size > 0) memcpy(stored, data, size);
    arena_init(&arena, 67108864);
    buf_init(&buf, size);
    enum err err = doc_decode(span_of(stored, size), &arena, &doc);
    assert(err == ERR_OK || err == ERR_CORRUPT || err == ERR_VERSION);
    if (err == ERR_OK) {
        doc_encode(&doc, &buf);
        assert(buf_ok(&buf) && span_equal(buf_span(&buf), span_of(stored, size)));
        (void)doc_stamp(&doc, doc.user);
    }
    buf_fini(&buf);
    arena_fini(&arena);
    free(stored);
    return 0;
}
