/* A shelf of documents to resolve pushes on: one space in memory, operations given as text, results looked at as text.
 *
 * A push that changes something takes the next rev, and its documents are kept encoded, as an owner would keep them. */
#ifndef TIDEGATE_TESTS_SHELF_H
#define TIDEGATE_TESTS_SHELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/access.h"
#include "core/arena.h"
#include "core/buf.h"
#include "core/namespace.h"
#include "core/resolve.h"

struct shelf_doc {
    char collection[LIMIT_COLLECTION_BYTES_MAX + 1];
    struct span id;     /* owned */
    struct span stored; /* owned */
};

struct shelf {
    struct namespace *ns;
    size_t docs_count, docs_room;
    struct shelf_doc *docs; /* in order of arrival */
    uint64_t head;
    uint64_t next_rev;
    int64_t clock_ms;       /* the greatest time so far */
    struct span ops;        /* of the last push, owned */
    struct arena arena;     /* of the last push */
    enum err decoded;       /* how the operations of the last push decoded */
    struct resolve_result result; /* of the last push, valid until the next */
    struct buf text;        /* what shelf_body() and the like return */
};

/* Who pushes, and when; zero is ann's phone, a writer, at the shelf's clock. */
struct shelf_push {
    const char *user, *device; /* NULL: "ann", "phone" */
    enum role role;            /* ROLE_NONE counts as a writer; see `stranger` */
    bool stranger;
    int64_t time_ms;           /* 0: the clock */
    int64_t last_push_ms;      /* 0: none */
    const char *ops;
};

void shelf_init(struct shelf *shelf, const char *namespace_text);
void shelf_fini(struct shelf *shelf);
/* Resolves, keeps what changed, returns the status (RESOLVE_REJECTED, too, where the operations do not decode). */
enum resolve_status shelf_push(struct shelf *shelf, const struct shelf_push *push);
/* The same, of operations in a span. */
enum resolve_status shelf_push_span(struct shelf *shelf, const struct shelf_push *push, struct span ops);
/* The document's body; "deleted" for a tombstone, "absent" for nothing. Valid until the next call. */
const char *shelf_body(struct shelf *shelf, const char *collection, const char *id);
bool shelf_doc(struct shelf *shelf, const char *collection, const char *id, struct doc *ret_doc);
/* All losers of the last push, one a line: collection/id field value user/device rev time. Valid until the next call. */
const char *shelf_losers(struct shelf *shelf);
/* Every stored document, names and bytes, one after the other in order of name. */
void shelf_image(const struct shelf *shelf, struct buf *buf);

#endif
