#include "base/log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { EVENTS_MAX = 64, NAME_BYTES = 40 };

struct seen {
    char event[NAME_BYTES];
    int64_t second;
    unsigned count;
    unsigned long left_out;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static enum log_level threshold = LOG_INFO_LEVEL;
static struct seen events[EVENTS_MAX];
static size_t events_count;

void log_threshold(enum log_level level) { threshold = level; }

static struct seen *seen_of(const char *event)
{
    for (size_t i = 0; i < events_count; i++)
        if (strncmp(events[i].event, event, NAME_BYTES - 1) == 0) return &events[i];
    struct seen *fresh = &events[events_count < EVENTS_MAX ? events_count++ : EVENTS_MAX - 1];
    *fresh = (struct seen){0};
    snprintf(fresh->event, sizeof fresh->event, "%s", event);
    return fresh;
}

/* May it be written now? ret_left_out: how many of its name were not since the last that was. */
static bool admit(const char *event, int64_t now_ms, unsigned long *ret_left_out)
{
    struct seen *seen = seen_of(event);
    if (seen->second != now_ms / 1000) {
        seen->second = now_ms / 1000;
        seen->count = 0;
    }
    if (++seen->count > LOG_BURST) {
        seen->left_out++;
        return false;
    }
    *ret_left_out = seen->left_out;
    seen->left_out = 0;
    return true;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char details[1024], when[32];
    va_list args;
    unsigned long left_out = 0;
    if (level < threshold) return;
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    va_start(args, format);
    vsnprintf(details, sizeof details, format, args);
    va_end(args);
    for (char *at = details; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f) *at = '?'; /* one line an event, whatever is in it */
    gmtime_r(&seconds, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    pthread_mutex_lock(&lock);
    if (admit(event, now_ms, &left_out)) {
        fprintf(stderr, "%s.%03dZ %s %s%s%s", when, (int)(now_ms % 1000), names[level], event, details[0] == '\0' ? "" : " ", details);
        if (left_out > 0) fprintf(stderr, " left_out=%lu", left_out);
        fputc('\n', stderr);
    }
    pthread_mutex_unlock(&lock);
}
