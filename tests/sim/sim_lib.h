/* Devices on the C client library: the very handle that apps hold, whose bytes, clocks, chance and disk are the simulation's.
 *
 * REAL      all of client/ but the transport and the lock beside the file (sim_lib_disk.c has those of its own).
 * MODELLED  the disk: SQLite in memory, which outlives the process, is lost, laid aside and copied. A power cut amid a transaction is not
 *           among what happens to it (tests/client/kills.c kills before every system call).
 * What such a device says and hears joins the history by its frames alone; what it judges by itself (`unknown`, a new device id), by the
 * library's events. In the end its copies, as the app is shown them, and its outbox are held against the history. */
#ifndef TIDEGATE_TESTS_SIM_SIM_LIB_H
#define TIDEGATE_TESTS_SIM_SIM_LIB_H

#include "client/tide_parts.h"
#include "tests/sim/sim.h"

enum { SIM_LIB_OUTBOX_MAX = 512 };

struct sim_lib_push { /* of the outbox, as the history has it */
    uint64_t id, digest;
    size_t space;
    int64_t by;
    char counter[SIM_NAME_BYTES];
};
struct sim_lib {
    struct sim_device *device;
    struct tide *tide;
    void *disk, *backup;   /* that they exist (sim_lib_disk.c) */
    struct arena arena;
    size_t outbox_count;
    struct sim_lib_push outbox[SIM_LIB_OUTBOX_MAX];
    size_t aside_count;    /* and as it was laid aside */
    struct sim_lib_push aside[SIM_LIB_OUTBOX_MAX];
    char refusal[24];      /* the newest refused push's code */
    bool calling, is_told; /* it syncs by HTTP; the history knows of the call under way */
    unsigned call;         /* its number */
};

/* ---- the device (sim_lib.c); sim_device_*() of such a device come here ---- */
void sim_lib_make(struct sim_device *device);
void sim_lib_fini(struct sim_device *device);
void sim_lib_go(struct sim_device *device);
void sim_lib_stop(struct sim_device *device);
void sim_lib_crash(struct sim_device *device);      /* its process dies, and begins again */
void sim_lib_reinstall(struct sim_device *device);
void sim_lib_backup(struct sim_device *device);
void sim_lib_restore(struct sim_device *device, const struct sim_device *from);
void sim_lib_subscribe(struct sim_device *device, size_t space, int64_t tail); /* < 0: all */
void sim_lib_unsubscribe(struct sim_device *device, size_t space);
void sim_lib_history(struct sim_device *device, size_t space, const char *collection, uint64_t before, unsigned limit);
void sim_lib_push(struct sim_device *device, size_t space, struct span ops, int64_t by, const char *counter, bool beside); /* `beside`: another process of the store */
void sim_lib_lost(struct sim_device *device, unsigned code);
void sim_lib_heard(struct sim_device *device);      /* a ping */
void sim_lib_hear(struct sim_device *device, struct span message);
void sim_lib_hang_up(struct sim_device *device);    /* its connection ends */
void sim_lib_call_ends(struct sim_device *device);  /* it goes on as before */
bool sim_lib_is_idle(const struct sim_device *device);

/* ---- calls of HTTP (sim_lib_http.c) ---- */
void sim_lib_sync(struct sim_device *device, int gateway); /* all its spaces, once */
void sim_lib_call_answered(struct sim_device *device, unsigned number, int gateway, unsigned status, struct span body);
void sim_lib_call_dies(struct sim_device *device);
void sim_lib_call_lost(struct sim_device *device, unsigned number);

/* ---- what it has (sim_lib_look.c) ---- */
void sim_lib_tell_end(struct sim_device *device);   /* outbox and copies, to the history */
size_t sim_lib_count(struct sim_device *device, size_t space);                /* documents shown */
char *sim_lib_body(struct sim_device *device, size_t space, const char *key); /* NULL: none. Free it */
size_t sim_lib_pending(struct sim_device *device, size_t space);
size_t sim_lib_refused(struct sim_device *device, size_t space);

/* ---- the history (sim_lib_tap.c) ---- */
void sim_lib_tap_said(struct sim_lib *lib, struct span message);
void sim_lib_tap_heard(struct sim_lib *lib, struct span message);             /* before the library takes it */
void sim_lib_tap_outbox(struct sim_lib *lib, int64_t by, const char *counter); /* what is new in it is told; it adds `by` to a counter */
void sim_lib_tap_restored(struct sim_lib *lib, const struct sim_lib *from);   /* it holds what was laid aside of that */
void sim_lib_tap_event(struct sim_lib *lib, const struct tide_event *event);

/* ---- the disk (sim_lib_disk.c) ---- */
void sim_lib_disk_path(const struct sim_lib *lib, char *ret_path, size_t room);
void sim_lib_disk_make(struct sim_lib *lib);                                  /* an empty one, whatever was there */
void sim_lib_disk_lay_aside(struct sim_lib *lib);
void sim_lib_disk_put_back(struct sim_lib *lib, const struct sim_lib *from);
void sim_lib_disk_drop(struct sim_lib *lib);

#endif
