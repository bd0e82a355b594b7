#include "tests/support/hub_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/name.h"
#include "core/record.h"
#include "core/space_state.h"

enum { TEXT_BYTES_MAX = 8388608 };

uint64_t world_chance(struct world *world, uint64_t below)
{
    world->seed += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 (Steele, Lea, Flood 2014) */
    uint64_t value = world->seed;
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (value ^ (value >> 31)) % below;
}

static void step(struct world *world, struct span bytes, struct owner_out *ret_out)
{
    struct state_reader reader = map_state_reader(&world->state);
    struct owner_record record = {.offset = world->next_offset++, .time_ms = world->rig.now_ms, .bytes = bytes};
    enum err err = owner_step(world->owner, &reader, &record, ret_out);
    assert(err == ERR_OK && !ret_out->dead_letter);
    map_state_apply(&world->state, ret_out->writes, ret_out->writes_count);
}

static void put_namespace(struct world *world, const char *path)
{
    static char text[65536];
    struct owner_out out;
    struct buf record;
    FILE *file = fopen(path, "rb");
    assert(file != NULL);
    size_t bytes = fread(text, 1, sizeof text, file);
    fclose(file);
    assert(bytes > 0 && bytes < sizeof text);
    buf_init(&record, 131072);
    record_encode_namespace(span_of(text, bytes), &record);
    step(world, buf_span(&record), &out);
    buf_fini(&record);
}

void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.seed = seed};
    hub_rig_init(&world->rig);
    world->tells_end = &world->tells;
    struct state_reader reader = map_state_reader(&world->state);
    enum err err = owner_open(&reader, SPAN_LITERAL("testlog"), &world->owner);
    assert(err == ERR_OK);
    put_namespace(world, "schemas/namespaces/chat.json");
    put_namespace(world, "schemas/namespaces/cart.json");
    put_namespace(world, "schemas/namespaces/notes.json");
    put_namespace(world, "schemas/namespaces/workouts.json");
}

static void free_tell(struct world_tell *tell)
{
    blob_put(tell->tell.frame);
    arena_fini(&tell->arena);
    buf_fini(&tell->text);
    free(tell);
}

static void drop_all(struct world *world)
{
    for (struct world_tell *tell = world->tells, *next; tell != NULL; tell = next) {
        next = tell->next;
        free_tell(tell);
    }
    for (struct world_tell *tell = world->pages, *next; tell != NULL; tell = next) {
        next = tell->next;
        free_tell(tell);
    }
    world->tells = world->pages = NULL;
    world->tells_end = &world->tells;
}

void world_fini(struct world *world)
{
    drop_all(world);
    hub_rig_fini(&world->rig);
    owner_close(world->owner);
    map_state_fini(&world->state);
    for (size_t i = 0; i < world->durable_count; i++) blob_put(world->durable[i]);
}

/* ---- the owner speaks ---- */

static struct span keep(char room[64], struct span text)
{
    assert(text.bytes < 64);
    if (text.bytes > 0) memcpy(room, text.at, text.bytes);
    return span_of(room, text.bytes);
}

static struct world_tell *make_tell(enum link_tell_kind kind, struct span space)
{
    struct world_tell *tell = calloc(1, sizeof *tell);
    assert(tell != NULL);
    tell->tell.kind = kind;
    tell->tell.space = keep(tell->space, space);
    return tell;
}

static void queue(struct world *world, struct world_tell *tell)
{
    if (world->down) {
        free_tell(tell);
        return;
    }
    *world->tells_end = tell;
    world->tells_end = &tell->next;
}

static bool *interest(struct world *world, struct span space) { return &world->interested[(unsigned char)space.at[space.bytes - 1] % 8]; }

static void tell_update(struct world *world, const struct owner_update *update)
{
    if (!*interest(world, update->space)) return;
    struct world_tell *tell = make_tell(LINK_UPDATE, update->space);
    tell->tell.prev = update->prev;
    tell->tell.place = update->place;
    tell->tell.rev = update->rev;
    tell->tell.removed_count = update->removed_count;
    tell->tell.removed = tell->removed;
    tell->tell.recheck_all = update->recheck_all;
    assert(update->removed_count <= 4);
    for (size_t i = 0; i < update->removed_count; i++) tell->removed[i] = keep(tell->removed_text[i], update->removed[i]);
    if (world_chance(world, 20) != 0) tell->tell.frame = blob_make(update->frame); /* else as one too long */
    queue(world, tell);
}

static void tell_answer(struct world *world, const struct owner_answer *answer)
{
    struct world_tell *tell = make_tell(LINK_ANSWER, answer->space);
    tell->tell.user = keep(tell->user, answer->user);
    tell->tell.device = keep(tell->device, answer->device);
    tell->tell.session = answer->session;
    tell->tell.id = answer->id;
    tell->tell.place = answer->place;
    tell->tell.with_update = answer->with_update;
    tell->tell.is_error = answer->kind == OWNER_ERROR;
    tell->tell.code = answer->code;
    tell->tell.frame = blob_make(answer->frame);
    queue(world, tell);
}

/* ---- letting things through ---- */

bool world_ack(struct world *world, bool fail)
{
    struct hub_rig *rig = &world->rig;
    if (rig->acked_count == rig->appends_count) return false;
    struct rig_append *append = &rig->appends[rig->acked_count];
    if (!fail) {
        world->durable[world->durable_count++] = blob_take(append->record);
    } else {
        /* All that were handed in behind it fail too. */
        while (rig->acked_count + 1 < rig->appends_count) hub_rig_ack(rig, ERR_BUSY);
        world->acks_failed++;
    }
    hub_rig_ack(rig, fail ? ERR_BUSY : ERR_OK);
    return true;
}

