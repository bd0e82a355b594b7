/* The addresses of the server's name, by the system's resolver, which blocks. glibc's asks each of up to three servers twice, 5 s each time,
 * and once more with the domain of the search list behind the name: a minute and more where the network drops what it is sent. So for the
 * time of the call its patience is less: 4 s for all servers in a round, of which there are two at most. That bounds DNS where nobody answers; a
 * server that answers one of the two questions (IPv4, IPv6) and not the other is waited for up to two times more. What else
 * /etc/nsswitch.conf names (LDAP, mDNS) has time-outs of its own. The patience is the thread's own (_res), and it is given back.
 *
 * glibc reads /etc/resolv.conf anew where it has changed, but not while somebody has touched `_res`: so that is seen to here, after a failure. */
#include <arpa/inet.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#include "client/transport_parts.h"

#ifdef __GLIBC__
/* By the number of servers: seconds for the first of them, and tries. The second gets as much, the third a second again (res_send.c). */
static const struct patience {
    int seconds, tries;
} patiences[] = {{2, 2}, {2, 2}, {1, 2}, {1, 1}};
enum { PATIENCES = sizeof patiences / sizeof patiences[0] };

static int ask(const char *name, const struct addrinfo *hints, struct addrinfo **ret_list)
{
    if ((_res.options & RES_INIT) == 0 && res_init() != 0) return EAI_AGAIN;
    int seconds = _res.retrans, tries = _res.retry;
    const struct patience *patience = &patiences[_res.nscount < 0 ? 0 : _res.nscount < PATIENCES ? _res.nscount : PATIENCES - 1];
    if (seconds > patience->seconds) _res.retrans = patience->seconds;
    if (tries > patience->tries) _res.retry = patience->tries;
    int code = getaddrinfo(name, NULL, hints, ret_list);
    _res.retrans = seconds;
    _res.retry = tries;
    if (code != 0) (void)res_init(); /* perhaps other servers by now, where this device is in another network */
    return code;
}
#else
static int ask(const char *name, const struct addrinfo *hints, struct addrinfo **ret_list) { return getaddrinfo(name, NULL, hints, ret_list); }
#endif

/* In digits, of IPv6 perhaps with the interface behind (fe80::1%eth0). */
static bool is_address(const char *text)
{
    unsigned char bytes[16];
    char digits[INET6_ADDRSTRLEN];
    size_t count = strcspn(text, "%");
    if (count >= sizeof digits || strlen(text) >= TRANSPORT_HOST_BYTES) return false;
    snprintf(digits, sizeof digits, "%.*s", (int)count, text);
    if (inet_pton(AF_INET6, digits, bytes) == 1) return text[count] == '\0' || text[count + 1] != '\0';
    return text[count] == '\0' && inet_pton(AF_INET, digits, bytes) == 1;
}

bool transport_takes(const char *const *addresses, char *ret_why, size_t why_bytes)
{
    if (addresses == NULL) return true;
    if (addresses[0] == NULL) snprintf(ret_why, why_bytes, "addresses: there is none in the list");
    for (size_t i = 0; addresses[i] != NULL; i++) {
        if (is_address(addresses[i])) continue;
        snprintf(ret_why, why_bytes, "addresses: '%.80s' is not an address in digits", addresses[i]);
        return false;
    }
    return addresses[0] != NULL;
}

static size_t given(const struct transport *transport, char ret_address[TRANSPORT_HOST_BYTES])
{
    size_t count = 0;
    while (transport->addresses[count] != NULL) count++;
    if (count > 0) snprintf(ret_address, TRANSPORT_HOST_BYTES, "%s", transport->addresses[transport->address_at % count]);
    return count;
}

size_t transport_resolve(const struct transport *transport, char ret_address[TRANSPORT_HOST_BYTES], char ret_why[TRANSPORT_WHY_BYTES])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    size_t count = 0;
    if (transport->addresses != NULL) return given(transport, ret_address);
    int code = ask(transport->url.host, &hints, &list);
    if (code != 0) {
        snprintf(ret_why, TRANSPORT_WHY_BYTES, "%.80s cannot be looked up: %s", transport->url.host, gai_strerror(code));
        return 0;
    }
    for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) count++;
    const struct addrinfo *one = list;
    for (size_t left = count > 0 ? transport->address_at % count : 0; left > 0; left--) one = one->ai_next;
    if (one != NULL && getnameinfo(one->ai_addr, one->ai_addrlen, ret_address, TRANSPORT_HOST_BYTES, NULL, 0, NI_NUMERICHOST) != 0) count = 0;
    if (count == 0) snprintf(ret_why, TRANSPORT_WHY_BYTES, "%.80s has no address", transport->url.host);
    freeaddrinfo(list);
    return count;
}
