/* The HTTP calls under /v1/, answered through the hub. Routing, tokens and bodies' sizes are the edge's business. */
#ifndef TIDEGATE_GATEWAY_HUB_HTTP_H
#define TIDEGATE_GATEWAY_HUB_HTTP_H

#include "gateway/hub.h"

struct hub_http_request {
    bool post;                      /* GET otherwise */
    struct span path;               /* decoded, from "/v1/" on, without the query */
    struct span query;              /* raw, after '?', perhaps empty */
    struct span body;               /* POST */
    struct hub_credentials *credentials; /* taken over; verified, not expired */
};
struct hub_http_answer {
    unsigned status;
    unsigned retry_after_s;         /* 0: none */
    struct blob *body;              /* JSON; lent */
};
struct hub_http_job;
/* `done` is called once; the job is gone after it. NULL: it was called from inside already. A caller whose peer went
 * away calls cancel, and is not told any more. */
struct hub_http_job *hub_http_start(struct hub *hub, const struct hub_http_request *request, int64_t now_ms, void *ctx,
                                    void (*done)(void *ctx, const struct hub_http_answer *answer));
void hub_http_cancel(struct hub_http_job *job);

#endif
