/* Metrics as Prometheus text (format 0.0.4): a table of rows, each with the number's place in a caller's struct. */
#ifndef TIDEGATE_BASE_METRICS_H
#define TIDEGATE_BASE_METRICS_H

#include <stddef.h>
#include <stdio.h>

#include "core/buf.h"

enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE };

struct metrics_row {
    const char *name;   /* tidegate_..., counters end in _total */
    enum metrics_kind kind;
    const char *help;
    size_t offset;      /* of a uint64_t in the struct */
    unsigned divisor;   /* 1000: it holds thousandths of what the name says; 0 and 1: the number itself */
};

void metrics_add(struct buf *out, const struct metrics_row *rows, size_t count, const void *numbers);
/* process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds. */
void metrics_add_process(struct buf *out);
void metrics_print_markdown(FILE *out, const struct metrics_row *rows, size_t count);

#endif
