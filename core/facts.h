/* Gathers from state what access.h judges by: a user's `members` document, room/settings, the founding. */
#ifndef TIDEGATE_CORE_FACTS_H
#define TIDEGATE_CORE_FACTS_H

#include "core/access.h"
#include "core/arena.h"
#include "core/space_state.h"
#include "core/state.h"

/* `sid` 0: a space of which nothing is known. Spans in *ret_facts are the caller's. ERR_OK or the reader's failure. */
enum err facts_gather(const struct state_reader *reader, const struct namespace *ns, const struct space_state *space_state,
                      struct span space, struct span user, enum role granted, struct arena *arena,
                      struct access_facts *ret_facts);
/* A document's stored bytes; ret_stored->at NULL where there is none. */
enum err facts_read_doc(const struct state_reader *reader, uint64_t sid, struct span collection, struct span id,
                        struct span *ret_stored);

#endif
