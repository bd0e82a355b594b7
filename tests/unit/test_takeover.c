/* A partition changes hands: what an owner may say, journal and store while another may have said, journalled and stored it before. The
 * log, the journal, the link and the host are the test's own, by hand; the store is a real one. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/record.h"
#include "tests/support/rig.h"
#include "workers/store.h"
#include "workers/worker.h"

enum { RECORDS_MAX = 32, JOBS_MAX = 16, NOTES_MAX = 64, ROUNDS = 400 };

struct stage {
    struct worker_host host;
    struct log_reader reader;
    struct log_writer writer;
    struct link_owner link;
    struct registry registry;
    struct journal journal;
    struct worker *worker;
    char dir[RIG_PATH_BYTES];
    /* the log */
    char *texts[RECORDS_MAX];
    size_t count, next;
    uint64_t silent_below, delivered;
    bool started, paused;
    /* the host */
    struct worker_job *jobs[JOBS_MAX];
    size_t jobs_count;
    bool armed[WORKER_TIMERS], closed;
    /* what was heard of it */
    uint64_t updates[NOTES_MAX], answers[NOTES_MAX], commits[NOTES_MAX]; /* revs, places, first offsets */
    size_t updates_count, answers_count, commits_count, restores, failures;
    bool owned;
    char why[256]; /* it failed */
    enum journal_end end; /* what commits say */
};

#define OF(member, at) ((struct stage *)(void *)((char *)(at) - offsetof(struct stage, member)))

/* ---- host ---- */

static int64_t now_ms(struct worker_host *host) { return (void)host, 1700000000000; }
static void arm(struct worker_host *host, enum worker_timer timer, uint64_t in_ms) { (void)in_ms, OF(host, host)->armed[timer] = true; }
static void disarm(struct worker_host *host, enum worker_timer timer) { OF(host, host)->armed[timer] = false; }

