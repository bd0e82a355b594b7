#include "tests/support/tcp_peer.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/tcp/tcp_address.h"
#include "tests/support/rig.h"

enum { WAIT_MS = 20000 };

void tcp_peer_init(struct tcp_peer *peer, uv_loop_t *loop, enum tcp_role role, const char *log, uint32_t partitions, const char *key)
{
    *peer = (struct tcp_peer){.loop = loop, .fd = -1, .listener = -1, .left = SIZE_MAX};
    peer->hello = (struct tcp_hello){.least = TCP_VERSION, .most = TCP_VERSION, .role = role, .name_bytes = 3, .name = "raw", .partitions = partitions};
    snprintf(peer->hello.log, sizeof peer->hello.log, "%s", log);
    memset(peer->hello.nonce, 7, sizeof peer->hello.nonce);
    peer->key.bytes = strlen(key);
    memcpy(peer->key.secret, key, peer->key.bytes);
}

static void close_one(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

void tcp_peer_close(struct tcp_peer *peer)
{
    close_one(&peer->fd);
    close_one(&peer->listener);
}

void tcp_peer_dial(struct tcp_peer *peer, const char *address)
{
    char host[TCP_HOST_BYTES_MAX], port[TCP_PORT_BYTES_MAX];
    struct sockaddr_storage to;
    bool good = tcp_address_split(address, host, port) && tcp_address_numeric(host, port, &to);
    assert(good);
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    int code = connect(peer->fd, (struct sockaddr *)&to, sizeof(struct sockaddr_in));
    assert(code == 0);
    code = fcntl(peer->fd, F_SETFL, O_NONBLOCK);
    assert(code == 0);
}

void tcp_peer_listen(struct tcp_peer *peer, char ret_address[64])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof at;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int code = bind(peer->listener, (struct sockaddr *)&at, sizeof at) | listen(peer->listener, 16) | getsockname(peer->listener, (struct sockaddr *)&at, &bytes);
    assert(code == 0);
    snprintf(ret_address, 64, "127.0.0.1:%u", ntohs(at.sin_port));
}

static bool try_accept(void *ctx)
{
    struct tcp_peer *peer = ctx;
    peer->fd = accept4(peer->listener, NULL, NULL, SOCK_NONBLOCK);
    return peer->fd >= 0;
}

bool tcp_peer_accept(struct tcp_peer *peer) { return rig_until(peer->loop, try_accept, peer, WAIT_MS); }

struct sending {
    struct tcp_peer *peer;
    const char *at;
    size_t left;
};

static bool try_send(void *ctx)
{
    struct sending *sending = ctx;
    ssize_t sent = send(sending->peer->fd, sending->at, sending->left, MSG_NOSIGNAL);
    if (sent < 0) return errno != EAGAIN;
    sending->at += sent;
    sending->left -= (size_t)sent;
    return sending->left == 0;
}

void tcp_peer_send(struct tcp_peer *peer, const void *bytes, size_t count)
{
    struct sending sending = {peer, bytes, count <= peer->left ? count : peer->left};
    if (peer->fd < 0) return;
    if (sending.left > 0) (void)rig_until(peer->loop, try_send, &sending, WAIT_MS);
    if (peer->left == SIZE_MAX) return;
    peer->left -= count <= peer->left ? count : peer->left;
    peer->stopped = peer->left == 0;
    if (peer->stopped) close_one(&peer->fd);
}

void tcp_peer_frame(struct tcp_peer *peer, enum tcp_frame kind, struct span fields)
{
    struct buf frame;
    buf_init(&frame, 1048576);
    tcp_codec_frame(&frame, kind, fields);
    assert(buf_ok(&frame));
    tcp_peer_send(peer, frame.at, frame.bytes);
    buf_fini(&frame);
}

struct reading {
    int fd;
    char *at;
    size_t bytes;
    bool ended;
};

static bool try_read(void *ctx)
{
    struct reading *reading = ctx;
    while (reading->bytes > 0) {
        ssize_t count = recv(reading->fd, reading->at, reading->bytes, 0);
        if (count < 0 && errno == EAGAIN) return false;
        if (count <= 0) {
            reading->ended = true;
            return true;
        }
        reading->at += count;
        reading->bytes -= (size_t)count;
    }
    return true;
}

static bool read_bytes(struct tcp_peer *peer, char *at, size_t bytes)
{
    struct reading reading = {peer->fd, at, bytes, false};
    return peer->fd >= 0 && rig_until(peer->loop, try_read, &reading, WAIT_MS) && !reading.ended;
}

