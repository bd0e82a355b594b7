#include "base/boot.h"

#include <stdio.h>
#include <string.h>

void boot_name(char ret_name[BOOT_BYTES])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    ret_name[0] = '\0';
    if (file == NULL) return;
    if (fgets(ret_name, BOOT_BYTES, file) == NULL) ret_name[0] = '\0';
    ret_name[strcspn(ret_name, "\n")] = '\0';
    fclose(file);
}
