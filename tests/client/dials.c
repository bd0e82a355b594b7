/* Connections that come to nothing: nobody listens, the server resets, closes, answers garbage or refuses, or says nothing at all; on the
 * library's own loop and on an app's libuv loop. Each time the device hears of it, tries again, and after its end an app's loop holds
 * nothing of it. What nobody can hear of ends with the heart's own deadline.
 *
 *     dials FOLDER        closes with "N passed" */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "client/tide_parts.h"
#include "tests/support/listener.h"

/* What is heard of must be heard of long before PATIENT_MS; what is not must not be waited for longer than BRIEF_MS. */
enum { PATIENT_MS = 120000, BRIEF_MS = 300, GUARD_MS = 90000, ATTEMPTS = 3, HEAD_BYTES = 4096 };

enum peer { PEER_NOBODY, PEER_RESETS, PEER_RESETS_LATE, PEER_CLOSES, PEER_ANSWERS, PEER_ANSWERS_AND_STAYS };

struct stage {
    const char *name;
    const char *host;
    enum peer peer;
    const char *answer;
    bool is_heard;  /* the system tells of it; else only the deadline ends it */
};

static const struct stage stages[] = {
    {"nobody listens", "127.0.0.1", PEER_NOBODY, "", true},
    {"nobody listens, at any address of the name", "localhost", PEER_NOBODY, "", true},
    {"no way there", "224.0.0.1", PEER_NOBODY, "", true},
    {"reset at once", "127.0.0.1", PEER_RESETS, "", true},
    {"nobody at the first address, reset at the second", "two.example", PEER_RESETS, "", true},
    {"closed at the second address", "two.example", PEER_CLOSES, "", true},
    {"reset once it has heard", "127.0.0.1", PEER_RESETS_LATE, "", true},
    {"closed at once", "127.0.0.1", PEER_CLOSES, "", true},
    {"no HTTP, and closed", "127.0.0.1", PEER_ANSWERS, "SSH-2.0-OpenSSH_9.2\r\n\r\n", true},
    {"zeros, and closed", "127.0.0.1", PEER_ANSWERS, "0000000000000000000000000000000", true},
    {"another protocol", "127.0.0.1", PEER_ANSWERS_AND_STAYS,
     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: other\r\n\r\n", true},
    {"a proof that is none", "127.0.0.1", PEER_ANSWERS_AND_STAYS,
     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: tidegate.v1\r\n\r\n", true},
    {"not ready", "127.0.0.1", PEER_ANSWERS_AND_STAYS, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", true},
    {"a head without an end", "127.0.0.1", PEER_ANSWERS_AND_STAYS, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: web", false},
    {"zeros without an end", "127.0.0.1", PEER_ANSWERS_AND_STAYS, "0000000000000000000000000000000", false},
    {"silence", "127.0.0.1", PEER_ANSWERS_AND_STAYS, "", false},
};

/* ---- the server: a thread that lets each connection have the same ---- */

struct server {
    const struct stage *stage;
    struct listener at;
    unsigned met;     /* connections */
};

static void *serve(void *ctx)
{
    struct server *server = ctx;
    const struct linger reset = {1, 0};
    int kept[ATTEMPTS * 64], count = 0, fd;
    char head[HEAD_BYTES];
    while ((fd = accept(server->at.fd, NULL, NULL)) >= 0) {
        const char *answer = server->stage->answer;
        server->met++;
        enum peer peer = server->stage->peer;
        if (peer != PEER_RESETS && peer != PEER_CLOSES && read(fd, head, sizeof head) < 0) head[0] = '\0';
        if (answer[0] != '\0' && send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0) head[0] = '\0';
        if (peer == PEER_RESETS || peer == PEER_RESETS_LATE) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (peer == PEER_ANSWERS_AND_STAYS && count < (int)(sizeof kept / sizeof kept[0])) kept[count++] = fd;
        else close(fd);
    }
    while (count > 0) close(kept[--count]);
    return NULL;
}

/* ---- the device ---- */

struct app {
    uv_loop_t loop;
    uv_timer_t guard;
    bool on_uv, was_connecting;
    int failures;
    char why[256];
};

static void late(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "it took too long\n");
    exit(1);
}

static void on_event(void *ctx, struct tide *tide, const struct tide_event *event)
{
    struct app *app = ctx;
    struct tide_status status;
    (void)event;
    tide_status(tide, &status);
    if (app->was_connecting && status.state == TIDE_WAITING) {
        app->failures++;
        snprintf(app->why, sizeof app->why, "%s", status.why);
    }
    app->was_connecting = status.state == TIDE_CONNECTING;
    if (app->on_uv && app->failures >= ATTEMPTS) uv_stop(&app->loop);
}

static bool has_failed(void *ctx) { return ((struct app *)ctx)->failures >= ATTEMPTS; }

static bool fail_on(const struct stage *stage, const char *folder, int number, bool on_uv)
{
    struct app app = {.on_uv = on_uv};
    struct server server = {.stage = stage};
    struct tide *tide;
    char path[4096], url[64], why[256];
    listener_begin(&server.at, stage->peer == PEER_NOBODY ? NULL : serve, &server);
    snprintf(path, sizeof path, "%s/dials-%ld-%d.db", folder, (long)getpid(), number);
    snprintf(url, sizeof url, "http://%s:%d", stage->host, server.at.port);
    struct tide_options options = {.path = path, .url = url, .token = "t", .on_event = on_event, .ctx = &app, .retry_base_ms = 1, .retry_most_ms = 10};
    static const char *const two[] = {"127.0.0.2", "127.0.0.1", NULL};
    struct tide_machine machine = {.addresses = strcmp(stage->host, "two.example") == 0 ? two : NULL, .connect_ms = stage->is_heard ? PATIENT_MS : BRIEF_MS};
    if (tide_open_on(&options, &machine, &tide, why, sizeof why) != TIDE_OK) return false;
    if (on_uv) {
        uv_loop_init(&app.loop);
        uv_timer_init(&app.loop, &app.guard);
        uv_timer_start(&app.guard, late, GUARD_MS, 0);
        if (tide_attach_uv(tide, &app.loop) != TIDE_OK) return false;
    }
    if (tide_subscribe(tide, "todos:ana", NULL) != TIDE_OK || tide_start(tide, TIDE_BOTH) != TIDE_OK) return false;
    bool failed = true;
    if (on_uv) uv_run(&app.loop, UV_RUN_DEFAULT);
    else failed = tide_run(tide, GUARD_MS, has_failed, &app);
    tide_close(tide);
    listener_end(&server.at);
    if (stage->peer != PEER_NOBODY && server.met == 0) return false;
    bool by_deadline = strcmp(app.why, SYNC_WHY_CONNECT) == 0;
    if (!failed || by_deadline == stage->is_heard) fprintf(stderr, "%d failures, the last: '%s'\n", app.failures, app.why);
    if (!on_uv) return failed && by_deadline != stage->is_heard;
    uv_close((uv_handle_t *)&app.guard, NULL);
    uv_run(&app.loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&app.loop);
    if (left != 0) uv_print_all_handles(&app.loop, stderr);
    return left == 0 && by_deadline != stage->is_heard;
}

int main(int argc, char **argv)
{
    int number = 0;
    if (argc != 2) return 64;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        for (int on_uv = 0; on_uv < 2; on_uv++) {
            printf("%s%s\n", stages[i].name, on_uv ? ", on libuv" : "");
            fflush(stdout);
            if (!fail_on(&stages[i], argv[1], number++, on_uv != 0)) return 1;
        }
    }
    printf("%d dials passed\n", number);
    return 0;
}
