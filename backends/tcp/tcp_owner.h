/* The owner's end of the links over TCP: a listening socket, and a connection for each gateway.
 *
 * What this process owns is said to every gateway on its connection, and put into the directory under the address where it is
 * reached. PAGE and BODY wait for the gateway to read what else was sent, and may be passed by it, as if they had been made later.
 *
 * BOUNDS  Past LIMIT_LINK_TELLS_BYTES unsent a gateway is cut; it comes back, and pulls. While LIMIT_LINK_PAGES_BYTES of pages wait for it
 *         nothing is read from it. At most LIMIT_LINK_GATEWAYS connections; a further one is refused. */
#ifndef TIDEGATE_BACKENDS_TCP_TCP_OWNER_H
#define TIDEGATE_BACKENDS_TCP_TCP_OWNER_H

#include "backends/directory.h"
#include "backends/link.h"
#include "backends/tcp/tcp_key.h"

struct uv_loop_s;
struct tcp_counters;
struct tcp_owner;

struct tcp_owner_options {
    struct uv_loop_s *loop;
    const char *address;          /* host:port to listen on, and the host that gateways are told; port 0: any. NULL: loopback, any */
    const char *told;             /* host:port that gateways are told in its place: of a proxy or a tunnel that leads here. NULL: `address` */
    const char *name;             /* the worker's, for logs. At most 64 bytes */
    const char *log;
    uint32_t partitions;
    const struct tcp_key *key;    /* copied; NULL: none, loopback only */
    struct directory *directory;  /* NULL: gateways find it otherwise */
    uint64_t heartbeat_ms;        /* 0: TCP_HEARTBEAT_MS */
};

/* ERR_CONFIG where the address is none, not this machine's, in use, or not loopback without a key: `why` says which. */
enum err tcp_owner_open(const struct tcp_owner_options *options, struct tcp_owner **ret_owner, char *why, size_t why_bytes);
/* What it owns is withdrawn from the directory first. `closed` comes from the loop, when the memory is gone. */
void tcp_owner_close(struct tcp_owner *owner, void *ctx, void (*closed)(void *ctx));
struct link_owner *tcp_owner_seam(struct tcp_owner *owner);
const char *tcp_owner_address(const struct tcp_owner *owner); /* with the port that it got */
const struct tcp_counters *tcp_owner_counters(const struct tcp_owner *owner);

#endif
