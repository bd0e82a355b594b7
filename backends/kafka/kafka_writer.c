#include "backends/kafka/kafka_writer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "backends/kafka/kafka_wake.h"
#include "base/log.h"
#include "core/record.h"

enum {
    QUEUE_RECORDS = 32768,
    QUEUE_BYTES = 67108864,
    LINGER_WINDOW_MS = 100,
    LINGER_FREE = 20,
    LINGER_MS_MAX = 10,
    ACKS_AT_ONCE = 256,
    POLL_AT_ONCE = 64,       /* turns of the client's poll in one of the loop */
    RENEW_MS = 500,          /* a producer that could not be made is tried again */
    METADATA_MS = 15000
};

/* One record on its way, in its partition's order until it is acked. */
struct item {
    struct item *next;
    struct item *next_held;  /* not handed to the client yet; or, when it was, in its grave */
    struct blob *blob;
    uint64_t tag, number;
    uint32_t partition;
    bool done;
    enum err err;
};

struct part {
    struct item *first, *last;
    uint64_t numbers;        /* given out */
    uint64_t fail_until;     /* INVARIANT 1: those up to here fail */
    bool touched;
};

/* A producer that failed, until it is destroyed, with the blobs that it may read until then. */
struct grave {
    uv_work_t work;
    struct kafka_writer *writer;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    struct item *items;
};

struct kafka_writer {
    struct log_writer base;  /* first: the seam's struct is this one */
    struct kafka_options options;
    char topic_name[KAFKA_TOPIC_BYTES];
    char log_name[LOG_NAME_BYTES_MAX + 1];
    uv_loop_t *loop;
    struct kafka_counters *counters;
    rd_kafka_t *rk;          /* NULL: it failed, and none could be made yet */
    rd_kafka_topic_t *topic;
    struct kafka_wake wake;
    uv_timer_t timer;        /* held records are sent; a producer is made again; failures are told */
    struct part *parts;
    struct item *held_first, *held_last;
    size_t held_count, sent_count, bytes;
    uint64_t window_ms, window_count, window_before;
    bool settle_due, broken, closing, handles_closing;
    unsigned handles, graves;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

static void on_timer(uv_timer_t *timer);

static void arm(struct kafka_writer *writer, uint64_t in_ms)
{
    if (!writer->closing && (!uv_is_active((uv_handle_t *)&writer->timer) || in_ms == 0)) uv_timer_start(&writer->timer, on_timer, in_ms, 0);
}

/* ---- telling ---- */

static void finish(struct kafka_writer *writer, struct item *item, enum err err)
{
    struct part *part = &writer->parts[item->partition];
    item->done = true;
    item->err = err;
    part->touched = true;
    writer->settle_due = true;
}

static void free_item(struct item *item)
{
    blob_put(item->blob);
    free(item);
}

/* Takes done heads off a partition, in order; a failure fails all that was handed in so far. */
static size_t take_done(struct kafka_writer *writer, struct part *part, struct log_ack *acks, size_t room)
{
    size_t count = 0;
    while (count < room && part->first != NULL && part->first->done) {
        struct item *item = part->first;
        part->first = item->next;
        if (part->first == NULL) part->last = NULL;
        if (item->err != ERR_OK) part->fail_until = part->numbers;
        enum err err = item->err == ERR_OK && item->number <= part->fail_until ? ERR_INTERNAL : item->err;
        if (err != ERR_OK) writer->counters->append_errors++;
        acks[count++] = (struct log_ack){item->tag, err};
        writer->bytes -= item->blob->bytes;
        writer->counters->queue_records--;
        free_item(item);
    }
    return count;
}

static void settle(struct kafka_writer *writer)
{
    struct log_ack acks[ACKS_AT_ONCE];
    if (!writer->settle_due) return;
    writer->settle_due = false;
    for (uint32_t i = 0; i < writer->base.partitions; i++) {
        struct part *part = &writer->parts[i];
        if (!part->touched) continue;
        part->touched = false;
        size_t count;
        while ((count = take_done(writer, part, acks, ACKS_AT_ONCE)) != 0)
            if (writer->base.acked != NULL && !writer->closing) writer->base.acked(writer->base.ctx, acks, count);
    }
}

/* ---- the client's reports ---- */

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_writer *writer = opaque;
    if (rk != writer->rk) return; /* a grave's: told already */
    writer->sent_count--;
    finish(writer, message->_private, message->err == 0 ? ERR_OK : ERR_INTERNAL);
    if (message->err != 0)
        log_line(LOG_WARN_LEVEL, "append_failed", "partition=%d why=\"%s\"", (int)message->partition, rd_kafka_err2str(message->err));
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    struct kafka_writer *writer = opaque;
    char why[256];
    if (err != RD_KAFKA_RESP_ERR__FATAL) {
        log_line(LOG_WARN_LEVEL, "kafka", "client=%s what=%s said=\"%s\"", rd_kafka_name(rk), rd_kafka_err2name(err), reason);
        return;
    }
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(rk, why, sizeof why);
    log_line(LOG_WARN_LEVEL, "producer_failed", "code=%s why=\"%s\"", rd_kafka_err2name(code), why);
    if (rk == writer->rk) writer->broken = true;
}

