/* A device as the protocol wants it, for tests: keeps copies by pages and updates, an outbox until outcomes come, and asserts at
 * every frame what it was promised. */
#ifndef TIDEGATE_TESTS_SUPPORT_MODEL_DEVICE_H
#define TIDEGATE_TESTS_SUPPORT_MODEL_DEVICE_H

#include "tests/support/hub_rig.h"

enum { MODEL_SPACES = 3, MODEL_DOCS = 512, MODEL_PUSHES = 512 };

struct model_doc {
    char key[64];       /* collection/id */
    uint64_t rev;
    bool deleted, named; /* named in this run */
};
enum model_outcome { MODEL_UNANSWERED, MODEL_APPLIED, MODEL_REFUSED };
struct model_push {
    uint64_t id, after;
    enum model_outcome outcome;
    bool traceless;     /* refused as a stranger's: another copy of it may fare otherwise */
    char ops[192];
    char adds[64];      /* the key of the document that it appends; "" : none */
};
struct model_space {
    const char *name;
    bool wanted;        /* opened, and not closed by anybody */
    bool live;          /* the first frame of the newest open came */
    bool in_run;
    bool purged;        /* the copy was dropped: access was taken away */
    unsigned ref;
    char cursor[128];   /* "" : null */
    uint64_t place;
    size_t docs_count, pushes_count;
    struct model_doc docs[MODEL_DOCS];
    struct model_push pushes[MODEL_PUSHES];
    bool was_stranger;  /* a push was refused here without a trace: a late copy of it may stand in the log unheard of */
    bool resend;        /* an error told it to, when the time has come */
    int64_t resend_ms;
};
struct model_device {
    struct hub_rig *rig;
    size_t at;          /* its connection */
    const char *user, *device;
    struct rig_conn *conn; /* NULL: offline */
    uint64_t next_id;
    unsigned next_ref;
    struct model_space spaces[MODEL_SPACES];
    uint64_t frames, resets; /* heard; of copies that were there */
};

void model_device_init(struct model_device *device, struct hub_rig *rig, size_t at, const char *user, const char *name, const char *const *spaces);
void model_device_connect(struct model_device *device);    /* opens what is wanted again, sends again what is unanswered */
void model_device_disconnect(struct model_device *device);
void model_device_open(struct model_device *device, size_t space);
void model_device_close(struct model_device *device, size_t space);
/* `ops`: the array. `adds`: what the push appends, or "". */
void model_device_push(struct model_device *device, size_t space, const char *ops, const char *adds);
void model_device_read(struct model_device *device);       /* everything that was sent to it */
bool model_device_is_idle(const struct model_device *device); /* nothing unanswered, no run under way */

#endif
