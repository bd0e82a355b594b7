#include "base/clock.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t read_ms(clockid_t id)
{
    struct timespec now;
    int result = clock_gettime(id, &now);
    assert(result == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void) { return read_ms(CLOCK_REALTIME); }
int64_t clock_monotonic_ms(void) { return read_ms(CLOCK_BOOTTIME); }

void clock_boot_id(char ret_id[CLOCK_BOOT_ID_BYTES])
{
    size_t bytes = 0;
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t got = read(fd, ret_id, CLOCK_BOOT_ID_BYTES - 1);
        bytes = got > 0 ? (size_t)got : 0;
        close(fd);
    }
    ret_id[bytes] = '\0';
    ret_id[strcspn(ret_id, "\n")] = '\0';
}
