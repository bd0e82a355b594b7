/* Two devices of one process before a real server: a tail and the history behind it, a signal, a barrier, an observer.
 *
 *     talk DIR URL TOKEN SPACE      SPACE: of `chat`. Says what fails, and exits with 1 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/tidegate.h"

enum { TIMEOUT_MS = 60000, MESSAGES = 6 };

#define MUST(condition) must((condition), #condition, __LINE__)
static void must(bool holds, const char *what, int line)
{
    if (holds) return;
    fprintf(stderr, "talk.c:%d: %s\n", line, what);
    exit(1);
}

struct device {
    struct tide *tide;
    unsigned signals, presences, added;
};

static void on_event(void *ctx, struct tide *tide, const struct tide_event *event)
{
    struct device *device = ctx;
    (void)tide;
    device->signals += event->kind == TIDE_EVENT_SIGNAL && strstr(event->frame, "typing") != NULL;
    device->presences += event->kind == TIDE_EVENT_PRESENCE;
}

static void begin(struct device *device, char **argv, const char *name)
{
    char path[512], why[256] = "";
    snprintf(path, sizeof path, "%s/%s.db", argv[1], name);
    struct tide_options options = {.path = path, .url = argv[2], .token = argv[3], .presence = true, .on_event = on_event, .ctx = device};
    if (tide_open(&options, &device->tide, why, sizeof why) != TIDE_OK) fprintf(stderr, "%s\n", why);
    MUST(device->tide != NULL);
}

static bool has(struct tide *tide, const char *space, const char *id)
{
    struct tide_doc *doc = NULL;
    bool there = tide_get(tide, space, "messages", id, &doc) == TIDE_OK;
    tide_doc_free(doc);
    return there;
}

struct wish {
    struct device *device;
    const char *space, *id;
};

static bool is_there(void *ctx)
{
    const struct wish *wish = ctx;
    return has(wish->device->tide, wish->space, wish->id);
}

static bool was_signalled(void *ctx) { return ((struct device *)ctx)->signals > 0; }
static bool was_told_who(void *ctx) { return ((struct device *)ctx)->presences > 0; }

static void see(void *ctx, enum tide_change change, const struct tide_doc *doc)
{
    struct device *device = ctx;
    (void)doc;
    device->added += change == TIDE_ADDED;
}

int main(int argc, char **argv)
{
    struct device ana = {.tide = NULL}, phone = {.tide = NULL};
    struct tide_observer *observer;
    if (argc != 5) return 64;
    const char *space = argv[4];
    begin(&ana, argv, "ana");
    begin(&phone, argv, "phone");
    for (int i = 0; i < MESSAGES; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        MUST(tide_append(ana.tide, space, "messages", id, "{\"text\":\"t\"}", NULL) == TIDE_OK);
    }
    MUST(tide_signal(ana.tide, space, "{\"typing\":true}") == TIDE_OFFLINE);
    MUST(tide_subscribe(ana.tide, space, NULL) == TIDE_OK && tide_start(ana.tide, TIDE_BOTH) == TIDE_OK);
    MUST(tide_wait_synced(ana.tide, TIMEOUT_MS) == TIDE_OK);
    MUST(tide_subscribe(phone.tide, space, &(struct tide_space_options){.priority = 0, .tail = 2}) == TIDE_OK);
    MUST(tide_observe(phone.tide, &(struct tide_query){.space = space, .collection = "messages", .order = "@born"}, see, NULL, &phone, &observer) == TIDE_OK);
    MUST(tide_start(phone.tide, TIDE_BOTH) == TIDE_OK && tide_wait_synced(phone.tide, TIMEOUT_MS) == TIDE_OK);
    MUST(has(phone.tide, space, "m5") && has(phone.tide, space, "m4") && !has(phone.tide, space, "m3") && phone.added == 2);
    MUST(tide_history(phone.tide, space, "messages", 0, 4) == TIDE_OK);
    MUST(tide_run(phone.tide, TIMEOUT_MS, is_there, &(struct wish){&phone, space, "m2"}));
    MUST(has(phone.tide, space, "m3") && !has(phone.tide, space, "m1"));
    MUST(tide_signal(ana.tide, space, "{typing}") == TIDE_INVALID);
    MUST(tide_signal(ana.tide, space, "{\"typing\":true}") == TIDE_OK);
    tide_run(ana.tide, 0, NULL, NULL);
    MUST(tide_run(phone.tide, TIMEOUT_MS, was_signalled, &phone) && ana.signals == 0);
    MUST(tide_run(phone.tide, TIMEOUT_MS, was_told_who, &phone));
    MUST(tide_sync(phone.tide, TIDE_BOTH, TIMEOUT_MS) == TIDE_MISUSE && tide_attach_uv(phone.tide, &phone) == TIDE_MISUSE);
    tide_observer_free(observer);
    tide_close(ana.tide);
    tide_close(phone.tide);
    printf("talked\n");
    return 0;
}
