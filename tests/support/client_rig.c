#include "tests/support/client_rig.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/json.h"

enum { STEPS_MAX = 64, QUIET_MS = 250, QUIET_ROUNDS = 12 };

struct store_moment client_now(void *ctx)
{
    const struct client *client = ctx;
    struct store_moment now = {.boot_ms = client->world->rig.now_ms - client->boot_at_ms + 1000, .wall_ms = client->world->rig.now_ms + client->wall_off_ms};
    snprintf(now.boot, sizeof now.boot, "boot-%zu-%u", client->at, client->boots);
    return now;
}

static void random_bytes(void *ctx, void *ret_bytes, size_t bytes)
{
    const struct client *client = ctx;
    for (size_t i = 0; i < bytes; i++) ((unsigned char *)ret_bytes)[i] = (unsigned char)world_chance(client->world, 256);
}

static unsigned post(void *ctx, struct span body, struct buf *answer);

struct tide_machine client_machine(struct client *client) { return (struct tide_machine){.ctx = client, .clock = client_now, .random = random_bytes, .post = post}; }

void client_init(struct client *client, struct world *world, size_t at, const char *user, const char *dir)
{
    *client = (struct client){.world = world, .at = at, .user = user, .network = true, .boot_at_ms = world->rig.now_ms};
    snprintf(client->path, sizeof client->path, "%s/device-%zu.db", dir, at);
}

static void on_event(void *ctx, struct tide *tide, const struct tide_event *event)
{
    struct client *client = ctx;
    (void)tide;
    client->events[event->kind]++;
    if (event->kind == TIDE_EVENT_ERROR && strcmp(event->code, "corrupt") == 0) client->differed++;
    if (event->code[0] != '\0') snprintf(client->last_code, sizeof client->last_code, "%s", event->code);
}

void client_give_token(struct client *client)
{
    if (!client->wants_token || client->tide == NULL) return;
    client->wants_token = false;
    enum tide_code code = tide_set_token(client->tide, client->user);
    assert(code == TIDE_OK);
}

static void on_token(void *ctx, struct tide *tide)
{
    struct client *client = ctx;
    client->tokens++;
    client->expired += client->conn != NULL;
    client->wants_token = client->token_is_slow;
    if (client->token_is_slow) return;
    enum tide_code code = tide_set_token(tide, client->user);
    assert(code == TIDE_OK);
}

const unsigned char *client_store_key(void)
{
    static const unsigned char key[TIDE_KEY_BYTES] = "the key of all the tests' stores";
    return getenv("CLIENT_STORE_KEY") == NULL ? NULL : key;
}

static bool is_sealed(const struct client *client, const char *space, const char *collection)
{
    if (strcmp(collection, "members") == 0) return false;
    return client->is_sealed == NULL || client->is_sealed(space, collection);
}

/* A key is made of its id; `members` are never encrypted. */
static enum tide_key_answer give_key(void *ctx, const char *space, const char *collection, const char *key_id, struct tide_key *ret_key)
{
    struct client *client = ctx;
    const char *found = client->keys;
    client->keys_asked++;
    if (client->keys == NULL || !is_sealed(client, space, collection)) return TIDE_KEY_PLAIN;
    size_t bytes = key_id == NULL ? strcspn(client->keys, " ") : strlen(key_id);
    if (key_id != NULL) found = strstr(client->keys, key_id);
    if (bytes == 0 || found == NULL) return TIDE_KEY_MISSING;
    snprintf(ret_key->id, sizeof ret_key->id, "%.*s", (int)bytes, found);
    memcpy(ret_key->bytes, found, bytes);
    return TIDE_KEY_HERE;
}

struct tide *client_open(struct client *client, bool keyed)
{
    char why[256] = "";
    struct tide *tide = NULL;
    struct tide_options options = {.path = client->path, .on_event = on_event, .on_token = on_token, .on_work = client->on_work, .ctx = client, .store_key = client_store_key()};
    if (client->keys != NULL && keyed) options.on_key = give_key;
    struct tide_machine machine = client_machine(client);
    enum tide_code code = tide_open_on(&options, &machine, &tide, why, sizeof why);
    if (code != TIDE_OK) fprintf(stderr, "%s\n", why);
    assert(code == TIDE_OK);
    if (client->resolve != NULL) tide_set_resolver(tide, client->resolve, client);
    return tide;
}

void client_begin(struct client *client)
{
    assert(client->tide == NULL);
    client->wants_token = false;
    client->tide = client_open(client, true);
    enum tide_code code = tide_start(client->tide, TIDE_BOTH);
    assert(code == TIDE_OK);
}

