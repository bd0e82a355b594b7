/* Plans drawn from a seed: who there is, what they write, and what is broken meanwhile. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

void sim_plan_add(struct sim_plan *plan, const char *format, ...)
{
    char line[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (plan->count == plan->room) {
        plan->room = plan->room == 0 ? 64 : plan->room * 2;
        plan->lines = realloc(plan->lines, plan->room * sizeof(char *));
        assert(plan->lines != NULL);
    }
    plan->lines[plan->count] = strdup(line);
    assert(plan->lines[plan->count] != NULL);
    plan->count++;
}

void sim_plan_fini(struct sim_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) free(plan->lines[i]);
    free(plan->lines);
    *plan = (struct sim_plan){0};
}

bool sim_plan_read(const char *path, struct sim_plan *ret_plan)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    if (file == NULL) return false;
    for (ssize_t bytes; (bytes = getline(&line, &room, file)) >= 0;) {
        if (bytes > 0 && line[bytes - 1] == '\n') line[bytes - 1] = '\0';
        sim_plan_add(ret_plan, "%s", line);
    }
    free(line);
    fclose(file);
    return true;
}

/* ---- drawing ---- */

struct draw {
    struct sim_plan *plan;
    struct chance chance;
    unsigned gateways, workers, partitions, devices, spaces;
    bool serve, long_story;
    unsigned messages;     /* ids given out */
    unsigned libs;         /* a bit each */
    bool with_libs;        /* some devices are on the client library, */
    struct chance kinds;   /* by a chance of its own: the rest of a plan is as it was without them */
};

static const char *const users[] = {"ana", "bob", "cem", "dee"};
static const char *const spaces[] = {"cart:ana", "chat:a", "chat:b", "cart:bob"};
enum { USERS = 3, SPACES = 4 };

static unsigned below(struct draw *draw, unsigned count) { return (unsigned)chance_below(&draw->chance, count); }
static bool one_in(struct draw *draw, unsigned count) { return below(draw, count) == 0; }

static void draw_ops_of_chat(struct draw *draw, char *text, size_t room)
{
    unsigned message = below(draw, draw->messages + 1);
    switch (below(draw, 12)) {
    case 0: snprintf(text, room, "put room/settings {\"join\":\"%s\"}", one_in(draw, 3) ? "members" : "open"); break;
    case 1: snprintf(text, room, "put members/%s {\"role\":\"%s\"}", users[below(draw, USERS)], one_in(draw, 3) ? "owner" : "writer"); break;
    case 2: snprintf(text, room, "delete members/%s", users[below(draw, USERS)]); break;
    case 3: snprintf(text, room, "delete messages/m%u", message); break;
    case 4: snprintf(text, room, "patch messages/m%u {\"text\":\"again\",\"n\":%u}", message, below(draw, 9)); break;
    case 5: snprintf(text, room, "append messages/bad%u {\"no\":1}", message); break;
    case 6: snprintf(text, room, "max receipts/%s read %u", users[below(draw, USERS)], below(draw, 50)); break;
    case 7: snprintf(text, room, "barrier"); break;
    default: snprintf(text, room, "append messages/m%u {\"text\":\"t%u\"}", draw->messages, draw->messages); draw->messages++; break;
    }
}

static void draw_ops_of_cart(struct draw *draw, char *text, size_t room)
{
    unsigned item = below(draw, 3), n = below(draw, 100);
    switch (below(draw, 14)) {
    case 0: snprintf(text, room, "put items/i%u {\"qty\":%u,\"name\":\"n%u\"}", item, n, n); break;
    case 1: snprintf(text, room, "patch items/i%u {\"name\":\"p%u\",\"old\":null}", item, n); break;
    case 2: snprintf(text, room, "delete items/i%u", item); break;
    case 3: snprintf(text, room, "add items/i%u tags [%u]", item, n % 5); break;
    case 4: snprintf(text, room, "remove items/i%u tags [%u]", item, n % 5); break;
    case 5: snprintf(text, room, "put checkout/now {\"total\":%u}", n); break;
    case 6: snprintf(text, room, "put prefs/color {\"is\":%u}", n); break;
    case 7: snprintf(text, room, "if=absent put items/only {\"first\":%u}", n); break;
    case 8: snprintf(text, room, "barrier"); break;
    case 9: snprintf(text, room, "if=%u patch items/i%u {\"qty\":%u}", 1 + n % 12, item, n); break;
    case 10: snprintf(text, room, "incr items/sum%u n 1 + put items/i%u {\"both\":%u}", item, item, n); break;
    default: snprintf(text, room, "incr items/sum%u n %u", item, 1 + n); break;
    }
}

