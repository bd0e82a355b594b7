/* What apps do in a play. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/play.h"

/* ---- writing ---- */

static enum tide_code append_message(struct play *play, size_t at, struct tide *tide)
{
    struct play_message *message = &play->messages[play->messages_count];
    *message = (struct play_message){.client = at, .body = "{\"text\":\"t\"}"};
    snprintf(message->id, sizeof message->id, "m%zu-%zu", at, play->messages_count++);
    return tide_append(tide, play_spaces[1], "messages", message->id, message->body, NULL);
}

void play_write(struct play *play, size_t at, struct tide *tide, bool keyed)
{
    char id[24], body[96], field[8];
    bool bob = play_is_bobs(at);
    enum tide_code code = TIDE_OK;
    unsigned made = play->made[at];
    size_t messages = play->messages_count;
    if (!play->bare && !bob && play_chance(play, 3) == 0) {
        play_write_secret(play, at, tide, keyed);
        return;
    }
    snprintf(id, sizeof id, "i%u", (unsigned)play_chance(play, 3));
    snprintf(field, sizeof field, "c%zu", at);
    switch (bob ? 2 : play_chance(play, 8)) {
    case 0: case 1: case 5:
        code = tide_incr(tide, play_spaces[0], "items", id, field, 1, NULL, NULL, NULL);
        play->made[at]++;
        break;
    case 2: case 3:
        if (play->messages_count == PLAY_MESSAGES_MAX) return;
        code = append_message(play, at, tide);
        break;
    case 4:
        snprintf(body, sizeof body, "{\"title\":\"by %zu, %u\"}", at, (unsigned)play_chance(play, 1000));
        code = tide_put(tide, play_spaces[2], "notes", id, body, NULL);
        break;
    case 6:
        snprintf(body, sizeof body, "{\"name\":\"by %zu, %u\"}", at, (unsigned)play_chance(play, 1000));
        code = play_chance(play, 6) == 0 ? tide_delete(tide, play_spaces[2], "notes", id, NULL) : tide_patch(tide, play_spaces[0], "items", id, body, NULL);
        break;
    default:
        code = play_chance(play, 3) == 0 ? tide_push(tide, play_spaces[0], "[]", NULL) : tide_put(tide, play_spaces[0], "items", "bad", "{\"qty\":-1}", NULL);
        break;
    }
    if (play->disk_is_full && code != TIDE_OK) { /* it changed nothing */
        PLAY_MUST(code == TIDE_FULL || code == TIDE_IO);
        play->made[at] = made;
        play->messages_count = messages;
        play->counts[PLAY_NO_ROOM]++;
        return;
    }
    PLAY_MUST(code == TIDE_OK);
    play->counts[PLAY_WRITES]++;
}

void play_have_no_room(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    client_fill_disk(client, true);
    play->disk_is_full = true;
    for (uint64_t i = play_chance(play, 4); i > 0; i--) play_write(play, at, client->tide, client->keys != NULL);
    client_step(client);
    if (!play->bare) tide_close(client_open(client, true)); /* a process may begin, to read */
    for (uint64_t i = play->bare ? 0 : play_chance(play, 60); i > 0; i--) { /* what comes meanwhile comes again */
        world_happen(&play->world);
        client_step(client);
    }
    client_fill_disk(client, false);
    play->disk_is_full = false;
}

/* ---- another process ---- */

void play_write_beside(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    bool keyed = client->keys != NULL && play_chance(play, 3) != 0;
    struct tide *second = client_open(client, keyed);
    play_write(play, at, second, keyed);
    tide_close(second);
    if (client->tide != NULL) tide_poll(client->tide);
    play->counts[PLAY_BESIDE]++;
}

/* It syncs from now on, in the place of one that is dead. */
static void take_over(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    if (play->is_beside_keyed[at] != (client->keys != NULL)) return; /* the rig asks this of the handle that syncs */
    client->tide = play->beside[at];
    client->wants_token = false;
    play->beside[at] = NULL;
    PLAY_MUST(tide_start(client->tide, TIDE_BOTH) == TIDE_OK);
    play->counts[PLAY_TAKEN_OVER]++;
}

void play_live_beside(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    struct tide **beside = &play->beside[at];
    if (*beside == NULL) {
        play->is_beside_keyed[at] = client->keys != NULL && play_chance(play, 3) != 0;
        *beside = client_open(client, play->is_beside_keyed[at]);
        PLAY_MUST(client->tide == NULL || tide_start(*beside, TIDE_BOTH) == TIDE_BUSY); /* one of them syncs */
        play->counts[PLAY_BESIDE]++;
    } else if (client->tide == NULL && play_chance(play, 2) == 0) {
        take_over(play, at);
        return;
    } else if (play_chance(play, 4) == 0) {
        tide_close(*beside);
        *beside = NULL;
        return;
    }
    play_write(play, at, *beside, play->is_beside_keyed[at]);
    tide_poll(*beside);
    if (client->tide != NULL) tide_poll(client->tide);
}

