/* Decimal numbers as text, compared and added exactly: no double ever holds a user's number.
 * `text` is always a checked JSON number, but for number_digits(). */
#ifndef TIDEGATE_CORE_NUMBER_H
#define TIDEGATE_CORE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/span.h"

int number_compare(struct span a, struct span b); /* by value, exactly, any exponent: <0, 0, >0 */
bool number_is_integer(struct span text);         /* 1, 1.0 and 1e2 are; 1.5 is not */
bool number_int64(struct span text, int64_t *ret_value); /* false when not an integer or out of int64 */
bool number_digits(struct span text, uint64_t *ret_value); /* any text: true for 1 to 19 digits and nothing else */
bool number_multiple_of(struct span text, struct span divisor, bool *ret_known); /* ret_known false: too long to decide */

#endif
