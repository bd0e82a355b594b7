#include "workers/overlay.h"

#include <assert.h>

#include "core/map.h"

/* A skip list (Pugh, 1990) keeps the order; the map answers `get`. */
enum { HEIGHT_MAX = 20, PLACE_BYTES_MAX = STATE_KEY_BYTES_MAX + 2 };

struct overlay_entry {
    struct map_node node; /* first; its key is the cell's place */
    struct cell *cell;
    uint64_t batch;       /* the last that wrote it */
    struct overlay_entry *gathered_next;
    unsigned height;
    struct overlay_entry *tower[];
};

struct overlay {
    struct map map;
    struct overlay_entry *head[HEIGHT_MAX];
    uint64_t random;      /* heights: any spread will do, so a fixed seed */
    uint64_t batch;
    struct overlay_entry *gathered; /* written in this batch */
    size_t gathered_count, gathered_bytes;
    size_t bytes;
    uint64_t writes;
    bool sealed;
};

static struct span place_of(enum state_table table, struct span key, char room[PLACE_BYTES_MAX])
{
    assert(key.bytes + 1 <= PLACE_BYTES_MAX);
    room[0] = (char)table;
    if (key.bytes != 0) memcpy(room + 1, key.at, key.bytes);
    return span_of(room, key.bytes + 1);
}

/* The last entry before `place` at each height; NULL: the head. */
static struct overlay_entry *walk(const struct overlay *overlay, struct span place, struct overlay_entry **ret_before)
{
    struct overlay_entry *at = NULL;
    for (int height = HEIGHT_MAX - 1; height >= 0; height--) {
        struct overlay_entry *next = at == NULL ? overlay->head[height] : at->tower[height];
        while (next != NULL && span_compare(next->node.key, place) < 0) {
            at = next;
            next = at->tower[height];
        }
        if (ret_before != NULL) ret_before[height] = at;
    }
    return at;
}

static struct overlay_entry **link_after(struct overlay *overlay, struct overlay_entry *before, unsigned height)
{
    return before == NULL ? &overlay->head[height] : &before->tower[height];
}

static unsigned random_height(struct overlay *overlay)
{
    unsigned height = 1;
    overlay->random ^= overlay->random << 13;
    overlay->random ^= overlay->random >> 7;
    overlay->random ^= overlay->random << 17;
    for (uint64_t bits = overlay->random; (bits & 3) == 0 && height < HEIGHT_MAX; bits >>= 2) height++;
    return height;
}

static void insert(struct overlay *overlay, struct overlay_entry *entry)
{
    struct overlay_entry *before[HEIGHT_MAX];
    walk(overlay, entry->node.key, before);
    for (unsigned i = 0; i < entry->height; i++) {
        struct overlay_entry **link = link_after(overlay, before[i], i);
        entry->tower[i] = *link;
        *link = entry;
    }
    bool put = map_put(&overlay->map, &entry->node);
    assert(put); /* the map had its first slots at overlay_open() */
}

static void take_out(struct overlay *overlay, struct overlay_entry *entry)
{
    struct overlay_entry *before[HEIGHT_MAX];
    walk(overlay, entry->node.key, before);
    for (unsigned i = 0; i < entry->height; i++) {
        struct overlay_entry **link = link_after(overlay, before[i], i);
        assert(*link == entry);
        *link = entry->tower[i];
    }
    map_take(&overlay->map, &entry->node);
    overlay->bytes -= cell_size(entry->cell);
    cell_put(entry->cell);
    free(entry);
}

enum err overlay_open(struct overlay **ret_overlay)
{
    struct overlay *overlay = calloc(1, sizeof *overlay);
    if (overlay == NULL) return ERR_MEMORY;
    struct map_node first = {.key = SPAN_LITERAL("")};
    if (!map_put(&overlay->map, &first)) {
        free(overlay);
        return ERR_MEMORY;
    }
    map_take(&overlay->map, &first);
    overlay->random = UINT64_C(0x9e3779b97f4a7c15);
    overlay->batch = 1;
    *ret_overlay = overlay;
    return ERR_OK;
}

void overlay_close(struct overlay *overlay)
{
    if (overlay == NULL) return;
    for (struct overlay_entry *entry = overlay->head[0], *next; entry != NULL; entry = next) {
        next = entry->tower[0];
        cell_put(entry->cell);
        free(entry);
    }
    map_fini(&overlay->map);
    free(overlay);
}

/* ---- writing ---- */

/* What one write needs, allocated before anything is changed (INVARIANT 1). */
struct prepared {
    struct cell *cell;
    struct overlay_entry *entry; /* for a key that is not here yet */
};

static struct cell *make_cell(const struct state_write *write)
{
    size_t value_bytes = write->remove ? 0 : write->value.bytes;
    assert(write->key.bytes <= STATE_KEY_BYTES_MAX && value_bytes <= UINT32_MAX);
    struct cell *cell = malloc(sizeof *cell + 1 + write->key.bytes + value_bytes);
    if (cell == NULL) return NULL;
    *cell = (struct cell){.refs = 1, .value_bytes = (uint32_t)value_bytes, .key_bytes = (uint16_t)write->key.bytes,
                          .removed = write->remove};
    cell->bytes[0] = (char)write->table;
    memcpy(cell->bytes + 1, write->key.at, write->key.bytes);
    if (value_bytes != 0) memcpy(cell->bytes + 1 + write->key.bytes, write->value.at, value_bytes);
    return cell;
}

