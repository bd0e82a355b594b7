/* What this process owns, kept in the directory as long as it does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/redis/redis_registry_parts.h"
#include "base/log.h"

static void key_of(struct redis_registry *r, uint32_t partition, struct redis_key *ret_key)
{
    char name[16];
    snprintf(name, sizeof name, "%u", partition);
    redis_registry_key(r, "own", span_text(name), ret_key);
}

static struct redis_owned *find(struct redis_registry *r, uint32_t partition)
{
    struct redis_owned *owned = r->owned;
    while (owned != NULL && owned->partition != partition) owned = owned->next;
    return owned;
}

/* What a command was about; the entry may be gone when it is answered. */
struct said {
    struct redis_registry *registry;
    uint32_t partition;
};

static void on_said(void *ctx, const struct redisReply *reply)
{
    struct said *said = ctx;
    struct redis_owned *owned = find(said->registry, said->partition);
    long long mine;
    if (owned != NULL && redis_server_integer(reply, &mine)) {
        owned->known = owned->known || mine == 1;
        if (mine == 0 && !owned->elsewhere) log_line(LOG_WARN_LEVEL, "partition_elsewhere", "partition=%u why=\"another worker put its address later\"", said->partition);
        owned->elsewhere = mine == 0;
    }
    free(said);
}

static void say(struct redis_owned *owned)
{
    struct redis_registry *r = owned->registry;
    struct redis_key key;
    char ms[24], partition[16];
    struct said *said = malloc(sizeof *said);
    if (said == NULL) return; /* said again in a few seconds */
    *said = (struct said){r, owned->partition};
    key_of(r, owned->partition, &key);
    snprintf(ms, sizeof ms, "%d", REDIS_ALIVE_MS);
    snprintf(partition, sizeof partition, "%u", owned->partition);
    struct span args[] = {span_text(owned->address), span_text(ms), owned->known ? SPAN_LITERAL("keep") : SPAN_LITERAL("put"), span_text(r->all_channel),
                          span_text(partition)};
    if (!redis_server_run(key.slot->server, REDIS_OWN, redis_registry_span(&key), args, 5, said, on_said)) free(said);
}

void redis_registry_put_owner(struct directory *directory, uint32_t partition, struct span address)
{
    struct redis_registry *r = redis_registry_of_directory(directory);
    struct redis_owned *owned = find(r, partition);
    if (address.bytes > DIRECTORY_ADDRESS_BYTES_MAX || r->closing) return;
    if (owned == NULL) {
        owned = calloc(1, sizeof *owned);
        if (owned == NULL) return;
        owned->next = r->owned;
        r->owned = owned;
    }
    owned->registry = r;
    owned->partition = partition;
    owned->known = owned->elsewhere = false;
    memcpy(owned->address, address.at, address.bytes);
    owned->address[address.bytes] = '\0';
    say(owned);
}

void redis_registry_withdraw(struct directory *directory, uint32_t partition, struct span address)
{
    struct redis_registry *r = redis_registry_of_directory(directory);
    struct redis_owned **at = &r->owned;
    struct redis_key key;
    char name[16];
    while (*at != NULL && (*at)->partition != partition) at = &(*at)->next;
    if (*at != NULL && span_is(address, (*at)->address)) {
        struct redis_owned *owned = *at;
        *at = owned->next;
        free(owned);
    }
    key_of(r, partition, &key);
    snprintf(name, sizeof name, "%u", partition);
    struct span args[] = {address, span_text(r->all_channel), span_text(name)};
    /* If it is not heard, the entry ends by itself. */
    (void)redis_server_run(key.slot->server, REDIS_DISOWN, redis_registry_span(&key), args, 3, NULL, NULL);
}

void redis_registry_owners_tick(struct redis_slot *slot)
{
    struct redis_key key;
    for (struct redis_owned *owned = slot->registry->owned; owned != NULL; owned = owned->next) {
        key_of(slot->registry, owned->partition, &key);
        if (key.slot == slot) say(owned);
    }
}

void redis_registry_owners_fini(struct redis_registry *r)
{
    while (r->owned != NULL) {
        struct redis_owned *owned = r->owned;
        r->owned = owned->next;
        free(owned);
    }
}
