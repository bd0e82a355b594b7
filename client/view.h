/* The optimistic view: the server's documents with the pushes of the outbox on top, by the very functions that the owner runs.
 *
 * What is shown is what the owner would make of the pending pushes if they were the newest edits: a device's own unconfirmed
 * change is never covered by what others did meanwhile, until the stream says what became of it. A push that would be refused
 * shows nothing. A push whose part a document already contains (store_doc.contains) is not applied to it again, so that nothing
 * counts twice while a run of pages is under way.
 *
 * The rules are the namespaces': those handed over, or those that ship. Of a collection that they do not know the view guesses
 * that it is `merge` (or `append`, where a push appends): it may show another value than the server will, and heals with it.
 *
 * view_add() is called within a transaction of the store, and view_settle() before each commit of one that changed what the
 * server told or took a push from the outbox. Memory: its own, returned after each call. One thread at a time. */
#ifndef TIDEGATE_CLIENT_VIEW_H
#define TIDEGATE_CLIENT_VIEW_H

#include "client/seal.h"
#include "client/store.h"
#include "core/namespace.h"
#include "core/op.h"

enum { VIEW_ARENA_BYTES_MAX = 268435456 /* of one step: past it the transaction fails with `memory` */ };

struct view {
    struct namespace_set namespaces;
    struct seal seal; /* how bodies are opened; the owner's to set after view_init() */
    bool vouched; /* the app handed them over: what they refuse is refused at once */
    struct arena arena, scratch;
};

/* `texts` NULL: the namespaces that ship. ERR_INVALID with ret_why, ERR_MEMORY. */
enum err view_init(struct view *view, const char *const *texts, size_t count, char *ret_why, size_t why_bytes);
void view_fini(struct view *view);

/* A push that the app makes: shows it, and puts it into the outbox. `push` has id, space, ops (a checked array without `age` and
 * `base`, sealed bodies in it; then `plain` too) and made; previous and after come from the space, which is changed and stored. `ops` are its operations decoded, of `plain` where there is one; where one names
 * a base of its own, that is kept. With `vouched` namespaces what they refuse is ERR_INVALID, ERR_TOO_LARGE, ERR_FORBIDDEN or
 * ERR_PRECONDITION with ret_why, and nothing is done. */
enum err view_add(struct view *view, struct store *store, struct store_space *space, struct store_push *push, const struct op *ops, size_t ops_count,
                  char *ret_why, size_t why_bytes);
/* Makes the view of dirty documents again. Failures fail the transaction. */
void view_settle(struct view *view, struct store *store, int64_t now_ms);
/* The policy of a collection; false where it is not known. */
bool view_policy(const struct view *view, struct span space, struct span collection, enum policy *ret_policy);
int64_t view_window_ms(const struct view *view, struct span space); /* 0: not known */

#endif
