/* The worker under kill -9: whatever the moment, the stores end up as a fresh replay of all records makes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/owner.h"
#include "tests/support/map_state.h"
#include "tests/support/owner_rig.h"
#include "workers/store.h"

static const char *const namespaces[] = {
    "{\"namespace\":\"notes\",\"version\":1,\"access\":\"owner\",\"window\":\"90d\",\"presence\":true,"
    "\"collections\":{\"notes\":{\"policy\":\"merge\"},\"log\":{\"policy\":\"append\"}}}",
    "{\"namespace\":\"lists\",\"version\":1,\"access\":\"members\",\"window\":\"90d\",\"collections\":{\"items\":{\"policy\":\"merge\"}}}"};

enum { KILLS = 15, USERS = 5 };

static void random_push(struct owner_rig *rig, uint64_t *seed, uint64_t *ids)
{
    static const char *const forms[] = {
        "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"n%u\",\"body\":{\"a\":%u}}]",
        "[{\"op\":\"patch\",\"collection\":\"notes\",\"id\":\"n%u\",\"body\":{\"b\":%u}}]",
        "[{\"op\":\"incr\",\"collection\":\"notes\",\"id\":\"n%u\",\"field\":\"c\",\"by\":%u}]",
        "[{\"op\":\"add\",\"collection\":\"notes\",\"id\":\"n%u\",\"field\":\"tags\",\"values\":[%u]}]",
        "[{\"op\":\"append\",\"collection\":\"log\",\"id\":\"l%u\",\"body\":{\"t\":%u}}]",
        "[{\"op\":\"delete\",\"collection\":\"notes\",\"id\":\"n%u\",\"age\":%u}]",
        "[{\"op\":\"nonsense\",\"collection\":\"notes\",\"id\":\"n%u\",\"by\":%u}]"};
    char ops[256], user[16], space[32];
    unsigned who = (unsigned)(rig_random(seed) % USERS), form = (unsigned)(rig_random(seed) % (sizeof forms / sizeof *forms));
    snprintf(user, sizeof user, "user%u", who);
    snprintf(space, sizeof space, "notes:user%u", who);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(ops, sizeof ops, forms[form], (unsigned)(rig_random(seed) % 30), (unsigned)(rig_random(seed) % 1000));
#pragma GCC diagnostic pop
    owner_rig_push_text(rig, space, user, ++ids[who], ops);
}

/* Goes on with a copy that a kill may have cut amid an entry: what follows it begins on a line of its own. */
static FILE *append_copy(const char *path)
{
    FILE *file = fopen(path, "ae");
    if (file != NULL && fputc('\n', file) != EOF && fflush(file) == 0) return file;
    return NULL;
}

/* The child: pushes for ever, a copy of each delivered record in DIR.copy; its life is short. A byte on stdout: it runs. */
static _Noreturn void push_until_killed(const char *dir, uint64_t seed)
{
    struct owner_rig rig = {0};
    char path[RIG_PATH_BYTES + 16];
    char device[32];
    uint64_t ids[USERS] = {0};
    snprintf(device, sizeof device, "device-%04llu", (unsigned long long)seed);
    rig.device = device;
    memcpy(rig.dir, dir, sizeof rig.dir);
    snprintf(path, sizeof path, "%s.copy", dir);
    rig.copy = append_copy(path);
    if (rig.copy == NULL) _exit(2);
    owner_rig_open(&rig, namespaces, 2);
    if (!owner_rig_until_ready(&rig)) _exit(3);
    if (write(1, "r", 1) != 1) _exit(4);
    for (;;) {
        for (int i = 0; i < 20; i++) random_push(&rig, &seed, ids);
        uv_run(&rig.loop, UV_RUN_NOWAIT);
    }
}

struct replica {
    struct map_state state;
    struct owner *owner;
};