static void hang_up(struct client *client, bool tell)
{
    struct rig_conn *conn = client->conn;
    unsigned code = conn == NULL ? 0 : conn->close_code;
    client->conn = NULL;
    if (conn != NULL && conn->session != NULL) hub_rig_close(&client->world->rig, conn);
    if (tell && client->tide != NULL) tide_io_disconnected(client->tide, code, "cut");
}

void client_kill(struct client *client)
{
    hang_up(client, false);
    tide_close(client->tide);
    client->tide = NULL;
}

void client_fini(struct client *client)
{
    client_kill(client);
    free(client->answer);
}

void client_cut(struct client *client)
{
    if (client->conn != NULL) hang_up(client, true);
}

void client_network(struct client *client, bool up)
{
    client->network = up;
    if (!up) client_cut(client);
}

void client_boot(struct client *client)
{
    assert(client->tide == NULL);
    client->boots++;
    client->boot_at_ms = client->world->rig.now_ms;
}

void client_fill_disk(const struct client *client, bool full)
{
    char path[CLIENT_PATH_BYTES + 8];
    struct stat file;
    struct rlimit limit;
    snprintf(path, sizeof path, "%s-wal", client->path);
    signal(SIGXFSZ, SIG_IGN);
    bool found = stat(path, &file) == 0 && getrlimit(RLIMIT_FSIZE, &limit) == 0;
    assert(found);
    limit.rlim_cur = full ? (rlim_t)file.st_size : limit.rlim_max;
    bool set = setrlimit(RLIMIT_FSIZE, &limit) == 0;
    assert(set);
}

/* ---- the wire ---- */

static bool connect(struct client *client)
{
    if (client->conn != NULL || !tide_io_wants_connection(client->tide)) return false;
    if (!client->network || client->world->rig.conns[client->at].session != NULL) {
        tide_io_disconnected(client->tide, 0, "no network");
        return true;
    }
    if (client->refuse_token) {
        client->refuse_token = false;
        tide_io_disconnected(client->tide, 401, "unauthorized");
        return true;
    }
    if (client->server_error != 0) {
        tide_io_disconnected(client->tide, client->server_error, "not now");
        client->server_error = 0;
        return true;
    }
    client->conn = hub_rig_raw(&client->world->rig, client->at, NULL);
    tide_io_connected(client->tide);
    return true;
}

static bool say(struct client *client)
{
    size_t bytes;
    const char *message = client->conn == NULL ? NULL : tide_io_output(client->tide, &bytes);
    if (message == NULL) return false;
    hub_message(client->conn->session, span_of(message, bytes), client->world->rig.now_ms);
    tide_io_sent(client->tide, bytes);
    hub_rig_turn(&client->world->rig);
    return true;
}

static bool hear(struct client *client)
{
    struct rig_conn *conn = client->conn;
    if (conn == NULL || conn->looked >= conn->text_bytes) return false;
    size_t bytes = conn->text_bytes - conn->looked;
    char *copy = malloc(bytes);
    assert(copy != NULL);
    memcpy(copy, conn->text + conn->looked, bytes);
    conn->looked = conn->text_bytes = 0;
    tide_io_received(client->tide, copy, bytes);
    free(copy);
    return true;
}

void client_step(struct client *client)
{
    if (client->tide == NULL) return;
    for (int i = 0; i < STEPS_MAX; i++) {
        bool moved = connect(client);
        moved = say(client) || moved;
        moved = hear(client) || moved;
        if (client->conn != NULL && client->conn->close_code != 0) {
            hang_up(client, true);
            moved = true;
        }
        if (client->conn != NULL && tide_io_wants_close(client->tide)) {
            hang_up(client, true);
            moved = true;
        }
        if (client->conn != NULL) hub_heard(client->conn->session, client->world->rig.now_ms);
        if (tide_io_deadline(client->tide) == 0) tide_poll(client->tide);
        if (!moved) return;
    }
}

static bool is_whole(struct client *client)
{
    struct tide_status status;
    tide_status(client->tide, &status);
    return status.whole && tide_io_deadline(client->tide) != 0;
}

