#include "workers/worker.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"
#include "core/space_state.h"
#include "workers/worker_parts.h"

void worker_say(struct worker *worker, const char *event, const char *format, ...)
{
    char details[512];
    va_list list;
    if (worker->options.say == NULL) return;
    va_start(list, format);
    vsnprintf(details, sizeof details, format, list);
    va_end(list);
    worker->options.say(worker->options.say_ctx, event, details);
}

/* A link that cannot take it has lost its peer, or soon will: what the gateway missed it pulls. */
void worker_send(struct worker *worker, uint32_t peer, const struct link_tell *tell)
{
    (void)worker->options.link->ops->send(worker->options.link, peer, tell);
}

const struct peer *worker_peer(const struct worker *worker, uint32_t id)
{
    const struct peer *peer = worker->peers_first;
    while (peer != NULL && peer->id != id) peer = peer->next;
    return peer;
}

struct partition *worker_partition(struct worker *worker, struct span space)
{
    return &worker->partitions[hash_partition(space, worker->partitions_count)];
}

/* ---- the log's callbacks ---- */

static void on_assigned(void *ctx, uint32_t partition, const struct log_assignment *assignment)
{
    struct worker *worker = ctx;
    if (!worker->closing) partition_assign(&worker->partitions[partition], assignment);
}

static void on_records(void *ctx, uint32_t partition, const struct log_record *records, size_t count)
{
    struct worker *worker = ctx;
    if (!worker->closing) partition_take(&worker->partitions[partition], records, count);
}

static void on_revoked(void *ctx, uint32_t partition)
{
    struct worker *worker = ctx;
    if (!worker->closing) partition_revoke(&worker->partitions[partition]);
}

static void on_log_failed(void *ctx, enum err err, const char *why)
{
    struct worker *worker = ctx;
    worker->log_failed = true;
    worker_say(worker, "log_failed", "code=%s why=\"%s\"", err_name(err), why);
    if (worker->options.failed != NULL) worker->options.failed(worker->options.say_ctx, err, why);
}

/* ---- presence ---- */

static int64_t now_ms(struct worker *worker) { return worker->host->ops->now_ms(worker->host); }

static void arm_presence(struct worker *worker)
{
    int64_t due_ms = presence_due_ms(worker->presence);
    if (due_ms == INT64_MAX || worker->closing) {
        worker->host->ops->disarm(worker->host, WORKER_TIMER_PRESENCE);
        return;
    }
    int64_t wait_ms = due_ms - now_ms(worker);
    if (due_ms < 0 || wait_ms < 0) wait_ms = 0;
    worker->host->ops->arm(worker->host, WORKER_TIMER_PRESENCE, (uint64_t)wait_ms);
}

static void send_presence(struct worker *worker, struct span space, uint32_t peer, uint64_t session, struct span text)
{
    struct link_tell tell = {.kind = LINK_PRESENCE_FRAME, .space = space, .session = session, .frame = blob_make(text)};
    if (tell.frame != NULL) worker_send(worker, peer, &tell);
    blob_put(tell.frame);
}

static void emit_presence(void *ctx, struct span space, struct span frame)
{
    struct worker *worker = ctx;
    size_t count;
    const uint32_t *peers = interests_find(&worker->interests, space, &count);
    for (size_t i = 0; i < count; i++) send_presence(worker, space, peers[i], 0, frame);
}

static void step_presence(struct worker *worker)
{
    presence_step(worker->presence, now_ms(worker), worker, emit_presence);
    arm_presence(worker);
}

static void note_presence(struct worker *worker, uint32_t peer, const struct link_ask *ask)
{
    struct presence_event event = {.peer = peer, .space = ask->space, .user = ask->user, .device = ask->device,
                                   .session = ask->session, .state = ask->state, .meta = ask->meta};
    if (presence_tell(worker->presence, &event, now_ms(worker)) != ERR_OK)
        worker_say(worker, "presence_lost", "code=memory");
    arm_presence(worker);
}

