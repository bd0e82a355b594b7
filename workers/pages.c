/* What gateways ask for and snapshots answer: pages, history, conflicts, members. Made on other threads (host.h), told on the loop.
 *
 * A job holds everything that the other thread reads: its own copy of the question, a patch, the rules' set. One read
 * transaction a page. The answer's text is one blob; it reaches the loop with a single reference. */
#include <stdlib.h>

#include "core/arena.h"
#include "core/name.h"
#include "core/space_state.h"
#include "workers/snapshot.h"
#include "workers/worker_parts.h"

enum { TEXT_BYTES_MAX = 33554432, ARENA_BYTES_MAX = 67108864 };

struct page_job {
    struct worker_job job; /* first */
    struct partition *p;           /* the loop's */
    struct store *store;
    uint32_t peer;
    enum link_ask_kind kind;
    uint64_t tag, before, limit;
    struct page_request request;   /* its spans point behind the struct */
    struct patch *patch;
    struct rules *rules;
    /* the answer */
    enum err err;
    struct arena arena;
    struct buf text;
    struct page page;
    uint64_t at;
    bool more;
    struct blob *blob;
    char bytes[];                  /* waiters, then texts */
};

static bool is_page(enum link_ask_kind kind) { return kind == LINK_PULL; }

void pages_refuse(struct worker *worker, uint32_t peer, const struct link_ask *ask, enum err err)
{
    struct link_tell tell = {.kind = is_page(ask->kind) ? LINK_PAGE : LINK_BODY, .space = ask->space, .tag = ask->tag, .err = err};
    worker->counters.pages_failed++;
    worker_send(worker, peer, &tell);
}

/* ---- on another thread ---- */

static void make_page(struct page_job *job, const struct state_reader *reader)
{
    job->err = page_make(&job->request, reader, &job->arena, &job->text, &job->page);
    job->at = job->page.head;
}

static void make_history(struct page_job *job, const struct state_reader *reader)
{
    struct page_history_request request = {.space = job->request.space, .ns = job->request.ns, .clock_ms = job->request.clock_ms,
                                           .collection = job->request.collection, .before = job->before,
                                           .limit = job->limit < LIMIT_HISTORY_MAX ? (size_t)job->limit : LIMIT_HISTORY_MAX,
                                           .waiter = job->request.waiters[0]};
    struct page_history history = {0};
    job->err = page_history(&request, reader, &job->arena, &job->text, &history);
    if (job->err != ERR_OK) return;
    job->err = history.role == ROLE_NONE && !history.may_found ? ERR_FORBIDDEN : history.err;
    job->at = history.at;
    job->more = history.more;
    /* The whole text is the answer. */
    if (job->err == ERR_OK) {
        job->blob = blob_make(history.docs);
        if (job->blob == NULL) job->err = ERR_MEMORY;
    }
}

static void make_body(struct page_job *job, const struct state_reader *reader)
{
    enum role role = ROLE_NONE;
    job->err = job->kind == LINK_CONFLICTS ? page_conflicts(&job->request, reader, &job->arena, &job->text, &role)
                                           : page_members(&job->request, reader, &job->arena, &job->text, &role);
    if (job->err == ERR_OK && role == ROLE_NONE) job->err = ERR_FORBIDDEN;
    if (job->err != ERR_OK) return;
    job->blob = blob_make(buf_span(&job->text));
    if (job->blob == NULL) job->err = ERR_MEMORY;
}

static void move_into(const struct buf *text, const struct blob *blob, struct span *span)
{
    if (span->at == NULL || span->at < text->at || span->at + span->bytes > text->at + text->bytes) return;
    span->at = blob->text + (span->at - text->at);
}

