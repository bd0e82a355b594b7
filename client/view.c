#include "client/view.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/asset.h"
#include "core/map.h"
#include "core/name.h"
#include "core/resolve.h"

enum { ENCODED_BYTES_MAX = 4194304, TABLE_SHORT_MAX = 8 };

/* A document on the table. */
struct piece {
    struct map_node node; /* by the bytes of doc */
    struct piece *next;
    int64_t doc, space;
    struct store_doc row;
    struct buf encoded;   /* core/doc.h's form of how it stands; empty: it does not exist */
    bool shown;           /* it stands as a live document, */
    struct span body;     /* with this body, within `encoded` */
    uint64_t pushes;      /* that touch it */
};

/* Pushes on their way over the table, oldest first. */
struct table {
    struct view *view;
    struct store *store;
    struct map map;
    struct piece *first, **last;
    bool is_short;        /* few enough to be looked through */
    uint64_t step;        /* revs above any of the server's, one a push */
    int64_t now_ms;
};

enum err view_init(struct view *view, const char *const *texts, size_t count, char *ret_why, size_t why_bytes)
{
    enum err err = ERR_OK;
    *view = (struct view){.vouched = texts != NULL};
    arena_init(&view->arena, VIEW_ARENA_BYTES_MAX);
    arena_init(&view->scratch, VIEW_ARENA_BYTES_MAX);
    for (size_t i = 0; i < (texts == NULL ? asset_namespaces_count : count) && err == ERR_OK; i++) {
        struct namespace *ns = NULL;
        struct span text = texts != NULL ? span_text(texts[i]) : span_of((const char *)asset_namespaces[i].data, asset_namespaces[i].data_bytes);
        err = namespace_compile(text, &ns, ret_why, why_bytes);
        if (err == ERR_OK && (err = namespace_set_put(&view->namespaces, ns)) != ERR_OK) {
            snprintf(ret_why, why_bytes, "namespaces: %s", err_text(err));
            namespace_free(ns);
        }
    }
    if (err != ERR_OK) view_fini(view);
    return err;
}

void view_fini(struct view *view)
{
    namespace_set_fini(&view->namespaces);
    arena_fini(&view->arena);
    arena_fini(&view->scratch);
}

bool view_policy(const struct view *view, struct span space, struct span collection, enum policy *ret_policy)
{
    const struct namespace *ns = namespace_find(&view->namespaces, name_namespace(space));
    const struct collection *found = ns == NULL ? NULL : namespace_collection(ns, collection);
    if (found == NULL) return false;
    *ret_policy = found->policy;
    return true;
}

int64_t view_window_ms(const struct view *view, struct span space)
{
    const struct namespace *ns = namespace_find(&view->namespaces, name_namespace(space));
    return ns == NULL ? 0 : ns->window_ms;
}

/* ---- rules ---- */

/* A namespace that fits what the operations seem to take for granted. NULL: out of memory, or more collections than can be. */
static const struct namespace *guess(struct view *view, const struct namespace *known, const struct op *ops, size_t count)
{
    struct namespace *ns = arena_take(&view->scratch, sizeof *ns);
    if (ns == NULL) return NULL;
    if (known != NULL) *ns = *known;
    ns->access = NAMESPACE_GRANT;
    for (size_t i = 0; i < count; i++) {
        if (namespace_collection(ns, ops[i].collection) != NULL || !name_is_collection(ops[i].collection)) continue;
        if (ns->collections_count == LIMIT_COLLECTIONS_MAX + 1) return NULL;
        struct collection *collection = &ns->collections[ns->collections_count++];
        *collection = (struct collection){.policy = ops[i].kind == OP_APPEND ? POLICY_APPEND : POLICY_MERGE};
        memcpy(collection->name, ops[i].collection.at, ops[i].collection.bytes);
    }
    return ns;
}

static const struct namespace *rules_of(struct view *view, struct span space, const struct op *ops, size_t count, bool *ret_known)
{
    const struct namespace *ns = namespace_find(&view->namespaces, name_namespace(space));
    *ret_known = ns != NULL;
    for (size_t i = 0; i < count && ns != NULL; i++)
        if (namespace_collection(ns, ops[i].collection) == NULL) *ret_known = false;
    return *ret_known ? ns : guess(view, ns, ops, count);
}

/* ---- the table ---- */

