/* One partition: records through the owner, their effects into the overlay and out over the link. */
#include <assert.h>
#include <stdio.h>

#include "core/hash.h"
#include "core/record.h"
#include "workers/worker_parts.h"

/* Gateways look elsewhere, before anything is given up. What they told here is told there: kept, it would be of old if the partition
 * ever came back. */
void partition_disown(struct partition *p)
{
    struct worker *worker = p->worker;
    struct link_owner *link = worker->options.link;
    if (!p->owned) return;
    p->owned = false;
    link->ops->owns(link, p->index, false);
    interests_drop_partition(&worker->interests, p->index, worker->partitions_count);
    presence_drop_partition(worker->presence, p->index, worker->partitions_count);
}

void partition_fail(struct partition *p, enum err err, const char *why)
{
    if (p->state == PARTITION_FAILED) return;
    struct worker *worker = p->worker;
    bool started = p->state == PARTITION_RUNNING;
    p->state = PARTITION_FAILED;
    p->abandoned = true;
    partition_disown(p);
    if (started) worker->options.reader->ops->pause(worker->options.reader, p->index, true);
    worker_say(worker, "partition_failed", "partition=%u code=%s why=\"%s\"", p->index, err_name(err), why);
    if (worker->options.failed != NULL) worker->options.failed(worker->options.say_ctx, err, why);
}

/* ---- reading state on the loop ---- */

enum err partition_read_begin(struct partition *p)
{
    if (p->reading++ != 0) return ERR_OK;
    enum err err = store_view_begin(p->store, &p->view);
    if (err != ERR_OK) {
        p->reading--;
        return err;
    }
    p->merge = (struct merge){overlay_over(p->overlay), store_view_reader(p->view)};
    p->reader = merge_reader(&p->merge);
    return ERR_OK;
}

void partition_read_end(struct partition *p)
{
    assert(p->reading > 0);
    if (--p->reading != 0) return;
    store_view_end(p->view);
    p->view = NULL;
}

/* ---- leaving ---- */

/* A last batch is stored, pages under way are made; then another owner may have it. */
void partition_revoke(struct partition *p)
{
    partition_disown(p);
    partition_room_give_up(p);
    p->state = PARTITION_LEAVING;
    partition_journal_seal(p);
    partition_go_on_leaving(p);
}

void partition_go_on_leaving(struct partition *p)
{
    struct worker *worker = p->worker;
    struct log_reader *reader = worker->options.reader;
    if (p->state != PARTITION_LEAVING || p->journaling || p->restoring || p->pages_running != 0) return;
    if (!p->abandoned && p->overlay != NULL && overlay_gathered(p->overlay) != 0) {
        partition_journal_arm(worker); /* no memory to seal it a moment ago */
        return;
    }
    partition_close(p);
    *p = (struct partition){.worker = worker, .index = p->index};
    reader->ops->release(reader, p->index);
}

/* ---- records ---- */

static void send_update(struct partition *p, const struct owner_update *update)
{
    struct worker *worker = p->worker;
    size_t count;
    const uint32_t *peers = interests_find(&worker->interests, update->space, &count);
    worker->counters.updates++;
    if (count == 0) return;
    struct link_tell tell = {.kind = LINK_UPDATE, .space = update->space, .place = update->place, .prev = update->prev,
                             .rev = update->rev, .push = update->push, .user = update->user, .device = update->device,
                             .removed_count = update->removed_count, .removed = update->removed,
                             .recheck_all = update->recheck_all};
    /* Without memory for the frame its head goes alone, like that of one too long: it is pulled. */
    if (update->frame.bytes <= LIMIT_UPDATE_BYTES_MAX) tell.frame = blob_make(update->frame);
    for (size_t i = 0; i < count; i++) worker_send(worker, peers[i], &tell);
    blob_put(tell.frame);
}

void partition_answer(struct partition *p, uint32_t peer, const struct owner_answer *answer)
{
    struct link_tell tell = {.kind = LINK_ANSWER, .space = answer->space, .user = answer->user, .device = answer->device,
                             .session = answer->session, .id = answer->id, .place = answer->place,
                             .is_error = answer->kind == OWNER_ERROR, .with_update = answer->with_update,
                             .code = answer->code};
    tell.frame = blob_make(answer->frame);
    if (tell.frame == NULL) return; /* the gateway asks again for what it heard nothing of */
    p->worker->counters.answers++;
    worker_send(p->worker, peer, &tell);
    blob_put(tell.frame);
}

/* In silence its earlier owner has said so; here it only joins the store. */
static enum err set_aside(struct partition *p, const struct log_record *record, const char *why)
{
    size_t why_bytes = strlen(why);
    struct store_dead *dead = malloc(sizeof *dead + why_bytes + 1 + record->bytes.bytes);
    if (dead == NULL) return ERR_MEMORY;
    dead->next = NULL;
    dead->offset = record->offset;
    dead->bytes = why_bytes + 1 + record->bytes.bytes;
    memcpy(dead->text, why, why_bytes + 1);
    if (record->bytes.bytes != 0) memcpy(dead->text + why_bytes + 1, record->bytes.at, record->bytes.bytes);
    if (p->dead_last == NULL) p->dead_first = dead;
    else p->dead_last->next = dead;
    p->dead_last = dead;
    if (record->offset < p->silent_below) return ERR_OK;
    p->worker->counters.dead_letters++;
    worker_say(p->worker, "dead_letter", "partition=%u offset=%llu why=\"%s\"", p->index, (unsigned long long)record->offset, why);
    return ERR_OK;
}

