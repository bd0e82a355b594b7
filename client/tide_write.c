/* Writing: operations become a push, shown and queued in one durable transaction. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "client/tide_parts.h"
#include "core/frame.h"
#include "core/name.h"
#include "core/op.h"

enum { OPS_BYTES_MAX = LIMIT_FRAME_BYTES_MAX - 131072 /* ages and the frame around them are added later */, MADE_ID_BYTES = 20 };

/* The operation without `age` and `base`, which are told apart, and without line ends, which part frames. */
static void add_op(struct buf *out, struct json_value op, int64_t *ret_base)
{
    struct json_iter iter = json_members(op);
    struct json_member member;
    bool first = true;
    size_t from = out->bytes;
    *ret_base = -1;
    buf_add_char(out, '{');
    while (json_next_member(&iter, &member)) {
        if (json_key_is(member.key, "age")) continue;
        if (json_key_is(member.key, "base") && json_integer(member.value, ret_base)) continue;
        if (!first) buf_add_char(out, ',');
        first = false;
        buf_add_char(out, '"');
        buf_add_span(out, member.key);
        buf_add_text(out, "\":");
        buf_add_span(out, member.value.raw);
    }
    buf_add_char(out, '}');
    for (size_t i = from; buf_ok(out) && i < out->bytes; i++)
        if (out->at[i] == '\n' || out->at[i] == '\r') out->at[i] = ' ';
}

/* Which argument is no JSON, and where. `depth_max`: how deep it may be nested. */
static enum tide_code check_json(struct tide *tide, const char *argument, const char *text, size_t bytes, unsigned depth_max, struct json_value *ret_value)
{
    size_t at = 0;
    if (text == NULL) return tide_fail(tide, TIDE_INVALID, "%s is needed", argument);
    if (json_check_depth(span_of(text, bytes), depth_max, ret_value, &at)) return TIDE_OK;
    if (at >= bytes) return tide_fail(tide, TIDE_INVALID, "%s: not JSON: it ends too soon", argument);
    return tide_fail(tide, TIDE_INVALID, "%s: not JSON from byte %zu on (or nested deeper than %u)", argument, at + 1, depth_max);
}

static enum tide_code take_ops(struct tide *tide, struct span text, struct tide_written *written)
{
    struct json_value array, op;
    size_t at = 0, given = 0;
    char why[LIMIT_MESSAGE_BYTES_MAX + 1];
    enum tide_code code = check_json(tide, "ops", text.at, text.bytes, LIMIT_NESTING_MAX - 1, &array);
    if (code != TIDE_OK) return code;
    if (array.type != JSON_ARRAY) return tide_fail(tide, TIDE_INVALID, "ops: must be an array of operations");
    if (frame_repeats_key(array)) return tide_fail(tide, TIDE_INVALID, "a member of an operation is repeated");
    int64_t *bases = arena_take(&tide->arena, (json_count(array) + 1) * sizeof *bases);
    if (bases == NULL) return tide_fail_err(tide, ERR_MEMORY);
    struct json_iter iter = json_elements(array);
    buf_add_char(&written->text, '[');
    while (json_next_element(&iter, &op)) {
        if (op.type != JSON_OBJECT) return tide_fail(tide, TIDE_INVALID, "ops[%zu]: not an object", given);
        if (given > 0) buf_add_char(&written->text, ',');
        add_op(&written->text, op, &bases[given++]);
    }
    buf_add_char(&written->text, ']');
    if (!buf_ok(&written->text)) return tide_fail(tide, TIDE_TOO_LARGE, "a push of more than %d bytes", OPS_BYTES_MAX);
    if (!json_check(buf_span(&written->text), &array, NULL)) return tide_fail_err(tide, ERR_INTERNAL);
    enum err err = op_decode_all(array, &tide->arena, &written->ops, &written->count, why, sizeof why);
    if (err != ERR_OK) return tide_fail(tide, tide_code_of(err), "%s", err == ERR_MEMORY ? err_text(err) : why);
    for (at = 0; at < written->count; at++) {
        written->ops[at].has_base = bases[at] >= 0;
        written->ops[at].base = bases[at] >= 0 ? (uint64_t)bases[at] : 0;
    }
    return TIDE_OK;
}

