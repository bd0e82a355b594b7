#include "tests/support/hub_rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cursor.h"

/* ---- the edge ---- */

static bool send_message(void *at, struct blob *message)
{
    struct rig_conn *conn = at;
    char *text = realloc(conn->text, conn->text_bytes + message->bytes + 1);
    assert(text != NULL && conn->close_code == 0);
    conn->text = text;
    memcpy(conn->text + conn->text_bytes, message->text, message->bytes);
    conn->text_bytes += message->bytes;
    conn->text[conn->text_bytes++] = '\n';
    conn->messages++;
    return !conn->full;
}

static void close_conn(void *at, unsigned code, const char *reason)
{
    struct rig_conn *conn = at;
    assert(conn->close_code == 0 && reason != NULL);
    conn->close_code = code;
}

static void ping_conn(void *at) { ((struct rig_conn *)at)->pings++; }

static const struct hub_edge_ops edge_ops = {.send = send_message, .close = close_conn, .ping = ping_conn};

/* ---- the link ---- */

static struct span keep(char **at, struct span span)
{
    struct span kept = span_of(*at, span.bytes);
    if (span.bytes > 0) memcpy(*at, span.at, span.bytes);
    *at += span.bytes;
    return kept;
}

static enum err send_ask(struct link_gateway *link, const struct link_ask *ask)
{
    struct hub_rig *rig = (struct hub_rig *)((char *)link - offsetof(struct hub_rig, link));
    size_t bytes = ask->space.bytes + ask->collection.bytes + ask->user.bytes + ask->device.bytes + ask->meta.bytes + 1;
    if (rig->send_err != ERR_OK || rig->asks_count == RIG_ASKS_MAX) return ERR_BUSY;
    assert(ask->waiters_count <= RIG_WAITERS);
    for (size_t i = 0; i < ask->waiters_count; i++) bytes += ask->waiters[i].user.bytes + ask->waiters[i].device.bytes;
    struct rig_ask *kept = malloc(sizeof *kept);
    assert(kept != NULL);
    *kept = (struct rig_ask){.ask = *ask, .waiters = calloc(ask->waiters_count + 1, sizeof *kept->waiters), .room = malloc(bytes)};
    char *at = kept->room;
    assert(at != NULL && kept->waiters != NULL);
    rig->asks[rig->asks_count++] = kept;
    kept->ask.space = keep(&at, ask->space);
    kept->ask.collection = keep(&at, ask->collection);
    kept->ask.user = keep(&at, ask->user);
    kept->ask.device = keep(&at, ask->device);
    kept->ask.meta = keep(&at, ask->meta);
    for (size_t i = 0; i < ask->waiters_count; i++) {
        kept->waiters[i] = ask->waiters[i];
        kept->waiters[i].user = keep(&at, ask->waiters[i].user);
        kept->waiters[i].device = keep(&at, ask->waiters[i].device);
    }
    kept->ask.waiters = kept->waiters;
    if (ask->record != NULL) blob_take(ask->record);
    if (ask->frame != NULL) blob_take(ask->frame);
    return ERR_OK;
}

static const struct link_gateway_ops link_ops = {.send = send_ask};

/* ---- the log ---- */

static enum err append(struct log_writer *writer, uint32_t partition, struct blob *record, uint64_t tag)
{
    struct hub_rig *rig = (struct hub_rig *)((char *)writer - offsetof(struct hub_rig, writer));
    if (rig->append_err != ERR_OK || rig->appends_count == RIG_APPENDS) return ERR_BUSY;
    assert(partition < RIG_PARTITIONS);
    rig->appends[rig->appends_count++] = (struct rig_append){.record = blob_take(record), .tag = tag, .partition = partition};
    return ERR_OK;
}

static const struct log_writer_ops writer_ops = {.append = append};

/* ---- the registry ---- */

static struct hub_rig *of_registry(struct registry *r) { return (struct hub_rig *)((char *)r - offsetof(struct hub_rig, registry)); }

