/* Random schedules of devices on the C client library, before a hub and the true owner, in a world of one seed: processes die at any
 * step, stores come back from old backups, networks end, logs are busy, tokens run out, clocks jump by years, a device lies in a
 * drawer for longer than the server remembers, two processes write to one store. In the end, once the network has held for a
 * while and without anybody doing anything:
 *     every push has its outcome; each took effect once, or is a refusal that waits; every device shows what the owner has.
 * (But for what a backup does not know to have been sent, where it comes to the server when the log has forgotten that: it cannot
 * be told from what a year in a drawer kept unsent, and may take effect again. Such pushes are counted one by one.)
 *
 *     plays SEED [COUNT [bare]]     the seed of a play that failed plays it again; `bare`: as plays were when only the first things happened,
 *                                   for seeds that failed then */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/record.h"
#include "tests/support/client_backup.h"
#include "tests/support/client_rig.h"
#include "tests/support/rig.h"

enum { CLIENTS = 3, ACTIONS = 220, SPACES = 3, MESSAGES_MAX = 512, HOLD_MS = 150000 };

static const char *const spaces[SPACES] = {"cart:ana", "chat:b", "notes:ana:c"};
static const char *const users[CLIENTS] = {"ana", "ana", "bob"};

struct message {
    size_t client;
    bool lost;      /* made after a backup that was put back, or refused */
    bool refused;
    char id[24];
};

struct play {
    struct world world;
    char dir[RIG_PATH_BYTES];
    struct client clients[CLIENTS];
    struct client *all[CLIENTS];
    unsigned made[CLIENTS];       /* increments, each client on a field of its own */
    unsigned uncertain[CLIENTS];  /* of them: unknown, or made on a disk that was thrown away */
    unsigned again[CLIENTS];      /* of them: what a former life sent, and a later one sends when the log has forgotten it */
    struct backup_unsent former[CLIENTS]; /* in the store as it was put back, though in the log */
    bool has_backup[CLIENTS], is_backup_old[CLIENTS]; /* from before the year */
    unsigned made_at_backup[CLIENTS];
    size_t messages_at_backup[CLIENTS];
    size_t messages_count;
    struct message messages[MESSAGES_MAX];
    bool disk_is_full;
    bool bare;                    /* without what was added to plays later */
    unsigned counts[16];          /* of what happened, so that a play is known to have played */
    const char *what;
};

static uint64_t chance(struct play *play, uint64_t below) { return world_chance(&play->world, below); }

#define MUST(condition) must((condition), #condition, __LINE__)
static void must(bool holds, const char *what, int line)
{
    if (holds) return;
    fprintf(stderr, "plays.c:%d: %s\n", line, what);
    abort();
}

/* ---- what apps do ---- */

static void write_something(struct play *play, size_t at, struct tide *tide)
{
    char id[24], body[96], field[8];
    bool bob = strcmp(users[at], "bob") == 0;
    enum tide_code code = TIDE_OK;
    unsigned made = play->made[at];
    size_t messages = play->messages_count;
    snprintf(id, sizeof id, "i%u", (unsigned)chance(play, 3));
    snprintf(field, sizeof field, "c%zu", at);
    switch (bob ? 2 : chance(play, 8)) {
    case 0: case 1: case 5:
        code = tide_incr(tide, spaces[0], "items", id, field, 1, NULL, NULL, NULL);
        play->made[at]++;
        break;
    case 2: case 3:
        if (play->messages_count == MESSAGES_MAX) return;
        struct message *message = &play->messages[play->messages_count];
        *message = (struct message){.client = at};
        snprintf(message->id, sizeof message->id, "m%zu-%zu", at, play->messages_count++);
        code = tide_append(tide, spaces[1], "messages", message->id, "{\"text\":\"t\"}", NULL);
        break;
    case 4:
        snprintf(body, sizeof body, "{\"title\":\"by %zu, %u\"}", at, (unsigned)chance(play, 1000));
        code = tide_put(tide, spaces[2], "notes", id, body, NULL);
        break;
    case 6:
        snprintf(body, sizeof body, "{\"name\":\"by %zu, %u\"}", at, (unsigned)chance(play, 1000));
        code = chance(play, 6) == 0 ? tide_delete(tide, spaces[2], "notes", id, NULL) : tide_patch(tide, spaces[0], "items", id, body, NULL);
        break;
    default:
        code = chance(play, 3) == 0 ? tide_push(tide, spaces[0], "[]", NULL) : tide_put(tide, spaces[0], "items", "bad", "{\"qty\":-1}", NULL);
        break;
    }
    if (play->disk_is_full && code != TIDE_OK) { /* it changed nothing */
        MUST(code == TIDE_FULL || code == TIDE_IO);
        play->made[at] = made;
        play->messages_count = messages;
        play->counts[11]++;
        return;
    }
    MUST(code == TIDE_OK);
    play->counts[0]++;
}

