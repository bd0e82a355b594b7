/* No token but one that was signed verifies. */
#include <stdint.h>
#include <stdlib.h>

#include "base/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jwt_keys *keys;
    static struct jwt_claims claims;
    static const struct jwt_rules rules = {0};
    struct jwt_keys *parsed = NULL;
    const char *why;
    char text[200];
    if (keys == NULL && jwt_keys_parse(SPAN_LITERAL("a secret that nobody else has at all"), &keys, text, sizeof text) != ERR_OK) abort();
    if (jwt_verify(keys, &rules, span_of((const char *)data, size), 0, &claims, &why) == ERR_OK) abort();
    if (why == NULL) abort();
    if (size > 0 && jwt_keys_parse(span_of((const char *)data, size), &parsed, text, sizeof text) == ERR_OK) jwt_keys_free(parsed);
    return 0;
}
