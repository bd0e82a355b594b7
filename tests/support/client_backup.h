/* The store of a device as files: copies of it, and what such a copy does not know to have been sent. */
#ifndef TIDEGATE_TESTS_SUPPORT_CLIENT_BACKUP_H
#define TIDEGATE_TESTS_SUPPORT_CLIENT_BACKUP_H

#include "client/store.h"

enum { BACKUP_UNSENT_MAX = 512 };

/* The increments in a store that it does not know to have been sent. */
struct backup_unsent {
    char device[LIMIT_DEVICE_BYTES_MAX + 1];
    uint64_t ids[BACKUP_UNSENT_MAX];
    size_t count;
};

void backup_copy(const char *from, const char *to);
void backup_unsent(const char *path, struct backup_unsent *ret_unsent);
bool backup_is_unsent(const struct backup_unsent *unsent, struct span device, uint64_t id);

#endif
