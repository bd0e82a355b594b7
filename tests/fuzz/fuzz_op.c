/* Hostile operations: whatever JSON comes, decoding it and its digest agree with themselves and stay inside its bytes. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/op.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_op(const struct op *op)
{
    assert(op->collection.bytes > 0 && op->collection.bytes <= LIMIT_COLLECTION_BYTES_MAX);
    assert(op->id.bytes > 0 && op->id.bytes <= LIMIT_ID_BYTES_MAX);
    assert(op->age_ms >= 0 && op->base <= (uint64_t)LIMIT_INTEGER_MAX && op->field.bytes <= LIMIT_FIELD_BYTES_MAX);
    assert(op_name(op->kind) != NULL);
    switch (op->kind) {
    case OP_PUT:
    case OP_PATCH:
    case OP_APPEND:
        assert(op->body.type == JSON_OBJECT && op->body.raw.bytes <= LIMIT_DOCUMENT_BYTES_MAX);
        assert(json_count(op->body) <= LIMIT_MEMBERS_MAX && !json_has_repeated_key(op->body));
        break;
    case OP_INCR: assert(!op->has_min || !op->has_max || op->min <= op->max); break;
    case OP_ADD:
    case OP_REMOVE: assert(json_count(op->values) <= LIMIT_SET_VALUES_MAX); break;
    case OP_MAX: assert(op->value.type == JSON_NUMBER); break;
    case OP_DELETE: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_value value;
    struct hash_digest first, second;
    struct op *ops = NULL;
    size_t count = 0;
    char why[201];
    char *text = malloc(size > 0 ? size : 1); /* of its own length: a read past its end is seen */
    assert(text != NULL);
    if (size > 0) memcpy(text, data, size);
    if (json_check(span_of(text, size), &value, NULL)) {
        struct arena arena;
        arena_init(&arena, 67108864);
        enum err err = op_decode_all(value, &arena, &ops, &count, why, sizeof why);
        assert(err == ERR_OK || err == ERR_INVALID || err == ERR_TOO_LARGE);
        assert(err == ERR_OK || memchr(why, '\0', sizeof why) != NULL);
        for (size_t i = 0; err == ERR_OK && i < count; i++) check_op(&ops[i]);
        err = op_digest(value, &first);
        assert(err == ERR_OK);
        err = op_digest(value, &second);
        assert(err == ERR_OK && memcmp(&first, &second, sizeof first) == 0);
        arena_fini(&arena);
    }
    free(text);
    return 0;
}
