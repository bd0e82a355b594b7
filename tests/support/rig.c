#include "tests/support/rig.h"

#include <assert.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void rig_dir_make(char ret_path[RIG_PATH_BYTES])
{
    snprintf(ret_path, RIG_PATH_BYTES, "/tmp/tidegate-test-XXXXXX");
    char *made = mkdtemp(ret_path);
    assert(made != NULL);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void rig_dir_remove(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

void rig_file_write(const char *dir, const char *name, const char *text)
{
    char path[RIG_PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    assert(file != NULL);
    size_t written = fwrite(text, 1, strlen(text), file);
    int code = fclose(file);
    assert(written == strlen(text) && code == 0);
}

static void on_tick(uv_timer_t *timer) { (void)timer; }
static void on_closed(uv_handle_t *handle) { *(bool *)handle->data = true; }

bool rig_until(uv_loop_t *loop, bool (*holds)(void *ctx), void *ctx, uint64_t ms)
{
    uv_timer_t tick; /* the condition is looked at after every event, and now and then without one */
    bool closed = false;
    uint64_t end_ns = uv_hrtime() + ms * 1000000;
    uv_timer_init(loop, &tick);
    tick.data = &closed;
    uv_timer_start(&tick, on_tick, 5, 5);
    bool held = holds(ctx);
    while (!held && uv_hrtime() < end_ns) {
        uv_run(loop, UV_RUN_ONCE);
        held = holds(ctx);
    }
    uv_close((uv_handle_t *)&tick, on_closed);
    while (!closed) uv_run(loop, UV_RUN_ONCE);
    return held;
}

void rig_loop_close(uv_loop_t *loop)
{
    while (uv_run(loop, UV_RUN_DEFAULT) != 0) continue;
    int code = uv_loop_close(loop);
    assert(code == 0);
}

int64_t rig_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t rig_random(uint64_t *seed)
{
    *seed += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 (Steele, Lea, Flood 2014) */
    uint64_t value = *seed;
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

void rig_tool(const char *name, char ret_path[RIG_PATH_BYTES])
{
    char self[RIG_PATH_BYTES];
    ssize_t bytes = readlink("/proc/self/exe", self, sizeof self - 1);
    assert(bytes > 0);
    self[bytes] = 0;
    char *dir = dirname(dirname(self));
    int count = snprintf(ret_path, RIG_PATH_BYTES, "%s/tools/%s", dir, name);
    assert(count > 0 && count < RIG_PATH_BYTES);
}
