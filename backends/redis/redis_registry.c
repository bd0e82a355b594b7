#include "backends/redis/redis_registry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "backends/redis/redis_registry_parts.h"
#include "core/hash.h"
#include "core/number.h"

enum { TICK_MS = 1000, CLOSING_MS = 1000, CLOSING_LOOK_MS = 10 };

struct redis_registry *redis_registry_of(struct registry *base) { return (struct redis_registry *)(void *)base; }
struct redis_registry *redis_registry_of_directory(struct directory *directory)
{
    return (struct redis_registry *)(void *)((char *)directory - offsetof(struct redis_registry, directory));
}

void redis_registry_key(struct redis_registry *r, const char *kind, struct span name, struct redis_key *ret_key)
{
    int head = snprintf(ret_key->text, sizeof ret_key->text, "%s:%s:", r->prefix, kind);
    size_t before = strlen(r->prefix) + 1;
    assert(head > 0 && (size_t)head + name.bytes <= sizeof ret_key->text);
    memcpy(ret_key->text + head, name.at, name.bytes);
    ret_key->bytes = (size_t)head + name.bytes;
    ret_key->slot = &r->slots[hash_64(span_of(ret_key->text + before, ret_key->bytes - before)) % r->slots_count];
}

struct span redis_registry_span(const struct redis_key *key) { return span_of(key->text, key->bytes); }

/* ---- the servers ---- */

static void on_lived(void *ctx, const struct redisReply *reply);

static void say_alive(struct redis_slot *slot, bool first)
{
    struct redis_registry *r = slot->registry;
    struct redis_key key;
    char ms[24];
    snprintf(ms, sizeof ms, "%d", REDIS_ALIVE_MS);
    struct span args[] = {span_text(r->epoch), span_text(ms)};
    if (r->name[0] == '\0') return;
    redis_registry_key(r, "gw", span_text(r->name), &key);
    (void)redis_server_run(slot->server, REDIS_ALIVE, redis_registry_span(&key), args, 2, slot, first ? NULL : on_lived);
}

static void on_ready(void *ctx, size_t index)
{
    struct redis_registry *r = ctx;
    struct redis_slot *slot = &r->slots[index];
    r->counters.servers++;
    r->counters.ready++;
    slot->ticks = 0;
    say_alive(slot, true); /* first: what is said of its sessions is void without it */
    redis_registry_sessions_again(slot);
    redis_registry_owners_tick(slot);
}

/* Nobody told this gateway meanwhile which of its sessions were displaced: each says again that it holds its device. */
static void on_listening(void *ctx, size_t index)
{
    struct redis_slot *slot = &((struct redis_registry *)ctx)->slots[index];
    if (redis_server_is_ready(slot->server)) redis_registry_sessions_again(slot);
}

static void on_lost(void *ctx, size_t index)
{
    struct redis_registry *r = ctx;
    (void)index;
    r->counters.servers--;
    r->counters.lost++;
}

static void on_tick(void *ctx, size_t index)
{
    struct redis_registry *r = ctx;
    struct redis_slot *slot = &r->slots[index];
    if (++slot->ticks % REDIS_ALIVE_TICKS == 0) {
        say_alive(slot, false);
        redis_registry_owners_tick(slot);
    }
    redis_registry_sessions_tick(slot);
}

/* "displaced <epoch> <session>" on this gateway's channel, a partition's number on that of all. */
static void on_heard(void *ctx, struct span channel, struct span text)
{
    static const char word[] = "displaced ";
    struct redis_registry *r = ctx;
    size_t head = sizeof word - 1, epoch = sizeof r->epoch - 1;
    uint64_t number;
    if (span_is(channel, r->all_channel)) {
        if (number_digits(text, &number) && number <= UINT32_MAX && r->directory.changed != NULL) r->directory.changed(r->directory.ctx, (uint32_t)number);
        return;
    }
    if (text.bytes <= head + epoch + 1 || memcmp(text.at, word, head) != 0 || memcmp(text.at + head, r->epoch, epoch) != 0) return;
    if (number_digits(span_of(text.at + head + epoch + 1, text.bytes - head - epoch - 1), &number)) redis_registry_displaced(r, number);
}

/* ---- opening and closing ---- */

static void forget(struct registry *base, void *ctx) { redis_registry_forget(redis_registry_of(base), ctx); }
static void forget_finds(struct directory *directory, void *ctx) { redis_registry_forget(redis_registry_of_directory(directory), ctx); }

static const struct registry_ops registry_ops = {redis_registry_set_presence, redis_registry_get_user, redis_registry_claim, redis_registry_release,
                                                 redis_registry_put_offset, redis_registry_get_offsets, forget};
static const struct directory_ops directory_ops = {redis_registry_find_owner, forget_finds, redis_registry_put_owner, redis_registry_withdraw};

static void on_timer(uv_timer_t *timer) { redis_registry_offsets_flush(timer->data); }

static void free_registry(struct redis_registry *r)
{
    redis_registry_sessions_fini(r);
    redis_registry_offsets_fini(r);
    redis_registry_owners_fini(r);
    free(r->addresses);
    free(r);
}

static void on_closed(void *ctx)
{
    struct redis_registry *r = ctx;
    if (--r->open != 0) return;
    void *closed_ctx = r->closed_ctx;
    void (*closed)(void *) = r->closed;
    assert(r->questions == NULL);
    free_registry(r);
    if (closed != NULL) closed(closed_ctx);
}

