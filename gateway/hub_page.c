/* A page, or that there is none to tell, as a session gets it: what all waiters share, and its own part. */
#include "gateway/hub_parts.h"

static void add_cursor(struct hub *hub, const struct hub_space *space, uint64_t place, bool has_floor, uint64_t floor)
{
    struct cursor cursor = {.place = place, .has_floor = has_floor, .floor = floor};
    buf_add_char(&hub->text, '"');
    cursor_encode(&hub->text, hub->log, hub_space_name(space), &cursor);
    buf_add_char(&hub->text, '"');
}

void hub_page_current(struct hub_sub *sub, const struct page *page, const struct page_part *part)
{
    struct hub *hub = sub->session->hub;
    struct buf *out = &hub->text;
    buf_add_text(out, "{\"type\":\"current\",\"ref\":");
    buf_add_span(out, blob_span(sub->ref));
    buf_add_text(out, ",\"spaces\":[{\"space\":");
    buf_add_json_string(out, hub_space_name(sub->space));
    buf_add_text(out, ",\"cursor\":");
    add_cursor(hub, sub->space, page->to, false, 0);
    buf_add_text(out, ",\"pushed\":");
    buf_add_u64(out, part->pushed);
    buf_add_text(out, ",\"window\":");
    buf_add_u64(out, page->window_s);
    buf_add_text(out, "}]}");
    hub_send_text(sub->session, OUT_CURRENT);
}

void hub_page_send(struct hub_sub *sub, const struct page *page, const struct page_part *part)
{
    struct hub *hub = sub->session->hub;
    struct buf *out = &hub->text;
    buf_add_text(out, "{\"type\":\"page\",\"ref\":");
    buf_add_span(out, blob_span(sub->ref));
    buf_add_text(out, ",\"space\":");
    buf_add_json_string(out, hub_space_name(sub->space));
    buf_add_text(out, ",\"from\":");
    if (page->from_null) buf_add_text(out, "null");
    else add_cursor(hub, sub->space, page->from, page->from_has_floor, page->from_floor);
    buf_add_text(out, ",\"to\":");
    add_cursor(hub, sub->space, page->to, page->to_has_floor, page->to_floor);
    if (page->reset) buf_add_text(out, ",\"reset\":true");
    buf_add_text(out, ",\"docs\":");
    buf_add_span(out, page->docs);
    buf_add_text(out, page->more ? ",\"more\":true,\"pushed\":" : ",\"more\":false,\"pushed\":");
    buf_add_u64(out, part->pushed);
    if (page->tail.bytes > 0) {
        buf_add_text(out, ",\"tail\":");
        buf_add_span(out, page->tail);
    }
    if (!page->more) {
        buf_add_text(out, ",\"refused\":");
        buf_add_span(out, part->refused);
        buf_add_text(out, ",\"sum\":");
        buf_add_span(out, page->sum);
        buf_add_text(out, ",\"window\":");
        buf_add_u64(out, page->window_s);
        buf_add_text(out, ",\"head\":");
        buf_add_u64(out, page->to);
    }
    buf_add_char(out, '}');
    hub_send_text(sub->session, OUT_PAGE);
}
