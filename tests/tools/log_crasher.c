/* Appends numbered records of random sizes to the embedded log in DIR for ever, and writes each acked number to stdout.
 *
 * usage: log_crasher DIR FIRST     the record numbered n goes to partition n % 2: n in 20 columns, then letters
 * Made to be killed: a number that was written must be found in the log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/embedded/embedded.h"
#include "tests/support/rig.h"

enum { IN_FLIGHT = 64, BYTES_MAX = 20000 };

struct crasher {
    struct log_writer *writer;
    uint64_t next;
    uint64_t seed;
};

static void append_next(struct crasher *c)
{
    size_t bytes = 20 + (size_t)(rig_random(&c->seed) % (rig_random(&c->seed) % BYTES_MAX + 1));
    struct blob *blob = blob_make_room(bytes);
    char head[24];
    if (blob == NULL) _exit(1);
    snprintf(head, sizeof head, "%-20llu", (unsigned long long)c->next);
    memset(blob->text, (int)('a' + c->next % 26), bytes);
    memcpy(blob->text, head, 20);
    if (c->writer->ops->append(c->writer, (uint32_t)(c->next % 2), blob, c->next) == ERR_OK) c->next++;
    blob_put(blob);
}

static void on_acked(void *ctx, const struct log_ack *acks, size_t count)
{
    char text[IN_FLIGHT * 24];
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (acks[i].err != ERR_OK) _exit(2);
        bytes += (size_t)snprintf(text + bytes, sizeof text - bytes, "%llu\n", (unsigned long long)acks[i].tag);
    }
    if (write(1, text, bytes) != (ssize_t)bytes) _exit(3);
    for (size_t i = 0; i < count; i++) append_next(ctx);
}

int main(int argc, char **argv)
{
    uv_loop_t loop;
    struct embedded *embedded;
    char why[256];
    if (argc != 3) return 64;
    struct embedded_options options = {.dir = argv[1], .fsync = false, .now_ms = rig_now_ms};
    uv_loop_init(&loop);
    if (embedded_open(&options, &loop, &embedded, why, sizeof why) != ERR_OK) {
        fprintf(stderr, "%s\n", why);
        return 69;
    }
    struct crasher c = {.writer = embedded_writer(embedded), .next = strtoull(argv[2], NULL, 10)};
    c.seed = c.next + 1;
    c.writer->ctx = &c;
    c.writer->acked = on_acked;
    for (int i = 0; i < IN_FLIGHT; i++) append_next(&c);
    uv_run(&loop, UV_RUN_DEFAULT);
    return 0;
}