/* How the document stands to begin with: as the server has it, or (a new push) as it is shown. */
static void encode(struct table *table, struct piece *piece, struct span body, bool exists, uint64_t rev)
{
    const struct store_doc *row = &piece->row;
    const struct store_self *self = store_self(table->store);
    struct doc doc = {.deleted = body.at == NULL, .rev = rev, .born = row->born, .time_ms = row->time_ms, .user = row->user, .body = body};
    /* Who made it first the device does not know: it takes itself for him, and the server will say. */
    doc.author = span_text(self->user[0] != '\0' ? self->user : "me");
    doc.whole = (struct stamp){.rev = rev, .edited_ms = row->time_ms, .user = row->user};
    buf_reset(&piece->encoded);
    if (exists) doc_encode(&doc, &piece->encoded);
    if (!buf_ok(&piece->encoded)) store_fail(table->store, ERR_MEMORY);
    piece->shown = body.at != NULL;
    piece->body = body;
}

static struct piece *put_piece(struct table *table, int64_t space, const struct store_doc *row)
{
    struct piece *piece = arena_take(&table->view->arena, sizeof *piece);
    if (piece == NULL) {
        store_fail(table->store, ERR_MEMORY);
        return NULL;
    }
    piece->doc = row->doc;
    piece->space = space;
    piece->row = *row;
    buf_init(&piece->encoded, ENCODED_BYTES_MAX);
    *table->last = piece;
    table->last = &piece->next;
    if (piece->doc == 0) return piece;
    piece->node.key = span_of((const char *)&piece->doc, sizeof piece->doc);
    if (!map_put(&table->map, &piece->node)) store_fail(table->store, ERR_MEMORY);
    return piece;
}

static void clear(struct table *table)
{
    for (struct piece *piece = table->first; piece != NULL; piece = piece->next) buf_fini(&piece->encoded);
    map_fini(&table->map);
    arena_reset(&table->view->arena);
    arena_reset(&table->view->scratch);
}

/* Reads for resolve_push() of one push. */
struct reading {
    struct table *table;
    int64_t space;
};

static struct piece *find_piece(struct table *table, int64_t space, struct span collection, struct span id)
{
    for (struct piece *piece = table->first; piece != NULL; piece = piece->next)
        if (piece->space == space && span_equal(piece->row.id, id) && span_equal(piece->row.collection, collection)) return piece;
    return NULL;
}

static struct piece *look_up(struct table *table, int64_t space, struct span collection, struct span id)
{
    struct store_doc row;
    if (table->is_short) return find_piece(table, space, collection, id);
    if (!store_doc_find(table->store, &table->view->scratch, space, collection, id, &row)) return NULL;
    struct map_node *node = map_find(&table->map, span_of((const char *)&row.doc, sizeof row.doc));
    return (struct piece *)node;
}

static enum err read_piece(void *ctx, struct span collection, struct span id, struct span *ret_stored)
{
    struct reading *reading = ctx;
    struct piece *piece = look_up(reading->table, reading->space, collection, id);
    *ret_stored = piece == NULL || piece->encoded.bytes == 0 ? span_of(NULL, 0) : buf_span(&piece->encoded);
    return ERR_OK;
}

/* One push over the table. `ops` are the caller's to change. */
static enum err run_push(struct table *table, const struct namespace *ns, int64_t space, uint64_t head, struct op *ops, size_t count,
                         struct resolve_result *ret_result)
{
    const struct store_self *self = store_self(table->store);
    struct reading reading = {table, space};
    struct resolve_reader reader = {&reading, read_piece};
    struct resolve_push push = {.ns = ns, .role = ROLE_OWNER, .head = head + table->step, .time_ms = table->now_ms, .last_push_ms = -1,
                                .window_clock_ms = INT64_MIN / 2, .ops = ops, .ops_count = count};
    push.user = span_text(self->user[0] != '\0' ? self->user : "me");
    push.device = span_text(self->device);
    push.rev = push.head + 1;
    table->step++;
    for (size_t i = 0; i < count; i++) { /* on top of everything */
        ops[i].has_base = true;
        ops[i].base = push.head;
        ops[i].age_unknown = false;
        ops[i].age_ms = 0;
    }
    enum err err = resolve_push(&push, &reader, &table->view->scratch, ret_result);
    if (err != ERR_OK || ret_result->status != RESOLVE_CHANGED) return err;
    for (size_t i = 0; i < ret_result->docs_count; i++) {
        const struct resolve_doc *doc = &ret_result->docs[i];
        struct piece *piece = look_up(table, space, span_text(doc->collection->name), doc->id);
        if (!doc->changed || piece == NULL) continue;
        /* `after` may hold spans of what is encoded now. */
        struct buf after;
        buf_init(&after, ENCODED_BYTES_MAX);
        doc_encode(&doc->after, &after);
        if (!buf_ok(&after)) err = ERR_MEMORY;
        buf_fini(&piece->encoded);
        piece->encoded = after;
        piece->shown = !doc->after.deleted;
        piece->body = piece->shown ? span_of(after.at + after.bytes - doc->after.body.bytes, doc->after.body.bytes) : span_of(NULL, 0);
    }
    return err;
}

/* ---- dirty documents ---- */

