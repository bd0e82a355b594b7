#include "workers/presence.h"

#include <assert.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/limits.h"
#include "core/map.h"

struct session {
    struct session *next;
    uint32_t peer;
    uint64_t id;
    uint64_t meta_nth;           /* the greater, the later told */
    char *meta;                  /* what this one told last; NULL: none */
    size_t meta_bytes;
    enum presence_state state;
    uint16_t device_bytes;
    char device[];
};

struct user {
    struct map_node node;        /* first */
    struct user *changed_next;   /* in its space's list of those that may have something due */
    bool changed;
    struct session *sessions;
    uint64_t metas_told;
    char *meta;                  /* of those who are here the newest (of who was here last, where nobody is); NULL: none */
    size_t meta_bytes;
    int64_t left_ms;             /* when the last session went; meant where there are none */
    bool told;                   /* those who watch know him as here */
    bool listed;                 /* not told, but a newcomer's first frame named him */
    enum presence_state told_state;
    bool meta_changed;           /* since he was told of */
    char name[];
};

struct space {
    struct map_node node;        /* first */
    struct map users;
    struct user *changed;
    int64_t frame_ms;            /* the last frame, or snapshot that put one off */
    int64_t due_ms;              /* INT64_MAX: nothing is */
    bool put_off;                /* a snapshot did, once, since the last frame */
    size_t heap_at;
    char name[];
};

/* Spaces in a binary heap by due_ms: those with nothing due are in it too, at the end of time. */
struct presence {
    struct map spaces;
    struct space **heap;
    size_t heap_count, heap_room;
};

/* ---- the heap ---- */

static void heap_set(struct presence *p, size_t at, struct space *space)
{
    p->heap[at] = space;
    space->heap_at = at;
}

static void heap_settle(struct presence *p, struct space *space)
{
    size_t at = space->heap_at;
    while (at > 0 && p->heap[(at - 1) / 2]->due_ms > space->due_ms) {
        heap_set(p, at, p->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < p->heap_count && p->heap[child + 1]->due_ms < p->heap[child]->due_ms) child++;
        if (child >= p->heap_count || p->heap[child]->due_ms >= space->due_ms) break;
        heap_set(p, at, p->heap[child]);
        at = child;
    }
    heap_set(p, at, space);
}

static bool heap_add(struct presence *p, struct space *space)
{
    if (p->heap_count == p->heap_room) {
        size_t room = p->heap_room == 0 ? 16 : p->heap_room * 2;
        struct space **heap = realloc(p->heap, room * sizeof(struct space *));
        if (heap == NULL) return false;
        p->heap = heap;
        p->heap_room = room;
    }
    heap_set(p, p->heap_count++, space);
    heap_settle(p, space);
    return true;
}

static void heap_take(struct presence *p, struct space *space)
{
    struct space *last = p->heap[--p->heap_count];
    if (last == space) return;
    heap_set(p, space->heap_at, last);
    heap_settle(p, last);
}

/* ---- spaces, users, sessions ---- */

enum err presence_open(struct presence **ret_presence)
{
    *ret_presence = calloc(1, sizeof **ret_presence);
    return *ret_presence == NULL ? ERR_MEMORY : ERR_OK;
}

static void free_session(struct session *session)
{
    free(session->meta);
    free(session);
}

static void free_user(struct user *user)
{
    for (struct session *session = user->sessions, *next; session != NULL; session = next) {
        next = session->next;
        free_session(session);
    }
    free(user->meta);
    free(user);
}

static void free_space(struct space *space)
{
    for (struct map_node *at = map_next(&space->users, NULL), *after; at != NULL; at = after) {
        after = map_next(&space->users, at);
        free_user((struct user *)(void *)at);
    }
    map_fini(&space->users);
    free(space);
}

void presence_drop_partition(struct presence *p, uint32_t partition, uint32_t partitions)
{
    for (struct map_node *node = map_next(&p->spaces, NULL), *next; node != NULL; node = next) {
        next = map_next(&p->spaces, node);
        if (hash_partition(node->key, partitions) != partition) continue;
        map_take(&p->spaces, node);
        heap_take(p, (struct space *)(void *)node);
        free_space((struct space *)(void *)node);
    }
}

void presence_close(struct presence *p)
{
    if (p == NULL) return;
    for (struct map_node *node = map_next(&p->spaces, NULL), *next; node != NULL; node = next) {
        next = map_next(&p->spaces, node);
        free_space((struct space *)(void *)node);
    }
    map_fini(&p->spaces);
    free(p->heap);
    free(p);
}

