/* What the judge's two files share: the judging, and the history as lines that a person reads. */
#ifndef TIDEGATE_TESTS_SIM_SIM_JUDGE_H
#define TIDEGATE_TESTS_SIM_SIM_JUDGE_H

#include "core/json.h"
#include "tests/checker/checker.h"
#include "tests/sim/sim.h"

void sim_history_trace(struct sim *sim, const struct checker_event *event);
size_t sim_judge_docs(struct json_value docs, struct checker_doc *ret_docs, size_t room);

#endif
