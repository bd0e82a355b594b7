/* A hash table of nodes that the caller embeds and owns: span key -> struct. Chained; doubles when it is full.
 *
 * INVARIANT 1: no two nodes have equal keys. The node's key must stay where it is while the node is in.
 * The caller places the struct; map_fini() accepts a zeroed one and frees no nodes. One thread at a time. */
#ifndef TIDEGATE_CORE_MAP_H
#define TIDEGATE_CORE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

struct map_node {
    struct map_node *next;
    uint64_t hash;
    struct span key;
};

struct map {
    struct map_node **slots;
    size_t slots_count; /* a power of two, or 0 */
    size_t count;
};

void map_fini(struct map *map);
struct map_node *map_find(const struct map *map, struct span key); /* NULL: none */
/* node->key is set. False when out of memory: the node is not in. */
bool map_put(struct map *map, struct map_node *node);
void map_take(struct map *map, struct map_node *node); /* it is in */
/* Walks all nodes in no order: NULL begins and ends. Only the node last given may be taken out meanwhile, and only
 * after the next was asked for. */
struct map_node *map_next(const struct map *map, const struct map_node *node);

#endif
