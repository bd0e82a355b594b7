/* Operations, from raw JSON to struct op; their digest.
 *
 * INVARIANTS
 * 1. An operation's members are found in one pass over it, and decoding and digest use the same finding: two pushes of
 *    one digest decode to the same operations, but for ages and bases.
 * 2. Members that an operation does not use are not looked at; the digest takes every known one, used or not.
 * 3. What is asked first decides what is answered: sizes before shapes, so that nothing oversized is walked. */
#include "core/op.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "core/name.h"
#include "core/number.h"

/* The known members, in the order in which the digest takes them. */
enum member {
    MEMBER_OP, MEMBER_COLLECTION, MEMBER_ID, MEMBER_FIELD, MEMBER_BODY, MEMBER_BY, MEMBER_MIN, MEMBER_MAX, MEMBER_VALUE,
    MEMBER_VALUES, MEMBER_IF, MEMBER_AGE, MEMBER_BASE, MEMBERS
};
static const char *const member_names[MEMBERS] = {"op", "collection", "id", "field", "body", "by", "min", "max", "value",
                                                  "values", "if", "age", "base"};
static const char *const kind_names[] = {[OP_PUT] = "put", [OP_PATCH] = "patch", [OP_DELETE] = "delete",
                                         [OP_APPEND] = "append", [OP_INCR] = "incr", [OP_ADD] = "add",
                                         [OP_REMOVE] = "remove", [OP_MAX] = "max"};
enum { KINDS = sizeof kind_names / sizeof *kind_names };

struct members {
    struct json_value value[MEMBERS]; /* the first of each name */
    bool repeated;
};

/* One operation on its way, and where what is wrong with it is told. */
struct decoding {
    size_t index;
    struct members members;
    struct arena *arena;
    char *why;
    size_t why_bytes;
};

const char *op_name(enum op_kind kind) { return kind_names[kind]; }

static void find_members(struct json_value object, struct members *ret_members)
{
    struct json_iter iter = json_members(object);
    struct json_member member;
    memset(ret_members, 0, sizeof *ret_members);
    while (json_next_member(&iter, &member)) {
        for (size_t i = 0; i < MEMBERS; i++) {
            if (!json_key_is(member.key, member_names[i])) continue;
            if (ret_members->value[i].type != JSON_NONE) ret_members->repeated = true;
            else ret_members->value[i] = member.value;
            break;
        }
    }
}

static enum err wrong(const struct decoding *d, enum err err, enum member member, const char *what)
{
    snprintf(d->why, d->why_bytes, "ops[%zu].%s: %s", d->index, member_names[member], what);
    return err;
}

static enum err decode_text(const struct decoding *d, enum member member, struct span *ret_text)
{
    struct json_value value = d->members.value[member];
    if (value.type != JSON_STRING) return wrong(d, ERR_INVALID, member, "must be a string");
    struct span raw = json_inside(value);
    char *text = arena_take(d->arena, raw.bytes + 1);
    if (text == NULL) return ERR_MEMORY;
    size_t bytes = json_decode(raw, text, raw.bytes);
    assert(bytes <= raw.bytes);
    *ret_text = span_of(text, bytes);
    return ERR_OK;
}

static enum err decode_kind(const struct decoding *d, enum op_kind *ret_kind)
{
    struct json_value value = d->members.value[MEMBER_OP];
    if (value.type != JSON_STRING) return wrong(d, ERR_INVALID, MEMBER_OP, "must be a string");
    for (size_t i = 0; i < KINDS; i++) {
        if (!json_string_is(value, kind_names[i])) continue;
        *ret_kind = (enum op_kind)i;
        return ERR_OK;
    }
    return wrong(d, ERR_INVALID, MEMBER_OP, "no such operation");
}

static enum err decode_names(const struct decoding *d, struct op *op)
{
    enum err err = decode_text(d, MEMBER_COLLECTION, &op->collection);
    if (err != ERR_OK) return err;
    if (!name_is_collection(op->collection)) return wrong(d, ERR_INVALID, MEMBER_COLLECTION, "not a collection's name");
    err = decode_text(d, MEMBER_ID, &op->id);
    if (err != ERR_OK) return err;
    if (!name_is_id(op->id)) return wrong(d, ERR_INVALID, MEMBER_ID, "must be 1 to 128 bytes without control characters");
    return ERR_OK;
}

/* A rev of the wire: 0 up to 2^53. */
static bool is_rev(struct json_value value, uint64_t *ret_rev)
{
    int64_t integer;
    if (!json_integer(value, &integer) || integer < 0) return false;
    *ret_rev = (uint64_t)integer;
    return true;
}