/* Puts the document, all pushes that touch it, and all that these touch, on the table. */
static void gather(struct table *table, int64_t first)
{
    struct arena *arena = &table->view->arena;
    struct { int64_t doc; } *queue = NULL;
    size_t count = 0, room = 0;
    struct store *store = table->store;
    for (int64_t doc = first;; doc = queue[--count].doc) {
        struct store_doc row;
        int64_t space, *others;
        uint64_t *pushes;
        if (map_find(&table->map, span_of((const char *)&doc, sizeof doc)) == NULL && store_doc_get(store, arena, doc, &space, &row)) {
            struct piece *piece = put_piece(table, space, &row);
            size_t pushes_count = store_push_of_doc(store, arena, doc, &pushes);
            if (piece != NULL) {
                piece->pushes = pushes_count;
                encode(table, piece, row.server, row.server.at != NULL || row.rev > 0, row.rev);
            }
            for (size_t i = 0; i < pushes_count; i++) {
                size_t others_count = store_push_docs(store, arena, pushes[i], &others);
                for (size_t k = 0; k < others_count; k++) {
                    if (others[k] == doc) continue;
                    if (count == room) {
                        void *more = realloc(queue, (room = room == 0 ? 64 : room * 2) * sizeof *queue);
                        if (more == NULL) store_fail(store, ERR_MEMORY);
                        else queue = more;
                        if (more == NULL) break;
                    }
                    queue[count++].doc = others[k];
                }
            }
        }
        if (count == 0 || queue == NULL) break;
    }
    free(queue);
}

/* The ids of all pushes on the table, each once, in order. */
static int order_of(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static size_t pushes_of(struct table *table, uint64_t **ret_ids)
{
    size_t total = 0, count = 0, kept = 0;
    for (struct piece *piece = table->first; piece != NULL; piece = piece->next) total += piece->pushes;
    uint64_t *ids = arena_take(&table->view->arena, (total + 1) * sizeof *ids);
    if (ids == NULL) {
        store_fail(table->store, ERR_MEMORY);
        return 0;
    }
    for (struct piece *piece = table->first; piece != NULL; piece = piece->next) {
        uint64_t *own;
        size_t own_count = store_push_of_doc(table->store, &table->view->arena, piece->doc, &own);
        for (size_t i = 0; i < own_count && count < total; i++) ids[count++] = own[i];
    }
    if (count > 0) qsort(ids, count, sizeof *ids, order_of);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || ids[kept - 1] != ids[i]) ids[kept++] = ids[i];
    *ret_ids = ids;
    return kept;
}

static void apply(struct table *table, uint64_t id)
{
    struct view *view = table->view;
    struct store_push push;
    struct op *ops;
    size_t count, kept = 0;
    char why[LIMIT_MESSAGE_BYTES_MAX + 1];
    struct json_value text;
    struct resolve_result result;
    arena_reset(&view->scratch);
    if (!store_push_get(table->store, &view->scratch, id, &push)) return;
    struct store_space space = store_space_get(table->store, push.space);
    if (!json_check(push.plain.at != NULL ? push.plain : push.ops, &text, NULL) || op_decode_all(text, &view->scratch, &ops, &count, why, sizeof why) != ERR_OK) return;
    for (size_t i = 0; i < count; i++) {
        struct piece *piece = look_up(table, push.space, ops[i].collection, ops[i].id);
        if (piece != NULL && piece->row.contains >= id) continue;
        ops[kept++] = ops[i];
    }
    bool known;
    const struct namespace *ns = rules_of(view, span_text(space.name), ops, kept, &known);
    if (kept == 0 || ns == NULL) return;
    enum err err = run_push(table, ns, push.space, space.seen_rev, ops, kept, &result);
    if (err != ERR_OK) store_fail(table->store, err);
}

void view_settle(struct view *view, struct store *store, int64_t now_ms)
{
    struct table table = {.view = view, .store = store, .now_ms = now_ms};
    int64_t *docs;
    uint64_t *ids;
    table.last = &table.first;
    size_t count = store_dirty_take(store, &view->arena, &docs);
    if (count == 0) return;
    for (size_t i = 0; i < count; i++) gather(&table, docs[i]);
    table.is_short = table.map.count <= TABLE_SHORT_MAX;
    size_t pushes_count = pushes_of(&table, &ids);
    for (size_t i = 0; i < pushes_count; i++) apply(&table, ids[i]);
    for (struct piece *piece = table.first; piece != NULL; piece = piece->next) {
        const struct store_doc *row = &piece->row;
        struct span body = piece->shown ? piece->body : span_of(NULL, 0);
        bool same = row->pending == piece->pushes && (row->body.at == NULL) == (body.at == NULL) && span_equal(row->body, body);
        if (!same) store_doc_show(store, piece->space, row, body, piece->pushes, now_ms);
    }
    clear(&table);
}