static void watch(struct worker *worker, uint32_t peer, const struct link_ask *ask)
{
    struct buf buf;
    buf_init(&buf, LIMIT_PRESENCE_HERE_MAX * (LIMIT_META_BYTES_MAX + 8 * LIMIT_USER_BYTES_MAX) + 4096);
    presence_snapshot(worker->presence, ask->space, now_ms(worker), &buf);
    if (buf_ok(&buf)) send_presence(worker, ask->space, peer, ask->session, buf_span(&buf));
    buf_fini(&buf);
    arm_presence(worker);
}

/* ---- the link's callbacks ---- */

static void take_interest(struct worker *worker, uint32_t peer, struct span space)
{
    struct partition *p = worker_partition(worker, space);
    struct space_state state;
    struct link_tell tell = {.kind = LINK_HEAD, .space = space};
    if (interests_add(&worker->interests, peer, space) != ERR_OK) {
        worker_say(worker, "interest_lost", "code=memory");
        return;
    }
    if (!p->owned || partition_read_begin(p) != ERR_OK) return;
    enum err err = space_state_read(&p->reader, space, &state);
    if (err == ERR_OK) {
        tell.place = state.head;
        worker_send(worker, peer, &tell);
    }
    partition_read_end(p);
    if (err != ERR_OK) partition_fail(p, err, err_text(err));
}

static void tell_outcome(struct worker *worker, uint32_t peer, const struct link_ask *ask)
{
    struct partition *p = worker_partition(worker, ask->space);
    struct owner_out out;
    if (ask->record == NULL || !p->owned || partition_read_begin(p) != ERR_OK) return;
    if (owner_ask(p->owner, &p->reader, blob_span(ask->record), &out) == ERR_OK && out.has_answer)
        partition_answer(p, peer, &out.answer);
    partition_read_end(p);
}

static void relay_signal(struct worker *worker, const struct link_ask *ask)
{
    size_t count;
    const uint32_t *peers = interests_find(&worker->interests, ask->space, &count);
    struct link_tell tell = {.kind = LINK_SIGNAL_FRAME, .space = ask->space, .session = ask->session, .frame = ask->frame};
    for (size_t i = 0; i < count; i++) worker_send(worker, peers[i], &tell);
}

static void on_asked(void *ctx, uint32_t peer, const struct link_ask *ask)
{
    struct worker *worker = ctx;
    if (worker->closing) return;
    switch (ask->kind) {
    case LINK_INTEREST: take_interest(worker, peer, ask->space); return;
    case LINK_UNINTEREST: interests_drop(&worker->interests, peer, ask->space); return;
    case LINK_PULL:
    case LINK_HISTORY:
    case LINK_CONFLICTS:
    case LINK_WHO: pages_ask(worker, peer, ask); return;
    case LINK_OUTCOME: tell_outcome(worker, peer, ask); return;
    case LINK_PRESENCE: note_presence(worker, peer, ask); return;
    case LINK_WATCH: watch(worker, peer, ask); return;
    case LINK_SIGNAL: relay_signal(worker, ask); return;
    }
}

static void on_joined(void *ctx, uint32_t id, struct span name)
{
    struct worker *worker = ctx;
    struct peer *peer = calloc(1, sizeof *peer + name.bytes);
    if (peer == NULL) {
        worker_say(worker, "peer_lost", "peer=%u code=memory", id);
        return;
    }
    memcpy(peer->name, name.at, name.bytes);
    peer->node.key = span_of(peer->name, name.bytes);
    peer->id = id;
    /* A gateway that came again under its name: answers go to the newer connection. */
    struct map_node *older = map_find(&worker->peers, name);
    if (older != NULL) map_take(&worker->peers, older);
    if (!map_put(&worker->peers, &peer->node)) worker_say(worker, "peer_lost", "peer=%u code=memory", id);
    peer->next = worker->peers_first;
    worker->peers_first = peer;
    rules_tell_all(worker, id);
}

