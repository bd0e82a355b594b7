#include "core/device_entry.h"

#include "core/pack.h"

enum { VERSION = 1 };

enum err device_entry_decode(struct span stored, struct device_entry *ret_entry)
{
    struct unpack in = {.rest = stored};
    struct device_entry entry = {.exists = true};
    if (unpack_u64(&in, 1) != VERSION) return in.failed ? ERR_CORRUPT : ERR_VERSION;
    entry.last = unpack_u64(&in, 8);
    entry.known = unpack_u64(&in, 8);
    entry.last_ms = (int64_t)unpack_u64(&in, 8);
    entry.count = (uint32_t)unpack_u64(&in, 1);
    if (entry.count > LIMIT_INFLIGHT_MAX) return ERR_CORRUPT;
    for (uint32_t i = 0; i < entry.count; i++) {
        struct device_outcome *outcome = &entry.outcomes[i];
        outcome->id = unpack_u64(&in, 8);
        outcome->rev = unpack_u64(&in, 8);
        struct span digest = unpack_bytes(&in, sizeof outcome->digest.bytes);
        if (digest.bytes > 0) memcpy(outcome->digest.bytes, digest.at, digest.bytes);
        uint64_t status = unpack_u64(&in, 1), code = unpack_u64(&in, 1);
        if (status > DEVICE_REJECTED || code >= ERR_COUNT) return ERR_CORRUPT;
        outcome->status = (enum device_status)status;
        outcome->code = (enum err)code;
        outcome->why = unpack_text(&in, 1);
    }
    if (in.failed || in.rest.bytes != 0) return ERR_CORRUPT;
    *ret_entry = entry;
    return ERR_OK;
}

void device_entry_encode(const struct device_entry *entry, struct buf *buf)
{
    pack_u64(buf, VERSION, 1);
    pack_u64(buf, entry->last, 8);
    pack_u64(buf, entry->known, 8);
    pack_u64(buf, (uint64_t)entry->last_ms, 8);
    pack_u64(buf, entry->count, 1);
    for (uint32_t i = 0; i < entry->count; i++) {
        const struct device_outcome *outcome = &entry->outcomes[i];
        pack_u64(buf, outcome->id, 8);
        pack_u64(buf, outcome->rev, 8);
        buf_add(buf, outcome->digest.bytes, sizeof outcome->digest.bytes);
        pack_u64(buf, (uint64_t)outcome->status, 1);
        pack_u64(buf, (uint64_t)outcome->code, 1);
        pack_text(buf, outcome->why, 1);
    }
}

const struct device_outcome *device_entry_find(const struct device_entry *entry, uint64_t id)
{
    for (uint32_t i = entry->count; i > 0; i--)
        if (entry->outcomes[i - 1].id == id) return &entry->outcomes[i - 1];
    return NULL;
}

void device_entry_prune(struct device_entry *entry, uint64_t known)
{
    if (known > entry->last) known = entry->last; /* nobody can know outcomes that do not exist */
    if (known <= entry->known) return;
    entry->known = known;
    uint32_t first = 0;
    while (first < entry->count && entry->outcomes[first].id <= known) first++;
    entry->count -= first;
    if (first > 0) memmove(entry->outcomes, entry->outcomes + first, entry->count * sizeof entry->outcomes[0]);
}

const char *device_entry_status_name(enum device_status status)
{
    static const char *const names[] = {"applied", "conflict", "rejected"};
    return names[status];
}

void device_entry_render_refused(const struct device_outcome *outcome, struct span space, struct buf *buf)
{
    buf_add_text(buf, "{\"id\":");
    buf_add_u64(buf, outcome->id);
    buf_add_text(buf, ",\"space\":");
    buf_add_json_string(buf, space);
    buf_add_text(buf, ",\"status\":\"");
    buf_add_text(buf, device_entry_status_name(outcome->status));
    buf_add_text(buf, "\",\"code\":\"");
    buf_add_text(buf, err_name(outcome->code));
    buf_add_text(buf, "\",\"message\":");
    buf_add_json_string(buf, outcome->why);
    buf_add_char(buf, '}');
}
