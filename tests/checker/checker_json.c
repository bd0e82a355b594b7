/* Events as lines of JSON.
 *
 * FORMAT  {"event":"update","time":1200,"who":"d0","conn":0,"space":"cart:ana","from":"l.0.7","to":"l.0.9","rev":9,"docs":[{"collection":"items",
 *   "id":"m","rev":9,"born":4,"sum":"00112233445566ff","deleted":true}],"refused":[{"id":3,"status":"rejected","code":"invalid"}],
 *   "parts":[{"counter":"items/m/qty","by":1}],"tails":{"messages":12},"sums":{"items":"00112233445566ff"},"numbers":[1,2],"digest":"0f"}
 * Members that are absent are empty, 0 or false; unknown ones are refused, for a recorder's slip would go unnoticed. */
#include <stdlib.h>

#include "core/json.h"
#include "tests/checker/checker_parts.h"

enum field { FIELD_SPAN, FIELD_NUMBER, FIELD_FLAG, FIELD_HEX, FIELD_STATUS };
struct row {
    const char *name;
    enum field field;
    size_t at;
};
#define AT(member) offsetof(struct checker_event, member)
static const struct row rows[] = {
    {"time", FIELD_NUMBER, AT(time_ms)}, {"who", FIELD_SPAN, AT(who)}, {"user", FIELD_SPAN, AT(user)}, {"device", FIELD_SPAN, AT(device)},
    {"log", FIELD_SPAN, AT(log)}, {"space", FIELD_SPAN, AT(space)}, {"ref", FIELD_SPAN, AT(ref)}, {"from", FIELD_SPAN, AT(from)},
    {"to", FIELD_SPAN, AT(to)}, {"id", FIELD_NUMBER, AT(id)}, {"after", FIELD_NUMBER, AT(after)}, {"known", FIELD_NUMBER, AT(known)},
    {"rev", FIELD_NUMBER, AT(rev)}, {"at", FIELD_NUMBER, AT(at)}, {"before", FIELD_NUMBER, AT(before)}, {"pushed", FIELD_NUMBER, AT(pushed)},
    {"status", FIELD_STATUS, AT(status)}, {"code", FIELD_SPAN, AT(code)}, {"more", FIELD_FLAG, AT(more)}, {"reset", FIELD_FLAG, AT(reset)},
    {"purge", FIELD_FLAG, AT(purge)}, {"once", FIELD_FLAG, AT(once)}, {"may", FIELD_FLAG, AT(may)}, {"own", FIELD_FLAG, AT(own)},
    {"window", FIELD_NUMBER, AT(window_ms)}, {"log_time", FIELD_NUMBER, AT(log_ms)}, {"digest", FIELD_HEX, AT(digest)},
};
enum { ROWS = sizeof rows / sizeof *rows };

static const char *const statuses[] = {[CHECKER_NONE] = "", [CHECKER_APPLIED] = "applied", [CHECKER_CONFLICT] = "conflict", [CHECKER_REJECTED] = "rejected"};

/* ---- out ---- */

static void name(struct buf *buf, const char *key)
{
    buf_add_text(buf, ",\"");
    buf_add_text(buf, key);
    buf_add_text(buf, "\":");
}

static void text(struct buf *buf, const char *key, struct span value)
{
    if (value.bytes == 0) return;
    name(buf, key);
    buf_add_json_string(buf, value);
}

static void hex(struct buf *buf, const char *key, uint64_t value)
{
    if (value == 0) return;
    name(buf, key);
    buf_add_char(buf, '"');
    buf_add_hex64(buf, value);
    buf_add_char(buf, '"');
}

static void row_json(const struct checker_event *event, const struct row *row, struct buf *buf)
{
    const char *at = (const char *)event + row->at;
    if (row->field == FIELD_SPAN) {
        text(buf, row->name, *(const struct span *)(const void *)at);
    } else if (row->field == FIELD_NUMBER) {
        uint64_t value = *(const uint64_t *)(const void *)at;
        if (value == 0) return;
        name(buf, row->name);
        buf_add_i64(buf, (int64_t)value);
    } else if (row->field == FIELD_HEX) {
        hex(buf, row->name, *(const uint64_t *)(const void *)at);
    } else if (row->field == FIELD_STATUS) {
        text(buf, row->name, span_text(statuses[event->status]));
    } else if (*(const bool *)(const void *)at) {
        name(buf, row->name);
        buf_add_text(buf, "true");
    }
}

static void docs_json(const struct checker_event *event, struct buf *buf)
{
    for (size_t i = 0; i < event->docs_count; i++) {
        const struct checker_doc *doc = &event->docs[i];
        buf_add_text(buf, i == 0 ? ",\"docs\":[{\"collection\":" : ",{\"collection\":");
        buf_add_json_string(buf, doc->collection);
        text(buf, "id", doc->id);
        name(buf, "rev");
        buf_add_u64(buf, doc->rev);
        if (doc->born != 0) {
            name(buf, "born");
            buf_add_u64(buf, doc->born);
        }
        hex(buf, "sum", doc->sum);
        buf_add_text(buf, doc->deleted ? ",\"deleted\":true}" : "}");
    }
    if (event->docs_count > 0) buf_add_char(buf, ']');
}

