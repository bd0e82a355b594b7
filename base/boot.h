/* Which boot of the machine this is. Any thread. */
#ifndef TIDEGATE_BASE_BOOT_H
#define TIDEGATE_BASE_BOOT_H

#include <stddef.h>

enum { BOOT_BYTES = 40 };

/* The kernel's name of it, anew at each boot; where it has none, "" is given, which is no boot that can be told from another. */
void boot_name(char ret_name[BOOT_BYTES]);

#endif
