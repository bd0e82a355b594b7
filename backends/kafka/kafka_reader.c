#include "backends/kafka/kafka_reader.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/kafka/kafka_reader_parts.h"
#include "base/log.h"

enum { METADATA_MS = 15000 };

void kafka_reader_fail(struct kafka_reader *reader, enum err err, const char *why)
{
    if (reader->failed) return;
    reader->failed = true;
    if (reader->base.failed != NULL) reader->base.failed(reader->base.ctx, err, why);
}

/* ---- what the group gives and takes ---- */

static void let_go(struct kafka_reader *reader, struct part *part)
{
    kafka_reader_halt(reader, part);
    uv_mutex_lock(&reader->lock);
    if (part->group != NULL) rd_kafka_consumer_group_metadata_destroy(part->group);
    part->group = NULL;
    uv_mutex_unlock(&reader->lock);
    free(part->before);
    *part = (struct part){.state = PART_FREE};
}

size_t kafka_reader_held(const struct kafka_reader *reader)
{
    size_t count = 0;
    for (uint32_t i = 0; i < reader->base.partitions; i++) count += reader->parts[i].state != PART_FREE;
    return count;
}

void kafka_reader_freed(struct kafka_reader *reader)
{
    reader->counters->partitions_owned = kafka_reader_held(reader);
    if (reader->counters->partitions_owned != 0) return;
    if (reader->unassign_due) {
        reader->unassign_due = false;
        rd_kafka_assign(reader->member, NULL); /* INVARIANT 2 */
    }
    kafka_reader_renew(reader);
    kafka_reader_go_on_closing(reader);
}

static void release(struct log_reader *base, uint32_t partition)
{
    struct kafka_reader *reader = (struct kafka_reader *)(void *)base;
    struct part *part = &reader->parts[partition];
    if (part->state == PART_FREE) return;
    let_go(reader, part);
    kafka_reader_freed(reader);
}

void kafka_reader_take_back(struct kafka_reader *reader)
{
    for (uint32_t i = 0; i < reader->base.partitions; i++) {
        struct part *part = &reader->parts[i];
        if (part->state == PART_TAKING) {
            part->revoked_early = true;
        } else if (part->state == PART_OWNED) {
            part->state = PART_LEAVING;
            kafka_reader_halt(reader, part);
            if (reader->base.revoked != NULL) reader->base.revoked(reader->base.ctx, i);
            else release(&reader->base, i);
        }
    }
}

bool kafka_reader_ready(const struct kafka_reader *reader, const char **ret_why)
{
    *ret_why = reader->in_group ? NULL : "waiting for a place in the group";
    for (uint32_t i = 0; i < reader->base.partitions; i++)
        if (reader->parts[i].state == PART_TAKING) *ret_why = "partitions are being taken over";
    return *ret_why == NULL;
}

rd_kafka_consumer_group_metadata_t *kafka_reader_group(struct kafka_reader *reader, uint32_t partition)
{
    rd_kafka_consumer_group_metadata_t *group = NULL;
    uv_mutex_lock(&reader->lock);
    if (reader->parts[partition].group != NULL) {
        /* Written and read again: librdkafka 2.0 has no public copy. */
        void *bytes = NULL;
        size_t size = 0;
        rd_kafka_error_t *error = rd_kafka_consumer_group_metadata_write(reader->parts[partition].group, &bytes, &size);
        if (error == NULL) error = rd_kafka_consumer_group_metadata_read(&group, bytes, size);
        if (error != NULL) {
            log_line(LOG_ERROR_LEVEL, "group_lost", "why=\"%s\"", rd_kafka_error_string(error));
            rd_kafka_error_destroy(error);
            group = NULL;
        }
        rd_kafka_mem_free(NULL, bytes);
    }
    uv_mutex_unlock(&reader->lock);
    return group;
}

/* ---- opening ---- */

static enum err open_data(struct kafka_reader *reader, char *why, size_t why_bytes)
{
    const struct kafka_property extra[] = {
        {"group.id", "tidegate-fetch"}, {"isolation.level", "read_committed"}, {"enable.auto.commit", "false"}, {"auto.commit.enable", "false"},
        {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "error"}, {"fetch.error.backoff.ms", "50"},
        {"queued.max.messages.kbytes", "65536"}, {"fetch.message.max.bytes", "4194304"}, {NULL, NULL}};
    const struct rd_kafka_metadata *metadata;
    rd_kafka_conf_t *made = kafka_conf_make(&reader->options, extra, why, why_bytes);
    if (made == NULL) return ERR_CONFIG;
    reader->data = kafka_conf_open(RD_KAFKA_CONSUMER, made, why, why_bytes);
    if (reader->data == NULL) return ERR_CONFIG;
    reader->topic = rd_kafka_topic_new(reader->data, reader->stamp.topics[KAFKA_CHANGES], NULL);
    reader->queue = rd_kafka_queue_new(reader->data);
    rd_kafka_resp_err_t code = rd_kafka_metadata(reader->data, 0, reader->topic, &metadata, METADATA_MS);
    if (code != 0) {
        snprintf(why, why_bytes, "%s: %s", reader->options.hosts, rd_kafka_err2str(code));
        return ERR_BUSY;
    }
    bool good = metadata->topic_cnt == 1 && metadata->topics[0].err == 0 && (uint32_t)metadata->topics[0].partition_cnt == reader->base.partitions;
    rd_kafka_metadata_destroy(metadata);
    if (!good) snprintf(why, why_bytes, "%s is not as its stamp says; `tidegate topics` tells how", reader->stamp.topics[KAFKA_CHANGES]);
    return good ? ERR_OK : ERR_CONFIG;
}