static enum tide_code add_push(struct tide *tide, struct span space_name, struct tide_written *written, int64_t settles, uint64_t *ret_id)
{
    char why[LIMIT_MESSAGE_BYTES_MAX + 1] = "";
    struct store_moment now = tide_now(tide);
    enum err err = store_begin(tide->store, true);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    struct store_self *self = store_self(tide->store);
    struct store_space space = store_space_make(tide->store, space_name);
    struct store_push push = {.id = self->next_push++, .space = space.id, .made = now};
    bool was_sealed = settles != 0 && store_refused_is_sealed(tide->store, settles), settled = settles == 0 || store_refused_remove(tide->store, settles);
    enum tide_code code = settled ? tide_seal_ops(tide, &space, written, was_sealed) : TIDE_OK;
    if (code != TIDE_OK) {
        store_rollback(tide->store);
        return code;
    }
    push.ops = buf_span(written->sealed.bytes > 0 ? &written->sealed : &written->text);
    push.plain = written->sealed.bytes > 0 ? buf_span(&written->text) : span_of(NULL, 0);
    if (settled) err = view_add(&tide->view, tide->store, &space, &push, written->ops, written->count, why, sizeof why);
    if (!settled || err != ERR_OK) {
        store_rollback(tide->store);
        if (!settled) return tide_fail(tide, TIDE_NOT_FOUND, "no refusal has that id");
        return tide_fail(tide, tide_code_of(err), "%s", why[0] != '\0' ? why : err_text(err));
    }
    sync_claim(tide->sync, &space, push.id, &now);
    store_space_put(tide->store, &space);
    err = store_commit(tide->store);
    if (err != ERR_OK) return tide_fail_err(tide, err);
    sync_wrote(tide->sync, &now);
    *ret_id = push.id;
    return TIDE_OK;
}

enum tide_code tide_write_ops(struct tide *tide, const char *space, struct span ops, int64_t settles, uint64_t *ret_push)
{
    struct tide_written written = {.count = 0};
    uint64_t id = 0;
    if (space == NULL || !name_is_space(span_text(space))) return tide_fail(tide, TIDE_INVALID, "'%.80s' is not the name of a space", space == NULL ? "" : space);
    arena_reset(&tide->arena);
    buf_init(&written.text, OPS_BYTES_MAX);
    buf_init(&written.sealed, OPS_BYTES_MAX);
    enum tide_code code = take_ops(tide, ops, &written);
    if (code == TIDE_OK) code = add_push(tide, span_text(space), &written, settles, &id);
    buf_fini(&written.text);
    buf_fini(&written.sealed);
    if (code == TIDE_OK && ret_push != NULL) *ret_push = id;
    if (code == TIDE_OK) tide_step(tide);
    return code;
}

enum tide_code tide_push(struct tide *tide, const char *space, const char *ops, uint64_t *ret_push)
{
    return ops == NULL ? tide_fail(tide, TIDE_INVALID, "ops is needed") : tide_write_ops(tide, space, span_text(ops), 0, ret_push);
}

/* ---- one operation ---- */

static void begin_op(struct buf *ops, const char *kind, const char *collection, const char *id)
{
    buf_init(ops, OPS_BYTES_MAX);
    buf_add_text(ops, "[{\"op\":\"");
    buf_add_text(ops, kind);
    buf_add_text(ops, "\",\"collection\":");
    buf_add_json_string(ops, span_text(collection == NULL ? "" : collection));
    buf_add_text(ops, ",\"id\":");
    buf_add_json_string(ops, span_text(id == NULL ? "" : id));
}

/* A value that must be one whole JSON value, so that nothing can be slipped in beside it. */
static enum tide_code add_value(struct tide *tide, struct buf *ops, const char *key, const char *value)
{
    struct json_value whole;
    enum tide_code code = check_json(tide, key, value, value == NULL ? 0 : strlen(value), LIMIT_NESTING_MAX - 3, &whole);
    if (code != TIDE_OK) return code;
    buf_add_text(ops, ",\"");
    buf_add_text(ops, key);
    buf_add_text(ops, "\":");
    buf_add_span(ops, whole.raw);
    return TIDE_OK;
}

