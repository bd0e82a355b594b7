/* Refused pushes: told, settled, and conflicts put to the app's resolver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tide_parts.h"
#include "core/op.h"

enum { BATCH = 64, AGAIN_MS = 1000, HELD_MS = 20 /* so long is another process waited for: it may be the app's loop that waits */ };

static const char *text_of(struct span span) { return span.at == NULL ? "" : span.at; }

enum tide_code tide_refused(struct tide *tide, bool (*each)(void *ctx, const struct tide_refusal *refusal), void *ctx)
{
    struct store_refused *list;
    struct arena arena;
    int64_t past = 0;
    bool more = true;
    enum err err = ERR_OK;
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    while (more) {
        arena_reset(&arena);
        size_t count = store_refused_list(tide->store, &arena, past, BATCH, false, &list);
        err = store_read_err(tide->store);
        more = count == BATCH;
        for (size_t i = 0; i < count; i++) {
            struct store_space space = store_space_get(tide->store, list[i].space);
            struct tide_refusal given = {list[i].id, space.name, text_of(list[i].code), text_of(list[i].message), text_of(list[i].ops), text_of(list[i].origins),
                text_of(list[i].server), list[i].made_ms, list[i].refused_ms};
            past = list[i].id;
            if (each(ctx, &given)) continue;
            more = false;
            break;
        }
    }
    arena_fini(&arena);
    return err == ERR_OK ? TIDE_OK : tide_fail_err(tide, err);
}

/* By what the caller says, or by the same operations once more. */
static enum tide_code retry(struct tide *tide, int64_t id, const char *ops, uint64_t *ret_push)
{
    struct store_refused refused;
    struct arena arena;
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    enum tide_code code = TIDE_NOT_FOUND;
    bool found = store_refused_get(tide->store, &arena, id, &refused);
    if (found && refused.sealed && tide->view.seal.key == NULL) {
        code = tide_fail(tide, TIDE_KEY, "it was encrypted, and is not sent in the clear: open the store with options.on_key");
    } else if (found) {
        struct store_space space = store_space_get(tide->store, refused.space);
        code = tide_write_ops(tide, space.name, ops == NULL ? refused.ops : span_text(ops), id, ret_push);
    } else {
        tide_fail(tide, code, "no refusal has that id");
    }
    arena_fini(&arena);
    return code;
}

enum tide_code tide_refused_retry(struct tide *tide, int64_t id, const char *ops, uint64_t *ret_push) { return retry(tide, id, ops, ret_push); }

enum tide_code tide_refused_drop(struct tide *tide, int64_t id)
{
    enum err err = store_begin(tide->store, true);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    if (!store_refused_remove(tide->store, id)) {
        store_rollback(tide->store);
        return tide_fail(tide, TIDE_NOT_FOUND, "no refusal has that id");
    }
    err = store_commit(tide->store);
    return err == ERR_OK ? TIDE_OK : tide_fail_err(tide, err);
}

/* ---- the resolver ---- */

static void forget_choice(struct tide *tide)
{
    free(tide->chosen.merged);
    tide->chosen = (struct tide_chosen){.id = 0};
}

void tide_set_resolver(struct tide *tide, enum tide_choice (*resolve)(void *ctx, const struct tide_conflict *conflict, const char **ret_merged), void *ctx)
{
    forget_choice(tide); /* another's */
    tide->resolve = resolve;
    tide->resolve_ctx = ctx;
    tide->look_for_conflicts = true;
}

/* The one document of a refused push; false: several, or none. */
static bool only_doc(const struct op *ops, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (!span_equal(ops[i].id, ops[0].id) || !span_equal(ops[i].collection, ops[0].collection)) return false;
    return count > 0;
}

/* What an edit would leave of a body, as far as that can be said without the namespace: put, delete, patch in order. NULL: deleted. */
static const char *mine_of(struct arena *arena, const struct op *ops, size_t count, const char *base)
{
    struct span mine = base == NULL ? span_of(NULL, 0) : span_text(base);
    for (size_t i = 0; i < count; i++) {
        if (ops[i].kind == OP_DELETE) mine = span_of(NULL, 0);
        if (ops[i].kind == OP_PUT || ops[i].kind == OP_APPEND || (ops[i].kind == OP_PATCH && mine.at == NULL)) mine = arena_copy(arena, ops[i].body.raw);
        else if (ops[i].kind == OP_PATCH) mine = tide_seal_patched(arena, mine, ops[i].body);
    }
    return mine.at;
}

static const char *base_of(struct arena *arena, struct span origins, const struct op *op)
{
    struct json_value object;
    struct buf name;
    if (origins.at == NULL || !json_check(origins, &object, NULL)) return NULL;
    buf_init(&name, LIMIT_COLLECTION_BYTES_MAX + LIMIT_ID_BYTES_MAX + 1);
    buf_add_span(&name, op->collection);
    buf_add_char(&name, '/');
    buf_add_span(&name, op->id);
    struct json_value body = json_find_span(object, buf_span(&name));
    buf_fini(&name);
    return body.type == JSON_OBJECT ? arena_copy(arena, body.raw).at : NULL;
}

/* Is the choice settled, one way or the other? Not where the store does not take it now. */
static bool is_settled(enum tide_code code)
{
    return code != TIDE_BUSY && code != TIDE_IO && code != TIDE_FULL && code != TIDE_MEMORY;
}

