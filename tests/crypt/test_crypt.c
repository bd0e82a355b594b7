/* Encryption at rest, on an SQLite that can: what is on the disk, wrong keys, other keys, and a change of key killed at any moment.
 * Built by `make client-crypt` on SQLite3 Multiple Ciphers; the unit tests show what an SQLite that cannot does. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/tidegate.h"
#include "tests/support/rig.h"
#include "tests/support/unit.h"

enum { PATH_BYTES = 256, KILLS_MAX = 20000, KILL_STEP = 7 /* so many system calls from one kill to the next */, DOCUMENTS = 40 };

static const unsigned char one[TIDE_KEY_BYTES] = {1, 2, 3}, two[TIDE_KEY_BYTES] = {255, 254, 3};
static const char space[] = "todos:ana", secret[] = "{\"title\":\"a-surprise-for-bea\"}";

struct place {
    char dir[RIG_PATH_BYTES], path[PATH_BYTES];
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    rig_dir_make(place->dir);
    snprintf(place->path, sizeof place->path, "%.200s/app.db", place->dir);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    rig_dir_remove(place->dir);
    free(place);
    return 0;
}

static enum tide_code open_with(const char *path, const unsigned char *key, const unsigned char *new_key, struct tide **ret_tide)
{
    struct tide_options options = {.path = path, .store_key = key, .store_new_key = new_key};
    return tide_open(&options, ret_tide, NULL, 0);
}

static void write_it(struct tide *tide, const char *id) { assert_int_equal(tide_put(tide, space, "todos", id, secret, NULL), TIDE_OK); }

static void has_it(struct tide *tide, const char *id)
{
    struct tide_doc *doc = NULL;
    assert_int_equal(tide_get(tide, space, "todos", id, &doc), TIDE_OK);
    assert_string_equal(doc->body, secret);
    tide_doc_free(doc);
}

static void make(const char *path, const unsigned char *key)
{
    struct tide *tide;
    assert_int_equal(open_with(path, key, NULL, &tide), TIDE_OK);
    write_it(tide, "cake");
    tide_close(tide);
}

/* All bytes of a file; none where there is no file. */
static char *bytes_of(const char *path, const char *suffix, size_t *ret_bytes)
{
    char name[PATH_BYTES + 8];
    snprintf(name, sizeof name, "%s%s", path, suffix);
    FILE *file = fopen(name, "rb");
    *ret_bytes = 0;
    if (file == NULL) return NULL;
    struct stat there;
    assert_int_equal(fstat(fileno(file), &there), 0);
    char *bytes = malloc((size_t)there.st_size + 1);
    *ret_bytes = fread(bytes, 1, (size_t)there.st_size, file);
    fclose(file);
    return bytes;
}

static bool holds(const char *path, const char *suffix, const char *text)
{
    size_t count;
    char *bytes = bytes_of(path, suffix, &count);
    bool found = bytes != NULL && memmem(bytes, count, text, strlen(text)) != NULL;
    free(bytes);
    return found;
}

static void nothing_on_the_disk_can_be_read(void **state)
{
    struct place *place = *state;
    struct tide *tide;
    size_t bytes;
    assert_int_equal(open_with(place->path, one, NULL, &tide), TIDE_OK);
    for (int i = 0; i < DOCUMENTS; i++) {
        char id[16];
        snprintf(id, sizeof id, "todo%d", i);
        write_it(tide, id);
    }
    char *log = bytes_of(place->path, "-wal", &bytes);
    assert_true(bytes > 10000); /* the log is there, and is looked at */
    free(log);
    for (int turn = 0; turn < 2; turn++) {
        static const char *const words[] = {"surprise", "todos", "SQLite format", "CREATE TABLE"};
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            assert_false(holds(place->path, "", words[i]));
            assert_false(holds(place->path, "-wal", words[i]));
        }
        if (turn == 0) tide_close(tide); /* which takes the log into the file */
    }
}

static void a_wrong_key_opens_nothing_and_changes_nothing(void **state)
{
    struct place *place = *state;
    struct tide *tide = NULL;
    size_t before, after;
    make(place->path, one);
    char *was = bytes_of(place->path, "", &before);
    assert_int_equal(open_with(place->path, two, NULL, &tide), TIDE_KEY);
    assert_int_equal(open_with(place->path, two, one, &tide), TIDE_KEY);
    assert_int_equal(open_with(place->path, NULL, NULL, &tide), TIDE_FOREIGN);
    char *is = bytes_of(place->path, "", &after);
    assert_int_equal(before, after);
    assert_memory_equal(was, is, before);
    assert_null(tide);
    free(was);
    free(is);
    assert_int_equal(open_with(place->path, one, NULL, &tide), TIDE_OK);
    has_it(tide, "cake");
    tide_close(tide);
}

