/* The registry and the directory on Redis: presence for questions, last seen, offsets, who holds a device, who owns a partition.
 * schemas/redis.md has the keys.
 *
 * Nothing here is the truth. What this process knows of itself (its sessions, what it owns) it keeps in memory, and writes again whenever a
 * server is back, was emptied, or has not been told for half an hour. Questions are answered ERR_BUSY while their server is away.
 * Several servers: a key's is XXH64 of the key behind its prefix, modulo their number, in the order in which they are named: all processes
 * name the same, in the same order.
 *
 * BOUNDS  Offsets that wait: REDIS_OFFSETS_MAX; a further one is dropped, and comes again with the next. Sessions that ended while a
 *         server was away: REDIS_GONE_MAX; past it the oldest are forgotten, and their user looks online until this gateway ends. */
#ifndef TIDEGATE_BACKENDS_REDIS_REDIS_REGISTRY_H
#define TIDEGATE_BACKENDS_REDIS_REDIS_REGISTRY_H

#include "backends/directory.h"
#include "backends/registry.h"

enum { REDIS_SERVERS_MAX = 16, REDIS_OFFSETS_MAX = 100000, REDIS_GONE_MAX = 65536 };

struct uv_loop_s;
struct redis_registry;

struct redis_registry_options {
    struct uv_loop_s *loop;
    const char *servers;   /* "host:port,host:port" */
    const char *log;       /* the log's name: what was written under another is not seen */
    const char *gateway;   /* this gateway's name, 1 to 64 of [A-Za-z0-9._-]; NULL: a worker, which has no sessions and listens to nothing */
    uint64_t tick_ms;      /* of all that is counted in ticks; 0: a second */
};

/* For metrics: plain numbers that only grow, but those marked (now). */
struct redis_counters {
    uint64_t servers;           /* (now) ready */
    uint64_t ready, lost;
    uint64_t displaced;
    uint64_t offsets, offsets_dropped;
    uint64_t busy;              /* questions that no server could be asked */
};

/* ERR_CONFIG with `why` where a server's address is none. Whether it can be reached is no matter here. */
enum err redis_registry_open(const struct redis_registry_options *options, struct redis_registry **ret_registry, char *why, size_t why_bytes);
/* What was said and asked is brought to its end first, for at most a second; then it is answered ERR_BUSY. `closed` comes from the loop. */
void redis_registry_close(struct redis_registry *registry, void *ctx, void (*closed)(void *ctx));
struct registry *redis_registry_seam(struct redis_registry *registry);
struct directory *redis_registry_directory(struct redis_registry *registry);
const struct redis_counters *redis_registry_counters(const struct redis_registry *registry);

#endif
