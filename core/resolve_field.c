/* incr, add, remove, max: operations that commute.
 *
 * They take effect on whatever value the log's order has brought, whoever wrote it, and lose only to a put or delete of
 * the whole document that is later than they are; so nobody's part of a counter, set or maximum is lost to another's.
 *
 * INVARIANTS
 * 1. One that leaves the value as it was changes nothing: no rev, no stamp, and nothing comes into being by it.
 * 2. Integers are int64 from text to text: sums saturate, and no double is in between. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/number.h"
#include "core/resolve_parts.h"

enum { INT64_TEXT_BYTES = 21 };

static enum err integer_text(struct resolve_case *c, int64_t value, struct json_value *ret_value)
{
    char *text = arena_take(c->arena, INT64_TEXT_BYTES);
    if (text == NULL) return ERR_MEMORY;
    int bytes = snprintf(text, INT64_TEXT_BYTES, "%" PRId64, value);
    *ret_value = (struct json_value){.type = JSON_NUMBER, .raw = span_of(text, (size_t)bytes)};
    return ERR_OK;
}

/* A put or delete that it did not know is later: what it would have added is kept. */
static enum err lose(struct resolve_case *c, const struct resolve_work *work, const struct resolve_edit *edit)
{
    const struct op *op = c->op;
    struct json_value part = op->kind == OP_MAX ? op->value : op->values;
    enum err err = op->kind == OP_INCR ? integer_text(c, op->by, &part) : ERR_OK;
    if (err != ERR_OK) return err;
    c->lost = true;
    return resolve_edit_lost(c, work, &op->field, part, &edit->stamp);
}

static enum err incr(struct resolve_case *c, struct resolve_work *work, struct resolve_part *part, bool *ret_changed)
{
    const struct op *op = c->op;
    struct json_value text;
    int64_t was = 0, is;
    if (part->value.type != JSON_NONE && (part->value.type != JSON_NUMBER || !number_int64(part->value.raw, &was)))
        return resolve_reject(c, ERR_INVALID, work, "is not an integer of 64 bits");
    if (__builtin_add_overflow(was, op->by, &is)) is = op->by < 0 ? INT64_MIN : INT64_MAX;
    if (op->has_min && is < op->min) is = op->min;
    if (op->has_max && is > op->max) is = op->max;
    if (is == was) return ERR_OK;
    enum err err = integer_text(c, is, &text);
    if (err != ERR_OK) return err;
    resolve_body_place(&work->body, part, op->field_raw);
    resolve_body_set(&work->body, part, text);
    *ret_changed = true;
    return ERR_OK;
}

static enum err maximum(struct resolve_case *c, struct resolve_work *work, struct resolve_part *part, bool *ret_changed)
{
    const struct op *op = c->op;
    enum json_type type = part->value.type;
    if (type != JSON_NONE && type != JSON_NUMBER) return resolve_reject(c, ERR_INVALID, work, "is not a number");
    if (type == JSON_NUMBER && number_compare(op->value.raw, part->value.raw) <= 0) return ERR_OK;
    resolve_body_place(&work->body, part, op->field_raw);
    resolve_body_set(&work->body, part, op->value);
    *ret_changed = true;
    return ERR_OK;
}

static enum err add_or_remove(struct resolve_case *c, struct resolve_work *work, struct resolve_part *part, bool *ret_changed)
{
    const struct op *op = c->op;
    struct resolve_set *set;
    if (part->value.type != JSON_NONE && part->value.type != JSON_ARRAY)
        return resolve_reject(c, ERR_INVALID, work, "is not an array");
    enum err err = resolve_body_as_set(&work->body, part, &set);
    if (err == ERR_OK && op->kind == OP_ADD) err = resolve_set_add(set, op->values, ret_changed);
    else if (err == ERR_OK) err = resolve_set_remove(set, op->values, ret_changed);
    if (err == ERR_TOO_LARGE) return resolve_reject(c, ERR_TOO_LARGE, work, "a set holds at most 1024 values");
    if (err != ERR_OK || !*ret_changed) return err;
    resolve_body_place(&work->body, part, op->field_raw);
    resolve_body_set_changed(&work->body, part);
    return ERR_OK;
}

static enum err apply(struct resolve_case *c, struct resolve_work *work, struct resolve_part *part, bool *ret_changed)
{
    switch (c->op->kind) {
    case OP_INCR: return incr(c, work, part, ret_changed);
    case OP_ADD:
    case OP_REMOVE: return add_or_remove(c, work, part, ret_changed);
    case OP_MAX: return maximum(c, work, part, ret_changed);
    case OP_PUT:
    case OP_PATCH:
    case OP_DELETE:
    case OP_APPEND: break;
    }
    assert(!"an operation on the whole is not one on a field");
    return ERR_INTERNAL;
}

enum err resolve_field(struct resolve_case *c, struct resolve_work *work, const struct resolve_edit *edit)
{
    const struct collection *collection = work->doc->collection;
    struct doc *after = &work->doc->after;
    bool merges = collection->policy == POLICY_MERGE, changed = false;
    struct resolve_part *part;
    if (merges && !resolve_edit_is_later(edit, &after->whole, collection->order)) return lose(c, work, edit);
    enum err err = resolve_body_load(&work->body, c->arena, after);
    if (err == ERR_OK) err = resolve_body_part(&work->body, c->op->field, c->op->field_raw, &part);
    if (err == ERR_OK) err = apply(c, work, part, &changed);
    if (err != ERR_OK || !changed) return err;
    if (merges && work->exists && after->deleted) err = resolve_merge_revive(c, work, edit);
    if (err != ERR_OK) return err;
    resolve_change(c, work);
    after->deleted = false;
    if (merges) resolve_edit_fold(edit, work, part);
    else after->whole = edit->stamp;
    return ERR_OK;
}
