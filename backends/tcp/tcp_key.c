#include "backends/tcp/tcp_key.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/pack.h"

enum { SAID_BYTES_MAX = 4096 };

enum err tcp_key_load(const char *path, struct tcp_key *ret_key, char *why, size_t why_bytes)
{
    struct tcp_key key;
    char more[2];
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        snprintf(why, why_bytes, "%s: %s", path, strerror(errno));
        return ERR_CONFIG;
    }
    key.bytes = fread(key.secret, 1, sizeof key.secret, file);
    size_t more_bytes = fread(more, 1, sizeof more, file);
    fclose(file);
    if (key.bytes > 0 && more_bytes == 0 && key.secret[key.bytes - 1] == '\n') key.bytes--;
    if (key.bytes < TCP_KEY_BYTES_MIN || more_bytes > 0) {
        snprintf(why, why_bytes, "%s: a link's key has %d to %d bytes", path, TCP_KEY_BYTES_MIN, TCP_KEY_BYTES_MAX);
        return ERR_CONFIG;
    }
    *ret_key = key;
    return ERR_OK;
}

bool tcp_key_nonce(unsigned char nonce[TCP_NONCE_BYTES]) { return RAND_bytes(nonce, TCP_NONCE_BYTES) == 1; }

bool tcp_key_proof(const struct tcp_key *key, enum tcp_role role, struct span gateway_hello, struct span owner_hello,
                   unsigned char ret_proof[TCP_PROOF_BYTES])
{
    static const char label[] = "tidegate link, proof of the "; /* no other use of the key says this */
    struct buf said;
    unsigned char proof[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    buf_init(&said, SAID_BYTES_MAX);
    buf_add_text(&said, label);
    buf_add_text(&said, role == TCP_GATEWAY ? "gateway" : "owner");
    pack_text(&said, gateway_hello, 4);
    pack_text(&said, owner_hello, 4);
    bool good = buf_ok(&said) && HMAC(EVP_sha256(), key->secret, (int)key->bytes, (const unsigned char *)said.at, said.bytes, proof, &bytes) != NULL &&
                bytes == TCP_PROOF_BYTES;
    buf_fini(&said);
    if (good) memcpy(ret_proof, proof, TCP_PROOF_BYTES);
    return good;
}

bool tcp_key_equal(const unsigned char a[TCP_PROOF_BYTES], const unsigned char b[TCP_PROOF_BYTES])
{
    return CRYPTO_memcmp(a, b, TCP_PROOF_BYTES) == 0;
}

uint64_t tcp_key_chance(uint64_t below)
{
    unsigned char bytes[8];
    uint64_t value = 0;
    if (below == 0 || RAND_bytes(bytes, sizeof bytes) != 1) return 0;
    memcpy(&value, bytes, sizeof value);
    return value % below;
}
