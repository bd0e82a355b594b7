/* Reading frames: everything that a peer says is checked before it is believed. */
#include "backends/tcp/tcp_codec_parts.h"
#include "core/limits.h"
#include "core/pack.h"

struct reader {
    struct unpack in;
    struct arena *arena;
    struct blob *tail; /* the reader's until the whole is known to be good */
    bool no_memory;
};

static uint64_t get_integer(struct reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = unpack_u64(&r->in, 1);
        if (shift == 63 && byte > 1) break;
        value |= (byte & 127) << shift;
        if (byte < 128) return value;
    }
    r->in.failed = true;
    return 0;
}

/* A byte that is below `most`, else the frame is malformed. */
static unsigned get_byte(struct reader *r, unsigned most)
{
    unsigned byte = (unsigned)unpack_u64(&r->in, 1);
    if (byte < most) return byte;
    r->in.failed = true;
    return 0;
}

static struct span get_text(struct reader *r)
{
    uint64_t bytes = get_integer(r);
    if (bytes > r->in.rest.bytes) r->in.failed = true;
    return unpack_bytes(&r->in, r->in.failed ? 0 : (size_t)bytes);
}

/* Room for a list of as many as it says; each takes at least `least` bytes of what is left. NULL: none, or failed. */
static void *get_list(struct reader *r, size_t least, size_t size, size_t *ret_count)
{
    uint64_t count = get_integer(r);
    *ret_count = 0;
    if (count > r->in.rest.bytes / least) r->in.failed = true;
    if (r->in.failed || count == 0) return NULL;
    void *list = arena_take(r->arena, (size_t)count * size);
    if (list == NULL) r->in.failed = r->no_memory = true;
    else *ret_count = (size_t)count;
    return list;
}

/* The last of the frame; what is left to read ends before it. */
static void get_tail(struct reader *r)
{
    uint64_t length = get_integer(r);
    if (length == 0 || r->in.failed) return;
    if (length - 1 > r->in.rest.bytes) {
        r->in.failed = true;
        return;
    }
    size_t bytes = (size_t)length - 1;
    r->in.rest.bytes -= bytes;
    r->tail = blob_make(span_of(r->in.rest.at + r->in.rest.bytes, bytes));
    if (r->tail == NULL) r->in.failed = r->no_memory = true;
}

static enum err finish(struct reader *r)
{
    if (!r->in.failed && r->in.rest.bytes == 0) return ERR_OK;
    blob_put(r->tail);
    return r->no_memory ? ERR_MEMORY : ERR_INVALID;
}

static void get_run(struct reader *r, struct page_run *ret_run)
{
    unsigned flags = get_byte(r, 16);
    ret_run->from_nothing = flags & RUN_FROM_NOTHING;
    ret_run->has_floor = flags & RUN_HAS_FLOOR;
    ret_run->started = flags & RUN_STARTED;
    ret_run->has_tail = flags & RUN_HAS_TAIL;
    ret_run->place = get_integer(r);
    ret_run->floor = get_integer(r);
    ret_run->run_from = get_integer(r);
    ret_run->tail = get_integer(r);
    uint64_t count = get_integer(r);
    if (count > PAGE_TAILS_MAX) r->in.failed = true;
    for (size_t i = 0; i < count && !r->in.failed; i++) {
        struct span name = get_text(r);
        if (name.bytes > LIMIT_COLLECTION_BYTES_MAX) r->in.failed = true;
        else if (name.bytes > 0) memcpy(ret_run->tails[i].collection, name.at, name.bytes);
        ret_run->tails[i].cut = get_integer(r);
        ret_run->tails_count = i + 1;
    }
}

static void get_waiters(struct reader *r, struct link_ask *ask)
{
    struct page_waiter *waiters = get_list(r, 5, sizeof *waiters, &ask->waiters_count);
    for (size_t i = 0; i < ask->waiters_count; i++) {
        waiters[i].session = get_integer(r);
        waiters[i].user = get_text(r);
        waiters[i].device = get_text(r);
        waiters[i].known = get_integer(r);
        waiters[i].granted = get_byte(r, ROLE_OWNER + 1);
    }
    ask->waiters = waiters;
}

enum err tcp_codec_read_ask(struct span fields, struct arena *arena, struct link_ask *ret_ask)
{
    struct reader r = {.in = {.rest = fields}, .arena = arena};
    struct link_ask ask = {.kind = get_byte(&r, ASK_KINDS)};
    unsigned groups = ask_groups[ask.kind];
    get_tail(&r);
    ask.space = get_text(&r);
    if (ask.space.bytes > LIMIT_SPACE_BYTES_MAX) r.in.failed = true;
    if (groups & ASK_TAG) ask.tag = get_integer(&r);
    if (groups & ASK_RUN) {
        get_run(&r, &ask.run);
        ask.docs_max = (size_t)get_integer(&r);
        ask.parts_only = get_byte(&r, 2);
    }
    if (groups & (ASK_RUN | ASK_HISTORY)) ask.collection = get_text(&r);
    if (groups & ASK_HISTORY) {
        ask.before = get_integer(&r);
        ask.limit = get_integer(&r);
    }
    if (groups & ASK_WAITERS) get_waiters(&r, &ask);
    if (groups & ASK_SESSION) ask.session = get_integer(&r);
    if (groups & ASK_WHOM) {
        ask.user = get_text(&r);
        ask.device = get_text(&r);
        ask.state = get_byte(&r, PRESENCE_ONLINE + 1);
        ask.meta = get_text(&r);
    }
    if ((r.tail != NULL) != ((groups & (ASK_RECORD | ASK_FRAME)) != 0)) r.in.failed = true;
    enum err err = finish(&r);
    if (err != ERR_OK) return err;
    if (groups & ASK_RECORD) ask.record = r.tail;
    else ask.frame = r.tail;
    *ret_ask = ask;
    return ERR_OK;
}

