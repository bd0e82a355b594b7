/* Bodies sealed as they are written, and opened once their key is there. What comes is opened by the heart (client/sync_copy.c).
 *
 * A sealed body is written as a whole: `put` and `append` take theirs, a `patch` becomes the `put` of what it leaves of the document as
 * it is shown. So of two devices that patch one document the later wins as a whole, as `lww` says of any edit. */
#include <stdio.h>

#include "client/tide_parts.h"
#include "core/name.h"

enum { PATCHED_BYTES_MAX = 2 * LIMIT_DOCUMENT_BYTES_MAX };

/* ---- keys ---- */

static void chars(char *ret_text, size_t room, struct span span) { snprintf(ret_text, room, "%.*s", (int)span.bytes, span.at == NULL ? "" : span.at); }

static enum seal_answer ask_key(void *ctx, struct span space, struct span collection, struct span id, struct seal_key *ret_key)
{
    struct tide *tide = ctx;
    char space_name[LIMIT_SPACE_BYTES_MAX + 1], collection_name[LIMIT_COLLECTION_BYTES_MAX + 1], key_id[ENVELOPE_KEY_BYTES_MAX + 1];
    struct tide_key key = {.id = ""};
    chars(space_name, sizeof space_name, space);
    chars(collection_name, sizeof collection_name, collection);
    chars(key_id, sizeof key_id, id);
    enum tide_key_answer answer = tide->options.on_key(tide->options.ctx, space_name, collection_name, id.bytes == 0 ? NULL : key_id, &key);
    key.id[sizeof key.id - 1] = '\0';
    memcpy(ret_key->id, key.id, sizeof ret_key->id);
    memcpy(ret_key->bytes, key.bytes, sizeof ret_key->bytes);
    explicit_bzero(&key, sizeof key);
    return answer == TIDE_KEY_HERE ? SEAL_ANSWER_HERE : answer == TIDE_KEY_MISSING ? SEAL_ANSWER_MISSING : SEAL_ANSWER_PLAIN;
}

void tide_seal_set_up(struct tide *tide)
{
    tide->view.seal = (struct seal){tide, tide->options.on_key == NULL ? NULL : ask_key, tide_random};
}

static bool is_to_be_sealed(struct tide *tide, struct span space, struct span collection)
{
    enum seal_answer answer;
    struct seal_key key;
    (void)seal_wants(&tide->view.seal, space, collection, &answer, &key); /* also with a key that cannot be one */
    seal_wipe(&key);
    return answer != SEAL_ANSWER_PLAIN;
}

void tide_seal_begin(struct tide *tide) { tide->said_count = 0; }

/* A query over what is in the clear would have a key handed out for each of its documents. */
static bool is_said_to_be_sealed(struct tide *tide, struct span space, struct span collection)
{
    if (tide->view.seal.key == NULL) return false;
    for (size_t i = 0; i < tide->said_count && i < TIDE_SAID_MAX; i++)
        if (span_is(collection, tide->said[i].collection) && span_is(space, tide->said[i].space)) return tide->said[i].sealed;
    struct tide_said *said = &tide->said[tide->said_count++ % TIDE_SAID_MAX];
    chars(said->space, sizeof said->space, space);
    chars(said->collection, sizeof said->collection, collection);
    return said->sealed = is_to_be_sealed(tide, space, collection);
}

enum tide_seal tide_seal_shown(struct tide *tide, struct span space, const struct store_doc *doc)
{
    enum tide_seal seal = (enum tide_seal)doc->seal;
    /* What came in the clear to a handle without keys was not judged then. */
    if (seal == TIDE_SEAL_NONE && doc->body.at != NULL && is_said_to_be_sealed(tide, space, doc->collection)) seal = TIDE_SEAL_BARE;
    /* One's own edit on top of it is open, whatever is below. */
    if (seal != TIDE_SEAL_NONE && doc->pending > 0 && !span_equal(doc->body, doc->server)) return TIDE_SEAL_OPEN;
    return seal;
}

bool tide_seal_is_readable(struct tide *tide, struct span space, const struct store_doc *doc)
{
    return doc->seal == SEAL_OPENED || (doc->seal == SEAL_NONE && !is_to_be_sealed(tide, space, doc->collection));
}

/* ---- writing ---- */

