/* Internal to schema*.c: a compiled schema's node. */
#ifndef TIDEGATE_CORE_SCHEMA_PARTS_H
#define TIDEGATE_CORE_SCHEMA_PARTS_H

#include <stdint.h>

#include "core/pattern.h"
#include "core/schema.h"

enum { SCHEMA_DEPTH_MAX = 16, SCHEMA_PLACE_BYTES = 96, SCHEMA_FIT_DEPTH_MAX = 256, SCHEMA_FIT_STEPS_MAX = 4000000 };

struct schema_list {
    size_t count;
    struct schema_node **nodes;
};

struct schema_property {
    struct span raw_key; /* raw, without quotes */
    struct schema_node *node;
};

struct schema_match { /* of `patternProperties` */
    struct pattern *pattern;
    struct schema_node *node;
};

struct schema_dependent {
    struct span raw_key;           /* where this member is .. */
    struct json_value required;    /* .. these are needed, */
    struct schema_node *node;      /* or the object fits this */
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
    struct schema_node *additional, *names, *items, *negated, *contains, *cond, *then, *otherwise;
    struct schema_node *ref;        /* somebody else's: of the schema's targets */
    uint64_t contains_min, contains_max;
    struct pattern *pattern;
    size_t matches_count, dependents_count;
    struct schema_match *matches;
    struct schema_dependent *dependents;
    struct schema_list prefix, all, any, one;
};

/* One judgement under way. */
struct schema_fit {
    char place[SCHEMA_PLACE_BYTES]; /* where in the body the value stands; restored on return */
    char *why;
    size_t why_bytes;
    unsigned depth;                 /* schemas in each other, references followed */
    unsigned long steps;
    bool overrun;                   /* the bounds of schema.h were met: whatever comes out, nothing fits */
};

/* In schema_fit.c. */
bool schema_fit_node(const struct schema_node *node, struct json_value value, struct schema_fit *f);
/* Deep equality of JSON values: numbers by value, strings decoded, objects without order. */
bool schema_fit_equal(struct json_value a, struct json_value b);

#endif
