#include "workers/snapshot.h"

enum err snapshot_open(struct snapshot *snapshot, struct store *store, struct patch *patch)
{
    struct store_stamp stamp;
    enum err err = store_view_begin(store, &snapshot->view);
    if (err != ERR_OK) return err;
    err = store_view_stamp(snapshot->view, &stamp);
    if (err != ERR_OK) {
        snapshot_close(snapshot);
        return err;
    }
    snapshot->reader = store_view_reader(snapshot->view);
    if (patch == NULL || patch->count == 0 || stamp.next_offset >= patch->next_offset) return ERR_OK;
    snapshot->merge = (struct merge){patch_over(patch), snapshot->reader};
    snapshot->reader = merge_reader(&snapshot->merge);
    return ERR_OK;
}

void snapshot_close(struct snapshot *snapshot)
{
    store_view_end(snapshot->view);
    snapshot->view = NULL;
}
