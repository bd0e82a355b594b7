/* Taking partitions over: what must be asked of the broker before an owner may begin, on another thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kafka/kafka_reader_parts.h"
#include "base/log.h"

enum { ASK_MS = 10000, AGAIN_MS = 200 };

/* One partition's answers. */
struct taken {
    uint32_t partition;
    int64_t committed;
    int64_t first, end;
    rd_kafka_message_t *before;
};

struct taking {
    uv_work_t work;
    struct kafka_reader *reader;
    size_t count;
    enum err err;
    char why[256];
    struct taken items[];
};

enum err kafka_reader_committed(struct kafka_reader *reader, uint32_t partition, int64_t *ret_offset, char *why, size_t why_bytes)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *item = rd_kafka_topic_partition_list_add(list, reader->stamp.topics[KAFKA_CHANGES], (int32_t)partition);
    rd_kafka_resp_err_t code = rd_kafka_committed(reader->member, list, ASK_MS);
    if (code == 0) code = item->err;
    *ret_offset = item->offset < 0 ? -1 : item->offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (code != 0) snprintf(why, why_bytes, "the committed offset of partition %u: %s", partition, rd_kafka_err2str(code));
    return code == 0 ? ERR_OK : ERR_BUSY;
}

/* Asks until it is told, or nobody wants to know any more. */
static enum err ask(struct kafka_reader *reader, struct taken *taken, char *why, size_t why_bytes)
{
    rd_kafka_resp_err_t code;
    for (;;) {
        enum err err = kafka_reader_committed(reader, taken->partition, &taken->committed, why, why_bytes);
        code = err != ERR_OK ? RD_KAFKA_RESP_ERR__TIMED_OUT
                             : rd_kafka_query_watermark_offsets(reader->data, reader->stamp.topics[KAFKA_CHANGES], (int32_t)taken->partition,
                                                                &taken->first, &taken->end, ASK_MS);
        if (code == 0) break;
        if (err == ERR_OK) snprintf(why, why_bytes, "the ends of partition %u: %s", taken->partition, rd_kafka_err2str(code));
        if (reader->closing) return ERR_BUSY;
        log_line(LOG_WARN_LEVEL, "take_over_waits", "why=\"%s\"", why);
        uv_sleep(AGAIN_MS);
    }
    if (taken->committed > taken->first && taken->committed <= taken->end)
        taken->before = kafka_reader_fetch(reader, taken->partition, (uint64_t)taken->committed - 1, &code); /* NULL: read() asks again */
    return ERR_OK;
}

static void run(uv_work_t *work)
{
    struct taking *taking = work->data;
    for (size_t i = 0; taking->err == ERR_OK && i < taking->count; i++)
        taking->err = ask(taking->reader, &taking->items[i], taking->why, sizeof taking->why);
}

static void keep_before(struct part *part, const rd_kafka_message_t *before)
{
    free(part->before);
    part->has_before = false;
    part->before = before == NULL ? NULL : malloc(before->len + 1);
    if (part->before == NULL) return;
    if (before->len > 0) memcpy(part->before, before->payload, before->len);
    part->before_bytes = before->len;
    part->before_offset = (uint64_t)before->offset;
    part->before_time_ms = rd_kafka_message_timestamp(before, NULL);
    part->has_before = true;
}

static void tell(struct kafka_reader *reader, const struct taken *taken)
{
    struct part *part = &reader->parts[taken->partition];
    if (part->revoked_early || reader->closing) {
        reader->base.ops->release(&reader->base, taken->partition);
        return;
    }
    part->state = PART_OWNED;
    reader->counters->partitions_owned = kafka_reader_held(reader);
    part->first = (uint64_t)taken->first;
    part->end = (uint64_t)taken->end;
    part->silent_below = taken->committed < 0 ? 0 : (uint64_t)taken->committed;
    keep_before(part, taken->before);
    struct log_assignment assignment = {.first = part->first, .next = part->end, .silent_below = part->silent_below};
    if (reader->base.assigned != NULL) reader->base.assigned(reader->base.ctx, taken->partition, &assignment);
}

static void on_done(uv_work_t *work, int status)
{
    struct taking *taking = work->data;
    struct kafka_reader *reader = taking->reader;
    (void)status;
    reader->works--;
    for (size_t i = 0; i < taking->count; i++) {
        if (taking->err == ERR_OK) tell(reader, &taking->items[i]);
        else reader->base.ops->release(&reader->base, taking->items[i].partition);
        if (taking->items[i].before != NULL) rd_kafka_message_destroy(taking->items[i].before);
    }
    if (taking->err != ERR_OK && !reader->closing) kafka_reader_fail(reader, taking->err, taking->why);
    free(taking);
    kafka_reader_renew(reader);
    kafka_reader_go_on_closing(reader);
}

void kafka_reader_take(struct kafka_reader *reader, const rd_kafka_topic_partition_list_t *list)
{
    struct taking *taking = calloc(1, sizeof *taking + (size_t)list->cnt * sizeof taking->items[0]);
    if (taking == NULL) {
        kafka_reader_fail(reader, ERR_MEMORY, "out of memory");
        return;
    }
    taking->work.data = taking;
    taking->reader = reader;
    for (int i = 0; i < list->cnt; i++) {
        uint32_t partition = (uint32_t)list->elems[i].partition;
        if (partition >= reader->base.partitions || reader->parts[partition].state != PART_FREE) continue;
        struct part *part = &reader->parts[partition];
        part->state = PART_TAKING;
        uv_mutex_lock(&reader->lock);
        part->group = rd_kafka_consumer_group_metadata(reader->member);
        uv_mutex_unlock(&reader->lock);
        taking->items[taking->count++].partition = partition;
    }
    reader->works++;
    uv_queue_work(reader->loop, &taking->work, run, on_done);
}
