/* Which gateway wants to hear of which space. One look-up a record.
 *
 * A peer's interests are bounded by what its sessions may have open; memory is a node a space. One thread. */
#ifndef TIDEGATE_WORKERS_INTERESTS_H
#define TIDEGATE_WORKERS_INTERESTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/map.h"

struct interests {
    struct map spaces;
};

void interests_fini(struct interests *interests); /* accepts a zeroed one, which is also how one begins */
enum err interests_add(struct interests *interests, uint32_t peer, struct span space); /* twice is once */
void interests_drop(struct interests *interests, uint32_t peer, struct span space);
void interests_drop_peer(struct interests *interests, uint32_t peer);
void interests_drop_partition(struct interests *interests, uint32_t partition, uint32_t partitions); /* all in its spaces */
/* The peers, valid until the next change; NULL: nobody. */
const uint32_t *interests_find(const struct interests *interests, struct span space, size_t *ret_count);

#endif
