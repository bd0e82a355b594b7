/* Chance by streams, so that a delay more in one part does not shift all others; and what is told of a run. */
#include <stdarg.h>
#include <stdio.h>

#include "core/hash.h"
#include "tests/sim/sim.h"

int64_t sim_now_ms(const struct sim *sim) { return SIM_EPOCH_MS + sim->now_us / 1000; }

uint64_t sim_below(struct sim *sim, enum sim_stream stream, uint64_t count) { return chance_next(&sim->streams[stream]) % count; }

bool sim_chance(struct sim *sim, enum sim_stream stream, unsigned percent)
{
    return percent > 0 && !sim->calm && sim_below(sim, stream, 100) < percent;
}

int64_t sim_delay(struct sim *sim, enum sim_stream stream, struct sim_span_us between)
{
    if (between.most_us <= between.least_us) return between.least_us;
    return between.least_us + (int64_t)sim_below(sim, stream, (uint64_t)(between.most_us - between.least_us + 1));
}

void sim_mix(struct sim *sim, uint64_t value)
{
    uint64_t mixed = (sim->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15); /* a fingerprint, not a defence */
    sim->hash = mixed ^ mixed >> 29;
}

void sim_mix_span(struct sim *sim, struct span text) { sim_mix(sim, hash_64(text)); }

void sim_trace(struct sim *sim, const char *format, ...)
{
    char line[1024];
    va_list list;
    if (sim->out == NULL) return;
    int64_t us = sim->now_us;
    char time[32];
    snprintf(time, sizeof time, "%6lld.%03lld  ", (long long)(us / 1000000), (long long)(us / 1000 % 1000));
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    buf_add_text(sim->out, time);
    buf_add_text(sim->out, line);
    buf_add_char(sim->out, '\n');
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list list;
    if (sim->why[0] != '\0') return;
    va_start(list, format);
    vsnprintf(sim->why, sizeof sim->why, format, list);
    va_end(list);
    if (sim->out != NULL) sim_trace(sim, "FAILED %s", sim->why);
}
