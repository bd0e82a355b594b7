/* Addresses of links: "host:port", "[v6]:port"; also "v6:port", which is what "$(POD_IP):7070" becomes. */
#ifndef TIDEGATE_BACKENDS_TCP_TCP_ADDRESS_H
#define TIDEGATE_BACKENDS_TCP_TCP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { TCP_HOST_BYTES_MAX = 256, TCP_PORT_BYTES_MAX = 8 };

/* False: malformed. */
bool tcp_address_split(const char *text, char host[TCP_HOST_BYTES_MAX], char port[TCP_PORT_BYTES_MAX]);
/* Without asking anybody: a numeric one. False: it is a name, to be resolved. */
bool tcp_address_numeric(const char *host, const char *port, struct sockaddr_storage *ret_address);
bool tcp_address_is_loopback(const struct sockaddr *address);
void tcp_address_print(const struct sockaddr *address, char *text, size_t text_bytes);

#endif