struct span tide_seal_patched(struct arena *arena, struct span body, struct json_value patch)
{
    struct json_value old = {body.at == NULL ? JSON_NONE : JSON_OBJECT, body};
    struct json_member member;
    struct buf out;
    bool first = true;
    buf_init(&out, PATCHED_BYTES_MAX);
    buf_add_char(&out, '{');
    for (int pass = 0; pass < 2; pass++) { /* what stays, then what the patch says */
        struct json_iter iter = json_members(pass == 0 ? old : patch);
        while (json_next_member(&iter, &member)) {
            struct json_iter others = json_members(patch);
            struct json_member other;
            bool named = false;
            while (pass == 0 && !named && json_next_member(&others, &other)) named = json_key_equal(other.key, member.key);
            if (named || (pass == 1 && member.value.type == JSON_NULL)) continue;
            buf_add_text(&out, first ? "\"" : ",\"");
            first = false;
            buf_add_span(&out, member.key);
            buf_add_text(&out, "\":");
            buf_add_span(&out, member.value.raw);
        }
    }
    buf_add_char(&out, '}');
    struct span made = buf_ok(&out) ? arena_copy(arena, buf_span(&out)) : span_of(NULL, 0);
    buf_fini(&out);
    return made;
}

/* A document in the course of the push's operations. */
struct standing {
    struct span body; /* at NULL: there is none */
    enum tide_seal seal;
};

static struct standing stands(struct tide *tide, const struct store_space *space, const struct tide_written *written, const struct standing *left, size_t at)
{
    struct store_doc doc;
    const struct op *op = &written->ops[at];
    for (size_t i = at; i > 0; i--)
        if (span_equal(written->ops[i - 1].id, op->id) && span_equal(written->ops[i - 1].collection, op->collection)) return left[i - 1];
    if (!store_doc_find(tide->store, &tide->arena, space->id, op->collection, op->id, &doc)) return (struct standing){{NULL, 0}, TIDE_SEAL_NONE};
    return (struct standing){doc.body, tide_seal_shown(tide, span_text(space->name), &doc)};
}

/* What the operation leaves, if it may be done at all. */
static enum tide_code apply(struct tide *tide, const struct store_space *space, const struct op *op, struct standing before, struct standing *ret_after)
{
    enum policy policy;
    char collection[LIMIT_COLLECTION_BYTES_MAX + 1], id[LIMIT_ID_BYTES_MAX + 1];
    chars(collection, sizeof collection, op->collection);
    chars(id, sizeof id, op->id);
    if (!view_policy(&tide->view, span_text(space->name), op->collection, &policy))
        return tide_fail(tide, TIDE_INVALID, "%s is to be encrypted, and its policy is not known: hand its namespace over (options.namespaces)", collection);
    if (policy == POLICY_MERGE)
        return tide_fail(tide, TIDE_INVALID, "%s is to be encrypted, and its policy is `merge`: the server merges field by field, which it must read", collection);
    *ret_after = (struct standing){{NULL, 0}, TIDE_SEAL_NONE};
    if (op->kind == OP_DELETE) return TIDE_OK;
    if (op->kind != OP_PUT && op->kind != OP_APPEND && op->kind != OP_PATCH)
        return tide_fail(tide, TIDE_INVALID, "%s is encrypted: `%s` changes a field, which only the server could do", collection, op_name(op->kind));
    if (before.body.at != NULL && (before.seal == TIDE_SEAL_LOCKED || before.seal == TIDE_SEAL_BROKEN || (before.seal == TIDE_SEAL_BARE && op->kind == OP_PATCH)))
        return tide_fail(tide, TIDE_KEY, "%s/%.80s is %s: it is not written over. Delete it first, if it is not wanted", collection, id,
                         before.seal == TIDE_SEAL_LOCKED ? "locked" : before.seal == TIDE_SEAL_BROKEN ? "sealed, and does not open" : "in the clear");
    ret_after->seal = TIDE_SEAL_OPEN;
    ret_after->body = op->kind == OP_PATCH ? tide_seal_patched(&tide->arena, before.body, op->body) : op->body.raw;
    return ret_after->body.at == NULL ? tide_fail_err(tide, ERR_MEMORY) : TIDE_OK;
}

/* The operation with another body, and as a `put` where it was a patch. */
static void add_op(struct buf *out, struct json_value op, struct span body)
{
    struct json_iter iter = json_members(op);
    struct json_member member;
    bool first = true;
    while (json_next_member(&iter, &member)) {
        buf_add_text(out, first ? "{\"" : ",\"");
        first = false;
        buf_add_span(out, member.key);
        buf_add_text(out, "\":");
        if (json_key_is(member.key, "op") && json_string_is(member.value, "patch")) buf_add_text(out, "\"put\"");
        else if (json_key_is(member.key, "body")) buf_add_span(out, body);
        else buf_add_span(out, member.value.raw);
    }
    buf_add_char(out, '}');
}

