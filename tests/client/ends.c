/* A device's end on a libuv loop of the app's own, at every stage of its connection, and with an app that is slow to turn its loop then:
 * lws's handles close in that loop, and may be gone only after them.
 *
 *     ends FOLDER        closes with "N passed" */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "client/tidegate.h"

/* Longer than any delay after which the client would look at its handles. */
enum { BUSY_MS = 120, GUARD_MS = 60000, HEAD_BYTES = 4096 };

enum peer { PEER_SILENT, PEER_CLOSES, PEER_ANSWERS };

struct stage {
    const char *name;
    enum peer peer;
    const char *answer;
    bool turns; /* until the peer has done its part; or the end comes before the loop's first turn */
};

static const struct stage stages[] = {
    {"before the loop's first turn", PEER_SILENT, "", false},
    {"a server that does not answer", PEER_SILENT, "", true},
    {"a server that closes without an answer", PEER_CLOSES, "", true},
    {"a server that is not ready", PEER_ANSWERS, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", true},
    {"a server that refuses", PEER_ANSWERS, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno", true},
};

struct app {
    uv_loop_t loop;
    uv_timer_t guard;
    uv_tcp_t listener, peer;
    const struct stage *stage;
    struct tide *tide;
    bool has_peer, has_tried;
    char head[HEAD_BYTES];
};

static void late(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "it took too long\n");
    exit(1);
}

static void give(uv_handle_t *handle, size_t bytes, uv_buf_t *ret_buf)
{
    struct app *app = handle->data;
    (void)bytes;
    *ret_buf = uv_buf_init(app->head, sizeof app->head);
}

static void hear(uv_stream_t *stream, ssize_t bytes, const uv_buf_t *buf)
{
    struct app *app = stream->data;
    uv_buf_t answer = uv_buf_init((char *)(uintptr_t)app->stage->answer, (unsigned)strlen(app->stage->answer));
    (void)buf;
    if (bytes <= 0) return;
    uv_read_stop(stream);
    if (app->stage->peer == PEER_ANSWERS && uv_try_write(stream, &answer, 1) != (int)answer.len) exit(7);
    if (app->stage->peer == PEER_CLOSES) uv_close((uv_handle_t *)stream, NULL);
    if (app->stage->peer == PEER_SILENT) uv_stop(&app->loop);
}

static void meet(uv_stream_t *listener, int status)
{
    struct app *app = listener->data;
    if (status != 0 || app->has_peer) return;
    uv_tcp_init(&app->loop, &app->peer);
    app->peer.data = app;
    app->has_peer = true;
    if (uv_accept(listener, (uv_stream_t *)&app->peer) != 0) exit(7);
    uv_read_start((uv_stream_t *)&app->peer, give, hear);
}

/* What it was told makes it wait, which is as far as it comes with such a server. */
static void on_event(void *ctx, struct tide *tide, const struct tide_event *event)
{
    struct app *app = ctx;
    struct tide_status status;
    (void)event;
    tide_status(tide, &status);
    if (status.state == TIDE_CONNECTING) app->has_tried = true;
    else if (app->has_tried) uv_stop(&app->loop);
}

static int listen_on(struct app *app)
{
    struct sockaddr_in at;
    int bytes = sizeof at;
    uv_ip4_addr("127.0.0.1", 0, &at);
    uv_tcp_init(&app->loop, &app->listener);
    app->listener.data = app;
    if (uv_tcp_bind(&app->listener, (struct sockaddr *)&at, 0) != 0 || uv_tcp_getsockname(&app->listener, (struct sockaddr *)&at, &bytes) != 0) exit(7);
    if (uv_listen((uv_stream_t *)&app->listener, 8, meet) != 0) exit(7);
    return ntohs(at.sin_port);
}

static bool end_at(const struct stage *stage, const char *folder, int number, bool busy)
{
    struct app app = {.stage = stage};
    char path[4096], url[64], why[256];
    uv_loop_init(&app.loop);
    uv_timer_init(&app.loop, &app.guard);
    uv_timer_start(&app.guard, late, GUARD_MS, 0);
    snprintf(path, sizeof path, "%s/ends-%ld-%d.db", folder, (long)getpid(), number);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", listen_on(&app));
    struct tide_options options = {.path = path, .url = url, .token = "t", .on_event = on_event, .ctx = &app};
    if (tide_open(&options, &app.tide, why, sizeof why) != TIDE_OK || tide_attach_uv(app.tide, &app.loop) != TIDE_OK) return false;
    if (tide_subscribe(app.tide, "todos:ana", NULL) != TIDE_OK || tide_start(app.tide, TIDE_BOTH) != TIDE_OK) return false;
    if (stage->turns) uv_run(&app.loop, UV_RUN_DEFAULT);
    tide_close(app.tide);
    if (busy) uv_sleep(BUSY_MS);
    uv_close((uv_handle_t *)&app.guard, NULL);
    uv_close((uv_handle_t *)&app.listener, NULL);
    if (app.has_peer && !uv_is_closing((uv_handle_t *)&app.peer)) uv_close((uv_handle_t *)&app.peer, NULL);
    uv_run(&app.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&app.loop) == 0;
}

int main(int argc, char **argv)
{
    int number = 0;
    if (argc != 2) return 64;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        for (int busy = 0; busy < 2; busy++) {
            printf("%s%s\n", stages[i].name, busy ? ", and a slow app" : "");
            fflush(stdout);
            if (!end_at(&stages[i], argv[1], number++, busy != 0)) return 1;
        }
    }
    printf("%d ends passed\n", number);
    return 0;
}
