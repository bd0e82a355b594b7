/* The link within one process: two queues between a gateway and the owners, emptied in the same turn of the loop.
 *
 * Messages are copied when sent and delivered in libuv's check phase, so a send from a socket's callback arrives in the
 * same turn, and one from anywhere else in the next. Order is kept each way. Bounds are the callers': a gateway has at
 * most LIMIT_PAGES_IN_FLIGHT_BYTES of pages asked for, and everything else is emptied within the turn.
 * The one peer is EMBEDDED_LINK_PEER; its joining and every partition's `up` are told in the first turn of the loop. */
#ifndef TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_LINK_H
#define TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_LINK_H

#include <stdint.h>

#include "backends/link.h"

struct uv_loop_s;
struct embedded_link;

enum { EMBEDDED_LINK_PEER = 0 };
#define EMBEDDED_LINK_NAME "local"

enum err embedded_link_open(struct uv_loop_s *loop, uint32_t partitions, struct embedded_link **ret_link);
/* `closed` comes from the loop, when the memory is gone; what was under way is dropped. */
void embedded_link_close(struct embedded_link *link, void *ctx, void (*closed)(void *ctx));
struct link_gateway *embedded_link_gateway_end(struct embedded_link *link);
struct link_owner *embedded_link_owner_end(struct embedded_link *link);

#endif
