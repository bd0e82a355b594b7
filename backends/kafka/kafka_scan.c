#include "backends/kafka/kafka_scan.h"

#include <stdio.h>

#include "base/clock.h"

enum { ASK_MS = 15000, POLL_MS = 200, PROGRESS_MS = 1000 };

static rd_kafka_t *open_consumer(const struct kafka_options *options, const char *isolation, char *why, size_t why_bytes)
{
    const struct kafka_property extra[] = {
        {"group.id", "tidegate-scan"}, {"isolation.level", isolation}, {"enable.auto.commit", "false"}, {"auto.commit.enable", "false"},
        {"enable.partition.eof", "true"}, {"auto.offset.reset", "error"}, {"fetch.error.backoff.ms", "50"}, {"fetch.wait.max.ms", "50"}, {NULL, NULL}};
    rd_kafka_conf_t *made = kafka_conf_make(options, extra, why, why_bytes);
    return made == NULL ? NULL : kafka_conf_open(RD_KAFKA_CONSUMER, made, why, why_bytes);
}

static enum err err_of(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        return ERR_UNKNOWN;
    return ERR_BUSY;
}

static enum err find_ends(const struct kafka_options *options, const struct kafka_scan *scan, int64_t *ret_first, int64_t *ret_end,
                          char *why, size_t why_bytes)
{
    rd_kafka_t *rk = open_consumer(options, "read_uncommitted", why, why_bytes);
    if (rk == NULL) return ERR_CONFIG;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(rk, scan->topic, scan->partition, ret_first, ret_end, ASK_MS);
    if (code != 0) snprintf(why, why_bytes, "%s %d: %s", scan->topic, (int)scan->partition, rd_kafka_err2str(code));
    rd_kafka_destroy(rk);
    return code == 0 ? ERR_OK : err_of(code);
}

/* One message, or the end of what is committed; *ret_at moves past either. */
static enum err take(const struct kafka_scan *scan, const rd_kafka_message_t *message, int64_t *ret_at, char *why, size_t why_bytes)
{
    if (message->err == 0) {
        enum err err = scan->each(scan->ctx, message);
        if (err == ERR_OK) *ret_at = message->offset + 1;
        else snprintf(why, why_bytes, "%s %d at %lld: %s", scan->topic, (int)scan->partition, (long long)message->offset, err_text(err));
        return err;
    }
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (message->offset > *ret_at) *ret_at = message->offset;
        return ERR_OK;
    }
    if (message->err == RD_KAFKA_RESP_ERR__TRANSPORT || message->err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) return ERR_OK; /* it tries again */
    snprintf(why, why_bytes, "%s %d: %s", scan->topic, (int)scan->partition, rd_kafka_message_errstr(message));
    return err_of(message->err);
}

static enum err read_all(rd_kafka_topic_t *topic, const struct kafka_scan *scan, int64_t at, int64_t end, char *why, size_t why_bytes)
{
    int64_t moved_ms = clock_monotonic_ms(), said_ms = moved_ms;
    enum err err = ERR_OK;
    while (err == ERR_OK && at < end) {
        int64_t before = at, now_ms = clock_monotonic_ms();
        rd_kafka_message_t *message = rd_kafka_consume(topic, scan->partition, POLL_MS);
        if (message != NULL) {
            err = take(scan, message, &at, why, why_bytes);
            rd_kafka_message_destroy(message);
        }
        if (at != before) moved_ms = now_ms;
        if (err == ERR_OK && now_ms - moved_ms > KAFKA_SCAN_WAIT_MS) {
            snprintf(why, why_bytes, "%s %d: nothing more came past %lld of %lld", scan->topic, (int)scan->partition, (long long)at, (long long)end);
            err = ERR_BUSY;
        }
        if (scan->progress != NULL && now_ms - said_ms >= PROGRESS_MS) {
            said_ms = now_ms;
            scan->progress(scan->ctx, (uint64_t)at, (uint64_t)end);
        }
    }
    return err;
}

enum err kafka_scan(const struct kafka_options *options, const struct kafka_scan *scan, char *why, size_t why_bytes)
{
    int64_t first, end;
    enum err err = find_ends(options, scan, &first, &end, why, why_bytes);
    if (err != ERR_OK || first >= end) return err;
    rd_kafka_t *rk = open_consumer(options, "read_committed", why, why_bytes);
    if (rk == NULL) return ERR_CONFIG;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, scan->topic, NULL);
    if (topic == NULL || rd_kafka_consume_start(topic, scan->partition, first) != 0) {
        snprintf(why, why_bytes, "%s %d: %s", scan->topic, (int)scan->partition, rd_kafka_err2str(rd_kafka_last_error()));
        err = ERR_BUSY;
    } else {
        err = read_all(topic, scan, first, end, why, why_bytes);
        rd_kafka_consume_stop(topic, scan->partition);
    }
    if (topic != NULL) rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return err;
}
