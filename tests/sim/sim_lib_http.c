/* A one-shot sync of a device on the client library, by calls of HTTP: its connection ends for as long, what its app writes meanwhile waits. */
#include <assert.h>

#include "tests/sim/sim_frame.h"
#include "tests/sim/sim_lib.h"

/* ---- the history ---- */

static void tell(struct sim_lib *lib, enum checker_kind kind, struct json_value one)
{
    struct checker_event event = {.kind = kind, .who = span_text(lib->device->name), .conn = SIM_CONN_HTTP, .space = sim_frame_word(one, "space"),
                                  .known = sim_frame_number(one, "known")};
    if (kind == CHECKER_SENT) {
        event.id = sim_frame_number(one, "id");
        event.after = sim_frame_number(one, "after");
    } else {
        event.ref = SPAN_LITERAL("0");
        event.from = sim_frame_word(one, "since");
        event.once = true;
    }
    sim_judge_event(lib->device->sim, &event);
}

static void tap_asked(struct sim_lib *lib, struct span body)
{
    static const struct { const char *list; enum checker_kind kind; } parts[] = {{"pushes", CHECKER_SENT}, {"opens", CHECKER_OPEN}};
    struct sim *sim = lib->device->sim;
    struct json_value asked, one;
    struct checker_event event = {.kind = CHECKER_HELLO, .who = span_text(lib->device->name), .conn = SIM_CONN_HTTP, .user = span_text(lib->device->user),
                                  .device = span_text(tide_device(lib->tide)), .log = span_text(sim->log.name)};
    bool strict = json_check(body, &asked, NULL);
    assert(strict);
    lib->is_told = json_find(asked, "log").type == JSON_NONE || span_is(sim_frame_word(asked, "log"), sim->log.name);
    if (!lib->is_told) return; /* it will be told that this is another log, and nothing of it is done */
    sim_judge_event(sim, &event);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct json_iter iter = json_elements(json_find(asked, parts[i].list));
        while (json_next_element(&iter, &one)) tell(lib, parts[i].kind, one);
    }
}

/* In the order in which the library takes them. */
static void tap_answered(struct sim_lib *lib, struct span body)
{
    static const char *const lists[] = {"results", "errors", "closed", "pages"};
    struct sim_heard heard;
    struct json_value answer, frame;
    if (!json_check(body, &answer, NULL)) return;
    lib->device->in_call = true;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct json_iter iter = json_elements(json_find(answer, lists[i]));
        while (json_next_element(&iter, &frame))
            if (sim_frame_read(frame, &heard)) sim_frame_record(lib->device, &heard);
    }
    struct json_iter iter = json_elements(json_find(answer, "current"));
    while (json_next_element(&iter, &frame)) {
        sim_frame_read_current(frame, frame, &heard);
        heard.event.ref = SPAN_LITERAL("0");
        sim_frame_record(lib->device, &heard);
    }
    lib->device->in_call = false;
}

static void tap_end(struct sim_lib *lib)
{
    struct checker_event event = {.kind = CHECKER_CUT, .who = span_text(lib->device->name), .conn = SIM_CONN_HTTP};
    if (lib->is_told) sim_judge_event(lib->device->sim, &event);
    lib->is_told = false;
}

/* ---- the calls ---- */

static void ask(struct sim_lib *lib, int gateway)
{
    struct store_moment now = tide_now(lib->tide);
    struct buf body;
    buf_init(&body, 1 << 22);
    bool asks = sync_http_request(lib->tide->sync, SYNC_BOTH, &body, &now);
    tide_deliver(lib->tide); /* what grew too old is settled by now: its process may die before the answer */
    sim_lib_tap_outbox(lib, 0, NULL);
    if (asks) tap_asked(lib, buf_span(&body));
    if (asks) sim_http_call(lib->device->sim, lib->device, buf_span(&body), gateway, ++lib->call);
    else sim_lib_call_ends(lib->device);
    buf_fini(&body);
}

void sim_lib_sync(struct sim_device *device, int gateway)
{
    struct sim_lib *lib = device->lib;
    /* In another boot a wall clock that was set since is all it has: when it sent something, nobody can say later, and it becomes `unknown`. */
    if (lib->calling || !device->knows_ahead) return;
    lib->calling = true;
    sim_lib_hang_up(device);
    tide_stop(lib->tide);
    store_refresh(lib->tide->store);
    sync_begin_round(lib->tide->sync);
    ask(lib, gateway);
}

void sim_lib_call_answered(struct sim_device *device, unsigned number, int gateway, unsigned status, struct span body)
{
    struct sim_lib *lib = device->lib;
    struct store_moment now = tide_now(lib->tide);
    int64_t retry_ms = 0;
    if (!lib->calling || number != lib->call) return; /* of a process that died meanwhile */
    if (lib->is_told) tap_answered(lib, body);
    enum sync_http what = sync_http_answer(lib->tide->sync, status, body, &retry_ms, &now);
    tide_deliver(lib->tide);
    tap_end(lib);
    if (what == SYNC_HTTP_FAILED) sim_fail(device->sim, "%s is answered with %u: %.*s", device->name, status, (int)body.bytes, body.at);
    if (what == SYNC_HTTP_MORE) ask(lib, gateway);
    else sim_lib_call_ends(device);
}

/* Its process does. */
void sim_lib_call_dies(struct sim_device *device)
{
    tap_end(device->lib);
    device->lib->calling = false;
}

void sim_lib_call_lost(struct sim_device *device, unsigned number)
{
    if (device->lib == NULL || !device->lib->calling || number != device->lib->call) return;
    tap_end(device->lib);
    sim_lib_call_ends(device);
}
