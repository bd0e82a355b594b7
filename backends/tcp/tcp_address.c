#include "backends/tcp/tcp_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A v6 address whole, and not a part of one. */
static bool is_v6(const char *text, size_t bytes)
{
    char host[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (bytes >= sizeof host) return false;
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    return inet_pton(AF_INET6, host, &address) == 1;
}

bool tcp_address_split(const char *text, char host[TCP_HOST_BYTES_MAX], char port[TCP_PORT_BYTES_MAX])
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon[1] == '\0') return false;
    size_t bytes = (size_t)(colon - text);
    if (bytes >= 2 && text[0] == '[' && text[bytes - 1] == ']') {
        text++;
        bytes -= 2;
    } else if (memchr(text, ':', bytes) != NULL && !is_v6(text, bytes)) {
        return false;
    }
    if (bytes == 0 || bytes >= TCP_HOST_BYTES_MAX || strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5 ||
        strtoul(colon + 1, NULL, 10) > 65535) return false;
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    snprintf(port, TCP_PORT_BYTES_MAX, "%s", colon + 1);
    return true;
}

bool tcp_address_numeric(const char *host, const char *port, struct sockaddr_storage *ret_address)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&address;
    uint16_t number = htons((uint16_t)strtoul(port, NULL, 10));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = number;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = number;
    } else {
        return false;
    }
    *ret_address = address;
    return true;
}

static bool is_loopback_v4(const struct in_addr *address) { return ntohl(address->s_addr) >> 24 == 127; }

bool tcp_address_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) return is_loopback_v4(&((const struct sockaddr_in *)(const void *)address)->sin_addr);
    if (address->sa_family != AF_INET6) return false;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    struct in_addr mapped;
    if (!IN6_IS_ADDR_V4MAPPED(v6)) return IN6_IS_ADDR_LOOPBACK(v6);
    memcpy(&mapped, v6->s6_addr + 12, sizeof mapped);
    return is_loopback_v4(&mapped);
}

void tcp_address_print(const struct sockaddr *address, char *text, size_t text_bytes)
{
    char host[64] = "?", port[TCP_PORT_BYTES_MAX] = "?";
    socklen_t bytes = address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (address->sa_family == AF_INET || address->sa_family == AF_INET6)
        (void)getnameinfo(address, bytes, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(text, text_bytes, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}