static void draw_push(struct draw *draw)
{
    char ops[256];
    unsigned device = below(draw, draw->devices), space = below(draw, draw->spaces);
    if (spaces[space][1] == 'a') draw_ops_of_cart(draw, ops, sizeof ops);
    else draw_ops_of_chat(draw, ops, sizeof ops);
    sim_plan_add(draw->plan, "push d%u %s %s", device, spaces[space], ops);
}

static void draw_device_fault(struct draw *draw)
{
    unsigned device = below(draw, draw->devices);
    switch (below(draw, 16)) {
    case 0: case 1: case 2: sim_plan_add(draw->plan, "cut d%u", device); break;
    case 3: sim_plan_add(draw->plan, "half d%u", device); break;
    case 4: case 5: sim_plan_add(draw->plan, "stop d%u", device); break;
    case 6: case 7: sim_plan_add(draw->plan, "go d%u", device); break;
    case 8: sim_plan_add(draw->plan, "crash d%u", device); break;
    case 9: sim_plan_add(draw->plan, "slow d%u %s", device, one_in(draw, 2) ? "on" : "off"); break;
    case 10: sim_plan_add(draw->plan, "backup d%u", device); break;
    case 11: sim_plan_add(draw->plan, "restore d%u", device); break;
    case 12: sim_plan_add(draw->plan, "reinstall d%u", device); break;
    case 13: sim_plan_add(draw->plan, "reboot d%u", device); break;
    case 14: sim_plan_add(draw->plan, "clock d%u %dd", device, (int)below(draw, 8000) - 4000); break;
    default: sim_plan_add(draw->plan, "history d%u chat:a messages %u", device, 1 + below(draw, 4)); break;
    }
}

/* What only devices on the client library do in drawn plans: a sync by HTTP, another process on their store. */
static void draw_lib(struct draw *draw)
{
    unsigned device = (unsigned)chance_below(&draw->kinds, draw->devices), space = (unsigned)chance_below(&draw->kinds, draw->spaces);
    unsigned what = (unsigned)chance_below(&draw->kinds, 24), gateway = 1 + (unsigned)chance_below(&draw->kinds, draw->gateways);
    if ((draw->libs >> device & 1) == 0) return;
    if (what < 2) sim_plan_add(draw->plan, "sync d%u %s g%u", device, spaces[space], gateway);
    else if (what == 2) sim_plan_add(draw->plan, "write d%u %s barrier", device, spaces[space]);
}

static void draw_process_fault(struct draw *draw)
{
    unsigned g = 1 + below(draw, draw->gateways), w = 1 + below(draw, draw->workers), p = below(draw, draw->partitions);
    switch (below(draw, draw->serve ? 9 : 21)) {
    case 0: case 1: sim_plan_add(draw->plan, "kill w%u", w); break;
    case 2: case 3: sim_plan_add(draw->plan, "start w%u", w); break;
    case 4: sim_plan_add(draw->plan, "kill g%u", g); break;
    case 5: sim_plan_add(draw->plan, "start g%u", g); break;
    case 6: sim_plan_add(draw->plan, "log %s", one_in(draw, 2) ? "down" : "up"); break;
    case 7: sim_plan_add(draw->plan, "registry %s", one_in(draw, 3) ? "empty" : one_in(draw, 2) ? "down" : "up"); break;
    case 8: sim_plan_add(draw->plan, "rules %u", 1 + below(draw, 2)); break;
    case 9: case 10: sim_plan_add(draw->plan, "link g%u w%u cut", g, w); break;
    case 11: case 12: sim_plan_add(draw->plan, "link g%u w%u mend", g, w); break;
    case 13: case 14: sim_plan_add(draw->plan, "move p%u w%u", p, w); break;
    case 15: sim_plan_add(draw->plan, "isolate w%u", w); break;
    case 16: sim_plan_add(draw->plan, "reach w%u", w); break;
    case 17: case 18: sim_plan_add(draw->plan, "journal die w%u", w); break;
    case 19:
        sim_plan_add(draw->plan, "kill w%u", w);
        sim_plan_add(draw->plan, "disk w%u %s", w, one_in(draw, 2) ? "lost" : "back");
        break;
    default: sim_plan_add(draw->plan, "rules %u w%u", 1 + below(draw, 2), w); break;
    }
}