/* By an app that says its collection is not encrypted, over what is: one of the two is wrong, and it would go out in the clear. */
static enum tide_code refuse_clear(struct tide *tide, const struct store_space *space, const struct op *op, struct standing before)
{
    bool closed = before.body.at != NULL && before.seal != TIDE_SEAL_BARE && store_doc_is_sealed(tide->store, space->id, op->collection, op->id, false);
    return !closed ? TIDE_OK
                   : tide_fail(tide, TIDE_KEY, "%.*s/%.*s is encrypted, and options.on_key says that its collection is not. Delete it first, if it is not wanted",
                               (int)op->collection.bytes, op->collection.at, (int)(op->id.bytes < 80 ? op->id.bytes : 80), op->id.at);
}

/* One operation: as it is in the clear, and as it is sent. */
static enum tide_code seal_op(struct tide *tide, const struct store_space *space, const struct op *op, struct json_value raw, struct standing before, struct tide_written *made,
                              struct standing *ret_after, bool *any)
{
    struct seal_place place = {span_text(space->name), op->collection, op->id};
    struct seal_key key;
    enum seal_answer answer;
    struct buf envelope;
    enum tide_code code = TIDE_OK;
    enum err err = seal_wants(&tide->view.seal, place.space, place.collection, &answer, &key);
    buf_init(&envelope, LIMIT_DOCUMENT_BYTES_MAX);
    if (op->kind == OP_DELETE && answer == SEAL_ANSWER_MISSING) answer = SEAL_ANSWER_PLAIN; /* it says nothing */
    if (err != ERR_OK || answer == SEAL_ANSWER_MISSING) code = tide_fail(tide, TIDE_KEY, "there is no key to write %.*s with", (int)op->collection.bytes, op->collection.at);
    if (code == TIDE_OK && answer == SEAL_ANSWER_PLAIN && op->kind != OP_DELETE) code = refuse_clear(tide, space, op, before);
    if (code == TIDE_OK && answer == SEAL_ANSWER_HERE) code = apply(tide, space, op, before, ret_after);
    if (code == TIDE_OK && answer == SEAL_ANSWER_HERE && ret_after->body.at != NULL) {
        err = seal_close(&tide->view.seal, &key, &place, ret_after->body, &envelope);
        if (err == ERR_TOO_LARGE) code = tide_fail(tide, TIDE_TOO_LARGE, "sealed, the document is past %d bytes", LIMIT_DOCUMENT_BYTES_MAX);
        else if (err != ERR_OK) code = tide_fail_err(tide, err);
        add_op(&made->text, raw, ret_after->body);
        add_op(&made->sealed, raw, buf_span(&envelope));
        *any = true;
    } else {
        buf_add_span(&made->text, raw.raw);
        buf_add_span(&made->sealed, raw.raw);
    }
    seal_wipe(&key);
    buf_fini(&envelope);
    return code;
}

/* By a handle without keys, over what a handle with them wrote: it would go out in the clear. Deleting says nothing. */
static enum tide_code refuse_bare(struct tide *tide, const struct store_space *space, const struct tide_written *written)
{
    for (size_t i = 0; i < written->count; i++) {
        const struct op *op = &written->ops[i];
        if (op->kind == OP_DELETE || !store_doc_is_sealed(tide->store, space->id, op->collection, op->id, true)) continue;
        return tide_fail(tide, TIDE_KEY, "%.*s/%.*s is encrypted: open the store with options.on_key to write it", (int)op->collection.bytes, op->collection.at,
                         (int)(op->id.bytes < 80 ? op->id.bytes : 80), op->id.at);
    }
    return TIDE_OK;
}

static bool only_deletes(const struct tide_written *written)
{
    size_t i = 0;
    while (i < written->count && written->ops[i].kind == OP_DELETE) i++;
    return i == written->count;
}

