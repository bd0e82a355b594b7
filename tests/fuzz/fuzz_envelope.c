/* A body that anybody may have made: decoding stays inside it, what decodes encodes to the same, and opening it never does more than fail. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum seal_answer give(void *ctx, struct span space, struct span collection, struct span id, struct seal_key *ret_key)
{
    (void)ctx;
    (void)space;
    (void)collection;
    (void)id;
    ret_key->id[0] = 'k';
    return SEAL_ANSWER_HERE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seal seal = {NULL, give, NULL};
    struct seal_place place = {SPAN_LITERAL("notes:ana"), SPAN_LITERAL("notes"), SPAN_LITERAL("n1")};
    struct json_value body;
    struct envelope envelope;
    struct arena arena;
    char *text = malloc(size > 0 ? size : 1);
    assert(text != NULL && seal_init());
    if (size > 0) memcpy(text, data, size);
    arena_init(&arena, 1 << 24);
    if (json_check(span_of(text, size), &body, NULL) && envelope_decode(body, &envelope) == ENVELOPE_GOOD) {
        unsigned char nonce[ENVELOPE_NONCE_BYTES], *box = malloc(envelope_base64_bytes(envelope.box) + 1);
        assert(box != NULL && envelope_base64(envelope.nonce, nonce, sizeof nonce) == sizeof nonce);
        size_t bytes = envelope_base64(envelope.box, box, envelope_base64_bytes(envelope.box));
        if (bytes != SIZE_MAX) {
            struct buf out;
            struct json_value again;
            struct envelope same;
            buf_init(&out, size + 256);
            envelope_encode(&out, envelope.key, span_of((const char *)nonce, sizeof nonce), span_of((const char *)box, bytes));
            assert(buf_ok(&out) && json_check(buf_span(&out), &again, NULL) && envelope_decode(again, &same) == ENVELOPE_GOOD);
            assert(span_equal(same.key, envelope.key) && span_equal(same.nonce, envelope.nonce) && span_equal(same.box, envelope.box));
            buf_fini(&out);
        }
        free(box);
    }
    struct span opened = span_of(NULL, 0);
    enum seal_state state = seal_open(&seal, &place, span_of(text, size), &arena, &opened);
    assert((state == SEAL_OPENED) == (opened.at != NULL));
    arena_fini(&arena);
    free(text);
    return 0;
}
