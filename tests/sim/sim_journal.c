/* The journal beside the log: what owners in good standing committed, as records in two topics, encoded and read back by what Kafka's
 * journal encodes and reads back with. Compaction comes by itself and leaves the newest record of each key.
 *
 * A commit is all or nothing, and fenced: who is not the partition's owner any more commits nothing. A worker may be made to die right
 * behind its commit, before its store has the batch (`journal die W`), or amid it (`journal stall W`): then it is undecided, and who owns the
 * partition next hears of it only when it was decided, as a broker tells committed places. A torn journal (`journal tear P`) lacks a record of its last batch. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/journal_replay.h"
#include "tests/sim/sim.h"

enum { COMPACT_LEAST = 64, TRAILER_BYTES_MAX = 512 };

/* ---- topics ---- */

void sim_topics_fini(struct sim_topics *topics)
{
    for (size_t i = 0; i < topics->count; i++) blob_put(topics->records[i].bytes);
    free(topics->records);
    *topics = (struct sim_topics){0};
}

static void copy_topics(const struct sim_topics *from, struct sim_topics *ret_to)
{
    *ret_to = *from;
    ret_to->room = from->count + 1;
    ret_to->records = malloc(ret_to->room * sizeof *ret_to->records);
    assert(ret_to->records != NULL);
    for (size_t i = 0; i < from->count; i++) {
        ret_to->records[i] = from->records[i];
        blob_take(from->records[i].bytes);
    }
}

static struct span key_of(const struct sim_topic_record *record) { return span_of(record->bytes->text, record->key_bytes); }

static bool same_key(const struct sim_topic_record *a, const struct sim_topic_record *b) { return a->topic == b->topic && span_equal(key_of(a), key_of(b)); }

/* Of each key the newest stays, where it stands; one without a value goes too. */
static void compact(struct sim_topics *topics)
{
    size_t left = 0;
    for (size_t i = 0; i < topics->count; i++) {
        bool newest = topics->records[i].has_value;
        for (size_t k = i + 1; newest && k < topics->count; k++) newest = !same_key(&topics->records[i], &topics->records[k]);
        if (newest) topics->records[left++] = topics->records[i];
        else blob_put(topics->records[i].bytes);
    }
    topics->count = left;
    topics->compact_at = left * 2 < COMPACT_LEAST ? COMPACT_LEAST : left * 2;
}

static enum err add_record(void *ctx, const struct journal_record *from)
{
    struct sim_topics *topics = ctx;
    struct buf bytes;
    if (topics->count == topics->room) {
        topics->room = topics->room == 0 ? 32 : topics->room * 2;
        topics->records = realloc(topics->records, topics->room * sizeof *topics->records);
        assert(topics->records != NULL);
    }
    buf_init(&bytes, 1 << 22);
    buf_add_span(&bytes, from->key);
    buf_add_span(&bytes, from->value);
    buf_add_span(&bytes, from->mark);
    topics->records[topics->count++] = (struct sim_topic_record){.topic = (int)from->topic, .key_bytes = from->key.bytes, .value_bytes = from->value.bytes,
                                                                 .has_value = from->has_value, .bytes = blob_make(buf_span(&bytes))};
    assert(buf_ok(&bytes) && topics->records[topics->count - 1].bytes != NULL);
    buf_fini(&bytes);
    return ERR_OK;
}

/* As Kafka's journal writes a transaction. */
static enum err add_batch(struct sim_topics *topics, const struct journal_batch *batch)
{
    struct journal_trailer trailer = {.first = batch->first, .next = batch->next, .last_hash = batch->last_hash, .batch = ++topics->batches};
    struct buf text;
    enum err err = journal_record_encode(batch->writes, batch->writes_count, &trailer, topics, add_record);
    if (err != ERR_OK) return err;
    buf_init(&text, TRAILER_BYTES_MAX);
    journal_record_encode_trailer(&trailer, &text);
    struct journal_record last = {.topic = JOURNAL_STATE, .key = SPAN_LITERAL("partition"), .value = buf_span(&text), .has_value = true};
    err = buf_ok(&text) ? add_record(topics, &last) : ERR_MEMORY;
    buf_fini(&text);
    if (topics->count >= topics->compact_at && topics->count >= COMPACT_LEAST) compact(topics);
    return err;
}

/* ---- committing ---- */

static struct sim_worker *worker_of(struct journal *journal)
{
    return (struct sim_worker *)(void *)((char *)journal - offsetof(struct sim_worker, journal));
}

static void die(struct sim *sim, struct sim_event *event)
{
    struct sim_worker *worker = (struct sim_worker *)(void *)((char *)event - offsetof(struct sim_worker, death));
    sim_worker_kill(sim, worker->at);
}

static void leave_undecided(struct sim *sim, struct sim_worker *worker, const struct journal_batch *batch)
{
    struct sim_partition *part = &sim->log.parts[batch->partition];
    copy_topics(&part->journal, &part->staged);
    enum err err = add_batch(&part->staged, batch);
    assert(err == ERR_OK);
    part->staged_next = batch->next;
    part->undecided = true;
    worker->dies_amid_commit = false;
    worker->dying = true;
    sim_trace(sim, "w%d      dies amid its commit of p%u up to %llu", worker->at + 1, batch->partition, (unsigned long long)batch->next);
    sim_queue_put(sim, &worker->death, sim->now_us, die);
}