static void have_no_room(struct play *play, size_t at)
{
    client_fill_disk(&play->clients[at], true);
    play->disk_is_full = true;
    for (uint64_t i = chance(play, 4); i > 0; i--) write_something(play, at, play->clients[at].tide);
    client_step(&play->clients[at]);
    client_fill_disk(&play->clients[at], false);
    play->disk_is_full = false;
}

/* Another process of the same store: it writes, and goes. */
static void write_beside(struct play *play, size_t at)
{
    struct tide_options options = {.path = play->clients[at].path, .store_key = client_store_key()};
    struct tide *second = NULL;
    struct tide_machine machine = client_machine(&play->clients[at]);
    MUST(tide_open_on(&options, &machine, &second, NULL, 0) == TIDE_OK);
    write_something(play, at, second);
    tide_close(second);
    if (play->clients[at].tide != NULL) tide_poll(play->clients[at].tide);
    play->counts[1]++;
}

struct settling {
    struct play *play;
    size_t at;
    int64_t ids[64];
    char codes[64][16];
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
    if (settling->count < 64) {
        snprintf(settling->codes[settling->count], 16, "%s", strstr(refusal->ops, "\"incr\"") != NULL ? "incr" : refusal->code);
        settling->ids[settling->count++] = refusal->id;
    }
    return true;
}

static void look_at_refusals(struct play *play, size_t at, bool settle)
{
    struct settling settling = {.play = play, .at = at};
    struct tide *tide = play->clients[at].tide;
    MUST(tide_refused(tide, note_refusal, &settling) == TIDE_OK);
    for (size_t i = 0; i < settling.count; i++) {
        bool conflict = strcmp(settling.codes[i], "conflict") == 0;
        if (strcmp(settling.codes[i], "incr") == 0) play->uncertain[at]++;
        if (settle && conflict) MUST(tide_refused_retry(tide, settling.ids[i], NULL, NULL) == TIDE_OK);
        else if (settle || strcmp(settling.codes[i], "incr") == 0) MUST(tide_refused_drop(tide, settling.ids[i]) == TIDE_OK);
    }
    play->counts[2] += (unsigned)settling.count;
}

/* Background work is asked for, replaced, appended to, cancelled; and run, in a process that began for it or in one that was there. */
static void ask_for_work(struct play *play, struct tide *tide)
{
    static const char *const names[] = {"once", "often", "chain"};
    size_t which = (size_t)chance(play, 3);
    struct tide_work work = {.name = names[which], .kind = chance(play, 3) == 0 ? TIDE_WORK_PUSH : TIDE_WORK_SYNC, .delay_ms = (int64_t)chance(play, 3) * 1000,
        .every_ms = which == 1 ? 900000 : 0, .flex_ms = chance(play, 2) == 0 ? 300000 : 0, .linear = chance(play, 2) == 0, .charging = chance(play, 2) == 0};
    enum tide_code code = chance(play, 8) == 0 ? tide_work_cancel(tide, work.name) : tide_work_add(tide, &work, which == 2 ? TIDE_APPEND : (enum tide_exists)chance(play, 2));
    MUST(code == TIDE_OK || code == TIDE_NOT_FOUND || code == TIDE_TOO_LARGE);
    tide_set_conditions(tide, &(struct tide_conditions){.charging = chance(play, 2) == 0 ? TIDE_YES : TIDE_NO});
    play->counts[8]++;
}

struct patience {
    struct play *play;
    unsigned turns;
};

