/* Regular expressions, as JSON Schema's `pattern` means them: ECMA-262 with the u flag, found anywhere in the text.
 *
 * Taken: . [..] \d \w \s and their capitals, \t \n \v \f \r \0 \cX \xHH \uHHHH \u{..}, groups, |, * + ? {n} {n,} {n,m}
 * (lazy ones too), ^ $ \b \B. Refused by name: back references, look-around, \p{..}.
 * All ways are followed at once, a character at a time, so a search takes (characters x steps) at most and none of the
 * patterns that make other engines hang is of any harm.
 *
 * BOUNDS  PATTERN_STEPS_MAX steps behind repetition ({1000} of one character is 1,000), PATTERN_RANGES_MAX ranges of
 *         characters, PATTERN_DEPTH_MAX groups in each other: refused at compilation. */
#ifndef TIDEGATE_CORE_PATTERN_H
#define TIDEGATE_CORE_PATTERN_H

#include <stdbool.h>

#include "core/err.h"
#include "core/span.h"

enum { PATTERN_STEPS_MAX = 1024, PATTERN_RANGES_MAX = 1024, PATTERN_DEPTH_MAX = 16 };

struct pattern;

/* `raw` is the inside of a checked JSON string. ERR_INVALID: *ret_why says what is not understood; ERR_MEMORY. */
enum err pattern_compile(struct span raw, struct pattern **ret_pattern, const char **ret_why);
void pattern_free(struct pattern *pattern);
/* Does it match anywhere in this text, the inside of a checked JSON string? */
bool pattern_find(const struct pattern *pattern, struct span raw);

#endif
