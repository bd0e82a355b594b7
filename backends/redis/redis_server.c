#include "backends/redis/redis_server.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/asset.h"
#include "base/log.h"

enum { HEARTBEAT_TICKS = 5, QUIET_TICKS = 12, DIGEST_BYTES = 40 };

struct redis_server {
    struct redis_server_options options;
    struct redis_conn *commands, *listener;
    char digests[REDIS_SCRIPTS][DIGEST_BYTES];
    size_t loaded;
    bool ready;
    unsigned ticks, quiet;
    unsigned open;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

/* A command of a user of this. */
struct command {
    struct redis_server *server;
    void *ctx;
    void (*answered)(void *ctx, const struct redisReply *reply);
};

bool redis_server_is_ready(const struct redis_server *server) { return server->ready; }
size_t redis_server_pending(const struct redis_server *server) { return redis_conn_pending(server->commands); }

/* ---- scripts ---- */

static const struct asset *script_asset(enum redis_script script)
{
    static const char *const names[REDIS_SCRIPTS] = {
        [REDIS_ALIVE] = "alive.lua", [REDIS_CLAIM] = "claim.lua", [REDIS_DISOWN] = "disown.lua", [REDIS_HOLD] = "hold.lua", [REDIS_OFFSETS] = "offsets.lua",
        [REDIS_OWN] = "own.lua", [REDIS_PRESENCE] = "presence.lua", [REDIS_RELEASE] = "release.lua", [REDIS_USER] = "user.lua"};
    size_t at = 0;
    while (at < asset_redis_count && strcmp(asset_redis[at].path, names[script]) != 0) at++;
    assert(at < asset_redis_count);
    return &asset_redis[at];
}

static void load_next(struct redis_server *server);

static void on_loaded(void *ctx, const struct redisReply *reply)
{
    struct redis_server *server = ctx;
    if (reply == NULL) return; /* it went; `down` follows */
    if (reply->type != REDIS_REPLY_STRING || reply->len != DIGEST_BYTES) {
        redis_conn_drop(server->commands, reply->type == REDIS_REPLY_ERROR ? reply->str : "it takes no scripts");
        return;
    }
    memcpy(server->digests[server->loaded++], reply->str, DIGEST_BYTES);
    load_next(server);
}

static void load_next(struct redis_server *server)
{
    if (server->loaded == REDIS_SCRIPTS) {
        server->ready = true;
        server->options.ready(server->options.ctx, server->options.index);
        return;
    }
    const struct asset *asset = script_asset((enum redis_script)server->loaded);
    struct span args[] = {SPAN_LITERAL("SCRIPT"), SPAN_LITERAL("LOAD"), span_of((const char *)asset->data, asset->data_bytes)};
    if (!redis_conn_command(server->commands, args, 3, server, on_loaded)) redis_conn_drop(server->commands, "out of memory");
}

/* ---- the connections ---- */

static void on_up(void *ctx)
{
    struct redis_server *server = ctx;
    server->loaded = 0;
    server->ticks = 0;
    load_next(server);
}

static void on_down(void *ctx)
{
    struct redis_server *server = ctx;
    bool was_ready = server->ready;
    server->ready = false;
    if (was_ready) server->options.lost(server->options.ctx, server->options.index);
}

static void on_tick(void *ctx)
{
    struct redis_server *server = ctx;
    if (server->ready) server->options.tick(server->options.ctx, server->options.index);
    if (server->listener == NULL || !server->ready) return;
    if (server->ticks++ % HEARTBEAT_TICKS == 0) {
        struct span args[] = {SPAN_LITERAL("PUBLISH"), server->options.channel, SPAN_LITERAL("alive")};
        (void)redis_conn_command(server->commands, args, 3, NULL, NULL);
    }
    server->quiet = redis_conn_is_up(server->listener) ? server->quiet + 1 : 0;
    if (server->quiet > QUIET_TICKS) {
        server->quiet = 0;
        redis_conn_drop(server->listener, "its channel is silent");
    }
}

static void on_heard(void *ctx, struct span channel, struct span text)
{
    struct redis_server *server = ctx;
    server->quiet = 0;
    if (text.at == NULL && span_equal(channel, server->options.channel)) server->options.listening(server->options.ctx, server->options.index);
    else if (text.at != NULL && !span_is(text, "alive")) server->options.heard(server->options.ctx, channel, text);
}

static void on_listener_up(void *ctx)
{
    struct redis_server *server = ctx;
    server->quiet = 0;
    bool good = redis_conn_subscribe(server->listener, server->options.channel, server, on_heard) &&
                redis_conn_subscribe(server->listener, server->options.all_channel, server, on_heard);
    if (!good) redis_conn_drop(server->listener, "out of memory");
}

/* ---- commands ---- */

static void on_answered(void *ctx, const struct redisReply *reply)
{
    struct command *command = ctx;
    struct redis_server *server = command->server;
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR) {
        log_line(LOG_WARN_LEVEL, "redis_error", "server=%s said=\"%.200s\"", server->options.address, reply->str);
        bool anew = strncmp(reply->str, "NOSCRIPT", 8) == 0 || strncmp(reply->str, "READONLY", 8) == 0;
        reply = NULL;
        if (anew) redis_conn_drop(server->commands, "it forgot the scripts, or takes no writes");
    }
    if (command->answered != NULL) command->answered(command->ctx, reply);
    free(command);
}

