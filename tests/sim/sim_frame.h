/* Frames that devices hear, taken apart for the history. */
#ifndef TIDEGATE_TESTS_SIM_SIM_FRAME_H
#define TIDEGATE_TESTS_SIM_SIM_FRAME_H

#include "core/json.h"
#include "tests/checker/checker.h"
#include "tests/sim/sim.h"

enum { SIM_FRAME_DOCS_MAX = 512, SIM_FRAME_LIST_MAX = 64 };

/* Spans point into the frame. */
struct sim_heard {
    struct checker_event event;
    struct checker_doc docs[SIM_FRAME_DOCS_MAX];
    struct checker_refusal refused[SIM_FRAME_LIST_MAX];
    struct checker_number tails[SIM_FRAME_LIST_MAX], sums[SIM_FRAME_LIST_MAX];
};

struct span sim_frame_word(struct json_value frame, const char *key);    /* a string's inside, or a number's digits; empty: none */
uint64_t sim_frame_number(struct json_value frame, const char *key);     /* 0: none */
/* False: it is none that the history knows. Not for `current`, which speaks of many spaces. */
bool sim_frame_read(struct json_value frame, struct sim_heard *ret_heard);
void sim_frame_read_current(struct json_value frame, struct json_value entry, struct sim_heard *ret_heard);
/* An update without `docs`: those that the device makes of the operations of its push. `born` tells when a document of its copy was. */
void sim_frame_own_docs(struct sim_heard *heard, struct span ops, uint64_t (*born)(void *ctx, const char *key), void *ctx);
void sim_frame_record(struct sim_device *device, struct sim_heard *heard); /* it joins the history */

#endif