static enum err decode_circumstances(const struct decoding *d, struct op *op)
{
    struct json_value condition = d->members.value[MEMBER_IF];
    struct json_value base = d->members.value[MEMBER_BASE];
    struct json_value age = d->members.value[MEMBER_AGE];
    if (condition.type != JSON_NONE) {
        op->condition = json_string_is(condition, "absent") ? OP_IF_ABSENT : OP_IF_REV;
        if (op->condition == OP_IF_REV && !is_rev(condition, &op->if_rev))
            return wrong(d, ERR_INVALID, MEMBER_IF, "must be \"absent\" or a rev");
    }
    op->has_base = base.type != JSON_NONE;
    if (op->has_base && !is_rev(base, &op->base)) return wrong(d, ERR_INVALID, MEMBER_BASE, "must be a rev");
    op->age_unknown = age.type == JSON_NULL;
    if (age.type != JSON_NONE && !op->age_unknown) {
        if (!json_integer(age, &op->age_ms)) return wrong(d, ERR_INVALID, MEMBER_AGE, "must be an integer or null");
        if (op->age_ms < 0) op->age_ms = 0; /* nobody edits in the future */
    }
    return ERR_OK;
}

static int order_spans(const void *a, const void *b) { return span_compare(*(const struct span *)a, *(const struct span *)b); }

/* The names of a body's members, each short enough, no two of them one. Sorted, since a body is as large as its sender
 * likes: comparing each with each would walk it 256 times. */
static enum err check_names(const struct decoding *d, struct json_value body, size_t count)
{
    struct span names[LIMIT_MEMBERS_MAX];
    struct json_iter iter = json_members(body);
    struct json_member member;
    assert(count <= LIMIT_MEMBERS_MAX);
    for (size_t i = 0; json_next_member(&iter, &member); i++) {
        names[i] = member.key;
        if (member.key.bytes > 0 && memchr(member.key.at, '\\', member.key.bytes) != NULL) {
            char *name = arena_take(d->arena, member.key.bytes);
            if (name == NULL) return ERR_MEMORY;
            names[i] = span_of(name, json_decode(member.key, name, member.key.bytes));
        }
        if (names[i].bytes > LIMIT_FIELD_BYTES_MAX)
            return wrong(d, ERR_TOO_LARGE, MEMBER_BODY, "a member's name is past 1024 bytes");
    }
    qsort(names, count, sizeof *names, order_spans);
    for (size_t i = 1; i < count; i++)
        if (span_equal(names[i - 1], names[i])) return wrong(d, ERR_INVALID, MEMBER_BODY, "a member is named twice");
    return ERR_OK;
}

static enum err decode_body(const struct decoding *d, struct op *op)
{
    struct json_value body = d->members.value[MEMBER_BODY];
    if (body.type != JSON_OBJECT) return wrong(d, ERR_INVALID, MEMBER_BODY, "must be an object");
    if (body.raw.bytes > LIMIT_DOCUMENT_BYTES_MAX) return wrong(d, ERR_TOO_LARGE, MEMBER_BODY, "past 262144 bytes");
    size_t count = json_count(body);
    if (count > LIMIT_MEMBERS_MAX) return wrong(d, ERR_TOO_LARGE, MEMBER_BODY, "more than 256 members");
    op->body = body;
    return check_names(d, body, count);
}

/* An int64 written in any of JSON's ways (7, 7.0 and 7e0 are one number); never through a double. */
static enum err decode_int64(const struct decoding *d, enum member member, int64_t *ret_value)
{
    struct json_value value = d->members.value[member];
    if (value.type == JSON_NUMBER && number_int64(value.raw, ret_value)) return ERR_OK;
    return wrong(d, ERR_INVALID, member, "must be an integer of 64 bits");
}

static enum err decode_incr(const struct decoding *d, struct op *op)
{
    enum err err = decode_int64(d, MEMBER_BY, &op->by);
    op->has_min = d->members.value[MEMBER_MIN].type != JSON_NONE;
    op->has_max = d->members.value[MEMBER_MAX].type != JSON_NONE;
    if (err == ERR_OK && op->has_min) err = decode_int64(d, MEMBER_MIN, &op->min);
    if (err == ERR_OK && op->has_max) err = decode_int64(d, MEMBER_MAX, &op->max);
    if (err == ERR_OK && op->has_min && op->has_max && op->min > op->max)
        return wrong(d, ERR_INVALID, MEMBER_MIN, "greater than max");
    return err;
}

static enum err decode_values(const struct decoding *d, struct op *op)
{
    struct json_value values = d->members.value[MEMBER_VALUES];
    if (values.type != JSON_ARRAY) return wrong(d, ERR_INVALID, MEMBER_VALUES, "must be an array");
    /* More than a set can hold can neither be added nor be in it. */
    if (json_count(values) > LIMIT_SET_VALUES_MAX) return wrong(d, ERR_TOO_LARGE, MEMBER_VALUES, "more than 1024 values");
    op->values = values;
    return ERR_OK;
}

static enum err decode_field(const struct decoding *d, struct op *op)
{
    enum err err = decode_text(d, MEMBER_FIELD, &op->field);
    if (err != ERR_OK) return err;
    if (op->field.bytes > LIMIT_FIELD_BYTES_MAX) return wrong(d, ERR_TOO_LARGE, MEMBER_FIELD, "past 1024 bytes");
    op->field_raw = json_inside(d->members.value[MEMBER_FIELD]);
    return ERR_OK;
}

