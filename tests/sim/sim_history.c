/* The history as lines of the trace: who, what, where, in the words of docs/protocol.md. Cursors are shown as their places. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim_judge.h"

enum { LINE_BYTES = 900 };

struct line {
    size_t at;
    char text[LINE_BYTES];
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *line, const char *format, ...)
{
    va_list list;
    if (line->at >= LINE_BYTES) return;
    va_start(list, format);
    int count = vsnprintf(line->text + line->at, LINE_BYTES - line->at, format, list);
    va_end(list);
    line->at += count > 0 ? (size_t)count : 0;
}

/* log.hash.place[.floor] */
static const char *place(struct span cursor, char room[48])
{
    const char *at = cursor.bytes == 0 ? NULL : memchr(cursor.at, '.', cursor.bytes);
    if (at != NULL) at = memchr(at + 1, '.', cursor.bytes - (size_t)(at + 1 - cursor.at));
    if (at == NULL) return "nothing";
    snprintf(room, 48, "%.*s", (int)(cursor.bytes - (size_t)(at + 1 - cursor.at)), at + 1);
    return room;
}

static void add_docs(struct line *line, const struct checker_event *event)
{
    for (size_t i = 0; i < event->docs_count; i++) {
        const struct checker_doc *doc = &event->docs[i];
        if (i == 12) {
            add(line, " and %zu more", event->docs_count - i);
            break;
        }
        add(line, "%s%s%.*s/%.*s@%llu", i == 0 ? ": " : ", ", doc->deleted ? "without " : "", (int)doc->collection.bytes, doc->collection.at,
            (int)doc->id.bytes, doc->id.at, (unsigned long long)doc->rev);
    }
}

static void add_refused(struct line *line, const struct checker_event *event)
{
    for (size_t i = 0; i < event->refused_count; i++)
        add(line, "%s%llu %.*s", i == 0 ? ", refused " : ", ", (unsigned long long)event->refused[i].id, (int)event->refused[i].code.bytes,
            event->refused[i].code.at);
}

static const char *status_text(enum checker_status status)
{
    static const char *const names[] = {"", "applied", "conflict", "rejected"};
    return names[status];
}

static void of_world(struct line *line, const struct checker_event *event)
{
    char a[48];
    int space = (int)event->space.bytes;
    switch ((int)event->kind) {
    case CHECKER_STEP:
        add(line, "order   %.*s %llu: push %llu of %.*s %s", space, event->space.at, (unsigned long long)event->rev, (unsigned long long)event->id,
            (int)event->device.bytes, event->device.at, status_text(event->status));
        if (event->code.bytes > 0) add(line, " %.*s", (int)event->code.bytes, event->code.at);
        add_docs(line, event);
        break;
    case CHECKER_ACCESS:
        add(line, "order   %.*s %llu: %.*s %s", space, event->space.at, (unsigned long long)event->rev, (int)event->user.bytes, event->user.at,
            event->may ? "may read" : "may not read");
        break;
    case CHECKER_FINAL: case CHECKER_RESTORED:
        add(line, "%s %.*s at %s", event->who.bytes > 0 ? "shows" : event->kind == CHECKER_FINAL ? "truth  " : "stored ", space, event->space.at, place(event->to, a));
        add_docs(line, event);
        break;
    case CHECKER_CALM: add(line, "------- calm: what is broken is mended, everybody comes back"); break;
    default: break;
    }
}

static void of_store(struct line *line, const struct checker_event *event)
{
    switch ((int)event->kind) {
    case CHECKER_WIPE: add(line, "is reinstalled"); break;
    case CHECKER_BACKUP: add(line, "is backed up"); break;
    case CHECKER_RESTORE:
        if (event->ref.bytes == 0) add(line, "is restored from its backup");
        else add(line, "is a copy of %.*s, as that was backed up", (int)event->ref.bytes, event->ref.at);
        break;
    case CHECKER_RETIRED: add(line, "will not come back"); break;
    case CHECKER_ENQUEUE: add(line, "writes push %llu to %.*s", (unsigned long long)event->id, (int)event->space.bytes, event->space.at); break;
    case CHECKER_SETTLE:
        add(line, "gives push %llu to %.*s up: %.*s", (unsigned long long)event->id, (int)event->space.bytes, event->space.at, (int)event->code.bytes,
            event->code.at);
        break;
    case CHECKER_OUTBOX:
        if (event->numbers_count > 0) add(line, "still holds %zu pushes to %.*s", event->numbers_count, (int)event->space.bytes, event->space.at);
        break;
    default: break;
    }
}

