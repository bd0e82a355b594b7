#include "backends/tcp/tcp_hello.h"

#include "core/pack.h"

#define MAGIC SPAN_LITERAL("tidegate")

const char *tcp_hello_refusal_text(unsigned refusal)
{
    static const char *const texts[TCP_REFUSALS] = {
        [TCP_REFUSED_HELLO] = "this is not a link's hello",
        [TCP_REFUSED_VERSION] = "no version of the links is known to both: upgrade the older",
        [TCP_REFUSED_ROLE] = "a gateway's link leads to a worker, and nowhere else",
        [TCP_REFUSED_LOG] = "the other end belongs to another log, or counts other partitions",
        [TCP_REFUSED_KEY] = "the other end has another key: give both the same --link-key",
        [TCP_REFUSED_FULL] = "no further gateway is served here",
    };
    return refusal > 0 && refusal < TCP_REFUSALS ? texts[refusal] : "for a reason that this version does not know";
}

void tcp_hello_encode(struct buf *out, const struct tcp_hello *hello)
{
    buf_add_span(out, MAGIC);
    pack_u64(out, hello->least, 1);
    pack_u64(out, hello->most, 1);
    pack_u64(out, hello->role, 1);
    buf_add(out, hello->nonce, TCP_NONCE_BYTES);
    pack_text(out, span_of(hello->name, hello->name_bytes), 1);
    pack_text(out, span_text(hello->log), 1);
    pack_u64(out, hello->partitions, 4);
}

bool tcp_hello_decode(struct span fields, struct tcp_hello *ret_hello)
{
    struct unpack in = {.rest = fields};
    struct tcp_hello hello = {0};
    if (!span_equal(unpack_bytes(&in, MAGIC.bytes), MAGIC)) return false;
    hello.least = (unsigned)unpack_u64(&in, 1);
    hello.most = (unsigned)unpack_u64(&in, 1);
    hello.role = (enum tcp_role)unpack_u64(&in, 1);
    struct span nonce = unpack_bytes(&in, TCP_NONCE_BYTES), name = unpack_text(&in, 1), log = unpack_text(&in, 1);
    hello.partitions = (uint32_t)unpack_u64(&in, 4);
    if (in.failed || in.rest.bytes != 0 || name.bytes == 0 || name.bytes > TCP_NAME_BYTES_MAX || log.bytes > TCP_LOG_BYTES_MAX) return false;
    memcpy(hello.nonce, nonce.at, TCP_NONCE_BYTES);
    memcpy(hello.name, name.at, name.bytes);
    hello.name_bytes = name.bytes;
    if (log.bytes > 0) memcpy(hello.log, log.at, log.bytes);
    *ret_hello = hello;
    return true;
}

unsigned tcp_hello_judge(const struct tcp_hello *mine, const struct tcp_hello *theirs)
{
    if (theirs->least > mine->most || theirs->most < mine->least) return TCP_REFUSED_VERSION;
    if (theirs->role != (mine->role == TCP_GATEWAY ? TCP_OWNER : TCP_GATEWAY)) return TCP_REFUSED_ROLE;
    if (strcmp(theirs->log, mine->log) != 0 || theirs->partitions != mine->partitions) return TCP_REFUSED_LOG;
    return 0;
}

unsigned tcp_hello_version(const struct tcp_hello *mine, const struct tcp_hello *theirs) { return mine->most < theirs->most ? mine->most : theirs->most; }
