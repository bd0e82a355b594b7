/* A strict reader of JSON text that hands out spans of the very bytes, and never a converted value unasked.
 *
 * Strict: RFC 8259, valid UTF-8 only, no leading zeros, no garbage behind the value, nesting bounded by
 * LIMIT_NESTING_MAX. Half a surrogate pair in an escape is let through, and decodes to three bytes that are no UTF-8:
 * names refuse it, bodies carry it. No allocation, no recursion.
 *
 * USE  json_check() once over a whole frame or record; then walk it with the iterators, which trust a checked text. */
#ifndef TIDEGATE_CORE_JSON_H
#define TIDEGATE_CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/span.h"

enum json_type { JSON_NONE, JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* A value as it stands in the text: `raw` from its first byte to its last (quotes and braces included). */
struct json_value {
    enum json_type type;
    struct span raw;
};

struct json_member {
    struct span key; /* raw, without the quotes; may hold escapes */
    struct json_value value;
};

/* Is `text` exactly one JSON value (white space around it allowed)? On false `ret_at` (may be NULL) is the offset of
 * the first wrong byte. ret_value is the value without the surrounding white space. */
bool json_check(struct span text, struct json_value *ret_value, size_t *ret_at);
/* The same, with another bound for nesting. A scalar has depth 0, {} depth 1. */
bool json_check_depth(struct span text, unsigned depth_max, struct json_value *ret_value, size_t *ret_at);

/* Iterates the members of a checked object, or the elements of a checked array.
 *     struct json_iter it = json_members(object);
 *     struct json_member m;
 *     while (json_next_member(&it, &m)) ... */
struct json_iter {
    const char *at;
    const char *end;
};
struct json_iter json_members(struct json_value object); /* any other type iterates as empty */
struct json_iter json_elements(struct json_value array);
bool json_next_member(struct json_iter *iter, struct json_member *ret_member);
bool json_next_element(struct json_iter *iter, struct json_value *ret_value);
size_t json_count(struct json_value container); /* members or elements */

/* The first member of that name (decoded comparison); JSON_NONE where there is none. */
struct json_value json_find(struct json_value object, const char *key);
struct json_value json_find_span(struct json_value object, struct span decoded_key);
bool json_key_is(struct span raw_key, const char *key);      /* compares decoded */
bool json_key_equal(struct span raw_a, struct span raw_b);   /* both raw, compared decoded */
/* A key that appears twice among the object's own members (not deeper); false where all differ. */
bool json_has_repeated_key(struct json_value object);

/* Decodes the inside of a string (raw, without quotes) into `room` bytes at `ret_text`; returns the decoded length, or
 * SIZE_MAX if it does not fit. The decoded text is never longer than the raw one. */
size_t json_decode(struct span raw_inside, char *ret_text, size_t room);
struct span json_inside(struct json_value string); /* the raw text between the quotes */
bool json_string_is(struct json_value value, const char *text); /* false for other types */
size_t json_code_points(struct json_value string); /* of the decoded text */
/* Takes the next code point (half a surrogate pair is one) from the raw inside of a string; false at its end. */
bool json_next_point(struct span *raw_inside, uint32_t *ret_point);
/* An integer of the wire: -2^53 < n < 2^53, written as an integer (no fraction, no exponent). */
bool json_integer(struct json_value value, int64_t *ret_integer);

#endif