void client_settle(struct client *const *clients, size_t count, int64_t ms)
{
    struct world *world = clients[0]->world;
    int64_t end = world->rig.now_ms + ms;
    for (int quiet = 0; quiet < QUIET_ROUNDS && world->rig.now_ms < end;) {
        bool moved = false, whole = true;
        while (world_ack(world, false) || world_step(world) || world_ask(world) || world_page(world) || world_tell(world)) moved = true;
        hub_rig_turn(&world->rig);
        for (size_t i = 0; i < count; i++) {
            if (clients[i]->tide == NULL) continue;
            client_step(clients[i]);
            whole = whole && is_whole(clients[i]);
        }
        quiet = !moved && whole ? quiet + 1 : 0;
        world->rig.now_ms += QUIET_MS;
        hub_tick(world->rig.hub, world->rig.now_ms);
    }
}

/* ---- by HTTP ---- */

struct call {
    struct client *client;
    unsigned number;
};

static void on_answer(void *ctx, const struct hub_http_answer *answer)
{
    struct call *call = ctx;
    struct client *client = call->client;
    if (call->number == client->call) {
        free(client->answer);
        client->answer = strndup(answer->body->text, answer->body->bytes);
        client->status = answer->status;
        client->answered = true;
    }
    free(call);
}

static void ask(struct client *client, struct span body)
{
    struct hub_credentials credentials = {.user_bytes = strlen(client->user), .expires_ms = INT64_MAX};
    struct hub_http_request request = {.post = true, .path = SPAN_LITERAL("sync"), .query = SPAN_LITERAL(""), .body = body, .credentials = &credentials};
    struct call *call = malloc(sizeof *call);
    assert(call != NULL);
    *call = (struct call){client, ++client->call};
    client->answered = false;
    if (client->server_error != 0) { /* it never reaches the hub */
        free(client->answer);
        free(call);
        client->answer = strdup("{\"code\":\"busy\",\"message\":\"not now\"}");
        client->status = client->server_error;
        client->server_error = 0;
        client->answered = true;
        return;
    }
    memcpy(credentials.user, client->user, credentials.user_bytes);
    (void)hub_http_start(client->world->rig.hub, &request, client->world->rig.now_ms, call, on_answer);
    hub_rig_turn(&client->world->rig);
}

/* False: nothing was to be asked, or no answer came. */
static bool call_once(struct client *client, bool (*go_on)(void *ctx), void *ctx)
{
    struct store_moment now = client_now(client);
    struct buf body;
    buf_init(&body, 1 << 22);
    bool asked = sync_http_request(client->tide->sync, SYNC_BOTH, &body, &now);
    if (asked) ask(client, buf_span(&body));
    buf_fini(&body);
    while (asked && !client->answered && go_on(ctx)) hub_rig_turn(&client->world->rig);
    return asked && client->answered;
}

static bool let_all_through(struct client *client)
{
    struct world *world = client->world;
    while (world_ack(world, false) || world_step(world) || world_ask(world) || world_page(world) || world_tell(world)) continue;
    hub_rig_turn(&world->rig);
    world->rig.now_ms += QUIET_MS;
    hub_tick(world->rig.hub, world->rig.now_ms);
    return client->network;
}

static unsigned post(void *ctx, struct span body, struct buf *answer)
{
    struct client *client = ctx;
    bool refused = client->network && client->refuse_token;
    if (refused) client->refuse_token = false;
    if (refused || !client->network) return refused ? 401 : 0;
    ask(client, body);
    bool goes_on;
    do { /* also where the answer is there at once: it may be to come back later */
        goes_on = client->go_on == NULL ? let_all_through(client) : client->go_on(client->go_on_ctx);
        hub_rig_turn(&client->world->rig);
    } while (goes_on && !client->answered);
    client->call++;
    if (!goes_on || !client->answered) return 0;
    buf_add_text(answer, client->answer);
    return client->status;
}

enum tide_code client_run_due(struct client *client, struct tide_due *ret_due)
{
    enum { WITHIN_MS = 600000 }; /* by the machine's clock: never over */
    client_cut(client);
    tide_stop(client->tide);
    enum tide_code code = tide_run_due(client->tide, WITHIN_MS, ret_due);
    enum tide_code started = tide_start(client->tide, TIDE_BOTH);
    assert(started == TIDE_OK);
    return code;
}

unsigned client_sync_once(struct client *client, bool (*go_on)(void *ctx), void *ctx)
{
    enum { CALLS_MAX = 8 };
    unsigned answered = 0;
    client_cut(client);
    tide_stop(client->tide);
    sync_begin_round(client->tide->sync);
    for (int i = 0; i < CALLS_MAX && call_once(client, go_on, ctx); i++) {
        struct store_moment now = client_now(client);
        int64_t retry_ms = 0;
        answered++;
        enum sync_http what = sync_http_answer(client->tide->sync, client->status, span_text(client->answer), &retry_ms, &now);
        if (what == SYNC_HTTP_FAILED) fprintf(stderr, "%u %s\n", client->status, client->answer);
        assert(what != SYNC_HTTP_FAILED);
        if (what != SYNC_HTTP_MORE) break;
    }
    client->call++;
    enum tide_code code = tide_start(client->tide, TIDE_BOTH);
    assert(code == TIDE_OK);
    return answered;
}

