#include "backends/embedded/embedded.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/embedded/embedded_link.h"
#include "backends/embedded/embedded_log.h"
#include "backends/embedded/embedded_registry.h"
#include "core/cursor.h"

enum { FORMAT = 1, PARTITIONS_DEFAULT = 4, PARTITIONS_MAX = 256, RANDOM_DIGITS = 10, META_BYTES_MAX = 256 };

struct embedded {
    char dir[PATH_MAX];
    int lock_fd;
    char name[LOG_NAME_BYTES_MAX + 1];
    uint32_t partitions;
    struct embedded_log *log;
    struct embedded_link *link;
    struct embedded_registry *registry;
    unsigned open_parts;
};

/* Says why, and with what. */
struct why {
    char *text;
    size_t bytes;
};
static enum err say(struct why why, enum err err, const char *format, ...) __attribute__((format(printf, 3, 4)));
static enum err say(struct why why, enum err err, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(why.text, why.bytes, format, list);
    va_end(list);
    return err;
}

static void path_in(const struct embedded *e, const char *name, char ret_path[PATH_MAX])
{
    int count = snprintf(ret_path, PATH_MAX, "%s/%s", e->dir, name);
    assert(count > 0 && count < PATH_MAX);
}

static enum err err_of_errno(void)
{
    return errno == ENOSPC || errno == EDQUOT ? ERR_FULL : errno == ENOMEM ? ERR_MEMORY : ERR_IO;
}

/* ---- the lock ---- */

static enum err take_lock(struct embedded *e, struct why why)
{
    char path[PATH_MAX], pid[32];
    path_in(e, "lock", path);
    e->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (e->lock_fd < 0) return say(why, err_of_errno(), "%s: %s: give the server write access to --data", path, strerror(errno));
    if (flock(e->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t count = read(e->lock_fd, pid, sizeof pid - 1);
        pid[count > 0 ? count : 0] = 0;
        pid[strcspn(pid, "\n")] = 0;
        return say(why, ERR_BUSY, "%s is in use by process %s: stop it, or choose another --data", e->dir, pid);
    }
    int count = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(e->lock_fd, 0) != 0 || pwrite(e->lock_fd, pid, (size_t)count, 0) != count)
        return say(why, err_of_errno(), "%s: %s", path, strerror(errno));
    return ERR_OK;
}

/* ---- the stamp ---- */

/* A line `word value` at *at, which moves past it; NULL where it is not so. */
static char *take_line(char **at, const char *word)
{
    size_t bytes = strlen(word);
    char *end = strchr(*at, '\n');
    if (end == NULL || strncmp(*at, word, bytes) != 0) return NULL;
    char *value = *at + bytes;
    *end = 0;
    *at = end + 1;
    return value;
}

static enum err parse_stamp(struct embedded *e, char *text, const char *path, struct why why)
{
    char *at = text, *value, *end;
    if (take_line(&at, "tidegate data") == NULL || (value = take_line(&at, "format ")) == NULL)
        return say(why, ERR_FOREIGN, "%s is not a stamp of ours: choose another --data", path);
    unsigned long format = strtoul(value, &end, 10);
    if (*end == 0 && format > FORMAT)
        return say(why, ERR_VERSION, "%s says format %lu, this version knows up to %d: use the version that wrote it", path, format,
                   FORMAT);
    char *name = take_line(&at, "log ");
    char *partitions = take_line(&at, "partitions ");
    unsigned long count = partitions == NULL ? 0 : strtoul(partitions, &end, 10);
    bool whole = take_line(&at, "end") != NULL && *at == 0;
    if (format != FORMAT || name == NULL || !cursor_is_log_name(span_text(name)) || count == 0 || *end != 0 ||
        count > PARTITIONS_MAX || !whole)
        return say(why, ERR_CORRUPT, "%s is torn: restore the data directory from a copy, or choose another --data", path);
    snprintf(e->name, sizeof e->name, "%s", name);
    e->partitions = (uint32_t)count;
    return ERR_OK;
}

