#include "core/map.h"

#include <assert.h>
#include <stdlib.h>

#include "core/hash.h"

enum { SLOTS_MIN = 16 };

void map_fini(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}

static struct map_node **slot_of(const struct map *map, uint64_t hash) { return &map->slots[hash & (map->slots_count - 1)]; }

struct map_node *map_find(const struct map *map, struct span key)
{
    if (map->count == 0) return NULL;
    uint64_t hash = hash_64(key);
    struct map_node *node = *slot_of(map, hash);
    while (node != NULL && !(node->hash == hash && span_equal(node->key, key))) node = node->next;
    return node;
}

/* Growing is a matter of speed: when there is no memory for it the chains just get longer. */
static void grow(struct map *map)
{
    size_t slots_count = map->slots_count == 0 ? SLOTS_MIN : map->slots_count * 2;
    struct map_node **slots = calloc(slots_count, sizeof(struct map_node *));
    if (slots == NULL) return;
    for (size_t i = 0; i < map->slots_count; i++) {
        for (struct map_node *node = map->slots[i], *next; node != NULL; node = next) {
            struct map_node **slot = &slots[node->hash & (slots_count - 1)];
            next = node->next;
            node->next = *slot;
            *slot = node;
        }
    }
    free(map->slots);
    map->slots = slots;
    map->slots_count = slots_count;
}

bool map_put(struct map *map, struct map_node *node)
{
    if (map->count >= map->slots_count) grow(map);
    if (map->slots_count == 0) return false;
    node->hash = hash_64(node->key);
    struct map_node **slot = slot_of(map, node->hash);
    node->next = *slot;
    *slot = node;
    map->count++;
    return true;
}

void map_take(struct map *map, struct map_node *node)
{
    struct map_node **at = slot_of(map, node->hash);
    while (*at != node) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    map->count--;
}

struct map_node *map_next(const struct map *map, const struct map_node *node)
{
    if (node != NULL && node->next != NULL) return node->next;
    size_t i = node == NULL ? 0 : (node->hash & (map->slots_count - 1)) + 1;
    for (; i < map->slots_count; i++)
        if (map->slots[i] != NULL) return map->slots[i];
    return NULL;
}
