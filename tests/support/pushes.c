/* See pushes.h. */
#include "tests/support/pushes.h"

#include <assert.h>
#include <string.h>

const char *const pushes_namespace =
    "{\"namespace\":\"vectors\",\"version\":1,\"access\":\"members\",\"window\":\"1h\",\"collections\":{"
    "\"lww\":{\"policy\":\"lww\"},\"lww-arrival\":{\"policy\":\"lww\",\"order\":\"arrival\"},"
    "\"merge\":{\"policy\":\"merge\"},\"merge-arrival\":{\"policy\":\"merge\",\"order\":\"arrival\"},"
    "\"append\":{\"policy\":\"append\"},\"manual\":{\"policy\":\"manual\"},"
    "\"own\":{\"policy\":\"merge\",\"write\":\"self\"},\"rules\":{\"policy\":\"lww\",\"write\":\"owner\"},"
    "\"typed\":{\"policy\":\"merge\",\"schema\":{\"type\":\"object\",\"properties\":{"
    "\"n\":{\"type\":\"integer\",\"minimum\":-50,\"maximum\":50},\"s\":{\"type\":\"array\",\"maxItems\":4}}}}}}";

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PICK(chance, array) (array)[chance_below((chance), COUNT(array))]

static const char *const users[] = {"ann", "bob", "cid"};
static const char *const devices[] = {"phone", "tablet", "phone", "tablet", ""};
static const char *const ids[] = {"x", "x", "y", "ann"};
static const char *const fields[] = {"a", "b", "\\u0063", "n", "s", "m"};
static const char *const values[] = {
    "1", "2", "\"one\"", "\"\\u006fne\"", "\"\xc3\xa9\"", "true", "null", "1234567890123456789", "1234567890123456788", "1.10",
    "1e2", "-0", "[1, 2]", "{\"k\" : [ ]}", "\"\"", "[]", "{}", "-9223372036854775808", "0.5"};
static const char *const set_values[] = {"1", "1.0", "10e-1", "2", "\"a\"", "\"\\u0061\"", "\"b\"", "null", "true", "[1]", "[ 1]",
                                         "1234567890123456789", "1234567890123456788", "{\"k\":1}"};
static const char *const numbers[] = {"0", "1", "-3", "7", "7.0", "1e1", "2.5", "100", "1234567890123456789", "-1e400"};
static const char *const steps[] = {"1", "1", "1", "2", "-1", "-5", "10", "0", "9223372036854775807", "1e1"};
static const char *const spaces[] = {"", "", "", " ", "  "};

static void member(struct buf *ops, const char *name)
{
    buf_add_text(ops, ",\"");
    buf_add_text(ops, name);
    buf_add_text(ops, "\":");
}

/* Mostly values that suit the field, so that the operations on it find something to work on. */
static void field_value(struct chance *chance, const char *field, struct buf *ops)
{
    if (chance_one_in(chance, 8)) buf_add_text(ops, PICK(chance, values));
    else if (*field == 'n') buf_add_text(ops, PICK(chance, steps));
    else if (*field == 'm') buf_add_text(ops, PICK(chance, numbers));
    else if (*field == 's') buf_add_text(ops, chance_one_in(chance, 2) ? "[\"a\", 1]" : "[2]");
    else buf_add_text(ops, PICK(chance, values));
}

static void body(struct chance *chance, struct buf *ops)
{
    size_t first = chance_below(chance, COUNT(fields)), count = chance_below(chance, 4), step = chance_one_in(chance, 2) ? 1 : 5;
    const char *space = PICK(chance, spaces);
    buf_add_char(ops, '{');
    for (size_t i = 0; i < count; i++) {
        const char *field = fields[(first + i * step) % COUNT(fields)];
        buf_add_text(ops, i > 0 ? "," : "");
        buf_add_text(ops, space);
        buf_add_char(ops, '"');
        buf_add_text(ops, field);
        buf_add_text(ops, "\":");
        buf_add_text(ops, space);
        field_value(chance, field, ops);
    }
    buf_add_char(ops, '}');
}

static void circumstances(struct chance *chance, const struct shelf *shelf, struct buf *ops, bool needs_base)
{
    if (!chance_one_in(chance, 3)) {
        member(ops, "age");
        if (chance_one_in(chance, 12)) buf_add_text(ops, "null");
        else buf_add_u64(ops, chance_below(chance, 200));
    }
    if (needs_base || chance_one_in(chance, 4)) {
        size_t back = chance_below(chance, 6);
        member(ops, "base");
        buf_add_u64(ops, chance_one_in(chance, 10) ? shelf->head + 1 : shelf->head > back ? shelf->head - back : 0);
    }
    if (chance_one_in(chance, 20)) {
        member(ops, "if");
        if (chance_one_in(chance, 2)) buf_add_text(ops, "\"absent\"");
        else buf_add_u64(ops, shelf->head > 0 ? shelf->head - chance_below(chance, 2) : 0);
    }
}

static void set_of_values(struct chance *chance, struct buf *ops)
{
    size_t count = chance_below(chance, 4);
    buf_add_char(ops, '[');
    for (size_t i = 0; i < count; i++) {
        buf_add_text(ops, i > 0 ? ", " : "");
        buf_add_text(ops, PICK(chance, set_values));
    }
    buf_add_char(ops, ']');
}

