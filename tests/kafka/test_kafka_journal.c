/* What an owner wrote, journalled to a real broker and come back from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/record.h"
#include "tests/support/worker_rig.h"

static const char *const namespaces[] = {
    "{\"namespace\":\"notes\",\"version\":1,\"access\":\"owner\",\"window\":\"90d\","
    "\"collections\":{\"notes\":{\"policy\":\"merge\"},\"log\":{\"policy\":\"append\"},\"last\":{\"policy\":\"lww\"}}}"};

struct scene {
    struct kafka_desk gateway;
    struct worker_rig worker;
    char spare[RIG_PATH_BYTES]; /* another directory */
    uint64_t pushes, seed;
    uint64_t last_id[4];
};

static void begin_log(struct scene *scene)
{
    char why[256] = "";
    struct span text = span_text(namespaces[0]);
    struct kafka_options options = {.hosts = kafka_desk_hosts(), .prefix = scene->gateway.prefix};
    struct kafka_topics topics = {.namespaces_count = 1, .namespaces = &text};
    if (kafka_topics_make(&options, &topics, why, sizeof why) != ERR_OK) fail_msg("%s", why);
}

static int setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);
    if (scene == NULL) return -1;
    scene->seed = 7;
    kafka_desk_name(&scene->gateway);
    begin_log(scene);
    rig_dir_make(scene->worker.dir);
    rig_dir_make(scene->spare);
    kafka_desk_open(&scene->gateway, false);
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *scene = *state;
    if (scene->worker.open) worker_rig_close(&scene->worker);
    if (scene->gateway.open) kafka_desk_close(&scene->gateway);
    rig_dir_remove(scene->worker.dir);
    rig_dir_remove(scene->spare);
    free(scene);
    return 0;
}

static void push(struct scene *scene, const char *user, size_t which, const char *ops)
{
    struct buf buf;
    char space[64];
    snprintf(space, sizeof space, "notes:%s", user);
    struct record_push p = {.space = span_text(space), .user = span_text(user), .has_device = true, .device = SPAN_LITERAL("device-0001"),
                            .id = scene->last_id[which] + 1, .after = scene->last_id[which], .known = scene->last_id[which] / 2};
    scene->last_id[which]++;
    assert_true(json_check(span_text(ops), &p.ops, NULL));
    buf_init(&buf, 65536);
    record_encode_push(&p, &buf);
    struct blob *blob = blob_make(buf_span(&buf));
    struct log_writer *writer = kafka_writer(scene->gateway.kafka);
    assert_int_equal(writer->ops->append(writer, hash_partition(p.space, KAFKA_DESK_PARTITIONS), blob, ++scene->pushes), ERR_OK);
    blob_put(blob);
    buf_fini(&buf);
}

/* Pushes by chance: few documents, so that they meet, are deleted and come back. */
static void push_some(struct scene *scene, size_t count)
{
    static const char *const users[] = {"ana", "bob", "eve", "kim"};
    char ops[512];
    for (size_t i = 0; i < count; i++) {
        uint64_t chance = rig_random(&scene->seed);
        unsigned id = (unsigned)(chance >> 8) % 20;
        size_t which = chance % 4;
        switch ((chance >> 16) % 5) {
        case 0: snprintf(ops, sizeof ops, "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n/%u\",\"body\":{\"t\":\"%u\",\"n\":1.10}}]", id, (unsigned)i); break;
        case 1: snprintf(ops, sizeof ops, "[{\"op\":\"patch\",\"collection\":\"notes\",\"id\":\"n/%u\",\"age\":%u,\"body\":{\"f%u\":%u}}]", id, (unsigned)(chance >> 40) % 5000, id % 3, (unsigned)i); break;
        case 2: snprintf(ops, sizeof ops, "[{\"op\":\"delete\",\"collection\":\"notes\",\"id\":\"n/%u\"}]", id); break;
        case 3: snprintf(ops, sizeof ops, "[{\"op\":\"append\",\"collection\":\"log\",\"id\":\"%u-%u\",\"body\":{\"x\":true}}]", (unsigned)scene->pushes, id); break;
        default: snprintf(ops, sizeof ops, "[{\"op\":\"put\",\"collection\":\"last\",\"id\":\"l%u\",\"age\":%u,\"body\":{\"x\":%u}}]", id, (unsigned)(chance >> 40) % 9000, (unsigned)i); break;
        }
        push(scene, users[which], which, ops);
    }
    kafka_desk_until_acks(&scene->gateway, scene->pushes);
    assert_int_equal(scene->gateway.refused, 0);
}

