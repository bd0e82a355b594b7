/* The worker: owns partitions. The hub that joins log, owner, overlay, store, journal, pages, presence and links.
 *
 * Everything here runs on the loop's thread, but what jobs carry out elsewhere: batches and pages (host.h).
 * INVARIANTS
 * 1. What the store says is never ahead of the log; a record is trimmed only after its effects are committed.
 * 2. A record's effects are visible to pages from the moment that its update is sent.
 * 3. A partition that failed answers ERR_BUSY and makes the worker not ready; the others go on.
 *
 * 4. A partition that is owned (link.h, owns()) runs and has passed what an earlier owner journalled; only then is it answered
 *    for. What lies below is replayed in silence: stepped and stored, told to nobody.
 *
 * USE  worker_open() before the loop first runs (it sets ctx and callbacks of host, reader, rules_writer and link).
 *      worker_namespaces_put() at once after it, and again on HUP: readiness waits for them to be in force.
 *      worker_close() journals what is left, closes the host, then tells `closed`; only then close the backends. */
#ifndef TIDEGATE_WORKERS_WORKER_H
#define TIDEGATE_WORKERS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/journal.h"
#include "backends/link.h"
#include "backends/log.h"
#include "backends/registry.h"
#include "core/err.h"
#include "core/span.h"
#include "workers/host.h"


struct worker_options {
    struct worker_host *host;
    struct log_reader *reader;
    struct log_writer *rules_writer;  /* for namespace records alone */
    struct link_owner *link;
    struct registry *registry;
    const char *data_dir;             /* DIR/store-N is made in it */
    bool fsync;                       /* of the stores; false only where the log does not either */
    struct journal *journal;          /* NULL where log and store share a disk. With one the store is only a copy: it may be made anew */
    bool shares_partitions;           /* with other workers: those that are not assigned here are nothing to wait for */
    uint64_t journal_ms;              /* 0: 100 */
    /* True where gateways are processes of their own. Where they are not, whoever waited for the outcome of a record from
     * before this process is gone, and his session's number may be another's: such answers are not sent. */
    bool gateways_outlive;
    void *say_ctx;
    /* One line for the log: an event's name and `key=value ...` details. */
    void (*say)(void *ctx, const char *event, const char *details);
    /* A partition, or the log, failed for good (may be NULL): `serve` drains and exits. */
    void (*failed)(void *ctx, enum err err, const char *why);
};

/* For metrics: plain numbers that only grow, but for `lag` and those marked (now). */
struct worker_counters {
    uint64_t records;
    uint64_t updates;
    uint64_t answers;
    uint64_t dead_letters;
    uint64_t journal_batches;
    uint64_t journal_lost;      /* batches that another owner's generation kept out */
    uint64_t restores;
    uint64_t journal_ms_sum;
    uint64_t journal_ms_max;
    uint64_t pages;
    uint64_t pages_failed;
    uint64_t pages_running;     /* (now) */
    uint64_t overlay_bytes;     /* (now) */
    uint64_t full;              /* (now) partitions whose store waits for room on the disk */
    uint64_t interests;         /* (now) spaces that some gateway wants */
    uint64_t lag;               /* (now) records durable but not yet stepped, as far as known */
};

enum err worker_open(const struct worker_options *options, struct worker **ret_worker);
void worker_close(struct worker *worker, void *ctx, void (*closed)(void *ctx));
void worker_timer(struct worker *worker, enum worker_timer timer); /* the host's: it rang */

/* These texts shall be in force in every partition: a record is appended wherever another text (or none) is. Texts are
 * copied; a call replaces what an earlier one still had to do. ERR_CONFIG with `why` when one does not compile. */
enum err worker_namespaces_put(struct worker *worker, const struct span *texts, size_t count, char *why, size_t why_bytes);

/* Every partition caught up with the log's end as it was at its assignment, the namespaces put are in force, and none
 * failed. When false, ret_why (may be NULL) is a static or worker-owned sentence. */
bool worker_ready(const struct worker *worker, const char **ret_why);
const struct worker_counters *worker_counters(struct worker *worker);

#endif