static bool prepare(struct overlay *overlay, const struct state_write *write, struct prepared *prepared)
{
    prepared->entry = NULL;
    prepared->cell = make_cell(write);
    if (prepared->cell == NULL) return false;
    if (map_find(&overlay->map, cell_place(prepared->cell)) != NULL) return true;
    unsigned height = random_height(overlay);
    prepared->entry = calloc(1, sizeof *prepared->entry + height * sizeof prepared->entry->tower[0]);
    if (prepared->entry != NULL) prepared->entry->height = height;
    return prepared->entry != NULL;
}

static void install(struct overlay *overlay, struct prepared *prepared)
{
    struct cell *cell = prepared->cell;
    struct overlay_entry *entry = (struct overlay_entry *)(void *)map_find(&overlay->map, cell_place(cell));
    if (entry == NULL) {
        entry = prepared->entry;
        assert(entry != NULL);
        entry->cell = cell;
        entry->node.key = cell_place(cell);
        insert(overlay, entry);
    } else {
        free(prepared->entry); /* two writes of one step to a new key */
        overlay->bytes -= cell_size(entry->cell);
        entry->node.key = cell_place(cell); /* the same bytes elsewhere */
        cell_put(entry->cell);
        entry->cell = cell;
    }
    overlay->bytes += cell_size(cell);
    overlay->gathered_bytes += cell_size(cell);
    if (entry->batch == overlay->batch) return;
    entry->batch = overlay->batch;
    entry->gathered_next = overlay->gathered;
    overlay->gathered = entry;
    overlay->gathered_count++;
}

enum err overlay_put(struct overlay *overlay, const struct state_write *writes, size_t count)
{
    struct prepared few[64], *prepared = few;
    if (count > 64) prepared = malloc(count * sizeof *prepared);
    if (prepared == NULL) return ERR_MEMORY;
    size_t ready = 0;
    while (ready < count && prepare(overlay, &writes[ready], &prepared[ready])) ready++;
    if (ready < count) {
        for (size_t i = 0; i <= ready; i++) {
            free(prepared[i].cell);
            free(prepared[i].entry);
        }
    } else {
        for (size_t i = 0; i < count; i++) install(overlay, &prepared[i]);
        overlay->writes++;
    }
    if (prepared != few) free(prepared);
    return ready < count ? ERR_MEMORY : ERR_OK;
}

/* ---- reading ---- */

static const struct cell *get(void *ctx, enum state_table table, struct span key)
{
    const struct overlay *overlay = ctx;
    char room[PLACE_BYTES_MAX];
    const struct map_node *node = map_find(&overlay->map, place_of(table, key, room));
    return node == NULL ? NULL : ((const struct overlay_entry *)(const void *)node)->cell;
}

static const struct cell *seek(void *ctx, enum state_table table, struct span key, bool down)
{
    const struct overlay *overlay = ctx;
    char room[PLACE_BYTES_MAX];
    const struct overlay_entry *entry = walk(overlay, place_of(table, key, room), NULL);
    if (!down) entry = entry == NULL ? overlay->head[0] : entry->tower[0];
    return entry == NULL || cell_table(entry->cell) != table ? NULL : entry->cell;
}

struct merge_over overlay_over(struct overlay *overlay) { return (struct merge_over){overlay, get, seek}; }
size_t overlay_bytes(const struct overlay *overlay) { return overlay->bytes; }
size_t overlay_gathered(const struct overlay *overlay) { return overlay->gathered_count; }
size_t overlay_gathered_bytes(const struct overlay *overlay) { return overlay->gathered_bytes; }
uint64_t overlay_writes(const struct overlay *overlay) { return overlay->writes; }

/* ---- batches ---- */

enum err overlay_seal(struct overlay *overlay, struct overlay_batch *ret_batch)
{
    assert(!overlay->sealed); /* INVARIANT 2 */
    struct overlay_batch batch = {.number = overlay->batch, .bytes = overlay->gathered_bytes};
    batch.cells = malloc((overlay->gathered_count + 1) * sizeof(struct cell *));
    batch.entries = malloc((overlay->gathered_count + 1) * sizeof(struct overlay_entry *));
    if (batch.cells == NULL || batch.entries == NULL) {
        free(batch.cells);
        free(batch.entries);
        return ERR_MEMORY;
    }
    for (struct overlay_entry *entry = overlay->gathered, *next; entry != NULL; entry = next) {
        next = entry->gathered_next;
        entry->gathered_next = NULL;
        batch.cells[batch.count] = cell_take(entry->cell);
        batch.entries[batch.count++] = entry;
    }
    overlay->gathered = NULL;
    overlay->gathered_count = overlay->gathered_bytes = 0;
    overlay->batch++;
    overlay->sealed = true;
    *ret_batch = batch;
    return ERR_OK;
}

void overlay_release(struct overlay *overlay, struct overlay_batch *batch)
{
    assert(overlay->sealed && batch->number == overlay->batch - 1);
    for (size_t i = 0; i < batch->count; i++) {
        cell_put(batch->cells[i]);
        if (batch->entries[i]->batch == batch->number) take_out(overlay, batch->entries[i]);
    }
    free(batch->cells);
    free(batch->entries);
    overlay->sealed = false;
    *batch = (struct overlay_batch){0};
}
