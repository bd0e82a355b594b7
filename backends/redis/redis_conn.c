#include "backends/redis/redis_conn.h"

#include <assert.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uv.h>

#include "backends/redis/redis_poll.h"
#include "base/log.h"

enum { CONNECT_MS = 2000, RETRY_MS = 100, RETRY_MS_MAX = 5000, TICK_MS = 1000, IDLE_TICKS = 5, QUIET_TICKS = 5, HOST_BYTES = 256 };

enum state { AWAY, CONNECTING, UP };

struct redis_conn {
    struct redis_conn_options options;
    char host[HOST_BYTES], port[8], *address;
    enum state state;
    redisAsyncContext *redis;  /* NULL: none, or hiredis is letting go */
    bool connected, dropping, resolving, closing, told_away;
    unsigned failures, polls, handles;
    size_t pending;
    unsigned quiet, idle;      /* ticks: something is under way and nothing came; nothing was sent */
    uv_timer_t timer;          /* the next try, the deadline of this one, or that it is up now */
    uv_timer_t ticker;
    uv_getaddrinfo_t request;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

/* A command under way. */
struct call {
    struct redis_conn *conn;
    void *ctx;
    void (*answered)(void *ctx, const struct redisReply *reply);
};
/* A subscription; hiredis keeps it as long as its context. */
struct subscription {
    struct redis_conn *conn;
    void *ctx;
    void (*heard)(void *ctx, struct span channel, struct span text);
};

static void on_timer(uv_timer_t *timer);

static bool split(const char *text, char host[HOST_BYTES], char port[8])
{
    size_t bytes = strlen(text);
    const char *colon = strrchr(text, ':'), *number = "6379";
    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) return false;
        if (end[1] == ':') number = end + 2;
        bytes = (size_t)(end - text) - 1;
        text++;
    } else if (colon != NULL) {
        if (memchr(text, ':', (size_t)(colon - text)) != NULL) return false;
        number = colon + 1;
        bytes = (size_t)(colon - text);
    }
    if (bytes == 0 || bytes >= HOST_BYTES || number[0] == '\0' || strlen(number) > 5 || strspn(number, "0123456789") != strlen(number)) return false;
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    snprintf(port, 8, "%s", number);
    return true;
}

bool redis_conn_is_address(const char *text)
{
    char host[HOST_BYTES], port[8];
    return split(text, host, port);
}

/* ---- ending ---- */

static uint64_t jitter(uint64_t below)
{
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value) return below / 2;
    return value % below;
}

static void finish_close(struct redis_conn *conn)
{
    if (!conn->closing || conn->redis != NULL || conn->polls != 0 || conn->resolving || conn->handles != 0) return;
    void *ctx = conn->closed_ctx;
    void (*closed)(void *) = conn->closed;
    free(conn->address);
    free(conn);
    if (closed != NULL) closed(ctx);
}

/* hiredis is done with its context, or there never was one: the next try is due after a while. */
static void ended(struct redis_conn *conn, const char *why)
{
    bool was_up = conn->state == UP;
    uint64_t most_ms = RETRY_MS;
    conn->redis = NULL;
    conn->connected = conn->dropping = false;
    conn->state = AWAY;
    if (conn->closing) {
        finish_close(conn);
        return;
    }
    uv_timer_stop(&conn->ticker);
    for (unsigned i = 0; i < conn->failures && most_ms < RETRY_MS_MAX; i++) most_ms *= 2;
    conn->failures++;
    uv_timer_start(&conn->timer, on_timer, 1 + jitter(most_ms < RETRY_MS_MAX ? most_ms : RETRY_MS_MAX), 0);
    if (!conn->told_away) log_line(LOG_WARN_LEVEL, "redis_away", "server=%s why=\"%s\"", conn->address, why);
    conn->told_away = true;
    if (was_up && conn->options.down != NULL) conn->options.down(conn->options.ctx);
}

static void on_disconnected(const redisAsyncContext *redis, int status)
{
    struct redis_conn *conn = redis->data;
    ended(conn, status == REDIS_OK ? "it was cut" : redis->errstr);
}

/* Lets go of the context. hiredis may do so only later, when it is in the middle of a callback. */
static void let_go(struct redis_conn *conn, const char *why)
{
    redisAsyncContext *redis = conn->redis;
    if (redis == NULL || conn->dropping) return;
    bool told = conn->connected; /* else on_disconnected() is not called */
    conn->dropping = true;
    if (!conn->told_away && conn->state == UP && !conn->closing) log_line(LOG_WARN_LEVEL, "redis_away", "server=%s why=\"%s\"", conn->address, why);
    conn->told_away = conn->told_away || conn->state == UP;
    redisAsyncFree(redis);
    if (!told) ended(conn, why);
}

