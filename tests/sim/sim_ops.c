/* The operations of a push from a line: `append messages/m1 {"text":"hi"} + incr items/sum n 1`. See sim_line.c. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_words.h"

/* `#4000#` stands for so many letters x. */
static void add_expanded(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        const char *close = text.at[i] != '#' ? NULL : memchr(text.at + i + 1, '#', text.bytes - i - 1);
        if (close == NULL) {
            buf_add_char(out, text.at[i]);
            continue;
        }
        for (unsigned long count = strtoul(text.at + i + 1, NULL, 10); count > 0; count--) buf_add_char(out, 'x');
        i = (size_t)(close - text.at);
    }
}

static void add_member(struct buf *out, const char *name, struct span raw)
{
    buf_add_text(out, ",\"");
    buf_add_text(out, name);
    buf_add_text(out, "\":");
    add_expanded(out, raw);
}

static void add_quoted(struct buf *out, const char *name, struct span text)
{
    buf_add_text(out, ",\"");
    buf_add_text(out, name);
    buf_add_text(out, "\":\"");
    buf_add_span(out, text);
    buf_add_char(out, '"');
}

/* What the edit was made on is what the device's copy says. */
static void add_base(struct buf *out, struct sim_copy *copy, struct span key)
{
    char text[SIM_NAME_BYTES];
    snprintf(text, sizeof text, "%.*s", (int)key.bytes, key.at);
    const struct sim_doc *doc = sim_copy_find(copy, text);
    if (doc == NULL) return;
    buf_add_text(out, ",\"base\":~B");
    buf_add_u64(out, doc->rev);
    buf_add_char(out, '~');
}

static void add_arguments(struct sim_words *words, struct buf *out, struct span op, struct span id, struct sim_written *written)
{
    bool body = span_is(op, "put") || span_is(op, "patch") || span_is(op, "append");
    if (body) {
        add_member(out, "body", sim_words_json(words));
    } else if (span_is(op, "incr")) {
        struct span field = sim_words_next(words), by = sim_words_next(words);
        add_quoted(out, "field", field);
        add_member(out, "by", by);
        if (id.bytes >= 3 && memcmp(id.at, "sum", 3) == 0 && span_is(field, "n")) {
            snprintf(written->counter, sizeof written->counter, "%.*s", (int)id.bytes, id.at);
            written->by += strtol(by.at, NULL, 10);
        }
    } else if (span_is(op, "add") || span_is(op, "remove")) {
        add_quoted(out, "field", sim_words_next(words));
        add_member(out, "values", sim_words_json(words));
    } else if (span_is(op, "max")) {
        add_quoted(out, "field", sim_words_next(words));
        add_member(out, "value", sim_words_next(words));
    }
}

static void add_if(struct buf *out, struct span condition, struct sim_written *written)
{
    struct span value = span_of(condition.at + 3, condition.bytes - 3);
    if (span_is(value, "absent")) {
        add_quoted(out, "if", value);
        return;
    }
    add_member(out, "if", value);
    written->has_if = true;
}

void sim_ops_read(struct sim_words *words, struct sim_copy *copy, struct sim_written *ret_written)
{
    struct buf *out = &ret_written->ops;
    buf_init(out, 1 << 20);
    buf_add_char(out, '[');
    for (bool first = true;; first = false) {
        struct span op = sim_words_next(words), condition = span_of(NULL, 0);
        if (op.bytes == 0 || span_is(op, "barrier")) break;
        if (op.bytes > 3 && memcmp(op.at, "if=", 3) == 0) {
            condition = op;
            op = sim_words_next(words);
        }
        struct span key = sim_words_next(words);
        const char *slash = key.bytes == 0 ? NULL : memchr(key.at, '/', key.bytes);
        assert(slash != NULL);
        struct span id = span_of(slash + 1, key.bytes - (size_t)(slash + 1 - key.at));
        buf_add_text(out, first ? "{\"op\":\"" : ",{\"op\":\"");
        buf_add_span(out, op);
        buf_add_char(out, '"');
        add_quoted(out, "collection", span_of(key.at, (size_t)(slash - key.at)));
        add_quoted(out, "id", id);
        add_arguments(words, out, op, id, ret_written);
        if (condition.bytes > 0) add_if(out, condition, ret_written);
        if (!span_is(op, "append")) add_base(out, copy, key);
        buf_add_text(out, ",\"age\":~A~}");
        if (!span_is(sim_words_next(words), "+")) break;
    }
    buf_add_char(out, ']');
    assert(buf_ok(out));
}