void sim_journal_decide(struct sim *sim, uint32_t partition, bool commit)
{
    struct sim_partition *part = &sim->log.parts[partition];
    if (!part->undecided) return;
    part->undecided = false;
    sim_trace(sim, "journal p%u: the commit up to %llu is %s", partition, (unsigned long long)part->staged_next, commit ? "done" : "undone");
    if (commit) {
        sim_topics_fini(&part->journal);
        part->journal = part->staged;
        part->committed = part->staged_next;
    } else {
        sim_topics_fini(&part->staged);
    }
    part->staged = (struct sim_topics){0};
}

void sim_journal_tear(struct sim *sim, uint32_t partition, bool torn)
{
    sim->log.parts[partition].torn = torn;
    sim_trace(sim, "journal p%u %s", partition, torn ? "lacks a record" : "is whole again");
}

static enum journal_end commit(struct journal *journal, const struct journal_batch *batch, char *why, size_t why_bytes)
{
    struct sim *sim = sim_current();
    struct sim_worker *worker = worker_of(journal);
    struct sim_partition *part = &sim->log.parts[batch->partition];
    if (!sim_log_is_owner(sim, worker->at, batch->partition)) {
        sim_trace(sim, "w%d      is kept out of the journal of p%u", worker->at + 1, batch->partition);
        return JOURNAL_LOST;
    }
    if (batch->first < batch->next && batch->first != part->committed)
        sim_fail(sim, "w%d journals %llu to %llu of p%u, which is journalled up to %llu", worker->at + 1, (unsigned long long)batch->first,
                 (unsigned long long)batch->next, batch->partition, (unsigned long long)part->committed);
    if (worker->dies_amid_commit) {
        leave_undecided(sim, worker, batch);
        return JOURNAL_STOPPED;
    }
    enum err err = add_batch(&part->journal, batch);
    if (err != ERR_OK) {
        snprintf(why, why_bytes, "a batch cannot be encoded: %s", err_name(err));
        return JOURNAL_FAILED;
    }
    part->committed = batch->next;
    sim_trace(sim, "w%d      journals p%u up to %llu", worker->at + 1, batch->partition, (unsigned long long)batch->next);
    if (worker->dies_at_commit) {
        worker->dies_at_commit = false;
        worker->dying = true;
        sim_queue_put(sim, &worker->death, sim->now_us, die);
    }
    return JOURNAL_COMMITTED;
}

/* The last record of the last batch that is not its trailer; without one, the trailer. */
static size_t missing(const struct sim_partition *part)
{
    size_t at = part->journal.count;
    if (!part->torn) return at;
    while (at > 0 && (!part->journal.records[at - 1].has_value || span_is(key_of(&part->journal.records[at - 1]), "partition"))) at--;
    return at > 0 ? at - 1 : part->journal.count - 1;
}

static enum err read_topic(const struct sim_partition *part, enum journal_topic topic, struct journal_replay *replay)
{
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < part->journal.count; i++) {
        const struct sim_topic_record *record = &part->journal.records[i];
        if (record->topic != (int)topic || i == missing(part)) continue;
        const char *value = record->bytes->text + record->key_bytes, *mark = value + record->value_bytes;
        err = journal_replay_take(replay, key_of(record), span_of(value, record->value_bytes), record->has_value,
                                  span_of(mark, record->bytes->bytes - record->key_bytes - record->value_bytes));
    }
    return err;
}

static enum err restore(struct journal *journal, uint32_t partition, void *ctx, enum err (*put)(void *ctx, const struct state_write *writes, size_t count),
                        void (*progress)(void *ctx, uint64_t at, uint64_t end), struct journal_place *ret_place, char *why, size_t why_bytes)
{
    struct sim *sim = sim_current();
    const struct sim_partition *part = &sim->log.parts[partition];
    struct journal_replay replay;
    struct journal_trailer trailer;
    (void)progress;
    journal_replay_init(&replay, ctx, put);
    enum err err = read_topic(part, JOURNAL_STATE, &replay);
    if (err == ERR_OK) err = journal_replay_turn(&replay, why, why_bytes);
    if (err == ERR_OK) err = read_topic(part, JOURNAL_UPDATES, &replay);
    if (err == ERR_OK) err = journal_replay_end(&replay, &trailer, why, why_bytes);
    journal_replay_fini(&replay);
    if (err != ERR_OK) return err;
    if (trailer.next != part->committed)
        sim_fail(sim, "p%u is journalled up to %llu, and its trailer says %llu", partition, (unsigned long long)part->committed, (unsigned long long)trailer.next);
    *ret_place = (struct journal_place){trailer.next, trailer.last_hash};
    sim_trace(sim, "w%d      restores p%u from the journal, up to %llu", worker_of(journal)->at + 1, partition, (unsigned long long)part->committed);
    return ERR_OK;
}

static void stop(struct journal *journal) { (void)journal; }

void sim_journal_open(struct journal *journal)
{
    static const struct journal_ops ops = {commit, restore, stop};
    journal->ops = &ops;
}
