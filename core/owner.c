#include "core/owner.h"

#include <assert.h>
#include <stdlib.h>

#include "core/owner_parts.h"

/* "<next offset> <clock>" */
static bool parse_partition(struct span text, uint64_t *ret_next, int64_t *ret_clock)
{
    uint64_t parts[2] = {0, 0};
    size_t part = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.at[i];
        if (c == ' ' && part == 0) part = 1;
        else if (c >= '0' && c <= '9' && parts[part] <= (UINT64_MAX - 9) / 10) parts[part] = parts[part] * 10 + (uint64_t)(c - '0');
        else return false;
    }
    if (part != 1 || parts[1] > INT64_MAX) return false;
    *ret_next = parts[0];
    *ret_clock = (int64_t)parts[1];
    return true;
}

static enum err load_namespaces(struct owner *owner, const struct state_reader *reader)
{
    struct state_key key;
    state_key_namespace(&key, SPAN_LITERAL(""));
    struct span from = state_key_span(&key), prefix = from;
    for (;;) {
        struct span found, text;
        struct namespace *ns;
        char why[LIMIT_MESSAGE_BYTES_MAX];
        enum err err = reader->seek(reader->ctx, STATE_META, from, false, &found, &text);
        if (err != ERR_OK) return err;
        if (found.at == NULL || found.bytes < prefix.bytes || memcmp(found.at, prefix.at, prefix.bytes) != 0) return ERR_OK;
        if (namespace_compile(text, &ns, why, sizeof why) != ERR_OK) return ERR_VERSION;
        err = namespace_set_put(&owner->namespaces, ns);
        if (err != ERR_OK) {
            namespace_free(ns);
            return err;
        }
        /* The least key past the one found. */
        char *next = arena_take(&owner->arena, found.bytes + 1);
        if (next == NULL) return ERR_MEMORY;
        memcpy(next, found.at, found.bytes);
        from = span_of(next, found.bytes + 1);
    }
}

enum err owner_open(const struct state_reader *reader, struct span log, struct owner **ret_owner)
{
    struct state_key key;
    struct span text;
    assert(log.bytes <= LOG_NAME_BYTES_MAX);
    struct owner *owner = calloc(1, sizeof *owner);
    if (owner == NULL) return ERR_MEMORY;
    memcpy(owner->log, log.at, log.bytes);
    arena_init(&owner->arena, OWNER_ARENA_BYTES_MAX);
    buf_init(&owner->frame, OWNER_FRAME_BYTES_MAX);
    buf_init(&owner->answer, OWNER_FRAME_BYTES_MAX);
    buf_init(&owner->value, OWNER_FRAME_BYTES_MAX);
    state_key_partition(&key);
    enum err err = reader->get(reader->ctx, STATE_META, state_key_span(&key), &text);
    if (err == ERR_OK && text.at != NULL && !parse_partition(text, &owner->next_offset, &owner->clock_ms)) err = ERR_CORRUPT;
    if (err == ERR_OK) err = load_namespaces(owner, reader);
    if (err != ERR_OK) {
        owner_close(owner);
        return err;
    }
    *ret_owner = owner;
    return ERR_OK;
}

void owner_close(struct owner *owner)
{
    if (owner == NULL) return;
    namespace_set_fini(&owner->namespaces);
    arena_fini(&owner->arena);
    buf_fini(&owner->frame);
    buf_fini(&owner->answer);
    buf_fini(&owner->value);
    free(owner);
}

uint64_t owner_next_offset(const struct owner *owner) { return owner->next_offset; }
int64_t owner_clock_ms(const struct owner *owner) { return owner->clock_ms; }
const struct namespace_set *owner_namespaces(const struct owner *owner) { return &owner->namespaces; }

static void begin(struct owner *owner, struct owner_out *ret_out)
{
    arena_reset(&owner->arena);
    owner->writes_count = 0;
    owner->failed = false;
    *ret_out = (struct owner_out){.why = ""};
}

static void set_aside(struct owner_out *ret_out, const char *why)
{
    ret_out->dead_letter = true;
    ret_out->why = why;
}

static enum err namespace_step(struct owner *owner, const struct record *record, struct owner_out *ret_out)
{
    struct namespace *ns = NULL;
    struct state_key key;
    char *why = arena_take(&owner->arena, LIMIT_MESSAGE_BYTES_MAX);
    if (why == NULL) return ERR_MEMORY;
    enum err err = namespace_compile(record->namespace_text.raw, &ns, why, LIMIT_MESSAGE_BYTES_MAX);
    if (err == ERR_MEMORY) return err;
    if (err != ERR_OK) {
        set_aside(ret_out, why);
        return ERR_OK;
    }
    err = namespace_set_put(&owner->namespaces, ns);
    if (err != ERR_OK) {
        namespace_free(ns);
        if (err == ERR_MEMORY) return err;
        set_aside(ret_out, "more namespaces than LIMIT_NAMESPACES_MAX");
        return ERR_OK;
    }
    state_key_namespace(&key, span_text(ns->name));
    owner_write_put(owner, STATE_META, &key, 0, record->namespace_text.raw);
    ret_out->namespaces_changed = true;
    return ERR_OK;
}

static enum err step_record(struct owner *owner, const struct state_reader *reader, const struct owner_record *in,
                            struct owner_out *ret_out)
{
    struct record record;
    enum err err = record_decode(in->bytes, &owner->arena, &record);
    if (err == ERR_CORRUPT) {
        set_aside(ret_out, "not a record that any version could have written");
        return ERR_OK;
    }
    if (err != ERR_OK) return err;
    if (record.kind == RECORD_NAMESPACE) return namespace_step(owner, &record, ret_out);
    struct owner_case c = {.reader = reader, .push = &record.push, .rev = in->offset + 1, .time_ms = in->time_ms};
    return owner_push_step(owner, &c, false, ret_out);
}

enum err owner_step(struct owner *owner, const struct state_reader *reader, const struct owner_record *record,
                    struct owner_out *ret_out)
{
    struct owner_out out;
    int64_t clock_before = owner->clock_ms;
    assert(record->offset >= owner->next_offset);
    begin(owner, &out);
    if (record->time_ms > owner->clock_ms) owner->clock_ms = record->time_ms;
    enum err err = step_record(owner, reader, record, &out);
    if (err == ERR_OK && owner->failed) err = ERR_MEMORY;
    if (err != ERR_OK) {
        owner->clock_ms = clock_before;
        return err;
    }
    owner->next_offset = record->offset + 1;
    owner_write_partition(owner);
    if (owner->failed) return ERR_MEMORY;
    out.writes = owner->writes;
    out.writes_count = owner->writes_count;
    *ret_out = out;
    return ERR_OK;
}

enum err owner_ask(struct owner *owner, const struct state_reader *reader, struct span bytes, struct owner_out *ret_out)
{
    struct record record;
    struct owner_out out;
    begin(owner, &out);
    enum err err = record_decode(bytes, &owner->arena, &record);
    if (err != ERR_OK) return err;
    if (record.kind == RECORD_PUSH) {
        struct owner_case c = {.reader = reader, .push = &record.push};
        err = owner_push_step(owner, &c, true, &out);
        if (err != ERR_OK) return err;
        assert(owner->writes_count == 0);
    }
    *ret_out = out;
    return ERR_OK;
}
