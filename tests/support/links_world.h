/* Two gateways and two workers, joined as processes are: over TCP links and a real Redis, on one log; and devices that hold what they are
 * promised at every frame. Everything runs on one loop, with real sockets and real time. */
#ifndef TIDEGATE_TESTS_SUPPORT_LINKS_WORLD_H
#define TIDEGATE_TESTS_SUPPORT_LINKS_WORLD_H

#include "backends/redis/redis_registry.h"
#include "backends/tcp/tcp_gateway.h"
#include "backends/tcp/tcp_owner.h"
#include "tests/support/memory_log.h"
#include "tests/support/model_device.h"
#include "tests/support/redis_desk.h"
#include "workers/worker.h"

enum { LINKS_GATEWAYS = 2, LINKS_WORKERS = 2, LINKS_DEVICES = 6, LINKS_WAIT_MS = 60000, LINKS_HEARTBEAT_MS = 200, LINKS_TICK_MS = 100, LINKS_ORPHANS = 64 };

struct links_gateway {
    struct hub_rig rig;
    struct redis_registry *redis;
    struct tcp_gateway *tcp;
};
struct links_worker {
    struct redis_registry *redis;
    struct tcp_owner *tcp;
    struct worker *worker;
    struct log_reader *reader;
    char dir[RIG_PATH_BYTES];
    unsigned failed;
};
/* A connection whose device connected elsewhere: the gateway is to close it. */
struct links_orphan {
    struct links_gateway *gateway;
    struct rig_conn *conn;
};
struct links_world {
    uv_loop_t loop;
    uint64_t seed;
    struct redis_desk redis;
    struct memory_log log;
    struct links_gateway gateways[LINKS_GATEWAYS];
    struct links_worker workers[LINKS_WORKERS];
    struct model_device devices[LINKS_DEVICES];
    struct links_orphan orphans[LINKS_ORPHANS];
    size_t orphans_count, displaced;
    int64_t tick_ms;
    unsigned closed;
};

void links_world_init(struct links_world *world, uint64_t seed);
void links_world_fini(struct links_world *world);
uint64_t links_world_chance(struct links_world *world, uint64_t below);
/* One turn of the loop, and what follows for hubs and devices. */
void links_world_turn(struct links_world *world);
bool links_world_until(struct links_world *world, bool (*holds)(struct links_world *world));
void links_world_assign(struct links_world *world, uint32_t partition, size_t worker);
void links_world_cut(struct links_world *world, size_t worker); /* every link to it, as a network does */
/* The device's connection goes to this gateway; `leaving` the old one there as one that was lost without a word. */
void links_world_move(struct links_world *world, size_t device, size_t gateway, bool leaving);
bool links_world_ready(struct links_world *world); /* both hubs are */
bool links_world_quiet(struct links_world *world); /* no device waits for anything */

#endif
