/* Reads a partition of a topic from its beginning to where it ended when asked, only what is committed. Blocks; any thread.
 *
 * INVARIANT 1: the end is that of everything written, decided or not, so the scan waits for transactions under way: whoever fenced
 * their writer before has read everything that he will ever have committed. */
#ifndef TIDEGATE_BACKENDS_KAFKA_KAFKA_SCAN_H
#define TIDEGATE_BACKENDS_KAFKA_KAFKA_SCAN_H

#include "backends/kafka/kafka_conf.h"

enum { KAFKA_SCAN_WAIT_MS = 60000 /* without progress for so long, it gives up with ERR_BUSY */ };

struct kafka_scan {
    const char *topic;
    int32_t partition;
    void *ctx;
    enum err (*each)(void *ctx, const rd_kafka_message_t *message);
    void (*progress)(void *ctx, uint64_t at, uint64_t end); /* NULL: nobody asks; now and then */
};

/* ERR_UNKNOWN: no such topic or partition. `each`'s failure ends it. */
enum err kafka_scan(const struct kafka_options *options, const struct kafka_scan *scan, char *why, size_t why_bytes);

#endif