static bool go_on(void *ctx)
{
    struct patience *patience = ctx;
    world_happen(&patience->play->world);
    if (patience->turns == 0) return false;
    patience->turns--;
    return true;
}

static void run_work(struct play *play, struct client *client)
{
    struct tide_due due = {.ran = 0};
    struct tide_reason reason;
    struct patience patience = {play, (unsigned)chance(play, 6000)};
    client->go_on = go_on;
    client->go_on_ctx = &patience;
    MUST(client_run_due(client, &due) == TIDE_OK);
    client->go_on = NULL;
    tide_why_not(client->tide, NULL, &reason);
    MUST(reason.why != TIDE_WHY_DUE || due.next_ms == 0);
    MUST(reason.sentence[0] != '\0');
    play->counts[9] += (unsigned)due.ran;
    play->counts[10] += (unsigned)due.well;
}

/* ---- what happens to devices ---- */

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
        MUST(record_decode(blob_span(play->world.durable[i]), &arena, &record) == ERR_OK);
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
        if (backup_is_unsent(&unsent, span_text(former->device), former->ids[i])) play->again[at]++, play->counts[6]++;
    former->count = 0;
}

static void back_up_or_restore(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    char backup[300];
    snprintf(backup, sizeof backup, "%s.backup", client->path);
    if (client->tide != NULL) client_kill(client);
    if (!play->has_backup[at]) {
        backup_copy(client->path, backup);
        play->has_backup[at] = true;
        play->is_backup_old[at] = false;
        play->made_at_backup[at] = play->made[at];
        play->messages_at_backup[at] = play->messages_count;
    } else {
        /* What the life before the restoring sent has reached the log, or never will: `pushed` cannot tell whose it is. */
        while (world_ack(&play->world, false) || world_step(&play->world)) continue;
        backup_copy(backup, client->path);
        if (play->bare || chance(play, 2) == 0) play->has_backup[at] = false;
        else play->counts[7]++; /* it is put back once more */
        play->uncertain[at] += play->made[at] - play->made_at_backup[at];
        for (size_t i = play->messages_at_backup[at]; i < play->messages_count; i++)
            if (play->messages[i].client == at) play->messages[i].lost = true;
        play->made_at_backup[at] = play->made[at]; /* what was made so far is counted */
        play->messages_at_backup[at] = play->messages_count;
        find_former(play, at);
        if (play->is_backup_old[at]) forget_former(play, at);
        play->counts[3]++;
    }
    client_begin(client);
}

static void happen(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    if (client->tide == NULL) {
        if (chance(play, 3) == 0) client_begin(client);
        else if (chance(play, 3) == 0) client_boot(client);
        else if (chance(play, 4) == 0) write_beside(play, at);
        return;
    }
    uint64_t work = play->bare ? 99 : chance(play, 20);
    if (work < 3) {
        if (work == 2) have_no_room(play, at);
        else if (work == 0) ask_for_work(play, client->tide);
        else run_work(play, client);
        return;
    }
    uint64_t what = chance(play, 60);
    if (what < 30) write_something(play, at, client->tide);
    else if (what < 34) write_beside(play, at);
    else if (what < 38) client_kill(client);
    else if (what < 42) client_network(client, !client->network);
    else if (what < 45) client_cut(client);
    else if (what < 47) client->refuse_token = true;
    else if (what < 50) client->wall_off_ms = ((int64_t)chance(play, 15) - 7) * 3 * 365 * 86400 * 1000; /* further than the drawer's year */
    else if (what < 51) back_up_or_restore(play, at);
    else if (what < 54) look_at_refusals(play, at, true);
    else if (what < 56) MUST(tide_subscribe(client->tide, spaces[chance(play, strcmp(users[at], "bob") == 0 ? 1 : SPACES) + (strcmp(users[at], "bob") == 0 ? 1 : 0)], NULL) == TIDE_OK);
    else if (what < 57) MUST(tide_unsubscribe(client->tide, strcmp(users[at], "bob") == 0 ? spaces[1] : spaces[chance(play, SPACES)], chance(play, 2) == 0) != TIDE_IO);
    else if (what < 58 && client->network) play->counts[5] += client_sync_once(client, go_on, &(struct patience){play, (unsigned)chance(play, 600)});
    else if (what < 59) tide_set_reachable(client->tide, chance(play, 4) != 0);
    else if (client->conn != NULL) client->conn->full = !client->conn->full;
}

