/* Compiling a pattern: one function a rule of the grammar, each appending its steps. */
#include "core/pattern.h"

#include <stdlib.h>

#include "core/json.h"
#include "core/pattern_parts.h"

enum { NO_POINT = 0x110000, POINT_LAST = 0x10ffff, REPEAT_MAX = PATTERN_STEPS_MAX, WITHOUT_END = -1, OPEN_ENDED = -1 };

struct parsing {
    struct span rest;    /* behind `next` */
    uint32_t next;       /* NO_POINT at the end */
    struct pattern *pattern;
    unsigned depth;
    const char *why;     /* NULL: well so far */
};

static bool wrong(struct parsing *p, const char *why)
{
    if (p->why == NULL) p->why = why;
    return false;
}

static void skip(struct parsing *p)
{
    if (!json_next_point(&p->rest, &p->next)) p->next = NO_POINT;
}

static bool take(struct parsing *p, char c)
{
    if (p->next != (uint32_t)c) return false;
    skip(p);
    return true;
}

static struct pattern_step *add_step(struct parsing *p, enum pattern_kind kind)
{
    struct pattern *pattern = p->pattern;
    if (pattern->steps_count == PATTERN_STEPS_MAX) {
        (void)wrong(p, "repeats too much");
        return NULL;
    }
    struct pattern_step *step = &pattern->steps[pattern->steps_count++];
    *step = (struct pattern_step){.kind = kind, .ranges_at = (uint16_t)pattern->ranges_count};
    return step;
}

/* ---- characters ---- */

static bool add_range(struct parsing *p, uint32_t first, uint32_t last)
{
    if (p->pattern->ranges_count == PATTERN_RANGES_MAX) return wrong(p, "names too many characters");
    p->pattern->ranges[p->pattern->ranges_count++] = (struct pattern_range){first, last};
    return true;
}

/* Ranges in ascending order, or all that is between them. */
static bool add_ranges(struct parsing *p, const struct pattern_range *ranges, size_t count, bool others)
{
    uint32_t from = 0;
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        if (!others) good = add_range(p, ranges[i].first, ranges[i].last);
        else if (ranges[i].first > from) good = add_range(p, from, ranges[i].first - 1);
        from = ranges[i].last + 1;
    }
    return good && (!others || add_range(p, from, POINT_LAST));
}

