#include "backends/tcp/tcp_codec.h"

#include "backends/tcp/tcp_codec_parts.h"
#include "core/limits.h"
#include "core/pack.h"

/* Whoever gives a message a field more meets this: it has to go over the wire, by its kind's row, in a new TCP_VERSION. */
_Static_assert(sizeof(void *) != 8 || (sizeof(struct link_ask) == 1776 && sizeof(struct link_tell) == 200 && sizeof(struct page) == 1752 &&
                                       sizeof(struct page_part) == 48 && sizeof(struct page_run) == 1600 && sizeof(struct page_waiter) == 56),
               "a message of the links has changed");

static void add_integer(struct buf *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t count = 0;
    for (; value >= 128; value >>= 7) bytes[count++] = (unsigned char)(value | 128);
    bytes[count++] = (unsigned char)value;
    buf_add(out, bytes, count);
}

static void add_byte(struct buf *out, unsigned byte) { buf_add_char(out, (char)(unsigned char)byte); }

static void add_text(struct buf *out, struct span text)
{
    add_integer(out, text.bytes);
    buf_add_span(out, text);
}

/* Where the count goes that end_frame() fills in. */
static size_t begin_frame(struct buf *out, enum tcp_frame kind)
{
    size_t at = out->bytes;
    pack_u64(out, 0, 4);
    add_byte(out, kind);
    return at;
}

static void end_frame(struct buf *out, size_t at, size_t tail_bytes)
{
    if (!buf_ok(out)) return;
    uint64_t bytes = out->bytes - at - 4 + tail_bytes;
    for (size_t i = 0; i < 4; i++) out->at[at + i] = (char)(unsigned char)(bytes >> (8 * i) & 0xff);
}

void tcp_codec_frame(struct buf *out, enum tcp_frame kind, struct span fields)
{
    size_t at = begin_frame(out, kind);
    buf_add_span(out, fields);
    end_frame(out, at, 0);
}

void tcp_codec_owns(struct buf *out, uint32_t partition, bool owned)
{
    size_t at = begin_frame(out, TCP_OWNS);
    add_integer(out, partition);
    add_byte(out, owned);
    end_frame(out, at, 0);
}

static void add_tail_length(struct buf *out, const struct blob *tail) { add_integer(out, tail == NULL ? 0 : tail->bytes + 1); }

static void add_run(struct buf *out, const struct page_run *run)
{
    add_byte(out, (run->from_nothing ? RUN_FROM_NOTHING : 0u) | (run->has_floor ? RUN_HAS_FLOOR : 0u) | (run->started ? RUN_STARTED : 0u) |
                      (run->has_tail ? RUN_HAS_TAIL : 0u));
    add_integer(out, run->place);
    add_integer(out, run->floor);
    add_integer(out, run->run_from);
    add_integer(out, run->tail);
    add_integer(out, run->tails_count);
    for (size_t i = 0; i < run->tails_count; i++) {
        add_text(out, span_text(run->tails[i].collection));
        add_integer(out, run->tails[i].cut);
    }
}

static void add_waiters(struct buf *out, const struct page_waiter *waiters, size_t count)
{
    add_integer(out, count);
    for (size_t i = 0; i < count; i++) {
        add_integer(out, waiters[i].session);
        add_text(out, waiters[i].user);
        add_text(out, waiters[i].device);
        add_integer(out, waiters[i].known);
        add_byte(out, waiters[i].granted);
    }
}

void tcp_codec_ask(struct buf *out, const struct link_ask *ask, struct blob **ret_tail)
{
    unsigned groups = ask_groups[ask->kind];
    struct blob *tail = groups & ASK_RECORD ? ask->record : groups & ASK_FRAME ? ask->frame : NULL;
    size_t at = begin_frame(out, TCP_ASK);
    add_byte(out, ask->kind);
    add_tail_length(out, tail);
    add_text(out, ask->space);
    if (groups & ASK_TAG) add_integer(out, ask->tag);
    if (groups & ASK_RUN) {
        add_run(out, &ask->run);
        add_integer(out, ask->docs_max);
        add_byte(out, ask->parts_only);
    }
    if (groups & (ASK_RUN | ASK_HISTORY)) add_text(out, ask->collection);
    if (groups & ASK_HISTORY) {
        add_integer(out, ask->before);
        add_integer(out, ask->limit);
    }
    if (groups & ASK_WAITERS) add_waiters(out, ask->waiters, ask->waiters_count);
    if (groups & ASK_SESSION) add_integer(out, ask->session);
    if (groups & ASK_WHOM) {
        add_text(out, ask->user);
        add_text(out, ask->device);
        add_byte(out, ask->state);
        add_text(out, ask->meta);
    }
    end_frame(out, at, tail == NULL ? 0 : tail->bytes);
    *ret_tail = tail;
}

