#include "tests/support/owner_rig.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "workers/host_uv.h"

enum { WAIT_MS = 30000 };

static struct owner_rig *clocked; /* the rig whose clock is set by hand */
static int64_t now_ms(void) { return clocked != NULL && clocked->now_ms != 0 ? clocked->now_ms : rig_now_ms(); }

static void keep(char **text, struct span span)
{
    free(*text);
    *text = malloc(span.bytes + 1);
    assert(*text != NULL);
    if (span.bytes != 0) memcpy(*text, span.at, span.bytes);
    (*text)[span.bytes] = 0;
}

static void on_told(void *ctx, const struct link_tell *tell)
{
    struct owner_rig *rig = ctx;
    rig->told[tell->kind]++;
    rig->last[tell->kind] = *tell;
    keep(&rig->text[tell->kind], tell->kind == LINK_PAGE && tell->err == ERR_OK ? tell->page->docs
                                 : tell->frame != NULL ? blob_span(tell->frame) : SPAN_LITERAL(""));
    if (tell->kind == LINK_PAGE && tell->err == ERR_OK && tell->page->parts_count > 0) rig->role = tell->page->parts[0].role;
    if (tell->kind == LINK_ANSWER && tell->code == ERR_OK) rig->answers_applied++;
}

static void on_up(void *ctx, uint32_t partition)
{
    (void)partition;
    ((struct owner_rig *)ctx)->ups++;
}

static void on_acked(void *ctx, const struct log_ack *acks, size_t count)
{
    for (size_t i = 0; i < count; i++) assert(acks[i].err == ERR_OK);
    ((struct owner_rig *)ctx)->acks += count;
}

/* Each record as "partition offset time bytes\n", its bytes, "\n": flushed before its effects begin. */
static void on_records(void *ctx, uint32_t partition, const struct log_record *records, size_t count)
{
    struct owner_rig *rig = ctx;
    for (size_t i = 0; i < count && rig->copy != NULL; i++) {
        fprintf(rig->copy, "%u %llu %lld %zu\n", partition, (unsigned long long)records[i].offset, (long long)records[i].time_ms,
                records[i].bytes.bytes);
        fwrite(records[i].bytes.at, 1, records[i].bytes.bytes, rig->copy);
        fputc('\n', rig->copy);
    }
    if (rig->copy != NULL) fflush(rig->copy);
    rig->records(rig->records_ctx, partition, records, count);
}

static void on_failed(void *ctx, enum err err, const char *why)
{
    (void)err;
    assert(why != NULL);
    ((struct owner_rig *)ctx)->failures++;
}

/* A callback of the reader gets the reader's ctx, the worker: so the copying reader is put between the two. */
static struct owner_rig *copying;
static void on_records_copied(void *ctx, uint32_t partition, const struct log_record *records, size_t count)
{
    copying->records_ctx = ctx;
    on_records(copying, partition, records, count);
}

void owner_rig_open(struct owner_rig *rig, const char *const *namespaces, size_t count)
{
    char why[256];
    struct span texts[16];
    struct embedded_options options = {.dir = rig->dir, .fsync = false, .now_ms = rig_now_ms};
    uv_loop_init(&rig->loop);
    rig->loop_open = true;
    enum err err = embedded_open(&options, &rig->loop, &rig->embedded, why, sizeof why);
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    clocked = rig;
    struct worker_host *host;
    err = host_uv_open(&rig->loop, now_ms, &host);
    assert(err == ERR_OK);
    struct worker_options worker = {.host = host, .reader = embedded_reader(rig->embedded),
                                    .rules_writer = embedded_rules_writer(rig->embedded),
                                    .link = embedded_link_owner(rig->embedded), .registry = embedded_registry(rig->embedded),
                                    .data_dir = rig->dir, .fsync = false, .journal_ms = 5, .say_ctx = rig,
                                    .failed = on_failed};
    err = worker_open(&worker, &rig->worker);
    assert(err == ERR_OK);
    for (size_t i = 0; i < count; i++) texts[i] = span_text(namespaces[i]);
    err = worker_namespaces_put(rig->worker, texts, count, why, sizeof why);
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    rig->link = embedded_link_gateway(rig->embedded);
    rig->link->ctx = rig;
    rig->link->told = on_told;
    rig->link->up = on_up;
    rig->writer = embedded_writer(rig->embedded);
    rig->writer->ctx = rig;
    rig->writer->acked = on_acked;
    if (rig->copy != NULL) {
        copying = rig;
        rig->records = embedded_reader(rig->embedded)->records;
        embedded_reader(rig->embedded)->records = on_records_copied;
    }
    rig->closed = false;
    rig->acks = rig->ups = 0;
    memset(rig->told, 0, sizeof rig->told);
}

static void on_closed(void *ctx)
{
    struct owner_rig *rig = ctx;
    rig->closed = true;
    embedded_close(rig->embedded);
}

void owner_rig_close(struct owner_rig *rig)
{
    if (rig->loop_open) {
        worker_close(rig->worker, rig, on_closed);
        rig_loop_close(&rig->loop);
        assert(rig->closed);
    }
    rig->loop_open = false;
    for (size_t i = 0; i < sizeof rig->text / sizeof *rig->text; i++) {
        free(rig->text[i]);
        rig->text[i] = NULL;
    }
}

static bool is_ready(void *ctx) { return worker_ready(((struct owner_rig *)ctx)->worker, NULL) && ((struct owner_rig *)ctx)->ups > 0; }
bool owner_rig_until_ready(struct owner_rig *rig) { return rig_until(&rig->loop, is_ready, rig, WAIT_MS); }

void owner_rig_push(struct owner_rig *rig, const struct record_push *push)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    record_encode_push(push, &buf);
    assert(buf_ok(&buf));
    struct blob *blob = blob_make(buf_span(&buf));
    enum err err = rig->writer->ops->append(rig->writer, hash_partition(push->space, rig->writer->partitions), blob, push->id);
    assert(err == ERR_OK);
    blob_put(blob);
    buf_fini(&buf);
}

void owner_rig_push_text(struct owner_rig *rig, const char *space, const char *user, uint64_t id, const char *ops)
{
    struct record_push push = {.space = span_text(space), .user = span_text(user), .has_device = true,
                               .device = span_text(rig->device != NULL ? rig->device : "device-0001"), .id = id, .after = id - 1, .known = id - 1,
                               .gateway = SPAN_LITERAL("local"), .session = 7};
    bool good = json_check(span_text(ops), &push.ops, NULL);
    assert(good);
    owner_rig_push(rig, &push);
}

void owner_rig_ask(struct owner_rig *rig, const struct link_ask *ask)
{
    enum err err = rig->link->ops->send(rig->link, ask);
    assert(err == ERR_OK);
}

struct goal {
    struct owner_rig *rig;
    enum link_tell_kind kind;
    size_t count;
};
static bool is_told(void *ctx)
{
    struct goal *goal = ctx;
    return goal->rig->told[goal->kind] >= goal->count;
}
bool owner_rig_until_told(struct owner_rig *rig, enum link_tell_kind kind, size_t count)
{
    struct goal goal = {rig, kind, count};
    return rig_until(&rig->loop, is_told, &goal, WAIT_MS);
}

static bool is_stored(void *ctx)
{
    struct owner_rig *rig = ctx;
    const struct worker_counters *counters = worker_counters(rig->worker);
    return counters->overlay_bytes == 0 && counters->lag == 0;
}
bool owner_rig_until_stored(struct owner_rig *rig) { return rig_until(&rig->loop, is_stored, rig, WAIT_MS); }
