/* A namespace's text compiles or is refused with a sentence; a schema that compiled judges any body. */
#include <stdint.h>
#include <stdlib.h>

#include "core/namespace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct namespace *ns = NULL;
    struct json_value value;
    char why[200] = "";
    struct span text = span_of((const char *)data, size);
    enum err err = namespace_compile(text, &ns, why, sizeof why);
    if (err == ERR_INVALID && why[0] == '\0') abort();
    if (err != ERR_OK) return 0;
    if (!json_check(text, &value, NULL)) abort();
    for (size_t i = 0; i < ns->collections_count; i++) (void)schema_fits(ns->collections[i].schema, value, why, sizeof why);
    namespace_free(ns);
    return 0;
}
