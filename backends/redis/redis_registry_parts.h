/* Internal to redis_registry*.c. */
#ifndef TIDEGATE_BACKENDS_REDIS_REDIS_REGISTRY_PARTS_H
#define TIDEGATE_BACKENDS_REDIS_REDIS_REGISTRY_PARTS_H

#include <uv.h>

#include "backends/redis/redis_registry.h"
#include "backends/redis/redis_server.h"
#include "core/map.h"

enum {
    REDIS_KEY_BYTES = 512,
    REDIS_NAME_BYTES = 64,
    REDIS_ALIVE_MS = 15000,      /* what is refreshed each REDIS_ALIVE_TICKS is good for this long */
    REDIS_ALIVE_TICKS = 5,
    REDIS_KEEP_DAYS = 180        /* users, devices, offsets that nothing was heard of are forgotten after this */
};

/* A session of this gateway. */
struct redis_session {
    struct map_node node;        /* by number */
    struct map_node holder;      /* by device and user, while `holds` */
    struct redis_session *next, *prev;
    uint64_t number;
    enum presence_state state;   /* OFFLINE: not present */
    bool holds;                  /* the device, as far as it knows */
    int64_t seen_ms, claim_ms;
    struct span user, device, device_user; /* into text: `device:user` */
    char text[];
};

/* A session that ended, until a server knows it. */
struct redis_gone {
    struct redis_gone *next;
    struct redis_registry *registry;
    bool under_way;
    uint64_t number;
    int64_t seen_ms;
    struct span user;
    char text[];
};

struct redis_offset {
    struct redis_offset *next;
    uint64_t place;
    struct span space, cursor;   /* into text */
    char text[];
};
/* Offsets of one device that wait to be written. */
struct redis_device {
    struct map_node node;        /* by `device:user` */
    struct redis_offset *first;
    char key[];
};

struct redis_owned {
    struct redis_owned *next;
    bool known;                  /* the server has it from us; else it is put, not kept */
    bool elsewhere;              /* another put his later, and it was said */
    uint32_t partition;
    struct redis_registry *registry;
    char address[DIRECTORY_ADDRESS_BYTES_MAX + 1];
};

enum redis_question_kind { REDIS_ASKS_USER, REDIS_ASKS_OFFSETS, REDIS_ASKS_OWNER };
struct redis_question {
    struct redis_question *next, *prev;
    struct redis_registry *registry;
    enum redis_question_kind kind;
    uint32_t partition;
    void *ctx;                   /* NULL with `forgotten` */
    bool forgotten;
    void (*user_told)(void *ctx, enum err err, const struct registry_user *user);
    void (*offsets_told)(void *ctx, enum err err, const struct registry_offset *offsets, size_t count);
    void (*owner_told)(void *ctx, enum err err, uint32_t partition, struct span address);
};

/* One of the servers. */
struct redis_slot {
    struct redis_registry *registry;
    struct redis_server *server;
    struct redis_session *rewrite; /* the next that is written again; NULL: all are */
    bool hurried;                  /* as fast as the server takes it */
    unsigned ticks, since_rewrite;
};

struct redis_registry {
    struct registry base; /* first: the seam's struct is this one */
    struct directory directory;
    struct redis_counters counters;
    struct redis_slot slots[REDIS_SERVERS_MAX];
    size_t slots_count;
    unsigned open;
    bool closing;
    uint64_t closing_ms;
    char prefix[REDIS_KEY_BYTES / 4];
    char name[REDIS_NAME_BYTES + 1], epoch[17];
    char channel[REDIS_KEY_BYTES / 2], all_channel[REDIS_KEY_BYTES / 2];
    char *addresses;             /* one copy, cut at the commas */
    struct map sessions, holders, devices;
    struct redis_session *first;
    struct redis_gone *gone, **gone_end;
    size_t gone_count, offsets_count;
    struct redis_owned *owned;
    struct redis_question *questions;
    uv_timer_t timer;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

struct redis_key {
    char text[REDIS_KEY_BYTES];
    size_t bytes;
    struct redis_slot *slot;     /* its server's */
};
/* prefix:kind:name */
void redis_registry_key(struct redis_registry *r, const char *kind, struct span name, struct redis_key *ret_key);
struct span redis_registry_span(const struct redis_key *key);
struct redis_registry *redis_registry_of(struct registry *base);

/* redis_registry_sessions.c */
void redis_registry_set_presence(struct registry *base, struct span user, struct span device, uint64_t session, enum presence_state state, int64_t now_ms);
void redis_registry_claim(struct registry *base, struct span user, struct span device, uint64_t session);
void redis_registry_release(struct registry *base, struct span user, struct span device, uint64_t session);
void redis_registry_displaced(struct redis_registry *r, uint64_t number);
void redis_registry_sessions_again(struct redis_slot *slot); /* all that is this server's is written again, in a hurry */
void redis_registry_sessions_tick(struct redis_slot *slot);
void redis_registry_sessions_fini(struct redis_registry *r);
/* redis_registry_offsets.c */
void redis_registry_put_offset(struct registry *base, struct span user, struct span device, struct span space, uint64_t place, struct span cursor, int64_t now_ms);
void redis_registry_offsets_flush(struct redis_registry *r);
void redis_registry_offsets_fini(struct redis_registry *r);
/* redis_registry_ask.c */
void redis_registry_get_user(struct registry *base, struct span user, void *ctx, void (*told)(void *ctx, enum err err, const struct registry_user *user));
void redis_registry_get_offsets(struct registry *base, struct span user, struct span device, void *ctx,
                                void (*told)(void *ctx, enum err err, const struct registry_offset *offsets, size_t count));
void redis_registry_find_owner(struct directory *directory, uint32_t partition, void *ctx,
                               void (*told)(void *ctx, enum err err, uint32_t partition, struct span address));
void redis_registry_forget(struct redis_registry *r, void *ctx);
/* redis_registry_owners.c */
void redis_registry_put_owner(struct directory *directory, uint32_t partition, struct span address);
void redis_registry_withdraw(struct directory *directory, uint32_t partition, struct span address);
void redis_registry_owners_tick(struct redis_slot *slot);
void redis_registry_owners_fini(struct redis_registry *r);
struct redis_registry *redis_registry_of_directory(struct directory *directory);

#endif
