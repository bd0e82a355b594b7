#include "backends/kafka/kafka_conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

enum { LINE_BYTES = 4096 };

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    enum log_level severity = level <= 3 ? LOG_ERROR_LEVEL : level <= 5 ? LOG_WARN_LEVEL : level == 6 ? LOG_INFO_LEVEL : LOG_DEBUG_LEVEL;
    if (strcmp(facility, "CONFWARN") == 0) return; /* we know what we set */
    log_line(severity, "kafka", "client=%s what=%s said=\"%s\"", rk == NULL ? "" : rd_kafka_name(rk), facility, text);
}

/* A property of our own that an older library does not know is left out: none of them changes what is promised. */
static bool set(rd_kafka_conf_t *made, const char *name, const char *value, bool ours, char *why, size_t why_bytes)
{
    char text[256];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(made, name, value, text, sizeof text);
    if (result == RD_KAFKA_CONF_OK || (ours && result == RD_KAFKA_CONF_UNKNOWN)) return true;
    snprintf(why, why_bytes, "%.60s: %s", name, text);
    return false;
}

static char *trimmed(char *at)
{
    at += strspn(at, " \t");
    size_t bytes = strlen(at);
    while (bytes > 0 && strchr(" \t\r\n", at[bytes - 1]) != NULL) at[--bytes] = 0;
    return at;
}

static bool set_from_file(rd_kafka_conf_t *made, const char *path, char *why, size_t why_bytes)
{
    FILE *file = fopen(path, "re");
    char line[LINE_BYTES];
    bool good = file != NULL;
    if (!good) snprintf(why, why_bytes, "%s: %s", path, strerror(errno));
    while (good && fgets(line, sizeof line, file) != NULL) {
        char *name = trimmed(line), *equals = strchr(name, '=');
        if (*name == 0 || *name == '#') continue;
        good = equals != NULL;
        if (!good) {
            snprintf(why, why_bytes, "%s: '%.60s': a line is name=value", path, name);
        } else {
            *equals = 0;
            good = set(made, trimmed(name), trimmed(equals + 1), false, why, why_bytes);
        }
    }
    if (file != NULL) fclose(file);
    return good;
}

rd_kafka_conf_t *kafka_conf_make(const struct kafka_options *options, const struct kafka_property *extra, char *why, size_t why_bytes)
{
    static const struct kafka_property common[] = {
        {"client.id", "tidegate"}, {"socket.nagle.disable", "true"}, {"socket.keepalive.enable", "true"},
        {"reconnect.backoff.ms", "50"}, {"reconnect.backoff.max.ms", "1000"}, {"allow.auto.create.topics", "false"},
        {"topic.metadata.refresh.interval.ms", "60000"}, {"message.max.bytes", "4194304"}, {NULL, NULL}};
    rd_kafka_conf_t *made = rd_kafka_conf_new();
    bool good = set(made, "bootstrap.servers", options->hosts, false, why, why_bytes);
    for (const struct kafka_property *p = common; good && p->name != NULL; p++) good = set(made, p->name, p->value, true, why, why_bytes);
    if (good && options->file != NULL) good = set_from_file(made, options->file, why, why_bytes);
    for (const struct kafka_property *p = extra; good && p != NULL && p->name != NULL; p++)
        good = set(made, p->name, p->value, true, why, why_bytes);
    rd_kafka_conf_set_log_cb(made, on_log);
    if (good) return made;
    rd_kafka_conf_destroy(made);
    return NULL;
}

rd_kafka_t *kafka_conf_open(rd_kafka_type_t type, rd_kafka_conf_t *made, char *why, size_t why_bytes)
{
    char text[256];
    rd_kafka_t *rk = rd_kafka_new(type, made, text, sizeof text);
    if (rk != NULL) return rk;
    rd_kafka_conf_destroy(made);
    snprintf(why, why_bytes, "%s", text);
    return NULL;
}
