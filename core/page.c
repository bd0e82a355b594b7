#include "core/page.h"

#include <assert.h>

#include "core/doc.h"
#include "core/page_parts.h"
#include "core/state_key.h"

enum {
    ENTRIES_MAX = 20000,  /* index entries looked at for one page: one that leaves many out ends early */
    TAIL_MAX = 10000      /* a larger `tail` counts as this */
};

/* A page under construction. */
struct making {
    const struct page_request *request;
    const struct state_reader *reader;
    struct arena *arena;
    struct buf *text;
    struct space_state space;
    struct page_run run;
    size_t docs_count;
    bool left_out;     /* the tail left something out of this page */
    uint64_t reached;  /* every entry up to this rev was looked at */
    bool at_end;
};

/* Decides where the run stands: goes on, or starts from nothing because its place is unknown or too old. */
static void settle_run(struct making *m)
{
    struct page_run *run = &m->run;
    uint64_t head = m->space.head, held = run->has_floor ? run->floor : run->place;
    if (!run->from_nothing && (run->place > head || held > head || held < m->space.horizon)) {
        *run = (struct page_run){.from_nothing = true, .tail = run->tail, .has_tail = run->has_tail};
    }
    if (run->started) return;
    if (run->from_nothing) {
        run->place = 0;
        run->has_floor = true;
        run->floor = head;
    }
    run->run_from = run->place;
}

/* The cut of one append collection: the place of birth of its n-th newest live document born after run_from. */
static enum err find_cut(struct making *m, const struct collection *collection, uint64_t *ret_cut)
{
    struct state_key from;
    struct span key, value, id, name = span_text(collection->name);
    uint64_t count = 0, cut = 0, born;
    state_key_born(&from, m->space.sid, name, UINT64_MAX, SPAN_LITERAL(""));
    *ret_cut = 0;
    for (;;) {
        enum err err = m->reader->seek(m->reader->ctx, STATE_BORN, state_key_span(&from), true, &key, &value);
        if (err != ERR_OK) return err;
        if (key.at == NULL || !state_key_parse_born(key, m->space.sid, name, &born, &id) || born <= m->run.run_from) return ERR_OK;
        if (m->run.tail == 0) {
            *ret_cut = born + 1; /* none at all */
            return ERR_OK;
        }
        if (count >= m->run.tail && born < cut) {
            *ret_cut = cut; /* there is an older one to leave out */
            return ERR_OK;
        }
        cut = born;
        count++;
        state_key_born(&from, m->space.sid, name, born, id);
    }
}

static enum err find_cuts(struct making *m)
{
    if (m->run.tail > TAIL_MAX) m->run.tail = TAIL_MAX;
    if (m->run.started || !m->run.has_tail || m->space.sid == 0) return ERR_OK;
    m->run.tails_count = 0;
    for (size_t i = 0; i < m->request->ns->collections_count; i++) {
        const struct collection *collection = &m->request->ns->collections[i];
        uint64_t cut;
        if (collection->policy != POLICY_APPEND || m->run.tails_count == PAGE_TAILS_MAX) continue;
        enum err err = find_cut(m, collection, &cut);
        if (err != ERR_OK) return err;
        if (cut == 0) continue;
        struct page_tail *tail = &m->run.tails[m->run.tails_count++];
        memcpy(tail->collection, collection->name, sizeof tail->collection);
        tail->cut = cut;
    }
    return ERR_OK;
}

static bool is_cut_off(const struct making *m, struct span collection, const struct doc *doc)
{
    if (doc->deleted || doc->born <= m->run.run_from) return false;
    for (size_t i = 0; i < m->run.tails_count; i++)
        if (span_is(collection, m->run.tails[i].collection)) return doc->born < m->run.tails[i].cut;
    return false;
}

static enum err add_doc(struct making *m, struct span collection, struct span id)
{
    struct state_key key;
    struct span stored;
    struct doc doc;
    const struct page_request *request = m->request;
    if (request->collection.bytes > 0 && !span_equal(request->collection, collection)) return ERR_OK;
    state_key_doc(&key, m->space.sid, collection, id);
    enum err err = m->reader->get(m->reader->ctx, STATE_DOC, state_key_span(&key), &stored);
    if (err != ERR_OK) return err;
    if (stored.at == NULL) return ERR_CORRUPT;
    err = doc_decode(stored, m->arena, &doc);
    if (err != ERR_OK) return err;
    if (doc.deleted && m->run.has_floor && doc.rev <= m->run.floor) return ERR_OK; /* never named in this run: nothing to take back */
    if (is_cut_off(m, collection, &doc)) {
        m->left_out = true;
        return ERR_OK;
    }
    const struct collection *rules = namespace_collection(request->ns, collection);
    if (m->docs_count++ > 0) buf_add_char(m->text, ',');
    doc_render(m->text, collection, id, &doc, rules != NULL && rules->policy == POLICY_APPEND);
    return ERR_OK;
}

