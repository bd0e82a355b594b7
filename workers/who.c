/* The HTTP call's presence: who is here, and of the members who are not, when they were last seen (the registry's to say). */
#include <stdlib.h>

#include "core/json.h"
#include "workers/worker_parts.h"

struct who {
    struct worker *worker;
    uint32_t peer;
    uint64_t tag;
    unsigned waiting;      /* answers of the registry, and one for the asking itself */
    bool any;
    bool listing;       /* `away` is open */
    enum err err;
    struct buf text;
    size_t space_bytes;
    char space[LIMIT_SPACE_BYTES_MAX];
};

struct who_user {
    struct who *who;
    size_t bytes;
    char name[];
};

enum { TEXT_BYTES_MAX = 16777216 };

static void settle(struct who *who)
{
    if (--who->waiting != 0) return;
    struct worker *worker = who->worker;
    struct link_tell tell = {.kind = LINK_BODY, .space = span_of(who->space, who->space_bytes), .tag = who->tag, .err = who->err};
    if (who->listing) buf_add_char(&who->text, ']');
    buf_add_char(&who->text, '}');
    if (tell.err == ERR_OK) {
        tell.frame = buf_ok(&who->text) ? blob_make(buf_span(&who->text)) : NULL;
        if (tell.frame == NULL) tell.err = ERR_INTERNAL;
    }
    worker->asks_running--;
    if (!worker->closing && worker_peer(worker, who->peer) != NULL) worker_send(worker, who->peer, &tell);
    blob_put(tell.frame);
    buf_fini(&who->text);
    free(who);
    if (worker->closing) worker_go_on_closing(worker);
}

/* A registry that is away makes the answer ERR_BUSY: half a list would read as a whole one. */
static void on_user(void *ctx, enum err err, const struct registry_user *user)
{
    struct who_user *asked = ctx;
    struct who *who = asked->who;
    if (err != ERR_OK) {
        who->err = ERR_BUSY;
    } else {
        if (who->any) buf_add_char(&who->text, ',');
        who->any = true;
        buf_add_text(&who->text, "{\"user\":");
        buf_add_json_string(&who->text, span_of(asked->name, asked->bytes));
        buf_add_text(&who->text, ",\"last_seen\":");
        buf_add_i64(&who->text, user->last_seen_ms);
        buf_add_char(&who->text, '}');
    }
    free(asked);
    settle(who);
}

static void ask(struct who *who, struct json_value id)
{
    struct worker *worker = who->worker;
    struct span inside = json_inside(id);
    struct who_user *asked = malloc(sizeof *asked + inside.bytes);
    if (asked == NULL) {
        who->err = ERR_BUSY;
        return;
    }
    asked->who = who;
    asked->bytes = json_decode(inside, asked->name, inside.bytes);
    struct span name = span_of(asked->name, asked->bytes);
    if (asked->bytes > inside.bytes || presence_is_here(worker->presence, span_of(who->space, who->space_bytes), name)) {
        free(asked);
        return;
    }
    who->waiting++;
    worker->options.registry->ops->get_user(worker->options.registry, name, asked, on_user);
}

void who_answer(struct worker *worker, uint32_t peer, uint64_t tag, struct span space, struct span members)
{
    struct json_value array = {JSON_NONE, {NULL, 0}}, id;
    struct who *who = calloc(1, sizeof *who);
    if (who == NULL) {
        struct link_tell tell = {.kind = LINK_BODY, .space = space, .tag = tag, .err = ERR_BUSY};
        worker_send(worker, peer, &tell);
        return;
    }
    *who = (struct who){.worker = worker, .peer = peer, .tag = tag, .waiting = 1, .space_bytes = space.bytes};
    memcpy(who->space, space.at, space.bytes);
    worker->asks_running++;
    buf_init(&who->text, TEXT_BYTES_MAX);
    buf_add_char(&who->text, '{');
    presence_who(worker->presence, space, &who->text);
    if (members.bytes != 0 && json_check(members, &array, NULL) && array.type == JSON_ARRAY) {
        struct json_iter it = json_elements(array);
        who->listing = json_count(array) > 0; /* where there are members, an empty list says that all are here */
        if (who->listing) buf_add_text(&who->text, ",\"away\":[");
        while (json_next_element(&it, &id))
            if (id.type == JSON_STRING) ask(who, id);
    }
    settle(who);
}
