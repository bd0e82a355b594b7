#include "tests/support/worker_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/state_key.h"
#include "workers/host_uv.h"
#include "workers/store.h"

static enum err send_nowhere(struct link_owner *link, uint32_t peer, const struct link_tell *tell)
{
    (void)link;
    (void)peer;
    (void)tell;
    return ERR_BUSY;
}

static void owns(struct link_owner *link, uint32_t partition, bool owned)
{
    struct worker_rig *w = (struct worker_rig *)(void *)((char *)link - offsetof(struct worker_rig, link));
    (void)partition;
    if (owned) w->owned++;
    else w->owned--;
}

static void say(void *ctx, const char *event, const char *details)
{
    struct worker_rig *w = ctx;
    if (strcmp(event, "restoring") == 0) w->restoring++;
    if (strcmp(event, "partition_failed") == 0 || strcmp(event, "log_failed") == 0) snprintf(w->why, sizeof w->why, "%s", details);
}

static void on_failed(void *ctx, enum err err, const char *why)
{
    struct worker_rig *w = ctx;
    (void)err;
    (void)why;
    w->failures++;
}

static const struct link_owner_ops link_ops = {send_nowhere, owns};

void worker_rig_open(struct worker_rig *w, const char *prefix)
{
    char why[256] = "";
    struct kafka_options options = {.hosts = kafka_desk_hosts(), .prefix = prefix, .session_s = 10};
    struct worker_host *host;
    w->link.ops = &link_ops;
    w->owned = w->restoring = w->failures = 0;
    uv_loop_init(&w->loop);
    enum err err = kafka_worker_open(&options, &w->loop, &w->kafka, why, sizeof why);
    if (err != ERR_OK) fail_msg("%s", why);
    assert_int_equal(host_uv_open(&w->loop, rig_now_ms, &host), ERR_OK);
    struct worker_options worker = {.host = host, .reader = kafka_reader(w->kafka), .rules_writer = kafka_writer(w->kafka), .link = &w->link,
                                    .registry = &w->registry, .data_dir = w->dir, .fsync = false, .journal = kafka_journal(w->kafka),
                                    .shares_partitions = true, .journal_ms = 20, .gateways_outlive = true, .say = say, .say_ctx = w, .failed = on_failed};
    assert_int_equal(worker_open(&worker, &w->worker), ERR_OK);
    w->open = true;
}

static void on_kafka_closed(void *ctx) { ((struct worker_rig *)ctx)->open = false; }

static void on_worker_closed(void *ctx)
{
    struct worker_rig *w = ctx;
    kafka_close(w->kafka, w, on_kafka_closed);
}

void worker_rig_close(struct worker_rig *w)
{
    worker_close(w->worker, w, on_worker_closed);
    while (w->open) uv_run(&w->loop, UV_RUN_ONCE);
    rig_loop_close(&w->loop);
}

static bool is_ready(void *ctx)
{
    struct worker_rig *w = ctx;
    return w->failures > 0 || (w->owned == KAFKA_DESK_PARTITIONS && worker_ready(w->worker, NULL));
}

void worker_rig_until_ready(struct worker_rig *w)
{
    const char *why = "";
    bool ready = rig_until(&w->loop, is_ready, w, KAFKA_DESK_WAIT_MS);
    (void)worker_ready(w->worker, &why);
    if (!ready || w->failures > 0) fail_msg("owns %zu; %s; %s", w->owned, why == NULL ? "" : why, w->why);
}

struct goal {
    struct worker_rig *w;
    uint64_t records;
};
static bool is_stored(void *ctx)
{
    const struct goal *goal = ctx;
    const struct worker_counters *counters = worker_counters(goal->w->worker);
    return goal->w->failures > 0 || (counters->records >= goal->records && counters->overlay_bytes == 0);
}

void worker_rig_until_stored(struct worker_rig *w, uint64_t records)
{
    struct goal goal = {w, records};
    if (!rig_until(&w->loop, is_stored, &goal, KAFKA_DESK_WAIT_MS) || w->failures > 0)
        fail_msg("records %llu of %llu; %s", (unsigned long long)worker_counters(w->worker)->records, (unsigned long long)records, w->why);
}

void worker_rig_copy(const char *from, const char *to)
{
    char command[2 * RIG_PATH_BYTES + 64];
    snprintf(command, sizeof command, "cp -r '%s'/store-* '%s'/", from, to);
    assert_int_equal(system(command), 0);
}

/* ---- comparing ---- */

static void next_entry(const struct state_reader *reader, enum state_table table, char *room, size_t *bytes, struct span *ret_key, struct span *ret_value)
{
    assert_int_equal(reader->seek(reader->ctx, table, span_of(room, *bytes), false, ret_key, ret_value), ERR_OK);
    if (ret_key->at == NULL) return;
    memcpy(room, ret_key->at, ret_key->bytes);
    room[ret_key->bytes] = 0;
    *bytes = ret_key->bytes + 1;
}

static size_t same_table(const struct state_reader *a, const struct state_reader *b, enum state_table table)
{
    char room_a[STATE_KEY_BYTES_MAX + 1], room_b[STATE_KEY_BYTES_MAX + 1];
    size_t bytes_a = 0, bytes_b = 0;
    for (size_t count = 0;; count++) {
        struct span key_a, key_b, value_a, value_b;
        next_entry(a, table, room_a, &bytes_a, &key_a, &value_a);
        next_entry(b, table, room_b, &bytes_b, &key_b, &value_b);
        if (!span_equal(key_a, key_b) || !span_equal(value_a, value_b))
            fail_msg("table %d differs at entry %zu: `%.*s` and `%.*s`", (int)table, count, (int)key_a.bytes, key_a.at, (int)key_b.bytes, key_b.at);
        if (key_a.at == NULL) return count;
    }
}

void worker_rig_same(const char *a, const char *b, const char *log)
{
    size_t entries = 0;
    for (uint32_t p = 0; p < KAFKA_DESK_PARTITIONS; p++) {
        const char *dirs[] = {a, b};
        struct store *stores[2];
        struct store_view *views[2];
        struct store_stamp stamps[2];
        char path[RIG_PATH_BYTES + 32], why[256] = "";
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/store-%u", dirs[i], p);
            struct store_options options = {.path = path, .log = log, .partition = p};
            if (store_open(&options, &stores[i], why, sizeof why) != ERR_OK) fail_msg("%s", why);
            assert_int_equal(store_view_begin(stores[i], &views[i]), ERR_OK);
            assert_int_equal(store_view_stamp(views[i], &stamps[i]), ERR_OK);
        }
        assert_int_equal(stamps[0].next_offset, stamps[1].next_offset);
        assert_int_equal(stamps[0].last_hash, stamps[1].last_hash);
        struct state_reader readers[] = {store_view_reader(views[0]), store_view_reader(views[1])};
        for (int t = 0; t < STATE_TABLES; t++)
            if (t != STATE_DUE) entries += same_table(&readers[0], &readers[1], (enum state_table)t);
        for (int i = 0; i < 2; i++) {
            store_view_end(views[i]);
            store_close(stores[i]);
        }
    }
    assert_true(entries > 0);
}
