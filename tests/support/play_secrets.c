/* Bodies that are sealed end to end, in a play: two spaces of ana's, an `lww`, an `append` and a `manual` collection. Her devices have
 * keys, have them no more, learn them again; the handles on their stores are opened with on_key and without. What each write must
 * say is foretold from what the device shows. What is told to be sealed holds a word that the server must never see; what a handle
 * without keys writes, in the clear as docs/client.md says, holds another. */
#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "tests/support/play.h"

static const char *const gym = "workouts:ana:d", *const diary = "notes:ana:e", *const merged = "todos:ana:f";
static const char secret[] = "hush-", nonce_key[] = "\"nonce\":\"";
static const char *const rings[] = {NULL, "", "k1", "k1", "k2 k1", "k2 k1", "k2"};
static const char every_key[] = "k2 k1";

bool play_is_sealed(const char *space, const char *collection)
{
    (void)collection;
    return strcmp(space, gym) == 0 || strcmp(space, diary) == 0 || strcmp(space, merged) == 0;
}

/* ---- writing ---- */

enum kind { PUT, PATCH, DELETE, APPEND };

struct attempt {
    const char *space, *collection;
    char id[24], body[64];
    enum kind kind;
    bool found, pending;    /* before it, as shown */
    enum tide_seal seal;
};

static void look(struct tide *tide, struct attempt *attempt)
{
    struct tide_doc *doc;
    if (tide_get(tide, attempt->space, attempt->collection, attempt->id, &doc) != TIDE_OK) return;
    attempt->found = true;
    attempt->pending = doc->pending;
    attempt->seal = doc->seal;
    tide_doc_free(doc);
}

/* `keys` NULL: of a handle without on_key. */
static bool may_say(const struct attempt *attempt, const char *keys, enum tide_code code)
{
    if (attempt->kind == DELETE) return code == TIDE_OK;
    if (keys == NULL) {
        if (attempt->found && attempt->seal != TIDE_SEAL_NONE) return code == TIDE_KEY;
        return code == TIDE_OK || (code == TIDE_KEY && (attempt->pending || !attempt->found)); /* what another handle sealed, or deleted */
    }
    bool shut = attempt->found && (attempt->seal == TIDE_SEAL_LOCKED || attempt->seal == TIDE_SEAL_BROKEN || (attempt->seal == TIDE_SEAL_BARE && attempt->kind == PATCH));
    return code == (shut || keys[0] == '\0' ? TIDE_KEY : TIDE_OK);
}

static enum tide_code try_it(struct tide *tide, const struct attempt *attempt)
{
    switch (attempt->kind) {
    case PUT: return tide_put(tide, attempt->space, attempt->collection, attempt->id, attempt->body, NULL);
    case PATCH: return tide_patch(tide, attempt->space, attempt->collection, attempt->id, attempt->body, NULL);
    case APPEND: return tide_append(tide, attempt->space, attempt->collection, attempt->id, attempt->body, NULL);
    case DELETE: break;
    }
    return tide_delete(tide, attempt->space, attempt->collection, attempt->id, NULL);
}

static struct attempt choose(struct play *play, size_t at, bool keyed)
{
    struct attempt attempt = {.space = gym, .collection = "workouts", .kind = PUT};
    uint64_t what = play_chance(play, 10);
    snprintf(attempt.id, sizeof attempt.id, "w%u", (unsigned)play_chance(play, 3));
    if (what < 3) {
        attempt.collection = "samples";
        attempt.kind = APPEND;
        snprintf(attempt.id, sizeof attempt.id, "s%zu-%zu", at, play->messages_count);
    } else if (what < 6) {
        attempt.space = diary;
        attempt.collection = "notes";
    }
    if (attempt.kind == PUT && play_chance(play, 3) == 0) attempt.kind = play_chance(play, 3) == 0 ? DELETE : PATCH;
    snprintf(attempt.body, sizeof attempt.body, keyed ? "{\"n%u\":\"%s%u\"}" : "{\"open%u\":\"%s%u\"}", (unsigned)play_chance(play, 3), keyed ? secret : "", ++play->secrets);
    return attempt;
}

