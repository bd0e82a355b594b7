/* Internal to pattern*.c: a compiled pattern is steps; places in it are relative, so that a piece may be moved and repeated. */
#ifndef TIDEGATE_CORE_PATTERN_PARTS_H
#define TIDEGATE_CORE_PATTERN_PARTS_H

#include <stdint.h>

#include "core/pattern.h"

enum pattern_kind {
    PATTERN_TAKE,    /* one character, in the ranges (or, negated, in none) */
    PATTERN_SPLIT,   /* go on at both `to` and `or_to` */
    PATTERN_JUMP,    /* go on at `to` */
    PATTERN_BEGIN, PATTERN_END, PATTERN_EDGE, PATTERN_NO_EDGE, /* only here: nothing is taken */
    PATTERN_FOUND
};

struct pattern_range { uint32_t first, last; };

struct pattern_step {
    enum pattern_kind kind;
    int to, or_to;       /* from this step on */
    uint16_t ranges_at, ranges_count;
    bool negated;
};

struct pattern {
    size_t steps_count, ranges_count;
    struct pattern_step steps[PATTERN_STEPS_MAX];
    struct pattern_range ranges[PATTERN_RANGES_MAX];
};

#endif
