/* Finding a pattern: the steps that may be next, all at once, a character at a time. */
#include "core/json.h"
#include "core/pattern_parts.h"

enum { NONE = -1 };

struct search {
    const struct pattern *pattern;
    int64_t before, here;             /* characters; NONE at either end */
    uint16_t mark;                    /* of this place in the text */
    uint16_t marks[PATTERN_STEPS_MAX];
    size_t takes_count, stack_count;
    uint16_t takes[PATTERN_STEPS_MAX], stack[PATTERN_STEPS_MAX];
};

static bool is_word(int64_t c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= 'a' && c <= 'z'); }

static void mark_step(struct search *s, size_t at)
{
    if (s->marks[at] == s->mark) return;
    s->marks[at] = s->mark;
    s->stack[s->stack_count++] = (uint16_t)at;
}

/* Goes from this step to all that take a character. True: found. */
static bool follow(struct search *s, size_t from)
{
    mark_step(s, from);
    while (s->stack_count > 0) {
        size_t at = s->stack[--s->stack_count];
        const struct pattern_step *step = &s->pattern->steps[at];
        bool edge = is_word(s->before) != is_word(s->here), goes = false;
        switch (step->kind) {
        case PATTERN_FOUND: return true;
        case PATTERN_TAKE: s->takes[s->takes_count++] = (uint16_t)at; break;
        case PATTERN_SPLIT:
            mark_step(s, at + (size_t)step->or_to);
            mark_step(s, at + (size_t)step->to);
            break;
        case PATTERN_JUMP: mark_step(s, (size_t)((int)at + step->to)); break;
        case PATTERN_BEGIN: goes = s->before == NONE; break;
        case PATTERN_END: goes = s->here == NONE; break;
        case PATTERN_EDGE: goes = edge; break;
        case PATTERN_NO_EDGE: goes = !edge; break;
        }
        if (goes) mark_step(s, at + 1);
    }
    return false;
}

static bool takes(const struct pattern *pattern, const struct pattern_step *step, int64_t c)
{
    for (size_t i = 0; i < step->ranges_count; i++) {
        const struct pattern_range *range = &pattern->ranges[step->ranges_at + i];
        if (c >= range->first && c <= range->last) return !step->negated;
    }
    return step->negated;
}

bool pattern_find(const struct pattern *pattern, struct span raw)
{
    struct search s = {.pattern = pattern, .before = NONE};
    uint16_t next[PATTERN_STEPS_MAX];
    size_t next_count = 0;
    for (;;) {
        uint32_t point;
        s.here = json_next_point(&raw, &point) ? (int64_t)point : NONE;
        if (++s.mark == 0) { /* counted round: no old mark may be taken for a new one */
            memset(s.marks, 0, sizeof s.marks);
            s.mark = 1;
        }
        s.takes_count = 0;
        for (size_t i = 0; i < next_count; i++)
            if (follow(&s, next[i])) return true;
        if (follow(&s, 0)) return true;
        if (s.here == NONE) return false;
        next_count = 0;
        for (size_t i = 0; i < s.takes_count; i++)
            if (takes(pattern, &pattern->steps[s.takes[i]], s.here)) next[next_count++] = (uint16_t)(s.takes[i] + 1);
        s.before = s.here;
    }
}
