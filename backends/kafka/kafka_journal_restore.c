/* A partition read back from `state` and `updates`, in this order: the trailer is known before the documents that it counts. */
#include <stdio.h>

#include "backends/kafka/kafka_journal_parts.h"
#include "backends/kafka/kafka_scan.h"

enum { ARENA_BYTES_MAX = 67108864, WRITES_AT_ONCE = 1000, ARENA_FULL = 16777216 };

struct restoring {
    enum journal_topic topic;
    struct arena arena;
    struct state_write writes[WRITES_AT_ONCE + 4];
    size_t count;
    bool has_trailer;
    struct journal_trailer trailer;
    /* of the batch whose number is the last one seen in `state`; then of the trailer's, in both topics */
    uint64_t batch, batch_count, batch_hash;
    void *ctx;
    enum err (*put)(void *ctx, const struct state_write *writes, size_t count);
    void (*progress)(void *ctx, uint64_t at, uint64_t end);
};

static enum err flush(struct restoring *r)
{
    enum err err = r->count == 0 ? ERR_OK : r->put(r->ctx, r->writes, r->count);
    r->count = 0;
    arena_reset(&r->arena);
    return err;
}

static void tally(struct restoring *r, const struct journal_entry *entry)
{
    if (entry->batch != r->batch) {
        if (r->topic == JOURNAL_UPDATES) return; /* an older batch's */
        r->batch = entry->batch;
        r->batch_count = r->batch_hash = 0;
    }
    r->batch_count += entry->has_value;
    r->batch_hash += entry->hash;
}

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
    struct journal_entry entry;
    struct span value = span_of(message->payload, message->len);
    struct span lasting = arena_copy(&r->arena, value); /* beyond the message, until the batch is put */
    if (lasting.at == NULL) return ERR_MEMORY;
    enum err err = journal_record_decode(r->topic, span_of(message->key, message->key_len), lasting, message->payload != NULL, mark_of(message), &r->arena, &entry);
    if (err != ERR_OK) return err;
    if (entry.is_trailer) {
        r->trailer = entry.trailer;
        r->has_trailer = true;
        if (r->batch != entry.trailer.batch) r->batch_count = r->batch_hash = 0; /* it had no record in `state` but this */
        r->batch = entry.trailer.batch;
        return ERR_OK;
    }
    tally(r, &entry);
    for (size_t i = 0; i < entry.writes_count; i++) r->writes[r->count++] = entry.writes[i];
    return r->count >= WRITES_AT_ONCE || r->arena.bytes >= ARENA_FULL ? flush(r) : ERR_OK;
}

static void on_progress(void *ctx, uint64_t at, uint64_t end)
{
    struct restoring *r = ctx;
    if (r->progress != NULL) r->progress(r->ctx, at, end);
}

static enum err put_partition(struct restoring *r)
{
    struct state_key key;
    struct buf text;
    buf_init(&text, 64);
    journal_record_partition(&r->trailer, &text);
    state_key_partition(&key);
    struct state_write write = {.table = STATE_META, .key = state_key_span(&key), .value = buf_span(&text)};
    enum err err = buf_ok(&text) ? r->put(r->ctx, &write, 1) : ERR_MEMORY;
    buf_fini(&text);
    return err;
}

static enum err read_topic(struct kafka_journal *journal, struct restoring *r, enum kafka_topic topic, uint32_t partition, char *why, size_t why_bytes)
{
    struct kafka_scan scan = {.topic = journal->stamp.topics[topic], .partition = (int32_t)partition, .ctx = r, .each = each, .progress = on_progress};
    r->topic = topic == KAFKA_UPDATES ? JOURNAL_UPDATES : JOURNAL_STATE;
    enum err err = kafka_scan(&journal->options, &scan, why, why_bytes);
    return err == ERR_OK ? flush(r) : err == ERR_UNKNOWN ? ERR_CONFIG : err;
}

enum err kafka_journal_restore(struct journal *base, uint32_t partition, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count),
                               void (*progress)(void *ctx, uint64_t at, uint64_t end), struct journal_place *ret_place, char *why, size_t why_bytes)
{
    struct kafka_journal *journal = (struct kafka_journal *)(void *)base;
    struct restoring r = {.ctx = ctx, .put = put, .progress = progress};
    arena_init(&r.arena, ARENA_BYTES_MAX);
    enum err err = read_topic(journal, &r, KAFKA_STATE, partition, why, why_bytes);
    if (err == ERR_OK && r.has_trailer && r.batch != r.trailer.batch) {
        /* Records past the last trailer: a transaction was torn. */
        snprintf(why, why_bytes, "%s %u: what follows its last batch belongs to none", journal->stamp.topics[KAFKA_STATE], partition);
        err = ERR_CORRUPT;
    }
    if (err == ERR_OK) err = read_topic(journal, &r, KAFKA_UPDATES, partition, why, why_bytes);
    arena_fini(&r.arena);
    if (err != ERR_OK) return err;
    if (!r.has_trailer) return ERR_UNKNOWN;
    if (r.batch_count != r.trailer.count || r.batch_hash != r.trailer.hash) {
        snprintf(why, why_bytes, "%s %u: its last batch is not whole: %llu records of %llu", journal->stamp.topics[KAFKA_STATE], partition,
                 (unsigned long long)r.batch_count, (unsigned long long)r.trailer.count);
        return ERR_CORRUPT;
    }
    err = put_partition(&r);
    if (err == ERR_OK) *ret_place = (struct journal_place){r.trailer.next, r.trailer.last_hash};
    return err;
}