/* ---- a producer's life ---- */

static enum err make(struct kafka_writer *writer, char *why, size_t why_bytes)
{
    static const struct kafka_property extra[] = {
        {"enable.idempotence", "true"}, {"acks", "all"}, {"linger.ms", "0"}, {"message.timeout.ms", "120000"},
        {"queue.buffering.max.messages", "100000"}, {"queue.buffering.max.kbytes", "131072"}, {"batch.num.messages", "10000"}, {NULL, NULL}};
    rd_kafka_conf_t *made = kafka_conf_make(&writer->options, extra, why, why_bytes);
    if (made == NULL) return ERR_CONFIG;
    rd_kafka_conf_set_opaque(made, writer);
    rd_kafka_conf_set_dr_msg_cb(made, on_report);
    rd_kafka_conf_set_error_cb(made, on_error);
    writer->rk = kafka_conf_open(RD_KAFKA_PRODUCER, made, why, why_bytes);
    if (writer->rk == NULL) return ERR_CONFIG;
    writer->topic = rd_kafka_topic_new(writer->rk, writer->topic_name, NULL);
    assert(writer->topic != NULL);
    writer->broken = false;
    writer->counters->producers++;
    return ERR_OK;
}

static void bury(uv_work_t *work)
{
    struct grave *grave = work->data;
    rd_kafka_purge(grave->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_topic_destroy(grave->topic);
    rd_kafka_destroy(grave->rk);
}

static void go_on_closing(struct kafka_writer *writer);

static void on_buried(uv_work_t *work, int status)
{
    struct grave *grave = work->data;
    struct kafka_writer *writer = grave->writer;
    (void)status;
    for (struct item *item = grave->items, *next; item != NULL; item = next) {
        next = item->next_held;
        free_item(item);
    }
    free(grave);
    writer->graves--;
    go_on_closing(writer);
}

/* Everything under way fails; what the client holds is let go of when it is gone (INVARIANT 3). */
static void let_go(struct kafka_writer *writer)
{
    struct grave *grave = calloc(1, sizeof *grave);
    if (grave == NULL) abort(); /* without these bytes nothing here could go on */
    *grave = (struct grave){.writer = writer, .rk = writer->rk, .topic = writer->topic};
    grave->work.data = grave;
    kafka_wake_drop(&writer->wake);
    for (uint32_t i = 0; i < writer->base.partitions; i++) {
        for (struct item *item = writer->parts[i].first; item != NULL; item = item->next) {
            struct item *shadow = calloc(1, sizeof *shadow);
            if (shadow == NULL) abort();
            shadow->blob = blob_take(item->blob);
            shadow->next_held = grave->items;
            grave->items = shadow;
            if (!item->done) finish(writer, item, ERR_INTERNAL);
        }
    }
    writer->held_first = writer->held_last = NULL;
    writer->held_count = writer->sent_count = 0;
    writer->rk = NULL;
    writer->topic = NULL;
    writer->graves++;
    uv_queue_work(writer->loop, &grave->work, bury, on_buried);
}

static void renew(struct kafka_writer *writer)
{
    char why[256];
    if (writer->rk != NULL) let_go(writer);
    if (make(writer, why, sizeof why) == ERR_OK) {
        kafka_wake_change(&writer->wake, rd_kafka_queue_get_main(writer->rk));
        log_line(LOG_INFO_LEVEL, "producer_again", "number=%llu", (unsigned long long)writer->counters->producers);
    } else {
        log_line(LOG_ERROR_LEVEL, "producer_failed", "why=\"%s\"", why);
        arm(writer, RENEW_MS);
    }
}

/* ---- sending ---- */

static void send_held(struct kafka_writer *writer)
{
    while (writer->held_first != NULL) {
        struct item *item = writer->held_first;
        struct span text = blob_span(item->blob), key = record_space(text);
        union { const char *lent; void *given; } payload = {.lent = text.at};
        writer->held_first = item->next_held;
        if (writer->held_first == NULL) writer->held_last = NULL;
        writer->held_count--;
        if (rd_kafka_produce(writer->topic, (int32_t)item->partition, 0, payload.given, text.bytes, key.at, key.bytes, item) == 0) {
            writer->sent_count++;
            continue;
        }
        rd_kafka_resp_err_t code = rd_kafka_last_error();
        log_line(LOG_WARN_LEVEL, "append_failed", "partition=%u why=\"%s\"", item->partition, rd_kafka_err2str(code));
        finish(writer, item, ERR_INTERNAL);
        arm(writer, 0);
    }
}

static uint64_t linger_ms(struct kafka_writer *writer)
{
    uint64_t now_ms = uv_now(writer->loop);
    if (now_ms - writer->window_ms >= LINGER_WINDOW_MS) {
        writer->window_before = now_ms - writer->window_ms < 2 * LINGER_WINDOW_MS ? writer->window_count : 0;
        writer->window_ms = now_ms;
        writer->window_count = 0;
    }
    writer->window_count++;
    uint64_t recent = writer->window_before > writer->window_count ? writer->window_before : writer->window_count;
    if (recent < LINGER_FREE) return 0;
    return recent / LINGER_FREE < LINGER_MS_MAX ? recent / LINGER_FREE : LINGER_MS_MAX;
}

static enum err append(struct log_writer *base, uint32_t partition, struct blob *record, uint64_t tag)
{
    struct kafka_writer *writer = (struct kafka_writer *)(void *)base;
    struct part *part = &writer->parts[partition];
    assert(partition < base->partitions);
    if (writer->rk == NULL || writer->broken || writer->closing || writer->counters->queue_records >= QUEUE_RECORDS || writer->bytes >= QUEUE_BYTES)
        return ERR_BUSY;
    struct item *item = calloc(1, sizeof *item);
    if (item == NULL) return ERR_BUSY;
    *item = (struct item){.blob = blob_take(record), .tag = tag, .number = ++part->numbers, .partition = partition};
    if (part->last == NULL) part->first = item;
    else part->last->next = item;
    part->last = item;
    if (writer->held_last == NULL) writer->held_first = item;
    else writer->held_last->next_held = item;
    writer->held_last = item;
    writer->held_count++;
    writer->bytes += record->bytes;
    writer->counters->queue_records++;
    writer->counters->appended++;
    uint64_t wait_ms = linger_ms(writer);
    if (wait_ms == 0) send_held(writer);
    else arm(writer, wait_ms);
    return ERR_OK;
}

/* ---- the loop's calls ---- */

static bool serve(void *ctx)
{
    struct kafka_writer *writer = ctx;
    int served = 1;
    for (int i = 0; i < POLL_AT_ONCE && served > 0; i++) served = rd_kafka_poll(writer->rk, 0);
    if (writer->broken) renew(writer);
    settle(writer);
    return served > 0 && writer->rk != NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct kafka_writer *writer = timer->data;
    if (writer->rk == NULL) renew(writer);
    if (writer->rk != NULL) send_held(writer);
    settle(writer);
}

/* ---- opening and closing ---- */

static enum err learn_topic(struct kafka_writer *writer, char *why, size_t why_bytes)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code = rd_kafka_metadata(writer->rk, 0, writer->topic, &metadata, METADATA_MS);
    if (code != 0) {
        snprintf(why, why_bytes, "%s: %s", writer->options.hosts, rd_kafka_err2str(code));
        return ERR_BUSY;
    }
    enum err err = ERR_CONFIG;
    if (metadata->topic_cnt != 1 || metadata->topics[0].err != 0) snprintf(why, why_bytes, "%s: no such topic: `tidegate topics` makes it", writer->topic_name);
    else if ((uint32_t)metadata->topics[0].partition_cnt != writer->base.partitions)
        snprintf(why, why_bytes, "%s has %d partitions and its stamp says %u: no partition may be added; `tidegate topics --new-epoch` begins a new log",
                 writer->topic_name, metadata->topics[0].partition_cnt, writer->base.partitions);
    else err = ERR_OK;
    rd_kafka_metadata_destroy(metadata);
    return err;
}