static void what(struct chance *chance, const char *kind, struct buf *ops)
{
    if (strcmp(kind, "delete") == 0) return;
    if (strcmp(kind, "put") == 0 || strcmp(kind, "patch") == 0 || strcmp(kind, "append") == 0) {
        member(ops, "body");
        body(chance, ops);
        return;
    }
    bool odd = chance_one_in(chance, 10);
    const char *usual = strcmp(kind, "incr") == 0 ? "n" : strcmp(kind, "max") == 0 ? "m" : "s";
    member(ops, "field");
    buf_add_char(ops, '"');
    buf_add_text(ops, odd ? PICK(chance, fields) : usual);
    buf_add_char(ops, '"');
    if (strcmp(kind, "incr") == 0) {
        member(ops, "by");
        buf_add_text(ops, PICK(chance, steps));
        if (chance_one_in(chance, 6)) buf_add_text(ops, ",\"max\":20");
        if (chance_one_in(chance, 6)) buf_add_text(ops, ",\"min\":-4");
    } else if (strcmp(kind, "max") == 0) {
        member(ops, "value");
        buf_add_text(ops, PICK(chance, numbers));
    } else {
        member(ops, "values");
        set_of_values(chance, ops);
    }
}

static const char *kind_for(struct chance *chance, const char *collection)
{
    static const char *const whole[] = {"put", "put", "patch", "patch", "delete"};
    static const char *const any[] = {"put", "patch", "patch", "patch", "delete", "incr", "incr", "add", "add", "remove", "max"};
    static const char *const appends[] = {"append", "append", "append", "put", "patch", "delete"};
    bool odd = chance_one_in(chance, 60); /* where it may not belong */
    if (odd) return chance_one_in(chance, 2) || strcmp(collection, "members") == 0 ? "append" : "incr";
    if (strcmp(collection, "append") == 0) return PICK(chance, appends);
    if (strncmp(collection, "lww", 3) == 0 || strcmp(collection, "rules") == 0 || strcmp(collection, "members") == 0) return PICK(chance, whole);
    return PICK(chance, any);
}

/* What is appended is mostly new; edits of an `append` collection mostly find something. */
static void document_id(struct chance *chance, const struct shelf *shelf, const char *collection, const char *kind, struct buf *ops)
{
    bool appends = strcmp(kind, "append") == 0;
    if (appends || (strcmp(collection, "append") == 0 && shelf->docs_count == 0)) {
        buf_add_char(ops, 'm');
        buf_add_u64(ops, chance_below(chance, 40));
        return;
    }
    size_t first = shelf->docs_count > 0 ? chance_below(chance, shelf->docs_count) : 0;
    for (size_t i = 0; strcmp(collection, "append") == 0 && i < shelf->docs_count; i++) {
        const struct shelf_doc *doc = &shelf->docs[(first + i) % shelf->docs_count];
        if (strcmp(doc->collection, collection) != 0) continue;
        buf_add_span(ops, doc->id);
        return;
    }
    buf_add_text(ops, PICK(chance, ids));
}

static void operation(struct pushes *pushes, const struct shelf *shelf, struct buf *ops)
{
    struct chance *chance = &pushes->chance;
    size_t count = 0;
    while (pushes->collections[count] != NULL) count++;
    const char *collection = pushes->collections[chance_below(chance, count)];
    const char *kind = kind_for(chance, collection);
    buf_add_text(ops, "{\"op\":\"");
    buf_add_text(ops, kind);
    buf_add_text(ops, "\",\"collection\":\"");
    buf_add_text(ops, collection);
    buf_add_text(ops, "\",\"id\":\"");
    document_id(chance, shelf, collection, kind, ops);
    buf_add_char(ops, '"');
    circumstances(chance, shelf, ops, strcmp(collection, "manual") == 0 && !chance_one_in(chance, 20));
    if (strcmp(collection, "members") == 0 && strcmp(kind, "delete") != 0) {
        member(ops, "body");
        buf_add_text(ops, chance_one_in(chance, 3) ? "{\"role\":\"owner\"}" : "{\"role\":\"reader\"}");
    } else {
        what(chance, kind, ops);
    }
    buf_add_char(ops, '}');
}

void pushes_next(struct pushes *pushes, const struct shelf *shelf, struct buf *ops, struct shelf_push *ret_push)
{
    struct chance *chance = &pushes->chance;
    size_t count = chance_one_in(chance, 3) ? 1 + chance_below(chance, 4) : 1;
    struct shelf_push push = {.user = PICK(chance, users), .device = PICK(chance, devices), .time_ms = shelf->clock_ms};
    push.time_ms += (int64_t)chance_below(chance, 8);
    if (chance_one_in(chance, 40)) push.time_ms += 3600001; /* the window is over */
    if (chance_one_in(chance, 2)) push.last_push_ms = push.time_ms - (int64_t)chance_below(chance, 200) - 1;
    if (chance_one_in(chance, 25)) push.role = ROLE_READER;
    else if (chance_one_in(chance, 3)) push.role = ROLE_OWNER;
    buf_reset(ops);
    buf_add_char(ops, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0) buf_add_char(ops, ',');
        operation(pushes, shelf, ops);
    }
    buf_add_char(ops, ']');
    buf_add_char(ops, '\0');
    assert(buf_ok(ops));
    push.ops = ops->at;
    *ret_push = push;
}
