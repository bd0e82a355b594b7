/* The group's member: what it is told, and another in its place when it can go on no more. */
#include <stdio.h>

#include "backends/kafka/kafka_reader_parts.h"
#include "base/clock.h"
#include "base/log.h"

enum { POLL_AT_ONCE = 64, LOST_AGAIN_MS = 60000, LOST_TIMES_MAX = 5 };

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct kafka_reader *reader = opaque;
    if (reader->renewing) { /* its end, on another thread: everything was given back */
        rd_kafka_assign(rk, NULL);
        return;
    }
    reader->counters->rebalances++;
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        log_line(LOG_INFO_LEVEL, "partitions_given", "count=%d", list->cnt);
        reader->in_group = true;
        rd_kafka_assign(rk, list);
        rd_kafka_pause_partitions(rk, list); /* the member fetches nothing */
        if (!reader->closing) kafka_reader_take(reader, list);
        return;
    }
    log_line(LOG_INFO_LEVEL, "partitions_taken", "count=%d lost=%d", list->cnt, rd_kafka_assignment_lost(rk));
    reader->in_group = false;
    reader->unassign_due = true;
    kafka_reader_take_back(reader);
    kafka_reader_freed(reader);
}

/* ---- the member ---- */

/* A static member is fenced when a broker that died had answered it and it never heard: it asks again and is taken for another. That is
 * no reason to end; but again and again means that there is another. */
static void lose(struct kafka_reader *reader, const char *why)
{
    int64_t now_ms = clock_monotonic_ms();
    if (reader->member_lost) return;
    if (now_ms - reader->lost_ms >= LOST_AGAIN_MS) {
        reader->lost_ms = now_ms;
        reader->lost_count = 0;
    }
    if (++reader->lost_count > LOST_TIMES_MAX) {
        kafka_reader_fail(reader, ERR_CONFIG, why);
        return;
    }
    log_line(LOG_WARN_LEVEL, "member_lost", "why=\"%s\"", why);
    reader->member_lost = true;
    reader->in_group = reader->unassign_due = false;
    kafka_reader_take_back(reader);
    kafka_reader_renew(reader);
}

bool kafka_reader_serve_member(void *ctx)
{
    struct kafka_reader *reader = ctx;
    rd_kafka_message_t *message = NULL;
    for (int i = 0; i < POLL_AT_ONCE && (message = rd_kafka_consumer_poll(reader->member, 0)) != NULL; i++) {
        char why[256];
        if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
            rd_kafka_fatal_error(reader->member, why, sizeof why);
            lose(reader, why);
        } else if (message->err != 0 && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            log_line(LOG_WARN_LEVEL, "kafka", "client=member said=\"%s\"", rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
    }
    return message != NULL;
}

static enum err open_client(struct kafka_reader *reader, char *why, size_t why_bytes)
{
    char session_ms[16];
    snprintf(session_ms, sizeof session_ms, "%llu", (unsigned long long)(reader->options.session_s == 0 ? 10 : reader->options.session_s) * 1000);
    struct kafka_property extra[] = {
        {"group.id", reader->stamp.group}, {"partition.assignment.strategy", "range"}, {"isolation.level", "read_committed"},
        {"enable.auto.commit", "false"}, {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "latest"},
        {"session.timeout.ms", session_ms}, {"heartbeat.interval.ms", "1000"}, {NULL, NULL}, {NULL, NULL}};
    if (reader->options.instance != NULL) extra[8] = (struct kafka_property){"group.instance.id", reader->options.instance};
    rd_kafka_conf_t *made = kafka_conf_make(&reader->options, extra, why, why_bytes);
    if (made == NULL) return ERR_CONFIG;
    rd_kafka_conf_set_opaque(made, reader);
    rd_kafka_conf_set_rebalance_cb(made, on_rebalance);
    reader->member = kafka_conf_open(RD_KAFKA_CONSUMER, made, why, why_bytes);
    if (reader->member == NULL) return ERR_CONFIG;
    rd_kafka_poll_set_consumer(reader->member);
    return ERR_OK;
}

static enum err subscribe(struct kafka_reader *reader, char *why, size_t why_bytes)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, reader->stamp.topics[KAFKA_CHANGES], RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(reader->member, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != 0) snprintf(why, why_bytes, "%s", rd_kafka_err2str(code));
    return code == 0 ? ERR_OK : ERR_BUSY;
}

enum err kafka_reader_open_member(struct kafka_reader *reader, char *why, size_t why_bytes)
{
    enum err err = open_client(reader, why, why_bytes);
    return err == ERR_OK ? subscribe(reader, why, why_bytes) : err;
}

/* ---- another in its place ---- */

static void end_member(uv_work_t *work)
{
    struct kafka_reader *reader = work->data;
    rd_kafka_consumer_close(reader->member);
    rd_kafka_destroy(reader->member);
}

static void on_member_ended(uv_work_t *work, int status)
{
    struct kafka_reader *reader = work->data;
    char why[256];
    (void)status;
    reader->works--;
    reader->member = NULL;
    reader->renewing = reader->member_lost = false;
    if (reader->closing) {
        kafka_reader_go_on_closing(reader);
        return;
    }
    if (kafka_reader_open_member(reader, why, sizeof why) != ERR_OK) kafka_reader_fail(reader, ERR_CONFIG, why);
    else kafka_wake_change(&reader->member_wake, rd_kafka_queue_get_consumer(reader->member));
}

void kafka_reader_renew(struct kafka_reader *reader)
{
    if (!reader->member_lost || reader->renewing || reader->works != 0 || kafka_reader_held(reader) != 0 || reader->handles_closing) return;
    reader->renewing = true;
    reader->works++;
    kafka_wake_drop(&reader->member_wake);
    reader->renewal.data = reader;
    uv_queue_work(reader->loop, &reader->renewal, end_member, on_member_ended);
}