enum tide_code tide_seal_ops(struct tide *tide, struct store_space *space, struct tide_written *written, bool was_sealed)
{
    struct tide_written made = {.count = 0};
    struct json_value array, raw;
    char why[LIMIT_MESSAGE_BYTES_MAX + 1] = "";
    bool any = false;
    enum tide_code code = TIDE_OK;
    if (written->count == 0) return TIDE_OK;
    if (tide->view.seal.key == NULL) return refuse_bare(tide, space, written);
    tide_seal_begin(tide);
    struct standing *left = arena_take(&tide->arena, written->count * sizeof *left);
    for (size_t i = 0; left != NULL && i < written->count; i++) left[i] = (struct standing){{NULL, 0}, TIDE_SEAL_NONE};
    if (left == NULL || !json_check(buf_span(&written->text), &array, NULL)) return tide_fail_err(tide, ERR_MEMORY);
    buf_init(&made.text, written->text.max);
    buf_init(&made.sealed, written->text.max);
    struct json_iter iter = json_elements(array);
    for (size_t i = 0; i < written->count && code == TIDE_OK && json_next_element(&iter, &raw); i++) {
        buf_add_char(&made.text, i == 0 ? '[' : ',');
        buf_add_char(&made.sealed, i == 0 ? '[' : ',');
        code = seal_op(tide, space, &written->ops[i], raw, stands(tide, space, written, left, i), &made, &left[i], &any);
    }
    if (code == TIDE_OK && was_sealed && !any && !only_deletes(written)) code = tide_fail(tide, TIDE_KEY, "it was encrypted, and options.on_key says that its collection is not");
    buf_add_char(&made.text, ']');
    buf_add_char(&made.sealed, ']');
    if (code == TIDE_OK && any && (!buf_ok(&made.text) || !buf_ok(&made.sealed))) code = tide_fail(tide, TIDE_TOO_LARGE, "a push of more than %zu bytes", written->text.max);
    if (code == TIDE_OK && any) {
        struct op *ops = written->ops;
        enum err err = json_check(buf_span(&made.text), &array, NULL) ? op_decode_all(array, &tide->arena, &made.ops, &made.count, why, sizeof why) : ERR_INTERNAL;
        if (err != ERR_OK || made.count != written->count) code = tide_fail(tide, tide_code_of(err), "%s", why[0] != '\0' ? why : err_text(err));
        for (size_t i = 0; code == TIDE_OK && i < made.count; i++) {
            made.ops[i].has_base = ops[i].has_base;
            made.ops[i].base = ops[i].base;
        }
    }
    if (code == TIDE_OK && any) {
        struct tide_written before = *written;
        *written = made;
        made = before;
    }
    buf_fini(&made.text);
    buf_fini(&made.sealed);
    return code;
}

/* ---- opening ---- */

/* Is there a hope for documents of that group? One question for all of them. */
static bool may_open(struct tide *tide, const struct store_closed *group, const char *space)
{
    struct seal_key key = {.id = ""};
    enum seal_answer answer = ask_key(tide, span_text(space), span_text(group->collection), span_text(group->key), &key);
    seal_wipe(&key);
    if (group->seal == (int)SEAL_BARE) return answer == SEAL_ANSWER_PLAIN;
    if (group->seal == (int)SEAL_LOCKED) return answer == SEAL_ANSWER_HERE;
    return answer != SEAL_ANSWER_MISSING;
}

static void open_group(struct tide *tide, struct arena *arena, const struct store_closed *group, const char *space, int64_t now_ms)
{
    struct store_doc doc;
    struct span sealed;
    int64_t past = 0;
    for (; store_closed_doc(tide->store, arena, group, past, &doc, &sealed); arena_reset(arena)) {
        struct seal_place place = {span_text(space), doc.collection, doc.id};
        struct span body = sealed;
        past = doc.doc;
        enum seal_state state = seal_open(&tide->view.seal, &place, sealed, arena, &body);
        if ((int)state != doc.seal) store_doc_unseal(tide->store, &doc, (int)state, body, now_ms);
    }
}

enum tide_code tide_open_closed(struct tide *tide, bool broken_too)
{
    struct store_closed group = {.seal = 0};
    struct arena arena;
    int64_t now_ms = tide_now(tide).wall_ms;
    enum err err = ERR_OK;
    bool found = true;
    if (tide->view.seal.key == NULL) return TIDE_OK;
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    while ((err = store_closed_next(tide->store, &group, &found)) == ERR_OK && found) {
        if (group.seal == (int)SEAL_BROKEN && !broken_too) continue;
        struct store_space space = store_space_get(tide->store, group.space);
        if (!may_open(tide, &group, space.name)) continue;
        if (!store_is_open(tide->store) && (err = store_begin(tide->store, true)) != ERR_OK) break;
        open_group(tide, &arena, &group, space.name, now_ms);
    }
    arena_fini(&arena);
    if (err != ERR_OK && store_is_open(tide->store)) store_rollback(tide->store);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    if (!store_is_open(tide->store)) return TIDE_OK;
    view_settle(&tide->view, tide->store, now_ms);
    err = store_commit(tide->store);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    struct store_moment now = tide_now(tide);
    sync_wrote(tide->sync, &now);
    tide_step(tide);
    return TIDE_OK;
}

enum tide_code tide_open_sealed(struct tide *tide) { return tide_open_closed(tide, true); }