/* What a process that died has left in the log. */
static void a_wrong_key_does_not_clear_the_log_away(void **state)
{
    struct place *place = *state;
    struct tide *tide = NULL;
    int status;
    make(place->path, one);
    pid_t child = fork();
    if (child == 0) {
        if (open_with(place->path, one, NULL, &tide) != TIDE_OK) _exit(1);
        _exit(tide_put(tide, space, "todos", "pie", secret, NULL) == TIDE_OK ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    size_t bytes;
    char *log = bytes_of(place->path, "-wal", &bytes);
    assert_true(bytes > 0);
    free(log);
    assert_int_equal(open_with(place->path, two, NULL, &tide), TIDE_KEY);
    assert_int_equal(open_with(place->path, two, one, &tide), TIDE_KEY);
    assert_int_equal(open_with(place->path, NULL, NULL, &tide), TIDE_FOREIGN);
    assert_int_equal(open_with(place->path, NULL, one, &tide), TIDE_FOREIGN);
    assert_int_equal(open_with(place->path, one, two, &tide), TIDE_OK);
    has_it(tide, "cake");
    has_it(tide, "pie");
    tide_close(tide);
}

static void a_key_does_not_open_what_is_not_encrypted(void **state)
{
    struct place *place = *state;
    struct tide *tide = NULL;
    make(place->path, NULL);
    assert_true(holds(place->path, "", "SQLite format"));
    assert_int_equal(open_with(place->path, one, NULL, &tide), TIDE_KEY);
    assert_int_equal(open_with(place->path, NULL, NULL, &tide), TIDE_OK);
    has_it(tide, "cake");
    tide_close(tide);
}

static void it_takes_another_key(void **state)
{
    struct place *place = *state;
    struct tide *tide = NULL;
    struct stat file;
    make(place->path, one);
    assert_int_equal(chmod(place->path, 0600), 0);
    assert_int_equal(open_with(place->path, one, two, &tide), TIDE_OK);
    assert_true(stat(place->path, &file) == 0 && (file.st_mode & 07777) == 0600); /* nobody else may read it now */
    has_it(tide, "cake");
    write_it(tide, "pie");
    tide_close(tide);
    assert_int_equal(open_with(place->path, one, NULL, &tide), TIDE_KEY);
    assert_int_equal(open_with(place->path, two, NULL, &tide), TIDE_OK);
    has_it(tide, "cake");
    has_it(tide, "pie");
    tide_close(tide);
}

static void what_was_not_encrypted_can_be(void **state)
{
    struct place *place = *state;
    struct tide *tide = NULL;
    make(place->path, NULL);
    assert_int_equal(open_with(place->path, NULL, one, &tide), TIDE_OK);
    has_it(tide, "cake");
    tide_close(tide);
    assert_false(holds(place->path, "", "surprise"));
    assert_false(holds(place->path, "", "SQLite format"));
    assert_int_equal(open_with(place->path, one, NULL, &tide), TIDE_OK);
    has_it(tide, "cake");
    tide_close(tide);
}

static void another_handle_keeps_its_key_from_being_changed(void **state)
{
    struct place *place = *state;
    struct tide *tide = NULL, *other = NULL;
    make(place->path, one);
    assert_int_equal(open_with(place->path, one, NULL, &other), TIDE_OK);
    has_it(other, "cake");
    assert_int_equal(open_with(place->path, one, two, &tide), TIDE_BUSY);
    write_it(other, "pie");
    tide_close(other);
    assert_int_equal(open_with(place->path, one, two, &tide), TIDE_OK);
    has_it(tide, "pie");
    tide_close(tide);
}

/* ---- killed ---- */

/* A process that changes the key and is killed before its n-th system call. True: it came to its end. */
static bool killed_at(const char *path, long at)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct tide *tide;
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        if (open_with(path, one, two, &tide) != TIDE_OK) _exit(1);
        tide_close(tide);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
    for (long calls = 0;; calls++) {
        if (calls == 2 * at) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return false;
        }
        ptrace(PTRACE_SYSCALL, child, NULL, NULL);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) assert_int_equal(WEXITSTATUS(status), 0);
        if (WIFEXITED(status)) return true;
        assert_true(WIFSTOPPED(status));
    }
}

static void a_change_of_key_that_is_killed_leaves_one_of_the_two(void **state)
{
    struct place *place = *state;
    unsigned old = 0, new = 0;
    bool ended = false;
    for (long at = 1; at < KILLS_MAX && !ended; at += KILL_STEP) {
        char path[PATH_BYTES + 32];
        struct tide *tide = NULL;
        snprintf(path, sizeof path, "%s-%ld", place->path, at);
        assert_int_equal(open_with(path, one, NULL, &tide), TIDE_OK);
        for (int i = 0; i < DOCUMENTS; i++) {
            char id[16];
            snprintf(id, sizeof id, "todo%d", i);
            write_it(tide, id);
        }
        tide_close(tide);
        ended = killed_at(path, at);
        enum tide_code code = open_with(path, two, NULL, &tide);
        if (code == TIDE_OK) new++;
        if (code == TIDE_KEY) {
            old++;
            code = open_with(path, one, NULL, &tide);
        }
        assert_int_equal(code, TIDE_OK);
        for (int i = 0; i < DOCUMENTS; i++) {
            char id[16];
            snprintf(id, sizeof id, "todo%d", i);
            has_it(tide, id);
        }
        tide_close(tide);
        remove(path);
    }
    assert_true(ended && old > 0 && new > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_on_the_disk_can_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_key_opens_nothing_and_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_key_does_not_clear_the_log_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_does_not_open_what_is_not_encrypted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_takes_another_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_not_encrypted_can_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_handle_keeps_its_key_from_being_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_of_key_that_is_killed_leaves_one_of_the_two, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
