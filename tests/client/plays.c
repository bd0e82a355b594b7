/* Random schedules of devices on the C client library, before a hub and the true owner, in a world of one seed: processes die at any
 * step, stores come back from old backups, networks end, logs are busy, servers fail, tokens are refused and run out, disks are full,
 * clocks jump by years, a device lies in a drawer for longer than the server remembers, several processes have one store, bodies are
 * sealed by keys that come and go. In the end, once the network has held for a minute and without anybody doing anything:
 *     every push has its outcome; each took effect once, or is a refusal that waits; every device shows what the owner has, and the
 *     owner has nothing of what was sealed but the envelopes.
 * (But for what a backup does not know to have been sent, where it comes to the server when the log has forgotten that: it cannot
 * be told from what a year in a drawer kept unsent, and may take effect again. Such pushes are counted one by one.)
 *
 *     plays SEED [COUNT [bare]]     the seed of a play that failed plays it again; `bare`: as plays were when only the first things happened,
 *                                   for seeds that failed then
 * Of 200 plays and more each thing must have happened: a play that does not play proves nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/record.h"
#include "tests/support/play.h"

enum { ACTIONS = 220, HOLD_MS = 60000, BARE_HOLD_MS = 150000, MANY = 200 };

/* ---- backups and drawers ---- */

/* Of what a store that was put back holds unsent: what is in the log. */
static void find_former(struct play *play, size_t at)
{
    static struct backup_unsent unsent;
    struct backup_unsent *former = &play->former[at];
    struct record record;
    struct arena arena;
    backup_unsent(play->clients[at].path, &unsent);
    snprintf(former->device, sizeof former->device, "%s", unsent.device);
    former->count = 0;
    arena_init(&arena, TIDE_ARENA_BYTES_MAX);
    for (size_t i = 0; i < play->world.durable_count; i++) {
        arena_reset(&arena);
        PLAY_MUST(record_decode(blob_span(play->world.durable[i]), &arena, &record) == ERR_OK);
        if (record.kind != RECORD_PUSH || !record.push.has_device || !backup_is_unsent(&unsent, record.push.device, record.push.id)) continue;
        if (!backup_is_unsent(former, record.push.device, record.push.id)) former->ids[former->count++] = record.push.id;
    }
    arena_fini(&arena);
}

/* The log forgets: what of a former life's is still unsent in the store takes effect again. */
static void forget_former(struct play *play, size_t at)
{
    static struct backup_unsent unsent;
    struct backup_unsent *former = &play->former[at];
    backup_unsent(play->clients[at].path, &unsent);
    for (size_t i = 0; i < former->count; i++)
        if (backup_is_unsent(&unsent, span_text(former->device), former->ids[i])) play->again[at]++, play->counts[PLAY_MADE_AGAIN]++;
    former->count = 0;
}

static void restore(struct play *play, size_t at, const char *backup)
{
    /* What the life before the restoring sent has reached the log, or never will: `pushed` cannot tell whose it is. */
    while (world_ack(&play->world, false) || world_step(&play->world)) continue;
    backup_copy(backup, play->clients[at].path);
    if (play->bare || play_chance(play, 2) == 0) play->has_backup[at] = false;
    else play->counts[PLAY_RESTORED_AGAIN]++;
    play->uncertain[at] += play->made[at] - play->made_at_backup[at];
    for (size_t i = play->messages_at_backup[at]; i < play->messages_count; i++)
        if (play->messages[i].client == at) play->messages[i].lost = true;
    play->made_at_backup[at] = play->made[at]; /* what was made so far is counted */
    play->messages_at_backup[at] = play->messages_count;
    find_former(play, at);
    if (play->is_backup_old[at]) forget_former(play, at);
    play->counts[PLAY_RESTORED]++;
}

static void back_up_or_restore(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    char backup[300];
    snprintf(backup, sizeof backup, "%s.backup", client->path);
    play_kill_all(play, at);
    if (!play->has_backup[at]) {
        backup_copy(client->path, backup);
        play->has_backup[at] = true;
        play->is_backup_old[at] = false;
        play->made_at_backup[at] = play->made[at];
        play->messages_at_backup[at] = play->messages_count;
    } else {
        restore(play, at, backup);
    }
    client_begin(client);
}

/* Somebody writes, so that the owner's clock moves on; the others lie in a drawer. What was sent before has reached the log by then,
 * and has its time: a copy that came to the owner a year after the first, though sent at once, would be no copy to it. */
