/* A line of a plan, word by word. */
#ifndef TIDEGATE_TESTS_SIM_SIM_WORDS_H
#define TIDEGATE_TESTS_SIM_SIM_WORDS_H

#include "core/buf.h"
#include "tests/sim/sim.h"

struct sim_words {
    const char *at;
};
struct span sim_words_next(struct sim_words *words);  /* empty at the end */
struct span sim_words_json(struct sim_words *words);  /* a JSON value, blanks in it included */
struct span sim_words_rest(struct sim_words *words);
bool sim_words_is(struct sim_words *words, const char *word); /* the next one is that: then it is taken */

/* A push as its line says it. */
struct sim_written {
    struct buf ops;
    bool has_if;
    int64_t by;
    char counter[SIM_NAME_BYTES]; /* "": none */
};
void sim_ops_read(struct sim_words *words, struct sim_copy *copy, struct sim_written *ret_written);
void sim_expect(struct sim *sim, struct sim_words *words);

#endif
