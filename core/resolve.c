/* A push as a whole: the documents that it names, its operations in turn, what it leaves behind.
 *
 * INVARIANTS
 * 1. All or nothing: a push that is rejected, or in conflict, leaves every document as it was and keeps no losers.
 * 2. A rejection beats a conflict, wherever they stand among the operations: only what could be accepted on another
 *    base is worth settling.
 * 3. The outcome is a function of the arguments and of what the reader gives: no clock, no chance, no order of memory.
 * 4. However a push is made, its cost is about that of the bytes it brought and of the documents it names, each read
 *    and written once; what could be repeated without end has a bound in core/limits.h. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/resolve_parts.h"

/* ---- saying why ---- */

/* Cuts at the bound, and never within a character. */
static void say_why(struct resolve_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say_why(struct resolve_result *result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(result->why, sizeof result->why, format, args);
    va_end(args);
    if (bytes < (int)sizeof result->why) return;
    size_t end = sizeof result->why - 1;
    while (end > 0 && ((unsigned char)result->why[end - 1] & 0xc0) == 0x80) end--;
    /* `end` is behind a lead byte or an ASCII one; the lead byte goes with the rest of its character, if that was cut. */
    if (end > 0 && ((unsigned char)result->why[end - 1] & 0x80) != 0) end--;
    result->why[end] = '\0';
}

static enum err reject(struct resolve_case *c, enum err code)
{
    c->result->status = RESOLVE_REJECTED;
    c->result->code = code;
    return code;
}

#define SPAN_ARGS(span) (int)(span).bytes, (span).bytes > 0 ? (span).at : ""

enum err resolve_reject(struct resolve_case *c, enum err code, const struct resolve_work *work, const char *what)
{
    const struct op *op = c->op;
    if (op->field.bytes > 0)
        say_why(c->result, "ops[%zu]: %s/%.*s: %.*s: %s", c->op_index, work->doc->collection->name,
                SPAN_ARGS(work->doc->id), SPAN_ARGS(op->field), what);
    else
        say_why(c->result, "ops[%zu]: %s/%.*s: %s", c->op_index, work->doc->collection->name, SPAN_ARGS(work->doc->id), what);
    return reject(c, code);
}

static enum err reject_document(struct resolve_case *c, enum err code, const struct resolve_work *work, const char *what)
{
    say_why(c->result, "%s/%.*s: %s", work->doc->collection->name, SPAN_ARGS(work->doc->id), what);
    return reject(c, code);
}

/* ---- the working set ---- */

/* A collection whose policy was merge when the document was written and is another now: the latest of its parts speaks
 * for the whole. */
static void fold_fields(struct doc *doc)
{
    for (size_t i = 0; i < doc->fields_count; i++) {
        const struct stamp *stamp = &doc->fields[i].stamp;
        uint64_t rev = stamp->rev > doc->whole.rev ? stamp->rev : doc->whole.rev;
        if (stamp->edited_ms > doc->whole.edited_ms) doc->whole = *stamp;
        doc->whole.rev = rev;
    }
    doc->fields_count = 0;
    doc->fields = NULL;
}

static enum err read_document(struct resolve_case *c, const struct resolve_reader *reader, struct resolve_work *work)
{
    const struct resolve_push *push = c->push;
    struct resolve_doc *doc = work->doc;
    struct span stored = {0};
    enum err err = reader->read(reader->ctx, span_text(doc->collection->name), doc->id, &stored);
    if (err == ERR_OK && stored.bytes > 0) err = doc_decode(stored, c->arena, &doc->before);
    if (err != ERR_OK) return err;
    doc->existed = stored.bytes > 0;
    /* Whether a tombstone exists is decided by the log's clock, never by whether somebody swept already. */
    if (doc->existed && doc->before.deleted && doc->before.time_ms < push->window_clock_ms - push->ns->window_ms) {
        doc->existed = false;
        doc->before = (struct doc){0};
    }
    work->exists = doc->existed;
    doc->after = doc->before;
    if (!doc->existed) doc->after.whole.edited_ms = INT64_MIN; /* older than any edit, known to all */
    if (doc->collection->policy != POLICY_MERGE) fold_fields(&doc->after);
    return ERR_OK;
}

static struct resolve_work *find_work(struct resolve_case *c, const struct collection *collection, struct span id)
{
    for (size_t i = 0; i < c->result->docs_count; i++) {
        const struct resolve_doc *doc = &c->result->docs[i];
        if (doc->collection == collection && span_equal(doc->id, id)) return &c->works[i];
    }
    return NULL;
}

/* Reads every document that the push names, also of one that is then rejected: the answer shows what stands. */
static enum err gather(struct resolve_case *c, const struct resolve_reader *reader)
{
    const struct resolve_push *push = c->push;
    struct resolve_result *result = c->result;
    size_t room = push->ops_count < LIMIT_PUSH_DOCS_MAX ? push->ops_count : LIMIT_PUSH_DOCS_MAX;
    result->docs = arena_take(c->arena, (room + 1) * sizeof *result->docs);
    c->works = arena_take(c->arena, (room + 1) * sizeof *c->works);
    if (result->docs == NULL || c->works == NULL) return ERR_MEMORY;
    for (size_t i = 0; i < push->ops_count; i++) {
        const struct op *op = &push->ops[i];
        const struct collection *collection = namespace_collection(push->ns, op->collection);
        if (collection == NULL) {
            if (result->status == RESOLVE_REJECTED) continue;
            say_why(result, "ops[%zu].collection: %s has no collection %.*s", i, push->ns->name, SPAN_ARGS(op->collection));
            reject(c, ERR_INVALID);
            continue;
        }
        if (find_work(c, collection, op->id) != NULL) continue;
        if (result->docs_count == LIMIT_PUSH_DOCS_MAX) {
            if (result->status == RESOLVE_REJECTED) return ERR_OK;
            say_why(result, "ops[%zu]: a push touches at most %d documents", i, LIMIT_PUSH_DOCS_MAX);
            reject(c, ERR_TOO_LARGE);
            return ERR_OK;
        }
        struct resolve_work *work = &c->works[result->docs_count];
        work->doc = &result->docs[result->docs_count++];
        work->doc->collection = collection;
        work->doc->id = op->id;
        enum err err = read_document(c, reader, work);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

void resolve_change(struct resolve_case *c, struct resolve_work *work)
{
    if (!work->exists) {
        work->doc->after.born = c->push->rev;
        work->doc->after.author = c->push->user;
    }
    work->exists = true;
    work->doc->changed = true;
}

/* ---- one operation ---- */

static bool belongs(enum policy policy, const struct op *op)
{
    bool on_field = op->kind == OP_INCR || op->kind == OP_ADD || op->kind == OP_REMOVE || op->kind == OP_MAX;
    switch (policy) {
    case POLICY_LWW: return op->kind != OP_APPEND && !on_field;
    case POLICY_MERGE: return op->kind != OP_APPEND;
    case POLICY_APPEND: return !on_field;
    case POLICY_MANUAL: return op->kind != OP_APPEND && (!on_field || op->has_base);
    }
    assert(!"every policy has its operations");
    return false;
}

static bool may_write(const struct resolve_case *c, const struct resolve_work *work)
{
    const struct resolve_push *push = c->push;
    const struct collection *collection = work->doc->collection;
    bool own = span_equal(c->op->id, push->user);
    bool members = push->ns->access != NAMESPACE_GRANT && strcmp(collection->name, "members") == 0;
    /* A member may always leave; who is none has nothing to leave. */
    if (members && own && c->op->kind == OP_DELETE && resolve_work_is_live(work)) return true;
    switch (collection->write) {
    case WRITE_WRITER: return push->role >= ROLE_WRITER;
    case WRITE_OWNER: return push->role >= ROLE_OWNER;
    case WRITE_SELF: return push->role >= ROLE_WRITER && own;
    }
    assert(!"every collection has a rule");
    return false;
}

static bool condition_holds(const struct resolve_case *c, const struct resolve_work *work)
{
    const struct op *op = c->op;
    switch (op->condition) {
    case OP_IF_NONE: return true;
    case OP_IF_ABSENT: return !resolve_work_is_live(work);
    case OP_IF_REV:
        /* What this push changed has no rev yet that its maker could know. */
        return work->exists && !work->doc->changed && op->if_rev > 0 && op->if_rev <= c->push->head &&
               op->if_rev == work->doc->after.rev;
    }
    assert(!"every condition is judged");
    return false;
}

static enum err judge_op(struct resolve_case *c, struct resolve_work *work)
{
    enum policy policy = work->doc->collection->policy;
    struct resolve_edit edit = resolve_edit_of(c->push, c->op);
    if (!belongs(policy, c->op)) {
        bool baseless = policy == POLICY_MANUAL && c->op->kind != OP_APPEND;
        say_why(c->result, "ops[%zu].%s: %s %s in %s", c->op_index, baseless ? "base" : "op", op_name(c->op->kind),
                baseless ? "needs a base" : "does not belong", work->doc->collection->name);
        return reject(c, ERR_INVALID);
    }
    if (!may_write(c, work)) return resolve_reject(c, ERR_FORBIDDEN, work, "this user may not write it");
    if (!condition_holds(c, work)) return resolve_reject(c, ERR_PRECONDITION, work, "is not as `if` asks");
    switch (policy) {
    case POLICY_LWW: return resolve_whole_lww(c, work, &edit);
    case POLICY_MERGE: return resolve_merge(c, work, &edit);
    case POLICY_APPEND: return resolve_whole_append(c, work, &edit);
    case POLICY_MANUAL: return resolve_whole_manual(c, work, &edit);
    }
    assert(!"every policy is judged");
    return ERR_INTERNAL;
}

/* ---- what is left behind ---- */

static enum err finish_body(struct resolve_case *c, struct resolve_work *work, size_t *bodies_bytes)
{
    struct doc *after = &work->doc->after;
    struct resolve_body *body = &work->body;
    char fault[LIMIT_MESSAGE_BYTES_MAX + 1];
    if (after->deleted) return ERR_OK;
    if (body->touched) {
        if (body->count > LIMIT_MEMBERS_MAX) return reject_document(c, ERR_TOO_LARGE, work, "more than 256 members");
        if (resolve_body_bytes(body) > LIMIT_DOCUMENT_BYTES_MAX)
            return reject_document(c, ERR_TOO_LARGE, work, "past 262144 bytes");
        enum err err = resolve_body_text(body, &after->body);
        if (err != ERR_OK) return err;
    }
    assert(after->body.bytes >= 2 && after->body.bytes <= LIMIT_DOCUMENT_BYTES_MAX);
    *bodies_bytes += after->body.bytes;
    if (*bodies_bytes > LIMIT_PUSH_BODIES_BYTES_MAX) {
        say_why(c->result, "ops: a push leaves behind at most %d bytes of bodies", LIMIT_PUSH_BODIES_BYTES_MAX);
        return reject(c, ERR_TOO_LARGE);
    }
    const struct schema *schema = work->doc->collection->schema;
    struct json_value value = {.type = JSON_OBJECT, .raw = after->body};
    if (schema == NULL || schema_fits(schema, value, fault, sizeof fault)) return ERR_OK;
    return reject_document(c, ERR_INVALID, work, fault);
}

static enum err finish_document(struct resolve_case *c, struct resolve_work *work, size_t *bodies_bytes)
{
    const struct resolve_push *push = c->push;
    struct resolve_doc *doc = work->doc;
    struct doc *after = &doc->after;
    if (!doc->changed) return ERR_OK;
    enum err err = finish_body(c, work, bodies_bytes);
    if (err != ERR_OK) return err;
    if (doc->collection->policy == POLICY_MERGE)
        err = resolve_body_stamps(&work->body, &after->fields, &after->fields_count);
    if (err != ERR_OK) return err;
    /* A message keeps its place in the conversation for life; anything else is added again. */
    if (doc->existed && doc->before.deleted && !after->deleted && doc->collection->policy != POLICY_APPEND)
        after->born = push->rev;
    after->rev = push->rev;
    after->time_ms = push->time_ms;
    after->user = push->user;
    return ERR_OK;
}

static void leave_as_it_was(struct resolve_doc *doc)
{
    doc->after = doc->before;
    doc->changed = false;
}

static enum err order_losers(struct resolve_case *c)
{
    struct resolve_result *result = c->result;
    if (c->losers_first == 0) return ERR_OK;
    struct resolve_loser *losers = arena_take(c->arena, result->losers_count * sizeof *losers);
    if (losers == NULL) return ERR_MEMORY;
    for (size_t i = 0; i < result->losers_count; i++)
        losers[i] = result->losers[(c->losers_first + i) % result->losers_count];
    result->losers = losers;
    return ERR_OK;
}

/* What the operations came to, once none was rejected. */
static enum err conclude(struct resolve_case *c)
{
    struct resolve_result *result = c->result;
    bool changed = false;
    for (size_t i = 0; i < result->docs_count; i++) {
        if (result->docs[i].changed) changed = true;
        else leave_as_it_was(&result->docs[i]);
    }
    if (c->conflict) {
        result->status = RESOLVE_CONFLICT;
        result->code = ERR_CONFLICT;
        say_why(result, "%s", err_text(ERR_CONFLICT));
        return ERR_OK;
    }
    result->status = changed ? RESOLVE_CHANGED : c->lost ? RESOLVE_LOST : RESOLVE_UNCHANGED;
    if (result->status == RESOLVE_LOST) result->code = ERR_LOST;
    return order_losers(c);
}

static enum err run(struct resolve_case *c)
{
    struct resolve_result *result = c->result;
    enum err err = ERR_OK;
    for (size_t i = 0; i < c->push->ops_count && err == ERR_OK; i++) {
        c->op = &c->push->ops[i];
        c->op_index = i;
        const struct collection *collection = namespace_collection(c->push->ns, c->op->collection);
        struct resolve_work *work = find_work(c, collection, c->op->id);
        assert(work != NULL);
        err = judge_op(c, work);
        if (err == ERR_TOO_LARGE && result->status != RESOLVE_REJECTED)
            err = resolve_reject(c, err, work, "more fields in one push than a document can have");
    }
    size_t bodies_bytes = 0;
    for (size_t i = 0; i < result->docs_count && err == ERR_OK; i++) err = finish_document(c, &c->works[i], &bodies_bytes);
    return err == ERR_OK ? conclude(c) : err;
}

enum err resolve_push(const struct resolve_push *push, const struct resolve_reader *reader, struct arena *arena,
                      struct resolve_result *ret_result)
{
    struct resolve_result result = {.status = RESOLVE_UNCHANGED};
    struct resolve_case c = {.push = push, .arena = arena, .result = &result};
    assert(push->ops_count <= LIMIT_OPS_MAX);
    enum err err = gather(&c, reader);
    if (err != ERR_OK) return err;
    if (result.status != RESOLVE_REJECTED) err = run(&c);
    if (err != ERR_OK && result.status != RESOLVE_REJECTED) return err;
    if (result.status == RESOLVE_REJECTED || result.status == RESOLVE_CONFLICT) {
        for (size_t i = 0; i < result.docs_count; i++) leave_as_it_was(&result.docs[i]);
        result.losers_count = 0;
        result.losers = NULL;
    }
    *ret_result = result;
    return ERR_OK;
}
