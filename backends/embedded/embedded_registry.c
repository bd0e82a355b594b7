#include "backends/embedded/embedded_registry.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

#include "backends/embedded/lmdbx.h"
#include "core/hash.h"
#include "core/limits.h"
#include "core/map.h"

enum {
    SAVE_MS = 1000,
    UNSAVED_MAX = 200000,
    SWEEP_ENTRIES = 256,
    OFFSET_DAYS_MAX = 180,
    TABLE_SEEN = 0,
    TABLE_OFFSET = 1,
    KEY_BYTES_MAX = LIMIT_USER_BYTES_MAX + 1 + LIMIT_DEVICE_BYTES_MAX + 1 + 8,
    OFFSET_HEAD_BYTES = 18
};

/* A session that is here. */
struct here {
    struct here *next; /* of the same user */
    uint64_t session;
    enum presence_state state;
};
struct user {
    struct map_node node;
    struct here *first;
    char name[];
};
/* Which session holds a device. */
struct holder {
    struct map_node node;
    uint64_t session;
    char key[];
};
/* An entry that is not in LMDB yet. */
struct unsaved {
    struct map_node node;
    struct unsaved *next;
    size_t table;
    uint64_t place; /* of an offset */
    struct span value;
    char bytes[];   /* a byte for the table, key, value */
};

struct embedded_registry {
    struct registry base; /* first: the seam's struct is this one */
    struct lmdbx *env;
    struct map users, holders;
    struct map unsaved;         /* since the last save began */
    struct map saving;          /* being written by the pool: read, never changed */
    int64_t now_ms;             /* the newest that a call brought */
    char sweep_key[KEY_BYTES_MAX]; /* where the next look at old offsets begins */
    size_t sweep_key_bytes;
    int64_t sweep_now_ms;
    bool save_running, closing;
    uv_timer_t timer;
    uv_work_t work;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

static struct embedded_registry *self(struct registry *r) { return (struct embedded_registry *)(void *)r; }

static void put_u64(char *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) at[i] = (char)(unsigned char)(value >> (8 * i) & 0xff);
}
static uint64_t get_u64(const char *at)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | (unsigned char)at[i];
    return value;
}

/* ---- entries on their way to LMDB ---- */

static void drop_all(struct map *map)
{
    struct map_node *node = map_next(map, NULL);
    while (node != NULL) {
        struct map_node *next = map_next(map, node);
        free(node);
        node = next;
    }
    map_fini(map);
}

static struct unsaved *find_unsaved(const struct embedded_registry *r, size_t table, struct span key)
{
    char at[1 + KEY_BYTES_MAX];
    assert(key.bytes <= KEY_BYTES_MAX);
    at[0] = (char)table;
    memcpy(at + 1, key.at, key.bytes);
    struct map_node *node = map_find(&r->unsaved, span_of(at, key.bytes + 1));
    if (node == NULL) node = map_find(&r->saving, span_of(at, key.bytes + 1));
    return (struct unsaved *)(void *)node;
}

static void put_unsaved(struct embedded_registry *r, size_t table, struct span key, struct span value, uint64_t place)
{
    char at[1 + KEY_BYTES_MAX];
    at[0] = (char)table;
    memcpy(at + 1, key.at, key.bytes);
    struct map_node *old = map_find(&r->unsaved, span_of(at, key.bytes + 1));
    if (old == NULL && r->unsaved.count >= UNSAVED_MAX) return;
    struct unsaved *entry = malloc(sizeof *entry + 1 + key.bytes + value.bytes);
    if (entry == NULL) return;
    entry->table = table;
    entry->place = place;
    memcpy(entry->bytes, at, key.bytes + 1);
    memcpy(entry->bytes + 1 + key.bytes, value.at, value.bytes);
    entry->node.key = span_of(entry->bytes, key.bytes + 1);
    entry->value = span_of(entry->bytes + 1 + key.bytes, value.bytes);
    if (old != NULL) {
        map_take(&r->unsaved, old);
        free(old);
    }
    if (!map_put(&r->unsaved, &entry->node)) free(entry);
}

