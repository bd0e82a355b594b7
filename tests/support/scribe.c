#include "tests/support/scribe.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/state_key.h"
#include "tests/support/rig.h"

const char *scribe_space(unsigned i)
{
    static const char *const names[SCRIBE_SPACES] = {"chat:a", "chat:ab", "notes:b"};
    return names[i];
}

static size_t make_key(struct scribe *s, enum state_table table, uint64_t sid, char at[64])
{
    if (table == STATE_SPACE) return (size_t)snprintf(at, 64, "%s", scribe_space((unsigned)sid - 1));
    if (table == STATE_META) return (size_t)snprintf(at, 64, "key%llu", (unsigned long long)(rig_random(&s->seed) % 5));
    for (int i = 0; i < 8; i++) at[i] = (char)(i == 7 ? sid : 0);
    return 8 + (size_t)snprintf(at + 8, 56, "%llu", (unsigned long long)(rig_random(&s->seed) % 40));
}

void scribe_step(struct scribe *s)
{
    s->count = 1 + (size_t)(rig_random(&s->seed) % SCRIBE_WRITES_MAX);
    for (size_t i = 0; i < s->count; i++) {
        enum state_table table = (enum state_table)(rig_random(&s->seed) % STATE_TABLES);
        uint64_t sid = 1 + rig_random(&s->seed) % SCRIBE_SPACES;
        bool remove = rig_random(&s->seed) % 3 == 0;
        size_t key_bytes = make_key(s, table, sid, s->keys[i]);
        size_t value_bytes = (size_t)snprintf(s->values[i], sizeof s->values[i], "%llu", (unsigned long long)rig_random(&s->seed));
        if (rig_random(&s->seed) % 8 == 0) value_bytes = 0;
        s->writes[i] = (struct state_write){.table = table, .remove = remove, .key = span_of(s->keys[i], key_bytes),
                                            .value = remove ? span_of(NULL, 0) : span_of(s->values[i], value_bytes)};
    }
    map_state_apply(&s->model, s->writes, s->count);
    s->next_offset++;
}

void scribe_fini(struct scribe *s) { map_state_fini(&s->model); }

static void same(struct span a, struct span b)
{
    assert((a.at == NULL) == (b.at == NULL));
    assert(span_equal(a, b));
}

/* One seek in both; returns whether there was an entry, and leaves its key as the next place. */
static bool seek_both(const struct state_reader *reader, const struct state_reader *model, enum state_table table, bool down,
                      uint64_t sid, struct span at, char room[64], struct span *ret_next)
{
    struct span key, value, model_key, model_value;
    enum err err = reader->seek(reader->ctx, table, at, down, &key, &value);
    assert(err == ERR_OK);
    err = model->seek(model->ctx, table, at, down, &model_key, &model_value);
    assert(err == ERR_OK);
    bool beyond = model_key.at == NULL || (sid != 0 && state_key_sid(model_key) != sid);
    if (beyond) {
        assert(key.at == NULL || sid == 0 || state_key_sid(key) != sid);
        if (sid == 0) same(key, model_key);
        return false;
    }
    same(key, model_key);
    same(value, model_value);
    err = reader->get(reader->ctx, table, key, &value);
    assert(err == ERR_OK);
    same(value, model_value);
    memcpy(room, key.at, key.bytes);
    room[key.bytes] = 0;
    *ret_next = span_of(room, down ? key.bytes : key.bytes + 1);
    return true;
}

static void compare_table(const struct state_reader *reader, const struct state_reader *model, enum state_table table, uint64_t sid)
{
    char room[64] = {0}, beyond[8];
    room[7] = (char)sid;
    struct span at = span_of(room, sid == 0 ? 0 : 8);
    while (seek_both(reader, model, table, false, sid, at, room, &at)) continue;
    memset(beyond, 0, sizeof beyond);
    beyond[7] = (char)(sid + 1);
    if (sid == 0) memset(beyond, 0x7f, sizeof beyond);
    at = span_of(beyond, 8);
    while (seek_both(reader, model, table, true, sid, at, room, &at)) continue;
}

void scribe_compare(const struct state_reader *reader, struct map_state *model_state, uint64_t sid)
{
    struct state_reader model = map_state_reader(model_state);
    for (int table = 0; table < STATE_TABLES; table++) {
        bool of_space = table != STATE_SPACE && table != STATE_META && table != STATE_DUE;
        if (sid == 0 || of_space) compare_table(reader, &model, (enum state_table)table, sid);
    }
    for (unsigned i = 0; i < SCRIBE_SPACES; i++) {
        struct span value, expected, name = span_text(scribe_space(i));
        if (sid != 0 && sid != i + 1) continue;
        enum err err = reader->get(reader->ctx, STATE_SPACE, name, &value);
        assert(err == ERR_OK);
        err = model.get(model.ctx, STATE_SPACE, name, &expected);
        assert(err == ERR_OK);
        same(value, expected);
    }
}