/* ERR_UNKNOWN: there is none. */
static enum err read_stamp(struct embedded *e, struct why why)
{
    char path[PATH_MAX], text[META_BYTES_MAX];
    path_in(e, "meta", path);
    FILE *file = fopen(path, "re");
    if (file == NULL && errno == ENOENT) return ERR_UNKNOWN;
    if (file == NULL) return say(why, ERR_IO, "%s: %s: give the server read access to --data", path, strerror(errno));
    size_t count = fread(text, 1, sizeof text - 1, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) return say(why, ERR_IO, "%s cannot be read: look at the disk", path);
    text[count] = 0;
    return parse_stamp(e, text, path, why);
}

static bool sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return synced;
}

/* Whole or not at all: written beside, synced, renamed. */
static enum err write_stamp(const struct embedded *e, struct why why)
{
    char path[PATH_MAX], beside[PATH_MAX], text[META_BYTES_MAX];
    path_in(e, "meta", path);
    path_in(e, "meta.tmp", beside);
    int count = snprintf(text, sizeof text, "tidegate data\nformat %d\nlog %s\npartitions %u\nend\n", FORMAT, e->name, e->partitions);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, text, (size_t)count) == count && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0) written = false;
    if (written && rename(beside, path) == 0 && sync_dir(e->dir)) return ERR_OK;
    return say(why, err_of_errno(), "%s: %s: make room, or choose another --data", path, strerror(errno));
}

static void make_name(struct embedded *e, int64_t now_ms)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char reversed[16];
    unsigned char random[RANDOM_DIGITS];
    size_t count = 0, at = 0;
    uint64_t value = now_ms > 0 ? (uint64_t)now_ms : 0;
    do {
        reversed[count++] = digits[value % 36];
        value /= 36;
    } while (value != 0);
    while (count != 0) e->name[at++] = reversed[--count];
    e->name[at++] = '-';
    ssize_t got = getrandom(random, sizeof random, 0);
    assert(got == (ssize_t)sizeof random);
    for (size_t i = 0; i < sizeof random; i++) e->name[at++] = digits[random[i] % 36];
    e->name[at] = 0;
}

/* INVARIANT 1. What a crash amid the making of a directory leaves is not foreign. */
static enum err check_empty(const struct embedded *e, struct why why)
{
    static const char *const ours[] = {".", "..", "lock", "meta.tmp", "log", "lost+found"};
    DIR *dir = opendir(e->dir);
    if (dir == NULL) return say(why, ERR_IO, "%s: %s: give the server access to --data", e->dir, strerror(errno));
    enum err err = ERR_OK;
    for (const struct dirent *entry; err == ERR_OK && (entry = readdir(dir)) != NULL;) {
        bool known = false;
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) known = known || strcmp(entry->d_name, ours[i]) == 0;
        if (!known)
            err = say(why, ERR_FOREIGN, "%s holds `%s` and no stamp of ours: choose an empty directory for --data", e->dir, entry->d_name);
    }
    closedir(dir);
    return err;
}

/* ---- opening ---- */

static enum err open_dir(struct embedded *e, const struct embedded_options *options, bool *ret_fresh, struct why why)
{
    if (strlen(options->dir) + 32 >= sizeof e->dir) return say(why, ERR_CONFIG, "--data is too long");
    snprintf(e->dir, sizeof e->dir, "%s", options->dir);
    if (mkdir(e->dir, 0700) != 0 && errno != EEXIST)
        return say(why, err_of_errno(), "%s: %s: choose a --data that can be made", e->dir, strerror(errno));
    enum err err = read_stamp(e, why);
    if (err != ERR_OK && err != ERR_UNKNOWN) return err;
    *ret_fresh = err == ERR_UNKNOWN;
    if (*ret_fresh) {
        err = check_empty(e, why);
        if (err != ERR_OK) return err;
        e->partitions = options->partitions != 0 ? options->partitions : PARTITIONS_DEFAULT;
        make_name(e, options->now_ms());
    }
    if (options->partitions != 0 && options->partitions != e->partitions)
        return say(why, ERR_CONFIG, "%s has %u partitions, not %u: their number is fixed for a directory's life", e->dir,
                   e->partitions, options->partitions);
    return take_lock(e, why);
}

