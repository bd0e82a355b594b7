/* The keys of state.h's tables, built and taken apart. */
#ifndef TIDEGATE_CORE_STATE_KEY_H
#define TIDEGATE_CORE_STATE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/limits.h"
#include "core/span.h"

enum { STATE_KEY_BYTES_MAX = 511 };

/* A key under construction; the longest that can occur fits. */
struct state_key {
    size_t bytes;
    char at[STATE_KEY_BYTES_MAX];
};
static inline struct span state_key_span(const struct state_key *key) { return span_of(key->at, key->bytes); }

void state_key_space(struct state_key *ret_key, struct span name);
void state_key_doc(struct state_key *ret_key, uint64_t sid, struct span collection, struct span id);
void state_key_rev(struct state_key *ret_key, uint64_t sid, uint64_t rev, struct span collection, struct span id);
void state_key_rev_from(struct state_key *ret_key, uint64_t sid, uint64_t rev); /* before every entry at `rev` */
void state_key_born(struct state_key *ret_key, uint64_t sid, struct span collection, uint64_t born, struct span id);
void state_key_device(struct state_key *ret_key, uint64_t sid, struct span user, struct span device);
void state_key_loser(struct state_key *ret_key, uint64_t sid, uint64_t sequence);
void state_key_due(struct state_key *ret_key, int64_t due_ms, char kind, struct span inner);
void state_key_partition(struct state_key *ret_key);
void state_key_namespace(struct state_key *ret_key, struct span name);

/* The u64 that a key of DOC, BYREV, BORN, DEVICE or LOSER begins with; 0 when it is too short. */
uint64_t state_key_sid(struct span key);
/* Takes BYREV apart; false when the key is not of this sid. */
bool state_key_parse_rev(struct span key, uint64_t sid, uint64_t *ret_rev, struct span *ret_collection, struct span *ret_id);
/* Takes BORN apart; false when the key is not of this sid and collection. */
bool state_key_parse_born(struct span key, uint64_t sid, struct span collection, uint64_t *ret_born, struct span *ret_id);
/* Takes DOC apart; false when too short. */
bool state_key_parse_doc(struct span key, uint64_t *ret_sid, struct span *ret_collection, struct span *ret_id);
bool state_key_parse_due(struct span key, int64_t *ret_due_ms, char *ret_kind, struct span *ret_inner);

#endif