/* The server would have to read it. */
static void write_merged(struct play *play, struct tide *tide)
{
    struct tide_status before, after;
    tide_status(tide, &before);
    PLAY_MUST(tide_put(tide, merged, "todos", "t", "{\"title\":\"hush-\"}", NULL) == TIDE_INVALID && strstr(tide_message(tide), "merge") != NULL);
    PLAY_MUST(tide_incr(tide, diary, "notes", "w0", "n", 1, NULL, NULL, NULL) == TIDE_INVALID && strstr(tide_message(tide), "incr") != NULL);
    tide_status(tide, &after);
    PLAY_MUST(before.pending == after.pending);
    play->counts[PLAY_MERGES_REFUSED]++;
}

void play_write_secret(struct play *play, size_t at, struct tide *tide, bool keyed)
{
    const char *keys = keyed ? play->clients[at].keys : NULL;
    struct attempt attempt = choose(play, at, keyed);
    if (keys != NULL && keys[0] != '\0' && play_chance(play, 12) == 0) write_merged(play, tide);
    look(tide, &attempt);
    /* By a handle without keys over what it does not know to be sealed, a patch would change an envelope: it is not to be opened then. */
    if (!keyed && attempt.kind == PATCH && (!attempt.found || attempt.seal == TIDE_SEAL_NONE)) attempt.kind = PUT;
    if (attempt.kind == APPEND && play->messages_count == PLAY_MESSAGES_MAX) return;
    enum tide_code code = try_it(tide, &attempt);
    if (play->disk_is_full && (code == TIDE_FULL || code == TIDE_IO)) {
        play->counts[PLAY_NO_ROOM]++;
        return;
    }
    if (!may_say(&attempt, keys, code))
        fprintf(stderr, "%s %s/%s: keys '%s', kind %d, found %d, pending %d, seal %d: %s %s\n", attempt.space, attempt.collection, attempt.id, keys == NULL ? "none" : keys,
                attempt.kind, attempt.found, attempt.pending, attempt.seal, tide_code_text(code), tide_message(tide));
    PLAY_MUST(may_say(&attempt, keys, code));
    play->counts[code != TIDE_OK ? PLAY_NO_KEY : keyed ? PLAY_SEALED : PLAY_BARE]++;
    if (code == TIDE_OK && attempt.kind == APPEND) {
        struct play_message *message = &play->messages[play->messages_count++];
        *message = (struct play_message){.client = at, .sealed = true};
        memcpy(message->id, attempt.id, sizeof message->id);
        memcpy(message->body, attempt.body, sizeof message->body);
    }
}

enum tide_choice play_resolve(void *ctx, const struct tide_conflict *conflict, const char **ret_merged)
{
    struct client *client = ctx;
    const char *mine = conflict->mine == NULL ? "" : conflict->mine, *theirs = conflict->theirs == NULL ? "" : conflict->theirs;
    PLAY_MUST(strstr(mine, "\"box\"") == NULL && strstr(theirs, "\"box\"") == NULL); /* what cannot be read is not for a rule to choose from */
    client->resolved++;
    *ret_merged = client->keys == NULL || !play_is_sealed(conflict->space, conflict->collection) ? "{\"title\":\"open-\"}" : "{\"title\":\"hush-\"}";
    return (enum tide_choice)world_chance(client->world, 4);
}

/* ---- keys ---- */

struct looking {
    const struct client *client;
    unsigned locked, opened, broken;
};

static bool note_seal(void *ctx, const struct tide_doc *doc)
{
    struct looking *looking = ctx;
    if (doc->body == NULL || !play_is_sealed(doc->space, doc->collection)) return true;
    if (doc->seal == TIDE_SEAL_LOCKED) PLAY_MUST(strncmp(doc->body, "{\"sealed\":1,\"key\":\"", 19) == 0); /* as it came */
    PLAY_MUST(doc->seal != TIDE_SEAL_NONE || looking->client->keys == NULL); /* in the clear, it is said to be */
    if (doc->seal == TIDE_SEAL_OPEN) PLAY_MUST(strstr(doc->body, "\"box\"") == NULL);
    looking->locked += doc->seal == TIDE_SEAL_LOCKED;
    looking->opened += doc->seal == TIDE_SEAL_OPEN;
    looking->broken += doc->seal == TIDE_SEAL_BROKEN;
    return true;
}

static struct looking look_at_all(const struct client *client)
{
    struct looking looking = {.client = client};
    uint64_t seq;
    PLAY_MUST(tide_changes(client->tide, 0, note_seal, &looking, &seq) == TIDE_OK);
    PLAY_MUST(looking.broken == 0);
    return looking;
}

