/* All three seams in one process, over one directory: what `serve` stands on.
 *
 * FORMAT  DIR/meta   the stamp, text, written last when a directory is made:
 *                      tidegate data / format 1 / log NAME / partitions N / end
 *         DIR/lock   flock'ed by the one process that uses the directory; holds its pid
 *         DIR/log/   embedded_log.h    DIR/registry/  embedded_registry.h    DIR/store-N/  workers/store.h
 * INVARIANTS
 * 1. A directory that is not empty and bears no stamp is refused and left as it is (ERR_FOREIGN).
 * 2. A torn stamp or log is ERR_CORRUPT, a newer format ERR_VERSION, another partition count ERR_CONFIG, a directory
 *    in use ERR_BUSY: each with one line in `why` that says what to do.
 *
 * HOW TO PUT IT TOGETHER (cli/serve; all on the loop's thread)
 *     uv_loop_init(&loop);
 *     embedded_open(&options, &loop, &embedded, why, sizeof why);
 *     writer = embedded_writer(embedded);           for the gateway: sets ctx and acked
 *     gateway_end = embedded_link_gateway(embedded); registry = embedded_registry(embedded);   for the gateway
 *     worker_open(...embedded_reader, embedded_rules_writer, embedded_link_owner, registry...)  workers/worker.h
 *     uv_run(&loop)    callbacks begin in the first turn: assigned, then joined, then up for each partition
 *     worker_close(worker, closed, ctx); in `closed`: embedded_close(embedded); run the loop until nothing is left.
 * Whoever uses a seam sets its ctx and callbacks before the loop first runs; a callback left NULL is not called. */
#ifndef TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_H
#define TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/link.h"
#include "backends/log.h"
#include "backends/registry.h"

struct uv_loop_s; /* uv_loop_t */
struct embedded;

struct embedded_options {
    const char *dir;            /* made when it is not there */
    uint32_t partitions;        /* 1..256, fixed for the directory's life; 0: what the directory has, 4 for a new one */
    bool fsync;                 /* false: an ack survives kill -9 but not a power cut */
    int64_t (*now_ms)(void);    /* the wall clock; called on any thread */
    uint64_t log_bytes_max;     /* the log's file never grows past it (ERR_FULL); 0: 1 TiB */
};

/* `why` (one line, no newline) is written on failure only. */
enum err embedded_open(const struct embedded_options *options, struct uv_loop_s *loop, struct embedded **ret_embedded,
                       char *why, size_t why_bytes);
/* Fails what is queued with ERR_BUSY, waits for the commit under way, saves the registry, closes its handles; memory
 * goes when the loop has closed them. NULL is accepted. */
void embedded_close(struct embedded *embedded);

const char *embedded_log_name(const struct embedded *embedded);
uint32_t embedded_partitions(const struct embedded *embedded);
struct log_writer *embedded_writer(struct embedded *embedded);       /* the gateway's */
struct log_writer *embedded_rules_writer(struct embedded *embedded); /* the worker's, with acks of its own */
struct log_reader *embedded_reader(struct embedded *embedded);
struct registry *embedded_registry(struct embedded *embedded);
struct link_gateway *embedded_link_gateway(struct embedded *embedded);
struct link_owner *embedded_link_owner(struct embedded *embedded);   /* its one peer is 0, named "local" */

#endif