static enum err open_parts(struct embedded *e, const struct embedded_options *options, bool fresh, struct uv_loop_s *loop,
                           struct why why)
{
    char path[PATH_MAX];
    path_in(e, "log", path);
    struct embedded_log_options log = {.path = path, .name = e->name, .partitions = e->partitions, .fresh = fresh,
                                       .fsync = options->fsync, .now_ms = options->now_ms, .bytes_max = options->log_bytes_max};
    enum err err = embedded_log_open(&log, loop, &e->log, why.text, why.bytes);
    if (err != ERR_OK) return err;
    e->open_parts = 1;
    if (fresh) err = write_stamp(e, why);
    if (err != ERR_OK) return err;
    path_in(e, "registry", path);
    err = embedded_registry_open(path, options->fsync, loop, &e->registry, why.text, why.bytes);
    if (err != ERR_OK) return err;
    e->open_parts = 2;
    err = embedded_link_open(loop, e->partitions, &e->link);
    if (err != ERR_OK) return say(why, err, "%s", err_text(err));
    e->open_parts = 3;
    return ERR_OK;
}

enum err embedded_open(const struct embedded_options *options, struct uv_loop_s *loop, struct embedded **ret_embedded,
                       char *why_text, size_t why_bytes)
{
    struct why why = {why_text, why_bytes};
    bool fresh = false;
    if (options->partitions > PARTITIONS_MAX) return say(why, ERR_CONFIG, "at most %d partitions", PARTITIONS_MAX);
    struct embedded *e = calloc(1, sizeof *e);
    if (e == NULL) return say(why, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    e->lock_fd = -1;
    enum err err = open_dir(e, options, &fresh, why);
    if (err == ERR_OK) err = open_parts(e, options, fresh, loop, why);
    if (err != ERR_OK) {
        embedded_close(e);
        return err;
    }
    *ret_embedded = e;
    return ERR_OK;
}

/* ---- closing ---- */

static void dispose(struct embedded *e)
{
    if (e->lock_fd >= 0) close(e->lock_fd); /* the lock goes last: nothing of the directory is used any more */
    free(e);
}

static void on_part_closed(void *ctx)
{
    struct embedded *e = ctx;
    if (--e->open_parts == 0) dispose(e);
}

void embedded_close(struct embedded *e)
{
    if (e == NULL) return;
    if (e->open_parts == 0) dispose(e);
    else {
        unsigned parts = e->open_parts;
        embedded_log_close(e->log, e, on_part_closed);
        if (parts > 1) embedded_registry_close(e->registry, e, on_part_closed);
        if (parts > 2) embedded_link_close(e->link, e, on_part_closed);
    }
}

const char *embedded_log_name(const struct embedded *e) { return e->name; }
uint32_t embedded_partitions(const struct embedded *e) { return e->partitions; }
struct log_writer *embedded_writer(struct embedded *e) { return embedded_log_writer(e->log, 0); }
struct log_writer *embedded_rules_writer(struct embedded *e) { return embedded_log_writer(e->log, 1); }
struct log_reader *embedded_reader(struct embedded *e) { return embedded_log_reader(e->log); }
struct registry *embedded_registry(struct embedded *e) { return embedded_registry_seam(e->registry); }
struct link_gateway *embedded_link_gateway(struct embedded *e) { return embedded_link_gateway_end(e->link); }
struct link_owner *embedded_link_owner(struct embedded *e) { return embedded_link_owner_end(e->link); }
