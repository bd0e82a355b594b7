/* The right to sync: a lock on a file beside the store, which the system gives back whatever becomes of its holder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "client/store_parts.h"

enum { PATH_BYTES = 4096 };

bool store_lock(struct store *store)
{
    char path[PATH_BYTES];
    if (store->lock_fd >= 0) return true;
    if (snprintf(path, sizeof path, "%s-sync", store->path) >= (int)sizeof path) return false;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return false;
    }
    store->lock_fd = fd;
    return true;
}

bool store_is_locked(const struct store *store) { return store->lock_fd >= 0; }

void store_unlock(struct store *store)
{
    if (store->lock_fd >= 0) close(store->lock_fd);
    store->lock_fd = -1;
}
