/* One Redis of those that keys are spread over: a connection for commands, and for gateways one that listens.
 *
 * `ready` is told when the connection is up and every script is loaded; `lost` when it is no more. Scripts are run by their digest; should the
 * server have forgotten them, or refuse to write, the connection is made anew, and with it everything is written again.
 * The listening connection cannot tell by itself whether the other end lives: each HEARTBEAT_TICKS the command connection publishes
 * to this gateway's own channel, and a listener that hears nothing for QUIET_TICKS is cut. */
#ifndef TIDEGATE_BACKENDS_REDIS_REDIS_SERVER_H
#define TIDEGATE_BACKENDS_REDIS_REDIS_SERVER_H

#include "backends/redis/redis_conn.h"

/* The files of schemas/redis, by name. */
enum redis_script {
    REDIS_ALIVE, REDIS_CLAIM, REDIS_DISOWN, REDIS_HOLD, REDIS_OFFSETS, REDIS_OWN, REDIS_PRESENCE, REDIS_RELEASE, REDIS_USER, REDIS_SCRIPTS
};

struct redis_server;
struct redis_server_options {
    struct uv_loop_s *loop;
    const char *address;
    size_t index;                     /* handed back */
    uint64_t tick_ms;                 /* 0: a second */
    struct span channel;              /* this gateway's own; "": do not listen. Kept by the caller */
    struct span all_channel;          /* what all gateways hear */
    void *ctx;
    void (*ready)(void *ctx, size_t index);
    void (*lost)(void *ctx, size_t index);
    void (*tick)(void *ctx, size_t index);
    void (*listening)(void *ctx, size_t index); /* from here on; what was published before was not heard */
    void (*heard)(void *ctx, struct span channel, struct span text);
};

struct redis_server *redis_server_open(const struct redis_server_options *options);
void redis_server_close(struct redis_server *server, void *ctx, void (*closed)(void *ctx));
bool redis_server_is_ready(const struct redis_server *server);
size_t redis_server_pending(const struct redis_server *server);
/* False: not ready, or busy. `answered` gets NULL for an error too: it was logged. */
bool redis_server_run(struct redis_server *server, enum redis_script script, struct span key, const struct span *args, size_t args_count,
                      void *ctx, void (*answered)(void *ctx, const struct redisReply *reply));
bool redis_server_get(struct redis_server *server, bool hash, struct span key, void *ctx,
                      void (*answered)(void *ctx, const struct redisReply *reply)); /* GET, or HGETALL */
bool redis_server_integer(const struct redisReply *reply, long long *ret_value); /* false: NULL, or something else */

#endif