/* ---- what the world does ---- */

/* Somebody writes, so that the owner's clock moves on; the others lie in a drawer. What was sent before has reached the log by then,
 * and has its time: a copy that came to the owner a year after the first, though sent at once, would be no copy to it. */
static void pass_a_year(struct play *play)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (play->clients[i].tide != NULL) client_kill(&play->clients[i]);
    for (size_t i = 0; i < CLIENTS; i++) {
        play->is_backup_old[i] = play->has_backup[i];
        forget_former(play, i);
    }
    while (world_ack(&play->world, false) || world_step(&play->world)) continue;
    play->world.rig.now_ms += INT64_C(400) * 86400 * 1000;
    hub_tick(play->world.rig.hub, play->world.rig.now_ms);
    for (size_t i = 0; i < CLIENTS; i++) client_boot(&play->clients[i]);
    play->counts[4]++;
}

/* ---- what must hold ---- */

static void subscribe_all(struct play *play)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &play->clients[i];
        if (client->tide == NULL) client_begin(client);
        tide_set_reachable(client->tide, true);
        client_network(client, true);
        client->refuse_token = false;
        if (client->conn != NULL && client->conn->full) client_cut(client);
        for (size_t k = 0; k < SPACES; k++)
            if (strcmp(client->user, "ana") == 0 || k == 1) MUST(tide_subscribe(client->tide, spaces[k], NULL) == TIDE_OK);
    }
}

static void everything_has_its_outcome(struct play *play)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct tide_status status;
        tide_status(play->clients[i].tide, &status);
        if (status.pending > 0 || !status.whole)
            fprintf(stderr, "device %zu: pending %llu, whole %d, state %d %s\n", i, (unsigned long long)status.pending, status.whole, status.state, status.why);
        MUST(status.pending == 0 && status.whole);
        look_at_refusals(play, i, false);
    }
}

static bool count_unending(void *ctx, const struct tide_work_state *state)
{
    *(unsigned *)ctx += state->work.every_ms == 0;
    return true;
}

/* What is asked for once is done once the world lets it, however often it failed before. */
static void work_comes_to_its_end(struct play *play)
{
    enum { ROUNDS = 64, WORK_MS = 3600000 };
    for (size_t i = 0; i < CLIENTS && !play->bare; i++) {
        struct client *client = &play->clients[i];
        unsigned left = 1;
        for (int round = 0; round < ROUNDS && left > 0; round++) {
            struct tide_due due;
            tide_set_conditions(client->tide, &(struct tide_conditions){.charging = TIDE_YES});
            MUST(client_run_due(client, &due) == TIDE_OK);
            left = 0;
            MUST(tide_work_list(client->tide, count_unending, &left) == TIDE_OK);
            MUST(left == 0 || due.next_ms >= 0);
            play->world.rig.now_ms += due.next_ms > 0 && due.next_ms < WORK_MS ? due.next_ms : WORK_MS;
            hub_tick(play->world.rig.hub, play->world.rig.now_ms);
        }
        if (left > 0) fprintf(stderr, "device %zu: %u pieces of work are left\n", i, left);
        MUST(left == 0);
    }
    client_settle(play->all, CLIENTS, HOLD_MS);
}

static int64_t counter(struct play *play, const char *field)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < 3; i++) {
        char id[8];
        struct json_value body;
        int64_t value = 0;
        snprintf(id, sizeof id, "i%u", i);
        char *text = client_body(&play->clients[0], spaces[0], "items", id);
        if (text != NULL && json_check(span_text(text), &body, NULL) && json_integer(json_find(body, field), &value)) sum += value;
        free(text);
    }
    return sum;
}

