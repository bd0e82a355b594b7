/* `tidegate topics`: makes the topics with the settings that the promises rest on, or says how those that are there differ.
 *
 * ORDER  topics, then the stamp that names them, then the namespaces into every partition, then the note of which texts those were:
 * whatever is cut short is done again by the next run. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kafka/kafka_stamp.h"
#include "backends/kafka/kafka_topics_parts.h"
#include "base/clock.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/record.h"

enum { PARTITIONS_DEFAULT = 16, ASK_MS = 30000, FLUSH_MS = 60000 };

void kafka_topics_say(const struct kafka_topics *topics, const char *format, ...)
{
    char line[1024];
    va_list args;
    if (topics->say == NULL) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    topics->say(topics->ctx, line);
}

/* ---- what is there ---- */

/* The texts that were put into the log last. */
struct written {
    size_t count;
    struct {
        char name[LIMIT_SPACE_BYTES_MAX + 1];
        char *text;
        size_t bytes;
    } items[LIMIT_NAMESPACES_MAX];
};

static void note(void *ctx, struct span name, struct span text)
{
    struct written *written = ctx;
    size_t i = 0;
    while (i < written->count && !span_is(name, written->items[i].name)) i++;
    if (i == LIMIT_NAMESPACES_MAX) return; /* then it is written once more, which changes nothing */
    if (i == written->count) {
        snprintf(written->items[i].name, sizeof written->items[i].name, "%.*s", (int)name.bytes, name.at);
        written->count++;
    }
    free(written->items[i].text);
    written->items[i].text = malloc(text.bytes + 1);
    written->items[i].bytes = written->items[i].text == NULL ? 0 : text.bytes;
    if (written->items[i].text != NULL && text.bytes > 0) memcpy(written->items[i].text, text.at, text.bytes);
}

static bool is_written(const struct written *written, struct span name, struct span text)
{
    for (size_t i = 0; i < written->count; i++)
        if (span_is(name, written->items[i].name)) return span_equal(text, span_of(written->items[i].text, written->items[i].bytes));
    return false;
}

/* ---- writing ---- */

struct writing {
    const struct kafka_topics *topics;
    const struct kafka_stamp *stamp;
    rd_kafka_t *rk;
    size_t failed;
};

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct writing *writing = opaque;
    (void)rk;
    if (message->err == 0) return;
    if (writing->failed++ == 0) kafka_topics_say(writing->topics, "a record was not taken: %s", rd_kafka_err2str(message->err));
}

static void produce(struct writing *writing, enum kafka_topic topic, uint32_t partition, struct span key, struct span value)
{
    rd_kafka_resp_err_t code;
    union { const char *lent; void *given; } k = {.lent = key.at}, v = {.lent = value.at};
    do {
        code = rd_kafka_producev(writing->rk, RD_KAFKA_V_TOPIC(writing->stamp->topics[topic]), RD_KAFKA_V_PARTITION((int32_t)partition),
                                 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(k.given, key.bytes),
                                 RD_KAFKA_V_VALUE(v.given, value.bytes), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) rd_kafka_poll(writing->rk, 100);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code != 0 && writing->failed++ == 0) kafka_topics_say(writing->topics, "a record was not taken: %s", rd_kafka_err2str(code));
}

static enum err flush(struct writing *writing, char *why, size_t why_bytes)
{
    if (rd_kafka_flush(writing->rk, FLUSH_MS) == 0 && writing->failed == 0) return ERR_OK;
    snprintf(why, why_bytes, "not everything was written; run it again");
    return ERR_BUSY;
}

static struct span name_of(struct span text)
{
    struct json_value object;
    return json_check(text, &object, NULL) ? json_inside(json_find(object, "namespace")) : span_of(NULL, 0);
}

static enum err write_namespaces(struct writing *writing, const struct written *written, char *why, size_t why_bytes)
{
    const struct kafka_topics *topics = writing->topics;
    struct buf record;
    enum err err = ERR_OK;
    buf_init(&record, 2 * LIMIT_NAMESPACE_BYTES_MAX);
    for (size_t i = 0; err == ERR_OK && i < topics->namespaces_count; i++) {
        struct span text = topics->namespaces[i], name = name_of(text);
        char key[LIMIT_SPACE_BYTES_MAX + 16];
        if (is_written(written, name, text)) continue;
        buf_reset(&record);
        record_encode_namespace(text, &record);
        for (uint32_t p = 0; p < writing->stamp->partitions; p++) produce(writing, KAFKA_CHANGES, p, span_of(NULL, 0), buf_span(&record));
        err = flush(writing, why, why_bytes);
        if (err != ERR_OK) break;
        snprintf(key, sizeof key, "namespace/%.*s", (int)name.bytes, name.at);
        produce(writing, KAFKA_META, 0, span_text(key), text);
        err = flush(writing, why, why_bytes);
        if (err == ERR_OK) kafka_topics_say(topics, "namespace %.*s: written into %u partitions", (int)name.bytes, name.at, writing->stamp->partitions);
    }
    buf_fini(&record);
    return err;
}

