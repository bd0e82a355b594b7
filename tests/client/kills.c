/* A device killed between any two of its system calls: a process writes and syncs under ptrace, and dies before its n-th system call, for
 * every n until it comes to its end. Each time the store opens, nothing that was returned as written is gone, what was shown stays shown,
 * and once it syncs again everything took effect once.
 *
 *     kills [FIRST [STEP]]     from the FIRST system call on, every STEP-th
 *
 * Three processes: this one keeps the server (hub_world.h), one traces and kills, one is the device; they talk over a socket in
 * turns: the device says something, the server answers all that follows from it. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/client_rig.h"
#include "tests/support/rig.h"

enum { WRITES = 4, TURNS_MAX = 400, ROOM = 1 << 20, KILLS_MAX = 20000 };

static const char space[] = "cart:ana";

#define MUST(condition) must((condition), #condition, __LINE__)
static void must(bool holds, const char *what, int line)
{
    if (holds) return;
    fprintf(stderr, "kills.c:%d: %s\n", line, what);
    abort();
}

/* ---- talk: a letter, a length, bytes ---- */

static bool put_all(int fd, const void *bytes, size_t count)
{
    const char *at = bytes;
    while (count > 0) {
        ssize_t wrote = send(fd, at, count, MSG_NOSIGNAL);
        if (wrote <= 0) return false;
        at += wrote;
        count -= (size_t)wrote;
    }
    return true;
}

static bool get_all(int fd, void *bytes, size_t count)
{
    char *at = bytes;
    while (count > 0) {
        ssize_t got = read(fd, at, count);
        if (got <= 0) return false;
        at += got;
        count -= (size_t)got;
    }
    return true;
}

static bool say(int fd, char letter, const char *text, uint32_t bytes)
{
    char head[5] = {letter};
    memcpy(head + 1, &bytes, sizeof bytes);
    return put_all(fd, head, sizeof head) && put_all(fd, text, bytes);
}

static bool hear(int fd, char *ret_letter, char *room, uint32_t *ret_bytes)
{
    char head[5];
    if (!get_all(fd, head, sizeof head)) return false;
    *ret_letter = head[0];
    memcpy(ret_bytes, head + 1, sizeof *ret_bytes);
    return *ret_bytes < ROOM && get_all(fd, room, *ret_bytes);
}

/* ---- the device ---- */

static void turn(struct tide *tide, int fd, char *room)
{
    size_t bytes;
    const char *message;
    char letter;
    uint32_t count;
    if (tide_io_wants_connection(tide)) {
        MUST(say(fd, 'C', "", 0));
        tide_io_connected(tide);
    }
    while ((message = tide_io_output(tide, &bytes)) != NULL) {
        MUST(say(fd, 'M', message, (uint32_t)bytes));
        tide_io_sent(tide, bytes);
    }
    MUST(say(fd, 'E', "", 0));
    while (hear(fd, &letter, room, &count) && letter == 'M') tide_io_received(tide, room, count);
    tide_poll(tide);
}

static void be_device(const char *path, int fd)
{
    struct tide_options options = {.path = path, .token = "ana", .store_key = client_store_key()};
    struct tide *tide = NULL;
    struct tide_status status = {0};
    char *room = malloc(ROOM);
    MUST(room != NULL && tide_open(&options, &tide, NULL, 0) == TIDE_OK);
    MUST(tide_subscribe(tide, space, NULL) == TIDE_OK && tide_start(tide, TIDE_BOTH) == TIDE_OK);
    for (int i = 0; i < WRITES; i++) {
        MUST(tide_incr(tide, space, "items", "tea", "qty", 1, NULL, NULL, NULL) == TIDE_OK);
        MUST(say(fd, 'W', "", 0));
        if (i % 2 == 1) turn(tide, fd, room);
    }
    for (int i = 0; i < TURNS_MAX && !status.whole; i++) {
        turn(tide, fd, room);
        tide_status(tide, &status);
    }
    MUST(status.whole);
    tide_close(tide);
    free(room);
}

/* ---- the tracer ---- */