static void lists_json(const struct checker_event *event, struct buf *buf)
{
    for (size_t i = 0; i < event->refused_count; i++) {
        buf_add_text(buf, i == 0 ? ",\"refused\":[{\"id\":" : ",{\"id\":");
        buf_add_u64(buf, event->refused[i].id);
        text(buf, "status", span_text(statuses[event->refused[i].status]));
        text(buf, "code", event->refused[i].code);
        buf_add_text(buf, i + 1 == event->refused_count ? "}]" : "}");
    }
    for (size_t i = 0; i < event->parts_count; i++) {
        buf_add_text(buf, i == 0 ? ",\"parts\":[{\"counter\":" : ",{\"counter\":");
        buf_add_json_string(buf, event->parts[i].counter);
        name(buf, "by");
        buf_add_i64(buf, event->parts[i].by);
        buf_add_text(buf, i + 1 == event->parts_count ? "}]" : "}");
    }
    for (size_t i = 0; i < event->tails_count; i++) {
        buf_add_text(buf, i == 0 ? ",\"tails\":{" : ",");
        buf_add_json_string(buf, event->tails[i].collection);
        buf_add_char(buf, ':');
        buf_add_u64(buf, event->tails[i].value);
    }
    if (event->tails_count > 0) buf_add_char(buf, '}');
    for (size_t i = 0; i < event->sums_count; i++) {
        buf_add_text(buf, i == 0 ? ",\"sums\":{" : ",");
        buf_add_json_string(buf, event->sums[i].collection);
        buf_add_text(buf, ":\"");
        buf_add_hex64(buf, event->sums[i].value);
        buf_add_char(buf, '"');
    }
    if (event->sums_count > 0) buf_add_char(buf, '}');
    for (size_t i = 0; i < event->numbers_count; i++) {
        buf_add_text(buf, i == 0 ? ",\"numbers\":[" : ",");
        buf_add_u64(buf, event->numbers[i]);
    }
    if (event->numbers_count > 0) buf_add_char(buf, ']');
}

void checker_event_json(const struct checker_event *event, struct buf *buf)
{
    buf_add_text(buf, "{\"event\":\"");
    buf_add_text(buf, checker_kind_name(event->kind));
    buf_add_char(buf, '"');
    for (size_t i = 0; i < ROWS; i++) row_json(event, &rows[i], buf);
    if (event->conn != 0) {
        name(buf, "conn");
        buf_add_u64(buf, event->conn);
    }
    docs_json(event, buf);
    lists_json(event, buf);
    buf_add_text(buf, "}\n");
}

/* ---- in ---- */

/* What one line needs until checker_add() has copied it. */
struct reading {
    struct checker_heap heap;
    struct checker_event event;
    const char *why;
};

static bool no(struct reading *r, const char *why)
{
    r->why = why;
    return false;
}

static bool read_text(struct reading *r, struct json_value value, struct span *ret_text)
{
    if (value.type == JSON_NULL) return true;
    if (value.type == JSON_NUMBER) { /* a `ref` may be one */
        *ret_text = value.raw;
        return true;
    }
    if (value.type != JSON_STRING) return no(r, "a text is wanted");
    struct span inside = json_inside(value);
    char *at = checker_heap_take(&r->heap, inside.bytes + 1);
    size_t bytes = json_decode(inside, at, inside.bytes);
    *ret_text = span_of(at, bytes);
    return true;
}

static bool read_number(struct reading *r, struct json_value value, int64_t *ret_number)
{
    return json_integer(value, ret_number) || no(r, "an integer is wanted");
}

static bool read_hex(struct reading *r, struct json_value value, uint64_t *ret_number)
{
    uint64_t number = 0;
    struct span inside = value.type == JSON_STRING ? json_inside(value) : span_of(NULL, 0);
    if (inside.bytes == 0 || inside.bytes > 16) return no(r, "up to 16 hex digits are wanted");
    for (size_t i = 0; i < inside.bytes; i++) {
        char c = inside.at[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) return no(r, "lower-case hex digits are wanted");
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_number = number;
    return true;
}

static bool read_status(struct reading *r, struct json_value value, enum checker_status *ret_status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (!json_string_is(value, statuses[i])) continue;
        *ret_status = (enum checker_status)i;
        return true;
    }
    return no(r, "no such status");
}

static bool read_row(struct reading *r, const struct row *row, struct json_value value)
{
    char *at = (char *)&r->event + row->at;
    if (row->field == FIELD_SPAN) return read_text(r, value, (struct span *)(void *)at);
    if (row->field == FIELD_HEX) return read_hex(r, value, (uint64_t *)(void *)at);
    if (row->field == FIELD_STATUS) return read_status(r, value, &r->event.status);
    if (row->field == FIELD_NUMBER) return read_number(r, value, (int64_t *)(void *)at);
    if (value.type != JSON_TRUE && value.type != JSON_FALSE) return no(r, "true or false is wanted");
    *(bool *)(void *)at = value.type == JSON_TRUE;
    return true;
}