static enum tide_code end_op(struct tide *tide, enum tide_code code, const char *space, struct buf *ops, uint64_t *ret_push)
{
    buf_add_text(ops, "}]");
    if (code == TIDE_OK && !buf_ok(ops)) code = tide_fail(tide, TIDE_TOO_LARGE, "a push of more than %d bytes", OPS_BYTES_MAX);
    if (code == TIDE_OK) code = tide_write_ops(tide, space, buf_span(ops), 0, ret_push);
    buf_fini(ops);
    return code;
}

static enum tide_code with_body(struct tide *tide, const char *kind, const char *space, const char *collection, const char *id, const char *body, uint64_t *ret_push)
{
    struct buf ops;
    begin_op(&ops, kind, collection, id);
    return end_op(tide, add_value(tide, &ops, "body", body), space, &ops, ret_push);
}

enum tide_code tide_put(struct tide *tide, const char *space, const char *collection, const char *id, const char *body, uint64_t *ret_push)
{
    return with_body(tide, "put", space, collection, id, body, ret_push);
}

enum tide_code tide_patch(struct tide *tide, const char *space, const char *collection, const char *id, const char *body, uint64_t *ret_push)
{
    return with_body(tide, "patch", space, collection, id, body, ret_push);
}

enum tide_code tide_append(struct tide *tide, const char *space, const char *collection, const char *id, const char *body, uint64_t *ret_push)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[MADE_ID_BYTES];
    char made[MADE_ID_BYTES + 1];
    if (id != NULL) return with_body(tide, "append", space, collection, id, body, ret_push);
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return tide_fail(tide, TIDE_IO, "no randomness to be had");
    for (size_t i = 0; i < sizeof bytes; i++) made[i] = letters[bytes[i] & 63];
    made[MADE_ID_BYTES] = '\0';
    return with_body(tide, "append", space, collection, made, body, ret_push);
}

enum tide_code tide_delete(struct tide *tide, const char *space, const char *collection, const char *id, uint64_t *ret_push)
{
    struct buf ops;
    begin_op(&ops, "delete", collection, id);
    return end_op(tide, TIDE_OK, space, &ops, ret_push);
}

static void add_field(struct buf *ops, const char *field)
{
    buf_add_text(ops, ",\"field\":");
    buf_add_json_string(ops, span_text(field == NULL ? "" : field));
}

enum tide_code tide_incr(struct tide *tide, const char *space, const char *collection, const char *id, const char *field, int64_t by, const int64_t *least,
                         const int64_t *most, uint64_t *ret_push)
{
    struct buf ops;
    begin_op(&ops, "incr", collection, id);
    add_field(&ops, field);
    buf_add_text(&ops, ",\"by\":");
    buf_add_i64(&ops, by);
    if (least != NULL) buf_add_text(&ops, ",\"min\":");
    if (least != NULL) buf_add_i64(&ops, *least);
    if (most != NULL) buf_add_text(&ops, ",\"max\":");
    if (most != NULL) buf_add_i64(&ops, *most);
    return end_op(tide, TIDE_OK, space, &ops, ret_push);
}

static enum tide_code with_field(struct tide *tide, const char *kind, const char *space, const char *collection, const char *id, const char *field,
                                 const char *key, const char *value, uint64_t *ret_push)
{
    struct buf ops;
    begin_op(&ops, kind, collection, id);
    add_field(&ops, field);
    return end_op(tide, add_value(tide, &ops, key, value), space, &ops, ret_push);
}

enum tide_code tide_add(struct tide *tide, const char *space, const char *collection, const char *id, const char *field, const char *values, uint64_t *ret_push)
{
    return with_field(tide, "add", space, collection, id, field, "values", values, ret_push);
}

enum tide_code tide_remove(struct tide *tide, const char *space, const char *collection, const char *id, const char *field, const char *values, uint64_t *ret_push)
{
    return with_field(tide, "remove", space, collection, id, field, "values", values, ret_push);
}

enum tide_code tide_max(struct tide *tide, const char *space, const char *collection, const char *id, const char *field, const char *value, uint64_t *ret_push)
{
    return with_field(tide, "max", space, collection, id, field, "value", value, ret_push);
}
