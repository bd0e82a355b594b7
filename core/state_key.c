#include "core/state_key.h"

#include <assert.h>
#include <string.h>

static void add(struct state_key *key, const void *at, size_t bytes)
{
    assert(bytes <= STATE_KEY_BYTES_MAX - key->bytes);
    if (bytes > 0) memcpy(key->at + key->bytes, at, bytes);
    key->bytes += bytes;
}

static void add_span(struct state_key *key, struct span span) { add(key, span.at, span.bytes); }

static void add_u64(struct state_key *key, uint64_t value)
{
    unsigned char big[8];
    for (int i = 7; i >= 0; i--) {
        big[i] = (unsigned char)(value & 0xff);
        value >>= 8;
    }
    add(key, big, sizeof big);
}

static uint64_t read_u64(const char *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | (unsigned char)at[i];
    return value;
}

void state_key_space(struct state_key *ret_key, struct span name)
{
    ret_key->bytes = 0;
    add_span(ret_key, name);
}

void state_key_doc(struct state_key *ret_key, uint64_t sid, struct span collection, struct span id)
{
    ret_key->bytes = 0;
    add_u64(ret_key, sid);
    add_span(ret_key, collection);
    add(ret_key, "", 1);
    add_span(ret_key, id);
}

void state_key_rev(struct state_key *ret_key, uint64_t sid, uint64_t rev, struct span collection, struct span id)
{
    state_key_rev_from(ret_key, sid, rev);
    add_span(ret_key, collection);
    add(ret_key, "", 1);
    add_span(ret_key, id);
}

void state_key_rev_from(struct state_key *ret_key, uint64_t sid, uint64_t rev)
{
    ret_key->bytes = 0;
    add_u64(ret_key, sid);
    add_u64(ret_key, rev);
}

void state_key_born(struct state_key *ret_key, uint64_t sid, struct span collection, uint64_t born, struct span id)
{
    ret_key->bytes = 0;
    add_u64(ret_key, sid);
    add_span(ret_key, collection);
    add(ret_key, "", 1);
    add_u64(ret_key, born);
    add_span(ret_key, id);
}

void state_key_device(struct state_key *ret_key, uint64_t sid, struct span user, struct span device)
{
    ret_key->bytes = 0;
    add_u64(ret_key, sid);
    add_span(ret_key, user);
    add(ret_key, "", 1);
    add_span(ret_key, device);
}

void state_key_loser(struct state_key *ret_key, uint64_t sid, uint64_t sequence) { state_key_rev_from(ret_key, sid, sequence); }

void state_key_due(struct state_key *ret_key, int64_t due_ms, char kind, struct span inner)
{
    ret_key->bytes = 0;
    add_u64(ret_key, due_ms < 0 ? 0 : (uint64_t)due_ms);
    add(ret_key, &kind, 1);
    add_span(ret_key, inner);
}

void state_key_partition(struct state_key *ret_key) { state_key_space(ret_key, SPAN_LITERAL("partition")); }

void state_key_namespace(struct state_key *ret_key, struct span name)
{
    state_key_space(ret_key, SPAN_LITERAL("ns:"));
    add_span(ret_key, name);
}

uint64_t state_key_sid(struct span key) { return key.bytes < 8 ? 0 : read_u64(key.at); }

bool state_key_parse_doc(struct span key, uint64_t *ret_sid, struct span *ret_collection, struct span *ret_id)
{
    if (key.bytes < 9) return false;
    const char *zero = memchr(key.at + 8, 0, key.bytes - 8);
    if (zero == NULL) return false;
    *ret_sid = read_u64(key.at);
    *ret_collection = span_of(key.at + 8, (size_t)(zero - key.at) - 8);
    *ret_id = span_of(zero + 1, key.bytes - (size_t)(zero - key.at) - 1);
    return true;
}

bool state_key_parse_rev(struct span key, uint64_t sid, uint64_t *ret_rev, struct span *ret_collection, struct span *ret_id)
{
    if (key.bytes < 17 || read_u64(key.at) != sid) return false;
    const char *zero = memchr(key.at + 16, 0, key.bytes - 16);
    if (zero == NULL) return false;
    *ret_rev = read_u64(key.at + 8);
    *ret_collection = span_of(key.at + 16, (size_t)(zero - key.at) - 16);
    *ret_id = span_of(zero + 1, key.bytes - (size_t)(zero - key.at) - 1);
    return true;
}

bool state_key_parse_born(struct span key, uint64_t sid, struct span collection, uint64_t *ret_born, struct span *ret_id)
{
    size_t head = 8 + collection.bytes + 1;
    if (key.bytes < head + 8 || read_u64(key.at) != sid) return false;
    if (!span_equal(span_of(key.at + 8, collection.bytes), collection) || key.at[head - 1] != '\0') return false;
    *ret_born = read_u64(key.at + head);
    *ret_id = span_of(key.at + head + 8, key.bytes - head - 8);
    return true;
}

bool state_key_parse_due(struct span key, int64_t *ret_due_ms, char *ret_kind, struct span *ret_inner)
{
    if (key.bytes < 9) return false;
    *ret_due_ms = (int64_t)read_u64(key.at);
    *ret_kind = key.at[8];
    *ret_inner = span_of(key.at + 9, key.bytes - 9);
    return true;
}
