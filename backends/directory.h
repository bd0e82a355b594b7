/* The seam `directory`: at which address the owner of a partition is reached. A hint, never the truth: an owner says over
 * its own link what it owns, and a directory that lies, forgets or is away costs time and nothing else.
 *
 * Called, and calls back, on the loop's thread; an answer may come from inside find() or later, and always comes unless
 * forgotten. Texts are copied. */
#ifndef TIDEGATE_BACKENDS_DIRECTORY_H
#define TIDEGATE_BACKENDS_DIRECTORY_H

#include <stdint.h>

#include "core/err.h"
#include "core/span.h"

enum { DIRECTORY_ADDRESS_BYTES_MAX = 255 };

struct directory;
struct directory_ops {
    /* ERR_OK with the address, "" where nobody has put one; ERR_BUSY when the directory is away. */
    void (*find)(struct directory *directory, uint32_t partition, void *ctx,
                 void (*told)(void *ctx, enum err err, uint32_t partition, struct span address));
    /* Questions of this ctx are not answered any more: it is about to go. */
    void (*forget)(struct directory *directory, void *ctx);
    /* This process answers at `address` for the partition from now on: the entry is kept alive until it is withdrawn, or
     * another process puts its own. */
    void (*put)(struct directory *directory, uint32_t partition, struct span address);
    void (*withdraw)(struct directory *directory, uint32_t partition, struct span address);
};
struct directory {
    const struct directory_ops *ops;
    void *ctx;                                          /* set by the user of the seam */
    void (*changed)(void *ctx, uint32_t partition);     /* somebody put or withdrew: worth a look. May be missed. NULL: not told */
};

#endif
