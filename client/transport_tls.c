/* A pinned key: the SHA-256 of the peer's SubjectPublicKeyInfo, on top of what the certificate's chain must prove anyway. */
#include <openssl/sha.h>
#include <string.h>

#include "client/transport_parts.h"

enum { KEY_BYTES_MAX = 4096 };

bool transport_tls_is_pinned(const struct transport *transport, struct lws *wsi)
{
    union {
        union lws_tls_cert_info_results results;
        char room[sizeof(union lws_tls_cert_info_results) + KEY_BYTES_MAX];
    } info;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    if (!transport->pinned) return true;
    memset(&info, 0, sizeof info);
    if (lws_tls_peer_cert_info(wsi, LWS_TLS_CERT_INFO_OPAQUE_PUBLIC_KEY, &info.results, KEY_BYTES_MAX) != 0) return false;
    SHA256((const unsigned char *)info.results.ns.name, (size_t)info.results.ns.len, digest);
    return memcmp(digest, transport->pin, sizeof digest) == 0;
}
