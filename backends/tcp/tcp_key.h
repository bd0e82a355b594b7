/* The key that both ends of a link know, what proves it, and chance: all that is asked of OpenSSL here.
 *
 * A proof is HMAC-SHA256, under the key, of who proves (the role) and both hellos whole: their nonces, names, roles, versions and
 * logs. So it is good for this one connection, for this one end, and neither end can have been lied to about the other.
 * The key proves; it does not hide or sign what follows. Where the network between is not trusted, run links through TLS. */
#ifndef TIDEGATE_BACKENDS_TCP_TCP_KEY_H
#define TIDEGATE_BACKENDS_TCP_TCP_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/span.h"

enum { TCP_KEY_BYTES_MIN = 16, TCP_KEY_BYTES_MAX = 4096, TCP_NONCE_BYTES = 32, TCP_PROOF_BYTES = 32 };
enum tcp_role { TCP_GATEWAY = 1, TCP_OWNER = 2 };

struct tcp_key {
    size_t bytes; /* 0: there is none, and only loopback links are made */
    unsigned char secret[TCP_KEY_BYTES_MAX];
};

/* A file's bytes, less a final newline. ERR_CONFIG with `why` where it cannot be read, or is too short or too long. */
enum err tcp_key_load(const char *path, struct tcp_key *ret_key, char *why, size_t why_bytes);
/* False: the machine has no randomness, or no memory. */
bool tcp_key_nonce(unsigned char nonce[TCP_NONCE_BYTES]);
bool tcp_key_proof(const struct tcp_key *key, enum tcp_role role, struct span gateway_hello, struct span owner_hello,
                   unsigned char ret_proof[TCP_PROOF_BYTES]);
bool tcp_key_equal(const unsigned char a[TCP_PROOF_BYTES], const unsigned char b[TCP_PROOF_BYTES]); /* in constant time */
/* 0 .. below-1, for jitter; 0 without randomness. */
uint64_t tcp_key_chance(uint64_t below);

#endif