static void pass_a_year(struct play *play)
{
    for (size_t i = 0; i < PLAY_CLIENTS; i++) play_kill_all(play, i);
    for (size_t i = 0; i < PLAY_CLIENTS; i++) {
        play->is_backup_old[i] = play->has_backup[i];
        forget_former(play, i);
    }
    while (world_ack(&play->world, false) || world_step(&play->world)) continue;
    play->world.rig.now_ms += INT64_C(400) * 86400 * 1000;
    hub_tick(play->world.rig.hub, play->world.rig.now_ms);
    for (size_t i = 0; i < PLAY_CLIENTS; i++) client_boot(&play->clients[i]);
    play->counts[PLAY_YEARS]++;
}

/* ---- what happens to devices ---- */

static void happen_to_the_dead(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    if (play_chance(play, 3) == 0) {
        client_begin(client);
    } else if (play_chance(play, 3) == 0) {
        play_kill_all(play, at);
        client_boot(client);
        play->counts[PLAY_BOOTS]++;
    } else if (play_chance(play, 4) == 0) {
        play_write_beside(play, at);
    } else if (!play->bare) {
        play_live_beside(play, at);
    }
}

/* What bare plays do not know. */
static bool happen_more(struct play *play, size_t at)
{
    static const unsigned statuses[] = {500, 502, 503, 429};
    struct client *client = &play->clients[at];
    switch (play_chance(play, 32)) {
    case 0: case 1: play_have_no_room(play, at); break;
    case 2: case 3: play_ask_for_work(play, client->tide); break;
    case 4: play_run_work(play, at); break;
    case 5: case 6: play_live_beside(play, at); break;
    case 7:
        client->server_error = statuses[play_chance(play, sizeof statuses / sizeof statuses[0])];
        client_cut(client);
        play->counts[PLAY_SERVER_ERRORS]++;
        break;
    case 8: client->token_is_slow = !client->token_is_slow; break;
    case 9: client_give_token(client); break;
    case 10: case 11:
        if (play_is_bobs(at)) return false;
        play_change_keys(play, at);
        break;
    default: return false;
    }
    return true;
}

static void happen(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    size_t spaces = play_spaces_count(play, at);
    if (client->tide == NULL) {
        happen_to_the_dead(play, at);
        return;
    }
    if (!play->bare && happen_more(play, at)) return;
    uint64_t what = play_chance(play, 60);
    if (what < 30) {
        play_write(play, at, client->tide, client->keys != NULL);
    } else if (what < 34) {
        play_write_beside(play, at);
    } else if (what < 38) {
        play_kill(play, at);
    } else if (what < 42) {
        play->counts[PLAY_AIRPLANES] += client->network;
        client_network(client, !client->network);
    } else if (what < 45) {
        play->counts[PLAY_CUTS] += client->conn != NULL;
        client_cut(client);
    } else if (what < 47) {
        client->refuse_token = true;
        play->counts[PLAY_TOKENS_REFUSED]++;
    } else if (what < 50) {
        client->wall_off_ms = ((int64_t)play_chance(play, 15) - 7) * 3 * 365 * 86400 * 1000; /* further than the drawer's year */
        play->counts[PLAY_CLOCKS]++;
    } else if (what < 51) {
        back_up_or_restore(play, at);
    } else if (what < 54) {
        play_look_at_refusals(play, at, true);
    } else if (what < 56) {
        PLAY_MUST(tide_subscribe(client->tide, play_space(at, (size_t)play_chance(play, spaces)), NULL) == TIDE_OK);
    } else if (what < 57) {
        bool drop = play_chance(play, 2) == 0;
        const char *space = play_is_bobs(at) ? play_spaces[1] : play_spaces[play_chance(play, spaces)];
        PLAY_MUST(tide_unsubscribe(client->tide, space, drop) != TIDE_IO);
    } else if (what < 58 && client->network) {
        play->counts[PLAY_HTTP] += client_sync_once(client, play_go_on, &(struct play_patience){play, (unsigned)play_chance(play, 600)});
    } else if (what < 59) {
        tide_set_reachable(client->tide, play_chance(play, 4) != 0);
    } else if (client->conn != NULL) {
        client->conn->full = !client->conn->full;
        if (!play->bare && !client->conn->full) hub_rig_drain(&play->world.rig, client->conn);
    }
}

/* ---- a play ---- */

/* The world lets everything through from now on; nobody does anything, but that what is dead lives. */
static void let_the_network_hold(struct play *play)
{
    world_break(&play->world, false);
    play->world.rig.token_ms = 0;
    for (size_t i = 0; i < PLAY_CLIENTS; i++) {
        struct client *client = &play->clients[i];
        if (client->tide == NULL) client_begin(client);
        tide_set_reachable(client->tide, true);
        client_network(client, true);
        client->refuse_token = client->token_is_slow = false;
        client->server_error = 0;
        if (client->conn != NULL && client->conn->full) client_cut(client);
    }
}