static void work(struct worker_host *host, enum worker_lane lane, struct worker_job *job)
{
    struct stage *s = OF(host, host);
    (void)lane;
    assert_true(s->jobs_count < JOBS_MAX);
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
    assert_true(s->updates_count < NOTES_MAX && s->answers_count < NOTES_MAX);
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

static void push(struct stage *s, const char *ops)
{
    struct buf buf;
    struct record_push record = {.space = SPAN_LITERAL("notes:ana"), .user = SPAN_LITERAL("ana"), .has_device = true, .device = SPAN_LITERAL("device-0001"),
                                 .id = s->count, .after = s->count - 1, .known = s->count - 1, .gateway = SPAN_LITERAL("g1"), .session = 7,
                                 .ops = {.type = JSON_ARRAY, .raw = span_text(ops)}};
    buf_init(&buf, 1 << 16);
    record_encode_push(&record, &buf);
    write_record(s, &buf);
}

static int set_up(void **state)
{
    struct stage *s = calloc(1, sizeof *s);
    struct buf buf;
    assert_non_null(s);
    rig_dir_make(s->dir);
    buf_init(&buf, 1 << 16);
    record_encode_namespace(SPAN_LITERAL("{\"namespace\":\"notes\",\"version\":1,\"access\":\"owner\",\"window\":\"90d\",\"collections\":{\"n\":{\"policy\":\"lww\"}}}"), &buf);
    write_record(s, &buf);
    for (int i = 0; i < 5; i++) push(s, "[{\"op\":\"put\",\"collection\":\"n\",\"id\":\"a\",\"body\":{}}]");
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *s = *state;
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

/* Everything that can go on goes on, with the log's records below `below`. */
static void run(struct stage *s, uint64_t below)
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

/* A process takes the partition over, with a gateway that wants to hear of everything. */
static void open_worker(struct stage *s, bool with_journal, uint64_t silent_below, uint64_t below)
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
    run(s, below);
}

static void on_closed(void *ctx) { ((struct stage *)ctx)->closed = true; }

static void close_worker(struct stage *s)
{
    worker_close(s->worker, s, on_closed);
    run(s, 0);
    assert_true(s->closed);
}

static uint64_t stored_up_to(struct stage *s)
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

/* ---- tests ---- */

static void a_first_owner_says_and_journals_everything(void **state)
{
    struct stage *s = *state;
    open_worker(s, true, 0, RECORDS_MAX);
    assert_true(s->owned);
    assert_int_equal(s->updates_count, 5);
    assert_int_equal(s->updates[0], 2);
    assert_int_equal(s->answers_count, 5);
    assert_true(s->commits_count > 0 && s->commits[0] == 0);
    close_worker(s);
    assert_int_equal(stored_up_to(s), 6);
}

static void what_another_owner_journalled_is_replayed_in_silence_and_stored(void **state)
{
    struct stage *s = *state;
    open_worker(s, true, 0, 2);
    close_worker(s);
    assert_int_equal(stored_up_to(s), 2);
    open_worker(s, true, 4, RECORDS_MAX); /* meanwhile another had it, and journalled what lies below 4 */
    assert_true(s->owned);
    assert_int_equal(s->updates_count, 2);
    assert_int_equal(s->updates[0], 5);
    assert_int_equal(s->answers_count, 2);
    for (size_t i = 0; i < s->commits_count; i++) assert_true(s->commits[i] >= 4);
    assert_true(s->commits_count > 0);
    close_worker(s);
    assert_int_equal(stored_up_to(s), 6);
}

static void nothing_is_answered_for_before_it_stands_where_the_log_ended(void **state)
{
    struct stage *s = *state;
    open_worker(s, true, 0, 2);
    close_worker(s);
    open_worker(s, true, 4, 3);
    assert_false(s->owned);
    run(s, 4); /* all that is silent; but the log went on to 6 by the time of the assignment */
    assert_false(s->owned);
    assert_int_equal(s->updates_count, 0);
    run(s, RECORDS_MAX);
    assert_true(s->owned);
    close_worker(s);
    assert_int_equal(stored_up_to(s), 6);
}

static void what_the_journal_refused_is_not_stored(void **state)
{
    struct stage *s = *state;
    open_worker(s, true, 0, 3);
    s->end = JOURNAL_LOST;
    run(s, RECORDS_MAX);
    assert_false(s->owned);
    close_worker(s);
    assert_int_equal(stored_up_to(s), 3);
}

static void a_store_ahead_of_the_journal_is_made_anew(void **state)
{
    struct stage *s = *state;
    open_worker(s, true, 0, RECORDS_MAX);
    assert_int_equal(s->restores, 0);
    close_worker(s);
    open_worker(s, true, 3, RECORDS_MAX);
    assert_int_equal(s->restores, 1);
    close_worker(s);
}

/* Somebody had the store open when the machine went down: what was not synced may be gone. */
static void a_store_that_a_machine_went_down_with_is_made_anew(void **state)
{
    struct stage *s = *state;
    int status = -1;
    open_worker(s, true, 0, RECORDS_MAX);
    close_worker(s);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char path[RIG_PATH_BYTES + 16], why[256];
        struct store *store;
        snprintf(path, sizeof path, "%s/store-0", s->dir);
        struct store_options options = {.path = path, .log = "testlog", .partition = 0, .boot = "another boot"};
        _exit(store_open(&options, &store, why, sizeof why) == ERR_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    open_worker(s, true, 6, RECORDS_MAX);
    assert_int_equal(s->restores, 1);
    close_worker(s);
}

static void a_log_that_ends_before_the_store_is_refused(void **state)
{
    struct stage *s = *state;
    open_worker(s, false, 0, RECORDS_MAX);
    close_worker(s);
    assert_int_equal(s->failures, 0);
    free(s->texts[--s->count]);
    open_worker(s, false, 0, RECORDS_MAX);
    assert_int_equal(s->failures, 1);
    assert_non_null(strstr(s->why, "the log ends at 5, before the store's 6"));
    assert_false(s->owned);
    close_worker(s);
}

static void another_log_than_the_stores_is_refused(void **state)
{
    struct stage *s = *state;
    open_worker(s, false, 0, RECORDS_MAX);
    close_worker(s);
    free(s->texts[--s->count]);
    push(s, "[{\"op\":\"put\",\"collection\":\"n\",\"id\":\"other\",\"body\":{}}]");
    open_worker(s, false, 0, RECORDS_MAX);
    assert_int_equal(s->failures, 1);
    assert_non_null(strstr(s->why, "the log is not the one that the store was made from"));
    assert_false(s->owned);
    close_worker(s);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_first_owner_says_and_journals_everything),
        TEST(what_another_owner_journalled_is_replayed_in_silence_and_stored),
        TEST(nothing_is_answered_for_before_it_stands_where_the_log_ended),
        TEST(what_the_journal_refused_is_not_stored),
        TEST(a_store_ahead_of_the_journal_is_made_anew),
        TEST(a_store_that_a_machine_went_down_with_is_made_anew),
        TEST(a_log_that_ends_before_the_store_is_refused),
        TEST(another_log_than_the_stores_is_refused),
    };
    return cmocka_run_group_tests_name("takeover", tests, NULL, NULL);
}