static enum err write_stamp(struct writing *writing, char *why, size_t why_bytes)
{
    struct buf text;
    buf_init(&text, 1024);
    kafka_stamp_encode(writing->stamp, &text);
    produce(writing, KAFKA_META, 0, SPAN_LITERAL("log"), buf_span(&text));
    buf_fini(&text);
    enum err err = flush(writing, why, why_bytes);
    if (err == ERR_OK)
        kafka_topics_say(writing->topics, "log %s: epoch %u, %u partitions", writing->stamp->log, writing->stamp->epoch, writing->stamp->partitions);
    return err;
}

static enum err open_producer(const struct kafka_options *options, struct writing *writing, char *why, size_t why_bytes)
{
    static const struct kafka_property extra[] = {{"enable.idempotence", "true"}, {"acks", "all"}, {"linger.ms", "5"}, {NULL, NULL}};
    rd_kafka_conf_t *made = kafka_conf_make(options, extra, why, why_bytes);
    if (made == NULL) return ERR_CONFIG;
    rd_kafka_conf_set_opaque(made, writing);
    rd_kafka_conf_set_dr_msg_cb(made, on_report);
    writing->rk = kafka_conf_open(RD_KAFKA_PRODUCER, made, why, why_bytes);
    return writing->rk == NULL ? ERR_CONFIG : ERR_OK;
}

/* ---- all of it ---- */

/* The stamp that shall be: the one that is there, or a new one. */
static enum err choose(const struct kafka_options *options, const struct kafka_topics *topics, struct kafka_stamp *stamp, bool *ret_fresh,
                       char *why, size_t why_bytes)
{
    *ret_fresh = !stamp->exists || topics->new_epoch;
    if (!*ret_fresh) {
        if (topics->partitions == 0 || topics->partitions == stamp->partitions) return ERR_OK;
        snprintf(why, why_bytes, "--partitions %u: the log %s has %u, for its life; --new-epoch begins another", topics->partitions, stamp->log, stamp->partitions);
        return ERR_CONFIG;
    }
    uint32_t epoch = stamp->exists ? stamp->epoch + 1 : 1;
    if (topics->partitions != 0) stamp->partitions = topics->partitions;
    else if (!stamp->exists) stamp->partitions = PARTITIONS_DEFAULT;
    kafka_stamp_begin(stamp, clock_wall_ms());
    return kafka_stamp_names(options, epoch, stamp, why, why_bytes);
}

enum err kafka_topics_make(const struct kafka_options *options, const struct kafka_topics *topics, char *why, size_t why_bytes)
{
    struct kafka_stamp stamp;
    struct writing writing = {.topics = topics, .stamp = &stamp};
    struct written *written = calloc(1, sizeof *written);
    bool fresh = false;
    size_t differing = 0;
    if (written == NULL) return ERR_MEMORY;
    enum err err = kafka_stamp_read_all(options, &stamp, written, note, why, why_bytes);
    if (err == ERR_OK && topics->only_look && !stamp.exists) {
        snprintf(why, why_bytes, "no log there yet: `tidegate topics` begins one");
        err = ERR_CONFIG;
    }
    if (err == ERR_OK) err = choose(options, topics, &stamp, &fresh, why, why_bytes);
    if (err == ERR_OK && fresh) {
        for (size_t i = 0; i < written->count; i++) written->items[i].name[0] = 0; /* they are in the old log */
    }
    if (err == ERR_OK) err = open_producer(options, &writing, why, why_bytes);
    if (err == ERR_OK) err = kafka_topics_settle(writing.rk, options, topics, &stamp, &differing, why, why_bytes);
    if (err == ERR_OK && !topics->only_look) {
        if (fresh) err = write_stamp(&writing, why, why_bytes);
        if (err == ERR_OK) err = write_namespaces(&writing, written, why, why_bytes);
    }
    if (writing.rk != NULL) rd_kafka_destroy(writing.rk);
    for (size_t i = 0; i < written->count; i++) free(written->items[i].text);
    free(written);
    if (err == ERR_OK && differing > 0) {
        snprintf(why, why_bytes, "%zu settings of topics differ", differing);
        err = ERR_CONFIG;
    }
    return err;
}