static void on_left(void *ctx, uint32_t id)
{
    struct worker *worker = ctx;
    struct peer **at = &worker->peers_first;
    while (*at != NULL && (*at)->id != id) at = &(*at)->next;
    if (*at == NULL) return;
    struct peer *peer = *at;
    *at = peer->next;
    if (map_find(&worker->peers, peer->node.key) == &peer->node) map_take(&worker->peers, &peer->node);
    free(peer);
    interests_drop_peer(&worker->interests, id);
    presence_drop_peer(worker->presence, id, now_ms(worker));
    arm_presence(worker);
}

/* ---- opening and closing ---- */

static void wire(struct worker *worker)
{
    struct log_reader *reader = worker->options.reader;
    struct log_writer *writer = worker->options.rules_writer;
    struct link_owner *link = worker->options.link;
    reader->ctx = writer->ctx = link->ctx = worker;
    worker->host->worker = worker;
    reader->assigned = on_assigned;
    reader->revoked = on_revoked;
    reader->records = on_records;
    reader->failed = on_log_failed;
    writer->acked = rules_acked;
    link->asked = on_asked;
    link->joined = on_joined;
    link->left = on_left;
}

static void dispose(struct worker *worker)
{
    for (uint32_t i = 0; worker->partitions != NULL && i < worker->partitions_count; i++) partition_close(&worker->partitions[i]);
    for (struct peer *peer = worker->peers_first, *next; peer != NULL; peer = next) {
        next = peer->next;
        free(peer);
    }
    map_fini(&worker->peers);
    interests_fini(&worker->interests);
    presence_close(worker->presence);
    rules_fini(worker);
    free(worker->partitions);
    free(worker->data_dir);
    free(worker);
}

enum err worker_open(const struct worker_options *options, struct worker **ret_worker)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) return ERR_MEMORY;
    worker->options = *options;
    worker->host = options->host;
    worker->partitions_count = options->reader->partitions;
    boot_name(worker->boot);
    worker->data_dir = strdup(options->data_dir);
    worker->partitions = calloc(worker->partitions_count, sizeof *worker->partitions);
    worker->told = calloc(LIMIT_NAMESPACES_MAX, sizeof *worker->told);
    enum err err = worker->data_dir == NULL || worker->partitions == NULL || worker->told == NULL ? ERR_MEMORY : ERR_OK;
    if (err == ERR_OK) err = presence_open(&worker->presence);
    if (err != ERR_OK) {
        dispose(worker);
        return err;
    }
    for (uint32_t i = 0; i < worker->partitions_count; i++) {
        worker->partitions[i].worker = worker;
        worker->partitions[i].index = i;
    }
    wire(worker);
    *ret_worker = worker;
    return ERR_OK;
}

void worker_timer(struct worker *worker, enum worker_timer timer)
{
    if (worker->closing) return;
    if (timer == WORKER_TIMER_JOURNAL) partition_journal_tick(worker);
    else if (timer == WORKER_TIMER_PRESENCE) step_presence(worker);
    else if (timer == WORKER_TIMER_ROOM) partition_room_again(worker);
    else rules_retry(worker);
}

static void on_host_closed(void *ctx)
{
    struct worker *worker = ctx;
    void *closed_ctx = worker->closed_ctx;
    void (*closed)(void *) = worker->closed;
    dispose(worker);
    closed(closed_ctx);
}

/* Called when something that was under way is done, until nothing is: a last batch each, then the host. */
void worker_go_on_closing(struct worker *worker)
{
    bool busy = worker->pages_running != 0 || worker->asks_running != 0 || worker->restores_running != 0;
    for (uint32_t i = 0; i < worker->partitions_count; i++) {
        partition_journal_seal(&worker->partitions[i]);
        busy = busy || worker->partitions[i].journaling;
    }
    if (busy || worker->host_closing) return;
    worker->host_closing = true;
    worker->host->ops->close(worker->host, worker, on_host_closed);
}