/* A push of the choice, made on what the server has. */
static enum tide_code settle(struct tide *tide, const struct store_refused *refused, const struct op *op, const char *body)
{
    struct buf ops;
    buf_init(&ops, LIMIT_FRAME_BYTES_MAX);
    buf_add_text(&ops, body == NULL ? "[{\"op\":\"delete\",\"collection\":" : "[{\"op\":\"put\",\"collection\":");
    buf_add_json_string(&ops, op->collection);
    buf_add_text(&ops, ",\"id\":");
    buf_add_json_string(&ops, op->id);
    if (body != NULL) buf_add_text(&ops, ",\"body\":");
    if (body != NULL) buf_add_text(&ops, body);
    buf_add_text(&ops, "}]");
    buf_add_char(&ops, '\0');
    enum tide_code code = buf_ok(&ops) ? retry(tide, refused->id, ops.at, NULL) : TIDE_TOO_LARGE;
    buf_fini(&ops);
    return code;
}

/* With little patience, and none past a deadline that stands. Returns what that was. */
static int64_t hurry(struct tide *tide)
{
    int64_t end_ms = tide_end_ms(HELD_MS), before = store_set_deadline(tide->store, end_ms);
    if (before != 0 && before < end_ms) store_set_deadline(tide->store, before);
    return before;
}

static enum tide_code leave(struct tide *tide, int64_t id)
{
    int64_t before = hurry(tide);
    enum err err = store_begin(tide->store, true);
    if (err == ERR_OK) {
        store_refused_asked(tide->store, id);
        err = store_commit(tide->store);
    }
    store_set_deadline(tide->store, before);
    return tide_code_of(err);
}

/* What is decided is to be written: while another process writes, nobody is asked. */
static bool can_write(struct tide *tide)
{
    int64_t before = hurry(tide);
    bool can = store_begin(tide->store, true) == ERR_OK;
    if (can) store_rollback(tide->store);
    store_set_deadline(tide->store, before);
    return can;
}

/* The app's word, which is kept until the store has it; of a document that changed meanwhile it is another question. */
static void choose(struct tide *tide, int64_t id, uint64_t rev, const struct tide_conflict *conflict)
{
    struct tide_chosen *chosen = &tide->chosen;
    const char *merged = NULL;
    if (chosen->id == id && chosen->rev == rev) return;
    forget_choice(tide);
    enum tide_choice choice = tide->resolve(tide->resolve_ctx, conflict, &merged);
    if (choice == TIDE_MERGED && merged == NULL) choice = TIDE_LATER;
    if (choice == TIDE_MERGED && (chosen->merged = strdup(merged)) == NULL) return;
    chosen->id = id;
    chosen->rev = rev;
    chosen->choice = choice;
}

static enum tide_code carry_out(struct tide *tide, const struct store_refused *refused, const struct op *op, const char *mine)
{
    const struct tide_chosen *chosen = &tide->chosen;
    enum tide_code code = TIDE_MISUSE; /* it is left to the user */
    if (chosen->id != refused->id) return TIDE_MEMORY;
    int64_t before = hurry(tide);
    if (chosen->choice == TIDE_THEIRS) code = tide_refused_drop(tide, refused->id);
    else if (chosen->choice == TIDE_MINE) code = settle(tide, refused, op, mine);
    else if (chosen->choice == TIDE_MERGED) code = settle(tide, refused, op, chosen->merged);
    store_set_deadline(tide->store, before);
    return code;
}

/* False: not now. */
static bool resolve_one(struct tide *tide, struct arena *arena, const struct store_refused *refused)
{
    struct json_value array;
    struct op *ops;
    size_t count;
    char why[LIMIT_MESSAGE_BYTES_MAX + 1];
    struct store_doc doc;
    enum tide_code code = TIDE_MISUSE; /* nobody is to be asked */
    if (!can_write(tide)) return false;
    if (span_is(refused->code, "conflict") && json_check(refused->ops, &array, NULL) && op_decode_all(array, arena, &ops, &count, why, sizeof why) == ERR_OK &&
        only_doc(ops, count)) {
        struct store_space space = store_space_get(tide->store, refused->space);
        const char *base = base_of(arena, refused->origins, &ops[0]), *mine = mine_of(arena, ops, count, base);
        store_doc_find(tide->store, arena, space.id, ops[0].collection, ops[0].id, &doc);
        struct tide_conflict conflict = {space.name, ops[0].collection.at, ops[0].id.at, base, mine, doc.server.at};
        /* What cannot be read is not for a rule to choose from. */
        bool readable = doc.doc == 0 || doc.server.at == NULL || tide_seal_is_readable(tide, span_text(space.name), &doc);
        if (readable) choose(tide, refused->id, doc.doc == 0 ? 0 : doc.rev, &conflict);
        if (readable) code = carry_out(tide, refused, &ops[0], mine);
    }
    if (code != TIDE_OK && is_settled(code)) code = leave(tide, refused->id);
    if (is_settled(code)) forget_choice(tide);
    return is_settled(code);
}

void tide_refused_resolve(struct tide *tide)
{
    struct store_refused *list;
    struct arena arena;
    tide->look_for_conflicts = false;
    tide->look_again_ms = SYNC_NEVER; /* nothing is due where there is nobody to ask */
    if (tide->resolve == NULL) return;
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    size_t count = store_refused_list(tide->store, &arena, 0, BATCH, true, &list);
    bool goes_on = true;
    for (size_t i = 0; i < count && goes_on; i++) goes_on = resolve_one(tide, &arena, &list[i]);
    if (count == BATCH && goes_on) tide->look_for_conflicts = true;
    if (!goes_on) tide->look_again_ms = tide_now(tide).boot_ms + AGAIN_MS;
    arena_fini(&arena);
}
