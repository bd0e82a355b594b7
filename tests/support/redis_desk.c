#include "tests/support/redis_desk.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 400, TRY_MS = 50, STARTS = 5 };

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = bind(fd, (struct sockaddr *)&at, sizeof at) | getsockname(fd, (struct sockaddr *)&at, &bytes);
    assert(code == 0);
    close(fd);
    return ntohs(at.sin_port);
}

static void take_port(struct redis_desk *desk)
{
    desk->port = free_port();
    snprintf(desk->address, sizeof desk->address, "127.0.0.1:%d", desk->port);
}

void redis_desk_init(struct redis_desk *desk)
{
    *desk = (struct redis_desk){0};
    rig_dir_make(desk->dir);
    take_port(desk);
}

static void run(const struct redis_desk *desk)
{
    char port[16];
    int null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves no server */
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    snprintf(port, sizeof port, "%d", desk->port);
    execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", desk->dir, "--save", "", "--appendonly", "no", (char *)NULL);
    _exit(127);
}

static bool answers(struct redis_desk *desk)
{
    redisContext *look = redisConnect("127.0.0.1", desk->port);
    if (look != NULL && look->err == 0) {
        desk->look = look;
        if (strcmp(redis_desk_ask(desk, "PING"), "PONG") == 0) return true;
        desk->look = NULL;
    }
    if (look != NULL) redisFree(look);
    return false;
}

/* False: it ended, perhaps because another has the port. */
static bool try_start(struct redis_desk *desk)
{
    struct timespec wait = {0, TRY_MS * 1000000};
    desk->pid = fork();
    assert(desk->pid >= 0);
    if (desk->pid == 0) run(desk);
    for (int i = 0; i < TRIES; i++) {
        int status;
        if (waitpid(desk->pid, &status, WNOHANG) == desk->pid) {
            desk->pid = 0;
            return false;
        }
        if (answers(desk)) return true;
        nanosleep(&wait, NULL);
    }
    redis_desk_stop(desk);
    return false;
}

void redis_desk_start(struct redis_desk *desk)
{
    bool first = desk->look == NULL && desk->pid == 0;
    bool started = try_start(desk);
    for (int i = 0; !started && first && i < STARTS; i++) started = try_start(desk);
    if (!started) fprintf(stderr, "redis-server does not start on port %d; tools/setup test installs it\n", desk->port);
    assert(started);
}

void redis_desk_stop(struct redis_desk *desk)
{
    if (desk->look != NULL) redisFree(desk->look);
    desk->look = NULL;
    if (desk->pid == 0) return;
    kill(desk->pid, SIGKILL);
    waitpid(desk->pid, NULL, 0);
    desk->pid = 0;
}

void redis_desk_hang(struct redis_desk *desk, bool hung)
{
    int code = kill(desk->pid, hung ? SIGSTOP : SIGCONT);
    assert(code == 0);
}

void redis_desk_fini(struct redis_desk *desk)
{
    redis_desk_stop(desk);
    rig_dir_remove(desk->dir);
}

static void print(const redisReply *reply, char *at, size_t room)
{
    if (reply->type == REDIS_REPLY_INTEGER) snprintf(at, room, "%lld", reply->integer);
    else if (reply->type == REDIS_REPLY_NIL) snprintf(at, room, "%s", "");
    else if (reply->type != REDIS_REPLY_ARRAY) snprintf(at, room, "%s", reply->str);
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        size_t used = strlen(at);
        if (i > 0) snprintf(at + used, room - used, " ");
        used = strlen(at);
        print(reply->element[i], at + used, room - used);
    }
}

const char *redis_desk_ask(struct redis_desk *desk, const char *format, ...)
{
    static char text[4096];
    va_list list;
    va_start(list, format);
    redisReply *reply = redisvCommand(desk->look, format, list);
    va_end(list);
    text[0] = '\0';
    if (reply != NULL) print(reply, text, sizeof text);
    freeReplyObject(reply);
    return text;
}
