/* A JSON number as sign, significant digits and a decimal exponent: enough to compare exactly at any size.
 *
 * INVARIANT 1: in `digits` neither the first nor the last is a zero, but that zero itself has none at all. */
#include "core/number.h"

#include <stdlib.h>
#include <string.h>

enum { EXPONENT_BOUND = 1000000000, DIGITS_BOUND = 4096 };

struct decimal {
    bool negative;
    const char *whole;    /* digits before the point, then those behind it */
    size_t whole_count;
    const char *part;
    size_t part_count;
    size_t first;         /* of the significant digits, counted over both */
    size_t count;         /* of significant digits; 0: the number is zero */
    int64_t exponent;     /* of the last significant digit: value = digits x 10^exponent */
};

static char digit_at(const struct decimal *d, size_t i)
{
    i += d->first;
    return i < d->whole_count ? d->whole[i] : d->part[i - d->whole_count];
}

static size_t digits_at(struct span text, size_t from)
{
    size_t at = from;
    while (at < text.bytes && text.at[at] >= '0' && text.at[at] <= '9') at++;
    return at - from;
}

/* The written exponent, kept within +-EXPONENT_BOUND. */
static int64_t exponent_of(struct span text, size_t at)
{
    int64_t exponent = 0;
    if (at >= text.bytes) return 0;
    at++; /* e */
    bool negative = at < text.bytes && text.at[at] == '-';
    if (at < text.bytes && (text.at[at] == '-' || text.at[at] == '+')) at++;
    for (; at < text.bytes; at++)
        if (exponent < EXPONENT_BOUND) exponent = exponent * 10 + (text.at[at] - '0');
    if (exponent > EXPONENT_BOUND) exponent = EXPONENT_BOUND;
    return negative ? -exponent : exponent;
}

static struct decimal read_decimal(struct span text)
{
    struct decimal d = {0};
    size_t at = 0;
    if (text.at[0] == '-') {
        d.negative = true;
        at = 1;
    }
    d.whole = text.at + at;
    d.whole_count = digits_at(text, at);
    at += d.whole_count;
    d.part = text.at + at;
    if (at < text.bytes && text.at[at] == '.') {
        d.part = text.at + at + 1;
        d.part_count = digits_at(text, at + 1);
        at += 1 + d.part_count;
    }
    d.exponent = exponent_of(text, at) - (int64_t)d.part_count;
    d.count = d.whole_count + d.part_count;
    while (d.count > 0 && digit_at(&d, 0) == '0') {
        d.first++;
        d.count--;
    }
    while (d.count > 0 && digit_at(&d, d.count - 1) == '0') {
        d.count--;
        d.exponent++;
    }
    if (d.count == 0) d.negative = false;
    return d;
}

static int compare_magnitude(const struct decimal *a, const struct decimal *b)
{
    if (a->count == 0 || b->count == 0) return (a->count > 0) - (b->count > 0);
    int64_t top_a = a->exponent + (int64_t)a->count, top_b = b->exponent + (int64_t)b->count;
    if (top_a != top_b) return top_a < top_b ? -1 : 1;
    for (size_t i = 0; i < a->count || i < b->count; i++) {
        char da = i < a->count ? digit_at(a, i) : '0', db = i < b->count ? digit_at(b, i) : '0';
        if (da != db) return da < db ? -1 : 1;
    }
    return 0;
}

int number_compare(struct span a, struct span b)
{
    struct decimal da = read_decimal(a), db = read_decimal(b);
    if (da.negative != db.negative) return da.negative ? -1 : 1;
    int order = compare_magnitude(&da, &db);
    return da.negative ? -order : order;
}

bool number_is_integer(struct span text)
{
    struct decimal d = read_decimal(text);
    return d.count == 0 || d.exponent >= 0;
}

bool number_int64(struct span text, int64_t *ret_value)
{
    struct decimal d = read_decimal(text);
    uint64_t magnitude = 0, limit = (uint64_t)INT64_MAX + (d.negative ? 1 : 0);
    if (d.count > 0 && (d.exponent < 0 || d.exponent + (int64_t)d.count > 19)) return false;
    for (int64_t i = 0; d.count > 0 && i < (int64_t)d.count + d.exponent; i++) {
        uint64_t digit = i < (int64_t)d.count ? (uint64_t)(digit_at(&d, (size_t)i) - '0') : 0;
        if (magnitude > (limit - digit) / 10) return false;
        magnitude = magnitude * 10 + digit;
    }
    *ret_value = d.negative ? (int64_t)(UINT64_C(0) - magnitude) : (int64_t)magnitude;
    return true;
}

/* The number scaled by 10^-exponent as an integer, if it fits. */
static bool scaled(const struct decimal *d, int64_t exponent, uint64_t *ret_value)
{
    uint64_t value = 0;
    int64_t digits = (int64_t)d->count + d->exponent - exponent;
    if (d->count == 0) digits = 0;
    if (digits > 18) return false;
    for (int64_t i = 0; i < digits; i++) value = value * 10 + (i < (int64_t)d->count ? (uint64_t)(digit_at(d, (size_t)i) - '0') : 0);
    *ret_value = value;
    return true;
}

bool number_multiple_of(struct span text, struct span divisor, bool *ret_known)
{
    struct decimal a = read_decimal(text), b = read_decimal(divisor);
    uint64_t unit, remainder = 0;
    int64_t exponent = a.count > 0 && a.exponent < b.exponent ? a.exponent : b.exponent;
    int64_t digits = (int64_t)a.count + a.exponent - exponent;
    *ret_known = true;
    if (a.count == 0) return true;
    if (digits > DIGITS_BOUND || !scaled(&b, exponent, &unit) || unit == 0) {
        *ret_known = false;
        return false;
    }
    /* Long division, digit by digit: the remainder stays below 10^18, so times ten it stays below 2^64. */
    for (int64_t i = 0; i < digits; i++)
        remainder = (remainder * 10 + (i < (int64_t)a.count ? (uint64_t)(digit_at(&a, (size_t)i) - '0') : 0)) % unit;
    return remainder == 0;
}

bool number_digits(struct span text, uint64_t *ret_value)
{
    uint64_t number = 0;
    if (text.bytes == 0 || text.bytes > 19) return false;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        number = number * 10 + (uint64_t)(text.at[i] - '0');
    }
    *ret_value = number;
    return true;
}
