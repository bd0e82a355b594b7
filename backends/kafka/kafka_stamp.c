#include "backends/kafka/kafka_stamp.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "backends/kafka/kafka_scan.h"
#include "core/json.h"

enum { VERSION = 1, RANDOM_DIGITS = 6 };

enum err kafka_stamp_names(const struct kafka_options *options, uint32_t epoch, struct kafka_stamp *stamp, char *why, size_t why_bytes)
{
    static const char *const names[KAFKA_TOPICS] = {"tidegate", "changes", "updates", "state", "dead-letter"};
    const char *prefix = options->prefix == NULL ? "" : options->prefix;
    size_t bytes = strlen(prefix);
    if (bytes > KAFKA_PREFIX_BYTES_MAX || strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != bytes) {
        snprintf(why, why_bytes, "--prefix: at most %d of A-Z a-z 0-9 . _ -", KAFKA_PREFIX_BYTES_MAX);
        return ERR_CONFIG;
    }
    for (int i = 0; i < KAFKA_TOPICS; i++) {
        if (epoch > 1 && i != KAFKA_META) snprintf(stamp->topics[i], KAFKA_TOPIC_BYTES, "%s%s-%u", prefix, names[i], epoch);
        else snprintf(stamp->topics[i], KAFKA_TOPIC_BYTES, "%s%s", prefix, names[i]);
    }
    if (epoch > 1) snprintf(stamp->group, sizeof stamp->group, "%stidegate-%u", prefix, epoch);
    else snprintf(stamp->group, sizeof stamp->group, "%stidegate", prefix);
    stamp->epoch = epoch;
    return ERR_OK;
}

struct reading {
    struct kafka_stamp *stamp;
    void *ctx;
    void (*namespace_text)(void *ctx, struct span name, struct span text);
};

static bool count_of(struct json_value value, uint32_t most, uint32_t *ret_count)
{
    int64_t count;
    if (!json_integer(value, &count) || count < 1 || count > most) return false;
    *ret_count = (uint32_t)count;
    return true;
}

static enum err decode(struct span text, struct kafka_stamp *stamp)
{
    struct json_value object;
    uint32_t version;
    if (!json_check(text, &object, NULL) || !count_of(json_find(object, "v"), UINT32_MAX, &version)) return ERR_CORRUPT;
    if (version != VERSION) return ERR_VERSION;
    struct span name = json_inside(json_find(object, "log"));
    if (!cursor_is_log_name(name) || !count_of(json_find(object, "epoch"), 1000000, &stamp->epoch) ||
        !count_of(json_find(object, "partitions"), KAFKA_PARTITIONS_MAX, &stamp->partitions))
        return ERR_CORRUPT;
    snprintf(stamp->log, sizeof stamp->log, "%.*s", (int)name.bytes, name.at);
    stamp->exists = true;
    return ERR_OK;
}

static enum err each(void *ctx, const rd_kafka_message_t *message)
{
    struct reading *reading = ctx;
    struct span key = span_of(message->key, message->key_len), value = span_of(message->payload, message->len);
    if (span_is(key, "log")) return decode(value, reading->stamp);
    if (reading->namespace_text != NULL && key.bytes > 10 && memcmp(key.at, "namespace/", 10) == 0)
        reading->namespace_text(reading->ctx, span_of(key.at + 10, key.bytes - 10), value);
    return ERR_OK;
}

enum err kafka_stamp_read_all(const struct kafka_options *options, struct kafka_stamp *ret_stamp, void *ctx,
                              void (*namespace_text)(void *ctx, struct span name, struct span text), char *why, size_t why_bytes)
{
    struct kafka_stamp stamp = {.exists = false};
    struct reading reading = {&stamp, ctx, namespace_text};
    enum err err = kafka_stamp_names(options, 1, &stamp, why, why_bytes);
    if (err != ERR_OK) return err;
    struct kafka_scan scan = {.topic = stamp.topics[KAFKA_META], .ctx = &reading, .each = each};
    err = kafka_scan(options, &scan, why, why_bytes);
    if (err == ERR_UNKNOWN) err = ERR_OK; /* not even the topic: no log yet */
    if (err == ERR_OK && stamp.exists) err = kafka_stamp_names(options, stamp.epoch, &stamp, why, why_bytes);
    if (err == ERR_OK) *ret_stamp = stamp;
    return err;
}

enum err kafka_stamp_read(const struct kafka_options *options, struct kafka_stamp *ret_stamp, char *why, size_t why_bytes)
{
    return kafka_stamp_read_all(options, ret_stamp, NULL, NULL, why, why_bytes);
}

void kafka_stamp_begin(struct kafka_stamp *stamp, int64_t now_ms)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char reversed[16];
    unsigned char random[RANDOM_DIGITS];
    size_t count = 0, at = 0;
    for (uint64_t value = now_ms > 0 ? (uint64_t)now_ms : 0; value != 0 || count == 0; value /= 36) reversed[count++] = digits[value % 36];
    while (count != 0) stamp->log[at++] = reversed[--count];
    stamp->log[at++] = '-';
    ssize_t got = getrandom(random, sizeof random, 0);
    assert(got == (ssize_t)sizeof random);
    for (size_t i = 0; i < sizeof random; i++) stamp->log[at++] = digits[random[i] % 36];
    stamp->log[at] = 0;
    stamp->exists = true;
}

void kafka_stamp_encode(const struct kafka_stamp *stamp, struct buf *buf)
{
    buf_add_text(buf, "{\"v\":1,\"log\":\"");
    buf_add_text(buf, stamp->log);
    buf_add_text(buf, "\",\"epoch\":");
    buf_add_u64(buf, stamp->epoch);
    buf_add_text(buf, ",\"partitions\":");
    buf_add_u64(buf, stamp->partitions);
    buf_add_char(buf, '}');
}
