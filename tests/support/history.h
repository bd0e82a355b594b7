/* A good history, and what can be planted in it: for the checker's own tests. Lines of JSON with ' for ". */
#ifndef TIDEGATE_TESTS_SUPPORT_HISTORY_H
#define TIDEGATE_TESTS_SUPPORT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/checker/checker.h"

struct history_plant {
    enum checker_rule rule; /* that it breaks */
    const char *name, *from, *to; /* `from` is in the history exactly once */
    bool untold;            /* judged without knowing all owner's steps */
};

extern const char *const history_lines[];
extern const size_t history_lines_count;
extern const struct history_plant history_plants[];
extern const size_t history_plants_count;
extern const struct history_plant history_allowed[]; /* that the page allows: `rule` is what might be taken for broken */
extern const size_t history_allowed_count;

#endif