static bool is_full(const struct making *m)
{
    return m->text->bytes >= LIMIT_PAGE_BYTES || (m->request->docs_max > 0 && m->docs_count >= m->request->docs_max);
}

/* Walks (space, rev) from the run's place; stops between two revs, never within one. */
static enum err add_docs(struct making *m)
{
    struct state_key from;
    uint64_t rev, last = m->run.place;
    m->reached = m->run.place;
    state_key_rev_from(&from, m->space.sid, m->run.place + 1);
    for (size_t entries = 0;; entries++) {
        struct span key, value, collection, id;
        enum err err = m->reader->seek(m->reader->ctx, STATE_BYREV, state_key_span(&from), false, &key, &value);
        if (err != ERR_OK) return err;
        bool ours = key.at != NULL && state_key_parse_rev(key, m->space.sid, &rev, &collection, &id);
        if (!ours) {
            m->at_end = true;
            m->reached = m->space.head;
            return ERR_OK;
        }
        if (rev != last && (is_full(m) || entries >= ENTRIES_MAX)) {
            m->reached = last;
            return ERR_OK;
        }
        last = rev;
        err = add_doc(m, collection, id);
        if (err != ERR_OK) return err;
        state_key_rev(&from, m->space.sid, rev, collection, id);
        assert(from.bytes < STATE_KEY_BYTES_MAX);
        from.at[from.bytes++] = '\0'; /* the least key past this one */
    }
}

static void add_tail(struct making *m)
{
    bool first = true;
    buf_add_char(m->text, '{');
    for (size_t i = 0; i < m->run.tails_count; i++) {
        if (!first) buf_add_char(m->text, ',');
        first = false;
        buf_add_json_string(m->text, span_text(m->run.tails[i].collection));
        buf_add_char(m->text, ':');
        buf_add_u64(m->text, m->run.tails[i].cut);
    }
    buf_add_char(m->text, '}');
}

/* Where the page ends, and what its successor starts from. */
static void conclude(const struct making *m, struct page *page)
{
    const struct page_run *run = &m->run;
    page->reset = run->from_nothing || run->has_floor;
    page->from_null = run->from_nothing && !run->started;
    page->from = run->place;
    page->from_has_floor = run->has_floor && !page->from_null;
    page->from_floor = run->floor;
    page->more = !m->at_end;
    page->to = m->reached;
    page->to_has_floor = run->has_floor && page->more;
    page->to_floor = run->floor;
    page->next = *run;
    page->next.started = true;
    page->next.from_nothing = false;
    page->next.place = m->reached;
}

/* Anything to show, to anybody? Else the documents are not even read. */
static bool anyone_reads(const struct page *page)
{
    for (size_t i = 0; i < page->parts_count; i++)
        if (page->parts[i].role != ROLE_NONE || page->parts[i].may_found) return true;
    return page->parts_count == 0;
}

enum err page_make(const struct page_request *request, const struct state_reader *reader, struct arena *arena,
                   struct buf *text, struct page *ret_page)
{
    struct making m = {.request = request, .reader = reader, .arena = arena, .text = text, .run = request->run};
    struct page page = {.window_s = (uint64_t)(request->ns->window_ms / 1000)};
    enum err err = space_state_read(reader, request->space, &m.space);
    if (err != ERR_OK) return err;
    page.head = m.space.head;
    settle_run(&m);
    buf_reset(text);
    err = page_parts_make(request, &m.space, reader, arena, text, &page);
    if (err != ERR_OK) return err;
    size_t docs_at = text->bytes, tail_at, sum_at;
    buf_add_char(text, '[');
    if (request->parts_only || !anyone_reads(&page) || m.space.sid == 0) {
        m.at_end = true;
        m.reached = m.space.head;
    } else {
        err = find_cuts(&m);
        if (err == ERR_OK) err = add_docs(&m);
        if (err != ERR_OK) return err;
    }
    buf_add_char(text, ']');
    tail_at = text->bytes;
    /* On the first page for the whole run: what it leaves out may lie at the place of a later page. */
    if (m.run.tails_count > 0 && (m.left_out || !m.run.started)) add_tail(&m);
    sum_at = text->bytes;
    if (m.at_end) space_state_render_sums(&m.space, text);
    if (!buf_ok(text)) return ERR_MEMORY;
    page.docs_count = m.docs_count;
    page.docs = span_of(text->at + docs_at, tail_at - docs_at);
    page.tail = span_of(text->at + tail_at, sum_at - tail_at);
    page.sum = span_of(text->at + sum_at, text->bytes - sum_at);
    page_parts_place(text, &page);
    conclude(&m, &page);
    *ret_page = page;
    return ERR_OK;
}
