/* A device on a libuv loop of the app's own: writes, is whole, sees another's write, closes, and leaves the loop empty.
 *
 *     on_uv DB URL TOKEN SPACE      prints `whole`, then each change until `stop` was added */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "client/tidegate.h"

enum { TIMEOUT_MS = 60000 };

struct app {
    uv_loop_t loop;
    uv_timer_t guard;
    struct tide *tide;
    struct tide_observer *observer;
    bool was_whole, stops;
};

static void on_event(void *ctx, struct tide *tide, const struct tide_event *event)
{
    struct app *app = ctx;
    struct tide_status status;
    (void)event;
    tide_status(tide, &status);
    if (status.whole && !app->was_whole) {
        app->was_whole = true;
        printf("whole\n");
        fflush(stdout);
    }
}

static void see(void *ctx, enum tide_change change, const struct tide_doc *doc)
{
    struct app *app = ctx;
    printf("%c%s\n", "+~-"[change], doc->id);
    fflush(stdout);
    if (strcmp(doc->id, "stop") == 0) app->stops = true;
}

static void after(void *ctx)
{
    struct app *app = ctx;
    if (app->stops) uv_stop(&app->loop);
}

static void late(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "it took too long\n");
    exit(1);
}

int main(int argc, char **argv)
{
    struct app app = {.stops = false};
    char why[256];
    if (argc != 5) return 64;
    struct tide_options options = {.path = argv[1], .url = argv[2], .token = argv[3], .on_event = on_event, .ctx = &app};
    uv_loop_init(&app.loop);
    uv_timer_init(&app.loop, &app.guard);
    uv_timer_start(&app.guard, late, TIMEOUT_MS, 0);
    if (tide_open(&options, &app.tide, why, sizeof why) != TIDE_OK || tide_attach_uv(app.tide, &app.loop) != TIDE_OK) return 2;
    if (tide_subscribe(app.tide, argv[4], NULL) != TIDE_OK || tide_put(app.tide, argv[4], "todos", "mine", "{\"title\":\"mine\"}", NULL) != TIDE_OK) return 3;
    if (tide_observe(app.tide, &(struct tide_query){.space = argv[4], .collection = "todos"}, see, after, &app, &app.observer) != TIDE_OK) return 4;
    if (tide_start(app.tide, TIDE_BOTH) != TIDE_OK) return 5;
    uv_run(&app.loop, UV_RUN_DEFAULT);
    tide_observer_free(app.observer);
    tide_close(app.tide);
    uv_close((uv_handle_t *)&app.guard, NULL);
    uv_run(&app.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&app.loop) == 0 && app.was_whole ? 0 : 6;
}
