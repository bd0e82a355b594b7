/* The gateway's end of the links over TCP: one connection to each owner process that it needs.
 *
 * Which process owns a partition: an owner says so on its connection (TCP_OWNS); the directory only says where to dial. While nobody
 * reachable says that he owns a partition, the directory is asked again and again; while somebody does, now and then. Where two say
 * so (one of them has not heard yet that he lost it), the one that the directory names has it, else the one that said so last.
 * A connection that ended is dialled again with exponential backoff and full jitter, for as long as the directory names its address.
 *
 * BOUNDS  Past LIMIT_LINK_ASKS_BYTES unsent, send() answers ERR_BUSY to questions and signals; past LIMIT_LINK_QUEUE_BYTES the
 *         connection is cut: nothing is ever left out in its middle. */
#ifndef TIDEGATE_BACKENDS_TCP_TCP_GATEWAY_H
#define TIDEGATE_BACKENDS_TCP_TCP_GATEWAY_H

#include "backends/directory.h"
#include "backends/link.h"
#include "backends/tcp/tcp_key.h"

struct uv_loop_s;
struct tcp_counters;
struct tcp_gateway;

struct tcp_gateway_options {
    struct uv_loop_s *loop;
    const char *name;             /* the gateway's: the reply address in its records. At most 64 bytes */
    const char *log;              /* the log's name: an owner of another is refused */
    uint32_t partitions;
    const struct tcp_key *key;    /* copied; NULL: none, loopback only */
    struct directory *directory;  /* its ctx and `changed` are set */
    uint64_t heartbeat_ms;        /* 0: TCP_HEARTBEAT_MS */
};

enum err tcp_gateway_open(const struct tcp_gateway_options *options, struct tcp_gateway **ret_gateway);
/* The directory is not asked any more. `closed` comes from the loop, when the memory is gone. */
void tcp_gateway_close(struct tcp_gateway *gateway, void *ctx, void (*closed)(void *ctx));
struct link_gateway *tcp_gateway_seam(struct tcp_gateway *gateway);
/* Has an owner ever been reached? Later it stays true: where all are gone, no gateway does better than another. */
bool tcp_gateway_reached(const struct tcp_gateway *gateway);
const struct tcp_counters *tcp_gateway_counters(const struct tcp_gateway *gateway);

#endif
