/* Many runs: sweeps on all cores, and a failing plan made small. */
#ifndef TIDEGATE_TESTS_SIM_SIM_SWEEP_H
#define TIDEGATE_TESTS_SIM_SIM_SWEEP_H

#include "tests/sim/sim.h"

/* Seeds from `from` on, each `each`th, `count` of them (0: no bound) and no longer than `seconds` (0: no bound), in `jobs` processes. Prints a
 * line a second where somebody watches, the figures, and of the first failing seed how it is replayed and its plan made small. */
bool sim_sweep(uint64_t from, uint64_t count, uint64_t each, unsigned seconds, unsigned jobs);
/* A plan in a process of its own. False: it failed, and `why` says how (an abort too). */
bool sim_try(const struct sim_plan *plan, const bool *dropped, char why[SIM_WHY_BYTES]);
/* Leaves lines out as long as it still fails; prints what is left. */
void sim_shrink(const struct sim_plan *plan);

#endif
