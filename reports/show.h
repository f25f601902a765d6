// `tnbench show`: one run with everything that was recorded of it.
#pragma once

#include <string>

#include "base/json.h"
#include "records/store.h"

namespace tnb {

// Text for people: what was run, where, how each phase ended, its settings and stages, its metrics with
// standard error, 95 % interval (as recorded; Wilson's for shares of right items; else value ± 1.96 standard
// errors), unit, n and protocol, the layers with the largest error, what factorized linears cost, flips
// against the base run, the log. Error{kUsage} for an unknown run.
std::string ShowRun(const Store& store, int64_t run_id);
// All of it in full precision: run, cell, model, method, machine, build, phases (stages, layers, metrics,
// samples, artefact and, with_items, items), cost, flips, log. Absent values are null, infinity is the string
// "inf".
Json ShowRunJson(const Store& store, int64_t run_id, bool with_items = false);

}  // namespace tnb
