/* Registries of two gateways and a worker on one loop, before real Redis servers, and what they were told. */
#ifndef TIDEGATE_TESTS_SUPPORT_REDIS_RIG_H
#define TIDEGATE_TESTS_SUPPORT_REDIS_RIG_H

#include "backends/redis/redis_registry.h"
#include "tests/support/redis_desk.h"

enum { RIG_REGISTRIES = 3, RIG_TICK_MS = 100, RIG_WAIT_MS = 60000 };

struct redis_seat {
    struct redis_registry *redis;
    struct registry *registry;
    struct directory *directory;
    uint64_t displaced[8];
    size_t displaced_count;
    size_t changes;
    uint32_t changed;
    size_t closed;
};
/* The one question that is under way. */
struct redis_asked {
    bool answered;
    enum err err;
    struct registry_user user;
    size_t count;
    char spaces[4][64], cursors[4][64];
    char address[64];
};
struct redis_rig {
    uv_loop_t loop;
    struct redis_desk servers[2];
    struct redis_seat seats[RIG_REGISTRIES];
    struct redis_asked asked;
};

int redis_rig_setup(void **state);   /* two servers, of which the first runs */
int redis_rig_teardown(void **state);
/* `servers` NULL: the first one's address. `gateway` NULL: a worker's. */
struct redis_seat *redis_rig_open(struct redis_rig *rig, int at, const char *servers, const char *gateway);
void redis_rig_close(struct redis_rig *rig, struct redis_seat *seat);
bool redis_rig_until(struct redis_rig *rig, bool (*holds)(void *ctx), void *ctx);
/* Asks once, and waits for the answer: rig->asked. */
void redis_rig_ask_user(struct redis_rig *rig, struct redis_seat *seat, const char *user);
void redis_rig_ask_offsets(struct redis_rig *rig, struct redis_seat *seat, const char *user, const char *device);
void redis_rig_ask_owner(struct redis_rig *rig, struct redis_seat *seat, uint32_t partition);
/* Asks again and again until it is so. */
bool redis_rig_until_user(struct redis_rig *rig, struct redis_seat *seat, const char *user, enum err err, enum presence_state state);
bool redis_rig_until_owner(struct redis_rig *rig, struct redis_seat *seat, uint32_t partition, const char *address);
bool redis_rig_until_cursor(struct redis_rig *rig, struct redis_seat *seat, const char *user, const char *device, const char *cursor);
bool redis_rig_until_ready(struct redis_rig *rig, struct redis_seat *seat, size_t servers);
bool redis_rig_until_displaced(struct redis_rig *rig, struct redis_seat *seat, size_t count);

#endif
