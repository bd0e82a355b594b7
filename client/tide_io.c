/* The bytes, moved by the app. */
#include "client/tide_parts.h"

bool tide_io_wants_connection(const struct tide *tide) { return sync_wants_connection(tide->sync); }
bool tide_io_wants_close(const struct tide *tide) { return sync_wants_close(tide->sync); }

void tide_io_connected(struct tide *tide)
{
    struct store_moment now = tide_now(tide);
    if (sync_wants_connection(tide->sync)) sync_connected(tide->sync, &now);
}

void tide_io_disconnected(struct tide *tide, unsigned code, const char *why)
{
    struct store_moment now = tide_now(tide);
    sync_disconnected(tide->sync, code, why, &now);
    tide_deliver(tide);
}

void tide_io_received(struct tide *tide, const char *message, size_t bytes)
{
    struct store_moment now = tide_now(tide);
    sync_receive(tide->sync, span_of(message, bytes), &now);
    tide_deliver(tide);
}

void tide_io_heard(struct tide *tide)
{
    struct store_moment now = tide_now(tide);
    sync_heard(tide->sync, &now);
}

const char *tide_io_output(struct tide *tide, size_t *ret_bytes)
{
    struct span out = sync_output(tide->sync);
    *ret_bytes = out.bytes;
    return out.at;
}

void tide_io_sent(struct tide *tide, size_t bytes) { sync_output_taken(tide->sync, bytes); }
