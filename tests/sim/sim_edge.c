/* Sockets: what devices and gateways send each other, in order, late, or never; connections that one end believes in. */
#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

enum { SLOW_FACTOR = 30, SLOW_BYTES = 8192, NOTICE_US = 1000 };

enum packet_kind { PACKET_CONNECT, PACKET_SAY, PACKET_PONG, PACKET_LEAVE, PACKET_BROKEN, PACKET_TELL, PACKET_PING, PACKET_CLOSE, PACKET_LOST };

struct sim_packet {
    struct sim_event event; /* first */
    struct sim_packet *next, **at;
    struct sim_conn *conn;
    enum packet_kind kind;
    struct blob *text;
};

static void arrive(struct sim *sim, struct sim_event *event);

static void send_at(struct sim_conn *conn, enum packet_kind kind, struct blob *text, int64_t at_us)
{
    struct sim *sim = conn->sim;
    struct sim_packet *packet = calloc(1, sizeof *packet);
    assert(packet != NULL);
    packet->conn = conn;
    packet->kind = kind;
    packet->text = text;
    packet->next = sim->packets;
    packet->at = &sim->packets;
    if (packet->next != NULL) packet->next->at = &packet->next;
    sim->packets = packet;
    sim_queue_put(sim, &packet->event, at_us, arrive);
}

static void free_packet(struct sim_packet *packet)
{
    *packet->at = packet->next;
    if (packet->next != NULL) packet->next->at = packet->at;
    blob_put(packet->text);
    free(packet);
}

static void send_up(struct sim_conn *conn, enum packet_kind kind, struct blob *text)
{
    int64_t at_us = conn->sim->now_us + sim_delay(conn->sim, SIM_NET, conn->sim->settings.net);
    if (at_us < conn->up_us) at_us = conn->up_us;
    conn->up_us = at_us;
    send_at(conn, kind, text, at_us);
}

static void send_down(struct sim_conn *conn, enum packet_kind kind, struct blob *text)
{
    int64_t delay_us = sim_delay(conn->sim, SIM_NET, conn->sim->settings.net);
    if (conn->device->slow) delay_us *= SLOW_FACTOR;
    int64_t at_us = conn->sim->now_us + delay_us;
    if (at_us < conn->down_us) at_us = conn->down_us;
    conn->down_us = at_us;
    send_at(conn, kind, text, at_us);
}

/* ---- what the hub asks for ---- */

static bool edge_send(void *at, struct blob *message)
{
    struct sim_conn *conn = at;
    conn->down_bytes += message->bytes;
    send_down(conn, PACKET_TELL, blob_take(message));
    conn->full = conn->device->slow && conn->down_bytes > SLOW_BYTES;
    return !conn->full;
}

static void edge_close(void *at, unsigned code, const char *reason)
{
    struct sim_conn *conn = at;
    (void)reason;
    if (conn->closing) return;
    conn->closing = true;
    conn->code = code;
    send_down(conn, PACKET_CLOSE, NULL);
}

static void edge_ping(void *at) { send_down(at, PACKET_PING, NULL); }

const struct hub_edge_ops sim_edge_ops = {edge_send, edge_close, edge_ping};

/* ---- the ends ---- */

static void end_gateway(struct sim_conn *conn)
{
    struct hub_session *session = conn->session;
    if (session == NULL) return;
    conn->session = NULL;
    hub_disconnected(session, sim_now_ms(conn->sim));
    sim_gateway_touched(conn->sim, conn->gateway);
}

static void end_device(struct sim_conn *conn, unsigned code)
{
    if (!conn->device_end) return;
    conn->device_end = false;
    sim_device_lost(conn->device, conn, code);
}

static void arrive_up(struct sim_conn *conn, const struct sim_packet *packet)
{
    struct sim *sim = conn->sim;
    struct sim_gateway *gateway = &sim->gateways[conn->gateway];
    if (packet->kind == PACKET_CONNECT) {
        if (gateway->alive && conn->path) conn->session = hub_connected(gateway->hub, conn, NULL, sim_now_ms(sim));
        if (conn->session == NULL) send_down(conn, PACKET_LOST, NULL);
        return;
    }
    if (packet->kind == PACKET_LEAVE || packet->kind == PACKET_BROKEN) {
        if (conn->path || packet->kind == PACKET_BROKEN) end_gateway(conn);
        return;
    }
    if (!conn->path || conn->session == NULL || conn->closing) return;
    if (packet->kind == PACKET_SAY) hub_message(conn->session, blob_span(packet->text), sim_now_ms(sim));
    else hub_heard(conn->session, sim_now_ms(sim));
    sim_gateway_touched(sim, conn->gateway);
}