static const struct log_writer_ops writer_ops = {append};

enum err kafka_writer_open(const struct kafka_options *options, const struct kafka_stamp *stamp, struct uv_loop_s *loop,
                           struct kafka_counters *counters, struct kafka_writer **ret_writer, char *why, size_t why_bytes)
{
    struct kafka_writer *writer = calloc(1, sizeof *writer);
    struct part *parts = calloc(stamp->partitions, sizeof *parts);
    if (writer == NULL || parts == NULL) {
        free(writer);
        free(parts);
        snprintf(why, why_bytes, "out of memory");
        return ERR_MEMORY;
    }
    writer->options = *options;
    snprintf(writer->topic_name, sizeof writer->topic_name, "%s", stamp->topics[KAFKA_CHANGES]);
    snprintf(writer->log_name, sizeof writer->log_name, "%s", stamp->log);
    writer->base = (struct log_writer){.ops = &writer_ops, .partitions = stamp->partitions, .name = writer->log_name};
    writer->loop = loop;
    writer->counters = counters;
    writer->parts = parts;
    enum err err = make(writer, why, why_bytes);
    if (err == ERR_OK) err = learn_topic(writer, why, why_bytes);
    if (err == ERR_OK && !kafka_wake_open(&writer->wake, loop, rd_kafka_queue_get_main(writer->rk), writer, serve)) {
        snprintf(why, why_bytes, "no file descriptor left");
        err = ERR_IO;
    }
    if (err != ERR_OK) {
        if (writer->topic != NULL) rd_kafka_topic_destroy(writer->topic);
        if (writer->rk != NULL) rd_kafka_destroy(writer->rk);
        free(parts);
        free(writer);
        return err;
    }
    uv_timer_init(loop, &writer->timer);
    writer->timer.data = writer;
    *ret_writer = writer;
    return ERR_OK;
}