static void set_presence(struct registry *r, struct span user, struct span device, uint64_t session, enum presence_state state, int64_t now_ms)
{
    assert(user.bytes > 0 && device.bytes > 0 && session > 0 && now_ms == of_registry(r)->now_ms);
    of_registry(r)->state = state;
}

static void get_user(struct registry *r, struct span user, void *ctx, void (*told)(void *ctx, enum err err, const struct registry_user *user))
{
    struct registry_user found = {.state = of_registry(r)->state, .last_seen_ms = 7};
    assert(user.bytes > 0);
    told(ctx, ERR_OK, &found);
}

static void claim_device(struct registry *r, struct span user, struct span device, uint64_t session)
{
    struct hub_rig *rig = of_registry(r);
    char holds[256];
    snprintf(holds, sizeof holds, "%.*s/%.*s", (int)user.bytes, user.at, (int)device.bytes, device.at);
    uint64_t older = rig->holder;
    rig->holder = session;
    if (strcmp(holds, rig->holds) == 0 && older != 0) r->displaced(r->ctx, older);
    memcpy(rig->holds, holds, sizeof holds);
}

static void release_device(struct registry *r, struct span user, struct span device, uint64_t session)
{
    assert(user.bytes > 0 && device.bytes > 0);
    if (of_registry(r)->holder == session) of_registry(r)->holder = 0;
}

static void put_offset(struct registry *r, struct span user, struct span device, struct span space, uint64_t place, struct span cursor, int64_t now_ms)
{
    struct hub_rig *rig = of_registry(r);
    assert(now_ms == rig->now_ms);
    snprintf(rig->offset, sizeof rig->offset, "%.*s/%.*s %.*s %llu %.*s", (int)user.bytes, user.at, (int)device.bytes, device.at,
             (int)space.bytes, space.at, (unsigned long long)place, (int)cursor.bytes, cursor.at);
}

static void get_offsets(struct registry *r, struct span user, struct span device, void *ctx,
                        void (*told)(void *ctx, enum err err, const struct registry_offset *offsets, size_t count))
{
    struct registry_offset offset = {.space = SPAN_LITERAL("chat:a"), .cursor = SPAN_LITERAL("c")};
    assert(of_registry(r) != NULL && user.bytes > 0 && device.bytes > 0);
    told(ctx, ERR_OK, &offset, 1);
}

static void forget(struct registry *r, void *ctx)
{
    (void)r;
    (void)ctx;
}

static const struct registry_ops registry_ops = {.forget = forget, .set_presence = set_presence, .get_user = get_user, .claim_device = claim_device,
    .release_device = release_device, .put_offset = put_offset, .get_offsets = get_offsets};

/* ---- tokens ---- */

static void credentials_of(const struct hub_rig *rig, const char *user, struct hub_credentials *ret)
{
    *ret = (struct hub_credentials){.user_bytes = strlen(user), .expires_ms = rig->token_ms > 0 ? rig->now_ms + rig->token_ms : rig->expires_ms, .admin = rig->admin};
    assert(ret->user_bytes < sizeof ret->user);
    memcpy(ret->user, user, ret->user_bytes);
}

static enum err verify(void *ctx, struct span token, struct hub_credentials *ret_credentials)
{
    struct hub_rig *rig = ctx;
    char user[129] = "";
    if (span_is(token, "bad") || token.bytes >= sizeof user) return ERR_UNAUTHENTICATED;
    memcpy(user, token.at, token.bytes);
    credentials_of(rig, rig->verified[0] != '\0' ? rig->verified : user, ret_credentials);
    return ERR_OK;
}

/* ---- opening and closing ---- */

static void tell_rules(struct hub_rig *rig, const char *name, bool presence)
{
    struct link_tell tell = {.kind = LINK_RULES, .space = span_text(name), .version = 1, .presence = presence};
    rig->link.told(rig->link.ctx, &tell);
}

