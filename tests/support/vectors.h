/* The golden vectors of schemas/vectors, as the core makes them: see schemas/vectors/README.md for the format. */
#ifndef TIDEGATE_TESTS_VECTORS_H
#define TIDEGATE_TESTS_VECTORS_H

#include <stddef.h>

#include "core/buf.h"

enum { VECTORS_FILES = 5, VECTORS_BYTES_MAX = 1048576 };

const char *vectors_name(size_t file);               /* "merge.jsonl" */
void vectors_write(size_t file, struct buf *buf);    /* appends the file's whole content */

#endif