static enum err decode_max(const struct decoding *d, struct op *op)
{
    op->value = d->members.value[MEMBER_VALUE];
    return op->value.type == JSON_NUMBER ? ERR_OK : wrong(d, ERR_INVALID, MEMBER_VALUE, "must be a number");
}

static enum err decode_what(const struct decoding *d, struct op *op)
{
    enum err err;
    switch (op->kind) {
    case OP_PUT:
    case OP_PATCH:
    case OP_APPEND: return decode_body(d, op);
    case OP_DELETE: return ERR_OK;
    case OP_INCR: err = decode_field(d, op); return err == ERR_OK ? decode_incr(d, op) : err;
    case OP_ADD:
    case OP_REMOVE: err = decode_field(d, op); return err == ERR_OK ? decode_values(d, op) : err;
    case OP_MAX: err = decode_field(d, op); return err == ERR_OK ? decode_max(d, op) : err;
    }
    assert(!"every kind is decoded");
    return ERR_INTERNAL;
}

static enum err decode_one(struct decoding *d, struct json_value value, struct op *op)
{
    if (value.type != JSON_OBJECT) {
        snprintf(d->why, d->why_bytes, "ops[%zu]: must be an object", d->index);
        return ERR_INVALID;
    }
    find_members(value, &d->members);
    if (d->members.repeated) {
        snprintf(d->why, d->why_bytes, "ops[%zu]: a member is named twice", d->index);
        return ERR_INVALID;
    }
    enum err err = decode_kind(d, &op->kind);
    if (err == ERR_OK) err = decode_names(d, op);
    if (err == ERR_OK) err = decode_circumstances(d, op);
    if (err == ERR_OK) err = decode_what(d, op);
    return err;
}

enum err op_decode_all(struct json_value ops, struct arena *arena, struct op **ret_ops, size_t *ret_count, char *ret_why,
                       size_t why_bytes)
{
    assert(why_bytes > 0);
    if (ops.type != JSON_ARRAY) {
        snprintf(ret_why, why_bytes, "ops: must be an array");
        return ERR_INVALID;
    }
    size_t count = json_count(ops);
    if (count > LIMIT_OPS_MAX) {
        snprintf(ret_why, why_bytes, "ops: more than %d operations", LIMIT_OPS_MAX);
        return ERR_TOO_LARGE;
    }
    struct op *decoded = arena_take(arena, (count + 1) * sizeof *decoded);
    if (decoded == NULL) return ERR_MEMORY;
    struct decoding d = {.arena = arena, .why = ret_why, .why_bytes = why_bytes};
    struct json_iter iter = json_elements(ops);
    struct json_value value;
    for (; json_next_element(&iter, &value); d.index++) {
        assert(d.index < count);
        enum err err = decode_one(&d, value, &decoded[d.index]);
        if (err != ERR_OK) return err;
    }
    *ret_ops = decoded;
    *ret_count = count;
    return ERR_OK;
}

/* ---- the digest ---- */

/* A text counts decoded, so that "\u0061" and "a" are one; its tag tells it from raw bytes. */
static bool digest_text(struct hash_state *state, struct json_value value)
{
    struct span raw = json_inside(value);
    hash_piece(state, SPAN_LITERAL("text"));
    if (raw.bytes == 0 || memchr(raw.at, '\\', raw.bytes) == NULL) {
        hash_piece(state, raw);
        return true;
    }
    char *text = malloc(raw.bytes);
    if (text == NULL) return false;
    size_t bytes = json_decode(raw, text, raw.bytes);
    assert(bytes <= raw.bytes);
    hash_piece(state, span_of(text, bytes));
    free(text);
    return true;
}

static void digest_raw(struct hash_state *state, struct span raw)
{
    hash_piece(state, SPAN_LITERAL("raw"));
    hash_piece(state, raw);
}

static bool digest_one(struct hash_state *state, struct json_value value)
{
    struct members members;
    find_members(value, &members);
    if (value.type != JSON_OBJECT || members.repeated) {
        digest_raw(state, value.raw);
        return true;
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        struct json_value member = members.value[i];
        /* A device that sends again knows more by then: its ages grew, its bases may have moved. */
        if (member.type == JSON_NONE || i == MEMBER_AGE || i == MEMBER_BASE) continue;
        hash_piece(state, span_text(member_names[i]));
        if (i <= MEMBER_FIELD && member.type == JSON_STRING) {
            if (!digest_text(state, member)) return false;
        } else {
            digest_raw(state, member.raw);
        }
    }
    return true;
}

enum err op_digest(struct json_value ops, struct hash_digest *ret_digest)
{
    struct hash_state *state = hash_begin();
    struct json_iter iter = json_elements(ops);
    struct json_value value;
    bool whole = true;
    if (state == NULL) return ERR_MEMORY;
    if (ops.type != JSON_ARRAY) digest_raw(state, ops.raw);
    while (whole && json_next_element(&iter, &value)) {
        hash_piece(state, SPAN_LITERAL("{"));
        whole = digest_one(state, value);
    }
    struct hash_digest digest = hash_end(state);
    if (!whole) return ERR_MEMORY;
    *ret_digest = digest;
    return ERR_OK;
}
