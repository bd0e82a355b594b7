/* Internal to device*.c. */
#ifndef TIDEGATE_CLI_DEVICE_PARTS_H
#define TIDEGATE_CLI_DEVICE_PARTS_H

#include "client/tidegate.h"

/* device.c: says why, and returns the exit code for it. */
int device_fail(const struct tide *tide, enum tide_code code);
bool device_is_over(void *ctx); /* TERM or INT came; a tide_run() `until` */

/* device_work.c: `argv` behind the command's name. */
int device_work(struct tide *tide, int argc, char **argv);
int device_why(struct tide *tide, int argc, char **argv);
int device_due(struct tide *tide, int argc, char **argv);
int device_run(struct tide *tide, int argc, char **argv); /* until device_is_over() */

#endif
