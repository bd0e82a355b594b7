#include "base/metrics.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *kind_name(enum metrics_kind kind) { return kind == METRICS_COUNTER ? "counter" : "gauge"; }

static void add_head(struct buf *out, const char *name, enum metrics_kind kind, const char *help)
{
    buf_add_text(out, "# HELP ");
    buf_add_text(out, name);
    buf_add_char(out, ' ');
    buf_add_text(out, help);
    buf_add_text(out, "\n# TYPE ");
    buf_add_text(out, name);
    buf_add_char(out, ' ');
    buf_add_text(out, kind_name(kind));
    buf_add_char(out, '\n');
    buf_add_text(out, name);
    buf_add_char(out, ' ');
}

static void add_number(struct buf *out, uint64_t value, unsigned divisor)
{
    char text[32];
    if (divisor <= 1) snprintf(text, sizeof text, "%llu\n", (unsigned long long)value);
    else snprintf(text, sizeof text, "%.6f\n", (double)value / (double)divisor);
    buf_add_text(out, text);
}

void metrics_add(struct buf *out, const struct metrics_row *rows, size_t count, const void *numbers)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)numbers + rows[i].offset, sizeof value);
        add_head(out, rows[i].name, rows[i].kind, rows[i].help);
        add_number(out, value, rows[i].divisor);
    }
}

static uint64_t count_fds(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) return 0;
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the directory itself */
}

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0, skipped = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%llu %llu", &skipped, &pages) != 2) pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void metrics_add_process(struct buf *out)
{
    struct rusage usage;
    char text[64];
    if (getrusage(RUSAGE_SELF, &usage) != 0) return;
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    snprintf(text, sizeof text, "%.6f\n", seconds);
    add_head(out, "process_cpu_seconds_total", METRICS_COUNTER, "CPU seconds spent, user and system.");
    buf_add_text(out, text);
    add_head(out, "process_resident_memory_bytes", METRICS_GAUGE, "Resident memory.");
    buf_add_u64(out, resident_bytes());
    buf_add_char(out, '\n');
    add_head(out, "process_open_fds", METRICS_GAUGE, "Open file descriptors.");
    buf_add_u64(out, count_fds());
    buf_add_char(out, '\n');
}

void metrics_print_markdown(FILE *out, const struct metrics_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) fprintf(out, "| `%s` | %s | %s |\n", rows[i].name, kind_name(rows[i].kind), rows[i].help);
}
