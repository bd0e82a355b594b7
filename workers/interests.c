#include "workers/interests.h"

#include <stdlib.h>

#include "core/hash.h"

enum { PEERS_AT_FIRST = 2 };

struct interest {
    struct map_node node; /* first */
    size_t count, room;
    uint32_t *peers;
    char space[];
};

static struct interest *find(const struct interests *interests, struct span space)
{
    return (struct interest *)(void *)map_find(&interests->spaces, space);
}

static void forget(struct interests *interests, struct interest *interest)
{
    map_take(&interests->spaces, &interest->node);
    free(interest->peers);
    free(interest);
}

void interests_fini(struct interests *interests)
{
    for (struct map_node *node = map_next(&interests->spaces, NULL), *next; node != NULL; node = next) {
        next = map_next(&interests->spaces, node);
        free(((struct interest *)(void *)node)->peers);
        free(node);
    }
    map_fini(&interests->spaces);
}

static struct interest *make(struct interests *interests, struct span space)
{
    struct interest *interest = calloc(1, sizeof *interest + space.bytes);
    if (interest == NULL) return NULL;
    memcpy(interest->space, space.at, space.bytes);
    interest->node.key = span_of(interest->space, space.bytes);
    interest->peers = malloc(PEERS_AT_FIRST * sizeof *interest->peers);
    interest->room = PEERS_AT_FIRST;
    if (interest->peers != NULL && map_put(&interests->spaces, &interest->node)) return interest;
    free(interest->peers);
    free(interest);
    return NULL;
}

enum err interests_add(struct interests *interests, uint32_t peer, struct span space)
{
    struct interest *interest = find(interests, space);
    if (interest == NULL) interest = make(interests, space);
    if (interest == NULL) return ERR_MEMORY;
    for (size_t i = 0; i < interest->count; i++)
        if (interest->peers[i] == peer) return ERR_OK;
    if (interest->count == interest->room) {
        uint32_t *peers = realloc(interest->peers, 2 * interest->room * sizeof *peers);
        if (peers == NULL) return ERR_MEMORY;
        interest->peers = peers;
        interest->room *= 2;
    }
    interest->peers[interest->count++] = peer;
    return ERR_OK;
}

static void drop(struct interests *interests, struct interest *interest, uint32_t peer)
{
    for (size_t i = 0; i < interest->count; i++)
        if (interest->peers[i] == peer) interest->peers[i--] = interest->peers[--interest->count];
    if (interest->count == 0) forget(interests, interest);
}

void interests_drop(struct interests *interests, uint32_t peer, struct span space)
{
    struct interest *interest = find(interests, space);
    if (interest != NULL) drop(interests, interest, peer);
}

void interests_drop_peer(struct interests *interests, uint32_t peer)
{
    for (struct map_node *node = map_next(&interests->spaces, NULL), *next; node != NULL; node = next) {
        next = map_next(&interests->spaces, node);
        drop(interests, (struct interest *)(void *)node, peer);
    }
}

void interests_drop_partition(struct interests *interests, uint32_t partition, uint32_t partitions)
{
    for (struct map_node *node = map_next(&interests->spaces, NULL), *next; node != NULL; node = next) {
        next = map_next(&interests->spaces, node);
        if (hash_partition(node->key, partitions) == partition) forget(interests, (struct interest *)(void *)node);
    }
}

const uint32_t *interests_find(const struct interests *interests, struct span space, size_t *ret_count)
{
    const struct interest *interest = find(interests, space);
    *ret_count = interest == NULL ? 0 : interest->count;
    return interest == NULL ? NULL : interest->peers;
}
