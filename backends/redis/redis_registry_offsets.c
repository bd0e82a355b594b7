/* Offsets: gathered for a second, a command a device, only ever forward. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/redis/redis_registry_parts.h"
#include "base/clock.h"
#include "core/limits.h"

enum { TRIPLES_MAX = (REDIS_ARGS_MAX - 4 - 3) / 3, PENDING_MOST = REDIS_PENDING_MAX / 2, CURSOR_BYTES_MOST = 256, PLACE_BYTES = 24 };

/* Offsets of one device that are on their way. */
struct batch {
    struct redis_registry *registry;
    struct redis_offset *first;
    size_t key_bytes;
    char key[];
};

static void put(struct redis_registry *r, struct span device_user, struct redis_offset *offset);

static void drop(struct redis_registry *r, struct redis_offset *offset)
{
    r->counters.offsets_dropped++;
    free(offset);
}

static struct redis_device *device_of(struct redis_registry *r, struct span key)
{
    struct redis_device *device = (struct redis_device *)(void *)map_find(&r->devices, key);
    if (device != NULL) return device;
    device = calloc(1, sizeof *device + key.bytes);
    if (device == NULL) return NULL;
    memcpy(device->key, key.at, key.bytes);
    device->node.key = span_of(device->key, key.bytes);
    if (map_put(&r->devices, &device->node)) return device;
    free(device);
    return NULL;
}

/* The offset is taken over. The greater place stays. */
static void put(struct redis_registry *r, struct span device_user, struct redis_offset *offset)
{
    struct redis_device *device = r->offsets_count >= REDIS_OFFSETS_MAX ? NULL : device_of(r, device_user);
    if (device == NULL) {
        drop(r, offset);
        return;
    }
    for (struct redis_offset **at = &device->first; *at != NULL; at = &(*at)->next) {
        struct redis_offset *other = *at;
        if (!span_equal(other->space, offset->space)) continue;
        if (other->place >= offset->place) {
            free(offset);
            return;
        }
        *at = other->next;
        r->offsets_count--;
        free(other);
        break;
    }
    offset->next = device->first;
    device->first = offset;
    r->offsets_count++;
}

void redis_registry_put_offset(struct registry *base, struct span user, struct span device, struct span space, uint64_t place, struct span cursor,
                               int64_t now_ms)
{
    struct redis_registry *r = redis_registry_of(base);
    char key[LIMIT_DEVICE_BYTES_MAX + 1 + LIMIT_USER_BYTES_MAX];
    (void)now_ms; /* when it is written counts */
    if (space.bytes > LIMIT_SPACE_BYTES_MAX || cursor.bytes > CURSOR_BYTES_MOST) return;
    assert(user.bytes <= LIMIT_USER_BYTES_MAX && device.bytes <= LIMIT_DEVICE_BYTES_MAX);
    struct redis_offset *offset = malloc(sizeof *offset + space.bytes + cursor.bytes);
    if (offset == NULL) return;
    memcpy(offset->text, space.at, space.bytes);
    memcpy(offset->text + space.bytes, cursor.at, cursor.bytes);
    offset->space = span_of(offset->text, space.bytes);
    offset->cursor = span_of(offset->text + space.bytes, cursor.bytes);
    offset->place = place;
    memcpy(key, device.at, device.bytes);
    key[device.bytes] = ':';
    memcpy(key + device.bytes + 1, user.at, user.bytes);
    put(r, span_of(key, device.bytes + 1 + user.bytes), offset);
}

static void on_written(void *ctx, const struct redisReply *reply)
{
    struct batch *batch = ctx;
    struct redis_registry *r = batch->registry;
    for (struct redis_offset *offset = batch->first, *next; offset != NULL; offset = next) {
        next = offset->next;
        if (reply == NULL && !r->closing) {
            put(r, span_of(batch->key, batch->key_bytes), offset); /* again, when the server is back */
        } else {
            r->counters.offsets += reply != NULL;
            free(offset);
        }
    }
    free(batch);
}

/* Up to TRIPLES_MAX of a device's. False: not now. */
static bool write_some(struct redis_registry *r, struct redis_device *device)
{
    struct redis_key key;
    struct span args[REDIS_ARGS_MAX - 4];
    char places[TRIPLES_MAX][PLACE_BYTES], now[24], oldest[24], keep[24];
    int64_t keep_ms = (int64_t)REDIS_KEEP_DAYS * 86400000, now_ms = clock_wall_ms();
    size_t count = 3, offsets = 0;
    redis_registry_key(r, "off", device->node.key, &key);
    if (!redis_server_is_ready(key.slot->server) || redis_server_pending(key.slot->server) > PENDING_MOST) return false;
    struct batch *batch = malloc(sizeof *batch + device->node.key.bytes);
    if (batch == NULL) return false;
    snprintf(now, sizeof now, "%lld", (long long)now_ms);
    snprintf(oldest, sizeof oldest, "%lld", (long long)(now_ms - keep_ms));
    snprintf(keep, sizeof keep, "%lld", (long long)keep_ms);
    args[0] = span_text(now);
    args[1] = span_text(oldest);
    args[2] = span_text(keep);
    struct redis_offset *last = NULL;
    for (struct redis_offset *offset = device->first; offset != NULL && offsets < TRIPLES_MAX; offset = offset->next) {
        snprintf(places[offsets], PLACE_BYTES, "%llu", (unsigned long long)offset->place);
        args[count++] = offset->space;
        args[count++] = span_text(places[offsets++]);
        args[count++] = offset->cursor;
        last = offset;
    }
    memcpy(batch->key, device->node.key.at, device->node.key.bytes);
    batch->key_bytes = device->node.key.bytes;
    batch->registry = r;
    if (last == NULL || !redis_server_run(key.slot->server, REDIS_OFFSETS, redis_registry_span(&key), args, count, batch, on_written)) {
        free(batch);
        return false;
    }
    batch->first = device->first;
    device->first = last->next;
    last->next = NULL;
    r->offsets_count -= offsets;
    return true;
}

void redis_registry_offsets_flush(struct redis_registry *r)
{
    struct map_node *node = map_next(&r->devices, NULL);
    while (node != NULL) {
        struct redis_device *device = (struct redis_device *)(void *)node;
        node = map_next(&r->devices, node);
        while (device->first != NULL && write_some(r, device)) continue;
        if (device->first != NULL) continue;
        map_take(&r->devices, &device->node);
        free(device);
    }
}

void redis_registry_offsets_fini(struct redis_registry *r)
{
    struct map_node *node = map_next(&r->devices, NULL);
    while (node != NULL) {
        struct redis_device *device = (struct redis_device *)(void *)node;
        node = map_next(&r->devices, node);
        while (device->first != NULL) {
            struct redis_offset *offset = device->first;
            device->first = offset->next;
            free(offset);
        }
        free(device);
    }
    map_fini(&r->devices);
}
