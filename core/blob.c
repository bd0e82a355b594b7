#include "core/blob.h"

#include <assert.h>
#include <stdlib.h>

struct blob *blob_make_room(size_t bytes)
{
    struct blob *blob = malloc(sizeof *blob + bytes);
    if (blob == NULL) return NULL;
    blob->refs = 1;
    blob->reserved = 0;
    blob->bytes = bytes;
    return blob;
}

struct blob *blob_make(struct span content)
{
    struct blob *blob = blob_make_room(content.bytes);
    if (blob != NULL && content.bytes > 0) memcpy(blob->text, content.at, content.bytes);
    return blob;
}

struct blob *blob_take(struct blob *blob)
{
    assert(blob->refs > 0 && blob->refs < UINT32_MAX);
    blob->refs++;
    return blob;
}

void blob_put(struct blob *blob)
{
    if (blob == NULL) return;
    assert(blob->refs > 0);
    if (--blob->refs == 0) free(blob);
}
