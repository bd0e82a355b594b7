#include "tests/support/model_device.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/session.h"

void model_device_init(struct model_device *device, struct hub_rig *rig, size_t at, const char *user, const char *name, const char *const *spaces)
{
    *device = (struct model_device){.rig = rig, .at = at, .user = user, .device = name, .next_id = 1};
    for (size_t i = 0; i < MODEL_SPACES; i++) device->spaces[i].name = spaces[i];
}

/* ---- what it says ---- */

static void say(struct model_device *device, const char *text) { hub_message(device->conn->session, span_text(text), device->rig->now_ms); }

static uint64_t known_of(const struct model_space *space)
{
    uint64_t known = 0;
    for (size_t i = 0; i < space->pushes_count && space->pushes[i].outcome != MODEL_UNANSWERED; i++) known = space->pushes[i].id;
    return known;
}

static void send_push(struct model_device *device, struct model_space *space, size_t at)
{
    char text[512];
    snprintf(text, sizeof text, "{\"type\":\"push\",\"id\":%llu,\"after\":%llu,\"space\":\"%s\",\"known\":%llu,\"ops\":%s}",
             (unsigned long long)space->pushes[at].id, (unsigned long long)space->pushes[at].after, space->name,
             (unsigned long long)known_of(space), space->pushes[at].ops);
    say(device, text);
}

/* Everything unanswered past an id, in order. */
static void resend(struct model_device *device, struct model_space *space)
{
    space->resend = false;
    for (size_t i = 0; i < space->pushes_count; i++)
        if (space->pushes[i].outcome == MODEL_UNANSWERED) send_push(device, space, i);
}

/* After a close, and behind errors. What told an outcome may have been an update or page that it did not heed any more. */
static void resend_later(const struct model_device *device, struct model_space *space)
{
    if (space->resend) return;
    space->resend = true;
    space->resend_ms = device->rig->now_ms + SESSION_RETRY_MS;
}

void model_device_open(struct model_device *device, size_t at)
{
    struct model_space *space = &device->spaces[at];
    char text[512], since[160] = "null";
    space->wanted = true;
    space->live = space->in_run = false;
    space->ref = ++device->next_ref;
    if (space->cursor[0] != '\0') snprintf(since, sizeof since, "\"%s\"", space->cursor);
    if (device->conn == NULL) return;
    snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":%u,\"spaces\":[{\"space\":\"%s\",\"since\":%s,\"known\":%llu}]}", space->ref,
             space->name, since, (unsigned long long)known_of(space));
    say(device, text);
}

void model_device_close(struct model_device *device, size_t at)
{
    struct model_space *space = &device->spaces[at];
    char text[128];
    model_device_read(device);
    space->wanted = space->live = space->in_run = false;
    snprintf(text, sizeof text, "{\"type\":\"close\",\"space\":\"%s\"}", space->name);
    if (device->conn == NULL) return;
    say(device, text);
    resend_later(device, space);
}

void model_device_connect(struct model_device *device)
{
    char text[128];
    assert(device->conn == NULL);
    device->conn = hub_rig_raw(device->rig, device->at, device->user);
    snprintf(text, sizeof text, "{\"type\":\"hello\",\"protocol\":1,\"device\":\"%s\"}", device->device);
    say(device, text);
    for (size_t i = 0; i < MODEL_SPACES; i++) {
        if (device->spaces[i].wanted) model_device_open(device, i);
        resend(device, &device->spaces[i]);
    }
}

void model_device_disconnect(struct model_device *device)
{
    if (device->conn == NULL) return;
    model_device_read(device);
    hub_rig_close(device->rig, device->conn);
    device->conn = NULL;
    for (size_t i = 0; i < MODEL_SPACES; i++) device->spaces[i].live = device->spaces[i].in_run = false;
}

void model_device_push(struct model_device *device, size_t at, const char *ops, const char *adds)
{
    struct model_space *space = &device->spaces[at];
    assert(space->pushes_count < MODEL_PUSHES);
    struct model_push *push = &space->pushes[space->pushes_count++];
    *push = (struct model_push){.id = device->next_id++, .after = space->pushes_count > 1 ? space->pushes[space->pushes_count - 2].id : 0};
    snprintf(push->ops, sizeof push->ops, "%s", ops);
    snprintf(push->adds, sizeof push->adds, "%s", adds);
    if (device->conn != NULL && !space->resend) send_push(device, space, space->pushes_count - 1);
}

/* ---- what it hears ---- */

static struct model_doc *find_doc(struct model_space *space, const char *key)
{
    for (size_t i = 0; i < space->docs_count; i++)
        if (strcmp(space->docs[i].key, key) == 0) return &space->docs[i];
    return NULL;
}

static uint64_t number(struct json_value frame, const char *key)
{
    int64_t value = 0;
    bool there = json_integer(json_find(frame, key), &value);
    assert(there && value >= 0);
    return (uint64_t)value;
}

