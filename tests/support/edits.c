/* See edits.h. */
#include "tests/support/edits.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void expand(struct buf *ops, const char *collection, const char *edit, size_t bytes)
{
    char text[2048], kind[16] = "", field[64] = "", age[32] = "0", base[32] = "";
    int at = 0, used = 0;
    assert(bytes < sizeof text);
    memcpy(text, edit, bytes);
    text[bytes] = '\0';
    while (sscanf(text + at, " @%31[^ ]%n", age, &used) == 1 || sscanf(text + at, " ^%31[^ ]%n", base, &used) == 1) at += used;
    int found = sscanf(text + at, " %15[a-z]%n", kind, &used);
    assert(found == 1);
    at += used;
    bool on_field = strcmp(kind, "incr") == 0 || strcmp(kind, "add") == 0 || strcmp(kind, "remove") == 0 || strcmp(kind, "max") == 0;
    if (on_field) {
        found = sscanf(text + at, " %63[^ ]%n", field, &used);
        assert(found == 1);
        at += used;
    }
    char out[4096];
    int count = snprintf(out, sizeof out, "{\"op\":\"%s\",\"collection\":\"%s\",\"id\":\"x\",\"age\":%s", kind, collection, age);
    if (base[0] != '\0') count += snprintf(out + count, sizeof out - (size_t)count, ",\"base\":%s", base);
    if (on_field) count += snprintf(out + count, sizeof out - (size_t)count, ",\"field\":\"%s\"", field);
    const char *rest = text + at;
    while (*rest == ' ') rest++;
    if (strcmp(kind, "incr") == 0) count += snprintf(out + count, sizeof out - (size_t)count, ",\"by\":%s", rest);
    else if (strcmp(kind, "max") == 0) count += snprintf(out + count, sizeof out - (size_t)count, ",\"value\":%s", rest);
    else if (on_field) count += snprintf(out + count, sizeof out - (size_t)count, ",\"values\":%s", rest);
    else if (strcmp(kind, "delete") != 0) count += snprintf(out + count, sizeof out - (size_t)count, ",\"body\":%s", rest);
    assert(count > 0 && (size_t)count < sizeof out - 1);
    buf_add_text(ops, out);
    buf_add_char(ops, '}');
}

enum resolve_status edits_push(struct shelf *shelf, const char *collection, const char *who, const char *edits)
{
    struct buf ops;
    char user[32] = "", device[32] = "";
    sscanf(who, "%31[^/]/%31s", user, device);
    buf_init(&ops, 65536);
    buf_add_char(&ops, '[');
    for (const char *at = edits; at != NULL;) {
        const char *end = strstr(at, " ; ");
        if (at != edits) buf_add_char(&ops, ',');
        expand(&ops, collection, at, end == NULL ? strlen(at) : (size_t)(end - at));
        at = end == NULL ? NULL : end + 3;
    }
    buf_add_char(&ops, ']');
    assert(buf_ok(&ops));
    enum resolve_status status = shelf_push_span(shelf, &(struct shelf_push){.user = user, .device = device}, buf_span(&ops));
    buf_fini(&ops);
    return status;
}