/* Exits with 0 if the device came to its end, 1 if it was killed, 2 for anything else. */
static void trace(const char *path, int fd, long kill_at)
{
    int status;
    pid_t device = fork();
    if (device == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        be_device(path, fd);
        _exit(0);
    }
    close(fd);
    if (waitpid(device, &status, 0) != device || !WIFSTOPPED(status)) _exit(2);
    ptrace(PTRACE_SETOPTIONS, device, NULL, (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
    for (long calls = 0;; calls++) {
        if (calls == 2 * kill_at) { /* each is stopped at twice; before it, nothing of it is done */
            kill(device, SIGKILL);
            waitpid(device, &status, 0);
            _exit(1);
        }
        ptrace(PTRACE_SYSCALL, device, NULL, NULL);
        if (waitpid(device, &status, 0) != device) _exit(2);
        if (WIFEXITED(status)) _exit(WEXITSTATUS(status) == 0 ? 0 : 2);
        if (WIFSIGNALED(status)) _exit(2);
    }
}

/* ---- the server ---- */

static void let_all_through(struct world *world)
{
    while (world_ack(world, false) || world_step(world) || world_ask(world) || world_page(world) || world_tell(world)) continue;
    hub_rig_turn(&world->rig);
}

/* Serves until the device is gone; how many writes it said were done. */
static int serve(struct world *world, int fd, char *room)
{
    struct rig_conn *conn = NULL;
    int writes = 0;
    char letter;
    uint32_t bytes;
    while (hear(fd, &letter, room, &bytes)) {
        if (letter == 'W') writes++;
        if (letter == 'C') conn = hub_rig_raw(&world->rig, 0, NULL);
        if (letter == 'M' && conn != NULL) hub_message(conn->session, span_of(room, bytes), world->rig.now_ms);
        if (letter != 'E') continue;
        do let_all_through(world);
        while (world->rig.appends_count > world->rig.acked_count);
        if (conn != NULL && conn->looked < conn->text_bytes && !say(fd, 'M', conn->text + conn->looked, (uint32_t)(conn->text_bytes - conn->looked))) break;
        if (conn != NULL) conn->looked = conn->text_bytes = 0;
        if (!say(fd, 'E', "", 0)) break;
        world->rig.now_ms += 1;
    }
    if (conn != NULL && conn->session != NULL) hub_rig_close(&world->rig, conn);
    return writes;
}

static int64_t quantity(struct client *client)
{
    struct json_value body;
    int64_t value = 0;
    char *text = client_body(client, space, "items", "tea");
    if (text != NULL && json_check(span_text(text), &body, NULL)) (void)json_integer(json_find(body, "qty"), &value);
    free(text);
    return value;
}

/* The device comes back on what the dead one left. */
static void look(struct world *world, const char *dir, int writes)
{
    struct client client, *all[1] = {&client};
    client_init(&client, world, 0, "ana", dir);
    client_begin(&client);
    int64_t shown = quantity(&client);
    if (shown < writes || shown > writes + 1) fprintf(stderr, "%d writes had returned, %lld are shown\n", writes, (long long)shown);
    MUST(shown >= writes && shown <= writes + 1);
    MUST(tide_subscribe(client.tide, space, NULL) == TIDE_OK);
    client_settle(all, 1, 300000);
    struct tide_status status;
    tide_status(client.tide, &status);
    if (quantity(&client) != shown) fprintf(stderr, "%lld were shown, %lld took effect\n", (long long)shown, (long long)quantity(&client));
    MUST(status.whole && status.refused == 0 && quantity(&client) == shown && client_is_like_owner(&client, space));
    client_fini(&client);
}

/* True: the device came to its end before the call. */
static bool one_kill(long at)
{
    char dir[] = "/dev/shm/tidegate-kills-XXXXXX", path[CLIENT_PATH_BYTES];
    static struct world world;
    int sockets[2], status, writes;
    char *room = malloc(ROOM), *made = mkdtemp(dir);
    MUST(room != NULL && made != NULL && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    snprintf(path, sizeof path, "%s/device-0.db", dir);
    pid_t tracer = fork();
    if (tracer == 0) {
        close(sockets[0]);
        trace(path, sockets[1], at);
    }
    close(sockets[1]);
    world_init(&world, (uint64_t)at + 1);
    world.rig.now_ms = rig_now_ms();
    writes = serve(&world, sockets[0], room);
    close(sockets[0]);
    MUST(waitpid(tracer, &status, 0) == tracer && WIFEXITED(status) && WEXITSTATUS(status) != 2);
    look(&world, dir, writes);
    world_fini(&world);
    rig_dir_remove(dir);
    free(room);
    return WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    long first = argc > 1 ? strtol(argv[1], NULL, 10) : 0, step = argc > 2 ? strtol(argv[2], NULL, 10) : 1, count = 0;
    MUST(first >= 0 && step > 0);
    for (long at = first; at < KILLS_MAX; at += step, count++)
        if (one_kill(at)) break;
    MUST(count > 0 && count < KILLS_MAX / step);
    printf("%ld kills, each before another system call\n", count);
    return 0;
}
