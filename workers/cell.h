/* One written value: immutable and counted, so that overlay, journal and pages share its bytes.
 *
 * FORMAT of `bytes`: a byte for the table, the key, the value. Counts belong to the loop's thread; the journal's and the
 * pages' jobs only read cells that the loop's thread holds for them. */
#ifndef TIDEGATE_WORKERS_CELL_H
#define TIDEGATE_WORKERS_CELL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/state.h"

struct cell {
    uint32_t refs;
    uint32_t value_bytes;
    uint16_t key_bytes;
    bool removed; /* the key is no longer there: no value */
    char bytes[];
};

static inline enum state_table cell_table(const struct cell *cell) { return (enum state_table)cell->bytes[0]; }
static inline struct span cell_key(const struct cell *cell) { return span_of(cell->bytes + 1, cell->key_bytes); }
static inline struct span cell_value(const struct cell *cell) { return span_of(cell->bytes + 1 + cell->key_bytes, cell->value_bytes); }
/* Table and key in one, by which cells are ordered and found. */
static inline struct span cell_place(const struct cell *cell) { return span_of(cell->bytes, (size_t)cell->key_bytes + 1); }
static inline size_t cell_size(const struct cell *cell) { return sizeof *cell + 1 + cell->key_bytes + cell->value_bytes; }

static inline struct cell *cell_take(struct cell *cell)
{
    cell->refs++;
    return cell;
}
static inline void cell_put(struct cell *cell)
{
    if (--cell->refs == 0) free(cell);
}

#endif
