/* A load generator: many devices on one epoll, and a bare writer to compare with.
 *
 *   load idle  PORT PID KEYFILE CONNECTIONS               connects them, each with one space open; prints the server's
 *                                                         CPU and memory for it
 *   load room  PORT PID KEYFILE SUBSCRIBERS RATE SECONDS  a room; one more device says RATE messages a second
 *   load acks  PORT PID KEYFILE INFLIGHT SECONDS          one device pushes with INFLIGHT unanswered
 *   load bare  SUBSCRIBERS RATE SECONDS BYTES             writes BYTES to that many sockets of its own, and nothing else:
 *                                                         what the kernel asks for at least
 * The server's CPU is read from /proc/PID/stat before and after. Latency: from the push's send to each receipt. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/jwt.h"

enum { ROOM_BYTES = 8192, SAMPLES_MAX = 1 << 20, BATCH = 256 };

struct device {
    int fd;
    bool upgraded, welcomed, opened;
    size_t bytes;
    char *room; /* ROOM_BYTES, while something is half read */
    uint64_t updates;
};

static struct device *devices;
static size_t devices_count;
static int poll_fd;
static uint64_t updates, acks, bytes_read;
static double *samples;
static size_t samples_count;
static double sent_at[65536];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static double cpu_of(int pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(text, sizeof text, file) == NULL) die("no process %d", pid);
    fclose(file);
    const char *at = strrchr(text, ')');
    if (at == NULL || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2) die("stat of %d", pid);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double memory_of(int pid)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1) die("no process %d", pid);
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void write_all(int fd, const char *at, size_t bytes)
{
    while (bytes > 0) {
        ssize_t wrote = send(fd, at, bytes, MSG_NOSIGNAL);
        if (wrote < 0 && errno == EAGAIN) continue;
        if (wrote < 0) die("send: %s", strerror(errno));
        at += wrote;
        bytes -= (size_t)wrote;
    }
}

/* One masked text frame (mask zero: allowed, and the payload stays as it is). */
static void send_frame(struct device *device, const char *text)
{
    size_t bytes = strlen(text), head = bytes < 126 ? 6 : 8;
    char frame[2048] = {(char)0x81};
    assert(bytes < sizeof frame - 16);
    if (bytes < 126) {
        frame[1] = (char)(0x80 | bytes);
    } else {
        frame[1] = (char)(0x80 | 126);
        frame[2] = (char)(bytes >> 8);
        frame[3] = (char)(bytes & 0xff);
    }
    memcpy(frame + head, text, bytes);
    write_all(device->fd, frame, head + bytes);
}