bool tcp_peer_read(struct tcp_peer *peer)
{
    unsigned char head[TCP_FRAME_HEAD_BYTES];
    if (!read_bytes(peer, (char *)head, sizeof head)) return false;
    size_t bytes = (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    assert(bytes > 0 && bytes - 1 <= sizeof peer->fields);
    peer->kind = head[4];
    peer->fields_bytes = bytes - 1;
    return read_bytes(peer, peer->fields, bytes - 1);
}

static bool try_end(void *ctx)
{
    char room[4096];
    ssize_t count = 1;
    while (count > 0) count = recv(((struct tcp_peer *)ctx)->fd, room, sizeof room, 0);
    return count == 0 || errno != EAGAIN;
}

bool tcp_peer_closed(struct tcp_peer *peer) { return rig_until(peer->loop, try_end, peer, WAIT_MS); }

static void say_hello(struct tcp_peer *peer, struct buf *mine)
{
    tcp_hello_encode(mine, &peer->hello);
    tcp_peer_frame(peer, TCP_HELLO, buf_span(mine));
}

static bool hear_hello(struct tcp_peer *peer)
{
    if (!tcp_peer_read(peer) || peer->kind != TCP_HELLO || peer->fields_bytes > sizeof peer->their_fields) return false;
    memcpy(peer->their_fields, peer->fields, peer->fields_bytes);
    peer->their_bytes = peer->fields_bytes;
    return tcp_hello_decode(span_of(peer->their_fields, peer->their_bytes), &peer->theirs);
}

static void proof_of(struct tcp_peer *peer, struct span mine, enum tcp_role role, unsigned char *ret_proof)
{
    struct span theirs = span_of(peer->their_fields, peer->their_bytes);
    bool gateway = peer->hello.role == TCP_GATEWAY;
    bool good = tcp_key_proof(&peer->key, role, gateway ? mine : theirs, gateway ? theirs : mine, ret_proof);
    assert(good);
}

static void say_proof(struct tcp_peer *peer, struct span mine)
{
    unsigned char proof[TCP_PROOF_BYTES];
    proof_of(peer, mine, peer->hello.role, proof);
    tcp_peer_frame(peer, TCP_PROOF, span_of((const char *)proof, sizeof proof));
}

static bool hear_proof(struct tcp_peer *peer, struct span mine)
{
    unsigned char proof[TCP_PROOF_BYTES];
    if (!tcp_peer_read(peer) || peer->kind != TCP_PROOF || peer->fields_bytes != TCP_PROOF_BYTES) return false;
    proof_of(peer, mine, peer->theirs.role, proof);
    return tcp_key_equal(proof, (const unsigned char *)peer->fields);
}

bool tcp_peer_greet(struct tcp_peer *peer)
{
    struct buf mine;
    bool good = false;
    buf_init(&mine, TCP_HELLO_BYTES_MAX);
    if (peer->hello.role == TCP_GATEWAY) {
        say_hello(peer, &mine);
        if (!peer->stopped && hear_hello(peer)) {
            say_proof(peer, buf_span(&mine));
            good = !peer->stopped && hear_proof(peer, buf_span(&mine));
        }
    } else if (hear_hello(peer)) {
        say_hello(peer, &mine);
        good = !peer->stopped && hear_proof(peer, buf_span(&mine));
        if (good) say_proof(peer, buf_span(&mine));
        good = good && !peer->stopped;
    }
    buf_fini(&mine);
    return good;
}

/* ---- a directory ---- */

static void find(struct directory *seam, uint32_t partition, void *ctx, void (*told)(void *ctx, enum err err, uint32_t partition, struct span address))
{
    struct directory_desk *desk = (struct directory_desk *)(void *)seam;
    desk->finds++;
    if (desk->away) told(ctx, ERR_BUSY, partition, span_of("", 0));
    else told(ctx, ERR_OK, partition, span_text(desk->address[partition]));
}

static void forget(struct directory *seam, void *ctx)
{
    (void)seam;
    (void)ctx;
}

static void put(struct directory *seam, uint32_t partition, struct span address)
{
    struct directory_desk *desk = (struct directory_desk *)(void *)seam;
    snprintf(desk->address[partition], sizeof desk->address[partition], "%.*s", (int)address.bytes, address.at);
    if (seam->changed != NULL) seam->changed(seam->ctx, partition);
}

static void withdraw(struct directory *seam, uint32_t partition, struct span address)
{
    struct directory_desk *desk = (struct directory_desk *)(void *)seam;
    if (span_is(address, desk->address[partition])) put(seam, partition, span_of("", 0));
}

static const struct directory_ops directory_ops = {find, forget, put, withdraw};

void directory_desk_init(struct directory_desk *desk) { *desk = (struct directory_desk){.seam = {.ops = &directory_ops}}; }
void directory_desk_name(struct directory_desk *desk, uint32_t partition, const char *address) { put(&desk->seam, partition, span_text(address)); }
