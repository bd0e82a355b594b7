/* What json_check() accepts can be walked, counted and decoded without a step outside. */
#include <stdint.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct json_value value)
{
    struct json_iter members = json_members(value), elements = json_elements(value);
    struct json_member member;
    struct json_value element;
    int64_t integer;
    while (json_next_member(&members, &member)) {
        if (!json_key_equal(member.key, member.key)) abort();
        walk(member.value);
    }
    while (json_next_element(&elements, &element)) walk(element);
    if (value.type == JSON_STRING) {
        struct span raw = json_inside(value);
        char *room = malloc(raw.bytes + 1);
        if (room == NULL || json_decode(raw, room, raw.bytes) > raw.bytes || json_code_points(value) > raw.bytes) abort();
        free(room);
    }
    if (value.type != JSON_NUMBER) return;
    if (number_compare(value.raw, value.raw) != 0) abort();
    if (json_integer(value, &integer) && !number_is_integer(value.raw)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_value value;
    size_t at;
    if (json_check(span_of((const char *)data, size), &value, &at)) walk(value);
    else if (at > size) abort();
    return 0;
}
