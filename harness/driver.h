// The driver runs the cells of a plan, phase by phase in worker processes, and is the only writer of the
// store. Every cell ends as a run row, whatever happens to its workers; a phase that is finished already
// (same model, method, settings and, where time matters, machine) is reused and said so on stderr.
#pragma once

#include <functional>
#include <vector>

#include "harness/cell.h"
#include "records/store.h"

namespace tnb {

struct DriverResult {
  std::vector<int64_t> runs;  // one a cell, in order; earlier runs where nothing was left to do
  bool failed = false;        // some phase failed or crashed
  bool interrupted = false;   // by SIGINT or SIGTERM; later cells were not begun
};

struct DriverHooks {
  // Asked before each cell; false ends the plan there. Empty: all cells run.
  std::function<bool(const PlannedCell& cell)> may_begin{};
  // Called after each cell, whatever became of it.
  std::function<void(const PlannedCell& cell)> ended{};
};

// Throws Error when the store cannot be written or no worker can be started; running rows are closed first
// where the store still takes them.
DriverResult RunPlan(const Plan& plan, Store& store, const DriverHooks& hooks = {});

}  // namespace tnb
