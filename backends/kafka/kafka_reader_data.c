/* Records: fetched from where the owner said, handed over in order, in batches that end where silence does. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kafka/kafka_reader_parts.h"
#include "base/log.h"

enum { READ_MS = 15000 };

static enum err flow(struct kafka_reader *reader, uint32_t partition)
{
    struct part *part = &reader->parts[partition];
    assert(!part->flowing);
    if (rd_kafka_consume_start_queue(reader->topic, (int32_t)partition, (int64_t)part->next, reader->queue) != 0) {
        log_line(LOG_ERROR_LEVEL, "fetch_failed", "partition=%u why=\"%s\"", partition, rd_kafka_err2str(rd_kafka_last_error()));
        return ERR_IO;
    }
    part->flowing = true;
    return ERR_OK;
}

void kafka_reader_halt(struct kafka_reader *reader, struct part *part)
{
    if (part->flowing) rd_kafka_consume_stop(reader->topic, (int32_t)(part - reader->parts));
    part->flowing = part->started = false;
}

enum err kafka_reader_start(struct log_reader *base, uint32_t partition, uint64_t offset)
{
    struct kafka_reader *reader = (struct kafka_reader *)(void *)base;
    struct part *part = &reader->parts[partition];
    if (part->state != PART_OWNED) return ERR_BUSY;
    if (offset < part->first || offset > part->end) return ERR_CORRUPT;
    part->next = offset;
    part->started = true;
    return part->paused ? ERR_OK : flow(reader, partition);
}

/* A pause ends the fetching, and going on begins it again where it was: what the client had fetched ahead is fetched once more. */
void kafka_reader_pause(struct log_reader *base, uint32_t partition, bool paused)
{
    struct kafka_reader *reader = (struct kafka_reader *)(void *)base;
    struct part *part = &reader->parts[partition];
    if (part->paused == paused || part->state == PART_FREE) return;
    part->paused = paused;
    if (!part->started) return;
    if (paused && part->flowing) {
        rd_kafka_consume_stop(reader->topic, (int32_t)partition);
        part->flowing = false;
    } else if (!paused && !part->flowing && flow(reader, partition) != ERR_OK) {
        kafka_reader_fail(reader, ERR_IO, "a partition could not be fetched again");
    }
}

/* ---- handing over ---- */

struct batch {
    rd_kafka_message_t *messages[TURN_RECORDS];
    size_t count;
};

static void hand(struct kafka_reader *reader, uint32_t partition, rd_kafka_message_t *const *messages, size_t count)
{
    struct part *part = &reader->parts[partition];
    struct log_record records[HAND_RECORDS];
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_message_t *m = messages[i];
        uint64_t offset = (uint64_t)m->offset;
        bool ends = filled == HAND_RECORDS || (filled > 0 && records[filled - 1].offset < part->silent_below && offset >= part->silent_below);
        if (ends) {
            reader->base.records(reader->base.ctx, partition, records, filled);
            filled = 0;
        }
        /* Paused or revoked meanwhile: it is fetched again, or is another's. */
        if (!part->flowing || offset < part->next) continue;
        records[filled++] = (struct log_record){.offset = offset, .time_ms = rd_kafka_message_timestamp(m, NULL),
                                                .bytes = span_of(m->payload, m->len)};
        part->next = offset + 1;
    }
    if (filled > 0) reader->base.records(reader->base.ctx, partition, records, filled);
}

static void heed_error(struct kafka_reader *reader, const rd_kafka_message_t *message)
{
    char why[256];
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF: case RD_KAFKA_RESP_ERR__TRANSPORT: case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN: case RD_KAFKA_RESP_ERR__TIMED_OUT:
        return; /* it goes on by itself */
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        snprintf(why, sizeof why, "partition %d of the log was cut: it no longer holds what comes next. If it is lost for good, `tidegate topics --new-epoch` begins a new log",
                 (int)message->partition);
        kafka_reader_fail(reader, ERR_CORRUPT, why);
        return;
    default:
        log_line(LOG_WARN_LEVEL, "fetch_failed", "partition=%d why=\"%s\"", (int)message->partition, rd_kafka_message_errstr(message));
    }
}

