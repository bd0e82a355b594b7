/* What every server of ours is: a loop, signals, an edge with its pages, a way to end. What differs is in service_ops.
 *
 * STATES  running -> draining (TERM: bye, no new connections) -> closing (edge, hub, then ops->close) -> out. A second TERM goes to
 *         closing at once. service_fail() drains, and the process exits with 69.
 * All on the loop's thread. uv.h is included by service.c alone. */
#ifndef TIDEGATE_CLI_SERVICE_H
#define TIDEGATE_CLI_SERVICE_H

#include "cli/cli.h"
#include "gateway/edge.h"
#include "gateway/hub.h"

struct uv_loop_s;
struct service;

struct service_ops {
    unsigned command;                     /* whose settings are read */
    void (*help)(void);
    int (*check)(struct service *s);      /* settings that must be there; EXIT_WELL, or said */
    int (*open)(struct service *s);       /* what is behind the edge; sets s->hub where devices are served; EXIT_WELL, or said */
    bool (*ready)(struct service *s, const char **ret_why);
    void (*metrics)(struct service *s, struct buf *page);
    bool (*reload)(struct service *s);    /* on HUP, beside keys and certificates; false: what was there is kept, and why was said. May be NULL */
    void (*close)(struct service *s);     /* after edge and hub, also when open() failed half-way: the loop runs until nothing is left */
};

struct service {
    const struct service_ops *ops;
    void *ctx;                /* the command's own */
    struct config *config;
    struct uv_loop_s *loop;
    struct jwt_keys *keys;    /* where devices are served */
    struct jwt_rules token_rules;
    struct jwt_claims claims; /* of the token under judgement */
    struct hub *hub;
    struct edge *edge;
    struct buf page;
    bool draining, closing;
    int exit_code;
};

int service_main(const struct service_ops *ops, void *ctx, int argc, char **argv);
/* Something failed for good: `why` is logged, and the process ends in good order. Fits worker_options.failed. */
void service_fail(void *service, enum err err, const char *why);
void service_say(void *service, const char *event, const char *details);
int service_exit_code(enum err err);

/* service_edge.c */
int service_edge_open(struct service *s);
int service_edge_keys(struct service *s); /* loads them; before the hub is opened */
/* A token to credentials: fits hub_options.verify, with the service as ctx. */
enum err service_edge_verify(void *service, struct span token, struct hub_credentials *ret_credentials);
void service_close_all(struct service *s);

#endif