static void subscribe_all(struct play *play)
{
    for (size_t i = 0; i < PLAY_CLIENTS; i++)
        for (size_t k = 0; k < play_spaces_count(play, i); k++) PLAY_MUST(tide_subscribe(play->clients[i].tide, play_space(i, k), NULL) == TIDE_OK);
}

static void begin(struct play *play, uint64_t seed, const char *folder)
{
    world_init(&play->world, seed);
    play->world.rig.now_ms = INT64_C(1700000000000);
    snprintf(play->dir, sizeof play->dir, "%s", folder);
    for (size_t i = 0; i < PLAY_CLIENTS; i++) {
        struct client *client = &play->clients[i];
        client_init(client, &play->world, i, play_users[i], folder);
        client->is_sealed = play_is_sealed;
        if (!play->bare && !play_is_bobs(i)) client->keys = i == 0 ? "k1" : "k2 k1";
        if (!play->bare && !play_is_bobs(i) && play_chance(play, 2) == 0) client->resolve = play_resolve;
        play->all[i] = client;
        client_begin(client);
    }
    /* A room that takes everyone, so that pushes of both users count. */
    PLAY_MUST(tide_put(play->clients[0].tide, play_spaces[1], "room", "settings", "{\"join\":\"open\"}", NULL) == TIDE_OK);
    client_settle(play->all, PLAY_CLIENTS, 60000);
    subscribe_all(play);
    if (!play->bare && play_chance(play, 2) == 0) play->world.rig.token_ms = 1500; /* most of a play is less than a minute */
}

static void end(struct play *play)
{
    let_the_network_hold(play);
    if (play->bare) subscribe_all(play);
    client_settle(play->all, PLAY_CLIENTS, play->bare ? BARE_HOLD_MS : HOLD_MS); /* there sockets are full that nobody drains: a heartbeat more */
    play_everything_has_its_outcome(play);
    play_work_comes_to_its_end(play);
    play_give_all_keys(play);
    subscribe_all(play);
    client_settle(play->all, PLAY_CLIENTS, HOLD_MS);
    play_everything_has_its_outcome(play);
    play_nothing_is_lost_or_doubled(play);
    for (size_t i = 0; i < PLAY_CLIENTS; i++) {
        play->counts[PLAY_RESOLVED] += play->clients[i].resolved;
        play->counts[PLAY_TOKENS_EXPIRED] += play->clients[i].expired;
        tide_close(play->beside[i]);
        client_fini(&play->clients[i]);
    }
    play->counts[PLAY_BUSY_LOGS] += play->world.acks_failed;
    play->counts[PLAY_BROKEN_LINKS] += play->world.breaks;
    world_fini(&play->world);
}

static void one_play(uint64_t seed, const char *folder, bool bare, unsigned totals[PLAY_COUNTS])
{
    struct play *play = calloc(1, sizeof *play);
    PLAY_MUST(play != NULL);
    play->bare = bare;
    begin(play, seed, folder);
    uint64_t year = play_chance(play, 4) == 0 ? play_chance(play, ACTIONS) : ACTIONS;
    for (uint64_t i = 0; i < ACTIONS; i++) {
        size_t at = (size_t)play_chance(play, PLAY_CLIENTS);
        if (i == year) pass_a_year(play);
        happen(play, at);
        for (uint64_t k = play_chance(play, 14); k > 0; k--) world_happen(&play->world);
        if (play_chance(play, 50) == 0) world_break(&play->world, !play->world.down);
        if (play_chance(play, 2) == 0) client_step(&play->clients[play_chance(play, PLAY_CLIENTS)]);
    }
    end(play);
    for (size_t i = 0; i < PLAY_COUNTS; i++) totals[i] += play->counts[i];
    free(play);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    bool bare = argc > 3 && strcmp(argv[3], "bare") == 0;
    unsigned totals[PLAY_COUNTS] = {0};
    for (uint64_t i = 0; i < count; i++) {
        char folder[] = "/dev/shm/tidegate-plays-XXXXXX", elsewhere[] = "/tmp/tidegate-plays-XXXXXX";
        const char *made = mkdtemp(folder);
        if (made == NULL) made = mkdtemp(elsewhere);
        PLAY_MUST(made != NULL);
        fprintf(stderr, "play %llu\n", (unsigned long long)(seed + i)); /* the last one said is the one that failed */
        one_play(seed + i, made, bare, totals);
        rig_dir_remove(made);
    }
    printf("%llu plays:", (unsigned long long)count);
    for (size_t i = 0; i < PLAY_COUNTS; i++) printf("%s %u %s", i == 0 ? "" : ",", totals[i], play_count_names[i].name);
    printf("\n");
    fflush(stdout);
    for (size_t i = 0; i < PLAY_COUNTS && count >= MANY && !bare; i++) PLAY_MUST(totals[i] > 0 || play_count_names[i].may_be_none);
    return 0;
}
