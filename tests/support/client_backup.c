#include "tests/support/client_backup.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/client_rig.h"

static void must(bool holds, int line)
{
    if (holds) return;
    fprintf(stderr, "client_backup.c:%d: does not hold\n", line);
    abort();
}
#define MUST(condition) must((condition), __LINE__)

void backup_copy(const char *from, const char *to)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    static char room[1 << 16];
    for (size_t i = 0; i < 3; i++) {
        char source[300], target[300];
        snprintf(source, sizeof source, "%s%s", from, suffixes[i]);
        snprintf(target, sizeof target, "%s%s", to, suffixes[i]);
        unlink(target);
        FILE *in = fopen(source, "rb"), *out = in == NULL ? NULL : fopen(target, "wb");
        for (size_t bytes; out != NULL && (bytes = fread(room, 1, sizeof room, in)) > 0;) MUST(fwrite(room, 1, bytes, out) == bytes);
        if (in != NULL) fclose(in);
        if (out != NULL) fclose(out);
    }
}

void backup_unsent(const char *path, struct backup_unsent *ret_unsent)
{
    struct store *store = NULL;
    struct store_push push;
    struct arena arena;
    uint64_t *ids;
    char why[256];
    const struct span incr = SPAN_LITERAL("[{\"op\":\"incr\"");
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    MUST(store_open_file(path, &(struct store_keys){client_store_key(), NULL}, "none", &store, why, sizeof why) == ERR_OK);
    snprintf(ret_unsent->device, sizeof ret_unsent->device, "%s", store_self(store)->device);
    ret_unsent->count = 0;
    size_t count = store_push_ids(store, &arena, 0, &ids);
    for (size_t i = 0; i < count; i++) {
        MUST(store_push_get(store, &arena, ids[i], &push));
        if (push.sent || push.ops.bytes < incr.bytes || memcmp(push.ops.at, incr.at, incr.bytes) != 0) continue;
        MUST(ret_unsent->count < BACKUP_UNSENT_MAX);
        ret_unsent->ids[ret_unsent->count++] = ids[i];
    }
    store_close_file(store);
    arena_fini(&arena);
}

bool backup_is_unsent(const struct backup_unsent *unsent, struct span device, uint64_t id)
{
    bool found = false;
    for (size_t i = 0; !found && i < unsent->count; i++) found = unsent->ids[i] == id;
    return found && span_is(device, unsent->device);
}