static void dispose(struct kafka_reader *reader)
{
    if (reader->topic != NULL) rd_kafka_topic_destroy(reader->topic);
    if (reader->queue != NULL) rd_kafka_queue_destroy(reader->queue);
    if (reader->data != NULL) rd_kafka_destroy(reader->data);
    if (reader->member != NULL) rd_kafka_destroy(reader->member);
}

static void free_reader(struct kafka_reader *reader)
{
    uv_mutex_destroy(&reader->lock);
    free(reader->read_bytes);
    free(reader->parts);
    free(reader);
}

static const struct log_reader_ops reader_ops = {kafka_reader_start, kafka_reader_pause, kafka_reader_trim, kafka_reader_range, kafka_reader_read, release};

enum err kafka_reader_open(const struct kafka_options *options, const struct kafka_stamp *stamp, struct uv_loop_s *loop,
                           struct kafka_counters *counters, struct kafka_reader **ret_reader, char *why, size_t why_bytes)
{
    struct kafka_reader *reader = calloc(1, sizeof *reader);
    struct part *parts = calloc(stamp->partitions, sizeof *parts);
    if (reader == NULL || parts == NULL || uv_mutex_init(&reader->lock) != 0) {
        free(reader);
        free(parts);
        snprintf(why, why_bytes, "out of memory");
        return ERR_MEMORY;
    }
    reader->options = *options;
    reader->stamp = *stamp;
    reader->base = (struct log_reader){.ops = &reader_ops, .partitions = stamp->partitions, .name = reader->stamp.log};
    reader->loop = loop;
    reader->counters = counters;
    reader->parts = parts;
    enum err err = open_data(reader, why, why_bytes);
    if (err == ERR_OK) err = kafka_reader_open_member(reader, why, why_bytes);
    if (err != ERR_OK) {
        dispose(reader);
        free_reader(reader);
        return err;
    }
    rd_kafka_queue_t *again = rd_kafka_queue_get_consumer(reader->member);
    bool woken = kafka_wake_open(&reader->member_wake, loop, again, reader, kafka_reader_serve_member);
    woken = woken && kafka_wake_open(&reader->data_wake, loop, reader->queue, reader, kafka_reader_serve);
    if (!woken) abort(); /* no file descriptor at start: nothing could be served either */
    uv_timer_init(loop, &reader->trim_timer);
    reader->trim_timer.data = reader;
    uv_timer_start(&reader->trim_timer, kafka_reader_on_trim_timer, kafka_reader_trim_ms(reader), kafka_reader_trim_ms(reader));
    *ret_reader = reader;
    return ERR_OK;
}

struct log_reader *kafka_reader_log(struct kafka_reader *reader) { return &reader->base; }

/* ---- closing: what is owned is given back, other threads end, the group is left, handles go ---- */

static void end_clients(uv_work_t *work)
{
    struct kafka_reader *reader = work->data;
    if (reader->member != NULL) rd_kafka_consumer_close(reader->member); /* leaves the group, unless it is a static member */
    reader->queue = NULL;                    /* the wake let go of it */
    dispose(reader);
}

static void on_one_closed(struct kafka_reader *reader)
{
    if (--reader->handles != 0) return;
    void *ctx = reader->closed_ctx;
    void (*closed)(void *) = reader->closed;
    free_reader(reader);
    closed(ctx);
}
static void on_wake_closed(void *ctx) { on_one_closed(ctx); }
static void on_timer_closed(uv_handle_t *handle) { on_one_closed(handle->data); }

static void on_clients_ended(uv_work_t *work, int status)
{
    struct kafka_reader *reader = work->data;
    (void)status;
    reader->handles = 3;
    kafka_wake_close(&reader->member_wake, on_wake_closed);
    kafka_wake_close(&reader->data_wake, on_wake_closed);
    uv_close((uv_handle_t *)&reader->trim_timer, on_timer_closed);
}

void kafka_reader_go_on_closing(struct kafka_reader *reader)
{
    if (!reader->closing || reader->handles_closing || reader->works != 0 || kafka_reader_held(reader) != 0) return;
    reader->handles_closing = true;
    kafka_wake_drop(&reader->member_wake);
    kafka_wake_drop(&reader->data_wake);
    reader->ending.data = reader;
    uv_queue_work(reader->loop, &reader->ending, end_clients, on_clients_ended);
}

void kafka_reader_close(struct kafka_reader *reader, void *ctx, void (*closed)(void *ctx))
{
    assert(!reader->closing);
    reader->closing = true;
    reader->closed_ctx = ctx;
    reader->closed = closed;
    uv_timer_stop(&reader->trim_timer);
    reader->unassign_due = false;
    for (uint32_t i = 0; i < reader->base.partitions; i++) {
        struct part *part = &reader->parts[i];
        if (part->state == PART_TAKING) part->revoked_early = true;
        else if (part->state != PART_FREE) let_go(reader, part);
    }
    kafka_reader_go_on_closing(reader);
}
