/* A chat on the command line: what you type is a message, `/invite NAME` lets somebody in.
 *
 *     chat DB URL TOKEN ROOM          for instance  chat ana.db http://127.0.0.1:8080 "$TOKEN" chat:lobby
 *
 * It shows: a live query on an `append` collection, writing that never waits for the network, members of a room, and the library on
 * an app's own libuv loop. Pull the cable and go on typing: the messages wait in ana.db, and go out when the network is back, each
 * once, whether or not this program ran meanwhile.
 *
 * Build:  cc chat.c $(pkg-config --cflags --libs tidegate libuv) */
#include <stdio.h>
#include <string.h>
#include <tidegate.h>
#include <uv.h>

struct chat {
    struct tide *tide;
    const char *room;
    struct tide_observer *observer;
    uv_loop_t loop;
    uv_poll_t input;
    char line[4096];
    size_t line_bytes;
};

/* ---- what comes ---- */

/* Called for each message that is there already, and then for each that comes, our own among them: what was typed is shown at once,
 * and changes (`pending` goes) when the server has it. A body is JSON: an app would hand it to its JSON library. */
static void on_message(void *ctx, enum tide_change change, const struct tide_doc *doc)
{
    (void)ctx;
    if (change == TIDE_ADDED && !doc->pending) printf("%s: %s\n", doc->user, doc->body);
    if (change == TIDE_ADDED && doc->pending) printf("(sending) %s\n", doc->body);
    if (change == TIDE_CHANGED && !doc->pending) printf("(sent) %s\n", doc->body);
    fflush(stdout);
}

static void on_event(void *ctx, struct tide *tide, const struct tide_event *event)
{
    (void)ctx;
    (void)tide;
    if (event->kind == TIDE_EVENT_SYNCED) printf("* in step with %s\n", event->space);
    if (event->kind == TIDE_EVENT_APPLIED) printf("* done: %llu\n", (unsigned long long)event->id);
    /* A refused write is not gone: tide_refused() has it, with the reason, until the user has decided. */
    if (event->kind == TIDE_EVENT_REFUSED) printf("* refused: %s\n", event->code);
    if (event->kind == TIDE_EVENT_CLOSED) printf("* %s is closed to you: %s\n", event->space, event->code);
    fflush(stdout);
}

/* ---- what goes ---- */

/* {"text":"..."} with what JSON wants escaped. */
static void body_of(const char *text, char *ret_body, size_t room)
{
    size_t at = (size_t)snprintf(ret_body, room, "{\"text\":\"");
    for (; *text != '\0' && at + 12 < room; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') at += (size_t)snprintf(ret_body + at, room - at, "\\%c", c);
        else if (c < 0x20) at += (size_t)snprintf(ret_body + at, room - at, "\\u%04x", c);
        else ret_body[at++] = (char)c;
    }
    snprintf(ret_body + at, room - at, "\"}");
}

static void say(struct chat *chat, const char *line)
{
    char body[8300];
    enum tide_code code;
    if (strncmp(line, "/invite ", 8) == 0) {
        /* Who may do what in a room is documents too. Who writes first in a room founds it, and owns it. */
        code = tide_put(chat->tide, chat->room, "members", line + 8, "{\"role\":\"writer\"}", NULL);
    } else {
        body_of(line, body, sizeof body);
        /* NULL: an id is made. When this returns the message is on the disk, and will arrive once. */
        code = tide_append(chat->tide, chat->room, "messages", NULL, body, NULL);
    }
    if (code != TIDE_OK) printf("* not written: %s\n", tide_message(chat->tide));
}

static void on_input(uv_poll_t *input, int status, int events)
{
    struct chat *chat = input->data;
    char *end;
    uv_buf_t room = uv_buf_init(chat->line + chat->line_bytes, (unsigned)(sizeof chat->line - 1 - chat->line_bytes));
    uv_fs_t request;
    (void)events;
    int bytes = status < 0 || room.len == 0 ? 0 : uv_fs_read(NULL, &request, 0, &room, 1, -1, NULL);
    if (bytes <= 0) { /* the end: leave */
        uv_poll_stop(input);
        uv_stop(&chat->loop);
        return;
    }
    chat->line_bytes += (size_t)bytes;
    chat->line[chat->line_bytes] = '\0';
    while ((end = strchr(chat->line, '\n')) != NULL) {
        *end = '\0';
        if (end != chat->line) say(chat, chat->line);
        chat->line_bytes -= (size_t)(end + 1 - chat->line);
        memmove(chat->line, end + 1, chat->line_bytes + 1);
    }
}

int main(int argc, char **argv)
{
    static struct chat chat;
    char why[256];
    if (argc != 5) {
        fprintf(stderr, "chat DB URL TOKEN ROOM\n");
        return 64;
    }
    struct tide_options options = {.path = argv[1], .url = argv[2], .token = argv[3], .on_event = on_event};
    if (tide_open(&options, &chat.tide, why, sizeof why) != TIDE_OK) {
        fprintf(stderr, "chat: %s\n", why);
        return 1;
    }
    chat.room = argv[4];
    uv_loop_init(&chat.loop);
    uv_poll_init(&chat.loop, &chat.input, 0);
    chat.input.data = &chat;
    uv_poll_start(&chat.input, UV_READABLE, on_input);

    /* The library lives on our loop: no thread, no waiting anywhere. */
    tide_attach_uv(chat.tide, &chat.loop);
    /* Of a room that was long left alone the newest hundred messages are enough; tide_history() brings more. */
    tide_subscribe(chat.tide, chat.room, &(struct tide_space_options){.tail = 100});
    tide_observe(chat.tide, &(struct tide_query){.space = chat.room, .collection = "messages", .order = "@born"}, on_message, NULL, &chat, &chat.observer);
    if (tide_start(chat.tide, TIDE_BOTH) != TIDE_OK) fprintf(stderr, "chat: %s\n", tide_message(chat.tide));
    uv_run(&chat.loop, UV_RUN_DEFAULT);

    tide_observer_free(chat.observer);
    tide_close(chat.tide);
    uv_close((uv_handle_t *)&chat.input, NULL);
    uv_run(&chat.loop, UV_RUN_DEFAULT); /* until what the library had on it is gone */
    uv_loop_close(&chat.loop);
    return 0;
}