/* Twice its length and, as the last bit, whether it stands in the tail: then its place there follows, else its bytes. */
static void add_page_text(struct buf *out, struct span text, const struct blob *tail)
{
    bool inside = tail != NULL && text.bytes > 0 && text.at >= tail->text && text.at + text.bytes <= tail->text + tail->bytes;
    add_integer(out, (uint64_t)text.bytes << 1 | inside);
    if (inside) add_integer(out, (uint64_t)(text.at - tail->text));
    else buf_add_span(out, text);
}

static void add_page(struct buf *out, const struct page *page, const struct blob *tail)
{
    add_byte(out, (page->reset ? PAGE_RESET : 0u) | (page->from_null ? PAGE_FROM_NULL : 0u) | (page->from_has_floor ? PAGE_FROM_HAS_FLOOR : 0u) |
                      (page->to_has_floor ? PAGE_TO_HAS_FLOOR : 0u) | (page->more ? PAGE_MORE : 0u));
    add_integer(out, page->from);
    add_integer(out, page->from_floor);
    add_integer(out, page->to);
    add_integer(out, page->to_floor);
    add_integer(out, page->head);
    add_integer(out, page->docs_count);
    add_integer(out, page->window_s);
    add_page_text(out, page->docs, tail);
    add_page_text(out, page->tail, tail);
    add_page_text(out, page->sum, tail);
    add_run(out, &page->next);
    add_integer(out, page->parts_count);
    for (size_t i = 0; i < page->parts_count; i++) {
        const struct page_part *part = &page->parts[i];
        add_integer(out, part->session);
        add_byte(out, part->role);
        add_byte(out, part->may_found);
        add_integer(out, part->pushed);
        add_integer(out, part->refused_count);
        add_page_text(out, part->refused, tail);
    }
}

static void add_update(struct buf *out, const struct link_tell *tell)
{
    add_integer(out, tell->prev);
    add_integer(out, tell->rev);
    add_integer(out, tell->push);
    add_byte(out, tell->recheck_all);
    add_integer(out, tell->removed_count);
    for (size_t i = 0; i < tell->removed_count; i++) add_text(out, tell->removed[i]);
}

void tcp_codec_tell(struct buf *out, const struct link_tell *tell, struct blob **ret_tail)
{
    unsigned groups = tell_groups[tell->kind];
    size_t at = begin_frame(out, TCP_TELL);
    add_byte(out, tell->kind);
    add_tail_length(out, tell->frame);
    add_text(out, tell->space);
    if (groups & TELL_RULES) {
        add_integer(out, tell->version);
        add_byte(out, tell->presence);
    }
    if (groups & TELL_PLACE) add_integer(out, tell->place);
    if (groups & TELL_UPDATE) add_update(out, tell);
    if (groups & TELL_WHOM) {
        add_text(out, tell->user);
        add_text(out, tell->device);
    }
    if (groups & TELL_SESSION) add_integer(out, tell->session);
    if (groups & TELL_ANSWER) {
        add_integer(out, tell->id);
        add_byte(out, (tell->is_error ? 1u : 0u) | (tell->with_update ? 2u : 0u));
        add_byte(out, tell->code);
    }
    if (groups & TELL_TAG) {
        add_integer(out, tell->tag);
        add_byte(out, tell->err);
    }
    if (groups & TELL_PAGE) {
        add_byte(out, tell->page != NULL);
        if (tell->page != NULL) add_page(out, tell->page, tell->frame);
    }
    if (groups & TELL_BODY) {
        add_integer(out, tell->at);
        add_byte(out, tell->more);
    }
    end_frame(out, at, tell->frame == NULL ? 0 : tell->frame->bytes);
    *ret_tail = tell->frame;
}
