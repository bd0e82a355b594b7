/* The subset of JSON Schema 2020-12 that a namespace may use on its bodies, compiled once, run over raw spans.
 *
 * Keywords: type, enum, const; minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf; minLength, maxLength,
 * pattern (core/pattern.h says which); properties, patternProperties, additionalProperties, required, minProperties,
 * maxProperties, propertyNames, dependentRequired, dependentSchemas; items, prefixItems, contains, minContains,
 * maxContains, minItems, maxItems, uniqueItems; allOf, anyOf, oneOf, not, if, then, else; $defs, and $ref to a place in
 * the same schema ("#", "#/$defs/money"); true and false. Noted, without effect: $schema, $id, $comment, title,
 * description, default, examples, deprecated, readOnly, writeOnly, format, contentEncoding, contentMediaType,
 * contentSchema. Any other keyword is refused at load, by name.
 * Numbers are compared exactly, as text (core/number.h).
 *
 * BOUNDS  a schema nests SCHEMA_DEPTH_MAX deep; a value is looked at by SCHEMA_FIT_STEPS_MAX schemas in all, and by
 *         SCHEMA_FIT_DEPTH_MAX inside each other (references can make more of them than their text has): past either it
 *         does not fit. */
#ifndef TIDEGATE_CORE_SCHEMA_H
#define TIDEGATE_CORE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/json.h"

struct schema;

/* `text` is copied. On ERR_INVALID, ret_why (a caller's buffer) tells the keyword and its place. NULL text compiles to
 * the schema that everything fits. */
enum err schema_compile(struct span text, struct schema **ret_schema, char *ret_why, size_t why_bytes);
void schema_free(struct schema *schema);
/* On false, ret_why says which member does not fit and why, e.g. "qty: greater than 999". */
bool schema_fits(const struct schema *schema, struct json_value value, char *ret_why, size_t why_bytes);

#endif
