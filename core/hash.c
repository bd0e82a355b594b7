#include "core/hash.h"

#include <assert.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct hash_state {
    XXH3_state_t *xxh;
};

uint64_t hash_64(struct span content) { return XXH64(content.at, content.bytes, 0); }

uint64_t hash_document(struct span id, uint64_t rev, struct span body)
{
    char middle[22] = {0};
    size_t at = sizeof middle - 1; /* the last byte stays 0x00 */
    do {
        middle[--at] = (char)('0' + rev % 10);
        rev /= 10;
    } while (rev > 0);
    middle[--at] = '\0';
    XXH64_state_t state;
    XXH64_reset(&state, 0);
    XXH64_update(&state, id.at, id.bytes);
    XXH64_update(&state, middle + at, sizeof middle - at);
    XXH64_update(&state, body.at, body.bytes);
    return XXH64_digest(&state);
}

uint32_t hash_partition(struct span space, uint32_t partitions)
{
    assert(partitions > 0);
    return (uint32_t)(hash_64(space) % partitions);
}

struct hash_state *hash_begin(void)
{
    struct hash_state *state = malloc(sizeof *state);
    if (state == NULL) return NULL;
    state->xxh = XXH3_createState();
    if (state->xxh == NULL) {
        free(state);
        return NULL;
    }
    XXH3_128bits_reset(state->xxh);
    return state;
}

void hash_piece(struct hash_state *state, struct span piece)
{
    unsigned char length[8];
    uint64_t bytes = piece.bytes;
    for (size_t i = 0; i < sizeof length; i++) length[i] = (unsigned char)(bytes >> (8 * i) & 0xff);
    XXH3_128bits_update(state->xxh, length, sizeof length);
    if (piece.bytes > 0) XXH3_128bits_update(state->xxh, piece.at, piece.bytes);
}

struct hash_digest hash_end(struct hash_state *state)
{
    struct hash_digest digest;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state->xxh));
    memcpy(digest.bytes, canonical.digest, sizeof digest.bytes);
    XXH3_freeState(state->xxh);
    free(state);
    return digest;
}