/* ---- looking ---- */

char *client_body(struct client *client, const char *space, const char *collection, const char *id)
{
    struct tide_doc *doc;
    if (tide_get(client->tide, space, collection, id, &doc) != TIDE_OK) return NULL;
    char *body = strdup(doc->body);
    tide_doc_free(doc);
    return body;
}

struct comparing {
    const char *space;
    struct json_value docs;
    size_t mine;
    bool same;
};

/* Who has all keys: how a body of the owner's reads. */
static enum seal_answer give_any_key(void *ctx, struct span space, struct span collection, struct span id, struct seal_key *ret_key)
{
    (void)ctx, (void)space, (void)collection;
    snprintf(ret_key->id, sizeof ret_key->id, "%.*s", (int)id.bytes, id.at);
    memcpy(ret_key->bytes, id.at, id.bytes < sizeof ret_key->bytes ? id.bytes : sizeof ret_key->bytes);
    return SEAL_ANSWER_HERE;
}

/* Shown as it came; or, of what is shown as opened, what it opens to. */
static bool shows(const struct tide_doc *doc, struct span body)
{
    const struct seal seal = {.key = give_any_key};
    const struct seal_place place = {span_text(doc->space), span_text(doc->collection), span_text(doc->id)};
    struct arena arena;
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    bool good = doc->seal != TIDE_SEAL_OPEN || seal_open(&seal, &place, body, &arena, &body) == SEAL_OPENED;
    good = good && span_is(body, doc->body);
    arena_fini(&arena);
    return good;
}

static bool compare(void *ctx, const struct tide_doc *doc)
{
    struct comparing *comparing = ctx;
    struct json_iter iter = json_elements(comparing->docs);
    struct json_value theirs;
    if (strcmp(doc->space, comparing->space) != 0 || doc->body == NULL) return true;
    comparing->mine++;
    while (json_next_element(&iter, &theirs)) {
        int64_t rev = 0;
        (void)json_integer(json_find(theirs, "rev"), &rev);
        if (!json_string_is(json_find(theirs, "collection"), doc->collection) || !json_string_is(json_find(theirs, "id"), doc->id)) continue;
        if ((uint64_t)rev == doc->rev && shows(doc, json_find(theirs, "body").raw) && !doc->pending) return true;
        fprintf(stderr, "%s %s/%s: here rev %llu %s%s, there %.*s\n", doc->space, doc->collection, doc->id, (unsigned long long)doc->rev, doc->body,
                doc->pending ? " pending" : "", (int)theirs.raw.bytes, theirs.raw.at);
        comparing->same = false;
        return true;
    }
    fprintf(stderr, "%s %s/%s: here rev %llu %s, there nothing\n", doc->space, doc->collection, doc->id, (unsigned long long)doc->rev, doc->body);
    comparing->same = false;
    return true;
}

bool client_is_like_owner(struct client *client, const char *space)
{
    struct arena arena;
    struct buf text;
    struct page page;
    struct comparing comparing = {.space = space, .same = true};
    uint64_t seq;
    size_t theirs = 0;
    arena_init(&arena, 1 << 26);
    buf_init(&text, 1 << 26);
    world_look(client->world, space, client->user, &arena, &text, &page);
    bool strict = json_check(page.docs, &comparing.docs, NULL);
    assert(strict);
    enum tide_code code = tide_changes(client->tide, 0, compare, &comparing, &seq);
    assert(code == TIDE_OK);
    struct json_iter iter = json_elements(comparing.docs);
    struct json_value doc;
    while (json_next_element(&iter, &doc)) theirs += json_find(doc, "deleted").type != JSON_TRUE;
    struct store *store = client->tide->store;
    bool sums = store_space_sums_agree(store, store_space_find(store, span_text(space)).id, page.sum);
    if (!sums) fprintf(stderr, "%s: the owner's sums are other ones: %.*s\n", space, (int)page.sum.bytes, page.sum.at);
    if (theirs != comparing.mine) fprintf(stderr, "%s: here %zu documents, there %zu\n", space, comparing.mine, theirs);
    bool same = comparing.same && sums && theirs == comparing.mine;
    arena_fini(&arena);
    buf_fini(&text);
    return same;
}