static void on_one_closed(struct kafka_writer *writer)
{
    if (--writer->handles != 0) return;
    void *ctx = writer->closed_ctx;
    void (*closed)(void *) = writer->closed;
    free(writer->parts);
    free(writer);
    closed(ctx);
}
static void on_wake_closed(void *ctx) { on_one_closed(ctx); }
static void on_timer_closed(uv_handle_t *handle) { on_one_closed(handle->data); }

static void go_on_closing(struct kafka_writer *writer)
{
    if (!writer->closing || writer->graves != 0 || writer->handles_closing) return;
    writer->handles_closing = true;
    writer->handles = 2;
    kafka_wake_close(&writer->wake, on_wake_closed);
    uv_close((uv_handle_t *)&writer->timer, on_timer_closed);
}

void kafka_writer_close(struct kafka_writer *writer, void *ctx, void (*closed)(void *ctx))
{
    writer->closing = true;
    writer->closed_ctx = ctx;
    writer->closed = closed;
    uv_timer_stop(&writer->timer);
    if (writer->rk != NULL) let_go(writer);
    settle(writer);
    go_on_closing(writer);
}

struct log_writer *kafka_writer_log(struct kafka_writer *writer) { return &writer->base; }

void kafka_writer_break(struct kafka_writer *writer)
{
    rd_kafka_test_fatal_error(writer->rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "asked for by a test");
}