static void draw_action(struct draw *draw)
{
    unsigned what = below(draw, 100);
    if (what < 50) {
        draw_push(draw);
    } else if (what < 60) {
        const char *space = spaces[below(draw, draw->spaces)];
        if (one_in(draw, 4)) sim_plan_add(draw->plan, "close d%u %s", below(draw, draw->devices), space);
        else sim_plan_add(draw->plan, "open d%u %s%s", below(draw, draw->devices), space, one_in(draw, 8) ? " tail 2" : one_in(draw, 8) ? " once" : "");
    } else if (what < 80) {
        draw_device_fault(draw);
    } else if (what < 96) {
        draw_process_fault(draw);
    } else if (one_in(draw, 3)) {
        sim_plan_add(draw->plan, "leap %ud", 1 + below(draw, 200));
    } else {
        sim_plan_add(draw->plan, "settle");
    }
    draw_lib(draw);
    if (!one_in(draw, 3)) sim_plan_add(draw->plan, "wait %ums", one_in(draw, 6) ? below(draw, 3000) : below(draw, 60));
}

static void draw_world(struct draw *draw, uint64_t seed)
{
    draw->serve = one_in(draw, 2);
    draw->long_story = one_in(draw, 50);
    draw->gateways = draw->serve ? 1 : 1 + below(draw, 2);
    draw->workers = draw->serve ? 1 : 1 + below(draw, 2);
    draw->partitions = draw->long_story ? 1 + below(draw, 3) : 1;
    draw->devices = draw->long_story ? 3 + below(draw, 4) : 2 + below(draw, 2);
    draw->spaces = draw->long_story ? SPACES : 1 + below(draw, 2);
    sim_plan_add(draw->plan, "set seed %llu", (unsigned long long)seed);
    if (draw->serve) sim_plan_add(draw->plan, "set form serve");
    else if (one_in(draw, 2)) sim_plan_add(draw->plan, "set journaled on");
    sim_plan_add(draw->plan, "set gateways %u", draw->gateways);
    sim_plan_add(draw->plan, "set workers %u", draw->workers);
    sim_plan_add(draw->plan, "set partitions %u", draw->partitions);
    sim_plan_add(draw->plan, "set net 1..%u", 2 + below(draw, one_in(draw, 4) ? 200 : 20));
    sim_plan_add(draw->plan, "set append 1..%u", 1 + below(draw, 40));
    sim_plan_add(draw->plan, "set deliver 0..%u", 1 + below(draw, 20));
    sim_plan_add(draw->plan, "set link 0..%u", 1 + below(draw, 30));
    sim_plan_add(draw->plan, "set journal 0..%u", 1 + below(draw, 100));
    sim_plan_add(draw->plan, "set page 0..%u", 1 + below(draw, 60));
    if (one_in(draw, 3)) sim_plan_add(draw->plan, "set fail %u", 1 + below(draw, 15));
    if (one_in(draw, 3)) sim_plan_add(draw->plan, "set lose %u", 1 + below(draw, 15));
    if (one_in(draw, 3)) sim_plan_add(draw->plan, "set double %u", 1 + below(draw, 20));
    if (one_in(draw, 3)) sim_plan_add(draw->plan, "set busy %u", 1 + below(draw, 20));
    if (one_in(draw, 3)) sim_plan_add(draw->plan, "set headless %u", 1 + below(draw, 30));
    draw->kinds.state = seed * UINT64_C(0x9fb21c651e98df25) + 1;
    draw->with_libs = seed % SIM_LIB_PLANS == 0;
    for (unsigned i = 0; i < draw->devices; i++) {
        bool lib = chance_below(&draw->kinds, 2) == 0 && draw->with_libs;
        if (lib) draw->libs |= 1u << i;
        sim_plan_add(draw->plan, "device d%u %s%s", i, users[one_in(draw, 2) ? 0 : below(draw, USERS)], lib ? " lib" : "");
    }
    for (unsigned i = 0; i < draw->devices; i++) {
        if (!one_in(draw, 6)) sim_plan_add(draw->plan, "go d%u", i);
        for (unsigned k = 0; k < draw->spaces; k++)
            if (!one_in(draw, 4)) sim_plan_add(draw->plan, "open d%u %s", i, spaces[k]);
    }
}

void sim_plan_draw(uint64_t seed, struct sim_plan *ret_plan)
{
    struct draw draw = {.plan = ret_plan, .chance = {.state = seed * UINT64_C(0xd1342543de82ef95) + 1}};
    draw_world(&draw, seed);
    for (unsigned left = draw.long_story ? 80 + below(&draw, 150) : 8 + below(&draw, 16); left > 0; left--) draw_action(&draw);
}