/* ---- refusals ---- */

struct settling {
    struct play *play;
    int64_t ids[64];
    char codes[64][16];
    bool sealed[64];
    size_t count;
};

static bool note_refusal(void *ctx, const struct tide_refusal *refusal)
{
    struct settling *settling = ctx;
    struct play *play = settling->play;
    for (size_t i = 0; i < play->messages_count; i++) {
        char quoted[32];
        snprintf(quoted, sizeof quoted, "\"%s\"", play->messages[i].id);
        if (strstr(refusal->ops, quoted) != NULL) play->messages[i].refused = true;
    }
    PLAY_MUST(strstr(refusal->ops, "\"box\"") == NULL); /* what was tried is told in the clear */
    if (settling->count < 64) {
        settling->sealed[settling->count] = play_is_sealed(refusal->space, "");
        snprintf(settling->codes[settling->count], 16, "%s", strstr(refusal->ops, "\"incr\"") != NULL ? "incr" : refusal->code);
        settling->ids[settling->count++] = refusal->id;
    }
    return true;
}

void play_look_at_refusals(struct play *play, size_t at, bool settle)
{
    struct settling settling = {.play = play};
    struct tide *tide = play->clients[at].tide;
    PLAY_MUST(tide_refused(tide, note_refusal, &settling) == TIDE_OK);
    for (size_t i = 0; i < settling.count; i++) {
        bool conflict = strcmp(settling.codes[i], "conflict") == 0;
        if (strcmp(settling.codes[i], "incr") == 0) play->uncertain[at]++;
        bool again = conflict || (!play->bare && strcmp(settling.codes[i], "incr") != 0 && play_chance(play, 2) == 0); /* `unknown` too: a repeat changes nothing */
        if (settle && again) {
            enum tide_code code = tide_refused_retry(tide, settling.ids[i], NULL, NULL);
            PLAY_MUST(code == TIDE_OK || (code == TIDE_KEY && settling.sealed[i])); /* then it waits on */
        } else if (settle || strcmp(settling.codes[i], "incr") == 0) {
            PLAY_MUST(tide_refused_drop(tide, settling.ids[i]) == TIDE_OK);
        }
    }
    play->counts[PLAY_REFUSALS] += (unsigned)settling.count;
}

/* ---- background work ---- */

/* It is asked for, replaced, appended to, cancelled; and run, in a process that began for it or in one that was there. */
void play_ask_for_work(struct play *play, struct tide *tide)
{
    static const char *const names[] = {"once", "often", "chain"};
    size_t which = (size_t)play_chance(play, 3);
    struct tide_work work = {.name = names[which], .kind = play_chance(play, 3) == 0 ? TIDE_WORK_PUSH : TIDE_WORK_SYNC, .delay_ms = (int64_t)play_chance(play, 3) * 1000,
        .every_ms = which == 1 ? 900000 : 0, .flex_ms = play_chance(play, 2) == 0 ? 300000 : 0, .linear = play_chance(play, 2) == 0, .charging = play_chance(play, 2) == 0};
    enum tide_code code = play_chance(play, 8) == 0 ? tide_work_cancel(tide, work.name) : tide_work_add(tide, &work, which == 2 ? TIDE_APPEND : (enum tide_exists)play_chance(play, 2));
    PLAY_MUST(code == TIDE_OK || code == TIDE_NOT_FOUND || code == TIDE_TOO_LARGE);
    tide_set_conditions(tide, &(struct tide_conditions){.charging = play_chance(play, 2) == 0 ? TIDE_YES : TIDE_NO});
    play->counts[PLAY_WORK_ASKED]++;
}

bool play_go_on(void *ctx)
{
    struct play_patience *patience = ctx;
    world_happen(&patience->play->world);
    if (patience->turns == 0) return false;
    patience->turns--;
    return true;
}

void play_run_work(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    struct tide_due due = {.ran = 0};
    struct tide_reason reason;
    struct play_patience patience = {play, (unsigned)play_chance(play, 6000)};
    client->go_on = play_go_on;
    client->go_on_ctx = &patience;
    PLAY_MUST(client_run_due(client, &due) == TIDE_OK);
    client->go_on = NULL;
    tide_why_not(client->tide, NULL, &reason);
    PLAY_MUST(reason.why != TIDE_WHY_DUE || due.next_ms == 0);
    PLAY_MUST(reason.sentence[0] != '\0');
    play->counts[PLAY_WORK_RUN] += (unsigned)due.ran;
    play->counts[PLAY_WORK_WELL] += (unsigned)due.well;
}
