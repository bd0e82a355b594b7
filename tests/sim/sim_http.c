/* HTTP calls: a device's background sync, there and back, each way late. The job runs in the gateway's own hub. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_lib.h"

enum { BODY_BYTES_MAX = 1 << 20 };

struct sim_call {
    struct sim_event event; /* first: it arrives, or its answer does */
    struct sim_call *next;
    struct sim *sim;
    struct sim_device *device;
    int gateway;
    unsigned number, status;
    struct hub_http_job *job;
    struct blob *body, *answer;
};

static void end_call(struct sim_call *call)
{
    struct sim_call **at = &call->sim->calls;
    while (*at != call) at = &(*at)->next;
    *at = call->next;
    blob_put(call->body);
    blob_put(call->answer);
    free(call);
}

static void come_back(struct sim *sim, struct sim_event *event)
{
    struct sim_call *call = (struct sim_call *)(void *)event;
    sim_mix_span(sim, blob_span(call->answer));
    if (call->device->lib != NULL) sim_lib_call_answered(call->device, call->number, call->gateway, call->status, blob_span(call->answer));
    else sim_device_hear_sync(call->device, blob_span(call->answer));
    end_call(call);
}

/* No answer will come. */
static void lose_call(struct sim_call *call)
{
    sim_lib_call_lost(call->device, call->number);
    end_call(call);
}

static void done(void *ctx, const struct hub_http_answer *answer)
{
    struct sim_call *call = ctx;
    call->job = NULL;
    call->status = answer->status;
    call->answer = blob_take(answer->body);
    sim_trace(call->sim, "%-7s answers %s's sync with %u", call->sim->gateways[call->gateway].name, call->device->name, answer->status);
    sim_queue_put(call->sim, &call->event, call->sim->now_us + sim_delay(call->sim, SIM_NET, call->sim->settings.net), come_back);
}

static void arrive(struct sim *sim, struct sim_event *event)
{
    struct sim_call *call = (struct sim_call *)(void *)event;
    struct sim_gateway *gateway = &sim->gateways[call->gateway];
    struct hub_http_request request = {.post = true, .path = SPAN_LITERAL("sync"), .body = blob_span(call->body)};
    if (!gateway->alive) {
        lose_call(call);
        return;
    }
    struct hub_credentials credentials = {.user_bytes = strlen(call->device->user), .expires_ms = INT64_MAX};
    memcpy(credentials.user, call->device->user, credentials.user_bytes);
    request.credentials = &credentials;
    struct hub_http_job *job = hub_http_start(gateway->hub, &request, sim_now_ms(sim), call, done);
    if (job != NULL) call->job = job;
    sim_gateway_touched(sim, call->gateway);
}

void sim_http_call(struct sim *sim, struct sim_device *device, struct span body, int gateway, unsigned number)
{
    struct sim_call *call = calloc(1, sizeof *call);
    assert(call != NULL);
    *call = (struct sim_call){.next = sim->calls, .sim = sim, .device = device, .gateway = gateway, .number = number, .body = blob_make(body)};
    assert(call->body != NULL);
    sim->calls = call;
    sim_queue_put(sim, &call->event, sim->now_us + sim_delay(sim, SIM_NET, sim->settings.net), arrive);
}

void sim_http_sync(struct sim *sim, struct sim_device *device, size_t space, int gateway)
{
    struct buf body;
    buf_init(&body, BODY_BYTES_MAX);
    sim_device_say_sync(device, space, &body);
    assert(buf_ok(&body));
    sim_http_call(sim, device, buf_span(&body), gateway, 0);
    buf_fini(&body);
}

void sim_http_gateway_dies(struct sim *sim, int gateway)
{
    for (struct sim_call *call = sim->calls, *next; call != NULL; call = next) {
        next = call->next;
        if (call->gateway != gateway || call->job == NULL) continue;
        hub_http_cancel(call->job);
        call->job = NULL;
        lose_call(call);
    }
}

void sim_http_fini(struct sim *sim)
{
    while (sim->calls != NULL) {
        assert(sim->calls->job == NULL); /* every gateway is dead */
        sim_queue_take(sim, &sim->calls->event);
        end_call(sim->calls);
    }
}
