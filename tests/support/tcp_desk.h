/* Gateways and owners on one loop, joined over real sockets, that note what they hear. */
#ifndef TIDEGATE_TESTS_SUPPORT_TCP_DESK_H
#define TIDEGATE_TESTS_SUPPORT_TCP_DESK_H

#include "backends/tcp/tcp_gateway.h"
#include "backends/tcp/tcp_owner.h"
#include "tests/support/rig.h"
#include "tests/support/tcp_peer.h"

enum { DESK_PARTITIONS = 4, DESK_WAIT_MS = 20000, DESK_HEARTBEAT_MS = 100 };
#define DESK_LOG "log-1"
#define DESK_KEY "0123456789abcdef0123456789abcdef"

struct desk_owner {
    struct tcp_owner *tcp;
    struct link_owner *link;
    uint32_t peer;              /* that joined last */
    size_t joined, left, asked;
    uint64_t last_tag;
    bool in_order, answering;
    size_t closed;
    char name[64];              /* of who joined last */
};
struct desk_gateway {
    struct tcp_gateway *tcp;
    struct link_gateway *link;
    bool up[DESK_PARTITIONS];
    size_t ups, downs, told;
    uint64_t last_tag;
    bool in_order;
    size_t bytes;               /* of blobs told */
    unsigned last_kind;
    size_t closed;
};
struct tcp_desk {
    uv_loop_t loop;
    struct tcp_key key;
    struct directory_desk directory;
    struct desk_owner owners[2];
    struct desk_gateway gateways[2];
};

int tcp_desk_setup(void **state);
int tcp_desk_teardown(void **state);
struct desk_owner *tcp_desk_owner(struct tcp_desk *desk, int at, const struct tcp_key *key);
struct desk_gateway *tcp_desk_gateway(struct tcp_desk *desk, int at, const struct tcp_key *key, const char *log);
void tcp_desk_close_owner(struct tcp_desk *desk, struct desk_owner *owner);
void tcp_desk_close_gateway(struct tcp_desk *desk, struct desk_gateway *gateway);
bool tcp_desk_until(struct tcp_desk *desk, bool (*holds)(void *ctx), void *ctx);
const char *tcp_desk_space(uint32_t partition); /* the name of one that is in it */

#endif
