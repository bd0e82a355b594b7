/* Settings that go together, or that only all at once can be judged. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

enum { LISTEN_MAX = 8, HOST_BYTES = 64 };

/* By number, not by the beginning of a name: 127.example.com is nobody's loopback. */
static bool is_loopback(const char *address)
{
    char host[HOST_BYTES];
    struct in_addr v4;
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host) return false;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0) return true;
    return inet_pton(AF_INET, host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

int settings_check(const struct config *config)
{
    const char *const *listen;
    size_t count = config_list(config, "listen", &listen);
    bool is_dev = config_is_on(config, "dev");
    if (is_dev && config_text(config, "jwt-key") != NULL) return cli_fail(EXIT_USAGE, "--dev has a key of its own: leave out --jwt-key, or --dev");
    for (size_t i = 0; is_dev && i < count; i++)
        if (!is_loopback(listen[i])) return cli_fail(EXIT_CONFIG, "--listen %s: --dev serves loopback only", listen[i]);
    if (count > LISTEN_MAX) return cli_fail(EXIT_CONFIG, "--listen: more than %d addresses", LISTEN_MAX);
    if ((config_text(config, "tls-cert") == NULL) != (config_text(config, "tls-key") == NULL))
        return cli_fail(EXIT_CONFIG, "--tls-cert and --tls-key go together");
    return EXIT_WELL;
}