void redis_conn_drop(struct redis_conn *conn, const char *why) { let_go(conn, why); }

/* ---- beginning ---- */

static void on_poll_gone(void *ctx)
{
    struct redis_conn *conn = ctx;
    conn->polls--;
    finish_close(conn);
}

/* Nothing may be sent, and nothing cut, from inside this callback: the timer goes on from here. */
static void on_connected(const redisAsyncContext *redis, int status)
{
    struct redis_conn *conn = redis->data;
    if (status != REDIS_OK) {
        ended(conn, redis->errstr);
        return;
    }
    conn->connected = true;
    uv_timer_start(&conn->timer, on_timer, 0, 0);
}

static void connect_to(struct redis_conn *conn, const char *ip)
{
    redisAsyncContext *redis = redisAsyncConnect(ip, (int)strtoul(conn->port, NULL, 10));
    if (redis == NULL || redis->err != 0 || !redis_poll_attach(redis, conn->options.loop, conn, on_poll_gone)) {
        char why[160];
        snprintf(why, sizeof why, "%s", redis == NULL || redis->err == 0 ? "out of memory" : redis->errstr);
        if (redis != NULL) redisAsyncFree(redis);
        ended(conn, why);
        return;
    }
    conn->polls++;
    redis->data = conn;
    conn->redis = redis;
    redisAsyncSetDisconnectCallback(redis, on_disconnected);
    redisAsyncSetConnectCallback(redis, on_connected);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
    struct redis_conn *conn = request->data;
    char ip[64] = "";
    conn->resolving = false;
    if (status == 0 && info != NULL) {
        if (info->ai_family == AF_INET) uv_ip4_name((const struct sockaddr_in *)(const void *)info->ai_addr, ip, sizeof ip);
        else uv_ip6_name((const struct sockaddr_in6 *)(const void *)info->ai_addr, ip, sizeof ip);
    }
    uv_freeaddrinfo(info);
    if (conn->closing) finish_close(conn);
    else if (ip[0] == '\0') ended(conn, status == 0 ? "its name leads nowhere" : uv_strerror(status));
    else connect_to(conn, ip);
}

static void begin(struct redis_conn *conn)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    conn->state = CONNECTING;
    conn->request.data = conn;
    uv_timer_start(&conn->timer, on_timer, CONNECT_MS, 0);
    conn->resolving = uv_getaddrinfo(conn->options.loop, &conn->request, on_resolved, conn->host, conn->port, &hints) == 0;
    if (!conn->resolving) ended(conn, "its name cannot be looked up");
}

static void on_tick(uv_timer_t *timer)
{
    static const struct span ping = {"PING", 4};
    struct redis_conn *conn = timer->data;
    conn->quiet = conn->pending == 0 ? 0 : conn->quiet + 1;
    conn->idle++;
    if (conn->quiet > QUIET_TICKS) {
        let_go(conn, "it answers nothing");
        return;
    }
    if (conn->idle >= IDLE_TICKS && !conn->options.subscriber) (void)redis_conn_command(conn, &ping, 1, NULL, NULL);
    if (conn->options.tick != NULL) conn->options.tick(conn->options.ctx);
}

static void on_timer(uv_timer_t *timer)
{
    struct redis_conn *conn = timer->data;
    if (conn->state == AWAY) {
        begin(conn);
    } else if (conn->state == CONNECTING && !conn->connected) {
        if (conn->redis != NULL) let_go(conn, "it did not connect in time");
        else uv_timer_start(&conn->timer, on_timer, CONNECT_MS, 0); /* its name is still being looked up */
    } else if (conn->state == CONNECTING) {
        conn->state = UP;
        conn->failures = conn->quiet = conn->idle = 0;
        if (conn->told_away) log_line(LOG_INFO_LEVEL, "redis_back", "server=%s", conn->address);
        conn->told_away = false;
        uv_timer_start(&conn->ticker, on_tick, conn->options.tick_ms, conn->options.tick_ms);
        if (conn->options.up != NULL) conn->options.up(conn->options.ctx);
    }
}

/* ---- commands ---- */