/* What is locked stays so for want of its key alone. */
static bool has_no_key(void *ctx, const struct tide_doc *doc)
{
    const struct client *client = ctx;
    char id[3] = "";
    if (doc->body == NULL || doc->seal != TIDE_SEAL_LOCKED) return true;
    memcpy(id, doc->body + 19, 2);
    PLAY_MUST(strstr(client->keys, id) == NULL);
    return true;
}

void play_change_keys(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    const char *ring = rings[play_chance(play, sizeof rings / sizeof rings[0])];
    bool keyed = client->keys != NULL;
    struct looking before = look_at_all(client);
    if (keyed != (ring != NULL)) { /* on_key is told when the store is opened */
        play_kill_all(play, at);
        client->keys = ring;
        client_begin(client);
    } else {
        client->keys = ring;
        if (keyed) PLAY_MUST(tide_open_sealed(client->tide) == TIDE_OK);
    }
    struct looking after = look_at_all(client);
    uint64_t seq;
    if (ring != NULL) PLAY_MUST(tide_changes(client->tide, 0, has_no_key, client, &seq) == TIDE_OK);
    PLAY_MUST(after.locked <= before.locked && (ring == NULL || after.opened >= before.opened)); /* what is open stays so, without its key */
    play->counts[PLAY_KEYS_CHANGED]++;
    play->counts[PLAY_LOCKED] += before.locked;
    play->counts[PLAY_LEARNT] += before.locked - after.locked;
}

void play_give_all_keys(struct play *play)
{
    for (size_t i = 0; i < PLAY_CLIENTS; i++) {
        struct client *client = &play->clients[i];
        if (play->bare || play_is_bobs(i)) continue;
        if (client->keys == NULL) play_kill_all(play, i);
        client->keys = every_key;
        if (client->tide == NULL) client_begin(client);
        else PLAY_MUST(tide_open_sealed(client->tide) == TIDE_OK);
    }
}

/* ---- in the end ---- */

static void must_not_tell(struct span bytes)
{
    bool tells = bytes.bytes > 0 && memmem(bytes.at, bytes.bytes, secret, sizeof secret - 1) != NULL;
    if (tells) fprintf(stderr, "the server saw %.*s\n", (int)bytes.bytes, bytes.at);
    PLAY_MUST(!tells);
}

/* The nonces in a text, each with its box behind: no two boxes have the same. */
static size_t note_nonces(struct span text, struct span *boxes, size_t count, size_t room)
{
    enum { NONCE_CHARS = 32 };
    const char *at = text.at, *end = text.at + text.bytes;
    while (at != NULL && (at = memmem(at, (size_t)(end - at), nonce_key, sizeof nonce_key - 1)) != NULL) {
        at += sizeof nonce_key - 1;
        const char *box = memmem(at, (size_t)(end - at), "\"}", 2);
        PLAY_MUST(box != NULL && box - at > NONCE_CHARS);
        struct span found = span_of(at, (size_t)(box - at));
        bool known = false;
        for (size_t i = 0; i < count && !known; i++) {
            known = span_equal(boxes[i], found);
            PLAY_MUST(known || memcmp(boxes[i].at, found.at, NONCE_CHARS) != 0);
        }
        if (!known && count < room) boxes[count++] = found;
    }
    return count;
}

static void nothing_was_seen_by_the_server(struct play *play)
{
    enum { BOXES = 1024 };
    const struct hub_rig *rig = &play->world.rig;
    struct span *boxes = calloc(BOXES, sizeof *boxes);
    size_t count = 0;
    PLAY_MUST(boxes != NULL);
    for (size_t i = 0; i < rig->appends_count; i++) {
        must_not_tell(blob_span(rig->appends[i].record));
        count = note_nonces(blob_span(rig->appends[i].record), boxes, count, BOXES);
    }
    for (size_t t = 0; t < STATE_TABLES; t++)
        for (size_t i = 0; i < play->world.state.tables[t].count; i++) {
            must_not_tell(play->world.state.tables[t].entries[i].key);
            must_not_tell(play->world.state.tables[t].entries[i].value);
        }
    free(boxes);
}

void play_secrets_are_kept(struct play *play)
{
    for (size_t i = 0; i < PLAY_CLIENTS; i++) PLAY_MUST(look_at_all(&play->clients[i]).locked == 0);
    nothing_was_seen_by_the_server(play);
}
