#include "backends/kafka/kafka_journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "backends/kafka/kafka_journal_parts.h"
#include "base/log.h"

enum { CALL_MS = 20000, AGAIN_MS = 500, TEXT_BYTES_MAX = 4194304, RETRIES_MAX = 100, RETRY_MS = 50, UNDONE_MS_MIN = 5000, UNDONE_MS_MAX = 10000 };

static void rest(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/* What came of one call, or of a whole attempt. */
enum attempt {
    ATTEMPT_GOOD,
    ATTEMPT_AGAIN,  /* undone: begin the batch anew */
    ATTEMPT_LOST,   /* undone: another owns the partition */
    ATTEMPT_DOUBT   /* nobody knows: the producer must go */
};

static bool is_fence(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION: case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID: case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR__FENCED: case RD_KAFKA_RESP_ERR_PRODUCER_FENCED: return true;
    default: return false;
    }
}

static void end_producer(struct kafka_journal *journal)
{
    if (journal->rk == NULL) return;
    rd_kafka_purge(journal->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(journal->rk);
    journal->rk = NULL;
}

/* ---- calls, each tried again while the client says that this is safe ---- */

enum call { CALL_INIT, CALL_BEGIN, CALL_OFFSETS, CALL_COMMIT, CALL_ABORT };

struct offsets {
    const rd_kafka_topic_partition_list_t *list;
    const rd_kafka_consumer_group_metadata_t *group;
};

static rd_kafka_error_t *call_once(rd_kafka_t *rk, enum call call, const struct offsets *offsets)
{
    switch (call) {
    case CALL_INIT: return rd_kafka_init_transactions(rk, CALL_MS);
    case CALL_BEGIN: return rd_kafka_begin_transaction(rk);
    case CALL_OFFSETS: return rd_kafka_send_offsets_to_transaction(rk, offsets->list, offsets->group, CALL_MS);
    case CALL_COMMIT: return rd_kafka_commit_transaction(rk, CALL_MS);
    case CALL_ABORT: return rd_kafka_abort_transaction(rk, CALL_MS);
    }
    return NULL;
}

static enum attempt judge(const struct kafka_journal *journal, enum call call, rd_kafka_error_t *error)
{
    static const char *const names[] = {"init", "begin", "offsets", "commit", "abort"};
    rd_kafka_resp_err_t code = rd_kafka_error_code(error);
    enum attempt attempt = ATTEMPT_DOUBT;
    if (is_fence(code) && code != RD_KAFKA_RESP_ERR__FENCED && code != RD_KAFKA_RESP_ERR_PRODUCER_FENCED) attempt = ATTEMPT_LOST;
    else if (rd_kafka_error_txn_requires_abort(error)) attempt = ATTEMPT_AGAIN;
    if (!journal->stopped)
        log_line(LOG_WARN_LEVEL, "transaction", "call=%s code=%s why=\"%s\"", names[call], rd_kafka_err2name(code), rd_kafka_error_string(error));
    return attempt;
}

static enum attempt do_call(struct kafka_journal *journal, enum call call, const struct offsets *offsets)
{
    for (int i = 0;; i++) {
        rd_kafka_error_t *error = call_once(journal->rk, call, offsets);
        if (error == NULL) return ATTEMPT_GOOD;
        bool again = rd_kafka_error_is_retriable(error) && i < RETRIES_MAX && !journal->stopped &&
                     rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__TIMED_OUT;
        enum attempt attempt = again ? ATTEMPT_AGAIN : judge(journal, call, error);
        rd_kafka_error_destroy(error);
        if (!again) return attempt;
        rest(RETRY_MS);
    }
}

/* ---- an attempt ---- */

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->err != 0 && message->err != RD_KAFKA_RESP_ERR__PURGE_QUEUE && message->err != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        log_line(LOG_WARN_LEVEL, "journal_record_failed", "why=\"%s\"", rd_kafka_err2str(message->err)); /* the commit fails for it */
}

static enum attempt ensure_producer(struct kafka_journal *journal, char *why, size_t why_bytes)
{
    /* Who takes over from a worker that died amid a transaction waits until the broker has undone it: no longer than for its session. */
    uint64_t session_ms = (journal->options.session_s == 0 ? 10 : journal->options.session_s) * 1000;
    char timeout_ms[16];
    snprintf(timeout_ms, sizeof timeout_ms, "%d", session_ms < UNDONE_MS_MIN ? UNDONE_MS_MIN : session_ms > UNDONE_MS_MAX ? UNDONE_MS_MAX : (int)session_ms);
    const struct kafka_property extra[] = {
        {"transactional.id", journal->transactional_id}, {"transaction.timeout.ms", timeout_ms}, {"linger.ms", "1"}, {"compression.type", "lz4"},
        {"message.timeout.ms", timeout_ms}, {"queue.buffering.max.messages", "1000000"}, {"queue.buffering.max.kbytes", "262144"}, {NULL, NULL}};
    if (journal->rk != NULL) return ATTEMPT_GOOD;
    rd_kafka_conf_t *made = kafka_conf_make(&journal->options, extra, why, why_bytes);
    if (made == NULL) return ATTEMPT_DOUBT;
    rd_kafka_conf_set_dr_msg_cb(made, on_report);
    journal->rk = kafka_conf_open(RD_KAFKA_PRODUCER, made, why, why_bytes);
    return journal->rk == NULL ? ATTEMPT_DOUBT : do_call(journal, CALL_INIT, NULL);
}