static int connect_to(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) die("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static size_t count_of(const char *at, size_t bytes, const char *part)
{
    size_t count = 0, length = strlen(part);
    const char *end = at + bytes;
    while ((at = memmem(at, (size_t)(end - at), part, length)) != NULL) {
        count++;
        at += length;
    }
    return count;
}

static void note(struct device *device, const char *at, size_t bytes)
{
    if (memmem(at, bytes, "\"type\":\"welcome\"", 16) != NULL) device->welcomed = true;
    if (memmem(at, bytes, "\"type\":\"page\"", 13) != NULL || memmem(at, bytes, "\"type\":\"current\"", 16) != NULL) device->opened = true;
    acks += count_of(at, bytes, "\"type\":\"ack\"");
    size_t found = count_of(at, bytes, "\"type\":\"update\"");
    device->updates += found;
    updates += found;
    const char *stamp = found == 0 ? NULL : memmem(at, bytes, "\"n\":", 4);
    if (stamp != NULL && samples != NULL && samples_count < SAMPLES_MAX)
        samples[samples_count++] = now_s() - sent_at[strtoul(stamp + 4, NULL, 10) % 65536];
}

/* Takes whole frames off the front; answers pings. */
static size_t parse(struct device *device, char *at, size_t bytes)
{
    size_t used = 0;
    while (bytes - used >= 2) {
        unsigned char *head = (unsigned char *)at + used;
        size_t header = 2, length = head[1] & 127;
        if (length == 126) {
            if (bytes - used < 4) break;
            length = (size_t)head[2] << 8 | head[3];
            header = 4;
        } else if (length == 127) {
            if (bytes - used < 10) break;
            length = 0;
            for (int i = 2; i < 10; i++) length = length << 8 | head[i];
            header = 10;
        }
        if (bytes - used < header + length) {
            if (header + length > ROOM_BYTES) die("a frame of %zu bytes", length);
            break;
        }
        if ((head[0] & 15) == 9) write_all(device->fd, (char[]){(char)0x8a, (char)0x80, 0, 0, 0, 0}, 6);
        if ((head[0] & 15) == 8) die("the server closed: %.*s", (int)(length > 2 ? length - 2 : 0), (char *)head + header + 2);
        note(device, (char *)head + header, length);
        used += header + length;
    }
    return used;
}

static void read_device(struct device *device)
{
    static char shared[65536 + ROOM_BYTES];
    size_t kept = device->bytes;
    if (kept > 0) memcpy(shared, device->room, kept);
    ssize_t got = recv(device->fd, shared + kept, sizeof shared - kept, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) die("a connection ended: %s", got == 0 ? "closed" : strerror(errno));
    if (got < 0) return;
    bytes_read += (uint64_t)got;
    size_t bytes = kept + (size_t)got, used = 0;
    if (!device->upgraded) {
        char *end = memmem(shared, bytes, "\r\n\r\n", 4);
        if (memmem(shared, bytes, " 101 ", 5) == NULL && bytes > 12) die("not upgraded: %.60s", shared);
        if (end != NULL) {
            device->upgraded = true;
            used = (size_t)(end - shared) + 4;
        }
    }
    if (device->upgraded) used += parse(device, shared + used, bytes - used);
    device->bytes = bytes - used;
    if (device->bytes > 0) {
        if (device->room == NULL) device->room = malloc(ROOM_BYTES);
        if (device->bytes > ROOM_BYTES || device->room == NULL) die("too much half a frame");
        memcpy(device->room, shared + used, device->bytes);
    } else {
        free(device->room);
        device->room = NULL;
    }
}

static void poll_once(int timeout_ms)
{
    struct epoll_event events[BATCH];
    int count = epoll_wait(poll_fd, events, BATCH, timeout_ms);
    for (int i = 0; i < count; i++) read_device(events[i].data.ptr);
}

static bool is_there(const struct device *device, int stage)
{
    return stage == 0 ? device->upgraded : stage == 1 ? device->welcomed : device->opened;
}

static void wait_all(size_t from, size_t to, int stage)
{
    double until = now_s() + 60;
    for (size_t i = from; i < to; i++)
        while (!is_there(&devices[i], stage)) {
            poll_once(100);
            if (now_s() > until) die("device %zu is not there after 60 s (stage %d)", i, stage);
        }
}

static const char *token_for(const struct jwt_keys *keys, const char *user)
{
    static struct buf token;
    char payload[256];
    if (token.max == 0) buf_init(&token, 4096);
    snprintf(payload, sizeof payload, "{\"sub\":\"%s\",\"exp\":4000000000}", user);
    if (jwt_sign(keys, span_text(payload), &token) != ERR_OK) die("cannot sign");
    buf_add_char(&token, '\0');
    return token.at;
}

/* Connects devices[from..to) in slices, each as a user of its own with one space open. `space` NULL: his own cart. */
static void bring(const struct jwt_keys *keys, int port, size_t from, size_t to, const char *space)
{
    static const char upgrade[] = "GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: tidegate.v1\r\n\r\n";
    for (size_t first = from; first < to; first += BATCH) {
        size_t last = first + BATCH < to ? first + BATCH : to;
        for (size_t i = first; i < last; i++) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = &devices[i]};
            devices[i].fd = connect_to(port);
            epoll_ctl(poll_fd, EPOLL_CTL_ADD, devices[i].fd, &event);
            write_all(devices[i].fd, upgrade, sizeof upgrade - 1);
        }
        wait_all(first, last, 0);
        for (size_t i = first; i < last; i++) {
            char user[32], text[1024];
            snprintf(user, sizeof user, "u%zu", i);
            snprintf(text, sizeof text, "{\"type\":\"hello\",\"protocol\":1,\"token\":\"%s\",\"device\":\"device-%zu\",\"client\":\"load\"}", token_for(keys, user), i);
            send_frame(&devices[i], text);
            snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"%s%s\",\"since\":null,\"known\":0}]}", space == NULL ? "cart:" : space, space == NULL ? user : "");
            if (space == NULL) send_frame(&devices[i], text);
        }
        wait_all(first, last, space == NULL ? 2 : 1);
    }
    devices_count = to;
}