void hub_rig_init(struct hub_rig *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->now_ms = 1000000;
    rig->expires_ms = INT64_MAX;
    rig->asks = calloc(RIG_ASKS_MAX, sizeof *rig->asks);
    rig->appends = calloc(RIG_APPENDS, sizeof *rig->appends);
    assert(rig->asks != NULL && rig->appends != NULL);
    rig->writer = (struct log_writer){.ops = &writer_ops, .partitions = RIG_PARTITIONS, .name = "testlog"};
    rig->link.ops = &link_ops;
    rig->registry.ops = &registry_ops;
    struct hub_options options = {.edge = &edge_ops, .writer = &rig->writer, .link = &rig->link, .registry = &rig->registry,
                                  .name = "g1", .heartbeat_ms = 25000, .verify_ctx = rig, .verify = verify};
    enum err err = hub_open(&options, &rig->hub);
    assert(err == ERR_OK);
    for (uint32_t i = 0; i < RIG_PARTITIONS; i++) rig->link.up(rig->link.ctx, i);
    tell_rules(rig, "chat", true);
    tell_rules(rig, "cart", false);
    tell_rules(rig, "notes", false);
    tell_rules(rig, "workouts", false);
}

void hub_rig_init_on(struct hub_rig *rig, const char *name, struct log_writer *writer, struct link_gateway *link, struct registry *registry)
{
    memset(rig, 0, sizeof *rig);
    rig->expires_ms = INT64_MAX;
    struct hub_options options = {.edge = &edge_ops, .writer = writer, .link = link, .registry = registry, .name = name, .heartbeat_ms = 25000,
                                  .verify_ctx = rig, .verify = verify};
    enum err err = hub_open(&options, &rig->hub);
    assert(err == ERR_OK);
}

void hub_rig_fini(struct hub_rig *rig)
{
    for (size_t i = 0; i < RIG_CONNS; i++) {
        if (rig->conns[i].session != NULL) hub_rig_close(rig, &rig->conns[i]);
        free(rig->conns[i].text);
    }
    hub_close(rig->hub);
    for (size_t i = 0; i < rig->asks_count; i++) {
        blob_put(rig->asks[i]->ask.record);
        blob_put(rig->asks[i]->ask.frame);
        free(rig->asks[i]->waiters);
        free(rig->asks[i]->room);
        free(rig->asks[i]);
    }
    free(rig->asks);
    for (size_t i = 0; i < rig->appends_count; i++) blob_put(rig->appends[i].record);
    free(rig->appends);
}

/* As the edge: turns only while the hub says that there is work; a hub that has work for ever is a bug. */
void hub_rig_turn(struct hub_rig *rig)
{
    for (int i = 0; hub_has_work(rig->hub); i++) {
        assert(i < 100);
        hub_turn_end(rig->hub, rig->now_ms);
    }
}

void hub_rig_pass(struct hub_rig *rig, int64_t ms)
{
    for (int64_t end_ms = rig->now_ms + ms; rig->now_ms < end_ms;) {
        rig->now_ms = rig->now_ms + 250 < end_ms ? rig->now_ms + 250 : end_ms;
        hub_tick(rig->hub, rig->now_ms);
        hub_rig_turn(rig);
    }
}

/* ---- connections ---- */

struct rig_conn *hub_rig_raw(struct hub_rig *rig, size_t at, const char *user)
{
    struct rig_conn *conn = &rig->conns[at];
    struct hub_credentials credentials;
    assert(conn->session == NULL);
    free(conn->text);
    memset(conn, 0, sizeof *conn);
    if (user != NULL) credentials_of(rig, user, &credentials);
    conn->session = hub_connected(rig->hub, conn, user == NULL ? NULL : &credentials, rig->now_ms);
    return conn;
}

struct rig_conn *hub_rig_connect(struct hub_rig *rig, size_t at, const char *user, const char *device)
{
    struct rig_conn *conn = hub_rig_raw(rig, at, user);
    char text[256];
    snprintf(text, sizeof text, "{\"type\":\"hello\",\"protocol\":1,\"device\":\"%s\"}", device);
    hub_rig_say(rig, conn, text);
    const char *welcome = hub_rig_next(conn);
    assert(strncmp(welcome, "{\"type\":\"welcome\",\"session\":\"g1-", 32) == 0);
    conn->number = strtoull(welcome + 32, NULL, 10);
    return conn;
}