static bool read_doc(struct reading *r, struct json_value object, struct checker_doc *doc)
{
    int64_t rev = 0, born = 0;
    struct json_value sum = json_find(object, "sum"), at = json_find(object, "born");
    doc->deleted = json_find(object, "deleted").type == JSON_TRUE;
    if (!read_text(r, json_find(object, "collection"), &doc->collection) || !read_text(r, json_find(object, "id"), &doc->id) ||
        !read_number(r, json_find(object, "rev"), &rev) || (at.type != JSON_NONE && !read_number(r, at, &born))) return false;
    doc->rev = (uint64_t)rev;
    doc->born = (uint64_t)born;
    return sum.type != JSON_NONE ? read_hex(r, sum, &doc->sum) : doc->deleted || no(r, "a document has a sum, or is deleted");
}

static bool read_refusal(struct reading *r, struct json_value object, struct checker_refusal *refusal)
{
    int64_t id = 0;
    struct json_value code = json_find(object, "code");
    if (!read_number(r, json_find(object, "id"), &id) || !read_status(r, json_find(object, "status"), &refusal->status)) return false;
    refusal->id = (uint64_t)id;
    return code.type == JSON_NONE || read_text(r, code, &refusal->code);
}

/* Arrays and objects. `list` is the event's array of things of one kind. */
static bool read_list(struct reading *r, struct span key, struct json_value value)
{
    size_t count = json_count(value), i = 0;
    struct json_iter elements = json_elements(value), members = json_members(value);
    struct json_value one;
    struct json_member member;
    struct checker_doc *docs = checker_heap_take(&r->heap, count * sizeof *docs);
    struct checker_refusal *refused = checker_heap_take(&r->heap, count * sizeof *refused);
    struct checker_part *parts = checker_heap_take(&r->heap, count * sizeof *parts);
    struct checker_number *numbers = checker_heap_take(&r->heap, count * sizeof *numbers);
    uint64_t *ids = checker_heap_take(&r->heap, count * sizeof *ids);
    for (; json_next_element(&elements, &one); i++) {
        docs[i] = (struct checker_doc){0};
        refused[i] = (struct checker_refusal){0};
        parts[i] = (struct checker_part){0};
        if (span_is(key, "docs") && !read_doc(r, one, &docs[i])) return false;
        if (span_is(key, "refused") && !read_refusal(r, one, &refused[i])) return false;
        if (span_is(key, "parts") && (!read_text(r, json_find(one, "counter"), &parts[i].counter) || !read_number(r, json_find(one, "by"), &parts[i].by))) return false;
        if (span_is(key, "numbers") && !read_number(r, one, (int64_t *)(void *)&ids[i])) return false;
    }
    for (; json_next_member(&members, &member); i++) {
        numbers[i] = (struct checker_number){.collection = member.key};
        if (span_is(key, "tails") && !read_number(r, member.value, (int64_t *)(void *)&numbers[i].value)) return false;
        if (span_is(key, "sums") && !read_hex(r, member.value, &numbers[i].value)) return false;
    }
    struct checker_event *event = &r->event;
    if (span_is(key, "docs")) event->docs = docs, event->docs_count = count;
    else if (span_is(key, "refused")) event->refused = refused, event->refused_count = count;
    else if (span_is(key, "parts")) event->parts = parts, event->parts_count = count;
    else if (span_is(key, "tails")) event->tails = numbers, event->tails_count = count;
    else if (span_is(key, "sums")) event->sums = numbers, event->sums_count = count;
    else if (span_is(key, "numbers")) event->numbers = ids, event->numbers_count = count;
    else return no(r, "no such member");
    return true;
}

static bool read_member(struct reading *r, struct json_member member)
{
    int64_t conn = 0;
    if (span_is(member.key, "event")) {
        for (size_t i = 0; i < CHECKER_KINDS_COUNT; i++) {
            if (!json_string_is(member.value, checker_kind_name((enum checker_kind)i))) continue;
            r->event.kind = (enum checker_kind)i;
            return true;
        }
        return no(r, "no such event");
    }
    if (span_is(member.key, "conn")) {
        if (!read_number(r, member.value, &conn)) return false;
        r->event.conn = (uint32_t)conn;
        return true;
    }
    for (size_t i = 0; i < ROWS; i++)
        if (span_is(member.key, rows[i].name)) return read_row(r, &rows[i], member.value);
    return read_list(r, member.key, member.value);
}

bool checker_add_json(struct checker *checker, struct span line, const char **ret_why)
{
    struct reading reading = {.why = "not an object of JSON"};
    struct json_value object;
    struct json_member member;
    bool good = json_check(line, &object, NULL) && object.type == JSON_OBJECT;
    struct json_iter iter = good ? json_members(object) : (struct json_iter){0};
    if (good && json_find(object, "event").type != JSON_STRING) good = no(&reading, "no event");
    while (good && json_next_member(&iter, &member)) good = read_member(&reading, member);
    if (good) (void)checker_add(checker, &reading.event);
    else if (ret_why != NULL) *ret_why = reading.why;
    checker_heap_fini(&reading.heap);
    return good;
}