static void on_reply(redisAsyncContext *redis, void *reply, void *data)
{
    struct call *call = data;
    struct redis_conn *conn = call->conn;
    (void)redis;
    conn->pending--;
    if (reply != NULL) conn->quiet = 0;
    if (call->answered != NULL) call->answered(call->ctx, reply);
    free(call);
}

bool redis_conn_command(struct redis_conn *conn, const struct span *args, size_t args_count, void *ctx,
                        void (*answered)(void *ctx, const struct redisReply *reply))
{
    const char *texts[REDIS_ARGS_MAX];
    size_t lengths[REDIS_ARGS_MAX];
    assert(args_count <= REDIS_ARGS_MAX && !conn->options.subscriber);
    if (!redis_conn_is_up(conn) || conn->pending >= REDIS_PENDING_MAX) return false;
    struct call *call = malloc(sizeof *call);
    if (call == NULL) return false;
    *call = (struct call){conn, ctx, answered};
    for (size_t i = 0; i < args_count; i++) {
        texts[i] = args[i].bytes == 0 ? "" : args[i].at;
        lengths[i] = args[i].bytes;
    }
    if (redisAsyncCommandArgv(conn->redis, on_reply, call, (int)args_count, texts, lengths) != REDIS_OK) {
        free(call);
        return false;
    }
    conn->pending++;
    conn->idle = 0;
    return true;
}

static struct span text_of(const struct redisReply *reply) { return span_of(reply->str, (size_t)reply->len); }

static void on_heard(redisAsyncContext *redis, void *data, void *privdata)
{
    const struct redisReply *reply = data;
    struct subscription *subscription = privdata;
    (void)redis;
    if (reply == NULL) { /* the connection ends: hiredis asks for it no more */
        free(subscription);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 || reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING) return;
    struct span kind = text_of(reply->element[0]), channel = text_of(reply->element[1]);
    if (span_is(kind, "subscribe")) subscription->heard(subscription->ctx, channel, span_of(NULL, 0));
    else if (span_is(kind, "message") && reply->element[2]->type == REDIS_REPLY_STRING)
        subscription->heard(subscription->ctx, channel, text_of(reply->element[2]));
}

bool redis_conn_subscribe(struct redis_conn *conn, struct span channel, void *ctx, void (*heard)(void *ctx, struct span channel, struct span text))
{
    const char *texts[] = {"SUBSCRIBE", channel.at};
    size_t lengths[] = {9, channel.bytes};
    assert(conn->options.subscriber);
    if (!redis_conn_is_up(conn)) return false;
    struct subscription *subscription = malloc(sizeof *subscription);
    if (subscription == NULL) return false;
    *subscription = (struct subscription){conn, ctx, heard};
    if (redisAsyncCommandArgv(conn->redis, on_heard, subscription, 2, texts, lengths) == REDIS_OK) return true;
    free(subscription);
    return false;
}

/* ---- opening and closing ---- */

bool redis_conn_is_up(const struct redis_conn *conn) { return conn->state == UP && conn->redis != NULL && !conn->dropping && !conn->closing; }
size_t redis_conn_pending(const struct redis_conn *conn) { return conn->pending; }

struct redis_conn *redis_conn_open(const struct redis_conn_options *options)
{
    struct redis_conn *conn = calloc(1, sizeof *conn);
    char *address = strdup(options->address);
    if (conn == NULL || address == NULL) {
        free(conn);
        free(address);
        return NULL;
    }
    conn->options = *options;
    if (conn->options.tick_ms == 0) conn->options.tick_ms = TICK_MS;
    conn->address = address;
    bool good = split(address, conn->host, conn->port);
    assert(good);
    uv_timer_init(options->loop, &conn->timer);
    uv_timer_init(options->loop, &conn->ticker);
    conn->handles = 2;
    conn->timer.data = conn->ticker.data = conn;
    uv_timer_start(&conn->timer, on_timer, 0, 0);
    return conn;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct redis_conn *conn = handle->data;
    conn->handles--;
    finish_close(conn);
}

void redis_conn_close(struct redis_conn *conn, void *ctx, void (*closed)(void *ctx))
{
    assert(!conn->closing);
    conn->closing = true;
    conn->closed_ctx = ctx;
    conn->closed = closed;
    uv_close((uv_handle_t *)&conn->timer, on_handle_closed);
    uv_close((uv_handle_t *)&conn->ticker, on_handle_closed);
    if (conn->resolving) (void)uv_cancel((uv_req_t *)&conn->request);
    let_go(conn, "closing");
}
