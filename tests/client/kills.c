/* A device killed between any two of its system calls: a process writes and syncs under ptrace, live or by background work, and dies before
 * its n-th system call, for every n until it comes to its end. Each time the store opens, nothing that was returned as written is gone, what was shown stays shown,
 * and once it syncs again everything took effect once. Background work that was asked for is there or done.
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

/* A call of HTTP, by the same socket. */
static unsigned post(void *ctx, struct span body, struct buf *answer)
{
    static char room[ROOM];
    int fd = *(int *)ctx;
    char letter;
    uint32_t bytes;
    if (!say(fd, 'P', body.at, (uint32_t)body.bytes) || !hear(fd, &letter, room, &bytes) || letter != 'A') return 0;
    buf_add(answer, room, bytes);
    return 200;
}

static void be_worker(const char *path, int fd)
{
    struct tide_options options = {.path = path, .token = "ana", .store_key = client_store_key()};
    struct tide_machine machine = {.ctx = &fd, .post = post};
    struct tide_due due;
    struct tide *tide = NULL;
    MUST(tide_open_on(&options, &machine, &tide, NULL, 0) == TIDE_OK && tide_subscribe(tide, space, NULL) == TIDE_OK);
    for (int i = 0; i < WRITES / 2; i++) {
        MUST(tide_incr(tide, space, "items", "tea", "qty", 1, NULL, NULL, NULL) == TIDE_OK);
        MUST(say(fd, 'W', "", 0));
    }
    MUST(tide_work_add(tide, &(struct tide_work){.name = "upload"}, TIDE_KEEP) == TIDE_OK);
    MUST(say(fd, 'K', "", 0));
    MUST(tide_run_due(tide, TURNS_MAX * 1000, &due) == TIDE_OK && due.well == 1);
    tide_close(tide);
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
static void trace(const char *path, int fd, long kill_at, bool works)
{
    int status;
    pid_t device = fork();
    if (device == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        if (works) be_worker(path, fd);
        else be_device(path, fd);
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

static bool answered, was_asked_to_work;

static void on_answer(void *ctx, const struct hub_http_answer *answer)
{
    MUST(answer->status == 200);
    answered = true;
    (void)say(*(int *)ctx, 'A', answer->body->text, (uint32_t)answer->body->bytes); /* it may be dead */
}

static void answer(struct world *world, int fd, struct span body)
{
    struct hub_credentials credentials = {.user = "ana", .user_bytes = 3, .expires_ms = INT64_MAX};
    struct hub_http_request request = {.post = true, .path = SPAN_LITERAL("sync"), .query = SPAN_LITERAL(""), .body = body, .credentials = &credentials};
    answered = false;
    (void)hub_http_start(world->rig.hub, &request, world->rig.now_ms, &fd, on_answer);
    while (!answered) {
        let_all_through(world);
        world->rig.now_ms += 100;
        hub_tick(world->rig.hub, world->rig.now_ms);
    }
}

/* Serves until the device is gone; how many writes it said were done. */
static int serve(struct world *world, int fd, char *room)
{
    struct rig_conn *conn = NULL;
    int writes = 0;
    char letter;
    uint32_t bytes;
    was_asked_to_work = false;
    while (hear(fd, &letter, room, &bytes)) {
        if (letter == 'W') writes++;
        if (letter == 'K') was_asked_to_work = true;
        if (letter == 'P') answer(world, fd, span_of(room, bytes));
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

/* Work is done, or it is there and gets done, after its backoff where the run was booked. */
static void finish_work(struct client *client, bool whole)
{
    struct tide_due due;
    struct tide_reason reason;
    tide_why_not(client->tide, "upload", &reason);
    MUST(reason.why != TIDE_WHY_NO_WORK || whole);
    for (int i = 0; i < 4 && reason.why != TIDE_WHY_NO_WORK; i++) {
        client->world->rig.now_ms += reason.next_ms > 0 ? reason.next_ms : 0;
        MUST(client_run_due(client, &due) == TIDE_OK);
        tide_why_not(client->tide, "upload", &reason);
    }
    MUST(reason.why == TIDE_WHY_NO_WORK);
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
    if (was_asked_to_work) {
        struct tide_status before;
        tide_status(client.tide, &before);
        finish_work(&client, before.pending == 0);
    }
    MUST(tide_subscribe(client.tide, space, NULL) == TIDE_OK);
    client_settle(all, 1, 300000);
    struct tide_status status;
    tide_status(client.tide, &status);
    if (quantity(&client) != shown) fprintf(stderr, "%lld were shown, %lld took effect\n", (long long)shown, (long long)quantity(&client));
    MUST(status.whole && status.refused == 0 && quantity(&client) == shown && client_is_like_owner(&client, space));
    client_fini(&client);
}

/* True: the device came to its end before the call. */
static bool one_kill(long at, bool works)
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
        trace(path, sockets[1], at, works);
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
    for (int works = 0; works < 2; works++) {
        long at = first;
        while (at < KILLS_MAX && !one_kill(at, works != 0)) {
            at += step;
            count++;
        }
        MUST(at > first && at < KILLS_MAX);
    }
    printf("%ld kills, each before another system call\n", count);
    return 0;
}