static struct space *find_space(const struct presence *p, struct span name)
{
    return (struct space *)(void *)map_find(&p->spaces, name);
}

static struct space *make_space(struct presence *p, struct span name)
{
    struct space *space = calloc(1, sizeof *space + name.bytes);
    if (space == NULL) return NULL;
    memcpy(space->name, name.at, name.bytes);
    space->node.key = span_of(space->name, name.bytes);
    space->due_ms = INT64_MAX;
    space->frame_ms = INT64_MIN / 2;
    if (heap_add(p, space)) {
        if (map_put(&p->spaces, &space->node)) return space;
        heap_take(p, space);
    }
    free(space);
    return NULL;
}

static struct user *make_user(struct space *space, struct span name)
{
    struct user *user = calloc(1, sizeof *user + name.bytes);
    if (user == NULL) return NULL;
    memcpy(user->name, name.at, name.bytes);
    user->node.key = span_of(user->name, name.bytes);
    if (map_put(&space->users, &user->node)) return user;
    free(user);
    return NULL;
}

static enum presence_state state_of(const struct user *user)
{
    enum presence_state state = PRESENCE_OFFLINE;
    for (const struct session *session = user->sessions; session != NULL; session = session->next)
        if (session->state > state) state = session->state;
    return state;
}

static uint64_t devices_of(const struct user *user)
{
    uint64_t count = 0;
    for (const struct session *session = user->sessions; session != NULL; session = session->next) {
        bool again = false;
        for (const struct session *before = user->sessions; before != session && !again; before = before->next)
            again = before->device_bytes == session->device_bytes && memcmp(before->device, session->device, session->device_bytes) == 0;
        if (!again) count++;
    }
    return count;
}

/* When this user has something to tell, rate aside; INT64_MAX: nothing. */
static int64_t user_due_ms(const struct user *user)
{
    if (user->sessions == NULL) return user->told ? user->left_ms + PRESENCE_GRACE_MS : INT64_MIN;
    if (!user->told || user->meta_changed || state_of(user) != user->told_state) return INT64_MIN;
    return INT64_MAX;
}

/* INVARIANT 2. */
static void schedule(struct presence *p, struct space *space)
{
    int64_t due_ms = INT64_MAX;
    for (const struct user *user = space->changed; user != NULL; user = user->changed_next) {
        int64_t user_ms = user_due_ms(user);
        if (user_ms < due_ms) due_ms = user_ms;
    }
    if (due_ms != INT64_MAX && due_ms < space->frame_ms + PRESENCE_FRAME_MS) due_ms = space->frame_ms + PRESENCE_FRAME_MS;
    if (due_ms == space->due_ms) return;
    space->due_ms = due_ms;
    heap_settle(p, space);
}

static void note_change(struct presence *p, struct space *space, struct user *user)
{
    if (!user->changed) {
        user->changed = true;
        user->changed_next = space->changed;
        space->changed = user;
    }
    int64_t due_ms = user_due_ms(user);
    if (due_ms != INT64_MAX && due_ms < space->frame_ms + PRESENCE_FRAME_MS) due_ms = space->frame_ms + PRESENCE_FRAME_MS;
    if (due_ms >= space->due_ms) return;
    space->due_ms = due_ms;
    heap_settle(p, space);
}

/* ---- what the gateways tell ---- */

static enum err copy_meta(char **at, size_t *bytes, struct span meta)
{
    char *copy = meta.bytes == 0 ? NULL : malloc(meta.bytes);
    if (copy == NULL && meta.bytes != 0) return ERR_MEMORY;
    if (copy != NULL) memcpy(copy, meta.at, meta.bytes);
    free(*at);
    *at = copy;
    *bytes = meta.bytes;
    return ERR_OK;
}

/* The newest of those who are here. */
static enum err choose_meta(struct user *user)
{
    const struct session *newest = user->sessions;
    for (const struct session *session = newest; session != NULL; session = session->next)
        if (session->meta_nth > newest->meta_nth) newest = session;
    struct span meta = span_of(newest->meta, newest->meta_bytes);
    if (span_equal(meta, span_of(user->meta, user->meta_bytes))) return ERR_OK;
    enum err err = copy_meta(&user->meta, &user->meta_bytes, meta);
    if (err == ERR_OK) user->meta_changed = true;
    return err;
}