/* A fresh owner of each partition over the copy of all its records. */
static void replay(const char *path, const char *log, struct replica *replicas)
{
    FILE *file = fopen(path, "re");
    unsigned partition;
    unsigned long long offset;
    long long time_ms;
    size_t bytes;
    assert_non_null(file);
    for (int i = 0; i < 4; i++) {
        struct state_reader reader = map_state_reader(&replicas[i].state);
        assert_int_equal(owner_open(&reader, span_text(log), &replicas[i].owner), ERR_OK);
    }
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, file) > 0) {
        /* A kill may cut an entry: its record had no effect yet (owner_rig.c), and comes again whole in the next life. */
        if (sscanf(line, "%u %llu %lld %zu\n", &partition, &offset, &time_ms, &bytes) != 4 || partition > 3) continue;
        char *text = malloc(bytes + 1);
        assert_non_null(text);
        long at = ftell(file);
        bool whole = fread(text, 1, bytes + 1, file) == bytes + 1 && memchr(text, '\n', bytes + 1) == text + bytes; /* a record has no line end */
        struct replica *replica = &replicas[partition];
        if (!whole) {
            fseek(file, at, SEEK_SET);
        } else if (offset == owner_next_offset(replica->owner)) {
            struct state_reader reader = map_state_reader(&replica->state);
            struct owner_record record = {offset, time_ms, span_of(text, bytes)};
            struct owner_out out;
            assert_int_equal(owner_step(replica->owner, &reader, &record, &out), ERR_OK);
            map_state_apply(&replica->state, out.writes, out.writes_count);
        }
        free(text);
    }
    free(line);
    fclose(file);
}

static size_t compare_store(const char *dir, const char *log, uint32_t partition, struct replica *replica)
{
    struct store *store;
    struct store_view *view;
    char why[128], path[RIG_PATH_BYTES + 16], from[600] = "";
    size_t entries = 0;
    snprintf(path, sizeof path, "%s/store-%u", dir, partition);
    struct store_options options = {.path = path, .log = log, .partition = partition};
    assert_int_equal(store_open(&options, &store, why, sizeof why), ERR_OK);
    assert_int_equal(store_view_begin(store, &view), ERR_OK);
    struct state_reader stored = store_view_reader(view), fresh = map_state_reader(&replica->state);
    for (int table = 0; table < STATE_TABLES; table++) {
        struct span at = span_of(from, 0), key, value, fresh_key, fresh_value;
        do {
            assert_int_equal(stored.seek(stored.ctx, (enum state_table)table, at, false, &key, &value), ERR_OK);
            assert_int_equal(fresh.seek(fresh.ctx, (enum state_table)table, at, false, &fresh_key, &fresh_value), ERR_OK);
            assert_true(span_equal(key, fresh_key));
            assert_true(span_equal(value, fresh_value));
            if (key.at == NULL) break;
            memcpy(from, key.at, key.bytes);
            from[key.bytes] = 0;
            at = span_of(from, key.bytes + 1);
            entries++;
        } while (true);
    }
    store_view_end(view);
    store_close(store);
    return entries;
}

static void kill_9_at_any_moment_leaves_what_a_fresh_replay_makes(void **state)
{
    char dir[RIG_PATH_BYTES], copy[RIG_PATH_BYTES + 16], log[64];
    uint64_t seed = 7;
    (void)state;
    rig_dir_make(dir);
    snprintf(copy, sizeof copy, "%s.copy", dir);
    for (int i = 0; i < KILLS; i++) {
        int ready[2];
        char byte;
        assert_int_equal(pipe(ready), 0);
        char number[16];
        snprintf(number, sizeof number, "%d", i + 1);
        pid_t pid = fork();
        if (pid == 0) {
            /* A program of its own: this one has threads, which a fork does not bring along. */
            dup2(ready[1], 1);
            close(ready[0]);
            close(ready[1]);
            execl("/proc/self/exe", "test_worker", dir, number, (char *)NULL);
            _exit(127);
        }
        assert_true(pid > 0);
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        struct timespec wait = {0, (long)(rig_random(&seed) % 150) * 1000000};
        nanosleep(&wait, NULL);
        kill(pid, SIGKILL);
        int status;
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status));
        close(ready[0]);
    }
    struct owner_rig rig = {0};
    memcpy(rig.dir, dir, sizeof rig.dir);
    rig.copy = append_copy(copy);
    assert_non_null(rig.copy);
    owner_rig_open(&rig, namespaces, 2);
    assert_true(owner_rig_until_ready(&rig));
    assert_true(owner_rig_until_stored(&rig));
    snprintf(log, sizeof log, "%s", embedded_log_name(rig.embedded));
    owner_rig_close(&rig);
    fclose(rig.copy);
    struct replica replicas[4] = {0};
    size_t entries = 0;
    replay(copy, log, replicas);
    for (uint32_t i = 0; i < 4; i++) {
        entries += compare_store(dir, log, i, &replicas[i]);
        owner_close(replicas[i].owner);
        map_state_fini(&replicas[i].state);
    }
    assert_true(entries > 500);
    remove(copy);
    rig_dir_remove(dir);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill_9_at_any_moment_leaves_what_a_fresh_replay_makes),
    };
    if (argc == 3) push_until_killed(argv[1], strtoull(argv[2], NULL, 10));
    return cmocka_run_group_tests_name("worker_crash", tests, NULL, NULL);
}
