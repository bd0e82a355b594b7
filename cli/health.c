/* tidegate health: is the process on this address ready? For an image's HEALTHCHECK, where there is no curl.
 *
 * It reads --listen (TIDEGATE_LISTEN) as the asked process does, so inside its container it needs no option, and asks
 * /readyz by plain HTTP. Where that process serves TLS it only sees whether somebody accepts connections there. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/cli.h"

enum { WAIT_S = 2, HOST_BYTES = 256, ANSWER_BYTES = 1024 };

static void help(void)
{
    puts("tidegate health [--listen ADDR]\n\n"
         "  tidegate health                          is what this container runs ready?\n"
         "  tidegate health --listen 127.0.0.1:8080  is what runs there?\n\n"
         "Exit code 0: ready; 69: not, with the reason.\n");
    config_print_help(stdout, CONFIG_HEALTH);
}

/* Where one listens on every address, one is asked on loopback. */
static int reach(const char *address)
{
    char host[HOST_BYTES];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    struct timeval wait = {.tv_sec = WAIT_S};
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host) return -1;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    const char *name = host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0 ? "127.0.0.1" : strcmp(host, "[::]") == 0 ? "::1" : host;
    if (name[0] == '[') {
        host[strlen(host) - 1] = '\0';
        name++;
    }
    if (getaddrinfo(name, colon + 1, &hints, &found) != 0) return -1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    }
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* The answer's head and the beginning of its body; false: none came. */
static bool ask(int fd, char *answer, size_t answer_bytes)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    size_t at = 0;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof request - 1)) return false;
    while (at + 1 < answer_bytes) {
        ssize_t got = recv(fd, answer + at, answer_bytes - 1 - at, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        at += (size_t)got;
    }
    answer[at] = '\0';
    return at > 0;
}

int health_main(int argc, char **argv)
{
    struct config *config = NULL;
    bool wants_help;
    const char *const *listen;
    char answer[ANSWER_BYTES];
    int code = config_read(CONFIG_HEALTH, argc, argv, &config, &wants_help);
    if (code != EXIT_WELL) return code;
    if (wants_help) {
        help();
        goto out;
    }
    (void)config_list(config, "listen", &listen);
    int fd = reach(listen[0]);
    bool answered = fd >= 0 && (config_text(config, "tls-cert") != NULL || ask(fd, answer, sizeof answer));
    if (fd < 0) code = cli_fail(EXIT_MISSING, "--listen %s: nobody accepts connections there", listen[0]);
    else if (!answered) code = cli_fail(EXIT_MISSING, "--listen %s: no answer within %d s", listen[0], WAIT_S);
    else if (config_text(config, "tls-cert") == NULL && strncmp(answer, "HTTP/1.1 200", 12) != 0) {
        const char *body = strstr(answer, "\r\n\r\n");
        code = cli_fail(EXIT_MISSING, "not ready: %.200s", body == NULL ? answer : body + 4);
    }
    if (fd >= 0) close(fd);
out:
    config_free(config);
    return code;
}