void hub_rig_close(struct hub_rig *rig, struct rig_conn *conn)
{
    hub_disconnected(conn->session, rig->now_ms);
    conn->session = NULL;
}

void hub_rig_say(struct hub_rig *rig, struct rig_conn *conn, const char *text)
{
    hub_message(conn->session, span_text(text), rig->now_ms);
    hub_rig_turn(rig);
}

void hub_rig_drain(struct hub_rig *rig, struct rig_conn *conn)
{
    hub_writable(conn->session);
    hub_rig_turn(rig);
}

const char *hub_rig_next(struct rig_conn *conn)
{
    const char *at = conn->text + conn->looked;
    size_t rest = conn->text_bytes - conn->looked;
    const char *end = rest == 0 ? NULL : memchr(at, '\n', rest);
    size_t bytes = end == NULL ? 0 : (size_t)(end - at);
    if (bytes >= sizeof conn->line) { /* a long one: its beginning */
        memcpy(conn->line, at, sizeof conn->line - 1);
        conn->line[sizeof conn->line - 1] = '\0';
    } else {
        if (bytes > 0) memcpy(conn->line, at, bytes);
        conn->line[bytes] = '\0';
    }
    conn->looked += end == NULL ? 0 : bytes + 1;
    return conn->line;
}

bool hub_rig_says(struct rig_conn *conn, const char *space, const char *expected)
{
    char text[8192], cursor[HUB_RIG_CURSOR_BYTES], *end;
    size_t at = 0;
    while (*expected != '\0') {
        assert(at < sizeof text - HUB_RIG_CURSOR_BYTES);
        if (strncmp(expected, "%C", 2) != 0) {
            text[at++] = *expected++;
            continue;
        }
        hub_rig_cursor(space, strtoull(expected + 2, &end, 10), cursor);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", cursor);
        expected += end - expected;
    }
    text[at] = '\0';
    const char *said = hub_rig_next(conn);
    if (strcmp(said, text) != 0) fprintf(stderr, "said     %s\nexpected %s\n", said, text);
    return strcmp(said, text) == 0;
}

/* ---- the owner's part ---- */

const struct rig_ask *hub_rig_ask(struct hub_rig *rig, enum link_ask_kind kind)
{
    for (size_t i = 0; i < rig->asks_count; i++) {
        struct rig_ask *ask = rig->asks[i];
        if (ask->taken || ask->ask.kind != kind) continue;
        ask->taken = true;
        return ask;
    }
    return NULL;
}

void hub_rig_head(struct hub_rig *rig, const char *space, uint64_t place)
{
    struct link_tell tell = {.kind = LINK_HEAD, .space = span_text(space), .place = place};
    rig->link.told(rig->link.ctx, &tell);
}

void hub_rig_update(struct hub_rig *rig, const char *space, uint64_t prev, uint64_t place, const char *frame)
{
    struct link_tell tell = {.kind = LINK_UPDATE, .space = span_text(space), .prev = prev, .place = place, .rev = place,
                             .frame = frame == NULL ? NULL : blob_make(span_text(frame))};
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
}

void hub_rig_page_of(struct hub_rig *rig, const struct rig_ask *ask, const struct page *page)
{
    struct link_tell tell = {.kind = LINK_PAGE, .space = ask->ask.space, .tag = ask->ask.tag, .page = page};
    rig->link.told(rig->link.ctx, &tell);
}