static void init(size_t count)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    devices = calloc(count + 1, sizeof *devices);
    assert(devices != NULL && poll_fd >= 0);
}

static struct jwt_keys *keys_of(const char *path)
{
    struct jwt_keys *keys = NULL;
    char why[256];
    if (jwt_keys_load(path, &keys, why, sizeof why) != ERR_OK) die("%s", why);
    return keys;
}

static int idle(int port, int pid, const char *key, size_t count)
{
    struct jwt_keys *keys = keys_of(key);
    init(count);
    bring(keys, port, 0, 50, NULL); /* warm: tables and pools are made */
    double memory = memory_of(pid), cpu = cpu_of(pid), start = now_s();
    bring(keys, port, 50, count, NULL);
    double cpu_accept = cpu_of(pid) - cpu, seconds = now_s() - start;
    for (int i = 0; i < 20; i++) poll_once(100);
    double grown = memory_of(pid) - memory;
    cpu = cpu_of(pid);
    start = now_s();
    while (now_s() - start < 10) poll_once(100);
    printf("idle connections=%zu accepted_in_s=%.2f accept_cpu_s=%.2f cpu_us_each=%.0f bytes_each=%.0f idle_cpu_ms_per_s=%.1f\n", count, seconds,
           cpu_accept, cpu_accept * 1e6 / (double)(count - 50), grown / (double)(count - 50), (cpu_of(pid) - cpu) * 1000 / (now_s() - start));
    return 0;
}

static int compare(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b; }

static double percentile(double part)
{
    if (samples_count == 0) return 0;
    return samples[(size_t)((double)(samples_count - 1) * part)] * 1000;
}

static int room(int port, int pid, const char *key, size_t subscribers, double rate, double seconds)
{
    struct jwt_keys *keys = keys_of(key);
    char text[1024], space[64];
    snprintf(space, sizeof space, "chat:load%ld", (long)time(NULL));
    init(subscribers + 1);
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    bring(keys, port, 0, 1, space);
    snprintf(text, sizeof text, "{\"type\":\"open\",\"ref\":1,\"spaces\":[{\"space\":\"%s\",\"since\":null,\"known\":0}]}", space);
    send_frame(&devices[0], text);
    wait_all(0, 1, 2);
    char push[1024];
    snprintf(push, sizeof push, "{\"type\":\"push\",\"id\":1,\"after\":0,\"space\":\"%s\",\"known\":0,\"ops\":[{\"op\":\"put\",\"collection\":\"room\",\"id\":\"settings\",\"body\":{\"join\":\"open\"}}]}", space);
    send_frame(&devices[0], push);
    while (updates == 0) poll_once(100);
    bring(keys, port, 1, subscribers + 1, space);
    for (size_t i = 1; i <= subscribers; i++) send_frame(&devices[i], text);
    wait_all(1, subscribers + 1, 2);
    updates = samples_count = 0;
    uint64_t before = bytes_read, id = 2, want = (uint64_t)(rate * seconds);
    double cpu = cpu_of(pid), start = now_s();
    for (uint64_t n = 0; n < want; n++, id++) {
        while (now_s() < start + (double)n / rate) poll_once(1);
        snprintf(push, sizeof push, "{\"type\":\"push\",\"id\":%llu,\"after\":%llu,\"space\":\"%s\",\"known\":%llu,\"ops\":[{\"op\":\"append\",\"collection\":\"messages\","
                 "\"id\":\"m%llu\",\"body\":{\"text\":\"%0100d\",\"n\":%llu}}]}", (unsigned long long)id, (unsigned long long)id - 1, space, (unsigned long long)(id - 2),
                 (unsigned long long)id, 0, (unsigned long long)(n % 65536));
        sent_at[n % 65536] = now_s();
        send_frame(&devices[0], push);
    }
    uint64_t expected = want * (subscribers + 1);
    double until = now_s() + 30;
    while (updates < expected && now_s() < until) poll_once(10);
    double spent = cpu_of(pid) - cpu, took = now_s() - start;
    qsort(samples, samples_count, sizeof *samples, compare);
    printf("room subscribers=%zu rate=%.0f deliveries=%llu of %llu per_s=%.0f cpu_us_per_delivery=%.2f p50_ms=%.2f p99_ms=%.2f bytes_per_delivery=%.0f\n", subscribers, rate,
           (unsigned long long)updates, (unsigned long long)expected, (double)updates / took, spent * 1e6 / (double)updates, percentile(0.5), percentile(0.99),
           (double)(bytes_read - before) / (double)updates);
    return updates == expected ? 0 : 1;
}