/* The link passes spans that stand in the blob on without a copy. */
static void make_blob(struct page_job *job)
{
    job->blob = blob_make(buf_span(&job->text));
    if (job->blob == NULL) {
        job->err = ERR_MEMORY;
        return;
    }
    move_into(&job->text, job->blob, &job->page.docs);
    move_into(&job->text, job->blob, &job->page.tail);
    move_into(&job->text, job->blob, &job->page.sum);
    for (size_t i = 0; i < job->page.parts_count; i++) move_into(&job->text, job->blob, &job->page.parts[i].refused);
}

static void run(struct worker_job *work)
{
    struct page_job *job = (struct page_job *)(void *)work;
    struct snapshot snapshot = {0};
    arena_init(&job->arena, ARENA_BYTES_MAX);
    buf_init(&job->text, TEXT_BYTES_MAX);
    job->err = snapshot_open(&snapshot, job->store, job->patch);
    if (job->err != ERR_OK) return;
    if (job->kind == LINK_PULL) make_page(job, &snapshot.reader);
    else if (job->kind == LINK_HISTORY) make_history(job, &snapshot.reader);
    else make_body(job, &snapshot.reader);
    if (job->err == ERR_OK && job->kind == LINK_PULL) make_blob(job);
    snapshot_close(&snapshot);
    buf_fini(&job->text);
}

/* ---- on the loop ---- */

static void tell(struct page_job *job)
{
    struct worker *worker = job->p->worker;
    struct link_tell tell_of = {.kind = is_page(job->kind) ? LINK_PAGE : LINK_BODY, .space = job->request.space, .tag = job->tag,
                                .err = job->err, .at = job->at, .more = job->more};
    if (job->err == ERR_OK && job->kind == LINK_WHO) {
        who_answer(worker, job->peer, job->tag, job->request.space, blob_span(job->blob));
        return;
    }
    if (job->err == ERR_OK) {
        tell_of.frame = job->blob;
        if (is_page(job->kind)) tell_of.page = &job->page;
    } else if (err_kind(job->err) == ERR_KIND_FATAL) {
        worker_say(worker, "page_failed", "code=%s", err_name(job->err));
        tell_of.err = ERR_INTERNAL;
    }
    worker_send(worker, job->peer, &tell_of);
}

static void on_made(struct worker_job *work)
{
    struct page_job *job = (struct page_job *)(void *)work;
    struct partition *p = job->p;
    struct worker *worker = p->worker;
    p->pages_running--;
    worker->pages_running--;
    worker->counters.pages++;
    if (job->err != ERR_OK) worker->counters.pages_failed++;
    if (!worker->closing && worker_peer(worker, job->peer) != NULL) tell(job);
    patch_put(job->patch);
    rules_put(job->rules);
    blob_put(job->blob);
    arena_fini(&job->arena);
    buf_fini(&job->text);
    free(job);
    if (worker->closing) worker_go_on_closing(worker);
    else partition_go_on_leaving(p);
}

static struct span copy(char **at, struct span span)
{
    struct span copied = span_of(*at, span.bytes);
    if (span.bytes != 0) memcpy(*at, span.at, span.bytes);
    *at += span.bytes;
    return copied;
}

static struct page_job *make_job(const struct link_ask *ask)
{
    size_t texts = ask->space.bytes + ask->collection.bytes, waiters_bytes = ask->waiters_count * sizeof *ask->waiters;
    for (size_t i = 0; i < ask->waiters_count; i++) texts += ask->waiters[i].user.bytes + ask->waiters[i].device.bytes;
    struct page_job *job = calloc(1, sizeof *job + waiters_bytes + texts);
    if (job == NULL) return NULL;
    struct page_waiter *waiters = (struct page_waiter *)(void *)job->bytes;
    char *at = job->bytes + waiters_bytes;
    for (size_t i = 0; i < ask->waiters_count; i++) {
        waiters[i] = ask->waiters[i];
        waiters[i].user = copy(&at, ask->waiters[i].user);
        waiters[i].device = copy(&at, ask->waiters[i].device);
    }
    job->kind = ask->kind;
    job->tag = ask->tag;
    job->before = ask->before;
    job->limit = ask->limit;
    job->request = (struct page_request){.run = ask->run, .docs_max = ask->docs_max, .parts_only = ask->parts_only,
                                         .waiters_count = ask->waiters_count, .waiters = waiters};
    job->request.space = copy(&at, ask->space);
    job->request.collection = copy(&at, ask->collection);
    return job;
}