/* The newest value: on its way, or in LMDB through `txn`. ret_value->at NULL: none. */
static enum err find_value(const struct embedded_registry *r, struct lmdbx_txn *txn, size_t table, struct span key,
                           struct span *ret_value)
{
    const struct unsaved *entry = find_unsaved(r, table, key);
    if (entry == NULL) return lmdbx_get(txn, table, key, ret_value);
    *ret_value = entry->value;
    return ERR_OK;
}

/* ---- saving, in the pool ---- */

static enum err sweep(struct lmdbx_txn *txn, struct embedded_registry *r)
{
    char from[KEY_BYTES_MAX + 1];
    size_t from_bytes = r->sweep_key_bytes;
    memcpy(from, r->sweep_key, from_bytes);
    for (int i = 0; i < SWEEP_ENTRIES; i++) {
        struct span key, value;
        enum err err = lmdbx_seek(txn, TABLE_OFFSET, span_of(from, from_bytes), false, &key, &value);
        if (err != ERR_OK) return err;
        if (key.at == NULL || key.bytes >= KEY_BYTES_MAX) {
            from_bytes = 0;
            break;
        }
        memcpy(from, key.at, key.bytes);
        from[key.bytes] = 0; /* the least key past this one */
        from_bytes = key.bytes + 1;
        int64_t age_ms = value.bytes < OFFSET_HEAD_BYTES ? INT64_MAX : r->sweep_now_ms - (int64_t)get_u64(value.at + 8);
        if (age_ms < INT64_C(86400000) * OFFSET_DAYS_MAX) continue;
        err = lmdbx_remove(txn, TABLE_OFFSET, span_of(from, from_bytes - 1));
        if (err != ERR_OK) return err;
    }
    memcpy(r->sweep_key, from, from_bytes);
    r->sweep_key_bytes = from_bytes;
    return ERR_OK;
}

static enum err save_all(struct lmdbx_txn *txn, void *ctx)
{
    struct embedded_registry *r = ctx;
    for (struct map_node *node = map_next(&r->saving, NULL); node != NULL; node = map_next(&r->saving, node)) {
        const struct unsaved *entry = (const struct unsaved *)(const void *)node;
        struct span key = span_of(node->key.at + 1, node->key.bytes - 1);
        enum err err = lmdbx_put(txn, entry->table, key, entry->value);
        if (err != ERR_OK) return err;
    }
    return sweep(txn, r);
}

static void save_in_pool(uv_work_t *work)
{
    struct embedded_registry *r = work->data;
    /* What a full disk swallows here comes again by itself: everything in the registry may be lost. */
    (void)lmdbx_write(r->env, save_all, r);
}

static void on_timer(uv_timer_t *timer);

static void finish_close(uv_handle_t *handle)
{
    struct embedded_registry *r = handle->data;
    void *ctx = r->closed_ctx;
    void (*closed)(void *) = r->closed;
    for (struct map_node *node = map_next(&r->users, NULL); node != NULL; node = map_next(&r->users, node)) {
        for (struct here *here = ((struct user *)(void *)node)->first, *next; here != NULL; here = next) {
            next = here->next;
            free(here);
        }
    }
    drop_all(&r->users);
    drop_all(&r->holders);
    drop_all(&r->unsaved);
    drop_all(&r->saving);
    lmdbx_close(r->env);
    free(r);
    if (closed != NULL) closed(ctx);
}

static void on_saved(uv_work_t *work, int status)
{
    struct embedded_registry *r = work->data;
    (void)status;
    drop_all(&r->saving);
    r->save_running = false;
    if (!r->closing) return;
    on_timer(&r->timer);
    if (!r->save_running) uv_close((uv_handle_t *)&r->timer, finish_close);
}

static void on_timer(uv_timer_t *timer)
{
    struct embedded_registry *r = timer->data;
    if (r->save_running || r->unsaved.count == 0) return;
    r->saving = r->unsaved;
    r->unsaved = (struct map){0};
    r->sweep_now_ms = r->now_ms;
    r->save_running = uv_queue_work(timer->loop, &r->work, save_in_pool, on_saved) == 0;
}

