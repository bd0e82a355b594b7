/* A device on the C client library whose bytes, clocks and network are the test's: a handle of the public API, moved by hand, before
 * a hub and the true owner (hub_world.h). */
#ifndef TIDEGATE_TESTS_SUPPORT_CLIENT_RIG_H
#define TIDEGATE_TESTS_SUPPORT_CLIENT_RIG_H

#include "client/tide_parts.h"
#include "tests/support/hub_world.h"

enum { CLIENT_PATH_BYTES = 256 };

struct client {
    struct world *world;
    size_t at;              /* its connection */
    const char *user;
    char path[CLIENT_PATH_BYTES];
    struct tide *tide;      /* NULL: its process is dead */
    struct rig_conn *conn;  /* NULL: not connected */
    bool network;
    bool refuse_token;      /* the next upgrade is answered with 401 */
    unsigned server_error;  /* the next upgrade or call is answered with that status; 0: it is taken */
    bool token_is_slow;     /* a token that is asked for is the test's to give, by client_give_token() */
    bool wants_token;
    unsigned differed;      /* times that the copy was found to differ from the server's */
    int64_t wall_off_ms;    /* its wall clock is wrong by so much */
    int64_t boot_at_ms;     /* the world's time when it booted, */
    unsigned boots;         /* for the how manyth time */
    unsigned tokens;        /* asked for, */
    unsigned expired;       /* of them because a live connection's had run out */
    unsigned resolved;      /* the resolver's own count */
    unsigned events[16];    /* told, by kind */
    char last_code[32];     /* of the last event that had one */
    unsigned call;          /* of HTTP, counted: an answer to one that was given up is none */
    bool answered;
    unsigned status;
    char *answer;
    bool (*go_on)(void *ctx); /* what the world does while a call of tide_run_due() waits; false: it gives up. NULL: everything comes through */
    void *go_on_ctx;
    enum tide_work_result (*on_work)(void *ctx, struct tide *tide, const char *name, const char *input, int64_t within_ms);
    const char *keys;       /* ids of the keys that it has, the newest first: "k2 k1"; "" for none; NULL: it is opened without on_key */
    bool (*is_sealed)(const char *space, const char *collection); /* NULL: all collections are but `members` */
    unsigned keys_asked;    /* how often it was asked for any */
    enum tide_choice (*resolve)(void *ctx, const struct tide_conflict *conflict, const char **ret_merged);
};

void client_init(struct client *client, struct world *world, size_t at, const char *user, const char *dir);
void client_begin(struct client *client);             /* a process opens the store and starts */
/* A process opens the store, and no more: with on_key, where the client has keys and `keyed`. The handle is the caller's. */
struct tide *client_open(struct client *client, bool keyed);
void client_give_token(struct client *client);        /* one that it asked for */
/* NULL, or, where the environment has CLIENT_STORE_KEY, that with which all stores are encrypted. */
const unsigned char *client_store_key(void);
void client_kill(struct client *client);              /* the process dies: nothing is said to anybody */
void client_fini(struct client *client);
void client_step(struct client *client);              /* what it wants of its connection happens; what was sent is heard */
void client_network(struct client *client, bool up);
void client_cut(struct client *client);               /* the connection ends; the network stays */
void client_fill_disk(const struct client *client, bool full); /* files of this process may grow no further than its log is */
void client_boot(struct client *client);              /* the machine starts anew; the process is dead before and after */
/* Stops, syncs by calls of HTTP for as long as `go_on` gets answers out of the world, and starts again. Returns how many were answered. */
unsigned client_sync_once(struct client *client, bool (*go_on)(void *ctx), void *ctx);
/* Stops, runs background work with calls of HTTP (`go_on`), and starts again. */
enum tide_code client_run_due(struct client *client, struct tide_due *ret_due);
/* Lets everything through for so long (the world's time), until everybody is quiet. */
void client_settle(struct client *const *clients, size_t count, int64_t ms);
struct store_moment client_now(void *ctx);
struct tide_machine client_machine(struct client *client); /* its clocks, and chance of the world's seed */
/* Is it as the owner has it: the same documents, no more, no fewer, and by its sums? What is shown as opened must be what the owner's
 * sealed body opens to. What differs is printed. */
bool client_is_like_owner(struct client *client, const char *space);
/* The body of a document as shown; NULL: none. Free it. */
char *client_body(struct client *client, const char *space, const char *collection, const char *id);

#endif
