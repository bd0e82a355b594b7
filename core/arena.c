#include "core/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16384, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t room;
    size_t used;
    size_t reserved; /* keeps `content` aligned */
    unsigned char content[];
};

_Static_assert(sizeof(struct arena_block) % ALIGN == 0, "content must be aligned for anything");

void arena_init(struct arena *arena, size_t bytes_max) { *arena = (struct arena){.bytes_max = bytes_max}; }

void arena_fini(struct arena *arena)
{
    while (arena->first != NULL) {
        struct arena_block *block = arena->first;
        arena->first = block->next;
        free(block);
    }
    arena->bytes = 0;
}

void arena_reset(struct arena *arena)
{
    /* The last of the chain is the first that was made, of the usual size: that one is kept. */
    while (arena->first != NULL && (arena->first->next != NULL || arena->first->room > BLOCK_BYTES)) {
        struct arena_block *block = arena->first;
        arena->first = block->next;
        free(block);
    }
    if (arena->first != NULL) arena->first->used = 0;
    arena->bytes = 0;
}

void *arena_take(struct arena *arena, size_t bytes)
{
    if (bytes > arena->bytes_max || arena->bytes > arena->bytes_max - bytes) return NULL;
    size_t rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *block = arena->first;
    if (block == NULL || block->room - block->used < rounded) {
        size_t room = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        block = malloc(sizeof *block + room);
        if (block == NULL) return NULL;
        *block = (struct arena_block){.next = arena->first, .room = room};
        arena->first = block;
    }
    void *taken = block->content + block->used;
    block->used += rounded;
    arena->bytes += rounded;
    memset(taken, 0, bytes);
    return taken;
}

struct span arena_copy(struct arena *arena, struct span span)
{
    char *at = arena_take(arena, span.bytes + 1);
    if (at == NULL) return span_of(NULL, 0);
    if (span.bytes > 0) memcpy(at, span.at, span.bytes);
    return span_of(at, span.bytes);
}
