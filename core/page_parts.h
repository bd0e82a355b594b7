/* Internal to page*.c: each waiter's own part of a page: access, `pushed`, `refused`. */
#ifndef TIDEGATE_CORE_PAGE_PARTS_H
#define TIDEGATE_CORE_PAGE_PARTS_H

#include "core/page.h"
#include "core/space_state.h"

/* Appends the `refused` arrays to the still empty `text`, one behind the other. The text may yet move as it grows:
 * page_parts_place() sets where they lie once it is complete. */
enum err page_parts_make(const struct page_request *request, const struct space_state *space, const struct state_reader *reader,
                         struct arena *arena, struct buf *text, struct page *page);
void page_parts_place(const struct buf *text, struct page *page);
/* Access of one waiter on this snapshot. */
enum err page_parts_role(const struct namespace *ns, const struct space_state *space, struct span name,
                         const struct page_waiter *waiter, const struct state_reader *reader, struct arena *arena,
                         enum role *ret_role, bool *ret_may_found);

#endif
