/* Internal to device*.c. */
#ifndef TIDEGATE_CLI_DEVICE_PARTS_H
#define TIDEGATE_CLI_DEVICE_PARTS_H

#include "base/config.h"
#include "client/tidegate.h"
#include "core/limits.h"

enum { DEVICE_KEYS_MAX = 64 /* lines of --keys: more are refused */ };

/* A key of --keys, for the collection of the spaces that it names. */
struct device_key {
    char space[LIMIT_SPACE_BYTES_MAX + 1], collection[LIMIT_COLLECTION_BYTES_MAX + 1];
    struct tide_key key;
};
struct device_keys {
    bool has_store, has_new_store;
    unsigned char store[TIDE_KEY_BYTES], new_store[TIDE_KEY_BYTES];
    size_t count;
    struct device_key all[DEVICE_KEYS_MAX];
};
/* The `ctx` of the library's callbacks. */
struct device_told {
    bool watches;
    struct device_keys keys;
};

/* device.c: says why, and returns the exit code for it. */
int device_fail(const struct tide *tide, enum tide_code code);
bool device_is_over(void *ctx); /* TERM or INT came; a tide_run() `until` */

/* device_open.c: EXIT_WELL or a said failure. `told` is the library's `ctx`; its keys are to be wiped either way. */
int device_open(const struct config *config, void (*on_event)(void *ctx, struct tide *tide, const struct tide_event *event), struct device_told *told, struct tide **ret_tide);

/* device_keys.c: of --store-key, --new-store-key and --keys. EXIT_WELL or a said failure; to be wiped either way. */
int device_keys_load(const struct config *config, struct device_keys *ret_keys);
void device_keys_wipe(struct device_keys *keys);
enum tide_key_answer device_keys_ask(void *ctx, const char *space, const char *collection, const char *key_id, struct tide_key *ret_key); /* options.on_key */

/* device_work.c: `argv` behind the command's name. */
int device_work(struct tide *tide, int argc, char **argv);
int device_why(struct tide *tide, int argc, char **argv);
int device_due(struct tide *tide, int argc, char **argv);
int device_run(struct tide *tide, int argc, char **argv); /* until device_is_over() */

#endif