static bool run(struct redis_server *server, const struct span *args, size_t count, void *ctx, void (*answered)(void *ctx, const struct redisReply *reply))
{
    if (!server->ready) return false;
    struct command *command = malloc(sizeof *command);
    if (command == NULL) return false;
    *command = (struct command){server, ctx, answered};
    if (redis_conn_command(server->commands, args, count, command, on_answered)) return true;
    free(command);
    return false;
}

bool redis_server_run(struct redis_server *server, enum redis_script script, struct span key, const struct span *args, size_t args_count,
                      void *ctx, void (*answered)(void *ctx, const struct redisReply *reply))
{
    struct span all[REDIS_ARGS_MAX] = {SPAN_LITERAL("EVALSHA"), span_of(server->digests[script], DIGEST_BYTES), SPAN_LITERAL("1"), key};
    assert(args_count + 4 <= REDIS_ARGS_MAX);
    memcpy(all + 4, args, args_count * sizeof *args);
    return run(server, all, args_count + 4, ctx, answered);
}

bool redis_server_get(struct redis_server *server, bool hash, struct span key, void *ctx,
                      void (*answered)(void *ctx, const struct redisReply *reply))
{
    struct span args[] = {hash ? SPAN_LITERAL("HGETALL") : SPAN_LITERAL("GET"), key};
    return run(server, args, 2, ctx, answered);
}

bool redis_server_integer(const struct redisReply *reply, long long *ret_value)
{
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) return false;
    *ret_value = reply->integer;
    return true;
}

/* ---- opening and closing ---- */

static void on_closed(void *ctx)
{
    struct redis_server *server = ctx;
    if (--server->open != 0) return;
    void *closed_ctx = server->closed_ctx;
    void (*closed)(void *) = server->closed;
    free(server);
    if (closed != NULL) closed(closed_ctx);
}

struct redis_server *redis_server_open(const struct redis_server_options *options)
{
    struct redis_server *server = calloc(1, sizeof *server);
    if (server == NULL) return NULL;
    server->options = *options;
    struct redis_conn_options conn = {.loop = options->loop, .address = options->address, .tick_ms = options->tick_ms, .ctx = server, .up = on_up, .down = on_down, .tick = on_tick};
    server->commands = redis_conn_open(&conn);
    if (server->commands == NULL) {
        free(server);
        return NULL;
    }
    server->open = 1;
    if (options->channel.bytes == 0) return server;
    struct redis_conn_options listener = {.loop = options->loop, .address = options->address, .subscriber = true, .tick_ms = options->tick_ms, .ctx = server, .up = on_listener_up};
    server->listener = redis_conn_open(&listener);
    if (server->listener != NULL) {
        server->open = 2;
        return server;
    }
    redis_server_close(server, NULL, NULL);
    return NULL;
}

void redis_server_close(struct redis_server *server, void *ctx, void (*closed)(void *ctx))
{
    server->ready = false;
    server->closed_ctx = ctx;
    server->closed = closed;
    if (server->listener != NULL) redis_conn_close(server->listener, server, on_closed);
    redis_conn_close(server->commands, server, on_closed); /* the last may be gone with it */
}
