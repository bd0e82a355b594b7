/* Chance that a seed repeats: splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014). */
#ifndef TIDEGATE_TESTS_CHANCE_H
#define TIDEGATE_TESTS_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

static inline uint64_t chance_next(struct chance *chance)
{
    uint64_t z = chance->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. count-1. */
static inline size_t chance_below(struct chance *chance, size_t count) { return (size_t)(chance_next(chance) % count); }
static inline bool chance_one_in(struct chance *chance, size_t count) { return chance_below(chance, count) == 0; }

#endif