static void of_speech(struct line *line, const struct checker_event *event)
{
    char a[48];
    int space = (int)event->space.bytes;
    switch ((int)event->kind) {
    case CHECKER_HELLO: add(line, event->conn == SIM_CONN_HTTP ? "calls by HTTP as %.*s" : "is welcome as %.*s", (int)event->device.bytes, event->device.at); break;
    case CHECKER_CUT: add(line, event->conn == SIM_CONN_HTTP ? "has heard the call's answer" : "is cut off"); break;
    case CHECKER_OPEN:
        add(line, "> open %.*s from %s, knows %llu%s", space, event->space.at, place(event->from, a), (unsigned long long)event->known,
            event->once ? ", once" : "");
        break;
    case CHECKER_CLOSE: add(line, "> close %.*s", space, event->space.at); break;
    case CHECKER_SENT:
        add(line, "> push %llu after %llu to %.*s, knows %llu", (unsigned long long)event->id, (unsigned long long)event->after, space, event->space.at,
            (unsigned long long)event->known);
        break;
    default: break;
    }
}

static void of_hearing(struct line *line, const struct checker_event *event)
{
    char a[48], b[48];
    int space = (int)event->space.bytes;
    const char *name = event->space.at;
    switch ((int)event->kind) {
    case CHECKER_ACK: add(line, "< ack %llu in %.*s", (unsigned long long)event->id, space, name); break;
    case CHECKER_RESULT:
        add(line, "< result %llu in %.*s: %s", (unsigned long long)event->id, space, name, status_text(event->status));
        if (event->code.bytes > 0) add(line, " %.*s", (int)event->code.bytes, event->code.at);
        add(line, ", head %s", place(event->to, a));
        add_docs(line, event);
        break;
    case CHECKER_CURRENT:
        add(line, "< current %.*s at %s, pushed %llu", space, name, place(event->to, a), (unsigned long long)event->pushed);
        break;
    case CHECKER_PAGE:
        add(line, "< page %.*s %s to %s%s%s, pushed %llu", space, name, place(event->from, a), place(event->to, b), event->reset ? ", reset" : "",
            event->more ? ", more" : "", (unsigned long long)event->pushed);
        add_refused(line, event);
        add_docs(line, event);
        break;
    case CHECKER_HISTORY:
        add(line, "< history of %.*s at %llu", space, name, (unsigned long long)event->at);
        add_docs(line, event);
        break;
    case CHECKER_UPDATE:
        add(line, "< update %.*s %s to %s, push %llu of %.*s", space, name, place(event->from, a), place(event->to, b), (unsigned long long)event->id,
            (int)event->device.bytes, event->device.at);
        add_docs(line, event);
        break;
    case CHECKER_CLOSED:
        add(line, "< closed %.*s: %.*s%s", space, name, (int)event->code.bytes, event->code.at, event->purge ? ", purge" : "");
        break;
    case CHECKER_ERROR:
        add(line, "< error %.*s in %.*s", (int)event->code.bytes, event->code.at, space, name);
        if (event->id > 0) add(line, " for push %llu", (unsigned long long)event->id);
        if (span_is(event->code, "gap") || span_is(event->code, "forked")) add(line, ", the log has %llu", (unsigned long long)event->after);
        break;
    default: break;
    }
}

void sim_history_trace(struct sim *sim, const struct checker_event *event)
{
    struct line line = {0};
    if (event->who.bytes > 0) add(&line, "%-7.*s ", (int)event->who.bytes, event->who.at);
    size_t head = line.at;
    if (event->kind <= CHECKER_DOWNSTREAM) of_world(&line, event);
    else if (event->kind <= CHECKER_OUTBOX) of_store(&line, event);
    else if (event->kind <= CHECKER_SENT) of_speech(&line, event);
    else of_hearing(&line, event);
    if (line.at > head) sim_trace(sim, "%s", line.text);
}
