/* A space's unstored cells, taken out of the overlay for a page on another thread. See overlay.h. */
#include <stdlib.h>

#include "workers/overlay.h"

static const enum state_table paged[] = {STATE_DOC, STATE_BYREV, STATE_BORN, STATE_DEVICE, STATE_LOSER};

static bool grow(struct patch *patch, size_t *room)
{
    if (patch->count < *room) return true;
    size_t grown = *room == 0 ? 32 : *room * 2;
    struct cell **cells = realloc(patch->cells, grown * sizeof(struct cell *));
    if (cells == NULL) return false;
    patch->cells = cells;
    *room = grown;
    return true;
}

/* Tables in the order of their numbers, keys in order within: the patch comes out sorted. */
enum err patch_make(struct overlay *overlay, struct span space, uint64_t sid, uint64_t next_offset, struct patch **ret_patch)
{
    struct merge_over over = overlay_over(overlay);
    struct patch *patch = calloc(1, sizeof *patch);
    size_t room = 0;
    if (patch == NULL) return ERR_MEMORY;
    patch->refs = 1;
    patch->next_offset = next_offset;
    const struct cell *cell = over.get(over.ctx, STATE_SPACE, space);
    bool fits = cell == NULL || grow(patch, &room);
    if (fits && cell != NULL) patch->cells[patch->count++] = cell_take((struct cell *)(uintptr_t)cell);
    for (size_t i = 0; fits && sid != 0 && i < sizeof paged / sizeof *paged; i++) {
        char from[STATE_KEY_BYTES_MAX + 1];
        for (int b = 0; b < 8; b++) from[b] = (char)(unsigned char)(sid >> (56 - 8 * b) & 0xff);
        struct span at = span_of(from, 8);
        while (fits && (cell = over.seek(over.ctx, paged[i], at, false)) != NULL) {
            struct span key = cell_key(cell);
            if (state_key_sid(key) != sid) break;
            fits = grow(patch, &room);
            if (fits) patch->cells[patch->count++] = cell_take((struct cell *)(uintptr_t)cell);
            memcpy(from, key.at, key.bytes);
            from[key.bytes] = 0;
            at = span_of(from, key.bytes + 1);
        }
    }
    if (!fits) {
        patch_put(patch);
        return ERR_MEMORY;
    }
    *ret_patch = patch;
    return ERR_OK;
}

void patch_put(struct patch *patch)
{
    if (patch == NULL || --patch->refs != 0) return;
    for (size_t i = 0; i < patch->count; i++) cell_put(patch->cells[i]);
    free(patch->cells);
    free(patch);
}

/* The first cell whose (table, key) is not below. */
static size_t lower_bound(const struct patch *patch, enum state_table table, struct span key)
{
    size_t low = 0, high = patch->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct cell *cell = patch->cells[middle];
        bool below = cell_table(cell) != table ? cell_table(cell) < table : span_compare(cell_key(cell), key) < 0;
        if (below) low = middle + 1;
        else high = middle;
    }
    return low;
}

static const struct cell *get(void *ctx, enum state_table table, struct span key)
{
    const struct patch *patch = ctx;
    size_t at = lower_bound(patch, table, key);
    if (at == patch->count) return NULL;
    const struct cell *cell = patch->cells[at];
    return cell_table(cell) == table && span_equal(cell_key(cell), key) ? cell : NULL;
}

static const struct cell *seek(void *ctx, enum state_table table, struct span key, bool down)
{
    const struct patch *patch = ctx;
    size_t at = lower_bound(patch, table, key);
    if (down ? at == 0 : at == patch->count) return NULL;
    const struct cell *cell = patch->cells[down ? at - 1 : at];
    return cell_table(cell) == table ? cell : NULL;
}

struct merge_over patch_over(struct patch *patch) { return (struct merge_over){patch, get, seek}; }