/* ---- a new push ---- */

static bool add_bases(struct table *table, int64_t space, const struct op *ops, size_t count, struct buf *bases)
{
    buf_add_char(bases, '[');
    for (size_t i = 0; i < count; i++) {
        struct piece *piece = find_piece(table, space, ops[i].collection, ops[i].id);
        if (i > 0) buf_add_char(bases, ',');
        buf_add_u64(bases, ops[i].has_base ? ops[i].base : piece == NULL ? 0 : piece->row.rev);
    }
    buf_add_char(bases, ']');
    return buf_ok(bases);
}

/* What documents of `manual` collections were, for who has to choose. */
static bool add_origins(struct table *table, const struct namespace *ns, struct buf *origins)
{
    bool any = false;
    for (struct piece *piece = table->first; piece != NULL; piece = piece->next) {
        const struct collection *collection = namespace_collection(ns, piece->row.collection);
        if (collection == NULL || collection->policy != POLICY_MANUAL || piece->row.body.at == NULL) continue;
        struct buf name;
        buf_init(&name, LIMIT_COLLECTION_BYTES_MAX + LIMIT_ID_BYTES_MAX + 1);
        buf_add_span(&name, piece->row.collection);
        buf_add_char(&name, '/');
        buf_add_span(&name, piece->row.id);
        buf_add_char(origins, any ? ',' : '{');
        buf_add_json_string(origins, buf_span(&name));
        buf_add_char(origins, ':');
        buf_add_span(origins, piece->row.body);
        buf_fini(&name);
        any = true;
    }
    if (any) buf_add_char(origins, '}');
    return buf_ok(origins);
}

/* The documents that it names, as they are shown now. */
static void lay_out(struct table *table, const struct store_space *space, const struct op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct store_doc row;
        if (find_piece(table, space->id, ops[i].collection, ops[i].id) != NULL) continue;
        store_doc_find(table->store, &table->view->arena, space->id, ops[i].collection, ops[i].id, &row);
        struct piece *piece = put_piece(table, space->id, &row);
        if (piece == NULL) return;
        bool changed = row.pending > 0 && !span_equal(row.body, row.server);
        encode(table, piece, row.body, row.body.at != NULL || row.rev > 0 || row.pending > 0, changed ? space->seen_rev : row.rev);
    }
}

static void write_out(struct table *table, struct store_space *space, struct store_push *push)
{
    struct store *store = table->store;
    push->previous = push->after = space->last_push;
    space->last_push = push->id;
    store_push_add(store, push);
    store_space_put(store, space);
    for (struct piece *piece = table->first; piece != NULL; piece = piece->next) {
        struct span body = piece->shown ? piece->body : span_of(NULL, 0);
        int64_t doc = store_doc_show(store, space->id, &piece->row, body, piece->row.pending + 1, push->made.wall_ms);
        store_push_touches(store, push->id, doc);
    }
}

enum err view_add(struct view *view, struct store *store, struct store_space *space, struct store_push *push, const struct op *ops, size_t ops_count,
                  char *ret_why, size_t why_bytes)
{
    struct table table = {.view = view, .store = store, .is_short = true, .now_ms = push->made.wall_ms};
    struct resolve_result result = {.status = RESOLVE_UNCHANGED};
    struct buf bases, origins;
    bool known = true;
    enum err err = ERR_OK;
    table.last = &table.first;
    buf_init(&bases, LIMIT_FRAME_BYTES_MAX);
    buf_init(&origins, 4 * (size_t)LIMIT_FRAME_BYTES_MAX);
    lay_out(&table, space, ops, ops_count);
    struct op *copy = arena_take(&view->scratch, (ops_count + 1) * sizeof *copy);
    const struct namespace *ns = rules_of(view, span_text(space->name), ops, ops_count, &known);
    if (copy == NULL || ns == NULL || !add_bases(&table, space->id, ops, ops_count, &bases) || !add_origins(&table, ns, &origins)) err = ERR_MEMORY;
    if (err == ERR_OK && ops_count > 0) {
        memcpy(copy, ops, ops_count * sizeof *copy);
        err = run_push(&table, ns, space->id, space->seen_rev, copy, ops_count, &result);
    }
    if (err == ERR_OK && result.status == RESOLVE_REJECTED && known && view->vouched) {
        snprintf(ret_why, why_bytes, "%s", result.why);
        err = result.code;
    }
    if (err == ERR_OK) {
        push->bases = buf_span(&bases);
        push->origins = origins.bytes > 0 ? buf_span(&origins) : span_of(NULL, 0);
        write_out(&table, space, push);
        push->bases = push->origins = span_of(NULL, 0);
    }
    buf_fini(&bases);
    buf_fini(&origins);
    clear(&table);
    return err;
}
