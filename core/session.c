#include "core/session.h"

#include <assert.h>

#include "core/limits.h"

enum { BURST_SECONDS = 4 };

void session_move(enum session_state *state, enum session_state to)
{
    static const bool legal[3][3] = {
        [SESSION_HELLO] = {[SESSION_LIVE] = true, [SESSION_CLOSING] = true},
        [SESSION_LIVE] = {[SESSION_CLOSING] = true},
        [SESSION_CLOSING] = {[SESSION_CLOSING] = true}};
    assert(legal[*state][to]);
    *state = to;
}

enum session_delivery session_deliver(uint64_t place, uint64_t update_prev, uint64_t update_place)
{
    if (update_place <= place) return SESSION_DROP;
    return update_prev == place ? SESSION_FORWARD : SESSION_HOLE;
}

enum session_due session_due(enum session_state state, const struct session_times *times, int64_t heartbeat_ms, int64_t now_ms)
{
    if (state == SESSION_CLOSING) return SESSION_DUE_NOTHING;
    if (state == SESSION_HELLO && now_ms - times->connected_ms >= SESSION_HELLO_MS) return SESSION_DUE_HELLO;
    if (now_ms - times->heard_ms >= 2 * heartbeat_ms) return SESSION_DUE_HEARTBEAT;
    return now_ms - times->pinged_ms >= heartbeat_ms ? SESSION_DUE_PING : SESSION_DUE_NOTHING;
}

bool session_bucket_take(struct session_bucket *bucket, int64_t rate, int64_t now_ms)
{
    int64_t refill = (now_ms - bucket->at_ms) * rate;
    bucket->used_milli = refill >= bucket->used_milli || refill < 0 ? 0 : bucket->used_milli - refill;
    bucket->at_ms = now_ms;
    if (bucket->used_milli + 1000 > rate * BURST_SECONDS * 1000) return false;
    bucket->used_milli += 1000;
    return true;
}

bool session_faults_add(struct session_faults *faults, int64_t now_ms)
{
    if (faults->count == 0 || now_ms - faults->since_ms > SESSION_FAULT_WINDOW_MS) {
        faults->since_ms = now_ms;
        faults->count = 0;
    }
    return ++faults->count < LIMIT_BAD_FRAMES_MAX;
}

void session_failure_note(struct session_failure *failure, uint64_t space, uint64_t id, int64_t now_ms)
{
    uint32_t i = 0;
    while (i < failure->count && failure->entries[i].space != space) i++;
    if (i == SESSION_FAILURES_MAX) return;
    if (i == failure->count) {
        failure->entries[failure->count].space = space;
        failure->entries[failure->count++].id = id;
    }
    if (id < failure->entries[i].id) failure->entries[i].id = id;
    failure->entries[i].until_ms = now_ms + SESSION_RETRY_MS;
}

bool session_failure_blocks(struct session_failure *failure, uint64_t space, uint64_t id, int64_t now_ms)
{
    for (uint32_t i = 0; i < failure->count; i++) {
        if (failure->entries[i].space != space) continue;
        if (id > failure->entries[i].id && now_ms < failure->entries[i].until_ms) return true;
        failure->entries[i] = failure->entries[--failure->count];
        return false;
    }
    return false;
}
