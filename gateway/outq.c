#include "gateway/outq.h"

#include <stdlib.h>

enum { ROOM_FIRST = 4, ROOM_KEPT = 64 };

void outq_fini(struct outq *queue)
{
    for (uint32_t i = 0; i < queue->count; i++) blob_put(queue->slots[(queue->head + i) % queue->room]);
    free(queue->slots);
    *queue = (struct outq){0};
}

static bool grow(struct outq *queue)
{
    uint32_t room = queue->room == 0 ? ROOM_FIRST : queue->room * 2;
    struct blob **slots = malloc(room * sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t i = 0; i < queue->count; i++) slots[i] = queue->slots[(queue->head + i) % queue->room];
    free(queue->slots);
    queue->slots = slots;
    queue->room = room;
    queue->head = 0;
    return true;
}

bool outq_add(struct outq *queue, struct blob *frame)
{
    if (queue->count >= OUTQ_FRAMES_HARD || queue->bytes + frame->bytes > OUTQ_BYTES_HARD) return false;
    if (queue->count == queue->room && !grow(queue)) return false;
    queue->slots[(queue->head + queue->count++) % queue->room] = blob_take(frame);
    queue->bytes += frame->bytes;
    return true;
}

static struct blob *take_one(struct outq *queue)
{
    struct blob *frame = queue->slots[queue->head];
    queue->head = (queue->head + 1) % queue->room;
    queue->count--;
    queue->bytes -= frame->bytes;
    if (queue->count == 0 && queue->room > ROOM_KEPT) {
        free(queue->slots);
        *queue = (struct outq){0};
    }
    return frame;
}

struct blob *outq_take(struct outq *queue, size_t bytes_max, uint32_t *ret_frames)
{
    size_t bytes = 0;
    uint32_t frames = 0;
    while (frames < queue->count) {
        size_t next = queue->slots[(queue->head + frames) % queue->room]->bytes;
        if (frames > 0 && bytes + 1 + next > bytes_max) break;
        bytes += next + (frames > 0 ? 1 : 0);
        frames++;
    }
    *ret_frames = frames;
    if (frames == 0) return NULL;
    if (frames == 1) return take_one(queue);
    struct blob *message = blob_make_room(bytes);
    if (message == NULL) return NULL;
    size_t at = 0;
    for (uint32_t i = 0; i < frames; i++) {
        struct blob *frame = take_one(queue);
        if (i > 0) message->text[at++] = '\n';
        memcpy(message->text + at, frame->text, frame->bytes);
        at += frame->bytes;
        blob_put(frame);
    }
    return message;
}