void hub_rig_page(struct hub_rig *rig, const struct rig_ask *ask, uint64_t to, const char *docs, uint64_t pushed, bool more)
{
    struct page_part parts[RIG_WAITERS];
    const struct page_run *run = &ask->ask.run;
    bool reset = run->from_nothing || run->has_floor;
    struct page page = {.reset = reset, .from_null = run->from_nothing, .from = run->place, .from_has_floor = run->has_floor,
                        .from_floor = run->floor, .to = to, .to_has_floor = reset && more, .to_floor = to, .more = more, .head = to,
                        .docs_count = strcmp(docs, "[]") != 0, .docs = span_text(docs), .sum = SPAN_LITERAL("{}"), .window_s = 60,
                        .parts_count = ask->ask.waiters_count, .parts = parts};
    page.next = *run;
    page.next.place = to;
    page.next.from_nothing = false;
    page.next.has_floor = reset;
    page.next.floor = to;
    page.next.started = true;
    for (size_t i = 0; i < ask->ask.waiters_count; i++)
        parts[i] = (struct page_part){.session = ask->waiters[i].session, .role = ROLE_WRITER, .pushed = pushed, .refused = SPAN_LITERAL("[]")};
    hub_rig_page_of(rig, ask, &page);
}

void hub_rig_answer(struct hub_rig *rig, const struct rig_conn *conn, const char *user, const char *device, const char *space,
                    uint64_t id, uint64_t place, bool with_update, bool is_error, const char *frame)
{
    struct link_tell tell = {.kind = LINK_ANSWER, .space = span_text(space), .user = span_text(user), .device = span_text(device),
                             .session = conn->number, .id = id, .place = place, .with_update = with_update,
                             .is_error = is_error, .frame = blob_make(span_text(frame))};
    rig->link.told(rig->link.ctx, &tell);
    blob_put(tell.frame);
}

void hub_rig_cursor(const char *space, uint64_t place, char ret_text[HUB_RIG_CURSOR_BYTES])
{
    struct buf buf;
    struct cursor cursor = {.place = place};
    buf_init(&buf, HUB_RIG_CURSOR_BYTES);
    cursor_encode(&buf, SPAN_LITERAL("testlog"), span_text(space), &cursor);
    buf_add_char(&buf, '\0');
    assert(buf_ok(&buf));
    memcpy(ret_text, buf.at, buf.bytes);
    buf_fini(&buf);
}

void hub_rig_open(struct hub_rig *rig, struct rig_conn *conn, const char *space, uint64_t place)
{
    char text[512], cursor[HUB_RIG_CURSOR_BYTES];
    hub_rig_cursor(space, place, cursor);
    snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"%s\",\"since\":\"%s\"}]}", space, cursor);
    hub_rig_say(rig, conn, text);
    const struct rig_ask *ask = hub_rig_ask(rig, LINK_PULL);
    assert(ask != NULL);
    hub_rig_page(rig, ask, place, "[]", 0, false);
    hub_rig_turn(rig);
    const char *current = hub_rig_next(conn);
    assert(strncmp(current, "{\"type\":\"current\"", 17) == 0);
}

void hub_rig_ack(struct hub_rig *rig, enum err err)
{
    assert(rig->acked_count < rig->appends_count);
    struct log_ack ack = {.tag = rig->appends[rig->acked_count++].tag, .err = err};
    rig->writer.acked(rig->writer.ctx, &ack, 1);
    hub_rig_turn(rig);
}

/* ---- HTTP ---- */

static void on_answer(void *ctx, const struct hub_http_answer *answer)
{
    struct hub_rig *rig = ctx;
    rig->answers++;
    rig->answer_status = answer->status;
    snprintf(rig->answer, sizeof rig->answer, "%.*s", (int)answer->body->bytes, answer->body->text);
}

void hub_rig_http(struct hub_rig *rig, const char *method_and_path, const char *query, const char *user, const char *body)
{
    struct hub_credentials credentials;
    bool post = strncmp(method_and_path, "POST ", 5) == 0;
    credentials_of(rig, user, &credentials);
    struct hub_http_request request = {.post = post, .path = span_text(method_and_path + (post ? 5 : 4)), .query = span_text(query),
                                       .body = span_text(body), .credentials = &credentials};
    rig->answer_status = 0;
    rig->answer[0] = '\0';
    (void)hub_http_start(rig->hub, &request, rig->now_ms, rig, on_answer);
    hub_rig_turn(rig);
}