void worker_close(struct worker *worker, void *ctx, void (*closed)(void *ctx))
{
    struct log_reader *reader = worker->options.reader;
    assert(!worker->closing);
    worker->closing = true;
    worker->closed_ctx = ctx;
    worker->closed = closed;
    for (uint32_t i = 0; i < worker->partitions_count; i++) {
        partition_room_give_up(&worker->partitions[i]);
        partition_disown(&worker->partitions[i]); /* gateways look elsewhere, while what is left is journalled */
        reader->ops->pause(reader, i, true);
    }
    if (worker->options.journal != NULL) worker->options.journal->ops->stop(worker->options.journal); /* what is left is tried once */
    reader->assigned = NULL;
    reader->revoked = NULL;
    reader->failed = NULL;
    worker->options.rules_writer->acked = NULL;
    worker->options.link->asked = NULL;
    worker->options.link->joined = NULL;
    worker->options.link->left = NULL;
    for (int i = 0; i < WORKER_TIMERS; i++) worker->host->ops->disarm(worker->host, (enum worker_timer)i);
    worker_go_on_closing(worker);
}

/* ---- what others see ---- */

/* How far the restores are, in a sentence of the worker's own. */
static const char *say_restores(const struct worker *worker)
{
    char *why = ((union { const struct worker *lent; struct worker *own; }){.lent = worker}).own->why;
    size_t waiting = 0, bytes = 0, room = sizeof worker->why;
    for (uint32_t i = 0; i < worker->partitions_count; i++) {
        const struct partition *p = &worker->partitions[i];
        if (p->state != PARTITION_RESTORING) continue;
        if (!p->restoring) waiting++;
        else if (bytes + 64 < room)
            bytes += (size_t)snprintf(why + bytes, room - bytes, "%s partition %u at %llu of %llu", bytes == 0 ? "restoring from the journal:" : ",", i,
                                      (unsigned long long)p->restore->restore.at, (unsigned long long)p->restore->restore.end);
    }
    if (bytes == 0) snprintf(why, room, "restoring from the journal: %zu partitions wait", waiting);
    return why;
}

bool worker_ready(const struct worker *worker, const char **ret_why)
{
    const char *why = worker->log_failed ? "the log failed" : partition_room_lacks(worker) ? "the disk is full: make room" : NULL;
    for (uint32_t i = 0; why == NULL && i < worker->partitions_count; i++) {
        const struct partition *p = &worker->partitions[i];
        if (p->state == PARTITION_FAILED) why = "a partition failed: see the log";
        else if (p->state == PARTITION_WAITING && !worker->options.shares_partitions) why = "partitions are being opened";
        else if (p->state == PARTITION_RESTORING) why = say_restores(worker);
        else if (p->state == PARTITION_WAITING || p->state == PARTITION_LEAVING) continue;
        else if (owner_next_offset(p->owner) < p->target) why = "partitions are catching up with the log";
        else if (!p->rules_in_force) why = "namespaces are being put in force";
    }
    if (ret_why != NULL) *ret_why = why;
    return why == NULL && !worker->closing;
}

const struct worker_counters *worker_counters(struct worker *worker)
{
    struct worker_counters *counters = &worker->counters;
    counters->pages_running = worker->pages_running;
    counters->interests = worker->interests.spaces.count;
    counters->overlay_bytes = counters->lag = counters->full = 0;
    for (uint32_t i = 0; i < worker->partitions_count; i++) {
        const struct partition *p = &worker->partitions[i];
        uint64_t first, next;
        counters->full += p->full;
        if (p->owner == NULL) continue;
        counters->overlay_bytes += overlay_bytes(p->overlay);
        if (worker->options.reader->ops->range(worker->options.reader, i, &first, &next) == ERR_OK && next > owner_next_offset(p->owner))
            counters->lag += next - owner_next_offset(p->owner);
    }
    return counters;
}
