/* A hostile device, and owners at their worst: a script of lines drives a hub among fakes. It never crashes, says only strict
 * JSON, and leaves nothing behind.
 *
 * FORMAT  a line each; its first byte says what happens, the second (where a connection is meant) which:
 *   o connect with a hello · m message (`|` stands for a line end) · d disconnect · f its socket is full · w it drains
 *   a ack · A failed ack · r the result of the last append · R the same with an update · g an error for it
 *   p a page for the oldest pull · P one of more · c closed instead · e busy instead · b the body of a question
 *   u an update · l one too long for the link · k one that removes ana · h a head · s presence for all · n a signal
 *   t time · D, U the link · S POST sync · B POST push · G GET · x drain */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "tests/support/hub_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MAX = 400, HTTP_MAX = 64 };

static const char *const users[4] = {"ana", "bob", "ana", "carl"};
static const char *const devices[4] = {"device-01", "device-02", "device-03", "device-01"};

struct script {
    struct hub_rig *rig;
    uint64_t place;
    bool down, drained;
    unsigned calls;
};

static void check_frames(struct rig_conn *conn)
{
    struct json_value value;
    for (; conn->looked < conn->text_bytes;) {
        const char *at = conn->text + conn->looked, *end = memchr(at, '\n', conn->text_bytes - conn->looked);
        assert(end != NULL);
        bool strict = json_check(span_of(at, (size_t)(end - at)), &value, NULL);
        assert(strict && value.type == JSON_OBJECT);
        conn->looked = (size_t)(end - conn->text) + 1;
    }
}

static void message(struct script *s, struct rig_conn *conn, struct span text)
{
    char *copy = malloc(text.bytes + 1); /* of its own length: a read past its end is seen */
    assert(copy != NULL);
    if (text.bytes > 0) memcpy(copy, text.at, text.bytes);
    for (size_t i = 0; i < text.bytes; i++)
        if (copy[i] == '|') copy[i] = '\n';
    if (conn->session != NULL && conn->close_code == 0) hub_message(conn->session, span_of(copy, text.bytes), s->rig->now_ms);
    free(copy);
}

static void one_connection(struct script *s, char what, size_t at, struct span text)
{
    struct rig_conn *conn = &s->rig->conns[at];
    char hello[128];
    switch (what) {
    case 'o':
        if (conn->session != NULL || s->drained) break;
        (void)hub_rig_raw(s->rig, at, users[at]);
        snprintf(hello, sizeof hello, "{\"type\":\"hello\",\"protocol\":1,\"device\":\"%s\"}", devices[at]);
        message(s, conn, span_text(hello));
        conn->number = s->rig->holder;
        break;
    case 'm': message(s, conn, text); break;
    case 'f': conn->full = true; break;
    case 'd':
        if (conn->session != NULL) hub_rig_close(s->rig, conn);
        break;
    default: /* w */
        conn->full = false;
        if (conn->session != NULL) hub_writable(conn->session);
        break;
    }
}

static void answer_last(struct script *s, char what)
{
    struct hub_rig *rig = s->rig;
    struct json_value record;
    int64_t session, id = 0;
    if (rig->appends_count == 0) return;
    bool strict = json_check(blob_span(rig->appends[rig->appends_count - 1].record), &record, NULL);
    assert(strict);
    bool has_session = json_integer(json_find(record, "session"), &session);
    assert(has_session);
    (void)json_integer(json_find(record, "id"), &id);
    char frame[128];
    snprintf(frame, sizeof frame, "{\"type\":\"%s\",\"id\":%lld}", what == 'g' ? "error" : "result", (long long)id);
    struct link_tell tell = {.kind = LINK_ANSWER, .space = json_inside(json_find(record, "space")), .user = json_inside(json_find(record, "user")),
                             .device = json_inside(json_find(record, "device")), .session = (uint64_t)session, .id = (uint64_t)id,
                             .place = s->place, .with_update = what == 'R', .is_error = what == 'g', .frame = blob_make(span_text(frame))};
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
}

static void answer_pull(struct script *s, char what)
{
    const struct rig_ask *ask = hub_rig_ask(s->rig, LINK_PULL);
    struct page_part part = {.role = ROLE_NONE, .refused = SPAN_LITERAL("[]")};
    struct page page = {.docs = SPAN_LITERAL("[]"), .sum = SPAN_LITERAL("{}"), .parts_count = 1, .parts = &part};
    struct link_tell busy = {.kind = LINK_PAGE, .err = ERR_BUSY};
    if (ask == NULL) return;
    uint64_t to = s->place > ask->ask.run.place ? s->place : ask->ask.run.place;
    if (what == 'e') {
        busy.tag = ask->ask.tag;
        s->rig->link.told(s->rig->link.ctx, &busy);
    } else if (what == 'c' && ask->ask.waiters_count == 1) {
        hub_rig_page_of(s->rig, ask, &page);
    } else {
        hub_rig_page(s->rig, ask, to, to % 2 == 0 ? "[]" : "[{\"collection\":\"c\",\"id\":\"i\"}]", 1, what == 'P');
    }
}