static void take_session(struct presence *p, struct space *space, struct user *user, uint32_t peer, uint64_t id, int64_t now_ms)
{
    struct session **at = &user->sessions;
    while (*at != NULL && !((*at)->peer == peer && (*at)->id == id)) at = &(*at)->next;
    if (*at == NULL) return;
    struct session *gone = *at;
    *at = gone->next;
    free_session(gone);
    if (user->sessions != NULL) (void)choose_meta(user); /* without memory the old one stays */
    if (user->sessions == NULL) {
        user->left_ms = now_ms;
        if (user->listed && !user->told) { /* somebody knows him as here, and must hear that he left */
            user->told = true;
            user->told_state = PRESENCE_ONLINE;
        }
    }
    note_change(p, space, user);
}

/* A session that says none keeps what it said before. */
static enum err put_session(struct user *user, const struct presence_event *event)
{
    struct session *session = user->sessions;
    while (session != NULL && !(session->peer == event->peer && session->id == event->session)) session = session->next;
    if (session == NULL) {
        session = calloc(1, sizeof *session + event->device.bytes);
        if (session == NULL) return ERR_MEMORY;
        session->peer = event->peer;
        session->id = event->session;
        session->device_bytes = (uint16_t)event->device.bytes;
        if (event->device.bytes != 0) memcpy(session->device, event->device.at, event->device.bytes);
        session->next = user->sessions;
        user->sessions = session;
    }
    session->state = event->state;
    if (event->meta.bytes > 0 && !span_equal(event->meta, span_of(session->meta, session->meta_bytes))) {
        enum err err = copy_meta(&session->meta, &session->meta_bytes, event->meta);
        if (err != ERR_OK) return err;
        session->meta_nth = ++user->metas_told;
    }
    return choose_meta(user);
}

enum err presence_tell(struct presence *p, const struct presence_event *event, int64_t now_ms)
{
    assert(event->device.bytes <= UINT16_MAX);
    struct space *space = find_space(p, event->space);
    struct user *user = space == NULL ? NULL : (struct user *)(void *)map_find(&space->users, event->user);
    if (event->state == PRESENCE_OFFLINE) {
        if (user != NULL) take_session(p, space, user, event->peer, event->session, now_ms);
        return ERR_OK;
    }
    if (space == NULL) space = make_space(p, event->space);
    if (space == NULL) return ERR_MEMORY;
    if (user == NULL) user = make_user(space, event->user);
    if (user == NULL) return ERR_MEMORY;
    enum err err = put_session(user, event);
    note_change(p, space, user);
    return err;
}

void presence_drop_peer(struct presence *p, uint32_t peer, int64_t now_ms)
{
    for (struct map_node *node = map_next(&p->spaces, NULL); node != NULL; node = map_next(&p->spaces, node)) {
        struct space *space = (struct space *)(void *)node;
        for (struct map_node *at = map_next(&space->users, NULL); at != NULL; at = map_next(&space->users, at)) {
            struct user *user = (struct user *)(void *)at;
            for (const struct session *session = user->sessions, *next; session != NULL; session = next) {
                next = session->next;
                if (session->peer == peer) take_session(p, space, user, peer, session->id, now_ms);
            }
        }
    }
}

/* ---- frames ---- */

static void render_user(struct buf *buf, const struct user *user, uint64_t devices, enum presence_state state)
{
    buf_add_text(buf, "{\"user\":");
    buf_add_json_string(buf, user->node.key);
    buf_add_text(buf, ",\"devices\":");
    buf_add_u64(buf, devices);
    buf_add_text(buf, state == PRESENCE_IDLE ? ",\"state\":\"idle\",\"meta\":" : ",\"state\":\"online\",\"meta\":");
    if (user->meta == NULL) buf_add_text(buf, "{}");
    else buf_add_span(buf, span_of(user->meta, user->meta_bytes));
    buf_add_char(buf, '}');
}

static void begin_frame(struct buf *buf, struct span space)
{
    buf_add_text(buf, "{\"type\":\"presence\",\"space\":");
    buf_add_json_string(buf, space);
    buf_add_char(buf, ',');
}