static void take_docs(struct model_space *space, struct json_value docs)
{
    struct json_iter iter = json_elements(docs);
    struct json_value doc;
    assert(docs.type == JSON_ARRAY);
    while (json_next_element(&iter, &doc)) {
        char key[64];
        struct span collection = json_inside(json_find(doc, "collection")), id = json_inside(json_find(doc, "id"));
        snprintf(key, sizeof key, "%.*s/%.*s", (int)collection.bytes, collection.at, (int)id.bytes, id.at);
        struct model_doc *mine = find_doc(space, key);
        if (mine == NULL) {
            assert(space->docs_count < MODEL_DOCS);
            mine = &space->docs[space->docs_count++];
            *mine = (struct model_doc){0};
            memcpy(mine->key, key, sizeof key);
        }
        uint64_t rev = number(doc, "rev");
        assert(rev >= mine->rev);
        *mine = (struct model_doc){.rev = rev, .deleted = json_find(doc, "deleted").type == JSON_TRUE, .named = true};
        memcpy(mine->key, key, sizeof key);
    }
}

/* log.hash.place[.floor] */
static void set_cursor(struct model_space *space, struct span text)
{
    assert(text.bytes > 0 && text.bytes < sizeof space->cursor);
    memcpy(space->cursor, text.at, text.bytes);
    space->cursor[text.bytes] = '\0';
    const char *at = strchr(space->cursor, '.');
    assert(at != NULL && (at = strchr(at + 1, '.')) != NULL);
    space->place = strtoull(at + 1, NULL, 10);
}

static bool is_cursor(const struct model_space *space, struct json_value value)
{
    if (value.type == JSON_NULL) return space->cursor[0] == '\0';
    return value.type == JSON_STRING && span_is(json_inside(value), space->cursor);
}

static void settle(struct model_space *space, struct model_push *push, bool applied)
{
    if (push->outcome != MODEL_UNANSWERED && !push->traceless) {
        assert(applied == (push->outcome == MODEL_APPLIED)); /* an outcome never changes */
        return;
    }
    push->outcome = applied ? MODEL_APPLIED : MODEL_REFUSED;
    push->traceless = false;
    /* It is in the log after all: a `gap` from before said otherwise. */
    for (size_t i = 0; i < space->pushes_count; i++) {
        if (space->pushes[i].outcome != MODEL_UNANSWERED || space->pushes[i].id < push->id) continue;
        if (space->pushes[i].after < push->id) space->pushes[i].after = push->id;
        break;
    }
    /* What an outcome says is there already, in a space that is open. */
    if (applied && push->adds[0] != '\0' && space->live && !space->in_run) assert(find_doc(space, push->adds) != NULL);
}

/* `pushed` and `refused` of a last page or of `current`. */
static void settle_pushed(struct model_space *space, uint64_t pushed, struct json_value refused)
{
    for (size_t i = 0; i < space->pushes_count && space->pushes[i].id <= pushed; i++) {
        struct json_iter iter = json_elements(refused);
        struct json_value one;
        bool applied = true;
        if (space->pushes[i].outcome != MODEL_UNANSWERED) continue; /* `refused` names only those past `known` */
        while (json_next_element(&iter, &one))
            if (number(one, "id") == space->pushes[i].id) applied = false;
        settle(space, &space->pushes[i], applied);
    }
}

static void hear_page(struct model_space *space, struct json_value frame, uint64_t *resets)
{
    struct json_value from = json_find(frame, "from");
    bool reset = json_find(frame, "reset").type == JSON_TRUE, more = json_find(frame, "more").type == JSON_TRUE;
    if (!space->live) {
        if (!space->wanted || number(frame, "ref") != space->ref) return; /* of an open that was replaced or closed */
        space->live = true;
    }
    assert(space->wanted && number(frame, "ref") == space->ref);
    if (from.type == JSON_NULL) {
        assert(reset);
        *resets += space->cursor[0] != '\0';
        for (size_t i = 0; i < space->docs_count; i++) space->docs[i].named = false;
    } else {
        assert(is_cursor(space, from));
    }
    take_docs(space, json_find(frame, "docs"));
    set_cursor(space, json_inside(json_find(frame, "to")));
    space->in_run = more;
    if (more) return;
    for (size_t i = 0; reset && i < space->docs_count; i++)
        if (!space->docs[i].named) space->docs[i--] = space->docs[--space->docs_count];
    space->purged = false;
    settle_pushed(space, number(frame, "pushed"), json_find(frame, "refused"));
}

static void hear_current(struct model_device *device, struct json_value frame)
{
    struct json_iter iter = json_elements(json_find(frame, "spaces"));
    struct json_value entry;
    while (json_next_element(&iter, &entry)) {
        for (size_t i = 0; i < MODEL_SPACES; i++) {
            struct model_space *space = &device->spaces[i];
            if (!json_string_is(json_find(entry, "space"), space->name) || number(frame, "ref") != space->ref || !space->wanted) continue;
            assert(!space->live && is_cursor(space, json_find(entry, "cursor")));
            space->live = true;
            settle_pushed(space, number(entry, "pushed"), (struct json_value){.type = JSON_NONE});
        }
    }
}

