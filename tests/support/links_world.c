#include "tests/support/links_world.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/asset.h"
#include "workers/host_uv.h"

static const char *const spaces[MODEL_SPACES] = {"chat:a", "cart:ana", "chat:b"};
static const char *const users[LINKS_DEVICES] = {"ana", "ana", "bob", "bob", "carl", "ana"};
static const char *const names[LINKS_DEVICES] = {"device-00", "device-01", "device-02", "device-03", "device-04", "device-05"};

uint64_t links_world_chance(struct links_world *world, uint64_t below) { return rig_random(&world->seed) % below; }

/* ---- beginning ---- */

static void open_gateway(struct links_world *world, size_t at)
{
    struct links_gateway *gateway = &world->gateways[at];
    char why[256];
    const char *name = at == 0 ? "gate-0" : "gate-1";
    struct redis_registry_options redis = {.loop = &world->loop, .servers = world->redis.address, .log = "testlog", .gateway = name, .tick_ms = LINKS_TICK_MS};
    enum err err = redis_registry_open(&redis, &gateway->redis, why, sizeof why);
    assert(err == ERR_OK);
    struct tcp_gateway_options tcp = {.loop = &world->loop, .name = name, .log = "testlog", .partitions = MEMORY_LOG_PARTITIONS,
                                      .directory = redis_registry_directory(gateway->redis), .heartbeat_ms = LINKS_HEARTBEAT_MS};
    err = tcp_gateway_open(&tcp, &gateway->tcp);
    assert(err == ERR_OK);
    hub_rig_init_on(&gateway->rig, name, memory_log_writer(&world->log), tcp_gateway_seam(gateway->tcp), redis_registry_seam(gateway->redis));
    gateway->rig.now_ms = rig_now_ms();
}

static void on_failed(void *ctx, enum err err, const char *why)
{
    (void)err;
    fprintf(stderr, "a worker failed: %s\n", why);
    ((struct links_worker *)ctx)->failed++;
}

static void open_worker(struct links_world *world, size_t at)
{
    struct links_worker *worker = &world->workers[at];
    char why[256];
    struct span texts[8];
    size_t count = 0;
    rig_dir_make(worker->dir);
    struct redis_registry_options redis = {.loop = &world->loop, .servers = world->redis.address, .log = "testlog", .tick_ms = LINKS_TICK_MS};
    enum err err = redis_registry_open(&redis, &worker->redis, why, sizeof why);
    assert(err == ERR_OK);
    struct tcp_owner_options tcp = {.loop = &world->loop, .name = at == 0 ? "worker-0" : "worker-1", .log = "testlog", .partitions = MEMORY_LOG_PARTITIONS,
                                    .directory = redis_registry_directory(worker->redis), .heartbeat_ms = LINKS_HEARTBEAT_MS};
    err = tcp_owner_open(&tcp, &worker->tcp, why, sizeof why);
    assert(err == ERR_OK);
    /* The journal stays far behind what is told: who takes over begins there. */
    struct worker_options options = {.reader = memory_log_reader(&world->log), .rules_writer = memory_log_writer(&world->log), .link = tcp_owner_seam(worker->tcp),
                                     .registry = redis_registry_seam(worker->redis), .data_dir = worker->dir, .gateways_outlive = true,
                                     .shares_partitions = true, .journal_ms = 500, .say_ctx = worker, .failed = on_failed};
    worker->reader = options.reader;
    err = host_uv_open(&world->loop, rig_now_ms, &options.host);
    assert(err == ERR_OK);
    err = worker_open(&options, &worker->worker);
    assert(err == ERR_OK);
    for (; count < asset_namespaces_count; count++) texts[count] = span_of((const char *)asset_namespaces[count].data, asset_namespaces[count].data_bytes);
    err = worker_namespaces_put(worker->worker, texts, count, why, sizeof why);
    assert(err == ERR_OK);
}

void links_world_init(struct links_world *world, uint64_t seed)
{
    *world = (struct links_world){.seed = seed};
    signal(SIGPIPE, SIG_IGN); /* as main() does */
    uv_loop_init(&world->loop);
    redis_desk_init(&world->redis);
    redis_desk_start(&world->redis);
    memory_log_init(&world->log, &world->loop);
    for (size_t i = 0; i < LINKS_GATEWAYS; i++) open_gateway(world, i);
    for (size_t i = 0; i < LINKS_WORKERS; i++) open_worker(world, i);
    for (uint32_t i = 0; i < MEMORY_LOG_PARTITIONS; i++) links_world_assign(world, i, i % LINKS_WORKERS);
    for (size_t i = 0; i < LINKS_DEVICES; i++)
        model_device_init(&world->devices[i], &world->gateways[i % LINKS_GATEWAYS].rig, i, users[i], names[i], spaces);
}

/* ---- a turn ---- */


static void follow_closes(struct links_world *world)
{
    for (size_t i = 0; i < LINKS_DEVICES; i++) {
        struct model_device *device = &world->devices[i];
        if (device->conn == NULL) continue;
        hub_heard(device->conn->session, device->rig->now_ms);
        if (device->conn->close_code != 0) fprintf(stderr, "%s was closed with %u\n", device->device, device->conn->close_code);
        assert(device->conn->close_code == 0);
    }
    for (size_t i = 0; i < world->orphans_count; i++) {
        struct links_orphan *orphan = &world->orphans[i];
        hub_heard(orphan->conn->session, orphan->gateway->rig.now_ms);
        if (orphan->conn->close_code == 0) continue;
        assert(orphan->conn->close_code == 4409);
        world->displaced++;
        hub_rig_close(&orphan->gateway->rig, orphan->conn);
        world->orphans[i--] = world->orphans[--world->orphans_count];
    }
}