/* ---- the seam ---- */

static void note_seen(struct embedded_registry *r, struct span user, int64_t now_ms)
{
    char value[8];
    put_u64(value, (uint64_t)now_ms);
    put_unsaved(r, TABLE_SEEN, user, span_of(value, 8), 0);
}

static struct user *make_user(struct embedded_registry *r, struct span name)
{
    struct user *user = calloc(1, sizeof *user + name.bytes);
    if (user == NULL) return NULL;
    memcpy(user->name, name.at, name.bytes);
    user->node.key = span_of(user->name, name.bytes);
    if (map_put(&r->users, &user->node)) return user;
    free(user);
    return NULL;
}

static void set_presence(struct registry *base, struct span name, struct span device, uint64_t session,
                         enum presence_state state, int64_t now_ms)
{
    struct embedded_registry *r = self(base);
    (void)device; /* a session is one device's */
    if (now_ms > r->now_ms) r->now_ms = now_ms;
    note_seen(r, name, now_ms);
    struct user *user = (struct user *)(void *)map_find(&r->users, name);
    if (user == NULL && state != PRESENCE_OFFLINE) user = make_user(r, name);
    if (user == NULL) return;
    struct here **at = &user->first;
    while (*at != NULL && (*at)->session != session) at = &(*at)->next;
    if (state == PRESENCE_OFFLINE) {
        struct here *gone = *at;
        if (gone != NULL) *at = gone->next;
        free(gone);
    } else {
        if (*at == NULL) *at = calloc(1, sizeof **at);
        if (*at != NULL) {
            (*at)->session = session;
            (*at)->state = state;
        }
    }
    if (user->first != NULL) return;
    map_take(&r->users, &user->node);
    free(user);
}

static void get_user(struct registry *base, struct span name, void *ctx,
                     void (*told)(void *ctx, enum err err, const struct registry_user *user))
{
    struct embedded_registry *r = self(base);
    struct registry_user answer = {PRESENCE_OFFLINE, 0};
    struct lmdbx_txn *txn;
    struct span value;
    const struct user *user = (const struct user *)(const void *)map_find(&r->users, name);
    for (const struct here *here = user == NULL ? NULL : user->first; here != NULL; here = here->next)
        if (here->state > answer.state) answer.state = here->state;
    enum err err = name.bytes == 0 || name.bytes > LIMIT_USER_BYTES_MAX ? ERR_INVALID : lmdbx_read_begin(r->env, &txn);
    if (err != ERR_OK) {
        told(ctx, err, NULL);
        return;
    }
    err = find_value(r, txn, TABLE_SEEN, name, &value);
    if (err == ERR_OK && value.bytes == 8) answer.last_seen_ms = (int64_t)get_u64(value.at);
    lmdbx_read_end(txn);
    told(ctx, err, err == ERR_OK ? &answer : NULL);
}

/* user 0x00 device 0x00, the beginning of every key of a device. */
static struct span device_key(char at[KEY_BYTES_MAX], struct span user, struct span device)
{
    assert(user.bytes <= LIMIT_USER_BYTES_MAX && device.bytes <= LIMIT_DEVICE_BYTES_MAX);
    memcpy(at, user.at, user.bytes);
    at[user.bytes] = 0;
    memcpy(at + user.bytes + 1, device.at, device.bytes);
    at[user.bytes + 1 + device.bytes] = 0;
    return span_of(at, user.bytes + device.bytes + 2);
}

static void claim_device(struct registry *base, struct span user, struct span device, uint64_t session)
{
    struct embedded_registry *r = self(base);
    char at[KEY_BYTES_MAX];
    struct span key = device_key(at, user, device);
    struct holder *holder = (struct holder *)(void *)map_find(&r->holders, key);
    if (holder != NULL) {
        uint64_t older = holder->session;
        holder->session = session;
        if (older != session && base->displaced != NULL) base->displaced(base->ctx, older);
        return;
    }
    holder = malloc(sizeof *holder + key.bytes);
    if (holder == NULL) return;
    memcpy(holder->key, key.at, key.bytes);
    holder->node.key = span_of(holder->key, key.bytes);
    holder->session = session;
    if (!map_put(&r->holders, &holder->node)) free(holder);
}

