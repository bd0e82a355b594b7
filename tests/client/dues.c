/* tide_run_due() within its time: before a server that is silent, slow, or not there, and with another process that keeps the store's
 * write lock. It returns in time, says why, and holds nothing then.
 *
 * How late it comes back, and whether the server's answer comes in time, depends on the machine too: of TRIES, one must be no later than LATE_MS,
 * and one say why; what waits for anything but its own deadline fails them all. Nothing may be held after any.
 *
 *     dues FOLDER        closes with "N passed" */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "client/tide_parts.h"
#include "tests/support/listener.h"

enum { WITHIN_MS = 300, LATE_MS = 200, TRIES = 30, HEAD_BYTES = 65536, DRIP_MS = 20 };

enum peer { PEER_NOBODY, PEER_SILENT, PEER_DRIPS, PEER_BUSY };

struct stage {
    const char *name;
    enum peer peer;
    bool store_is_taken;
    const char *why;   /* is in the sentence */
};

static const struct stage stages[] = {
    {"nobody listens", PEER_NOBODY, false, "retry"},
    {"a silent server", PEER_SILENT, false, "did not answer in time"},
    {"a server that answers a byte now and then", PEER_DRIPS, false, "did not answer in time"},
    {"a server that is busy", PEER_BUSY, false, "come back"},
    {"another process that writes for long", PEER_SILENT, true, ""},
};

struct server {
    const struct stage *stage;
    struct listener at;
};

static void pause_ms(long ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL); }

static void drip(int fd)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{";
    if (send(fd, head, strlen(head), MSG_NOSIGNAL) < 0) return;
    while (send(fd, " ", 1, MSG_NOSIGNAL) == 1) pause_ms(DRIP_MS); /* until it hangs up */
}

static void *serve(void *ctx)
{
    struct server *server = ctx;
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 2\r\n\r\n{}";
    static char head[HEAD_BYTES];
    int fd;
    while ((fd = accept(server->at.fd, NULL, NULL)) >= 0) {
        ssize_t got = read(fd, head, sizeof head);
        if (got > 0 && server->stage->peer == PEER_DRIPS) drip(fd);
        if (got > 0 && server->stage->peer == PEER_BUSY && send(fd, busy, strlen(busy), MSG_NOSIGNAL) < 0) got = 0;
        while (got > 0) got = read(fd, head, sizeof head); /* until it hangs up */
        close(fd);
    }
    return NULL;
}

/* Nobody has to wait for it now: neither to write nor to sync. */
static bool is_free(const char *path, struct tide *second)
{
    sqlite3 *db;
    bool free_to_write = sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, "BEGIN IMMEDIATE; COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    sqlite3_close(db);
    bool free_to_sync = tide_start(second, TIDE_BOTH) == TIDE_OK;
    if (free_to_sync) tide_stop(second);
    return free_to_write && free_to_sync;
}

static bool comes_back(struct tide *tide, int64_t *ret_late_ms)
{
    struct tide_due due;
    int64_t began = clock_monotonic_ms();
    enum tide_code code = tide_run_due(tide, WITHIN_MS, &due);
    *ret_late_ms = clock_monotonic_ms() - began - WITHIN_MS;
    return code == TIDE_OK || code == TIDE_BUSY;
}

static bool try_stage(const struct stage *stage, const char *folder, int number)
{
    struct server server = {.stage = stage};
    struct tide *tide, *second;
    struct tide_reason reason;
    struct tide_options beside;
    char path[4096], url[64], why[256];
    int64_t best_ms = INT64_MAX;
    sqlite3 *other;
    bool good = true, said = false;
    listener_begin(&server.at, stage->peer == PEER_NOBODY ? NULL : serve, &server);
    snprintf(path, sizeof path, "%s/dues-%ld-%d.db", folder, (long)getpid(), number);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server.at.port);
    struct tide_options options = {.path = path, .url = url, .token = "t"};
    beside = (struct tide_options){.path = path};
    if (tide_open(&options, &tide, why, sizeof why) != TIDE_OK || tide_open(&beside, &second, why, sizeof why) != TIDE_OK) return false;
    if (tide_subscribe(tide, "todos:ana", NULL) != TIDE_OK || sqlite3_open(path, &other) != SQLITE_OK) return false;
    for (int i = 0; i < TRIES && good && (best_ms > LATE_MS || !said); i++) {
        int64_t late_ms;
        if (tide_work_add(tide, &(struct tide_work){.name = "upload"}, TIDE_REPLACE) != TIDE_OK) return false;
        if (stage->store_is_taken && sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK) return false;
        good = comes_back(tide, &late_ms);
        if (stage->store_is_taken && sqlite3_exec(other, "COMMIT", NULL, NULL, NULL) != SQLITE_OK) return false;
        good = good && is_free(path, second);
        tide_why_not(tide, "upload", &reason);
        if (strstr(reason.sentence, stage->why) != NULL) said = true;
        if (late_ms < best_ms) best_ms = late_ms;
    }
    good = good && said && best_ms <= LATE_MS;
    if (!good) fprintf(stderr, "%lld ms late at best; '%s'\n", (long long)best_ms, reason.sentence);
    sqlite3_close(other);
    tide_close(second);
    tide_close(tide);
    listener_end(&server.at);
    return good;
}

int main(int argc, char **argv)
{
    int number = 0;
    if (argc != 2) return 64;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        printf("%s\n", stages[i].name);
        fflush(stdout);
        if (!try_stage(&stages[i], argv[1], number++)) return 1;
    }
    printf("%d dues passed\n", number);
    return 0;
}
