/* A partition read back from `state` and `updates`, in this order (core/journal_replay.h). */
#include <stdio.h>

#include "backends/kafka/kafka_journal_parts.h"
#include "backends/kafka/kafka_scan.h"
#include "core/journal_replay.h"

struct restoring {
    struct journal_replay replay;
    void *ctx;
    void (*progress)(void *ctx, uint64_t at, uint64_t end);
};

static struct span mark_of(const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t bytes;
    if (rd_kafka_message_headers(message, &headers) != 0 || rd_kafka_header_get_last(headers, "tidegate", &value, &bytes) != 0) return span_of(NULL, 0);
    return span_of(value, bytes);
}

static enum err each(void *ctx, const rd_kafka_message_t *message)
{
    struct restoring *r = ctx;
    return journal_replay_take(&r->replay, span_of(message->key, message->key_len), span_of(message->payload, message->len), message->payload != NULL, mark_of(message));
}

static void on_progress(void *ctx, uint64_t at, uint64_t end)
{
    struct restoring *r = ctx;
    if (r->progress != NULL) r->progress(r->ctx, at, end);
}

static enum err read_topic(struct kafka_journal *journal, struct restoring *r, enum kafka_topic topic, uint32_t partition, char *why, size_t why_bytes)
{
    struct kafka_scan scan = {.topic = journal->stamp.topics[topic], .partition = (int32_t)partition, .ctx = r, .each = each, .progress = on_progress};
    enum err err = kafka_scan(&journal->options, &scan, why, why_bytes);
    return err == ERR_UNKNOWN ? ERR_CONFIG : err;
}

/* Says of which topic it speaks. */
static enum err name_topic(const struct kafka_journal *journal, uint32_t partition, enum err err, const char *in_what, char *why, size_t why_bytes)
{
    if (err == ERR_CORRUPT && in_what[0] != '\0') snprintf(why, why_bytes, "%s %u: %s", journal->stamp.topics[KAFKA_STATE], partition, in_what);
    return err;
}

enum err kafka_journal_restore(struct journal *base, uint32_t partition, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count),
                               void (*progress)(void *ctx, uint64_t at, uint64_t end), struct journal_place *ret_place, char *why, size_t why_bytes)
{
    struct kafka_journal *journal = (struct kafka_journal *)(void *)base;
    struct restoring r = {.ctx = ctx, .progress = progress};
    struct journal_trailer trailer;
    char in_what[128] = "";
    journal_replay_init(&r.replay, ctx, put);
    enum err err = read_topic(journal, &r, KAFKA_STATE, partition, why, why_bytes);
    if (err == ERR_OK) err = name_topic(journal, partition, journal_replay_turn(&r.replay, in_what, sizeof in_what), in_what, why, why_bytes);
    if (err == ERR_OK) err = read_topic(journal, &r, KAFKA_UPDATES, partition, why, why_bytes);
    if (err == ERR_OK) err = name_topic(journal, partition, journal_replay_end(&r.replay, &trailer, in_what, sizeof in_what), in_what, why, why_bytes);
    journal_replay_fini(&r.replay);
    if (err == ERR_OK) *ret_place = (struct journal_place){trailer.next, trailer.last_hash};
    return err;
}
