/* The clocks, and nothing else that reads one. Any thread. */
#ifndef TIDEGATE_BASE_CLOCK_H
#define TIDEGATE_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void);      /* since 1970, may jump */
int64_t clock_monotonic_ms(void); /* since boot, never goes back */
enum { CLOCK_BOOT_ID_BYTES = 37 };
void clock_boot_id(char ret_id[CLOCK_BOOT_ID_BYTES]); /* a name for this boot of the machine; "" where the system has none */

#endif
