/* Questions to a server: how awake a user is, a device's offsets, who owns a partition. Each is answered once, or forgotten. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/redis/redis_registry_parts.h"
#include "base/clock.h"
#include "core/limits.h"

static struct redis_question *make(struct redis_registry *r, enum redis_question_kind kind, void *ctx)
{
    struct redis_question *question = r->closing ? NULL : calloc(1, sizeof *question);
    if (question == NULL) return NULL;
    question->registry = r;
    question->kind = kind;
    question->ctx = ctx;
    question->next = r->questions;
    if (question->next != NULL) question->next->prev = question;
    r->questions = question;
    return question;
}

static void drop(struct redis_question *question)
{
    if (question->prev == NULL) question->registry->questions = question->next;
    else question->prev->next = question->next;
    if (question->next != NULL) question->next->prev = question->prev;
    free(question);
}

void redis_registry_forget(struct redis_registry *r, void *ctx)
{
    for (struct redis_question *question = r->questions; question != NULL; question = question->next)
        if (question->ctx == ctx) question->forgotten = true;
}

static struct span text_of(const struct redisReply *reply) { return span_of(reply->str, (size_t)reply->len); }

/* ---- answers ---- */

static bool read_user(const struct redisReply *reply, struct registry_user *ret_user)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_INTEGER ||
        reply->element[1]->type != REDIS_REPLY_STRING || reply->element[0]->integer < 0 || reply->element[0]->integer > PRESENCE_ONLINE) return false;
    ret_user->state = (enum presence_state)reply->element[0]->integer;
    ret_user->last_seen_ms = strtoll(reply->element[1]->str, NULL, 10);
    return true;
}

/* "place:ms:cursor"; false: too old, or not ours. */
static bool read_offset(const struct redisReply *space, const struct redisReply *value, int64_t oldest_ms, struct registry_offset *ret_offset)
{
    if (space->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING) return false;
    struct span text = text_of(value);
    const char *ms = memchr(text.at, ':', text.bytes);
    const char *cursor = ms == NULL ? NULL : memchr(ms + 1, ':', text.bytes - (size_t)(ms + 1 - text.at));
    if (cursor == NULL || strtoll(ms + 1, NULL, 10) < oldest_ms) return false;
    *ret_offset = (struct registry_offset){text_of(space), span_of(cursor + 1, text.bytes - (size_t)(cursor + 1 - text.at))};
    return true;
}

static void tell_offsets(struct redis_question *question, const struct redisReply *reply)
{
    size_t count = 0, most = reply->type == REDIS_REPLY_ARRAY ? reply->elements / 2 : 0;
    struct registry_offset *offsets = calloc(most + 1, sizeof *offsets);
    int64_t oldest_ms = clock_wall_ms() - (int64_t)REDIS_KEEP_DAYS * 86400000;
    for (size_t i = 0; offsets != NULL && i < most; i++)
        if (read_offset(reply->element[2 * i], reply->element[2 * i + 1], oldest_ms, &offsets[count])) count++;
    bool good = offsets != NULL && reply->type == REDIS_REPLY_ARRAY;
    question->offsets_told(question->ctx, good ? ERR_OK : ERR_BUSY, offsets, good ? count : 0);
    free(offsets);
}

static void tell_busy(struct redis_question *question)
{
    question->registry->counters.busy++;
    if (question->kind == REDIS_ASKS_USER) question->user_told(question->ctx, ERR_BUSY, NULL);
    else if (question->kind == REDIS_ASKS_OFFSETS) question->offsets_told(question->ctx, ERR_BUSY, NULL, 0);
    else question->owner_told(question->ctx, ERR_BUSY, question->partition, span_of("", 0));
}

static void on_answered(void *ctx, const struct redisReply *reply)
{
    struct redis_question *question = ctx;
    struct registry_user user;
    if (question->forgotten) {
        drop(question);
        return;
    }
    if (reply == NULL) {
        tell_busy(question);
    } else if (question->kind == REDIS_ASKS_USER) {
        if (read_user(reply, &user)) question->user_told(question->ctx, ERR_OK, &user);
        else tell_busy(question);
    } else if (question->kind == REDIS_ASKS_OFFSETS) {
        tell_offsets(question, reply);
    } else {
        struct span address = reply->type == REDIS_REPLY_STRING ? text_of(reply) : span_of("", 0);
        question->owner_told(question->ctx, ERR_OK, question->partition, address);
    }
    drop(question);
}

static void refuse(struct redis_question *question)
{
    tell_busy(question);
    drop(question);
}

/* ---- questions ---- */

void redis_registry_get_user(struct registry *base, struct span user, void *ctx, void (*told)(void *ctx, enum err err, const struct registry_user *user))
{
    struct redis_registry *r = redis_registry_of(base);
    struct redis_key key;
    char gateways[REDIS_KEY_BYTES / 2];
    if (user.bytes == 0 || user.bytes > LIMIT_USER_BYTES_MAX) {
        told(ctx, ERR_INVALID, NULL);
        return;
    }
    struct redis_question *question = make(r, REDIS_ASKS_USER, ctx);
    if (question == NULL) {
        told(ctx, ERR_BUSY, NULL);
        return;
    }
    question->user_told = told;
    redis_registry_key(r, "user", user, &key);
    snprintf(gateways, sizeof gateways, "%s:gw:", r->prefix);
    struct span args[] = {span_text(gateways)};
    if (!redis_server_run(key.slot->server, REDIS_USER, redis_registry_span(&key), args, 1, question, on_answered)) refuse(question);
}

void redis_registry_get_offsets(struct registry *base, struct span user, struct span device, void *ctx,
                                void (*told)(void *ctx, enum err err, const struct registry_offset *offsets, size_t count))
{
    struct redis_registry *r = redis_registry_of(base);
    struct redis_key key;
    char name[LIMIT_DEVICE_BYTES_MAX + 1 + LIMIT_USER_BYTES_MAX];
    struct redis_question *question = make(r, REDIS_ASKS_OFFSETS, ctx);
    if (question == NULL || user.bytes > LIMIT_USER_BYTES_MAX || device.bytes > LIMIT_DEVICE_BYTES_MAX) {
        if (question != NULL) drop(question);
        told(ctx, ERR_BUSY, NULL, 0);
        return;
    }
    question->offsets_told = told;
    memcpy(name, device.at, device.bytes);
    name[device.bytes] = ':';
    memcpy(name + device.bytes + 1, user.at, user.bytes);
    redis_registry_key(r, "off", span_of(name, device.bytes + 1 + user.bytes), &key);
    if (!redis_server_get(key.slot->server, true, redis_registry_span(&key), question, on_answered)) refuse(question);
}

void redis_registry_find_owner(struct directory *directory, uint32_t partition, void *ctx,
                               void (*told)(void *ctx, enum err err, uint32_t partition, struct span address))
{
    struct redis_registry *r = redis_registry_of_directory(directory);
    struct redis_key key;
    char name[16];
    struct redis_question *question = make(r, REDIS_ASKS_OWNER, ctx);
    if (question == NULL) {
        told(ctx, ERR_BUSY, partition, span_of("", 0));
        return;
    }
    question->owner_told = told;
    question->partition = partition;
    snprintf(name, sizeof name, "%u", partition);
    redis_registry_key(r, "own", span_text(name), &key);
    if (!redis_server_get(key.slot->server, false, redis_registry_span(&key), question, on_answered)) refuse(question);
}
