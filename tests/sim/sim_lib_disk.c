/* The disk of a device on the client library: SQLite's own file system in memory. A database is there as long as a connection holds it,
 * so each disk, and what is laid aside of it, is held by one of its own. */
#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>

#include "client/store_parts.h"
#include "tests/sim/sim_lib.h"

enum { PATH_BYTES = 48 };

/* Of the two processes of a plan only one syncs. In the place of the library's file beside the store. */
bool store_lock(struct store *store) { return store != NULL; }
bool store_is_locked(const struct store *store) { return store != NULL; }
void store_unlock(struct store *store) { (void)store; }

void sim_lib_disk_path(const struct sim_lib *lib, char *ret_path, size_t room) { snprintf(ret_path, room, "/sim-%d", lib->device->at); }

static void *hold(const char *path)
{
    sqlite3 *db;
    sqlite3_vfs *memory = sqlite3_vfs_find("memdb");
    assert(memory != NULL);
    if (sqlite3_vfs_find(NULL) != memory) sqlite3_vfs_register(memory, 1);
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    assert(code == SQLITE_OK);
    return db;
}

static void let_go(void *disk)
{
    int code = sqlite3_close(disk);
    assert(code == SQLITE_OK);
}

static void copy(void *from, void *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    assert(backup != NULL);
    int code = sqlite3_backup_step(backup, -1);
    assert(code == SQLITE_DONE);
    code = sqlite3_backup_finish(backup);
    assert(code == SQLITE_OK);
}

void sim_lib_disk_make(struct sim_lib *lib)
{
    char path[PATH_BYTES];
    sim_lib_disk_path(lib, path, sizeof path);
    let_go(lib->disk);
    lib->disk = hold(path);
}

void sim_lib_disk_lay_aside(struct sim_lib *lib)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "/sim-%d-aside", lib->device->at);
    let_go(lib->backup);
    lib->backup = hold(path);
    copy(lib->disk, lib->backup);
}

void sim_lib_disk_put_back(struct sim_lib *lib, const struct sim_lib *from)
{
    sim_lib_disk_make(lib);
    copy(from->backup, lib->disk);
}

void sim_lib_disk_drop(struct sim_lib *lib)
{
    let_go(lib->disk);
    let_go(lib->backup);
    lib->disk = lib->backup = NULL;
}