static void on_timer_closed(uv_handle_t *handle) { on_closed(handle->data); }

/* Cuts r->addresses at its commas; false, with `why`: one is no address. */
static bool cut_addresses(struct redis_registry *r, const char *ret_at[REDIS_SERVERS_MAX], char *why, size_t why_bytes)
{
    char *rest = NULL;
    for (char *at = strtok_r(r->addresses, ",", &rest); at != NULL; at = strtok_r(NULL, ",", &rest)) {
        if (r->slots_count == REDIS_SERVERS_MAX || !redis_conn_is_address(at)) {
            snprintf(why, why_bytes, "%.100s: %s", at, r->slots_count == REDIS_SERVERS_MAX ? "more servers than may be named" : "host:port is wanted");
            return false;
        }
        ret_at[r->slots_count++] = at;
    }
    if (r->slots_count == 0) snprintf(why, why_bytes, "no server is named");
    return r->slots_count > 0;
}

static bool make_names(struct redis_registry *r, const struct redis_registry_options *options)
{
    uint64_t epoch;
    if (getrandom(&epoch, sizeof epoch, 0) != (ssize_t)sizeof epoch) return false;
    snprintf(r->epoch, sizeof r->epoch, "%016llx", (unsigned long long)epoch);
    snprintf(r->prefix, sizeof r->prefix, "tidegate:%s", options->log);
    snprintf(r->all_channel, sizeof r->all_channel, "%s:owners", r->prefix);
    if (options->gateway == NULL) return true;
    assert(strlen(options->gateway) <= REDIS_NAME_BYTES);
    snprintf(r->name, sizeof r->name, "%s", options->gateway);
    snprintf(r->channel, sizeof r->channel, "%s:to:%s", r->prefix, r->name);
    return true;
}

enum err redis_registry_open(const struct redis_registry_options *options, struct redis_registry **ret_registry, char *why, size_t why_bytes)
{
    const char *addresses[REDIS_SERVERS_MAX];
    struct redis_registry *r = calloc(1, sizeof *r);
    snprintf(why, why_bytes, "out of memory");
    if (r == NULL) return ERR_MEMORY;
    r->base.ops = &registry_ops;
    r->directory.ops = &directory_ops;
    r->gone_end = &r->gone;
    r->addresses = strdup(options->servers);
    if (r->addresses == NULL || !make_names(r, options) || !cut_addresses(r, addresses, why, why_bytes)) {
        enum err err = r->addresses == NULL || r->prefix[0] == '\0' ? ERR_MEMORY : ERR_CONFIG;
        free_registry(r);
        return err;
    }
    uint64_t tick_ms = options->tick_ms == 0 ? TICK_MS : options->tick_ms;
    uv_timer_init(options->loop, &r->timer);
    r->timer.data = r;
    r->open = 1;
    struct redis_server_options server = {.loop = options->loop, .tick_ms = tick_ms, .channel = span_text(r->channel), .all_channel = span_text(r->all_channel), .ctx = r,
                                          .ready = on_ready, .lost = on_lost, .tick = on_tick,
                                          .listening = on_listening, .heard = on_heard};
    for (size_t i = 0; i < r->slots_count; i++) {
        server.address = addresses[i];
        server.index = i;
        r->slots[i].registry = r;
        r->slots[i].server = redis_server_open(&server);
        if (r->slots[i].server == NULL) {
            redis_registry_close(r, NULL, NULL);
            return ERR_MEMORY;
        }
        r->open++;
    }
    uv_timer_start(&r->timer, on_timer, tick_ms, tick_ms);
    *ret_registry = r;
    return ERR_OK;
}

/* The key of this gateway was not there: the server was emptied, or this process slept too long. */
static void on_lived(void *ctx, const struct redisReply *reply)
{
    long long was;
    struct redis_slot *slot = ctx;
    if (redis_server_integer(reply, &was) && was == 0) redis_registry_sessions_again(slot);
}

static void on_closing(uv_timer_t *timer)
{
    struct redis_registry *r = timer->data;
    bool busy = false;
    for (size_t i = 0; i < r->slots_count; i++)
        busy = busy || (r->slots[i].server != NULL && redis_server_is_ready(r->slots[i].server) && redis_server_pending(r->slots[i].server) > 0);
    if (busy && uv_now(timer->loop) - r->closing_ms < CLOSING_MS) return;
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    for (size_t i = 0; i < r->slots_count; i++)
        if (r->slots[i].server != NULL) redis_server_close(r->slots[i].server, r, on_closed);
}

void redis_registry_close(struct redis_registry *r, void *ctx, void (*closed)(void *ctx))
{
    assert(!r->closing);
    redis_registry_offsets_flush(r);
    r->closing = true;
    r->closed_ctx = ctx;
    r->closed = closed;
    r->closing_ms = uv_now(r->timer.loop);
    uv_timer_start(&r->timer, on_closing, 0, CLOSING_LOOK_MS);
}

struct registry *redis_registry_seam(struct redis_registry *registry) { return &registry->base; }
struct directory *redis_registry_directory(struct redis_registry *registry) { return &registry->directory; }
const struct redis_counters *redis_registry_counters(const struct redis_registry *registry) { return &registry->counters; }
