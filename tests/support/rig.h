/* For tests that need a directory, a loop, and to wait for a condition. */
#ifndef TIDEGATE_TESTS_SUPPORT_RIG_H
#define TIDEGATE_TESTS_SUPPORT_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum { RIG_PATH_BYTES = 256 };

void rig_dir_make(char ret_path[RIG_PATH_BYTES]);  /* a fresh directory below the build's own temporary one */
void rig_dir_remove(const char *path);
void rig_file_write(const char *dir, const char *name, const char *text);
/* Runs the loop until the condition holds; false after `ms`. */
bool rig_until(uv_loop_t *loop, bool (*holds)(void *ctx), void *ctx, uint64_t ms);
/* Runs the loop until nothing is left in it, and closes it. */
void rig_loop_close(uv_loop_t *loop);
int64_t rig_now_ms(void); /* the wall clock */
uint64_t rig_random(uint64_t *seed);
/* The path of a program of tests/tools, built beside this test. */
void rig_tool(const char *name, char ret_path[RIG_PATH_BYTES]);

#endif
