/* A hub and the true owner of its one partition, with everything between them under the test's thumb: acks, records, questions,
 * updates and pages wait until they are let through, links break, pages come late. One seed decides all. */
#ifndef TIDEGATE_TESTS_SUPPORT_HUB_WORLD_H
#define TIDEGATE_TESTS_SUPPORT_HUB_WORLD_H

#include "core/owner.h"
#include "core/page.h"
#include "tests/support/hub_rig.h"
#include "tests/support/map_state.h"

/* Something that the owner said, on its way. */
struct world_tell {
    struct world_tell *next;
    struct link_tell tell;
    char space[64], user[64], device[64];
    char removed_text[4][64];
    struct span removed[4];
    struct page page;
    struct arena arena;
    struct buf text;
};

struct world {
    struct hub_rig rig;
    struct map_state state;
    struct owner *owner;
    uint64_t seed;
    size_t asks_at;                  /* the next question to reach the owner */
    size_t durable_count, stepped;   /* records in the log, and those that the owner has taken */
    struct blob *durable[RIG_APPENDS];
    uint64_t next_offset;
    struct world_tell *tells, **tells_end; /* in order */
    struct world_tell *pages;        /* in any order */
    bool down;
    unsigned acks_failed, breaks;    /* so many times: appends that the log refused, links that ended */
    bool interested[8];              /* by the last letter of the space */
};

void world_init(struct world *world, uint64_t seed);
void world_fini(struct world *world);
uint64_t world_chance(struct world *world, uint64_t below);
void world_happen(struct world *world); /* one of these, by chance; or time passes */
/* Each lets one thing through; false: there was none. */
bool world_ack(struct world *world, bool fail);
bool world_step(struct world *world);   /* a record reaches the owner */
bool world_ask(struct world *world);    /* a question reaches it */
bool world_tell(struct world *world);   /* a message of its reaches the hub */
bool world_page(struct world *world);   /* a page is ready, and sent */
void world_break(struct world *world, bool down);
/* The space as the owner has it: all documents, from nothing. The arena is the caller's. */
void world_look(struct world *world, const char *space, const char *user, struct arena *arena, struct buf *text, struct page *ret_page);

#endif
