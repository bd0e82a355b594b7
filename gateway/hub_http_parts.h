/* Internal to hub_http*.c: an HTTP call under way. */
#ifndef TIDEGATE_GATEWAY_HUB_HTTP_PARTS_H
#define TIDEGATE_GATEWAY_HUB_HTTP_PARTS_H

#include "gateway/hub_http.h"
#include "gateway/hub_parts.h"

enum {
    HTTP_WAIT_MS = 5000,          /* for the outcome of a push; twice that for pages and other answers */
    HTTP_PUSHES_MAX = 1024,       /* in one sync: 400 */
    HTTP_BODY_BYTES_MAX = 100663296
};
enum job_stage { JOB_PUSHING, JOB_OPENING, JOB_ASKING };
enum job_list { LIST_RESULTS, LIST_PAGES, LIST_CURRENT, LIST_CLOSED, LIST_ERRORS, LISTS };

/* A push of the call. */
struct job_push {
    uint64_t id;
    bool acked;
    bool done;
};

struct hub_http_job {
    struct hub_http_job *next, *prev;
    struct hub *hub;
    void *ctx;
    void (*done)(void *ctx, const struct hub_http_answer *answer); /* NULL: nobody waits any more */
    struct hub_session *session; /* virtual; NULL for mere questions */
    struct hub_credentials credentials;
    enum job_stage stage;
    bool is_sync;                /* else one backend's push */
    bool *gone;                  /* told when the job ends inside hub_http_start() */
    uint64_t retry_ms;
    int64_t until_ms;
    struct blob *body;           /* the request's, for the opens that come after the pushes */
    struct json_value opens;
    size_t pushes_count, pending_count;
    struct job_push *pushes;
    size_t opens_waiting;
    struct buf lists[LISTS];     /* frames, with commas between */
    size_t lists_bytes;          /* of this job, counted in hub->jobs_bytes */
    struct blob *name;           /* what is asked about: a user, a device; a space, and behind it `#` and the collection */
    struct span collection;      /* into `name` */
};

/* hub_http.c */
void hub_http_answer_with(struct hub_http_job *job, unsigned status, struct span body, unsigned retry_after_s); /* job is gone */
void hub_http_answer_error(struct hub_http_job *job, enum err code, const char *message);                       /* job is gone */
unsigned hub_http_status(enum err code);
/* hub_http_sync.c */
void hub_http_start_sync(struct hub_http_job *job, struct json_value body);
void hub_http_start_push(struct hub_http_job *job, struct span space, struct json_value body);
void hub_http_go_on(struct hub_http_job *job); /* may answer: the job is gone then */
/* hub_http_ask.c */
void hub_http_start_question(struct hub_http_job *job, struct span space, struct span what, struct span query);
void hub_http_start_user(struct hub_http_job *job, struct span user);
void hub_http_start_offsets(struct hub_http_job *job, struct span device);

#endif
