/* Files that the build puts into the binary (tools/embed.c): the demo's page, the namespaces that ship, Redis scripts, the schema of a device's store. */
#ifndef TIDEGATE_BASE_ASSET_H
#define TIDEGATE_BASE_ASSET_H

#include <stddef.h>

struct asset {
    const char *path; /* a base name */
    const char *type; /* for Content-Type */
    const unsigned char *data;
    size_t data_bytes;
};

extern const struct asset asset_demo[];
extern const size_t asset_demo_count;
extern const struct asset asset_namespaces[];
extern const size_t asset_namespaces_count;
extern const struct asset asset_redis[];
extern const size_t asset_redis_count;
extern const struct asset asset_store[]; /* one file; a NUL stands behind its data */
extern const size_t asset_store_count;

#endif