static enum attempt send_all(struct kafka_journal *journal, const struct journal_batch *batch, const rd_kafka_consumer_group_metadata_t *group)
{
    enum attempt attempt = do_call(journal, CALL_BEGIN, NULL);
    if (attempt != ATTEMPT_GOOD) return attempt;
    rd_kafka_resp_err_t code = kafka_journal_write(journal, batch);
    if (code != 0) {
        log_line(LOG_WARN_LEVEL, "journal_record_failed", "why=\"%s\"", rd_kafka_err2str(code));
        return ATTEMPT_AGAIN;
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, journal->stamp.topics[KAFKA_CHANGES], (int32_t)batch->partition)->offset = (int64_t)batch->next;
    struct offsets offsets = {list, group};
    attempt = do_call(journal, CALL_OFFSETS, &offsets);
    rd_kafka_topic_partition_list_destroy(list);
    return attempt == ATTEMPT_GOOD ? do_call(journal, CALL_COMMIT, NULL) : attempt;
}

/* Undoes it where something was begun; a producer whose undoing is in doubt goes, and the next one's init undoes for it. */
static enum attempt try_once(struct kafka_journal *journal, const struct journal_batch *batch, const rd_kafka_consumer_group_metadata_t *group,
                             char *why, size_t why_bytes)
{
    enum attempt attempt = ensure_producer(journal, why, why_bytes);
    if (attempt == ATTEMPT_GOOD) attempt = send_all(journal, batch, group);
    if (attempt == ATTEMPT_AGAIN || attempt == ATTEMPT_LOST) {
        rd_kafka_purge(journal->rk, RD_KAFKA_PURGE_F_QUEUE);
        if (do_call(journal, CALL_ABORT, NULL) != ATTEMPT_GOOD) end_producer(journal);
    }
    if (attempt == ATTEMPT_DOUBT) end_producer(journal);
    return attempt;
}

/* After a doubt: is the batch in? The new producer's init has decided it. */
static bool is_in(struct kafka_journal *journal, const struct journal_batch *batch)
{
    char why[256];
    int64_t committed;
    if (batch->next == batch->first) return false; /* a sweep alone: twice is the same */
    if (ensure_producer(journal, why, sizeof why) != ATTEMPT_GOOD) {
        end_producer(journal);
        return false;
    }
    return kafka_reader_committed(journal->reader, batch->partition, &committed, why, sizeof why) == ERR_OK && committed == (int64_t)batch->next;
}

static enum journal_end commit(struct journal *base, const struct journal_batch *batch, char *why, size_t why_bytes)
{
    struct kafka_journal *journal = (struct kafka_journal *)(void *)base;
    bool doubt = false;
    for (;;) {
        rd_kafka_consumer_group_metadata_t *group = kafka_reader_group(journal->reader, batch->partition);
        if (group == NULL) return JOURNAL_LOST;
        bool in = doubt && is_in(journal, batch);
        enum attempt attempt = in ? ATTEMPT_GOOD : try_once(journal, batch, group, why, why_bytes);
        rd_kafka_consumer_group_metadata_destroy(group);
        journal->counters->transactions++;
        if (attempt == ATTEMPT_GOOD) return JOURNAL_COMMITTED;
        journal->counters->transactions_failed++;
        if (attempt == ATTEMPT_LOST) {
            journal->counters->fenced++;
            return JOURNAL_LOST;
        }
        doubt = doubt || attempt == ATTEMPT_DOUBT;
        if (journal->stopped) return JOURNAL_STOPPED;
        rest(AGAIN_MS);
    }
}

static void stop(struct journal *base) { ((struct kafka_journal *)(void *)base)->stopped = true; }

/* ---- opening ---- */

static const struct journal_ops journal_ops = {commit, kafka_journal_restore, stop};

enum err kafka_journal_open(const struct kafka_options *options, const struct kafka_stamp *stamp, struct kafka_reader *reader,
                            struct kafka_counters *counters, struct kafka_journal **ret_journal)
{
    struct kafka_journal *journal = calloc(1, sizeof *journal);
    uint64_t random = 0;
    if (journal == NULL) return ERR_MEMORY;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) {
        free(journal);
        return ERR_IO;
    }
    *journal = (struct kafka_journal){.base = {&journal_ops}, .options = *options, .stamp = *stamp, .reader = reader, .counters = counters, .batch = random};
    /* A static member comes back under its name, and its first init ends what it left undecided. */
    if (options->instance != NULL) snprintf(journal->transactional_id, sizeof journal->transactional_id, "%s-%s-%s", stamp->group, stamp->log, options->instance);
    else snprintf(journal->transactional_id, sizeof journal->transactional_id, "%s-%s-%016llx", stamp->group, stamp->log, (unsigned long long)random);
    buf_init(&journal->text, TEXT_BYTES_MAX);
    *ret_journal = journal;
    return ERR_OK;
}

void kafka_journal_close(struct kafka_journal *journal)
{
    if (journal == NULL) return;
    end_producer(journal);
    buf_fini(&journal->text);
    free(journal);
}

struct journal *kafka_journal_seam(struct kafka_journal *journal) { return &journal->base; }
