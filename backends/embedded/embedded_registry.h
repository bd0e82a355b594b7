/* The registry of one process: sessions in memory; last seen and offsets in memory until the next save, then in LMDB.
 *
 * FORMAT  table `seen`: user -> i64 LE ms.
 *         table `offset`: user 0x00 device 0x00 XXH64 of the space (u64 BE)
 *                         -> u64 LE place, i64 LE ms of the last change, u16 LE length + space, cursor.
 * Saved every SAVE_MS by libuv's pool, a batch at a time; the file may lose the last second, and after a power cut too.
 * At the bound of UNSAVED_MAX entries a further change is dropped until the save is done: it comes again by itself.
 * Each save also looks at a few old offsets and forgets those unchanged for OFFSET_DAYS_MAX. */
#ifndef TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_REGISTRY_H
#define TIDEGATE_BACKENDS_EMBEDDED_EMBEDDED_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "backends/registry.h"

struct uv_loop_s;
struct embedded_registry;

enum err embedded_registry_open(const char *path, bool fsync, struct uv_loop_s *loop,
                                struct embedded_registry **ret_registry, char *why, size_t why_bytes);
/* Saves first. `closed` comes from the loop, when the memory is gone. */
void embedded_registry_close(struct embedded_registry *registry, void *ctx, void (*closed)(void *ctx));
struct registry *embedded_registry_seam(struct embedded_registry *registry);

#endif
