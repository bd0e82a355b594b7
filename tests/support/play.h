/* A play: what the parts of the random schedules (tests/client/plays.c) have in common. Three devices of two users, four spaces and
 * more, and what each device is known to have written.
 *     play.c          the play itself, and what was counted
 *     play_apps.c     what apps do: writing, settling refusals, background work, a second process
 *     play_secrets.c  bodies that are sealed end to end, on devices whose keys come and go
 *     play_holds.c    what must hold in the end
 * `bare` plays do only what plays did first, by the very same chances: for seeds that failed then. */
#ifndef TIDEGATE_TESTS_SUPPORT_PLAY_H
#define TIDEGATE_TESTS_SUPPORT_PLAY_H

#include "tests/support/client_backup.h"
#include "tests/support/client_rig.h"
#include "tests/support/rig.h"

enum { PLAY_CLIENTS = 3, PLAY_SPACES = 5, PLAY_OPEN_SPACES = 3, PLAY_MESSAGES_MAX = 512 };

extern const char *const play_spaces[PLAY_SPACES]; /* the last two are sealed, and no part of a bare play */
extern const char *const play_users[PLAY_CLIENTS];

/* What happened, so that plays are known to have played. */
enum play_count {
    PLAY_WRITES, PLAY_KILLS, PLAY_RESTORED, PLAY_RESTORED_AGAIN, PLAY_YEARS, PLAY_BOOTS, PLAY_AIRPLANES, PLAY_CUTS, PLAY_BUSY_LOGS, PLAY_BROKEN_LINKS,
    PLAY_SERVER_ERRORS, PLAY_TOKENS_REFUSED, PLAY_TOKENS_EXPIRED, PLAY_NO_ROOM, PLAY_CLOCKS, PLAY_BESIDE, PLAY_TAKEN_OVER, PLAY_REFUSALS, PLAY_RESOLVED,
    PLAY_HTTP, PLAY_WORK_ASKED, PLAY_WORK_RUN, PLAY_WORK_WELL, PLAY_SEALED, PLAY_BARE, PLAY_NO_KEY, PLAY_MERGES_REFUSED, PLAY_KEYS_CHANGED, PLAY_LOCKED,
    PLAY_LEARNT, PLAY_MADE_AGAIN, PLAY_COUNTS
};
struct play_count_name {
    const char *name;
    bool may_be_none; /* also in hundreds of plays */
};
extern const struct play_count_name play_count_names[PLAY_COUNTS];

/* A document of an `append` collection: it is there in the end, as it was written. */
struct play_message {
    size_t client;
    bool lost;       /* made after a backup that was put back */
    bool refused;
    bool sealed;
    char id[24], body[64];
};

struct play {
    struct world world;
    char dir[RIG_PATH_BYTES];
    struct client clients[PLAY_CLIENTS];
    struct client *all[PLAY_CLIENTS];
    struct tide *beside[PLAY_CLIENTS];    /* another process on the same store, that stays; NULL: none */
    bool is_beside_keyed[PLAY_CLIENTS];
    unsigned made[PLAY_CLIENTS];          /* increments, each client on a field of its own */
    unsigned uncertain[PLAY_CLIENTS];     /* of them: unknown, or made on a disk that was thrown away */
    unsigned again[PLAY_CLIENTS];         /* of them: what a former life sent, and a later one sends when the log has forgotten it */
    struct backup_unsent former[PLAY_CLIENTS]; /* in the store as it was put back, though in the log */
    bool has_backup[PLAY_CLIENTS], is_backup_old[PLAY_CLIENTS]; /* from before the year */
    unsigned made_at_backup[PLAY_CLIENTS];
    size_t messages_at_backup[PLAY_CLIENTS];
    size_t messages_count;
    struct play_message messages[PLAY_MESSAGES_MAX];
    unsigned secrets;                     /* bodies that were told to be sealed, numbered */
    bool disk_is_full;
    bool bare;
    unsigned counts[PLAY_COUNTS];
};

#define PLAY_MUST(condition) play_must((condition), #condition, __FILE__, __LINE__)
void play_must(bool holds, const char *what, const char *file, int line);
uint64_t play_chance(struct play *play, uint64_t below);
bool play_is_bobs(size_t at);
/* How many spaces a device may have, and the n-th of them. */
size_t play_spaces_count(const struct play *play, size_t at);
const char *play_space(size_t at, size_t n);
/* The end of a process: what it wrote to its files is there, and nothing is tidied up. Another one on the store goes on. */
void play_kill(struct play *play, size_t at);
void play_kill_all(struct play *play, size_t at);

/* ---- play_apps.c ---- */

void play_write(struct play *play, size_t at, struct tide *tide, bool keyed);
void play_write_beside(struct play *play, size_t at);  /* another process writes, and goes */
void play_live_beside(struct play *play, size_t at);   /* another process comes, writes, goes, or syncs in the place of one that died */
void play_have_no_room(struct play *play, size_t at);
void play_look_at_refusals(struct play *play, size_t at, bool settle);
void play_ask_for_work(struct play *play, struct tide *tide);
void play_run_work(struct play *play, size_t at);

struct play_patience {
    struct play *play;
    unsigned turns;
};
bool play_go_on(void *ctx); /* of a struct play_patience: the world turns, and the turns get fewer */

/* ---- play_secrets.c ---- */

bool play_is_sealed(const char *space, const char *collection);
void play_write_secret(struct play *play, size_t at, struct tide *tide, bool keyed);
void play_change_keys(struct play *play, size_t at);
void play_give_all_keys(struct play *play);
enum tide_choice play_resolve(void *ctx, const struct tide_conflict *conflict, const char **ret_merged); /* ctx: a struct client */
void play_secrets_are_kept(struct play *play);  /* nothing is shut, and nothing was seen by the server */

/* ---- play_holds.c ---- */

void play_everything_has_its_outcome(struct play *play);
void play_work_comes_to_its_end(struct play *play);
void play_nothing_is_lost_or_doubled(struct play *play);

#endif
