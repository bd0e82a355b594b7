/* One connection to one Redis that comes back by itself.
 *
 * STATES  AWAY (until a timer) -> CONNECTING (name looked up, socket connecting; at most CONNECT_MS) -> UP -> AWAY.
 *         Between two tries: exponential backoff with full jitter, RETRY_MS to RETRY_MS_MAX.
 * WATCHDOG  In ticks of this loop, a second each: idle for 5, it sends a PING; asked something and heard nothing for 5, it is cut.
 * Every command is answered exactly once, with NULL where the connection ended before; then `down` is told, and the next `up` is a new
 * beginning: what came between is lost. At most REDIS_PENDING_MAX commands are under way; a further one is not taken.
 * A connection for SUBSCRIBE takes nothing else, and hears nothing of whether the other end lives: the owner has to see to it.
 * Nothing is called from inside redis_conn_open(), _command() or _subscribe(). On the loop's thread. */
#ifndef TIDEGATE_BACKENDS_REDIS_REDIS_CONN_H
#define TIDEGATE_BACKENDS_REDIS_REDIS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/span.h"

enum { REDIS_PENDING_MAX = 8192, REDIS_ARGS_MAX = 512 };

struct redisReply;
struct uv_loop_s;
struct redis_conn;

struct redis_conn_options {
    struct uv_loop_s *loop;
    const char *address;           /* "host", "host:port", "[v6]:port"; kept */
    bool subscriber;
    uint64_t tick_ms;              /* 0: a second */
    void *ctx;
    void (*up)(void *ctx);
    void (*down)(void *ctx);
    void (*tick)(void *ctx);       /* each second while it is up */
};

/* NULL: out of memory. */
struct redis_conn *redis_conn_open(const struct redis_conn_options *options);
/* Commands under way are answered NULL, `down` is not told. `closed` comes from the loop. */
void redis_conn_close(struct redis_conn *conn, void *ctx, void (*closed)(void *ctx));
bool redis_conn_is_up(const struct redis_conn *conn);
size_t redis_conn_pending(const struct redis_conn *conn);
/* False: not UP, or too many under way; `answered` is not called then. */
bool redis_conn_command(struct redis_conn *conn, const struct span *args, size_t args_count, void *ctx,
                        void (*answered)(void *ctx, const struct redisReply *reply));
/* What is published on the channel, and its confirmation (text.at NULL). */
bool redis_conn_subscribe(struct redis_conn *conn, struct span channel, void *ctx, void (*heard)(void *ctx, struct span channel, struct span text));
/* Cuts it, with one line in the log: it comes back later. */
void redis_conn_drop(struct redis_conn *conn, const char *why);
bool redis_conn_is_address(const char *text);

#endif
