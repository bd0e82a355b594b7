/* The rows of /metrics, over the counters of hub and worker. */
#include "cli/cli.h"
#include "gateway/edge.h"
#include "gateway/hub.h"
#include "workers/worker.h"

#define HUB(name, kind, field, help) {"tidegate_" name, kind, help, offsetof(struct hub_counters, field), 1}
const struct metrics_row metrics_hub_rows[] = {
    HUB("connections", METRICS_GAUGE, connections, "Open WebSocket connections."),
    HUB("sessions", METRICS_GAUGE, sessions, "Connections that said hello."),
    HUB("connections_accepted_total", METRICS_COUNTER, connections_total, "WebSocket connections ever opened."),
    HUB("spaces", METRICS_GAUGE, spaces, "Spaces open or lately open here."),
    HUB("subscriptions", METRICS_GAUGE, subscriptions, "Sessions times the spaces that they have open."),
    HUB("frames_received_total", METRICS_COUNTER, frames_in, "Frames from devices."),
    HUB("frames_sent_total", METRICS_COUNTER, frames_out, "Frames to devices, as queued (one of a turn's joined updates counts once)."),
    HUB("messages_sent_total", METRICS_COUNTER, messages_out, "WebSocket messages to devices."),
    HUB("received_bytes_total", METRICS_COUNTER, bytes_in, "Bytes of messages from devices."),
    HUB("sent_bytes_total", METRICS_COUNTER, bytes_out, "Bytes of messages to devices."),
    HUB("deliveries_total", METRICS_COUNTER, deliveries, "Updates handed to a session."),
    HUB("pushes_total", METRICS_COUNTER, pushes, "Pushes appended to the log."),
    HUB("acks_total", METRICS_COUNTER, acks, "Pushes that the log made durable."),
    HUB("outcomes_total", METRICS_COUNTER, outcomes, "Outcomes brought back from owners."),
    HUB("refusals_total", METRICS_COUNTER, refusals, "Pushes that the gateway refused by itself."),
    HUB("pulls_total", METRICS_COUNTER, pulls, "Requests for pages to owners (shared ones count once)."),
    HUB("pages_total", METRICS_COUNTER, pages, "Pages sent to sessions."),
    HUB("ring_hits_total", METRICS_COUNTER, ring_hits, "Gaps closed from the ring of recent updates."),
    HUB("holes_total", METRICS_COUNTER, holes, "Updates that did not join a session's cursor, and were pulled."),
    HUB("slow_devices_total", METRICS_COUNTER, behind, "Times that a space of a slow device fell behind."),
    HUB("closed_slow_total", METRICS_COUNTER, closed_slow, "Connections closed because even outcomes did not fit."),
    HUB("closed_rate_total", METRICS_COUNTER, closed_rate, "Connections closed over their rate."),
    HUB("closed_heartbeat_total", METRICS_COUNTER, closed_heartbeat, "Connections closed for silence."),
    HUB("bad_frames_total", METRICS_COUNTER, bad_frames, "Frames that were none of the protocol's."),
    HUB("auth_failures_total", METRICS_COUNTER, unauthenticated, "Hellos and tokens refused."),
    HUB("appends_in_flight", METRICS_GAUGE, appends_in_flight, "Pushes handed to the log and not yet durable."),
};
const size_t metrics_hub_rows_count = sizeof metrics_hub_rows / sizeof metrics_hub_rows[0];

const struct metrics_row metrics_edge_rows[] = {
    {"tidegate_connections_refused_total", METRICS_COUNTER, "Connections answered 503 because descriptors run short.", offsetof(struct edge_counters, refused), 1},
    {"tidegate_upgrades_refused_total", METRICS_COUNTER, "WebSocket upgrades refused.", offsetof(struct edge_counters, upgrades_refused), 1},
    {"tidegate_http_requests_total", METRICS_COUNTER, "HTTP requests, upgrades not counted.", offsetof(struct edge_counters, requests), 1},
};
const size_t metrics_edge_rows_count = sizeof metrics_edge_rows / sizeof metrics_edge_rows[0];

#define WORKER(name, kind, field, help) {"tidegate_worker_" name, kind, help, offsetof(struct worker_counters, field), 1}
const struct metrics_row metrics_worker_rows[] = {
    WORKER("records_total", METRICS_COUNTER, records, "Records of the log stepped through."),
    WORKER("updates_total", METRICS_COUNTER, updates, "Pushes that changed documents."),
    WORKER("answers_total", METRICS_COUNTER, answers, "Outcomes and errors sent to gateways."),
    WORKER("dead_letters_total", METRICS_COUNTER, dead_letters, "Records that no version could decode, set aside."),
    WORKER("journal_batches_total", METRICS_COUNTER, journal_batches, "Batches committed to the store."),
    WORKER("journal_lost_total", METRICS_COUNTER, journal_lost, "Batches given up because another owns the partition."),
    WORKER("restores_total", METRICS_COUNTER, restores, "Stores made anew from the journal."),
    {"tidegate_worker_journal_seconds_total", METRICS_COUNTER, "Time spent committing them.", offsetof(struct worker_counters, journal_ms_sum), 1000},
    WORKER("pages_total", METRICS_COUNTER, pages, "Pages made."),
    WORKER("pages_failed_total", METRICS_COUNTER, pages_failed, "Pages that could not be made."),
    WORKER("full", METRICS_GAUGE, full, "Partitions whose store waits for room on the disk."),
    WORKER("overlay_bytes", METRICS_GAUGE, overlay_bytes, "State in memory that the store does not have yet."),
    WORKER("interests", METRICS_GAUGE, interests, "Spaces that some gateway wants."),
    WORKER("lag_records", METRICS_GAUGE, lag, "Records durable but not yet stepped."),
};
const size_t metrics_worker_rows_count = sizeof metrics_worker_rows / sizeof metrics_worker_rows[0];
