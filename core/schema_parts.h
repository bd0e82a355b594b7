/* Internal to schema*.c: a compiled schema's node. */
#ifndef TIDEGATE_CORE_SCHEMA_PARTS_H
#define TIDEGATE_CORE_SCHEMA_PARTS_H

#include <stdint.h>

#include "core/schema.h"

enum { SCHEMA_DEPTH_MAX = 16, SCHEMA_PLACE_BYTES = 96 };

struct schema_list {
    size_t count;
    struct schema_node **nodes;
};

struct schema_property {
    struct span raw_key; /* raw, without quotes */
    struct schema_node *node;
};

/* Bits of `types`. INTEGER is a number whose value is whole. */
enum schema_type { TYPE_NULL = 1, TYPE_BOOLEAN = 2, TYPE_NUMBER = 4, TYPE_STRING = 8, TYPE_ARRAY = 16, TYPE_OBJECT = 32, TYPE_INTEGER = 64 };

struct schema_node {
    bool nothing_fits;              /* the schema `false` */
    unsigned types;                 /* 0: any */
    struct json_value constant;     /* JSON_NONE: none given */
    struct json_value one_of_values; /* `enum` */
    struct span minimum, maximum, above, below, multiple; /* at NULL: none */
    uint64_t length_min, length_max, items_min, items_max, properties_min, properties_max;
    bool unique;
    size_t properties_count;
    struct schema_property *properties;
    struct json_value required;
    struct schema_node *additional, *names, *items, *negated;
    struct schema_list prefix, all, any, one;
};

/* In schema_fit.c. `place` (SCHEMA_PLACE_BYTES) is where in the body this value stands; restored on return. */
bool schema_fit_node(const struct schema_node *node, struct json_value value, char *place, char *ret_why, size_t why_bytes);
/* Deep equality of JSON values: numbers by value, strings decoded, objects without order. */
bool schema_fit_equal(struct json_value a, struct json_value b);

#endif