static struct model_push *push_of(struct model_space *space, uint64_t id)
{
    for (size_t i = 0; i < space->pushes_count; i++)
        if (space->pushes[i].id == id) return &space->pushes[i];
    return NULL;
}

static void hear_update(struct model_device *device, struct model_space *space, struct json_value frame)
{
    if (!space->live) return; /* of a subscription that was replaced or closed */
    assert(space->wanted && !space->in_run && !space->purged);
    assert(is_cursor(space, json_find(frame, "prev")));
    take_docs(space, json_find(frame, "docs"));
    set_cursor(space, json_inside(json_find(frame, "cursor")));
    if (!json_string_is(json_find(frame, "user"), device->user) || !json_string_is(json_find(frame, "device"), device->device)) return;
    struct model_push *push = push_of(space, number(frame, "push"));
    assert(push != NULL);
    settle(space, push, true);
}

static void hear_result(struct model_space *space, struct json_value frame)
{
    struct model_push *push = push_of(space, number(frame, "id"));
    assert(push != NULL);
    bool applied = json_string_is(json_find(frame, "status"), "applied");
    struct json_value cursor = json_find(frame, "cursor");
    if (space->live && cursor.type == JSON_STRING) {
        const char *at = memrchr(cursor.raw.at, '.', cursor.raw.bytes);
        assert(at != NULL && !space->in_run && strtoull(at + 1, NULL, 10) <= space->place);
    }
    settle(space, push, applied);
    push->traceless = push->outcome == MODEL_REFUSED && cursor.type == JSON_NONE && json_string_is(json_find(frame, "code"), "forbidden");
    space->was_stranger = space->was_stranger || push->traceless;
}

static void hear_error(struct model_device *device, struct model_space *space, struct json_value frame)
{
    struct json_value code = json_find(frame, "code");
    bool gap = json_string_is(code, "gap"), forked = json_string_is(code, "forked");
    assert(gap || json_string_is(code, "busy") || json_string_is(code, "too_many") || (forked && space->was_stranger));
    /* The log has another last push than `after` says: the first of what is unanswered goes behind that. */
    for (size_t i = 0; (gap || forked) && i < space->pushes_count; i++) {
        if (space->pushes[i].outcome != MODEL_UNANSWERED || space->pushes[i].id <= number(frame, "after")) continue;
        space->pushes[i].after = number(frame, "after");
        break;
    }
    resend_later(device, space);
}

static void hear(struct model_device *device, struct json_value frame)
{
    struct json_value type = json_find(frame, "type"), name = json_find(frame, "space");
    struct model_space *space = NULL;
    device->frames++;
    for (size_t i = 0; i < MODEL_SPACES; i++)
        if (json_string_is(name, device->spaces[i].name)) space = &device->spaces[i];
    if (json_string_is(type, "current")) hear_current(device, frame);
    if (space == NULL) return;
    if (json_string_is(type, "page")) {
        hear_page(space, frame, &device->resets);
    } else if (json_string_is(type, "update")) {
        hear_update(device, space, frame);
    } else if (json_string_is(type, "result")) {
        hear_result(space, frame);
    } else if (json_string_is(type, "error")) {
        hear_error(device, space, frame);
    } else if (json_string_is(type, "closed")) {
        if (json_find(frame, "ref").type != JSON_NONE && number(frame, "ref") != space->ref) return;
        assert(json_string_is(json_find(frame, "code"), "forbidden") && json_find(frame, "purge").type == JSON_TRUE);
        space->wanted = space->live = space->in_run = false;
        space->purged = true;
        space->docs_count = 0;
        space->cursor[0] = '\0';
        space->place = 0;
        resend_later(device, space);
    }
}

void model_device_read(struct model_device *device)
{
    struct rig_conn *conn = device->conn;
    if (conn == NULL) return;
    while (conn->looked < conn->text_bytes) {
        const char *at = conn->text + conn->looked, *end = memchr(at, '\n', conn->text_bytes - conn->looked);
        struct json_value frame;
        assert(end != NULL);
        bool strict = json_check(span_of(at, (size_t)(end - at)), &frame, NULL);
        assert(strict);
        hear(device, frame);
        conn->looked = (size_t)(end - conn->text) + 1;
    }
    conn->text_bytes = conn->looked = 0;
    for (size_t i = 0; i < MODEL_SPACES; i++)
        if (device->spaces[i].resend && device->rig->now_ms >= device->spaces[i].resend_ms) resend(device, &device->spaces[i]);
}

bool model_device_is_idle(const struct model_device *device)
{
    for (size_t i = 0; i < MODEL_SPACES; i++) {
        const struct model_space *space = &device->spaces[i];
        if (space->in_run || (space->wanted && !space->live)) return false;
        for (size_t k = 0; k < space->pushes_count; k++)
            if (space->pushes[k].outcome == MODEL_UNANSWERED) return false;
    }
    return true;
}