bool world_step(struct world *world)
{
    struct owner_out out;
    if (world->stepped == world->durable_count) return false;
    step(world, blob_span(world->durable[world->stepped++]), &out);
    if (out.has_update) tell_update(world, &out.update);
    if (out.has_answer) tell_answer(world, &out.answer);
    return true;
}

static void make_page(struct world *world, const struct link_ask *ask, struct world_tell *tell)
{
    struct state_reader reader = map_state_reader(&world->state);
    struct page_request request = {
        .space = ask->space, .ns = namespace_find(owner_namespaces(world->owner), name_namespace(ask->space)), .log = SPAN_LITERAL("testlog"),
        .clock_ms = owner_clock_ms(world->owner), .run = ask->run, .docs_max = (size_t)world_chance(world, 8), .parts_only = ask->parts_only,
        .waiters_count = ask->waiters_count, .waiters = ask->waiters};
    assert(request.ns != NULL);
    arena_init(&tell->arena, TEXT_BYTES_MAX);
    buf_init(&tell->text, TEXT_BYTES_MAX);
    enum err err = page_make(&request, &reader, &tell->arena, &tell->text, &tell->page);
    assert(err == ERR_OK);
    tell->tell.page = &tell->page;
}

bool world_ask(struct world *world)
{
    struct hub_rig *rig = &world->rig;
    if (world->asks_at == rig->asks_count || world->down) return false;
    const struct link_ask *ask = &rig->asks[world->asks_at++]->ask;
    struct state_reader reader = map_state_reader(&world->state);
    struct space_state state;
    struct owner_out out;
    struct world_tell *tell;
    switch (ask->kind) {
    case LINK_INTEREST: {
        enum err err = space_state_read(&reader, ask->space, &state);
        assert(err == ERR_OK);
        *interest(world, ask->space) = true;
        tell = make_tell(LINK_HEAD, ask->space);
        tell->tell.place = state.head;
        queue(world, tell);
        break;
    }
    case LINK_UNINTEREST: *interest(world, ask->space) = false; break;
    case LINK_PULL:
        tell = make_tell(LINK_PAGE, ask->space);
        tell->tell.tag = ask->tag;
        if (world_chance(world, 10) == 0) tell->tell.err = ERR_BUSY;
        else make_page(world, ask, tell);
        tell->next = world->pages;
        world->pages = tell;
        break;
    case LINK_OUTCOME:
        if (owner_ask(world->owner, &reader, blob_span(ask->record), &out) == ERR_OK && out.has_answer) tell_answer(world, &out.answer);
        break;
    case LINK_HISTORY: case LINK_CONFLICTS: case LINK_WHO: case LINK_PRESENCE: case LINK_WATCH: case LINK_SIGNAL: break;
    }
    return true;
}

bool world_tell(struct world *world)
{
    struct world_tell *tell = world->tells;
    if (tell == NULL) return false;
    world->tells = tell->next;
    if (world->tells == NULL) world->tells_end = &world->tells;
    world->rig.link.told(world->rig.link.ctx, &tell->tell);
    free_tell(tell);
    return true;
}

/* A page is made of what the owner had when it was asked; it is sent when it is ready, behind what was told meanwhile. */
bool world_page(struct world *world)
{
    struct world_tell **at = &world->pages;
    if (*at == NULL) return false;
    while ((*at)->next != NULL && world_chance(world, 2) == 0) at = &(*at)->next;
    struct world_tell *page = *at;
    *at = page->next;
    page->next = NULL;
    queue(world, page);
    return true;
}

void world_break(struct world *world, bool down)
{
    struct hub_rig *rig = &world->rig;
    if (world->down == down) return;
    world->down = down;
    rig->send_err = down ? ERR_BUSY : ERR_OK;
    if (down) {
        world->breaks++;
        drop_all(world);
        world->asks_at = rig->asks_count; /* lost on the way */
        memset(world->interested, 0, sizeof world->interested);
        rig->link.down(rig->link.ctx, 0);
    } else {
        rig->link.up(rig->link.ctx, 0);
    }
}

void world_look(struct world *world, const char *space, const char *user, struct arena *arena, struct buf *text, struct page *ret_page)
{
    struct state_reader reader = map_state_reader(&world->state);
    struct page_waiter waiter = {.session = 1, .user = span_text(user)};
    struct page_request request = {
        .space = span_text(space), .ns = namespace_find(owner_namespaces(world->owner), name_namespace(span_text(space))),
        .log = SPAN_LITERAL("testlog"), .clock_ms = owner_clock_ms(world->owner), .run = {.from_nothing = true}, .waiters_count = 1, .waiters = &waiter};
    enum err err = page_make(&request, &reader, arena, text, ret_page);
    assert(err == ERR_OK && !ret_page->more);
}

void world_happen(struct world *world)
{
    switch (world_chance(world, 12)) {
    case 0: (void)world_ack(world, world_chance(world, 8) == 0); break;
    case 1: case 2: (void)world_step(world); break;
    case 3: case 4: (void)world_ask(world); break;
    case 5: case 6: case 7: (void)world_tell(world); break;
    case 8: case 9: (void)world_page(world); break;
    case 10: hub_rig_turn(&world->rig); break;
    default:
        world->rig.now_ms += (int64_t)(world_chance(world, 40) == 0 ? world_chance(world, 30) * 3600000 : 100);
        hub_tick(world->rig.hub, world->rig.now_ms);
        break;
    }
}
