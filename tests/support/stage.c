#include "tests/support/stage.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/record.h"
#include "workers/store.h"


enum { ROUNDS = 400 };

#define OF(member, at) ((struct stage *)(void *)((char *)(at) - offsetof(struct stage, member)))

/* ---- host ---- */

static int64_t now_ms(struct worker_host *host) { return (void)host, 1700000000000; }
static void arm(struct worker_host *host, enum worker_timer timer, uint64_t in_ms) { (void)in_ms, OF(host, host)->armed[timer] = true; }
static void disarm(struct worker_host *host, enum worker_timer timer) { OF(host, host)->armed[timer] = false; }

static void work(struct worker_host *host, enum worker_lane lane, struct worker_job *job)
{
    struct stage *s = OF(host, host);
    (void)lane;
    assert_true(s->jobs_count < STAGE_JOBS_MAX);
    s->jobs[s->jobs_count++] = job;
}

static void host_close(struct worker_host *host, void *ctx, void (*closed)(void *ctx)) { (void)host, closed(ctx); }
static const struct worker_host_ops host_ops = {now_ms, arm, disarm, work, host_close};

/* ---- log ---- */

static enum err start(struct log_reader *reader, uint32_t partition, uint64_t offset)
{
    struct stage *s = OF(reader, reader);
    (void)partition;
    if (offset > s->count) return ERR_CORRUPT;
    s->next = offset;
    s->started = true;
    return ERR_OK;
}

static void pause_it(struct log_reader *reader, uint32_t partition, bool paused) { (void)partition, OF(reader, reader)->paused = paused; }
static void trim(struct log_reader *reader, uint32_t partition, uint64_t offset) { (void)reader, (void)partition, (void)offset; }

static enum err range(struct log_reader *reader, uint32_t partition, uint64_t *ret_first, uint64_t *ret_next)
{
    (void)partition;
    *ret_first = 0;
    *ret_next = OF(reader, reader)->count;
    return ERR_OK;
}

static struct log_record record_at(const struct stage *s, uint64_t offset)
{
    return (struct log_record){offset, 1700000000000 + (int64_t)offset, span_text(s->texts[offset])};
}

static enum err read_one(struct log_reader *reader, uint32_t partition, uint64_t offset, struct log_record *ret_record)
{
    (void)partition;
    if (offset >= OF(reader, reader)->count) return ERR_UNKNOWN;
    *ret_record = record_at(OF(reader, reader), offset);
    return ERR_OK;
}

static void release(struct log_reader *reader, uint32_t partition) { (void)partition, OF(reader, reader)->started = false; }
static const struct log_reader_ops reader_ops = {start, pause_it, trim, range, read_one, release};
static enum err append(struct log_writer *writer, uint32_t partition, struct blob *record, uint64_t tag)
{
    (void)writer, (void)partition, (void)record, (void)tag;
    return ERR_BUSY;
}
static const struct log_writer_ops writer_ops = {append};

/* ---- link, registry, journal ---- */

static enum err told(struct link_owner *link, uint32_t peer, const struct link_tell *tell)
{
    struct stage *s = OF(link, link);
    (void)peer;
    if (tell->kind == LINK_UPDATE) s->updates[s->updates_count++] = tell->rev;
    if (tell->kind == LINK_ANSWER) s->answers[s->answers_count++] = tell->place;
    assert_true(s->updates_count < STAGE_NOTES_MAX && s->answers_count < STAGE_NOTES_MAX);
    return ERR_OK;
}

static void owns(struct link_owner *link, uint32_t partition, bool owned) { (void)partition, OF(link, link)->owned = owned; }
static const struct link_owner_ops link_ops = {told, owns};
static void forget(struct registry *registry, void *ctx) { (void)registry, (void)ctx; }
static const struct registry_ops registry_ops = {.forget = forget};

static enum journal_end commit(struct journal *journal, const struct journal_batch *batch, char *why, size_t why_bytes)
{
    struct stage *s = OF(journal, journal);
    (void)why, (void)why_bytes;
    if (s->end == JOURNAL_COMMITTED && batch->next > batch->first) s->commits[s->commits_count++] = batch->first;
    return s->end;
}

static enum err restore(struct journal *journal, uint32_t partition, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count),
                        void (*progress)(void *ctx, uint64_t at, uint64_t end), struct journal_place *ret_place, char *why, size_t why_bytes)
{
    (void)partition, (void)ctx, (void)put, (void)progress, (void)ret_place, (void)why, (void)why_bytes;
    OF(journal, journal)->restores++;
    return ERR_UNKNOWN; /* nothing was ever journalled */
}

static void stop(struct journal *journal) { (void)journal; }
static const struct journal_ops journal_ops = {commit, restore, stop};

/* ---- the stage ---- */

static void write_record(struct stage *s, struct buf *buf)
{
    buf_add_char(buf, '\0');
    s->texts[s->count] = strdup(buf->at);
    assert_non_null(s->texts[s->count++]);
    buf_fini(buf);
}

