/* The first frame of both ends of a link: who is there. Pure.
 *
 * FORMAT  hello = "tidegate", u8 the least version that is spoken, u8 the greatest, u8 role, nonce, u8 length + name, u8 length + log,
 *         u32 LE partitions. Both speak the greatest version that both know. This frame's layout is the same in every version. */
#ifndef TIDEGATE_BACKENDS_TCP_TCP_HELLO_H
#define TIDEGATE_BACKENDS_TCP_TCP_HELLO_H

#include "backends/tcp/tcp_key.h"
#include "core/buf.h"

enum { TCP_NAME_BYTES_MAX = 64, TCP_LOG_BYTES_MAX = 64, TCP_HELLO_BYTES_MAX = 256 };

struct tcp_hello {
    unsigned least, most;
    enum tcp_role role;
    unsigned char nonce[TCP_NONCE_BYTES];
    size_t name_bytes;
    char name[TCP_NAME_BYTES_MAX + 1];
    char log[TCP_LOG_BYTES_MAX + 1];
    uint32_t partitions;
};

/* Why a link is not made. The number goes over the wire. */
enum tcp_refusal { TCP_REFUSED_HELLO = 1, TCP_REFUSED_VERSION, TCP_REFUSED_ROLE, TCP_REFUSED_LOG, TCP_REFUSED_KEY, TCP_REFUSED_FULL, TCP_REFUSALS };
const char *tcp_hello_refusal_text(unsigned refusal);

void tcp_hello_encode(struct buf *out, const struct tcp_hello *hello);
bool tcp_hello_decode(struct span fields, struct tcp_hello *ret_hello); /* false: not a hello */
/* May these two talk? 0, or the refusal. */
unsigned tcp_hello_judge(const struct tcp_hello *mine, const struct tcp_hello *theirs);
unsigned tcp_hello_version(const struct tcp_hello *mine, const struct tcp_hello *theirs); /* of two that may */

#endif
