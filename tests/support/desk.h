/* A desk to try an owner at: one partition in memory, records given as text, answers looked at as text. */
#ifndef TIDEGATE_TESTS_DESK_H
#define TIDEGATE_TESTS_DESK_H

#include <stdint.h>

#include "core/buf.h"
#include "core/owner.h"
#include "core/page.h"
#include "tests/support/map_state.h"

struct desk {
    struct map_state state;
    struct owner *owner;
    uint64_t next_offset;
    int64_t now_ms;
    char *update;      /* of the last step; "" none */
    char *answer;      /* of the last step; "" none */
    bool with_update;
    uint64_t prev, place; /* of the last step's update */
    size_t removed_count;
    char removed[4][129];
    bool recheck_all;
    bool dead_letter;
    struct arena arena;
    struct buf text;
    struct page page;  /* the last one made */
    char *docs;        /* its documents */
};

void desk_init(struct desk *desk);                                /* with the namespaces that ship */
void desk_fini(struct desk *desk);
void desk_namespace(struct desk *desk, const char *text);         /* puts one in force */
void desk_record(struct desk *desk, const char *text);            /* any record */
/* A push by "user/device" (device "" : a backend's), `grant` as in records. */
void desk_push(struct desk *desk, const char *user, const char *device, uint64_t id, uint64_t after, uint64_t known,
               const char *space, const char *ops, const char *grant);
void desk_sweep(struct desk *desk);                               /* until nothing is due */
void desk_reopen(struct desk *desk);                              /* a new owner over the same state */
/* A page for one waiter; run from `place` (or from nothing when negative). Looks at desk->page, desk->docs. */
void desk_page(struct desk *desk, const char *user, const char *device, uint64_t known, const char *space, int64_t place, uint64_t tail);
void desk_page_next(struct desk *desk, const char *user, const char *device, uint64_t known, const char *space);
bool desk_page_has(const struct desk *desk, const char *text);

#endif