void stage_push(struct stage *s, const char *ops)
{
    struct buf buf;
    struct record_push record = {.space = SPAN_LITERAL("notes:ana"), .user = SPAN_LITERAL("ana"), .has_device = true, .device = SPAN_LITERAL("device-0001"),
                                 .id = s->count, .after = s->count - 1, .known = s->count - 1, .gateway = SPAN_LITERAL("g1"), .session = 7,
                                 .ops = {.type = JSON_ARRAY, .raw = span_text(ops)}};
    buf_init(&buf, 1 << 19);
    record_encode_push(&record, &buf);
    write_record(s, &buf);
}

int stage_setup(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    struct buf buf;
    assert_non_null(s);
    rig_dir_make(s->dir);
    buf_init(&buf, 1 << 16);
    record_encode_namespace(SPAN_LITERAL("{\"namespace\":\"notes\",\"version\":1,\"access\":\"owner\",\"window\":\"90d\",\"collections\":{\"n\":{\"policy\":\"lww\"}}}"), &buf);
    write_record(s, &buf);
    for (int i = 0; i < 5; i++) stage_push(s, "[{\"op\":\"put\",\"collection\":\"n\",\"id\":\"a\",\"body\":{}}]");
    *state = s;
    return 0;
}

void stage_limit_files(uint64_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : (rlim_t)bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

int stage_teardown(void **state)
{
    struct stage *s = *state;
    stage_limit_files(0);
    for (size_t i = 0; i < s->count; i++) free(s->texts[i]);
    rig_dir_remove(s->dir);
    free(s);
    return 0;
}

static void deliver(struct stage *s, uint64_t below)
{
    struct log_record record;
    if (!s->started || s->paused || s->next >= below || s->next >= s->count) return;
    record = record_at(s, s->next++);
    s->reader.records(s->reader.ctx, 0, &record, 1);
}

void stage_run(struct stage *s, uint64_t below)
{
    for (int i = 0; i < ROUNDS; i++) {
        deliver(s, below);
        while (s->jobs_count > 0) {
            struct worker_job *job = s->jobs[0];
            memmove(s->jobs, s->jobs + 1, --s->jobs_count * sizeof *s->jobs);
            job->run(job);
            job->done(job);
        }
        for (int timer = 0; timer < WORKER_TIMERS; timer++) {
            if (!s->armed[timer]) continue;
            s->armed[timer] = false;
            worker_timer(s->worker, (enum worker_timer)timer);
        }
    }
}

static void on_failed(void *ctx, enum err err, const char *why)
{
    struct stage *s = ctx;
    (void)err;
    s->failures++;
    snprintf(s->why, sizeof s->why, "%s", why);
}

void stage_open(struct stage *s, bool with_journal, uint64_t silent_below, uint64_t below)
{
    struct link_ask interest = {.kind = LINK_INTEREST, .space = SPAN_LITERAL("notes:ana")};
    s->host.ops = &host_ops;
    s->reader = (struct log_reader){.ops = &reader_ops, .partitions = 1, .name = "testlog"};
    s->writer = (struct log_writer){.ops = &writer_ops, .partitions = 1, .name = "testlog"};
    s->link.ops = &link_ops;
    s->registry.ops = &registry_ops;
    s->journal.ops = &journal_ops;
    s->updates_count = s->answers_count = s->commits_count = s->restores = s->failures = 0;
    s->started = s->paused = s->owned = s->closed = false;
    struct worker_options options = {.host = &s->host, .reader = &s->reader, .rules_writer = &s->writer, .link = &s->link, .registry = &s->registry,
                                     .data_dir = s->dir, .journal = with_journal ? &s->journal : NULL, .journal_ms = 5, .gateways_outlive = true,
                                     .say_ctx = s, .failed = on_failed};
    assert_int_equal(worker_open(&options, &s->worker), ERR_OK);
    struct log_assignment assignment = {.first = 0, .next = s->count, .silent_below = silent_below};
    s->reader.assigned(s->reader.ctx, 0, &assignment);
    s->link.joined(s->link.ctx, 1, SPAN_LITERAL("g1"));
    s->link.asked(s->link.ctx, 1, &interest);
    stage_run(s, below);
}

static void on_closed(void *ctx) { ((struct stage *)ctx)->closed = true; }

void stage_close(struct stage *s)
{
    worker_close(s->worker, s, on_closed);
    stage_run(s, 0);
    assert_true(s->closed);
}

uint64_t stage_stored(struct stage *s)
{
    char path[RIG_PATH_BYTES + 16], why[256] = "";
    struct store *store;
    struct store_view *view;
    struct store_stamp stamp;
    snprintf(path, sizeof path, "%s/store-0", s->dir);
    struct store_options options = {.path = path, .log = "testlog", .partition = 0};
    assert_int_equal(store_open(&options, &store, why, sizeof why), ERR_OK);
    assert_int_equal(store_view_begin(store, &view), ERR_OK);
    assert_int_equal(store_view_stamp(view, &stamp), ERR_OK);
    store_view_end(view);
    store_close(store);
    return stamp.next_offset;
}