static void arrive_down(struct sim_conn *conn, const struct sim_packet *packet)
{
    struct sim *sim = conn->sim;
    struct sim_device *device = conn->device;
    if (packet->kind == PACKET_LOST) {
        end_device(conn, 0);
        return;
    }
    if (packet->kind == PACKET_CLOSE) {
        if (conn->path) end_device(conn, conn->code);
        end_gateway(conn);
        return;
    }
    if (!conn->path) return; /* what was written stays in the socket */
    if (packet->kind == PACKET_PING) {
        if (!conn->device_end) return;
        if (device->conn == conn) sim_device_pinged(device);
        send_up(conn, PACKET_PONG, NULL);
        return;
    }
    conn->down_bytes -= packet->text->bytes;
    if (conn->device_end) {
        device->heard_ms = sim_now_ms(sim);
        sim_device_hear(device, conn, blob_span(packet->text));
    }
    if (conn->full && conn->down_bytes == 0 && conn->session != NULL) {
        conn->full = false;
        hub_writable(conn->session);
        sim_gateway_touched(sim, conn->gateway);
    }
}

static void arrive(struct sim *sim, struct sim_event *event)
{
    struct sim_packet *packet = (struct sim_packet *)(void *)event;
    sim_mix(sim, (uint64_t)packet->kind << 32 | packet->conn->number);
    if (packet->text != NULL) sim_mix_span(sim, blob_span(packet->text));
    if (packet->kind <= PACKET_BROKEN) arrive_up(packet->conn, packet);
    else arrive_down(packet->conn, packet);
    free_packet(packet);
}

/* ---- the device's end ---- */

struct sim_conn *sim_edge_connect(struct sim *sim, struct sim_device *device, int gateway)
{
    struct sim_conn *conn = calloc(1, sizeof *conn);
    assert(conn != NULL);
    *conn = (struct sim_conn){.next = sim->conns, .sim = sim, .device = device, .gateway = gateway, .number = ++sim->next_conn,
                              .device_end = true, .path = true};
    sim->conns = conn;
    send_up(conn, PACKET_CONNECT, NULL);
    return conn;
}

void sim_edge_say(struct sim_conn *conn, struct span text)
{
    struct blob *blob = blob_make(text);
    assert(blob != NULL && conn->device_end);
    send_up(conn, PACKET_SAY, blob);
}

void sim_edge_leave(struct sim_conn *conn)
{
    if (!conn->device_end) return;
    conn->device_end = false;
    send_up(conn, PACKET_LEAVE, NULL);
}

void sim_edge_cut(struct sim_conn *conn)
{
    conn->path = false;
    send_at(conn, PACKET_BROKEN, NULL, conn->sim->now_us + NOTICE_US);
    send_at(conn, PACKET_LOST, NULL, conn->sim->now_us + NOTICE_US);
}

void sim_edge_cut_all(struct sim *sim)
{
    for (struct sim_conn *conn = sim->conns; conn != NULL; conn = conn->next)
        if (conn->device_end || conn->session != NULL) sim_edge_cut(conn);
}

void sim_edge_half_open(struct sim_conn *conn) { conn->path = false; }

void sim_edge_gateway_died(struct sim *sim, int gateway)
{
    for (struct sim_conn *conn = sim->conns; conn != NULL; conn = conn->next) {
        if (conn->gateway != gateway || conn->session == NULL) continue;
        end_gateway(conn);
        if (conn->path) send_down(conn, PACKET_LOST, NULL);
    }
}

void sim_edge_fini(struct sim *sim)
{
    while (sim->packets != NULL) free_packet(sim->packets);
    while (sim->conns != NULL) {
        struct sim_conn *conn = sim->conns;
        sim->conns = conn->next;
        free(conn);
    }
}