static void release_device(struct registry *base, struct span user, struct span device, uint64_t session)
{
    struct embedded_registry *r = self(base);
    char at[KEY_BYTES_MAX];
    struct holder *holder = (struct holder *)(void *)map_find(&r->holders, device_key(at, user, device));
    if (holder == NULL || holder->session != session) return;
    map_take(&r->holders, &holder->node);
    free(holder);
}

static void put_offset(struct registry *base, struct span user, struct span device, struct span space, uint64_t place,
                       struct span cursor, int64_t now_ms)
{
    struct embedded_registry *r = self(base);
    char at[KEY_BYTES_MAX], value[OFFSET_HEAD_BYTES + LIMIT_SPACE_BYTES_MAX + 256];
    struct lmdbx_txn *txn;
    struct span old;
    if (now_ms > r->now_ms) r->now_ms = now_ms;
    if (space.bytes > LIMIT_SPACE_BYTES_MAX || cursor.bytes > 256) return;
    struct span key = device_key(at, user, device);
    lmdbx_key_u64(hash_64(space), at + key.bytes);
    key.bytes += 8;
    if (lmdbx_read_begin(r->env, &txn) != ERR_OK) return;
    enum err err = find_value(r, txn, TABLE_OFFSET, key, &old);
    bool forward = err == ERR_OK && (old.bytes < OFFSET_HEAD_BYTES || get_u64(old.at) < place);
    lmdbx_read_end(txn);
    if (!forward) return;
    put_u64(value, place);
    put_u64(value + 8, (uint64_t)now_ms);
    value[16] = (char)(space.bytes & 0xff);
    value[17] = (char)(space.bytes >> 8);
    memcpy(value + OFFSET_HEAD_BYTES, space.at, space.bytes);
    memcpy(value + OFFSET_HEAD_BYTES + space.bytes, cursor.at, cursor.bytes);
    put_unsaved(r, TABLE_OFFSET, key, span_of(value, OFFSET_HEAD_BYTES + space.bytes + cursor.bytes), place);
}

/* A device's offsets, gathered: spans into LMDB's pages or unsaved entries, valid while the transaction is open. */
struct gathered {
    struct registry_offset *offsets;
    size_t count, room;
};

static enum err gather(struct gathered *all, struct span value)
{
    if (value.bytes < OFFSET_HEAD_BYTES) return ERR_CORRUPT;
    size_t space_bytes = (size_t)(unsigned char)value.at[16] | (size_t)(unsigned char)value.at[17] << 8;
    if (value.bytes < OFFSET_HEAD_BYTES + space_bytes) return ERR_CORRUPT;
    if (all->count == all->room) {
        size_t room = all->room == 0 ? 16 : all->room * 2;
        struct registry_offset *grown = realloc(all->offsets, room * sizeof *grown);
        if (grown == NULL) return ERR_MEMORY;
        all->offsets = grown;
        all->room = room;
    }
    const char *space = value.at + OFFSET_HEAD_BYTES;
    all->offsets[all->count++] = (struct registry_offset){
        span_of(space, space_bytes), span_of(space + space_bytes, value.bytes - OFFSET_HEAD_BYTES - space_bytes)};
    return ERR_OK;
}

static bool begins_with(struct span key, struct span prefix)
{
    return key.bytes >= prefix.bytes && memcmp(key.at, prefix.at, prefix.bytes) == 0;
}

