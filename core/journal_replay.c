#include "core/journal_replay.h"

#include <stdio.h>

enum { ARENA_BYTES_MAX = 67108864 };

void journal_replay_init(struct journal_replay *replay, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count))
{
    replay->topic = JOURNAL_STATE;
    replay->count = 0;
    replay->any = replay->has_trailer = false;
    replay->batch = replay->batch_count = replay->batch_hash = 0;
    replay->ctx = ctx;
    replay->put = put;
    arena_init(&replay->arena, ARENA_BYTES_MAX);
}

void journal_replay_fini(struct journal_replay *replay) { arena_fini(&replay->arena); }

static enum err flush(struct journal_replay *replay)
{
    enum err err = replay->count == 0 ? ERR_OK : replay->put(replay->ctx, replay->writes, replay->count);
    replay->count = 0;
    arena_reset(&replay->arena);
    return err;
}

static void tally(struct journal_replay *replay, const struct journal_entry *entry)
{
    if (entry->batch != replay->batch) {
        if (replay->topic == JOURNAL_UPDATES) return; /* an older batch's */
        replay->batch = entry->batch;
        replay->batch_count = replay->batch_hash = 0;
    }
    replay->batch_count += entry->has_value;
    replay->batch_hash += entry->hash;
}

enum err journal_replay_take(struct journal_replay *replay, struct span key, struct span value, bool has_value, struct span mark)
{
    struct journal_entry entry;
    struct span lasting = arena_copy(&replay->arena, value); /* until it is put */
    if (lasting.at == NULL) return ERR_MEMORY;
    enum err err = journal_record_decode(replay->topic, key, lasting, has_value, mark, &replay->arena, &entry);
    if (err != ERR_OK) return err;
    replay->any = true;
    if (entry.is_trailer) {
        replay->trailer = entry.trailer;
        replay->has_trailer = true;
        if (replay->batch != entry.trailer.batch) replay->batch_count = replay->batch_hash = 0; /* it had no record in `state` but this */
        replay->batch = entry.trailer.batch;
        return ERR_OK;
    }
    tally(replay, &entry);
    for (size_t i = 0; i < entry.writes_count; i++) replay->writes[replay->count++] = entry.writes[i];
    return replay->count >= JOURNAL_REPLAY_WRITES || replay->arena.bytes >= JOURNAL_REPLAY_BYTES ? flush(replay) : ERR_OK;
}

enum err journal_replay_turn(struct journal_replay *replay, char *ret_why, size_t why_bytes)
{
    enum err err = flush(replay);
    if (err == ERR_OK && replay->any && (!replay->has_trailer || replay->batch != replay->trailer.batch)) {
        snprintf(ret_why, why_bytes, "what follows its last batch belongs to none"); /* a transaction was torn */
        err = ERR_CORRUPT;
    }
    replay->topic = JOURNAL_UPDATES;
    return err;
}

static enum err put_partition(struct journal_replay *replay)
{
    struct state_key key;
    struct buf text;
    buf_init(&text, 64);
    journal_record_partition(&replay->trailer, &text);
    state_key_partition(&key);
    struct state_write write = {.table = STATE_META, .key = state_key_span(&key), .value = buf_span(&text)};
    enum err err = buf_ok(&text) ? replay->put(replay->ctx, &write, 1) : ERR_MEMORY;
    buf_fini(&text);
    return err;
}

enum err journal_replay_end(struct journal_replay *replay, struct journal_trailer *ret_trailer, char *ret_why, size_t why_bytes)
{
    enum err err = flush(replay);
    if (err != ERR_OK) return err;
    if (!replay->any) return ERR_UNKNOWN;
    if (!replay->has_trailer || replay->batch_count != replay->trailer.count || replay->batch_hash != replay->trailer.hash) {
        snprintf(ret_why, why_bytes, "its last batch is not whole: %llu records of %llu", (unsigned long long)replay->batch_count,
                 replay->has_trailer ? (unsigned long long)replay->trailer.count : 0ull);
        return ERR_CORRUPT;
    }
    err = put_partition(replay);
    if (err == ERR_OK) *ret_trailer = replay->trailer;
    return err;
}
