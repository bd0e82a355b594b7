#include "core/page_parts.h"

#include "core/device_entry.h"
#include "core/facts.h"
#include "core/state_key.h"

enum err page_parts_role(const struct namespace *ns, const struct space_state *space, struct span name,
                         const struct page_waiter *waiter, const struct state_reader *reader, struct arena *arena,
                         enum role *ret_role, bool *ret_may_found)
{
    struct access_facts facts;
    enum err err = facts_gather(reader, ns, space, name, waiter->user, waiter->granted, arena, &facts);
    if (err != ERR_OK) return err;
    *ret_role = access_role(ns, &facts);
    *ret_may_found = access_may_found(ns, &facts);
    return ERR_OK;
}

/* The parts lie one behind the other at the start of the text, in the waiters' order. */
static enum err make_own(const struct page_request *request, const struct space_state *space, const struct page_waiter *waiter,
                         const struct state_reader *reader, struct buf *text, struct page_part *part)
{
    struct state_key key;
    struct span stored = {NULL, 0};
    struct device_entry entry = {0};
    size_t start = text->bytes;
    buf_add_char(text, '[');
    /* Who could found the space may have outcomes here already: barriers, refusals. */
    if (space->sid != 0 && waiter->device.bytes > 0 && (part->role != ROLE_NONE || part->may_found)) {
        state_key_device(&key, space->sid, waiter->user, waiter->device);
        enum err err = reader->get(reader->ctx, STATE_DEVICE, state_key_span(&key), &stored);
        if (err == ERR_OK && stored.at != NULL) err = device_entry_decode(stored, &entry);
        if (err != ERR_OK) return err;
        if (entry.last_ms + 2 * request->ns->window_ms < request->clock_ms) entry = (struct device_entry){0};
    }
    part->pushed = entry.last;
    for (uint32_t i = 0; i < entry.count; i++) {
        const struct device_outcome *outcome = &entry.outcomes[i];
        if (outcome->status == DEVICE_APPLIED || outcome->id <= waiter->known) continue;
        if (part->refused_count++ > 0) buf_add_char(text, ',');
        device_entry_render_refused(outcome, request->space, text);
    }
    buf_add_char(text, ']');
    part->refused.bytes = text->bytes - start;
    return ERR_OK;
}

enum err page_parts_make(const struct page_request *request, const struct space_state *space, const struct state_reader *reader,
                         struct arena *arena, struct buf *text, struct page *page)
{
    page->parts_count = request->waiters_count;
    if (page->parts_count == 0) return ERR_OK;
    page->parts = arena_take(arena, page->parts_count * sizeof *page->parts);
    if (page->parts == NULL) return ERR_MEMORY;
    for (size_t i = 0; i < page->parts_count; i++) {
        struct page_part *part = &page->parts[i];
        part->session = request->waiters[i].session;
        enum err err = page_parts_role(request->ns, space, request->space, &request->waiters[i], reader, arena, &part->role,
                                       &part->may_found);
        if (err == ERR_OK) err = make_own(request, space, &request->waiters[i], reader, text, part);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

void page_parts_place(const struct buf *text, struct page *page)
{
    size_t at = 0;
    for (size_t i = 0; i < page->parts_count; i++) {
        page->parts[i].refused.at = text->at + at;
        at += page->parts[i].refused.bytes;
    }
}