/* The patch of a space, kept as long as nothing is written: many who open at once share it. */
static enum err find_patch(struct partition *p, struct span space, struct patch **ret_patch)
{
    struct space_state state;
    if (p->patch != NULL && p->patch_writes == overlay_writes(p->overlay) &&
        span_equal(space, span_of(p->patch_space, p->patch_space_bytes)) && p->patch->next_offset == owner_next_offset(p->owner)) {
        p->patch->refs++;
        *ret_patch = p->patch;
        return ERR_OK;
    }
    enum err err = partition_read_begin(p);
    if (err != ERR_OK) return err;
    err = space_state_read(&p->reader, space, &state);
    partition_read_end(p);
    struct patch *patch = NULL;
    if (err == ERR_OK) err = patch_make(p->overlay, space, state.sid, owner_next_offset(p->owner), &patch);
    if (err != ERR_OK) return err;
    patch_put(p->patch);
    p->patch = patch;
    p->patch_writes = overlay_writes(p->overlay);
    p->patch_space_bytes = space.bytes;
    memcpy(p->patch_space, space.at, space.bytes);
    patch->refs++;
    *ret_patch = patch;
    return ERR_OK;
}

/* What an earlier owner has told may be past what this one knows: an answer made now could take back documents, or access. A place that
 * the log holds and this owner has not come to is the same, and can come later (the earlier one had not heard that it is over). A place
 * that the log does not hold either is nobody's. */
static bool is_behind(const struct partition *p, const struct link_ask *ask)
{
    struct log_reader *reader = p->worker->options.reader;
    uint64_t first, next;
    if (owner_next_offset(p->owner) < p->target) return true;
    if (ask->kind != LINK_PULL || ask->run.from_nothing || ask->run.place <= owner_next_offset(p->owner)) return false;
    return reader->ops->range(reader, p->index, &first, &next) == ERR_OK && ask->run.place <= next;
}

static enum err submit(struct partition *p, uint32_t peer, const struct link_ask *ask)
{
    struct worker *worker = p->worker;
    const struct namespace *ns = namespace_find(&p->rules->set, name_namespace(ask->space));
    if (is_behind(p, ask)) return ERR_BUSY;
    if (ns == NULL) return ERR_UNKNOWN_SPACE;
    if (worker->pages_running >= PAGES_RUNNING_MAX) return ERR_BUSY;
    struct page_job *job = make_job(ask);
    if (job == NULL) return ERR_BUSY;
    if (find_patch(p, ask->space, &job->patch) != ERR_OK) {
        free(job);
        return ERR_INTERNAL;
    }
    job->job = (struct worker_job){.run = run, .done = on_made};
    job->p = p;
    job->store = p->store;
    job->peer = peer;
    job->request.ns = ns;
    job->request.log = span_text(worker->options.reader->name);
    job->request.clock_ms = owner_clock_ms(p->owner);
    job->rules = p->rules;
    p->rules->refs++;
    worker->pages_running++;
    p->pages_running++;
    worker->host->ops->work(worker->host, WORKER_LANE_PAGES, &job->job);
    return ERR_OK;
}

void pages_ask(struct worker *worker, uint32_t peer, const struct link_ask *ask)
{
    struct partition *p = worker_partition(worker, ask->space);
    bool known = ask->space.bytes <= LIMIT_SPACE_BYTES_MAX && (ask->kind == LINK_PULL || ask->waiters_count > 0);
    enum err err = !known ? ERR_INVALID : p->owned && p->state == PARTITION_RUNNING && !worker->closing ? submit(p, peer, ask) : ERR_BUSY;
    if (err != ERR_OK) pages_refuse(worker, peer, ask, err);
}
