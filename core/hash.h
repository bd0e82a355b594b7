/* Hashes: XXH64 for sums (the protocol's), XXH3-128 for digests, XXH64 for placing spaces on partitions. */
#ifndef TIDEGATE_CORE_HASH_H
#define TIDEGATE_CORE_HASH_H

#include <stdint.h>

#include "core/span.h"

struct hash_digest {
    unsigned char bytes[16];
};

uint64_t hash_64(struct span content);
/* XXH64, seed 0, of id 0x00 rev-in-decimal 0x00 body: one document's part of its collection's `sum`. */
uint64_t hash_document(struct span id, uint64_t rev, struct span body);
uint32_t hash_partition(struct span space, uint32_t partitions); /* 0 .. partitions-1; fixed for the log's life */

/* A digest taken piece by piece; each piece is preceded by its length, so pieces cannot run together. */
struct hash_state;
struct hash_state *hash_begin(void); /* NULL when out of memory */
void hash_piece(struct hash_state *state, struct span piece);
struct hash_digest hash_end(struct hash_state *state); /* frees state */

#endif