bool kafka_reader_serve(void *ctx)
{
    struct kafka_reader *reader = ctx;
    struct batch batch = {.count = 0};
    rd_kafka_message_t *message = NULL;
    while (batch.count < TURN_RECORDS && (message = rd_kafka_consume_queue(reader->queue, 0)) != NULL) {
        if (message->err == 0) {
            batch.messages[batch.count++] = message;
        } else {
            heed_error(reader, message);
            rd_kafka_message_destroy(message);
        }
    }
    for (size_t from = 0, to; from < batch.count; from = to) {
        for (to = from + 1; to < batch.count && batch.messages[to]->partition == batch.messages[from]->partition; to++) continue;
        hand(reader, (uint32_t)batch.messages[from]->partition, batch.messages + from, to - from);
    }
    for (size_t i = 0; i < batch.count; i++) rd_kafka_message_destroy(batch.messages[i]);
    return message != NULL;
}

/* ---- questions ---- */

enum err kafka_reader_range(struct log_reader *base, uint32_t partition, uint64_t *ret_first, uint64_t *ret_next)
{
    struct kafka_reader *reader = (struct kafka_reader *)(void *)base;
    const struct part *part = &reader->parts[partition];
    int64_t low = 0, high = 0;
    if (part->state == PART_FREE || part->state == PART_TAKING) return ERR_UNKNOWN;
    /* As of the last fetch; before the first, as of the assignment. */
    if (rd_kafka_get_watermark_offsets(reader->data, reader->stamp.topics[KAFKA_CHANGES], (int32_t)partition, &low, &high) != 0) low = high = 0;
    *ret_first = low > 0 && (uint64_t)low > part->first ? (uint64_t)low : part->first;
    *ret_next = high > 0 && (uint64_t)high > part->end ? (uint64_t)high : part->end;
    return ERR_OK;
}

rd_kafka_message_t *kafka_reader_fetch(struct kafka_reader *reader, uint32_t partition, uint64_t offset, rd_kafka_resp_err_t *ret_code)
{
    *ret_code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (rd_kafka_consume_start(reader->topic, (int32_t)partition, (int64_t)offset) != 0) {
        *ret_code = rd_kafka_last_error();
        return NULL;
    }
    rd_kafka_message_t *message = rd_kafka_consume(reader->topic, (int32_t)partition, READ_MS);
    rd_kafka_consume_stop(reader->topic, (int32_t)partition);
    if (message == NULL) return NULL;
    if (message->err == 0 && (uint64_t)message->offset == offset) return message;
    *ret_code = message->err != 0 ? message->err : RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    rd_kafka_message_destroy(message);
    return NULL;
}

enum err kafka_reader_read(struct log_reader *base, uint32_t partition, uint64_t offset, struct log_record *ret_record)
{
    struct kafka_reader *reader = (struct kafka_reader *)(void *)base;
    struct part *part = &reader->parts[partition];
    rd_kafka_resp_err_t code;
    if (part->has_before && part->before_offset == offset) {
        *ret_record = (struct log_record){.offset = offset, .time_ms = part->before_time_ms, .bytes = span_of(part->before, part->before_bytes)};
        return ERR_OK;
    }
    assert(!part->started); /* asked at assignments alone */
    rd_kafka_message_t *message = kafka_reader_fetch(reader, partition, offset, &code);
    if (message == NULL) return code == RD_KAFKA_RESP_ERR__TIMED_OUT ? ERR_BUSY : ERR_UNKNOWN;
    char *bytes = realloc(reader->read_bytes, message->len + 1);
    if (bytes != NULL) {
        reader->read_bytes = bytes;
        if (message->len > 0) memcpy(bytes, message->payload, message->len);
        *ret_record = (struct log_record){.offset = offset, .time_ms = rd_kafka_message_timestamp(message, NULL), .bytes = span_of(bytes, message->len)};
    }
    rd_kafka_message_destroy(message);
    return bytes == NULL ? ERR_MEMORY : ERR_OK;
}
