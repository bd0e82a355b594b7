/* Judges lines of {"schema":..,"data":..} from stdin: a line each of `fits`, `misfit` or `refused: why`. */
#include <stdio.h>
#include <stdlib.h>

#include "core/schema.h"

int main(void)
{
    char *line = NULL, why[256];
    size_t room = 0;
    ssize_t bytes;
    while ((bytes = getline(&line, &room, stdin)) > 0) {
        struct json_value object;
        struct schema *schema = NULL;
        if (!json_check_depth(span_of(line, (size_t)bytes), 60, &object, NULL)) {
            puts("refused: not strict JSON");
            continue;
        }
        if (schema_compile(json_find(object, "schema").raw, &schema, why, sizeof why) != ERR_OK) printf("refused: %s\n", why);
        else puts(schema_fits(schema, json_find(object, "data"), why, sizeof why) ? "fits" : "misfit");
        schema_free(schema);
    }
    free(line);
    return 0;
}
