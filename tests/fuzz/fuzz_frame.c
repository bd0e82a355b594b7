/* Any line is a frame or is not; deciding never harms. */
#include <stdint.h>
#include <stdlib.h>

#include "core/frame.h"
#include "core/op.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena = {.bytes_max = 16777216};
    struct frame frame;
    arena_reset(&arena);
    if (frame_decode(span_of((const char *)data, size), &arena, &frame) != ERR_OK) return 0;
    if (frame.type == FRAME_UNKNOWN && frame.why == NULL) abort();
    if (frame.type == FRAME_PUSH) {
        struct op *ops;
        size_t count;
        char why[200];
        if (frame.id == 0 || frame.after >= frame.id) abort();
        (void)op_decode_all(frame.ops, &arena, &ops, &count, why, sizeof why); /* whatever it says, it returns */
    }
    return 0;
}
