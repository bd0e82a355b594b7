/* Where the server is: http, https, ws or wss, a host (or [v6]), perhaps a port and a path in front of /v1. And a pin. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "client/transport_parts.h"

static bool take(const char **at, const char *scheme)
{
    size_t bytes = strlen(scheme);
    if (strncasecmp(*at, scheme, bytes) != 0) return false;
    *at += bytes;
    return true;
}

static bool take_port(const char **at, int *ret_port)
{
    char *end;
    if (**at != ':') return true;
    long port = strtol(*at + 1, &end, 10);
    if (end == *at + 1 || port < 1 || port > 65535) return false;
    *ret_port = (int)port;
    *at = end;
    return true;
}

enum err transport_url_parse(const char *text, struct transport_url *ret_url, char *ret_why, size_t why_bytes)
{
    struct transport_url url = {0};
    const char *at = text;
    url.tls = take(&at, "https://") || take(&at, "wss://");
    bool good = url.tls || take(&at, "http://") || take(&at, "ws://");
    url.port = url.tls ? 443 : 80;
    size_t host = *at == '[' ? strcspn(at, "]") + 1 : strcspn(at, ":/?#");
    good = good && host > 0 && host < sizeof url.host && strncmp(at, "[]", 2) != 0;
    if (good) {
        bool bracketed = *at == '[';
        snprintf(url.host, sizeof url.host, "%.*s", (int)(bracketed ? host - 2 : host), bracketed ? at + 1 : at);
        int standard = url.port;
        const char *begin = at;
        at += host;
        good = take_port(&at, &url.port);
        snprintf(url.authority, sizeof url.authority, "%.*s", (int)(url.port == standard ? host : (size_t)(at - begin)), begin);
    }
    size_t path = good ? strlen(at) : 0;
    while (path > 0 && at[path - 1] == '/') path--;
    good = good && (path == 0 || *at == '/') && path < sizeof url.base - 64 && strcspn(at, "?# \r\n\t") == strlen(at);
    if (!good) {
        snprintf(ret_why, why_bytes, "'%.100s': not http(s):// or ws(s)://host[:port]", text);
        return ERR_INVALID;
    }
    snprintf(url.base, sizeof url.base, "%.*s", (int)path, at);
    *ret_url = url;
    return ERR_OK;
}

enum err transport_url_pin(const char *text, unsigned char ret_pin[TRANSPORT_PIN_BYTES], char *ret_why, size_t why_bytes)
{
    char bytes[TRANSPORT_PIN_BYTES + 4];
    if (strlen(text) == 44 && lws_b64_decode_string(text, bytes, (int)sizeof bytes) == TRANSPORT_PIN_BYTES) {
        memcpy(ret_pin, bytes, TRANSPORT_PIN_BYTES);
        return ERR_OK;
    }
    snprintf(ret_why, why_bytes, "'%.60s': a pin is the base64 of 32 bytes", text);
    return ERR_INVALID;
}
