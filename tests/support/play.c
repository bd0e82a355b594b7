#include "tests/support/play.h"

#include <stdio.h>
#include <stdlib.h>

const char *const play_spaces[PLAY_SPACES] = {"cart:ana", "chat:b", "notes:ana:c", "workouts:ana:d", "notes:ana:e"};
const char *const play_users[PLAY_CLIENTS] = {"ana", "ana", "bob"};

const struct play_count_name play_count_names[PLAY_COUNTS] = {
    [PLAY_WRITES] = {"writes", false},
    [PLAY_KILLS] = {"kills", false},
    [PLAY_RESTORED] = {"backups restored", false},
    [PLAY_RESTORED_AGAIN] = {"to be restored again", false},
    [PLAY_YEARS] = {"years in a drawer", false},
    [PLAY_BOOTS] = {"reboots", false},
    [PLAY_AIRPLANES] = {"flights", false},
    [PLAY_CUTS] = {"cut connections", false},
    [PLAY_BUSY_LOGS] = {"times a busy log", false},
    [PLAY_BROKEN_LINKS] = {"broken links", false},
    [PLAY_SERVER_ERRORS] = {"server errors", false},
    [PLAY_TOKENS_REFUSED] = {"tokens refused", false},
    [PLAY_TOKENS_EXPIRED] = {"tokens run out", false},
    [PLAY_NO_ROOM] = {"writes without room", false},
    [PLAY_CLOCKS] = {"clock jumps", false},
    [PLAY_BESIDE] = {"second processes", false},
    [PLAY_TAKEN_OVER] = {"that took over", false},
    [PLAY_REFUSALS] = {"refusals", false},
    [PLAY_RESOLVED] = {"conflicts put to a rule", false},
    [PLAY_HTTP] = {"calls of HTTP", false},
    [PLAY_WORK_ASKED] = {"times work was asked for", false},
    [PLAY_WORK_RUN] = {"runs of it", false},
    [PLAY_WORK_WELL] = {"of them well", false},
    [PLAY_SEALED] = {"sealed writes", false},
    [PLAY_BARE] = {"in the clear", false},
    [PLAY_NO_KEY] = {"refused for want of a key", false},
    [PLAY_MERGES_REFUSED] = {"refused as `merge`", false},
    [PLAY_KEYS_CHANGED] = {"changes of keys", false},
    [PLAY_LOCKED] = {"documents seen locked", false},
    [PLAY_LEARNT] = {"opened by a key that came", false},
    [PLAY_MADE_AGAIN] = {"increments made again", true},
};

void play_must(bool holds, const char *what, const char *file, int line)
{
    if (holds) return;
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

uint64_t play_chance(struct play *play, uint64_t below) { return world_chance(&play->world, below); }

bool play_is_bobs(size_t at) { return strcmp(play_users[at], "bob") == 0; }

size_t play_spaces_count(const struct play *play, size_t at)
{
    if (play_is_bobs(at)) return 1;
    return play->bare ? PLAY_OPEN_SPACES : PLAY_SPACES;
}

const char *play_space(size_t at, size_t n) { return play_spaces[play_is_bobs(at) ? 1 : n]; }

void play_kill(struct play *play, size_t at)
{
    struct client *client = &play->clients[at];
    char corpse[CLIENT_PATH_BYTES + 8];
    bool alone = !play->bare && play->beside[at] == NULL; /* else the files are another's too, who tidies up one day */
    snprintf(corpse, sizeof corpse, "%s.corpse", client->path);
    if (alone) backup_copy(client->path, corpse);
    client_kill(client);
    if (alone) backup_copy(corpse, client->path);
    play->counts[PLAY_KILLS]++;
}

void play_kill_all(struct play *play, size_t at)
{
    tide_close(play->beside[at]);
    play->beside[at] = NULL;
    if (play->clients[at].tide != NULL) play_kill(play, at);
}