static enum err take_one(struct partition *p, const struct log_record *record, size_t *rules_count)
{
    struct owner_record in = {record->offset, record->time_ms, record->bytes};
    struct owner_out out;
    enum err err = owner_step(p->owner, &p->reader, &in, &out);
    if (err != ERR_OK) return err;
    if (out.dead_letter) err = set_aside(p, record, out.why);
    if (err == ERR_OK) err = overlay_put(p->overlay, out.writes, out.writes_count);
    if (err != ERR_OK) return err;
    p->last_hash = hash_64(record->bytes);
    p->worker->counters.records++;
    *rules_count += out.namespaces_changed;
    if (record->offset < p->silent_below) return ERR_OK;
    if (out.has_update) send_update(p, &out.update);
    if (out.has_answer && (p->worker->options.gateways_outlive || record->offset >= p->target)) {
        const struct peer *peer = (const struct peer *)(const void *)map_find(&p->worker->peers, out.answer.gateway);
        if (peer != NULL) partition_answer(p, peer->id, &out.answer);
    }
    return ERR_OK;
}

static void set_paused(struct partition *p, bool paused)
{
    struct log_reader *reader = p->worker->options.reader;
    if (p->paused == paused) return;
    p->paused = paused;
    reader->ops->pause(reader, p->index, paused);
}

/* A batch of the journal is silent or not, never half: at silent_below delivery waits until all before it is stored. Asked is an owner
 * only when it has come to the log's end as it was: a device's cursor may stand anywhere before that, and must not be ahead of its owner. */
void partition_heed(struct partition *p)
{
    struct link_owner *link = p->worker->options.link;
    if (p->state != PARTITION_RUNNING) return;
    bool waits = !p->loud && owner_next_offset(p->owner) >= p->silent_below;
    if (waits || overlay_gathered_bytes(p->overlay) > JOURNAL_BYTES) partition_journal_seal(p);
    if (waits && !p->journaling && overlay_gathered(p->overlay) == 0) {
        waits = false;
        p->loud = true;
    }
    if (p->loud && !p->owned && owner_next_offset(p->owner) >= p->target) {
        p->owned = true;
        link->ops->owns(link, p->index, true);
    }
    if (overlay_gathered(p->overlay) != 0 || p->sweep_more) partition_journal_arm(p->worker);
    set_paused(p, waits || overlay_bytes(p->overlay) > (p->paused ? OVERLAY_BYTES_MAX / 2 : OVERLAY_BYTES_MAX));
}

static const char *why_of(enum err err)
{
    if (err == ERR_VERSION) return "a record was written under rules that this version does not know: upgrade this server";
    if (err == ERR_FULL) return "the disk is full: make room and start again";
    return err_text(err);
}

void partition_take(struct partition *p, const struct log_record *records, size_t count)
{
    size_t rules_count = 0;
    if (p->state != PARTITION_RUNNING) return;
    assert(p->loud || records[count - 1].offset < p->silent_below); /* log.h: a batch ends there */
    enum err err = partition_read_begin(p);
    for (size_t i = 0; err == ERR_OK && i < count; i++) err = take_one(p, &records[i], &rules_count);
    p->durable = records[count - 1].offset + 1;
    if (err == ERR_OK && rules_count > 0) err = rules_load(p);
    p->rules_sent -= rules_count < p->rules_sent ? rules_count : p->rules_sent;
    if (p->view != NULL) partition_read_end(p);
    if (err != ERR_OK) {
        partition_fail(p, err, why_of(err));
        return;
    }
    bool caught_up = owner_next_offset(p->owner) >= p->target;
    bool was_behind = records[0].offset < p->target;
    if (caught_up && (was_behind || rules_count > 0)) rules_check(p);
    p->sweep_more = true;
    partition_heed(p);
}

/* A slice; `sweep_more` stays while there may be others due. */
void partition_sweep(struct partition *p)
{
    struct owner_out out;
    bool more = true;
    if (!p->loud || !p->sweep_more) return; /* what an earlier owner swept is his to journal */
    enum err err = partition_read_begin(p);
    if (err == ERR_OK) {
        for (int i = 0; err == ERR_OK && more && i < SWEEP_COUNT; i++) {
            err = owner_sweep(p->owner, &p->reader, &out, &more);
            if (err == ERR_OK) err = overlay_put(p->overlay, out.writes, out.writes_count);
        }
        partition_read_end(p);
    }
    p->sweep_more = more;
    if (err != ERR_OK) partition_fail(p, err, why_of(err));
}