static void nothing_is_lost_or_doubled(struct play *play)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        char field[8];
        snprintf(field, sizeof field, "c%zu", i);
        int64_t value = counter(play, field), made = play->made[i], least = made - (int64_t)play->uncertain[i], most = made + (int64_t)play->again[i];
        if (value < least || value > most)
            fprintf(stderr, "device %zu: %lld increments took effect, of %lld made, %u uncertain, %u made again\n", i, (long long)value, (long long)made, play->uncertain[i], play->again[i]);
        MUST(value >= least && value <= most);
    }
    for (size_t i = 0; i < play->messages_count; i++) {
        const struct message *message = &play->messages[i];
        char *body = client_body(&play->clients[0], spaces[1], "messages", message->id);
        if (body == NULL && !message->refused && !message->lost) fprintf(stderr, "message %s of device %zu is gone\n", message->id, message->client);
        MUST(body != NULL || message->refused || message->lost);
        free(body);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        for (size_t k = 0; k < SPACES; k++)
            if (strcmp(users[i], "ana") == 0 || k == 1) MUST(client_is_like_owner(&play->clients[i], spaces[k]));
}

static void begin(struct play *play, uint64_t seed, const char *folder)
{
    world_init(&play->world, seed);
    play->world.rig.now_ms = INT64_C(1700000000000);
    snprintf(play->dir, sizeof play->dir, "%s", folder);
    for (size_t i = 0; i < CLIENTS; i++) {
        client_init(&play->clients[i], &play->world, i, users[i], folder);
        play->all[i] = &play->clients[i];
        client_begin(&play->clients[i]);
    }
    /* A room that takes everyone, so that pushes of both users count. */
    struct tide *ana = play->clients[0].tide;
    MUST(tide_put(ana, spaces[1], "room", "settings", "{\"join\":\"open\"}", NULL) == TIDE_OK);
    client_settle(play->all, CLIENTS, 60000);
    for (size_t i = 0; i < CLIENTS; i++)
        for (size_t k = 0; k < SPACES; k++)
            if (strcmp(users[i], "ana") == 0 || k == 1) MUST(tide_subscribe(play->clients[i].tide, spaces[k], NULL) == TIDE_OK);
}

static void one_play(uint64_t seed, const char *folder, bool bare, unsigned totals[16])
{
    struct play *play = calloc(1, sizeof *play);
    MUST(play != NULL);
    play->bare = bare;
    begin(play, seed, folder);
    uint64_t year = chance(play, 4) == 0 ? chance(play, ACTIONS) : ACTIONS;
    for (uint64_t i = 0; i < ACTIONS; i++) {
        size_t at = (size_t)chance(play, CLIENTS);
        if (i == year) pass_a_year(play);
        happen(play, at);
        for (uint64_t k = chance(play, 14); k > 0; k--) world_happen(&play->world);
        if (chance(play, 50) == 0) world_break(&play->world, !play->world.down);
        if (chance(play, 2) == 0) client_step(&play->clients[chance(play, CLIENTS)]);
    }
    world_break(&play->world, false);
    subscribe_all(play);
    client_settle(play->all, CLIENTS, HOLD_MS);
    everything_has_its_outcome(play);
    work_comes_to_its_end(play);
    everything_has_its_outcome(play);
    nothing_is_lost_or_doubled(play);
    for (size_t i = 0; i < CLIENTS; i++) client_fini(&play->clients[i]);
    world_fini(&play->world);
    for (size_t i = 0; i < 16; i++) totals[i] += play->counts[i];
    free(play);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    bool bare = argc > 3 && strcmp(argv[3], "bare") == 0;
    unsigned totals[16] = {0};
    for (uint64_t i = 0; i < count; i++) {
        char folder[] = "/dev/shm/tidegate-plays-XXXXXX", elsewhere[] = "/tmp/tidegate-plays-XXXXXX";
        const char *made = mkdtemp(folder);
        if (made == NULL) made = mkdtemp(elsewhere);
        MUST(made != NULL);
        fprintf(stderr, "play %llu\n", (unsigned long long)(seed + i)); /* the last one said is the one that failed */
        one_play(seed + i, made, bare, totals);
        rig_dir_remove(made);
    }
    printf("%llu plays: %u writes, %u by another process, %u refusals, %u restored backups, %u years, %u calls of HTTP, %u made again, %u backups kept for another time, %u times work was asked for, %u runs, %u of them well, %u writes without room\n", (unsigned long long)count, totals[0], totals[1],
           totals[2], totals[3], totals[4], totals[5], totals[6], totals[7], totals[8], totals[9], totals[10], totals[11]);
    return 0;
}