static void answer_body(struct script *s)
{
    static const enum link_ask_kind kinds[] = {LINK_HISTORY, LINK_CONFLICTS, LINK_WHO};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct rig_ask *ask = hub_rig_ask(s->rig, kinds[i]);
        if (ask == NULL) continue;
        struct link_tell tell = {.kind = LINK_BODY, .space = ask->ask.space, .tag = ask->ask.tag, .frame = blob_make(SPAN_LITERAL("[]"))};
        s->rig->link.told(s->rig->link.ctx, &tell);
        blob_put(tell.frame);
    }
}

static void tell_update(struct script *s, char what)
{
    struct span ana = SPAN_LITERAL("ana");
    uint64_t prev = s->place;
    s->place += what == 'h' ? 2 : 1;
    struct link_tell tell = {.kind = LINK_UPDATE, .space = SPAN_LITERAL("chat:a"), .prev = prev, .place = s->place, .rev = s->place,
                             .removed_count = what == 'k', .removed = &ana};
    if (what == 'h') tell.kind = LINK_HEAD;
    else if (what != 'l') tell.frame = blob_make(SPAN_LITERAL("{\"type\":\"update\"}"));
    s->rig->link.told(s->rig->link.ctx, &tell);
    blob_put(tell.frame);
}

static void tell_all(struct script *s, char what)
{
    struct link_tell tell = {.kind = what == 's' ? LINK_PRESENCE_FRAME : LINK_SIGNAL_FRAME, .space = SPAN_LITERAL("chat:a"),
                             .frame = blob_make(SPAN_LITERAL("{\"type\":\"presence\"}"))};
    s->rig->link.told(s->rig->link.ctx, &tell);
    for (size_t i = 0; what == 's' && i < 4; i++) {
        tell.session = s->rig->conns[i].number;
        if (tell.session != 0) s->rig->link.told(s->rig->link.ctx, &tell);
    }
    blob_put(tell.frame);
}

static void call(struct script *s, char what, struct span text)
{
    char *rest = malloc(text.bytes + 8);
    assert(rest != NULL);
    if (s->calls++ < HTTP_MAX) {
        snprintf(rest, text.bytes + 8, "%s%.*s", what == 'G' ? "GET " : "", (int)text.bytes, text.at);
        if (what == 'G') {
            char *query = strchr(rest, '?');
            if (query != NULL) *query++ = '\0';
            hub_rig_http(s->rig, rest, query == NULL ? "" : query, "ana", "");
        } else {
            hub_rig_http(s->rig, what == 'S' ? "POST sync" : "POST spaces/chat:a/push", "", "ana", rest);
        }
    }
    free(rest);
}

static void set_link(struct script *s, bool down)
{
    if (s->down == down) return;
    s->down = down;
    s->rig->send_err = down ? ERR_BUSY : ERR_OK;
    if (down) s->rig->link.down(s->rig->link.ctx, 0);
    else s->rig->link.up(s->rig->link.ctx, 0);
}

static void act(struct script *s, char what, struct span text)
{
    size_t at = text.bytes > 0 ? (size_t)(unsigned char)text.at[0] % 4 : 0;
    struct span rest = text.bytes > 0 ? span_of(text.at + 1, text.bytes - 1) : text;
    switch (what) {
    case 'o': case 'm': case 'd': case 'f': case 'w': one_connection(s, what, at, rest); break;
    case 'a': case 'A':
        if (s->rig->acked_count < s->rig->appends_count) hub_rig_ack(s->rig, what == 'a' ? ERR_OK : ERR_BUSY);
        break;
    case 'r': case 'R': case 'g': answer_last(s, what); break;
    case 'p': case 'P': case 'c': case 'e': answer_pull(s, what); break;
    case 'b': answer_body(s); break;
    case 'u': case 'l': case 'k': case 'h': tell_update(s, what); break;
    case 's': case 'n': tell_all(s, what); break;
    case 't': hub_rig_pass(s->rig, 1000 + (int64_t)at * 5000); break;
    case 'D': case 'U': set_link(s, what == 'D'); break;
    case 'S': case 'B': case 'G': call(s, what, text); break;
    case 'x':
        s->drained = true;
        hub_drain(s->rig->hub, s->rig->now_ms);
        break;
    default: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hub_rig rig;
    struct script script = {.rig = &rig, .place = 1};
    const char *at = (const char *)data, *end = at + size;
    hub_rig_init(&rig);
    for (unsigned lines = 0; at < end && lines < LINES_MAX; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at)), *stop = newline == NULL ? end : newline;
        if (stop > at) act(&script, *at, span_of(at + 1, (size_t)(stop - at) - 1));
        if (lines % 3 != 0) hub_rig_turn(&rig); /* some turns hold more than one event */
        at = stop + 1;
    }
    hub_rig_turn(&rig);
    for (size_t i = 0; i < 4; i++) check_frames(&rig.conns[i]);
    hub_rig_fini(&rig);
    return 0;
}