void links_world_turn(struct links_world *world)
{
    int64_t now_ms = rig_now_ms();
    bool ticks = now_ms - world->tick_ms >= 100;
    uv_run(&world->loop, UV_RUN_ONCE); /* the log's timer ends its sleep */
    if (ticks) world->tick_ms = now_ms;
    for (size_t i = 0; i < LINKS_GATEWAYS; i++) {
        struct hub_rig *rig = &world->gateways[i].rig;
        rig->now_ms = now_ms;
        if (ticks) hub_tick(rig->hub, now_ms);
        hub_rig_turn(rig);
    }
    for (size_t i = 0; i < LINKS_DEVICES; i++) model_device_read(&world->devices[i]);
    follow_closes(world);
    for (size_t i = 0; i < LINKS_WORKERS; i++) assert(world->workers[i].failed == 0);
}

bool links_world_until(struct links_world *world, bool (*holds)(struct links_world *world))
{
    uint64_t end_ns = uv_hrtime() + (uint64_t)LINKS_WAIT_MS * 1000000;
    while (!holds(world) && uv_hrtime() < end_ns) links_world_turn(world);
    return holds(world);
}

bool links_world_ready(struct links_world *world)
{
    bool ready = true;
    for (size_t i = 0; i < LINKS_GATEWAYS; i++) ready = ready && hub_ready(world->gateways[i].rig.hub);
    return ready;
}

bool links_world_quiet(struct links_world *world)
{
    for (size_t i = 0; i < LINKS_DEVICES; i++)
        if (!model_device_is_idle(&world->devices[i])) return false;
    return true;
}

/* ---- what befalls it ---- */

void links_world_assign(struct links_world *world, uint32_t partition, size_t worker)
{
    memory_log_assign(&world->log, partition, world->workers[worker].reader);
}

static int port_of(int fd, int (*name)(int fd, struct sockaddr *restrict address, socklen_t *restrict bytes))
{
    struct sockaddr_in at = {0};
    socklen_t bytes = sizeof at;
    return name(fd, (struct sockaddr *)&at, &bytes) == 0 && at.sin_family == AF_INET ? ntohs(at.sin_port) : -1;
}

void links_world_cut(struct links_world *world, size_t worker)
{
    int port = (int)strtol(strrchr(tcp_owner_address(world->workers[worker].tcp), ':') + 1, NULL, 10);
    for (int fd = 3; fd < 1024; fd++) /* the gateways' ends are of this process too */
        if (port_of(fd, getpeername) == port) shutdown(fd, SHUT_RDWR);
}

void links_world_move(struct links_world *world, size_t at, size_t to, bool leaving)
{
    struct model_device *device = &world->devices[at];
    struct links_gateway *gateway = &world->gateways[to];
    size_t free_at = LINKS_DEVICES;
    if (device->conn != NULL && leaving && world->orphans_count < LINKS_ORPHANS && device->rig != &gateway->rig) {
        struct links_gateway *old = device->rig == &world->gateways[0].rig ? &world->gateways[0] : &world->gateways[1];
        model_device_read(device);
        world->orphans[world->orphans_count++] = (struct links_orphan){old, device->conn};
        for (size_t i = 0; i < MODEL_SPACES; i++) device->spaces[i].live = device->spaces[i].in_run = false;
        device->conn = NULL;
    } else {
        model_device_disconnect(device);
    }
    while (free_at < RIG_CONNS && gateway->rig.conns[free_at].session != NULL) free_at++;
    if (free_at == RIG_CONNS) return;
    device->rig = &gateway->rig;
    device->at = free_at;
    /* Which of two connections is the newer is told by the gateways' clocks, in ms: no device is here and there within one. */
    for (int64_t left_ms = rig_now_ms(); rig_now_ms() == left_ms;) continue;
    model_device_connect(device);
}

/* ---- ending ---- */

static void on_closed(void *ctx) { ((struct links_world *)ctx)->closed++; }

static void close_step(struct links_world *world, unsigned wanted)
{
    for (uint64_t end_ns = uv_hrtime() + (uint64_t)LINKS_WAIT_MS * 1000000; world->closed < wanted && uv_hrtime() < end_ns;) uv_run(&world->loop, UV_RUN_ONCE);
    assert(world->closed == wanted);
    world->closed = 0;
}

void links_world_fini(struct links_world *world)
{
    for (size_t i = 0; i < LINKS_GATEWAYS; i++) {
        hub_rig_fini(&world->gateways[i].rig);
        tcp_gateway_close(world->gateways[i].tcp, world, on_closed);
    }
    for (size_t i = 0; i < LINKS_WORKERS; i++) worker_close(world->workers[i].worker, world, on_closed);
    close_step(world, LINKS_GATEWAYS + LINKS_WORKERS);
    for (size_t i = 0; i < LINKS_WORKERS; i++) tcp_owner_close(world->workers[i].tcp, world, on_closed);
    close_step(world, LINKS_WORKERS);
    for (size_t i = 0; i < LINKS_GATEWAYS; i++) redis_registry_close(world->gateways[i].redis, world, on_closed);
    for (size_t i = 0; i < LINKS_WORKERS; i++) redis_registry_close(world->workers[i].redis, world, on_closed);
    close_step(world, LINKS_GATEWAYS + LINKS_WORKERS);
    memory_log_fini(&world->log);
    rig_loop_close(&world->loop);
    for (size_t i = 0; i < LINKS_WORKERS; i++) rig_dir_remove(world->workers[i].dir);
    redis_desk_fini(&world->redis);
}