static enum err gather_saved(struct embedded_registry *r, struct lmdbx_txn *txn, struct span prefix, struct gathered *all)
{
    char from[KEY_BYTES_MAX + 1];
    size_t from_bytes = prefix.bytes;
    memcpy(from, prefix.at, prefix.bytes);
    for (;;) {
        struct span key, value;
        enum err err = lmdbx_seek(txn, TABLE_OFFSET, span_of(from, from_bytes), false, &key, &value);
        if (err != ERR_OK) return err;
        if (key.at == NULL || !begins_with(key, prefix) || key.bytes > KEY_BYTES_MAX) return ERR_OK;
        if (find_unsaved(r, TABLE_OFFSET, key) == NULL) err = gather(all, value);
        if (err != ERR_OK) return err;
        memcpy(from, key.at, key.bytes);
        from[key.bytes] = 0;
        from_bytes = key.bytes + 1;
    }
}

static enum err gather_unsaved(struct embedded_registry *r, const struct map *map, struct span prefix, struct gathered *all)
{
    for (struct map_node *node = map_next(map, NULL); node != NULL; node = map_next(map, node)) {
        const struct unsaved *entry = (const struct unsaved *)(const void *)node;
        struct span key = span_of(node->key.at + 1, node->key.bytes - 1);
        if (entry->table != TABLE_OFFSET || !begins_with(key, prefix)) continue;
        if (find_unsaved(r, TABLE_OFFSET, key) != entry) continue; /* changed again since */
        enum err err = gather(all, entry->value);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

static void get_offsets(struct registry *base, struct span user, struct span device, void *ctx,
                        void (*told)(void *ctx, enum err err, const struct registry_offset *offsets, size_t count))
{
    struct embedded_registry *r = self(base);
    char at[KEY_BYTES_MAX];
    struct span prefix = device_key(at, user, device);
    struct gathered all = {NULL, 0, 0};
    struct lmdbx_txn *txn;
    enum err err = lmdbx_read_begin(r->env, &txn);
    if (err != ERR_OK) {
        told(ctx, err, NULL, 0);
        return;
    }
    err = gather_saved(r, txn, prefix, &all);
    if (err == ERR_OK) err = gather_unsaved(r, &r->unsaved, prefix, &all);
    if (err == ERR_OK) err = gather_unsaved(r, &r->saving, prefix, &all);
    told(ctx, err, all.offsets, err == ERR_OK ? all.count : 0);
    lmdbx_read_end(txn);
    free(all.offsets);
}

/* Every question is answered from inside its call. */
static void forget(struct registry *base, void *ctx)
{
    (void)base;
    (void)ctx;
}

static const struct registry_ops ops = {set_presence, get_user, claim_device, release_device, put_offset, get_offsets, forget};

enum err embedded_registry_open(const char *path, bool fsync, struct uv_loop_s *loop,
                                struct embedded_registry **ret_registry, char *why, size_t why_bytes)
{
    static const char *const tables[] = {[TABLE_SEEN] = "seen", [TABLE_OFFSET] = "offset"};
    struct lmdbx_options options = {.path = path, .tables = tables, .tables_count = 2,
                                    .sync = fsync ? LMDBX_SYNC_ONCE : LMDBX_SYNC_NOT};
    struct embedded_registry *r = calloc(1, sizeof *r);
    if (r == NULL) return ERR_MEMORY;
    enum err err = lmdbx_open(&options, &r->env, why, why_bytes);
    if (err != ERR_OK) {
        free(r);
        return err;
    }
    r->base.ops = &ops;
    r->work.data = r->timer.data = r;
    uv_timer_init(loop, &r->timer);
    uv_timer_start(&r->timer, on_timer, SAVE_MS, SAVE_MS);
    uv_unref((uv_handle_t *)&r->timer);
    *ret_registry = r;
    return ERR_OK;
}

void embedded_registry_close(struct embedded_registry *r, void *ctx, void (*closed)(void *ctx))
{
    r->closing = true;
    r->closed_ctx = ctx;
    r->closed = closed;
    uv_timer_stop(&r->timer);
    on_timer(&r->timer); /* what is unsaved */
    if (!r->save_running) uv_close((uv_handle_t *)&r->timer, finish_close);
}

struct registry *embedded_registry_seam(struct embedded_registry *r) { return &r->base; }