/* One pass over the changed: those of one kind that are due, rendered; ret_left: some did not fit. */
static void render_changed(struct space *space, bool leaving, int64_t now_ms, size_t *room, struct buf *buf)
{
    size_t count = 0;
    for (struct user *user = space->changed; user != NULL && *room > 0; user = user->changed_next) {
        bool leaves = user->sessions == NULL && user->told;
        if (leaves != leaving || user_due_ms(user) > now_ms || (user->sessions == NULL && !user->told)) continue;
        if (count == 0) buf_add_text(buf, leaving ? "\"leave\":[" : "\"join\":[");
        else buf_add_char(buf, ',');
        enum presence_state state = leaving ? user->told_state : state_of(user);
        render_user(buf, user, leaving ? 0 : devices_of(user), state);
        user->told = !leaving;
        user->listed = false;
        user->told_state = state;
        user->meta_changed = false;
        count++;
        (*room)--;
    }
    if (count != 0) buf_add_text(buf, "],");
}

/* Those with nothing more to tell leave the list, those who are gone their space. */
static void tidy(struct presence *p, struct space *space)
{
    struct user **at = &space->changed;
    while (*at != NULL) {
        struct user *user = *at;
        bool gone = user->sessions == NULL && !user->told;
        if (!gone && user_due_ms(user) != INT64_MAX) {
            at = &user->changed_next;
            continue;
        }
        *at = user->changed_next;
        user->changed = false;
        if (!gone) continue;
        map_take(&space->users, &user->node);
        free_user(user);
    }
    schedule(p, space);
    if (space->users.count != 0) return;
    heap_take(p, space);
    map_take(&p->spaces, &space->node);
    map_fini(&space->users);
    free(space);
}

int64_t presence_due_ms(const struct presence *p) { return p->heap_count == 0 ? INT64_MAX : p->heap[0]->due_ms; }

void presence_step(struct presence *p, int64_t now_ms, void *ctx, void (*emit)(void *ctx, struct span space, struct span frame))
{
    struct buf buf;
    buf_init(&buf, LIMIT_PRESENCE_HERE_MAX * (LIMIT_META_BYTES_MAX + 8 * LIMIT_USER_BYTES_MAX) + 4096);
    while (presence_due_ms(p) <= now_ms) {
        struct space *space = p->heap[0];
        size_t room = LIMIT_PRESENCE_HERE_MAX;
        buf_reset(&buf);
        begin_frame(&buf, space->node.key);
        size_t empty = buf.bytes;
        render_changed(space, false, now_ms, &room, &buf);
        render_changed(space, true, now_ms, &room, &buf);
        if (buf.bytes != empty) {
            buf_truncate(&buf, buf.bytes - 1); /* the last comma */
            buf_add_char(&buf, '}');
            if (buf_ok(&buf)) emit(ctx, space->node.key, buf_span(&buf));
            space->frame_ms = now_ms;
            space->put_off = false;
        }
        tidy(p, space);
    }
    buf_fini(&buf);
}

void presence_who(const struct presence *p, struct span name, struct buf *buf)
{
    const struct space *space = find_space(p, name);
    uint64_t count = 0;
    buf_add_text(buf, "\"here\":[");
    for (struct map_node *node = space == NULL ? NULL : map_next(&space->users, NULL); node != NULL; node = map_next(&space->users, node)) {
        const struct user *user = (const struct user *)(const void *)node;
        if (user->sessions == NULL && !user->told) continue;
        if (count++ >= LIMIT_PRESENCE_HERE_MAX) continue;
        if (count > 1) buf_add_char(buf, ',');
        bool grace = user->sessions == NULL;
        render_user(buf, user, grace ? 0 : devices_of(user), grace ? user->told_state : state_of(user));
    }
    buf_add_text(buf, "],\"count\":");
    buf_add_u64(buf, count);
}

void presence_snapshot(struct presence *p, struct span name, int64_t now_ms, struct buf *buf)
{
    struct space *space = find_space(p, name);
    begin_frame(buf, name);
    presence_who(p, name, buf);
    buf_add_char(buf, '}');
    for (struct map_node *node = space == NULL ? NULL : map_next(&space->users, NULL); node != NULL; node = map_next(&space->users, node))
        ((struct user *)(void *)node)->listed = true;
    if (space == NULL || space->put_off) return;
    space->put_off = true;
    space->frame_ms = now_ms;
    schedule(p, space);
}

bool presence_is_here(const struct presence *p, struct span name, struct span user_name)
{
    const struct space *space = find_space(p, name);
    const struct user *user = space == NULL ? NULL : (const struct user *)(const void *)map_find(&space->users, user_name);
    return user != NULL && (user->sessions != NULL || user->told);
}
