#include "tests/support/listener.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 64, EXIT_NO_PORT = 7 };

void listener_begin(struct listener *listener, void *(*serve)(void *ctx), void *ctx)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    listener->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener->fd, (struct sockaddr *)&at, sizeof at) != 0 || getsockname(listener->fd, (struct sockaddr *)&at, &bytes) != 0) exit(EXIT_NO_PORT);
    listener->port = ntohs(at.sin_port);
    listener->answers = serve != NULL;
    if (serve != NULL && (listen(listener->fd, BACKLOG) != 0 || pthread_create(&listener->thread, NULL, serve, ctx) != 0)) exit(EXIT_NO_PORT);
}

void listener_end(struct listener *listener)
{
    shutdown(listener->fd, SHUT_RDWR);
    if (listener->answers) pthread_join(listener->thread, NULL);
    close(listener->fd);
}