static uint64_t all_records(const struct scene *scene) { return scene->pushes + KAFKA_DESK_PARTITIONS; /* a namespace each */ }

static void a_worker_that_lost_its_disk_gets_back_the_same_bytes(void **state)
{
    struct scene *scene = *state;
    worker_rig_open(&scene->worker, scene->gateway.prefix);
    push_some(scene, 400);
    worker_rig_until_stored(&scene->worker, all_records(scene));
    push_some(scene, 400);
    worker_rig_until_stored(&scene->worker, all_records(scene));
    assert_int_equal(scene->worker.restoring, 0);
    worker_rig_close(&scene->worker);
    struct worker_rig other = {0};
    snprintf(other.dir, sizeof other.dir, "%s", scene->spare);
    worker_rig_open(&other, scene->gateway.prefix);
    worker_rig_until_ready(&other);
    assert_int_equal(other.restoring, KAFKA_DESK_PARTITIONS);
    assert_int_equal(worker_counters(other.worker)->records, 0); /* nothing was left to replay */
    worker_rig_close(&other);
    worker_rig_same(scene->worker.dir, scene->spare, kafka_log_name(scene->gateway.kafka));
}

/* The store as it was before: what the journal has and it lacks is replayed, told to nobody, journalled once. */
static void a_store_behind_the_journal_catches_up_in_silence(void **state)
{
    struct scene *scene = *state;
    worker_rig_open(&scene->worker, scene->gateway.prefix);
    push_some(scene, 200);
    worker_rig_until_stored(&scene->worker, all_records(scene));
    worker_rig_close(&scene->worker);
    worker_rig_copy(scene->worker.dir, scene->spare);
    for (int died = 0; died < 2; died++) {
        worker_rig_open(&scene->worker, scene->gateway.prefix);
        push_some(scene, 200);
        worker_rig_until_stored(&scene->worker, 200);
        worker_rig_close(&scene->worker);
    }
    struct worker_rig other = {0};
    snprintf(other.dir, sizeof other.dir, "%s", scene->spare);
    worker_rig_open(&other, scene->gateway.prefix);
    worker_rig_until_ready(&other);
    worker_rig_until_stored(&other, 400);
    assert_int_equal(other.restoring, 0);
    assert_int_equal(worker_counters(other.worker)->updates, 0);
    assert_int_equal(kafka_counters(other.kafka)->transactions, 0);
    worker_rig_close(&other);
    worker_rig_same(scene->worker.dir, scene->spare, kafka_log_name(scene->gateway.kafka));
    /* And with the disk lost after all that. */
    rig_dir_remove(scene->spare);
    rig_dir_make(scene->spare);
    struct worker_rig third = {0};
    snprintf(third.dir, sizeof third.dir, "%s", scene->spare);
    worker_rig_open(&third, scene->gateway.prefix);
    worker_rig_until_ready(&third);
    assert_int_equal(third.restoring, KAFKA_DESK_PARTITIONS);
    worker_rig_close(&third);
    worker_rig_same(scene->worker.dir, scene->spare, kafka_log_name(scene->gateway.kafka));
}

static void a_store_of_another_log_is_made_anew(void **state)
{
    struct scene *scene = *state;
    char why[256] = "";
    worker_rig_open(&scene->worker, scene->gateway.prefix);
    push_some(scene, 20);
    worker_rig_until_stored(&scene->worker, all_records(scene));
    worker_rig_close(&scene->worker);
    kafka_desk_close(&scene->gateway);
    struct span text = span_text(namespaces[0]);
    struct kafka_options options = {.hosts = kafka_desk_hosts(), .prefix = scene->gateway.prefix};
    struct kafka_topics topics = {.new_epoch = true, .namespaces_count = 1, .namespaces = &text};
    if (kafka_topics_make(&options, &topics, why, sizeof why) != ERR_OK) fail_msg("%s", why);
    kafka_desk_open(&scene->gateway, false);
    worker_rig_open(&scene->worker, scene->gateway.prefix);
    worker_rig_until_ready(&scene->worker);
    assert_int_equal(scene->worker.restoring, KAFKA_DESK_PARTITIONS); /* nothing was journalled there yet: it begins empty */
    memset(scene->last_id, 0, sizeof scene->last_id);
    scene->pushes = 0;
    scene->gateway.acks = 0;
    push_some(scene, 20);
    worker_rig_until_stored(&scene->worker, all_records(scene));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_worker_that_lost_its_disk_gets_back_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_behind_the_journal_catches_up_in_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_of_another_log_is_made_anew, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
