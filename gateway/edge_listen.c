/* Listening sockets of our own: lws of Debian 12 cannot share a port, and spins when file descriptors run out. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/edge_parts.h"

enum { BACKLOG = 4096, FDS_WANTED = 65536 };

size_t edge_listen_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024 - EDGE_FDS_RESERVED;
    rlim_t wanted = limit.rlim_max < FDS_WANTED ? limit.rlim_max : FDS_WANTED;
    if (limit.rlim_cur < wanted || limit.rlim_cur > FDS_WANTED) {
        struct rlimit raised = {.rlim_cur = wanted, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit.rlim_cur = wanted;
    }
    return limit.rlim_cur > 2 * EDGE_FDS_RESERVED ? (size_t)limit.rlim_cur - EDGE_FDS_RESERVED : (size_t)limit.rlim_cur / 2;
}

/* Past the bound: an answer that says when to come back, from the kernel's own buffer. */
static void refuse(struct edge *edge, int fd)
{
    static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    ssize_t sent = send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* a peer that is gone already is as refused as the rest */
    edge->counters.refused++;
    close(fd);
}

static void adopt(struct edge *edge, int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    /* From here on the descriptor is lws': it closes it also when it refuses. */
    if (lws_adopt_socket_vhost(edge->vhost, fd) == NULL) edge->counters.refused++;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct edge_listener *listener = poll->data;
    struct edge *edge = listener->edge;
    (void)events;
    if (status < 0) return;
    for (int i = 0; i < EDGE_ACCEPTS_A_TURN; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            /* Out of descriptors: stop asking, a timer begins again. Anything else concerns one peer, or is the end. */
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                uv_poll_stop(&listener->poll);
                listener->polling = false;
                return;
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) return;
            continue;
        }
        /* The kernel hands out the lowest number that is free: a high one means that many are open, half-open ones too. */
        if ((size_t)fd >= edge->connections_max || edge->connections >= edge->connections_max) refuse(edge, fd);
        else adopt(edge, fd);
    }
}

void edge_listen_rearm(struct edge *edge)
{
    for (size_t i = 0; i < edge->listeners_open; i++) {
        struct edge_listener *listener = &edge->listeners[i];
        if (listener->polling || listener->fd < 0) continue;
        listener->polling = uv_poll_start(&listener->poll, UV_READABLE, on_readable) == 0;
    }
}

bool edge_listen_split(const char *address, char *host, size_t host_bytes, char *port, size_t port_bytes)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon[1] == '\0') return false;
    /* getaddrinfo() takes 99999, and means another port by it. */
    if (strlen(colon + 1) > 5 || colon[1 + strspn(colon + 1, "0123456789")] != '\0' || strtoul(colon + 1, NULL, 10) > 65535) return false;
    size_t bytes = (size_t)(colon - address);
    if (bytes >= 2 && address[0] == '[' && address[bytes - 1] == ']') {
        address++;
        bytes -= 2;
    }
    if (bytes >= host_bytes || strlen(colon + 1) >= port_bytes) return false;
    memcpy(host, address, bytes);
    host[bytes] = '\0';
    snprintf(port, port_bytes, "%s", colon + 1);
    return true;
}

static void note_address(struct edge_listener *listener)
{
    struct sockaddr_storage bound;
    socklen_t bytes = sizeof bound;
    char host[64] = "?", port[16] = "?";
    if (getsockname(listener->fd, (struct sockaddr *)&bound, &bytes) == 0)
        (void)getnameinfo((struct sockaddr *)&bound, bytes, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(listener->address, sizeof listener->address, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

static enum err bind_to(const struct addrinfo *info, bool share, int *ret_fd)
{
    int on = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return ERR_IO;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (share) (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return ERR_BUSY;
    }
    *ret_fd = fd;
    return ERR_OK;
}

enum err edge_listen_open(struct edge *edge, const char *address, char *why, size_t why_bytes)
{
    char host[64], port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    struct edge_listener *listener = &edge->listeners[edge->listeners_open];
    if (!edge_listen_split(address, host, sizeof host, port, sizeof port) ||
        getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &found) != 0) {
        snprintf(why, why_bytes, "--listen %s: must be host:port", address);
        return ERR_CONFIG;
    }
    enum err err = bind_to(found, edge->options.share_address, &listener->fd);
    int reason = errno;
    freeaddrinfo(found);
    if (err != ERR_OK) {
        snprintf(why, why_bytes, "--listen %s: %s", address, strerror(reason));
        return err;
    }
    listener->edge = edge;
    listener->poll.data = listener;
    edge->listeners_open++;
    uv_poll_init(edge->options.loop, &listener->poll, listener->fd);
    edge->handles_open++;
    note_address(listener);
    edge_listen_rearm(edge);
    return ERR_OK;
}

void edge_listen_stop(struct edge *edge)
{
    for (size_t i = 0; i < edge->listeners_open; i++) {
        struct edge_listener *listener = &edge->listeners[i];
        if (listener->fd < 0) continue;
        uv_poll_stop(&listener->poll);
        close(listener->fd);
        listener->fd = -1;
        listener->polling = false;
    }
}

void edge_listen_close(struct edge *edge, uv_close_cb closed)
{
    for (size_t i = 0; i < edge->listeners_open; i++) {
        edge->listeners[i].poll.data = edge;
        uv_close((uv_handle_t *)&edge->listeners[i].poll, closed);
    }
}
