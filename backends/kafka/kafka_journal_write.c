/* A batch's records, with the headers that make those of `updates` CloudEvents. */
#include <stdio.h>
#include <time.h>

#include "backends/kafka/kafka_journal_parts.h"

enum { POLL_MS = 100, HEADERS = 10 };

struct writing {
    struct kafka_journal *journal;
    uint32_t partition;
    rd_kafka_resp_err_t code;
};

static void add_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    rd_kafka_header_add(headers, name, -1, value, -1);
}

/* `headers` are taken over. */
static rd_kafka_resp_err_t produce(struct kafka_journal *journal, enum kafka_topic topic, uint32_t partition, struct span key, struct span value,
                                   bool has_value, rd_kafka_headers_t *headers)
{
    rd_kafka_resp_err_t code;
    union { const char *lent; void *given; } k = {.lent = key.at}, v = {.lent = has_value ? value.at : NULL};
    do {
        code = rd_kafka_producev(journal->rk, RD_KAFKA_V_TOPIC(journal->stamp.topics[topic]), RD_KAFKA_V_PARTITION((int32_t)partition),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(k.given, key.bytes),
                                 RD_KAFKA_V_VALUE(v.given, has_value ? value.bytes : 0), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) rd_kafka_poll(journal->rk, POLL_MS);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && !journal->stopped);
    if (code != 0) rd_kafka_headers_destroy(headers);
    return code;
}

/* CloudEvents: an event is a document's change, its id the same however often it is written. */
static void describe(const struct writing *writing, const struct journal_record *record, rd_kafka_headers_t *headers)
{
    const struct kafka_journal *journal = writing->journal;
    char text[1024], when[40];
    time_t seconds = (time_t)(record->time_ms / 1000);
    struct tm utc;
    add_header(headers, "ce_specversion", "1.0");
    add_header(headers, "ce_type", record->rev == 0 ? "tidegate.document.forgotten" : record->deleted ? "tidegate.document.deleted" : "tidegate.document.changed");
    snprintf(text, sizeof text, "/tidegate/%s/%u", journal->stamp.log, writing->partition);
    add_header(headers, "ce_source", text);
    int bytes = snprintf(text, sizeof text, "%.*s@%llu", (int)record->key.bytes, record->key.at, (unsigned long long)record->rev);
    rd_kafka_header_add(headers, "ce_id", -1, text, bytes);
    rd_kafka_header_add(headers, "ce_subject", -1, record->key.at, (ssize_t)record->key.bytes);
    if (record->rev == 0) return;
    gmtime_r(&seconds, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof text, "%s.%03dZ", when, (int)(record->time_ms % 1000));
    add_header(headers, "ce_time", text);
    add_header(headers, "content-type", "application/json");
}

static enum err emit(void *ctx, const struct journal_record *record)
{
    struct writing *writing = ctx;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(HEADERS);
    if (record->topic == JOURNAL_UPDATES) describe(writing, record, headers);
    rd_kafka_header_add(headers, "tidegate", -1, record->mark.at, (ssize_t)record->mark.bytes);
    writing->code = produce(writing->journal, record->topic == JOURNAL_UPDATES ? KAFKA_UPDATES : KAFKA_STATE, writing->partition, record->key,
                            record->value, record->has_value, headers);
    return writing->code == 0 ? ERR_OK : ERR_BUSY;
}

static rd_kafka_resp_err_t write_trailer(struct writing *writing, const struct journal_trailer *trailer)
{
    struct kafka_journal *journal = writing->journal;
    buf_reset(&journal->text);
    journal_record_encode_trailer(trailer, &journal->text);
    return produce(journal, KAFKA_STATE, writing->partition, SPAN_LITERAL("partition"), buf_span(&journal->text), true, rd_kafka_headers_new(1));
}

static rd_kafka_resp_err_t write_dead(struct writing *writing, const struct journal_dead *dead)
{
    char key[64];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    rd_kafka_header_add(headers, "reason", -1, dead->why.at, (ssize_t)dead->why.bytes);
    int bytes = snprintf(key, sizeof key, "%s/%u/%llu", writing->journal->stamp.topics[KAFKA_CHANGES], writing->partition, (unsigned long long)dead->offset);
    return produce(writing->journal, KAFKA_DEAD, 0, span_of(key, (size_t)bytes), dead->record, true, headers);
}

rd_kafka_resp_err_t kafka_journal_write(struct kafka_journal *journal, const struct journal_batch *batch)
{
    struct writing writing = {.journal = journal, .partition = batch->partition};
    struct journal_trailer trailer = {.first = batch->first, .next = batch->next, .last_hash = batch->last_hash, .batch = ++journal->batch};
    enum err err = journal_record_encode(batch->writes, batch->writes_count, &trailer, &writing, emit);
    if (err != ERR_OK) return writing.code != 0 ? writing.code : RD_KAFKA_RESP_ERR__INVALID_ARG;
    for (size_t i = 0; writing.code == 0 && i < batch->dead_count; i++) writing.code = write_dead(&writing, &batch->dead[i]);
    if (writing.code == 0) writing.code = write_trailer(&writing, &trailer);
    rd_kafka_poll(journal->rk, 0);
    return writing.code;
}