/* \d \w \s and their capitals. */
static bool add_class(struct parsing *p, uint32_t name)
{
    static const struct pattern_range digits[] = {{'0', '9'}}, words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const struct pattern_range spaces[] = {{9, 13}, {' ', ' '}, {0xa0, 0xa0}, {0x1680, 0x1680}, {0x2000, 0x200a},
                                                  {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
    bool others = name < 'a';
    switch (name | 0x20) {
    case 'd': return add_ranges(p, digits, 1, others);
    case 'w': return add_ranges(p, words, sizeof words / sizeof words[0], others);
    default: return add_ranges(p, spaces, sizeof spaces / sizeof spaces[0], others);
    }
}

static bool is_class(uint32_t c) { return c == 'd' || c == 'D' || c == 'w' || c == 'W' || c == 's' || c == 'S'; }

static int digit_of(uint32_t c)
{
    if (c >= '0' && c <= '9') return (int)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (int)(c - 'a') + 10 : -1;
}

static bool take_hex(struct parsing *p, unsigned digits, uint32_t *ret_point)
{
    uint32_t point = 0;
    for (unsigned i = 0; i < digits; i++, skip(p)) {
        int digit = p->next == NO_POINT ? -1 : digit_of(p->next);
        if (digit < 0) return wrong(p, "an escape lacks hexadecimal digits");
        point = point * 16 + (uint32_t)digit;
    }
    *ret_point = point;
    return true;
}

/* Behind \u: four digits (two halves of a pair are one character), or any number in braces. */
static bool take_unicode(struct parsing *p, uint32_t *ret_point)
{
    uint32_t low;
    if (take(p, '{')) {
        uint32_t point = 0;
        for (int digit; p->next != NO_POINT && (digit = digit_of(p->next)) >= 0 && point <= POINT_LAST; skip(p)) point = point * 16 + (uint32_t)digit;
        *ret_point = point;
        return (take(p, '}') && point <= POINT_LAST) || wrong(p, "\\u{..}: is no character");
    }
    if (!take_hex(p, 4, ret_point)) return false;
    struct parsing before = *p;
    if (*ret_point < 0xd800 || *ret_point > 0xdbff || !take(p, '\\') || !take(p, 'u') || !take_hex(p, 4, &low) || low < 0xdc00 || low > 0xdfff) *p = before;
    else *ret_point = 0x10000 + ((*ret_point - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* Behind a backslash, where it stands for one character. */
static bool take_escaped(struct parsing *p, uint32_t *ret_point)
{
    static const char names[] = "tnvfr", are[] = "\t\n\v\f\r", plain[] = "^$\\.*+?()[]{}|/-";
    uint32_t c = p->next;
    skip(p);
    const char *found = c == 0 || c > 127 ? NULL : strchr(names, (int)c);
    *ret_point = c;
    if (found != NULL) *ret_point = (uint32_t)are[found - names];
    else if (c == '0' && !(p->next >= '0' && p->next <= '9')) *ret_point = 0;
    else if (c == 'x') return take_hex(p, 2, ret_point);
    else if (c == 'u') return take_unicode(p, ret_point);
    else if (c == 'c' && p->next < 128 && (p->next | 0x20) >= 'a' && (p->next | 0x20) <= 'z') {
        *ret_point = p->next & 0x1f;
        skip(p);
    } else if (c == 'p' || c == 'P') return wrong(p, "\\p{..} is not supported");
    else if (c == 'k' || (c >= '1' && c <= '9')) return wrong(p, "back references are not supported");
    else if (c == 0 || c > 127 || strchr(plain, (int)c) == NULL) return wrong(p, "no such escape");
    return true;
}

static bool parse_set_atom(struct parsing *p, uint32_t *ret_point)
{
    *ret_point = p->next;
    if (p->next == NO_POINT) return wrong(p, "[ without its ]");
    if (!take(p, '\\')) {
        skip(p);
        return true;
    }
    if (is_class(p->next)) {
        uint32_t name = p->next;
        skip(p);
        *ret_point = NO_POINT;
        return add_class(p, name);
    }
    if (take(p, 'b')) {
        *ret_point = '\b';
        return true;
    }
    return take_escaped(p, ret_point);
}

/* Behind the [. */
static bool parse_set(struct parsing *p)
{
    struct pattern_step *step = add_step(p, PATTERN_TAKE);
    if (step == NULL) return false;
    step->negated = take(p, '^');
    while (!take(p, ']')) {
        uint32_t first, last;
        if (!parse_set_atom(p, &first)) return false;
        last = first;
        struct parsing before = *p;
        if (take(p, '-')) {
            if (p->next == ']') *p = before; /* a - at the end stands for itself */
            else if (!parse_set_atom(p, &last)) return false;
            else if (first == NO_POINT || last == NO_POINT || last < first) return wrong(p, "a range of characters that is none");
        }
        if (first != NO_POINT && !add_range(p, first, last)) return false;
    }
    step->ranges_count = (uint16_t)(p->pattern->ranges_count - step->ranges_at);
    return true;
}

static bool add_one(struct parsing *p, uint32_t point)
{
    struct pattern_step *step = add_step(p, PATTERN_TAKE);
    if (step == NULL || !add_range(p, point, point)) return false;
    step->ranges_count = 1;
    return true;
}

static bool add_any(struct parsing *p)
{
    struct pattern_step *step = add_step(p, PATTERN_TAKE);
    if (step == NULL || !add_range(p, '\n', '\n') || !add_range(p, '\r', '\r') || !add_range(p, 0x2028, 0x2029)) return false;
    step->ranges_count = 3;
    step->negated = true;
    return true;
}

/* ---- structure ---- */

static bool parse_either(struct parsing *p);

/* Behind the (. */
static bool parse_group(struct parsing *p)
{
    if (take(p, '?')) {
        bool named = !take(p, ':');
        if (named && !take(p, '<')) return wrong(p, "look-around is not supported");
        if (named && (p->next == '=' || p->next == '!')) return wrong(p, "look-around is not supported");
        while (named && !take(p, '>')) {
            if (p->next == NO_POINT) return wrong(p, "a group's name has no end");
            skip(p);
        }
    }
    if (++p->depth > PATTERN_DEPTH_MAX) return wrong(p, "groups are nested too deep");
    if (!parse_either(p)) return false;
    p->depth--;
    return take(p, ')') || wrong(p, "( without its )");
}

static bool parse_escape(struct parsing *p)
{
    uint32_t point;
    if (p->next == 'b' || p->next == 'B') {
        enum pattern_kind kind = p->next == 'b' ? PATTERN_EDGE : PATTERN_NO_EDGE;
        skip(p);
        return add_step(p, kind) != NULL;
    }
    if (!is_class(p->next)) return take_escaped(p, &point) && add_one(p, point);
    struct pattern_step *step = add_step(p, PATTERN_TAKE);
    uint32_t name = p->next;
    skip(p);
    if (step == NULL || !add_class(p, name)) return false;
    step->ranges_count = (uint16_t)(p->pattern->ranges_count - step->ranges_at);
    return true;
}

static bool parse_atom(struct parsing *p)
{
    uint32_t c = p->next;
    skip(p);
    switch (c) {
    case '^': return add_step(p, PATTERN_BEGIN) != NULL;
    case '$': return add_step(p, PATTERN_END) != NULL;
    case '.': return add_any(p);
    case '[': return parse_set(p);
    case '(': return parse_group(p);
    case '\\': return parse_escape(p);
    case '*': case '+': case '?': case '{': return wrong(p, "nothing to repeat");
    case ']': case '}': return wrong(p, "a bracket without its other half");
    default: return add_one(p, c);
    }
}

static bool take_number(struct parsing *p, int *ret_number)
{
    int number = 0, digits = 0;
    for (; p->next >= '0' && p->next <= '9'; digits++, skip(p)) number = number > REPEAT_MAX ? number : number * 10 + (int)(p->next - '0');
    *ret_number = number;
    return digits > 0;
}

/* How often? False: not repeated, or wrong. */
static bool take_repeat(struct parsing *p, int *ret_least, int *ret_most)
{
    *ret_least = 0;
    *ret_most = WITHOUT_END;
    if (take(p, '*')) return true;
    if (take(p, '+')) {
        *ret_least = 1;
        return true;
    }
    if (take(p, '?')) {
        *ret_most = 1;
        return true;
    }
    if (!take(p, '{')) return false;
    if (!take_number(p, ret_least)) return wrong(p, "{ without a number");
    if (!take(p, ',')) *ret_most = *ret_least;
    else if (p->next != '}' && !take_number(p, ret_most)) return wrong(p, "{ without its }");
    if (!take(p, '}')) return wrong(p, "{ without its }");
    return *ret_most == WITHOUT_END || *ret_most >= *ret_least || wrong(p, "a repetition of more than its most");
}

static bool add_copy(struct parsing *p, const struct pattern_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct pattern_step *step = add_step(p, steps[i].kind);
        if (step == NULL) return false;
        *step = steps[i];
    }
    return true;
}

/* What stands behind `start` is repeated: as often as it must, then as often as it may. */
static bool repeat(struct parsing *p, size_t start, int least, int most)
{
    size_t count = p->pattern->steps_count - start;
    struct pattern_step *piece = malloc((count + 1) * sizeof *piece);
    bool good = piece != NULL || wrong(p, "out of memory");
    if (good) memcpy(piece, &p->pattern->steps[start], count * sizeof *piece);
    p->pattern->steps_count = start;
    for (int i = 0; i < least && good; i++) good = add_copy(p, piece, count);
    for (int i = least; (i < most || (most == WITHOUT_END && i == least)) && good; i++) {
        struct pattern_step *split = add_step(p, PATTERN_SPLIT);
        good = split != NULL && add_copy(p, piece, count);
        if (!good) break;
        split->to = 1;
        split->or_to = (int)count + (most == WITHOUT_END ? 2 : 1);
        struct pattern_step *back = most == WITHOUT_END ? add_step(p, PATTERN_JUMP) : NULL;
        good = most != WITHOUT_END || back != NULL;
        if (back != NULL) back->to = -(int)count - 1;
    }
    free(piece);
    return good;
}

static bool parse_row(struct parsing *p)
{
    while (p->next != NO_POINT && p->next != '|' && p->next != ')') {
        size_t start = p->pattern->steps_count;
        int least, most;
        if (!parse_atom(p)) return false;
        if (take_repeat(p, &least, &most)) {
            (void)take(p, '?'); /* lazy: finds the same texts */
            if (!repeat(p, start, least, most)) return false;
        }
        if (p->why != NULL) return false;
    }
    return true;
}

static bool parse_either(struct parsing *p)
{
    size_t start = p->pattern->steps_count, way = start;
    if (!parse_row(p)) return false;
    while (take(p, '|')) {
        struct pattern_step *steps = p->pattern->steps;
        size_t count = p->pattern->steps_count - way;
        if (add_step(p, PATTERN_SPLIT) == NULL) return false;
        memmove(&steps[way + 1], &steps[way], count * sizeof *steps);
        steps[way] = (struct pattern_step){.kind = PATTERN_SPLIT, .to = 1, .or_to = (int)count + 2};
        struct pattern_step *out = add_step(p, PATTERN_JUMP);
        if (out == NULL) return false;
        out->or_to = OPEN_ENDED;
        way = p->pattern->steps_count;
        if (!parse_row(p)) return false;
    }
    /* Every way but the last ends in a jump: to behind the last. */
    for (size_t i = start, end = p->pattern->steps_count; i < end; i++) {
        struct pattern_step *step = &p->pattern->steps[i];
        if (step->kind != PATTERN_JUMP || step->or_to != OPEN_ENDED) continue;
        step->to = (int)(end - i);
        step->or_to = 0;
    }
    return true;
}

enum err pattern_compile(struct span raw, struct pattern **ret_pattern, const char **ret_why)
{
    struct pattern *pattern = calloc(1, sizeof *pattern);
    struct parsing p = {.rest = raw, .pattern = pattern};
    if (pattern == NULL) return ERR_MEMORY;
    skip(&p);
    bool good = parse_either(&p) && (p.next == NO_POINT || wrong(&p, "a ) without its (")) && add_step(&p, PATTERN_FOUND) != NULL;
    if (good) {
        *ret_pattern = pattern;
        return ERR_OK;
    }
    *ret_why = p.why;
    free(pattern);
    return ERR_INVALID;
}

void pattern_free(struct pattern *pattern) { free(pattern); }
