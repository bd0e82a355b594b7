/* Forgetting: what the journal holds and is older than `keep` leaves the log, now and then, on another thread. The record before the
 * journalled offset stays, for the next owner to compare. */
#include <stdlib.h>
#include <time.h>

#include "backends/kafka/kafka_reader_parts.h"
#include "base/clock.h"
#include "base/log.h"

enum { ASK_MS = 30000, KEEP_S = 86400 };

struct trimming {
    uv_work_t work;
    struct kafka_reader *reader;
    rd_kafka_topic_partition_list_t *list; /* to be forgotten: all before each offset */
};

void kafka_reader_trim(struct log_reader *base, uint32_t partition, uint64_t offset)
{
    struct kafka_reader *reader = (struct kafka_reader *)(void *)base;
    reader->parts[partition].journalled = offset;
}

static uint64_t keep_s(const struct kafka_reader *reader) { return reader->options.keep_s == 0 ? KEEP_S : reader->options.keep_s; }

uint64_t kafka_reader_trim_ms(const struct kafka_reader *reader) { return keep_s(reader) < TRIM_MS / 1000 ? keep_s(reader) * 1000 : TRIM_MS; }

/* Not past the first record that is too young. */
static bool heed_age(struct kafka_reader *reader, rd_kafka_topic_partition_list_t *list)
{
    int64_t before_ms = clock_wall_ms() - (int64_t)keep_s(reader) * 1000;
    rd_kafka_topic_partition_list_t *ages = rd_kafka_topic_partition_list_copy(list);
    for (int i = 0; i < ages->cnt; i++) ages->elems[i].offset = before_ms;
    bool good = rd_kafka_offsets_for_times(reader->data, ages, ASK_MS) == 0;
    for (int i = ages->cnt - 1; good && i >= 0; i--) {
        rd_kafka_topic_partition_t *young = &ages->elems[i];
        int64_t least = young->err != 0 ? 0 : young->offset >= 0 ? young->offset : list->elems[i].offset; /* none: all are older */
        if (least < list->elems[i].offset) list->elems[i].offset = least;
        if (list->elems[i].offset <= 0) rd_kafka_topic_partition_list_del_by_idx(list, i);
    }
    rd_kafka_topic_partition_list_destroy(ages);
    return good && list->cnt > 0;
}

static void heed_answer(rd_kafka_event_t *event)
{
    const rd_kafka_DeleteRecords_result_t *result = event == NULL ? NULL : rd_kafka_event_DeleteRecords_result(event);
    const rd_kafka_topic_partition_list_t *list = result == NULL || rd_kafka_event_error(event) != 0 ? NULL : rd_kafka_DeleteRecords_result_offsets(result);
    if (list == NULL) log_line(LOG_WARN_LEVEL, "trim_failed", "why=\"%s\"", event == NULL ? "no answer" : rd_kafka_event_error_string(event));
    for (int i = 0; list != NULL && i < list->cnt; i++)
        if (list->elems[i].err != 0) log_line(LOG_WARN_LEVEL, "trim_failed", "partition=%d why=\"%s\"", (int)list->elems[i].partition, rd_kafka_err2str(list->elems[i].err));
}

static void run(uv_work_t *work)
{
    struct trimming *trimming = work->data;
    struct kafka_reader *reader = trimming->reader;
    if (!heed_age(reader, trimming->list)) return;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(trimming->list);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(reader->data);
    rd_kafka_DeleteRecords(reader->data, &request, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ASK_MS);
    heed_answer(event);
    if (event != NULL) rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_DeleteRecords_destroy(request);
}

static void on_done(uv_work_t *work, int status)
{
    struct trimming *trimming = work->data;
    struct kafka_reader *reader = trimming->reader;
    (void)status;
    rd_kafka_topic_partition_list_destroy(trimming->list);
    free(trimming);
    reader->works_trim = false;
    reader->works--;
    kafka_reader_renew(reader);
    kafka_reader_go_on_closing(reader);
}

void kafka_reader_on_trim_timer(uv_timer_t *timer)
{
    struct kafka_reader *reader = timer->data;
    /* A member that is not polled for five minutes (max.poll.interval.ms) is taken for stuck, and a quiet one's queue wakes nobody. */
    if (!reader->renewing && !reader->closing) (void)kafka_reader_serve_member(reader);
    if (reader->works_trim || reader->closing) return;
    struct trimming *trimming = calloc(1, sizeof *trimming);
    if (trimming == NULL) return; /* another minute */
    trimming->list = rd_kafka_topic_partition_list_new((int)reader->base.partitions);
    for (uint32_t i = 0; i < reader->base.partitions; i++) {
        const struct part *part = &reader->parts[i];
        if (part->state != PART_OWNED || part->journalled <= part->first + 1) continue;
        rd_kafka_topic_partition_list_add(trimming->list, reader->stamp.topics[KAFKA_CHANGES], (int32_t)i)->offset = (int64_t)part->journalled - 1;
    }
    if (trimming->list->cnt == 0) {
        rd_kafka_topic_partition_list_destroy(trimming->list);
        free(trimming);
        return;
    }
    trimming->work.data = trimming;
    trimming->reader = reader;
    reader->works_trim = true;
    reader->works++;
    uv_queue_work(reader->loop, &trimming->work, run, on_done);
}