static int measure_acks(int port, int pid, const char *key, uint64_t inflight, double seconds)
{
    struct jwt_keys *keys = keys_of(key);
    char push[1024];
    init(1);
    bring(keys, port, 0, 1, NULL);
    uint64_t id = 0;
    double cpu = cpu_of(pid), start = now_s();
    acks = 0;
    while (now_s() - start < seconds) {
        while (id < acks + inflight) {
            id++;
            snprintf(push, sizeof push, "{\"type\":\"push\",\"id\":%llu,\"after\":%llu,\"space\":\"cart:u0\",\"known\":%llu,\"ops\":[{\"op\":\"incr\",\"collection\":\"items\",\"id\":\"a\","
                     "\"field\":\"n\",\"by\":1}]}", (unsigned long long)id, (unsigned long long)id - 1, (unsigned long long)(updates > 0 ? updates - 1 : 0));
            send_frame(&devices[0], push);
        }
        poll_once(1);
    }
    printf("acks inflight=%llu per_s=%.0f cpu_us_per_push=%.1f\n", (unsigned long long)inflight, (double)acks / (now_s() - start), (cpu_of(pid) - cpu) * 1e6 / (double)acks);
    return 0;
}

/* The reader is a child: its CPU is not counted. */
static int bare(size_t subscribers, double rate, double seconds, size_t bytes)
{
    int *fds = calloc(subscribers, sizeof *fds);
    char *message = calloc(1, bytes);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    init(0);
    if (fds == NULL || message == NULL || bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 4096) != 0 ||
        getsockname(listener, (struct sockaddr *)&at, &length) != 0) die("listen");
    pid_t child = fork();
    if (child == 0) {
        char sink[65536];
        for (size_t i = 0; i < subscribers; i++) {
            struct epoll_event event = {.events = EPOLLIN, .data.fd = connect_to(ntohs(at.sin_port))};
            epoll_ctl(poll_fd, EPOLL_CTL_ADD, event.data.fd, &event);
        }
        for (;;) {
            struct epoll_event events[BATCH];
            int count = epoll_wait(poll_fd, events, BATCH, -1);
            for (int i = 0; i < count; i++)
                if (recv(events[i].data.fd, sink, sizeof sink, 0) == 0) _exit(0);
        }
    }
    for (size_t i = 0; i < subscribers; i++) {
        fds[i] = accept(listener, NULL, NULL);
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    uint64_t want = (uint64_t)(rate * seconds);
    double cpu = cpu_of(getpid()), start = now_s();
    for (uint64_t n = 0; n < want; n++) {
        while (now_s() < start + (double)n / rate) usleep(200);
        for (size_t i = 0; i < subscribers; i++) write_all(fds[i], message, bytes);
    }
    double spent = cpu_of(getpid()) - cpu;
    printf("bare subscribers=%zu rate=%.0f bytes=%zu cpu_us_per_delivery=%.2f\n", subscribers, rate, bytes, spent * 1e6 / (double)(want * subscribers));
    for (size_t i = 0; i < subscribers; i++) close(fds[i]);
    waitpid(child, NULL, 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "idle") == 0) return idle((int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10), argv[4], strtoul(argv[5], NULL, 10));
    if (argc == 8 && strcmp(argv[1], "room") == 0)
        return room((int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10), argv[4], strtoul(argv[5], NULL, 10), strtod(argv[6], NULL), strtod(argv[7], NULL));
    if (argc == 7 && strcmp(argv[1], "acks") == 0) return measure_acks((int)strtol(argv[2], NULL, 10), (int)strtol(argv[3], NULL, 10), argv[4], strtoul(argv[5], NULL, 10), strtod(argv[6], NULL));
    if (argc == 6 && strcmp(argv[1], "bare") == 0) return bare(strtoul(argv[2], NULL, 10), strtod(argv[3], NULL), strtod(argv[4], NULL), strtoul(argv[5], NULL, 10));
    fputs("load idle|room|acks|bare ...: see the head of bench/load.c\n", stderr);
    return 64;
}
