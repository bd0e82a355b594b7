/* A peer of a link that is made of a bare socket, so that it can do what no real one does: stop anywhere, lie, say nothing. And a
 * directory in memory. The loop of the other end is run while it waits. */
#ifndef TIDEGATE_TESTS_SUPPORT_TCP_PEER_H
#define TIDEGATE_TESTS_SUPPORT_TCP_PEER_H

#include <uv.h>

#include "backends/directory.h"
#include "backends/tcp/tcp_conn.h"

struct tcp_peer {
    uv_loop_t *loop;
    int fd, listener;          /* -1: none */
    size_t left;               /* bytes that may still be sent: then it closes. SIZE_MAX: any */
    bool stopped;              /* they are used up */
    struct tcp_hello hello, theirs;
    struct tcp_key key;
    char their_fields[TCP_HELLO_BYTES_MAX];
    size_t their_bytes;
    unsigned kind;             /* of the frame that came last */
    char fields[TCP_EARLY_BYTES];
    size_t fields_bytes;
};

void tcp_peer_init(struct tcp_peer *peer, uv_loop_t *loop, enum tcp_role role, const char *log, uint32_t partitions, const char *key);
void tcp_peer_close(struct tcp_peer *peer);
void tcp_peer_dial(struct tcp_peer *peer, const char *address);
void tcp_peer_listen(struct tcp_peer *peer, char ret_address[64]);
bool tcp_peer_accept(struct tcp_peer *peer);
void tcp_peer_send(struct tcp_peer *peer, const void *bytes, size_t count);
void tcp_peer_frame(struct tcp_peer *peer, enum tcp_frame kind, struct span fields);
/* The next frame, into kind and fields; false: the other end closed, or nothing came. */
bool tcp_peer_read(struct tcp_peer *peer);
bool tcp_peer_closed(struct tcp_peer *peer); /* waits for the other end to close; what comes before is passed over */
/* The handshake as far as it gets. True: both have proved. */
bool tcp_peer_greet(struct tcp_peer *peer);

enum { SHELF_PARTITIONS = 8 };
struct directory_desk {
    struct directory seam; /* first */
    char address[SHELF_PARTITIONS][64];
    bool away;             /* find() is answered ERR_BUSY */
    size_t finds;
};
void directory_desk_init(struct directory_desk *desk);
void directory_desk_name(struct directory_desk *desk, uint32_t partition, const char *address); /* and tells it changed */

#endif