static struct span get_page_text(struct reader *r)
{
    uint64_t head = get_integer(r), bytes = head >> 1;
    if ((head & 1) == 0) {
        if (bytes > r->in.rest.bytes) r->in.failed = true;
        return unpack_bytes(&r->in, r->in.failed ? 0 : (size_t)bytes);
    }
    uint64_t at = get_integer(r), room = r->tail == NULL ? 0 : r->tail->bytes;
    if (r->in.failed || r->tail == NULL || at > room || bytes > room - at) {
        r->in.failed = true;
        return span_of(NULL, 0);
    }
    return span_of(r->tail->text + at, (size_t)bytes);
}

static void get_parts(struct reader *r, struct page *page)
{
    page->parts = get_list(r, 6, sizeof *page->parts, &page->parts_count);
    for (size_t i = 0; i < page->parts_count; i++) {
        struct page_part *part = &page->parts[i];
        part->session = get_integer(r);
        part->role = get_byte(r, ROLE_OWNER + 1);
        part->may_found = get_byte(r, 2);
        part->pushed = get_integer(r);
        part->refused_count = get_integer(r);
        part->refused = get_page_text(r);
    }
}

static const struct page *get_page(struct reader *r)
{
    struct page *page = arena_take(r->arena, sizeof *page);
    if (page == NULL) {
        r->in.failed = r->no_memory = true;
        return NULL;
    }
    unsigned flags = get_byte(r, 32);
    page->reset = flags & PAGE_RESET;
    page->from_null = flags & PAGE_FROM_NULL;
    page->from_has_floor = flags & PAGE_FROM_HAS_FLOOR;
    page->to_has_floor = flags & PAGE_TO_HAS_FLOOR;
    page->more = flags & PAGE_MORE;
    page->from = get_integer(r);
    page->from_floor = get_integer(r);
    page->to = get_integer(r);
    page->to_floor = get_integer(r);
    page->head = get_integer(r);
    page->docs_count = (size_t)get_integer(r);
    page->window_s = get_integer(r);
    page->docs = get_page_text(r);
    page->tail = get_page_text(r);
    page->sum = get_page_text(r);
    get_run(r, &page->next);
    get_parts(r, page);
    return page;
}

static void get_update(struct reader *r, struct link_tell *tell)
{
    tell->prev = get_integer(r);
    tell->rev = get_integer(r);
    tell->push = get_integer(r);
    tell->recheck_all = get_byte(r, 2);
    struct span *removed = get_list(r, 1, sizeof *removed, &tell->removed_count);
    for (size_t i = 0; i < tell->removed_count; i++) removed[i] = get_text(r);
    tell->removed = removed;
}

static void get_answer(struct reader *r, struct link_tell *tell)
{
    tell->id = get_integer(r);
    unsigned flags = get_byte(r, 4);
    tell->is_error = flags & 1;
    tell->with_update = flags & 2;
    tell->code = get_byte(r, ERR_COUNT);
}

enum err tcp_codec_read_tell(struct span fields, struct arena *arena, struct link_tell *ret_tell)
{
    struct reader r = {.in = {.rest = fields}, .arena = arena};
    struct link_tell tell = {.kind = get_byte(&r, TELL_KINDS)};
    unsigned groups = tell_groups[tell.kind];
    get_tail(&r);
    tell.space = get_text(&r);
    if (tell.space.bytes > LIMIT_SPACE_BYTES_MAX) r.in.failed = true;
    if (groups & TELL_RULES) {
        tell.version = get_integer(&r);
        tell.presence = get_byte(&r, 2);
    }
    if (groups & TELL_PLACE) tell.place = get_integer(&r);
    if (groups & TELL_UPDATE) get_update(&r, &tell);
    if (groups & TELL_WHOM) {
        tell.user = get_text(&r);
        tell.device = get_text(&r);
    }
    if (groups & TELL_SESSION) tell.session = get_integer(&r);
    if (groups & TELL_ANSWER) get_answer(&r, &tell);
    if (groups & TELL_TAG) {
        tell.tag = get_integer(&r);
        tell.err = get_byte(&r, ERR_COUNT);
    }
    if (groups & TELL_PAGE && get_byte(&r, 2) == 1) tell.page = get_page(&r);
    if (groups & TELL_BODY) {
        tell.at = get_integer(&r);
        tell.more = get_byte(&r, 2);
    }
    if (groups & TELL_PAGE && (tell.page != NULL) != (tell.err == ERR_OK)) r.in.failed = true;
    if (groups & TELL_FRAME && tell.err == ERR_OK && r.tail == NULL) r.in.failed = true;
    enum err err = finish(&r);
    if (err != ERR_OK) return err;
    tell.frame = r.tail;
    *ret_tell = tell;
    return ERR_OK;
}

enum err tcp_codec_read_owns(struct span fields, uint32_t *ret_partition, bool *ret_owned)
{
    struct reader r = {.in = {.rest = fields}};
    uint64_t partition = get_integer(&r);
    bool owned = get_byte(&r, 2);
    if (r.in.failed || r.in.rest.bytes != 0 || partition > UINT32_MAX) return ERR_INVALID;
    *ret_partition = (uint32_t)partition;
    *ret_owned = owned;
    return ERR_OK;
}
