/* Who may see a space at which place in its order: what is told of that is taken as it is. */
#include <stdlib.h>

#include "tests/checker/checker_parts.h"

static int by_rev(const void *a, const void *b)
{
    const struct checker_access *one = a, *other = b;
    if (one->order != other->order) return one->order < other->order ? -1 : 1;
    if (one->user != other->user) return one->user < other->user ? -1 : 1;
    if (one->rev != other->rev) return one->rev < other->rev ? -1 : 1;
    return one->event < other->event ? -1 : one->event > other->event;
}

void checker_access_read(struct checker *checker)
{
    for (uint32_t i = 0; i < checker->records_count; i++) {
        const struct checker_record *record = &checker->records[i];
        if (record->event.kind != CHECKER_ACCESS || record->order == TABLE_NONE) continue;
        *(struct checker_access *)GROW(checker, access) =
            (struct checker_access){.order = record->order, .user = record->user, .event = i, .rev = record->event.rev, .may = record->event.may};
    }
    if (checker->access_count > 0) qsort(checker->access, checker->access_count, sizeof *checker->access, by_rev);
    for (uint32_t i = 0; i < checker->access_count; i++) {
        const struct checker_access *access = &checker->access[i];
        if (i == 0 || access[-1].order != access->order || access[-1].user != access->user) checker_table_put(&checker->access_by_pair, access->order, access->user, i);
    }
}

/* The last that was told of a user not past `place`; NULL: nothing was. */
static const struct checker_access *last_told(const struct checker *checker, uint32_t order, uint32_t user, uint64_t place)
{
    uint32_t first = checker_table_find(&checker->access_by_pair, order, user);
    const struct checker_access *last = NULL;
    for (uint32_t i = first; first != TABLE_NONE && i < checker->access_count; i++) {
        const struct checker_access *access = &checker->access[i];
        if (access->order != order || access->user != user || access->rev > place) break;
        last = access;
    }
    return last;
}

void checker_removed_judge(struct checker *checker, uint32_t number, uint64_t place)
{
    const struct checker_record *record = &checker->records[number];
    const struct checker_store *store = &checker->stores[checker_store_of(checker, record->who)];
    if (place == 0 || store->hello == TABLE_NONE || checker->access_count == 0) return;
    const struct checker_access *own = last_told(checker, record->order, checker->records[store->hello].user, place);
    if (own == NULL) return;
    const struct checker_access *everyone = last_told(checker, record->order, checker_name(&checker->names, SPAN_LITERAL("*")), place);
    bool may = own->may || own->rev == place || (everyone != NULL && (everyone->may || everyone->rev == place));
    checker_hold(checker, may, CHECKER_REMOVED, number, own->event, everyone == NULL ? TABLE_NONE : everyone->event, "rev %llu is shown to one who was removed at %llu",
                 (unsigned long long)place, (unsigned long long)own->rev);
}
