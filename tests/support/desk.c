#include "tests/support/desk.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/name.h"

enum { TEXT_BYTES_MAX = 33554432 };

static char *text_copy(struct span span)
{
    char *text = malloc(span.bytes + 1);
    assert(text != NULL);
    if (span.bytes > 0) memcpy(text, span.at, span.bytes);
    text[span.bytes] = '\0';
    return text;
}

static void replace(char **text, struct span span)
{
    free(*text);
    *text = text_copy(span);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert(file != NULL);
    char *text = calloc(1, 65537);
    assert(text != NULL);
    size_t bytes = fread(text, 1, 65536, file);
    assert(bytes > 0 && bytes < 65536);
    fclose(file);
    return text;
}

static void load_shipped(struct desk *desk)
{
    static const char *const names[] = {"chat", "cart", "notes", "todos", "workouts"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "schemas/namespaces/%s.json", names[i]);
        char *text = read_file(path);
        desk_namespace(desk, text);
        free(text);
    }
}

void desk_init(struct desk *desk)
{
    *desk = (struct desk){.now_ms = 1700000000000};
    arena_init(&desk->arena, 67108864);
    buf_init(&desk->text, TEXT_BYTES_MAX);
    replace(&desk->update, span_text(""));
    replace(&desk->answer, span_text(""));
    replace(&desk->docs, span_text(""));
    desk_reopen(desk);
    load_shipped(desk);
}

void desk_fini(struct desk *desk)
{
    owner_close(desk->owner);
    map_state_fini(&desk->state);
    arena_fini(&desk->arena);
    buf_fini(&desk->text);
    free(desk->update);
    free(desk->answer);
    free(desk->docs);
}

void desk_reopen(struct desk *desk)
{
    struct state_reader reader = map_state_reader(&desk->state);
    owner_close(desk->owner);
    enum err err = owner_open(&reader, SPAN_LITERAL("testlog"), &desk->owner);
    assert(err == ERR_OK);
    desk->next_offset = owner_next_offset(desk->owner);
}

static void note(struct desk *desk, const struct owner_out *out)
{
    replace(&desk->update, out->has_update ? out->update.frame : span_text(""));
    replace(&desk->answer, out->has_answer ? out->answer.frame : span_text(""));
    desk->with_update = out->has_answer && out->answer.with_update;
    desk->removed_count = out->has_update ? out->update.removed_count : 0;
    desk->recheck_all = out->has_update && out->update.recheck_all;
    desk->dead_letter = out->dead_letter;
    if (out->has_update) desk->prev = out->update.prev;
    if (out->has_update) desk->place = out->update.place;
    for (size_t i = 0; i < desk->removed_count && i < 4; i++)
        snprintf(desk->removed[i], sizeof desk->removed[i], "%.*s", (int)out->update.removed[i].bytes, out->update.removed[i].at);
}

void desk_record(struct desk *desk, const char *text)
{
    struct owner_out out;
    struct state_reader reader = map_state_reader(&desk->state);
    struct owner_record record = {.offset = desk->next_offset++, .time_ms = desk->now_ms, .bytes = span_text(text)};
    enum err err = owner_step(desk->owner, &reader, &record, &out);
    assert(err == ERR_OK);
    note(desk, &out);
    map_state_apply(&desk->state, out.writes, out.writes_count);
}

void desk_namespace(struct desk *desk, const char *text)
{
    struct buf record;
    buf_init(&record, 131072);
    record_encode_namespace(span_text(text), &record);
    buf_add_char(&record, '\0');
    assert(buf_ok(&record));
    desk_record(desk, record.at);
    assert(!desk->dead_letter);
    buf_fini(&record);
}

void desk_push(struct desk *desk, const char *user, const char *device, uint64_t id, uint64_t after, uint64_t known,
               const char *space, const char *ops, const char *grant)
{
    struct buf record;
    struct record_push push = {
        .space = span_text(space), .user = span_text(user), .granted = access_role_parse(span_text(grant)),
        .has_device = device[0] != '\0', .device = span_text(device), .id = id, .after = after, .known = known,
        .gateway = SPAN_LITERAL("g1"), .session = 7, .ops = {.type = JSON_ARRAY, .raw = span_text(ops)}};
    buf_init(&record, TEXT_BYTES_MAX);
    record_encode_push(&push, &record);
    buf_add_char(&record, '\0');
    assert(buf_ok(&record));
    desk_record(desk, record.at);
    buf_fini(&record);
}

void desk_sweep(struct desk *desk)
{
    bool more = true;
    while (more) {
        struct owner_out out;
        struct state_reader reader = map_state_reader(&desk->state);
        enum err err = owner_sweep(desk->owner, &reader, &out, &more);
        assert(err == ERR_OK);
        map_state_apply(&desk->state, out.writes, out.writes_count);
    }
}

static void make_page(struct desk *desk, const char *user, const char *device, uint64_t known, const char *space, struct page_run run)
{
    struct state_reader reader = map_state_reader(&desk->state);
    struct page_waiter waiter = {.session = 1, .user = span_text(user), .device = span_text(device), .known = known};
    struct page_request request = {
        .space = span_text(space), .ns = namespace_find(owner_namespaces(desk->owner), name_namespace(span_text(space))),
        .log = SPAN_LITERAL("testlog"), .clock_ms = owner_clock_ms(desk->owner), .run = run, .waiters_count = 1, .waiters = &waiter};
    arena_reset(&desk->arena);
    enum err err = page_make(&request, &reader, &desk->arena, &desk->text, &desk->page);
    assert(err == ERR_OK);
    replace(&desk->docs, desk->page.docs);
}

void desk_page(struct desk *desk, const char *user, const char *device, uint64_t known, const char *space, int64_t place, uint64_t tail)
{
    struct page_run run = {.from_nothing = place < 0, .place = place < 0 ? 0 : (uint64_t)place, .tail = tail, .has_tail = tail > 0};
    make_page(desk, user, device, known, space, run);
}

void desk_page_next(struct desk *desk, const char *user, const char *device, uint64_t known, const char *space)
{
    make_page(desk, user, device, known, space, desk->page.next);
}

bool desk_page_has(const struct desk *desk, const char *text) { return strstr(desk->docs, text) != NULL; }
