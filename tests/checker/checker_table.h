/* Hash tables of the checker: a pair of numbers to a small number; and names to numbers. They only grow, until reset.
 *
 * The caller places the structs; zeroed ones are empty. Out of memory they abort. */
#ifndef TIDEGATE_TESTS_CHECKER_TABLE_H
#define TIDEGATE_TESTS_CHECKER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

enum { TABLE_NONE = UINT32_MAX };

struct checker_slot {
    uint64_t a, b;
    uint32_t value; /* TABLE_NONE: free */
};
struct checker_table {
    struct checker_slot *slots;
    size_t room, count; /* room: a power of two, or 0 */
};

uint32_t checker_table_find(const struct checker_table *table, uint64_t a, uint64_t b); /* TABLE_NONE: not there */
void checker_table_put(struct checker_table *table, uint64_t a, uint64_t b, uint32_t value); /* it is not there */
void checker_table_set(struct checker_table *table, uint64_t a, uint64_t b, uint32_t value); /* there or not */
void checker_table_reset(struct checker_table *table);
void checker_table_fini(struct checker_table *table);

/* An array that grows: `at` is an array of things of `size` bytes. Returns the new last one, zeroed. */
void *checker_grow(void **at, size_t *count, size_t *room, size_t size);

/* Memory of one history: pieces, freed all at once. */
struct checker_block;
struct checker_heap {
    struct checker_block *first, *current;
};
void *checker_heap_take(struct checker_heap *heap, size_t bytes); /* aligned, not zeroed; 0 bytes give NULL */
void checker_heap_reset(struct checker_heap *heap); /* memory is kept for the next history */
void checker_heap_fini(struct checker_heap *heap);

/* Names by number, from 0 on: name 0 is the empty one. */
struct checker_names {
    struct checker_heap *heap;
    struct checker_table by_hash;
    struct span *list;
    size_t count, room;
};
uint32_t checker_name(struct checker_names *names, struct span name);
void checker_names_reset(struct checker_names *names);
void checker_names_fini(struct checker_names *names);

#endif
