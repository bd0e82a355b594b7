#include "backends/kafka/kafka.h"

#include <stdio.h>
#include <stdlib.h>

#include "backends/kafka/kafka_journal.h"
#include "backends/kafka/kafka_reader.h"
#include "backends/kafka/kafka_writer.h"

struct kafka {
    struct kafka_stamp stamp;
    struct kafka_counters counters;
    struct kafka_writer *writer;
    struct kafka_reader *reader;
    struct kafka_journal *journal;
    void *closed_ctx;
    void (*closed)(void *ctx);
};

static enum err open_one(const struct kafka_options *options, struct uv_loop_s *loop, struct kafka **ret_kafka, char *why, size_t why_bytes)
{
    struct kafka *kafka = calloc(1, sizeof *kafka);
    if (kafka == NULL) return ERR_MEMORY;
    enum err err = kafka_stamp_read(options, &kafka->stamp, why, why_bytes);
    if (err == ERR_OK && !kafka->stamp.exists) {
        snprintf(why, why_bytes, "%s: no log there yet: `tidegate topics` begins one", options->hosts);
        err = ERR_CONFIG;
    }
    if (err == ERR_OK) err = kafka_writer_open(options, &kafka->stamp, loop, &kafka->counters, &kafka->writer, why, why_bytes);
    if (err != ERR_OK) {
        free(kafka);
        return err;
    }
    *ret_kafka = kafka;
    return ERR_OK;
}

enum err kafka_gateway_open(const struct kafka_options *options, struct uv_loop_s *loop, struct kafka **ret_kafka, char *why, size_t why_bytes)
{
    return open_one(options, loop, ret_kafka, why, why_bytes);
}

static void dispose(void *ctx)
{
    struct kafka *kafka = ctx;
    free(kafka);
}

enum err kafka_worker_open(const struct kafka_options *options, struct uv_loop_s *loop, struct kafka **ret_kafka, char *why, size_t why_bytes)
{
    struct kafka *kafka;
    enum err err = open_one(options, loop, &kafka, why, why_bytes);
    if (err != ERR_OK) return err;
    err = kafka_reader_open(options, &kafka->stamp, loop, &kafka->counters, &kafka->reader, why, why_bytes);
    if (err == ERR_OK) err = kafka_journal_open(options, &kafka->stamp, kafka->reader, &kafka->counters, &kafka->journal);
    if (err != ERR_OK) {
        kafka_close(kafka, kafka, dispose);
        return err;
    }
    *ret_kafka = kafka;
    return ERR_OK;
}

/* ---- closing: journal, reader, writer ---- */

static void on_writer_closed(void *ctx)
{
    struct kafka *kafka = ctx;
    void *closed_ctx = kafka->closed_ctx;
    void (*closed)(void *) = kafka->closed;
    if (closed_ctx != kafka) free(kafka);
    closed(closed_ctx);
}

static void on_reader_closed(void *ctx)
{
    struct kafka *kafka = ctx;
    kafka_writer_close(kafka->writer, kafka, on_writer_closed);
}

void kafka_close(struct kafka *kafka, void *ctx, void (*closed)(void *ctx))
{
    kafka->closed_ctx = ctx;
    kafka->closed = closed;
    kafka_journal_close(kafka->journal);
    if (kafka->reader != NULL) kafka_reader_close(kafka->reader, kafka, on_reader_closed);
    else on_reader_closed(kafka);
}

struct log_writer *kafka_writer(struct kafka *kafka) { return kafka_writer_log(kafka->writer); }
struct log_reader *kafka_reader(struct kafka *kafka) { return kafka->reader == NULL ? NULL : kafka_reader_log(kafka->reader); }
struct journal *kafka_journal(struct kafka *kafka) { return kafka->journal == NULL ? NULL : kafka_journal_seam(kafka->journal); }
const char *kafka_log_name(const struct kafka *kafka) { return kafka->stamp.log; }
uint32_t kafka_partitions(const struct kafka *kafka) { return kafka->stamp.partitions; }
const struct kafka_counters *kafka_counters(struct kafka *kafka) { return &kafka->counters; }

bool kafka_ready(const struct kafka *kafka, const char **ret_why)
{
    if (kafka->reader != NULL) return kafka_reader_ready(kafka->reader, ret_why);
    *ret_why = NULL;
    return true;
}
